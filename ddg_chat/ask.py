"""``ddg-chat ask``: one question, its reply as it comes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    Event,
    LimitReached,
    LocalProtocolError,
    Retrying,
    ServiceNotice,
    ServiceProfile,
    Session,
    Wait,
)
from ddg_transports.blocking import Client, Reply, Seen

#: C0 (but tab and line feed), DEL and C1: what a terminal could take for a command.
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (9, 10)}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("question", metavar="QUESTION", help="what to ask; - reads it from standard input")
    parser.add_argument("--model", help="by id or alias (see: ddg-chat models)")
    parser.add_argument("--json", action="store_true", help="print each event as a line of JSON")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write a transcript, without tokens and cookies (see: ddg-chat replay)",
    )
    parser.add_argument("--blank-texts", action="store_true", help="leave question and reply out of the transcript too")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--emulator", action="store_true", help="ask an emulator of the service, started for this question"
    )
    where.add_argument(
        "--base-url",
        type=_profile,
        metavar="URL",
        help="where the service is: https://HOST[:PORT], or http for a loopback address",
    )


def run(args: argparse.Namespace) -> int:
    """Ask, and print the reply as it comes."""
    question = sys.stdin.read() if args.question == "-" else args.question
    if not question.strip():
        raise LocalProtocolError("there is no question to ask: it is empty")
    tell = _tell if sys.stderr.isatty() else None
    show = _print_events if args.json else _print_text
    with (
        _service(args) as profile,
        _recorder(args) as record,
        Client(profile, on_action=tell) as client,
        client.chat(model=args.model, wrap=record).stream(question) as reply,
    ):
        show(reply)
    return 0


@contextmanager
def _recorder(args: argparse.Namespace) -> Iterator[Callable[[Session], Session] | None]:
    if args.record is None:
        yield None
        return
    from ddg_protocol.transcript import RecordedSession

    with args.record.open("w", encoding="utf-8", newline="\n") as file:
        yield lambda session: RecordedSession(session, file.write, redact_texts=args.blank_texts)


@contextmanager
def _service(args: argparse.Namespace) -> Iterator[ServiceProfile]:
    if not args.emulator:
        yield args.base_url or DUCKDUCKGO_2025_04
        return
    from ddg_transports.emulator import Emulator

    with Emulator() as emulator:
        yield DUCKDUCKGO_2025_04.at(emulator.url)


def _profile(base_url: str) -> ServiceProfile:
    try:
        return DUCKDUCKGO_2025_04.at(base_url)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _print_text(reply: Reply) -> None:
    ended = True
    try:
        for text in reply:
            ended = text.endswith("\n")
            print(text.translate(_CONTROLS), end="", flush=True)
    finally:
        if not ended:
            print(flush=True)


def _print_events(reply: Reply) -> None:
    for event in reply.events():
        print(json.dumps(_as_json(event)), flush=True)


def _as_json(event: Event) -> dict[str, object]:
    members = {name: _json_value(value) for name, value in msgspec.structs.asdict(event).items()}
    return {"event": type(event).__name__, **members}


def _json_value(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value) if isinstance(value, Exception) else value


def _tell(action: Seen) -> None:
    """Say on standard error, to the person who waits, what for."""
    match action:
        case Wait(until=until, reason=reason):
            message = f"waiting {until - time.monotonic():.1f} s ({reason})"
        case Retrying(cause=cause):
            message = f"{cause}; asking once more"
        case ServiceNotice(text=message):
            pass
        case LimitReached(limit=limit):
            message = f"the service says that the limit of this {limit} is reached"
        case _:
            return
    print(f"ddg-chat: {message}", file=sys.stderr)
