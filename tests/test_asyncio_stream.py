"""The stream of its own that the async driver has on asyncio: as anyio's is, and its scope as a cancel scope is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream

from ddg_protocol import FailureKind, TransportError
from ddg_protocol.wire import Connect
from ddg_transports._asyncio import AsyncioStream, open_stream
from ddg_transports._scope import StreamAttribute
from ddg_transports._streams import Connection

Use = Callable[[AsyncioStream, socket.socket], Awaitable[None]]


def run(use: Use) -> None:
    """Run something on asyncio with a connected stream and the blocking socket of its peer."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = await open_stream(to(listener.getsockname()[1]))
            peer, _ = listener.accept()
            with peer:
                try:
                    await use(stream, peer)
                finally:
                    await anyio.aclose_forcefully(stream)

    asyncio.run(main())


def to(port: int, host: str = "127.0.0.1", timeout: float = 30.0) -> Connect:
    return Connect(id=1, host=host, port=port, tls=False, timeout=timeout)


async def until_ready(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()


def test_what_comes_is_read_and_the_end_is_the_end() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        peer.sendall(b"one")
        assert await stream.receive() == b"one"
        await stream.send(b"two")
        assert peer.recv(10) == b"two"
        peer.sendall(b"three")
        peer.shutdown(socket.SHUT_WR)
        assert await stream.receive(3) == b"thr"
        assert await stream.receive() == b"ee"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        await stream.send(b"and goes on")  # the other direction is open
        await stream.send_eof()
        assert peer.recv(100) == b"and goes on"
        assert peer.recv(100) == b""

    run(use)


def test_it_listens_only_while_there_is_room() -> None:
    data = bytes(range(256)) * 4096 * 4

    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        sending = asyncio.get_running_loop().run_in_executor(None, peer.sendall, data)
        got = await stream.receive(1)
        raw = stream.extra(SocketAttribute.raw_socket)
        most = 0
        while len(got) < len(data):
            await anyio.lowlevel.checkpoint()  # what is there may be taken in meanwhile
            most = max(most, len(stream._unread))
            got += await stream.receive(1000)
        await sending
        assert got == data
        assert most <= 64 * 1024 + 256 * 1024  # the room, and what asyncio reads at once
        assert raw.getpeername() == peer.getsockname()

    run(use)


def test_what_is_sent_waits_for_a_peer_that_does_not_read_and_can_be_given_up() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        with anyio.move_on_after(0.05) as scope:
            await stream.send(bytes(64 * 1024 * 1024))
        assert scope.cancelled_caught

    run(use)


def test_what_is_sent_is_through_when_the_peer_reads() -> None:
    size = 16 * 1024 * 1024

    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        def read() -> int:
            left = size
            while left:
                left -= len(peer.recv(1 << 20))
            return left

        reading = asyncio.get_running_loop().run_in_executor(None, read)
        await stream.send(bytes(size))
        assert await reading == 0

    run(use)


def test_a_reset_is_a_broken_resource_with_its_cause() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.receive()
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"x")

    run(use)


def test_closing_ends_what_waits_and_all_that_comes_after() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        async def close() -> None:
            await until_ready(lambda: stream.reader is not None)
            await stream.aclose()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close)
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()
        for wait in (stream.receive, lambda: stream.send(b"x"), stream.send_eof):
            with pytest.raises(anyio.ClosedResourceError):
                await wait()
        await stream.aclose()
        assert peer.recv(1) == b""

    run(use)


def test_two_may_not_read_nor_write_at_once() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        async def wait(awaitable: Awaitable[object]) -> None:
            with contextlib.suppress(anyio.ClosedResourceError):
                await awaitable

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, stream.receive())
            tasks.start_soon(wait, stream.send(bytes(64 * 1024 * 1024)))
            await until_ready(lambda: stream.reader is not None and stream.writer is not None)
            with pytest.raises(anyio.BusyResourceError):
                await stream.receive()
            with pytest.raises(anyio.BusyResourceError):
                await stream.send(b"x")
            await stream.aclose()

    run(use)


def test_a_read_that_is_cancelled_loses_nothing() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        with anyio.move_on_after(0.01) as scope:
            await stream.receive()
        assert scope.cancelled_caught
        peer.sendall(b"later")
        assert await stream.receive() == b"later"

    run(use)


# The scope


