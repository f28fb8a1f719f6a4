"""The steps of a turn: its requests, in order, and the header fields that they share (PROTOCOL.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping

from ._state import KeyEnum
from ._template import fill_headers
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


def write_headers(profile: ServiceProfile, headers: Headers, values: Mapping[str, str], more: Headers = ()) -> Headers:
    """Return the header fields of a request.

    Args:
        profile: the facts about the service.
        headers: the profile's list for such requests.
        values: what only this request has, by the names of the placeholders.
        more: the fields that a solver's answer brings.
    """
    identity = profile.identity
    same = {
        "user_agent": identity.user_agent,
        "accept_language": identity.accept_language,
        "sec_ch_ua": identity.sec_ch_ua,
        "origin": profile.origin,
        "referer": profile.origin + "/",
    }
    filled = fill_headers(headers, same | dict(values), more)
    cookie = values.get("cookie", "")
    placed = not cookie or any(name == "cookie" for name, _ in headers)
    return filled if placed else (*filled, ("cookie", cookie))
