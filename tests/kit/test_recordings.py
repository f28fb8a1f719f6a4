"""Recordings of several chats: each replays, pages are stored once, and a client that asks again is answered."""

from __future__ import annotations

import base64
import itertools
import json
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.paths import TRANSCRIPTS
from support.peak import peak_of
from support.tiers import examples
from transcripts import make

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ClientState,
    ConversationFormatError,
    DuckChatError,
    LocalProtocolError,
    Policy,
    Session,
)
from ddg_protocol.events import ModelsReceived
from ddg_protocol.revisions import DUCK_AI_2026_10
from ddg_protocol.service import Fault, Question, Service, ServiceRequest
from ddg_protocol.service import faults as f
from ddg_protocol.testing import Chunking, Clock, Dialogue, Run, every, request, strategies
from ddg_protocol.transcript import (
    MAX_CHATS,
    AsyncTranscriptTransport,
    Begin,
    Lost,
    NextAction,
    ReceiveData,
    Recorded,
    RecordedSession,
    Recording,
    Transcript,
    TranscriptService,
    TranscriptTransport,
    _bodies,
    _reading,
    exchanges,
    first_difference,
    replay,
)
from ddg_protocol.transcript._bodies import Kept, WrittenBody
from ddg_protocol.transcript._lines import ReceivePacked, ReceiveRepeated, write_line
from ddg_protocol.transcript._redaction import Secrets
from ddg_protocol.transcript._serve import _Tape
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator

MIB = 1024 * 1024
SMALL_PAGE = Fault("front_end", (f.Body("<html>"),))
QUESTIONS = ("Who is first?", "Who is second?")


def echo(question: Question) -> str:
    return f"You said: {question.text}"


def together(*runs: Run) -> None:
    """Take a step of each at a time until all are at rest."""
    going = list(runs)
    while going:
        going = [run for run in going if run.next_event() is not None]


def two_chats(**settings: Any) -> list[str]:
    """Record two chats of a client that ask at the same time."""
    lines: list[str] = []
    recording, service = Recording(lines.append, **settings), Service(responder=echo, script=[SMALL_PAGE])
    shared, clock = ClientState(), Clock(50.0)
    runs = [Run(recording.record(Session(shared=shared)), service, clock=clock) for _ in QUESTIONS]
    for run, question in zip(runs, QUESTIONS, strict=True):
        run.begin(question)
    together(*runs)
    return lines


TWO = two_chats()
HEAD = TWO[0]
BEGIN = next(line for line in TWO if '"do":"begin"' in line)


# Several chats


#: Messages that are not sent, of which JSON could not hold one as it is.
NOT_SENT = [{"role": "x\ud800", "content": "\ud83d"}, {"role": "assistant", "content": " "}]


@pytest.mark.parametrize("redact_texts", [False, True])
@pytest.mark.parametrize("as_given", [list, tuple, iter])
def test_a_question_that_a_session_takes_is_recorded(as_given: Callable[[list[Any]], Any], redact_texts: bool) -> None:
    lines: list[str] = []
    run = Run(RecordedSession(Session(), lines.append, redact_texts=redact_texts), Service(responder=echo))
    run.ask("Who is first?")
    finished = run.ask(as_given([*NOT_SENT, {"role": "user", "content": "Who is second?"}]))
    assert finished is not None
    assert finished.text.endswith("second?")
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    assert not any(isinstance(line, Lost) for _, line in transcript.lines)


@pytest.mark.parametrize("redact_texts", [False, True])
def test_a_list_of_models_is_kept_wherever_it_was_found(redact_texts: bool) -> None:
    lines: list[str] = []
    session = RecordedSession(Session(DUCK_AI_2026_10), lines.append, redact_texts=redact_texts)
    with Dialogue(session) as dialogue:
        dialogue.fetch_models()
        dialogue.expects(request("GET", "/duckchat/v1/models"))
        dialogue.responds(307, headers=[("location", "/duckchat/v1/models?v=2")])
        dialogue.expects(request("GET", "/duckchat/v1/models?v=2"))
        dialogue.responds(body=b'{"models":[{"id":"gpt-x"}]}')
        dialogue.expects(ModelsReceived)
        dialogue.ends()
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    assert any('"gives":{"type":"ModelsReceived"' in line and "gpt-x" in line for line in lines)


