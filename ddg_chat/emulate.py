"""``ddg-chat emulate``: the service on a loopback port, until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import ssl
import sys
from functools import partial
from pathlib import Path

import anyio

from ddg_protocol.service import Fault, Service
from ddg_protocol.service.script import fault_from_text, script_from_toml
from ddg_transports.emulator import serve, throw_away_tls

from ._service import REVISIONS, revision

FAULTS = """\
faults:
  --fault ENDPOINT:WORD[,WORD]... makes something go wrong at front_end,
  landing, status or chat; it may be repeated. A word is an effect, an attribute
  of the effect before it, or first=N or times=N (the first request, and the
  number of times; default: always). Effects happen in order. In a value, %2C
  is a comma.

    chat:429,retry-after=2,times=1          the first question is refused
    chat:418,type=ERR_CHALLENGE,tokens      a challenge, every time
    status:header=x-vqd-4                   no token
    landing:redirect=https://example.org/   a redirect to another host
    chat:event=[PING],after=2               a keep-alive after two events
    chat:done=[DONE][LIMIT_CONVERSATION]    another end
    chat:coding=gzip,split=1,drip=0.1       compressed, slowly, byte by byte
    chat:cut=100,then=reset                 also: close, hang, end

  docs/faults.md lists them all. --script FILE uses the same names in TOML.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Emulate the service on 127.0.0.1. The only line on standard output is the base\n"
        "URL, written once clients can connect. SIGINT (Ctrl-C) and SIGTERM end it."
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = FAULTS
    parser.add_argument("--port", type=_port, default=0, help="the port to listen on (default: a free one)")
    parser.add_argument(
        "--challenge", action="store_true", help="refuse questions (418) that don't answer the challenge"
    )
    parser.add_argument("--revision", choices=REVISIONS, help="the service's revision (default: 2025-04)")
    parser.add_argument("--script", metavar="FILE", help="read faults from a TOML file")
    parser.add_argument("--fault", type=_fault, action="append", default=[], metavar="FAULT", help="a fault; see below")
    parser.add_argument("--tls", action="store_true", help="serve https, with a certificate made for this run")
    parser.add_argument("--ca-file", metavar="FILE", help="serve https, and write the CA to trust to a file, in PEM")


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted.

    Returns:
        The exit code: 0 when interrupted; 2 if TLS isn't installed; 74 if a file or the port can't be used.
    """
    try:
        script, tls = _script(args.script), _tls(args.ca_file) if args.tls or args.ca_file else None
    except OSError as error:
        return _fail(74, f"{error.filename}: {error.strerror}")
    except ValueError as error:
        return _fail(74, f"{args.script}: {error}")
    except ImportError as error:
        return _fail(2, str(error))
    # A new seed for each run, so that tokens of an earlier run are not valid in this one.
    profile = revision(args.revision)
    service = Service(profile, challenge=args.challenge, script=(*script, *args.fault), seed=secrets.token_hex(16))
    try:
        anyio.run(partial(_serve_until_interrupted, service, args.port, tls))
    except OSError as error:
        return _fail(74, f"can't listen on 127.0.0.1, port {args.port}: {error.strerror or error}")
    return 0


def _fail(code: int, sentence: str) -> int:
    print(f"ddg-chat emulate: {sentence}", file=sys.stderr)
    return code


def _script(file: str | None) -> tuple[Fault, ...]:
    return () if file is None else script_from_toml(Path(file).read_text(encoding="utf-8"))


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context, pem = throw_away_tls()
    if ca_file is not None:
        Path(ca_file).write_text(pem, encoding="ascii")
    return context


async def _serve_until_interrupted(service: Service, port: int, tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        # Set by hand: a shell makes its background jobs ignore SIGINT, and asyncio's own handlers don't exist on
        # Windows.
        stop = partial(loop.call_soon_threadsafe, scope.cancel)
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, lambda *_: stop()) for number in signals]
        try:
            await serve(service, port=port, tls=tls, task_status=_Announcement())
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)


class _Announcement:
    """The task status of the server: prints the base URL for the user."""

    def started(self, value: str | None = None) -> None:
        print(value, flush=True)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text[:20]!r}")
    return int(text)


def _fault(text: str) -> Fault:
    try:
        return fault_from_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
