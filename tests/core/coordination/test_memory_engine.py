"""The engine of one process."""

from __future__ import annotations

import pytest

from ddg_protocol.coordination import (
    Busy,
    Claim,
    Claimed,
    Commit,
    Committed,
    Held,
    Hold,
    Lost,
    Mark,
    MemoryEngine,
    Release,
    Released,
    Reserve,
    Slot,
)
from ddg_protocol.errors import EngineUnavailable


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def claim(key: str, holder: str) -> Claim:
    return Claim(key=key, holder=holder, lease=10.0)


def test_it_keeps_one_pace_and_a_conversation_a_key() -> None:
    engine = MemoryEngine(Clock())
    reserve = Reserve(nonce="a", interval=1.5, window=0.05, max_wait=60.0)
    slot = engine.call(reserve)
    assert isinstance(slot, Slot)
    assert (slot.delay, slot.final) == (0.0, True), "it has no earlier life"
    assert engine.call(Hold(seconds=5.0)) == Held()
    assert isinstance(engine.call(claim("one", "a")), Claimed)
    assert isinstance(engine.call(claim("two", "b")), Claimed)
    assert engine.call(claim("one", "b")) == Busy(retry_after=10.0)
    assert repr(engine) == "<MemoryEngine with 2 conversations>"


def test_a_conversation_is_forgotten_some_time_after_its_last_call() -> None:
    clock = Clock()
    engine = MemoryEngine(clock, ttl=60.0)
    has = engine.call(claim("one", "a"))
    assert isinstance(has, Claimed)
    clock.now += 50.0
    engine.call(claim("two", "a"))
    assert engine.call(Commit(key="one", fence=has.fence, revision=0, document=b"doc")) == Committed(revision=1)
    clock.now += 59.0
    assert repr(engine) == "<MemoryEngine with 2 conversations>"
    read = engine.call(claim("one", "b"))
    assert isinstance(read, Claimed)
    assert read.document == b"doc"
    clock.now += 1.0
    engine.call(claim("three", "a"))
    assert repr(engine) == "<MemoryEngine with 2 conversations>", "the second has gone"
    clock.now += 60.0
    again = engine.call(claim("one", "c"))
    assert isinstance(again, Claimed)
    assert (again.revision, again.document) == (0, b"")
    assert again.fence > read.fence


def test_a_call_that_changes_nothing_keeps_nothing() -> None:
    engine = MemoryEngine(Clock())
    assert engine.call(Mark(key="one", fence=1, lease=10.0)) == Lost()
    assert repr(engine) == "<MemoryEngine with 0 conversations>"


def test_a_conversation_too_many_is_refused_and_nothing_is_lost() -> None:
    engine = MemoryEngine(Clock(), max_conversations=2)
    has = engine.call(claim("one", "a"))
    engine.call(claim("two", "a"))
    with pytest.raises(EngineUnavailable, match="it keeps 2 conversations"):
        engine.call(claim("three", "a"))
    assert isinstance(has, Claimed)
    assert engine.call(Release(key="one", fence=has.fence, revision=0)) == Released()
    assert isinstance(engine.call(claim("two", "a")), Claimed)
