"""What is read from the responses of the handshake: version, tokens, notices (PROTOCOL.md section 3)."""

from __future__ import annotations

import msgspec

from .conversation import Tokens
from .errors import HandshakeError
from .events import ServiceNotice
from .grammar import MAX_VERSION_CHARS, VISIBLE
from .headers import Headers, field
from .profile import ServiceProfile
from .text import printable

_MEANINGS = {"1": "the limit for this user is reached", "2": "the service's own limit is reached"}


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


def are_usable(tokens: Tokens, profile: ServiceProfile) -> bool:
    """Return whether a question can go out with these tokens: whether they hold what the service requires."""
    return bool(tokens.vqd if profile.vqd_4 else tokens.vqd_hash_1)


def read_tokens(headers: Headers, profile: ServiceProfile) -> Tokens | None:
    """Return the tokens in a response's head.

    Args:
        headers: the response's fields.
        profile: says which tokens there are.

    Returns:
        The pair of ``x-vqd-4`` and challenge, or the challenge alone in a revision without ``x-vqd-4``. None where the
        response doesn't have what a question requires.

    Raises:
        InvalidToken: one of them can't be sent back.
    """
    vqd = field(headers, "x-vqd-4") if profile.vqd_4 else ""
    if profile.vqd_4 and not vqd:
        return None
    tokens = Tokens(vqd, field(headers, "x-vqd-hash-1"))
    return tokens if are_usable(tokens, profile) else None


def require_tokens(headers: Headers, profile: ServiceProfile) -> Tokens:
    """Return the tokens in the head of the status response, which must have them.

    Raises:
        HandshakeError: it has none.
        InvalidToken: one of them can't be sent back.
    """
    tokens = read_tokens(headers, profile)
    if tokens is not None:
        return tokens
    if profile.vqd_4:
        raise HandshakeError(
            "the response to the status request has no token (x-vqd-4); "
            "the service may have changed its protocol, or refuse this client"
        )
    raise HandshakeError(
        "the response to the status request has no challenge (x-vqd-hash-1), and is no refusal either; "
        "the service gives none for a while to clients that ask too often, so wait a minute"
    )


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
