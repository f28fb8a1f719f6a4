"""Network backends for httpcore, blocking and async: they bound the waits and see the bytes.

A reader that gets a whole chunk can hide bytes that follow a response, and take them for the next response. So a stream
holds back the last byte of each chunk until the reader asks for more. If it still holds a byte when the response is
complete, nobody requested that byte: the connection counts as readable, and can't be used again.
"""

from __future__ import annotations

import math
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol, TypeVar

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from ddg_protocol.wire import Connect

from . import _sockets
from ._streams import has_said_something, holds_more, tcp

_READ_SIZE = 64 * 1024
#: How a message to a proxy begins: a greeting, credentials or a request of SOCKS5 (RFC 1928 and 1929), or a request for
#: a tunnel (RFC 9110, 9.3.6). Whatever else is written is the request, and the connection is made. Nothing else says so
#: but trace events, which may differ between versions (seen in httpcore 1.0.9 and httpcore2 2.16.2).
_TO_A_PROXY = (b"\5", b"\1", b"CONNECT ")
_TO_HTTP_2 = b"PRI * HTTP/2.0"  # RFC 9113, 3.4

_BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)

_ResultT = TypeVar("_ResultT")


class Owner(Protocol):
    """The connection that streams are made for.

    Attributes:
        library: httpcore or httpcore2.
        stream: the newest stream; closing it closes those under it.
    """

    library: Any
    stream: Any

    def goes_out(self) -> None:
        """Note that the connection is made, through the proxy if there is one, and the request goes out now."""

    def left(self, timeout: float | None = None) -> float:
        """Return the seconds that a blocking wait may take, at most the given ones.

        Raises:
            TimeoutError: none are left.
        """


OWNER: ContextVar[Owner] = ContextVar("OWNER")
"""The connection that is being made in this thread or task."""


class Stream:
    """The code that the blocking and the async stream share.

    Args:
        owner: the connection that the stream is made for.
        outer: the stream that carries it, for one that speaks TLS.
    """

    def __init__(self, owner: Owner, outer: Any = None) -> None:
        self._owner = owner
        self._library = owner.library
        self._outer: Any = outer
        self._tls: Any = None
        self._negotiates = True  # with a proxy, perhaps
        self._holds_back = False  # while it negotiates: the library reads whole messages of SOCKS
        self._held = b""
        self._may_hide_more = False  # nothing of the last chunk was held back
        owner.stream = self

    def get_extra_info(self, info: str) -> Any:
        """Return the TLS object: the library looks up the protocol that was negotiated."""
        return self._tls if info == "ssl_object" else None

    def is_readable(self) -> bool:
        """Return whether there is anything left to read, or the end. If so, the stream may be of no further use."""
        if self._held or self._may_hide_more or self._has_more():
            return True
        return self._outer is not None and self._outer.is_readable()

    def _has_more(self) -> bool:
        raise NotImplementedError

    def _failed(self, error: Exception, timeout: Any, otherwise: Any) -> Any:
        return (timeout if isinstance(error, TimeoutError) else otherwise)(str(error))

    def _about_to_write(self, data: bytes) -> None:
        if self._negotiates:
            if data.startswith(_TO_A_PROXY):
                return
            self._negotiates = False
            self._holds_back = not data.startswith(_TO_HTTP_2)  # which itself rejects unrequested bytes
        self._owner.goes_out()

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _hold_back(self, data: bytes) -> bytes:
        if not self._holds_back:
            return data
        # Chunks of an event stream end like this, and responses hardly ever do: spare them the second read.
        self._may_hide_more = data.endswith(b"\n\r\n") and not data.endswith(b"\r\n\r\n")
        if self._may_hide_more or len(data) < 2:
            return data
        self._held = data[-1:]
        return data[:-1]


@contextmanager
def making(library: Any) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise library.ConnectTimeout("timed out") from error
    except _BROKEN as error:
        raise library.ConnectError(str(error)) from error


