"""The ways in which a conversation can go, and what a client owes in each.

A scenario says what the service does; a client is run in it; what was seen of the client is judged. ``ddg-chat check``
does that to any program. In a test, `play` does it to a client of the same process::

    @pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
    def test_my_client(scenario):
        verdict = scenario.judge(play(scenario, my_client))
        assert verdict.kind == "right", str(verdict)

where ``my_client(url, questions, say)`` asks the questions, calls ``say`` with the text of the replies, and raises an
exception if one of them isn't whole. `Stage` serves a scenario to a client that is run in another way.
"""

from __future__ import annotations

from ._families import FAMILIES, SCENARIOS
from ._stage import PATIENCE, Client, Stage, play
from ._values import (
    STRANGER,
    Check,
    Kind,
    Mistake,
    Observation,
    Owed,
    Request,
    Scenario,
    Turn,
    Verdict,
)

__all__ = [
    "FAMILIES",
    "PATIENCE",
    "SCENARIOS",
    "STRANGER",
    "Check",
    "Client",
    "Kind",
    "Mistake",
    "Observation",
    "Owed",
    "Request",
    "Scenario",
    "Stage",
    "Turn",
    "Verdict",
    "play",
]
