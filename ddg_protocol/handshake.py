"""The handshake: the header fields of its requests, and what is read from its responses (PROTOCOL.md section 3)."""

from __future__ import annotations

import msgspec

from .content import ACCEPTED
from .conversation import MAX_VERSION_CHARS, Tokens
from .errors import HandshakeError
from .events import ServiceNotice
from .grammar import VISIBLE
from .headers import Headers, field
from .profile import ServiceProfile
from .steps import identity_headers, origin_headers
from .text import printable

_MEANINGS = {"1": "the limit for this user is reached", "2": "the service's own limit is reached"}


def page_headers(profile: ServiceProfile) -> Headers:
    """Return the header fields of the requests for the two pages."""
    return (*identity_headers(profile), *profile.page_headers, ("accept-encoding", ACCEPTED))


def status_headers(profile: ServiceProfile) -> Headers:
    """Return the header fields of the status request."""
    return (
        *identity_headers(profile),
        *profile.status_headers,
        *origin_headers(profile),
        ("accept-encoding", ACCEPTED),
    )


def read_version(page: bytes | bytearray, profile: ServiceProfile) -> str:
    """Parse the front-end page for the front-end version.

    Args:
        page: the body, or as much of it as came.
        profile: has the markers.

    Returns:
        ``A-B``, the text after each marker up to the next ``"``; empty where one is missing or can't be sent back.
    """
    halves = []
    for marker in map(str.encode, profile.version_markers):
        found = page.find(marker)
        begin = found + len(marker)
        end = page.find(b'"', begin, begin + MAX_VERSION_CHARS)
        if found < 0 or end <= begin:
            return ""
        halves.append(page[begin:end].decode("latin-1"))
    version = "-".join(halves)
    return version if len(version) <= MAX_VERSION_CHARS and VISIBLE.fullmatch(version) else ""


def read_tokens(headers: Headers) -> Tokens | None:
    """Return the pair of tokens in a response's head.

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
    """Return the pair of tokens in the head of the status response, which must have one.

    Raises:
        HandshakeError: it has none.
        InvalidToken: one of them can't be sent back.
    """
    tokens = read_tokens(headers)
    if tokens is None:
        raise HandshakeError(
            "the response to the status request has no token (x-vqd-4); "
            "the service may have changed its protocol, or refuse this client"
        )
    return tokens


class _Status(msgspec.Struct):
    status: str


def read_notice(body: bytes | bytearray) -> ServiceNotice | None:
    """Parse the body of the status response.

    Args:
        body: JSON such as ``{"status":"0"}``; a body of any other form means nothing.

    Returns:
        The event, or None where the status is "ok".
    """
    try:
        status = msgspec.json.decode(body, type=_Status).status
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if status == "0":
        return None
    shown = printable(status, 40)
    return ServiceNotice(shown, _MEANINGS.get(status, f"the service reports status {shown}"))
