"""The checks of one exchange after another, of several at once, and of what closing leaves."""

from __future__ import annotations

import gc
import threading
import time

from ...peer import CLOSE, CUT, DEAF, HANG, RESET, Said
from .._bench import Bench
from .._item import item
from .._steps import NotKept, expect, expect_failure, read_all, request, response

#: What many libraries answer by sending the request again.
NO_HEAD = "a connection that ends before the head, which is no reason to send the request again"


@item()
async def one_after_the_other(bench: Bench) -> None:
    """After an exchange that was completed, abandoned or failed, the next one works."""
    good: Said = [response(b"good")]
    half = response(b"abcdef")[:-3]
    closing: Said = [response(b"good", "connection: close"), CLOSE]
    peer = bench.peer(good, good, closing, good, [half, CUT], good, [half, HANG], good, [CUT], good)
    async with bench.transport() as transport:
        for what in ("the first", "one after a good one", "one that says it is the last", "one after the last"):
            expect(f"the body of {what}", await bench.answer(transport, request(peer)), b"good")
        async with bench.opened(transport, request(peer)) as exchange:
            await expect_failure("a body that was cut", read_all(exchange))
        expect("the body of one after one that was cut", await bench.answer(transport, request(peer)), b"good")
        async with bench.opened(transport, request(peer)) as exchange:
            await exchange.read()
        expect("the body of one after one that was abandoned", await bench.answer(transport, request(peer)), b"good")
        await expect_failure(NO_HEAD, transport.open(request(peer)))
        expect("the body of one after one without a head", await bench.answer(transport, request(peer)), b"good")


@item()
async def closed_while_idle(bench: Bench) -> None:
    """If the peer has closed a kept connection, the request is sent on a new one, once."""
    for how, act in (("closed", CUT), ("reset", RESET)):
        peer = bench.peer([response(b"first"), act], [response(b"second")])
        async with bench.transport() as transport:
            expect("the first body", await bench.answer(transport, request(peer)), b"first")
            await bench.pause(0.05)  # the news has to arrive
            body = await bench.answer(transport, request(peer, "POST", body=b"x"))
            expect(f"the second body, after one that was {how}", body, b"second")
        expect("the number of requests", len(peer.requests), 2)


@item()
async def early_close(bench: Bench) -> None:
    """Closing an exchange early discards its rest at once: the peer sees it, and need not respond."""
    half = response(b"abcdef")[:-3]
    for how, act in (("a peer that waits", HANG), ("a peer that is dead", DEAF)):
        peer = bench.peer([half, act])
        async with bench.transport() as transport:
            async with bench.opened(transport, request(peer)) as exchange:
                await exchange.read()
                started = time.monotonic()
            expect(f"closed to {how} within a second", time.monotonic() - started < 1, True)
            if act is HANG:
                await bench.pause(0.01)  # asyncio closes in the next round of its loop
                expect("the peer sees a closed connection", peer.all_closed(bench.slack), True)


@item()
async def double_close(bench: Bench) -> None:
    """An exchange can be closed repeatedly, however it ended."""
    half = response(b"abcdef")[:-3]
    peer = bench.peer([response(b"x")], [half, HANG], [half, CUT])
    async with bench.transport() as transport:
        for what in ("that was read to its end", "that was abandoned", "that failed"):
            exchange = await transport.open(request(peer))
            if what == "that was read to its end":
                await read_all(exchange)
            elif what == "that failed":
                await expect_failure("a body that was cut", read_all(exchange))
            for _ in range(3):
                try:
                    await exchange.aclose()
                except Exception as error:
                    raise NotKept(f"closing an exchange {what} raised {type(error).__name__}: {error}") from error


@item()
async def several_at_once(bench: Bench) -> None:
    """Several exchanges are open at once, and none waits for another."""
    gate = threading.Event()
    peer = bench.peer([response(b"abcdef")[:-3], gate, b"def"], [response(b"second")])
    try:
        async with bench.transport() as transport, bench.opened(transport, request(peer)) as first:
            expect("the second body", await bench.answer(transport, request(peer)), b"second")
            gate.set()
            expect("the first body", await read_all(first), b"abcdef")
    finally:
        gate.set()


@item()
async def nothing_left(bench: Bench) -> None:
    """When the transport is closed, nothing is left: no connection, no task."""
    before = bench.tasks()
    half = response(b"abcdef")[:-3]
    peer = bench.peer([response(b"x")], [half, HANG], [half, CUT], [CUT], [response(b"x")])
    async with bench.transport() as transport:
        await bench.answer(transport, request(peer))
        async with bench.opened(transport, request(peer)) as exchange:
            await exchange.read()
        async with bench.opened(transport, request(peer)) as exchange:
            await expect_failure("a body that was cut", read_all(exchange))
        await expect_failure(NO_HEAD, transport.open(request(peer)))
        await bench.answer(transport, request(peer))
    await bench.pause(0.01)  # asyncio closes in the next round of its loop
    gc.collect()
    expect("all connections are closed", peer.all_closed(bench.slack), True)
    expect("the number of tasks", bench.tasks(), before)
