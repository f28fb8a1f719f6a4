"""The payloads of a reply, JSON or words, and what they mean besides text: reasoning, tools, sources, images.

Each kind of payload has a reader. It takes the members that its events hold out of the payload. If anything that
carries something is left, an `UnknownPayload` with the whole payload follows, so nothing is lost (section 6 of
PROTOCOL.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import msgspec

from .events import (
    Event,
    GeneratedImage,
    ImageDraft,
    ImageFailed,
    ModelRefusal,
    PartReceived,
    ReasoningDelta,
    ReasoningSummary,
    Source,
    ToolFinished,
    ToolStarted,
    UnknownPayload,
)
from .text import encodable

_Members = dict[str, Any]
_Reader = Callable[[_Members], Iterator[Event]]

_ASSISTANT = (None, "assistant")
#: Members of a payload that hold numbers and words about it; as objects or lists they carry more.
_BOOKKEEPING = frozenset({"action", "role", "created", "id", "model", "status"})
#: Members that carry something even where they are empty.
_NEVER_EMPTY = frozenset({"parts", "source"})

#: The most objects, lists and members in a payload that is almost only an image.
_FEW = 1000
#: More than the pixels of any image; readers of JSON agree on smaller numbers.
_LARGE = 10**9

_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


#: What the decoders raise; nothing else.
NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_NAME = re.compile(rb"[A-Z_][A-Z0-9_]*")
#: The words that end the value of the word before them: values may hold brackets.
_PLAIN_WORDS = frozenset({b"DONE", b"PING", b"SUMMARY_INVALID"})
_VALUED_WORDS = frozenset(
    b"ADS CHAT_TITLE FIXED_COST_WINDOW_USAGE STOP_REASON SUMMARY_REFRESH_HINT WARN_CONVERSATION_LIMIT".split()
)


# What it is


def read_json(raw: bytes) -> dict[str, Any] | None:
    """Parse a payload. None means that it is not a JSON object."""
    if not raw.lstrip().startswith(b"{"):  # mostly words: cheaper to see here than to parse
        return None
    try:
        return _decode_object(raw)
    except NOT_DECODED:
        # msgspec refuses invalid UTF-8, for which the event stream has U+FFFD.
        return parse_object(str(raw, "utf-8", "replace"))


def parse_object(text: str) -> dict[str, Any] | None:
    """Parse a JSON object that may have halves of surrogate pairs and numbers of any length.

    msgspec refuses the former and `int` the latter, which mean nothing here.

    Args:
        text: anything.

    Returns:
        The object; None if the text is not one.
    """
    from json import loads  # which most conversations never need

    try:
        found = loads(text, parse_int=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def is_json(raw: bytes) -> bool:
    """Return whether a payload is JSON of any kind."""
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except NOT_DECODED:
        return False
    return True


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 20 else float(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def split_words(raw: bytes) -> list[bytes]:
    """Split ``[A][B:x]`` into its words. Return none if anything else is in it.

    A value goes to the last bracket, unless known words follow it to the end. That of a leading title always does.
    """
    if not (raw.startswith(b"[") and raw.endswith(b"]")):
        return []
    tokens = raw[1:-1].split(b"][")
    first = next((index for index, token in enumerate(tokens) if not _NAME.fullmatch(token)), len(tokens))
    words, tokens = tokens[:first], tokens[first:]
    if tokens:
        name, colon, _ = tokens[0].partition(b":")
        if not (colon and _NAME.fullmatch(name)):
            return []
        last = len(tokens)
        is_leading_title = not words and name == b"CHAT_TITLE"
        while last > 1 and not is_leading_title and _is_known_word(tokens[last - 1]):
            last -= 1
        words += [b"][".join(tokens[:last]), *tokens[last:]]
    return [b"[" + word + b"]" for word in words]


def _is_known_word(token: bytes) -> bool:
    name, colon, _ = token.partition(b":")
    if colon:
        return name in _VALUED_WORDS
    return name in _PLAIN_WORDS or (name.startswith(b"LIMIT_") and _NAME.fullmatch(name) is not None)


# What it means


def reply_text(payload: _Members) -> tuple[str | None, str]:
    """Return the text of the reply that a payload brings.

    Args:
        payload: the payload.

    Returns:
        The member that has it, ``message`` or in its place ``content``, and the text; None and an empty text if the
        payload isn't the assistant's, or has none.
    """
    is_reply = _is_known_action(payload) or any(payload.get(name) is not None for name in _NEVER_EMPTY)
    if is_reply and payload.get("role") in _ASSISTANT:
        name = "content" if payload.get("message") is None else "message"
        text = payload.get(name)
        if isinstance(text, str):
            return name, text
    return None, ""


def is_more(payload: _Members, *, text: str | None) -> bool:
    """Return whether a payload carries something besides its text.

    Args:
        payload: the payload.
        text: the member that has its text; None if none has.
    """
    if payload.get("role") not in _ASSISTANT or not _is_known_action(payload):
        return True
    return any(_carries(name, value) for name, value in payload.items() if name != text)


def events_of(payload: _Members, raw: bytes, *, text: str | None) -> Iterator[Event]:
    """Yield what a payload carries besides its text.

    Args:
        payload: the payload. It is more than text.
        raw: the same, as it came.
        text: the member that has its text, which was used; None if none has.

    Yields:
        The events that hold it. The last is an `UnknownPayload` if they don't hold all of it.
    """
    rest = {name: value for name, value in payload.items() if name != text and _carries(name, value)}
    role = payload.get("role")
    read = _READERS.get(role) if role is None or isinstance(role, str) else None
    is_held = False
    if read is not None and _is_known_action(payload):
        for event in read(rest):
            is_held = True
            yield event
    if rest or not is_held:
        yield UnknownPayload(raw)


def may_be_image(raw: bytes) -> bool:
    """Return whether a payload has so few members that almost all of it can be one text, such as an image.

    Args:
        raw: a payload that is longer than others may be. Parsing one with few members takes little more memory.
    """
    return raw[:1] == b"{" and sum(map(raw.count, b"{[,")) < _FEW


def has_image(payload: _Members, raw: bytes) -> bool:
    """Return whether an image is in a payload."""
    return any(isinstance(event, ImageDraft | GeneratedImage) for event in events_of(payload, raw, text=None))


def part_of(event: Event) -> str | None:
    """Return the part of a reply that the history keeps of an event.

    Args:
        event: of the reply.

    Returns:
        JSON text: a part as it came, a source or an image in the form in which the service's page stores it; None if
        the history keeps nothing of the event.
    """
    match event:
        case PartReceived(json):
            return json
        case Source(url, title, site):
            return _as_json({"type": "source", "source": _filled(url=url, title=title, site=site)})
        case GeneratedImage(base64, format, width, height):
            data = _filled(format=format, width=width, height=height)
            return _as_json({"type": "generated-image", "result": base64, "data": data})
    return None


def _filled(**members: object) -> _Members:
    return {name: value for name, value in members.items() if _is_some(value)}


def _is_known_action(payload: _Members) -> bool:
    return payload.get("action") in (None, "success")


def _carries(name: str, value: Any) -> bool:
    """Return whether a member carries something."""
    if name in _BOOKKEEPING:
        return isinstance(value, dict | list)
    return _is_some(value) or (name in _NEVER_EMPTY and value is not None)


# The readers, by role


def _read_assistant(rest: _Members) -> Iterator[Event]:
    """Read a payload of the assistant, or one without a role: other kinds may lack theirs."""
    yield from _read_sources(rest)
    yield from _read_component(rest)
    if "result" in rest and rest.get("state") == "result":
        yield from _read_tool(rest)
    parts = rest.get("parts")
    if isinstance(parts, list) and parts:
        left = False
        for part in parts:
            event, all_of_it = _part(part)
            left |= not all_of_it
            if event is not None:
                yield event
        if not left:
            del rest["parts"]


def _read_reasoning(rest: _Members) -> Iterator[Event]:
    if rest.get("state", "text-delta") == "text-delta" and (text := _pop_text(rest, "text")):
        rest.pop("state", None)
        yield ReasoningDelta(text)
    texts = rest.get("summaryText")
    if isinstance(texts, list) and all(isinstance(text, str) and encodable(text) for text in texts):
        del rest["summaryText"]
        yield from (ReasoningSummary(text) for text in texts if text)


def _read_tool(rest: _Members) -> Iterator[Event]:
    state = rest.get("state")
    if state == "call" and (name := _pop_text(rest, "toolName")):
        arguments = rest.get("toolArguments")
        if arguments is not None and not isinstance(arguments, str):
            rest["toolArguments"] = _as_json(arguments)
        yield ToolStarted(name, _pop_text(rest, "toolCallId"), _pop_text(rest, "toolArguments"))
    elif state == "result":
        name, call_id = _pop_text(rest, "toolName"), _pop_text(rest, "toolCallId")
        yield ToolFinished(name, call_id, _pop_text(rest, "result") or None)
    else:
        return
    del rest["state"]


def _read_sources(rest: _Members) -> Iterator[Event]:
    for name in ("source", "sources"):
        found, left = rest.get(name), False
        for each in found if isinstance(found, list) else (found,):
            source = dict(each) if isinstance(each, dict) else {"": each}
            if url := _pop_text(source, "url"):
                yield Source(url, _pop_text(source, "title"), _pop_text(source, "site"))
            left |= any(map(_is_some, source.values()))
        if found and not left:
            del rest[name]


def _read_component(rest: _Members) -> Iterator[Event]:
    """Read a part of the page that shows an image: a draft, the finished one, or why there is none."""
    found = rest.get("data")
    if not isinstance(found, dict):
        return
    data = dict(found)
    status, kind = data.get("status"), data.get("type")
    is_of_image_tool = rest.get("toolName") == "GenerateImage" or rest.get("name") == "generate-image"
    if _has_text(data, "b64Image") and status != "error":
        is_draft = status == "partial" or kind == "image-partial"
        yield _image(ImageDraft if is_draft else GeneratedImage, data, "b64Image", _pop_text(rest, "toolCallId"))
    elif status == "error" and is_of_image_tool:
        yield ImageFailed(_pop_text(data, "error"), _pop_text(data, "message"), _pop_text(rest, "toolCallId"))
    else:
        return
    _drop(data, "status", ("partial", "success", "error"))
    _drop(data, "type", ("image-partial",))
    _drop(rest, "state", ("data",))
    _drop(rest, "toolName", ("GenerateImage",))
    _drop(rest, "name", ("generate-image",))
    if not any(map(_is_some, data.values())):
        del rest["data"]


def _read_draft(rest: _Members) -> Iterator[Event]:
    if _has_text(rest, "result"):
        yield _image(ImageDraft, rest, "result")


def _read_image(rest: _Members) -> Iterator[Event]:
    if _has_text(rest, "result"):
        yield _image(GeneratedImage, rest, "result")


def _read_refusal(rest: _Members) -> Iterator[Event]:
    yield ModelRefusal(_pop_text(rest, "detectedBy"))


_READERS: dict[str | None, _Reader] = {
    None: _read_assistant,
    "assistant": _read_assistant,
    "reasoning": _read_reasoning,
    "tool-invocation": _read_tool,
    "source": _read_sources,
    "ui-component": _read_component,
    "partial-image": _read_draft,
    "generated-image": _read_image,
    "refusal": _read_refusal,
}


# What they share


def _part(part: Any) -> tuple[Event | None, bool]:
    """Return the event of one part of a reply, and whether it holds all of the part."""
    if not (isinstance(part, dict) and _has_text(part, "type")):
        return None, not _is_some(part)
    if part["type"] == "generated-image" and _has_text(part, "result"):
        rest = {name: value for name, value in part.items() if name != "type"}
        return _image(GeneratedImage, rest, "result"), not any(map(_is_some, rest.values()))
    said = _as_json(part)
    return (None, False) if said is None else (PartReceived(said), True)


def _image(
    kind: type[ImageDraft | GeneratedImage], members: _Members, name: str, call_id: str = ""
) -> ImageDraft | GeneratedImage:
    """Return an image, and take the members that it holds out of the payload."""
    text = _pop_text(members, name)
    return kind(text, _pop_text(members, "format"), _pop_size(members, "width"), _pop_size(members, "height"), call_id)


def _has_text(members: _Members, name: str) -> bool:
    text = members.get(name)
    return isinstance(text, str) and text != "" and (text.isascii() or encodable(text))


def _pop_text(members: _Members, name: str) -> str:
    """Return a member that is a text, and take it out of the payload. Any other stays."""
    return str(members.pop(name)) if _has_text(members, name) else ""


def _pop_size(members: _Members, name: str) -> int | None:
    size = members.get(name)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _LARGE:
        return None
    del members[name]
    return size


def _drop(members: _Members, name: str, known: tuple[str, ...]) -> None:
    """Take a member out of a payload if its event says as much."""
    if members.get(name) in known:
        del members[name]


def _as_json(value: Any) -> str | None:
    """Return a parsed value as JSON text; None if it is nested too deeply, or a number is out of range."""
    from json import dumps  # which most conversations never need

    try:
        text = dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text if encodable(text) else dumps(value, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None


def _is_some(value: Any) -> bool:
    """Return whether a value carries something."""
    return value is not None and value not in ("", [], {})
