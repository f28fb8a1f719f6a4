"""``ddg-chat ask``: ask one question, and stream the reply."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ddg_protocol import Event, LocalProtocolError
from ddg_protocol.parts import Part, Text

from . import _service
from ._attach import read_attachment
from ._below import show_below
from ._errors import CommandError
from ._inline import drawer
from ._input import checked
from ._opening import Opening
from ._say import say
from ._screen import writer

EPILOG = """\
examples:
  ddg-chat ask Why is the sky blue?
  ddg-chat ask "Summarise this:" - < notes.txt
  git diff | ddg-chat ask "A message for this commit:" - | git commit -F -
  ddg-chat ask --emulator --fault chat:429,retry-after=2,times=1 "Why?"

The reply goes to standard output as it arrives, everything else to standard
error: sources as numbered links, and the names of the files that images are
saved to, image-1.png and so on in the current folder. On a terminal, Markdown
is drawn, and the model's reasoning is shown dimmed. If a reply breaks, the part
that arrived stays. ddg-chat --help lists the exit codes.

"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG + _service.EPILOG
    parser.add_argument(
        "question",
        metavar="QUESTION",
        nargs="*",
        help="the question, as one or more arguments; - stands for standard input. With --messages it may be left out",
    )
    parser.add_argument(
        "--attach",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="send an image or a file with the question, if the model takes it; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print each event as a line of JSON, and an error as one")
    _service.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, and print the reply as it arrives."""
    opening = _service.opening_of(args)
    asked = opening.before(_with_files(_question(args.question, opening), args.attach))
    show = _print_events if args.json else writer(color=args.color is not False)
    with _service.opened(args) as asking:
        chat = asking.chat(model=args.model, conversation=opening.conversation)
        with asking.stream(chat, asked) as reply:
            pieces: Iterable[Any] = reply.events() if args.json else reply
            show(pieces if asking.streams else list(pieces))
        if reply.finished is not None and not args.json:
            show_below(reply.finished, say, draw=drawer())
    return 0


def _question(arguments: list[str], opening: Opening) -> str | None:
    """Join the question's words with spaces, and set off standard input with empty lines; None if there is none."""
    if not arguments and opening.asks:
        return None
    if not arguments:
        raise CommandError("the question is missing: ddg-chat ask QUESTION, or - for standard input")
    arguments = [checked(argument) for argument in arguments]
    if "-" not in arguments:
        question = " ".join(arguments)
    else:
        where = arguments.index("-")
        before, after = arguments[:where], arguments[where + 1 :]
        if "-" in after:
            raise CommandError("standard input can be read only once; use one -")
        question = "\n\n".join(part for part in (" ".join(before), sys.stdin.read(), " ".join(after)) if part)
    if not question.strip():
        raise LocalProtocolError("the question is empty")
    return question


def _with_files(question: str | None, files: list[Path]) -> str | tuple[Part, ...] | None:
    """Return a question with the files that go with it."""
    if not files:
        return question
    if question is None:
        raise CommandError("--attach needs a question to send the files with: ddg-chat ask --attach FILE QUESTION")
    return (Text(question), *map(read_attachment, files))


def _print_events(events: Iterable[Event]) -> None:
    for event in events:
        print(json.dumps(_as_json(event)), flush=True)


def _as_json(event: msgspec.Struct) -> dict[str, object]:
    """Return an event as JSON values. What a turn has none of, such as images, is left out."""
    members = {name: _json_value(value) for name, value in msgspec.structs.asdict(event).items() if value != ()}
    return {"event": type(event).__name__, **members}


def _json_value(value: object) -> object:
    match value:
        case bytes():
            return value.decode(errors="replace")
        case tuple():
            return [_json_value(each) for each in value]
        case dict():
            return {name: _json_value(each) for name, each in value.items()}
        case msgspec.Struct():
            return _as_json(value)
        case Exception():
            return str(value)
    return value