def test_the_service_s_own_paths_stay_as_they_are() -> None:
    profile = DUCK_AI_2026_10
    paths = (profile.landing_path, profile.front_end_path, profile.status_path, profile.chat_path, profile.models_path)
    fields = tuple(("location", path) for path in paths if path is not None)
    assert len(fields) == 5
    assert Secrets(profile).headers(fields) == fields


@each_of("redact_texts", [False, True])
def test_chats_that_ask_at_the_same_time_are_recorded_together_and_each_replays(redact_texts: bool) -> None:
    text = "".join(two_chats(redact_texts=redact_texts))
    transcript = Transcript.read(text)
    steps = list(replay(transcript))
    assert all(step.same for step in steps)
    assert [step.chat for step in steps] != sorted(step.chat for step in steps)
    assert {step.got["type"] for step in steps if step.chat == 2} > {"TurnStarted", "TurnFinished", "PAUSED"}
    chats = transcript.chats()
    assert len(chats) == 2
    for number, (chat, question) in enumerate(zip(chats, QUESTIONS, strict=True), 1):
        assert [step.line for step in replay(chat)] == [step.line for step in steps if step.chat == number]
        assert first_difference(chat) is None
        assert (question in repr(chat)) is not redact_texts
        assert chat.head.texts == ("blanked" if redact_texts else "kept")


def test_a_chat_that_is_alone_is_recorded_as_ever_but_for_the_version_and_large_chunks() -> None:
    lines: list[str] = []
    Run(Recording(lines.append).record(Session()), Service(), chunks=every(500)).ask("Hi")
    assert json.loads(lines[0])["transcript"] == 2
    assert not any('"chat":' in line or '"do":"begin"' in line for line in lines)
    transcript = Transcript.read("".join(lines))
    assert transcript.chats() == (transcript,)


def test_equal_secrets_of_different_chats_have_the_same_stand_in_and_others_have_others() -> None:
    text = "".join(TWO)
    heads = [json.loads(line) for line in TWO if '"do":"receive_head"' in line]
    tokens = [value for head in heads for name, value in head["headers"] if name == "x-vqd-4"]
    assert len(set(tokens)) == len(tokens) == 4
    assert "v309-3" not in text
    sent = [json.loads(line)["gives"]["headers"] for line in TWO if '"SendRequest"' in line]
    cookies = {value for headers in sent for name, value in headers if name == "cookie"}
    assert len({value for value in cookies if "r3=" in value}) == 1


def test_a_line_without_a_time_has_that_of_the_next_pull_of_its_chat() -> None:
    calls = [
        '{"do":"receive_eof","id":1}',
        '{"chat":2,"do":"next_action","now":7.0,"gives":{"type":"NEED_DATA"}}',
        '{"do":"next_action","now":8.0,"gives":{"type":"NEED_DATA"}}',
        '{"chat":2,"do":"cancel"}',
    ]
    assert Transcript.read("\n".join([HEAD.strip(), BEGIN.strip(), *calls])).times() == [7.0, 8.0, 7.0, 8.0, 8.0]


def test_a_recording_is_of_one_profile_and_one_policy() -> None:
    lines: list[str] = []
    recording = Recording(lines.append)
    recording.record(Session())
    for session in (Session(policy=Policy(strict=True)), Session(DUCKDUCKGO_2025_04.at("http://127.0.0.1:1"))):
        with pytest.raises(LocalProtocolError, match="one profile and one policy"):
            recording.record(session)
    assert len(lines) == 1


