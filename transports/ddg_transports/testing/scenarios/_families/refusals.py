"""The service says no: each row of section 7, and refusals of other forms."""

from __future__ import annotations

from ddg_protocol.service import Fault
from ddg_protocol.service.faults import Body, Header, Insert, Refuse

from .._judging import at_most, pauses
from .._values import Scenario, Turn
from ._streams import on_chat, piece, refusal, replied, stream

_NOTHING = (Turn(reply="", owed="failure"),)
_OWES = "The client says so with an exit code that isn't 0."
_SAYS_ONCE = "The client says so, and doesn't ask again: the answer would be the same."
_TEXTS = ("Light is ", "scattered.")


def _refused(name: str, status: int, kind: str, means: str, *, tries: int = 1) -> Scenario:
    return Scenario(
        name,
        f"The question is refused with {status} `{kind}`: {means}.",
        _SAYS_ONCE if tries == 1 else "The client says so; once more with fresh tokens is enough.",
        7,
        _NOTHING,
        on_chat(Refuse(status, kind)),
        checks=(at_most(tries, tolerable=tries + 2),),
    )


def _busy(name: str, status: int, kind: str) -> Scenario:
    return Scenario(
        name,
        f"Two questions are refused with {f'{status} `{kind}`' if kind else status}, the third one is answered.",
        "The client says so, or tries again after a pause and prints the reply.",
        7,
        (Turn(owed="either"),),
        on_chat(Refuse(status, kind), times=2),
        checks=(pauses,),
    )


SCENARIOS = (
    _refused("conversation-limit", 429, "ERR_CONVERSATION_LIMIT", "the conversation is too long"),
    _refused("input-limit", 429, "ERR_INPUT_LIMIT", "the question is too long"),
    _refused("user-limit", 429, "ERR_USER_LIMIT", "the user's allowance is used up"),
    _refused("blocked", 418, "ERR_BN_LIMIT", "the client is blocked"),
    _refused("bad-request", 400, "ERR_BAD_REQUEST", "the request isn't taken"),
    _refused("model-unavailable", 404, "ERR_MODEL_UNAVAILABLE", "there is no such model"),
    _refused("given-up", 410, "ERR_ENDPOINT_DEPRECATED", "the address is given up"),
    _refused("bad-token", 400, "ERR_INVALID_VQD", "the token isn't valid, nor is the next one", tries=2),
    _busy("rate-limit", 429, "ERR_RATE_LIMIT"),
    _busy("maker-down", 502, "ERR_UPSTREAM"),
    Scenario(
        "access-denied",
        "The question is refused with 403 and a page in HTML, as a CDN does.",
        _SAYS_ONCE,
        7,
        _NOTHING,
        on_chat(Refuse(403), Header("content-type", "text/html"), Body("<title>Just a moment...</title>")),
        checks=(at_most(1, tolerable=3),),
    ),
    _busy("down", 503, ""),
    Scenario(
        "token-expired-once",
        "The first question is refused with 400 `ERR_EXPIRED_VQD`, the next one is answered.",
        "The client says so, or tries again with fresh tokens and prints the reply.",
        7,
        (Turn(owed="either"),),
        on_chat(Refuse(400, "ERR_EXPIRED_VQD"), times=1),
        checks=(at_most(2, tolerable=4),),
    ),
    Scenario(
        "refused-without-a-body",
        "The question is refused with 451, which nobody expects, and an empty body.",
        _OWES,
        7,
        _NOTHING,
        on_chat(Refuse(451), Body("")),
        checks=(at_most(1, tolerable=4),),
    ),
    Scenario(
        "refused-with-garbage",
        "The question is refused with 404, and the body is JSON behind bytes that aren't text.",
        _OWES,
        7,
        _NOTHING,
        on_chat(Refuse(404, "ERR_MODEL_UNAVAILABLE"), Insert("\0\udcff{[")),
        checks=(at_most(1, tolerable=4),),
    ),
    Scenario(
        "error-in-the-stream",
        "The status is 200, and the first event of the stream is an error.",
        _OWES,
        7,
        _NOTHING,
        replied(stream(refusal(429, "ERR_USER_LIMIT"))),
        checks=(at_most(1, tolerable=4),),
    ),
    Scenario(
        "error-after-some-text",
        "An error follows the first piece of the reply.",
        "The client says that the reply is incomplete; it doesn't begin it again.",
        7,
        (Turn(pieces=_TEXTS, reply=_TEXTS[0], owed="failure"),),
        replied(stream(piece(_TEXTS[0]), refusal(500, ""), piece(_TEXTS[1]))),
        checks=(at_most(1),),
    ),
    Scenario(
        "limit-in-place-of-a-reply",
        "The stream has `[DONE][LIMIT_ENTITY]` and no text: the user's allowance is used up.",
        _OWES,
        6,
        _NOTHING,
        replied(stream().replace("[DONE]", "[DONE][LIMIT_ENTITY]")),
        checks=(at_most(1, tolerable=4),),
    ),
    Scenario(
        "status-refused",
        "The request for the tokens is refused with 429 `ERR_USER_LIMIT`.",
        "The client says so, and sends no question.",
        7,
        _NOTHING,
        (Fault("status", [Refuse(429, "ERR_USER_LIMIT")]),),
        checks=(at_most(1, "status", tolerable=4), at_most(0)),
    ),
)
