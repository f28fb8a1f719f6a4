"""Connections on `socket` and `ssl`: ways to make one, and its calls."""

from __future__ import annotations

import math
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from ddg_protocol import Failure, FailureKind, TransportError
from ddg_protocol.wire import Connect

from ._waits import SLICE, Wake, resolve
from .transport import transport_error

_READ_SIZE = 64 * 1024

Connector = Callable[[Connect], socket.socket]
"""Returns a socket connected to the intent's address, within its timeout. An OSError means that it failed."""


def tcp(connect: Connect) -> socket.socket:
    """Connect over TCP; the default of `blocking.Client`.

    Args:
        connect: the address. Each address of a name is tried, with its share of the time left after resolving.

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
        path: the socket's path.

    Returns:
        A connector for the ``connect`` argument of `blocking.Client`.
    """

    def connect_unix(connect: Connect) -> socket.socket:
        if sys.platform == "win32":
            raise OSError("Python has no unix sockets on Windows")
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
    """Use a connected socket, once: ``Client(connect=connected(opened))``, for one chat.

    Args:
        opened: the socket. It belongs to the client as soon as it is used.

    Returns:
        A connector for the ``connect`` argument of `blocking.Client`; it refuses a second connection.
    """
    unused = [opened]

    def take(_: Connect) -> socket.socket:
        if not unused:
            raise OSError("the connected socket has already been used")
        return unused.pop()

    return take


class Connection:
    """A connection, plain or TLS. Each call but the first is bounded by a time on the client's clock.

    Args:
        connect: the address, and whether to use TLS.
        connector: returns the socket.
        context: for TLS; None for a plain connection.
        wake: ends a wait from another thread.
        clock: the client's clock.

    Raises:
        TransportError: it could not be made.
    """

    def __init__(
        self,
        connect: Connect,
        connector: Connector,
        context: ssl.SSLContext | None,
        wake: Wake,
        clock: Callable[[], float],
    ) -> None:
        until = time.monotonic() + connect.timeout
        self._wake = wake
        self._clock = clock
        opened: socket.socket | None = None
        try:
            opened = _tcp(connect, wake) if connector is tcp else connector(connect)
            wake.ends_socket(opened)
            opened.settimeout(_left(until - time.monotonic()))
            if context is not None:
                # A cut must be noticed even in a body that is delimited by the end of the connection.
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
            if isinstance(error, OSError | ValueError):  # ValueError: not a valid host name
                doing = f"connecting to {connect.host}:{connect.port}"
                raise transport_error(error, doing, FailureKind.NOT_SENT) from error
            raise

    def write(self, data: bytes, *, until: float) -> bytes:
        """Write all of the data.

        Returns:
            Empty bytes; or the bytes that the peer had sent, if it closed the connection before it read everything.

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

    def read(self, until: float) -> bytes:
        """Read the bytes that are there, waiting for the first; empty at the end.

        Raises:
            TimeoutError: nothing came for a while, or until ``until``.
            TransportError: the connection broke.
        """
        try:
            # So the socket's timeout need not be set for each read.
            if until - self._clock() < SLICE or self._socket.gettimeout() != SLICE:
                self._bound(until, SLICE)
            return self._socket.recv(_READ_SIZE)
        except TimeoutError:
            raise
        except OSError as error:
            raise transport_error(error, "reading", FailureKind.CUT) from error

    def check_idle(self) -> None:
        """Check that a kept connection is open and has no unread bytes.

        Raises:
            TransportError: the connection can't be used for another request.
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
        """Close the connection, without TLS's close_notify: the peer does not wait for it."""
        self._wake.ends(None)
        self._socket.close()

    def _bound(self, until: float, at_most: float = math.inf) -> None:
        self._socket.settimeout(min(_left(until - self._clock()), at_most))


def _left(left: float) -> float:
    if left <= 0:
        raise TimeoutError("timed out")
    return left
