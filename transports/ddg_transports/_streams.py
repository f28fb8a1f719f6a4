"""Connections on anyio's streams: ways to make one, what is done with it, and a `WireSession` that drives it."""

from __future__ import annotations

import os
import selectors
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from ddg_protocol import NEED_DATA, Failure, FailureKind, TransportError
from ddg_protocol.wire import Close, Connect, Send, WireSession

from ._client import Action, Tell
from ._scope import Scope, StreamAttribute
from .transport import transport_error

AsyncConnector = Callable[[Connect], Awaitable[ByteStream]]
"""Gives a stream that is connected to where the intent says. What it raises as an OSError is understood."""


async def tcp(connect: Connect) -> ByteStream:
    """Connect over TCP: the way it is done when nothing else is said.

    Args:
        connect: where to. Each address of a name is tried.

    Returns:
        The stream.

    Raises:
        OSError: none of the addresses could be reached.
    """
    if on_asyncio():
        from ._asyncio import open_stream

        return await open_stream(connect)
    return await anyio.connect_tcp(connect.host, connect.port)


def on_asyncio() -> bool:
    """Tell whether the running task is one of asyncio's, without importing it."""
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio is not None and asyncio.current_task() is not None
    except RuntimeError:
        return False


def loop_clock() -> Callable[[], float]:
    """Give the clock of the running loop, if one runs: `anyio.current_time` looks for it with each call."""
    if on_asyncio():
        import asyncio

        return asyncio.get_running_loop().time
    return anyio.current_time


def unix(path: str | os.PathLike[str]) -> AsyncConnector:
    """Connect to a unix socket, whatever the profile's address is: ``AsyncClient(connect=unix("/run/duck.sock"))``.

    Args:
        path: of the socket.

    Returns:
        What `anyio.AsyncClient` takes as ``connect``.
    """

    async def connect_unix(_: Connect) -> ByteStream:
        return await anyio.connect_unix(path)

    return connect_unix


def connected(opened: ByteStream) -> AsyncConnector:
    """Use a stream that is connected already, once: ``AsyncClient(connect=connected(opened))``, for one chat.

    Args:
        opened: the stream. It belongs to the client from the moment it is used.

    Returns:
        What `anyio.AsyncClient` takes as ``connect``; a second connection is refused.
    """
    unused = [opened]

    async def take(_: Connect) -> ByteStream:
        if not unused:
            raise OSError("the connected stream that was given has been used up")
        return unused.pop()

    return take


