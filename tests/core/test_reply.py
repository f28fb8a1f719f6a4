"""What the payloads of a reply mean, and how it ends (PROTOCOL.md section 6)."""

from __future__ import annotations

import itertools
import json
import sys
import tracemalloc
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.tiers import examples, thinned

from ddg_protocol.errors import (
    BlockedError,
    ConversationLimitError,
    DuckChatError,
    EmptyResponseError,
    IncompleteStream,
    MalformedEvent,
    RateLimitError,
    ServiceError,
    ServiceUnavailableError,
    StreamTooLarge,
    UserLimitError,
)
from ddg_protocol.events import (
    ConversationTitle,
    Event,
    Heartbeat,
    LimitReached,
    MalformedPayload,
    Source,
    StopReason,
    TextDelta,
    UnknownPayload,
)
from ddg_protocol.policy import MAX_COUNT, Policy
from ddg_protocol.reply import ReplyReader, SavedReply

PLAIN = b'{"action":"success","message":"x","model":"m"}'
HELLO = b'{"role":"assistant","message":"Hello","created":1751751911,"id":"x","action":"success","model":"m-1"}'
EMPTY = b'{"action":"success","message":""}'
DONE = b"[DONE]"


def reader(*, strict: bool = False, max_event_bytes: int = 1 << 20, max_reply_bytes: int = 1 << 24) -> ReplyReader:
    return ReplyReader(Policy(strict=strict, max_event_bytes=max_event_bytes, max_reply_bytes=max_reply_bytes))


def stream(*payloads: bytes) -> bytes:
    return b"".join(b"data: " + payload + b"\n\n" for payload in payloads)


def pulled(source: ReplyReader) -> list[Event]:
    return list(iter(source.next_event, None))


def read(*payloads: bytes, end: bool = False, strict: bool = False) -> tuple[list[Event], ReplyReader]:
    source = reader(strict=strict)
    source.chunks.append(stream(*payloads))
    events = pulled(source)
    if end:
        source.end()
        events += pulled(source)
    return events, source


# What each payload means


