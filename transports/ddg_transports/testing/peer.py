r"""A server on a loopback port that responds to each request with exactly the scripted bytes, pauses and breaks.

    with Peer([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"hal", CUT]) as peer:
        ...  # send a request to peer.url, then look at peer.requests

It runs on threads, so that blocking code, asyncio and trio can be tested against it.
"""

from __future__ import annotations

import enum
import socket
import ssl
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import h11

from .._socket_stream import NO_LINGER

CERTIFICATES = Path(__file__).parent / "certificates"
"""A CA (``ca.pem``) for tests, and the server certificates that it signed, with their keys."""

_PATIENCE = 20.0  # seconds; the longest wait


class Act(enum.Enum):
    """The actions of a peer other than sending bytes."""

    HANG = "send nothing more until the client closes the connection"
    DEAF = "neither send nor read anything more until the peer is closed"
    CLOSE = "close the connection; over TLS with close_notify"
    CUT = "close the connection; over TLS without close_notify"
    RESET = "reset the connection"


HANG, DEAF, CLOSE, CUT, RESET = Act


Said = Sequence[bytes | threading.Event | Act]
"""The steps of a peer, in order: bytes to send, events to wait for, actions."""


@dataclass(frozen=True)
class Request:
    """A request as it arrived.

    Attributes:
        connection: the number of its connection, counted from 1.
        method: the request's method.
        target: the request's target.
        headers: names in lower case, in order, latin-1.
        body: the complete body.
    """

    connection: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Peer:
    """A scripted server, from ``with`` to the end of the block, which cuts the remaining connections.

    Args:
        replies: the steps for each request, in the order in which requests arrive, on whatever connection. A request
            without a reply left is left hanging.
        opening: the steps on each connection before its first request is read.
        certificate: a file with certificate and key; with one, the peer speaks TLS.
        tls: whether `url` is https; None means if there is a certificate.

    Attributes:
        url: the base URL, without a slash at the end.
        requests: the requests that have arrived.
    """

    def __init__(
        self, *replies: Said, opening: Said = (), certificate: Path | None = None, tls: bool | None = None
    ) -> None:
        self.requests: list[Request] = []
        self._replies = deque(replies)
        self._opening = opening
        self._context = _context(certificate) if certificate else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        # An unread request must not fit into the kernel's buffers, which may grow to 32 MiB.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self._address = self._listener.getsockname()
        self.url = f"http{'s' if certificate or tls else ''}://127.0.0.1:{self._address[1]}"
        self._changed = threading.Condition()
        self._open: dict[int, socket.socket] = {}
        self._accepted = 0
        self._stopping = threading.Event()
        self._accepting = threading.Thread(target=self._accept)
        self._serving: set[threading.Thread] = set()

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cut every connection and stop serving; may be called again, and from any thread."""
        with self._changed:
            if self._stopping.is_set():
                return
            self._stopping.set()
        socket.create_connection(self._address).close()  # wakes the accepting thread
        self._accepting.join()
        self._listener.close()
        with self._changed:
            for connection in self._open.values():
                _shut(connection)
            serving = [*self._serving]
        for thread in serving:
            thread.join()

    @property
    def connections(self) -> int:
        """The number of connections that were accepted."""
        return self._accepted

    def all_closed(self, timeout: float) -> bool:
        """Wait until the client has closed every connection.

        Args:
            timeout: seconds to wait.

        Returns:
            Whether it has.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, timeout)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            connection.settimeout(_PATIENCE)
            with suppress(OSError):  # on macOS it fails if the client has left already
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self._accepted += 1
                number = self._accepted
                self._open[number] = connection
                thread = threading.Thread(target=self._serve, args=(number, connection))
                self._serving.add(thread)
            thread.start()

    def _serve(self, number: int, connection: socket.socket) -> None:
        try:
            if not self._say(connection, self._opening):
                return
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with self._changed:
                    self._open[number] = connection
                connection.do_handshake()
            self._converse(number, connection)
        except (OSError, h11.RemoteProtocolError):
            pass  # the client disconnected, or never spoke HTTP
        finally:
            connection.close()
            with self._changed:
                del self._open[number]
                # From Python 3.13 on, one that has ended and isn't joined keeps its stack as long as it is known.
                self._serving.discard(threading.current_thread())
                self._changed.notify_all()

    def _converse(self, number: int, connection: socket.socket) -> None:
        http = h11.Connection(h11.SERVER)
        while (request := _read_request(http, connection, number)) is not None:
            with self._changed:
                self.requests.append(request)
                said = self._replies.popleft() if self._replies else (HANG,)
            if not self._say(connection, said):
                return
            http = h11.Connection(h11.SERVER)

    def _say(self, connection: socket.socket, said: Said) -> bool:
        """Carry out the steps, and return whether the connection stays open."""
        for item in said:
            if isinstance(item, bytes):
                connection.sendall(item)
            elif isinstance(item, threading.Event):
                item.wait(_PATIENCE)
            else:
                self._act(connection, item)
                return False
        return True

    def _act(self, connection: socket.socket, act: Act) -> None:
        if act is HANG:
            while connection.recv(65536):
                pass
        elif act is DEAF:
            self._stopping.wait(_PATIENCE)
        elif act is CLOSE and isinstance(connection, ssl.SSLSocket):
            connection.unwrap()
        elif act is RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # it may be closed already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _read_request(http: h11.Connection, connection: socket.socket, number: int) -> Request | None:
    """Read a complete request; return None at the end of the connection."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(connection.recv(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
            return Request(number, head.method.decode("ascii"), head.target.decode("latin-1"), headers, bytes(body))
        else:
            return None