def test_a_recording_that_could_not_begin_can_begin_later() -> None:
    def write(line: str) -> None:
        if not lines:
            lines.append("")
            raise OSError("full")
        lines.append(line)

    lines: list[str] = []
    recording = Recording(write)
    with pytest.raises(OSError, match="full"):
        recording.record(Session())
    recording.record(Session())
    assert len(Transcript.read("".join(lines)).chats()) == 1


def test_a_session_within_a_turn_is_not_recorded() -> None:
    session = Session()
    session.ask("Hi", now=0)
    with pytest.raises(LocalProtocolError, match="at rest"):
        Recording(print).record(session)


def test_where_a_chat_is_lost_the_others_go_on() -> None:
    escaped = '{"action":"error","type":"\\u0045RR_USER_LIMIT"}'
    broken = Fault("chat", (f.Refuse(429), f.Body(escaped)), times=1)
    lines: list[str] = []
    recording, service = Recording(lines.append, redact_texts=True), Service(script=[SMALL_PAGE, broken])
    with pytest.raises(DuckChatError):
        Run(recording.record(Session()), service).ask("Hi")
    Run(recording.record(Session()), service).ask("Hi")
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    lost, whole = transcript.chats()
    assert isinstance(lost.lines[-1][1], Lost)
    assert any(isinstance(line, NextAction) and line.gives == {"type": "PAUSED"} for _, line in whole.lines)


def test_where_the_core_differs_in_one_chat_the_step_says_in_which() -> None:
    at = max(number for number, line in enumerate(TWO) if '"TextDelta"' in line and line.startswith('{"chat":2'))
    changed = TWO[at].replace('"TextDelta"', '"Heartbeat"')
    step = first_difference(Transcript.read("".join([*TWO[:at], changed, *TWO[at + 1 :]])))
    assert step is not None
    assert (step.line, step.chat) == (at + 1, 2)


@given(strategies.scripts(), strategies.chunkings(), st.booleans())
@settings(max_examples=examples(30, default=4), suppress_health_check=list(HealthCheck), deadline=None)
def test_whatever_went_wrong_in_several_chats_their_recording_replays(
    script: list[Fault], chunking: Chunking, redact_texts: bool
) -> None:
    assume(not any(isinstance(effect, f.Endless) for fault in script for effect in fault.effects))
    lines: list[str] = []
    recording, service = Recording(lines.append, redact_texts=redact_texts), Service(script=[SMALL_PAGE, *script])
    shared, clock = ClientState(), Clock(1.0)
    policy = Policy(max_page_bytes=4096, max_error_bytes=1024, max_drain_bytes=1024, max_reply_bytes=4096)
    for states in ((shared, shared), (ClientState(), ClientState())):
        runs = [
            Run(recording.record(Session(policy=policy, shared=state)), service, chunks=chunking, clock=clock)
            for state in states
        ]
        for run in runs:
            run.begin("Why?")
        for run in runs:
            with suppress(DuckChatError):
                while run.next_event() is not None:
                    pass
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    assert len(transcript.chats()) == 4


# Bodies


def cuts(*sizes: int) -> Chunking:
    def cut(data: bytes) -> Iterator[bytes]:
        place = 0
        while place < len(data):
            for size in sizes:
                yield data[place : place + size]
                place += size

    return lambda data: [chunk for chunk in cut(data) if chunk]


def stored(lines: list[str]) -> list[str]:
    return [json.loads(line)["do"] for line in lines if '"do":"receive_' in line and '"do":"receive_head"' not in line]