@each_of(
    "payload, events",
    [
        (HELLO, [TextDelta("Hello")]),
        (b'{"message":"no role","action":"success","created":1.5}', [TextDelta("no role")]),
        (b'{"role":null,"message":"x","action":"success","parts":null}', [TextDelta("x")]),
        (b'{"message":"no action"}', [TextDelta("no action")]),
        (b'{"action":"success","message":"\\u00e9\\ud83d\\ude00"}', [TextDelta("é\U0001f600")]),
        (b'{"action":"success","message":"a\xffb"}', [TextDelta("a\ufffdb")]),
        (b'{"action":"success","message":"a\\udc00"}', [TextDelta("a\ufffd")]),
        (b'{"action":"success","message":"a\\udbff"}', [TextDelta("a")]),  # the other half may come
        (b'{"action":"success","message":"a\\ud800"}', [TextDelta("a")]),
        (b'{"action":"success","message":"x","id":"\\ud83d","created":' + b"1" * 5000 + b"}", [TextDelta("x")]),
        (
            b'{"action":"success","message":"x","id":"\\ud83d","n":' + b"1" * 5000 + b"}",
            [TextDelta("x"), UnknownPayload],
        ),
        (b' {"action":"success",  "message":"x"} ', [TextDelta("x")]),
        (EMPTY, []),
        (b'{"action":"success"}', []),
        (b'{"action":"success","message":null,"role":"assistant"}', []),
        (b"[PING]", [Heartbeat()]),
        (b" [PING] ", [Heartbeat()]),
        (b"[PING][PING]", [Heartbeat(), Heartbeat()]),
        (b"[CHAT_TITLE:Weather]", [ConversationTitle("Weather")]),
        (b"[CHAT_TITLE:]", [ConversationTitle("")]),
        (b"[CHAT_TITLE:a[0] \xff: [b]]", [ConversationTitle("a[0] \ufffd: [b]")]),
        (b"[STOP_REASON:tool_use]", [StopReason("tool_use")]),
        (b"[LIMIT_CONVERSATION]", [LimitReached("conversation")]),
        (b"[LIMIT_IMAGE_GENERATIONS]", [LimitReached("image_generations")]),
        (b'{"role":"weather","state":"result"}', [UnknownPayload]),
        (b'{"role":"user","message":"not the reply","action":"success"}', [UnknownPayload]),
        (b'{"action":"success","role":"assistant","message":"Here","parts":[{}]}', [TextDelta("Here"), UnknownPayload]),
        (b'{"action":"success","message":"Here","source":{}}', [TextDelta("Here"), UnknownPayload]),
        (b'{"action":"success","message":"","parts":[]}', [UnknownPayload]),
        # Whatever else is in it: such a payload is passed on, and never fatal.
        (b'{"action":"call","role":"tool"}', [UnknownPayload]),
        (b'{"action":5,"role":"tool","message":{}}', [UnknownPayload]),
        (b'{"action":"call","message":"Here","parts":[{}]}', [TextDelta("Here"), UnknownPayload]),
        (b'{"role":"assistant","message":["Here"],"parts":[{}]}', [UnknownPayload]),
        (b'{"action":"success","message":"x","role":1}', [UnknownPayload]),
        # A piece that holds more than text: the text, and then the whole of it.
        (b'{"action":"success","role":"assistant","message":"","sources":[{}]}', [UnknownPayload]),
        (b'{"action":"success","role":"assistant","reasoning":"Since"}', [UnknownPayload]),
        (b'{"action":"success","data":{"x":1}}', [UnknownPayload]),
        (b'{"action":"success","message":"Here","sources":[{}]}', [TextDelta("Here"), UnknownPayload]),
        (b'{"message":"Here","n":0}', [TextDelta("Here"), UnknownPayload]),
        (b'{"action":"success","message":"Here","id":{"x":1}}', [TextDelta("Here"), UnknownPayload]),
        (
            b'{"action":"success","message":"Here","sources":[],"a":{},"b":"","c":null,"status":200}',
            [TextDelta("Here")],
        ),
        (b'{"action":"success","message":"","sources":[],"a":{},"b":"","c":null,"created":true}', []),
        # Words that are not known.
        (b"[PONG]", [UnknownPayload]),
        (b"[PING:1]", [UnknownPayload]),
        (b"[CHAT_TITLE]", [UnknownPayload]),
        (b"[LIMIT_]", [UnknownPayload]),
        (b"[LIMIT_INPUT:1]", [UnknownPayload]),
        (b"[DONE:1]", [UnknownPayload]),
        (b"[ADS:x]", [UnknownPayload]),
        (b"[WARN_CONVERSATION_LIMIT:2]", [UnknownPayload]),
        (b"[V2_WORD]", [UnknownPayload]),
        (b"[ADS:x][PING]", [UnknownPayload(b"[ADS:x]"), Heartbeat()]),
        # JSON of any other form carries something, too.
        (b'{"foo":1}', [UnknownPayload]),
        (b'{"action":"update","message":"x"}', [UnknownPayload]),
        (b'{"action":"keepalive"}', [UnknownPayload]),
        (b'{"action":"success","message":5}', [UnknownPayload]),
        (b'{"action":5,"message":"x"}', [UnknownPayload]),
        (b'{"action":"success","message":{"text":"x"}}', [UnknownPayload]),
        (b'{"action":["success"],"message":"x"}', [UnknownPayload]),
        (b'{"action":"success","message":"x","content":"y"}', [TextDelta("x"), UnknownPayload]),
        (b"{}", []),
        (b"null", [UnknownPayload]),
        (b"5", [UnknownPayload]),
        (b"[]", [UnknownPayload]),
        (b"[1]", [UnknownPayload]),
        (b'["DONE"]', [UnknownPayload]),
    ],
)
def test_a_payload_that_is_known(payload: bytes, events: list[Any]) -> None:
    expected = [event(payload) if isinstance(event, type) else event for event in events]
    # Alone, and where plain pieces have come before: they are read in a shorter way.
    assert read(payload)[0] == expected
    assert read(HELLO, payload, strict=True)[0] == [TextDelta("Hello"), *expected]


