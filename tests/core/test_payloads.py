"""What payloads bring besides text, of every revision, and how a turn ends by what it had (PROTOCOL.md section 6)."""

from __future__ import annotations

import base64
import json
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.cases import each_of
from support.tiers import thinned

from ddg_protocol.errors import DuckChatError, EmptyResponseError, ServiceError, StreamTooLarge
from ddg_protocol.events import (
    ConversationTitle,
    Event,
    GeneratedImage,
    Heartbeat,
    ImageDraft,
    ImageFailed,
    LimitReached,
    ModelRefusal,
    PartReceived,
    ReasoningDelta,
    ReasoningSummary,
    Source,
    StopReason,
    TextDelta,
    ToolFinished,
    ToolStarted,
    UnknownPayload,
)
from ddg_protocol.payload import read_json
from ddg_protocol.policy import MIB, Policy
from ddg_protocol.reply import ReplyReader, SavedReply

HELLO = b'{"role":"assistant","message":"Hello","created":1751751911,"id":"x","action":"success","model":"m-1"}'
DONE = b"[DONE]"


def stream(*payloads: bytes | str) -> bytes:
    return b"".join(b"data: " + (p.encode() if isinstance(p, str) else p) + b"\n\n" for p in payloads)


def reader(*payloads: bytes | str, **policy: Any) -> ReplyReader:
    source = ReplyReader(Policy(**policy))
    source.chunks.append(stream(*payloads))
    return source


def read(*payloads: bytes | str, strict: bool = True) -> list[Event]:
    return list(iter(reader(*payloads, strict=strict).next_event, None))


# Each shape that is on record

