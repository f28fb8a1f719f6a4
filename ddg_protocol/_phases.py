"""Where a session is, as values. Each phase holds what is known there, so that a state that can't be can't be written.

Two phases share the state PLANNING: `Starting` is a turn that the caller has not been told of yet.
"""

from __future__ import annotations

import msgspec

from ._exchange import Exchange
from ._response import Body
from ._state import State
from ._turn import Turn
from .chat import ReplyReader
from .conversation import Tokens
from .events import TurnCancelled
from .intents import SolveChallenge, Wait


class Ready(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    """At rest. `cancelled` is what the caller has still to be told of the turn that it gave up."""

    state = State.READY
    cancelled: TurnCancelled | None = None


class Closed(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    """At rest for good."""

    state = State.CLOSED
    cancelled: TurnCancelled | None = None


class Starting(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    """A turn was asked for."""

    state = State.PLANNING
    turn: Turn


class Planning(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    """The next step of a turn is to be chosen."""

    state = State.PLANNING
    turn: Turn


class Waiting(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    """Time has to pass. `over` is whether the driver has reported that it did."""

    state = State.WAITING
    turn: Turn
    wait: Wait
    over: bool = False


class Solved(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The answer of the embedder's solver."""

    answer: str


class Unsolved(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Why the embedder's solver has no answer."""

    text: str


class Solving(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    """The embedder is asked to answer the challenge in `tokens`. `outcome` is the answer, or why there is none."""

    state = State.SOLVING
    turn: Turn
    solve: SolveChallenge
    tokens: Tokens
    outcome: Solved | Unsolved | None = None


class Exchanging(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    """What the four phases below have in common: an exchange that the driver reports on."""

    exchange: Exchange


def _join(exchange: Exchange, body: Body) -> None:
    """Let a body without a content coding be what comes of the exchange."""
    if not body.coded:
        body.chunks = exchange.chunks


class Requesting(Exchanging, tag=True, forbid_unknown_fields=True):
    """A request is out, and its response has not been looked at."""

    state = State.REQUESTING
    turn: Turn


class Reading(Exchanging, tag=True, forbid_unknown_fields=True):
    """A response that is not a reply is being read. `text` is what is kept of its body."""

    state = State.READING
    turn: Turn
    body: Body
    text: bytearray

    def __post_init__(self) -> None:
        _join(self.exchange, self.body)


class Streaming(Exchanging, tag=True, forbid_unknown_fields=True):
    """The reply is being read."""

    state = State.STREAMING
    turn: Turn
    body: Body
    reader: ReplyReader

    def __post_init__(self) -> None:
        _join(self.exchange, self.body)
        self.reader.chunks = self.body.chunks


class Draining(Exchanging, tag=True, forbid_unknown_fields=True):
    """The turn is done. What follows is read and dropped; `left` is how many bytes of it are borne."""

    state = State.DRAINING
    left: int


InTurn = Starting | Planning | Waiting | Solving | Requesting | Reading | Streaming
Phase = Ready | Closed | InTurn | Draining
