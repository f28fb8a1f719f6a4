"""``ddg-chat pace``: what the next request waits for, and who asks in which conversation."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import asdict

from . import _service, _shared
from ._say import folded, width_of
from ._text import one_line
from ._turns import turns_under_way

EPILOG = """\
Requests to a service begin a minimum interval apart, whichever ddg-chat makes
them, and a Retry-After that one meets holds all. Each turn makes its requests
one after the other, the oldest turn first. So a command that does nothing may
be waiting for others: this one says for which, and takes no place itself.

  next request  when one begins that is asked for now, behind those that wait
  held          until when the service wants no request
  turn 12 ...   a turn that waits; the number grows with each. If it doesn't
                come back, perhaps since it was killed, its place passes
  sky ...       a saved conversation in which a process asks
  user/17 ...   a conversation that a program has which shares the engine, with
                the beginning of its turn's nonce

examples:
  ddg-chat pace
  ddg-chat pace --json
  ddg-chat pace --shared valkey://cache.example

An engine that can't be used ends it with exit code 69.
"""
_LISTED = 20
_WAITING = 14  # columns


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print one JSON object, with durations in seconds")
    _service.configure_profile(parser)
    _shared.configure(parser, may_be_alone=False)


def run(args: argparse.Namespace) -> int:
    """Print who holds what."""
    found = _look(args)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        lines = "\n".join(_lines(found))
        print(folded(lines, width_of(sys.stdout)) if sys.stdout.isatty() else lines)
    return 0


def _look(args: argparse.Namespace) -> dict[str, Any]:
    """Return what is found, as JSON values."""
    profile = _service.profile_of(args)
    where = _shared.engine_for(args.shared, profile, emulates=False)
    found: dict[str, Any] = {"service": profile.origin, "interval": profile.interval, "engine": None, "asking": []}
    if where is None:
        found["why"] = _shared.why_alone(args.shared, profile, emulates=False)
    else:
        found |= {"engine": _shared.shown(str(where)), "used": _shared.is_used(where)}
        if found["used"]:
            with _shared.open_engine(where) as engine:
                overview = engine.overview(interval=profile.interval)
            found |= asdict(overview)
            found["queue"] = [asdict(turn) for turn in overview.queue]
            if overview.conversations is not None:
                found["conversations"] = [asdict(one) for one in overview.conversations]
    if _shared.has_folder():
        from ._store import data_folder

        found["asking"] = [
            {"conversation": turn.name, "process": turn.process, "since": turn.since and turn.since.isoformat()}
            for turn in turns_under_way(data_folder() / "conversations")
        ]
    return found


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"pace at {found['service']}: {found['interval']:g} s between requests"
    if found["engine"] is None:
        yield f"  each command keeps its own: {found['why']}"
    elif not found["used"]:
        yield f"  kept in {one_line(found['engine'])}, which is not there yet; the first question makes it"
    else:
        yield f"  kept in {one_line(found['engine'])}"
        yield from _about_pace(found)
    for turn in found["asking"]:
        who = f"process {turn['process']}" if turn["process"] else "a process"
        since = f" since {turn['since'][:19].replace('T', ' ')}" if turn["since"] else ""
        yield _line(turn["conversation"], f"{who} has been asking{since}" if since else f"{who} is asking")
    yield from _first(_about_conversation(one) for one in found.get("conversations") or ())


def _about_pace(found: dict[str, Any]) -> Iterator[str]:
    waiting = len(found["queue"])
    behind = f", behind {waiting} turn{'' if waiting == 1 else 's'}" if waiting else ""
    yield _line("next request", f"{_shared.when(found['next_slot'])}{behind}")
    if found["held"]:
        yield _line("held", f"for {found['held']:.1f} s, as the service has asked (Retry-After)")
    if found["fetching"] is not None:
        yield _line("front end", f"a turn has been fetching its version for {found['fetching']:.1f} s")
    elif found["fe_version"]:
        yield _line("front end", f"version {one_line(found['fe_version'], 60)}")
    yield from _first(_about_turn(turn) for turn in found["queue"])


def _about_turn(turn: dict[str, Any]) -> str:
    requests = f"{turn['requests']} request{'' if turn['requests'] == 1 else 's'} to make"
    return _line(f"turn {turn['ticket']}", f"{requests}; its place passes {_shared.when(turn['passes'])}")


def _about_conversation(one: dict[str, Any]) -> str:
    marked = ", and may have sent its question" if one["marked"] else ""
    lease = f"its lease ends {_shared.when(one['ends'])}"
    return _line(one_line(one["key"], 40), f"turn {one_line(one['holder'], 9)} has it{marked}; {lease}")


def _line(what: str, about: str) -> str:
    return f"  {what:<{_WAITING}}{about}" if len(what) < _WAITING else f"  {what}  {about}"


def _first(lines: Iterable[str]) -> Iterator[str]:
    """Yield the first lines, and how many there are besides."""
    more = 0
    for number, line in enumerate(lines):
        if number < _LISTED:
            yield line
        else:
            more += 1
    if more:
        yield f"  and {more:,} more"
