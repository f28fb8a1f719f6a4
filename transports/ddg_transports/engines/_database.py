"""A SQLite database that the threads and processes of one machine share: opened, locked, carried over forks."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ddg_protocol.errors import EngineUnavailable, LocalProtocolError

_T = TypeVar("_T")

_VERSION = 1  # of the tables, kept as each file's user_version
_APPLICATION = 0x64646731  # whose file it is: "ddg1"
_PATIENCE = 10.0  # seconds for which a call waits while other processes write
_WAL = "PRAGMA journal_mode = WAL"
_PAUSE = 0.005  # seconds between two tries, where SQLite doesn't wait by itself

_SAYS_WHOSE = (  # one statement, since another process may be making it
    "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
    "FROM pragma_application_id, pragma_user_version"
)
_WAIT_FOR = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_HINTS = {
    sqlite3.SQLITE_BUSY: f"other processes have been writing for {_PATIENCE:g} s",
    sqlite3.SQLITE_PROTOCOL: f"other processes have been writing for {_PATIENCE:g} s",
    sqlite3.SQLITE_FULL: "make room for it",
    sqlite3.SQLITE_READONLY: "the file and its folder must be writable",
    sqlite3.SQLITE_CANTOPEN: "the file and its folder must be writable",
    sqlite3.SQLITE_NOTADB: "name a folder that has no other file of this name",
    sqlite3.SQLITE_CORRUPT: "stop what uses it, and restore it from a backup or delete it with its -wal and -shm",
}


class Database:
    """One file, and one connection to it, which is opened when it is needed.

    SQLite's connections don't survive a fork: the child would share the parent's locks, and both would write. So the
    connection is closed before one, and either side opens its own.
    """

    def __init__(self, path: Path, tables: tuple[str, ...]) -> None:
        self._path = path
        self._tables = tables
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0  # whose connection it is
        self._durable = False
        self._closed = False
        _databases.add(self)

    def write(self, work: Callable[[sqlite3.Connection], _T], *, durable: bool) -> _T:
        """Do something as one transaction, alone of all threads and processes.

        Args:
            work: gets the connection. If it raises, nothing is changed.
            durable: whether the change must survive a loss of power from then on.

        Raises:
            EngineUnavailable: if the file can't be read or written.
            LocalProtocolError: if it is closed, or a fork went unnoticed.
        """
        if self._connection is not None and self._process != os.getpid():  # its lock may be held by nobody
            raise LocalProtocolError(
                "this process was forked by a program that doesn't tell Python, after the engine was used; "
                "create the engine in the process that uses it"
            )
        with self._lock:
            try:
                return self._write(lambda connection: self._named(work, connection), durable)
            except sqlite3.Error as error:
                raise EngineUnavailable(self._reason(error)) from None
            except UnicodeDecodeError:  # of a name in the file, or of a message that has one
                raise EngineUnavailable(f"{self._path} is damaged ({_HINTS[sqlite3.SQLITE_CORRUPT]})") from None

    def _named(self, work: Callable[[sqlite3.Connection], _T], connection: sqlite3.Connection) -> _T:
        try:
            return work(connection)
        except EngineUnavailable as error:
            raise EngineUnavailable(f"{self._path}: {error}") from None

    def _write(self, work: Callable[[sqlite3.Connection], _T], durable: bool) -> _T:
        connection = self._connected()
        if durable is not self._durable:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        _patiently(connection, "BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _connected(self) -> sqlite3.Connection:
        if self._closed:
            raise LocalProtocolError("the engine is closed")
        if self._connection is None:
            with contextlib.suppress(OSError):  # what is the matter, SQLite says
                # Exclusive: to close a file that is open elsewhere in this process would end SQLite's locks on it.
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            connection = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._process, self._durable = connection, os.getpid(), False
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check whose file it is, and make the table if there is none."""
        self._is_new(connection)
        if _patiently(connection, _WAL) != ("wal",):
            raise EngineUnavailable(f"{self._path} can't be shared: a local disk is needed, not one of the network")
        connection.execute("PRAGMA synchronous = NORMAL")
        _patiently(connection, "BEGIN IMMEDIATE")
        with connection:
            if self._is_new(connection):
                for table in self._tables:
                    connection.execute(table)
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {_VERSION}")

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        application, version, tables = _patiently(connection, _SAYS_WHOSE)
        if application != _APPLICATION:
            if application or version or tables:
                raise EngineUnavailable(f"{self._path} is a database of another program")
            return True
        if version != _VERSION:
            raise EngineUnavailable(
                f"{self._path} has version {version}, and this version of ddg-protocol reads {_VERSION}: "
                "use the version that made it, or another folder"
            )
        return False

    def _reason(self, error: sqlite3.Error) -> str:
        hint = _HINTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        return f"{self._path}: {error}" + (f" ({hint})" if hint else "")

    def check(self) -> None:
        """Check that the file can be written, and make it if there is none. No connection is kept, for a fork to come.

        Raises:
            EngineUnavailable: if it can't.
        """
        self.write(lambda _: None, durable=False)
        with self._lock:
            self._disconnect()

    def close(self) -> None:
        """Close the connection. Later calls are refused."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        """Wait for other threads' calls, keep new ones out, and close the connection."""
        self._lock.acquire()
        self._disconnect()

    def after_fork(self) -> None:
        """Let calls in again, in the parent as in the child."""
        self._lock.release()


def _patiently(connection: sqlite3.Connection, statement: str) -> Any:
    """Execute a statement, as often as others are in the way, and return the row of its result.

    SQLite waits by itself, but not where a file changes to WAL, is recovered, or is closed by its last user.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return connection.execute(statement).fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _WAIT_FOR or time.monotonic() > until:
                raise
        time.sleep(_PAUSE)


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_forking: list[Database] = []


def _before_fork() -> None:
    _forking.extend(_databases)
    for database in _forking:
        database.before_fork()


def _after_fork() -> None:
    for database in _forking:
        database.after_fork()
    _forking.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
