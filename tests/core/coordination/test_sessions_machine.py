"""Many sessions over one engine, whatever becomes of calls, clocks and workers: one pace, one owner, no turn lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from support.processes import DRIFT, Engine
from support.shared_machine import SharedMachine, run_machine, times
from support.tiers import examples, thinned
from support.workers import Task, Worker, Workers, acknowledged, replies

from ddg_protocol._coordinate import Coordinator
from ddg_protocol._phases import LeasedStreaming, Streaming

from .test_engine_machine import WithoutFence, WithoutHold, WithoutLease, WithoutWindow, WithTheLastKeyAlone

EXAMPLES = int(os.environ.get("SESSIONS_EXAMPLES", "0"))
KEYS = "aabc"

tasks = st.builds(
    Task,
    conversation=st.sampled_from(KEYS),
    turn=st.sampled_from(["t1", "t2", "t3", "t4"]),
    takes=st.sampled_from([0.1, 0.3, 2.0, 7.0, 25.0]),
    on_busy=st.sampled_from(["wait", "wait", "wait", "refuse", "take_over"]),
    refused=st.sampled_from([0.0, 0.0, 0.0, 3.0, 20.0, 100.0]),
    gives_up=st.booleans(),
)


class SessionsMachine(SharedMachine[Workers]):
    """Workers with a session each, which share an engine."""

    def __init__(self) -> None:
        super().__init__(Workers)

    def one(self, data: st.DataObject) -> Worker:
        worker = super().one(data)
        assert isinstance(worker, Worker)
        return worker

    @rule(
        several=st.lists(tasks, min_size=1, max_size=4),
        offset=st.sampled_from([0.0, 3600.0, -3600.0, 1.7e9]),
        drift=st.sampled_from([0.0, DRIFT, -DRIFT]),
        seconds=times,
    )
    def ask(self, several: list[Task], offset: float, drift: float, seconds: float) -> None:
        for task in several:
            self.world.start(task, offset=offset, drift=drift)
        self.passes(seconds)

    @precondition(lambda self: self.world.under_way)
    @rule(data=st.data(), order=st.sampled_from(["cancel", "close", "move"]), seconds=times)
    def a_worker_is_told(self, data: st.DataObject, order: str, seconds: float) -> None:
        self.one(data).orders.append(order)
        self.passes(seconds)

    @rule(accident=st.sampled_from(["restart", "lose_pace"]), seconds=times)
    def the_engine_has_an_accident(self, accident: str, seconds: float) -> None:
        getattr(self.world, accident)()
        self.passes(seconds)

    @invariant()
    def the_history_has_each_turn_once_and_all_that_were_acknowledged(self) -> None:
        for key in set(KEYS):
            history = self.world.history(key)
            assert len(set(history)) == len(history), history
            assert set(acknowledged(self.world, key)) <= set(history), (acknowledged(self.world, key), history)

    @invariant()
    def each_turn_has_one_reply(self) -> None:
        for place, texts in replies(self.world).items():
            assert len(texts) == 1, (place, texts)

    def teardown(self) -> None:
        self.fates = []
        self.world.run(self.world.now + 2_000.0)
        assert self.world.under_way == [], "every turn comes to its end"
        for key in set(KEYS):
            last = self.world.start(Task(key, "last", on_busy="refuse"))
            self.world.run(self.world.now + 100.0)
            assert last.finished is not None, f"the conversation is not free: {last.error!r}"
            assert self.world.history(key)[-1:] == ["last"]
        self.no_request_is_closer_than_the_interval()
        self.no_request_begins_during_a_hold_later_than_one_window()
        self.the_history_has_each_turn_once_and_all_that_were_acknowledged()
        self.each_turn_has_one_reply()


def run(machine: type[SessionsMachine], number: int, *, seeks: bool = False) -> None:
    run_machine(machine, number, steps=20, at_random=bool(EXAMPLES), seeks=seeks)


def test_whatever_happens_sessions_keep_one_pace_and_lose_and_double_no_turn() -> None:
    run(SessionsMachine, EXAMPLES or examples(300, default=4))


@pytest.mark.parametrize(
    "engine",
    thinned(
        [WithoutWindow, WithoutFence, WithoutLease, WithTheLastKeyAlone, WithoutHold],
        one_in=5,
        reason="each needs the same machine",
    ),
)
def test_an_engine_that_is_wrong_is_found_out(engine: type[Engine]) -> None:
    machine = type("Machine", (SessionsMachine,), {"engine": engine})
    with pytest.raises(AssertionError):
        run(machine, 1_000, seeks=True)


# Sessions that are wrong. Each shows that the machine would notice.


def uses_late_slots(patch: pytest.MonkeyPatch) -> None:
    take = Coordinator._take_slot

    def taken(self: Coordinator, turn: Any, standing: Any, slot: Any, asked: Any) -> Any:
        event = take(self, turn, standing, slot, asked)
        if standing.slot is not None:
            standing.slot = standing.slot[0], float("inf")
        return event

    patch.setattr(Coordinator, "_take_slot", taken)


def finishes_before_it_commits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LeasedStreaming, "_commit", Streaming._commit)


def sets_no_mark(patch: pytest.MonkeyPatch) -> None:
    begin = Coordinator._begin

    def begun(self: Coordinator, machine: Any, turn: Any, standing: Any, claimed: Any, asked: Any) -> Any:
        standing.marked = True
        return begin(self, machine, turn, standing, claimed, asked)

    patch.setattr(Coordinator, "_begin", begun)


def keeps_spent_tokens(patch: pytest.MonkeyPatch) -> None:
    leave = Coordinator.leave

    def left(self: Coordinator, machine: Any, phase: Any, standing: Any) -> None:
        leave(self, machine, phase, standing)
        if machine.owed is not None:
            machine.owed.document = None

    patch.setattr(Coordinator, "leave", left)


def forgets_its_conversation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Coordinator, "_take_over", lambda self, machine, document: None)


@pytest.mark.parametrize(
    "mistake",
    thinned(
        [
            finishes_before_it_commits,
            forgets_its_conversation,
            uses_late_slots,
            sets_no_mark,
            keeps_spent_tokens,
        ],
        one_in=5,
        reason="each needs the same machine",
    ),
)
def test_a_session_that_is_wrong_is_found_out(
    mistake: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        run(SessionsMachine, 1_000, seeks=True)