def test_a_read_within_its_scope_ends_at_the_deadline() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        scope = stream.read_scope
        for wait in (0.03, 0.06, 0.03, -1.0):  # later and sooner than the timer that the one before left
            scope.deadline = loop.time() + wait
            with scope:
                raise AssertionError(await stream.receive())
        assert loop.time() - begun >= 0.12
        peer.sendall(b"later")
        scope.deadline = loop.time() + 30
        with scope:
            assert await stream.receive() == b"later"

    run(use)


def test_one_timer_serves_many_reads() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        loop, scope = asyncio.get_running_loop(), stream.read_scope
        timers = set()
        for _ in range(20):
            peer.sendall(b"x")
            scope.deadline = loop.time() + 30
            with scope:
                await stream.receive()
            timers.add(scope._timer)
        assert len(timers) == 1

    run(use)


def test_another_task_can_end_a_read_and_only_the_read() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        async def end_it() -> None:
            await until_ready(lambda: stream.reader is not None)
            stream.read_scope.cancel()
            stream.read_scope.cancel()  # which has ended by then

        stream.read_scope.cancel()  # nobody reads
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_it)
            stream.read_scope.deadline = asyncio.get_running_loop().time() + 30
            with stream.read_scope:
                raise AssertionError(await stream.receive())
        peer.sendall(b"later")
        assert await stream.receive() == b"later"

    run(use)


def test_a_scope_hides_nothing_else() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        peer.shutdown(socket.SHUT_WR)
        with pytest.raises(anyio.EndOfStream), stream.read_scope:
            await stream.receive()

    run(use)


def test_a_deadline_that_passed_while_nobody_read_ends_no_later_read() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        loop, scope = asyncio.get_running_loop(), stream.read_scope
        peer.sendall(b"x")
        scope.deadline = loop.time() + 0.02
        with scope:
            await stream.receive()
        await until_ready(lambda: scope._timer is None)  # it has gone off
        peer.sendall(b"later")
        scope.deadline = loop.time() + 30
        with scope:
            assert await stream.receive() == b"later"

    run(use)


# What came while nobody asked


def test_a_connection_whose_peer_spoke_before_it_was_asked_is_not_idle() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        connection = Connection(stream)
        connection.check_idle()
        peer.sendall(b"HTTP/1.1 408 Too Late\r\n\r\n")
        await until_ready(lambda: stream.extra(StreamAttribute.unread) > 0)
        with pytest.raises(TransportError) as caught:
            connection.check_idle()
        assert caught.value.failure.kind is FailureKind.NOT_SENT

    run(use)


def test_through_tls_it_tells_the_same_and_reads_are_bounded_the_same() -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)

    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        handshake = loop.run_in_executor(None, partial(server.wrap_socket, peer, server_side=True))
        tls = await TLSStream.wrap(stream, hostname="127.0.0.1", ssl_context=client)
        with await handshake as secured:
            secured.sendall(b"one")
            assert await tls.receive() == b"one"
            connection = Connection(tls)
            for wait in (0.03, -1.0):
                with connection.read_scope(loop.time() + wait):
                    raise AssertionError(await connection.read())
            secured.sendall(b"two")
            with connection.read_scope(loop.time() + 30):
                assert await connection.read() == b"two"
            connection.check_idle()
            secured.sendall(b"three")
            await until_ready(lambda: tls.extra(StreamAttribute.unread) > 0)
            with pytest.raises(TransportError):
                connection.check_idle()

    run(use)


# Connecting


@pytest.fixture
def port_of_nobody() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_each_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch, port_of_nobody: int) -> None:
    tcp = (socket.AF_INET, socket.SOCK_STREAM, 6, "")

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            alive, dead = listener.getsockname(), ("127.0.0.1", port_of_nobody)

            async def getaddrinfo(*_: object, **__: object) -> list[object]:
                return [(*tcp, address) for address in addresses]

            monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
            addresses = [dead, alive]
            stream = await open_stream(to(1, "a-name"))
            assert stream.extra(SocketAttribute.raw_socket).getpeername() == alive
            await stream.aclose()
            addresses = [dead, dead]
            with pytest.raises(ConnectionRefusedError):
                await open_stream(to(1, "a-name"))
            addresses = []
            with pytest.raises(OSError, match="no address"):
                await open_stream(to(1, "a-name"))

    asyncio.run(main())
