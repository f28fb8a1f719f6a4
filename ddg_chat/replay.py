"""``ddg-chat replay``: repeat a recorded run with the current core."""

from __future__ import annotations

import argparse
import difflib
import json
from pathlib import Path
from time import sleep

from ddg_protocol.transcript import Begin, Lost, Outcome, Step, Transcript, replay

from ._input import read_transcript
from ._text import harmless, one_line


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Repeat a recorded run without a network, and check that the current core still does the same. "
        "The exit code is 0 if it does; if not, it is 1, and the first difference is shown."
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="a transcript from ddg-chat ask --record; - reads it from stdin"
    )
    parser.add_argument("--show", action="store_true", help="print each action as a line of JSON")
    parser.add_argument("--real-time", action="store_true", help="take as long as the recorded run")


def run(args: argparse.Namespace) -> int:
    """Replay, and print the result."""
    transcript = read_transcript(args.file, Transcript.read)
    pulls = 0
    for step in replay(transcript):
        if args.real_time:
            sleep(max(0.0, step.delay))
        if not step.same:
            print("\n".join(_difference(step)))
            return 1
        if args.show:
            print(json.dumps(step.got), flush=True)
        pulls += 1
    lines = [line for _, line in transcript.lines]
    chats = 1 + sum(isinstance(line, Begin) for line in lines)
    print(f"the same: {f'{chats} chats, ' if chats > 1 else ''}{pulls} actions, {len(lines) + 1} lines")
    for line in lines:
        if isinstance(line, Lost):
            which = f" of chat {line.chat}" if chats > 1 else ""
            print(f"the recording{which} ends before its run: {one_line(line.why)}")
    return 0


def _difference(step: Step) -> list[str]:
    lines = difflib.unified_diff(_written(step.expected), _written(step.got), "as recorded", "now", lineterm="")
    return [f"line {step.line}: no longer the same", *lines]


def _written(outcome: Outcome) -> list[str]:
    return harmless(json.dumps(outcome, indent=1, ensure_ascii=False)).split("\n")
