"""What comes before the question: the front-end version, the cookies, the tokens, and redirects on the way."""

from __future__ import annotations

from ddg_protocol.service import Fault
from ddg_protocol.service.faults import Body, Coding, Cut, Header, Redirect, Refuse, Split

from .._judging import at_most
from .._values import STRANGER, Scenario, Turn
from ._streams import on_chat

_NOTHING = (Turn(reply="", owed="failure"),)
_GOES_ON = "The client goes on without it, and prints the reply."

SCENARIOS = (
    Scenario(
        "no-version",
        "The front-end page has no version in it.",
        "The client sends the version empty, and prints the reply.",
        3,
        faults=(Fault("front_end", [Body("<html></html>")]),),
        if_failed="it needs the version, and says so",
    ),
    Scenario(
        "front-end-page-down",
        "The front-end page is 503.",
        _GOES_ON,
        3,
        faults=(Fault("front_end", [Refuse(503), Body("<html>down</html>")]),),
        if_failed="it needs the front-end page, and says so",
    ),
    Scenario(
        "front-end-page-silent",
        "The front-end page stops in the middle, and the connection stays open.",
        "The client gives the page up after a while; it goes on without it, or says so.",
        7,
        (Turn(owed="either"),),
        (Fault("front_end", [Cut(1000, "hang")]),),
    ),
    Scenario(
        "landing-page-down",
        "The page that is visited for its cookies is 500.",
        _GOES_ON,
        3,
        faults=(Fault("landing", [Refuse(500)]),),
        if_failed="it needs the landing page, and says so",
    ),
    Scenario(
        "no-token",
        "The response to the status request has no `x-vqd-4`.",
        "The client says so, and sends no question.",
        3,
        _NOTHING,
        (Fault("status", [Header("x-vqd-4")]),),
        checks=(at_most(4, "status", tolerable=6), at_most(0, tolerable=1)),
    ),
    Scenario(
        "unknown-token",
        "The first token that is handed out is one that the service doesn't know.",
        "The client says so, or asks once more with a fresh one and prints the reply.",
        7,
        (Turn(owed="either"),),
        (Fault("status", [Header("x-vqd-4", "4-1")], times=1),),
        checks=(at_most(2, tolerable=4),),
    ),
    Scenario(
        "status-cut",
        "The connection is closed in place of a response to the first status request.",
        "The client says so, or tries again and prints the reply.",
        7,
        (Turn(owed="either"),),
        (Fault("status", [Cut(0, of="wire")], times=1),),
    ),
    Scenario(
        "good-redirect",
        "The status request is redirected twice, to the same host.",
        "The client follows, and prints the reply.",
        3,
        faults=(Fault("status", [Redirect()], times=2),),
        if_failed="it doesn't follow redirects, and says so",
    ),
    Scenario(
        "question-redirected",
        "The question is redirected once with 307, to the same host.",
        "The client sends it again, with its body, and prints the reply.",
        3,
        faults=on_chat(Redirect(), times=1),
        if_failed="it doesn't follow a redirect of the question, and says so",
    ),
    Scenario(
        "redirect-loop",
        "The status request is redirected to itself, without end.",
        "The client gives up after ten, and says so.",
        3,
        _NOTHING,
        (Fault("status", [Redirect()]),),
        checks=(at_most(11, "status", tolerable=150),),
    ),
    Scenario(
        "redirect-to-a-stranger",
        "The status request is redirected to another host.",
        "The client doesn't follow, and says so: tokens and cookies belong to one service.",
        3,
        _NOTHING,
        (Fault("status", [Redirect(f"{STRANGER}/duckchat/v1/status")]),),
    ),
    Scenario(
        "question-to-a-stranger",
        "The question is redirected with 307 to another host.",
        "The client doesn't follow: the question, the token and the cookies would go along.",
        3,
        _NOTHING,
        on_chat(Redirect(f"{STRANGER}/duckchat/v1/chat")),
        checks=(at_most(1),),
    ),
    Scenario(
        "question-made-a-get",
        "The question is redirected with 303, which drops its body.",
        "The client says so.",
        3,
        _NOTHING,
        on_chat(Redirect(status=303)),
        checks=(at_most(2, tolerable=150),),
    ),
    Scenario(
        "gzip",
        "The pages and the status are compressed with gzip, and cut into small pieces.",
        "A client that accepts gzip decompresses them, and prints the reply.",
        4,
        faults=tuple(Fault(each, [Coding("gzip"), Split((500,))]) for each in ("front_end", "landing", "status")),
        if_failed="it can't read a compressed page, and says so",
    ),
    Scenario(
        "compressed-reply",
        "The reply is compressed with gzip, asked for or not, and cut into pieces of ten bytes.",
        "The client decompresses it, or says that it can't.",
        4,
        faults=on_chat(Coding("gzip"), Split((10,))),
        if_failed="it can't read a compressed reply, and says so",
    ),
)
