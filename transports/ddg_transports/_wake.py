"""What ends a blocking wait from another thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Wake:
    """Ends what one thread waits for, when another rings: a sleep, or whatever `ends` was told how to end."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._end: Callable[[], object] | None = None
        self._lock = threading.RLock()  # so that a socket is never shut down while it is being closed

    @property
    def rung(self) -> bool:
        """Whether somebody rang since the last `reset`."""
        return self._rung.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, for so many seconds at most."""
        self._rung.wait(max(0.0, seconds))

    def ends(self, end: Callable[[], object] | None) -> None:
        """Take what ends the waits that are no sleep; None for nothing."""
        with self._lock:
            self._end = end
            if end is not None and self.rung:
                end()

    def ends_socket(self, opened: socket.socket) -> None:
        """Let it end what is waited for on a socket: that fails, or reads the end."""
        # Not its own `shutdown`: that of a TLS socket takes TLS off while another thread may be reading.
        self.ends(lambda: _shut_down(opened))

    def ring(self) -> None:
        """End what is waited for, and what will be until `reset`."""
        with self._lock:
            self._rung.set()
            if self._end is not None:
                self._end()

    def reset(self) -> None:
        """Let waits be waits again."""
        self._rung.clear()


def _shut_down(opened: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
