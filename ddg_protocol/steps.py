"""The steps of a turn: its requests, in order (PROTOCOL.md section 2)."""

from __future__ import annotations

from ._state import KeyEnum


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
