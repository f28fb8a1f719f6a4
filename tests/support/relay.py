"""A relay from a unix socket to a TCP port, with threads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


@contextmanager
def relay(path: Path, url: str) -> Iterator[None]:
    """Relay one connection to the unix socket to the server at the URL, for a ``with`` block."""
    host, _, port = url.removeprefix("http://").partition(":")

    def serve() -> None:
        with ExitStack() as stack:
            client = stack.enter_context(listener.accept()[0])
            server = stack.enter_context(socket.create_connection((host, int(port))))
            answering = threading.Thread(target=pump, args=(server, client))
            answering.start()
            pump(client, server)
            answering.join()

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # one of them has gone
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(20)
        serving = threading.Thread(target=serve)
        serving.start()
        yield
        serving.join()
