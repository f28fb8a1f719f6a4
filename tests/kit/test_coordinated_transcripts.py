"""Transcripts of coordinated sessions: recorded with stand-ins, also in what the engine holds, and replayed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.cases import each_of
from support.coordinated import DOWN, NEW, STORED, Told, session_of
from support.hand import DONE, HELLO, STREAM, counting, echoing

from ddg_protocol import ConversationFormatError, Cookie, DuckChatError, LocalProtocolError, Session, TurnFinished
from ddg_protocol.coordination import Claim, Claimed, Commit, Coordination, Done, MemoryEngine, Reserve, Slot
from ddg_protocol.coordination._documents import read_conversation, write_conversation, write_reply
from ddg_protocol.testing import Clock, Run
from ddg_protocol.transcript import RecordedSession, Transcript, first_difference, replay

KEY, TURN = "user-7/private", "turn-private"


def turned(data: bytes) -> bytes:
    return data[::-1]


def told(lines: list[str], session: Session | None = None, **settings: Any) -> Told:
    hand = Told(session or session_of(key=KEY))
    hand.session = RecordedSession(hand.session, lines.append, **settings)  # type: ignore[assignment]
    return hand


def transcript_of(lines: list[str]) -> Transcript:
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    assert json.loads(lines[-1])["do"] != "lost"
    return transcript


@each_of("redact_texts", [False, True])
@each_of("sealed", [False, True])
def test_two_sessions_and_a_repeated_turn_are_recorded_and_replay(redact_texts: bool, sealed: bool) -> None:
    clock, random = Clock(100.0), counting()
    engine, service = MemoryEngine(clock), echoing(challenge=True)
    both: list[list[str]] = [[], []]
    runs = []
    seals: dict[str, Any] = {"seal": turned, "unseal": turned} if sealed else {}
    for lines in both:
        session = Session(coordination=Coordination(key=KEY, **seals), random_bytes=random)
        recorded = RecordedSession(session, lines.append, redact_texts=redact_texts)
        runs.append(Run(recorded, service, clock=clock, engine=engine))
    one, other = runs
    one.ask("Why is the sky blue?", turn=TURN)
    other.ask("And at night?", turn="another")
    one.ask("And at noon?")
    other.ask("Why is the sky blue?", turn=TURN)
    tokens = {value for run in runs for sent in run.requests for name, value in sent.headers if name == "x-vqd-4"}
    assert tokens
    for lines in both:
        transcript_of(lines)
        whole = "".join(lines)
        assert KEY not in whole
        assert TURN not in whole
        assert not any(token in whole for token in tokens)
        assert ("night" in whole) is not redact_texts
    calls = [json.loads(line) for line in both[1]]
    assert [line["result"]["type"] for line in calls if line.get("do") == "coordinated"][-1] == "Done"


def test_what_an_engine_holds_has_stand_ins() -> None:
    cookie = Cookie(name="sid", value="cookie-secret", domain="duckduckgo.com")
    conversation = STORED.__class__(
        model="o3-mini", vqd="4-secret", message_history=STORED.message_history, cookies=(cookie,), fe_version="v"
    )
    lines: list[str] = []
    hand = told(lines).stored(conversation)
    hand.ask().request_for("/chat")
    transcript_of(lines)
    assert "secret" not in "".join(lines)
    (result,) = [json.loads(line)["result"] for line in lines if '"Claimed"' in line]
    (line,) = [line for line in Transcript.read("".join(lines)).lines if type(line[1]).__name__ == "Coordinated"][:1]
    assert result["type"] == "Claimed"
    assert read_conversation(_bytes(line[1])).message_history == STORED.message_history


def _bytes(line: Any) -> bytes:
    from ddg_protocol.transcript._lines import result_of

    result = result_of(line)
    assert isinstance(result, Claimed)
    return result.document


@each_of("kind", ["conversation", "reply"])
def test_what_cant_be_read_is_recorded_as_that(kind: str) -> None:
    lines: list[str] = []
    hand = told(lines)
    document = b"{" if kind == "conversation" else write_conversation(STORED)
    reply = write_reply(TurnFinished("x", "stop", "o3-mini")) if kind == "conversation" else b"secret"
    hand.on(Claim, Done(reply=reply, revision=1, document=document)).ask(turn="t")
    with pytest.raises(ConversationFormatError):
        hand.pull()
    hand.pull()
    transcript_of(lines)
    assert "secret" not in "".join(lines)


def test_a_reply_that_is_no_longer_kept_is_recorded_as_that() -> None:
    lines: list[str] = []
    hand = told(lines).on(Claim, Done(reply=b"", revision=1, document=b"")).ask(turn="t")
    with pytest.raises(ConversationFormatError, match="no longer kept"):
        hand.pull()
    transcript_of(lines)


def test_failures_holds_and_commits_are_recorded() -> None:
    lines: list[str] = []
    hand = told(lines, session_of(key=KEY, lease=2.0), redact_texts=True)
    version = Slot(delay=0.0, final=True, ticket="1", epoch="e", fe_version="serp_1_ET-secret")
    hand.on(Reserve, version).on(Commit, DOWN).ask()
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1")])
    hand.request_for("/chat")
    hand.answer(200, STREAM, HELLO + DONE)
    with pytest.raises(DuckChatError, match="could not be stored"):
        hand.pull()
    hand.pull()
    transcript_of(lines)
    assert "secret" not in "".join(lines)
    assert '"do":"coordination_failed"' in "".join(lines)


def test_a_session_that_still_owes_something_is_not_recorded() -> None:
    hand = Told().ask()
    hand.request_for("duckai=1")
    hand.session.cancel()
    with pytest.raises(LocalProtocolError, match="until PAUSED first"):
        RecordedSession(hand.session, print)


def test_a_stored_session_is_recorded_from_there_on() -> None:
    data = session_of().snapshot(now=0.0)
    lines: list[str] = []
    session = RecordedSession.restore(
        data,
        now=0.0,
        write=lines.append,
        profile=session_of().profile,
        coordination=Coordination(key="c"),
        random_bytes=counting(),
    )
    hand = Told()
    hand.session = session  # type: ignore[assignment]
    hand.on(Claim, NEW).ask().request_for("duckai=1")
    transcript_of(lines)


@each_of(
    "line",
    [
        {"do": "coordinated", "now": 0, "asked": 0, "id": 1, "result": {"type": "Wait"}},
        {"do": "coordinated", "now": 0, "asked": 0, "id": 1, "result": {"type": "Busy", "retry_after": -1}},
        {"do": "coordination_failed", "id": 1, "kind": "late", "text": ""},
    ],
)
def test_a_line_of_another_form_is_a_clear_error(line: dict[str, Any]) -> None:
    lines: list[str] = []
    told(lines)
    with pytest.raises(ConversationFormatError, match="line 2"):
        Transcript.read(lines[0] + json.dumps(line))


def test_settings_that_cant_be_are_a_clear_error() -> None:
    lines: list[str] = []
    told(lines)
    head = json.loads(lines[0])
    head["coordination"]["lease"] = -1
    with pytest.raises(ConversationFormatError, match="lease"):
        Transcript.read(json.dumps(head))


def test_without_a_shared_engine_a_transcript_is_as_before() -> None:
    lines: list[str] = []
    Run(RecordedSession(Session(), lines.append), echoing()).ask("Hi")
    head = json.loads(lines[0])
    assert "coordination" not in head
    assert not {"owed", "aside"} & head["session"].keys()
    assert [step.same for step in replay(transcript_of(lines))]
