"""``ddg-chat inspect``: show a recorded run as a sequence diagram or an HTML page."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TextIO

import msgspec

from ddg_protocol.transcript import Transcript

from .._files import private
from .._say import say
from .._screen import takes_escapes
from ._diagram import ASCII, UNICODE, Glyphs, Style, draw
from ._timeline import read_timelines, titles

EX_DATAERR = 65
"""A part of the transcript can't be read (``sysexits.h``)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Show what happened in a recorded run: each message, its time, and the session's states. The exit code is 0 if "
        "the run is complete and the current core does the same, 65 if part of the file can't be read, else 1. The "
        "readable part is always shown."
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="a transcript from ddg-chat ask --record; - reads it from stdin"
    )
    parser.add_argument("--html", type=Path, metavar="PAGE", help="write an HTML page, in one file, instead")
    parser.add_argument("--full", action="store_true", help="show each chunk, each state and the full texts")
    parser.add_argument("--no-color", action="store_true", help="no colours, like the environment's NO_COLOR")


def run(args: argparse.Namespace) -> int:
    """Draw the diagram or write the page, and report what is missing."""
    data = sys.stdin.buffer.read() if str(args.file) == "-" else args.file.read_bytes()
    transcript, damage = Transcript.salvage(data)
    timelines = read_timelines(transcript, damage)
    if args.html is None:
        for timeline, title in zip(timelines, titles(timelines), strict=True):
            if title:
                print(f"{title}\n")
            for line in draw(timeline, _style(args, sys.stdout)):
                print(line)
            if timeline is not timelines[-1]:
                print()
    else:
        from ._page import page

        name = "standard input" if str(args.file) == "-" else args.file.name
        written = page(timelines, name, full=args.full)
        with open(args.html, "w", encoding="utf-8", opener=private) as file:  # it contains questions and replies
            file.write(written)
    sys.stdout.flush()  # the flaws come after the diagram
    flaws = dict.fromkeys(flaw for timeline in timelines for flaw in timeline.flaws)  # damage ends each chat
    for flaw in flaws:
        say(f"ddg-chat: {flaw}")
    if damage is not None:
        return EX_DATAERR
    return 1 if flaws else 0


def _style(args: argparse.Namespace, out: TextIO) -> Style:
    plain = args.no_color or bool(os.environ.get("NO_COLOR")) or not takes_escapes(out)
    width = shutil.get_terminal_size((100, 24)).columns
    return Style(width=width, glyphs=_glyphs(out), colour=not plain, full=args.full)


def _glyphs(out: TextIO) -> Glyphs:
    """Return the glyphs that the output's encoding supports."""
    try:
        "".join(msgspec.structs.astuple(UNICODE)).encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
