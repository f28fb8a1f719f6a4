"""Several turns: what the client sends of the conversation so far."""

from __future__ import annotations

from ddg_protocol.service.faults import Body, Cut, Refuse

from .._judging import at_most, sends_history
from .._values import Scenario, Turn
from ._streams import CHUNKED, events, on_chat, piece, pieces, stream

_FIRST = Turn("Name a colour.", ("Blue, ", "of course."))
_LAST = Turn("Why that one?", ("It is the colour ", "of the sky."))
_CUT = ("Green is ", "the colour of ", "grass.")
_FIVE = tuple(Turn(f"Question {number}?", (f"Answer {number}, ", "and no more.")) for number in range(1, 6))

SCENARIOS = (
    Scenario(
        "two-turns",
        "A second question follows.",
        "The client sends the first question and its reply along, and a token that wasn't used.",
        6,
        (_FIRST, _LAST),
        checks=(sends_history(_FIRST.text),),
    ),
    Scenario(
        "five-turns",
        "Five questions follow one another.",
        "The client sends all that was said along, each once and in order.",
        6,
        _FIVE,
        checks=(sends_history(*(turn.text for turn in _FIVE[:-1])),),
    ),
    Scenario(
        "after-a-refused-turn",
        "The second question is refused, and a third one follows.",
        "The client leaves the refused question out of what it sends along.",
        6,
        (_FIRST, Turn("Name another.", reply="", owed="failure"), _LAST),
        on_chat(Refuse(400, "ERR_BAD_REQUEST"), first=2, times=1),
        checks=(sends_history(_FIRST.text, None),),
    ),
    Scenario(
        "after-a-cut-turn",
        "The second reply is cut, and a third question follows.",
        "The client leaves the broken turn out of what it sends along: a turn is whole or it never was.",
        6,
        (_FIRST, Turn("Name another.", _CUT, "".join(_CUT[:1]), "failure"), _LAST),
        on_chat(
            Body(stream(*pieces(*_CUT))), CHUNKED, Cut(len(events(*pieces(*_CUT[:1]))) + 40, "close"), first=2, times=1
        ),
        checks=(sends_history(_FIRST.text, None),),
    ),
    Scenario(
        "after-the-limit",
        "The first reply ends with `[DONE][LIMIT_CONVERSATION]`, and a second question follows.",
        "The client says that the conversation is full, and doesn't send the second question.",
        6,
        (_FIRST, Turn("Why that one?", reply="", owed="failure")),
        on_chat(Body(events(*pieces(*_FIRST.pieces[:2]), piece(""), "[DONE][LIMIT_CONVERSATION]")), times=1),
        checks=(at_most(1),),
    ),
)
