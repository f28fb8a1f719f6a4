"""Header lists and bodies with placeholders: texts such as ``{user_agent}``, whose values the session computes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from .headers import Headers

OR_EMPTY = " or empty"
"""What follows the name in the placeholder of a header field that is sent even where it has no value."""
IN_EACH = frozenset({"user_agent", "accept_language", "sec_ch_ua", "accept_encoding", "origin", "referer", "cookie"})
"""What the header list of each request may name, in addition to the profile's ids."""
IN_CHAT = IN_EACH | {"fe_version", "vqd_4", "answer", "solver"}
"""The same for the chat request."""
IN_BODY = frozenset({"model", "messages", "effort", "uses_tools", "tool_choice", "solver", "null"})
"""The same for the body of the chat request."""

_MISSING = object()


def is_name(text: str) -> bool:
    """Return whether a text can be a placeholder's name: lower-case letters, digits and _, a letter first."""
    # Not by a pattern: compiling one costs as much as importing this module.
    return text.isidentifier() and text.isascii() and text.islower() and text[0] != "_"


def name_in(value: str) -> str:
    """Return the name in a placeholder; empty if the value is none, but a text of its own."""
    name = value[1:-1] if value[:1] == "{" and value[-1:] == "}" else ""
    return name if is_name(name) else ""


def name_in_field(value: str) -> str:
    """Return the name in the placeholder of a header field, which may say `OR_EMPTY`; empty if the value is none."""
    return name_in(value.replace(OR_EMPTY + "}", "}"))


def fill_headers(headers: Headers, values: Mapping[str, str], more: Headers = ()) -> Headers:
    """Return a header list with values in place of its placeholders.

    Args:
        headers: the list.
        values: by the names of the placeholders. A field without a value is left out, unless it says `OR_EMPTY`.
        more: fields that take the place of those with ``{solver}``; the others follow at the end.

    Returns:
        The fields, in order.
    """
    given, filled = dict(more), []
    for name, value in headers:
        if placed := name_in_field(value):
            found = given.pop(name, "") if placed == "solver" else values.get(placed, "")
            if not found and OR_EMPTY not in value:
                continue
            value = found
        filled.append((name, value))
    return (*filled, *given.items())


def fill_body(body: Mapping[str, Any], values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with values in place of its placeholders, at any depth.

    Args:
        body: JSON values.
        values: by the names of the placeholders. A member whose placeholder has no value is left out, and so is an
            object that has no other members.
        more: members that are added, or replace those of the same name.

    Returns:
        The body's members, in order.
    """
    filled = {name: more[name] if name in more else _filled(value, values) for name, value in body.items()}
    return {name: value for name, value in filled.items() if value is not _MISSING} | dict(more)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    match value:
        case str() if name := name_in(value):
            return values.get(name, _MISSING)
        case dict() if value:
            members = {name: _filled(member, values) for name, member in value.items()}
            kept = {name: member for name, member in members.items() if member is not _MISSING}
            return kept or _MISSING
        case list() | tuple():
            elements = (_filled(element, values) for element in value)
            return [element for element in elements if element is not _MISSING]
    return value


def placeholders_of(value: Any) -> set[str]:
    """Return the names of the placeholders in a JSON value."""
    match value:
        case str():
            return {name_in(value)} - {""}
        case dict():
            return set().union(*map(placeholders_of, value.values()))
        case list() | tuple():
            return set().union(*map(placeholders_of, value))
    return set()


def check_json(what: str, members: Mapping[str, Any]) -> None:
    """Check that members are those of a JSON object. A tuple may stand for a list.

    Args:
        what: what they are, for the message.
        members: the members.

    Raises:
        ValueError: one is not; msgspec would write some of them as something else.
    """
    try:
        if not _is_json(dict(members)):
            raise TypeError("JSON has None, bools, finite numbers, texts, lists, and dicts with texts for names")
        msgspec.json.encode(members)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{what} can't be written as JSON in UTF-8: {error}") from None


def _is_json(value: object) -> bool:
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return math.isfinite(value)
        case list() | tuple():
            return all(map(_is_json, value))
        case dict():
            return all(isinstance(name, str) and _is_json(member) for name, member in value.items())
    return False


def read_members(what: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """Check members that a caller adds to a body, and return a copy, which the caller can't change any more.

    Args:
        what: what they are, for the message.
        members: the members.

    Raises:
        ValueError: a name is no text, or one that the session has; or a value is not one of JSON.
    """
    if not all(isinstance(name, str) for name in members) or {"model", "messages"} & members.keys():
        raise ValueError(f"{what} must have texts for names, and not model or messages, which the session adds")
    check_json(what, members)
    copy: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(members))
    return copy
