"""A service, or someone in its place, that means harm."""

from __future__ import annotations

from ddg_protocol.service import Fault
from ddg_protocol.service.faults import Body, Coding, Cut, Drip, Endless, Header, Insert, Refuse

from .._judging import at_most, leaves_early, never_sends
from .._values import Scenario, Turn
from ._streams import on_chat, piece, replied, stream

MIB = 1024 * 1024
_BOUND = 64 * MIB
"""No scenario sends more than that, so that a client without bounds doesn't take all the memory there is."""
_SLOWLY = Drip(0.01)  # so that there is still something to come when a client hangs up
_LONG = "x" * MIB
_NOTHING = (Turn(reply="", owed="failure"),)
_OWES = "The client hangs up long before, and says so."
_MARKUP = "<p onclick='alert(1)'>&lt;</p><script>alert(2)</script>"
_INJECTED = 'window.__DDG_BE_VERSION__="a\r\nx-injected: 1";window.__DDG_FE_CHAT_HASH__="b";'

SCENARIOS = (
    Scenario(
        "endless-line",
        "The reply is one line of 64 MiB.",
        _OWES,
        8,
        _NOTHING,
        on_chat(Body("data: "), Endless(_LONG), Cut(_BOUND), _SLOWLY),
        checks=(leaves_early("chat", "64 MiB"),),
    ),
    Scenario(
        "endless-reply",
        "The reply has 64 MiB of pieces that mean nothing, and no end.",
        _OWES,
        8,
        _NOTHING,
        on_chat(Body(""), Endless(f": {'x' * 1000}\n" * 1000), Cut(_BOUND), _SLOWLY),
        checks=(leaves_early("chat", "64 MiB"),),
    ),
    Scenario(
        "bomb",
        "The reply is compressed, and unpacks to 64 MiB without an event.",
        "The client hangs up, or says that it can't read the reply.",
        8,
        _NOTHING,
        on_chat(Body(""), Endless(_LONG), Cut(_BOUND, "end"), Coding("gzip"), _SLOWLY),
    ),
    Scenario(
        "endless-page",
        "The front-end page has 64 MiB.",
        "The client goes on without it, or says so, before it has all of it.",
        8,
        (Turn(owed="either"),),
        (Fault("front_end", [Body(""), Endless(_LONG), Cut(_BOUND), _SLOWLY]),),
        checks=(leaves_early("front_end", "64 MiB"),),
    ),
    Scenario(
        "endless-refusal",
        "The question is refused with 400, and the body has 64 MiB.",
        "The client says so, without reading all of it.",
        8,
        _NOTHING,
        on_chat(Refuse(400, "ERR_BAD_REQUEST"), Endless(_LONG), Cut(_BOUND), _SLOWLY),
        checks=(leaves_early("chat", "64 MiB"),),
    ),
    Scenario(
        "huge-head",
        "The head of the reply has a field of 1 MiB.",
        "The client says so, or reads on if it can; it doesn't end without a word.",
        8,
        (Turn(owed="either"),),
        on_chat(Header("x-padding", _LONG)),
    ),
    Scenario(
        "header-injected-by-a-page",
        "The version in the front-end page has a line break in it, and a header field behind that.",
        "The client sends no such field: it leaves the version out, or says so.",
        3,
        (Turn(owed="either"),),
        (Fault("front_end", [Body(f"<html><script>{_INJECTED}</script></html>")]),),
        checks=(never_sends("x-injected", "1"),),
    ),
    Scenario(
        "token-with-odd-bytes",
        "The token has a space and bytes in it that aren't ASCII.",
        "The client doesn't send it back: it says so, or asks for another one.",
        8,
        _NOTHING,
        (Fault("status", [Header("x-vqd-4", "4-1 \udcff\udcfe")]),),
        checks=(never_sends("x-vqd-4", "\xff"), at_most(4, "status", tolerable=6)),
    ),
    Scenario(
        "cookie-for-another-host",
        "The landing page sets a cookie for another host, and one for a whole top-level domain.",
        "The client doesn't keep them: it sends neither back.",
        3,
        faults=(
            Fault("landing", [Header("set-cookie", "stranger=1; Domain=example.org; Path=/")]),
            Fault("status", [Header("set-cookie", "stranger=2; Domain=org; Path=/")]),
        ),
        checks=(never_sends("cookie", "stranger="),),
    ),
    Scenario(
        "not-HTTP",
        "The response to the question isn't HTTP.",
        "The client says so.",
        8,
        _NOTHING,
        on_chat(Insert("garbage\r\n\r\n", of="wire")),
        checks=(at_most(1, tolerable=4),),
    ),
    Scenario(
        "markup",
        "The reply holds HTML, with a script in it.",
        "The client prints it as it is: it is text.",
        6,
        (Turn(pieces=(_MARKUP,)),),
        replied(stream(piece(_MARKUP))),
    ),
)
