"""A session against the service, face to face, and against responses made by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from support.cases import each_of
from support.facing import Cut, Run, byte_by_byte, whole
from support.hand import DONE, HELLO, PAGE, STREAM, Hand, echoing, move_to

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    ChatTimeoutError,
    ClientState,
    Conversation,
    FailureKind,
    HandshakeError,
    LocalProtocolError,
    Message,
    ModelNotSupportedError,
    Policy,
    RateLimitError,
    Retrying,
    SendRequest,
    ServiceError,
    Session,
    SolveChallenge,
    TextDelta,
    TransportError,
    TurnCancelled,
    TurnFinished,
    TurnStarted,
    UnsupportedChallenge,
    Wait,
)
from ddg_protocol._phases import Ready
from ddg_protocol._state import AT_REST, COMMANDS, MOVES, Awaited, Command, Link, LinkMove, Move, Report, State
from ddg_protocol.errors import (
    ChallengeError,
    ConversationLimitError,
    EmptyResponseError,
    IncompleteStream,
    InputLimitError,
    InvalidToken,
    RedirectRefused,
    TokenError,
)
from ddg_protocol.events import (
    ChallengeReceived,
    FrontEndVersionUnknown,
    LandingPageFailed,
    LimitReached,
    ServiceNotice,
)
from ddg_protocol.service import Question, Service

# A conversation, whole


@each_of("cut, challenge", [(whole, False), (byte_by_byte, True)])
def test_a_conversation_face_to_face_with_the_service(cut: Cut, challenge: bool) -> None:
    run = Run(Session(), echoing(challenge=challenge), cut=cut)
    first, second = run.ask("Why is the sky blue?"), run.ask("And at night?")
    assert first.text == "You said: Why is the sky blue? ☃"
    assert second.text == "You said: And at night? ☃"
    assert (first.reason, first.model) == ("stop", "gpt-4o-mini")
    assert run.session.conversation.message_history == (
        Message("user", "Why is the sky blue?"),
        Message("assistant", first.text),
        Message("user", "And at night?"),
        Message("assistant", second.text),
    )
    refused = [418] if challenge else []
    assert run.statuses == [200, 200, 200, *refused, 200, 200]
    assert run.session.state is State.READY


def test_the_handshake_asks_for_version_cookies_and_tokens_in_that_order_and_once() -> None:
    run = Run(Session(), echoing())
    run.ask("one")
    run.ask("two")
    paths = [request.url.removeprefix("https://duckduckgo.com") for request in run.requests]
    assert paths == [
        "/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1",
        "/aichat",
        "/duckchat/v1/status",
        "/duckchat/v1/chat",
        "/duckchat/v1/chat",
    ]


def test_the_second_request_carries_the_history_and_the_newest_tokens() -> None:
    run = Run(Session(), echoing())
    reply = run.ask("one")
    given = dict(run.handle(run.requests[2]).headers)["x-vqd-4"]
    run.ask("two")
    body = json.loads(run.requests[-1].body)
    assert body["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": reply.text},
        {"role": "user", "content": "two"},
    ]
    first, second = (dict(request.headers)["x-vqd-4"] for request in run.requests[-2:])
    assert len({first, second, given}) == 3


def test_every_request_has_the_headers_of_section_2() -> None:
    run = Run(Session(), echoing(challenge=True))
    run.ask("one")
    identity = DUCKDUCKGO_2025_04.identity
    front, landing, status, chat, answered = (dict(request.headers) for request in run.requests)
    for headers in (front, landing, status, chat, answered):
        assert headers["user-agent"] == identity.user_agent
        assert headers["accept-language"] == "en-US,en;q=0.9"
        assert {"dcs=1", "dcm=3"} <= set(headers["cookie"].split("; "))
    assert front["accept"] == landing["accept"] == "text/html"
    for headers in (status, chat):
        assert headers["accept"] == "text/event-stream"
        assert headers["content-type"] == "application/json"
        assert headers["origin"] == "https://duckduckgo.com"
        assert headers["referer"] == "https://duckduckgo.com/"
    assert (status["cache-control"], status["pragma"], status["x-vqd-accept"]) == ("no-cache", "no-cache", "1")
    assert status["accept-encoding"] == front["accept-encoding"] == "gzip, deflate"
    assert chat["accept-encoding"] == "identity"
    assert chat["sec-ch-ua"] == identity.sec_ch_ua
    assert chat["x-fe-version"] == run.service.front_end_version
    assert chat["x-vqd-hash-1"] == ""
    assert answered["x-vqd-hash-1"]
    assert answered["x-vqd-4"] != chat["x-vqd-4"]


def test_a_challenge_is_answered_on_demand_and_then_at_once() -> None:
    run = Run(Session(), echoing(challenge=True))
    run.ask("one")
    assert ChallengeReceived() in run.events
    run.ask("two")
    assert ChallengeReceived() not in run.events
    assert run.statuses == [200, 200, 200, 418, 200, 200]
    assert run.session.conversation.answers_wanted


def test_always_answers_the_first_request() -> None:
    run = Run(Session(answer_challenge="always"), echoing(challenge=True))
    run.ask("one")
    assert run.statuses == [200, 200, 200, 200]


def test_never_does_not_answer() -> None:
    run = Run(Session(answer_challenge="never"), echoing(challenge=True))
    with pytest.raises(ChallengeError) as caught:
        run.ask("one")
    assert (caught.value.status, caught.value.type, caught.value.retryable) == (418, "ERR_CHALLENGE", False)
    assert run.session.conversation == Conversation(model="gpt-4o-mini")


def test_a_conversation_saved_by_one_session_goes_on_in_another() -> None:
    service = echoing(challenge=True)
    before = Run(Session(model="o3-mini"), service)
    before.ask("one")
    saved = before.session.conversation.to_json()
    after = Run(Session(conversation=Conversation.from_json(saved)), service)
    assert after.ask("two").model == "o3-mini"
    # No handshake: version, cookies and tokens were saved, and that answers are wanted.
    assert [request.method for request in after.requests] == ["POST"]
    assert len(json.loads(after.requests[0].body)["messages"]) == 3


def test_the_model_of_a_turn_becomes_the_conversations() -> None:
    run = Run(Session(), echoing())
    assert run.ask("one", model="claude-3-haiku").model == "claude-3-haiku-20240307"
    assert run.ask("two").model == "claude-3-haiku-20240307"


def test_a_model_that_is_not_there_is_refused_before_anything_happens() -> None:
    session = Session()
    with pytest.raises(ModelNotSupportedError, match=r"gpt-9.*gpt-4o-mini"):
        session.ask("one", model="gpt-9", now=0)
    assert session.state is State.READY
    with pytest.raises(ValueError, match="gpt-9"):
        Session(model="gpt-9")


# Each piece when its bytes arrive


def test_the_first_piece_comes_out_before_any_more_bytes_exist() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=0)
    assert hand.pull() is NEED_DATA
    hand.session.receive_data(request, b'data: {"action":"success","message":"Hel"}\n\n')
    assert hand.session.next_action(now=0) == TextDelta("Hel")
    assert hand.session.next_action(now=0) is NEED_DATA
    assert hand.session.next_action(now=0) is NEED_DATA


@each_of("chunk", [HELLO * 3, b": hi\n\n" + HELLO * 3, HELLO * 3 + b"data: {", HELLO * 3 + b"data: [PING]\n\n"])
def test_all_pieces_of_a_chunk_come_out_before_any_more_bytes_are_asked_for(chunk: bytes) -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=0)
    assert hand.pull() is NEED_DATA
    for _ in range(3):
        hand.events.clear()
        hand.session.receive_data(request, chunk if chunk[-1:] == b"\n" else chunk + b"\n\n")
        assert hand.pull() is NEED_DATA
        assert [event for event in hand.events if isinstance(event, TextDelta)] == [
            TextDelta("Hel"),
            TextDelta("lo"),
        ] * 3


def test_the_session_moves_when_an_action_is_pulled_not_when_bytes_arrive() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(200, STREAM, HELLO + DONE)
    assert hand.session.state is State.REQUESTING
    assert hand.session.conversation.message_history == ()
    seen = [hand.session.next_action(now=0) for _ in range(2)]
    assert seen == [TextDelta("Hel"), TextDelta("lo")]
    assert hand.session.conversation.message_history == ()
    finished = hand.session.next_action(now=0)
    assert finished == TurnFinished("Hello", "stop", "gpt-4o-mini", None)
    assert len(hand.session.conversation.message_history) == 2
    assert hand.session.next_action(now=0) is PAUSED


def test_what_follows_done_is_read_for_the_connection_and_changes_nothing() -> None:
    for ending in ("eof", "failure", "silence", "ask"):
        hand = Hand()
        request = hand.to_chat()
        hand.session.receive_head(request, 200, STREAM, now=0)
        hand.session.receive_data(request, HELLO + DONE)
        assert hand.pull() is NEED_DATA
        assert isinstance(hand.events[-1], TurnFinished)
        assert hand.session.state is State.DRAINING
        match ending:
            case "eof":
                hand.session.receive_eof(request)
            case "failure":
                hand.fail(FailureKind.CUT)
            case "silence":
                assert hand.session.deadline is not None
                hand.now = hand.session.deadline
            case "ask":
                hand.session.ask("more", now=0)
                hand.request_for("/status")  # no new token came
                continue
        assert hand.pull() is PAUSED
        assert len(hand.session.conversation.message_history) == 2


# Transactions


def test_a_turn_that_broke_leaves_the_conversation_and_the_next_begins_with_status() -> None:
    hand = Hand()
    request = hand.to_chat("one")
    hand.answer(200, [*STREAM, ("x-vqd-4", "4-2")], HELLO + DONE)
    assert hand.pull() is PAUSED
    before = hand.session.conversation
    hand.session.ask("two", now=0)
    request = hand.request_for("/chat")
    assert dict(request.headers)["x-vqd-4"] == "4-2"
    hand.session.receive_head(request, 200, STREAM, now=0)
    hand.session.receive_data(request, HELLO)
    assert hand.pull() is NEED_DATA
    hand.fail(FailureKind.CUT)
    with pytest.raises(IncompleteStream) as caught:
        hand.pull()
    assert caught.value.text == "Hello"
    assert hand.session.state is State.READY
    assert hand.session.conversation.message_history == before.message_history
    assert hand.session.next_action(now=0) is PAUSED
    hand.session.ask("two", now=0)
    hand.request_for("/status")


def test_a_cancelled_turn_leaves_the_conversation_and_says_what_had_come() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=0)
    hand.session.receive_data(request, HELLO)
    hand.session.next_action(now=0)
    hand.session.cancel()
    assert hand.session.next_action(now=0) == TurnCancelled("Hel")
    assert hand.session.next_action(now=0) is PAUSED
    assert hand.session.conversation.message_history == ()
    hand.session.receive_data(request, DONE)  # late: dropped
    assert hand.session.next_action(now=0) is PAUSED


def test_a_conversation_at_its_limit_is_refused_without_a_request() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(200, STREAM, HELLO + b"data: [DONE][LIMIT_CONVERSATION]\n\n")
    assert hand.pull() is PAUSED
    assert LimitReached("conversation") in hand.events
    hand.session.ask("more", now=0)
    with pytest.raises(ConversationLimitError):
        hand.session.next_action(now=0)
    assert hand.session.next_action(now=0) is PAUSED


def test_a_prompt_over_the_bound_is_refused_without_a_request() -> None:
    session = Session(policy=Policy(max_prompt_chars=3))
    session.ask("four", now=0)
    with pytest.raises(InputLimitError, match=r"4 characters.*at most 3"):
        session.next_action(now=0)
    session = Session(policy=Policy(max_prompt_chars=None))
    session.ask("x" * 20_000, now=0)
    assert session.next_action(now=0) == TurnStarted("gpt-4o-mini")


# The handshake when it goes wrong


def test_pages_that_fail_are_events_and_the_handshake_goes_on() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    hand.request_for("duckai=1")
    hand.answer(503, body=b"<html>")
    hand.request_for("/aichat")
    hand.fail(FailureKind.CUT)
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1")], body=b'{"status":"1"}')
    chat = hand.request_for("/chat")
    unknown, failed, notice = hand.events[1:]
    assert isinstance(unknown, FrontEndVersionUnknown)
    assert isinstance(unknown.cause, ServiceError)
    assert isinstance(failed, LandingPageFailed)
    assert isinstance(notice, ServiceNotice)
    assert dict(chat.headers)["x-fe-version"] == ""
    assert dict(chat.headers)["cookie"] == "dcs=1; dcm=3"


def in_sixteens(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 16] for at in range(0, len(data), 16))


def test_a_version_split_over_chunks_and_the_cookies_are_shared_by_the_client_s_sessions() -> None:
    shared = ClientState()
    run = Run(Session(shared=shared), echoing(), cut=in_sixteens)
    run.ask("one")
    assert shared.fe_version == run.service.front_end_version
    other = Run(Session(shared=shared), echoing(), start=run.now)
    other.ask("two")
    assert [request.url.rpartition("/")[2] for request in other.requests] == ["status", "chat"]
    sent = [dict(request.headers)["cookie"] for request in (run.requests[2], other.requests[0])]
    assert sent[0] == sent[1] != "dcs=1; dcm=3"


def test_a_missing_token_is_asked_for_again_up_to_the_maximum() -> None:
    hand = Hand(Session(jitter=lambda: 0.0))
    hand.session.ask("Hi", now=0)
    for path in ("duckai=1", "/aichat", "/status", "/status", "/status"):
        hand.request_for(path)
        hand.answer(body=PAGE)
    hand.request_for("/status")
    hand.answer()
    with pytest.raises(HandshakeError, match="x-vqd-4"):
        hand.pull()
    retries = [event for event in hand.events if isinstance(event, Retrying)]
    assert [(event.attempt, event.delay) for event in retries] == [(1, 2.0), (2, 4.0), (3, 8.0)]


def test_a_token_that_could_not_be_sent_back_is_refused() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    for path in ("duckai=1", "/aichat"):
        hand.request_for(path)
        hand.answer(body=PAGE)
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1\r\nevil: 1")])
    with pytest.raises(InvalidToken) as caught:
        hand.pull()
    assert "evil" not in str(caught.value)


def test_requests_start_at_least_the_interval_apart() -> None:
    run = Run(Session(), echoing())
    run.ask("one")
    assert [wait.reason for wait in run.waits] == ["pacing"] * 3
    starts = [1_745_000_000.0, *(wait.until for wait in run.waits)]
    assert [after - before for before, after in pairwise(starts)] == [1.5, 1.5, 1.5]


def test_a_wait_may_be_asked_for_again() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    hand.request_for("duckai=1")
    hand.answer(body=PAGE)
    wait = hand.session.next_action(now=0)
    assert isinstance(wait, Wait)
    assert hand.session.next_action(now=0) is wait
    hand.session.wait_elapsed(wait)
    hand.session.wait_elapsed(wait)
    assert isinstance(hand.session.next_action(now=wait.until), SendRequest)
    hand.session.wait_elapsed(wait)


# Redirects


def test_a_redirect_is_followed_to_an_allowed_host_and_not_echoing() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    hand.request_for("duckai=1")
    hand.answer(302, [("location", "https://start.duckduckgo.com/page#x")])
    moved = hand.session.next_action(now=0)
    assert isinstance(moved, SendRequest)
    assert moved.url == "https://start.duckduckgo.com/page"
    assert "cookie" not in dict(moved.headers)  # the client's own cookies are the origin's


@each_of(
    "status, location, why",
    [
        (302, "https://duckduckgo.com/x", "drop"),
        (307, "https://evil.example/x", "not allow"),
        (307, "http://duckduckgo.com/x", "stay on https"),
        (308, "", "no valid address"),
        (307, "https://user@duckduckgo.com/", "stay on"),
    ],
)
def test_a_redirect_that_is_not_followed(status: int, location: str, why: str) -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(status, [("location", location)])
    with pytest.raises(RedirectRefused, match=why):
        hand.pull()


def test_a_question_is_sent_on_by_308() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.answer(308, [("location", "https://duck.ai/duckchat/v1/chat")])
    moved = hand.request_for("/chat")
    assert (moved.url, moved.method, moved.body) == ("https://duck.ai/duckchat/v1/chat", "POST", request.body)
    assert moved.id != request.id


# Refusals, retries


def test_a_429_is_retried_with_fresh_cookies_and_tokens() -> None:
    hand = Hand(Session(jitter=lambda: 0.5))
    hand.to_chat()
    hand.answer(429, [("x-vqd-4", "4-2")], b'{"action":"error","status":429,"type":"ERR_RATE_LIMIT"}')
    hand.request_for("/aichat")
    (retrying,) = [event for event in hand.events if isinstance(event, Retrying)]
    assert (retrying.attempt, retrying.delay) == (1, 6.0)
    assert isinstance(retrying.cause, RateLimitError)
    assert "seen=1" not in dict(hand.request.headers if hand.request else ())["cookie"]
    hand.answer()
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-3")])
    assert dict(hand.request_for("/chat").headers)["x-vqd-4"] == "4-3"


def test_a_longer_retry_after_is_waited_for_and_one_past_the_bound_ends_the_turn() -> None:
    hand = Hand(Session(jitter=lambda: 0.0))
    hand.to_chat()
    hand.answer(429, [("retry-after", "30")])
    hand.request_for("/aichat")
    assert [event.delay for event in hand.events if isinstance(event, Retrying)] == [30.0]

    hand = Hand()
    hand.to_chat()
    date, later = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 09:49:37 GMT"
    hand.answer(429, [("date", date), ("retry-after", later)])
    with pytest.raises(RateLimitError, match="3600 s") as caught:
        hand.pull()
    assert caught.value.retry_after == 3600


def test_a_bad_token_is_replaced_once() -> None:
    hand = Hand()
    hand.to_chat()
    body = b'{"action":"error","status":400,"type":"ERR_INVALID_VQD"}'
    hand.answer(400, body=body)
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-2")])
    hand.request_for("/chat")
    hand.answer(400, body=body)
    with pytest.raises(TokenError):
        hand.pull()


def test_nothing_is_retried_after_the_first_piece() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(200, STREAM, HELLO + b'data: {"action":"error","status":429,"type":"ERR_RATE_LIMIT"}\n\n')
    with pytest.raises(RateLimitError) as caught:
        hand.pull()
    assert caught.value.text == "Hello"


def test_an_error_in_the_stream_before_any_piece_is_retried() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(200, STREAM, b'data: {"action":"error","status":503}\n\n')
    hand.request_for("/status")  # the token was spent, and no new one came


def test_a_question_that_may_have_been_processed_is_not_sent_again() -> None:
    hand = Hand()
    hand.to_chat()
    hand.fail(FailureKind.CUT)
    with pytest.raises(TransportError, match="it broke") as caught:
        hand.pull()
    assert caught.value.failure.kind is FailureKind.CUT


def test_a_question_that_was_not_sent_goes_out_again_with_the_same_token() -> None:
    hand = Hand()
    hand.to_chat()
    hand.fail(FailureKind.NOT_SENT)
    assert dict(hand.request_for("/chat").headers)["x-vqd-4"] == "4-1"


def test_a_200_that_is_no_event_stream_is_an_error_with_its_body() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(200, [("content-type", "text/html")], b"<html>hello")
    with pytest.raises(ServiceError, match="not a reply") as caught:
        hand.pull()
    assert caught.value.body == b"<html>hello"


def test_a_reply_without_text_is_an_error() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(200, STREAM, DONE)
    with pytest.raises(EmptyResponseError):
        hand.pull()


def test_a_body_shorter_than_its_content_length_is_incomplete() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(200, [*STREAM, ("content-length", "1000")], HELLO)
    with pytest.raises(IncompleteStream, match="of 1000 bytes"):
        hand.pull()


# Time


def test_a_peer_that_says_nothing_is_ended_by_the_read_timeout() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    assert hand.pull() is NEED_DATA
    assert hand.session.deadline == hand.now + 30
    hand.now += 30
    with pytest.raises(ChatTimeoutError, match="read_timeout") as caught:
        hand.pull()
    assert isinstance(caught.value, TimeoutError)


def test_a_peer_that_drips_is_ended_by_the_total_timeout() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    began = hand.now
    for _ in range(60):
        assert hand.pull() is NEED_DATA
        hand.now += 1
        hand.session.receive_data(request, b":")
    with pytest.raises(ChatTimeoutError, match="total_timeout"):
        hand.pull()
    assert hand.now - began == 60


# A solver of the embedder's


def test_the_embedder_solves_a_challenge_of_any_form() -> None:
    script = "(function () { return whatever; })()"
    challenge = "KGZ1bmN0aW9uICgpIHsgcmV0dXJuIHdoYXRldmVyOyB9KSgp"
    hand = Hand(Session(solver="embedder", answer_challenge="always"))
    hand.session.ask("Hi", now=0)
    for path, headers in (
        ("duckai=1", []),
        ("/aichat", []),
        ("/status", [("x-vqd-4", "4-1"), ("x-vqd-hash-1", challenge)]),
    ):
        hand.request_for(path)
        hand.answer(headers=headers, body=PAGE)
    solve = hand.pull()
    assert isinstance(solve, SolveChallenge)
    assert (solve.script, solve.identity) == (script, DUCKDUCKGO_2025_04.identity)
    assert hand.session.next_action(now=0) is solve
    with pytest.raises(LocalProtocolError, match="ASCII"):
        hand.session.challenge_solved(solve, "a\r\nb")
    hand.session.challenge_solved(solve, "YW5zd2Vy")
    assert dict(hand.request_for("/chat").headers)["x-vqd-hash-1"] == "YW5zd2Vy"


def test_a_solver_that_gives_up_ends_the_turn() -> None:
    hand = Hand(Session(solver="embedder"))
    hand.to_chat(challenge="e30=")
    hand.answer(418, body=b'{"action":"error","status":418,"type":"ERR_CHALLENGE"}')
    hand.request_for("/status")  # the refusal brought no pair of its own
    hand.answer(headers=[("x-vqd-4", "4-2"), ("x-vqd-hash-1", "e30=")])
    solve = hand.pull()
    assert isinstance(solve, SolveChallenge)
    hand.session.challenge_failed(solve, "no idea")
    with pytest.raises(UnsupportedChallenge, match="no idea"):
        hand.pull()


def test_a_challenge_that_is_not_read_ends_the_turn_rather_than_be_guessed() -> None:
    hand = Hand(Session(answer_challenge="always"))
    hand.session.ask("Hi", now=0)
    with pytest.raises(UnsupportedChallenge):
        hand.handshake(challenge="e30=")
    assert hand.session.state is State.READY


# Legality


@each_of("state", State)
@each_of("command", Command)
def test_each_command_is_legal_where_the_table_says_and_else_changes_nothing(state: State, command: Command) -> None:
    hand = move_to(state)
    assert hand.session.state is state
    conversation = hand.session.conversation
    if command in COMMANDS[state]:
        give(hand.session, command)
        assert hand.session.state is COMMANDS[state][command]
    else:
        with pytest.raises(LocalProtocolError, match=rf"not legal now \({re.escape(state.value)}"):
            give(hand.session, command)
        assert hand.session.state is state
        assert hand.session.conversation is conversation


def give(session: Session, command: Command) -> None:
    match command:
        case Command.ASK:
            session.ask("again", now=0)
        case Command.FETCH_MODELS:
            session.fetch_models(now=0)
        case Command.CANCEL:
            session.cancel()
        case Command.CLOSE:
            session.close()


@each_of("kind", [State, Command, Move, Awaited, Report, Link, LinkMove])
def test_every_member_of_the_tables_says_what_it_is(kind: Any) -> None:
    assert all(member.value for member in kind)


@each_of("state", State)
def test_a_move_that_is_not_in_the_table_is_a_bug_and_not_the_callers_mistake(state: State) -> None:
    for move in Move:
        session = move_to(state).session
        target = MOVES[state].get(move)
        if target is State.READY:
            session._machine.move(move, Ready())
            assert session.state is target
        elif target is None:
            with pytest.raises(AssertionError, match=f"{move.name} from {state.name}"):
                session._machine.move(move, Ready())
            assert session.state is state


def test_every_state_is_reached_and_every_state_leads_to_rest() -> None:
    leads_to = {state: {*COMMANDS[state].values(), *MOVES[state].values()} for state in State}
    reached, todo = {State.READY}, [State.READY]
    while todo:
        for target in leads_to[todo.pop()] - reached:
            reached.add(target)
            todo.append(target)
    assert reached == set(State)
    by_itself = {state: set(MOVES[state].values()) for state in State}  # without a command
    restful = set(AT_REST)
    while more := {state for state in State if state not in restful and restful & by_itself[state]}:
        restful |= more
    assert restful == set(State)


def test_answers_that_are_out_of_order_are_refused_and_late_ones_dropped() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    first = hand.request_for("duckai=1")
    with pytest.raises(LocalProtocolError, match="receive_head"):
        hand.session.receive_data(first, b"x")
    hand.answer(body=PAGE)
    with pytest.raises(LocalProtocolError, match="awaits nothing"):
        hand.session.receive_eof(first)
    hand.request_for("/aichat")
    hand.session.receive_data(first, b"late")
    hand.session.receive_head(first, 500, (), now=0)
    (wait,) = hand.waits
    hand.answer()
    other = hand.session.next_action(now=hand.now)
    hand.session.wait_elapsed(wait)
    assert hand.session.next_action(now=hand.now) is other
    request = hand.request_for("/status")
    hand.session.receive_head(request, 200, [("x-vqd-4", "4-1")], now=hand.now)
    hand.session.receive_data(first, b'{"status":"1"}')
    hand.session.receive_eof(request)
    hand.request_for("/chat")
    assert ServiceNotice not in map(type, hand.events)
    never = SendRequest(id=999, method="GET", url="https://x.example/", headers=(), body=b"", timeout=1)
    with pytest.raises(LocalProtocolError, match="999"):
        hand.session.receive_eof(never)
    with pytest.raises(LocalProtocolError, match="not a SendRequest"):
        hand.session.wait_elapsed(first)  # type: ignore[arg-type]


def test_interim_heads_are_ignored() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    first = hand.request_for("duckai=1")
    hand.session.receive_head(first, 103, (), now=0)
    hand.answer(body=PAGE)
    hand.request_for("/aichat")
    assert FrontEndVersionUnknown not in map(type, hand.events)


# What must not be seen


def test_no_repr_and_no_error_shows_a_token_or_a_cookie() -> None:
    secret = "4-8364560932862494755"
    hand = Hand()
    request = hand.to_chat(token=secret)
    session = hand.session
    assert secret in dict(request.headers)["x-vqd-4"]
    for shown in (repr(request), repr(session), repr(session.conversation), str(session)):
        assert secret not in shown
        assert "dcs=1" not in shown
    hand.answer(200, [*STREAM, ("x-vqd-4", secret)], HELLO + DONE)
    hand.pull()
    assert session.conversation.vqd == secret
    assert secret not in repr(session.conversation)
    assert secret not in repr(session.conversation.tokens)


def test_a_question_of_the_embedders_is_seen_by_the_service() -> None:
    asked: list[Question] = []

    def responder(question: Question) -> str:
        asked.append(question)
        return "Yes."

    Run(Session(), Service(strict=True, responder=responder)).ask("Did it arrive?")
    assert [question.text for question in asked] == ["Did it arrive?"]
