"""Connections on `socket` and `ssl`: ways to make one, what is done with it, and a `WireSession` that drives it."""

from __future__ import annotations

import math
import os
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ddg_protocol import NEED_DATA, Failure, FailureKind, TransportError
from ddg_protocol.wire import Close, Connect, Send, WireSession

from ._client import Action, Tell
from ._resolve import resolve
from ._wake import Wake
from .transport import transport_error

_READ_SIZE = 64 * 1024
_WHILE = 5.0  # seconds that a read waits without a look at the clock, so that the socket need not be told each time

Connector = Callable[[Connect], socket.socket]
"""Gives a socket that is connected to where the intent says, in time. What it raises as an OSError is understood."""


def tcp(connect: Connect) -> socket.socket:
    """Connect over TCP: the way it is done when nothing else is said.

    Args:
        connect: where to. Each address of a name is tried, and gets its share of the time that resolving it left.

    Returns:
        The socket.

    Raises:
        OSError: none of the addresses could be reached.
    """
    return _tcp(connect, Wake())


def _tcp(connect: Connect, wake: Wake) -> socket.socket:
    until = time.monotonic() + connect.timeout
    addresses = resolve(connect.host, connect.port, connect.timeout, wake)
    opened: socket.socket | None = None
    for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
        try:
            opened = socket.socket(family, kind, protocol)
            wake.ends_socket(opened)
            opened.settimeout(max(0.001, (until - time.monotonic()) / (len(addresses) - number + 1)))
            opened.connect(address)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return opened
        except BaseException as error:
            wake.ends(None)
            if opened is not None:
                opened.close()
            if number == len(addresses) or wake.rung or not isinstance(error, OSError):
                raise
    raise OSError("the name has no address")


def unix(path: str | os.PathLike[str]) -> Connector:
    """Connect to a unix socket, whatever the profile's address is: ``Client(connect=unix("/run/duck.sock"))``.

    Args:
        path: of the socket.

    Returns:
        What `blocking.Client` takes as ``connect``.
    """

    def connect_unix(connect: Connect) -> socket.socket:
        opened: socket.socket | None = None
        try:
            opened = socket.socket(socket.AF_UNIX)
            opened.settimeout(connect.timeout)
            opened.connect(os.fspath(path))
            return opened
        except BaseException:
            if opened is not None:
                opened.close()
            raise

    return connect_unix


def connected(opened: socket.socket) -> Connector:
    """Use a socket that is connected already, once: ``Client(connect=connected(opened))``, for one chat.

    Args:
        opened: the socket. It belongs to the client from the moment it is used.

    Returns:
        What `blocking.Client` takes as ``connect``; a second connection is refused.
    """
    unused = [opened]

    def take(_: Connect) -> socket.socket:
        if not unused:
            raise OSError("the connected socket that was given has been used up")
        return unused.pop()

    return take


