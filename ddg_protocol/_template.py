"""Header lists and bodies with placeholders: texts such as ``{user_agent}``, whose values the session computes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .headers import Headers

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
IN_EACH = frozenset({"user_agent", "accept_language", "sec_ch_ua", "accept_encoding", "origin", "referer", "cookie"})
"""What the header list of each request may name, in addition to the profile's ids."""
IN_CHAT = IN_EACH | {"fe_version", "vqd_4", "answer", "solver"}
"""The same for the chat request."""
IN_BODY = frozenset({"model", "messages", "effort", "uses_tools", "tool_choice", "solver", "null"})
"""The same for the body of the chat request."""

_MISSING = object()


def is_whole(headers: Headers) -> bool:
    """Return whether a header list is complete and in order, because it places the ``user-agent``."""
    return any(name == "user-agent" for name, _ in headers)


def fill_headers(headers: Headers, values: Mapping[str, str], more: Headers = ()) -> Headers:
    """Return a whole header list with values in place of its placeholders.

    Args:
        headers: the list.
        values: by the names of the placeholders. A field whose placeholder has no value, or an empty one, is left out.
        more: fields that take the place of those with ``{solver}``; the others follow at the end.

    Returns:
        The fields, in order.
    """
    given, filled = dict(more), []
    for name, value in headers:
        if found := PLACEHOLDER.fullmatch(value):
            value = given.pop(name, "") if found[1] == "solver" else values.get(found[1], "")
            if not value:
                continue
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
        case str() if found := PLACEHOLDER.fullmatch(value):
            return values.get(found[1], _MISSING)
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
            found = PLACEHOLDER.fullmatch(value)
            return {found[1]} if found else set()
        case dict():
            return set().union(*map(placeholders_of, value.values()))
        case list() | tuple():
            return set().union(*map(placeholders_of, value))
    return set()
