"""Calls that overlap in time are carried out one after the other, by each engine."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from support.linearizability import Operation, is_linearizable

from ddg_protocol.coordination import (
    Claim,
    Claimed,
    Commit,
    Committed,
    ConversationCall,
    Lost,
    Mark,
    MemoryEngine,
    Release,
    Result,
)

CALLERS = 4


def caller(engine: Any, name: int, seed: str, together: threading.Barrier) -> list[Operation]:
    """Make random calls; return them with their times."""
    draw = random.Random(f"{seed} {name}")
    made: list[Operation] = []
    claimed = Claimed(fence=1, revision=0, document=b"")
    holder = f"{name}-0"
    together.wait(60)
    for number in range(12):
        fence, revision = claimed.fence, claimed.revision
        call: ConversationCall
        match draw.choice(["claim", "claim", "renew", "mark", "commit", "commit", "release", "again"]):
            case "claim":
                holder = f"{name}-{number}" if draw.random() < 0.8 else holder
                turn = draw.choice(["", "1", "2"])
                call = Claim(key="k", holder=holder, lease=3600.0, turn=turn, take_over=draw.random() < 0.5)
            case "renew":
                call = Claim(key="k", holder=holder, lease=3600.0, fence=fence)
            case "mark":
                call = Mark(key="k", fence=fence, lease=3600.0)
            case "commit":
                document, turn = f"{name}-{number}".encode(), draw.choice(["", "1", "2", "3"])
                call = Commit(key="k", fence=fence, revision=revision, document=document, turn=turn)
            case "release":
                kept = draw.choice([None, f"{name}-{number}".encode()])
                call = Release(key="k", fence=fence, revision=revision, document=kept)
            case _:
                call = made[-1].call if made else Mark(key="k", fence=fence, lease=3600.0)
        begun = time.monotonic()
        result: Result = engine.call(call)
        made.append(Operation(begun, time.monotonic(), call, result))
        if isinstance(result, Claimed):
            claimed = result
    return made


def history_of(engines: list[Any], seed: str) -> list[Operation]:
    together = threading.Barrier(len(engines))
    with ThreadPoolExecutor(len(engines)) as pool:
        calls = [pool.submit(caller, engine, name, seed, together) for name, engine in enumerate(engines)]
        return [operation for made in calls for operation in made.result()]


@pytest.mark.deep("it needs servers, and makes many calls")
def test_overlapping_calls_are_carried_out_one_after_the_other(open_engine: Callable[[], Any]) -> None:
    overlapped = stored = 0
    for seed in range(40):
        engines = [Keyed(open_engine(), f"{seed}") for _ in range(CALLERS)]
        history = history_of(engines, f"{seed}")
        assert is_linearizable(history), f"seed {seed}: {history}"
        overlapped += sum(one.begun < other.begun < one.ended for one in history for other in history)
        stored += sum(isinstance(operation.result, Committed) for operation in history)
        for engine in engines:
            engine.close()
    assert overlapped > 1000
    assert stored > 40


class Keyed:
    """An engine with another conversation for each history."""

    def __init__(self, engine: Any, key: str) -> None:
        self._engine, self._key = engine, key

    def call(self, call: ConversationCall) -> Result:
        result: Result = self._engine.call(msgspec.structs.replace(call, key=self._key))
        return result

    def close(self) -> None:
        self._engine.close()


class Unlocked:
    """A store that reads and writes in two steps, as one without a lock or a script."""

    def __init__(self) -> None:
        self._engine = MemoryEngine(time.monotonic)

    def call(self, call: ConversationCall) -> Result:
        if not isinstance(call, Commit):
            return self._engine.call(call)
        result = self._engine.call(Claim(key="k", holder="the-store", lease=1.0, fence=0, take_over=True))
        if not isinstance(result, Claimed):
            return Lost()
        return self._engine.call(msgspec.structs.replace(call, fence=result.fence, revision=result.revision))


def test_the_checker_refuses_a_store_that_ignores_fences() -> None:
    engine = Unlocked()
    histories = [history_of([engine], f"{seed}") for seed in range(20)]
    assert not all(map(is_linearizable, histories))


def test_the_checker_takes_what_the_rules_answer_and_refuses_another_answer() -> None:
    refused = 0
    for seed in range(20):
        history = history_of([MemoryEngine(time.monotonic)], f"{seed}")
        assert is_linearizable(history)
        for number, operation in enumerate(history):
            for other in (Lost(), Committed(revision=1), Committed(revision=2)):
                if other != operation.result and not isinstance(operation.call, Claim):
                    changed = [*history[:number], operation._replace(result=other), *history[number + 1 :]]
                    refused += not is_linearizable(changed)
    assert refused > 100
