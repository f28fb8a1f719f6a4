"""Cancel a coroutine at its n-th step; a sweep tries all steps."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

import anyio


class Stepping:
    """Awaits a coroutine, and cancels the scope at its n-th step: it suspends at odd ones and resumes at even ones."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], scope: anyio.CancelScope, n: int) -> None:
        self._coroutine = coroutine
        self._scope = scope
        self._left = n

    def __await__(self) -> Generator[Any, Any, None]:
        resume = partial(self._coroutine.send, None)
        while True:
            try:
                waiting_for = resume()
            except StopIteration:
                return
            self._step()
            try:
                resume = partial(self._coroutine.send, (yield waiting_for))
            except BaseException as error:
                resume = partial(self._coroutine.throw, error)
            self._step()

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._scope.cancel()


async def cancelled_at(n: int, coroutine: Coroutine[Any, Any, object]) -> bool:
    """Run a coroutine and cancel it at its n-th step; return whether it had that many.

    At odd steps it has just begun to wait. At even ones its wait is over and it is about to resume: the cancellation
    reaches it at its next wait. If there is none, it runs to its end.
    """
    with anyio.CancelScope() as scope:
        await Stepping(coroutine, scope, n)
    return scope.cancel_called
