"""Running the checks, each on a bench and with a transport of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import anyio

from ddg_protocol import TransportError

from ._bench import AsyncBench, Bench, Factory
from ._checks import CHECKS
from ._factory import FactoryError, manager_of, try_transport
from ._item import Check
from ._patience import finish, in_thread, in_time
from ._report import TLS, Report, Result
from ._steps import NotKept


def check(
    factory: Factory,
    names: Iterable[str] | None = None,
    *,
    tls: bool | None = None,
    backend: str = "asyncio",
    waive: Mapping[str, str] | None = None,
) -> Report:
    """Check a transport against the contract; each check gets a transport of its own.

    Args:
        factory: makes the transport.
        names: the checks to run (``--help`` of the command lists them); None runs all that apply.
        tls: whether to check over TLS or plain; None checks both.
        backend: the event loop for an async transport, ``"asyncio"`` or ``"trio"``.
        waive: checks that may fail, each with the reason. They run all the same, and the report shows what they found.

    Returns:
        The results.

    Raises:
        FactoryError: this is no factory; the message says what to do.
        ValueError: there is no such check, a waiver has no reason, or is of a check that can't be waived, or the
            backend isn't installed.
    """
    return Report(tuple(run() for run in plan(factory, names, tls=tls, backend=backend, waive=waive)))


@dataclass(frozen=True)
class Planned:
    """A check that is about to run; call it to run it."""

    name: str
    check: Check
    waiver: str
    bench: Callable[[], Bench]
    backend: str

    def __call__(self) -> Result:
        started = time.monotonic()
        problem = self._problem()
        return Result(self.name, self.check.owed, problem, time.monotonic() - started, self.waiver)

    def _problem(self) -> str:
        try:
            _run(self.check.run, self.bench(), self.backend)
        except NotKept as error:
            return str(error)
        except TransportError as error:
            return f"TransportError ({error.failure.kind.name}) was raised though nothing went wrong: {error}"
        except Exception as error:
            return f"{type(error).__name__} was raised, which is not a TransportError: {error}"
        return ""


def plan(
    factory: Factory,
    names: Iterable[str] | None = None,
    *,
    tls: bool | None = None,
    backend: str = "asyncio",
    waive: Mapping[str, str] | None = None,
) -> list[Planned]:
    """Return the checks that `check` runs, in their order; see `check`."""
    chosen = list(CHECKS if names is None else names)
    waive = waive or {}
    _must_exist([*chosen, *waive])
    for name, reason in waive.items():
        if CHECKS[name].protects:
            raise ValueError(f"{name} can't be waived: {CHECKS[name].protects}")
        if not reason.strip():
            raise ValueError(f"the waiver of {name} has no reason: say why the transport can't keep it")
    manager = manager_of(factory)
    world, make = ("async", AsyncBench) if hasattr(manager, "__aenter__") else ("blocking", Bench)
    if world == "async" and find_spec(backend) is None:
        raise ValueError(f"{backend} is not installed: pip install {backend}")
    try:
        _run(try_transport, make(lambda _: manager, False), backend)
    except NotKept as error:
        raise FactoryError(f"making a transport and closing it doesn't end: {error}") from None
    planned = []
    for over_tls in (False, True) if tls is None else (tls,):
        for this in (CHECKS[name] for name in chosen):
            if this.world in ("both", world) and this.over in ("both", "tls" if over_tls else "plain"):
                name = this.name + (TLS if over_tls else "")
                bench = partial(make, factory, over_tls)
                planned.append(Planned(name, this, waive.get(this.name, ""), bench, backend))
    return planned


def _must_exist(names: Iterable[str]) -> None:
    for name in names:
        if name not in CHECKS:
            raise ValueError(f"there is no check {name}; there are {', '.join(CHECKS)}")


def _run(run: Callable[[Bench], Coroutine[Any, Any, None]], bench: Bench, backend: str) -> None:
    try:
        if isinstance(bench, AsyncBench):
            anyio.run(in_time, partial(run, bench), bench.patience, backend=backend)
        else:
            in_thread(lambda: finish(run(bench)), bench.patience, give_up=bench.stop)
    finally:
        bench.stop()