@each_of(
    "payload",
    [
        b"",
        b"Hello",
        b"{",
        b'{"action":"success","message":"x","n":NaN}',
        b'{"action":"success","message":"\\ud83d","n":Infinity}',
        b'{"action":"success","message":"x"}{}',
        b'\xef\xbb\xbf{"action":"success","message":"x"}',
        b'{"n":' + b"[" * 100_000,
        b"[PING]x",
        b"x[PING]",
        b"[ping]",
        b"[2X]",
        b"[CHAT_TITLE:x",
    ],
)
def test_a_payload_that_is_malformed_is_an_event_or_an_error(payload: bytes) -> None:
    events, source = read(HELLO, payload, HELLO)
    assert events == [TextDelta("Hello"), MalformedPayload(payload), TextDelta("Hello")]
    source = reader(strict=True)
    source.chunks.append(stream(HELLO, payload))
    assert source.next_event() == TextDelta("Hello")
    with pytest.raises(MalformedEvent, match="neither JSON nor a word") as raised:
        source.next_event()
    assert raised.value.raw == payload
    assert source.text == "Hello"
    assert len(str(raised.value)) < 250


@each_of(
    "payload, error",
    [
        (b'{"action":"error","status":429,"type":"ERR_CONVERSATION_LIMIT"}', ConversationLimitError),
        (b'{"action":"error","status":418,"type":"ERR_BN_LIMIT","message":"x"}', BlockedError),
        (b'{"action":"error","status":429}', RateLimitError),
        (b'{"action":"error"}', ServiceError),
        (b'{"type":"ERR_SOMETHING"}', ServiceError),
        (b'{"role":"error","message":"x"}', ServiceError),
        # Whatever the kind of its other members.
        (b'{"action":"error","status":429,"type":"ERR_USER_LIMIT","message":{"text":"x"}}', UserLimitError),
        (b'{"action":"error","status":503,"message":7,"role":[]}', ServiceUnavailableError),
        (b'{"type":"ERR_SOMETHING","message":["x"]}', ServiceError),
    ],
)
def test_an_error_in_the_stream_is_raised_after_what_came_before(payload: bytes, error: type[ServiceError]) -> None:
    source = reader()
    source.chunks.append(stream(HELLO, b'{"action":"success","message":"\\ud83d"}', payload, HELLO))
    assert source.next_event() == TextDelta("Hello")
    assert source.next_event() == TextDelta("\ufffd")
    with pytest.raises(ServiceError) as raised:
        source.next_event()
    assert type(raised.value) is error
    assert raised.value.body == payload
    assert raised.value.status == json.loads(payload).get("status", 200)  # its own, or that of the response
    assert not source.done


# The end


@each_of(
    "payloads, reason",
    [
        ([HELLO, DONE], "stop"),
        ([HELLO, b"[DONE] "], "stop"),
        ([HELLO, b"[LIMIT_OUTPUT]", DONE], "length"),
        ([HELLO, b"[DONE][LIMIT_OUTPUT]"], "length"),
        ([HELLO, b"[DONE][LIMIT_CONVERSATION]"], "stop"),
        ([HELLO, b"[DONE][STOP_REASON:max_tokens]"], "length"),
        ([HELLO, b"[DONE][STOP_REASON:end_turn]"], "stop"),
        ([EMPTY, HELLO], "length"),
        ([EMPTY, HELLO, EMPTY], "stop"),
        ([HELLO, EMPTY, b'{"action":"success"}', b"[PING]"], "stop"),
        ([HELLO, EMPTY, b'{"action":"success","message":"\\ud83d"}'], "length"),
        ([HELLO, b'{"action":"success","message":"\\ud83d"}', EMPTY], "stop"),
        ([HELLO, EMPTY, b"[LIMIT_OUTPUT]"], "length"),
    ],
)
def test_how_the_reply_ends(payloads: list[bytes], reason: str) -> None:
    _, source = read(*payloads, end=True)
    assert source.done
    assert source.finish_reason == reason


