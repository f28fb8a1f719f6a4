"""``ddg-chat doctor``: what is installed, which files are used, and what answers at an address."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ddg_protocol import DuckChatError, SendRequest, __version__
from ddg_protocol.errors import (
    ChatTimeoutError,
    CoordinationError,
    EngineUnavailable,
    TransportError,
    UnsupportedChallenge,
)
from ddg_transports.blocking import Trace

from . import _service, _settings, _shared
from ._errors import CommandError, exit_code, sentence
from ._say import say
from ._text import one_line

EPILOG = """\
examples:
  ddg-chat doctor
  ddg-chat doctor --base-url http://127.0.0.1:8000
  ddg-chat doctor --base-url https://example.org --timeout 5 --json

An address is asked for what a conversation begins with, and no question is
sent. The exit code is 0, 69 if it doesn't answer, 76 if it speaks no revision
that is known here, and 74 if the configuration file can't be used. It is 69,
too, if the engine doesn't answer through which commands keep the pace together.

"""

_NEEDED = ("anyio", "beautifulsoup4", "h11", "html5lib", "httpcore", "msgspec")
#: What an optional package is for.
_OPTIONAL = {
    "h2": "HTTP/2: --transport http2",
    "markdown-it-py": "Markdown on a terminal",
    "platformdirs": "kept conversations, and the configuration file",
    "prompt-toolkit": "the line editor of ddg-chat chat",
    "rich": "Markdown on a terminal",
    "shtab": "completion for shells: ddg-chat completion",
    "socksio": "SOCKS proxies: --proxy socks5://...",
    "trio": "AsyncClient on trio",
    "valkey": "one pace for several machines: --shared valkey://...",
    "trustme": "https from the emulator: ddg-chat emulate --tls",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG + _service.EPILOG
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _service.configure(parser, asks=False)
    # A file that can't be used is a finding, and no reason to find nothing else.
    parser.set_defaults(settable=(), settable_here=parser.get_default("settable"))


def run(args: argparse.Namespace) -> int:
    """Print what was found."""
    found, codes = _look(args)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        say("\n".join(_lines(found)), sys.stdout)
    return next(filter(None, codes), 0)


def _look(args: argparse.Namespace) -> tuple[dict[str, Any], list[int]]:
    """Return what is found, as JSON values, and exit codes."""
    optional = [
        {"package": name, "version": _version(name), "for": purpose} for name, purpose in sorted(_OPTIONAL.items())
    ]
    found: dict[str, Any] = {
        "ddg-protocol": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "needed": {name: _version(name) for name in _NEEDED},
        "optional": optional,
    }
    path = _settings.config_path()
    configuration: dict[str, Any] = {"file": str(path), "exists": path.exists()} if path is not None else {}
    codes = []
    try:
        args.settable = args.settable_here
        _settings.fill(args)
    except (CommandError, OSError) as error:
        configuration["error"] = sentence(error)
        codes.append(exit_code(error))
    found["configuration"] = configuration
    if path is not None:
        from ._store import Store, data_folder

        store = Store(data_folder() / "conversations")
        found["conversations"] = {"folder": str(store.folder), "number": len(store.names())}
    found["pace"] = _pace(args)
    codes.append(found["pace"].get("exit_code", 0))
    if args.base_url is not None or args.emulator:
        found["service"] = _service_at(args)
        codes.append(found["service"]["exit_code"])
    return found, codes


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _pace(args: argparse.Namespace) -> dict[str, Any]:
    """Say whether the engine answers through which commands keep the pace together."""
    profile = _service.profile_of(args)
    where = _shared.engine_for(args.shared, profile, emulates=args.emulator)
    if where is None:
        return {"engine": None, "why": _shared.why_alone(args.shared, profile, emulates=args.emulator)}
    found: dict[str, Any] = {"engine": _shared.shown(str(where)), "answers": True}
    if not _shared.is_used(where):
        return found | {"answers": None}
    try:
        with _shared.open_engine(where) as engine:
            return found | {"next_slot": engine.overview(interval=profile.interval).next_slot}
    except (CommandError, EngineUnavailable) as error:
        return found | {"answers": False, "error": sentence(error), "exit_code": exit_code(error)}


class _Enough(Exception):
    """The question would be sent next, so all before it has been answered."""


def _service_at(args: argparse.Namespace) -> dict[str, Any]:
    """Ask an address for the beginning of a conversation, in each revision, and say which of them it answered."""
    with ExitStack() as stack:
        asked = argparse.Namespace(**vars(args))
        if args.emulator:
            profile = _service.profile_of(args)
            asked.base_url = stack.enter_context(_service.emulator(profile, args.fault, challenge=False))
            asked.emulator, asked.fault = False, []
            asked.shared = asked.shared or _shared.ALONE
        asked.retries = 0 if args.retries is None else args.retries
        answer: dict[str, Any] = {"address": asked.base_url, "answers": True, "revision": None, "exit_code": 76}
        # The last of them has a list of models, by which it is known; the one before gives no more than it.
        for asked.revision in ("2025-04", "2026-10", "2025-07"):
            try:
                _begin(asked)
            except (TransportError, ChatTimeoutError) as error:
                return answer | {"answers": False, "error": sentence(error), "exit_code": exit_code(error)}
            except CoordinationError as error:
                return answer | {"answers": None, "error": sentence(error), "exit_code": exit_code(error)}
            except DuckChatError as error:
                answer.setdefault("refusals", {})[asked.revision] = one_line(str(error), 300)
            else:
                return answer | {"revision": asked.revision, "exit_code": 0}
        return answer


def _begin(args: argparse.Namespace) -> None:
    """Do all that comes before a question, or fetch the list of models of a revision that has one.

    Raises:
        DuckChatError: the service doesn't answer as this revision does.
    """
    profile = _service.profile_of(args)
    question = profile.url(profile.chat_path)

    def stop(trace: Trace) -> None:
        if isinstance(trace.what, SendRequest) and trace.what.url == question:
            raise _Enough

    args.solver = _give_up
    with _service.opened(args, on_action=stop) as asking:
        if profile.models_path is not None:
            asking.client.models()
            return
        try:
            with asking.chat().stream("?") as reply:
                list(reply)
        except _Enough:
            return
        except UnsupportedChallenge:
            return  # it came, which is all that is asked here


def _give_up(_: object) -> str:
    raise UnsupportedChallenge("it isn't answered here")


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"ddg-protocol {found['ddg-protocol']} on Python {found['python']}, {found['platform']}"
    yield "  " + ", ".join(f"{name} {number or 'is missing'}" for name, number in found["needed"].items())
    yield ""
    yield "optional parts"
    for part in found["optional"]:
        state = f"{part['package']} {part['version']}" if part["version"] else f"{part['package']} is missing"
        advice = "" if part["version"] else f" (pip install {part['package']})"
        yield f"  {state:<24} {part['for']}{advice}"
    yield ""
    yield "files"
    configuration = found["configuration"]
    if not configuration:
        yield "  none: conversations and a configuration file need platformdirs"
    else:
        state = "is read" if configuration["exists"] else "is not there, and need not be"
        yield f"  {one_line(configuration['file'])}: {configuration.get('error') or state}"
        count = found["conversations"]["number"]
        yield f"  {one_line(found['conversations']['folder'])}: {count} conversation{'' if count == 1 else 's'}"
    yield ""
    yield "pace"
    yield f"  {_about_pace(found['pace'])}"
    yield ""
    yield from _about(found.get("service"))


def _about_pace(pace: dict[str, Any]) -> str:
    if pace["engine"] is None:
        return f"each command keeps its own: {pace['why']}"
    engine = one_line(pace["engine"])
    if pace["answers"] is None:
        return f"{engine}: is not there yet; the first question makes it"
    if not pace["answers"]:
        return f"{engine}: {pace['error']}"
    return f"{engine}: answers; a request may begin {_shared.when(pace['next_slot'])}"


def _about(service: dict[str, Any] | None) -> Iterator[str]:
    if service is None:
        yield "service: none was asked; --base-url URL asks one, --emulator one of this program's"
        return
    yield f"service at {service['address']}"
    if service["answers"] is None:
        yield f"  was not asked: {service['error']}"
    elif not service["answers"]:
        yield f"  doesn't answer: {service['error']}"
    elif service["revision"]:
        yield f"  answers, and seems to speak revision {service['revision']}"
    else:
        yield "  answers, but speaks no revision that is known here:"
        for revision, refusal in service["refusals"].items():
            yield f"  {revision}: {refusal}"
