"""How a reply ends: well, too early, or not at all."""

from __future__ import annotations

from ddg_protocol.service.faults import Body, Cut, Header

from .._judging import at_most
from .._values import Scenario, Turn
from ._streams import CHUNKED, events, on_chat, piece, pieces, replied, stream

_TEXTS = ("Light is scattered ", "by the air, ", "blue more than red.")
_PARTS = pieces(*_TEXTS)
_BODY = stream(*_PARTS)
_WHOLE = (Turn(pieces=_TEXTS),)
#: The end of the second event, and a place in the word "more" of the third.
_BETWEEN = len(events(*_PARTS[:2]))
_IN_A_WORD = len(_BODY.partition(" than red")[0]) - 2
_CUT = (Turn(pieces=_TEXTS, reply="".join(_TEXTS[:2]), owed="failure"),)
_NOTHING = (Turn(pieces=_TEXTS, reply="", owed="failure"),)
_ONCE = (at_most(1),)
_SAY = "The client says that the reply is incomplete, and doesn't ask again: the service has answered."

SCENARIOS = (
    Scenario(
        "no-done",
        "The body ends well after the stop marker, without `[DONE]`.",
        "The client prints the reply, which is whole.",
        6,
        _WHOLE,
        replied(events(*_PARTS, piece("")), CHUNKED),
        if_failed="it insists on `[DONE]`",
    ),
    Scenario(
        "neither-done-nor-stop-marker",
        "The body ends well after a piece of text: the model may have been cut short.",
        "The client prints what came; that it says so is fine.",
        6,
        (Turn(pieces=_TEXTS, owed="either"),),
        replied(events(*_PARTS), CHUNKED),
    ),
    Scenario(
        "silence-after-done",
        "After `[DONE]` the connection stays open, and nothing more comes.",
        "The client takes the reply for complete, and ends.",
        6,
        _WHOLE,
        replied(_BODY + "\n", CHUNKED, Cut(len(_BODY), "hang")),
    ),
    Scenario(
        "reset-after-done",
        "After `[DONE]` the connection is closed, without the end of the body.",
        "The client takes the reply for complete: that is what `[DONE]` is for.",
        6,
        _WHOLE,
        replied(_BODY + "\n", CHUNKED, Cut(len(_BODY), "close")),
        if_failed="it says that the reply is cut, though `[DONE]` had come",
    ),
    Scenario(
        "cut-in-a-word",
        "The connection is closed in the middle of an event.",
        _SAY,
        6,
        _CUT,
        replied(_BODY, CHUNKED, Cut(_IN_A_WORD, "close")),
        checks=_ONCE,
    ),
    Scenario(
        "cut-between-two-events",
        "The connection is closed after an event, without the end of the chunked body.",
        _SAY,
        6,
        _CUT,
        replied(_BODY, CHUNKED, Cut(_BETWEEN, "close")),
        checks=_ONCE,
    ),
    Scenario(
        "cut-before-the-announced-length",
        "The connection is closed after an event, before the `content-length` is reached.",
        _SAY,
        6,
        _CUT,
        replied(_BODY, Cut(_BETWEEN, "close")),
        checks=_ONCE,
    ),
    Scenario(
        "reset",
        "The connection is reset in the middle of the reply.",
        _SAY,
        6,
        _CUT,
        replied(_BODY, CHUNKED, Cut(_BETWEEN, "reset")),
        checks=_ONCE,
    ),
    Scenario(
        "end-in-an-event",
        "The body ends well, but in the middle of an event.",
        _SAY,
        6,
        _CUT,
        replied(_BODY, Cut(_IN_A_WORD, "end")),
        checks=_ONCE,
    ),
    Scenario(
        "silence-in-the-reply",
        "Nothing more comes after the second piece, and the connection stays open.",
        "The client gives up after a while, and says so; it doesn't ask again.",
        7,
        _CUT,
        replied(_BODY, CHUNKED, Cut(_BETWEEN, "hang")),
        checks=_ONCE,
    ),
    Scenario(
        "silence-after-the-question",
        "The question gets no response, and the connection stays open.",
        "The client gives up after a while, and says so; it doesn't ask again, since the service may be at work.",
        7,
        _NOTHING,
        on_chat(Cut(0, "hang", of="wire")),
        checks=_ONCE,
    ),
    Scenario(
        "closed-after-the-question",
        "The connection is closed in place of a response to the question.",
        "The client says so; it doesn't ask again, since the service may have taken the question.",
        7,
        _NOTHING,
        on_chat(Cut(0, "close", of="wire")),
        checks=_ONCE,
    ),
    Scenario(
        "empty",
        "The reply is a body without a byte.",
        "The client says that there is no reply.",
        6,
        _NOTHING,
        on_chat(Body("")),
    ),
    Scenario(
        "nothing-but-the-end",
        "The stream has `[DONE]` and no text.",
        "The client says that there is no reply.",
        6,
        _NOTHING,
        replied(stream()),
    ),
    Scenario(
        "not-a-stream",
        "The response is 200, but a page in HTML.",
        "The client says that it is no reply.",
        6,
        _NOTHING,
        on_chat(Header("content-type", "text/html"), Body("<html><title>Just a moment...</title></html>")),
    ),
)
