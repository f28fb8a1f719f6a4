"""The theory of a session, and THE tables: every legal move, and only here.

A session is always in one *phase*. A phase is a value that holds what is known there and nothing else (`_phases`);
the `State` that it belongs to is what the outside sees of it. Three kinds of things happen to a session, and each kind
has a table of its own:

* A **command** comes from the caller: `Session.ask`, `Session.fetch_models`, `Session.cancel`, `Session.close`.
  `COMMANDS` says in which states it is legal and where it leads. One that is not in the table is the caller's mistake:
  it raises `LocalProtocolError`, and nothing changes.
* A **report** comes from the driver and names the request that it is about: a head, data, the end, a failure.
  `REPORTS` says in which order they may come. A report never moves the session, it is only kept; one that is out of
  order is the driver's mistake, and raises `LocalProtocolError`, too.
* A **move** is what the session concludes from all that when the next action is pulled. `MOVES` says which moves each
  state allows. A move that is not in the table is a bug of this package: it raises `AssertionError`.

So the state changes at two moments, when a command is given and when an action is pulled, and never because bytes
arrive. A turn begins with the command ASK, or with FETCH_MODELS, which asks no question. In PLANNING the session
chooses what the turn needs next: time (WAIT), the embedder's answer to a challenge (SOLVE), a word of the shared engine
(COORDINATE), or a request (SEND). When that is over, NEXT leads back to PLANNING. Two ways lead out of this circle with
a result: REPLY and then DONE, which commits the turn, and DONE from READING, when the list of models has come. A
coordinated turn is committed by the engine: COORDINATE leads from STREAMING to COORDINATING, and DONE goes on from
there, or REST where the exchange is over. FAIL, CANCEL and CLOSE leave the conversation as it was before the turn.

Below a `wire.WireSession` there is one more thing with states: its connection, the **link**. `LINKS` says which moves
each state of it allows. Some moves follow a report at once (CONNECTED, SENT) or a command (ABANDON); all others are
made when the next action is pulled. A move that is not in the table is a bug here, too. ABANDON is legal everywhere. A
connection that was made ends with exactly one CLOSE; after REFUSED there is nothing to close.
"""

from __future__ import annotations

import enum


class KeyEnum(enum.Enum):
    """An Enum whose members are keys. Looking them up by identity costs a third of hashing their names."""

    __hash__ = object.__hash__


class State(KeyEnum):
    """Where a session is."""

    READY = "at rest; ask() begins a turn"
    PLANNING = "a turn is under way and its next step is to be chosen"
    WAITING = "a Wait is out"
    SOLVING = "a SolveChallenge is out"
    COORDINATING = "a Coordinate is out and the turn waits for its result"
    REQUESTING = "a SendRequest is out and its response has not been looked at"
    READING = "the body of a response that is not a reply is being read"
    STREAMING = "the reply is being read"
    DRAINING = "the turn is done; what follows is read so that the connection can be kept"
    CLOSED = "at rest for good"


AT_REST = frozenset({State.READY, State.CLOSED})
"""The states in which nothing is asked of the driver."""


class Command(KeyEnum):
    """What the caller may tell a session to do."""

    ASK = "the caller asks"
    FETCH_MODELS = "the caller wants the list of models"
    CANCEL = "the caller cancels"
    CLOSE = "the caller closes"


_BEGINNINGS = {Command.ASK: State.PLANNING, Command.FETCH_MODELS: State.PLANNING}
_ANYWHERE = {Command.CANCEL: State.READY, Command.CLOSE: State.CLOSED}

COMMANDS: dict[State, dict[Command, State]] = {
    **dict.fromkeys(State, _ANYWHERE),
    State.READY: {**_BEGINNINGS, **_ANYWHERE},
    State.DRAINING: {**_BEGINNINGS, **_ANYWHERE},
    State.CLOSED: {Command.CANCEL: State.CLOSED, Command.CLOSE: State.CLOSED},
}
"""Where each command leads, from each state in which it is legal."""


class Move(KeyEnum):
    """What a session concludes when an action is pulled."""

    WAIT = "time has to pass first"
    SOLVE = "the challenge goes to the embedder"
    COORDINATE = "the shared engine is asked"
    SEND = "a request goes out"
    BODY = "a response whose body matters, but is not a reply"
    REPLY = "a response that is a reply"
    NEXT = "this step is over and another follows"
    DONE = "what was asked for is complete, and a turn committed"
    REST = "nothing more is wanted of the connection"
    FAIL = "the turn is refused or broken"