SHAPES: list[tuple[str, list[Any]]] = [
    ('{"role":"assistant","message":"Hi","created":1,"id":"c-1","action":"success","model":"m"}', [TextDelta("Hi")]),
    ('{"role":"assistant","message":"","created":1,"id":"c-1","action":"success","model":"m"}', []),
    ('{"action":"success","id":"c-1","created":1751751911000,"model":"m"}', []),
    ('{"action":"success","role":"assistant"}', []),
    ('{"message":"Hello "}', [TextDelta("Hello ")]),
    ('{"action":"success","role":"assistant","content":"c"}', [TextDelta("c")]),
    ('{"action":"keepalive"}', [UnknownPayload]),
    ('{"action":"success","role":"reasoning","state":"text-delta","text":"why"}', [ReasoningDelta("why")]),
    ('{"role":"reasoning","summaryText":["One","","Two"]}', [ReasoningSummary("One"), ReasoningSummary("Two")]),
    (
        '{"parts":[{"type":"reasoning","id":"r1","encryptedText":"ü","n":12345678901234567890123}]}',
        [PartReceived('{"type":"reasoning","id":"r1","encryptedText":"ü","n":12345678901234567890123}')],
    ),
    (
        (
            '{"action":"success","role":"tool-invocation","state":"call","toolCallId":"c1","toolName":"WebSearch",'
            '"toolArguments":{"query":"x"}}'
        ),
        [ToolStarted("WebSearch", "c1", '{"query":"x"}')],
    ),
    (
        '{"role":"tool-invocation","state":"call","toolCallId":"c1","toolName":"T","toolArguments":"{\\"a\\":1}"}',
        [ToolStarted("T", "c1", '{"a":1}')],
    ),
    ('{"role":"tool-invocation","state":"call","toolName":"T"}', [ToolStarted("T")]),
    ('{"role":"tool-invocation","toolName":"WebSearch","state":"result"}', [ToolFinished("WebSearch")]),
    (
        '{"role":"tool-invocation","state":"result","toolName":"T","toolCallId":"c1","result":"https://cdn.example/i"}',
        [ToolFinished("T", "c1", "https://cdn.example/i")],
    ),
    ('{"action":"success","state":"result","result":"It failed."}', [ToolFinished(result="It failed.")]),
    (
        '{"role":"source","source":{"url":"https://example.com/a","title":"Article"}}',
        [Source("https://example.com/a", "Article")],
    ),
    (
        '{"action":"success","role":"source","sources":[{"url":"u","title":"t","site":"s"},{"url":"v","site":null}]}',
        [Source("u", "t", "s"), Source("v")],
    ),
    (
        (
            '{"role":"ui-component","state":"data","name":"generate-image",'
            '"data":{"type":"image-partial","b64Image":"AQID","width":2,"height":3,"format":"png"}}'
        ),
        [ImageDraft("AQID", "png", 2, 3)],
    ),
    (
        (
            '{"action":"success","state":"data","toolName":"GenerateImage","toolCallId":"c1",'
            '"data":{"b64Image":"AQID","status":"partial","type":"image-partial"}}'
        ),
        [ImageDraft("AQID", call_id="c1")],
    ),
    (
        (
            '{"action":"success","role":"ui-component","toolName":"GenerateImage",'
            '"data":{"status":"success","b64Image":"AQID"}}'
        ),
        [GeneratedImage("AQID")],
    ),
    ('{"role":"ui-component","data":{"b64Image":"AQID"}}', [GeneratedImage("AQID")]),
    (
        (
            '{"action":"success","state":"data","toolName":"GenerateImage","toolCallId":"c1",'
            '"data":{"status":"error","error":"content_policy","message":"It could not be made."}}'
        ),
        [ImageFailed("content_policy", "It could not be made.", "c1")],
    ),
    ('{"role":"ui-component","name":"weather-card"}', [UnknownPayload]),
    ('{"role":"ui-component","name":"x","data":{"status":"error"}}', [UnknownPayload]),
    ('{"action":"success","role":"partial-image","result":"AQID"}', [ImageDraft("AQID")]),
    ('{"action":"success","role":"generated-image","result":"AQID"}', [GeneratedImage("AQID")]),
    (
        (
            '{"action":"success","model":"m","role":"assistant","message":"Here","parts":[{"type":"generated-image",'
            '"result":"AAAA"}]}'
        ),
        [TextDelta("Here"), GeneratedImage("AAAA")],
    ),
    ('{"role":"image-validated","tokens":["TOKEN"]}', [UnknownPayload]),
    ('{"action":"success","role":"refusal","detectedBy":"model"}', [ModelRefusal("model")]),
    ('{"role":"refusal"}', [ModelRefusal()]),
    # Words
    ("[PING]", [Heartbeat()]),
    ("[CHAT_TITLE:Weather]", [ConversationTitle("Weather")]),
    ("[STOP_REASON:end_turn]", [StopReason("end_turn")]),
    *((f"[LIMIT_{x}]", [LimitReached(x.lower())]) for x in ("ACCOUNT", "ENTITY", "CONVERSATION", "INPUT", "OUTPUT")),
    ("[LIMIT_IMAGE_GENERATIONS]", [LimitReached("image_generations")]),
    ("[FIXED_COST_WINDOW_USAGE:ab/c=]", [UnknownPayload]),
    ("[WARN_CONVERSATION_LIMIT:2]", [UnknownPayload]),
    ('[SUMMARY_REFRESH_HINT:{"a":["b"]}]', [UnknownPayload]),
    ("[SUMMARY_INVALID]", [UnknownPayload]),
    ("[ADS:{}]", [UnknownPayload]),
    ("[NEVER_SEEN:x]", [UnknownPayload]),
]


def whole(payload: str, events: list[Any]) -> list[Event]:
    return [event(payload.encode()) if isinstance(event, type) else event for event in events]


@each_of("payload, events", SHAPES)
def test_each_shape_on_record_is_an_event_in_strict_mode_too(payload: str, events: list[Any]) -> None:
    assert read(payload) == whole(payload, events)
    assert read(HELLO, payload, HELLO) == [TextDelta("Hello"), *whole(payload, events), TextDelta("Hello")]


