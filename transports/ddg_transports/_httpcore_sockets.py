"""Network backends for httpcore, blocking and async: they bound the waits and see the bytes.

One deadline bounds a whole blocking call, however many waits it consists of. A reader that gets a whole chunk can hide
bytes that follow a response, and take them for the next response. So a stream holds back the last byte of each chunk
until the reader asks for more. If it still holds a byte when the response is complete, nobody requested that byte: the
connection counts as readable, and can't be used again.
"""

from __future__ import annotations

import ssl
import threading
import time
from typing import Any

import anyio

from ._resolve import resolve
from ._wake import Wake

_PIECE = 16 * 1024  # bytes for each write: within one, the library gives each of its own waits the full timeout


class Clock(threading.local):
    """The deadline of each thread's waits, on the clock of `time.monotonic`."""

    until = 0.0

    def left(self) -> float:
        """Return the seconds until the deadline.

        Raises:
            TimeoutError: it has passed.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


class Stream:
    """The code that the blocking and the async stream share.

    Args:
        stream: the library's stream.

    Attributes:
        holds_back: whether the last byte of each chunk is held back. A SOCKS negotiation needs whole messages.
    """

    def __init__(self, stream: Any) -> None:
        self.holds_back = False
        self._stream = stream
        self._held = b""
        self._may_hide_more = False  # nothing of the last chunk was held back

    def get_extra_info(self, info: str) -> Any:
        """Return the library's info; ``is_readable`` also counts bytes that were read from the socket."""
        if info == "is_readable" and (
            self._held or self._may_hide_more or _holds_more(self._stream.get_extra_info("ssl_object"))
        ):
            return True
        return self._stream.get_extra_info(info)

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _hold_back(self, data: bytes) -> bytes:
        if not self.holds_back:
            return data
        # Chunks of an event stream end like this, and responses hardly ever do: spare them the second read.
        self._may_hide_more = data.endswith(b"\n\r\n") and not data.endswith(b"\r\n\r\n")
        if self._may_hide_more or len(data) < 2:
            return data
        self._held = data[-1:]
        return data[:-1]


def _holds_more(tls: object) -> bool:
    """Return whether an in-memory TLS object has unread bytes or an unread end; an `ssl.SSLSocket` holds none.

    This consumes a byte: a connection that has more is closed anyway.
    """
    if not isinstance(tls, ssl.SSLObject):
        return False
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return False
    except (ssl.SSLError, ValueError):
        pass
    return True


class BlockingStream(Stream):
    """A stream whose waits end at the clock's deadline."""

    def __init__(self, stream: Any, clock: Clock) -> None:
        super().__init__(stream)
        self._clock = clock
        self.close = stream.close

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the bytes that are there."""
        return self._take_held() or self._hold_back(self._stream.read(max_bytes, self._clock.left()))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of the buffer."""
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], self._clock.left())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> BlockingStream:
        """Do the TLS handshake, and return the stream that speaks TLS."""
        outer = self._stream.get_extra_info("socket")
        if isinstance(outer, ssl.SSLSocket):
            _bound_each_recv(outer, self._clock)
        secure = self._stream.start_tls(ssl_context, server_hostname, self._clock.left())
        # A cut must be noticed even in a body that is delimited by the end of the connection.
        secure.get_extra_info("socket").suppress_ragged_eofs = False
        return BlockingStream(secure, self._clock)


def _bound_each_recv(outer: Any, clock: Clock) -> None:
    # For TLS in TLS the library calls recv until a record is complete, each time with the full timeout.
    receive = outer.recv

    def recv(size: int) -> bytes:
        outer.settimeout(clock.left())
        data: bytes = receive(size)
        return data

    outer.recv = recv


class BlockingNetwork:
    """The blocking network backend.

    Args:
        clock: bounds each wait.

    Attributes:
        library: httpcore or httpcore2; set before the first connection.
    """

    library: Any

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **settings: Any) -> BlockingStream:
        """Connect to the first address of a name that accepts; each gets its share of the time that is left."""
        try:
            addresses = resolve(host, port, self._clock.left(), Wake())
        except TimeoutError:
            raise
        except OSError as error:
            raise self.library.ConnectError(str(error)) from error
        backend = self.library.SyncBackend()
        for left in range(len(addresses), 0, -1):
            address = addresses[-left][4][0]
            try:
                stream = backend.connect_tcp(address, port, self._clock.left() / left, **settings)
            except (self.library.ConnectError, self.library.ConnectTimeout):
                if left == 1:
                    raise
            else:
                return BlockingStream(stream, self._clock)
        raise self.library.ConnectError("the name has no address")

    def connect_unix_socket(self, path: str, timeout: float | None = None, **settings: Any) -> BlockingStream:
        """Connect to a unix socket."""
        stream = self.library.SyncBackend().connect_unix_socket(path, self._clock.left(), **settings)
        return BlockingStream(stream, self._clock)

    def sleep(self, seconds: float) -> None:
        """Sleep between two attempts to connect."""
        time.sleep(min(seconds, self._clock.left()))


class AsyncStream(Stream):
    """A stream on asyncio and trio, whose waits are bounded by cancel scopes."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.write = stream.write
        self.aclose = stream.aclose

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the bytes that are there."""
        return self._take_held() or self._hold_back(await self._stream.read(max_bytes, timeout))

    async def start_tls(self, *args: Any, **settings: Any) -> AsyncStream:
        """Do the TLS handshake, and return the stream that speaks TLS."""
        return AsyncStream(await self._stream.start_tls(*args, **settings))


class AsyncNetwork:
    """The network backend on asyncio and trio.

    Attributes:
        library: httpcore or httpcore2; set before the first connection.
    """

    library: Any

    async def connect_tcp(self, *args: Any, **settings: Any) -> AsyncStream:
        """Connect to a host."""
        return AsyncStream(await self.library.AnyIOBackend().connect_tcp(*args, **settings))

    async def connect_unix_socket(self, *args: Any, **settings: Any) -> AsyncStream:
        """Connect to a unix socket."""
        return AsyncStream(await self.library.AnyIOBackend().connect_unix_socket(*args, **settings))

    async def sleep(self, seconds: float) -> None:
        """Sleep between two attempts to connect."""
        await anyio.sleep(seconds)
