"""Transcripts: what is recorded, that it replays, that nothing secret is in it, and another client served from it."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable
from itertools import product
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.paths import TRANSCRIPTS as FOLDER
from support.tiers import examples, thinned
from transcripts import make

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ClientState,
    ConversationFormatError,
    DuckChatError,
    Failure,
    FailureKind,
    LocalProtocolError,
    Message,
    Model,
    Policy,
    Retrying,
    SendRequest,
    Session,
    SolveChallenge,
    TextDelta,
    TransportError,
    UnsupportedChallenge,
    Wait,
)
from ddg_protocol._state import COMMANDS, MOVES, State
from ddg_protocol.errors import ChallengeError, ContentDecodingError, IncompleteStream
from ddg_protocol.parts import File, Image, Text
from ddg_protocol.reply import ReplyReader
from ddg_protocol.service import Fault, Service, ServiceRequest, framed
from ddg_protocol.service import faults as f
from ddg_protocol.service._challenge import Challenge
from ddg_protocol.tap import DrivenSession, TappedSession
from ddg_protocol.testing import Chunking, Clock, Dialogue, Run, every, request, strategies
from ddg_protocol.transcript import (
    AsyncTranscriptTransport,
    Lost,
    RecordedSession,
    Transcript,
    TranscriptService,
    TranscriptTransport,
    exchanges,
    first_difference,
    replay,
)
from ddg_protocol.transcript._playing import restored
from ddg_protocol.transcript._redaction import Secrets
from ddg_protocol.transcript._serve import AsyncRecordedExchange
from ddg_protocol.transcript._texts import ReplyTexts
from ddg_protocol.wire import WireSession

TOKENS = re.compile(r"4-[0-9]{20,}")
NAMES = sorted(make.ALL)


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")


def recorded(session: Session, run: Callable[[RecordedSession], object], **settings: Any) -> str:
    lines: list[str] = []
    run(RecordedSession(session, lines.append, **settings))
    return "".join(lines)


# What is in the repository


@pytest.mark.parametrize("name", NAMES)
def test_the_replay_of_each_transcript_is_exact(name: str) -> None:
    transcript = Transcript.read(text_of(name))
    steps = list(replay(transcript))
    assert [step for step in steps if not step.same] == []
    assert len(steps) > 15
    assert first_difference(transcript) is None
    assert not any(isinstance(line, Lost) for _, line in transcript.lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_replay_tells_each_state_that_the_session_went_through(name: str) -> None:
    transcript = Transcript.read(text_of(name))
    path = [State.READY, *(state for step in replay(transcript, every_call=True) for state in step.states)]
    assert all(
        after in {before, *COMMANDS[before].values(), *MOVES[before].values()}
        for before, after in itertools.pairwise(path)
    )
    assert {State.PLANNING, State.WAITING, State.REQUESTING, State.READING} <= set(path)
    assert path[-1] is (State.CLOSED if name == "solver" else State.READY)
    pulls = [step for step in replay(transcript) for _ in step.states]
    assert len(pulls) == len(path) - 1


def test_a_step_for_every_call_has_the_states_of_the_command_by_itself() -> None:
    transcript = Transcript.read(text_of("two-turns"))
    steps = {step.line: step for step in replay(transcript, every_call=True)}
    assert list(steps) == [number for number, _ in transcript.lines]
    asked, started, sent = (steps[number] for number in (2, 3, 4))
    assert (asked.states, asked.expected, asked.got) == ((State.PLANNING,), {}, {})
    assert (started.got["type"], started.states) == ("TurnStarted", ())
    assert (sent.got["type"], sent.states) == ("SendRequest", (State.REQUESTING,))
    assert next(replay(transcript)).states == (State.PLANNING,)


@pytest.mark.parametrize("name", NAMES)
def test_making_a_transcript_again_makes_the_same(name: str) -> None:
    # But for how the pages are compressed, which is zlib's business, and not the same in all its versions.
    made, kept = without_chunks(make.made(name)), without_chunks(text_of(name))
    assert made[1:] == kept[1:]
    # They were recorded by version 0.1, whose snapshots have another form; what that one means is the same.
    heads = [Transcript.read(head + "\n").head for head in (made[0], kept[0])]
    assert heads[0].profile == heads[1].profile
    assert heads[0].policy == heads[1].policy
    sessions = [restored(head, lambda: 0.0) for head in heads]
    assert sessions[0].snapshot(now=0.0) == sessions[1].snapshot(now=0.0)


def test_a_transcript_from_before_turns_were_queued_replays_as_it_is() -> None:
    assert first_difference(Transcript.read(text_of("solver-0.1"))) is None


def test_a_transcript_from_before_header_lists_had_all_fields_is_of_the_same_profile() -> None:
    assert '"page_headers":[["accept","text/html"]]' in text_of("wire")
    assert Transcript.read(text_of("wire")).head.profile == DUCKDUCKGO_2025_04


def test_a_transcript_from_before_a_policy_had_a_setting_replays_as_it_is() -> None:
    head, *lines = text_of("wire").splitlines(keepends=True)
    before = head.replace('"turn_timeout":180.0,', "")
    assert before != head
    transcript = Transcript.read("".join([before, *lines]))
    assert transcript.head.policy == Policy(strict=True)
    assert first_difference(transcript) is None


def without_chunks(text: str) -> list[str]:
    return [line for line in text.splitlines() if not re.search('"do":"receive_(data|packed)"|NEED_DATA', line)]


@pytest.mark.parametrize("name", NAMES)
def test_a_transcript_has_no_token_no_cookie_and_no_answer(name: str) -> None:
    text = make.made(name)
    service = make.SERVICES[name]
    issued = [service._tokens._pair(number + 1) for number in range(service._tokens._last)]
    assert issued
    assert not TOKENS.search(text)
    for pair in issued:
        assert pair.token not in text
        assert pair.challenge.encoded not in text
        assert isinstance(pair.challenge, Challenge)
        assert not any(hash in text for hash in pair.challenge.server_hashes)
        assert not any(hash in _decoded(text) for hash in pair.challenge.server_hashes)
    sent = [exchange.request for exchange in service.log]
    answers = {request.header("x-vqd-hash-1") for request in sent} - {None, ""}
    assert not any(str(answer) in text for answer in answers)
    assert "my own cookie" not in text
    assert "v309-3" not in text
    if name == "challenge":
        assert answers
        assert Transcript.read(text).head.texts == "blanked"
        words = ("secret", "question", "said", "quoted", "1 + 1", "2 + 2")
        assert not any(word in line for word in words for line in text.splitlines()[1:])


def _decoded(text: str) -> str:
    """All that is base64 in a text, decoded."""
    found = re.findall(r"(?:[A-Za-z0-9+/]{4}){10,}", text)
    return "".join(base64.b64decode(each).decode("latin-1") for each in found)


# Recording


def test_a_recorded_session_does_what_it_would_have_done() -> None:
    plain = Run(Session(), Service(challenge=True), chunks=every(500))
    other = Run(RecordedSession(Session(), lambda _: None), Service(challenge=True), chunks=every(500))
    for question in ("Why?", "Why not?"):
        assert plain.ask(question) == other.ask(question)
        assert plain.events == other.events
    assert plain.requests == other.requests
    assert plain.session.conversation == other.session.conversation
    assert plain.session.state is other.session.state
    assert isinstance(other.session, RecordedSession)
    assert other.session.snapshot(now=0)["conversation"]["vqd"] == plain.session.conversation.vqd
    assert repr(other.session).startswith("<RecordedSession of <Session READY")


def test_a_recording_begins_at_rest() -> None:
    session = Session()
    session.ask("Hi", now=0)
    with pytest.raises(LocalProtocolError, match="at rest"):
        RecordedSession(session, lambda _: None)


def test_what_is_not_legal_is_refused_as_ever_and_not_recorded() -> None:
    lines: list[str] = []
    session = RecordedSession(Session(), lines.append)
    session.ask("Hi", now=0)
    count = len(lines)
    with pytest.raises(LocalProtocolError):
        session.ask("Hi", now=0)
    assert len(lines) == count


def test_every_call_of_a_session_is_a_line() -> None:
    def run(session: RecordedSession) -> None:
        with Dialogue(session) as dialogue:
            dialogue.ask("Hi")
            dialogue.expects(object, request("GET", "duckai=1"))
            dialogue.begins()
            dialogue.receives(b"\xff")
            dialogue.cancel()
            dialogue.expects(object)
        session.close()

    calls = [json.loads(line).get("do") for line in recorded(Session(), run).splitlines()]
    assert calls[:7] == [None, "ask", "next_action", "next_action", "receive_head", "receive_data", "cancel"]
    assert calls[-1] == "close"


def test_sessions_of_one_client_are_recorded_each_by_itself() -> None:
    shared, service, clock = ClientState(), Service(), Clock(50.0)
    texts: list[list[str]] = [[], []]
    sessions = [RecordedSession(Session(shared=shared), lines.append) for lines in texts]
    runs = [Run(session, service, clock=clock) for session in sessions]
    for run in runs:
        run.begin("Hi")
    going = list(runs)
    while going:
        going = [run for run in going if run.next_event() is not None]
    for lines in texts:
        transcript = Transcript.read("".join(lines))
        assert first_difference(transcript) is None
    assert any('"do":"shared"' in line for line in texts[1])


def test_the_cookies_that_another_session_of_the_client_has_got_are_told_with_stand_ins() -> None:
    shared, service, clock = ClientState(), Service(), Clock(50.0)
    Run(Session(shared=shared), service, clock=clock).ask("Hi")
    assert shared.landing is not None
    values = [cookie.value for cookie in shared.landing.cookies if len(cookie.value) > 3]
    assert values
    lines: list[str] = []
    run = Run(RecordedSession(Session(shared=shared), lines.append), service, clock=clock)
    run.ask("Hi")
    run.ask("And?")
    text = "".join(lines)
    assert '"landing":{"cookies":[' in text
    assert text.count('"do":"shared"') == 1
    assert not any(value in text for value in values)
    assert [request.target for request in run.requests if "aichat" in request.target] == []
    assert first_difference(Transcript.read(text)) is None


def test_what_the_client_s_other_sessions_found_out_before_any_request_is_told() -> None:
    shared, service = ClientState(), Service(strict=True)
    lines: list[str] = []
    session = RecordedSession(Session(shared=shared), lines.append)
    shared.fe_version = "serp_1_ET-0123456789abcdef0123"
    with pytest.raises(DuckChatError):  # the service knows of no such version
        Run(session, service).ask("Hi")
    assert '"do":"shared","fe_version":"serp_1_ET-0123456789abcdef0123"' in "".join(lines)
    assert first_difference(Transcript.read("".join(lines))) is None


def test_a_hold_that_another_session_of_the_client_met_is_told() -> None:
    shared, script = ClientState(), [Fault("status", (f.Refuse(429, "ERR_RATE_LIMIT", retry_after=30),), times=1)]
    with pytest.raises(DuckChatError):
        Run(Session(shared=shared, policy=Policy(max_retries=0)), Service(script=script), clock=Clock(50.0)).ask("Hi")
    lines: list[str] = []
    run = Run(RecordedSession(Session(shared=shared), lines.append), Service(), clock=Clock(60.0))
    run.ask("Hi")
    told = next(json.loads(line) for line in lines if '"do":"shared"' in line)
    assert told["held_until"] == shared.pacer.held_until > 80.0
    assert f'"until":{told["held_until"]},"reason":"backoff"' in "".join(lines)
    assert first_difference(Transcript.read("".join(lines))) is None


def test_the_second_recording_of_a_session_begins_with_what_it_has_become() -> None:
    service = Service()
    first = Run(Session(), service, clock=Clock(0.1))
    first.ask("Hi")
    assert isinstance(first.session, Session)
    session = first.session
    text = recorded(session, lambda s: Run(s, service, clock=first.clock).ask("And?"), redact_texts=True)
    assert first_difference(Transcript.read(text)) is None
    assert session.conversation.cookies[-1].value not in text
    assert "emulator" not in text


@pytest.mark.parametrize("redact_texts", [False, True])
def test_images_and_files_are_recorded_and_blanked_but_for_kind_and_size(*, redact_texts: bool) -> None:
    model = Model("sees", takes_images=True, file_types=("application/pdf",))
    profile = msgspec.structs.replace(DUCKDUCKGO_2025_04, models=(model,), history_parts="all")
    part = {"parts": [{"type": "reasoning", "encryptedText": "secret"}, {"type": "odd", "x": "secret"}]}
    service = Service(profile, responder=lambda question: ["A ", "duck", part])
    image, pdf = Image(b"secret image", "image/png"), File(b"secret file!", "application/pdf", "secret.pdf")
    asked: list[Any] = [{"role": "user", "content": [Text("secret?"), image]}, Message("user", (pdf,))]
    shared = ClientState()
    first = Run(Session(profile, shared=shared), service)
    first.ask(asked)
    session = Session(profile, conversation=first.session.conversation, shared=shared)
    text = recorded(
        session, lambda s: [Run(s, service, clock=first.clock).ask(q) for q in (asked, "Hi")], redact_texts=redact_texts
    )
    transcript = Transcript.read(text)
    assert all(step.same for step in replay(transcript))
    assert not isinstance(transcript.lines[-1], Lost)
    history = Session.restore(transcript.head.session, now=0.0, profile=profile).conversation.message_history
    if redact_texts:
        assert "secret" not in text
        for data in (image.data, pdf.data):
            assert base64.b64encode(data).decode() not in text
        blanked = (Image(bytes(12), "image/png"), File(bytes(12), "application/pdf", "x" * 10))
        assert history[0].content[1:] == blanked
        assert list(history[1].parts) == ['{"type":"reasoning"}', '{"type":"xxx"}']
    else:
        assert history == first.session.conversation.message_history
        assert base64.b64encode(image.data).decode() in text


def test_a_challenge_that_is_not_read_is_recorded_without_its_hashes() -> None:
    secret = base64.b64encode(b"s" * 32).decode()
    script = f"(function(){{const _0x12='{secret}';return {{meta:{{v:'4'}}}}}})()"
    for challenge in (base64.b64encode(script.encode()).decode(), "not*base64*at*all*but*a*secret", "_" * 50):

        def run(session: RecordedSession, challenge: str = challenge) -> None:
            with Dialogue(session) as dialogue:
                dialogue.ask("Hi")
                dialogue.expects(object, request("GET", "/status"))
                dialogue.responds(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", challenge)])
                dialogue.expects(UnsupportedChallenge)

        shared = ClientState()
        shared.fe_version = "known"
        text = recorded(Session(cookies={}, shared=shared, answer_challenge="always"), run)
        assert first_difference(Transcript.read(text)) is None
        assert challenge not in text
        assert secret not in text
        assert secret not in _decoded(text)
        assert ("meta.v 4" in text) == challenge.startswith("KGZ1")


def test_a_compressed_reply_is_blanked_too() -> None:
    service = Service(responder=lambda _: "hush hush", script=[Fault("chat", (f.Coding("gzip"),))])
    text = recorded(Session(), lambda s: Run(s, service, chunks=every(97)).ask("Hi"), redact_texts=True)
    assert first_difference(Transcript.read(text)) is None
    assert '"gives":{"type":"TextDelta","text":"xxxx "}' in text
    assert "hush" not in text


#: A refusal whose known word is spelled in escapes, which are blanked.
ESCAPED = '{"action":"error","type":"\\u0045RR_USER_LIMIT"}'


def test_a_run_that_can_not_be_told_with_stand_ins_is_lost_and_goes_on() -> None:
    broken = Fault("chat", (f.Refuse(429), f.Body(ESCAPED)))
    lines: list[str] = []
    run = Run(RecordedSession(Session(), lines.append, redact_texts=True), Service(script=[broken]))
    with pytest.raises(DuckChatError):
        run.ask("Hi")
    transcript = Transcript.read("".join(lines))
    assert isinstance(transcript.lines[-1][1], Lost)
    assert first_difference(transcript) is None


TROUBLES = [f.Insert("\0\0\0\0", at=12), f.Insert("no", at=0), f.Cut(1, "end"), f.Cut(30, "end")]


@pytest.mark.parametrize(
    ("coding", "on", "trouble"),
    thinned(product(["gzip", "deflate"], ["front_end", "status", "chat"], TROUBLES), one_in=5, reason="each with each"),
)
def test_a_coded_body_that_is_broken_is_as_broken_once_it_is_blanked(coding: Any, on: Any, trouble: Any) -> None:
    lines: list[str] = []
    run = Run(
        RecordedSession(Session(), lines.append, redact_texts=True),
        Service(script=[Fault(on, (f.Coding(coding), trouble), times=1)]),
    )
    with contextlib.suppress(DuckChatError):
        run.ask("Hi")
    transcript = Transcript.read("".join(lines))
    assert not any(isinstance(line, Lost) for _, line in transcript.lines)
    assert first_difference(transcript) is None


def test_a_run_that_was_lost_is_recorded_no_further() -> None:
    broken = Fault("chat", (f.Refuse(429), f.Body(ESCAPED)), times=1)
    lines: list[str] = []
    run = Run(RecordedSession(Session(), lines.append, redact_texts=True), Service(script=[broken]))
    with pytest.raises(DuckChatError):
        run.ask("Hi")
    written = len(lines)
    assert run.ask("And again?") is not None
    assert len(lines) == written


def test_a_body_of_a_coding_nobody_reads_is_recorded_as_what_it_is() -> None:
    coded = Fault("chat", (f.Header("content-encoding", "br"),))
    lines: list[str] = []
    run = Run(RecordedSession(Session(), lines.append, redact_texts=True), Service(script=[coded]))
    with pytest.raises(ContentDecodingError):
        run.ask("Hi")
    transcript = Transcript.read("".join(lines))
    assert not any(isinstance(line, Lost) for _, line in transcript.lines)
    assert first_difference(transcript) is None


def test_a_solver_that_gave_up_is_recorded_and_gives_up_again() -> None:
    def give_up(challenge: SolveChallenge) -> str:
        raise UnsupportedChallenge("too hard")

    lines: list[str] = []
    session = RecordedSession(Session(solver="embedder", answer_challenge="always"), lines.append)
    with pytest.raises(UnsupportedChallenge):
        Run(session, Service(), solver=give_up).ask("Hi")
    assert '"do":"challenge_failed"' in "".join(lines)
    assert first_difference(Transcript.read("".join(lines))) is None


def test_what_is_not_text_is_recorded_as_bytes() -> None:
    garbage = Service(script=[Fault("chat", (f.Insert("data: ?\n\n"),))])
    text = recorded(Session(), lambda s: Run(s, garbage, chunks=lambda data: [data.replace(b" ?", b" \xff")]).ask("Hi"))
    assert '"type":"MalformedPayload","raw":{"base64":"/w=="}' in text
    assert first_difference(Transcript.read(text)) is None


def test_a_cookie_without_a_name_is_blanked_whole() -> None:
    odd = Fault("landing", (f.Header("set-cookie", "just-a-secret"),))
    text = recorded(Session(), lambda s: Run(s, Service(script=[odd])).ask("Hi"))
    assert "just-a-secret" not in text
    assert first_difference(Transcript.read(text)) is None


@given(strategies.scripts(), strategies.chunkings(), st.booleans(), st.booleans())
@settings(max_examples=examples(30, default=5), suppress_health_check=list(HealthCheck))
def test_whatever_went_wrong_its_recording_replays(
    script: list[Fault], chunking: Chunking, redact_texts: bool, wire: bool
) -> None:
    # What never ends is ended by the clock alone, and no time passes here while bytes come.
    assume(not any(isinstance(effect, f.Endless) for fault in script for effect in fault.effects))
    lines: list[str] = []
    policy = Policy(max_page_bytes=4096, max_error_bytes=1024, max_drain_bytes=1024, max_reply_bytes=4096)
    session = RecordedSession(Session(policy=policy), lines.append, redact_texts=redact_texts)
    run = Run(WireSession(session) if wire else session, Service(script=script), chunks=chunking)
    for question in ("Why?", "And?"):
        try:
            run.ask(question)
        except DuckChatError:
            continue
    text = "".join(lines)
    assert first_difference(Transcript.read(text)) is None
    assert not TOKENS.search(text)


# Redaction


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_a_stand_in_is_as_long_and_the_same_for_the_same(value: str) -> None:
    found = Secrets(Session().profile)
    stand_in = found.value(value)
    assert len(stand_in) == len(value)
    assert found.value(value) == stand_in
    for before, after in zip(value, stand_in, strict=True):
        assert ("!" <= before <= "~") == ("!" <= after <= "~")
        assert before.isascii() == after.isascii()
        assert (before in " \t") == (after in " \t")


def test_different_tokens_have_different_stand_ins() -> None:
    found = Secrets(Session().profile)
    assert found.value("4-1111") == "r1xxxx"
    assert found.value("4-2222") == "r2xxxx"
    assert found.value("4-1111") == "r1xxxx"


@each_of(
    "line, blanked",
    [
        (b'data: {"action":"success","message":"Hi there"}', b'data: {"action":"success","message":"xx xxxxx"}'),
        (b'data: {"role":"assistant","message":""}', b'data: {"role":"assistant","message":""}'),
        (b'data: {"message":null,"created":17}', b'data: {"message":null,"created":11}'),
        (b'data:{"message":"a\\n\\"b\\" \xc3\xa4"}', b'data:{"message":"x\\n\\"x\\" xx"}'),
        (b'data: {"message":"\\ud83d"}', b'data: {"message":"\\ud800"}'),
        (b'data: {"message":"\\uDE00\\u00e9"}', b'data: {"message":"\\udc00\\u0078"}'),
        (
            b'data: {"parts":[{"type":"text","text":"Hi"},["a"]]}',
            b'data: {"parts":[{"type":"text","text":"xx"},["x"]]}',
        ),
        (b"data: [DONE][CHAT_TITLE:My [own] life]", b"data: [DONE][CHAT_TITLE:xx xxxx] xxxx]"),
        (b"data: [PING]", b"data: [PING]"),
        (b"data: [DONE, then]", b"data: [DONEx xxxx]"),
        (b"data: a plain text", b"data: x xxxxx xxxx"),
        (b"data: [1, true, false, nul, secret]", b"data: [1, true, false, nul, xxxxxx]"),
        (b": a comment", b": x xxxxxxx"),
        (b"event: other", b"event: xxxxx"),
        (b"id: 4-12", b"id: xxxx"),
        (b"retry: 17", b"retry: xx"),
        (b"secret: other", b"xxxxxx: xxxxx"),
        (b"secret", b"xxxxxx"),
        (b"dataset: 1", b"dataxxx: x"),
        (b"data: 0612 345678", b"data: 0111 111111"),
        (b"data: null", b"data: null"),
        (b"data: -17", b"data: -11"),
        (b"data: see null", b"data: xxx xxxx"),
        (b'data: "hush"', b'data: "xxxx"'),
        (b"data: [V2_SECRET:hush][2]", b"data: [XXXXXXXXX:xxxx][x]"),
        (
            b'data: {"role":"source","source":{"url":"https://a.b/","title":"My secret"},"sources":[{"site":"c"}]}',
            b'data: {"role":"source","source":{"url":"xxxxxxxxxxxx","title":"xx xxxxxx"},"sources":[{"site":"x"}]}',
        ),
        (
            b'data: {"role":"ui-component","data":{"b64Image":"AQI=","status":"partial","format":"png","width":512}}',
            b'data: {"role":"ui-component","data":{"b64Image":"xxxx","status":"partial","format":"png","width":111}}',
        ),
        (
            b'data: {"role":"tool-invocation","state":"call","toolName":"MyTool","toolArguments":{"secret":"hush"}}',
            b'data: {"role":"tool-invocation","state":"call","toolName":"xxxxxx","toolArguments":{"sxxxxx":"xxxx"}}',
        ),
        (
            b'data: {"role":"reasoning","text":"hush","summaryText":["hush"],"detectedBy":"hush"}',
            b'data: {"role":"reasoning","text":"xxxx","summaryText":["xxxx"],"detectedBy":"xxxx"}',
        ),
        (b'data: {"pin":0.612,"n":-17e2,"status":429.75}', b'data: {"pxx":0.111,"n":-11e1,"status":429.11}'),
        (b'data: {"type":"ERR_SECRET","status":42999}', b'data: {"type":"ERR_SExxxx","status":42911}'),
        (b'data: {"type":"ERR_USER_LIMIT"}', b'data: {"type":"ERR_USER_LIMIT"}'),
        (
            b'data: {"model":"hush","role":"hush","action":"hush"}',
            b'data: {"model":"xxxx","role":"xxxx","action":"xxxx"}',
        ),
        (b'data: {"\\u0061ction":"\\u0065rror"}', b'data: {"\\u0061ction":"\\u0065rror"}'),
        (b'data: {"\\u0067ct":"\\/\\q\\u00zz"}', b'data: {"\\u0060xx":"\\/\\x\\u00xx"}'),
        (b"data: [SECRET:hush]", b"data: [SXXXXX:xxxx]"),
        (b"data: [DONE][LIMIT_SECRET]\t", b"data: [DONE][LIMIT_XXXXXX]\t"),
    ],
)
def test_what_was_said_is_blanked_and_what_it_is_stays(line: bytes, blanked: bytes) -> None:
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        whole = (line + end) * 2
        texts = ReplyTexts()
        got = b"".join(texts.feed(whole[i : i + 1]) for i in range(len(whole)))
        assert got == ReplyTexts().feed(whole)
        assert got == (blanked + end) * 2


@given(strategies.event_streams(), strategies.chunkings())
@settings(deadline=None)
def test_a_blanked_stream_means_the_same(stream: bytes, chunking: Chunking) -> None:
    texts = ReplyTexts()
    blanked = b"".join(texts.feed(chunk) for chunk in chunking(stream))
    assert len(blanked) == len(stream)
    assert kinds_of(blanked) == kinds_of(stream)


def kinds_of(body: bytes) -> list[type]:
    reader = ReplyReader(Policy(max_event_bytes=10**6, max_reply_bytes=10**6))
    found: list[type] = []
    try:
        reader.chunks.append(body)
        while (event := reader.next_event()) is not None:
            found.append(type(event))
        reader.end()
    except DuckChatError as error:
        found.append(type(error))
    return found


# Reading


@each_of(
    "text, says",
    [
        ("", "line 1"),
        ("hello", "line 1"),
        ("[]", "line 1"),
        ('{"transcript":3}', "line 1: .* version 3, .* reads 1 to 2; update ddg-protocol to read it"),
        ('{"transcript":0}', "line 1: .* version 0, .* reads 1 to 2$"),
        ('{"transcript":1}', "line 1: .*texts"),
        ('{"transcript":2}', "line 1: .*texts"),
        ('{"transcript":1,"texts":"kept","profile":{"chat_headers":5}}', "line 1: .*chat_headers"),
    ],
)
def test_what_is_no_transcript_is_said_with_its_line(text: str, says: str) -> None:
    with pytest.raises(ConversationFormatError, match=says):
        Transcript.read(text)


def test_a_request_without_a_readable_address_is_said_with_its_line() -> None:
    text = text_of("two-turns")
    at = next(number for number, line in enumerate(text.splitlines(), 1) if '"url":"https://' in line)
    transcript = Transcript.read(text.replace('"url":"https://', '"url":"https://[', 1))
    for use in (exchanges, TranscriptService, TranscriptTransport, AsyncTranscriptTransport):
        with pytest.raises(ConversationFormatError, match=rf"^line {at}: "):
            use(transcript)


@each_of(
    "line",
    [
        "",
        "{",
        "{}",
        '{"do":"dance"}',
        '{"do":"cancel","more":1}',
        '{"do":"receive_eof","id":"x"}',
        '{"do":"next_action","now":1}',
        '{"do":"next_action","now":1,"gives":{},"raises":{}}',
        '{"do":"next_action","now":1e999,"gives":{}}',
        '{"do":"receive_data","id":1,"base64":"?"}',
        '{"do":"ask","now":1,"messages":[{"role":1}]}',
        '{"do":"ask","now":1,"messages":"\\ud800"}',
        "[" * 100_000,
    ],
)
def test_a_line_that_can_not_be_read_is_named(line: str) -> None:
    first, second, *_ = text_of("solver").splitlines()
    with pytest.raises(ConversationFormatError, match=r"^line 3: "):
        Transcript.read(f"{first}\n{second}\n{line}\n")


def test_a_transcript_that_was_cut_short_is_an_error_or_shorter() -> None:
    text = text_of("solver")
    for cut in range(0, len(text), 37):
        try:
            shorter = Transcript.read(text[:cut])
        except ConversationFormatError:
            continue
        assert text[cut] == "\n" or text[cut - 1] == "\n"
        assert first_difference(shorter) is None


def test_what_is_whole_of_a_damaged_transcript_is_salvaged_and_the_damage_named() -> None:
    text = text_of("solver")
    whole = Transcript.read(text)
    assert Transcript.salvage(text) == (whole, None)
    lines = text.splitlines()
    found, damage = Transcript.salvage("\n".join([*lines[:9], lines[9][:40], *lines[10:]]))
    assert found.lines == whole.lines[:8]
    assert str(damage).startswith("line 10: ")
    with pytest.raises(ConversationFormatError, match=r"^line 1: "):
        Transcript.salvage(text[:100])


def test_a_line_without_a_time_has_that_of_the_next_pull() -> None:
    first, *_ = text_of("solver").splitlines()
    calls = [
        '{"do":"receive_eof","id":1}',
        '{"do":"receive_head","now":1.5,"id":1,"status":200,"headers":[]}',
        '{"do":"next_action","now":2.0,"gives":{"type":"NEED_DATA"}}',
        '{"do":"ask","now":3.0,"messages":"Well?"}',
        '{"do":"cancel"}',
    ]
    assert Transcript.read("\n".join([first, *calls])).times() == [2.0, 1.5, 2.0, 3.0, 3.0]
    assert Transcript.read("\n".join([first, calls[0]])).times() == [0.0]


@given(st.data())
@settings(max_examples=examples(200))
def test_whatever_was_changed_in_a_transcript_it_is_read_or_refused_and_its_replay_ends(data: st.DataObject) -> None:
    text = text_of("solver").encode()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.binary(max_size=3)) + text[at + data.draw(st.integers(0, 20)) :]
    try:
        transcript = Transcript.read(changed)
    except ConversationFormatError:
        return
    first_difference(transcript)
    exchanges(transcript)
    assert len(transcript.times()) == len(transcript.lines)


def test_the_first_difference_is_the_line_and_both_outcomes() -> None:
    lines = text_of("two-turns").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if '"TextDelta"' in line)
    lines[number - 1] = lines[number - 1].replace("You ", "We ")
    step = first_difference(Transcript.read("\n".join(lines)))
    assert step is not None
    assert (step.line, step.expected["text"], step.got["text"]) == (number, "We ", "You ")
    lines[1] = '{"do":"receive_eof","id":7}'
    step = first_difference(Transcript.read("\n".join(lines)))
    assert step is not None
    assert (step.line, step.got["type"]) == (2, "LocalProtocolError")


# Serving


@pytest.mark.parametrize("name", ["two-turns", "challenge"])
def test_another_client_is_answered_from_a_transcript(name: str) -> None:
    transcript = Transcript.read(text_of(name))
    said = [step.got["text"] for step in replay(transcript) if step.got["type"] == "TurnFinished"]
    assert len(said) == 2
    for session in (Session(), WireSession(Session())):
        run = Run(session, TranscriptService(transcript), chunks=every(1000))
        for text in said:
            finished = run.ask("Anything")
            assert finished is not None
            assert finished.text == text
        with pytest.raises(DuckChatError):
            run.ask("What isn't in it")


def test_what_broke_breaks_again_and_the_times_are_as_they_were() -> None:
    transcript = Transcript.read(text_of("troubles"))
    run = Run(Session(jitter=lambda: 0.5), TranscriptService(transcript, real_time=True))
    run.ask("Well?")
    assert sum(isinstance(event, Retrying) for event in run.events) == 2
    with pytest.raises((TransportError, IncompleteStream)):
        run.ask("And?")
    assert TextDelta("You ") in run.events
    found = exchanges(transcript)
    broken = [each for each in found if each.failure is not None]
    assert len(broken) == 1
    assert not broken[0].whole
    transport = TranscriptTransport(transcript)
    for each in found:
        if each is broken[0]:
            break
        exchange = transport.open(_request(each.method, each.target), timeout=1)
        while exchange.read(timeout=1):
            pass
        exchange.close()
    exchange = transport.open(_request("POST", broken[0].target), timeout=1)
    for _ in broken[0].chunks:
        assert exchange.read(timeout=1)
    with pytest.raises(TransportError, match="reset"):
        exchange.read(timeout=1)
    with pytest.raises(TransportError, match=r"has GET /duckchat/v1/status here \(line \d+\), not GET /x"):
        transport.open(_request("GET", "/x"), timeout=1)


def _request(method: str, target: str) -> SendRequest:
    return SendRequest(id=1, method=method, url=f"https://duckduckgo.com{target}", headers=(), body=b"", timeout=1.0)


def test_the_head_is_waited_for_as_long_as_it_was() -> None:
    def run(session: DrivenSession) -> None:
        Run(WireSession(session), Service(script=[Fault("landing", (f.Drip(0.5, "wire"),))])).ask("Hi")

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    slept: list[float] = []
    transcript = Transcript.read(recorded(Session(), run))
    late = exchanges(transcript)[1]
    first = _request("GET", exchanges(transcript)[0].target)
    request = _request(late.method, late.target)
    assert late.head_after == 0.5
    transport = TranscriptTransport(transcript, sleep=slept.append)
    transport.open(first, timeout=1)
    transport.open(request, timeout=1)
    assert slept == [0.5]

    async def main() -> None:
        transport = AsyncTranscriptTransport(transcript, sleep=sleep)
        await (await transport.open(first)).aclose()
        await transport.open(request)

    anyio.run(main)
    assert slept == [0.5, 0.5]


def test_each_chunk_is_waited_for_as_long_as_it_was() -> None:
    def run(session: DrivenSession) -> None:
        Run(session, Service(script=[Fault("chat", (f.Drip(0.5),))], responder=lambda _: ["one", "two"])).ask("Hi")

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def main() -> list[bytes]:
        transport = AsyncTranscriptTransport(transcript, sleep=sleep)
        for each in found[:-1]:
            await transport.open(_request(each.method, each.target))
        exchange = await transport.open(_request("POST", found[-1].target))
        return [chunk async for chunk in _chunks(exchange)]

    slept: list[float] = []
    transcript = Transcript.read(recorded(Session(), run))
    found = exchanges(transcript)
    transport = TranscriptTransport(transcript, sleep=slept.append)
    for each in found[:-1]:
        transport.open(_request(each.method, each.target), timeout=1)
    exchange = transport.open(_request("POST", found[-1].target), timeout=1)
    chunks = list(iter(lambda: exchange.read(timeout=1), b""))
    assert len(slept) == len(chunks) > 2
    assert set(slept) == {0.5}
    assert anyio.run(main) == chunks
    assert len(slept) == 2 * len(chunks)


async def _chunks(exchange: AsyncRecordedExchange) -> AsyncIterator[bytes]:
    while chunk := await exchange.read():
        yield chunk


def test_what_broke_before_its_head_came_does_so_again() -> None:
    def run(session: DrivenSession) -> None:
        Run(WireSession(session), Service(script=[Fault("front_end", (f.Cut(3, "reset", "wire"),))])).ask("Hi")

    transcript = Transcript.read(recorded(Session(), run))
    broken = exchanges(transcript)[0]
    assert broken.failure is not None
    with pytest.raises(TransportError, match=re.escape(broken.failure.text)):
        TranscriptTransport(transcript).open(_request(broken.method, broken.target), timeout=1)


def test_an_empty_chunk_that_was_reported_is_not_read_as_the_end() -> None:
    class EmptyBeforeEach(RecordedSession):
        def receive_data(self, request: SendRequest, data: bytes) -> None:
            super().receive_data(request, b"")
            super().receive_data(request, data)

    lines: list[str] = []
    Run(EmptyBeforeEach(Session(), lines.append), Service()).ask("Hi")
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    transport = TranscriptTransport(transcript)
    for found in exchanges(transcript):
        exchange = transport.open(_request(found.method, found.target), timeout=1)
        chunks = list(iter(lambda: exchange.read(timeout=1), b""))  # noqa: B023 - read at once
        assert len(found.chunks) == 2 * len(chunks)


def test_a_step_that_differs_is_the_last() -> None:
    lines = text_of("two-turns").splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if '"TextDelta"' in line)
    lines[at] = lines[at].replace('"TextDelta"', '"Heartbeat"')
    steps = list(replay(Transcript.read("".join(lines))))
    assert [step.same for step in steps[-2:]] == [True, False]
    assert steps[-1].line == at + 1


def test_a_session_that_is_watched_is_the_session_and_tells_of_each_call() -> None:
    told: list[str] = []

    class Tap:
        def pulling(self) -> None:
            told.append("pulling")

        def pulled(self, action: object, now: float) -> None:
            told.append(type(action).__name__)

        def called(self, method: str, *arguments: object) -> None:
            told.append(method)
            arguments_of_each.append(arguments)

    arguments_of_each: list[tuple[object, ...]] = []
    own = Session(solver="embedder", answer_challenge="always")
    session = TappedSession(own, Tap())
    assert (session.profile, session.policy, session.request) == (Session().profile, Policy(), None)
    assert repr(session).startswith("<TappedSession of <Session READY")
    run = Run(session, Service(challenge=True), solver=lambda solve: "e30=")
    with pytest.raises(ChallengeError):
        run.ask("Hi")
    assert {"ask", "receive_head", "receive_data", "wait_elapsed", "challenge_solved"} <= set(told)
    run.begin("Hi")
    while not isinstance(action := session.next_action(now=run.clock.now), SolveChallenge):
        if isinstance(action, Wait):
            run.clock.advance_to(action.until)
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest):
            session.receive_head(action, 200, [("x-vqd-4", "4-1"), ("x-vqd-hash-1", "e30=")], now=run.clock.now)
            for name in ("profile", "policy", "state", "conversation", "request", "deadline", "read_by"):
                assert getattr(session, name) is not None
                assert getattr(session, name) == getattr(own, name)
            session.receive_data(action, bytearray(b"<html>"))  # type: ignore[arg-type]
            assert arguments_of_each[-1] == (action, b"<html>")
            assert type(arguments_of_each[-1][1]) is bytes  # a copy, which the driver can't change any more
            session.receive_eof(action)
    session.challenge_failed(action, "no idea")
    with pytest.raises(UnsupportedChallenge, match="no idea"):
        session.next_action(now=run.clock.now)
    assert told[-3:] == ["challenge_failed", "pulling", "UnsupportedChallenge"]
    assert session.snapshot(now=0.0)["phase"]["type"] == "Ready"
    session.close()
    assert (told[-1], session.state) == ("close", own.state)


def test_a_recorded_exchange_without_a_head_is_served_without_one_to_those_who_read_bytes() -> None:
    lines: list[str] = []
    session = RecordedSession(Session(policy=Policy(max_retries=0)), lines.append)
    session.ask("Hi", now=0.0)
    session.next_action(now=0.0)
    asked = session.next_action(now=0.0)
    assert isinstance(asked, SendRequest)
    session.transport_failed(asked, Failure(FailureKind.CUT, "cut"))
    session.next_action(now=0.0)
    service = TranscriptService(Transcript.read("".join(lines)))
    response = service.handle(ServiceRequest("GET", DUCKDUCKGO_2025_04.front_end_path, ()), now=0.0)
    assert [(piece.data, piece.then) for piece in framed(response)] == [(b"", "reset")]
    assert service.log[-1].ended == "broken"
