"""States, triggers and THE tables: every legal move of a session and of its exchange, and only here.

A trigger is a command of the caller, or what the session concludes when an action is pulled. Answers of the driver
that don't move the session by themselves (a head, data, the end) are kept in order by the exchange's own table.
"""

from __future__ import annotations

import enum


class KeyEnum(enum.Enum):
    """An Enum whose members are keys: looked up as the objects that they are, and not by a hash of their names."""

    __hash__ = object.__hash__


class State(KeyEnum):
    """Where a session is."""

    READY = "at rest; ask() begins a turn"
    PLANNING = "a turn is under way and its next step is to be chosen"
    WAITING = "a Wait is out"
    SOLVING = "a SolveChallenge is out"
    REQUESTING = "a SendRequest is out and its response has not been looked at"
    READING = "the body of a response that is not a reply is being read"
    STREAMING = "the reply is being read"
    DRAINING = "the turn is done; what follows is read so that the connection can be kept"
    CLOSED = "at rest for good"


class Trigger(KeyEnum):
    """What moves a session."""

    ASK = "the caller asks"
    CANCEL = "the caller cancels"
    CLOSE = "the caller closes"
    WAIT = "time has to pass first"
    SOLVE = "the challenge goes to the embedder"
    SEND = "a request goes out"
    BODY = "a response whose body matters, but is not a reply"
    REPLY = "a response that is a reply"
    NEXT = "this step is over and another follows"
    DONE = "the reply is complete and the turn committed"
    REST = "nothing more is wanted of the connection"
    FAIL = "the turn is refused or broken"


_ANYWHERE_IN_A_TURN = {Trigger.CANCEL: State.READY, Trigger.CLOSE: State.CLOSED}

TABLE: dict[State, dict[Trigger, State]] = {
    State.READY: {Trigger.ASK: State.PLANNING, Trigger.CANCEL: State.READY, Trigger.CLOSE: State.CLOSED},
    State.PLANNING: {
        Trigger.WAIT: State.WAITING,
        Trigger.SOLVE: State.SOLVING,
        Trigger.SEND: State.REQUESTING,
        Trigger.FAIL: State.READY,
        **_ANYWHERE_IN_A_TURN,
    },
    State.WAITING: {Trigger.NEXT: State.PLANNING, **_ANYWHERE_IN_A_TURN},
    State.SOLVING: {Trigger.NEXT: State.PLANNING, Trigger.FAIL: State.READY, **_ANYWHERE_IN_A_TURN},
    State.REQUESTING: {
        Trigger.BODY: State.READING,
        Trigger.REPLY: State.STREAMING,
        Trigger.NEXT: State.PLANNING,
        Trigger.FAIL: State.READY,
        **_ANYWHERE_IN_A_TURN,
    },
    State.READING: {
        Trigger.SEND: State.REQUESTING,
        Trigger.NEXT: State.PLANNING,
        Trigger.FAIL: State.READY,
        **_ANYWHERE_IN_A_TURN,
    },
    State.STREAMING: {
        Trigger.DONE: State.DRAINING,
        Trigger.NEXT: State.PLANNING,
        Trigger.FAIL: State.READY,
        **_ANYWHERE_IN_A_TURN,
    },
    State.DRAINING: {Trigger.ASK: State.PLANNING, Trigger.REST: State.READY, **_ANYWHERE_IN_A_TURN},
    State.CLOSED: {Trigger.CANCEL: State.CLOSED, Trigger.CLOSE: State.CLOSED},
}
"""From each state, what each legal trigger leads to."""

AT_REST = frozenset({State.READY, State.CLOSED})
"""The states in which nothing is asked of the driver."""


class ExchangeState(KeyEnum):
    """How much of a response the driver has reported."""

    AWAITING_HEAD = "receive_head"
    AWAITING_BODY = "receive_data or receive_eof"
    ENDED = "nothing"


class Answer(KeyEnum):
    """What a driver reports of an exchange."""

    HEAD = "receive_head"
    DATA = "receive_data"
    EOF = "receive_eof"
    FAILED = "transport_failed"


EXCHANGE_TABLE: dict[ExchangeState, dict[Answer, ExchangeState]] = {
    ExchangeState.AWAITING_HEAD: {
        Answer.HEAD: ExchangeState.AWAITING_BODY,
        Answer.FAILED: ExchangeState.ENDED,
    },
    ExchangeState.AWAITING_BODY: {
        Answer.DATA: ExchangeState.AWAITING_BODY,
        Answer.EOF: ExchangeState.ENDED,
        Answer.FAILED: ExchangeState.ENDED,
    },
    ExchangeState.ENDED: {},
}
"""The order in which the answers to a SendRequest may come."""
