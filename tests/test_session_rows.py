"""Every row of PROTOCOL.md's tables through a session: what ends a turn, what is tried again, and how."""

from __future__ import annotations

import pytest
from test_session import PAGE, Hand

from ddg_protocol import Failure, FailureKind, SendRequest, Session, SolveChallenge, TransportError


def to_request(hand: Hand, path: str) -> SendRequest:
    """Ask, and answer all requests before the one for a path, which is returned."""
    hand.session.ask("Hi", now=hand.now)
    request = hand.pull()
    assert isinstance(request, SendRequest)
    while not request.url.endswith(path):
        hand.answer(headers=[("x-vqd-4", "4-1")] if request.url.endswith("/status") else (), body=PAGE)
        request = hand.pull()
        assert isinstance(request, SendRequest)
    return request


# Failures of the driver's


@pytest.mark.parametrize("path", ["duckai=1", "/aichat", "/status", "/chat"])
@pytest.mark.parametrize("after_head", [False, True])
def test_an_interrupted_exchange_ends_the_turn_whatever_it_was_for(path: str, after_head: bool) -> None:
    hand = Hand()
    request = to_request(hand, path)
    if after_head:
        hand.session.receive_head(request, 503, (), now=hand.now)
    hand.fail(FailureKind.INTERRUPTED)
    with pytest.raises(TransportError) as caught:
        hand.pull()
    assert caught.value.failure == Failure(FailureKind.INTERRUPTED, "it broke")


def test_a_token_that_went_out_before_a_redirect_is_spent_though_the_next_place_could_not_be_reached() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(308, [("location", "https://duck.ai/duckchat/v1/chat")])
    hand.request_for("/chat")
    hand.fail(FailureKind.NOT_SENT)
    hand.request_for("/status")


def test_a_redirected_question_keeps_its_token_and_the_answer_that_belongs_to_it() -> None:
    hand = Hand(Session(solver="embedder", answer_challenge="always"))
    hand.session.ask("Hi", now=0)
    for path in ("duckai=1", "/aichat"):
        hand.request_for(path)
        hand.answer(body=PAGE)
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", "e30=")])
    solve = hand.pull()
    assert isinstance(solve, SolveChallenge)
    hand.session.challenge_solved(solve, "YW5zd2Vy")
    first = hand.request_for("/chat")
    hand.answer(307, [("location", "https://duck.ai/duckchat/v1/chat"), ("x-vqd-4", "4-2"), ("x-vqd-hash-1", "e31=")])
    moved = hand.request_for("/chat")
    for name in ("x-vqd-4", "x-vqd-hash-1"):
        assert dict(moved.headers)[name] == dict(first.headers)[name]