def test_the_words_behind_done_are_events_and_come_before_it_is_done() -> None:
    source = reader()
    source.chunks.append(stream(HELLO, b"[DONE][LIMIT_CONVERSATION][STOP_REASON:x]", HELLO))
    assert source.next_event() == TextDelta("Hello")
    assert not source.limit_reached
    assert source.next_event() == LimitReached("conversation")
    assert source.limit_reached
    assert source.next_event() == StopReason("x")
    assert not source.done
    assert source.next_event() is None
    assert source.done
    source.chunks.append(stream(HELLO) + b"\xff" * 100)
    assert source.next_event() is None
    assert source.text == "Hello"


def test_done_counts_whatever_stands_behind_it() -> None:
    events, source = read(HELLO, b'[DONE]{"message":"x"}', HELLO)
    assert events == [TextDelta("Hello"), MalformedPayload(b'[DONE]{"message":"x"}')]
    assert source.done


def test_many_words_take_linear_time() -> None:
    events, source = read(HELLO, b"[DONE]" + b"[PING]" * 100_000)
    assert len(events) == 100_001
    assert source.done


@pytest.mark.parametrize("payloads", [[DONE], [EMPTY, EMPTY], [b'{"role":"tool"}', b"x"], []])
def test_a_reply_without_text_is_an_error(payloads: list[bytes]) -> None:
    with pytest.raises(EmptyResponseError):
        read(*payloads, end=True)


@pytest.mark.parametrize("tail", [b"data: {", b"data: x\ndat", b"d", b"data:", b'data: {"action":"success"}\n'])
def test_an_unfinished_event_that_could_hold_text_is_an_error(tail: bytes) -> None:
    source = reader()
    source.chunks.append(stream(HELLO, EMPTY) + tail)
    pulled(source)
    with pytest.raises(IncompleteStream):
        source.end()
    assert (source.text, source.done) == ("Hello", False)


@each_of(
    "tail", [b"data: [DONE]\n", b"data: [DONE]\ndat", b"data: [PI", b": comment", b"event: x\nid: 1\n", b"\n", b"id"]
)
def test_an_unfinished_event_that_can_hold_no_text_is_none(tail: bytes) -> None:
    source = reader()
    source.chunks.append(stream(HELLO, EMPTY) + tail)
    pulled(source)
    source.end()
    assert source.next_event() is None
    assert (source.done, source.finish_reason) == (True, "stop")


def test_the_first_model_named_is_the_one_that_answered() -> None:
    source = read(EMPTY, HELLO, HELLO.replace(b"m-1", b"m-2"))[1]
    assert source.served_model == "m-1"
    assert read(HELLO.replace(b'"m-1"', b"5"))[1].served_model is None
    assert read(HELLO.replace(b"m-1", b"\\ud83d"))[1].served_model == "\ufffd"


def test_nothing_moves_before_its_event_is_pulled() -> None:
    source = reader()
    source.chunks.append(stream(HELLO, b"[CHAT_TITLE:t]", b"[DONE][LIMIT_CONVERSATION]"))
    assert (source.text, source.has_content) == ("", False)
    assert source.next_event() == TextDelta("Hello")
    assert (source.title, source.text, source.has_content) == (None, "Hello", True)
    assert source.next_event() == ConversationTitle("t")
    assert (source.title, source.limit_reached, source.done) == ("t", False, False)


# Bounds


def test_an_event_over_the_bound_comes_after_those_before_it() -> None:
    source = reader(max_event_bytes=200)
    source.chunks.append(stream(HELLO, EMPTY))
    source.chunks.append(stream(HELLO) + b"data: " + b"x" * 200)
    source.chunks.append(stream(HELLO))
    assert source.next_event() == TextDelta("Hello")
    assert source.next_event() == TextDelta("Hello")
    with pytest.raises(StreamTooLarge, match="longer than 200 bytes"):
        source.next_event()