@each_of("redact_texts", [False, True])
def test_a_page_that_several_chats_fetch_is_stored_once_however_it_is_cut(redact_texts: bool) -> None:
    lines: list[str] = []
    recording, service = Recording(lines.append, redact_texts=redact_texts), Service()
    sizes = [len("".join(lines))]
    chunkings = (cuts(65536), cuts(1448, 16384), cuts(16384, 30000), cuts(1100, 5000))[: 2 if redact_texts else 4]
    for chunking in chunkings:
        Run(recording.record(Session()), service, chunks=chunking).ask("Hi")  # of clients that share nothing
        sizes.append(len("".join(lines)))
    first, *others = [after - before for before, after in itertools.pairwise(sizes)]
    assert first < 60_000
    assert all(other < 33_000 for other in others)
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    pages = [each for each in exchanges(transcript) if "duckai=1" in each.target]
    bodies = {b"".join(chunk for _, chunk in page.chunks) for page in pages}
    assert len(pages) == len(chunkings)
    assert all((b"Result" in body) is not redact_texts for body in bodies)
    assert len(bodies) == 1 or redact_texts  # where a chunk ends, a little more of a word may stay
    assert len({tuple(len(chunk) for _, chunk in page.chunks) for page in pages}) == len(chunkings)


def test_a_page_that_chats_fetch_at_the_same_time_is_stored_about_once() -> None:
    lines: list[str] = []
    recording, service, clock = Recording(lines.append), Service(), Clock(1.0)
    sizes = (20_000, 16_384, 30_000)
    runs = [Run(recording.record(Session()), service, clock=clock, chunks=cuts(size)) for size in sizes]
    for run in runs:
        run.begin("Hi")
    together(*runs)
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    found = stored(lines)
    assert found.count("receive_repeated") > found.count("receive_packed")


def test_a_reply_stays_as_it_is_and_so_does_what_compression_makes_longer() -> None:
    lines: list[str] = []
    service = Service(responder=lambda _: ["word " * 1000], script=[Fault("front_end", (f.Coding("gzip"),))])
    Run(Recording(lines.append).record(Session()), service, chunks=cuts(10**6)).ask("Hi")
    replies = [line for line in lines if "word word" in line and '"do":"receive_' in line]
    assert any(len(line) > 3000 for line in replies)
    body = bytes(i * i * 7919 >> 3 & 255 for i in range(3000))
    assert isinstance(WrittenBody({}, ("GET", "x", 200), 1, 1).line(body), ReceiveData | ReceivePacked)
    noise = zlib.compress(bytes(i * 2654435761 >> 7 & 255 for i in range(9000)))
    assert isinstance(WrittenBody({}, ("GET", "x", 200), 1, 1).line(noise), ReceiveData)


def test_a_late_chunk_of_an_earlier_request_is_recorded_as_what_it_is() -> None:
    lines: list[str] = []
    page = b"<p>" * 1000
    session = Recording(lines.append).record(Session())
    with Dialogue(session) as dialogue:
        dialogue.ask("Hi")
        dialogue.expects(object, request("GET", "duckai=1"))
        dialogue.begins()
        early = session.request
        assert early is not None
        dialogue.cancel()
        dialogue.expects(object)
        dialogue.ask("Hi")
        dialogue.expects(object, request("GET", "duckai=1"))
        dialogue.begins()
        session.receive_head(early, 200, [], now=0.0)
        session.receive_data(early, page)
        dialogue.receives(page)
        session.receive_data(early, page)
        dialogue.cancel()
        dialogue.expects(object)
    transcript = Transcript.read("".join(lines))
    assert [line.data for _, line in transcript.lines if isinstance(line, ReceiveData)] == [page] * 3
    assert first_difference(transcript) is None


CHUNKS = st.lists(st.sampled_from([b"", b"a", b"ab", b"abcabc", b"abcabcabcabcd", b"\xff" * 9, b"x" * 70]), max_size=6)
BODIES = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["/a", "/b", "/c"]), CHUNKS), min_size=1, max_size=8)


