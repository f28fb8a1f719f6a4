"""The async driver's own stream on asyncio: it keeps anyio's contract, and bounds its own reads, on every loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream
from support.loops import Loop, loops

from ddg_protocol import FailureKind, TransportError
from ddg_transports import _asyncio_stream
from ddg_transports._asyncio_stream import AsyncioStream, open_stream
from ddg_transports._streams import Connection, WaitEnded

pytestmark = pytest.mark.anyio

LARGE = 16 * 1024 * 1024  # more than the kernel takes
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


@pytest.fixture(params=loops(trio=False))
def anyio_backend(request: pytest.FixtureRequest) -> Loop:
    loop: Loop = request.param
    return loop


class Peer:
    """The other end. It never blocks the loop: some loops send in a later iteration."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        raw.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def read(self, count: int) -> bytes:
        return await self._loop.sock_recv(self.raw, count)

    async def read_all(self, count: int) -> None:
        while count:
            count -= len(await self.read(1 << 20))

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.raw, data)

    def reset(self) -> None:
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.raw.close()


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[AsyncioStream, Peer]]:
    """Connect a stream to a peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)  # or the kernel takes 32 MiB
        stream = await open_stream(*listener.getsockname())
        accepted, _ = listener.accept()
    with accepted:
        try:
            yield stream, Peer(accepted)
        finally:
            await anyio.aclose_forcefully(stream)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()


def now() -> float:
    return asyncio.get_running_loop().time()


# anyio's contract


async def test_received_bytes_are_read_and_each_direction_ends_by_itself() -> None:
    async with pair() as (stream, peer):
        await peer.send(b"one")
        assert await stream.receive() == b"one"
        await stream.send(b"two")
        assert await peer.read(10) == b"two"
        await peer.send(b"three")
        peer.raw.shutdown(socket.SHUT_WR)
        assert await stream.receive(3) == b"thr"
        assert await stream.receive() == b"ee"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        await stream.send(b"the other direction is open")
        await stream.send_eof()
        assert await peer.read(100) == b"the other direction is open"
        assert await peer.read(100) == b""


async def test_it_listens_only_while_it_has_room() -> None:
    data = bytes(range(256)) * 4096
    async with pair() as (stream, peer), anyio.create_task_group() as tasks:
        tasks.start_soon(peer.send, data)
        got, most = b"", 0
        while len(got) < len(data):
            got += await stream.receive(1000)
            await anyio.lowlevel.checkpoint()
            most = max(most, len(stream._unread))
        assert got == data
        assert 64 * 1024 <= most < 80 * 1024  # the room and one read


async def test_a_stream_that_waits_holds_no_buffer() -> None:
    async def receive(stream: AsyncioStream) -> None:
        with contextlib.suppress(anyio.ClosedResourceError):
            await stream.receive()

    async with contextlib.AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        pairs = [await stack.enter_async_context(pair()) for _ in range(50)]
        tracemalloc.start()
        try:
            for stream, peer in pairs:
                await peer.send(b"x")
                await stream.receive()
                tasks.start_soon(receive, stream)
            await anyio.wait_all_tasks_blocked()
            allocated = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, _asyncio_stream.__file__)])
            assert sum(trace.size for trace in allocated.traces) < 50 * 1024
        finally:
            tracemalloc.stop()
        for stream, _ in pairs:
            await stream.aclose()


async def test_sending_waits_for_the_peer_to_read_and_can_be_cancelled() -> None:
    async with pair() as (stream, peer), anyio.create_task_group() as tasks:
        tasks.start_soon(stream.send, bytes(LARGE))
        await until(lambda: stream._writer is not None)
        tasks.cancel_scope.cancel()
    async with pair() as (stream, peer), anyio.create_task_group() as tasks:
        tasks.start_soon(peer.read_all, LARGE)
        await stream.send(bytes(LARGE))


async def test_a_reset_is_a_broken_resource_with_its_cause() -> None:
    async with pair() as (stream, peer):
        peer.reset()
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.receive()
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"x")


async def test_bytes_that_arrived_before_a_reset_are_read() -> None:
    async with pair() as (stream, peer):
        await peer.send(b"last words")
        await until(lambda: stream.has_said_something)
        peer.reset()
        await until(lambda: stream._error is not None)
        assert await stream.receive() == b"last words"
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()


async def test_closing_ends_every_wait_and_later_calls_fail() -> None:
    async def closed(wait: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await wait()

    async with pair() as (stream, peer):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(closed, stream.receive)
            tasks.start_soon(closed, partial(stream.send, bytes(LARGE)))
            await until(lambda: None not in (stream._reader, stream._writer))
            for wait, busy in ((stream.receive, "reading from"), (partial(stream.send, b"x"), "writing to")):
                with pytest.raises(anyio.BusyResourceError, match=busy):
                    await wait()
            await stream.aclose()
        for call in (stream.receive, partial(stream.send, b"x"), stream.send_eof):
            await closed(call)
        await stream.aclose()
        with contextlib.suppress(ConnectionResetError):
            while await peer.read(1 << 20):
                pass


# Cancelled by asyncio's means


async def in_a_scope(stream: AsyncioStream) -> None:
    with anyio.move_on_after(0.001):
        await stream.receive()


async def in_a_timeout(stream: AsyncioStream) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.001):
            await stream.receive()


async def in_wait_for(stream: AsyncioStream) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stream.receive(), 0.001)


async def in_a_task(stream: AsyncioStream) -> None:
    task = asyncio.ensure_future(stream.receive())
    await until(lambda: stream._reader is not None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def in_a_task_group(stream: AsyncioStream) -> None:
    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stream.receive())
            await until(lambda: stream._reader is not None)
            raise ZeroDivisionError


@pytest.mark.parametrize("cancelled", [in_a_scope, in_a_timeout, in_wait_for, in_a_task, in_a_task_group])
async def test_a_cancelled_read_loses_nothing(cancelled: Callable[[AsyncioStream], Awaitable[None]]) -> None:
    async with pair() as (stream, peer):
        await cancelled(stream)
        await peer.send(b"later")
        assert await stream.receive() == b"later"


async def test_bytes_that_arrive_as_a_read_is_cancelled_are_read_by_the_next() -> None:
    async with pair() as (stream, peer):
        task = asyncio.ensure_future(stream.receive())
        await until(lambda: stream._reader is not None)
        peer.raw.send(b"both")
        await until(lambda: stream.has_said_something or task.done())
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await stream.receive() == b"both"
        else:
            assert await task == b"both"


# Deadlines


async def test_a_read_ends_at_its_deadline() -> None:
    async with pair() as (stream, peer):
        begun = now()
        for wait in (0.03, 0.06, 0.03, -1.0):  # later and sooner than the timer that the one before left
            stream.deadline = now() + wait
            with pytest.raises(WaitEnded):
                await stream.receive()
        assert now() - begun >= 0.11  # some loops count in milliseconds
        await peer.send(b"later")
        stream.deadline = now() + 30
        assert await stream.receive() == b"later"


async def test_one_timer_serves_many_reads() -> None:
    async with pair() as (stream, peer):
        timers = set()
        for _ in range(20):
            stream.deadline = now() + 30
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stream.receive)
                await until(lambda: stream._reader is not None)
                await peer.send(b"x")
            timers.add(stream._timer)
        assert len(timers) == 1
        assert None not in timers


async def test_a_deadline_that_passes_while_nobody_reads_ends_no_later_read() -> None:
    async with pair() as (stream, peer):
        stream.deadline = now() + 0.02
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.receive)
            await until(lambda: stream._reader is not None)
            await peer.send(b"x")
        stream.deadline = float("inf")
        await until(lambda: stream._timer is None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.read_all, LARGE)
            await stream.send(bytes(LARGE))
        await peer.send(b"later")
        assert await stream.receive() == b"later"


async def test_another_task_can_end_the_waits_and_only_these() -> None:
    async def ended(wait: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(WaitEnded):
            await wait()
        with pytest.raises(WaitEnded):
            await stream.receive()  # a TLS stream may read more than once

    async with pair() as (stream, peer):
        for wait in (stream.receive, partial(stream.send, bytes(LARGE))):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ended, wait)
                await until(lambda: (stream._reader or stream._writer) is not None)
                stream.cancel()
                stream.cancel()
            stream.deadline = now() + 30
        await peer.send(b"later")
        assert await stream.receive() == b"later"


# What an idle connection tells


async def test_a_connection_whose_peer_spoke_before_it_was_asked_is_not_idle() -> None:
    async with pair() as (stream, peer):
        connection = Connection(stream)
        connection.check_idle()
        await peer.send(b"HTTP/1.1 408 Too Late\r\n\r\n")
        with pytest.raises(TransportError) as caught:  # the loop has not read it
            connection.check_idle()
        assert caught.value.failure.kind is FailureKind.NOT_SENT
        await until(lambda: bool(stream._unread))
        with pytest.raises(TransportError):
            connection.check_idle()


@pytest.mark.parametrize("ends", [Peer.reset, lambda peer: peer.raw.shutdown(socket.SHUT_WR)], ids=["reset", "end"])
async def test_a_connection_that_the_peer_ended_is_not_idle(ends: Callable[[Peer], None]) -> None:
    async with pair() as (stream, peer):
        ends(peer)
        with pytest.raises(TransportError):
            Connection(stream).check_idle()
        await until(lambda: stream._ended)
        with pytest.raises(TransportError) as caught:
            Connection(stream).check_idle()
        assert caught.value.failure.kind is FailureKind.NOT_SENT


async def test_deadlines_and_idle_checks_work_through_tls() -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)

    async with pair() as (stream, peer):
        peer.raw.setblocking(True)
        handshake = asyncio.ensure_future(
            anyio.to_thread.run_sync(partial(server.wrap_socket, peer.raw, server_side=True))
        )
        tls = await TLSStream.wrap(stream, hostname="127.0.0.1", ssl_context=client)
        with await handshake as secured:
            secured.sendall(b"one")
            assert await tls.receive() == b"one"
            connection = Connection(tls)
            assert connection.own is stream
            for wait in (0.03, -1.0):
                stream.deadline = now() + wait
                with pytest.raises(WaitEnded):
                    await connection.read()
            stream.deadline = now() + 30
            secured.sendall(b"two")
            assert await connection.read() == b"two"
            connection.check_idle()
            secured.sendall(b"three")
            secured.sendall(b"nobody asked")
            await until(lambda: len(stream._unread) > 50)  # both, in one read
            assert await connection.read() == b"three"
            assert not stream.has_said_something
            with pytest.raises(TransportError):
                connection.check_idle()
            secured.sendall(b"four")
            await until(lambda: stream.has_said_something)
            with pytest.raises(TransportError):
                connection.check_idle()
        assert stream.extra(SocketAttribute.raw_socket).fileno() >= 0
