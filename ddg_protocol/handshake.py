"""What each request of the handshake asks, and what its response yields (PROTOCOL.md sections 2 and 3)."""

from __future__ import annotations

import re

import msgspec

from .content import ACCEPTED
from .conversation import MAX_VERSION_CHARS, Tokens
from .errors import HandshakeError
from .events import ServiceNotice
from .headers import Headers, field
from .profile import ServiceProfile
from .steps import identity_headers, origin_headers
from .text import printable

_HALF = re.compile(rb"[!-~]+")
_MEANINGS = {"1": "the limit for this user is reached", "2": "the service's own limit is reached"}


def page_headers(profile: ServiceProfile) -> Headers:
    """Give the header fields of the two pages."""
    return (*identity_headers(profile), *profile.page_headers, ("accept-encoding", ACCEPTED))


def status_headers(profile: ServiceProfile) -> Headers:
    """Give the header fields of the status request."""
    return (
        *identity_headers(profile),
        *profile.status_headers,
        *origin_headers(profile),
        ("accept-encoding", ACCEPTED),
    )


def read_version(page: bytes | bytearray, profile: ServiceProfile) -> str:
    """Find the front-end version in its page.

    Args:
        page: the body, or as much of it as came.
        profile: has the markers.

    Returns:
        ``A-B``, the text after each marker up to the next ``"``; empty where one is missing or could not be sent back.
    """
    halves = []
    for marker in map(str.encode, profile.version_markers):
        found = page.find(marker)
        begin = found + len(marker)
        end = page.find(b'"', begin, begin + MAX_VERSION_CHARS)
        half = _HALF.fullmatch(page, begin, end) if found >= 0 and end >= 0 else None
        if half is None:
            return ""
        halves.append(half[0].decode("ascii"))
    version = "-".join(halves)
    return version if len(version) <= MAX_VERSION_CHARS else ""


def read_tokens(headers: Headers) -> Tokens | None:
    """Take the pair of tokens from a response's head.

    Args:
        headers: the response's fields.

    Returns:
        The pair, or None where the response has no ``x-vqd-4``.

    Raises:
        InvalidToken: one of them can't be sent back.
    """
    vqd = field(headers, "x-vqd-4")
    return Tokens(vqd, field(headers, "x-vqd-hash-1")) if vqd else None


def require_tokens(headers: Headers) -> Tokens:
    """Take the pair of tokens from the status response's head.

    Raises:
        HandshakeError: there is none.
        InvalidToken: one of them can't be sent back.
    """
    tokens = read_tokens(headers)
    if tokens is None:
        raise HandshakeError(
            "the service answered the status request without a token (x-vqd-4); "
            "it may have changed its protocol, or refuse this client"
        )
    return tokens


class _Status(msgspec.Struct):
    status: str


def read_notice(body: bytes | bytearray) -> ServiceNotice | None:
    """Read the status body.

    Args:
        body: JSON such as ``{"status":"0"}``; anything else says nothing.

    Returns:
        The event, or None where all is well.
    """
    try:
        status = msgspec.json.decode(body, type=_Status).status
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if status == "0":
        return None
    shown = printable(status, 40)
    return ServiceNotice(shown, _MEANINGS.get(status, f"the service reports status {shown}"))
