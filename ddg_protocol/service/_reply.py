"""Replies: the responders that write them, and their form on the wire (PROTOCOL.md section 6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from ..events import (
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
)
from ..parts import File, Image
from ..payload import reply_text

_WORD = re.compile(r"\S+\s*|\s+")


Role = Literal["user", "assistant"]


class Message(msgspec.Struct, frozen=True):
    """One message of the conversation, as the client sent it.

    Attributes:
        role: its author. Only these two roles reach a responder.
        content: its text.
        attachments: its images and files.
    """

    role: Role
    content: str
    attachments: tuple[Image | File, ...] = ()


class Question(msgspec.Struct, frozen=True):
    """A question for a responder.

    Attributes:
        text: the last user message.
        model: the id of the model asked.
        messages: all messages of the request, including the last.
        attachments: the images and files of the last user message.
    """

    text: str
    model: str
    messages: tuple[Message, ...]
    attachments: tuple[Image | File, ...] = ()


PayloadEvent = (
    ReasoningDelta
    | ReasoningSummary
    | ToolStarted
    | ToolFinished
    | Source
    | ImageDraft
    | GeneratedImage
    | ImageFailed
    | ModelRefusal
    | PartReceived
)
"""An event that a client gets for a payload without text."""

Said = str | PayloadEvent | Mapping[str, Any] | bytes
"""An item of a reply: text; an event for the client; a payload as a JSON object, or as bytes without line breaks.

The service writes an event as the payload that is on record for it (PROTOCOL.md section 6).
"""

Responder = Callable[[Question], str | Iterable[Said]]
"""Returns the reply. A string is sent word by word; each item of another iterable is sent as one event, when it comes.

It runs within `Service.handle` and the iteration over the body's pieces, so a slow one holds up other requests.
"""


def default_responder(question: Question) -> str:
    """Return a reply that names the emulator, the model, the turn and the question.

    Args:
        question: what was asked.

    Returns:
        The reply's text.
    """
    turn = sum(message.role == "user" for message in question.messages)
    words, length = len(question.text.split()), len(question.text)
    shown = question.text if len(question.text) <= 500 else question.text[:499] + "…"
    return (
        f"This is the emulator of ddg-protocol, not a language model: {question.model} was asked, but nobody thought "
        f"about it. Turn {turn} of this conversation came with {words} {'word' if words == 1 else 'words'} "
        f"({length} {'character' if length == 1 else 'characters'}): {shown}"
    )


class _Payload(msgspec.Struct):
    role: str
    message: str
    created: int
    id: str
    action: str
    model: str


def pieces_of(answer: str | Iterable[Said]) -> Iterator[Said]:
    """Split a responder's reply into the pieces to send. Its texts, joined, are the reply."""
    if isinstance(answer, str):
        return (match[0] for match in _WORD.finditer(answer))
    return iter(answer)


def payload_of(said: PayloadEvent | Mapping[str, Any] | bytes) -> tuple[bytes, str]:
    """Return the payload of an item that isn't text, and the text of the reply in it, which is empty for most."""
    if isinstance(said, bytes):
        return said, ""
    payload = dict(said) if isinstance(said, Mapping) else _written(said)
    return msgspec.json.encode(payload), reply_text(payload)[1]


def _written(event: PayloadEvent) -> dict[str, Any]:
    """Return the payload for an event, in the form that is on record."""
    match event:
        case ReasoningDelta(text):
            members: dict[str, Any] = {"role": "reasoning", "state": "text-delta", "text": text}
        case ReasoningSummary(text):
            members = {"role": "reasoning", "summaryText": [text]}
        case ToolStarted(name, call_id, arguments):
            members = {"role": "tool-invocation", "state": "call", "toolCallId": call_id, "toolName": name}
            members["toolArguments"] = arguments
        case ToolFinished(name, call_id, result):
            members = {"role": "tool-invocation", "state": "result", "toolCallId": call_id, "toolName": name}
            members["result"] = result
        case Source():
            members = {"role": "source", "source": _filled(msgspec.structs.asdict(event))}
        case ModelRefusal(detected_by):
            members = {"role": "refusal", "detectedBy": detected_by}
        case PartReceived(json):
            members = {"parts": [msgspec.Raw(json.encode())]}
        case ImageFailed(error, text, call_id):
            data: dict[str, Any] = {"status": "error", "error": error, "message": text}
            members = {"role": "ui-component", "toolName": "GenerateImage", "toolCallId": call_id}
            members["data"] = _filled(data)
        case image:
            data = {"status": "success" if isinstance(image, GeneratedImage) else "partial", "b64Image": image.base64}
            data |= {"format": image.format, "width": image.width, "height": image.height}
            members = {"role": "ui-component", "toolName": "GenerateImage", "toolCallId": image.call_id}
            members["data"] = _filled(data)
    return {"action": "success", **_filled(members)}


def _filled(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "")}


def event(data: bytes) -> bytes:
    """Frame a payload without line breaks as an event of the stream."""
    return b"data: " + data + b"\n\n"


def text_event(message: str, *, created: int, id: str, model: str) -> bytes:
    """Return the event of a piece of the reply; an empty piece is the opening or the stop marker.

    Args:
        message: the text.
        created: seconds since the epoch.
        id: the reply's id.
        model: the model's id.

    Returns:
        The event's bytes.
    """
    return event(msgspec.json.encode(_Payload("assistant", message, created, id, "success", model)))


DONE = event(b"[DONE]")
