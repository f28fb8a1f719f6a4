"""TCP on asyncio for replies that arrive event by event, with fewer system calls than anyio's own stream.

anyio's stream pauses its socket after each read and resumes it for the next one, which costs two system calls. This
stream listens as long as it has room. A cancel scope for each read arms and disarms a timer; here one timer serves
many reads.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

from ._streams import StreamAttribute, WaitEnded

#: The most that one read takes. For `asyncio.Protocol` asyncio allocates 256 KiB each time, by system calls.
_READ_SIZE = 16 * 1024
#: Unread bytes at which a stream stops listening to its socket.
_ROOM = 64 * 1024


class AsyncioStream(ByteStream, asyncio.BufferedProtocol):
    """A TCP connection; made by `open_stream`.

    Attributes:
        deadline: the time, by the loop's clock, at which `receive` raises `WaitEnded`. It may be changed between reads
            at almost no cost.
    """

    def __init__(self) -> None:
        self.deadline = math.inf
        self._loop = asyncio.get_running_loop()
        self._unread = b""
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._listening = self._writable = True
        self._ended = self._closed = False
        self._error: Exception | None = None

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)  # `send` returns when the bytes have left this process

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return a new buffer, so that a stream that waits has none."""
        self._buffer = bytearray(_READ_SIZE)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Store the bytes that arrived."""
        self._unread += memoryview(self._buffer)[:nbytes]
        del self._buffer
        if len(self._unread) >= _ROOM:
            self._listening = False
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool:
        """Note the end of the peer's bytes; writing goes on."""
        self._ended = True
        self._wake_all()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the connection."""
        self._ended = self._writable = True
        self._error = exc
        self._wake_all()

    def pause_writing(self) -> None:
        """Note that bytes are left to write."""
        self._writable = False

    def resume_writing(self) -> None:
        """Note that everything is written."""
        self._writable = True
        _wake(self._writer)

    # Called by anyio

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The socket, and the stream itself."""
        return {
            SocketAttribute.raw_socket: lambda: self._transport.get_extra_info("socket"),
            StreamAttribute.own: lambda: self,
        }

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Read the bytes that are there, waiting for the first; see `anyio.abc.ByteReceiveStream`.

        Raises:
            WaitEnded: nothing arrived until `deadline`, or until `end_wait` was called.
        """
        if self._reader is not None:
            raise anyio.BusyResourceError("reading from")
        if self._unread or self._ended or self._closed:
            await anyio.lowlevel.checkpoint()
        else:
            self._reader = self._waiter()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._unread
        if not data or self._closed:
            self._check_open()
            raise anyio.EndOfStream if self._ended else WaitEnded
        self._unread = b""
        if len(data) > max_bytes:
            data, self._unread = data[:max_bytes], data[max_bytes:]
        if not self._listening and len(self._unread) < _ROOM:
            self._listening = True
            self._transport.resume_reading()
        return data

    async def send(self, item: bytes) -> None:
        """Write all of the bytes; see `anyio.abc.ByteSendStream`.

        Raises:
            WaitEnded: see `receive`.
        """
        if self._writer is not None:
            raise anyio.BusyResourceError("writing to")
        await anyio.lowlevel.checkpoint()
        self._check_open()
        if self._transport.is_closing():
            raise anyio.BrokenResourceError
        self._transport.write(item)
        if not self._writable:
            self._writer = self._waiter()
            try:
                await self._writer
            finally:
                self._writer = None
            self._check_open()
            if not self._writable:
                raise WaitEnded

    async def send_eof(self) -> None:
        """Close the connection for writing."""
        self._check_open()
        self._transport.write_eof()

    async def aclose(self) -> None:
        """Close the connection at once. Tasks that wait for it get `anyio.ClosedResourceError`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        self._wake_all()
        await anyio.lowlevel.checkpoint()

    @property
    def has_said_something(self) -> bool:
        """Whether there are unread bytes, or the peer has ended the connection."""
        return bool(self._unread) or self._ended

    def cancel(self) -> None:
        """Have `receive` and `send` raise `WaitEnded` until the deadline is set anew."""
        self.deadline = -math.inf
        self._wake_all()

    def _check_open(self) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        if self._error is not None:
            raise anyio.BrokenResourceError from self._error

    def _wake_all(self) -> None:
        _wake(self._reader)
        _wake(self._writer)

    def _waiter(self) -> asyncio.Future[None]:
        if self.deadline < self._timer_at:
            self._arm()
        return self._loop.create_future()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = max(self.deadline, 0.0)
        self._timer = self._loop.call_at(self._timer_at, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        """End the wait if its time is up; otherwise the deadline has moved since the timer was armed."""
        self._timer, self._timer_at = None, math.inf
        if self._loop.time() >= self.deadline:
            self._wake_all()
        elif self.deadline < math.inf:
            self._arm()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def open_stream(host: str, port: int) -> AsyncioStream:
    """Connect to an address over TCP.

    Args:
        host: an IPv4 or IPv6 address.
        port: the port.

    Returns:
        The stream.

    Raises:
        OSError: it could not be reached.
    """
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_connection(AsyncioStream, host, port, flags=socket.AI_NUMERICHOST)
    return stream
