"""Any JSON object as a payload is an empty piece, or events hold all that it carries (PROTOCOL.md section 6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.tiers import examples

from ddg_protocol.errors import ServiceError
from ddg_protocol.events import Event, TextDelta, UnknownPayload
from ddg_protocol.policy import Policy
from ddg_protocol.reply import ReplyReader

HELLO = b'{"role":"assistant","message":"Hello","created":1751751911,"id":"x","action":"success","model":"m-1"}'
BOOKKEEPING = ("created", "id", "model", "status")
ROLES = [
    *("assistant", "reasoning", "tool-invocation", "source", "ui-component", "partial-image", "generated-image"),
    *("refusal", "image-validated", "user"),
]
#: Words that say what a payload is, where they stand at their place: its event says the same.
SAYS = {
    "action": ["success"],
    "role": ROLES,
    "state": ["text-delta", "call", "result", "data"],
    "toolName": ["GenerateImage"],
    "name": ["generate-image"],
    "status": ["partial", "success", "error"],
    "type": ["image-partial", "generated-image"],
}

# Each of these is found nowhere else, so that it is seen where it has gone.
marks = st.integers(1000, 9999).map(lambda number: f"mark-{number}")
scalars = marks | st.integers(10_000, 99_999) | st.sampled_from([None, "", True, False, 0])
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["url", "x", "y"]), inner, max_size=2),
    max_leaves=4,
)


def member(name: str, *more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A member with the values that are known, and now and then with any other."""
    known = st.sampled_from(SAYS[name]) if name in SAYS else marks
    return st.sampled_from([*[*more, known] * 4, marks, anything]).flatmap(lambda strategy: strategy)


def members(*names: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these members, and now and then an unknown one."""
    plain = {name: member(name) for name in names}
    known = st.fixed_dictionaries({}, optional=plain | {name: member(name, some) for name, some in more.items()})
    return known | known | known | st.builds(lambda known, new: {**known, "x": new}, known, anything)


sources = members("url", "title", "site")
parts = members("type", "result") | members("type", "id", "encryptedText", width=st.integers(1, 999))
images = members("b64Image", "status", "type", "format", width=st.integers(1, 999)) | members(
    "status", "error", "message"
)
usual = members("action", created=st.integers(1, 9))
#: What comes with each role, or without one.
KINDS: list[tuple[list[str | None], st.SearchStrategy[dict[str, Any]]]] = [
    ([None, "assistant"], members("message", "content")),
    ([None, "assistant", "source"], members("message", source=sources, sources=st.lists(sources, max_size=2))),
    ([None, "assistant"], members("message", parts=st.lists(parts, max_size=2))),
    (["reasoning"], members("state", "text", summaryText=st.lists(marks, max_size=2))),
    (["tool-invocation"], members("state", "toolName", "toolCallId", "result", toolArguments=members("query"))),
    ([None], members("state", "result")),
    (["ui-component", None], members("state", "name", "toolCallId", data=images)),
    (["ui-component", None], members("state", "toolName", "toolCallId", data=images)),
    (["partial-image", "generated-image"], members("result", "format", width=st.integers(1, 999))),
    (["refusal"], members("detectedBy")),
    ([*ROLES, None], members("state", "reasoning", "message")),
]


@st.composite
def payloads(draw: st.DrawFn) -> dict[str, Any]:
    roles, kind = draw(st.sampled_from(KINDS))
    role = draw(st.sampled_from(roles))
    return {**draw(usual), **draw(kind), **({} if role is None else {"role": role})}


def leaves(value: Any, name: str = "") -> Iterator[str]:
    """What a value carries, without the words that say what it is."""
    match value:
        case dict():
            for name, each in value.items():
                yield from leaves(each, name)
        case list():
            for each in value:
                yield from leaves(each)
        case None | "":
            pass
        case str() if value in SAYS.get(name, ()):
            pass
        case _:
            yield json.dumps(value).strip('"')


def is_error(payload: dict[str, Any]) -> bool:
    return "error" in (payload.get("action"), payload.get("role"))


def is_empty_piece(payload: dict[str, Any], text: str) -> bool:
    """Whether a payload carries nothing but a text."""
    held = {name: value for name, value in payload.items() if value not in (None, "", [], {}) or value is False}
    said = held.pop("message", held.pop("content", ""))
    scalar = all(isinstance(held.pop(name, 0), str | int) for name in BOOKKEEPING)
    answer = held.pop("role", "assistant") == "assistant" and held.pop("action", "success") == "success"
    return said == text and scalar and answer and not held and payload.get("source") is None


@settings(max_examples=examples(1500), deadline=None)
@given(payloads())
@example({"action": "keepalive"})
@example({"action": "success", "role": "assistant", "message": "", "sources": [{"url": "mark-1000"}]})
@example({"role": "source", "source": {"url": "mark-1000", "x": "mark-1001"}})
@example({"x": "mark-1000"})
@example({"parts": [{"type": "generated-image", "result": "mark-1000", "x": "mark-1001"}]})
@example({"parts": [{"type": "generated-image", "result": "mark-1000"}, "mark-1001"]})
@example({"role": "ui-component", "state": "mark-1000", "data": {"b64Image": "mark-1001"}})
def test_whatever_a_payload_carries_is_in_an_event_strict_or_not(payload: dict[str, Any]) -> None:
    raw = json.dumps(payload).encode()
    for before, strict in (([], False), ([HELLO], False), ([HELLO], True)):
        reader = ReplyReader(Policy(strict=strict))
        reader.chunks.append(b"".join(b"data: " + each + b"\n\n" for each in [*before, raw]))
        for _ in before:
            assert reader.next_event() == TextDelta("Hello")
        events: list[Event] = []
        try:
            events.extend(iter(reader.next_event, None))
        except ServiceError as error:
            broken = error.body
        else:
            broken = b""
        assert broken == (raw if is_error(payload) else b"")
        if broken:
            continue
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        others = [event for event in events if not isinstance(event, TextDelta)]
        if others and others[-1] == UnknownPayload(raw):
            assert UnknownPayload(raw) not in others[:-1]
        elif others:
            held = text + str([msgspec.structs.astuple(event) for event in others])
            carried = {name: value for name, value in payload.items() if name not in BOOKKEEPING}
            assert [leaf for leaf in leaves(carried) if leaf not in held] == []
        else:
            assert is_empty_piece(payload, text)
