"""A session over time: determinism, many sessions at once, slow and hostile peers, what it costs."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_session import DONE, HELLO, PAGE, STREAM, Hand, move_to

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ClientState,
    ConversationFormatError,
    DuckChatError,
    FrontEndVersionUnknown,
    Retrying,
    SendRequest,
    Session,
    SolveChallenge,
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


# Snapshots that were tampered with


def paths_of(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to each value within JSON data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from paths_of(value, (*path, key))


def value_at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def snapshot_in(state: State, *, reported: bool) -> Any:
    hand = move_to(state)
    if reported and state is State.REQUESTING:
        hand = Hand()
        hand.to_chat()
        hand.answer(200, STREAM, HELLO)
    elif reported and state is State.STREAMING and hand.request is not None:
        hand.session.receive_data(hand.request, HELLO)
        hand.session.receive_eof(hand.request)
    return json.loads(json.dumps(hand.session.snapshot(now=hand.now)))


def go_on(session: Session) -> None:
    """Drive a session for a while, whatever it wants."""
    now = 0.0
    request: SendRequest | None = None if session._exchange is None else session._exchange.request
    for _ in range(60):
        try:
            match session.next_action(now=now):
                case Wait() as wait:
                    now = min(max(now, wait.until), now + 100)
                    session.wait_elapsed(wait)
                case SolveChallenge() as solve:
                    session.challenge_solved(solve, "YW5zd2Vy")
                case SendRequest() as request:
                    session.receive_head(request, 200, [*STREAM, ("x-vqd-4", "4-1")], now=now)
                    session.receive_data(request, HELLO + DONE)
                case action if action is NEED_DATA and request is not None:
                    now += 20
                    session.receive_eof(request)
                case action if action is PAUSED:
                    if session.state is State.CLOSED:
                        return
                    session.ask("Hi", now=now)
        except DuckChatError:
            pass


SNAPSHOTS = [snapshot_in(state, reported=reported) for state in State for reported in (False, True)]
ODD: list[Any] = [None, True, 0, -1, 7, 10**30, 1.5, -1e308, [], {}, [[]], {"x": 1}]
ODD += ["", "x", "e30=", "\ud800", "a\r\nb", "https://["]


@settings(max_examples=600, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_snapshot_with_anything_in_the_place_of_anything_is_refused_or_goes_on(data: st.DataObject) -> None:
    snapshot = copy.deepcopy(data.draw(st.sampled_from(SNAPSHOTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(paths_of(snapshot))))
        parent, key = value_at(snapshot, path[:-1]), path[-1]
        kind = data.draw(st.sampled_from(["odd", "other", "without"]))
        if kind == "odd":
            parent[key] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
        elif kind == "other":
            other = data.draw(st.sampled_from(SNAPSHOTS))
            parent[key] = copy.deepcopy(value_at(other, data.draw(st.sampled_from(list(paths_of(other))))))
        else:
            del parent[key]
    try:
        session = Session.restore(snapshot, now=0.0)
    except ConversationFormatError:
        return
    go_on(session)