@each_of(
    "payload, events",
    [
        # What the event doesn't hold follows with the whole payload.
        ('{"role":"source","source":{"url":"u","icon":"i"}}', [Source("u"), UnknownPayload]),
        ('{"role":"source","sources":[{"url":"u"},{"title":"t"}]}', [Source("u"), UnknownPayload]),
        ('{"role":"source","sources":[{"url":"u"},{}]}', [Source("u")]),
        ('{"role":"source","sources":[{"url":"u"},0]}', [Source("u"), UnknownPayload]),
        ('{"role":"source","source":"u"}', [UnknownPayload]),
        ('{"role":"source","source":{"url":7}}', [UnknownPayload]),
        ('{"role":"reasoning","text":"why"}', [ReasoningDelta("why")]),
        ('{"role":"reasoning","state":"text-end","text":"why"}', [UnknownPayload]),
        ('{"role":"reasoning","text":"a\\ud83d"}', [UnknownPayload]),
        ('{"role":"reasoning","text":"\\ud83d\\ude00"}', [ReasoningDelta("\U0001f600")]),
        ('{"role":"reasoning","summaryText":["a",7]}', [UnknownPayload]),
        ('{"role":"reasoning","summaryText":["a","b\\ud83d"]}', [UnknownPayload]),
        ('{"role":"reasoning","summaryText":"ab"}', [UnknownPayload]),
        ('{"role":"reasoning"}', [UnknownPayload]),
        ('{"state":"result"}', [UnknownPayload]),
        ('{"state":"call","toolName":"T","result":"r"}', [UnknownPayload]),
        ('{"role":"tool-invocation","state":"call","toolName":""}', [UnknownPayload]),
        ('{"role":"tool-invocation","state":"waiting","toolName":"T"}', [UnknownPayload]),
        ('{"role":"tool-invocation","state":"result","result":{"a":1}}', [ToolFinished(), UnknownPayload]),
        (
            '{"role":"tool-invocation","state":"call","toolName":"T","toolArguments":1e999}',
            [ToolStarted("T"), UnknownPayload],
        ),
        (
            '{"role":"tool-invocation","state":"call","toolName":"T","toolArguments":["\\ud83d"]}',
            [ToolStarted("T", arguments='["\\ud83d"]')],
        ),
        ('{"role":"generated-image","result":""}', [UnknownPayload]),
        ('{"role":"generated-image","result":"AA","width":1.5}', [GeneratedImage("AA"), UnknownPayload]),
        ('{"role":"generated-image","result":"AA","width":true}', [GeneratedImage("AA"), UnknownPayload]),
        (
            '{"role":"generated-image","result":"AA","width":0,"height":999999999}',
            [GeneratedImage("AA", "", 0, 10**9 - 1)],
        ),
        *(
            (f'{{"role":"generated-image","result":"AA","height":{size}}}', [GeneratedImage("AA"), UnknownPayload])
            for size in (-1, 10**9, 10**40)
        ),
        ('{"role":"partial-image","result":7}', [UnknownPayload]),
        ('{"role":"ui-component","data":"x"}', [UnknownPayload]),
        ('{"role":"ui-component","data":{"b64Image":7}}', [UnknownPayload]),
        ('{"role":"ui-component","data":{"b64Image":"AA","status":"new"}}', [GeneratedImage("AA"), UnknownPayload]),
        ('{"role":"ui-component","state":"x","data":{"b64Image":"AA"}}', [GeneratedImage("AA"), UnknownPayload]),
        (
            '{"parts":[{"type":"generated-image","result":"AA","data":{"a":1}},{"type":"text","text":"x"}]}',
            [GeneratedImage("AA"), PartReceived('{"type":"text","text":"x"}'), UnknownPayload],
        ),
        ('{"parts":[{"type":"x"},{"a":1},{}]}', [PartReceived('{"type":"x"}'), UnknownPayload]),
        ('{"parts":7}', [UnknownPayload]),
        ('{"parts":{"type":"x"}}', [UnknownPayload]),
        ('{"parts":[],"source":{"url":"u"}}', [Source("u"), UnknownPayload]),
        ('{"parts":[{"type":"x","n":1e999}]}', [UnknownPayload]),
        ('{"parts":[{"type":"generated-image"}]}', [PartReceived('{"type":"generated-image"}')]),
        # An action that isn't known may mean anything.
        ('{"action":"undo","role":"source","source":{"url":"u"}}', [UnknownPayload]),
        ('{"role":["source"],"source":{"url":"u"}}', [UnknownPayload]),
    ],
)
def test_what_no_event_holds_is_passed_on_as_it_came(payload: str, events: list[Any]) -> None:
    assert read(payload) == whole(payload, events)


