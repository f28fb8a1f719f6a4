"""``ddg-chat emulate``: the service on a loopback port, until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import math
import os
import re
import secrets
import signal
import ssl
import sys
from functools import partial
from pathlib import Path

import anyio
import msgspec

from ddg_protocol.service import Checks, Fault, Handler, Service, default_responder
from ddg_protocol.service.script import fault_from_text, script_from_toml
from ddg_transports.emulator import serve, throw_away_tls

from ._errors import CommandError
from ._input import read_transcript
from ._say import say
from ._seen import RequestsSeen
from ._service import REVISIONS, revision, seconds

FAULTS = """\
faults:
  --fault ENDPOINT:WORD[,WORD]... makes something go wrong at front_end,
  landing, status, chat or models; it may be repeated. A word is an effect, an
  attribute of the effect before it, or first=N or times=N (the first request,
  and the number of times; default: always). Effects happen in order, and all
  that are for one request add up. In a value, %2C is a comma.

    chat:429,retry-after=2,times=1          the first question is refused
    chat:503,first=2,times=1                the second one is
    chat:418,type=ERR_CHALLENGE,tokens      a challenge, every time
    status:header=x-vqd-4                   no token
    landing:redirect=https://example.org/   a redirect to another host
    chat:event=[PING],after=2               a keep-alive after two events
    chat:done=[DONE][LIMIT_CONVERSATION]    another end
    chat:coding=gzip,split=1,drip=0.1       compressed, slowly, byte by byte
    chat:cut=100,then=reset                 also: close, hang, end

  docs/faults.md lists them all. --script FILE uses the same names in TOML.