FILLERS = {
    "comments": b": comment\n",
    "blank lines": b"\n",
    "carriage returns": b"\r",
    "empty data": b"data:\n\n",
    "unknown fields": b"field: x\n\n",
    "ids": b"id: 7\n\n",
    "times": b"retry: 10\n",
    "types": b"event: message\n",
    "pings": b"data: [PING]\n\n",
    "empty pieces": b'data: {"action":"success","message":""}\n\n',
    "pieces without a message": b'data: {"action":"success"}\n\n',
    "pieces": b'data: {"action":"success","message":"x","model":"m"}\n\n',
    "malformed payloads": b"data: x\n\n",
}


@each_of("filler", FILLERS.values())
@each_of("size", [1, 7, 64, 10_000])
def test_every_byte_of_a_reply_counts_whether_it_means_anything_or_not(filler: bytes, size: int) -> None:
    bound = 2000
    source, events, sent = reader(max_reply_bytes=bound), 0, 0
    body = stream(HELLO) + filler * (4 * bound // len(filler))

    def fill() -> None:
        nonlocal events, sent
        for start in range(0, len(body), size):
            source.chunks.append(body[start : start + size])
            event = source.next_event()
            sent = start + size
            while event is not None:
                events += 1
                event = source.next_event()

    with pytest.raises(StreamTooLarge, match="the reply is longer than 2000 bytes") as raised:
        fill()
    assert raised.value.limit == bound
    assert sent <= bound + size
    assert events >= 1
    assert source.text.startswith("Hello")


@pytest.mark.parametrize("size", [1, 50, 1000, None])
def test_the_bound_of_a_reply_is_exact(size: int | None) -> None:
    blocks = [stream(HELLO), stream(PLAIN), stream(EMPTY), stream(PLAIN), b": comment\n\n", stream(DONE)]
    body = b"".join(blocks)
    for over in (0, 1):
        source = reader(max_reply_bytes=len(body) - over)
        source.chunks.extend(blocks if size is None else [body[i : i + size] for i in range(0, len(body), size)])
        assert [source.next_event() for _ in range(3)] == [TextDelta("Hello"), TextDelta("x"), TextDelta("x")]
        if over:
            with pytest.raises(StreamTooLarge):
                source.next_event()
        else:
            assert source.next_event() is None
        assert source.done is not bool(over)


def test_a_chunk_of_no_bytes_is_not_over_the_bound() -> None:
    body = stream(HELLO, PLAIN)
    source = reader(max_reply_bytes=len(body))
    source.chunks.extend((body, b""))
    assert [source.next_event() for _ in range(3)] == [TextDelta("Hello"), TextDelta("x"), None]


@pytest.mark.parametrize("size", [500, 1 << 20])
@pytest.mark.parametrize(
    ("first", "fits"), [("a", 1 << 19), ("\u20ac", 1 << 18), ("\U0001f600", 1 << 17)], ids=["ascii", "bmp", "wide"]
)
def test_the_text_of_a_reply_takes_half_as_much_memory_as_a_reply_may_have_bytes(
    first: str, fits: int, size: int
) -> None:
    # One wide character makes all of a text wide.
    source = reader(max_reply_bytes=1 << 20)
    said = [TextDelta(first), *[TextDelta("x" * 1000)] * 1100]
    body = stream(*(json.dumps({"action": "success", "message": each.text}).encode() for each in said))
    events: list[Event] = []

    def fill() -> None:
        for start in range(0, len(body), size):
            source.chunks.append(body[start : start + size])
            while (event := source.next_event()) is not None:
                events.append(event)

    with pytest.raises(StreamTooLarge, match="the text of the reply takes more than 524288 bytes of memory"):
        fill()
    assert events == said[: len(events)]
    assert fits - 1000 <= len(source.text) <= fits


@each_of("character", ["a", "\u20ac", "\U0001f600"])
@each_of("over", [0, 1])
def test_the_bound_of_the_text_is_exact(character: str, over: int) -> None:
    width = len(character.encode("utf-16-le")) if ord(character) > 127 else 1
    source = reader(max_reply_bytes=16_384)
    text = character * (8192 // width + over)
    source.chunks.append(stream(json.dumps({"action": "success", "message": text}, ensure_ascii=False).encode()))
    if over:
        with pytest.raises(StreamTooLarge, match="more than 8192 bytes of memory"):
            source.next_event()
    else:
        assert source.next_event() == TextDelta(text)


@each_of("over", [0, 1])
@each_of("waits", [False, True])
def test_the_bound_of_the_text_counts_what_came_before_a_snapshot(over: int, waits: bool) -> None:
    source, rest = reader(max_reply_bytes=2000), json.dumps({"message": "x" * (400 + over)}).encode()
    source.chunks.append(
        stream(b'{"message":"%s"}' % (b"x" * 600), rest) if waits else stream(PLAIN.replace(b"x", b"x" * 600))
    )
    assert source.next_event() == TextDelta("x" * 600)
    source = ReplyReader(Policy(max_reply_bytes=2000), source.saved)
    source.chunks.append(b"" if waits else stream(rest))
    if over:
        with pytest.raises(StreamTooLarge, match="more than 1000 bytes of memory"):
            source.next_event()
    else:
        assert source.next_event() == TextDelta("x" * 400)


def test_blocks_in_chunks_of_their_own_are_events_one_by_one_until_it_is_done() -> None:
    source = reader()
    chunks = [stream(each) for each in (HELLO, PLAIN, b'{"message":"a","source":{"url":"u"}}', b"[PING][PING]")]
    chunks += [stream(PLAIN, DONE), stream(HELLO)]
    source.chunks.extend(chunks)
    kinds = [type(event) for event in pulled(source)]
    assert kinds == [TextDelta, TextDelta, TextDelta, Source, Heartbeat, Heartbeat, TextDelta]
    assert source.done
    assert source.text == "Helloxax"


def test_a_chunk_that_has_been_read_is_not_kept_in_memory() -> None:
    data = stream(*[b'{"message": "Hello"}'] * 20)
    before = sys.getrefcount(data)
    source = reader()
    source.chunks.append(data)
    assert pulled(source) == [TextDelta("Hello")] * 20
    assert sys.getrefcount(data) == before


def test_plain_text_is_read_the_short_way_however_long_the_reply_is(monkeypatch: pytest.MonkeyPatch) -> None:
    interpreted: list[bytes] = []
    original = ReplyReader._interpret

    def noted(self: ReplyReader, raw: bytes) -> object:
        interpreted.append(raw)
        return original(self, raw)

    monkeypatch.setattr(ReplyReader, "_interpret", noted)
    source, chunk = reader(max_reply_bytes=1 << 20), stream(HELLO)
    for _ in range((1 << 19) // len(chunk)):
        source.chunks.append(chunk)
        assert source.next_event() == TextDelta("Hello")
    assert interpreted == [HELLO]


@pytest.mark.parametrize("size", thinned([1 << 16, 23, 1 << 24], one_in=3, reason="a traced byte takes its time"))
def test_a_reply_of_tiny_pieces_takes_little_memory_beside_its_text(size: int) -> None:
    piece, many = b'data: {"message":"ab"}\n\n', 15_000
    body = stream(HELLO) + piece * many
    source = reader()
    tracemalloc.start()
    try:
        for start in range(0, len(body), size):
            source.chunks.append(body[start : start + size])
            while source.next_event() is not None:
                pass
        assert source.text == "Hello" + "ab" * many
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 700 * 1024 + min(size, len(body))


@pytest.mark.parametrize("line", thinned([b"data: ab\n", b"data\n"], one_in=2, reason="a traced byte takes its time"))
def test_an_event_of_tiny_lines_takes_little_memory_beside_its_data(line: bytes) -> None:
    source = reader()
    body = line * 60_000
    tracemalloc.start()
    try:
        for start in range(0, len(body), 1000):
            source.chunks.append(body[start : start + 1000])
            assert source.next_event() is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


# Any bytes, any chunking, any place to stop


def member(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from([None, *values])


@st.composite
def payloads_of_json(draw: st.DrawFn) -> bytes:
    members = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "action": member("success", "success", "success", "error", "x", 1),
                "message": st.one_of(st.text(max_size=4), member("", "\ud83d", "\ude00", "\ude00a\ud83d", 7)),
                "role": member(
                    *("assistant", "assistant", "user", [], "\ud800", "source", "reasoning", "tool-invocation"),
                    *("generated-image", "refusal", "ui-component", "error"),
                ),
                "parts": member([], [1], [{"type": "x"}], [{"type": "generated-image", "result": "AA"}]),
                "source": member({}, {"url": "u"}),
                "sources": member([], [{}], "x", 0, [{"url": "u"}, {"url": "v"}]),
                "state": member("call", "result", "text-delta", "data"),
                "text": member("why"),
                "toolName": member("WebSearch", "GenerateImage"),
                "result": member("AA"),
                "data": member({"b64Image": "AA"}, {"status": "error"}),
                "id": member("i", "\ud83d", 10**30, {"x": 1}),
                "type": member("ERR_X", 3),
            },
        )
    )
    return json.dumps(members, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


words = st.sampled_from(
    [
        b"[DONE]",
        b"[PING]",
        b"[LIMIT_OUTPUT]",
        b"[LIMIT_CONVERSATION]",
        b"[CHAT_TITLE:\xff]",
        b"[STOP_REASON:]",
        b"[ADS:x]",
        b"[",
        b"]",
    ]
)
payload_lists = st.lists(
    st.one_of(payloads_of_json(), st.lists(words, max_size=3).map(b"".join), st.binary(max_size=8)), max_size=8
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    body = b"".join(
        b"data: " + payload + draw(st.sampled_from([b"\n\n", b"\n\n", b"\n\n", b"\r\n\r\n", b"\n"]))
        for payload in draw(payload_lists)
    )
    return body + draw(st.sampled_from([b"", b"", b"data: x", b"da", b": c\n\n"]))


Outcome = tuple[list[Event], str, str, Any]


def outcome(source: ReplyReader, chunks: list[bytes], *, snapshots: bool = False) -> Outcome:
    """All that came out, the text, what it ended with, and the rest of what can be seen."""
    policy = Policy(strict=source._strict)
    events: list[Event] = []

    def again(source: ReplyReader) -> ReplyReader:
        if not snapshots:
            return source
        data = json.loads(json.dumps(msgspec.to_builtins(source.saved)))
        other = ReplyReader(policy, msgspec.convert(data, SavedReply))
        other.chunks = source.chunks  # which a session keeps
        return other

    try:
        for chunk in [*chunks, None]:
            if chunk is None:
                source.end()
            else:
                source.chunks.append(chunk)
            source = again(source)
            while (event := source.next_event()) is not None:
                events.append(event)
                source = again(source)
        end = "done"
        assert source.done
    except DuckChatError as error:
        end = repr(error)
    assert source.text == "".join(event.text for event in events if isinstance(event, TextDelta))
    source.text.encode()
    state = (source.finish_reason, source.title, source.limit_reached, source.served_model, source.has_content)
    return events, source.text, end, state


@settings(max_examples=examples(800))
@given(bodies(), st.lists(st.integers(0, 400), max_size=8), st.booleans())
@example(stream(PLAIN, b'{"message":"\\ud83d"}', b'{"message":"\\ude00"}', b"[DONE][PING]"), [], False)
def test_any_chunking_gives_the_same_and_only_documented_errors(body: bytes, cuts: list[int], strict: bool) -> None:
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    chunks = [body[a:b] for a, b in itertools.pairwise(places)]
    expected = outcome(reader(strict=strict), [body])
    assert outcome(reader(strict=strict), chunks) == expected
    assert outcome(reader(strict=strict), [body[i : i + 1] for i in range(len(body))]) == expected


@settings(max_examples=examples(500))
@given(bodies(), st.integers(1, 60))
def test_a_reader_goes_on_from_its_snapshot_at_any_place(body: bytes, size: int) -> None:
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    assert outcome(reader(), chunks, snapshots=True) == outcome(reader(), chunks)


@settings(max_examples=examples(800))
@given(payload_lists)
def test_plain_pieces_read_in_the_shorter_way_are_the_same(payloads: list[bytes]) -> None:
    # The shorter way is taken once the model is known; no other payload here names one.
    nameless = PLAIN.replace(b',"model":"m"', b"")
    shorter = outcome(reader(), [stream(PLAIN), stream(*payloads)])
    longer = outcome(reader(), [stream(nameless), stream(*payloads)])
    assert shorter[:3] == longer[:3]


@settings(max_examples=examples(300))
@given(st.text(max_size=12), st.data())
def test_text_cut_between_surrogates_comes_out_whole(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    cuts = data.draw(st.lists(st.integers(0, len(units) // 2), max_size=6))
    places = sorted({0, len(units) // 2, *cuts})
    pieces = [units[2 * a : 2 * b].decode("utf-16-le", "surrogatepass") for a, b in itertools.pairwise(places)]
    payloads = [json.dumps({"action": "success", "message": piece}).encode() for piece in pieces]
    events, source = read(PLAIN, *payloads, DONE)
    assert source.text == "x" + text
    assert all(isinstance(event, TextDelta) and event.text for event in events)


@settings(max_examples=examples(300))
@given(st.lists(st.text(st.characters(categories=["Cs"], include_characters="a"), max_size=3), max_size=5))
def test_halves_without_their_other_become_the_replacement_character(pieces: list[str]) -> None:
    payloads = [json.dumps({"action": "success", "message": piece}).encode() for piece in pieces]
    _, source = read(PLAIN, *payloads, end=True)
    joined = "x" + "".join(pieces)
    assert source.text == joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@each_of("change", [{"text": "x"}, {"kept": [{"type": "Source", "url": "u"}]}])
def test_a_snapshot_that_does_not_say_whether_an_event_came_has_content_or_not(change: dict[str, Any]) -> None:
    source = ReplyReader(Policy(), msgspec.convert(change, SavedReply))
    source.end()
    assert source.next_event() is None
    assert (source.done, source.finish_reason) == (True, "length")


FRESH = msgspec.to_builtins(SavedReply())


@each_of(
    "name, most, more",
    [("size", MAX_COUNT, MAX_COUNT + 1), ("too_large", MAX_COUNT, -1), ("given", 2**31 - 1, 2**31), ("given", 0, -1)],
)
def test_a_count_of_a_snapshot_has_its_bound_and_its_members_are_known(name: str, most: int, more: int) -> None:
    assert msgspec.to_builtins(msgspec.convert({name: most}, SavedReply)) == {**FRESH, name: most}
    for wrong in ({name: more}, {name: most, "more": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, SavedReply)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
)


@settings(max_examples=examples(500))
@given(st.sampled_from([*FRESH]), anything)
@example("half", "Cg==")
@example("half", "2AAA")
@example("text", "x")
@example("done", True)
@example("given", 1)
@example("given", 7)
@example("given", 10**40)
@example("too_large", 7)
@example("kept", [{"type": "Source", "url": "x"}] * 2)
@example("size", 10**40)
@example("payloads", ["no base64!"])
@example("unfinished", str(msgspec.to_builtins(stream(PLAIN) + b"data: x" * 100)))
def test_whatever_was_saved_only_documented_errors_come_of_it(name: str, value: object) -> None:
    try:
        saved = msgspec.convert({**FRESH, name: value}, SavedReply)
    except msgspec.ValidationError:
        return
    source = ReplyReader(Policy(max_event_bytes=100, max_reply_bytes=100), saved)
    source.chunks.append(stream(PLAIN, DONE))
    with suppress(DuckChatError):
        pulled(source)
    with suppress(DuckChatError):
        source.end()
