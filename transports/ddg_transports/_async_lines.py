"""Carry out the intents of a session: `AsyncRequestLine` over a transport, `AsyncWireLine` on streams of its own.

`_lines` is the blocking version of this module, in the same order.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import anyio

from ddg_protocol import NEED_DATA, Failure, FailureKind, SendRequest, TransportError
from ddg_protocol.wire import Close, Connect, Send, WireSession

from ._client import Action, Tell
from ._streams import AsyncConnector, Connection
from .transport import AsyncExchange, AsyncTransport

if TYPE_CHECKING:
    from ddg_protocol.tap import DrivenSession

    from ._asyncio_stream import AsyncioStream

_CLOSING = 1.0  # seconds that an exchange may take to close


class AsyncRequestLine:
    """Carries out the intents of a `Session` over an async transport.

    Args:
        session: the session.
        transport: sends its requests.
    """

    own_stream = None

    def __init__(self, session: DrivenSession, transport: AsyncTransport) -> None:
        self.session = session
        self._transport = transport
        self._request: SendRequest | None = None
        self._exchange: AsyncExchange | None = None

    @property
    def deadline(self) -> float | None:
        """When an action has to be given up."""
        # An exchange that was cancelled can't be gone on with after the lease is renewed.
        read_by = self.session.read_by
        return self.session.deadline if read_by is None else read_by

    async def carry_out(self, action: Action) -> Tell:
        """Open an exchange or read from it, and return the report for the session."""
        session = self.session
        if type(action) is SendRequest:
            await self.leave()
            self._request = action
        request = self._request
        assert request is not None
        try:
            if type(action) is SendRequest:
                opened = await self._transport.open(action)
                if self._request is not action:  # another task left it meanwhile
                    await _aclose(opened)
                    return None
                self._exchange = opened
                return partial(session.receive_head, action, opened.status, opened.headers, now=anyio.current_time())
            assert self._exchange is not None
            data = await self._exchange.read()
        except TransportError as error:
            return partial(session.transport_failed, request, error.failure)
        return partial(session.receive_data, request, data) if data else partial(session.receive_eof, request)

    async def leave(self) -> None:
        """Close the exchange. Closing is shielded from cancellation and bounded in time."""
        exchange, self._exchange, self._request = self._exchange, None, None
        if exchange is not None:
            await _aclose(exchange)

    aclose = leave


async def _aclose(exchange: AsyncExchange) -> None:
    with anyio.move_on_after(_CLOSING, shield=True):
        await exchange.aclose()


class AsyncWireLine:
    """Carries out the intents of a `WireSession` on a connection of its own.

    Args:
        session: the session.
        connector: returns the streams.
        context: returns the context for TLS.
    """

    def __init__(self, session: WireSession, connector: AsyncConnector, context: Callable[[], ssl.SSLContext]) -> None:
        self.session = session
        self._connector = connector
        self._context = context
        self._connect: Connect | None = None
        self._connection: Connection | None = None

    @property
    def deadline(self) -> float | None:
        """When an action has to be given up."""
        return self.session.deadline

    @property
    def own_stream(self) -> AsyncioStream | None:
        """The connection's stream if it bounds its own waits."""
        return self._connection.own if self._connection is not None else None

    async def carry_out(self, action: Action) -> Tell:
        """Connect, send, read or close, and return the report for the session."""
        session = self.session
        if type(action) is Close:
            await self.aclose()
            return partial(session.closed, action)
        if type(action) is Connect:
            await self.aclose()  # one is left if its `Close` was interrupted
            self._connect = action
        connect, connection = self._connect, self._connection
        assert connect is not None, "a `Connect` comes before any `Send` or read"
        try:
            if action is NEED_DATA and connection is not None:
                data = await connection.read()
                return partial(session.receive_bytes, connect, data) if data else partial(session.receive_eof, connect)
            if type(action) is Connect:
                context = self._context() if action.tls else None
                made = await Connection.make(action, self._connector, context)
                if self._connect is not action:  # another task left it meanwhile
                    await made.aclose()
                    return None
                self._connection = made
                return partial(session.connected, action)
            if type(action) is Send and connection is not None:
                if action.check_idle:
                    connection.check_idle()
                answer = await connection.write(action.data)
                return partial(session.receive_bytes, connect, answer) if answer else partial(session.sent, action)
        except TransportError as error:
            return partial(session.transport_failed, connect, error.failure)
        kind = FailureKind.CUT if action is NEED_DATA else FailureKind.NOT_SENT
        return partial(session.transport_failed, connect, Failure(kind, "the connection is already closed"))

    async def leave(self) -> None:
        """Do nothing: a `WireSession` asks for a `Close` when it wants one."""

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection, self._connect = self._connection, None, None
        if connection is not None:
            await connection.aclose()
