"""httpcore's blocking network backend, with a bound on every wait."""

from __future__ import annotations

import ssl
import threading
import time
from typing import Any


class Clock(threading.local):
    """When each thread has to give up what it waits for, on the clock of `time.monotonic`."""

    until = 0.0

    def left(self) -> float:
        """Seconds until then; a little at least, since 0 would mean not to wait but to fail."""
        return max(0.001, self.until - time.monotonic())


class Sockets:
    """The library's blocking network backend, with a bound on every wait: its own SOCKS negotiation has none."""

    def __init__(self, backend: Any, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **settings: Any) -> Any:
        return _Stream(self._backend.connect_tcp(host, port, self._clock.left(), **settings), self._clock)

    def connect_unix_socket(self, path: str, timeout: float | None = None, **settings: Any) -> Any:
        return _Stream(self._backend.connect_unix_socket(path, self._clock.left(), **settings), self._clock)


class _Stream:
    def __init__(self, stream: Any, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self.close = stream.close
        self.get_extra_info = stream.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = self._stream.read(max_bytes, self._clock.left())
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.left())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        secure = self._stream.start_tls(ssl_context, server_hostname, self._clock.left())
        # A body that only the end of the connection ends must not be cut without being noticed.
        secure.get_extra_info("socket").suppress_ragged_eofs = False
        return _Stream(secure, self._clock)
