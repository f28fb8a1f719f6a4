"""Workers that are killed, or stand still for longer than their lease: nothing is lost, nothing is there twice."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
from support.crews import Fatal, Line, PlainLock, Start, begin, document_of, ended, nonce, patiently, turn

from ddg_protocol.coordination import Busy, Claim, Claimed, Commit, Committed, Done, Lost, Mark

pytestmark = [
    pytest.mark.deep("it needs servers, and kills processes"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

LEASE = 0.3  # seconds


def test_a_worker_that_is_killed_at_a_boundary_of_a_call_costs_no_turn(open_engine: Callable[[], Any]) -> None:
    engine = open_engine()
    for after in (False, True):
        for at in (1, 2, 3):  # Claim, Mark, Commit
            key = f"{at} {after}"
            turn(engine, key, "before", lease=LEASE)
            worker = begin(lambda: turn(Fatal(open_engine(), at, after=after), key, "turn", lease=LEASE))  # noqa: B023
            worker.join()
            assert worker.exitcode == -signal.SIGKILL
            begun = time.monotonic()
            claimed: Any = Busy(retry_after=0.0)
            while isinstance(claimed, Busy):
                time.sleep(claimed.retry_after)
                claimed = engine.call(Claim(key=key, holder=nonce(), lease=LEASE, turn="turn"))
            assert time.monotonic() < begun + LEASE + 1.0
            if (at, after) == (3, True):
                assert isinstance(claimed, Done)
            else:
                assert isinstance(claimed, Claimed)
                assert claimed.sent == ((at, after) in ((2, True), (3, False)))
                assert claimed.document == b"before\n"
            turn(engine, key, "turn", lease=LEASE)
            turn(engine, key, "turn", lease=LEASE)
            assert document_of(engine, key) == ["before", "turn"]
    engine.close()


def stand_still(engine: Any, slow: Any) -> list[str]:
    """Have one worker lose its lease in the middle of a turn, and another one do its turn; return what is stored."""
    claimed = slow.call(Claim(key="k", holder="slow", lease=0.05))
    slow.call(Mark(key="k", fence=claimed.fence, lease=0.05))
    turn(engine, "k", "other", lease=LEASE)
    late = Commit(
        key="k", fence=claimed.fence, revision=claimed.revision, document=claimed.document + b"slow\n", turn="slow"
    )
    slow.call(late)
    return document_of(engine, "k")


def test_a_worker_that_has_lost_its_lease_stores_nothing_any_more(open_engine: Callable[[], Any]) -> None:
    engine, slow = open_engine(), open_engine()
    assert stand_still(engine, slow) == ["other"]
    slow.close()
    engine.close()


def test_with_a_plain_lock_it_overwrites_the_turn_of_another(open_engine: Callable[[], Any]) -> None:
    engine, slow = open_engine(), open_engine()
    assert stand_still(engine, PlainLock(slow)) == ["slow"]
    slow.close()
    engine.close()


def crew(open_engine: Callable[[], Any], *, seconds: float, seed: int) -> tuple[dict[str, dict[str, str]], Any]:
    """Have workers do turns for a while, kill and stop them; return the acknowledged replies and an engine."""
    draw = random.Random(seed)
    acknowledged = Line()
    keys = [f"c{number}" for number in range(6)]
    todo = [(key, f"t{number}") for number in range(400) for key in keys]

    def work(first: int) -> None:
        engine = open_engine()
        chance = random.Random(f"{seed} {first}")
        for key, name in todo[first:]:
            if chance.random() < 0.25:  # so each turn is asked for by several workers, some at the same time
                reply = turn(engine, key, name, lease=LEASE, ask=lambda: time.sleep(chance.random() * 0.01))
                acknowledged.write(f"{key} {name} {reply.decode()}")

    workers: list[BaseProcess] = [begin(lambda: work(0)) for _ in range(5)]
    replies: dict[str, dict[str, str]] = {key: {} for key in keys}
    until = time.monotonic() + seconds
    kills = pauses = furthest = 0

    def collect() -> None:
        nonlocal furthest
        for line in acknowledged.lines():
            key, name, reply = line.split(" ", 2)
            assert replies[key].setdefault(name, reply) == reply, "two replies of one turn"
            furthest = max(furthest, todo.index((key, name)))

    with ended(workers):
        while time.monotonic() < until:
            time.sleep(draw.random() * 0.2)
            collect()
            which = draw.randrange(len(workers))
            if workers[which].exitcode is None and draw.random() < 0.3:
                pid = workers[which].pid
                assert pid is not None
                os.kill(pid, signal.SIGSTOP)
                time.sleep(LEASE * 1.5)
                os.kill(pid, signal.SIGCONT)
                pauses += 1
                continue
            workers[which].kill()
            workers[which].join()
            kills += 1
            begin_at = max(0, furthest - 20)
            workers[which] = begin(lambda: work(begin_at))  # noqa: B023
    collect()
    acknowledged.close()
    assert kills > 10
    assert pauses > 3
    return replies, open_engine()


def test_a_crew_that_is_killed_and_stopped_loses_no_acknowledged_turn_and_stores_none_twice(
    open_engine: Callable[[], Any],
) -> None:
    replies, engine = crew(open_engine, seconds=12.0, seed=1)
    count = 0
    for key, of in replies.items():
        stored = document_of(engine, key)
        assert len(stored) == len(set(stored)), "a turn is there twice"
        assert set(of) <= set(stored), "an acknowledged turn is lost"
        for name, reply in list(of.items())[-20:]:
            asked = patiently(engine, Claim(key=key, holder=nonce(), lease=1.0, turn=name))
            assert not isinstance(asked, Done) or asked.reply.decode() == reply
        count += len(of)
    assert count > 100
    engine.close()


# The pace


def gaps(
    open_engine: Callable[[], Any], *, heeds: bool, interval: float = 0.05, window: float = 0.05, seconds: float = 8.0
) -> list[float]:
    """Have processes begin requests, some of which stand still now and then; return the times between the starts."""
    line = Line()

    def work(number: int) -> None:
        draw = random.Random(number)
        engine = open_engine()

        def pause() -> None:
            if draw.random() < 0.2:  # the answer was late, or the process had to wait for a processor
                time.sleep(draw.random() * 3 * (interval + window))

        while True:
            start = Start(line, interval=interval, window=window, heeds=heeds)
            start.request(engine, pause, need=2)
            start.request(engine, pause)

    workers = [begin(lambda: work(number)) for number in range(6)]  # noqa: B023
    starts: list[float] = []
    with ended(workers):
        until = time.monotonic() + seconds
        draw = random.Random(0)
        while time.monotonic() < until:
            time.sleep(0.2)
            pid = workers[draw.randrange(len(workers))].pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            time.sleep(draw.random() * 0.2)
            os.kill(pid, signal.SIGCONT)
            starts += map(float, line.lines())
    starts += map(float, line.lines())
    line.close()
    starts.sort()
    return [after - before for before, after in itertools.pairwise(starts)]


def test_starts_keep_the_interval_whoever_stands_still(open_engine: Callable[[], Any]) -> None:
    found = gaps(open_engine, heeds=True)
    assert len(found) > 15
    assert min(found) >= 0.05


def test_without_a_window_they_do_not(open_engine: Callable[[], Any]) -> None:
    assert min(gaps(open_engine, heeds=False)) < 0.05


def test_a_lost_conversation_says_so(open_engine: Callable[[], Any]) -> None:
    engine = open_engine()
    first = engine.call(Claim(key="k", holder="1", lease=30.0))
    second = engine.call(Claim(key="k", holder="2", lease=30.0, take_over=True))
    assert second.fence > first.fence
    assert engine.call(Claim(key="k", holder="1", lease=30.0, fence=first.fence)) == Lost()
    assert engine.call(Mark(key="k", fence=first.fence, lease=30.0)) == Lost()
    stored = Commit(key="k", fence=second.fence, revision=0, document=b"2")
    assert engine.call(stored) == engine.call(stored) == Committed(revision=1)
    engine.close()
