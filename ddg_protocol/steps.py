"""The steps of a turn: its requests, in order, and the header fields that they share (PROTOCOL.md section 2)."""

from __future__ import annotations

from ._state import KeyEnum
from .headers import Headers
from .profile import ServiceProfile


class Step(KeyEnum):
    """The steps of a turn, in order; the values name the requests in messages."""

    FRONT_END = "front-end page"
    LANDING = "landing page"
    STATUS = "status"
    CHAT = "chat"


def identity_headers(profile: ServiceProfile) -> Headers:
    """Return the header fields of every request."""
    fields = (("user-agent", profile.identity.user_agent), ("accept-language", profile.identity.accept_language))
    return tuple((name, value) for name, value in fields if value)


def origin_headers(profile: ServiceProfile) -> Headers:
    """Return the header fields of a request that a page of the service makes."""
    return (("origin", profile.origin), ("referer", profile.origin + "/"))
