"""TCP on asyncio for replies that arrive event by event, with fewer system calls than anyio's own stream.

anyio's stream pauses its socket after each read and resumes it for the next one, which costs two system calls. This
stream listens as long as its buffer has room. asyncio itself allocates 256 KiB for each read, while an event takes 200
bytes; depending on the shape of the heap this costs up to three more system calls for each event. Here all streams of a
loop read into the same 64 KiB, and copy the bytes that arrived.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

from ddg_protocol.wire import Connect

from ._scope import StreamAttribute
from ._waits import ReadScope, Waiter

#: Unread bytes at which a stream stops listening to its socket.
_ROOM = 64 * 1024
#: The read buffer of each loop. Streams use it one at a time: each copies its bytes before another one reads.
_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


class AsyncioStream(ByteStream, asyncio.BufferedProtocol):
    """A TCP connection; made by `open_stream`.

    Attributes:
        read_scope: bounds its reads in time.
    """

    def __init__(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._buffer = _buffers.get(loop) or _buffers.setdefault(loop, memoryview(bytearray(_ROOM)))
        self._unread = b""
        self._reading = self._writing = False  # by a task
        self._listening = self._writable = True
        self._ended = self._closed = False
        self._error: Exception | None = None
        self._reader = Waiter(loop)
        self._writer = Waiter(loop)
        self.read_scope = ReadScope(loop, self._reader)

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)  # `send` returns when the bytes have left this process

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Store the bytes that arrived."""
        data = bytes(self._buffer[:nbytes])
        self._unread = self._unread + data if self._unread else data
        if len(self._unread) > _ROOM:
            self._listening = False
            self._transport.pause_reading()
        self._reader.run()

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
        self._writer.wake()

    def _wake_all(self) -> None:
        self._reader.wake()
        self._writer.wake()

    # Called by anyio

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The socket and the number of unread bytes; they show whether a kept connection has ended."""
        return {
            SocketAttribute.raw_socket: lambda: self._transport.get_extra_info("socket"),
            StreamAttribute.unread: lambda: len(self._unread),
        }

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Read the bytes that are there, waiting for the first; see `anyio.abc.ByteReceiveStream`."""
        if self._reading:
            raise anyio.BusyResourceError("reading from")
        if self._unread or self._ended or self._closed:
            await anyio.lowlevel.checkpoint()
        else:
            self._reading = True
            try:
                await self._reader
            finally:
                self._reading = False
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
        """Write all of the bytes; see `anyio.abc.ByteSendStream`."""
        if self._writing:
            raise anyio.BusyResourceError("writing to")
        await anyio.lowlevel.checkpoint()
        self._check_open()
        if self._transport.is_closing():
            raise anyio.BrokenResourceError
        self._transport.write(item)
        if not self._writable:
            self._writing = True
            try:
                await self._writer
            finally:
                self._writing = False
            self._check_open()

    async def send_eof(self) -> None:
        """Close the connection for writing."""
        self._check_open()
        self._transport.write_eof()

    async def aclose(self) -> None:
        """Close the connection at once. Tasks that wait for it get `anyio.ClosedResourceError`."""
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


async def open_stream(connect: Connect) -> AsyncioStream:
    """Connect over TCP.

    Args:
        connect: the address. Each address of a name is tried, with its share of the time left after resolving.

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
            # asyncio's own race of addresses (happy eyeballs) leaks a socket when it is cancelled at the wrong moment.
            with anyio.fail_after(max(0.001, (until - loop.time()) / (len(addresses) - number + 1))):
                _, stream = await loop.create_connection(
                    AsyncioStream, *address[:2], family=family, proto=protocol, flags=socket.AI_NUMERICHOST
                )
                return stream
        except OSError:
            if number == len(addresses):
                raise
    raise OSError("the name has no address")
