"""``ddg-chat models``."""

from __future__ import annotations

import argparse
import sys

from ddg_protocol import ServiceProfile

from . import _service
from ._errors import CommandError
from ._say import say
from ._text import one_line


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--live",
        action="store_true",
        help="ask the service for its list; revision 2026-10 has one",
    )
    _service.configure(parser, asks=False)


def run(args: argparse.Namespace) -> int:
    """Print the models, a line each: the id, then its name, its aliases, and whether it can be used."""
    if args.live:
        if _service.profile_of(args).models_path is None:
            raise CommandError("this revision of the service has no list of models; --revision 2026-10 has one")
        with _service.opened(args) as asking:
            _print(asking.client.profile.with_models(asking.models()))
    else:
        _print(_service.profile_of(args))
    return 0


def _print(profile: ServiceProfile) -> None:
    for number, model in enumerate(profile.models):
        notes = [
            *(["default"] if number == 0 else []),
            *([one_line(model.name)] if model.name else []),
            *(f"alias {one_line(alias)}" for alias in model.aliases),
            *(["not for this client"] if model.available is False else []),
        ]
        say(one_line(model.id) + (f"  ({', '.join(notes)})" if notes else ""), sys.stdout)
