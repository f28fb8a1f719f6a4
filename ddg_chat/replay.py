"""``ddg-chat replay``: a recorded run again, with today's core."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
import time
from pathlib import Path

from ddg_protocol.transcript import Lost, Outcome, Step, Transcript, replay

from ._text import harmless, one_line


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Do again what a transcript has, without a network, and say whether today's core still does the same. "
        "The exit code is 0 if it does, and 1 if not; then the first difference is shown."
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="what ddg-chat ask --record wrote; - reads it from stdin"
    )
    parser.add_argument("--show", action="store_true", help="print each action as it comes, as a line of JSON")
    parser.add_argument("--real-time", action="store_true", help="take as long as it took then")


def run(args: argparse.Namespace) -> int:
    """Replay, and report."""
    data = sys.stdin.buffer.read() if str(args.file) == "-" else args.file.read_bytes()
    transcript = Transcript.read(data)
    pulls = 0
    for step in replay(transcript):
        if args.real_time:
            time.sleep(max(0.0, step.delay))
        if not step.same:
            print("\n".join(_difference(step)))
            return 1
        if args.show:
            print(json.dumps(step.got), flush=True)
        pulls += 1
    print(f"the same: {pulls} actions, {len(transcript.lines) + 1} lines")
    if transcript.lines and isinstance(lost := transcript.lines[-1][1], Lost):
        print(f"the recording ends before its run did: {one_line(lost.why)}")
    return 0


def _difference(step: Step) -> list[str]:
    lines = difflib.unified_diff(_written(step.expected), _written(step.got), "as recorded", "today", lineterm="")
    return [f"line {step.line}: not the same any more", *lines]


def _written(outcome: Outcome) -> list[str]:
    return harmless(json.dumps(outcome, indent=1, ensure_ascii=False)).split("\n")
