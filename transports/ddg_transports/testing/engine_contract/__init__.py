"""The contract of an engine (`ddg_protocol.coordination`), as checks of what it answers to calls.

    python -m ddg_transports.testing.engine_contract package.module:factory

The factory takes no arguments and returns a context manager whose value is the engine: an object with one method,
``call(call)``, that returns the result. It may be a coroutine function; then the context manager is async, too. Each
check gets an engine of its own, with a pace and conversations that nobody else uses. In a test::

    def test_my_engine_keeps_the_contract():
        report = check(factory)
        assert report.kept, str(report)

The time of a real engine passes by itself, and the checks wait for it: they take half a minute. An engine whose clock
can be set is checked at once: ``check(factory, advance=lambda engine, seconds: engine.clock.advance(seconds))``.

A failed check says what it expected of the engine, and what it got. What a store can't do is waived with a reason,
``check(factory, waive={"no-interval": "the store has no time"})``. Checks that keep requests apart, and those that keep
turns from being lost, doubled or mixed up, can't be waived.
"""

from __future__ import annotations

from ..contract import Report, Result
from ._bench import Factory
from ._checks import CHECKS
from ._item import Check
from ._runner import EngineFactoryError, check

__all__ = ["CHECKS", "Check", "EngineFactoryError", "Factory", "Report", "Result", "check"]
