"""`Wake`: ends a blocking wait from another thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

SLICE = 0.5
"""The longest wait in one piece, in seconds.

Python handles a signal that comes just before a wait only after it, and on Windows any Ctrl-C.
"""


class Wake:
    """Ends one thread's wait when another thread rings: a sleep, or a wait registered with `ends`."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._end: Callable[[], object] | None = None
        self._lock = threading.RLock()  # so that a socket is never shut down while it is being closed

    @property
    def rung(self) -> bool:
        """Whether `ring` was called since the last `reset`."""
        return self._rung.is_set()

    def sleep(self, seconds: float) -> None:
        """Sleep for the given seconds, or until `ring`."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._rung.wait(min(left, SLICE)):
            pass

    def ends(self, end: Callable[[], object] | None) -> None:
        """Register the call that ends waits other than `sleep`; None unregisters it."""
        with self._lock:
            self._end = end
            if end is not None and self.rung:
                end()

    def ends_socket(self, opened: socket.socket) -> None:
        """Register a socket whose waits to end: they fail, or read the end."""
        # Not `SSLSocket.shutdown`: it removes TLS while another thread may be reading.
        self.ends(lambda: _shut_down(opened))

    def ring(self) -> None:
        """End the current wait, and those that follow until `reset`."""
        with self._lock:
            self._rung.set()
            if self._end is not None:
                self._end()

    def reset(self) -> None:
        """Let later waits wait again."""
        self._rung.clear()


def _shut_down(opened: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
