"""A ``Retry-After`` holds every request of the client, in virtual time (PROTOCOL.md section 7)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.cases import each_of
from support.hand import Hand

from ddg_protocol import (
    ClientState,
    Conversation,
    Policy,
    RateLimitError,
    Retrying,
    ServiceError,
    Session,
    SolveChallenge,
    TurnStarted,
    Wait,
)


def refused(
    shared: ClientState, headers: Sequence[tuple[str, str]], status: int = 429, policy: Policy | None = None
) -> Hand:
    """Let a chat's question be refused at time 0, with nothing before it."""
    hand = Hand(warm(shared, policy))
    hand.session.ask("one", now=0.0)
    hand.request_for("/chat")
    hand.answer(status, headers)
    return hand


def warm(shared: ClientState, policy: Policy | None = None) -> Session:
    conversation = Conversation(vqd="4-0", fe_version="x-y")
    return Session(conversation=conversation, cookies={}, shared=shared, policy=policy, jitter=lambda: 0.0)


def test_a_retry_after_that_one_chat_met_holds_the_requests_of_every_chat_of_the_client() -> None:
    shared = ClientState()
    first, second = refused(shared, [("retry-after", "30")]), Hand(warm(shared))
    assert isinstance(first.session.next_action(now=0.0), Retrying)
    second.now = 2.0
    second.session.ask("two", now=second.now)
    second.request_for("/chat")
    assert second.now == 30.0
    assert [(wait.until, wait.reason) for wait in second.waits] == [(30.0, "backoff")]
    first.now = 30.0
    first.request_for("/status")
    assert first.now == 30.0 + first.session.profile.interval, "the interval is kept after it, too"


def test_a_turn_that_waits_for_its_start_already_is_held_by_a_retry_after_that_another_meets() -> None:
    shared = ClientState()
    first, second = refused(shared, [("retry-after", "30")]), Hand(warm(shared))
    second.session.ask("two", now=0.0)
    assert second.session.next_action(now=0.0) == TurnStarted("gpt-4o-mini")
    wait = second.session.next_action(now=0.0)
    assert isinstance(wait, Wait)
    assert wait.until == second.session.profile.interval
    assert isinstance(first.session.next_action(now=0.0), Retrying)
    second.now = wait.until
    second.session.wait_elapsed(wait)
    second.request_for("/chat")
    assert second.now == 30.0


@pytest.mark.parametrize("status", [418, 429, 503, 403])
def test_a_retry_after_holds_the_client_where_it_ends_the_turn_that_met_it(status: int) -> None:
    shared = ClientState()
    first = refused(shared, [("retry-after", "50")], status, policy=Policy(max_retries=0))
    with pytest.raises(ServiceError):
        first.pull()
    second = Hand(warm(shared))
    second.session.ask("two", now=0.0)
    second.request_for("/chat")
    assert second.now == 50.0


def test_a_retry_after_past_the_bound_ends_every_turn_at_once_until_it_is_near() -> None:
    shared = ClientState()
    first, second = refused(shared, [("retry-after", "3600")]), Hand(warm(shared))
    with pytest.raises(RateLimitError, match="3600 s"):
        first.pull()
    second.now = 600.0
    second.session.ask("two", now=second.now)
    with pytest.raises(RateLimitError, match="3000 s") as caught:
        second.pull()
    assert (caught.value.status, caught.value.retry_after) == (0, 3000.0)
    assert second.now == 600.0
    assert second.waits == []
    assert second.session.conversation.vqd == "4-0", "nothing was sent"
    second.now = 3550.0
    second.session.ask("two", now=second.now)
    second.request_for("/chat")
    assert second.now == 3600.0


@each_of("over", [0.0, 0.2])
def test_a_hold_that_lasts_as_long_as_the_turn_ends_it_at_once(over: float) -> None:
    shared = ClientState()
    shared.pacer.hold(40.0 + over)
    hand = Hand(warm(shared, Policy(turn_timeout=0.5)))
    hand.now = 39.5
    hand.session.ask("Hi", now=hand.now)
    with pytest.raises(RateLimitError, match="stay away"):
        hand.pull()
    assert hand.waits == []


def test_a_challenge_is_answered_when_the_hold_is_over() -> None:
    shared = ClientState()
    shared.pacer.hold(30.0)
    conversation = Conversation(vqd="4-0", vqd_hash_1="e30=", fe_version="x-y")
    session = Session(
        conversation=conversation, cookies={}, shared=shared, answer_challenge="always", solver="embedder"
    )
    hand = Hand(session)
    hand.session.ask("Hi", now=0.0)
    assert isinstance(hand.pull(), SolveChallenge)
    assert hand.now == 30.0


def test_a_page_that_says_retry_after_holds_the_turn_itself() -> None:
    hand = Hand()
    hand.session.ask("one", now=0.0)
    hand.request_for("duckai=1")
    hand.answer(503, [("retry-after", "20")])
    hand.request_for("/aichat")
    assert hand.now == 20.0


def test_a_shorter_retry_after_does_not_end_a_longer_one() -> None:
    shared = ClientState()
    chats = [Hand(warm(shared)) for _ in range(3)]
    chats[0].session.ask("one", now=0.0)
    chats[0].request_for("/chat")
    chats[1].session.ask("two", now=0.0)
    chats[1].request_for("/chat")  # at 1.5 s: both are under way
    for hand, seconds in zip(chats, ("40", "7"), strict=False):
        hand.answer(429, [("retry-after", seconds)])
        assert isinstance(hand.session.next_action(now=2.0), Retrying)
    chats[2].now = 2.0
    chats[2].session.ask("three", now=2.0)
    chats[2].request_for("/chat")
    assert chats[2].now == 42.0


def test_a_session_that_is_stored_takes_the_hold_along_and_one_that_is_restored_keeps_the_longer() -> None:
    shared = ClientState()
    first = refused(shared, [("retry-after", "30")])
    assert isinstance(first.session.next_action(now=0.0), Retrying)
    stored = warm(shared).snapshot(now=10.0)
    elsewhere = Hand(Session.restore(stored, now=1000.0))
    elsewhere.now = 1000.0
    elsewhere.session.ask("two", now=elsewhere.now)
    elsewhere.pull()
    assert elsewhere.now == 1020.0

    held = refused(
        ClientState(), [("retry-after", "Thu, 01 Jan 9999 00:00:00 GMT"), ("date", "Tue, 01 Apr 2025 12:00:00 GMT")]
    )
    with pytest.raises(RateLimitError):
        held.pull()
    Session.restore(held.session.snapshot(now=held.now), now=1000.0)  # however long it is

    longer = ClientState()
    longer.pacer.hold(1050.0)
    Session.restore(stored, now=1000.0, shared=longer)
    assert longer.pacer.held_until == 1050.0
    assert warm(shared).snapshot(now=30.0)["held_until"] is None
