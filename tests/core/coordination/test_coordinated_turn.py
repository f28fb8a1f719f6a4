"""A session that goes by a shared engine, call by call: what it asks, and what follows from each result."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from support.cases import each_of
from support.coordinated import DOWN, LEASE, NEW, READY_SLOT, STORED, Told, committing, refused, session_of, streaming
from support.hand import DONE, HELLO, LISTING, PAGE, STREAM, Hand, counting

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    ChatTimeoutError,
    ClientState,
    ConversationFormatError,
    DuckChatError,
    Failure,
    FailureKind,
    LocalProtocolError,
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
    Wait,
)
from ddg_protocol._state import State
from ddg_protocol.coordination import (
    Busy,
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    Coordinate,
    Coordination,
    Done,
    Held,
    Hold,
    Lost,
    Mark,
    Refused,
    Release,
    Reserve,
    Result,
    Slot,
)
from ddg_protocol.coordination._documents import read_conversation, read_reply, write_conversation, write_reply
from ddg_protocol.errors import (
    ConversationBusy,
    ConversationLimitError,
    EngineUnavailable,
    PaceRefused,
    TurnNotStored,
    TurnSuperseded,
)
from ddg_protocol.events import EarlierTurnUnfinished, Queued, ReplyRecalled
from ddg_protocol.policy import MAX_SECONDS

# A whole turn


def test_a_turn_claims_reserves_marks_and_commits_before_it_is_finished() -> None:
    hand = Told().ask(turn="t")
    request = hand.handshake()
    assert hand.kinds == ["Claim", "Reserve", "Reserve", "Reserve", "Reserve", "Mark"]
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    hand.session.receive_data(request, HELLO + DONE)
    hand.on(Commit, None)
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    assert hand.events == [TurnStarted("gpt-4o-mini"), TextDelta("Hel"), TextDelta("lo")]
    assert hand.session.state is State.COORDINATING
    assert hand.session.conversation.message_history == ()
    assert hand.session.next_action(now=hand.now) is intent
    hand.answer_with(intent, Committed(revision=1))
    assert hand.session.next_action(now=hand.now) == TurnFinished("Hello", "stop", "gpt-4o-mini", None)
    assert hand.session.request is request
    assert hand.session.next_action(now=hand.now) is NEED_DATA  # so that the connection can be kept
    hand.session.receive_eof(request)
    assert hand.session.next_action(now=hand.now) is PAUSED
    (commit,) = hand.of(Commit)
    assert (commit.key, commit.fence, commit.revision, commit.turn) == ("c", 7, 0, "t")
    assert read_conversation(commit.document) == hand.session.conversation
    assert read_reply(commit.reply).text == "Hello"


def test_a_question_that_can_be_read_once_is_read_for_a_first_turn_and_for_a_later_one() -> None:
    hand = Told()
    hand.session.ask(iter([{"role": "user", "content": "Hi"}]), now=hand.now)  # type: ignore[arg-type]
    assert b'"content":"Hi"' in hand.handshake().body


def test_a_call_has_what_the_settings_and_the_turn_say() -> None:
    hand = Told(session_of(lease=30.0, window=0.2, max_wait=5.0)).ask(turn="t")
    hand.handshake()
    ((claim,), (mark,), (page, landing, status, chat)) = map(hand.of, (Claim, Mark, Reserve))
    assert claim == Claim(key="c", holder=claim.holder, lease=30.0, turn="t")
    assert mark == Mark(key="c", fence=7, lease=30.0)
    assert (page.interval, page.window, page.max_wait, page.fetches) == (1.5, 0.2, 5.0, True)
    assert [call.need for call in (page, landing, status, chat)] == [4, 3, 2, 1]
    assert [call.fetches for call in (landing, status, chat)] == [False] * 3
    assert (page.ticket, page.epoch) == ("", "")
    assert {(call.ticket, call.epoch) for call in (landing, status, chat)} == {("1", "e")}
    nonces = {call.nonce for call in (page, landing, status, chat)} | {claim.holder}
    assert [len(nonce) for nonce in nonces] == [32] * 5  # 128 bits each


def test_no_turn_waits_for_longer_than_it_may_take() -> None:
    for max_wait in (60.0, None):
        hand = Told(session_of(policy=Policy(turn_timeout=7.0), max_wait=max_wait))
        hand.now = 20.0
        hand.ask().request_for("duckai=1")
        assert [call.max_wait for call in hand.of(Reserve)] == [7.0]


def test_the_front_end_version_is_told_by_the_turn_that_fetched_it_and_taken_over_by_the_others() -> None:
    hand = Told().ask()
    hand.handshake()
    version = "serp_1_ET-0123456789abcdef0123"
    assert [call.fe_version for call in hand.of(Reserve)] == ["", version, "", ""]
    other = Told().on(Reserve, msgspec.structs.replace(READY_SLOT, fe_version="serp_2_ET-0")).ask()
    other.request_for("/aichat")  # its first slot is of use for what comes next
    other.answer()
    other.request_for("/status")
    assert other.session.shared.fe_version == "serp_2_ET-0"
    assert [call.fe_version for call in other.of(Reserve)] == ["", ""]


def test_without_a_key_a_turn_shares_the_pace_alone() -> None:
    hand = Told(session_of(key=None)).ask()
    hand.handshake()
    hand.reply()
    assert hand.kinds == ["Reserve"] * 4
    assert hand.session.conversation.message_history[-1].content == "Hello"


def test_the_list_of_models_is_paced_too() -> None:
    hand = Told()
    hand.session.fetch_models(now=0.0)
    hand.request_for("/models")
    assert hand.kinds == ["Reserve"]
    hand.answer(body=b'{"models":[{"id":"listed"}]}')
    assert hand.pull() is PAUSED


@each_of("settings", [{}, {"coordination": Coordination()}])
def test_a_turn_without_the_key_of_a_conversation_has_none_itself(settings: dict[str, Any]) -> None:
    session = Session(random_bytes=counting(), **settings)
    with pytest.raises(LocalProtocolError, match="needs that of its conversation"):
        session.ask("Hi", turn="t", now=0.0)
    assert session.state is State.READY


@each_of("turn, says", [("x" * 513, "1 to 512"), ("\ud800", "surrogate"), (7, "must be text")])
def test_a_turns_key_is_text_that_every_store_can_hold(turn: Any, says: str) -> None:
    with pytest.raises(LocalProtocolError, match=says):
        session_of().ask("Hi", turn=turn, now=0.0)


def test_nonces_are_unique_or_there_is_no_session() -> None:
    with pytest.raises(ValueError, match="needs random_bytes"):
        Session(coordination=Coordination(key="c"))


# The conversation


def test_the_stored_conversation_is_continued_whatever_the_session_had() -> None:
    hand = Told().stored()
    hand.ask()
    hand.request_for("/aichat")  # the front-end version came with the document
    hand.answer(headers=[("set-cookie", "seen=1; path=/")])
    request = hand.request_for("/chat")  # and so did a token
    assert dict(request.headers)["x-vqd-4"] == "4-9"
    assert b'"Since."' in request.body
    assert b'"o3-mini"' in request.body
    hand.reply()
    (commit,) = hand.of(Commit)
    assert commit.revision == 4
    stored = read_conversation(commit.document)
    assert [message.text for message in stored.message_history] == ["Why?", "Since.", "Hi", "Hello"]


def test_the_first_turn_stores_the_conversation_that_the_session_had() -> None:
    session = Session(conversation=STORED, coordination=Coordination(key="c"), random_bytes=counting())
    hand = Told(session).ask()
    hand.request_for("/aichat")
    hand.answer()
    assert b'"Since."' in hand.request_for("/chat").body


def test_another_turn_of_the_same_session_needs_nothing_but_the_new_calls() -> None:
    hand = Told().ask()
    hand.handshake()
    hand.reply()
    (commit,) = hand.of(Commit)
    hand.on(Claim, Claimed(fence=9, revision=1, document=commit.document))
    assert (commit.turn, commit.reply) == ("", b"")  # nobody can ask for it
    hand.calls.clear()
    hand.ask("And?")
    hand.request_for("/status")
    assert hand.kinds == ["Claim", "Reserve"]


def test_a_refusal_drops_the_landing_pages_cookies_that_its_request_had() -> None:
    hand = Told()
    hand.now = 100.0
    hand.ask().handshake()
    hand.answer(429, (), b"")
    hand.request_for("/aichat")


def test_another_turn_of_the_same_session_still_knows_when_its_cookies_end() -> None:
    hand = Told().ask()
    hand.handshake()
    hand.answer(200, (*STREAM, ("set-cookie", "brief=1; path=/; max-age=10")), HELLO + DONE)
    assert hand.pull() is PAUSED
    hand.on(Claim, Claimed(fence=9, revision=1, document=hand.of(Commit)[0].document))
    hand.now += 11.0
    hand.ask("And?")
    assert dict(hand.request_for("/status").headers)["cookie"] == "dcs=1; dcm=3; seen=1"


def test_an_earlier_turn_that_was_not_finished_costs_its_token_and_is_told() -> None:
    hand = Told().stored(sent=True)
    hand.ask()
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/status")
    assert hand.events[:2] == [TurnStarted("o3-mini"), EarlierTurnUnfinished()]
    assert hand.session.conversation.vqd == ""
    hand.session.cancel()
    assert hand.pull() is PAUSED
    (release,) = hand.of(Release)
    assert read_conversation(release.document).vqd == ""  # or the next turn would use it


def test_the_question_is_what_it_is_at_its_place_in_the_conversation() -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi "}]
    hand = Told()
    hand.session.ask(asked, now=0.0)
    assert b"System: Be brief." in hand.handshake().body
    hand = Told().stored()
    hand.session.ask(asked, now=0.0)
    hand.request_for("/aichat")
    hand.answer()
    body = hand.request_for("/chat").body
    assert b"Be brief" not in body
    assert b'"content":"Hi"' in body


def test_a_model_that_was_asked_for_counts_more_than_that_of_the_stored_conversation() -> None:
    hand = Told().stored()
    hand.ask(model="gpt-4o-mini")
    hand.request_for("/aichat")
    hand.answer()
    assert b'"gpt-4o-mini"' in hand.request_for("/chat").body


@each_of(
    "document, error",
    [
        (b"{}", ConversationFormatError),
        (write_conversation(STORED)[:-9], ConversationFormatError),
        (write_conversation(msgspec.structs.replace(STORED, limit_reached=True)), ConversationLimitError),
        (write_conversation(msgspec.structs.replace(STORED, model="gone")), ModelNotSupportedError),
    ],
)
def test_a_stored_conversation_that_cant_be_continued_is_a_clear_error_and_left_as_it_is(
    document: bytes, error: type[DuckChatError]
) -> None:
    hand = Told().on(Claim, Claimed(fence=7, revision=4, document=document)).ask()
    refused(hand, error)
    assert hand.of(Release) == [Release(key="c", fence=7, revision=4)]
    assert hand.events == []


def test_the_options_of_a_turn_are_those_that_the_stored_conversations_model_has() -> None:
    models = (
        msgspec.structs.replace(DUCKDUCKGO_2025_04.models[0], efforts=("low",)),
        msgspec.structs.replace(DUCKDUCKGO_2025_04.models[1], efforts=("high",)),
    )
    profile = DUCKDUCKGO_2025_04.updated({"models": models, "extra_body": {"reasoningEffort": "{effort}"}})
    conversation = msgspec.structs.replace(STORED, model=models[1].id)
    hand = Told(session_of(profile)).stored(conversation)
    hand.ask(effort="low")
    refused(hand, LocalProtocolError, "low")
    hand = Told(session_of(profile)).stored(msgspec.structs.replace(STORED, model=models[0].id))
    hand.ask(effort="low")
    hand.request_for("/aichat")
    hand.answer()
    assert b'"reasoningEffort":"low"' in hand.request_for("/chat").body


def test_documents_are_sealed_and_opened_by_the_embedder() -> None:
    def turned(data: bytes) -> bytes:
        return data[::-1]

    hand = Told(session_of(seal=turned, unseal=turned))
    hand.on(Claim, Claimed(fence=7, revision=1, document=turned(write_conversation(STORED))))
    hand.ask(turn="t")
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/chat")
    hand.reply()
    (commit,) = hand.of(Commit)
    assert read_conversation(turned(commit.document)) == hand.session.conversation
    assert read_reply(turned(commit.reply)).text == "Hello"


# Busy, done, lost


def test_a_busy_conversation_is_refused() -> None:
    hand = Told().on(Claim, Busy(retry_after=12.0)).ask()
    error = refused(hand, ConversationBusy, "12 s")
    assert error.retry_after == 12.0
    assert hand.kinds == ["Claim"]


def test_a_busy_conversation_is_waited_for() -> None:
    hand = Told(session_of(on_busy="wait"))
    hand.one_after_the_other(
        Claim, Busy(retry_after=60.0), Busy(retry_after=0.25), Claimed(fence=7, revision=0, document=b"")
    )
    hand.ask().request_for("duckai=1")
    assert [wait.until for wait in hand.waits[:2]] == [1.0, 1.25]
    assert {wait.reason for wait in hand.waits[:2]} == {"busy"}
    assert [call.take_over for call in hand.of(Claim)] == [False] * 3
    assert len({call.holder for call in hand.of(Claim)}) == 1


@each_of(
    "settings, seconds",
    [({"max_wait": 5.5}, 5.0), ({"max_wait": 5.0}, 4.0), ({"policy": Policy(turn_timeout=3.5)}, 3.0)],
)
def test_a_busy_conversation_is_not_waited_for_without_end(settings: dict[str, Any], seconds: float) -> None:
    hand = Told(session_of(on_busy="wait", **settings)).on(Claim, Busy(retry_after=60.0))
    hand.now = 20.0
    hand.ask()
    refused(hand, ConversationBusy)
    assert hand.now == 20.0 + seconds


def test_a_conversation_is_claimed_again_when_the_driver_says_that_the_wait_is_over() -> None:
    hand = Told(session_of(on_busy="wait")).on(Claim, None).ask()
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    hand.answer_with(intent, Busy(retry_after=0.5))
    wait = hand.session.next_action(now=0.0)
    assert isinstance(wait, Wait)
    hand.session.wait_elapsed(wait)
    assert isinstance(hand.session.next_action(now=0.49), Coordinate)  # its timer was early


def test_a_busy_conversation_is_taken_over() -> None:
    hand = Told(session_of(on_busy="take_over")).ask()
    hand.request_for("duckai=1")
    assert [call.take_over for call in hand.of(Claim)] == [True]


def test_a_turn_that_was_done_gives_its_stored_reply_without_a_request() -> None:
    finished = TurnFinished("Since.", "length", "o3-mini", "served", reasoning=("Well",))
    done = Done(reply=write_reply(finished), revision=4, document=write_conversation(STORED))
    hand = Told().on(Claim, done).ask(turn="t")
    assert hand.pull() is PAUSED
    assert hand.events == [TurnStarted("o3-mini"), ReplyRecalled(), TextDelta("Since."), finished]
    assert hand.session.conversation == STORED
    assert hand.kinds == ["Claim"]


def test_a_stored_reply_without_a_text_has_no_delta() -> None:
    finished = TurnFinished("", "stop", "o3-mini", parts=('{"type":"x"}',))
    done = Done(reply=write_reply(finished), revision=4, document=write_conversation(STORED))
    hand = Told().on(Claim, done).ask(turn="t")
    assert hand.pull() is PAUSED
    assert hand.events == [TurnStarted("o3-mini"), ReplyRecalled(), finished]


def test_a_turn_that_was_done_too_long_ago_is_refused() -> None:
    done = Done(reply=b"", revision=4, document=write_conversation(STORED))
    hand = Told().on(Claim, done).ask(turn="t")
    refused(hand, ConversationFormatError, "no longer kept")
    assert hand.session.conversation == STORED


@each_of("reply", [b"{", b"{}", b"\xff"])
def test_a_stored_reply_that_cant_be_read_is_a_clear_error(reply: bytes) -> None:
    hand = Told().on(Claim, Done(reply=reply, revision=4, document=b"")).ask(turn="t")
    refused(hand, ConversationFormatError)


def test_a_recalled_reply_may_be_cancelled() -> None:
    finished = TurnFinished("Since.", "stop", "o3-mini")
    hand = Told().on(Claim, Done(reply=write_reply(finished), revision=4, document=b"")).ask(turn="t")
    assert isinstance(hand.session.next_action(now=0.0), Coordinate)
    hand.answer_with(Coordinate(id=1, call=Hold(seconds=0.0)), hand.rules[Claim](None))  # type: ignore[arg-type]
    assert [hand.session.next_action(now=0.0) for _ in range(2)] == [TurnStarted("o3-mini"), ReplyRecalled()]
    hand.session.cancel()
    assert [hand.session.next_action(now=0.0) for _ in range(2)] == [TurnCancelled(""), PAUSED]


def test_a_turn_whose_conversation_was_taken_over_sends_no_question() -> None:
    hand = Told().on(Mark, Lost()).ask()
    hand.request_for("duckai=1")
    hand.answer(body=PAGE)
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1")])
    error = refused(hand, TurnSuperseded)
    assert error.text == ""
    assert hand.of(Release) == []  # it is another's


def test_a_reply_whose_conversation_was_taken_over_is_not_lost() -> None:
    hand = Told().on(Commit, Lost()).ask()
    hand.handshake()
    hand.answer(200, STREAM, HELLO + DONE)
    error = refused(hand, TurnSuperseded)
    assert error.text == "Hello"
    assert hand.session.conversation.message_history == ()
    assert hand.of(Release) == []


# Slots


def test_a_request_begins_within_its_slot() -> None:
    hand = Told()
    hand.on(Reserve, None).ask()
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    hand.now = 0.01  # the answer was 10 ms under way
    hand.session.coordinated(intent, msgspec.structs.replace(READY_SLOT, delay=0.02), asked=0.0, now=hand.now)
    wait = hand.session.next_action(now=hand.now)
    assert isinstance(wait, Wait)
    assert wait.until == pytest.approx(0.03)
    assert wait.reason == "pacing"
    hand.session.wait_elapsed(wait)
    again = hand.session.next_action(now=0.025)  # its timer was early
    assert isinstance(again, Wait)
    assert again.until == pytest.approx(0.03)
    hand.session.wait_elapsed(again)
    assert isinstance(hand.session.next_action(now=0.05), SendRequest)


def test_a_slot_that_was_missed_is_asked_for_anew_with_a_wider_window() -> None:
    hand = Told(session_of(window=0.4)).on(Reserve, None).ask()
    for window in (0.4, 0.8, 1.0, 1.0):
        intent = hand.pull()
        assert isinstance(intent, Coordinate)
        assert isinstance(intent.call, Reserve)
        assert intent.call.window == window
        hand.session.coordinated(intent, READY_SLOT, asked=hand.now, now=hand.now + window)
        hand.now += window + 0.01
    assert len({call.nonce for call in hand.of(Reserve)}) == 1


def test_a_slot_that_is_not_final_is_confirmed_after_its_delay() -> None:
    hand = Told()
    hand.one_after_the_other(Reserve, Slot(delay=4.5, final=False, ticket="3", epoch="e", position=2), READY_SLOT)
    hand.ask().request_for("duckai=1")
    assert Queued(2, 4.5) in hand.events
    assert [wait.until for wait in hand.waits] == [4.5]
    first, second = hand.of(Reserve)
    assert (second.nonce, second.ticket, second.epoch) == (first.nonce, "3", "e")


def test_a_slot_that_is_too_far_off_is_refused() -> None:
    hand = Told().on(Reserve, Refused(wait=99.4)).ask()
    error = refused(hand, PaceRefused, "99 s")
    assert error.wait == 99.4
    assert hand.kinds == ["Claim", "Reserve", "Release"]


def test_the_mark_is_set_once_a_turn() -> None:
    hand = Told().ask()
    hand.handshake()
    hand.answer(503)
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-2")])
    hand.request_for("/chat")
    assert hand.kinds.count("Mark") == 1


def test_a_challenge_is_answered_before_the_slot_is_asked_for() -> None:
    session = Session(
        LISTING,
        solver="embedder",
        answer_challenge="always",
        coordination=Coordination(key="c"),
        random_bytes=counting(),
    )
    hand = Told(session).ask()
    hand.request_for("duckai=1")
    hand.answer(body=PAGE)
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", "e30=")])
    solve = hand.pull()
    assert isinstance(solve, SolveChallenge)
    assert hand.kinds == ["Claim", *["Reserve"] * 3]
    session.challenge_solved(solve, "YW5zd2Vy")
    hand.request_for("/chat")
    assert hand.kinds[-2:] == ["Reserve", "Mark"]


# Holds


def test_a_retry_after_is_told_to_the_engine_before_the_turn_waits() -> None:
    hand = Told().ask()
    hand.handshake()
    hand.answer(503, [("retry-after", "10")])
    came = hand.now
    hand.request_for("/status")
    assert hand.of(Hold) == [Hold(seconds=10.0)]
    assert hand.kinds[6:8] == ["Hold", "Reserve"]
    assert hand.now >= came + 10


def test_a_retry_after_that_ends_the_turn_is_told_too() -> None:
    hand = Told().ask()
    hand.handshake()
    hand.answer(429, [("retry-after", "4000")])
    refused(hand, RateLimitError)
    assert hand.kinds[6:] == ["Hold", "Release"]
    assert hand.of(Hold) == [Hold(seconds=4000.0)]


def test_a_retry_after_without_end_is_told_once() -> None:
    hand = Told(session_of(policy=Policy(max_retry_after=0.0))).ask()
    hand.handshake()
    hand.answer(429, [("retry-after", "9" * 9)])
    refused(hand, RateLimitError)
    assert hand.of(Hold) == [Hold(seconds=1_000_000.0)]
    hand.ask()
    refused(hand, RateLimitError)
    assert len(hand.of(Hold)) == 2


@each_of("seconds", [2.0, 3.0])
@each_of("cancelled", [False, True])
def test_a_hold_that_is_over_is_not_told(seconds: float, cancelled: bool) -> None:
    shared = ClientState()
    hand = Told(session_of(shared=shared)).ask()
    hand.handshake()
    hand.answer(503, [("retry-after", "2")])
    assert isinstance(hand.session.next_action(now=hand.now), Retrying)
    hand.now += seconds
    if cancelled:
        hand.session.cancel()
        assert hand.pull() is PAUSED
    else:
        hand.request_for("/status")
    assert hand.of(Hold) == []


# The lease


def test_the_lease_is_renewed_during_the_reply_without_disturbing_it() -> None:
    hand = Told(session_of(policy=Policy(read_timeout=1000.0, total_timeout=1000.0, turn_timeout=1000.0)))
    request = streaming(hand)
    marked = hand.now
    assert hand.session.deadline == marked + LEASE / 3
    read_by = hand.session.read_by
    assert read_by is not None
    assert read_by > marked + 900
    hand.on(Claim, None)
    hand.now = marked + LEASE / 3
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    assert hand.session.state is State.STREAMING
    assert intent.call == Claim(key="c", holder=hand.of(Claim)[0].holder, lease=LEASE, fence=7)
    assert hand.session.next_action(now=hand.now) is intent
    hand.answer_with(intent, Claimed(fence=7, revision=0, document=b""))
    assert hand.pull() is NEED_DATA
    assert hand.session.deadline == hand.now + LEASE / 3
    hand.session.receive_data(request, DONE)
    hand.session.receive_eof(request)
    assert hand.pull() is PAUSED
    assert hand.events[-1] == TurnFinished("Hello", "stop", "gpt-4o-mini", None)


def test_data_that_comes_while_the_lease_is_renewed_is_read() -> None:
    hand = Told()
    request = streaming(hand)
    hand.on(Claim, None)
    hand.now += LEASE / 3
    late = hand.pull()
    assert isinstance(late, Coordinate)
    hand.session.receive_data(request, DONE)
    assert hand.pull() is NEED_DATA
    assert hand.events[-1] == TurnFinished("Hello", "stop", "gpt-4o-mini", None)
    hand.answer_with(late, Lost())  # too late to matter
    assert hand.pull() is NEED_DATA


def test_a_turn_that_learns_that_it_lost_its_conversation_ends_with_what_came() -> None:
    hand = Told()
    streaming(hand)
    hand.on(Claim, Lost())
    hand.now += LEASE / 3
    assert refused(hand, TurnSuperseded).text == "Hello"
    assert hand.of(Release) == []


def test_a_renewal_that_fails_is_tried_again_and_the_reply_goes_on() -> None:
    hand = Told()
    streaming(hand)
    hand.on(Claim, DOWN)
    hand.now += LEASE / 3
    assert hand.pull() is NEED_DATA
    assert hand.session.deadline == hand.now + LEASE / 10
    assert hand.pull() is NEED_DATA
    assert len(hand.of(Claim)) == 2


@each_of("head_first", [False, True])
def test_the_lease_is_renewed_while_a_response_is_awaited_or_its_body_read(head_first: bool) -> None:
    hand = Told(session_of(lease=1.5)).ask()
    request = hand.request_for("duckai=1")
    if head_first:
        hand.session.receive_head(request, 200, (), now=hand.now)
    assert hand.pull() is NEED_DATA
    hand.now += 0.5
    assert hand.pull() is NEED_DATA
    assert hand.kinds == ["Claim", "Reserve", "Claim"]


def test_the_lease_is_renewed_between_the_waits_of_a_backoff() -> None:
    hand = Told(session_of(lease=30.0)).ask()
    hand.request_for("duckai=1")
    hand.answer(body=PAGE)
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/status")
    hand.answer(503, [("retry-after", "25")])
    hand.request_for("/status")
    assert [wait.until for wait in hand.waits if wait.reason == "backoff"] == [10.0, 20.0, 25.0]
    assert hand.kinds.count("Claim") == 3


def test_a_renewal_between_requests_that_fails_is_tried_again() -> None:
    has = Claimed(fence=1, revision=0, document=b"")
    hand = Told(session_of(lease=30.0, on_busy="take_over")).one_after_the_other(Claim, has, DOWN, has)
    hand.one_after_the_other(Reserve, Slot(delay=14.0, final=False, ticket="1", epoch="e"), READY_SLOT)
    hand.ask(turn="t").request_for("duckai=1")
    assert [wait.until for wait in hand.waits] == [10.0, 13.0, 14.0]
    first, *renewals = hand.of(Claim)
    assert (first.turn, first.take_over) == ("t", True)
    assert renewals == [Claim(key="c", holder=first.holder, lease=30.0, fence=1)] * 2


def test_a_turn_goes_on_though_each_renewal_takes_a_third_of_its_lease() -> None:
    hand = Told(session_of(lease=3.0)).on(Claim, None).ask()
    while isinstance(intent := hand.pull(), Coordinate):
        asked, hand.now = hand.now, hand.now + 1.2
        hand.session.coordinated(intent, NEW, asked=asked, now=hand.now)
    assert isinstance(intent, SendRequest)
    assert hand.kinds == ["Claim", "Reserve"]


def test_a_turn_without_a_lease_has_none_to_renew() -> None:
    hand = Told(session_of(key=None)).ask()
    hand.request_for("duckai=1")
    hand.now += 40.0
    assert hand.pull() is NEED_DATA
    assert hand.kinds == ["Reserve"]


# The engine is down


@each_of("call", [Claim, Reserve, Mark, Hold])
def test_without_the_engine_nothing_goes_on(call: type[Call]) -> None:
    hand = Told().on(call, DOWN).ask()
    with suppress(EngineUnavailable):
        hand.handshake()
        hand.answer(503, [("retry-after", "20")])
        refused(hand, EngineUnavailable, "no answer")
    assert hand.pull() is PAUSED
    assert hand.session.state is State.READY
    assert hand.kinds.count(call.__name__) >= 1
    requests = {Claim: 0, Reserve: 0, Mark: 3, Hold: 4}[call]
    assert hand.kinds.count("Reserve") == requests + (call is Reserve) + (call is Mark)
    assert hand.session.conversation.message_history == ()


def test_a_claim_whose_answer_was_lost_is_made_again_to_be_given_back() -> None:
    hand = Told(session_of(on_busy="take_over"))
    hand.one_after_the_other(Claim, DOWN, Claimed(fence=9, revision=3, document=b""))
    hand.ask()
    refused(hand, EngineUnavailable)
    first, second = hand.of(Claim)
    assert second == msgspec.structs.replace(first, take_over=False)
    assert hand.calls[-1] == Release(key="c", fence=9, revision=3)


def test_a_claim_that_was_never_made_is_not_given_back() -> None:
    hand = Told().on(Claim, Failure(FailureKind.NOT_SENT, "refused")).ask()
    refused(hand, EngineUnavailable)
    assert hand.kinds == ["Claim"]


def test_an_engine_that_stays_down_is_asked_once_more_and_then_left() -> None:
    hand = Told().on(Claim, DOWN).ask()
    refused(hand, EngineUnavailable)
    assert hand.kinds == ["Claim", "Claim"]


def test_a_commit_is_tried_again_until_it_is_stored() -> None:
    hand = Told().ask()
    hand.handshake()
    hand.one_after_the_other(Commit, DOWN, DOWN, Committed(revision=1))
    hand.reply()
    assert hand.events[-1] == TurnFinished("Hello", "stop", "gpt-4o-mini", None)
    assert [wait.reason for wait in hand.waits][-2:] == ["busy", "busy"]
    first, *others = hand.of(Commit)
    assert others == [first, first]
    assert hand.session.conversation.message_history[-1].content == "Hello"


def test_a_commit_is_given_up_when_the_lease_ends_and_its_text_is_not_lost() -> None:
    hand = Told(session_of(lease=2.0)).on(Commit, DOWN).ask()
    hand.handshake()
    marked = hand.now
    hand.answer(200, STREAM, HELLO + DONE)
    error = refused(hand, TurnNotStored, "no answer")
    assert error.text == "Hello"
    assert error.conversation.message_history[-1].content == "Hello"
    assert hand.session.conversation.message_history == ()
    assert marked + 1 < hand.now < marked + 2
    assert len(hand.of(Commit)) == 4, "twice a second"
    assert hand.kinds[-1] == "Release"  # for the case that the engine is back


def test_a_commit_that_is_not_answered_is_given_up_when_the_lease_ends() -> None:
    hand = Told(session_of(lease=2.0)).on(Commit, None).ask()
    hand.handshake()
    hand.answer(200, STREAM, HELLO + DONE)
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    hand.now += 1.9
    assert hand.session.next_action(now=hand.now) is intent
    hand.now += 0.1
    assert refused(hand, TurnNotStored).text == "Hello"


def test_a_turn_that_is_complete_has_as_long_as_its_lease_to_be_stored() -> None:
    hand = Told(session_of(policy=Policy(turn_timeout=20.0))).ask()
    hand.handshake()
    hand.answer(200, STREAM, HELLO + DONE)
    hand.one_after_the_other(Commit, DOWN, Committed(revision=1))
    hand.now = 19.8
    while not isinstance(action := hand.session.next_action(now=hand.now), Wait):
        if isinstance(action, Coordinate):
            hand.answer_with(action, hand.rules[Commit](action.call))  # type: ignore[arg-type]
    assert hand.session.deadline is not None
    assert hand.session.deadline > action.until > 20.0
    assert hand.pull() is PAUSED
    assert hand.events[-1] == TurnFinished("Hello", "stop", "gpt-4o-mini", None)


def test_an_engine_that_does_not_answer_in_the_turns_time_is_a_timeout() -> None:
    hand = Told().on(Reserve, None).ask()
    assert isinstance(hand.pull(), Coordinate)
    hand.now = 180.0
    refused(hand, ChatTimeoutError, "turn_timeout")


def test_a_turn_whose_time_is_over_asks_for_nothing_more() -> None:
    hand = Told(session_of(on_busy="wait")).on(Claim, Busy(retry_after=9.0)).ask()
    intent = hand.session.next_action(now=0.0)
    assert isinstance(intent, Coordinate)
    hand.answer_with(intent, Busy(retry_after=9.0))
    wait = hand.session.next_action(now=0.0)
    assert isinstance(wait, Wait)
    hand.session.wait_elapsed(wait)
    hand.now = 180.0
    refused(hand, ChatTimeoutError, "turn_timeout")


# Turns that end otherwise


def test_a_refused_turn_releases_its_conversation_without_the_spent_token() -> None:
    hand = Told().stored()
    hand.ask()
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/chat")
    hand.answer(403)
    refused(hand, ServiceError)
    (release,) = hand.of(Release)
    assert (release.fence, release.revision) == (7, 4)
    assert read_conversation(release.document) == msgspec.structs.replace(STORED, vqd="")


def test_a_turn_that_ends_before_its_question_leaves_what_is_stored() -> None:
    hand = Told().stored()
    hand.ask()
    hand.request_for("/aichat")
    hand.fail(FailureKind.INTERRUPTED)
    refused(hand, TransportError)
    assert hand.of(Release) == [Release(key="c", fence=7, revision=4)]


@each_of("result", [Lost(), DOWN])
def test_a_release_is_asked_for_once(result: Result | Failure) -> None:
    hand = Told().on(Release, result).ask()
    hand.request_for("duckai=1")
    hand.session.cancel()
    assert hand.pull() is PAUSED
    assert hand.events[-1] == TurnCancelled("")
    assert hand.kinds[-1] == "Release"
    assert hand.pull() is PAUSED


def test_a_closed_session_releases_its_conversation() -> None:
    hand = Told()
    streaming(hand)
    hand.session.close()
    assert hand.session.state is State.CLOSED
    assert hand.pull() is PAUSED
    (release,) = hand.of(Release)
    assert release.document is not None


def test_the_next_turn_comes_after_what_is_owed_of_the_last() -> None:
    hand = Told().ask()
    hand.request_for("duckai=1")
    hand.session.cancel()
    hand.ask("And?")
    hand.session.cancel()  # before it has asked anything
    hand.ask("And now?")
    hand.calls.clear()
    hand.request_for("duckai=1")
    assert hand.kinds[:2] == ["Release", "Claim"]


@each_of("command", ["cancel", "close"])
def test_a_claim_that_is_out_is_made_again_to_be_given_back(command: str) -> None:
    hand = Told().on(Claim, None).ask()
    lost = hand.pull()
    assert isinstance(lost, Coordinate)
    getattr(hand.session, command)()
    hand.on(Claim, Claimed(fence=9, revision=0, document=b""))
    assert hand.pull() is PAUSED
    hand.answer_with(lost, Claimed(fence=8, revision=0, document=b""))  # an old one is dropped
    assert hand.pull() is PAUSED
    assert hand.kinds == ["Claim", "Claim", "Release"]


def test_a_renewal_that_is_out_when_the_turn_ends_is_not_waited_for() -> None:
    hand = Told()
    streaming(hand)
    hand.on(Claim, None)
    hand.now += LEASE / 3
    late = hand.pull()
    assert isinstance(late, Coordinate)
    hand.session.cancel()
    assert hand.pull() is PAUSED
    assert hand.kinds[-2:] == ["Claim", "Release"]


@each_of("command", ["cancel", "close"])
def test_a_claim_that_the_turn_has_not_looked_at_is_given_back(command: str) -> None:
    hand = Told().on(Claim, None).ask()
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    hand.answer_with(intent, Claimed(fence=9, revision=4, document=b""))
    getattr(hand.session, command)()
    assert hand.pull() is PAUSED
    assert hand.of(Release) == [Release(key="c", fence=9, revision=4)]


@each_of("result", [Busy(retry_after=3.0), Lost(), Done(reply=b"", revision=1, document=b""), DOWN])
def test_a_claim_that_got_nothing_has_nothing_to_give_back(result: Result | Failure) -> None:
    hand = Told().on(Claim, None).ask()
    hand.pull()
    hand.session.cancel()
    hand.on(Claim, result)
    assert hand.pull() is PAUSED
    assert hand.kinds == ["Claim", "Claim"]


@each_of(
    "result, event, texts",
    [
        (Committed(revision=1), TurnFinished("Hello", "stop", "gpt-4o-mini", None), ["Hi", "Hello"]),
        (Lost(), TurnCancelled("Hello"), []),
        (DOWN, TurnCancelled("Hello"), []),
    ],
)
def test_a_turn_that_is_cancelled_while_it_is_stored_was_either_stored_or_cancelled(
    result: Result | Failure, event: object, texts: list[str]
) -> None:
    hand = Told()
    first = committing(hand)
    hand.session.cancel()
    hand.events.clear()
    hand.on(Commit, result)
    assert hand.pull() is PAUSED
    assert hand.events == [event]
    assert [message.text for message in hand.session.conversation.message_history] == texts
    assert hand.of(Commit) == [first.call, first.call]
    assert hand.of(Release) == []


def test_a_turn_that_was_stored_although_it_was_cancelled_leaves_its_cookies() -> None:
    hand = Told().on(Commit, None).ask()
    hand.handshake()
    hand.answer(200, (*STREAM, ("set-cookie", "late=1; path=/")), HELLO + DONE)
    assert isinstance(hand.pull(), Coordinate)
    hand.session.cancel()
    hand.on(Commit, Committed(revision=1))
    assert hand.pull() is PAUSED
    hand.on(Claim, Claimed(fence=9, revision=1, document=hand.of(Commit)[0].document)).ask("And?")
    assert "late=1" in dict(hand.request_for("/status").headers)["cookie"]


def test_a_session_that_is_closed_while_a_turn_is_stored_has_no_more_events() -> None:
    hand = Told()
    committing(hand)
    hand.session.close()
    hand.events.clear()
    hand.on(Commit, Committed(revision=1))
    assert hand.pull() is PAUSED
    assert hand.events == []
    assert [message.text for message in hand.session.conversation.message_history] == ["Hi", "Hello"]


# Reports


@each_of(
    "call, result, says",
    [
        (Claim, READY_SLOT, "a Claim is answered by Claimed or Busy or Done or Lost, not Slot"),
        (Claim, "no result", "not str"),
        (Claim, None, "not NoneType"),
        (Reserve, Held(), "a Reserve is answered by Slot or Refused, not Held"),
    ],
)
def test_a_result_of_another_form_is_refused_and_changes_nothing(call: type[Call], result: Any, says: str) -> None:
    hand = Told().on(call, None).ask()
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    before = hand.session.snapshot(now=0.0)
    with pytest.raises(LocalProtocolError, match=says):
        hand.session.coordinated(intent, result, asked=0.0, now=0.0)
    assert hand.session.snapshot(now=0.0) == before
    assert hand.session.next_action(now=0.0) is intent


@each_of("asked, now", [(float("nan"), 0.0), (0.0, None), ("0", 0.0)])
def test_the_times_of_a_report_are_numbers(asked: Any, now: Any) -> None:
    hand = Told().on(Claim, None).ask()
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    with pytest.raises(LocalProtocolError, match="finite number of seconds"):
        hand.session.coordinated(intent, Lost(), asked=asked, now=now)


def test_a_report_names_an_intent_that_was_given() -> None:
    session = session_of()
    for intent in (Coordinate(id=9, call=Hold(seconds=1.0)), Wait(id=0, until=0.0, reason="")):
        with pytest.raises(LocalProtocolError):
            session.coordinated(intent, Held(), asked=0.0, now=0.0)  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError):
            session.coordination_failed(intent, DOWN)  # type: ignore[arg-type]


def test_a_second_report_is_dropped() -> None:
    hand = Told().on(Claim, None).ask()
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    hand.answer_with(intent, Claimed(fence=7, revision=0, document=b""))
    hand.answer_with(intent, Lost())
    hand.answer_with(intent, DOWN)
    hand.request_for("duckai=1")


# The settings


@each_of(
    "settings, says",
    [
        ({"key": ""}, "1 to 512"),
        ({"key": "x" * 513}, "1 to 512"),
        ({"key": b"x"}, "must be text"),
        ({"key": "\udfff"}, "surrogate"),
        ({"lease": 0}, "lease"),
        ({"lease": True}, "lease"),
        ({"lease": None}, "lease"),
        ({"window": 1.01}, r"window must be more than 0 and at most 1.0 s, not 1.01"),
        ({"max_wait": float("nan")}, "max_wait"),
        ({"on_busy": "queue"}, "on_busy must be one of refuse, wait, take_over, not 'queue'"),
        ({"seal": bytes.strip}, "go together"),
        ({"unseal": bytes.strip}, "go together"),
    ],
)
def test_settings_that_cant_be_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Coordination(**settings)


def test_settings_may_be_as_large_as_those_of_a_policy() -> None:
    largest = Coordination(lease=MAX_SECONDS, max_wait=MAX_SECONDS, window=1.0)
    assert largest.lease == largest.max_wait == Policy(turn_timeout=MAX_SECONDS).turn_timeout


@each_of("key", ["\u0000", "дом/☃", "a b\n", "x" * 512, "\U0001f986"])
def test_a_key_may_be_any_text(key: str) -> None:
    hand = Hand(session_of(key=key), engine=True)
    hand.to_chat()
    assert {call.key for call in hand.calls if isinstance(call, Claim | Mark)} == {key}


def test_reprs_show_neither_keys_nor_documents() -> None:
    secret = write_conversation(STORED)
    shown = [
        Coordination(key="user-7/secret"),
        Claim(key="user-7/secret", holder="h", lease=1.0, turn="secret"),
        Claimed(fence=1, revision=1, document=secret),
        Done(reply=b"secret", revision=1, document=secret),
        Commit(key="secret", fence=1, revision=1, document=secret, turn="secret", reply=b"secret"),
        Release(key="secret", fence=1, revision=1, document=secret),
        Coordinate(id=1, call=Mark(key="secret", fence=1, lease=1.0)),
    ]
    assert repr(Coordination()).startswith("Coordination(key=None, ")
    assert repr(shown[0]).startswith("Coordination(key=<13 characters>, ")
    for value in shown:
        assert "secret" not in repr(value)
        assert "4-9" not in repr(value)
    assert (
        repr(Release(key="c", fence=1, revision=2)) == "Release(key=<1 characters>, fence=1, revision=2, document=None)"
    )
