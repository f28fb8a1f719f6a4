"""What the standard of event streams allows, and few services send."""

from __future__ import annotations

from .._values import Scenario, Turn
from ._streams import events, piece, pieces, replied, stream

_TEXTS = ("One, ", "two, ", "three.")
_TURNS = (Turn(pieces=_TEXTS),)
_ONE, _TWO, _THREE = pieces(*_TEXTS)
_END = stream()


def _scenario(name: str, does: str, body: str, owes: str = "The client prints the whole reply.") -> Scenario:
    return Scenario(name, does, owes, 9, _TURNS, replied(body))


SCENARIOS = (
    _scenario("cr-alone", "Lines end with CR alone.", stream(_ONE, _TWO, _THREE, end="\r")),
    _scenario("cr-lf", "Lines end with CR LF.", stream(_ONE, _TWO, _THREE, end="\r\n")),
    _scenario(
        "mixed-line-ends",
        "Some lines end with LF, others with CR or CR LF.",
        f"data: {_ONE}\r\n\ndata: {_TWO}\r\rdata: {_THREE}\n\r\n{_END}",
    ),
    _scenario(
        "comments",
        "There are comments between the events and within one.",
        f": hello\n\ndata: {_ONE}\n\n:\n\n: data: {piece('no')}\ndata: {_TWO}\n: more\n\ndata: {_THREE}\n\n{_END}",
        "The client prints the reply without them.",
    ),
    _scenario(
        "byte-order-mark",
        "The stream begins with a byte order mark.",
        "\ufeff" + stream(_ONE, _TWO, _THREE),
        "The client drops it, and prints the whole reply.",
    ),
    _scenario(
        "no-space",
        "No space follows the colon of a field.",
        f"data:{_ONE}\n\ndata:{_TWO}\n\ndata:{_THREE}\n\ndata:{piece('')}\n\ndata:[DONE]\n\n",
    ),
    _scenario(
        "several-data-lines",
        "The JSON of an event stands on two lines of data.",
        f"data: {_ONE}\n\ndata: {_TWO.replace(',', f',{chr(10)}data: ', 1)}\n\ndata: {_THREE}\n\n{_END}",
        "The client joins the two with a line feed, and prints the whole reply.",
    ),
    _scenario(
        "other-fields",
        "Events have the fields `event`, `id` and `retry`, and one that nobody knows.",
        f"event: message\nid: 1\nretry: 10\ndata: {_ONE}\n\ndata: {_TWO}\nid\nnew: x\n\nid: 3\n"
        + events(_THREE)
        + _END,
    ),
    _scenario(
        "event-without-data",
        "An event has no data, and there are more empty lines than needed.",
        f"\n\nevent: ping\n\ndata: {_ONE}\n\n\n\ndata: {_TWO}\n\nid: 2\n\ndata: {_THREE}\n\n\n{_END}",
    ),
    Scenario(
        "characters-that-end-lines-elsewhere",
        "The text holds U+2028, U+2029 and U+0085, which end lines in some programs.",
        "The client prints them, or a replacement character: in an event stream only CR and LF end a line.",
        9,
        (Turn(pieces=("One\u2028two, ", "three\u2029four, ", "five\u0085six.")),),
        replied(events(*pieces("One\u2028two, ", "three\u2029four, ", "five\u0085six."), piece(""), "[DONE]")),
    ),
)
