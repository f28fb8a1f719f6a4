"""The bench on which a check runs: it calls the engine and lets time pass, in one way for engines of both worlds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

import anyio

from ddg_protocol.coordination import Call, Result
from ddg_protocol.coordination.calls import RESULTS

from ..contract._steps import NotKept

Factory = Callable[[], AbstractContextManager[Any] | AbstractAsyncContextManager[Any]]
"""Makes an engine with a pace and conversations that nobody else uses."""
Advance = Callable[[Any, float], None]
"""Moves the clock of an engine forward, by seconds."""


class Bench:
    """The helpers of a check. For a blocking engine, none of its coroutines ever waits.

    Attributes:
        engine: the one that is checked.
    """

    patience = 60.0  # seconds that a check may take
    late = 0.002  # seconds that a timer may be early, or an engine may have rounded

    def __init__(self, engine: Any, advance: Advance | None) -> None:
        self.engine = engine
        self._advance = advance
        self._advanced = 0.0
        self._number = 0

    def now(self) -> float:
        """Return the time, in seconds."""
        return time.monotonic() if self._advance is None else self._advanced

    async def passes(self, seconds: float) -> None:
        """Let time pass."""
        seconds = max(0.0, seconds) + self.late
        if self._advance is None:
            await self._sleep(seconds)
        else:
            self._advance(self.engine, seconds)
            self._advanced += seconds

    async def call(self, call: Call) -> Result:
        """Call the engine."""
        result: Result = _checked(call, self.engine.call(call))
        return result

    async def together(self, calls: Sequence[Call]) -> list[Result]:
        """Make calls at once, each from a thread or a task of its own."""
        with ThreadPoolExecutor(len(calls)) as threads:
            results = list(threads.map(self.engine.call, calls))
        return [_checked(call, result) for call, result in zip(calls, results, strict=True)]

    async def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def nonce(self) -> str:
        """Return a nonce that was not used before."""
        self._number += 1
        return f"nonce-{self._number}"


class AsyncBench(Bench):
    """The same for an async engine."""

    async def call(self, call: Call) -> Result:
        result: Result = _checked(call, await self.engine.call(call))
        return result

    async def together(self, calls: Sequence[Call]) -> list[Result]:
        results: dict[int, Result] = {}

        async def one(number: int, call: Call) -> None:
            results[number] = await self.call(call)

        async with anyio.create_task_group() as tasks:
            for number, call in enumerate(calls):
                tasks.start_soon(one, number, call)
        return [results[number] for number in range(len(calls))]

    async def _sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


def _checked(call: Call, result: object) -> Any:
    """Return the result of a call if it is one."""
    wanted = RESULTS[type(call)]
    if not isinstance(result, wanted):
        names = " or ".join(each.__name__ for each in wanted)
        raise NotKept(f"{type(call).__name__} was answered by {type(result).__name__}, not by {names}")
    return result
