"""`SocketStream`: a socket as an anyio stream, without a buffer or a loop of its own."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

READ_SIZE = 64 * 1024
#: The system's ``struct linger`` for SO_LINGER: on, for no time. With it, closing a socket resets the connection.
NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class SocketStream(ByteStream):
    """A stream that buffers nothing: unsent and unread bytes stay in the kernel, which bounds them.

    It belongs to no event loop: closing the socket closes the stream, at any time and from anywhere.

    Args:
        raw: the socket, in non-blocking mode.
    """

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The socket."""
        return {SocketAttribute.raw_socket: lambda: self._raw}

    async def receive(self, max_bytes: int = READ_SIZE) -> bytes:
        """Read the bytes that are there, waiting for the first."""
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                data = self._raw.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self._raw)
            except OSError as error:
                raise anyio.BrokenResourceError from error
            else:
                if not data:
                    raise anyio.EndOfStream
                return data

    async def send(self, item: bytes) -> None:
        """Send all of the bytes."""
        await anyio.lowlevel.checkpoint()
        rest = memoryview(item)
        while rest:
            try:
                rest = rest[self._raw.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._raw)
            except OSError as error:
                raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """Close the connection for writing."""
        try:
            self._raw.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise anyio.BrokenResourceError from error

    async def aclose(self) -> None:
        """Close the socket."""
        self._raw.close()
