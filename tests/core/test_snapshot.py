"""A snapshot at any moment, and the session that goes on from it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from support.cases import each_of
from support.facing import Run, byte_by_byte, whole
from support.hand import DONE, HELLO, STREAM, Hand, counting, echoing, move_to
from support.tiers import thinned

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    ChatTimeoutError,
    ClientState,
    ConversationFormatError,
    Failure,
    FailureKind,
    Model,
    Policy,
    SendRequest,
    ServiceError,
    Session,
    TextDelta,
    TransportError,
    TurnCancelled,
    TurnFinished,
    Wait,
)
from ddg_protocol._state import State
from ddg_protocol.parts import File, Image, Text
from ddg_protocol.service import Question, Service
from ddg_protocol.session import Action


def through_json(session: Session, *, now: float, then: float | None = None, **restore: Any) -> Session:
    data = json.loads(json.dumps(session.snapshot(now=now)))
    return Session.restore(data, now=now if then is None else then, profile=session.profile, **restore)


class Restless(Run):
    """Puts another session in the place of its own at every step."""

    def drive(self) -> None:
        session = self.session
        original: Callable[..., Action] = Session.next_action

        def next_action(*, now: float) -> Action:
            action = original(self.session, now=now)
            # A request of the handshake would be asked for again.
            exchange = self.session._machine.exchange
            if exchange is None or exchange.request.method == "POST":
                self.session = through_json(self.session, now=now, shared=session.shared)
                self.session.next_action = next_action  # type: ignore[method-assign]
            return action

        session.next_action = next_action  # type: ignore[method-assign]
        super().drive()


@pytest.mark.parametrize("cut", thinned([whole, byte_by_byte], one_in=2, reason="at every byte"))
def test_a_conversation_restored_at_every_step_is_the_same_conversation(cut: Any) -> None:
    plain, restless = (kind(Session(), echoing(challenge=True), cut=cut) for kind in (Run, Restless))
    for question in ("Why is the sky blue?", "And at night?"):
        assert restless.ask(question) == plain.ask(question)
        assert restless.events == plain.events
    assert restless.requests == plain.requests
    assert restless.waits == plain.waits
    assert restless.session.conversation == plain.session.conversation


@pytest.mark.parametrize("coded", [False, True])
def test_a_reply_goes_on_to_the_byte_wherever_it_was_cut(coded: bool) -> None:
    body = HELLO + DONE
    headers = (*STREAM, ("content-encoding", "gzip")) if coded else STREAM
    sent = gzip.compress(body, mtime=0) if coded else body
    for cut in range(len(sent) + 1):
        hand = Hand()
        request = hand.to_chat()
        hand.session.receive_head(request, 200, headers, now=hand.now)
        hand.session.receive_data(request, sent[:cut])
        # One event is taken before, so that some of what came was looked at and some was not.
        first = hand.session.next_action(now=hand.now)
        other = Hand(through_json(hand.session, now=hand.now, then=5.0))
        other.now = 5.0
        other.session.receive_data(request, sent[cut:])
        other.session.receive_eof(request)
        assert other.pull() is PAUSED
        events = [first, *other.events] if first is not NEED_DATA else other.events
        assert events == [TextDelta("Hel"), TextDelta("lo"), TurnFinished("Hello", "stop", "gpt-4o-mini", None)]


def test_a_refusal_in_a_coding_that_nobody_asked_for_is_gone_on_with() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 400, (("content-encoding", "br"),), now=hand.now)
    hand.session.receive_data(request, b"what no")
    assert hand.session.next_action(now=hand.now) is NEED_DATA
    other = Hand(through_json(hand.session, now=hand.now))
    other.session.receive_data(request, b"body reads")
    other.session.receive_eof(request)
    with pytest.raises(ServiceError, match="400"):
        other.pull()


@each_of("state", State)
def test_a_session_in_any_state_survives_json(state: State) -> None:
    hand = move_to(state)
    settings: dict[str, Any] = {}
    if hand.session.coordination is not None:
        settings = {"coordination": hand.session.coordination, "random_bytes": counting()}
    again = through_json(hand.session, now=hand.now, **settings)
    after = {State.DRAINING: State.READY}.get(state, state)
    if state in (State.REQUESTING, State.READING):
        after = State.PLANNING  # the front-end page is asked for again
    assert again.state is after
    assert again.conversation == hand.session.conversation
    assert through_json(again, now=hand.now, **settings).snapshot(now=hand.now) == again.snapshot(now=hand.now)


def test_a_handshake_request_whose_response_was_being_read_is_asked_for_again_and_paced() -> None:
    hand = move_to(State.READING)
    before = hand.request
    again = through_json(hand.session, now=0.5, then=100.5)
    wait = again.next_action(now=100.5)
    assert isinstance(wait, Wait)
    assert wait.until == 101.5
    again.wait_elapsed(wait)
    request = again.next_action(now=101.5)
    assert isinstance(request, SendRequest)
    assert before is not None
    assert request.url == before.url
    assert request.id > before.id


def test_a_question_whose_connection_is_lost_is_reported_as_failed_and_not_repeated() -> None:
    hand = Hand()
    request = hand.to_chat()
    again = through_json(hand.session, now=hand.now)
    assert again.next_action(now=hand.now) is NEED_DATA
    assert again.request == request
    again.transport_failed(again.request, Failure(FailureKind.INTERRUPTED, "the process ended"))
    assert again.request is None
    with pytest.raises(TransportError):
        again.next_action(now=hand.now)


def test_waits_and_deadlines_are_time_remaining() -> None:
    hand = move_to(State.WAITING)
    wait = hand.session.next_action(now=0.25)
    assert isinstance(wait, Wait)
    again = through_json(hand.session, now=0.25, then=1000.25)
    moved = again.next_action(now=1000.25)
    assert isinstance(moved, Wait)
    assert (moved.id, moved.until) == (wait.id, wait.until + 1000)

    hand = move_to(State.STREAMING)
    deadline = hand.session.deadline
    assert deadline is not None
    assert through_json(hand.session, now=hand.now, then=hand.now + 7).deadline == deadline + 7


def test_the_time_for_the_whole_exchange_is_kept_whatever_the_clock() -> None:
    policy = Policy(read_timeout=1000.0, total_timeout=60.0, turn_timeout=2000.0)
    hand = Hand(Session(policy=policy))
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    assert hand.pull() is NEED_DATA
    assert hand.session.deadline == hand.now + 60
    again = through_json(hand.session, now=hand.now + 10, then=500.0, policy=policy)
    assert again.deadline == 550.0
    again.receive_data(request, HELLO)
    assert [again.next_action(now=549.0) for _ in range(3)] == [TextDelta("Hel"), TextDelta("lo"), NEED_DATA]
    with pytest.raises(ChatTimeoutError):
        again.next_action(now=550.0)


LIVES_100_SECONDS = (
    *STREAM,
    ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ("set-cookie", "short=lived; path=/; expires=Thu, 01 Jan 2026 00:01:40 GMT"),
)


@each_of("moment", ["before its head is looked at", "amid the reply", "at rest"])
@each_of("age", [99, 100])
def test_a_cookie_expires_when_it_would_have_whatever_the_clock(moment: str, age: int) -> None:
    hand = Hand()
    request = hand.to_chat()
    came = hand.now
    hand.session.receive_head(request, 200, LIVES_100_SECONDS, now=came)
    if moment != "before its head is looked at":
        assert hand.pull() is NEED_DATA
    if moment == "at rest":
        hand.session.receive_data(request, HELLO + DONE)
        hand.session.receive_eof(request)
        assert hand.pull() is PAUSED
    other = Hand(through_json(hand.session, now=came + 10, then=1010.0))
    other.now = 1010.0
    if moment != "at rest":
        other.session.receive_data(request, HELLO + DONE)
        other.session.receive_eof(request)
        assert other.pull() is PAUSED
    other.now = 1000.0 + age
    other.session.ask("And now?", now=other.now)
    asked = other.request_for("/status")
    assert ("short=lived" in dict(asked.headers).get("cookie", "")) is (age < 100)


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [(["Hi"], "length"), (["Hi", ""], "stop"), (["", "Hi"], "length"), (["Hi", "", "!"], "length")],
)
def test_why_a_reply_ended_that_ends_without_a_word_is_kept(pieces: list[str], reason: str) -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    for piece in pieces:
        hand.session.receive_data(request, b'data: {"action":"success","message":"%s"}\n\n' % piece.encode())
    assert hand.pull() is NEED_DATA
    other = Hand(through_json(hand.session, now=hand.now))
    other.session.receive_eof(request)
    assert other.pull() is PAUSED
    (finished,) = other.events
    assert isinstance(finished, TurnFinished)
    assert (finished.text, finished.reason) == ("".join(pieces), reason)


def test_what_the_caller_has_still_to_see_is_kept() -> None:
    hand = move_to(State.STREAMING)
    hand.session.cancel()
    again = through_json(hand.session, now=0)
    assert again.next_action(now=0) == TurnCancelled("Hello")
    assert again.next_action(now=0) is PAUSED


def test_the_version_and_the_last_start_reach_the_shared_state() -> None:
    hand = Hand()
    hand.to_chat()
    shared = ClientState()
    through_json(hand.session, now=hand.now, then=50.0, shared=shared)
    assert shared.fe_version == "serp_1_ET-0123456789abcdef0123"
    assert shared.pacer.last_start == 50.0


@each_of("saved, restored", [("o3-mini", "o3-mini"), ("", "gpt-4o-mini")])
def test_the_model_of_a_conversation_is_kept_and_one_without_gets_the_profiles(saved: str, restored: str) -> None:
    data = Session().snapshot(now=0.0)
    data["conversation"]["model"] = saved
    assert Session.restore(data, now=0.0).conversation.model == restored


def snapshot_of(state: State) -> dict[str, Any]:
    hand = move_to(state)
    data: dict[str, Any] = json.loads(json.dumps(hand.session.snapshot(now=0)))
    return data


@pytest.mark.parametrize("state", [State.READY, State.WAITING, State.SOLVING, State.STREAMING])
def test_a_member_of_the_wrong_kind_is_a_clear_error(state: State) -> None:
    whole = snapshot_of(state)

    def check(data: dict[str, Any]) -> None:
        for key in list(data):
            value = data[key]
            if isinstance(value, dict):
                check(value)
            data[key] = object  # what no JSON holds
            with pytest.raises(ConversationFormatError):
                Session.restore(whole, now=0)
            data[key] = value

    check(whole)
    assert Session.restore(whole, now=0).state is state


@pytest.mark.parametrize("cut", thinned([whole, byte_by_byte], one_in=2, reason="at every byte"))
def test_a_conversation_with_images_and_files_restored_at_every_step_is_the_same(cut: Any) -> None:
    model = Model("sees", takes_images=True, file_types=("application/pdf",))
    profile = msgspec.structs.replace(DUCKDUCKGO_2025_04, models=(model,), history_parts="all")
    reasoning = {"parts": [{"type": "reasoning", "id": "r1", "encryptedText": "opaque"}]}

    def respond(question: Question) -> list[Any]:
        return [f"{len(question.attachments)} attached", reasoning]

    plain, restless = (
        kind(Session(profile), Service(profile, strict=True, responder=respond), cut=cut) for kind in (Run, Restless)
    )
    asked: list[Any] = [
        [Text("What is this?"), Image(b"\x89PNG", "image/png")],
        [File(bytes(range(256)), "application/pdf", "ä.pdf")],
        "Are you sure?",
    ]
    for question, attached in zip(asked, (1, 1, 0), strict=True):
        assert restless.ask(question) == plain.ask(question)
        assert plain.session.conversation.message_history[-1].text == f"{attached} attached"
    assert restless.requests == plain.requests
    assert restless.session.conversation == plain.session.conversation
    assert b'"encryptedText":"opaque"' in plain.requests[-1].body


def test_a_snapshot_is_not_believed_that_nothing_but_text_is_in_it() -> None:
    profile = msgspec.structs.replace(DUCKDUCKGO_2025_04, models=(Model("sees", takes_images=True),))
    session = Session(profile)
    session.ask([Image(b"\x89PNG", "image/png")], now=0.0)
    data = session.snapshot(now=0.0)
    data["phase"]["turn"]["is_text_alone"] = True
    restored = Session.restore(data, now=0.0, profile=profile)
    assert restored.snapshot(now=0.0)["phase"]["turn"]["is_text_alone"] is False


@pytest.mark.parametrize("now", [0.0, 1_745_000_000.0, -1e9])
def test_a_session_at_rest_is_restored_by_any_clock(now: float) -> None:
    hand = Hand()
    hand.now = 1_745_000_000.0
    hand.session.ask("Why?", now=hand.now)
    hand.request_for("duckai=1")
    hand.session.cancel()
    hand.pull()
    data = hand.session.snapshot(now=now)
    assert Session.restore(data, now=0.0).shared.pacer.last_start == hand.now - now


@each_of(
    "state, path, value, says",
    [
        (State.READY, "format_version", 3, "version"),
        (State.READY, "phase.type", "Waiting", "phase"),
        (State.READY, "phase.type", "Lost", "Lost"),
        (State.READY, "origin", "https://elsewhere.example", "elsewhere"),
        (State.WAITING, "phase.type", "Solving", "phase"),
        (State.WAITING, "last_id", 0, "past the last"),
        (State.WAITING, "phase.turn.ticket.began", float("inf"), "finite"),
        (State.WAITING, "phase.wait.until", float("nan"), "finite"),
        (State.WAITING, "phase.turn.model", "gpt-9", "gpt-9"),
        (State.STREAMING, "phase.reader", None, "phase.reader"),
        (State.STREAMING, "phase.body.more", 1, "unknown field"),
        (State.STREAMING, "phase.turn.credentials.answer", "a\r\nb", "ASCII"),
        (State.STREAMING, "phase.turn.credentials.tokens.vqd", "", "without an x-vqd-4"),
        (State.STREAMING, "fe_version", "a\r\nb", "fe_version"),
        (State.STREAMING, "phase.body.headers", [["content-encoding", "br"]], "has coding 'br'"),
        (State.STREAMING, "conversation.vqd", "a\nb", "ASCII"),
    ],
)
def test_what_does_not_fit_together_is_a_clear_error(state: State, path: str, value: object, says: str) -> None:
    data = snapshot_of(state)
    *folders, name = path.split(".")
    place = data
    for folder in folders:
        place = place[folder]
    place[name] = value
    with pytest.raises(ConversationFormatError, match=says):
        Session.restore(data, now=0)


def test_a_member_that_is_missing_or_unknown_is_a_clear_error() -> None:
    data = snapshot_of(State.STREAMING)
    for key in sorted(data.keys() - {"ids"}):  # which snapshots from before there were any don't have
        value = data.pop(key)
        with pytest.raises(ConversationFormatError):
            Session.restore(data, now=0)
        data[key] = value
    with pytest.raises(ConversationFormatError, match="unknown"):
        Session.restore({**data, "other": 1}, now=0)


@each_of("data", [None, [], "x", {}, {"format_version": 1}, {"format_version": 1, "state": []}, 7])
def test_what_is_no_snapshot_is_a_clear_error(data: object) -> None:
    with pytest.raises(ConversationFormatError):
        Session.restore(data, now=0)
