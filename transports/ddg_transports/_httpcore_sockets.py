"""Network backends for httpcore, blocking and async: what `_httpcore` needs to know about bytes and time.

A blocking wait ends at one time for the whole call, however many waits it is made of. A reader that is given a whole
chunk can hide what came behind a response, and take that for the answer to the next request. So the last byte of each
chunk is held back until the reader asks for more: a byte that is still held when the response is complete belongs to
nothing that was asked for, and the connection counts as readable, which means that it can't be used again.
"""

from __future__ import annotations

import ssl
import threading
import time
from typing import Any

import anyio

from ._resolve import resolve
from ._wake import Wake

_PIECE = 16 * 1024  # of a write: within one the library gives each of its own waits the whole time


class Clock(threading.local):
    """The time at which each thread has to give up what it waits for, on the clock of `time.monotonic`."""

    until = 0.0

    def left(self) -> float:
        """Return the seconds until then.

        Raises:
            TimeoutError: there are none.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


class Stream:
    """What the blocking and the async stream have in common.

    Args:
        stream: the library's.

    Attributes:
        holds_back: whether the last byte of each chunk is held back. A SOCKS negotiation needs its messages whole.
    """

    def __init__(self, stream: Any) -> None:
        self.holds_back = False
        self._stream = stream
        self._held = b""
        self._may_hide_more = False  # the reader has a chunk of which nothing was held back

    def get_extra_info(self, info: str) -> Any:
        """Return what the library's stream knows; ``is_readable`` sees the bytes that have left the socket, too."""
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
        # Events of a stream come in chunks that end like this, and hardly a response does: spare them the second read.
        self._may_hide_more = data.endswith(b"\n\r\n") and not data.endswith(b"\r\n\r\n")
        if self._may_hide_more or len(data) < 2:
            return data
        self._held = data[-1:]
        return data[:-1]


def _holds_more(tls: object) -> bool:
    """Tell whether TLS in memory has bytes, or an end, that nobody has read; where TLS reads the socket, it has none.

    What is looked at is gone: a connection that has more is closed.
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
    """A stream whose every wait ends when the clock says so."""

    def __init__(self, stream: Any, clock: Clock) -> None:
        super().__init__(stream)
        self._clock = clock
        self.close = stream.close

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what there is."""
        return self._take_held() or self._hold_back(self._stream.read(max_bytes, self._clock.left()))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], self._clock.left())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> BlockingStream:
        """Shake hands, and return the stream that speaks TLS."""
        outer = self._stream.get_extra_info("socket")
        if isinstance(outer, ssl.SSLSocket):
            _bound_each_recv(outer, self._clock)
        secure = self._stream.start_tls(ssl_context, server_hostname, self._clock.left())
        # A body that only the end of the connection ends must not be cut without being noticed.
        secure.get_extra_info("socket").suppress_ragged_eofs = False
        return BlockingStream(secure, self._clock)


def _bound_each_recv(outer: Any, clock: Clock) -> None:
    # Within TLS the library receives in a loop until a record is whole, and gives each recv the whole time.
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
        """Connect to the first address of a name that answers; each gets its share of the time that is left."""
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
        """Sleep between two tries to connect."""
        time.sleep(min(seconds, self._clock.left()))


class AsyncStream(Stream):
    """A stream on asyncio and trio, whose waits are bounded by cancel scopes."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.write = stream.write
        self.aclose = stream.aclose

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what there is."""
        return self._take_held() or self._hold_back(await self._stream.read(max_bytes, timeout))

    async def start_tls(self, *args: Any, **settings: Any) -> AsyncStream:
        """Shake hands, and return the stream that speaks TLS."""
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
        """Sleep between two tries to connect."""
        await anyio.sleep(seconds)