@given(BODIES, st.randoms(use_true_random=False))
@settings(max_examples=examples(1000, default=30), deadline=None)
def test_whatever_chunks_come_in_whatever_order_they_are_read_as_they_were(
    bodies: list[tuple[int, str, list[bytes]]], random: Any
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"LARGE": 2, "_MOST_KEPT": 40, "_MOST_ADDRESSES": 2}.items():
            patch.setattr(_bodies, name, value)
        kept: dict[tuple[str, str, int], Kept] = {}
        under_way = []
        for id, (chat, address, chunks) in enumerate(bodies, 1):
            under_way.append((chat, WrittenBody(kept, ("GET", address, 200), chat, id), list(chunks)))
        lines, expected = [HEAD, *(BEGIN.replace('"chat":2', f'"chat":{chat}') for chat in (2, 3))], []
        while under_way := [each for each in under_way if each[2]]:
            chat, written, chunks = random.choice(under_way)
            data = chunks.pop(0)
            line = written.line(data)
            assert not isinstance(line, ReceiveRepeated) or len(data) > 2
            lines.append(f'{{"chat":{chat},{write_line(line).decode()[1:]}\n')
            expected.append((chat, written.id, data))
        assert len(kept) <= 2
        assert all(len(each.data) <= 40 for each in kept.values())
    transcript = Transcript.read("".join(lines))
    read = [(line.chat, line.id, line.data) for _, line in transcript.lines if isinstance(line, ReceiveData)]
    assert read == expected


# Reading


def with_lines(*lines: dict[str, Any]) -> str:
    return HEAD + BEGIN + "\n".join(map(json.dumps, lines))


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


ONE = {"do": "receive_data", "id": 1, "text": "abc"}


@each_of(
    "lines, says",
    [
        ([{"chat": 3, "do": "cancel"}], "line 3: chat 3 has not begun"),
        ([{"chat": 0, "do": "cancel"}], "line 3: chat 0 has not begun"),
        ([{"chat": -1, "do": "cancel"}], "line 3: chat -1 has not begun"),
        ([{**json.loads(BEGIN), "chat": 2}], "line 3: chat 2 begins where chat 3 would"),
        ([{**json.loads(BEGIN), "chat": 4}], "line 3: chat 4 begins where chat 3 would"),
        ([{"chat": 3, "do": "begin", "session": {}}], "line 3: "),
        ([{"chat": 3, "do": "begin"}], "line 3: "),
        ([{"do": "receive_packed", "id": 1, "zlib": "?"}], "line 3: "),
        ([{"do": "receive_packed", "id": 1, "zlib": packed(b"no zlib")}], "line 3: .* can't be decompressed"),
        ([{"do": "receive_packed", "id": 1, "zlib": packed(zlib.compress(b"x")[:-1])}], "line 3: .* decompressed"),
        ([{"do": "receive_packed", "id": 1, "zlib": packed(zlib.compress(b"x") + b"y")}], "line 3: .* decompressed"),
        (
            [ONE, {"do": "receive_repeated", "id": 2, "like": [1, 1], "size": 4}],
            "line 4: .* the other body doesn't have",
        ),
        (
            [ONE, {"do": "receive_repeated", "id": 1, "like": [1, 1], "size": 1}],
            "line 4: .* the other body doesn't have",
        ),
        (
            [ONE, {"do": "receive_repeated", "id": 2, "like": [2, 1], "size": 1}],
            "line 4: .* the other body doesn't have",
        ),
        ([ONE, {"do": "receive_repeated", "id": 2, "like": [1, 1], "size": -1}], "line 4: "),
        (
            [ONE, {"do": "receive_repeated", "id": 2, "like": [1, 1], "size": 10**15}],
            "line 4: the bodies are more than",
        ),
    ],
)
def test_a_line_that_does_not_fit_is_named(lines: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(ConversationFormatError, match=f"^{says}"):
        Transcript.read(with_lines(*lines))


def test_the_number_of_chats_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CHATS == 1000
    monkeypatch.setattr(_reading, "MAX_CHATS", 3)
    begins = [BEGIN.replace('"chat":2', f'"chat":{chat}') for chat in (2, 3, 4)]
    transcript, damage = Transcript.salvage("".join([HEAD, *begins]))
    assert str(damage) == "line 4: the transcript has more than 3 chats"
    assert len(transcript.chats()) == 3
    assert all(isinstance(line, Begin) for _, line in transcript.lines)


def test_many_references_to_a_large_body_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reading, "MAX_DECODED_BYTES", 8 * MIB)
    large = {"do": "receive_packed", "id": 1, "zlib": packed(zlib.compress(bytes(2 * MIB)))}
    again = [{"do": "receive_repeated", "id": id, "like": [1, 1], "size": 2 * MIB} for id in range(2, 1000)]
    text = with_lines(large, *again)
    found: list[Any] = []
    assert peak_of(lambda: found.append(Transcript.salvage(text))) < 24 * MIB
    transcript, damage = found[0]
    assert str(damage) == f"line 7: the bodies are more than {8 * MIB} bytes, expanded"
    assert len(transcript.lines) == 5


