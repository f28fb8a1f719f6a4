"""The states of an engine as bytes, for a store that keeps them as they are.

A store reads a row under a lock, has the call carried out on it, and writes what has changed. A row begins with the
version of its form; the rest is MessagePack. Nothing is guessed: a row of another form is an `EngineUnavailable`.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ..errors import EngineUnavailable
from ._pace import PaceState
from ._time import Clock, Kept
from ._turns import ConversationState, Lease, Stored

VERSION = 1


class LeaseRow(Kept, frozen=True):
    """What changes with each call that concerns a conversation."""

    lease: Lease
    clock: Clock


Row = TypeVar("Row", PaceState, LeaseRow, Stored)


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
    row = _read(lease, LeaseRow, "lease")
    return ConversationState(row.lease, _read(stored, Stored, "conversation"), row.clock)


def _written(row: PaceState | LeaseRow | Stored) -> bytes:
    return bytes([VERSION]) + msgspec.msgpack.encode(row)


def _read(row: bytes, form: type[Row], what: str) -> Row:
    if row[:1] != bytes([VERSION]):
        found = f"is of version {row[0]}" if row else "is empty"
        raise EngineUnavailable(f"the stored {what} {found}; this version of ddg-protocol reads version {VERSION}")
    try:
        return msgspec.msgpack.decode(memoryview(row)[1:], type=form)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise EngineUnavailable(f"the stored {what} can't be read: {error}") from None
