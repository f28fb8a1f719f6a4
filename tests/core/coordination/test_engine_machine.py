"""Whatever becomes of calls and processes, requests keep the interval and each turn is stored once."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from support.processes import DRIFT, Engine, Fate, Plan, World
from support.shared_machine import SLACK, SharedMachine, run_machine, times
from support.tiers import examples, thinned

from ddg_protocol.coordination import Call, Claim, Commit, Held, Hold, Mark, Marked, Release, Reserve, Result
from ddg_protocol.pace import FETCH_SECONDS, PATIENCE

EXAMPLES = int(os.environ.get("ENGINE_EXAMPLES", "0"))

KEYS = "aabcdefg"

plans = st.builds(
    Plan,
    conversation=st.sampled_from(KEYS),
    turn=st.sampled_from(["t1", "t2", "t3", "t4"]),
    requests=st.integers(2, 3),
    takes=st.sampled_from([0.1, 0.3, 2.0, 7.0, 25.0]),
    fetches=st.booleans(),
    renews=st.booleans(),
    take_over=st.sampled_from([False, False, False, True]),
    releases=st.sampled_from(["", "", "", "stores", "leaves"]),
)


class EngineMachine(SharedMachine[World]):
    """Turns in processes of their own, which share an engine."""

    def __init__(self) -> None:
        super().__init__(World)

    @rule(
        several=st.lists(plans, min_size=1, max_size=5),
        offset=st.sampled_from([0.0, 3600.0, -3600.0, 1.7e9]),
        drift=st.sampled_from([0.0, DRIFT, -DRIFT]),
        seconds=times,
    )
    def ask(self, several: list[Plan], offset: float, drift: float, seconds: float) -> None:
        for plan in several:
            self.world.begin(plan, offset=offset, drift=drift)
        self.passes(seconds)

    @rule(held=st.sampled_from([0.5, 5.0, 30.0]), seconds=times)
    def the_service_holds_the_client(self, held: float, seconds: float) -> None:
        self.world.hold(held)
        self.passes(seconds)

    @rule(accident=st.sampled_from(["restart", "lose_pace", "lose_all"]), seconds=times)
    def the_engine_has_an_accident(self, accident: str, seconds: float) -> None:
        getattr(self.world, accident)()
        self.passes(seconds)

    @invariant()
    def one_process_fetches_the_front_end_version(self) -> None:
        fetches = [start for start in self.world.starts if start.fetch]
        for before, after in pairwise(fetches):
            if any(
                number != before.process and before.given - PATIENCE - SLACK < given < before.given
                for given, number in self.world.fetch_slots
            ):
                continue  # another turn was to fetch, even if it never began: patience may be at its end
            if before.epoch == after.epoch and before.process in self.world.fetching:
                until = min(before.time - before.window + FETCH_SECONDS, before.given + PATIENCE)
                assert after.time >= until - SLACK, (before, after)

    @invariant()
    def the_history_has_each_turn_once_and_all_that_were_acknowledged(self) -> None:
        for key in KEYS:
            history = self.world.history(key)
            assert len(set(history)) == len(history), history
            acknowledged = self.world.acknowledged.get(key, [])
            assert set(acknowledged) <= set(history), (acknowledged, history)

    @invariant()
    def each_turn_has_one_reply(self) -> None:
        assert all(len(replies) == 1 for replies in self.world.replies.values())

    def teardown(self) -> None:
        self.world.run(self.world.now + 60.0)
        self.fates = []
        self.world.run(self.world.now + 3_000.0)
        assert self.world.under_way == [], "every turn comes to its end"
        self.no_request_is_closer_than_the_interval()
        self.no_request_begins_during_a_hold_later_than_one_window()
        self.one_process_fetches_the_front_end_version()
        self.the_history_has_each_turn_once_and_all_that_were_acknowledged()
        self.each_turn_has_one_reply()


def run(machine: type[EngineMachine], number: int, *, seeks: bool = False) -> None:
    run_machine(machine, number, steps=30, at_random=bool(EXAMPLES), seeks=seeks)


def test_whatever_happens_the_pace_is_kept_and_no_turn_is_lost_or_doubled() -> None:
    run(EngineMachine, EXAMPLES or examples(250))


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.2, 1.6, 5.0]), st.integers(1, 3), st.sampled_from([0.0, 0.4, 1.5])),
        min_size=1,
        max_size=12,
    )
)
def test_where_nothing_goes_wrong_turns_are_served_in_order_each_with_its_requests_together(
    turns: list[tuple[float, int, float]],
) -> None:
    world = World(lambda: Fate(0.0001, 0.0001))
    for number, (later, requests, takes) in enumerate(turns):
        world.run(world.now + later)
        world.begin(Plan(f"c{number}", "t", requests=requests, takes=takes))
    world.run(world.now + 1_000.0)
    assert {process.ended for process in world.processes} == {"done"}
    order = [number for number, (_, requests, _) in enumerate(turns) for _ in range(requests)]
    assert [start.process for start in world.starts] == order
    for process, (_, requests, _) in zip(world.processes, turns, strict=True):
        assert process.calls <= 3 + 2 * requests, "a claim, a mark, a commit, and two calls for a request"


def test_a_claim_that_comes_once_more_much_later_keeps_nobody_waiting() -> None:
    fates = iter([Fate(again=20.0)])
    world = World(lambda: next(fates, Fate()))
    late = world.begin(Plan("c", "t1", requests=2, takes=25.0))
    world.run(15.0)
    world.kill(late)
    world.begin(Plan("c", "t2", requests=1, take_over=True, releases="leaves"))
    world.run(20.5)
    after = world.begin(Plan("c", "t3", requests=1))
    world.run(22.5)
    assert [process.ended for process in world.processes] == ["killed", "released", "done"]
    assert after.calls <= 5, "it was never busy"


# Engines that are wrong. Each shows that the machine would notice.


class WithoutWindow(Engine):
    """Decides when a request may begin, as limiters do, and not how long it may take to begin."""

    def call(self, call: Call) -> Result:
        return super().call(msgspec.structs.replace(call, window=0.0) if isinstance(call, Reserve) else call)


class WithoutFence(Engine):
    """Has locks that are lost without a word."""

    def call(self, call: Call) -> Result:
        state = self.conversations.get(call.key) if isinstance(call, Mark | Commit | Release) else None
        if state is not None and isinstance(call, Mark | Commit | Release):
            held = msgspec.structs.replace(state.lease, ended=False)
            self.conversations[call.key] = msgspec.structs.replace(state, lease=held)
            changes: dict[str, Any] = {"fence": max(1, held.fence)}
            if not isinstance(call, Mark):
                changes["revision"] = state.stored.revision
            call = msgspec.structs.replace(call, **changes)
        return super().call(call)


class WithoutLease(Engine):
    """Gives a conversation to whoever claims it."""

    def call(self, call: Call) -> Result:
        if isinstance(call, Claim) and not call.fence:
            call = msgspec.structs.replace(call, take_over=True)
        return super().call(call)


class WithTheLastKeyAlone(Engine):
    """Remembers the newest turn only."""

    def call(self, call: Call) -> Result:
        result = super().call(call)
        if isinstance(call, Commit):
            state = self.conversations[call.key]
            stored = msgspec.structs.replace(state.stored, turns=state.stored.turns[-1:])
            self.conversations[call.key] = msgspec.structs.replace(state, stored=stored)
        return result


class WherePlacesStay(Engine):
    """Waits for turns that are gone."""

    def call(self, call: Call) -> Result:
        result = super().call(call)
        places = tuple(msgspec.structs.replace(place, until=2**52) for place in self.pace.places)
        self.pace = msgspec.structs.replace(self.pace, places=places)
        return result


class WithoutHold(Engine):
    """Lets each process keep to its own ``Retry-After``."""

    def call(self, call: Call) -> Result:
        return Held() if isinstance(call, Hold) else super().call(call)


class WithoutGrace(Engine):
    """Begins as if nobody had been there before."""

    def lose_pace(self) -> None:
        super().lose_pace()
        self.pace = msgspec.structs.replace(self.pace, unknown=False)


class WithoutMark(Engine):
    """Doesn't know that a question may have been sent."""

    def call(self, call: Call) -> Result:
        return Marked() if isinstance(call, Mark) else super().call(call)


class WhereEachFetches(Engine):
    """Has each process fetch the front-end version."""

    def call(self, call: Call) -> Result:
        result = super().call(call)
        self.pace = msgspec.structs.replace(self.pace, fetch=None, version="")
        return result


class WhereRepeatingIsNew(Engine):
    """Takes a call that is repeated for another one."""

    def call(self, call: Call) -> Result:
        if isinstance(call, Commit):
            call = msgspec.structs.replace(call, turn="")
        return super().call(call)


MUTANTS = [  # those first of each five that are found soonest
    WithoutLease,
    WithoutFence,
    WithoutWindow,
    WithTheLastKeyAlone,
    WherePlacesStay,
    WithoutHold,
    WithoutGrace,
    WithoutMark,
    WhereEachFetches,
    WhereRepeatingIsNew,
]


@pytest.mark.parametrize("engine", thinned(MUTANTS, one_in=5, reason="each needs the same machine"))
def test_an_engine_that_is_wrong_is_found_out(engine: type[Engine]) -> None:
    machine = type("Machine", (EngineMachine,), {"engine": engine})
    with pytest.raises(AssertionError):
        run(machine, 2_000, seeks=True)
