"""The stream of its own that the async driver has on asyncio: as anyio's is, and its scope as a cancel scope is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import struct
import sys
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
from ddg_transports._waits import Waiter

Use = Callable[[AsyncioStream, socket.socket], Awaitable[None]]


def run(use: Use) -> None:
    """Run something on asyncio with a connected stream and the blocking socket of its peer."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)  # or the kernel takes 32 MiB
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
    data = bytes(range(256)) * 4096

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
            await stream.send(bytes(16 * 1024 * 1024))
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
            await until_ready(lambda: stream._reading)
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
            tasks.start_soon(wait, stream.send(bytes(16 * 1024 * 1024)))
            await until_ready(lambda: stream._reading and stream._writing)
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


def test_the_task_goes_on_where_the_bytes_came_in() -> None:
    seen: list[str] = []

    class Telling(AsyncioStream):
        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            seen.append("taken in")

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            _, stream = await asyncio.get_running_loop().create_connection(Telling, *listener.getsockname())
            peer, _ = listener.accept()
            with peer:
                asyncio.get_running_loop().call_soon(peer.sendall, b"x")
                await stream.receive()
                seen.append("received")
                await asyncio.sleep(0)
                await anyio.aclose_forcefully(stream)

    asyncio.run(main())
    assert seen == ["received", "taken in"]


def test_two_streams_that_share_a_buffer_share_nothing_else() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        async def other(stream: AsyncioStream, peer: socket.socket) -> None:
            peer.sendall(b"other")
            await until_ready(lambda: bool(stream._unread))
            first.sendall(b"one")
            await until_ready(lambda: bool(one._unread))
            assert await stream.receive() == b"other"
            assert await one.receive() == b"one"
            assert stream._buffer is one._buffer

        one, first = stream, peer
        with socket.create_server(("127.0.0.1", 0)) as listener:
            second = await open_stream(to(listener.getsockname()[1]))
            accepted, _ = listener.accept()
            with accepted:
                await other(second, accepted)
                await anyio.aclose_forcefully(second)

    run(use)


# What a task waits for


def waiting(use: Callable[[Waiter, asyncio.Task[str]], Awaitable[None]]) -> str:
    """Have a task wait, do something with it, and tell what became of it."""

    async def wait(waiter: Waiter) -> str:
        try:
            await waiter
        except asyncio.CancelledError as error:
            return f"cancelled {error.args}"
        except OSError as error:
            return str(error)
        return "went on"

    async def main() -> str:
        waiter = Waiter(asyncio.get_running_loop())
        assert asyncio.isfuture(waiter)
        waiter.run()  # nobody waits yet
        assert waiter.done()
        task = asyncio.create_task(wait(waiter))
        await asyncio.sleep(0)
        assert not waiter.done()
        await use(waiter, task)
        return await task

    return asyncio.run(main())


def test_a_task_that_is_run_goes_on_at_once_where_none_is_running() -> None:
    async def use(waiter: Waiter, task: asyncio.Task[str]) -> None:
        went_on = []

        def call() -> None:
            waiter.run()
            went_on.append(task.done())

        asyncio.get_running_loop().call_soon(call)
        await asyncio.sleep(0)
        assert went_on == [True]

    assert waiting(use) == "went on"


def test_a_task_that_is_run_by_another_one_goes_on_in_the_next_round() -> None:
    async def use(waiter: Waiter, task: asyncio.Task[str]) -> None:
        waiter.run()
        waiter.run()
        assert not task.done()
        assert waiter.done()
        await asyncio.sleep(0)
        assert task.done()

    assert waiting(use) == "went on"


def test_a_wait_ends_once_and_for_one_reason() -> None:
    async def use(waiter: Waiter, task: asyncio.Task[str]) -> None:
        waiter.fail(OSError("first"))
        waiter.fail(OSError("second"))
        waiter.run()

    assert waiting(use) == "first"


def test_a_task_that_waits_can_be_cancelled_with_a_message() -> None:
    async def plain(waiter: Waiter, task: asyncio.Task[str]) -> None:
        assert task.cancel()

    async def with_message(waiter: Waiter, task: asyncio.Task[str]) -> None:
        assert task.cancel("why")
        waiter.run()

    async def twice(waiter: Waiter, task: asyncio.Task[str]) -> None:
        assert task.cancel("first")
        assert task.cancel("second")

    async def after_all(waiter: Waiter, task: asyncio.Task[str]) -> None:
        waiter.fail(OSError("too late"))
        assert task.cancel()

    assert waiting(plain) == "cancelled ()"
    assert waiting(with_message) == "cancelled ('why',)"
    assert waiting(twice) == "cancelled ('first',)"
    assert waiting(after_all) == "cancelled ()"


def test_an_error_that_ended_a_wait_ends_no_other_one() -> None:
    async def main() -> None:
        waiter = Waiter(asyncio.get_running_loop())
        for _ in range(2):
            asyncio.get_running_loop().call_soon(waiter.fail, OSError("once"))
            with pytest.raises(OSError, match="once"):
                await waiter
            asyncio.get_running_loop().call_soon(waiter.run)
            await waiter

    asyncio.run(main())


def test_waits_leave_nothing_in_the_interpreter() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        waiter = Waiter(loop)

        async def wait_often(times: int) -> None:
            for _ in range(times):
                loop.call_soon(waiter.run)
                await waiter

        await wait_often(5)
        gc.collect()
        blocks = sys.getallocatedblocks()
        await wait_often(2_000)
        gc.collect()
        return sys.getallocatedblocks() - blocks

    assert asyncio.run(main()) < 100


def test_a_task_of_another_loop_may_not_wait() -> None:
    async def main() -> None:
        other = asyncio.new_event_loop()
        try:
            with pytest.raises(RuntimeError, match="attached to a different loop"):
                await Waiter(other)
        finally:
            other.close()

    asyncio.run(main())


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
            await until_ready(lambda: stream._reading)
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


def test_a_deadline_that_passes_after_its_read_ends_nothing_else() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        loop, scope = asyncio.get_running_loop(), stream.read_scope
        size = 1 << 24

        async def let_it_pass(then: Callable[[], object]) -> None:
            await until_ready(lambda: stream._reading or stream._writing)
            scope.deadline = loop.time()
            scope._look_at_the_clock()
            await loop.run_in_executor(None, then)

        def take_all() -> None:
            left = size
            while left:
                left -= len(peer.recv(65536))

        peer.sendall(b"x")
        scope.deadline = loop.time() + 30
        with scope:
            assert await stream.receive() == b"x"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(let_it_pass, take_all)
            await stream.send(bytes(size))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(let_it_pass, partial(peer.sendall, b"later"))
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


def test_a_connection_that_was_reset_is_not_idle() -> None:
    async def use(stream: AsyncioStream, peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        raw = stream.extra(SocketAttribute.raw_socket)
        await until_ready(lambda: raw.fileno() < 0)  # asyncio has closed it
        with pytest.raises(TransportError) as caught:
            Connection(stream).check_idle()
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
            secured.sendall(b"nobody asked")
            await until_ready(lambda: tls.extra(StreamAttribute.unread) > 50)  # both, in one read
            assert await connection.read() == b"three"
            assert not tls.extra(StreamAttribute.unread)
            with pytest.raises(TransportError):
                connection.check_idle()
            secured.sendall(b"four")
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
