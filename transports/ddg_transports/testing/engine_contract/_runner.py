"""Running the checks, each with an engine of its own."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from ddg_protocol import DuckChatError

from ..contract import Report, Result
from ..contract._patience import finish, in_thread, in_time
from ..contract._steps import NotKept
from ._bench import Advance, AsyncBench, Bench, Factory
from ._checks import CHECKS
from ._item import Check

_WANTED = (
    "a factory takes no arguments and returns a context manager, async for an async engine, whose value is the engine"
)


class EngineFactoryError(TypeError):
    """A factory can't be used; the message says in one line why, and what to do."""


def check(
    factory: Factory,
    names: Iterable[str] | None = None,
    *,
    advance: Advance | None = None,
    backend: str = "asyncio",
    waive: Mapping[str, str] | None = None,
) -> Report:
    """Check an engine against the contract; each check gets an engine of its own.

    Args:
        factory: makes the engine.
        names: the checks to run; None runs all.
        advance: moves the clock of an engine forward, by seconds. None waits, as a real engine's clock is the world's.
        backend: the event loop for an async engine, ``"asyncio"`` or ``"trio"``.
        waive: checks that may fail, each with the reason. They run all the same, and the report shows what they found.

    Returns:
        The results.

    Raises:
        EngineFactoryError: this is no factory; the message says what to do.
        ValueError: there is no such check, or a waiver has no reason, or is of a check that can't be waived.
    """
    planned = plan(factory, names, advance=advance, backend=backend, waive=waive)
    return Report(tuple(run() for run in planned))


@dataclass(frozen=True)
class Planned:
    """A check that is about to run; call it to run it."""

    check: Check
    waiver: str
    factory: Factory
    advance: Advance | None
    backend: str

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.name

    def __call__(self) -> Result:
        started = time.monotonic()
        problem = self._problem()
        return Result(self.name, self.check.owed, problem, time.monotonic() - started, self.waiver)

    def _problem(self) -> str:
        try:
            if _is_async(_manager(self.factory)):
                anyio.run(in_time, self._in_loop, Bench.patience, backend=self.backend)
            else:
                in_thread(self._in_thread, Bench.patience)
        except NotKept as error:
            return str(error)
        except DuckChatError as error:
            return f"{type(error).__name__} was raised though nothing went wrong: {error}"
        except Exception as error:
            return f"{type(error).__name__} was raised, which is not an EngineUnavailable: {error}"
        return ""

    async def _in_loop(self) -> None:
        async with _manager(self.factory) as engine:
            await self.check.run(AsyncBench(engine, self.advance))

    def _in_thread(self) -> None:
        with _manager(self.factory) as engine:
            finish(self.check.run(Bench(engine, self.advance)))


def plan(
    factory: Factory,
    names: Iterable[str] | None = None,
    *,
    advance: Advance | None = None,
    backend: str = "asyncio",
    waive: Mapping[str, str] | None = None,
) -> list[Planned]:
    """Return the checks that `check` runs, in their order; see `check`."""
    chosen = list(CHECKS if names is None else names)
    waive = waive or {}
    for name in (*chosen, *waive):
        if name not in CHECKS:
            raise ValueError(f"there is no check {name}; there are {', '.join(CHECKS)}")
    for name, reason in waive.items():
        if CHECKS[name].protects:
            raise ValueError(f"{name} can't be waived: {CHECKS[name].protects}")
        if not reason.strip():
            raise ValueError(f"the waiver of {name} has no reason: say why the engine can't keep it")
    _try(factory, backend)
    return [Planned(CHECKS[name], waive.get(name, ""), factory, advance, backend) for name in chosen]


def _manager(factory: Factory) -> Any:
    try:
        manager = factory()
    except Exception as error:
        raise EngineFactoryError(
            f"the factory raised {type(error).__name__} ({error}): call it, and see where"
        ) from error
    if not (hasattr(manager, "__aenter__") or hasattr(manager, "__enter__")):
        name = type(manager).__name__
        raise EngineFactoryError(f"the factory returned a value of type {name}, which is no context manager: {_WANTED}")
    return manager


def _is_async(manager: Any) -> bool:
    return not hasattr(manager, "__enter__")


def _try(factory: Factory, backend: str) -> None:
    """Make an engine, look at it, and leave it.

    Raises:
        EngineFactoryError: what was made is no engine, or of the other world than its context manager.
    """

    async def enter() -> None:
        async with _manager(factory) as engine:
            _look(engine, is_async=True)

    manager = _manager(factory)
    try:
        if _is_async(manager):
            anyio.run(enter, backend=backend)
        else:
            with manager as engine:
                _look(engine, is_async=False)
    except EngineFactoryError:
        raise
    except Exception as error:
        raise EngineFactoryError(
            f"making an engine and leaving it raised {type(error).__name__} ({error}): try it, and see where"
        ) from error


def _look(engine: Any, *, is_async: bool) -> None:
    method = getattr(engine, "call", None)
    if not callable(method):
        raise EngineFactoryError(
            f"the factory made a value of type {type(engine).__name__}, which has no method call()"
        )
    if inspect.iscoroutinefunction(method) != is_async:
        kinds = ("not async, and its context manager is", "async, and its context manager is not")
        raise EngineFactoryError(f"call() of the engine is {kinds[not is_async]}: both must be of one world")
