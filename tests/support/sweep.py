"""Cancel a coroutine at its n-th step, or interrupt code before its n-th line; a sweep tries all of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Coroutine, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import anyio


class Stepping:
    """Awaits a coroutine, and cancels a scope or task at its n-th step: it suspends at odd and resumes at even ones.

    Attributes:
        cancelled: whether the coroutine had that many steps.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, object], scope: anyio.CancelScope | asyncio.Task[Any], n: int
    ) -> None:
        self.cancelled = False
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
            self.cancelled = True
            self._scope.cancel()


async def cancelled_at(n: int, coroutine: Coroutine[Any, Any, object]) -> bool:
    """Run a coroutine and cancel it at its n-th step; return whether it had that many.

    At odd steps it has just begun to wait. At even ones its wait is over and it is about to resume: the cancellation
    reaches it at its next wait. If there is none, it runs to its end.
    """
    with anyio.CancelScope() as scope:
        await Stepping(coroutine, scope, n)
    return scope.cancel_called


async def task_cancelled_at(n: int, coroutine: Coroutine[Any, Any, object]) -> bool:
    """Like `cancelled_at`, but run the coroutine in a task of its own and cancel that by asyncio's means, once."""

    made: list[Stepping] = []

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        made.append(Stepping(coroutine, task, n))
        await made[0]

    (outcome,) = await asyncio.gather(run(), return_exceptions=True)
    (stepping,) = made
    if outcome is not None and not (stepping.cancelled and isinstance(outcome, asyncio.CancelledError)):
        raise outcome
    return stepping.cancelled


class InterruptAt:
    """Raises KeyboardInterrupt before the n-th line of code in some files, where Ctrl-C would.

    A ``__del__`` is left out, and what it calls: Python reports what is raised there, and goes on.

    Attributes:
        left: the lines until then; 0 once it was raised.
        where: where it was raised.
    """

    def __init__(self, n: int, files: Collection[str]) -> None:
        self.left = n
        self.where = ""
        self._files = files
        self._tracer = self._trace  # kept: CPython 3.11 may call it once more when it has been unset

    @contextmanager
    def tracing(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._tracer)
        try:
            yield
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        callers = {frame.f_code.co_name, frame.f_back.f_code.co_name if frame.f_back else ""}
        if frame.f_code.co_filename not in self._files or self.left <= 0 or "__del__" in callers:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                self.where = f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
                raise KeyboardInterrupt
        return self._tracer
