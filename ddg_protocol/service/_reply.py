"""Replies: the responders that write them, and their form on the wire (PROTOCOL.md section 6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

_WORD = re.compile(r"\S+\s*|\s+")


Role = Literal["user", "assistant"]


class Message(msgspec.Struct, frozen=True):
    """One message of the conversation, as the client sent it.

    Attributes:
        role: its author. Only these two roles reach a responder.
        content: its text.
    """

    role: Role
    content: str


class Question(msgspec.Struct, frozen=True):
    """A question for a responder.

    Attributes:
        text: the last user message.
        model: the id of the model asked.
        messages: all messages of the request, including the last.
    """

    text: str
    model: str
    messages: tuple[Message, ...]


Responder = Callable[[Question], str | Iterable[str]]
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
    words = len(question.text.split())
    shown = question.text if len(question.text) <= 500 else question.text[:499] + "…"
    return (
        f"This is the emulator of ddg-protocol, not a language model: {question.model} was asked, but nobody thought "
        f"about it. Turn {turn} of this conversation came with {words} {'word' if words == 1 else 'words'} "
        f"({len(question.text)} characters): {shown}"
    )


class _Payload(msgspec.Struct):
    role: str
    message: str
    created: int
    id: str
    action: str
    model: str


def pieces_of(answer: str | Iterable[str]) -> Iterator[str]:
    """Split a responder's reply into the pieces to send. Joined, they are the reply."""
    if isinstance(answer, str):
        return (match[0] for match in _WORD.finditer(answer))
    return iter(answer)


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
