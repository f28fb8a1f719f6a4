"""A coordinated session as a snapshot, at any moment, and the session that goes on from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.cases import each_of
from support.coordinated import DOWN, LEASE, STORED, Told, committing, session_of, streaming
from support.hand import DONE, HELLO, LISTING, STREAM, counting, echoing
from support.tiers import some

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ConversationFormatError,
    Policy,
    SendRequest,
    Session,
    TurnCancelled,
    TurnFinished,
    Wait,
)
from ddg_protocol._state import State
from ddg_protocol.coordination import (
    Claim,
    Claimed,
    Commit,
    Committed,
    Coordinate,
    Coordination,
    Done,
    Lost,
    Mark,
    MemoryEngine,
    Release,
    Released,
    Reserve,
    Slot,
)
from ddg_protocol.coordination._documents import write_conversation, write_reply
from ddg_protocol.session import Action
from ddg_protocol.testing import Clock, Run


def through_json(session: Session, *, now: float, then: float | None = None, **settings: Any) -> Session:
    data = json.loads(json.dumps(session.snapshot(now=now)))
    given = {"coordination": session.coordination, "random_bytes": counting(), "shared": session.shared, **settings}
    return Session.restore(data, now=now if then is None else then, profile=session.profile, **given)


SOON = Slot(delay=0.02, final=True, ticket="1", epoch="e")


class Restless(Run):
    """Puts another session in the place of its own at every step at which it is asked to."""

    def begin_from(self, session: Session, step: int) -> None:
        original = Session.next_action
        pulls = 0

        def next_action(*, now: float) -> Action:
            nonlocal pulls
            pulls += 1
            assert isinstance(self.session, Session)
            exchange = self.session._machine.exchange
            # A request of the handshake would be asked for again.
            if pulls % step == 0 and (exchange is None or exchange.request.method == "POST"):
                session = through_json(self.session, now=now, random_bytes=self.random)
                session.next_action = next_action  # type: ignore[method-assign]
                self.session = session
                if self._request is not None and session.request is not None:
                    self._request = session.request
            return original(self.session, now=now)

        self.random = counting()
        self.session = session
        session.next_action = next_action  # type: ignore[method-assign]


def test_a_conversation_restored_at_every_step_is_the_same_conversation() -> None:
    for step in some(range(1, 8), one_in=3):
        runs = []
        for kind in (Run, Restless):
            clock = Clock(1000.0)
            random = counting()
            session = Session(coordination=Coordination(key="c"), random_bytes=random)
            run = kind(session, echoing(), clock=clock, engine=MemoryEngine(clock))
            if isinstance(run, Restless):
                run.begin_from(session, step)
                run.random = random
            runs.append(run)
        plain, restless = runs
        for question, turn in (("Why is the sky blue?", "1"), ("And at night?", "2"), ("And at night?", "2")):
            assert restless.ask(question, turn=turn) == plain.ask(question, turn=turn)
            assert restless.events == plain.events
        assert restless.requests == plain.requests
        assert [wait.until for wait in restless.waits] == [wait.until for wait in plain.waits]
        assert restless.session.conversation == plain.session.conversation


def test_a_call_that_was_out_is_asked_for_again() -> None:
    for kind in (Claim, Reserve, Mark):
        hand = Told().on(kind, None).ask()

        intent = hand.pull()
        while not isinstance(intent, Coordinate):
            hand.answer(headers=[("x-vqd-4", "4-1")])
            intent = hand.pull()
        other = through_json(hand.session, now=hand.now, then=500.0)
        assert other.state is State.COORDINATING
        assert other.next_action(now=500.0) == intent


@each_of("age", [0.0, 1000.0])
def test_a_result_that_nobody_has_looked_at_is_kept(age: float) -> None:
    hand = Told().on(Reserve, None).ask()
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    hand.session.coordinated(intent, SOON, asked=hand.now, now=hand.now)
    other = through_json(hand.session, now=hand.now, then=hand.now + age)
    wait = other.next_action(now=hand.now + age)
    assert isinstance(wait, Wait)
    assert wait.until == hand.now + age + 0.02
    hand = Told().on(Claim, None).ask()
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    hand.session.coordination_failed(intent, DOWN)
    with pytest.raises(Exception, match="no answer"):
        through_json(hand.session, now=hand.now).next_action(now=hand.now)


def test_slots_and_leases_are_time_remaining() -> None:
    hand = Told().on(Reserve, None).ask()
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    hand.session.coordinated(intent, SOON, asked=0.0, now=0.0)
    assert isinstance(hand.session.next_action(now=0.0), Wait)
    other = through_json(hand.session, now=0.01, then=70.01)
    wait = other.next_action(now=70.01)
    assert isinstance(wait, Wait)
    assert wait.until == pytest.approx(70.02)
    other.wait_elapsed(wait)
    assert isinstance(other.next_action(now=70.03), SendRequest)

    hand = Told(session_of(policy=Policy(read_timeout=900.0, total_timeout=900.0, turn_timeout=900.0)))
    streaming(hand)
    deadline = hand.session.deadline
    assert deadline is not None
    other = through_json(hand.session, now=hand.now, then=hand.now + 7, policy=hand.session.policy)
    assert other.deadline == deadline + 7


def test_a_renewal_that_was_out_goes_on() -> None:
    hand = Told()
    streaming(hand)
    hand.on(Claim, None)
    hand.now += LEASE / 3
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    other = through_json(hand.session, now=hand.now)
    assert other.next_action(now=hand.now) == intent
    other.coordinated(intent, Claimed(fence=7, revision=0, document=b""), asked=hand.now, now=hand.now)
    assert other.next_action(now=hand.now) is NEED_DATA
    other.cancel()
    assert other.next_action(now=hand.now) == TurnCancelled("Hello")
    release = other.next_action(now=hand.now)
    assert isinstance(release, Coordinate)
    assert isinstance(release.call, Release)


def test_what_is_owed_is_kept() -> None:
    hand = Told().ask()
    hand.request_for("duckai=1")
    hand.session.cancel()
    other = through_json(hand.session, now=hand.now)
    assert other.next_action(now=hand.now) == TurnCancelled("")
    release = other.next_action(now=hand.now)
    assert isinstance(release, Coordinate)
    again = through_json(other, now=hand.now, then=50.0)
    assert again.next_action(now=50.0) == release
    again.coordinated(release, Released(), asked=50.0, now=50.0)
    assert again.next_action(now=50.0) is PAUSED
    assert "owed" not in again.snapshot(now=50.0)


def test_a_hold_that_is_owed_is_time_remaining() -> None:
    hand = Told(session_of(policy=Policy(max_retry_after=0.0), key=None)).ask()
    hand.handshake()
    hand.answer(429, [("retry-after", "100")])
    with pytest.raises(Exception, match="429"):
        hand.session.next_action(now=hand.now)
    other = through_json(hand.session, now=hand.now + 40, then=0.0, shared=None)
    hold = other.next_action(now=0.0)
    assert isinstance(hold, Coordinate)
    assert hold.call.seconds == pytest.approx(60.0)  # type: ignore[union-attr]


@each_of("result", [Committed(revision=1), Lost()])
def test_a_turn_that_was_being_stored_is_stored(result: Any) -> None:
    hand = Told()
    intent = committing(hand)
    other = through_json(hand.session, now=hand.now, then=hand.now + 5)
    now = hand.now + 5
    assert other.next_action(now=now) == intent
    assert other.deadline is not None
    other.coordinated(intent, result, asked=now, now=now)
    if isinstance(result, Committed):
        assert other.next_action(now=now) == TurnFinished("Hello", "stop", "gpt-4o-mini", None)
        assert [message.text for message in other.conversation.message_history] == ["Hi", "Hello"]
    else:
        with pytest.raises(Exception, match="taken this conversation over") as caught:
            other.next_action(now=now)
        assert caught.value.text == "Hello"  # type: ignore[attr-defined]


def test_a_turn_that_was_cancelled_while_it_was_stored_is_kept() -> None:
    hand = Told()
    committing(hand)
    hand.session.cancel()
    other = through_json(hand.session, now=hand.now)
    commit = other.next_action(now=hand.now)
    assert isinstance(commit, Coordinate)
    assert isinstance(commit.call, Commit)
    other.coordinated(commit, Committed(revision=1), asked=hand.now, now=hand.now)
    assert other.next_action(now=hand.now) == TurnFinished("Hello", "stop", "gpt-4o-mini", None)


def test_a_commit_that_is_tried_again_goes_on() -> None:
    hand = Told().on(Commit, DOWN).ask()
    hand.handshake()
    hand.answer(200, STREAM, HELLO + DONE)
    while not isinstance(action := hand.session.next_action(now=hand.now), Wait):
        if isinstance(action, Coordinate):
            hand.answer_with(action, DOWN)
    other = through_json(hand.session, now=hand.now)
    assert other.next_action(now=hand.now) == action
    other.wait_elapsed(action)
    assert isinstance(other.next_action(now=action.until), Coordinate)


def recalling() -> Told:
    finished = TurnFinished("Since.", "stop", "o3-mini")
    hand = Told().on(Claim, None).ask(turn="t")
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    done = Done(reply=write_reply(finished), revision=4, document=write_conversation(STORED))
    hand.answer_with(intent, done)
    hand.session.next_action(now=0.0)
    hand.session.next_action(now=0.0)
    return hand


def test_a_reply_that_is_recalled_goes_on() -> None:
    other = through_json(recalling().session, now=0.0)
    actions = [other.next_action(now=0.0) for _ in range(3)]
    assert actions[1:] == [TurnFinished("Since.", "stop", "o3-mini"), PAUSED]
    assert other.conversation == STORED


# What doesn't fit


@each_of("settings", [None, Coordination(key="other"), Coordination()])
def test_a_turn_goes_on_with_the_same_coordination_alone(settings: Coordination | None) -> None:
    says = f"{'has another key' if settings else 'needs a shared engine'}: pass the same coordination"
    hand = Told()
    streaming(hand)
    with pytest.raises(ConversationFormatError, match=says):
        through_json(hand.session, now=hand.now, coordination=settings)
    hand.session.cancel()
    with pytest.raises(ConversationFormatError, match=says):
        through_json(hand.session, now=hand.now, coordination=settings)
    assert hand.pull() is PAUSED
    assert through_json(hand.session, now=hand.now, coordination=settings).state is State.READY


def test_a_turn_that_shared_the_pace_alone_leaves_nothing_to_tell() -> None:
    hand = Told(session_of(key=None)).ask()
    hand.request_for("duckai=1")
    hand.session.cancel()
    assert through_json(hand.session, now=hand.now, coordination=None).state is State.READY


def test_a_turn_that_was_not_coordinated_is_not_coordinated_later() -> None:
    session = Session(LISTING)
    session.ask("Hi", now=0.0)
    with pytest.raises(ConversationFormatError, match="goes by no shared engine"):
        through_json(session, now=0.0, coordination=Coordination(key="c"))


SETTINGS: dict[str, Any] = {"coordination": Coordination(key="c"), "random_bytes": counting()}


def snapshots() -> dict[str, dict[str, Any]]:
    claiming, reserving, renewing, storing = Told(), Told(), Told(), Told()
    claiming.on(Claim, None).ask().pull()
    reserving.on(Reserve, None).ask().pull()
    streaming(renewing)
    committing(storing)
    hands = {"claiming": claiming, "reserving": reserving, "streaming": renewing, "storing": storing}
    hands["recalling"] = recalling()
    return {name: json.loads(json.dumps(hand.session.snapshot(now=hand.now))) for name, hand in hands.items()}


@each_of(
    "name, path, value, says",
    [
        ("claiming", "phase.asked.call.type", "Wait", "Invalid value"),
        ("claiming", "phase.asked.call.lease", -1, "lease"),
        ("claiming", "phase.asked.result", {"type": "Slot"}, "missing"),
        ("claiming", "phase.asked.result", {"type": "Held"}, "a Claim is answered by"),
        ("claiming", "phase.asked.id", 999, "past the last"),
        ("claiming", "phase.asked.call.key", "other", "doesn't have"),
        ("claiming", "phase.turn.standing", None, "doesn't go by"),
        ("claiming", "phase.turn.standing.window", 0, "out of range"),
        ("claiming", "phase.turn.standing.fence", -1, "out of range"),
        ("claiming", "phase.turn.standing.revision", 2**53 + 1, "out of range"),
        ("claiming", "phase.turn.standing.later", None, "no question"),
        ("claiming", "phase.turn.standing.key", None, "doesn't have"),
        ("claiming", "phase.turn.standing.begun", 1e300, "too far away"),
        ("claiming", "phase.asked.call", {"type": "Mark", "key": "c", "fence": 1, "lease": 1.0}, "doesn't have"),
        (
            "claiming",
            "phase.asked.call",
            {"type": "Commit", "key": "c", "fence": 1, "revision": 0, "document": ""},
            "only a turn that is complete",
        ),
        ("reserving", "phase.asked.call.window", "wide", "window"),
        ("storing", "phase.turn.completed", None, "not complete"),
        ("storing", "phase.asked.call", {"type": "Hold", "seconds": 1.0}, "only a turn that is complete"),
        ("storing", "phase.turn.standing", None, "nothing is to store it"),
        ("streaming", "phase.turn.standing", None, "doesn't go by"),
        ("recalling", "phase.told", 3, "more than there are"),
        ("recalling", "phase.told", -1, "more than there are"),
        ("claiming", "aside", {"id": 999, "call": {"type": "Hold", "seconds": 1.0}}, "missing"),
        ("claiming", "owed", {"standing": {"key": "c"}}, "missing"),
        ("claiming", "owed", {"more": 1}, "unknown field"),
        ("claiming", "phase.turn.standing.first", None, "no question"),
        ("claiming", "phase.turn.standing.window", 1.01, "out of range"),
        ("claiming", "phase.turn.standing.fence", 2**53 + 1, "out of range"),
        ("reserving", "phase.turn.standing.key", None, "no key"),
        ("recalling", "phase.turn.standing.key", None, "no key"),
        ("storing", "phase.turn.standing.key", None, "nothing is to store it"),
    ],
)
def test_what_does_not_fit_together_is_a_clear_error(name: str, path: str, value: object, says: str) -> None:
    data = snapshots()[name]
    *folders, member = path.split(".")
    place = data
    for folder in folders:
        place = place[folder]
    place[member] = value
    with pytest.raises(ConversationFormatError, match=says):
        Session.restore(data, now=0.0, profile=LISTING, **SETTINGS)


@each_of("name, value", [("fence", 2**53), ("revision", 2**53), ("window", 1.0)])
def test_a_number_of_a_standing_is_read_up_to_its_bound(name: str, value: float) -> None:
    data = snapshots()["claiming"]
    data["phase"]["turn"]["standing"][name] = value
    restored = Session.restore(data, now=0.0, profile=LISTING, **SETTINGS)
    assert restored.snapshot(now=0.0)["phase"]["turn"]["standing"][name] == value


@each_of("text", ["Since.", ""])
def test_a_reply_is_recalled_from_any_of_its_events(text: str) -> None:
    data = snapshots()["recalling"]
    data["phase"]["completed"]["finished"]["text"] = text
    events = 3 if text else 2
    for told in range(events):
        data["phase"]["told"] = told
        session = Session.restore(data, now=0.0, profile=LISTING, **SETTINGS)
        assert [session.next_action(now=0.0) is PAUSED for _ in range(events - told + 1)][-2:] == [False, True]
    data["phase"]["told"] = events
    with pytest.raises(ConversationFormatError, match="more than there are"):
        Session.restore(data, now=0.0, profile=LISTING, **SETTINGS)


def test_a_reply_to_a_turn_without_a_conversation_of_the_engines_is_no_leased_one() -> None:
    data = snapshots()["streaming"]
    data["phase"]["turn"]["standing"] |= {"key": None, "fence": 0}
    with pytest.raises(ConversationFormatError, match="doesn't go by"):
        Session.restore(data, now=0.0, profile=LISTING, **SETTINGS)


def test_a_reply_that_is_complete_belongs_to_a_turn_that_is_being_stored() -> None:
    found = snapshots()
    found["streaming"]["phase"]["turn"]["completed"] = found["storing"]["phase"]["turn"]["completed"]
    with pytest.raises(ConversationFormatError, match="nothing is to store it"):
        Session.restore(found["streaming"], now=0.0, profile=LISTING, **SETTINGS)
