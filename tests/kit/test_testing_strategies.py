"""What each public strategy reaches, and what every example of it keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import SearchStrategy
from support.tiers import examples

from ddg_protocol import (
    Conversation,
    DuckChatError,
    Failure,
    FailureKind,
    Policy,
    Session,
    UnsupportedChallenge,
    events,
)
from ddg_protocol import errors as e
from ddg_protocol.challenge import Challenge, read_script
from ddg_protocol.content import ContentDecoder
from ddg_protocol.conversation import Tokens
from ddg_protocol.refusal import service_error
from ddg_protocol.reply import ReplyReader
from ddg_protocol.service import Service, faults
from ddg_protocol.testing import Chunking, Cut, Run, byte_by_byte
from ddg_protocol.testing import strategies as s
from ddg_protocol.testing.strategies import Response
from ddg_protocol.wire import WireSession

searches = pytest.mark.deep("thousands of examples until all is met or the smallest is found")
T = TypeVar("T")
MANY = settings(max_examples=3000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
REACHED = settings(MANY, phases=[Phase.generate])  # how small it can be is another question
SOME = settings(MANY, max_examples=examples(60))
SMALL = Policy(
    max_page_bytes=4096, max_error_bytes=1024, max_drain_bytes=1024, max_event_bytes=2048, max_reply_bytes=4096
)


def reaches(strategy: SearchStrategy[T], *conditions: Callable[[T], object]) -> None:
    left = dict(enumerate(conditions))

    def all_seen(found: T) -> bool:
        for number in [number for number, condition in left.items() if condition(found)]:
            del left[number]
        return not left

    try:
        find(strategy, all_seen, settings=REACHED)
    except NoSuchExample:
        pytest.fail(f"these conditions are never reached: {sorted(left)}")


def smallest(strategy: SearchStrategy[T], condition: Callable[[T], object] = lambda _: True) -> T:
    return find(strategy, lambda found: bool(condition(found)), settings=settings(MANY, max_examples=300))


def read(*bodies: bytes, strict: bool = False) -> list[object]:
    """What a reply's bytes are to a session."""
    reader = ReplyReader(Policy(strict=strict, max_event_bytes=10**6, max_reply_bytes=10**6))
    found: list[object] = []
    try:
        for body in bodies:
            reader.chunks.append(body)
            while (event := reader.next_event()) is not None:
                found.append(event)
        reader.end()
        while (event := reader.next_event()) is not None:
            found.append(event)
        found.append(reader.finish_reason)
    except DuckChatError as error:
        found.append(error)
    return found


def is_read_as(kind: type) -> Callable[[bytes], bool]:
    return lambda payload: any(isinstance(found, kind) for found in read(s.framed(payload)))


# What they begin with


@searches
def test_each_shrinks_to_the_plainest_of_its_kind() -> None:
    assert smallest(s.texts()) == ""
    assert smallest(s.texts(min_size=1)) in ("Hi", "0")
    assert smallest(s.questions()) in ("Hi", "0")
    assert smallest(s.conversations()) == Conversation(model="gpt-4o-mini")
    assert smallest(s.pieces()) == smallest(s.payloads()) == b'{"action":"success","message":"Hi"}'
    assert smallest(s.event_streams()) == b""
    assert smallest(s.scripts()) == []
    assert smallest(s.cuts()) == Cut(0, 0, False)
    assert smallest(s.failures()) == Failure(FailureKind.NOT_SENT, "it broke")
    assert list(smallest(s.chunkings())(b"abc")) == [b"abc"]
    script, meaning = smallest(s.challenges())
    assert meaning.html == ""
    assert len(script) < 520
    assert smallest(s.responses()) == Response(200, (), b"")


@searches
def test_a_failing_case_shrinks_to_its_reason() -> None:
    # Not `b"[PING]" in body`: one in a string of other JSON may be as small as that gets.
    beats = smallest(s.event_streams(), lambda body: any(isinstance(each, events.Heartbeat) for each in read(body)))
    assert beats == s.framed(b"[PING]")
    cut = smallest(s.chunkings(), lambda chunking: len(list(chunking(b"abcdef"))) == 2)
    assert list(cut(b"abcdef")) in ([b"abc", b"def"], [b"a", b"bcdef"], [b"abcd", b"ef"])


# Conversations


def test_questions_are_of_every_form() -> None:
    reaches(
        s.questions(),
        lambda q: isinstance(q, str) and "\u2028" in q,
        lambda q: isinstance(q, list) and len(q) == 3 and q[0]["role"] == "system",
        lambda q: isinstance(q, list) and isinstance(q[-1]["content"], list) and len(q[-1]["content"]) == 2,
        lambda q: isinstance(q, list) and q[0]["content"] == [],
    )


