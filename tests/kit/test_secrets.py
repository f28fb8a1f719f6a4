"""What a service said and could be a secret: in no transcript, no repr, no exception and no traceback."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.planted import BODIES, FIELDS, HEADS, drive, drive_wire, leaks, planted, session, wire_text, words
from support.tiers import examples

from ddg_protocol import DUCKDUCKGO_2025_04, LocalProtocolError, Session
from ddg_protocol.service import Service
from ddg_protocol.testing import Run
from ddg_protocol.transcript import Lost, RecordedSession, Transcript, first_difference
from ddg_protocol.transcript._redaction import Secrets
from ddg_protocol.transcript._words import same_script

SLOW = settings(
    max_examples=examples(10, default=3),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.mark.parametrize("place", HEADS)
@given(secret=planted())
@SLOW
def test_a_line_that_is_not_http_is_never_quoted(place: str, secret: str) -> None:
    lines: list[str] = []
    shown = drive_wire(RecordedSession(session(), lines.append), HEADS[place](secret.encode()))
    assert not leaks(secret, "\n".join(shown))
    assert not leaks(secret, "".join(lines))
    assert first_difference(Transcript.read("".join(lines))) is None


@pytest.mark.parametrize("place", FIELDS)
@given(secret=planted(), status=st.sampled_from((200, 302, 307, 401, 418, 429, 503)), token=st.booleans())
@SLOW
def test_a_secret_in_a_field_of_a_head_is_shown_nowhere(place: str, secret: str, status: int, token: bool) -> None:
    fields: tuple[tuple[str, str], ...] = (FIELDS[place](wire_text(secret)),)
    if token or "hash" in fields[0][0]:
        fields = (("x-vqd-4", "4-1"), *fields)
    lines: list[str] = []
    shown = drive(RecordedSession(session(), lines.append), status, fields)
    assert not leaks(secret, "\n".join(shown))
    assert not leaks(secret, "".join(lines))
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    assert not any(isinstance(line, Lost) for _, line in transcript.lines)


@given(secret=words(), status=st.sampled_from((200, 302, 401)))
@SLOW
def test_a_secret_that_is_the_name_of_a_field_is_shown_nowhere(secret: str, status: int) -> None:
    lines: list[str] = []
    shown = drive(RecordedSession(session(), lines.append), status, ((secret, "1"), (f"x-{secret}", "2")))
    assert not leaks(secret, "\n".join(shown))
    assert not leaks(secret, "".join(lines))


@pytest.mark.parametrize("place", BODIES)
@given(
    secret=planted(),
    status=st.sampled_from((200, 302, 401, 418, 429, 503)),
    of=st.sampled_from(("text/event-stream", "application/json", "text/html")),
    known=st.booleans(),
)
@SLOW
def test_a_secret_in_a_body_is_not_in_a_transcript_without_texts(
    place: str, secret: str, status: int, of: str, known: bool
) -> None:
    driven = session(answer_challenge="never")
    if not known:
        driven.shared.fe_version = ""
    lines: list[str] = []
    fields = (("content-type", of), ("x-vqd-4", "4-1"))
    body = BODIES[place](secret).encode()
    drive(RecordedSession(driven, lines.append, redact_texts=True), status, fields, body)
    assert not leaks(secret, "".join(lines))
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    assert not leaks(secret, repr(transcript))  # also in what is compressed
    assert not any(isinstance(line, Lost) for _, line in transcript.lines)


@each_of(
    "field, shown",
    [
        (("set-cookie", "a=1; path=hush"), ("set-cookie", "x=1; path=r2xx")),
        (("set-cookie", "=; path= "), ("set-cookie", "=; path= ")),
        (("location", "//[::1]hush:hush/"), ("location", "//[:r1xxxxxxxxxx/")),
    ],
)
def test_what_is_odd_has_a_stand_in_too(field: tuple[str, str], shown: tuple[str, str]) -> None:
    assert Secrets(DUCKDUCKGO_2025_04).headers((field,)) == (shown,)


@each_of(
    "script, shown",
    [
        ("e = 12345678 + 0xDeadBeef", "e = 11111111 + 0x11111111"),
        (r"'hush\u12'", r"'xxxxxxxx'"),
        (r"'hush\x61'", r'"rhusha"'),
    ],
)
def test_numbers_and_odd_literals_of_a_script_have_stand_ins(script: str, shown: str) -> None:
    assert same_script(script, "r{}".format) == shown


def test_an_empty_chunk_of_a_coded_body_is_recorded_as_one() -> None:
    lines: list[str] = []
    fields = (("content-encoding", "gzip"), ("x-vqd-4", "4-1"))
    drive(RecordedSession(session(answer_challenge="never"), lines.append, redact_texts=True), 429, fields)
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    assert not any(isinstance(line, Lost) for _, line in transcript.lines)


def test_the_role_of_a_message_is_blanked_unless_it_is_known() -> None:
    driven, lines = session(), list[str]()
    recording = RecordedSession(driven, lines.append, redact_texts=True)
    recording.ask([{"role": "hush", "content": "Why?"}, {"role": "user", "content": "Why?"}], now=0.0)
    (asked,) = [json.loads(line) for line in lines if '"do":"ask"' in line]
    assert asked["messages"] == [{"role": "xxxx", "content": "xxxx"}, {"role": "user", "content": "xxxx"}]


def test_the_host_of_a_refused_redirect_has_a_stand_in_in_a_transcript() -> None:
    lines: list[str] = []
    shown = drive(RecordedSession(session(), lines.append), 302, (("location", "https://hush.example/hush"),))
    assert "to hush.example is not followed" in "".join(shown)
    assert "hush" not in "".join(lines)


@given(secret=planted())
@SLOW
def test_a_challenge_with_short_hashes_is_still_read_and_answered(secret: str) -> None:
    fields = (("x-vqd-4", "4-1"), FIELDS["short hash"](wire_text(secret)))
    lines: list[str] = []
    drive(RecordedSession(session(), lines.append), 200, fields)
    sent = [json.loads(line).get("gives") or {} for line in lines]
    answers = [
        value
        for gives in sent
        if gives.get("method") == "POST"
        for name, value in gives["headers"]
        if name == "x-vqd-hash-1"
    ]
    if secret.isascii():
        assert answers
    assert not any(leaks(secret, base64.b64decode(answer).decode()) for answer in answers)


def test_what_is_known_to_be_harmless_stays_as_it_is() -> None:
    fields = (
        ("date", "Thu, 01 Jan 2026 00:01:40 GMT"),
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "0"),
        ("cache-control", "no-cache"),
        ("retry-after", "7"),
        ("set-cookie", "dcm=3; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60; Domain=duckduckgo.com"),
        ("location", "https://duckduckgo.com/duckchat/v1/status"),
    )
    lines: list[str] = []
    drive(RecordedSession(session(), lines.append), 503, fields)
    heads = [json.loads(line) for line in lines if '"do":"receive_head"' in line]
    assert heads[0]["headers"] == [list(field) for field in fields]


def test_a_cookie_that_came_is_the_cookie_that_goes_out_where_it_belongs() -> None:
    fields = (
        ("set-cookie", "user=anna; path=/duckchat"),
        ("set-cookie", "other=bert; path=/somewhere"),
        ("x-vqd-4", "4-1"),
    )
    lines: list[str] = []
    drive(RecordedSession(session(answer_challenge="never"), lines.append), 200, fields)
    given = [json.loads(line).get("gives") or {} for line in lines]
    (post,) = [gives for gives in given if gives.get("method") == "POST"]
    head = next(json.loads(line) for line in lines if '"do":"receive_head"' in line)
    name, _, value = head["headers"][0][1].partition(";")[0].partition("=")
    assert (len(name), len(value)) == (4, 4)
    assert dict(post["headers"])["cookie"].split("; ") == [f"{name}={value}", "dcs=1", "dcm=3"]


@given(secret=words())
@SLOW
def test_a_secret_in_the_session_that_is_recorded_is_not_in_the_first_line(secret: str) -> None:
    lines: list[str] = []
    RecordedSession(Session(cookies={secret: "1", "mine": secret}), lines.append)
    assert not leaks(secret, "".join(lines))


# Recording what was stored


def test_a_session_that_was_stored_is_restored_as_one_that_is_recorded() -> None:
    service = Service()
    run = Run(Session(), service)
    run.ask("Why?")
    assert isinstance(run.session, Session)
    data = run.session.snapshot(now=run.clock.now)
    lines: list[str] = []
    restored = RecordedSession.restore(data, now=run.clock.now, write=lines.append, redact_texts=True)
    assert isinstance(restored, RecordedSession)
    assert restored.conversation == run.session.conversation
    again = Run(restored, service, clock=run.clock)
    assert again.ask("And?") is not None
    transcript = Transcript.read("".join(lines))
    assert transcript.head.texts == "blanked"
    assert first_difference(transcript) is None
    assert len(transcript.lines) > 5


def test_a_session_that_was_stored_amid_a_turn_can_not_be_recorded() -> None:
    session = Session()
    session.ask("Why?", now=0)
    with pytest.raises(LocalProtocolError, match="at rest"):
        RecordedSession.restore(session.snapshot(now=0), now=0, write=lambda _: None)
