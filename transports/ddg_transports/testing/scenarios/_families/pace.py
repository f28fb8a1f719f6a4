"""What the service asks of a client's pace, and what becomes of retries."""

from __future__ import annotations

from ddg_protocol.service import Fault
from ddg_protocol.service.faults import Cut, Drip, Header, Refuse

from .._judging import at_most, keeps_the_interval, waits
from .._values import Scenario, Turn
from ._streams import on_chat

_EITHER = (Turn(owed="either"),)
_NOT_KEPT = Header("connection", "close")  # so that no request waits for a connection that is still busy
_NOTHING = (Turn(reply="", owed="failure"),)

SCENARIOS = (
    Scenario(
        "interval",
        "Nothing goes wrong, but each response takes 0.2 s.",
        "The client sends one request at a time, and begins them 1.5 s apart.",
        7,
        faults=tuple(Fault(each, [_NOT_KEPT, Drip(0.2, of="wire")]) for each in ("front_end", "landing", "status")),
        checks=(keeps_the_interval,),
    ),
    Scenario(
        "retry-after",
        "The first question is refused with 429 and `Retry-After: 2`, the next one is answered.",
        "The client comes back after two seconds or later, and prints the reply; or it says so.",
        7,
        _EITHER,
        on_chat(Refuse(429, "ERR_RATE_LIMIT", retry_after=2), times=1),
        checks=(waits(2.0), at_most(2, tolerable=4)),
    ),
    Scenario(
        "retry-after-of-the-status",
        "The first status request is refused with 429 and `Retry-After: 2`, the next one is answered.",
        "The client comes back after two seconds or later, and prints the reply; or it says so.",
        7,
        _EITHER,
        (Fault("status", [Refuse(429, "ERR_RATE_LIMIT", retry_after=2)], times=1),),
        checks=(waits(2.0),),
    ),
    Scenario(
        "retry-after-an-hour",
        "The question is refused with 429 and `Retry-After: 3600`.",
        "The client says so, and sends nothing more: nobody waits for an hour.",
        7,
        _NOTHING,
        on_chat(Refuse(429, "ERR_RATE_LIMIT", retry_after=3600)),
        checks=(waits(3600.0),),
    ),
    Scenario(
        "retry-after-a-date",
        "The question is refused with 429 and `Retry-After` as a date that is years away.",
        "The client reads the date, says so, and sends nothing more.",
        7,
        _NOTHING,
        on_chat(Refuse(429, "ERR_RATE_LIMIT", retry_after="Thu, 01 Jan 2099 00:00:00 GMT")),
        checks=(waits(3600.0),),
    ),
    Scenario(
        "no-doubled-question",
        "The first question is taken, and the connection closed before the reply; the next one would be answered.",
        "The client says so: asking again would ask twice.",
        7,
        _NOTHING,
        on_chat(Cut(0, of="wire"), times=1),
        checks=(at_most(1),),
    ),
    Scenario(
        "limit-of-a-conversation-of-two",
        "The first question is refused with 429 and `Retry-After: 3600`, and a second one follows.",
        "The client says so for both, and doesn't send the second: the limit holds for all its questions.",
        7,
        (
            Turn("Why is the sky blue?", reply="", owed="failure"),
            Turn("And at dusk?", reply="", owed="failure"),
        ),
        on_chat(Refuse(429, "ERR_RATE_LIMIT", retry_after=3600)),
        checks=(waits(3600.0),),
    ),
)
