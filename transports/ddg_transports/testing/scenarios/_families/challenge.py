"""The service wants the answer to its challenge."""

from __future__ import annotations

from base64 import b64encode

from ddg_protocol.service import Fault
from ddg_protocol.service.faults import Body, Header, Refuse

from .._judging import at_most, no_guess
from .._values import Scenario, Turn
from ._streams import on_chat, refusal

_NOTHING = (Turn(reply="", owed="failure"),)
_CAN_NOT = "it can't answer the challenge, and says so"
_UNREADABLE = b64encode(b"(async () => { return await navigator.something() })()").decode()

SCENARIOS = (
    Scenario(
        "no-answer-wanted",
        "A challenge comes with every token; no answer is wanted, but a wrong one is refused with 418.",
        "The client sends none or the right one, and prints the reply.",
        5,
    ),
    Scenario(
        "asked",
        "Every question without the answer to its challenge is refused with 418 `ERR_CHALLENGE`.",
        "The client answers, and prints the reply; one that can't answer says so.",
        5,
        challenge=True,
        if_failed=_CAN_NOT,
    ),
    Scenario(
        "asked-in-the-second-turn",
        "The service begins to want answers with the second question.",
        "The client answers, and the conversation goes on.",
        5,
        (Turn(), Turn("And at dusk?", ("Red, ", "mostly."))),
        on_chat(Refuse(418, "ERR_CHALLENGE", tokens=True), first=2, times=1),
        if_failed=_CAN_NOT,
    ),
    Scenario(
        "asked-for-ever",
        "Every question is refused with 418 `ERR_CHALLENGE`, whatever is answered.",
        "The client says so after a try or two.",
        5,
        _NOTHING,
        on_chat(Refuse(418, "ERR_CHALLENGE", tokens=True)),
        checks=(at_most(4, tolerable=6),),
    ),
    Scenario(
        "unreadable",
        "The service wants an answer, and the challenge is a script of another form.",
        "The client says so, and makes no answer up.",
        5,
        _NOTHING,
        (
            Fault("status", [Header("x-vqd-hash-1", _UNREADABLE)]),
            Fault("chat", [Refuse(418, "ERR_CHALLENGE", tokens=True), Header("x-vqd-hash-1", _UNREADABLE)]),
        ),
        checks=(at_most(4, tolerable=6), no_guess),
    ),
    Scenario(
        "for-a-person",
        "The service wants a picture check, which is for a person.",
        "The client says so, and doesn't ask again.",
        7,
        _NOTHING,
        on_chat(Refuse(418, "ERR_CHALLENGE"), Body(refusal(418, "ERR_CHALLENGE", cd={"p": "1-2"}))),
        checks=(at_most(1, tolerable=4),),
    ),
)
