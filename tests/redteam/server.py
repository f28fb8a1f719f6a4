"""A server that does what a `HostileService` says, and answers everything else well."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from contextlib import suppress
from typing import Self

from ddg_protocol import DUCKDUCKGO_2025_04, ServiceProfile
from ddg_transports.testing.peer import CERTIFICATES

from .services import HANG, PLANTED, RESET, HostileService, Said, chunk

GOOD = "Well said"
_STEPS = {
    DUCKDUCKGO_2025_04.front_end_path: "page",
    DUCKDUCKGO_2025_04.landing_path: "landing",
    DUCKDUCKGO_2025_04.status_path: "status",
    DUCKDUCKGO_2025_04.chat_path: "chat",
}
_PAGE = b'<script>__DDG_BE_VERSION__="serp_1_ET";__DDG_FE_CHAT_HASH__="0123456789abcdef0123";</script>'
_REPLY = b'data: {"action":"success","message":"%s"}\n\ndata: [DONE]\n\n' % GOOD.encode()
_ANSWERS = {
    "page": b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(_PAGE), _PAGE),
    "landing": b"HTTP/1.1 200 OK\r\nset-cookie: a=%s; path=/\r\ncontent-length: 0\r\n\r\n" % PLANTED,
    "status": b"HTTP/1.1 200 OK\r\nx-vqd-4: %s\r\ncontent-length: 2\r\n\r\n{}" % PLANTED,
    "chat": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + chunk(_REPLY)
    + b"0\r\n\r\n",
}
_PATIENCE = 20.0  # seconds


class HostileServer:
    """Runs on threads and a loopback port, from ``with`` to the end of the block.

    Args:
        service: what to do; None answers everything well.

    Attributes:
        url: the address, without a slash at the end.
    """

    def __init__(self, service: HostileService | None = None) -> None:
        self._service = service
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if service is not None and service.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._context: ssl.SSLContext | None = None
        if scheme == "https":
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(CERTIFICATES / "loopback.pem")
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def profile(self) -> ServiceProfile:
        return DUCKDUCKGO_2025_04.at(self.url, minimum_interval=0.0)

    def calm(self) -> None:
        """Answer everything well from now on."""
        self._service = None

    def all_closed(self) -> bool:
        """Wait until the client has closed every connection; tell whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, _PATIENCE)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        with self._changed:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        plain, service = connection, self._service
        try:
            if service is not None and service.step == "connection":
                self._say(connection, service.says())
                return
            if self._context is not None:
                # The connection stays in the set as it was: a duplicate is what TLS takes over.
                connection = self._context.wrap_socket(connection.dup(), server_side=True)
            self._converse(connection)
        except OSError:
            pass  # the client went away
        finally:
            if connection is not plain:
                connection.close()
            with suppress(OSError):
                plain.shutdown(socket.SHUT_RDWR)
            plain.close()
            with self._changed:
                self._open.discard(plain)
                self._changed.notify_all()

    def _converse(self, connection: socket.socket) -> None:
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                data = connection.recv(65536)
                if not data:
                    return
                buffer += data
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            length = re.search(rb"\ncontent-length: *(\d+)", head.lower())
            left = int(length[1]) if length else 0
            while len(buffer) < left:
                buffer += connection.recv(65536)
            buffer = buffer[left:]
            step = _STEPS.get(head.split()[1].decode("latin-1"), "")
            service = self._service
            if service is not None and service.step in (step, "h2"):
                self._say(connection, service.says())
                return
            if step not in _ANSWERS:  # HTTP/2
                return
            connection.sendall(_ANSWERS[step])

    def _say(self, connection: socket.socket, said: Said) -> None:
        for each in said:
            if isinstance(each, bytes):
                connection.sendall(each)
            elif isinstance(each, float):
                self._ended.wait(each)
            elif each is HANG:
                while connection.recv(65536):
                    pass
            elif each is RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
