"""A small balancer: each connection goes to the next of several servers on this machine, past those that are down."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress


@contextmanager
def front(ports: Sequence[int]) -> Iterator[int]:
    """Run the balancer for a ``with`` block.

    Args:
        ports: those of the servers.

    Yields:
        Its own port.
    """
    turns = itertools.count()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:  # the block has ended
                    return
                first = next(turns)
                threading.Thread(
                    target=_serve, args=(client, [ports[(first + each) % len(ports)] for each in range(len(ports))])
                ).start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield port
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # which ends `accept`
            accepting.join()


def _serve(client: socket.socket, ports: Sequence[int]) -> None:
    with client, suppress(OSError):
        for port in ports:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)) as server:
                there = threading.Thread(target=_copy, args=(client, server))
                there.start()
                _copy(server, client)
                there.join()
                return


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Send what comes from one to the other, its end included."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