@given(s.questions())
@SOME
def test_a_session_takes_every_question(question: Any) -> None:
    Session().ask(question, now=0)


@searches
def test_conversations_are_of_every_age() -> None:
    reaches(
        s.conversations(),
        lambda c: len(c.message_history) == 6,
        lambda c: c.vqd and c.vqd_hash_1 and c.cookies and c.title,
        lambda c: c.vqd and not c.vqd_hash_1,
        lambda c: c.limit_reached and not c.answers_wanted,
        lambda c: any(cookie.expires is not None and cookie.secure for cookie in c.cookies),
    )


@given(s.conversations())
@SOME
def test_every_conversation_survives_json(conversation: Conversation) -> None:
    assert Conversation.from_json(conversation.to_json()) == conversation


@given(s.tokens())
@SOME
def test_every_token_can_be_sent_back(token: str) -> None:
    Tokens(token)


# Payloads


PAYLOADS: list[tuple[SearchStrategy[bytes], Iterable[type]]] = [
    (s.pieces(), [events.TextDelta, e.EmptyResponseError]),
    (s.words(), [events.Heartbeat, events.ConversationTitle, events.LimitReached, events.StopReason]),
    (s.ends(), [events.LimitReached, events.StopReason, e.EmptyResponseError]),
    (s.reasoning_payloads(), [events.ReasoningDelta, events.ReasoningSummary, events.UnknownPayload]),
    (s.tool_payloads(), [events.ToolStarted, events.ToolFinished, events.UnknownPayload]),
    (s.source_payloads(), [events.Source, events.UnknownPayload]),
    (s.image_payloads(), [events.ImageDraft, events.GeneratedImage, events.ImageFailed, events.UnknownPayload]),
    (s.part_payloads(), [events.PartReceived, events.TextDelta, events.UnknownPayload]),
    (s.refusal_payloads(), [events.ModelRefusal, events.UnknownPayload]),
    (s.unknown_payloads(), [events.UnknownPayload, events.TextDelta]),
    (s.malformed_payloads(), [events.MalformedPayload]),
    (
        s.errors(),
        [
            *(e.ChallengeError, e.BlockedError, e.ConversationLimitError, e.InputLimitError, e.UserLimitError),
            *(e.RateLimitError, e.TokenError, e.ModelUnavailableError, e.AccessDeniedError, e.ServiceUnavailableError),
        ],
    ),
]


@pytest.mark.parametrize(
    ("strategy", "kinds"),
    PAYLOADS,
    ids=[
        *("pieces", "words", "ends", "reasoning", "tools", "sources", "images", "parts", "refusals", "unknown"),
        *("malformed", "errors"),
    ],
)
def test_payloads_of_each_row_are_read_as_what_they_are(strategy: SearchStrategy[bytes], kinds: Iterable[type]) -> None:
    reaches(strategy, *map(is_read_as, kinds))


@searches
def test_any_payload_is_of_any_row() -> None:
    kinds = {kind for _, row in PAYLOADS for kind in row}
    reaches(s.payloads(), *map(is_read_as, sorted(kinds, key=lambda kind: kind.__name__)))


@searches
def test_pieces_hold_halves_of_characters_and_escapes() -> None:
    reaches(
        s.pieces(),
        lambda p: b'"\\ud83e"' in p,
        lambda p: "☃".encode() in p,
        lambda p: b"\\n" in p,
        lambda p: b"null" in p,
    )


@given(s.errors())
@SOME
def test_every_error_is_one_as_a_body_too(body: bytes) -> None:
    assert isinstance(service_error(429, body), e.ServiceError)


# Streams and chunkings


@searches
def test_streams_are_of_every_framing_and_end_everywhere() -> None:
    reaches(
        s.event_streams(),
        lambda b: b.startswith(b"\xef\xbb\xbf"),
        lambda b: b"\r\n\r\n" in b,
        lambda b: b"\r\r" in b,
        lambda b: b": comment" in b,
        lambda b: b"[DONE]\n\ndata" in b,
        lambda b: read(b)[-1:] == ["stop"],
        lambda b: read(b)[-1:] == ["length"],
        lambda b: isinstance(read(b)[-1], e.IncompleteStream),
        lambda b: isinstance(read(b)[-1], e.EmptyResponseError),
        lambda b: isinstance(read(b)[-1], e.ServiceError),
        lambda b: isinstance(read(b, strict=True)[-1], e.MalformedEvent),
    )


@given(s.event_streams(complete=True))
@SOME
def test_a_complete_stream_is_complete(body: bytes) -> None:
    *found, reason = read(body, strict=True)
    assert reason in ("stop", "length")
    assert any(isinstance(event, events.TextDelta) for event in found)


