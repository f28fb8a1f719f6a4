"""Profiles in transcripts of earlier versions, brought into the form of today."""

from __future__ import annotations

from typing import Any

_IDENTITY = [["user-agent", "{user_agent}"], ["accept-language", "{accept_language}"]]
_ORIGIN = [["origin", "{origin}"], ["referer", "{referer}"]]
_CODING = ["accept-encoding", "{accept_encoding}"]
_AFTER = {
    "page_headers": [_CODING],
    "status_headers": [*_ORIGIN, _CODING],
    "chat_headers": [
        *_ORIGIN,
        ["sec-ch-ua", "{sec_ch_ua}"],
        _CODING,
        ["x-fe-version", "{fe_version or empty}"],
        ["x-vqd-4", "{vqd_4}"],
        ["x-vqd-hash-1", "{answer or empty}"],
    ],
}
"""What sessions wrote after the fields of each list, when lists had only fields of their own."""


def complete(head: dict[str, Any]) -> dict[str, Any]:
    """Return a transcript's first line with a profile whose header lists have all fields.

    Args:
        head: JSON values. What is not of an earlier version stays as it is.
    """
    profile = head.get("profile")
    if not isinstance(profile, dict):
        return head
    lists = {name: _complete(name, profile[name]) for name in _AFTER.keys() & profile.keys()}
    return {**head, "profile": profile | lists}


def _complete(name: str, fields: Any) -> Any:
    is_list = isinstance(fields, list)
    if not is_list or any(isinstance(field, list) and field[:1] == ["user-agent"] for field in fields):
        return fields
    return [*_IDENTITY, *fields, *_AFTER[name]]
