"""The checks of timeouts: no call waits longer than it may."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from ddg_protocol import FailureKind

from ....transport import AsyncExchange
from ...peer import DEAF, HANG
from .._bench import Bench
from .._item import item
from .._steps import MIB, NotKept, expect_failure, read_all, request, response

SHORT = 0.1  # seconds; a timeout that is meant to expire


async def _in_time(bench: Bench, doing: str, something: Awaitable[bytes | AsyncExchange]) -> None:
    started = time.monotonic()
    await expect_failure(doing, something, FailureKind.TIMEOUT)
    took = time.monotonic() - started
    if took > SHORT + bench.slack:
        raise NotKept(f"{doing}: it took {took:.1f} s to give up after {SHORT:g} s at most")


@item()
async def connect_timeout(bench: Bench) -> None:
    """Making the connection, TLS included, takes request.timeout at most; then it is a failure of kind TIMEOUT."""
    peer = bench.peer(opening=[HANG], tls=True)
    async with bench.transport() as transport:
        await _in_time(bench, "a TLS handshake that is not answered", transport.open(request(peer, timeout=SHORT)))


@item(world="blocking")
async def head_timeout(bench: Bench) -> None:
    """A head that doesn't come in time is a failure of kind TIMEOUT."""
    peer = bench.peer([HANG])
    bench.timeout = SHORT
    async with bench.transport() as transport:
        await _in_time(bench, "a head that doesn't come", transport.open(request(peer)))


@item(world="blocking")
async def read_timeout(bench: Bench) -> None:
    """A body that doesn't continue in time is a failure of kind TIMEOUT."""
    peer = bench.peer([response(b"abcdef")[:-3], HANG])
    async with bench.transport() as transport, bench.opened(transport, request(peer)) as exchange:
        bench.timeout = SHORT  # for the reads; `open` got a longer one
        await _in_time(bench, "a body that doesn't continue", read_all(exchange))


@item(world="blocking", over="plain")
async def write_timeout(bench: Bench) -> None:
    """A request that the peer doesn't read in time is a failure of kind TIMEOUT."""
    peer = bench.peer(opening=[DEAF])
    bench.timeout = SHORT
    async with bench.transport() as transport:
        await _in_time(bench, "a peer that reads nothing", transport.open(request(peer, "POST", body=bytes(8 * MIB))))