def test_a_chunk_that_decompresses_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reading, "MAX_DECODED_BYTES", MIB)
    text = with_lines({"do": "receive_packed", "id": 1, "zlib": packed(zlib.compress(bytes(64 * MIB)))})
    assert peak_of(lambda: Transcript.salvage(text)) < 4 * MIB
    with pytest.raises(ConversationFormatError, match="line 3: the bodies are more than"):
        Transcript.read(text)


@given(st.data())
@settings(max_examples=examples(200, default=40), deadline=None)
def test_whatever_was_changed_in_a_recording_it_is_read_or_refused(data: st.DataObject) -> None:
    text = ("".join(TWO) + BEGIN.replace('"chat":2', '"chat":3')).encode()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.binary(max_size=3)) + text[at + data.draw(st.integers(0, 20)) :]
    transcript, damage = (None, None)
    with suppress(ConversationFormatError):
        transcript, damage = Transcript.salvage(changed)
    if transcript is not None:
        first_difference(transcript)
        assert len(transcript.times()) == len(transcript.lines)
        assert sum(len(chat.lines) + 1 for chat in transcript.chats()) == len(transcript.lines) + 1
    assert damage is None or str(damage).startswith("line ")


def test_recordings_of_format_1_are_read() -> None:
    for name in make.ALL:
        transcript = Transcript.read((TRANSCRIPTS / f"{name}.jsonl").read_bytes())
        assert transcript.head.transcript == 1
        assert transcript.chats() == (transcript,)


def test_a_recording_of_format_2_replays_as_it_did_and_is_made_again() -> None:
    text = (TRANSCRIPTS / "two-chats.jsonl").read_text(encoding="utf-8")
    transcript = Transcript.read(text)
    assert transcript.head.transcript == 2
    assert len(transcript.chats()) == 2
    assert all(step.same for step in replay(transcript))
    assert {"receive_data", "receive_packed", "receive_repeated"} <= set(stored(text.splitlines()))
    assert without_chunks(make.made("two-chats")) == without_chunks(text)


def without_chunks(text: str) -> list[str]:
    """How pages are compressed is zlib's business."""
    return [line for line in text.splitlines() if not re.search("receive_(data|packed|repeated)|NEED_DATA", line)]


# Serving


def test_each_chat_goes_on_with_its_own_requests() -> None:
    transcript = Transcript.read("".join(TWO))
    service = TranscriptService(transcript)
    shared, clock = ClientState(), Clock(50.0)
    runs = {question: Run(Session(shared=shared), service, clock=clock) for question in reversed(QUESTIONS)}
    for question, run in runs.items():  # in another order than recorded
        run.begin(question)
    together(*runs.values())
    for question, run in runs.items():
        assert any(getattr(event, "text", "") == f"You said: {question}" for event in run.events)
    response = service.handle(ServiceRequest("GET", "/x", ()), now=0.0)
    assert response.exchange.reason == "the transcript has no more requests"


def test_a_request_that_no_chat_has_next_is_told_the_first_of_theirs() -> None:
    transcript = Transcript.read("".join(TWO))
    service = TranscriptService(transcript)
    first = min(exchanges(transcript), key=lambda each: each.line)
    reason = service.handle(ServiceRequest("GET", "/x", ()), now=0.0).exchange.reason
    assert reason == f"the transcript has GET {first.target} here (line {first.line}), not GET /x"


