"""Carry out the intents of a session: `RequestLine` over a transport, `WireLine` on a connection of its own.

`_async_lines` is the async version of this module, in the same order.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ddg_protocol import NEED_DATA, Failure, FailureKind, SendRequest, TransportError
from ddg_protocol.wire import Close, Connect, Send, WireSession

from ._client import Action, Tell
from ._sockets import Connection, Connector
from ._waits import Wake
from .transport import Exchange, Transport

if TYPE_CHECKING:
    from ddg_protocol.tap import DrivenSession


class RequestLine:
    """Carries out the intents of a `Session` over a transport.

    Args:
        session: the session.
        transport: sends its requests.
        clock: the client's clock.

    Attributes:
        wake: ends a wait from another thread; of the transport's own waits, only the reads that it can abort.
    """

    def __init__(self, session: DrivenSession, transport: Transport, clock: Callable[[], float]) -> None:
        self.session = session
        self._transport = transport
        self._clock = clock
        self.wake = Wake()
        self._request: SendRequest | None = None
        self._exchange: Exchange | None = None

    def carry_out(self, action: Action) -> Tell:
        """Open an exchange or read from it, and return the report for the session."""
        # Not `deadline`: a read that has run out of time can't be gone on with after the lease is renewed.
        session, until = self.session, self.session.read_by
        if until is None:
            return None  # another thread has just ended the turn, as the next pull says
        left = max(0.001, until - self._clock())
        if type(action) is SendRequest:
            self.leave()
            self._request = action
        request = self._request
        assert request is not None
        try:
            if type(action) is SendRequest:
                self._exchange = opened = self._transport.open(action, timeout=left)
                self.wake.ends(getattr(opened, "abort", None))
                return partial(session.receive_head, action, opened.status, opened.headers, now=self._clock())
            assert self._exchange is not None
            data = self._exchange.read(timeout=left)
        except TransportError as error:
            return partial(session.transport_failed, request, error.failure)
        return partial(session.receive_data, request, data) if data else partial(session.receive_eof, request)

    def leave(self) -> None:
        """Close the exchange."""
        if self._exchange is not None:
            self.wake.ends(None)
            self._exchange.close()
            self._exchange = None  # after that: if Ctrl-C comes in between, the next call closes it

    close = leave


class WireLine:
    """Carries out the intents of a `WireSession` on a connection of its own.

    Args:
        session: the session.
        connector: returns the sockets.
        context: returns the context for TLS.
        clock: the client's clock.

    Attributes:
        wake: ends a wait from another thread.
    """

    def __init__(
        self,
        session: WireSession,
        connector: Connector,
        context: Callable[[], ssl.SSLContext],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session = session
        self._clock = clock
        self._connector = connector
        self._context = context
        self.wake = Wake()
        self._connect: Connect | None = None
        self._connection: Connection | None = None

    def carry_out(self, action: Action) -> Tell:
        """Connect, send, read or close, and return the report for the session."""
        session, until = self.session, self.session.deadline
        if type(action) is Close:
            self.close()
            return partial(session.closed, action)
        if type(action) is Connect:
            self.close()  # one is left if its `Close` was interrupted
            self._connect = action
        connect, connection = self._connect, self._connection
        assert connect is not None, "a `Connect` comes before any `Send` or read"
        try:
            if action is NEED_DATA and connection is not None and until is not None:
                data = connection.read(until)
                return partial(session.receive_bytes, connect, data) if data else partial(session.receive_eof, connect)
            if type(action) is Connect:
                context = self._context() if action.tls else None
                self._connection = Connection(action, self._connector, context, self.wake, self._clock)
                return partial(session.connected, action)
            if type(action) is Send and connection is not None and until is not None:
                if action.check_idle:
                    connection.check_idle()
                answer = connection.write(action.data, until=until)
                return partial(session.receive_bytes, connect, answer) if answer else partial(session.sent, action)
        except TimeoutError:
            return None  # the session decides what a timeout means
        except TransportError as error:
            return partial(session.transport_failed, connect, error.failure)
        kind = FailureKind.CUT if action is NEED_DATA else FailureKind.NOT_SENT
        return partial(session.transport_failed, connect, Failure(kind, "the connection is already closed"))

    def leave(self) -> None:
        """Do nothing: a `WireSession` asks for a `Close` when it wants one."""

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
