"""The reply: who makes it up (a responder), and how it goes over the wire (PROTOCOL.md section 6)."""

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
        role: who said it. Only these two get as far as a responder.
        content: what was said.
    """

    role: Role
    content: str


class Question(msgspec.Struct, frozen=True):
    """What a responder answers.

    Attributes:
        text: the last user message.
        model: the id of the model that is asked.
        messages: all that was sent, the last user message included.
    """

    text: str
    model: str
    messages: tuple[Message, ...]


Responder = Callable[[Question], str | Iterable[str]]
"""Makes up the reply. A string goes out word by word; of anything else each item is one event, when it comes.

It runs where `Service.handle` and the body's pieces are asked for, so one that takes its time holds up the others.
"""


def default_responder(question: Question) -> str:
    """Say who answers, what was asked of whom, and how long it was.

    Args:
        question: what was asked.

    Returns:
        The reply's text.
    """
    turn = sum(message.role == "user" for message in question.messages)
    words = len(question.text.split())
    shown = question.text if len(question.text) <= 500 else question.text[:499] + "…"
    return (
        f"This is the emulator of ddg-protocol and no language model: {question.model} was asked, but nobody thought "
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
    """Cut what a responder gave into the pieces that go out. Nothing is lost: joined, they are the answer."""
    if isinstance(answer, str):
        return (match[0] for match in _WORD.finditer(answer))
    return iter(answer)


def event(data: bytes) -> bytes:
    """Frame a payload without line breaks as an event of the stream."""
    return b"data: " + data + b"\n\n"


def text_event(message: str, *, created: int, id: str, model: str) -> bytes:
    """Make the event that carries a piece of the reply, or with an empty one the opening or the stop marker.

    Args:
        message: the text.
        created: seconds since the epoch.
        id: the reply's.
        model: the model's id.

    Returns:
        The event's bytes.
    """
    return event(msgspec.json.encode(_Payload("assistant", message, created, id, "success", model)))


DONE = event(b"[DONE]")
