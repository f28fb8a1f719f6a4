"""The chat request: its headers, its body, and the one user message that a turn adds (PROTOCOL.md sections 2 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ._template import fill_body
from .conversation import Message
from .errors import LocalProtocolError
from .headers import Headers
from .profile import ServiceProfile
from .steps import NOTHING, cookie_header, identity_headers, origin_headers, whole_headers
from .text import encodable, printable

_FIRST = {"model": "{model}", "messages": "{messages}"}

__all__ = ["format_prompt", "last_user_message"]


def chat_headers(
    profile: ServiceProfile,
    fe_version: str,
    vqd: str,
    answer: str,
    values: Mapping[str, str] = NOTHING,
    more: Headers = (),
) -> Headers:
    """Return the header fields of the chat request (PROTOCOL.md section 2).

    Args:
        profile: the facts about the service.
        fe_version: the front-end version; empty if it is not known.
        vqd: the token; empty in a revision without.
        answer: the answer to the newest challenge; empty if there is none.
        values: the cookies and the ids, by the names of the placeholders.
        more: the fields that the answer brings.

    Returns:
        The fields. Unless the profile's list is whole, they accept no coding but ``identity``: each event must come
        through at once.
    """
    computed = {"accept_encoding": "identity", "fe_version": fe_version, "vqd_4": vqd, "answer": answer, **values}
    brands = profile.identity.sec_ch_ua
    return whole_headers(profile, profile.chat_headers, computed, more) or (
        *identity_headers(profile),
        *profile.chat_headers,
        *origin_headers(profile),
        *((("sec-ch-ua", brands),) if brands else ()),
        ("accept-encoding", "identity"),
        ("x-fe-version", fe_version),
        *((("x-vqd-4", vqd),) if profile.vqd_4 else ()),
        ("x-vqd-hash-1", answer),
        *more,
        *cookie_header(values),
    )


def chat_body(
    profile: ServiceProfile,
    model: str,
    messages: Sequence[Message],
    *,
    effort: str | None = None,
    tools: Sequence[str] = (),
    ids: Mapping[str, str] = NOTHING,
    more: Mapping[str, Any] = NOTHING,
) -> bytes:
    """Return the chat request's body.

    Args:
        profile: has further members of the body.
        model: the id of the model.
        messages: the history and the new message.
        effort: how hard the model reasons; None means its own default.
        tools: the tools that the turn asks for.
        ids: the ids, by the names of the placeholders.
        more: the members that a solver's answer brings.

    Returns:
        JSON, in UTF-8.
    """
    body = {name: value for name, value in _FIRST.items() if name not in profile.extra_body} | profile.extra_body
    values: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "effort": effort or _default_effort(profile, model),
        "uses_tools": bool(tools),
        "null": None,
        **ids,
    }
    tool_choice = {name: True for name in tools if name not in profile.tool_choice}
    tool_choice |= {name: name in tools or value for name, value in profile.tool_choice.items()}
    if tool_choice:
        values["tool_choice"] = tool_choice
    return msgspec.json.encode(fill_body(body, values, more))


def _default_effort(profile: ServiceProfile, id: str) -> str:
    return next((model.default_effort for model in profile.models if model.id == id), "none")


def format_prompt(messages: Sequence[Message | Mapping[str, Any]]) -> str:
    """Build the first turn's prompt: one message as it is, several as a line ``Role: content`` each.

    Args:
        messages: with ``role`` and ``content``; a content is text or a list of parts
            ``{"type": "text", "text": ...}``.

    Returns:
        The content of the one user message that is sent.

    Raises:
        LocalProtocolError: a message is not of that form; the exception names it and says what was expected.
    """
    return _as_prompt(_read_messages(messages))


def last_user_message(messages: Sequence[Message | Mapping[str, Any]]) -> str:
    """Build a later turn's message: the trailing run of user messages, each stripped, joined by LF, blanks skipped.

    Args:
        messages: as for `format_prompt`.

    Returns:
        The content of the user message that continues the history.

    Raises:
        LocalProtocolError: the messages are not of that form, or the last one is not the user's.
    """
    return _as_last_message(_read_messages(messages))


def _as_prompt(pairs: list[tuple[str, str]]) -> str:
    if len(pairs) == 1:
        return pairs[0][1]
    lines = [f"{role.capitalize()}: {content}" for role, content in pairs if content.strip()]
    return "\n".join(lines) + "\nAssistant:"


def _as_last_message(pairs: list[tuple[str, str]]) -> str:
    if pairs[-1][0] != "user":
        role = printable(pairs[-1][0], 40)
        raise LocalProtocolError(
            f"messages[{len(pairs) - 1}]: a later turn ends in a user message, not one of the role '{role}'"
        )
    run: list[str] = []
    for role, content in reversed(pairs):
        if role != "user":
            break
        if text := content.strip():
            run.append(text)
    return "\n".join(reversed(run))


def read_question(messages: str | Sequence[Message | Mapping[str, Any]], *, first: bool) -> str:
    """Build the content of the one user message that a turn sends.

    Args:
        messages: the question, or messages as for `format_prompt`.
        first: whether it is the first turn of its conversation.

    Returns:
        The content.

    Raises:
        LocalProtocolError: the messages are not of that form, are blank, or can't be encoded as UTF-8.
    """
    if isinstance(messages, str):
        messages = ({"role": "user", "content": messages},)
    pairs = _read_messages(messages)
    content = _as_prompt(pairs) if first else _as_last_message(pairs)
    if not (any(text.strip() for _, text in pairs) if first else content):
        raise LocalProtocolError("the question is empty; nothing was sent")
    if not encodable(content):
        raise LocalProtocolError("the question has half of a surrogate pair in it, which can't be sent as UTF-8")
    return content


def _read_messages(messages: Sequence[Message | Mapping[str, Any]]) -> list[tuple[str, str]]:
    if not isinstance(messages, Iterable):
        raise LocalProtocolError(f"messages must be text or a list of messages, not {type(messages).__name__}")
    pairs = [_read_message(f"messages[{index}]", message) for index, message in enumerate(messages)]
    if not pairs:
        raise LocalProtocolError("messages must hold one message at least")
    return pairs


def _read_message(where: str, message: Message | Mapping[str, Any]) -> tuple[str, str]:
    if isinstance(message, Message):
        return message.role, message.content
    if not isinstance(message, Mapping):
        raise LocalProtocolError(f"{where} must be a mapping with role and content, not {type(message).__name__}")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise LocalProtocolError(f"{where}: role must be text, not {type(role).__name__}")
    if isinstance(content, str):
        return role, content
    if not isinstance(content, list | tuple):
        raise LocalProtocolError(f"{where}: content must be text or a list of text parts, not {type(content).__name__}")
    return role, "".join(_read_part(f"{where}: content[{index}]", part) for index, part in enumerate(content))


def _read_part(where: str, part: Any) -> str:
    text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
    if not isinstance(text, str):
        raise LocalProtocolError(f'{where} must be a text part, {{"type": "text", "text": ...}}')
    return text