MOVES: dict[State, dict[Move, State]] = {
    State.READY: {},
    State.PLANNING: {
        Move.WAIT: State.WAITING,
        Move.SOLVE: State.SOLVING,
        Move.COORDINATE: State.COORDINATING,
        Move.SEND: State.REQUESTING,
        Move.FAIL: State.READY,
    },
    State.WAITING: {Move.NEXT: State.PLANNING, Move.FAIL: State.READY},
    State.SOLVING: {Move.NEXT: State.PLANNING, Move.FAIL: State.READY},
    State.COORDINATING: {
        Move.NEXT: State.PLANNING,
        Move.DONE: State.DRAINING,
        Move.REST: State.READY,
        Move.FAIL: State.READY,
    },
    State.REQUESTING: {
        Move.BODY: State.READING,
        Move.REPLY: State.STREAMING,
        Move.NEXT: State.PLANNING,
        Move.FAIL: State.READY,
    },
    State.READING: {
        Move.SEND: State.REQUESTING,
        Move.NEXT: State.PLANNING,
        Move.DONE: State.DRAINING,
        Move.FAIL: State.READY,
    },
    State.STREAMING: {
        Move.COORDINATE: State.COORDINATING,
        Move.DONE: State.DRAINING,
        Move.NEXT: State.PLANNING,
        Move.FAIL: State.READY,
    },
    State.DRAINING: {Move.REST: State.READY},
    State.CLOSED: {},
}
"""From each state, what each move leads to."""


class Awaited(KeyEnum):
    """What the driver has still to report of a response; the values name the methods."""

    HEAD = "receive_head"
    BODY = "receive_data or receive_eof"
    NOTHING = "nothing"


class Report(KeyEnum):
    """What a driver reports of an exchange; the values name the methods."""

    HEAD = "receive_head"
    DATA = "receive_data"
    EOF = "receive_eof"
    FAILED = "transport_failed"


REPORTS: dict[Awaited, dict[Report, Awaited]] = {
    Awaited.HEAD: {Report.HEAD: Awaited.BODY, Report.FAILED: Awaited.NOTHING},
    Awaited.BODY: {Report.DATA: Awaited.BODY, Report.EOF: Awaited.NOTHING, Report.FAILED: Awaited.NOTHING},
    Awaited.NOTHING: {},
}
"""In which order the reports on a SendRequest may come."""


class Link(KeyEnum):
    """Where the connection of a `wire.WireSession` is."""

    DOWN = "there is no connection"
    CONNECTING = "a Connect is out"
    IDLE = "connected, without a request"
    SENDING = "a Send is out"
    RECEIVING = "the request is sent and its response is not complete"
    ABANDONED = "it is not used any more; a Close is due"


class LinkMove(KeyEnum):
    """What happens to a link."""

    CONNECT = "a Connect goes out"
    REFUSED = "the connection could not be made"
    CONNECTED = "the connection is made"
    SEND = "a Send goes out"
    SENT = "the request is sent"
    KEEP = "the response is complete and both sides keep the connection"
    ABANDON = "the connection failed, can't be kept, or is not wanted any more"
    CLOSE = "a Close goes out"


LINKS: dict[Link, dict[LinkMove, Link]] = {
    Link.DOWN: {LinkMove.CONNECT: Link.CONNECTING, LinkMove.ABANDON: Link.DOWN},
    Link.CONNECTING: {
        LinkMove.CONNECTED: Link.IDLE,
        LinkMove.REFUSED: Link.DOWN,
        LinkMove.ABANDON: Link.ABANDONED,
    },
    Link.IDLE: {LinkMove.SEND: Link.SENDING, LinkMove.ABANDON: Link.ABANDONED},
    Link.SENDING: {LinkMove.SENT: Link.RECEIVING, LinkMove.ABANDON: Link.ABANDONED},
    Link.RECEIVING: {LinkMove.KEEP: Link.IDLE, LinkMove.ABANDON: Link.ABANDONED},
    Link.ABANDONED: {LinkMove.CLOSE: Link.DOWN, LinkMove.ABANDON: Link.ABANDONED},
}
"""From each state of a link, what each move leads to."""