def test_a_part_that_is_nested_too_deeply_is_passed_on_as_it_came() -> None:
    deep = '{"type":"x","y":' + "[" * 500 + "]" * 500 + "}"
    assert read('{"parts":[' + deep + "]}") == [PartReceived(deep)]
    deepest = '{"parts":[{"type":"x","y":' + "[" * 900 + "]" * 900 + "}]}"
    (event,) = read(deepest, strict=False)
    assert not isinstance(event, TextDelta)


@each_of(
    "payload, words",
    [
        ("[CHAT_TITLE:a][PING]", [ConversationTitle("a][PING")]),
        ("[CHAT_TITLE:a][b]", [ConversationTitle("a][b")]),
        ("[DONE][CHAT_TITLE:a][b]", [ConversationTitle("a][b")]),
        ("[DONE][CHAT_TITLE:a][PING]", [ConversationTitle("a"), Heartbeat()]),
        ("[PING][LIMIT_ENTITY]", [Heartbeat(), LimitReached("entity")]),
        ("[STOP_REASON:x][LIMIT_OUTPUT]", [StopReason("x"), LimitReached("output")]),
        ("[STOP_REASON:x][y][LIMIT_OUTPUT]", [StopReason("x][y"), LimitReached("output")]),
        ("[STOP_REASON:x][LIMIT_OUTPUT][y]", [StopReason("x][LIMIT_OUTPUT][y")]),
        ('[ADS:[["[PING]"]]][PING]', [UnknownPayload(b'[ADS:[["[PING]"]]]'), Heartbeat()]),
        ("[ADS:a][ADS:b]", [UnknownPayload(b"[ADS:a]"), UnknownPayload(b"[ADS:b]")]),
        ("[NEW][PING][NEW:x]", [UnknownPayload(b"[NEW]"), Heartbeat(), UnknownPayload(b"[NEW:x]")]),
        ("[NEW:x][NEWER]", [UnknownPayload(b"[NEW:x][NEWER]")]),
        ("[DONE][NEW:x]", [UnknownPayload(b"[NEW:x]")]),
    ],
)
def test_words_are_parted_only_where_known_words_follow(payload: str, words: list[Event]) -> None:
    assert read(HELLO, payload) == [TextDelta("Hello"), *words]


def test_a_value_full_of_words_takes_linear_time() -> None:
    payload = "[ADS:" + "][PING" * 100_000 + "][x]"
    assert read(payload) == [UnknownPayload(payload.encode())]


MEANS: dict[str, tuple[type, ...]] = {
    "A piece of the answer. Append": (TextDelta,),
    "The next piece of the same answer": (TextDelta,),
    "A piece without text": (),
    'A piece with no "message" member': (),
    "A piece without role or action": (TextDelta,),
    'A piece whose text stands in "content"': (TextDelta,),
    "A state of the answer without text": (),
    "An action that no client knows": (UnknownPayload,),
    "A piece of the reasoning": (ReasoningDelta,),
    "A summary of the reasoning": (ReasoningSummary,),
    "Parts of the answer that are to be kept": (PartReceived,),
    "The service has begun to use a tool": (ToolStarted,),
    "The same with the arguments as JSON text": (ToolStarted,),
    "The tool is done": (ToolFinished,),
    "A source of the answer": (Source,),
    "Several sources at once": (Source,),
    "A draft of an image": (ImageDraft,),
    "A draft, with a status": (ImageDraft,),
    "The finished image of the image tool": (GeneratedImage,),
    "The image tool refused": (ImageFailed,),
    "The result text of that refusal": (ToolFinished,),
    "The page would show a card": (UnknownPayload,),
    "Model image-generation: a draft": (ImageDraft,),
    "Model image-generation: a finished image": (GeneratedImage,),
    "A piece of the answer with a finished image": (TextDelta, GeneratedImage),
    "Tokens for images": (UnknownPayload,),
    "The model refused": (ModelRefusal,),
    "The answer to the challenge was refused": (ServiceError,),
    "The model's maker failed": (ServiceError,),
    "The conversation is too long": (ServiceError,),
    "Keep-alive; ignore": (Heartbeat,),
    "A title for the conversation": (ConversationTitle,),
    "Complete, cut off at the model's limit": (StopReason,),
    "The answer is complete": (),
    "Complete, and no further turn": (LimitReached,),
    "Limit of the account": (LimitReached,),
    "Limit of the user": (LimitReached,),
    "The limit of this user": (LimitReached,),
    "No more images for now": (LimitReached,),
    "The question is too long": (LimitReached,),
    "The answer was cut off": (LimitReached,),
    "Why the model stopped": (StopReason,),
    "How much of a usage window": (UnknownPayload,),
    "So many turns are left": (UnknownPayload,),
    "The front end is asked to renew": (UnknownPayload,),
    "The summary that was sent is not taken": (UnknownPayload,),
    "Advertisements": (UnknownPayload,),
}