class Connection:
    """A connection, plain or TLS, with a bound on every call: a time on the clock of `time.monotonic`.

    Args:
        connect: where to, and whether it is TLS.
        connector: gives the socket.
        context: for TLS; None for a plain connection.
        wake: ends what is waited for here, from another thread.

    Raises:
        TransportError: it could not be made.
    """

    def __init__(self, connect: Connect, connector: Connector, context: ssl.SSLContext | None, wake: Wake) -> None:
        until = time.monotonic() + connect.timeout
        self._wake = wake
        opened: socket.socket | None = None
        try:
            opened = _tcp(connect, wake) if connector is tcp else connector(connect)
            wake.ends_socket(opened)
            opened.settimeout(_left(until))
            if context is not None:
                # A body that only the end of the connection ends must not be cut without being noticed.
                opened = tls = context.wrap_socket(
                    opened, server_hostname=connect.host, suppress_ragged_eofs=False, do_handshake_on_connect=False
                )
                wake.ends_socket(tls)
                tls.do_handshake()
            self._socket = opened
        except BaseException as error:
            wake.ends(None)
            if opened is not None:
                opened.close()
            if isinstance(error, OSError | ValueError):  # ValueError: no name that could be resolved, or certified
                doing = f"connecting to {connect.host}:{connect.port}"
                raise transport_error(error, doing, FailureKind.NOT_SENT) from error
            raise

    def write(self, data: bytes, *, until: float) -> bytes:
        """Write all of it.

        Returns:
            Nothing; or, where the peer took no more of it and went away, what it had said by then.

        Raises:
            TimeoutError: ``until`` came first.
            TransportError: the connection broke.
        """
        rest = memoryview(data)
        try:
            while rest:
                self._bound(until)
                rest = rest[self._socket.send(rest) :]
        except TimeoutError:
            raise
        except OSError as error:
            with suppress(OSError):
                if answer := self._socket.recv(_READ_SIZE):
                    return answer
            raise transport_error(error, "sending", FailureKind.CUT) from error
        return b""

    def read(self, *, until: float) -> bytes:
        """Read what there is; nothing at the end.

        Raises:
            TimeoutError: nothing came for a while, or ``until`` came.
            TransportError: the connection broke.
        """
        try:
            if until - time.monotonic() < _WHILE or self._socket.gettimeout() != _WHILE:
                self._bound(until, _WHILE)
            return self._socket.recv(_READ_SIZE)
        except TimeoutError:
            raise
        except OSError as error:
            raise transport_error(error, "reading", FailureKind.CUT) from error

    def check_idle(self) -> None:
        """See that a kept connection has not ended, and has nothing to read that nobody asked for.

        Raises:
            TransportError: it has; nothing can be sent over it any more.
        """
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            pass
        text = "the connection was closed while it was idle"
        raise TransportError(text, failure=Failure(FailureKind.NOT_SENT, text))

    def close(self) -> None:
        """Close it, without a goodbye: nobody waits for one."""
        self._wake.ends(None)
        self._socket.close()

    def _bound(self, until: float, at_most: float = math.inf) -> None:
        self._socket.settimeout(min(_left(until), at_most))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class WireLine:
    """Carries out what a `WireSession` asks, on a connection of its own.

    Args:
        session: what asks.
        connector: gives the sockets.
        context: gives the context for TLS.

    Attributes:
        wake: ends what is waited for, from another thread.
    """

    def __init__(self, session: WireSession, connector: Connector, context: Callable[[], ssl.SSLContext]) -> None:
        self.session = session
        self._connector = connector
        self._context = context
        self.wake = Wake()
        self._connect: Connect | None = None
        self._connection: Connection | None = None

    def carry_out(self, action: Action) -> Tell:
        """Connect, send, read or close; what the session is to be told of it."""
        session, until = self.session, self.session.deadline
        if type(action) is Close:
            self.close()
            return partial(session.closed, action)
        if type(action) is Connect:
            self.close()  # there is one still where its `Close` was interrupted
            self._connect = action
        connect, connection = self._connect, self._connection
        assert connect is not None, "nothing is sent or read before a connection is asked for"
        try:
            if action is NEED_DATA and connection is not None and until is not None:
                data = connection.read(until=until)
                return partial(session.receive_bytes, connect, data) if data else partial(session.receive_eof, connect)
            if type(action) is Connect:
                context = self._context() if action.tls else None
                self._connection = Connection(action, self._connector, context, self.wake)
                return partial(session.connected, action)
            if type(action) is Send and connection is not None and until is not None:
                if action.check_idle:
                    connection.check_idle()
                answer = connection.write(action.data, until=until)
                return partial(session.receive_bytes, connect, answer) if answer else partial(session.sent, action)
        except TimeoutError:
            return None  # what that means is the session's business
        except TransportError as error:
            return partial(session.transport_failed, connect, error.failure)
        kind = FailureKind.CUT if action is NEED_DATA else FailureKind.NOT_SENT
        return partial(session.transport_failed, connect, Failure(kind, "the connection is not at hand any more"))

    def leave(self) -> None:
        """Do nothing: this session asks for a `Close` where it wants one."""

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
