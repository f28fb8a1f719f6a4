"""A relay in front of a server that drops the answer to a command, after the server has carried it out."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class LossyRelay:
    """Relays connections to a port of the loopback; `lose` has it cut one instead of giving the next answer back."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._loses = False
        self.lost = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def lose(self) -> None:
        """Drop the next answer, and the connection with it."""
        self._loses = True

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was shut down
            while True:
                client = self._listener.accept()[0]
                thread = threading.Thread(target=self._relay, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
            self._open += [client, server]
            asking = threading.Thread(target=self._pump, args=(client, server))
            asking.start()
            with suppress(OSError):
                while answer := server.recv(1 << 16):
                    if self._loses:
                        self._loses = False
                        self.lost += 1
                        break
                    client.sendall(answer)
            for side in (client, server):
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
            asking.join()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)

    def close(self) -> None:
        """End all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for side in self._open:
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
