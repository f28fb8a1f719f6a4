"""Waits of blocking code that another thread can end: sleeps, reads of a socket, the resolution of a name."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]
"""What `socket.getaddrinfo` returns."""

SLICE = 0.5
"""The longest wait in one piece, in seconds.

Python handles a signal that comes just before a wait only after it, and on Windows any Ctrl-C.
"""


_NOBODY = object()


class Wake:
    """Ends one thread's wait when another thread rings, or a signal handler: a sleep, or a wait registered with `ends`.

    Who waits says by a key for whom. A ring is for one key, so it ends no wait of the next one, however late it comes.

    Attributes:
        key: for whom it is waited.
    """

    def __init__(self) -> None:
        self.key: object = None
        self._over: object = _NOBODY  # the last key that was rung for
        # Held while nobody has rung. A signal handler can release it wherever it comes, unlike an event's.
        self._bell = threading.Lock()
        self._bell.acquire()
        self._end: Callable[[], object] | None = None
        self._lock = threading.RLock()  # so that a socket is never shut down while it is being closed

    @property
    def rung(self) -> bool:
        """Whether the waits of this key are to end."""
        return self._over is self.key

    def begin(self, key: object) -> None:
        """Wait for another key from here on."""
        with self._lock:
            self.key = key

    def sleep(self, seconds: float) -> None:
        """Sleep for the given seconds, or until `ring`."""
        until = time.monotonic() + seconds
        while not self.rung and (left := until - time.monotonic()) > 0:
            self._bell.acquire(timeout=min(left, SLICE))  # it may have been for an earlier key

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

    def ring(self, key: object) -> None:
        """End the current wait if it is for this key, and those that follow until `begin`."""
        with self._lock:
            self._over = key
            with suppress(RuntimeError):  # it was rung before
                self._bell.release()
            if self.rung and self._end is not None:
                self._end()


def _shut_down(opened: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


def resolve(host: str, port: int, timeout: float, wake: Wake) -> Addresses:
    """Resolve a name to its TCP addresses.

    The system's resolver can't be interrupted, and may take minutes if no name server responds. So it runs in a thread
    of its own, which is abandoned after the timeout. An address and ``localhost`` are resolved without a name server.

    Args:
        host: the name, or an address.
        port: the port to put into each address.
        timeout: seconds that this may take.
        wake: ends the wait from another thread.

    Returns:
        The addresses, in the order in which to try them.

    Raises:
        TimeoutError: it took longer.
        OSError: the name has no address.
        UnicodeError: the name is not a valid host name.
    """
    with suppress(socket.gaierror):
        numeric = 0 if host == "localhost" else socket.AI_NUMERICHOST
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)
    from queue import Empty, SimpleQueue  # seldom needed, and it imports heapq

    answer: SimpleQueue[Addresses | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=ask, name=f"resolving {host}", daemon=True).start()
    wake.ends(lambda: answer.put(OSError("given up")))
    try:
        said = answer.get(timeout=timeout)
    except Empty:
        raise TimeoutError(f"the name was not resolved within {timeout:g} s") from None
    finally:
        wake.ends(None)
    if isinstance(said, Exception):
        raise said
    return said