@pytest.mark.parametrize("revision", ["2025-07", "2026-10"])
def test_every_recorded_payload_is_what_it_means(vectors: Path, revision: str) -> None:
    samples = json.loads((vectors / "revisions" / f"stream-{revision}.json").read_bytes())
    assert samples
    for sample in samples:
        (kinds,) = [kinds for means, kinds in MEANS.items() if sample["means"].startswith(means)]
        source = reader(HELLO, sample["data"], strict=True)
        found: list[type] = []
        try:
            found = [type(event) for event in iter(source.next_event, None)][1:]
        except DuckChatError as error:
            found = [ServiceError] if isinstance(error, ServiceError) else [type(error)]
        assert (sample["data"], tuple(found)) == (sample["data"], kinds)
        assert source.done == sample["data"].startswith("[DONE]")
        if "cut off at" in sample["means"]:
            assert source.finish_reason == "length"


# Images


@each_of(
    "text, data",
    [
        ("AQID", b"\1\2\3"),
        ("AQI=", b"\1\2"),
        ("AQI", b"\1\2"),
        ("AQ==", b"\1"),
        ("AQ", b"\1"),
        ("A Q\nI\tD", b"\1\2\3"),
        ("", b""),
        ("A", None),
        ("AQID=", None),
        ("AQ=", None),
        ("AQ=I", None),
        ("A===", None),
        ("AQ!D", None),
        ("AQ-_", None),
        ("äöü", None),
        ("data:image/png;base64,AQID", None),
    ],
)
def test_an_image_is_decoded_as_a_browser_does_or_says_that_it_is_not_base64(text: str, data: bytes | None) -> None:
    assert GeneratedImage(text).data == data
    assert ImageDraft(text).data == data


def test_the_repr_of_an_image_has_its_size_and_kind_and_not_its_contents() -> None:
    assert repr(GeneratedImage("AQID", "png", 2, 3)) == "<GeneratedImage 'png', 4 characters of base64, 2 by 3>"
    assert repr(ImageDraft("AQID")) == "<ImageDraft '', 4 characters of base64>"


def image(size: int, **more: object) -> bytes:
    data = base64.b64encode(bytes(size)).decode()
    return json.dumps({"action": "success", "role": "generated-image", "result": data, **more}).encode()


def test_an_image_of_more_than_other_events_may_have_comes_through() -> None:
    payload = image(2 * MIB)
    assert len(payload) > Policy().max_event_bytes
    for size in (len(payload), 4096):
        source = ReplyReader(Policy())
        events: list[Event] = []
        body = stream(HELLO, payload, DONE)
        for start in range(0, len(body), size):
            source.chunks.append(body[start : start + size])
            events += iter(source.next_event, None)
        assert [type(event) for event in events] == [TextDelta, GeneratedImage]
        assert source.done
        assert source.gathered["images"][0].data == bytes(2 * MIB)


LARGE = {
    "text": json.dumps({"action": "success", "message": "x" * 600}),
    "another payload": json.dumps({"role": "new", "x": "x" * 600}),
    "a word": "[ADS:" + "x" * 600 + "]",
    "no JSON": "{" + "x" * 600,
    "many members": json.dumps({"role": "generated-image", "result": "AA", "x": [{}] * 600}),
    "an image of two lines": '{"role":"generated-image",\ndata: "result":"' + "A" * 600 + '"}',
}


