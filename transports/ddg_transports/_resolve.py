"""The addresses of a name, in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ._wake import Wake

Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]
"""What `socket.getaddrinfo` gives."""


def resolve(host: str, port: int, timeout: float, wake: Wake) -> Addresses:
    """Ask the system for the addresses of a name, for TCP.

    Nothing can interrupt the system's resolver, which may take minutes where no name server answers: it gets a thread
    to itself, and where it takes too long it is left behind in it. For an address and for ``localhost`` none is asked.

    Args:
        host: the name, or an address.
        port: of each of them.
        timeout: seconds that this may take.
        wake: ends the wait, from another thread.

    Returns:
        The addresses, in the order in which to try them.

    Raises:
        TimeoutError: it took longer.
        OSError: the name has none.
        UnicodeError: no name at all.
    """
    with suppress(socket.gaierror):
        numeric = 0 if host == "localhost" else socket.AI_NUMERICHOST
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)
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
