"""A session over time: determinism, many sessions at once, slow and hostile peers, what it costs."""

from __future__ import annotations

from test_session import DONE, HELLO, PAGE, STREAM, Hand

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ClientState,
    FrontEndVersionUnknown,
    Retrying,
    Session,
    TextDelta,
    TurnFinished,
    TurnStarted,
    Wait,
)
from ddg_protocol._state import State


def test_the_deadline_of_what_follows_a_reply_is_the_drains_own() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    assert hand.pull() is NEED_DATA
    hand.now += 29.5  # half a second before the read timeout
    hand.session.receive_data(request, HELLO + DONE)
    assert hand.pull() is NEED_DATA
    assert hand.session.state is State.DRAINING
    assert hand.session.deadline == hand.now + 1.0
    hand.now += 1.0
    assert hand.pull() is PAUSED
    assert hand.events[-3:] == [TextDelta("Hel"), TextDelta("lo"), TurnFinished("Hello", "stop", "gpt-4o-mini", None)]


# Pacing


def answer_front_end(hand: Hand) -> None:
    hand.request_for("duckai=1")
    hand.answer(body=PAGE)


def next_wait(hand: Hand) -> Wait:
    """Pull past events; the next intent is a wait."""
    while isinstance(action := hand.session.next_action(now=hand.now), FrontEndVersionUnknown | TurnStarted):
        pass
    assert isinstance(action, Wait), action
    return action


def test_a_request_that_began_late_keeps_the_next_one_away_from_it() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    answer_front_end(hand)
    wait = next_wait(hand)
    assert wait.until == 1.5
    hand.now = 100.0  # the caller slept too long
    hand.session.wait_elapsed(wait)
    hand.request_for("/aichat")
    hand.answer()
    assert next_wait(hand).until == 101.5


def test_a_request_that_began_late_keeps_those_away_that_were_reserved_before() -> None:
    shared = ClientState()
    first, second, third = (Hand(Session(shared=shared)) for _ in range(3))
    for hand in (first, second, third):
        hand.session.ask("Hi", now=0)
    first.request_for("duckai=1")
    wait, other = next_wait(second), next_wait(third)
    assert (wait.until, other.until) == (1.5, 3.0)
    second.now = 2.75
    second.session.wait_elapsed(wait)
    second.request_for("duckai=1")
    third.now = 3.0
    third.session.wait_elapsed(other)
    again = next_wait(third)
    assert (again.until, again.reason) == (4.25, "pacing")
    third.now = 4.25
    third.session.wait_elapsed(again)
    third.request_for("duckai=1")


def test_a_wait_that_is_reported_over_too_early_is_followed_by_another() -> None:
    hand = Hand(Session(jitter=lambda: 0.0))
    hand.session.ask("Hi", now=0)
    answer_front_end(hand)
    wait = next_wait(hand)
    hand.now = 1.25
    hand.session.wait_elapsed(wait)
    again = next_wait(hand)
    assert (again.until, again.reason) == (1.5, "pacing")
    assert again.id != wait.id

    hand = Hand(Session(jitter=lambda: 0.0))
    hand.to_chat()
    hand.answer(503, [("x-vqd-4", "4-2")])
    assert isinstance(hand.session.next_action(now=hand.now), Retrying)
    wait = next_wait(hand)
    assert (wait.until, wait.reason) == (hand.now + 4.0, "backoff")
    hand.now += 3.5
    hand.session.wait_elapsed(wait)
    again = next_wait(hand)
    assert (again.until, again.reason) == (wait.until, "backoff")
