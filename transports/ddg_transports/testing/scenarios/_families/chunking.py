"""How the bytes of a reply are cut into chunks, which never changes what they say."""

from __future__ import annotations

from ddg_protocol.service.faults import Drip, Split

from .._values import Scenario, Turn
from ._streams import CHUNKED, pieces, replied, stream
from .plain import PEOPLE

_TEXTS = ("Zwölf ", "Boxkämpfer ", "jagen 😀 ", "Viktor.")
_BODY = stream(*pieces(*_TEXTS))
_TURNS = (Turn(pieces=_TEXTS),)
_PEOPLE = stream(*pieces(*PEOPLE))
#: Like `_BODY`, but lines end with CR LF, and the JSON of the first event stands on two.
_TWO_LINES = stream(*pieces(*_TEXTS), end="\r\n").replace('"success",', '"success",\r\ndata: ', 1)
_REST = 1 << 20


def _at(part: str, after: int, body: str = _BODY) -> tuple[int, int]:
    """Return the sizes that cut a body so many bytes behind the beginning of a part."""
    return body.encode().index(part.encode()) + after, _REST


SCENARIOS = (
    Scenario(
        "byte-by-byte",
        "Each byte of the reply is a chunk of its own.",
        "The client prints the same as if it came at once.",
        9,
        (Turn(pieces=PEOPLE),),
        replied(_PEOPLE, CHUNKED, Split((1,))),
    ),
    Scenario(
        "each-byte-sent-by-itself",
        "Each byte of the response is written by itself, that of its head and of its framing too.",
        "The client prints the whole reply.",
        9,
        _TURNS,
        # Without a pause, a client that is slower than the service finds whole lines.
        replied(_BODY, CHUNKED, Split((1,), of="wire"), Drip(0.001, of="wire")),
    ),
    Scenario(
        "cut-in-a-character",
        "A chunk ends within the four bytes of an emoji; the rest comes 0.1 s later.",
        "The client prints the emoji, not two replacement characters.",
        9,
        _TURNS,
        replied(_BODY, CHUNKED, Split(_at("😀", 2)), Drip(0.1)),
    ),
    Scenario(
        "cut-in-a-field-name",
        "A chunk ends within the word `data`; the rest comes 0.1 s later.",
        "The client prints the whole reply.",
        9,
        _TURNS,
        replied(_BODY, CHUNKED, Split(_at("\n\ndata", 4)), Drip(0.1)),
    ),
    Scenario(
        "cut-in-the-JSON",
        "A chunk ends within a payload; the rest comes 0.1 s later.",
        "The client waits for the end of the event, and prints the whole reply.",
        9,
        _TURNS,
        replied(_BODY, CHUNKED, Split(_at("Viktor", 3)), Drip(0.1)),
    ),
    Scenario(
        "cut-in-a-line-end",
        "Lines end with CR LF, and a chunk ends between the two, within an event; the rest comes 0.1 s later.",
        "The client takes the two for one line end, not for an empty line, and prints the whole reply.",
        9,
        _TURNS,
        replied(_TWO_LINES, CHUNKED, Split(_at(",\r\ndata", 2, _TWO_LINES)), Drip(0.1)),
    ),
    Scenario(
        "all-at-once",
        "The whole reply is one chunk.",
        "The client prints every event of it.",
        9,
        _TURNS,
        replied(_BODY, CHUNKED),
    ),
    Scenario(
        "slow",
        "The reply comes in parts, 0.1 s apart.",
        "The client waits for all of them.",
        7,
        _TURNS,
        replied(_BODY, CHUNKED, Split((len(_BODY) // 5,)), Drip(0.1)),
    ),
)
