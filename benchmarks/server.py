"""A service that is never the bottleneck: ``python -m benchmarks.server`` prints its address and serves canned bytes.

All of it is made beforehand; what a reply is to be stands in the question (`question` writes one):

    "2000 events, 250 us apart"       one event a chunk, each sent by itself when its time has come
    "2000 events"                     the same bytes, sent in one go
    "100 events, 1000 together"       held back until so many are asked for, then an event to each in turn
"""

from __future__ import annotations

import json
import re
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from urllib.parse import urlsplit

from benchmarks.stream import payload
from ddg_protocol import SendRequest, Session, Wait
from ddg_protocol.service import Service, ServiceRequest

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-vqd-4: 4-2\r\ntransfer-encoding: chunked\r\n\r\n"
_ASKED = re.compile(rb"(\d+) events(?:, (\d+) us apart|, (\d+) together)?")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def question(events: int, *, apart: int = 0, together: int = 0) -> str:
    """Ask for so many events, so many microseconds apart, or with so many other replies."""
    return f"{events} events" + (f", {apart} us apart" if apart else f", {together} together" if together else "")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def reply(count: int) -> str:
    """Give the text that so many events make."""
    return "".join(json.loads(payload(index))["message"] for index in range(count))


@lru_cache(8)
def events(count: int) -> tuple[bytes, ...]:
    """So many pieces, then the stop marker, the last word and the end of the body."""
    pieces = [chunk(b"data: " + payload(index) + b"\n\n") for index in range(count)]
    stop = json.dumps({"action": "success", "message": ""}).encode()
    return (*pieces, chunk(b"data: " + stop + b"\n\n") + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


def canned() -> dict[bytes, bytes]:
    """The three answers before the chat, as the emulator gives them to a session, by the target asked for."""
    session, service = Session(), Service()
    found: dict[bytes, bytes] = {}
    session.ask("Hello", now=0.0)
    now = 0.0
    while len(found) < 3:
        action = session.next_action(now=now)
        if isinstance(action, Wait):
            now = action.until
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest):
            target = action.url.removeprefix(session.profile.origin)
            response = service.handle(ServiceRequest(action.method, target, action.headers, b""), now=time.time())
            pieces = list(response.pieces)
            session.receive_head(action, response.status, response.headers, now=now)
            for piece in pieces:
                session.receive_data(action, piece.data)
            session.receive_eof(action)
            head = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
            found[target.encode()] = f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + b"".join(
                piece.data for piece in pieces
            )
    return found


class Server:
    """One thread, blocking writes: every reply fits into what the system buffers, or one client reads it at a time."""

    def __init__(self) -> None:
        self._canned = canned()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.url = f"http://localhost:{self._listener.getsockname()[1]}"
        self._unread: dict[socket.socket, bytes] = {}
        self._waiting: list[socket.socket] = []
        self._selector.register(self._listener, selectors.EVENT_READ)

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    opened, _ = self._listener.accept()
                    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._unread[opened] = b""
                    self._selector.register(opened, selectors.EVENT_READ)
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    try:
                        self._read(key.fileobj)
                    except OSError:
                        self._forget(key.fileobj)

    def _read(self, peer: socket.socket) -> None:
        data = peer.recv(1 << 18)
        if not data:
            self._forget(peer)
            return
        unread = self._unread[peer] + data
        head, end, rest = unread.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and len(rest) >= (size := int(length[1]) if length else 0):
            self._unread[peer] = rest[size:]
            self._answer(peer, head.split(b" ", 2)[1], rest[:size])
        else:
            self._unread[peer] = unread

    def _forget(self, peer: socket.socket) -> None:
        self._selector.unregister(peer)
        del self._unread[peer]
        if peer in self._waiting:
            self._waiting.remove(peer)
        peer.close()

    def _answer(self, peer: socket.socket, target: bytes, body: bytes) -> None:
        if target in self._canned:
            peer.sendall(self._canned[target])
            return
        *_, asked = _ASKED.finditer(body)  # the newest question is the last
        count, apart, together = (int(number or 0) for number in asked.groups())
        if not together:
            self._reply(peer, events(count), apart / 1e6)
            return
        self._waiting.append(peer)
        if len(self._waiting) == together:
            peers, self._waiting = self._waiting, []
            for piece in (HEAD, *events(count)):
                for each in peers:
                    with suppress(OSError):  # one that has gone is seen as soon as it is read
                        each.sendall(piece)

    def _reply(self, peer: socket.socket, pieces: tuple[bytes, ...], apart: float) -> None:
        if not apart:
            peer.sendall(HEAD + b"".join(pieces))
            return
        peer.sendall(HEAD)
        for piece in pieces:
            time.sleep(apart)
            peer.sendall(piece)


@contextmanager
def running() -> Iterator[str]:
    """Serve in another process until the end of the block; gives the address."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def raise_file_limit() -> None:
    """Let this process have as many connections as the system gives it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def drain(url: str, together: int, count: int) -> float:
    """Read so many replies at once and look at nothing; gives the events per second that the server is good for."""
    place = urlsplit(url)
    body = json.dumps({"messages": [{"role": "user", "content": question(count, together=together)}]}).encode()
    selector, tails = selectors.DefaultSelector(), {}
    raise_file_limit()
    for _ in range(together):
        peer = socket.create_connection((place.hostname or "", place.port or 80))
        peer.sendall(b"POST /duckchat/v1/chat HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        selector.register(peer, selectors.EVENT_READ)
        tails[peer] = b""
    began, open_ones = 0.0, together
    while open_ones:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            began = began or time.perf_counter()
            tails[key.fileobj] = (tails[key.fileobj] + key.fileobj.recv(65536))[-7:]
            if tails[key.fileobj] == b"\r\n0\r\n\r\n":
                selector.unregister(key.fileobj)
                open_ones -= 1
    rate = together * count / (time.perf_counter() - began)
    for peer in tails:
        peer.close()
    selector.close()
    return rate


if __name__ == "__main__":
    raise_file_limit()
    server = Server()
    print(server.url, flush=True)
    server.serve()
