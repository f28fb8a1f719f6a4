"""What happens to processes that share an engine: rules of a state machine, and what they never break."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Generic, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ddg_protocol.coordination.calls import MAX_WINDOW

from .processes import DRIFT, INTERVAL, Engine, Fate, Process, World

SLACK = (INTERVAL + MAX_WINDOW) * 4 * DRIFT

quick = st.sampled_from([0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.04])
fates = st.one_of(
    st.builds(Fate, there=quick, back=quick),
    st.builds(Fate, there=quick, back=quick),
    st.builds(Fate, there=quick, back=quick, again=st.sampled_from([0.0, 0.01, 0.4, 3.0, 20.0])),
    st.builds(Fate, there=st.sampled_from([0.06, 0.3, 1.9]), back=quick),
    st.builds(Fate, there=quick, back=st.sampled_from([0.06, 0.3, 1.9])),
    st.builds(Fate, there=quick, back=st.just(0.06), again=st.sampled_from([0.07, 0.1, 0.2, 0.4])),
    st.builds(Fate, there=st.none()),
    st.builds(Fate, there=quick, back=st.none()),
)
times = st.sampled_from([0.0, 0.01, 0.3, 1.5, 4.0, 12.0, 40.0])

W = TypeVar("W", bound=World)


class SharedMachine(RuleBasedStateMachine, Generic[W]):
    """Time passes from one rule to the next.

    Args:
        world: makes the world that the processes are in.
    """

    engine: Callable[[Callable[[], float]], Engine] = Engine

    def __init__(self, world: Callable[[Callable[[], Fate], Callable[[Callable[[], float]], Engine]], W]) -> None:
        super().__init__()
        self.fates: list[Fate] = []
        self.world = world(self.fate, type(self).engine)

    def fate(self) -> Fate:
        self.fates = [*self.fates[1:], *self.fates[:1]]
        return self.fates[0] if self.fates else Fate()

    def one(self, data: st.DataObject) -> Process:
        return data.draw(st.sampled_from(self.world.under_way))

    def passes(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    @initialize(fates=st.lists(fates, min_size=5, max_size=12))
    def the_network_is(self, fates: list[Fate]) -> None:
        """This becomes of the calls, one after the other, over and over again."""
        self.fates = fates

    @rule(fates=st.lists(fates, min_size=5, max_size=12), seconds=times)
    def the_network_changes(self, fates: list[Fate], seconds: float) -> None:
        self.fates = fates
        self.passes(seconds)

    @precondition(lambda self: self.world.under_way)
    @rule(data=st.data(), stopped=st.sampled_from([0.04, 0.3, 2.0, 15.0, 60.0]), seconds=times)
    def a_process_stops_for_a_while(self, data: st.DataObject, stopped: float, seconds: float) -> None:
        self.world.stop(self.one(data), stopped)
        self.passes(seconds)

    @precondition(lambda self: self.world.under_way)
    @rule(data=st.data(), seconds=times)
    def a_process_is_killed(self, data: st.DataObject, seconds: float) -> None:
        self.world.kill(self.one(data))
        self.passes(seconds)

    @rule(back=st.sampled_from([0.01, 1.0, 20.0]), seconds=times)
    def the_engine_s_clock_goes_back(self, back: float, seconds: float) -> None:
        self.world.skew -= back
        self.passes(seconds)

    @invariant()
    def no_request_is_closer_than_the_interval(self) -> None:
        for before, after in pairwise(self.world.starts):
            assert after.time - before.time >= INTERVAL - SLACK, (before, after)

    @invariant()
    def no_request_begins_during_a_hold_later_than_one_window(self) -> None:
        for start in self.world.starts:
            for told, until in self.world.holds:
                assert not told + start.window + SLACK < start.time < until - SLACK, (told, until, start)


def run_machine(machine: type[RuleBasedStateMachine], number: int, *, steps: int, at_random: bool, seeks: bool) -> None:
    """Run a machine.

    Args:
        machine: the machine.
        number: of walks.
        steps: of each walk, at most.
        at_random: whether other walks are taken each time.
        seeks: whether the first failure is enough, as it is found.
    """
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=number,
            stateful_step_count=steps,
            deadline=None,
            derandomize=not at_random,
            phases=[Phase.generate] if seeks else list(Phase),
            suppress_health_check=list(HealthCheck),
            database=None,
            print_blob=False,
        ),
    )