"""


EXAMPLES = """\
examples:
  ddg-chat emulate --port 8000 --reply "Hello, world." --words-per-second 5
  ddg-chat emulate --challenge --strict -v
  ddg-chat emulate --cors http://localhost:3000
  ddg-chat emulate --host 0.0.0.0 --cert-for emulator --ca-file ca.pem
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Emulate the service on 127.0.0.1. The only line on standard output is the base\n"
        "URL, written once clients can connect. Standard error has a line for each\n"
        "request. SIGINT (Ctrl-C) and SIGTERM end it, with a summary."
    )
    parser.epilog = f"{EXAMPLES}\n{FAULTS}"
    listening = parser.add_argument_group("where it listens")
    listening.add_argument("--port", type=_port, default=0, help="the port to listen on (default: a free one)")
    listening.add_argument(
        "--host", type=_address, default="127.0.0.1", metavar="ADDRESS", help="the address (default: 127.0.0.1)"
    )
    listening.add_argument("--tls", action="store_true", help="serve https, with a certificate made for this run")
    listening.add_argument("--ca-file", metavar="FILE", help="serve https, and write the CA to trust to a file, in PEM")
    listening.add_argument(
        "--cert-for",
        action="append",
        default=[],
        metavar="NAME",
        help="serve https, with the certificate for this host name or address too; may be repeated",
    )
    listening.add_argument(
        "--cors",
        type=_origin,
        metavar="ORIGIN",
        help="the origin of pages that may use it from a browser; * is any",
    )

    asked = parser.add_argument_group("what it asks of clients")
    asked.add_argument(
        "--strict", action="store_true", help="all of PROTOCOL.md (default: what the real service is known to ask)"
    )
    asked.add_argument("--any-history", action="store_true", help="with --strict: take replies of other services")
    asked.add_argument(
        "--challenge", action="store_true", help="refuse questions (418) that don't answer the challenge"
    )

    responses = parser.add_argument_group("what it responds")
    responses.add_argument("--revision", choices=REVISIONS, help="the service's revision (default: 2025-04)")
    responses.add_argument(
        "--reply",
        metavar="TEXT|FILE|-",
        help="reply with this text, with a file if there is one of that name, or with standard input",
    )
    responses.add_argument("--delay", type=seconds, metavar="SECONDS", help="wait before the first word of a reply")
    responses.add_argument("--words-per-second", type=_rate, metavar="NUMBER", help="slow replies down")
    responses.add_argument("--script", metavar="FILE", help="read faults from a TOML file")
    responses.add_argument(
        "--fault", type=_fault, action="append", default=[], metavar="FAULT", help="a fault; see below"
    )
    responses.add_argument(
        "--transcript", metavar="FILE", help="serve the responses of a recorded run, in order; nothing else is served"
    )

    said = parser.add_argument_group("what it says")
    said.add_argument(
        "-v", "--verbose", action="store_true", help="show header fields too; secrets are cut to their beginnings"
    )
    said.add_argument("--json", action="store_true", help="say it all as lines of JSON")


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted.

    Returns:
        The exit code: 0 when interrupted; 2 if options contradict each other, or TLS isn't installed; 65 if the
        transcript can't be read; 74 if a file or the port can't be used.
    """
    if args.any_history and not args.strict:
        raise CommandError("--any-history goes with --strict; without it, any history is taken")
    if args.transcript is not None and (given := _besides_transcript(args)):
        raise CommandError(f"--transcript has all the responses; leave out {', '.join(given)}")
    try:
        tls = _tls(args) if args.tls or args.ca_file or args.cert_for else None
        handler = _transcript(args.transcript) if args.transcript is not None else _service(args)
    except (ImportError, ValueError) as error:  # TLS isn't installed, or no certificate can be for such a name
        raise CommandError(str(error)) from None
    seen = RequestsSeen(sys.stderr, headers=args.verbose, as_json=args.json)
    if not ipaddress.ip_address(args.host).is_loopback:
        warning = f"{args.host} is no loopback address; whoever reaches it can use the emulator"
        seen(warning) if args.json else say(f"ddg-chat emulate: warning: {warning}")
    try:
        anyio.run(partial(_serve_until_interrupted, handler, args.host, args.port, tls, seen))
    except OSError as error:
        raise CommandError(f"can't listen on {args.host}, port {args.port}: {error.strerror or error}", 74) from None
    seen.summarize(handler.unmet_faults if isinstance(handler, Service) else ())
    return 0


def _besides_transcript(args: argparse.Namespace) -> list[str]:
    """Return the options that say what the service is, by name."""
    names = ("strict", "challenge", "revision", "reply", "delay", "words_per_second", "script", "fault", "cors")
    return [f"--{name.replace('_', '-')}" for name in names if getattr(args, name)]


def _service(args: argparse.Namespace) -> Service:
    checks = Checks.strict() if args.strict else Checks()
    if args.any_history:
        checks = msgspec.structs.replace(checks, history=False)
    reply = None if args.reply is None else _reply(args.reply)
    return Service(
        revision(args.revision),
        responder=default_responder if reply is None else lambda question: reply,
        challenge=args.challenge,
        checks=checks,
        latency=args.delay or 0.0,
        delay=1 / args.words_per_second if args.words_per_second else 0.0,
        script=(*_script(args.script), *args.fault),
        cors=args.cors or "",
        seed=secrets.token_hex(16),  # tokens of an earlier run are not valid in this one
    )


def _reply(given: str) -> str:
    """Return the text of ``--reply``: the argument itself, a file's, or standard input's."""
    if given != "-" and not os.path.isfile(given):
        return given
    try:
        return (sys.stdin.buffer.read() if given == "-" else Path(given).read_bytes()).decode()
    except UnicodeDecodeError:
        raise CommandError(f"{given}: the reply is not UTF-8 text; convert it, or save it as UTF-8", 74) from None


def _script(file: str | None) -> tuple[Fault, ...]:
    if file is None:
        return ()
    try:
        return script_from_toml(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise CommandError(f"{file}: {error}", 74) from None


def _transcript(file: str) -> Handler:
    from ddg_protocol.transcript import Transcript, TranscriptService

    return TranscriptService(read_transcript(Path(file), Transcript.read))


def _tls(args: argparse.Namespace) -> ssl.SSLContext:
    context, pem = throw_away_tls(*args.cert_for)
    if args.ca_file is not None:
        Path(args.ca_file).write_text(pem, encoding="ascii")
    return context


async def _serve_until_interrupted(
    handler: Handler, host: str, port: int, tls: ssl.SSLContext | None, seen: RequestsSeen
) -> None:
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        # Set by hand: a shell makes its background jobs ignore SIGINT, and asyncio's own handlers don't exist on
        # Windows.
        stop = partial(loop.call_soon_threadsafe, scope.cancel)
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, lambda *_: stop()) for number in signals]
        try:
            await serve(handler, host=host, port=port, tls=tls, exposed=True, tell=seen, task_status=_Announcement())
        finally:
            for number, handler_before in zip(signals, before, strict=True):
                signal.signal(number, handler_before)


class _Announcement:
    """The task status of the server: prints the base URL for the user."""

    def started(self, value: str | None = None) -> None:
        print(value, flush=True)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text[:20]!r}")
    return int(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be an address such as 127.0.0.1, 0.0.0.0 or ::, not {text[:60]!r}"
        ) from None


def _origin(text: str) -> str:
    if text not in ("*", "null") and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[\w.:\[\]-]+", text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f"an origin has no path or slash at its end, as http://localhost:3000; * is any; not {text[:60]!r}"
        )
    return text


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0.001 <= rate <= 1e6:
        raise argparse.ArgumentTypeError(f"must be a number of words from 0.001 to 1000000, not {text[:20]!r}")
    return rate


def _fault(text: str) -> Fault:
    try:
        return fault_from_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