def test_a_request_of_a_transcript_is_told_without_its_control_characters() -> None:
    sent = {"type": "SendRequest", "id": 1, "method": "GET\x1b[5m", "url": "https://a.b/\x1b]0;a\x07\x9b2J\u202e"}
    transcript = Transcript.read(with_lines({"do": "next_action", "now": 1, "gives": sent}))
    reason = TranscriptService(transcript).handle(ServiceRequest("GET", "/x", ()), now=0.0).exchange.reason
    assert reason.startswith("the transcript has GET")
    assert reason.isprintable()


def test_an_exchange_that_another_thread_takes_at_the_same_time_is_given_once() -> None:
    class Raced(dict[int, object]):
        """Another thread comes in between, once."""

        def setdefault(self, key: int, value: object = None) -> object:
            if not got:
                got.append("soon")
                got[0] = tape.next("GET", "/a", b"")
            return super().setdefault(key, value)

    got: list[Recorded | str] = []
    sent = {"type": "SendRequest", "method": "GET", "url": "https://a.b/a"}
    requests = [{"do": "next_action", "now": 1, "gives": {**sent, "id": id}} for id in (1, 2)]
    tape = _Tape(Transcript.read(with_lines(*requests)))
    tape._takers = Raced()
    got.append(tape.next("GET", "/a", b""))
    assert [each.line for each in got if isinstance(each, Recorded)] == [3, 4]


@each_of("served_by", ["transport", "emulator"])
def test_a_blocking_client_with_two_chats_at_the_same_time_is_recorded_and_answered(served_by: str) -> None:
    def ask_both(client: Client, wrap: Any = None) -> dict[str, str]:
        found: dict[str, str] = {}

        def ask(question: str) -> None:
            found[question] = client.chat(wrap=wrap).ask(question).text

        threads = [threading.Thread(target=ask, args=(question,)) for question in QUESTIONS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    lines: list[str] = []
    with Emulator(Service(responder=echo)) as emulator, Client(DUCKDUCKGO_2025_04.at(emulator.url)) as client:
        said = ask_both(client, Recording(lines.append).record)
    assert said == {question: f"You said: {question}" for question in QUESTIONS}
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    assert len(transcript.chats()) == 2
    if served_by == "transport":
        unpaced = transcript.head.profile.at("http://127.0.0.1:1")
        with Client(unpaced, transport=TranscriptTransport(transcript)) as client:
            assert ask_both(client) == said
    else:
        with Emulator(TranscriptService(transcript)) as again, Client(DUCKDUCKGO_2025_04.at(again.url)) as client:
            assert ask_both(client) == said


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_client_with_two_chats_at_the_same_time_is_recorded_and_answered(backend: str) -> None:
    async def ask_both(client: AsyncClient, wrap: Any = None) -> dict[str, str]:
        found: dict[str, str] = {}

        async def ask(question: str) -> None:
            found[question] = (await client.chat(wrap=wrap).ask(question)).text

        async with anyio.create_task_group() as tasks:
            for question in QUESTIONS:
                tasks.start_soon(ask, question)
        return found

    async def main(url: str) -> None:
        async with AsyncClient(DUCKDUCKGO_2025_04.at(url)) as client:
            said = await ask_both(client, Recording(lines.append).record)
        assert said == {question: f"You said: {question}" for question in QUESTIONS}
        transcript = Transcript.read("".join(lines))
        assert first_difference(transcript) is None
        unpaced = transcript.head.profile.at("http://127.0.0.1:1")
        async with AsyncClient(unpaced, transport=AsyncTranscriptTransport(transcript)) as client:
            assert await ask_both(client) == said

    lines: list[str] = []
    with Emulator(Service(responder=echo)) as emulator:
        anyio.run(main, emulator.url, backend=backend)
