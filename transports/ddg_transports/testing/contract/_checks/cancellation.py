"""The check of cancellation, at each await of an exchange."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

import anyio

from ...peer import HANG, Said
from .._bench import Bench
from .._item import item
from .._steps import NotKept, expect, request, response

T = TypeVar("T")

STALL = 0.5  # seconds; what cancels a request that must make some progress first


@item(world="async")
async def cancellation(bench: Bench) -> None:
    """After an exchange is cancelled at any await, the next one works, and nothing is left."""
    whole = response(b"abcdef")
    await _cancel_at_each_await(bench, "a whole one", [whole])
    await _cancel_at_each_await(bench, "one that stalls", [whole[:-3], HANG])


async def _cancel_at_each_await(bench: Bench, name: str, said: Said) -> None:
    before = bench.tasks()
    peer = bench.peer(*[said] * 500, certificate="loopback")
    other = bench.peer(*[[response(b"good")]] * 500)
    async with bench.transport() as transport:
        for number in range(1, 500):
            with anyio.move_on_after(STALL) as scope:
                cut = CancelAt(bench.answer(transport, request(peer)), number, scope)
                await cut
            try:
                with anyio.fail_after(bench.slack):
                    expect("the body of the exchange after it", await bench.answer(transport, request(other)), b"good")
            except TimeoutError:
                raise NotKept(f"after {name} was cancelled at its await {number}, the next one never ends") from None
            if not cut.reached:
                break
    await bench.pause(0.01)
    gc.collect()
    for each in (peer, other):
        expect("all connections are closed", each.all_closed(bench.slack), True)
    expect("the number of tasks", bench.tasks(), before)


class CancelAt(Awaitable[T]):
    """Run a coroutine, and cancel a scope while it waits for the n-th time.

    Args:
        something: the coroutine.
        number: the number of the wait, counted from 1.
        scope: the scope to cancel; it encloses this.

    Attributes:
        reached: whether it waited that many times.
    """

    def __init__(self, something: Coroutine[Any, Any, T], number: int, scope: anyio.CancelScope) -> None:
        self._something = something
        self._number = number
        self._scope = scope
        self.reached = False

    def __await__(self) -> Generator[Any, Any, T]:
        resume: Callable[[], Any] = partial(self._something.send, None)
        waits = 0
        while True:
            try:
                wanted = resume()
            except StopIteration as stop:
                result: T = stop.value
                return result
            waits += 1
            if waits == self._number:
                self.reached = True
                self._scope.cancel()
            try:
                resume = partial(self._something.send, (yield wanted))
            except BaseException as error:
                resume = partial(self._something.throw, error)
