"""``ddg-chat inspect``: show a recorded run as a sequence diagram or an HTML page, or what differs between two."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TextIO

import msgspec

from ddg_protocol.transcript import Transcript

from .._errors import CommandError
from .._files import private
from .._input import read_transcript
from .._say import say, width_of
from .._screen import takes_escapes
from ._diagram import ASCII, UNICODE, Glyphs, Style, draw
from ._timeline import read_timelines, titles

EX_DATAERR = 65
"""A part of the transcript can't be read (``sysexits.h``)."""
_UNBROKEN = 1 << 30
"""Columns; as wide as lines get that don't go to a terminal."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Show what happened in a recorded run: each message, its time, and the session's states. The exit code is 0 if "
        "the run is complete and the current core does the same, 65 if part of the file can't be read, else 1. The "
        "readable part is always shown. With a second file, show what differs between the two runs instead. The exit "
        "code is then 0 if nothing differs, and 1 if something does, like that of diff; 65 stays."
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="a transcript from ddg-chat ask --record; - reads it from stdin"
    )
    parser.add_argument(
        "other", metavar="FILE", type=Path, nargs="?", help="another transcript, to show what differs between the two"
    )
    parser.add_argument("--html", type=Path, metavar="PAGE", help="write an HTML page, in one file, instead")
    parser.add_argument(
        "--full",
        action="store_true",
        help="show each chunk, each state and the full texts; of two files all differences",
    )
    parser.add_argument("--no-color", action="store_true", help="no colours, like the environment's NO_COLOR")


def run(args: argparse.Namespace) -> int:
    """Draw the diagram or write the page, and report what is missing."""
    return _show(args) if args.other is None else _compare(args)


def _show(args: argparse.Namespace) -> int:
    transcript, damage = read_transcript(args.file, Transcript.salvage)
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

        _write(args.html, page(timelines, _name(args.file), full=args.full))
    sys.stdout.flush()  # the flaws come after the diagram
    flaws = dict.fromkeys(flaw for timeline in timelines for flaw in timeline.flaws)  # damage ends each chat
    for flaw in flaws:
        say(f"ddg-chat: {flaw}")
    if damage is not None:
        return EX_DATAERR
    return 1 if flaws else 0


def _compare(args: argparse.Namespace) -> int:
    from ._differences import differences

    if str(args.file) == str(args.other) == "-":
        raise CommandError("only one of the two transcripts can come from standard input")
    (ours, our_damage), (theirs, their_damage) = (
        read_transcript(file, Transcript.salvage) for file in (args.file, args.other)
    )
    chats = differences(ours, theirs)
    a, b = _name(args.file), _name(args.other)
    flaws = [
        f"{name}: {damage}; the rest is not compared"
        for name, damage in ((a, our_damage), (b, their_damage))
        if damage is not None
    ]
    if args.html is None:
        from ._account import Look, account

        width = width_of(sys.stdout) if sys.stdout.isatty() else _UNBROKEN
        look = Look(width, _has_colours(args, sys.stdout), args.full, _glyphs(sys.stdout).ellipsis)
        for line in account(chats, a, b, look):
            print(line)
    else:
        from ._beside import beside

        _write(args.html, beside(chats, a, b, flaws, full=args.full))
    sys.stdout.flush()  # the flaws come after the account
    for flaw in flaws:
        say(f"ddg-chat: {flaw}")
    if flaws:
        return EX_DATAERR
    return 1 if any(chat.differs for chat in chats) else 0


def _name(file: Path) -> str:
    return "standard input" if str(file) == "-" else file.name


def _write(file: Path, page: str) -> None:
    with open(file, "w", encoding="utf-8", opener=private) as out:  # it contains questions and replies
        out.write(page)


def _style(args: argparse.Namespace, out: TextIO) -> Style:
    width = shutil.get_terminal_size((100, 24)).columns
    return Style(width=width, glyphs=_glyphs(out), colour=_has_colours(args, out), full=args.full)


def _has_colours(args: argparse.Namespace, out: TextIO) -> bool:
    return not args.no_color and not os.environ.get("NO_COLOR") and takes_escapes(out)


def _glyphs(out: TextIO) -> Glyphs:
    """Return the glyphs that the output's encoding supports."""
    try:
        "".join(msgspec.structs.astuple(UNICODE)).encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
