"""TCP on asyncio for replies that come event by event: what anyio's own stream does once a read, this one does once.

anyio's stream stops listening to its socket after each read and begins again with the next one, which takes two calls
of the system; and a cancel scope with a deadline arms a timer for each read and disarms it. Here the socket is listened
to as long as there is room, and one timer is moved on. Asyncio's own way to read asks for 256 KiB each time, of which
an event takes 200 bytes: with a heap of one shape these are three more calls of the system for each event, with
another none. Here all streams of a loop read into the same 64 KiB, and keep what came.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, cast
from weakref import WeakKeyDictionary

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

from ddg_protocol.wire import Connect

from ._scope import StreamAttribute

#: Bytes that may have come and not been read before the socket is left alone.
_ROOM = 64 * 1024


#: What the streams of a loop read into: one at a time, and each takes what came before another one reads.
_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


class AsyncioStream(ByteStream, asyncio.BufferedProtocol):
    """A TCP connection; made by `open_stream`.

    Attributes:
        reader: what a task that reads waits for.
        writer: what a task that writes waits for.
        read_scope: bounds its reads in time.
    """

    def __init__(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._buffer = _buffers.get(loop) or _buffers.setdefault(loop, memoryview(bytearray(_ROOM)))
        self._unread = b""
        self.writer: asyncio.Future[None] | None = None
        self._listening = self._writable = True
        self._ended = self._closed = False
        self._error: Exception | None = None
        self.reader: asyncio.Future[None] | None = None
        self.read_scope = ReadScope(self)

    # What asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)  # what was sent has left this process

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give what to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what came."""
        data = bytes(self._buffer[:nbytes])
        self._unread = self._unread + data if self._unread else data
        _wake(self.reader)
        if len(self._unread) > _ROOM:
            self._listening = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note the end; what is being written goes on."""
        self._ended = True
        self._wake_all()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of both sides."""
        self._ended = self._writable = True
        self._error = exc
        self._wake_all()

    def pause_writing(self) -> None:
        """Note that not all was written yet."""
        self._writable = False

    def resume_writing(self) -> None:
        """Note that all was written."""
        self._writable = True
        _wake(self.writer)

    def _wake_all(self) -> None:
        _wake(self.reader)
        _wake(self.writer)

    # What anyio asks

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The socket and what came of it, for who looks whether a kept connection has ended; the scope for reads."""
        return {
            SocketAttribute.raw_socket: lambda: self._transport.get_extra_info("socket"),
            StreamAttribute.unread: lambda: len(self._unread),
            StreamAttribute.read_scope: lambda: self.read_scope,
        }

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Read what there is, waiting for the first of it; see `anyio.abc.ByteReceiveStream`."""
        if self.reader is not None:
            raise anyio.BusyResourceError("reading from")
        if self._unread or self._ended or self._closed:
            await anyio.lowlevel.checkpoint()
        else:
            self.reader = self._loop.create_future()
            try:
                await self.reader
            finally:
                self.reader = None
        data = self._unread
        if data and not self._closed:
            self._unread = b""
            if len(data) > max_bytes:
                data, self._unread = data[:max_bytes], data[max_bytes:]
            if not self._listening and len(self._unread) <= _ROOM:
                self._listening = True
                self._transport.resume_reading()
            return data
        self._check_open()
        raise anyio.EndOfStream

    async def send(self, item: bytes) -> None:
        """Write all of it; see `anyio.abc.ByteSendStream`."""
        if self.writer is not None:
            raise anyio.BusyResourceError("writing to")
        await anyio.lowlevel.checkpoint()
        self._check_open()
        if self._transport.is_closing():
            raise anyio.BrokenResourceError
        self._transport.write(item)
        if not self._writable:
            self.writer = self._loop.create_future()
            try:
                await self.writer
            finally:
                self.writer = None
            self._check_open()

    async def send_eof(self) -> None:
        """End what is written."""
        self._check_open()
        self._transport.write_eof()

    async def aclose(self) -> None:
        """Close it at once; what waits for it is told."""
        self._closed = True
        self.read_scope.stop()
        self._transport.abort()
        self._wake_all()
        await anyio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        if self._error is not None:
            raise anyio.BrokenResourceError from self._error


class ReadScope:
    """Bounds the reads of a stream, one after the other, as a cancel scope with a deadline would bound each.

    Nothing but `AsyncioStream.receive` may be awaited in it, or the ``receive`` of TLS over it. Its timer is not armed
    for each read: when it goes off it looks whether the deadline was moved on meanwhile.

    Args:
        stream: what is read.

    Attributes:
        deadline: the latest time for the read, by the loop's clock; set before the scope is entered.
    """

    def __init__(self, stream: AsyncioStream) -> None:
        self.deadline = 0.0
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        timer = self._timer
        if timer is None or timer.when() > self.deadline:
            self.stop()
            self._timer = self._loop.call_at(self.deadline, self._look_at_the_clock)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return exc_type is _GivenUp

    def cancel(self) -> None:
        """Let the read end without a result, if it still waits for one, or for what TLS has to send for it."""
        for waiting in (self._stream.reader, self._stream.writer):
            if waiting is not None and not waiting.done():
                waiting.set_exception(_GivenUp())

    def stop(self) -> None:
        """Forget the deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if self._loop.time() >= self.deadline:
            self.cancel()
        elif self._stream.reader is not None or self._stream.writer is not None:  # else the next read arms it
            self._timer = self._loop.call_at(self.deadline, self._look_at_the_clock)


class _GivenUp(Exception):
    """Ends a read from outside of its task."""


async def open_stream(connect: Connect) -> AsyncioStream:
    """Connect over TCP.

    Args:
        connect: where to. Each address of a name is tried, and gets its share of the time that resolving it left.

    Returns:
        The stream.

    Raises:
        OSError: none of the addresses could be reached.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + connect.timeout
    addresses = await anyio.getaddrinfo(connect.host, connect.port, type=socket.SOCK_STREAM)
    for number, (family, _, protocol, _, address) in enumerate(addresses, 1):
        try:
            # Not by asyncio's own race of addresses: it loses the socket where it is cancelled at the wrong moment.
            with anyio.fail_after(max(0.001, (until - loop.time()) / (len(addresses) - number + 1))):
                _, stream = await loop.create_connection(
                    AsyncioStream, *address[:2], family=family, proto=protocol, flags=socket.AI_NUMERICHOST
                )
                return stream
        except OSError:
            if number == len(addresses):
                raise
    raise OSError("the name has no address")


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
