"""The states of an engine as bytes, for a store that keeps them as they are: rows.

A row begins with the version of its form; the rest is MessagePack. Nothing is guessed: a row of another form is an
`EngineUnavailable`.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ..errors import EngineUnavailable
from . import _pace, _turns
from ._pace import PaceState
from ._time import Clock, Kept, microseconds
from ._turns import ConversationState, Lease, Stored
from .calls import Call, Hold, Reserve, Result

VERSION = 1


class LeaseRow(Kept, frozen=True):
    """What changes with each call that concerns a conversation."""

    lease: Lease
    clock: Clock


Row = TypeVar("Row", PaceState, ConversationState, LeaseRow, Stored)


def carry_out(row: bytes | None, call: Call, *, now: float, epoch: str) -> tuple[bytes | None, Result]:
    """Carry out a call on what a store holds, for an engine on a store that can lock, read and write a row.

    The engine reads the row under a lock, writes the new one, and only then returns the result. `Reserve` and `Hold`
    concern the row of the pace, all other calls that of the conversation with their ``key``.

    Args:
        row: what is stored; None if there is no such row.
        call: what a session asks.
        now: the store's clock, in seconds, read under the lock. All processes must have the same one. If it goes back,
            the time stands still meanwhile.
        epoch: names the life of the store, in up to 64 visible characters of ASCII. Give it another name when slots may
            have been forgotten, for instance if an older copy of the data was restored; tickets are void then. In a new
            life the first slot waits until those of the one before are over.

    Returns:
        The row to store, which is the same object if nothing has changed, and the result.

    Raises:
        EngineUnavailable: the row can't be read; the message says where reading stopped.
    """
    time = microseconds(now)
    if isinstance(call, Reserve | Hold):
        pace = PaceState(epoch=epoch) if row is None else _pace.in_epoch(_read(row, PaceState, "pace"), epoch)
        pace, answer = _pace.decide(pace, call, time)
        return _written(pace), answer
    before = ConversationState() if row is None else _read(row, ConversationState, "conversation")
    after, result = _turns.decide(before, call, time)
    return (row if after is before else _written(after)), result


def write_pace(state: PaceState) -> bytes:
    """Return the row of a pace."""
    return _written(state)


def read_pace(row: bytes) -> PaceState:
    """Return the pace of a row.

    Raises:
        EngineUnavailable: it is of another form; the message says where reading stopped.
    """
    return _read(row, PaceState, "pace")


def write_lease(state: ConversationState) -> bytes:
    """Return the short row of a conversation, which changes with each call."""
    return _written(LeaseRow(state.lease, state.clock))


def write_stored(state: ConversationState) -> bytes:
    """Return the long row of a conversation. It changes when ``state.stored`` is another object than before."""
    return _written(state.stored)


def read_conversation(lease: bytes, stored: bytes) -> ConversationState:
    """Return the conversation of its two rows.

    Raises:
        EngineUnavailable: one of them is of another form; the message says where reading stopped.
    """
    row = read_lease(lease)
    return ConversationState(row.lease, _read(stored, Stored, "conversation"), row.clock)


def read_lease(row: bytes) -> LeaseRow:
    """Return the short row of a conversation.

    Raises:
        EngineUnavailable: it is of another form; the message says where reading stopped.
    """
    return _read(row, LeaseRow, "lease")


def _written(row: PaceState | ConversationState | LeaseRow | Stored) -> bytes:
    return bytes([VERSION]) + msgspec.msgpack.encode(row)


def _read(row: bytes, form: type[Row], what: str) -> Row:
    if row[:1] != bytes([VERSION]):
        found = f"is of version {row[0]}" if row else "is empty"
        raise EngineUnavailable(f"the stored {what} {found}; this version of ddg-protocol reads version {VERSION}")
    try:
        return msgspec.msgpack.decode(memoryview(row)[1:], type=form)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise EngineUnavailable(f"the stored {what} can't be read: {error}") from None
