"""``ddg-chat emulate``: the service on a loopback port, until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import sys
from functools import partial

import anyio

from ddg_protocol.service import Service
from ddg_transports.emulator import serve


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Play the service on 127.0.0.1. The base URL is the one line on standard output, written once clients can "
        "connect. SIGINT (Ctrl-C) and SIGTERM end it."
    )
    parser.add_argument("--port", type=_port, default=0, help="where to listen; a free port if not given")
    parser.add_argument(
        "--challenge", action="store_true", help="refuse questions (418) until the challenge is answered with them"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted.

    Returns:
        The exit code: 0 once interrupted, 74 where the port can't be had.
    """
    # A seed of its own for each run, so that the tokens of the last one are not good in this one.
    service = Service(challenge=args.challenge, seed=secrets.token_hex(16))
    try:
        anyio.run(partial(_serve_until_interrupted, service, port=args.port))
    except OSError as error:
        print(f"ddg-chat emulate: can't listen on 127.0.0.1, port {args.port}: {error.strerror}", file=sys.stderr)
        return 74
    return 0


async def _serve_until_interrupted(service: Service, *, port: int) -> None:
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        # Set by hand: a shell that starts a job in the background has it ignore SIGINT, and asyncio's own handlers are
        # not to be had on Windows.
        stop = partial(loop.call_soon_threadsafe, scope.cancel)
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, lambda *_: stop()) for number in signals]
        try:
            await serve(service, port=port, task_status=_Announcement())
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)


class _Announcement:
    """The task status of a server that has nobody to start it but the user."""

    def started(self, value: str | None = None) -> None:
        print(value, flush=True)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text[:20]!r}")
    return int(text)
