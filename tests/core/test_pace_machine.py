"""Sessions of one client at random, in virtual time: whatever they meet, they keep the pace and all come to an end."""

from __future__ import annotations

import os
from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.crowd import Crowd, Member, Outcome, What
from support.tiers import examples

from ddg_protocol import DUCKDUCKGO_2025_04, Policy
from ddg_protocol.events import Queued
from ddg_protocol.pace import PATIENCE

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))
INTERVAL = DUCKDUCKGO_2025_04.interval
PATIENT = Policy(turn_timeout=10_000.0, max_retry_after=100.0)

whats: list[What] = ["ok", "ok", "ok", "ok", "ok", "error", "limited", "hold", "cut"]
outcomes = st.builds(Outcome, st.sampled_from(whats), st.sampled_from([0.01, 0.25, 1.0, 1.5, 3.0, 8.0]))


class PaceMachine(RuleBasedStateMachine):
    """Members that begin, end, fail, are held, are left alone and come back."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[int, list[Outcome]] = {}
        self.checked = 0
        self.disturbed = False
        self.crowd = Crowd(self.respond)

    @initialize(last_first=st.booleans())
    def begin(self, last_first: bool) -> None:
        self.crowd = Crowd(self.respond, last_first=last_first)

    def respond(self, member: Member, step: str) -> Outcome:
        left = self.outcomes[member.number]
        return left.pop() if left else Outcome()

    def one(self, data: st.DataObject, wanted: list[Member]) -> Member:
        return data.draw(st.sampled_from(wanted))

    @property
    def under_way(self) -> list[Member]:
        return [member for member in self.crowd.members if member.ended is None and not member.abandoned]

    @property
    def abandoned(self) -> list[Member]:
        return [member for member in self.crowd.members if member.abandoned]

    @rule(warm=st.booleans(), outcomes=st.lists(outcomes, max_size=8), count=st.integers(1, 3))
    def ask(self, warm: bool, outcomes: list[Outcome], count: int) -> None:
        for _ in range(count):
            self.outcomes[len(self.crowd.members)] = list(outcomes)
            self.crowd.ask(warm=warm, policy=PATIENT)

    @precondition(lambda self: any(member.ended is not None for member in self.crowd.members))
    @rule(data=st.data(), outcomes=st.lists(outcomes, max_size=8))
    def ask_again(self, data: st.DataObject, outcomes: list[Outcome]) -> None:
        member = self.one(data, [member for member in self.crowd.members if member.ended is not None])
        if member.session.state.name != "CLOSED":
            self.outcomes[member.number] = list(outcomes)
            self.disturbed = True
            self.crowd.ask_again(member)

    @rule(seconds=st.sampled_from([0.0, 0.25, 1.0, 1.5, 4.0, 11.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.crowd.run(until=self.crowd.now + seconds)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.crowd.cancel(self.one(data, self.under_way))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self.crowd.close(self.one(data, self.under_way))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        self.disturbed = True
        self.crowd.abandon(self.one(data, self.under_way))

    @precondition(lambda self: self.abandoned)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        self.crowd.resume(self.one(data, self.abandoned))

    @invariant()
    def no_request_is_closer_than_the_interval(self) -> None:
        starts = self.crowd.starts[self.checked :]
        assert all(after.now - before.now > INTERVAL - 1e-9 for before, after in pairwise(starts))
        self.checked = max(0, len(self.crowd.starts) - 1)

    @invariant()
    def each_page_is_fetched_by_one_at_a_time(self) -> None:
        starts = self.crowd.starts
        for page in ("page", "landing"):
            left = [start.now for start in starts if start.step == page and start.member.abandoned]
            fetching = [member for member in self.under_way if member.fetching == page]
            # For one that was left alone the others wait for a while, and then for the next, but not for ever.
            assert len(fetching) <= 1 or (left and self.crowd.now < max(left) + 2 * PATIENCE)

    @invariant()
    def turns_begin_in_their_order(self) -> None:
        """No turn begins before an older one, but those that need no page while the older one waits for it."""
        if self.disturbed:  # a driver stopped, or a conversation went on
            return
        firsts = {start.member.number: start.step for start in reversed(self.crowd.starts)}
        order = list(dict.fromkeys(start.member.number for start in self.crowd.starts))
        for before, after in pairwise(order):
            assert before < after or (firsts[before] == "chat" != firsts[after]), order

    @invariant()
    def nobody_is_told_of_a_queue_too_often(self) -> None:
        for member in self.crowd.members if not self.disturbed else ():
            told = [event for _, event in member.events if isinstance(event, Queued)]
            assert all(event.position > 0 for event in told)
            assert all(
                before.position != after.position or after.until > before.until + INTERVAL
                for before, after in pairwise(told)
            )

    def teardown(self) -> None:
        self.crowd.run(until=self.crowd.now + 20_000.0)
        assert self.under_way == [], "every turn that is pulled comes to its end"
        queue = self.crowd.shared.pacer.queue
        assert {place.ticket.number for place in queue.places} <= {n + 1 for n in range(queue.tickets)}
        self.no_request_is_closer_than_the_interval()


def test_whatever_its_sessions_meet_a_client_keeps_the_pace_and_all_turns_end() -> None:
    run_state_machine_as_test(
        PaceMachine,
        settings=settings(
            max_examples=EXAMPLES or examples(25, default=5),
            stateful_step_count=30,
            deadline=None,
            derandomize=not EXAMPLES,
            suppress_health_check=list(HealthCheck),
        ),
    )
