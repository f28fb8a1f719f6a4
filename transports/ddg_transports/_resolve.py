"""Name resolution with a timeout."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ._waits import Wake

Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]
"""What `socket.getaddrinfo` returns."""


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
