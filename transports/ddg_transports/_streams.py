"""Connections on anyio's streams: ways to make one, and its calls."""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio import TypedAttributeSet, typed_attribute
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from ddg_protocol import Failure, FailureKind, TransportError
from ddg_protocol.wire import Connect

from ._happy_eyeballs import Open, race
from .transport import transport_error

if TYPE_CHECKING:
    from ._asyncio_stream import AsyncioStream

AsyncConnector = Callable[[Connect], Awaitable[ByteStream]]
"""Returns a stream connected to the intent's address. An OSError means that it failed."""


class WaitEnded(Exception):
    """A wait of the stream ended without a result: its time is up, or another task ended it."""


class StreamAttribute(TypedAttributeSet):
    """An attribute of the stream in addition to anyio's, visible through TLS too.

    Attributes:
        own: the stream itself.
    """

    own: AsyncioStream = typed_attribute()


async def tcp(connect: Connect) -> ByteStream:
    """Connect over TCP; the default of `anyio.AsyncClient`.

    Args:
        connect: the address. If a name has several, attempts to connect to them race (Happy Eyeballs, RFC 8305).

    Returns:
        The stream.

    Raises:
        OSError: none of the addresses could be reached.
    """
    open_stream: Open = anyio.connect_tcp
    if on_asyncio():
        from ._asyncio_stream import open_stream
    return await race(await anyio.getaddrinfo(connect.host, connect.port, type=socket.SOCK_STREAM), open_stream)


def on_asyncio() -> bool:
    """Return whether the running task is an asyncio task, without importing asyncio."""
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio is not None and asyncio.current_task() is not None
    except RuntimeError:
        return False


def loop_clock() -> Callable[[], float]:
    """Return the clock of the running asyncio loop, or `anyio.current_time`, which looks the loop up in each call."""
    if on_asyncio():
        import asyncio

        return asyncio.get_running_loop().time
    return anyio.current_time


def unix(path: str | os.PathLike[str]) -> AsyncConnector:
    """Connect to a unix socket, whatever the profile's address is: ``AsyncClient(connect=unix("/run/duck.sock"))``.

    Args:
        path: the socket's path.

    Returns:
        A connector for the ``connect`` argument of `anyio.AsyncClient`.
    """

    async def connect_unix(_: Connect) -> ByteStream:
        if sys.platform == "win32":
            raise OSError("Python has no unix sockets on Windows")
        return await anyio.connect_unix(path)

    return connect_unix


def connected(opened: ByteStream) -> AsyncConnector:
    """Use a connected stream, once: ``AsyncClient(connect=connected(opened))``, for one chat.

    Args:
        opened: the stream. It belongs to the client as soon as it is used.

    Returns:
        A connector for the ``connect`` argument of `anyio.AsyncClient`; it refuses a second connection.
    """
    unused = [opened]

    async def take(_: Connect) -> ByteStream:
        if not unused:
            raise OSError("the connected stream has already been used")
        return unused.pop()

    return take


class Connection:
    """A connection, plain or TLS. The caller bounds its waits by cancelling them.

    Args:
        stream: carries the bytes.

    Attributes:
        own: the stream on asyncio, below TLS, that bounds its own waits; None for any other.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.own = stream.extra(StreamAttribute.own, None)

    @classmethod
    async def make(cls, connect: Connect, connector: AsyncConnector, context: ssl.SSLContext | None) -> Connection:
        """Connect.

        Args:
            connect: the address, whether to use TLS, and the timeout.
            connector: returns the stream.
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
            # ValueError: not a valid host name
            raise _mapped(error, f"connecting to {connect.host}:{connect.port}", FailureKind.NOT_SENT) from error
        return cls(stream)

    async def write(self, data: bytes) -> bytes:
        """Write all of the data.

        Returns:
            Empty bytes; or the bytes that the peer had sent, if it closed the connection before it read everything.

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
        """Read the bytes that are there, waiting for the first; empty at the end.

        Raises:
            TransportError: the connection broke.
        """
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            return b""
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise _mapped(error, "reading", FailureKind.CUT) from error

    def check_idle(self) -> None:
        """Check that a kept connection is open and has no unread bytes.

        Raises:
            TransportError: the connection should not be used for another request.
        """
        if has_said_something(self._stream):
            text = "the connection was closed while it was idle"
            raise TransportError(text, failure=Failure(FailureKind.NOT_SENT, text))

    async def aclose(self) -> None:
        """Close the connection, without TLS's close_notify: the peer does not wait for it."""
        await anyio.aclose_forcefully(self._stream)


def has_said_something(stream: ByteStream) -> bool:
    """Return whether a stream has ended or has unread bytes, as far as its attributes show it."""
    own, raw = stream.extra(StreamAttribute.own, None), stream.extra(SocketAttribute.raw_socket, None)
    tls = stream.extra(TLSAttribute.ssl_object, None)
    if own is not None and own.has_said_something:
        return True
    if raw is not None:
        if raw.fileno() < 0:
            return True  # the loop has closed it
        with selectors.DefaultSelector() as selector:
            selector.register(raw, selectors.EVENT_READ)
            if selector.select(0):
                return True
    return tls is not None and holds_more(tls)


def holds_more(tls: ssl.SSLObject) -> bool:
    """Return whether TLS in memory holds unread bytes, or an unread end. This consumes a byte."""
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return False
    except (OSError, ValueError):
        pass
    return True


def _mapped(error: Exception, doing: str, otherwise: FailureKind) -> TransportError:
    """Convert an exception to a `TransportError`; the cause of an anyio exception has the details."""
    cause = error.__cause__
    return transport_error(cause if isinstance(cause, OSError) else error, doing, otherwise)
