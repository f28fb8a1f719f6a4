"""`SocketStream`: a socket as a stream of anyio's, and nothing but the socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

READ_SIZE = 64 * 1024


class SocketStream(ByteStream):
    """What isn't sent yet, or isn't read yet, stays with the system, which has bounds for it.

    It belongs to no event loop: closing the socket closes all there is of it, whenever and from wherever that is done.

    Args:
        raw: the socket; it doesn't block.
    """

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Give the socket to who asks for it."""
        return {SocketAttribute.raw_socket: lambda: self._raw}

    async def receive(self, max_bytes: int = READ_SIZE) -> bytes:
        """Wait for bytes, and give those there are."""
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
        """Send all of it."""
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
        """Say that nothing more is sent."""
        try:
            self._raw.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise anyio.BrokenResourceError from error

    async def aclose(self) -> None:
        """Close the socket."""
        self._raw.close()
