"""An engine for the processes of one machine: two SQLite files in a folder on a local disk.

The rules are those of `ddg_protocol.coordination`. A call reads the state, applies them, and writes the state back, as
one transaction that has the file for itself. Its time is the machine's monotonic clock, read within the transaction.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from pathlib import Path
from typing import Self

import msgspec

from ddg_protocol.coordination import (
    Call,
    Claim,
    ConversationCall,
    Hold,
    LeasedConversation,
    Overview,
    PaceCall,
    Reserve,
    Result,
    _pace,
    _turns,
)
from ddg_protocol.coordination._overview import MAX_LISTED, leased, overview
from ddg_protocol.coordination._pace import PaceState
from ddg_protocol.coordination._rows import (
    read_conversation,
    read_lease,
    read_pace,
    write_lease,
    write_pace,
    write_stored,
)
from ddg_protocol.coordination._time import NEVER, Clock
from ddg_protocol.coordination._turns import ConversationState
from ddg_protocol.errors import EngineUnavailable
from ddg_protocol.policy import MAX_SECONDS

from ._database import Database
from ._ttl import check_ttl

__all__ = ["SqliteEngine"]

_PACE = ("CREATE TABLE pace (id INTEGER PRIMARY KEY, boot TEXT NOT NULL, state BLOB NOT NULL)",)
_CONVERSATIONS = (
    "CREATE TABLE lease (key TEXT PRIMARY KEY, boot TEXT NOT NULL, used REAL NOT NULL, state BLOB NOT NULL)",
    "CREATE INDEX lease_used ON lease (used)",
    "CREATE TABLE stored (key TEXT PRIMARY KEY, state BLOB NOT NULL)",
)
_READ = "SELECT boot, lease.state, stored.state FROM lease LEFT JOIN stored USING (key) WHERE key = ?"
_RECENT = "SELECT key, boot, state FROM lease WHERE used > ? ORDER BY used DESC"
_FORGOTTEN = 10  # conversations whose time is over, at most, with each call


class SqliteEngine:
    """Keeps the pace and the conversations in two files, for the threads and processes of one machine.

    A fork may use its parent's engine. Asyncio and trio call it in a thread.

    Args:
        path: the folder, on a local disk; it is made if it isn't there, for its owner alone. Who can read it can read
            the conversations. All engines of a folder keep one pace.
        ttl: for how many seconds a conversation is kept after the last call that changes it; None for no end.

    Raises:
        EngineUnavailable: the files can't be made or used.
        ValueError: the ttl is no time.

    Example:
        >>> engine = SqliteEngine("/var/lib/assistant")
        >>> client = Client(shared=engine)
    """

    def __init__(self, path: str | os.PathLike[str], *, ttl: float | None = None) -> None:
        check_ttl(ttl)
        self._path, self._ttl = Path(path), ttl
        self._boot = _boot()
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EngineUnavailable(f"{self._path} can't be made: {error.strerror}") from None
        self._pace = Database(self._path / "pace.db", _PACE)
        self._conversations = Database(self._path / "conversations.db", _CONVERSATIONS)
        for database in (self._pace, self._conversations):
            database.check()

    def __repr__(self) -> str:
        return f"SqliteEngine({str(self._path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files. Later calls are refused."""
        self._pace.close()
        self._conversations.close()

    def call(self, call: Call) -> Result:
        """Carry out a call.

        Args:
            call: what a session asks.

        Returns:
            The answer.

        Raises:
            EngineUnavailable: the files can't be read or written. Nothing was changed, unless the disk failed at the
                very last; the call can be repeated.
            LocalProtocolError: the engine is closed, or was carried over a fork that Python wasn't told of.
        """
        if isinstance(call, Reserve | Hold):
            return self._pace.write(lambda connection: self._keep_pace(connection, call), durable=False)
        # A lease need not outlive the machine's next start; all else must.
        durable = not isinstance(call, Claim)
        return self._conversations.write(lambda connection: self._converse(connection, call), durable=durable)

    def overview(self, *, interval: float, window: float = 0.05) -> Overview:
        """Return who holds what, for whoever runs the engine. Nothing is changed.

        Args:
            interval: seconds between two requests, as of the service's profile.
            window: seconds for which a slot may be used, as of `Coordination.window`.

        Returns:
            The pace, and the conversations that turns have, those used last first.

        Raises:
            EngineUnavailable: the files can't be read.
            LocalProtocolError: as of `call`.
        """
        conversations = self._conversations.write(self._leased, durable=False)
        now, pace = self._pace.write(self._read_pace, durable=False)
        return overview(pace, conversations, now=now, interval=interval, window=window)

    def _keep_pace(self, connection: sqlite3.Connection, call: PaceCall) -> Result:
        now, state = self._read_pace(connection)
        state, result = _pace.decide(state, call, now)
        connection.execute("REPLACE INTO pace (id, boot, state) VALUES (0, ?, ?)", (self._boot, write_pace(state)))
        return result

    def _read_pace(self, connection: sqlite3.Connection) -> tuple[int, PaceState]:
        """Return the time, and the pace in the machine's present boot."""
        now = _now()
        row = connection.execute("SELECT boot, state FROM pace").fetchone()
        if row is None:  # requests may be under way whose slots were in a file that was deleted: the first slot waits
            return now, PaceState(epoch=_epoch())
        state = read_pace(_blob(row[1]))
        return now, state if self._is_of_this_boot(row[0], state.clock, now) else _pace.in_epoch(state, _epoch())

    def _leased(self, connection: sqlite3.Connection) -> list[LeasedConversation]:
        now, found = _now(), []
        for key, boot, row in connection.execute(_RECENT, (time.time() - MAX_SECONDS,)):
            kept = read_lease(_blob(row))
            if self._is_of_this_boot(boot, kept.clock, now) and (one := leased(key, kept.lease, kept.clock, now)):
                found.append(one)
            if len(found) == MAX_LISTED:
                break
        return found

    def _converse(self, connection: sqlite3.Connection, call: ConversationCall) -> Result:
        now = _now()
        if self._ttl is not None:
            _forget(connection, call.key, time.time() - self._ttl)
        row = connection.execute(_READ, (call.key,)).fetchone()
        before = ConversationState() if row is None else read_conversation(_blob(row[1]), _blob(row[2]))
        if row is not None and not self._is_of_this_boot(
            row[0], before.clock, now
        ):  # its holder ended with the machine
            lease = msgspec.structs.replace(before.lease, until=NEVER)
            before = msgspec.structs.replace(before, lease=lease, clock=Clock())
        after, result = _turns.decide(before, call, now)
        if after is not before:
            lease_row = call.key, self._boot, time.time(), write_lease(after)
            connection.execute("REPLACE INTO lease (key, boot, used, state) VALUES (?, ?, ?, ?)", lease_row)
        if after is not before and (row is None or after.stored is not before.stored):
            connection.execute("REPLACE INTO stored (key, state) VALUES (?, ?)", (call.key, write_stored(after)))
        return result

    def _is_of_this_boot(self, boot: str, clock: Clock, now: int) -> bool:
        """Return whether a state was written since the machine's start. Until its next one, its clock goes forward."""
        return boot == self._boot and now >= clock.time - clock.offset


def _blob(value: object) -> bytes:
    """Return the state in a row; if there is none, or a damaged file has another kind of value, an empty one."""
    return value if isinstance(value, bytes) else b""


def _forget(connection: sqlite3.Connection, key: str, before: float) -> None:
    """Delete a conversation, and some others, if nobody has used them since a time of the calendar."""
    old = connection.execute("SELECT key FROM lease WHERE key = ? AND used < ?", (key, before)).fetchall()
    old += connection.execute("SELECT key FROM lease WHERE used < ? LIMIT ?", (before, _FORGOTTEN)).fetchall()
    for table in ("lease", "stored") if old else ():
        connection.executemany(f"DELETE FROM {table} WHERE key = ?", old)


def _epoch() -> str:
    return secrets.token_hex(8)


def _now() -> int:
    """Return the machine's clock, in microseconds. It is the same for all processes of one boot."""
    return time.monotonic_ns() // 1000


def _boot() -> str:
    """Return a name for the machine's boot; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