class BlockingStream(Stream):
    """A stream whose waits end at its owner's deadline.

    Args:
        opened: the socket.
        owner: the connection that the stream is made for.
        outer: the stream that carries it, for one that speaks TLS.
    """

    def __init__(self, opened: socket.socket, owner: Owner, outer: BlockingStream | None = None) -> None:
        self._socket = opened
        super().__init__(owner, outer)
        self._timeout = 0.0  # of the socket

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the bytes that are there, waiting for the first; empty at the end."""
        if self._held:
            return self._take_held()
        try:
            return self._hold_back(self._receive(max_bytes, timeout))
        except OSError as error:
            raise self._failed(error, self._library.ReadTimeout, self._library.ReadError) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of the buffer."""
        if not buffer:  # the end of a request
            return
        self._about_to_write(buffer)
        try:
            self._send(buffer, timeout)
        except OSError as error:
            raise self._failed(error, self._library.WriteTimeout, self._library.WriteError) from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> BlockingStream:
        """Do the TLS handshake, and return the stream that speaks TLS."""
        try:
            with making(self._library):
                return _BlockingTLSStream(self, ssl_context, server_hostname)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket, and with it the streams that carry this one."""
        self._socket.close()

    def _receive(self, max_bytes: int, timeout: float | None) -> bytes:
        left = self._owner.left(timeout)
        if timeout is not None or not 1.0 <= self._timeout <= left:  # a system call for each event would be too much
            self._socket.settimeout(left)
            self._timeout = left
        try:
            return self._socket.recv(max_bytes)
        except TimeoutError:
            self._timeout = 0.0
            if timeout is not None:
                raise
        return self._receive(max_bytes, timeout)

    def _send(self, data: bytes, timeout: float | None) -> None:
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(self._owner.left(timeout))
            self._timeout = 0.0
            rest = rest[self._socket.send(rest) :]

    def _has_more(self) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            return bool(selector.select(0))


class _BlockingTLSStream(BlockingStream):
    """TLS over another stream, which may be a proxy's and speak TLS itself."""

    def __init__(self, outer: BlockingStream, context: ssl.SSLContext, hostname: str | None) -> None:
        super().__init__(outer._socket, outer._owner, outer)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._run(self._tls.do_handshake, None)

    def _receive(self, max_bytes: int, timeout: float | None) -> bytes:
        return self._run(partial(self._tls.read, max_bytes), timeout)

    def _send(self, data: bytes, timeout: float | None) -> None:
        self._run(partial(self._tls.write, data), timeout)

    def _run(self, call: Callable[[], _ResultT], timeout: float | None) -> _ResultT:
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                self._flush(timeout)
            else:
                self._flush(timeout)
                return result
            if data := self._outer._receive(_READ_SIZE, timeout):
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _flush(self, timeout: float | None) -> None:
        if data := self._outgoing.read():
            self._outer._send(data, timeout)

    def _has_more(self) -> bool:
        return holds_more(self._tls)


class BlockingNetwork:
    """The blocking network backend."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> BlockingStream:
        """Connect to the first address of a name that accepts; each gets its share of the time that is left."""
        owner = OWNER.get()
        with making(owner.library):
            if local_address is None:
                opened = _sockets.tcp(Connect(id=0, host=host, port=port, tls=False, timeout=owner.left()))
            else:
                opened = socket.create_connection((host, port), owner.left(), (local_address, 0))
        return BlockingStream(_with_options(opened, socket_options), owner)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> BlockingStream:
        """Connect to a unix socket."""
        owner = OWNER.get()
        with making(owner.library):
            opened = _sockets.unix(path)(Connect(id=0, host="", port=0, tls=False, timeout=owner.left()))
        return BlockingStream(_with_options(opened, socket_options), owner)

    def sleep(self, seconds: float) -> None:
        """Sleep between two attempts to connect."""
        time.sleep(OWNER.get().left(seconds))


def _with_options(opened: socket.socket, options: Iterable[Any] | None) -> socket.socket:
    for option in options or ():
        opened.setsockopt(*option)
    return opened


class AsyncStream(Stream):
    """A stream on asyncio and trio. The caller bounds its waits by cancelling them.

    Args:
        stream: carries the bytes.
        owner: the connection that the stream is made for.
        outer: the stream that carries it, for one that speaks TLS.
    """

    def __init__(self, stream: ByteStream, owner: Owner, outer: AsyncStream | None = None) -> None:
        super().__init__(owner, outer)
        self._stream = stream
        self._tls = stream.extra(TLSAttribute.ssl_object, None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the bytes that are there, waiting for the first; empty at the end."""
        if self._held:
            return self._take_held()
        try:
            if timeout is None:  # a scope is a fifth of an event's cost
                return self._hold_back(await self._stream.receive(max_bytes))
            with anyio.fail_after(timeout):
                return self._hold_back(await self._stream.receive(max_bytes))
        except anyio.EndOfStream:
            return b""
        except _BROKEN as error:
            raise self._failed(error, self._library.ReadTimeout, self._library.ReadError) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of the buffer."""
        if not buffer:  # the end of a request
            return
        self._about_to_write(buffer)
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(buffer)
        except _BROKEN as error:
            raise self._failed(error, self._library.WriteTimeout, self._library.WriteError) from error

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncStream:
        """Do the TLS handshake, and return the stream that speaks TLS."""
        try:
            with making(self._library):
                secure = await TLSStream.wrap(self._stream, hostname=server_hostname, ssl_context=ssl_context)
        except BaseException:
            await self.aclose()
            raise
        return AsyncStream(secure, self._owner, self)

    async def aclose(self) -> None:
        """Close the stream, without TLS's close_notify: the peer does not wait for it."""
        if self._outer is not None:
            await self._outer.aclose()
            return
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(self._stream)

    def _has_more(self) -> bool:
        return has_said_something(self._stream)


class AsyncNetwork:
    """The network backend on asyncio and trio."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncStream:
        """Connect to a host."""
        owner = OWNER.get()
        with making(owner.library):
            if local_address is None:
                limit = math.inf if timeout is None else timeout
                stream = await tcp(Connect(id=0, host=host, port=port, tls=False, timeout=limit))
            else:
                stream = await anyio.connect_tcp(host, port, local_host=local_address)
        _with_options(stream.extra(SocketAttribute.raw_socket), socket_options)
        return AsyncStream(stream, owner)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> AsyncStream:
        """Connect to a unix socket."""
        owner = OWNER.get()
        with making(owner.library):
            stream = await anyio.connect_unix(path)
        _with_options(stream.extra(SocketAttribute.raw_socket), socket_options)
        return AsyncStream(stream, owner)

    async def sleep(self, seconds: float) -> None:
        """Sleep between two attempts to connect."""
        await anyio.sleep(seconds)