@given(s.event_streams(), s.chunkings())
@SOME
def test_a_chunking_loses_nothing_and_changes_nothing(body: bytes, chunking: Chunking) -> None:
    chunks = list(chunking(body))
    assert b"".join(chunks) == body
    assert repr(read(*chunks)) == repr(read(body))


def test_chunkings_go_from_nothing_to_every_byte() -> None:
    data = bytes(range(100))
    reaches(
        s.chunkings(),
        lambda c: len(list(c(data))) == 1,
        lambda c: list(c(data)) == list(byte_by_byte(data)),
        lambda c: len({len(chunk) for chunk in c(data)}) > 3,
    )


# Challenges


@given(s.challenges())
@SOME
def test_a_challenge_is_read_as_what_it_means(found: tuple[str, Challenge]) -> None:
    script, meaning = found
    assert read_script(script) == meaning
    assert "\r" not in s.encoded(script)


@searches
def test_challenges_vary_in_everything_that_may() -> None:
    reaches(
        s.challenges(),
        lambda f: f[1].server_hashes == (),
        lambda f: len(f[1].server_hashes) == 4,
        lambda f: f[1].offset == 2**53 - 1,
        lambda f: "\U0001f986" in f[1].html,
        lambda f: "\\x3c" in f[0],
        lambda f: "\\u003c" in f[0],
        lambda f: "}())" in f[0] and "/* } */" in f[0],
        lambda f: f[0].index("signals") < f[0].index("client_hashes"),
        lambda f: "</div" in f[1].html and "<li>" in f[1].html,
    )


def readable(script: str) -> bool:
    try:
        read_script(script)
    except UnsupportedChallenge:
        return False
    return True


@given(script=s.mutated_challenges())
def test_a_mutated_challenge_is_read_or_refused_and_nothing_else_comes_of_it(script: str) -> None:
    assert readable(script) in (True, False)


@searches
def test_mutated_challenges_are_mostly_refused_and_some_mean_the_same() -> None:
    reaches(
        s.mutated_challenges(),
        lambda script: not readable(script),
        readable,
        lambda script: "eval(1)" in script,
        lambda script: not script.rstrip().endswith(")"),
    )


# Responses, and what goes wrong


@given(s.responses())
@settings(SOME, max_examples=examples(100, default=25), derandomize=True)  # which reaches each kind
def test_a_response_is_coded_as_it_says(response: Response) -> None:
    last = response.headers[-1:] or [("", "")]
    name, coding = last[0]
    if name == "content-encoding" and coding != "br":
        decoder = ContentDecoder(coding)
        list(decoder.decode(response.body))
        decoder.end()


@searches
def test_responses_are_of_every_kind() -> None:
    def has(name: str, value: str) -> Callable[[Response], bool]:
        return lambda response: any(n == name and v.startswith(value) for n, v in response.headers)

    reaches(
        s.responses(),
        lambda r: r.status == 429,
        lambda r: r.status == 307,
        has("location", "https://evil"),
        has("content-encoding", "gzip"),
        has("content-encoding", "deflate"),
        has("x-vqd-4", "4-bad\r\n"),
        has("x-vqd-hash-1", "KGZ1"),
        has("content-type", "text/event-stream"),
        lambda r: re.search(rb'__DDG_BE_VERSION__="serp.*__DDG_FE_CHAT_HASH__="19d4', r.body),
        lambda r: r.status == 204,
        lambda r: b"Just a moment" in r.body,
    )


def test_failures_and_cuts_are_of_every_kind() -> None:
    reaches(s.failures(), *(lambda f, kind=kind: f.kind is kind for kind in FailureKind))
    reaches(s.cuts(responses=3, length=10), lambda c: c == Cut(2, 10, True), lambda c: c.at == 0 and not c.reset)


def test_scripts_have_every_effect() -> None:
    kinds = [kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, faults._Effect)]
    effects = [kind for kind in kinds if kind is not faults._Effect]
    assert len(effects) > 10
    reaches(s.effects(), *(lambda effect, kind=kind: isinstance(effect, kind) for kind in effects))
    reaches(
        s.scripts(),
        lambda script: len(script) == 3,
        lambda script: any(f.times is None and f.first > 1 for f in script),
    )


@given(s.scripts(), s.chunkings(), s.cuts())
@settings(SOME, max_examples=examples(40))
def test_whatever_goes_wrong_a_turn_ends_in_a_way_that_is_documented(
    script: list[faults.Fault], chunking: Chunking, cut: Cut
) -> None:
    for wire in (False, True):
        session = Session(policy=SMALL)
        run = Run(WireSession(session) if wire else session, Service(script=script), chunks=chunking, cut=cut)
        try:
            finished = run.ask("Hi")
        except DuckChatError:
            assert session.conversation.message_history == ()
        else:
            assert finished is not None
            assert session.conversation.message_history[-1].content == finished.text
