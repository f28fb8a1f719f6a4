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
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol, TypeVar

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from ddg_protocol.wire import Connect

from . import _sockets, _streams
from ._streams import has_said_something, holds_more
from ._waits import SLICE

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
        until: when blocking waits end, on the clock of `time.monotonic`.
        guard: held while a socket is shut down or closed, so that these never coincide.
    """

    library: Any
    stream: Any
    until: float
    guard: threading.RLock

    def goes_out(self) -> None:
        """Note that the connection is made, through the proxy if there is one, and the request goes out now."""


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

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the bytes that are there, waiting for the first; empty at the end."""
        if self._held:
            return self._take_held()
        try:
            until = self._owner.until if timeout is None else self._until(timeout)
            return self._hold_back(self._receive(max_bytes, until))
        except OSError as error:
            raise self._failed(error, self._library.ReadTimeout, self._library.ReadError) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of the buffer."""
        if not buffer:  # the end of a request
            return
        self._about_to_write(buffer)
        try:
            self._send(buffer, self._until(timeout))
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

    def abort(self) -> None:
        """End the waits of another thread: they fail, or read the end. The caller holds the owner's guard."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket, and with it the streams that carry this one."""
        with self._owner.guard:
            self._socket.close()

    def _until(self, timeout: float | None) -> float:
        until = self._owner.until
        return until if timeout is None else min(until, time.monotonic() + timeout)

    def _receive(self, max_bytes: int, until: float) -> bytes:
        while True:
            # So the socket's timeout need not be set for each read.
            if until - time.monotonic() < SLICE or self._socket.gettimeout() != SLICE:
                self._socket.settimeout(_left(until, SLICE))
            try:
                return self._socket.recv(max_bytes)
            except TimeoutError:
                pass

    def _send(self, data: bytes, until: float) -> None:
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(_left(until, SLICE))
            with suppress(TimeoutError):
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
        self._run(self._tls.do_handshake, self._owner.until)

    def _receive(self, max_bytes: int, until: float) -> bytes:
        return self._run(partial(self._tls.read, max_bytes), until)

    def _send(self, data: bytes, until: float) -> None:
        self._run(partial(self._tls.write, data), until)

    def _run(self, call: Callable[[], _ResultT], until: float) -> _ResultT:
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                self._flush(until)
            else:
                self._flush(until)
                return result
            if data := self._outer._receive(_READ_SIZE, until):
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _flush(self, until: float) -> None:
        if data := self._outgoing.read():
            self._outer._send(data, until)

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

        def connect(left: float) -> socket.socket:
            if local_address is None:
                return _sockets.tcp(_to(host, port, left))
            return socket.create_connection((host, port), left, (local_address, 0))

        return self._connect(connect, socket_options)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> BlockingStream:
        """Connect to a unix socket."""
        return self._connect(lambda left: _sockets.unix(path)(_to("", 0, left)), socket_options)

    def sleep(self, seconds: float) -> None:
        """Sleep between two attempts to connect."""
        time.sleep(_left(OWNER.get().until, seconds))

    def _connect(
        self, connect: Callable[[float], socket.socket], socket_options: Iterable[Any] | None
    ) -> BlockingStream:
        owner = OWNER.get()
        opened: socket.socket | None = None
        try:
            with making(owner.library):
                opened = connect(_left(owner.until))
                for option in socket_options or ():
                    opened.setsockopt(*option)
            return BlockingStream(opened, owner)
        except BaseException:
            if opened is not None:
                opened.close()
            raise


def _left(until: float, at_most: float = 1e6) -> float:
    # More seconds than that a socket doesn't accept.
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return min(left, at_most)


def _to(host: str, port: int, timeout: float) -> Connect:
    return Connect(id=0, host=host, port=port, tls=False, timeout=timeout)


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
        if local_address is None:
            connecting = _streams.tcp(_to(host, port, math.inf if timeout is None else timeout))
            return await self._connect(connecting, socket_options)
        return await self._connect(anyio.connect_tcp(host, port, local_host=local_address), socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> AsyncStream:
        """Connect to a unix socket."""
        return await self._connect(_streams.unix(path)(_to("", 0, math.inf)), socket_options)

    async def sleep(self, seconds: float) -> None:
        """Sleep between two attempts to connect."""
        await anyio.sleep(seconds)

    async def _connect(self, connecting: Awaitable[ByteStream], socket_options: Iterable[Any] | None) -> AsyncStream:
        owner = OWNER.get()
        with making(owner.library):
            stream = await connecting
            try:
                for option in socket_options or ():
                    stream.extra(SocketAttribute.raw_socket).setsockopt(*option)
            except OSError:
                await anyio.aclose_forcefully(stream)
                raise
        return AsyncStream(stream, owner)
