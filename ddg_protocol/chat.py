"""The one user message that a turn adds, made of what the caller passes to `Session.ask` (PROTOCOL.md section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from .conversation import Message, Messages
from .errors import LocalProtocolError
from .parts import File, Image, Part, Text, attachments, text_of
from .text import encodable, printable

__all__ = ["format_prompt", "last_user_message"]


def format_prompt(messages: Sequence[Message | Mapping[str, Any]]) -> str:
    """Build the first turn's prompt: one message as it is, several as a line ``Role: content`` each.

    Args:
        messages: with ``role`` and ``content``; a content is text or a list of parts. A part is a `Text`, an `Image`, a
            `File`, or one of them as a mapping in the service's form, such as ``{"type": "text", "text": ...}``.

    Returns:
        The text of the one user message that is sent.

    Raises:
        LocalProtocolError: a message is not of that form; the exception names it and says what was expected.
    """
    return _as_prompt(read_messages(messages))


def last_user_message(messages: Sequence[Message | Mapping[str, Any]]) -> str:
    """Build a later turn's message: the trailing run of user messages, each stripped, joined by LF, blanks skipped.

    Args:
        messages: as for `format_prompt`.

    Returns:
        The text of the user message that continues the history.

    Raises:
        LocalProtocolError: the messages are not of that form, or the last one is not the user's.
    """
    return _as_last_message(_last_run(read_messages(messages)))


class Said(msgspec.Struct):
    """One message of the caller's.

    Attributes:
        role: who said it, in the caller's word.
        text: its text.
        attached: its images and files.
    """

    role: str
    text: str
    attached: tuple[Image | File, ...] = ()


def _as_prompt(said: list[Said]) -> str:
    if len(said) == 1:
        return said[0].text
    lines = [f"{each.role.capitalize()}: {each.text}" for each in said if each.text.strip()]
    return "\n".join(lines) + "\nAssistant:"


def _last_run(said: list[Said]) -> list[Said]:
    """Return the trailing run of user messages."""
    if said[-1].role != "user":
        role = printable(said[-1].role, 40)
        raise LocalProtocolError(
            f"messages[{len(said) - 1}]: a later turn ends in a user message, not one of the role '{role}'"
        )
    first = next((index for index in range(len(said), 0, -1) if said[index - 1].role != "user"), 0)
    return said[first:]


def _as_last_message(run: list[Said]) -> str:
    return "\n".join(text for each in run if (text := each.text.strip()))


def rereadable(messages: Messages) -> Messages:
    """Return a question that can be read more than once, also if it is an iterator, whatever its type says."""
    return tuple(messages) if not isinstance(messages, str) and isinstance(messages, Iterator) else messages


def read_question(messages: Messages, *, first: bool) -> str | tuple[Part, ...]:
    """Build the content of the one user message that a turn sends.

    Args:
        messages: the question, its parts, or messages as for `format_prompt`.
        first: whether it is the first turn of its conversation.

    Returns:
        The content: text, or parts with the text first if there are images or files.

    Raises:
        LocalProtocolError: the messages are not of that form, are blank, or can't be encoded as UTF-8.
    """
    said = read_messages(messages)
    if not first:
        said = _last_run(said)
    text = _as_prompt(said) if first else _as_last_message(said)
    attached = tuple(part for each in said for part in each.attached)
    if not (attached or any(each.text.strip() for each in said)):
        raise LocalProtocolError("the question is empty; nothing was sent")
    if not encodable(text):
        raise LocalProtocolError("the question has half of a surrogate pair in it, which can't be sent as UTF-8")
    if not attached:
        return text
    return (Text(text), *attached) if any(each.text.strip() for each in said) else attached


def read_messages(messages: Messages) -> list[Said]:
    """Read what the caller asks, one message after the other.

    Args:
        messages: as for `read_question`.

    Returns:
        At least one message.

    Raises:
        LocalProtocolError: they are not of that form.
    """
    if isinstance(messages, str):
        return [Said("user", messages)]
    if not isinstance(messages, Iterable):
        raise LocalProtocolError(f"messages must be text or a list of messages, not {type(messages).__name__}")
    found = list(messages)
    if not found:
        raise LocalProtocolError("messages must have at least one message")
    if isinstance(found[0], Part):
        return [_read_content("messages", "user", found)]
    return [_read_message(f"messages[{index}]", message) for index, message in enumerate(found)]


def _read_message(where: str, message: object) -> Said:
    role: object
    content: object
    if isinstance(message, Message):
        role, content = message.role, message.content
    elif isinstance(message, Mapping):
        role, content = message.get("role"), message.get("content")
    else:
        raise LocalProtocolError(f"{where} must be a mapping with role and content, not {type(message).__name__}")
    if not isinstance(role, str):
        raise LocalProtocolError(f"{where}: role must be text, not {type(role).__name__}")
    if isinstance(content, str):
        return Said(role, content)
    if not isinstance(content, list | tuple):
        raise LocalProtocolError(f"{where}: content must be text or a list of parts, not {type(content).__name__}")
    return _read_content(f"{where}: content", role, content)


def _read_content(where: str, role: str, content: Sequence[object]) -> Said:
    """Read the parts of a message. Its texts are joined."""
    parts = tuple(_read_part(f"{where}[{index}]", part) for index, part in enumerate(content))
    return Said(role, text_of(parts), attachments(parts))


def _read_part(where: str, part: object) -> Part:
    if isinstance(part, Part):
        return part
    if not isinstance(part, Mapping):
        raise LocalProtocolError(
            f'{where} must be a Text, an Image, a File, or {{"type": "text", "text": ...}}, not {type(part).__name__}'
        )
    from ._part_forms import read_part  # which most conversations never need

    text = part.get("text")
    try:
        # A text is read leniently: other members, as other services have them, mean nothing.
        return Text(text) if part.get("type") == "text" and isinstance(text, str) else read_part(part)
    except ValueError as error:
        raise LocalProtocolError(f"{where} is not a part of a question: {error}") from None
