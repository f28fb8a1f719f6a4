"""The steps of a turn: its requests, in order, and the header fields that they share (PROTOCOL.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping

from ._state import KeyEnum
from ._template import fill_headers, is_whole
from .headers import Headers
from .profile import ServiceProfile


class Step(KeyEnum):
    """The steps of a turn, in order; the values name the requests in messages. The last is a turn of its own."""

    FRONT_END = "front-end page"
    LANDING = "landing page"
    STATUS = "status"
    CHAT = "chat"
    MODELS = "list of models"


STEPS_TO: dict[Step, tuple[Step, ...]] = {
    Step.CHAT: (Step.FRONT_END, Step.LANDING, Step.STATUS, Step.CHAT),
    Step.MODELS: (Step.MODELS,),
}
"""The steps of a turn, by the last, which is its goal."""


NOTHING: Mapping[str, str] = {}


def whole_headers(
    profile: ServiceProfile, headers: Headers, values: Mapping[str, str], more: Headers = ()
) -> Headers | None:
    """Return the header fields of a request that the profile gives a whole list of; None where it doesn't.

    Args:
        profile: the facts about the service.
        headers: the profile's list.
        values: what only this request has, by the names of the placeholders.
        more: the fields that a solver's answer brings.
    """
    if not is_whole(headers):
        return None
    identity = profile.identity
    same = {
        "user_agent": identity.user_agent,
        "accept_language": identity.accept_language,
        "sec_ch_ua": identity.sec_ch_ua,
        **dict(zip(("origin", "referer"), (value for _, value in origin_headers(profile)), strict=True)),
    }
    filled = fill_headers(headers, same | dict(values), more)
    placed = any(name == "cookie" for name, _ in headers)
    return filled if placed else (*filled, *cookie_header(values))


def cookie_header(values: Mapping[str, str]) -> Headers:
    """Return the ``cookie`` header field; none if there are no cookies."""
    cookie = values.get("cookie")
    return (("cookie", cookie),) if cookie else ()


def identity_headers(profile: ServiceProfile) -> Headers:
    """Return the header fields of every request."""
    fields = (("user-agent", profile.identity.user_agent), ("accept-language", profile.identity.accept_language))
    return tuple((name, value) for name, value in fields if value)


def origin_headers(profile: ServiceProfile) -> Headers:
    """Return the header fields of a request that a page of the service makes."""
    return (("origin", profile.origin), ("referer", profile.origin + "/"))