@each_of("payload", LARGE.values())
@each_of("size", [1, 100, 10_000])
def test_nothing_but_an_image_may_be_longer_than_an_event(payload: str, size: int) -> None:
    source = ReplyReader(Policy(max_event_bytes=500, max_image_bytes=10_000))
    body = stream(HELLO, payload, HELLO)
    events: list[Event] = []

    def fill() -> None:
        for start in range(0, len(body), size):
            source.chunks.append(body[start : start + size])
            events.extend(iter(source.next_event, None))

    with pytest.raises(StreamTooLarge, match="longer than 500 bytes") as raised:
        fill()
    assert raised.value.limit == 500
    assert events == [TextDelta("Hello")]
    again = ReplyReader(Policy(), msgspec.convert(msgspec.to_builtins(source.saved), SavedReply))
    with pytest.raises(StreamTooLarge, match="longer than 500 bytes"):
        again.next_event()


@each_of("members, fits", [(995, True), (996, False)])
def test_a_long_payload_of_many_members_is_more_than_an_image(members: int, fits: bool) -> None:
    # A thousand brackets and commas are too many.
    source = reader(image(3, x=[0] * members), max_event_bytes=500)
    if fits:
        assert [type(event) for event in iter(source.next_event, None)] == [GeneratedImage, UnknownPayload]
    else:
        with pytest.raises(StreamTooLarge, match="longer than 500 bytes"):
            source.next_event()


@each_of("over", [0, 1])
@each_of("payload", [json.dumps({"message": "x" * 100}), json.dumps({"role": "new", "x": "x" * 100})])
def test_the_bound_of_a_payload_that_is_no_image_is_exact(payload: str, over: int) -> None:
    source = reader(payload, max_event_bytes=len(payload) - over)
    if over:
        with pytest.raises(StreamTooLarge, match=f"longer than {len(payload) - 1} bytes"):
            source.next_event()
    else:
        assert source.next_event() is not None


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_the_bound_of_an_image_is_exact(size: int) -> None:
    payload = image(300)
    for limit in (len(payload) + 6, len(payload) + 5):
        source = ReplyReader(Policy(max_event_bytes=200, max_image_bytes=limit))
        events: list[Event] = []
        body = stream(HELLO, payload)
        passed = 0
        try:
            for start in range(0, len(body), size):
                source.chunks.append(body[start : start + size])
                events += iter(source.next_event, None)
        except StreamTooLarge as error:
            passed = error.limit
        fits = limit == len(payload) + 6
        assert (len(events), passed) == ((2, 0) if fits else (1, limit))


@pytest.mark.parametrize("size", thinned([1 << 16, 1 << 24], one_in=2, reason="a traced byte takes its time"))
def test_an_image_takes_little_memory_beside_its_text(size: int) -> None:
    body = stream(HELLO, image(3 * MIB - 200), DONE)
    source = ReplyReader(Policy())
    tracemalloc.start()
    try:
        for start in range(0, len(body), size):
            source.chunks.append(body[start : start + size])
            while source.next_event() is not None:
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert source.done
    assert peak < 36 * MIB