class Connection:
    """A connection, plain or TLS. Its waits are cancelled by whoever bounds them.

    Args:
        stream: to speak over.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._read_scope: Scope | None = getattr(stream, "read_scope", None)  # `_asyncio.AsyncioStream` has its own

    @classmethod
    async def make(cls, connect: Connect, connector: AsyncConnector, context: ssl.SSLContext | None) -> Connection:
        """Connect.

        Args:
            connect: where to, whether it is TLS, and in what time.
            connector: gives the stream.
            context: for TLS; None for a plain connection.

        Raises:
            TransportError: it could not be made.
        """
        try:
            with anyio.fail_after(connect.timeout):
                stream = await connector(connect)
                try:
                    if context is not None:
                        stream = await TLSStream.wrap(stream, hostname=connect.host, ssl_context=context)
                except BaseException:
                    await anyio.aclose_forcefully(stream)
                    raise
        except (OSError, ValueError, anyio.BrokenResourceError) as error:
            # ValueError: no name that could be resolved, or certified
            raise _mapped(error, f"connecting to {connect.host}:{connect.port}", FailureKind.NOT_SENT) from error
        return cls(stream)

    async def write(self, data: bytes) -> bytes:
        """Write all of it.

        Returns:
            Nothing; or, where the peer took no more of it and went away, what it had said by then.

        Raises:
            TransportError: the connection broke.
        """
        try:
            await self._stream.send(data)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            with suppress(TransportError):
                if answer := await self.read():
                    return answer
            raise _mapped(error, "sending", FailureKind.CUT) from error
        return b""

    async def read(self) -> bytes:
        """Read what there is; nothing at the end.

        Raises:
            TransportError: the connection broke.
        """
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            return b""
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise _mapped(error, "reading", FailureKind.CUT) from error

    def read_scope(self, deadline: float) -> Scope:
        """Give what is entered around the next `read`, to bound it."""
        scope = anyio.CancelScope() if self._read_scope is None else self._read_scope
        scope.deadline = deadline
        return scope

    def check_idle(self) -> None:
        """See that a kept connection has not ended, and has nothing to read that nobody asked for.

        Raises:
            TransportError: it has; nothing should be sent over it any more.
        """
        if _has_said_something(self._stream):
            text = "the connection was closed while it was idle"
            raise TransportError(text, failure=Failure(FailureKind.NOT_SENT, text))

    async def aclose(self) -> None:
        """Close it, without a goodbye: nobody waits for one."""
        await anyio.aclose_forcefully(self._stream)


def _has_said_something(stream: ByteStream) -> bool:
    """Tell whether there is anything to read, or was; not where that shows only when it is used."""
    raw, tls = stream.extra(SocketAttribute.raw_socket, None), stream.extra(TLSAttribute.ssl_object, None)
    if raw is not None:
        if raw.fileno() < 0 or stream.extra(StreamAttribute.unread, 0):
            return True  # it has ended, and the loop knew before anyone read
        with selectors.DefaultSelector() as selector:
            selector.register(raw, selectors.EVENT_READ)
            if selector.select(0):
                return True
    if tls is not None:
        try:  # what came with the last answer is not in the socket any more
            tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except OSError:
            pass
        return True
    return False


def _mapped(error: Exception, doing: str, otherwise: FailureKind) -> TransportError:
    """Say what an exception means; anyio keeps the one that says most as the cause of its own."""
    cause = error.__cause__
    return transport_error(cause if isinstance(cause, OSError) else error, doing, otherwise)


class AsyncWireLine:
    """Carries out what a `WireSession` asks, on a connection of its own.

    Args:
        session: what asks.
        connector: gives the streams.
        context: gives the context for TLS.
    """

    def __init__(self, session: WireSession, connector: AsyncConnector, context: Callable[[], ssl.SSLContext]) -> None:
        self.session = session
        self._connector = connector
        self._context = context
        self._connect: Connect | None = None
        self._connection: Connection | None = None

    def scope(self, action: Action, deadline: float) -> Scope:
        """Give what is entered around an action that is carried out, to bound it."""
        if action is NEED_DATA and self._connection is not None:
            return self._connection.read_scope(deadline)
        return anyio.CancelScope(deadline=deadline)

    async def carry_out(self, action: Action) -> Tell:
        """Connect, send, read or close; what the session is to be told of it."""
        session = self.session
        if type(action) is Close:
            await self.aclose()
            return partial(session.closed, action)
        if type(action) is Connect:
            await self.aclose()  # there is one still where its `Close` was interrupted
            self._connect = action
        connect, connection = self._connect, self._connection
        assert connect is not None, "nothing is sent or read before a connection is asked for"
        try:
            if action is NEED_DATA and connection is not None:
                data = await connection.read()
                return partial(session.receive_bytes, connect, data) if data else partial(session.receive_eof, connect)
            if type(action) is Connect:
                context = self._context() if action.tls else None
                made = await Connection.make(action, self._connector, context)
                if self._connect is not action:  # it was left meanwhile, by another task
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
        return partial(session.transport_failed, connect, Failure(kind, "the connection is not at hand any more"))

    async def leave(self) -> None:
        """Do nothing: this session asks for a `Close` where it wants one."""

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection, self._connect = self._connection, None, None
        if connection is not None:
            await connection.aclose()
