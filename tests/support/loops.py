"""The event loops that the async drivers are tried on, as backends of anyio's pytest plugin."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, TypeVar

import anyio
import pytest

T = TypeVar("T")

Loop = tuple[str, dict[str, Any]]
"""A backend and its options, as `anyio.run` takes them."""


def eager_loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose tasks run to their first wait as soon as they are made, as Python 3.12 and later can."""
    loop = asyncio.new_event_loop()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop


DEFAULT: Loop = ("asyncio", {})
TRIO: Loop = ("trio", {})
OTHERS: dict[str, Loop] = {"uvloop": ("asyncio", {"use_uvloop": True}), "debug": ("asyncio", {"debug": True})}
if sys.version_info >= (3, 12):
    OTHERS["eager tasks"] = ("asyncio", {"loop_factory": eager_loop})
SKIP = {"uvloop": [pytest.mark.skipif(not find_spec("uvloop"), reason="uvloop is not installed")]}


def loops(*, deep: str = "", trio: bool = True) -> list[Any]:
    """Return the loops as parameters.

    Args:
        deep: why the default tier tries asyncio's own loop and trio only; empty if it tries all.
        trio: whether trio is one of them.
    """
    marks = [pytest.mark.deep(deep)] if deep else []
    found = [pytest.param(DEFAULT, id="asyncio"), *([pytest.param(TRIO, id="trio")] if trio else [])]
    return found + [pytest.param(loop, id=name, marks=[*SKIP.get(name, ()), *marks]) for name, loop in OTHERS.items()]


def run_on(loop: Loop, main: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Run a coroutine function on a new loop, and return its result."""
    backend, options = loop
    return anyio.run(main, *arguments, backend=backend, backend_options=options)