@each_of(
    "payload",
    [
        '{"role":"source","source":{"url":"u"}}',
        '{"role":"reasoning","text":"x"}',
        '{"role":"tool-invocation","state":"result"}',
        '{"parts":[{"type":"x"}]}',
        '{"role":"generated-image","result":"AAAA"}',
        '{"role":"source","sources":[' + '{"url":"u"},' * 20 + '{"url":"\U0001f600"}]}',
    ],
)
def test_what_a_turn_has_beside_its_text_takes_half_as_much_memory_as_a_reply_may_have_bytes(payload: str) -> None:
    source = ReplyReader(Policy(max_reply_bytes=100_000))
    body = stream(payload) * (95_000 // len(stream(payload)))
    source.chunks.append(body)
    with pytest.raises(StreamTooLarge, match="what the reply has besides its text takes more than 50000 bytes"):
        for _ in iter(source.next_event, None):
            pass
    assert 0 < sum(map(len, source.gathered.values())) < 200


@each_of(
    "payload, event, size",
    [
        ('{"role":"source","source":{"url":"u","title":"tt"}}', Source("u", "tt"), 3),
        ('{"role":"source","source":{"url":"ü","title":"tt"}}', Source("ü", "tt"), 4),
        ('{"role":"source","source":{"url":"😀€","title":"tt"}}', Source("😀€", "tt"), 10),
        ('{"role":"refusal"}', ModelRefusal(), 0),
    ],
)
def test_an_event_that_is_kept_counts_as_256_bytes_and_its_texts_as_wide_as_they_are(
    payload: str, event: Event, size: int
) -> None:
    fit = 10
    for less in (0, 2):
        source = reader(*[payload] * (fit + 1), max_reply_bytes=2 * fit * (256 + size) - less)
        assert [source.next_event() for _ in range(fit - bool(less))] == [event] * (fit - bool(less))
        with pytest.raises(StreamTooLarge, match=f"takes more than {fit * (256 + size) - bool(less)} bytes of memory"):
            source.next_event()


# How a turn ends


@each_of(
    "payload, gathered",
    [
        ('{"role":"generated-image","result":"AQID"}', {"images": (GeneratedImage("AQID"),)}),
        ('{"role":"refusal","detectedBy":"model"}', {"refusals": (ModelRefusal("model"),)}),
        ('{"role":"source","source":{"url":"u"}}', {"sources": (Source("u"),)}),
        (
            '{"toolName":"GenerateImage","data":{"status":"error","error":"e"}}',
            {"failed_images": (ImageFailed("e"),)},
        ),
        ('{"role":"tool-invocation","state":"result","result":"r"}', {"tools": (ToolFinished(result="r"),)}),
        ('{"role":"reasoning","summaryText":["a","b"]}', {"summaries": ("a", "b")}),
        ('{"parts":[{"type":"x"}]}', {"parts": ('{"type":"x"}',)}),
    ],
)
def test_a_turn_with_anything_but_text_is_a_turn(payload: str, gathered: dict[str, Any]) -> None:
    for end in (True, False):
        source = reader(payload, *([DONE] if end else []), strict=True)
        events = list(iter(source.next_event, None))
        if not end:
            source.end()
            assert source.next_event() is None
        assert len(events) == max(1, len(gathered.get("summaries", ())))
        assert source.done
        assert (source.text, source.gathered) == ("", gathered)
        assert source.finish_reason == ("stop" if end else "length")


@pytest.mark.parametrize(
    "payload", ['{"role":"partial-image","result":"AQID"}', '{"role":"new"}', "[ADS:{}]", '{"message":""}']
)
def test_a_turn_with_a_draft_or_what_is_unknown_is_none(payload: str) -> None:
    source = reader(payload, DONE)
    with pytest.raises(EmptyResponseError, match="neither text nor anything else"):
        list(iter(source.next_event, None))


def test_reasoning_is_joined_until_another_event_comes() -> None:
    source = reader(
        *('{"role":"reasoning","text":"a"}', '{"role":"reasoning","text":"b"}', HELLO),
        *('{"role":"reasoning","text":"c"}', '{"role":"tool-invocation","state":"call","toolName":"T"}'),
        *('{"role":"reasoning","text":"d"}', DONE),
    )
    assert source.gathered == {}
    list(iter(source.next_event, None))
    assert source.gathered == {"reasoning": ("abc", "d"), "tools": (ToolStarted("T"),)}


@each_of("more, unknown", [("", []), (',"new":1', [UnknownPayload])])
def test_a_reader_goes_on_between_two_events_of_one_payload(more: str, unknown: list[Any]) -> None:
    payload = f'{{"message":"x","source":{{"url":"u"}},"sources":[{{"url":"v"}},{{"url":"w"}}]{more}}}'
    expected = [*whole(payload, [TextDelta("x"), Source("u"), Source("v"), Source("w"), *unknown]), TextDelta("Hello")]
    source, events = reader(payload, HELLO, DONE), []
    while (event := source.next_event()) is not None:
        events.append(event)
        saved = msgspec.json.decode(msgspec.json.encode(source.saved), type=SavedReply)
        source = ReplyReader(Policy(), saved)
    assert events == expected
    assert source.done
    assert source.gathered == {"sources": (Source("u"), Source("v"), Source("w"))}


def test_a_number_stays_as_it_came_as_far_as_python_reads_it() -> None:
    # Invalid UTF-8 is what msgspec leaves to the other reader.
    found = read_json(b'{"exact":%s,"rounded":%s,"huge":%s,"text":"\xff"}' % (b"9" * 19, b"9" * 20, b"9" * 5000))
    assert found == {"exact": 10**19 - 1, "rounded": 1e20, "huge": float("inf"), "text": "\N{REPLACEMENT CHARACTER}"}
