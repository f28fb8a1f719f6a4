"""The transports over httpcore: places in a pool, whole conversations through real servers, what failures mean."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from itertools import cycle, product, repeat
from pathlib import Path
from typing import Any

import anyio
import h11
import httpcore
import httpcore2
import msgspec
import pytest
from anyio.abc import TaskGroup
from support import servers
from support.sockets import open_sockets
from support.sweep import InterruptAt, Stepping, cancelled_at
from support.tiers import some, thinned

import ddg_transports
from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    Conversation,
    FailureKind,
    SendRequest,
    ServiceProfile,
    TransportError,
    TurnAborted,
    TurnFinished,
)
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Chat, Client, Reply
from ddg_transports.emulator import Emulator
from ddg_transports.httpcore import AsyncHttpcoreTransport, HttpcoreTransport
from ddg_transports.testing.contract import trusting
from ddg_transports.testing.peer import CERTIFICATES, CUT, HANG, Peer, Said

LIBRARIES: list[Any] = [httpcore, httpcore2]
LOOPS = ["asyncio", "trio"]
WORLDS = ["blocking", *LOOPS]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TIMEOUT = 10.0
QUESTIONS = ("Why is the sky blue?", "And at dusk?")

BY_DEFAULT_HTTPCORE = thinned(LIBRARIES, one_in=2, reason="httpcore2 is httpcore under another name")

each_library = pytest.mark.parametrize("library", BY_DEFAULT_HTTPCORE, ids=lambda library: library.__name__)
each_loop = pytest.mark.parametrize("loop", LOOPS)
each_world = pytest.mark.parametrize("world", WORLDS)


def request(url: str, *headers: tuple[str, str], timeout: float = TIMEOUT) -> SendRequest:
    return SendRequest(id=1, method="GET", url=url, headers=headers, body=b"", timeout=timeout)


def over(pool: Any, **settings: Any) -> Callable[[Any], Any]:
    """Give what makes a pool for a transport."""
    return lambda network: pool(network_backend=network, **settings)


@contextmanager
def serving(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """Serve connections to a loopback port, one after the other; give the port."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    serve(connection)

    thread = threading.Thread(target=accept)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "loopback.pem")
    return context


async def answer(transport: AsyncHttpcoreTransport, sent: SendRequest) -> bytes:
    exchange = await transport.open(sent)
    body = b""
    try:
        while piece := await exchange.read():
            body += piece
    finally:
        with anyio.CancelScope(shield=True):
            await exchange.aclose()
    return body


# Places in a pool


async def has_a_place(pool: Any, url: str) -> bool:
    """Tell whether the pool still serves its own callers."""
    try:
        await pool.request("GET", url, extensions={"timeout": {"pool": 0.1}})
    except (httpcore.PoolTimeout, httpcore2.PoolTimeout):
        return False
    return True


@each_loop
@each_library
def test_a_plain_pool_loses_the_place_of_a_request_that_is_cancelled_as_it_connects(library: Any, loop: str) -> None:
    """Why the transports leave a pool's places alone. When this fails, the library has got better."""

    async def main(url: str) -> bool:
        async with library.AsyncConnectionPool(max_connections=1) as pool:
            with anyio.CancelScope() as scope:

                async def connected(event: str, info: dict[str, Any]) -> None:
                    if event == "connection.connect_tcp.complete":
                        scope.cancel()

                await pool.request("GET", url, extensions={"trace": connected})
            return await has_a_place(pool, url)

    with Peer([OK], [OK]) as peer:
        assert not anyio.run(main, peer.url, backend=loop)


@each_loop
def test_a_plain_pool_loses_the_place_of_a_request_that_is_cancelled_as_it_gets_it(loop: str) -> None:
    """The same for one that waits for a place; httpcore2 has mended this one."""

    async def loses(url: str, step: int) -> bool | None:
        lost: bool | None = None
        async with httpcore.AsyncConnectionPool(max_connections=1) as pool, anyio.create_task_group() as group:
            first = pool.stream("GET", url)
            await first.__aenter__()
            scope = anyio.CancelScope()

            async def second() -> None:
                with scope:
                    await pool.request("GET", url)

            group.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            await Stepping(first.__aexit__(None, None, None), scope, step)
            if scope.cancel_called:
                lost = not await has_a_place(pool, url)
        return lost

    async def main(url: str) -> bool:
        for step in range(1, 100):
            if (lost := await loses(url, step)) or lost is None:
                return bool(lost)
        raise AssertionError("it never ends")

    half_and_whole: list[Said] = [[OK[:-1], HANG], [OK]]
    with Peer(*half_and_whole * 100) as peer:
        assert anyio.run(main, peer.url, backend=loop)


@each_loop
@each_library
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_request_that_is_cancelled_anywhere_costs_no_place_and_no_socket(library: Any, loop: str, tls: bool) -> None:
    async def main(peer: Peer) -> int:
        settings = {"max_connections": 1, "ssl_context": trusting()}
        pools: list[Any] = []

        def make(network: Any) -> Any:
            pools.append(library.AsyncConnectionPool(network_backend=network, **settings))
            return pools[-1]

        async with AsyncHttpcoreTransport(make) as transport:
            (pool,) = pools
            for step in some(range(1, 1000), one_in=5):
                reached = await cancelled_at(step, answer(transport, request(peer.url)))
                with anyio.fail_after(TIMEOUT):
                    assert await answer(transport, request(peer.url)) == b"ok", step
                assert await has_a_place(pool, peer.url), step
                await transport.aclose()
                if not reached:
                    break
        await pool.aclose()
        await anyio.sleep(0.01)
        assert peer.all_closed(TIMEOUT)
        return step

    with Peer(*[[OK]] * 1000, certificate=CERTIFICATES / "loopback.pem" if tls else None) as peer:
        assert anyio.run(main, peer, backend=loop) > 5


async def read_to_its_end(exchange: Any) -> None:
    while await exchange.read():
        pass
    await exchange.aclose()


async def closed(exchange: Any) -> None:
    await exchange.aclose()


@each_loop
@each_library
@pytest.mark.parametrize("elsewhere", [False, True], ids=["there", "elsewhere"])
@pytest.mark.parametrize("ended", [read_to_its_end, closed])
def test_a_request_that_is_cancelled_as_it_gets_a_place_costs_none(
    library: Any, loop: str, elsewhere: bool, ended: Callable[[Any], Coroutine[Any, Any, None]]
) -> None:
    """It waits until another exchange ends, and is cancelled at each step of that end and at each of its own."""

    async def cancelled(transport: AsyncHttpcoreTransport, first: str, second: str, own: int, others: int) -> bool:
        exchange = await transport.open(request(first))
        scope = anyio.CancelScope()

        async def waits() -> None:
            with scope:
                await Stepping(answer(transport, request(second)), scope, own)

        async with anyio.create_task_group() as group:
            group.start_soon(waits)
            await anyio.wait_all_tasks_blocked()
            await Stepping(ended(exchange), scope, others)
        return scope.cancel_called

    async def main(first: str, second: str) -> int:
        pools: list[Any] = []

        def make(network: Any) -> Any:
            pools.append(library.AsyncConnectionPool(network_backend=network, max_connections=1))
            return pools[-1]

        steps = 0
        async with AsyncHttpcoreTransport(make) as transport:
            for is_own in (False, True):
                for step in some(range(1, 1000), one_in=5):
                    reached = await cancelled(transport, first, second, *((step, 0) if is_own else (0, step)))
                    with anyio.fail_after(TIMEOUT):
                        assert await answer(transport, request(first)) == b"ok", step
                        assert await has_a_place(pools[0], second), step
                    if not reached:
                        break
                steps += step
        return steps

    with Peer(*[[OK]] * 500) as peer, Peer(*[[OK]] * 500) as other:
        assert anyio.run(main, peer.url, other.url if elsewhere else peer.url, backend=loop) > 4
        assert peer.all_closed(TIMEOUT)
        assert other.all_closed(TIMEOUT)


@each_library
@each_world
def test_no_more_requests_are_under_way_than_the_pool_has_places(library: Any, world: str) -> None:
    with Peer([OK, HANG], [OK], [OK, HANG]) as peer:
        if world == "blocking":
            with HttpcoreTransport(over(library.ConnectionPool, max_connections=1)) as transport:
                first = transport.open(request(peer.url), timeout=TIMEOUT)
                with pytest.raises(TransportError) as caught:
                    transport.open(request(peer.url), timeout=SHORT)
                assert caught.value.failure.kind is FailureKind.TIMEOUT
                first.close()
                transport.open(request(peer.url), timeout=TIMEOUT).close()
        else:

            async def main() -> None:
                async with AsyncHttpcoreTransport(over(library.AsyncConnectionPool, max_connections=1)) as transport:
                    first = await transport.open(request(peer.url))
                    with anyio.move_on_after(SHORT) as scope:
                        await transport.open(request(peer.url))
                    assert scope.cancelled_caught
                    await first.aclose()
                    await (await transport.open(request(peer.url))).aclose()

            anyio.run(main, backend=world)
        assert peer.connections == 2


@each_library
@each_world
def test_other_requests_over_the_pool_count_and_keep_their_timeouts(library: Any, world: str) -> None:
    timeouts = {"timeout": {"connect": SHORT, "read": SHORT, "write": SHORT, "pool": SHORT}}
    pools: list[Any] = []
    kind = library.ConnectionPool if world == "blocking" else library.AsyncConnectionPool

    def make(network: Any) -> Any:
        pools.append(kind(network_backend=network, max_connections=1))
        return pools[-1]

    with Peer([OK], [HANG], [OK]) as peer:
        if world == "blocking":
            with HttpcoreTransport(make) as transport:
                assert pools[0].request("GET", peer.url, extensions=timeouts).content == b"ok"
                with pytest.raises(library.ReadTimeout):
                    pools[0].request("GET", peer.url, extensions=timeouts)
                with closing(transport.open(request(peer.url), timeout=TIMEOUT)), pytest.raises(library.PoolTimeout):
                    pools[0].request("GET", peer.url, extensions=timeouts)
        else:

            async def main() -> None:
                async with AsyncHttpcoreTransport(make) as transport:
                    assert (await pools[0].request("GET", peer.url, extensions=timeouts)).content == b"ok"
                    with pytest.raises(library.ReadTimeout):
                        await pools[0].request("GET", peer.url, extensions=timeouts)
                    exchange = await transport.open(request(peer.url))
                    with pytest.raises(library.PoolTimeout):
                        await pools[0].request("GET", peer.url, extensions=timeouts)
                    await exchange.aclose()

            anyio.run(main, backend=world)


@each_library
def test_threads_share_a_pool_of_few_places(library: Any) -> None:
    """Each connection is used by one thread at a time, even as the pool makes room for other origins."""
    bodies: list[bytes] = []
    with Peer(*[[OK]] * 200) as peer, Peer(*[[OK]] * 200) as other:
        with HttpcoreTransport(over(library.ConnectionPool, max_connections=2)) as transport:

            def ask() -> None:
                for url in [peer.url, other.url] * 10:
                    with closing(transport.open(request(url), timeout=TIMEOUT)) as exchange:
                        bodies.append(b"".join(iter(partial(exchange.read, timeout=TIMEOUT), b"")))

            threads = [threading.Thread(target=ask) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert bodies == [b"ok"] * 160
        assert peer.all_closed(TIMEOUT)
        assert other.all_closed(TIMEOUT)


@each_loop
def test_a_request_that_a_deadline_ends_costs_nothing_either(loop: str) -> None:
    async def pass_once_heard(end: Callable[[], object]) -> None:
        while not peer.requests:
            await anyio.sleep(0)
        end()

    async def ask_in_time(transport: AsyncHttpcoreTransport, tasks: TaskGroup) -> None:
        if loop == "asyncio":  # whose own cancellations are not those of scopes
            async with asyncio.timeout(TIMEOUT) as bound:
                tasks.start_soon(pass_once_heard, lambda: bound.reschedule(0.0))
                await answer(transport, request(peer.url))
        with anyio.fail_after(TIMEOUT) as scope:
            tasks.start_soon(pass_once_heard, lambda: setattr(scope, "deadline", 0.0))
            await answer(transport, request(peer.url))

    async def main() -> None:
        async with AsyncHttpcoreTransport() as transport, anyio.create_task_group() as tasks:
            with pytest.raises(TimeoutError):
                await ask_in_time(transport, tasks)
            assert await answer(transport, request(peer.url)) == b"ok"

    with Peer([HANG], [OK]) as peer:
        anyio.run(main, backend=loop)
        assert peer.all_closed(TIMEOUT)


# Connections


@each_library
def test_exchanges_that_follow_one_another_share_a_connection(library: Any) -> None:
    with Peer([OK], [OK]) as peer, HttpcoreTransport(over(library.ConnectionPool)) as transport:
        for _ in range(2):
            exchange = transport.open(request(peer.url), timeout=TIMEOUT)
            with closing(exchange):
                assert b"".join(iter(partial(exchange.read, timeout=TIMEOUT), b"")) == b"ok"
        assert peer.connections == 1


NOT_ASKED_FOR = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
BEHIND = {"response": NOT_ASKED_FOR, "lines": NOT_ASKED_FOR + b"\n\r\n", "byte": NOT_ASKED_FOR[:1]}
FRAMINGS = {
    "length": OK,
    "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
}


class Reached(threading.Event):
    """A step of a peer that waits for nothing, and is set once the peer has come to it."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def two_bodies(world: str, url: str, between: threading.Event | None = None, **settings: Any) -> list[bytes]:
    """Give what two exchanges over one transport read, the second after an event."""

    def pause() -> None:
        assert between is None or threading.Event.wait(between, TIMEOUT)

    if world == "blocking":
        bodies = []
        with HttpcoreTransport(**settings) as transport:
            for _ in range(2):
                exchange = transport.open(request(url), timeout=TIMEOUT)
                with closing(exchange):
                    bodies.append(b"".join(iter(partial(exchange.read, timeout=TIMEOUT), b"")))
                pause()
        return bodies

    async def main() -> list[bytes]:
        bodies = []
        async with AsyncHttpcoreTransport(**settings) as transport:
            for _ in range(2):
                bodies.append(await answer(transport, request(url)))
                pause()
        return bodies

    return anyio.run(main, backend=world)


@pytest.mark.usefixtures("only")
@pytest.mark.parametrize(
    ("framing", "behind", "tls", "world"),
    thinned(product(FRAMINGS, BEHIND, [False, True], WORLDS), one_in=9, reason="each with each"),
)
def test_a_response_that_nobody_asked_for_answers_no_request(framing: str, behind: str, tls: bool, world: str) -> None:
    first = FRAMINGS[framing]
    with Peer([first + BEHIND[behind]], [OK], certificate=CERTIFICATES / "loopback.pem" if tls else None) as peer:
        assert two_bodies(world, peer.url, ssl_context=trusting()) == [b"" if framing == "no body" else b"ok", b"ok"]
        assert peer.connections == 2


@pytest.mark.usefixtures("only")
@each_world
def test_a_response_in_a_record_of_its_own_answers_no_request_either(world: str) -> None:
    """TLS in memory takes in what comes at once, and gives one record a read."""

    said = [[OK, NOT_ASKED_FOR], [OK]]

    def serve(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = server_context().wrap_bio(incoming, outgoing, server_side=True)

        def carry_out(call: Callable[[], object]) -> None:
            while True:
                try:
                    call()
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
                else:
                    return

        carry_out(tls.do_handshake)
        carry_out(lambda: tls.read(65536))
        for each in said.pop(0):
            tls.write(each)
        connection.sendall(outgoing.read())  # the records and the tickets at once
        connection.recv(65536)

    with serving(serve) as port:
        url = f"https://127.0.0.1:{port}"
        assert two_bodies(world, url, ssl_context=trusting()) == [b"ok", b"ok"]
    assert not said


@pytest.mark.usefixtures("only")
@each_world
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_response_behind_a_whole_read_answers_no_request(world: str, tls: bool) -> None:
    """The first response is as long as a read may be, so that what follows it stays wherever it was read from."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 65000\r\nx-padding: %s\r\n\r\n"
    body = b"." * 65000
    first = head % (b"x" * (65536 - len(head % b"") - len(body))) + body
    behind = NOT_ASKED_FOR * 1500  # fits into the kernel's buffers, so that all of it can be sent
    sent = Reached()
    certificate = CERTIFICATES / "loopback.pem" if tls else None
    with Peer([first + behind, sent], [OK], certificate=certificate) as peer:
        assert two_bodies(world, peer.url, sent, ssl_context=trusting()) == [body, b"ok"]
        assert peer.connections == 2


@pytest.mark.usefixtures("only")
@each_world
def test_a_body_that_ends_with_the_connection_is_cut_without_a_close_notify(world: str) -> None:
    with Peer([b"HTTP/1.1 200 OK\r\n\r\nhal", CUT], certificate=CERTIFICATES / "loopback.pem") as peer:
        with pytest.raises(TransportError) as caught:
            two_bodies(world, peer.url, ssl_context=trusting())
        assert caught.value.failure.kind is FailureKind.CUT


@pytest.mark.usefixtures("only")
@pytest.mark.parametrize(
    ("framing", "tls", "world"), thinned(product(FRAMINGS, [False, True], WORLDS), one_in=9, reason="each with each")
)
def test_a_connection_with_nothing_behind_the_response_is_used_again(framing: str, tls: bool, world: str) -> None:
    said = FRAMINGS[framing]
    with Peer([said], [said], certificate=CERTIFICATES / "loopback.pem" if tls else None) as peer:
        two_bodies(world, peer.url, ssl_context=trusting())
        assert peer.connections == 1


def test_no_more_connections_are_kept_than_a_few() -> None:
    with Peer(*[[OK]] * 30) as peer, HttpcoreTransport() as transport:
        exchanges = [transport.open(request(peer.url), timeout=TIMEOUT) for _ in range(30)]
        for exchange in exchanges:
            while exchange.read(timeout=TIMEOUT):
                pass
            exchange.close()
        assert peer.connections == 30
        with pytest.raises(AssertionError):
            assert peer.all_closed(0.0), "some are kept"


@each_library
def test_a_connection_whose_response_was_interrupted_at_its_end_is_not_used_again(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if it is read on, as a driver does where the turn is done and only the rest of the body is left."""

    def interrupted(_: h11.Connection) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    with Peer([OK], [OK]) as peer, HttpcoreTransport(over(library.ConnectionPool)) as transport:
        exchange = transport.open(request(peer.url), timeout=TIMEOUT)
        monkeypatch.setattr(h11.Connection, "start_next_cycle", interrupted)
        with closing(exchange):
            with pytest.raises(KeyboardInterrupt):
                list(iter(partial(exchange.read, timeout=TIMEOUT), b""))
            with pytest.raises(TransportError, match="interrupted"):
                exchange.read(timeout=TIMEOUT)
        with closing(transport.open(request(peer.url), timeout=TIMEOUT)) as exchange:
            assert b"".join(iter(partial(exchange.read, timeout=TIMEOUT), b"")) == b"ok"


def test_an_ask_that_is_interrupted_behind_its_end_leaves_the_chat_as_good_as_new(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: h11.Connection) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    def interrupt_the_end(reply: Reply) -> None:
        for event in reply.events():
            if isinstance(event, TurnFinished):
                monkeypatch.setattr(h11.Connection, "start_next_cycle", interrupted)

    profile = DUCKDUCKGO_2025_04.at(emulator.url, minimum_interval=0.0)
    with HttpcoreTransport() as transport, Client(profile, transport=transport) as client:
        chat = client.chat()
        with pytest.raises(KeyboardInterrupt), chat.stream(QUESTIONS[0]) as reply:
            interrupt_the_end(reply)
        assert reply.finished is not None
        assert "Turn 2" in chat.ask(QUESTIONS[1]).text


def test_a_unix_socket_in_place_of_an_address(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(OK)

        thread = threading.Thread(target=serve)
        thread.start()
        with HttpcoreTransport(uds=str(tmp_path / "socket")) as transport:
            exchange = transport.open(request("http://duckduckgo.com/"), timeout=TIMEOUT)
            assert b"".join(iter(partial(exchange.read, timeout=TIMEOUT), b"")) == b"ok"
            exchange.close()
        thread.join()


def test_a_pool_of_another_library_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="neither httpcore nor httpcore2"):
        HttpcoreTransport(lambda _: object())


def test_a_pool_over_another_network_is_refused_with_the_first_request() -> None:
    with Peer([OK]) as peer, HttpcoreTransport(lambda _: httpcore.ConnectionPool()) as transport:
        with pytest.raises(TypeError, match="network_backend"):
            transport.open(request(peer.url), timeout=TIMEOUT)
        assert peer.all_closed(TIMEOUT)


def test_with_neither_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in LIBRARIES:
        monkeypatch.setitem(sys.modules, library.__name__, None)
    with pytest.raises(ModuleNotFoundError, match="needs httpcore or httpcore2"):
        HttpcoreTransport()


@pytest.mark.parametrize(
    ("module", "settings"), [("h2", {"http2": True}), ("socksio", {"proxy": "socks5://127.0.0.1"})]
)
def test_without_what_an_extra_brings_it_says_so_at_once(
    module: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for transport in (HttpcoreTransport, AsyncHttpcoreTransport):
        with pytest.raises(ModuleNotFoundError, match=rf"needs {module}: pip install {module}$"):
            transport(**settings)


def test_a_proxy_of_another_kind_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="not 'socks4'"):
        HttpcoreTransport(proxy="socks4://127.0.0.1")
    with pytest.raises(ValueError, match="the URL of a proxy is ASCII: write other characters as percent escapes"):
        HttpcoreTransport(proxy="http://me:gehéim@127.0.0.1:1")


def test_the_drivers_without_it_don_t_load_the_library() -> None:
    code = (
        "import sys, ddg_transports.blocking, ddg_transports.anyio; print({'httpcore', 'httpcore2'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# Whole conversations


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


def converse(world: str, url: str, context: ssl.SSLContext | None = None, **settings: Any) -> list[str]:
    """Hold a conversation of two turns; give the replies."""
    profile = DUCKDUCKGO_2025_04.at(url, minimum_interval=0.0)
    if world == "blocking":
        with (
            HttpcoreTransport(ssl_context=context, **settings) as transport,
            Client(profile, transport=transport) as client,
        ):
            chat = client.chat()
            return [chat.ask(question).text for question in QUESTIONS]

    async def main() -> list[str]:
        async with (
            AsyncHttpcoreTransport(ssl_context=context, **settings) as transport,
            AsyncClient(profile, transport=transport) as client,
        ):
            chat = client.chat()
            return [(await chat.ask(question)).text for question in QUESTIONS]

    return anyio.run(main, backend=world)


def assert_answered(replies: list[str]) -> None:
    first, second = replies
    assert "Turn 1" in first
    assert "Why is the sky blue?" in first
    assert "Turn 2" in second
    assert "And at dusk?" in second


@pytest.fixture(params=BY_DEFAULT_HTTPCORE, ids=lambda library: library.__name__)
def only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in LIBRARIES:
        if library is not request.param:
            monkeypatch.setitem(sys.modules, library.__name__, None)


@pytest.mark.parametrize("only", LIBRARIES, indirect=True, ids=lambda library: library.__name__)
@pytest.mark.usefixtures("only")
@each_world
def test_a_conversation(world: str, emulator: Emulator) -> None:
    assert_answered(converse(world, emulator.url))


@pytest.mark.usefixtures("only")
@each_world
@pytest.mark.parametrize("kind", ["dante", "microsocks"])
def test_a_conversation_through_a_socks_server(world: str, kind: str, emulator: Emulator, tmp_path: Path) -> None:
    with getattr(servers, kind)(tmp_path) as proxy:
        assert_answered(converse(world, emulator.url, proxy=proxy))


@pytest.mark.usefixtures("only")
@each_world
def test_a_conversation_with_a_server_that_buffers(world: str, emulator: Emulator, tmp_path: Path) -> None:
    with servers.nginx(tmp_path, emulator.url) as url:
        assert_answered(converse(world, url))


@each_world
def test_the_drivers_without_it_converse_with_a_server_that_buffers(
    world: str, emulator: Emulator, tmp_path: Path
) -> None:
    async def main(profile: ServiceProfile) -> list[str]:
        async with AsyncClient(profile, ssl_context=trusting()) as client:
            chat = client.chat()
            return [(await chat.ask(question)).text for question in QUESTIONS]

    with servers.nginx(tmp_path, emulator.url, tls=True) as url:
        profile = DUCKDUCKGO_2025_04.at(url, minimum_interval=0.0)
        if world == "blocking":
            with Client(profile, ssl_context=trusting()) as client:
                chat = client.chat()
                assert_answered([chat.ask(question).text for question in QUESTIONS])
        else:
            assert_answered(anyio.run(main, profile, backend=world))


@pytest.mark.usefixtures("only")
@each_world
def test_a_conversation_over_http_2_with_a_server_that_buffers(world: str, emulator: Emulator, tmp_path: Path) -> None:
    with servers.nginx(tmp_path, emulator.url, tls=True) as url:
        assert_answered(converse(world, url, trusting(), http2=True))
        assert "HTTP/2.0" in (tmp_path / "access.log").read_text()


@pytest.mark.usefixtures("only")
@each_world
def test_a_conversation_through_an_http_proxy(world: str, emulator: Emulator, tmp_path: Path) -> None:
    # Over TLS, as outside of this machine it always is: what is plain, this proxy forwards, and then closes the
    # connection without having said so, which can cross with the next question.
    with servers.nginx(tmp_path, emulator.url, tls=True) as url, servers.tinyproxy(tmp_path) as proxy:
        assert_answered(converse(world, url, trusting(), http2=True, proxy=proxy))
        assert "HTTP/2.0" in (tmp_path / "access.log").read_text()


# Failures


def failure(world: str, sent: SendRequest, **settings: Any) -> TransportError:
    if world == "blocking":
        with HttpcoreTransport(**settings) as transport, pytest.raises(TransportError) as caught:
            transport.open(sent, timeout=TIMEOUT)
        return caught.value

    async def main() -> TransportError:
        async with AsyncHttpcoreTransport(**settings) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.open(sent)
            return caught.value

    return anyio.run(main, backend=world)


@pytest.mark.usefixtures("only")
@each_world
def test_a_proxy_that_wants_other_credentials_means_that_nothing_was_sent(world: str, tmp_path: Path) -> None:
    with Peer([OK], tls=True) as peer:
        for kind in (servers.tinyproxy, servers.microsocks):
            with kind(tmp_path) as proxy:
                error = failure(world, request(peer.url), proxy=proxy.replace("user:", "nobody:"))
                assert error.failure.kind is FailureKind.NOT_SENT
        assert not peer.connections


@pytest.mark.usefixtures("only")
@each_world
def test_a_socks_server_that_cannot_connect_means_that_nothing_was_sent(world: str, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{servers.free_port()}"
    with servers.dante(tmp_path) as proxy:
        error = failure(world, request(url), proxy=proxy)
    assert error.failure.kind is FailureKind.NOT_SENT
    assert "refused" in str(error)


@pytest.mark.usefixtures("only")
@each_world
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_says_nothing_is_given_up_in_time(world: str, scheme: str) -> None:
    sent = request("https://127.0.0.1:1/", timeout=0.2)
    with Peer(opening=[HANG]) as proxy:
        settings: dict[str, Any] = {"proxy": proxy.url.replace("http", scheme)}
        if world == "blocking":
            with HttpcoreTransport(**settings) as transport, pytest.raises(TransportError) as caught:
                transport.open(sent, timeout=TIMEOUT)
        else:

            async def main() -> None:
                async with AsyncHttpcoreTransport(**settings) as transport:
                    await transport.open(sent)

            with pytest.raises(TransportError) as caught:
                anyio.run(main, backend=world)
        assert caught.value.failure.kind is FailureKind.TIMEOUT
        assert proxy.all_closed(TIMEOUT)


# Time

SHORT = 0.2
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
SETTINGS, HEADERS = b"\0\0\0\4\0\0\0\0\0", b"\0\0\1\1\4\0\0\0\1\x88"  # of HTTP/2, the second with a status of 200
PING = b"\0\0\x08\6\0\0\0\0\0........"
FLOODS: dict[str, tuple[bytes, Callable[[], Iterable[bytes]]]] = {
    "interim responses": (b"", lambda: repeat(INTERIM * 100)),
    "interim responses, a byte each": (b"", lambda: (bytes([byte]) for byte in cycle(INTERIM))),
    "pings before the response": (SETTINGS, lambda: repeat(PING * 100)),
    "pings after the head": (SETTINGS + HEADERS, lambda: repeat(PING * 100)),
}


def flooded(first: bytes, flood: Callable[[], Iterable[bytes]]) -> Callable[[socket.socket], None]:
    """Give a server that answers a request without an end."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(first)
        for each in flood():
            connection.sendall(each)

    return serve


def timed_out(world: str, sent: SendRequest, **settings: Any) -> bool:
    """Tell whether `SHORT` ends an exchange."""
    if world == "blocking":
        with HttpcoreTransport(**settings) as transport:
            try:
                with closing(transport.open(sent, timeout=SHORT)) as exchange:
                    exchange.read(timeout=SHORT)
            except TransportError as error:
                return error.failure.kind is FailureKind.TIMEOUT
        return False

    async def main() -> bool:
        async with AsyncHttpcoreTransport(**settings) as transport:
            with anyio.move_on_after(SHORT) as scope:
                await answer(transport, sent)
        return scope.cancelled_caught

    return anyio.run(main, backend=world)


@each_library
@pytest.mark.parametrize(("name", "world"), thinned(product(FLOODS, WORLDS), one_in=4, reason="each with each"))
def test_a_flood_without_gaps_ends_in_time(name: str, world: str, library: Any) -> None:
    is_http_2 = name.startswith("pings")
    pool = library.ConnectionPool if world == "blocking" else library.AsyncConnectionPool
    with serving(flooded(*FLOODS[name])) as port:
        make = over(pool, http1=not is_http_2, http2=is_http_2)
        assert timed_out(world, request(f"http://127.0.0.1:{port}/"), pool=make)


@pytest.mark.usefixtures("only")
@each_world
def test_a_flood_from_a_proxy_ends_when_the_connection_should_be_made(world: str) -> None:
    sent = request("https://127.0.0.1:1/", timeout=SHORT)
    with serving(flooded(*FLOODS["interim responses"])) as port:
        settings = {"proxy": f"http://127.0.0.1:{port}"}
        assert failure(world, sent, **settings).failure.kind is FailureKind.TIMEOUT


@pytest.mark.usefixtures("only")
@each_world
def test_a_handshake_behind_a_proxy_is_given_up_when_the_connection_should_be_made(world: str) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while connection.recv(65536):
            pass

    with serving(serve) as port:
        started = time.monotonic()
        error = failure(world, request("https://127.0.0.1:1/", timeout=SHORT), proxy=f"http://127.0.0.1:{port}")
        assert error.failure.kind is FailureKind.TIMEOUT
        assert time.monotonic() - started < TIMEOUT / 2


@pytest.mark.usefixtures("only")
@each_world
def test_a_handshake_that_trickles_through_a_proxy_s_tls_ends_in_time(world: str) -> None:
    def serve(connection: socket.socket) -> None:
        with server_context().wrap_socket(connection, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            tls.recv(65536)
            tls.sendall(b"\x16\x03\x03\x40\x00")  # begins a record of 16 KiB
            while not over.wait(0.001):
                tls.sendall(b".")

    def make(network: Any) -> Any:
        kind = library.HTTPProxy if world == "blocking" else library.AsyncHTTPProxy
        return kind(proxy, ssl_context=trusting(), proxy_ssl_context=trusting(), network_backend=network)

    library = next(each for each in LIBRARIES if sys.modules[each.__name__] is not None)
    over = threading.Event()
    with serving(serve) as port:
        proxy = f"https://127.0.0.1:{port}"
        sent = request("https://127.0.0.1:1/", timeout=SHORT)
        assert failure(world, sent, pool=make).failure.kind is FailureKind.TIMEOUT


@each_library
def test_a_peer_that_takes_a_request_slowly_is_given_up_in_time(library: Any) -> None:
    def serve(connection: socket.socket) -> None:
        while connection.recv(64):
            pass

    with serving(serve) as port:
        sent = msgspec.structs.replace(request(f"http://127.0.0.1:{port}/"), method="POST", body=bytes(4 * 10**7))
        assert timed_out("blocking", sent, pool=over(library.ConnectionPool))


@each_library
@each_loop
def test_a_request_that_is_cancelled_while_it_is_sent_leaves_nothing_to_clean_up(library: Any, loop: str) -> None:
    over_yet = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(64)
        over_yet.wait(TIMEOUT)

    async def cancel(url: str) -> bool:
        sent = msgspec.structs.replace(request(url), method="POST", body=bytes(4 * 10**7))
        async with AsyncHttpcoreTransport(over(library.AsyncConnectionPool)) as transport:
            with anyio.move_on_after(SHORT) as scope:
                await transport.open(sent)
        gc.collect()
        return scope.cancelled_caught

    with serving(serve) as port:
        try:
            assert anyio.run(cancel, f"http://127.0.0.1:{port}/", backend=loop)
        finally:
            over_yet.set()


def test_the_addresses_of_a_name_share_the_time_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        fillers = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in fillers:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))  # then a further one is not answered
        told: list[float] = []

        class Told(socket.socket):
            def settimeout(self, value: float | None) -> None:
                told.append(value or 0.0)
                super().settimeout(value)

        monkeypatch.setattr(socket, "socket", Told)
        ask = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **settings: ask(*args, **settings) * 4)
        with HttpcoreTransport(over(httpcore.ConnectionPool)) as transport, pytest.raises(TransportError) as caught:
            transport.open(request(f"http://127.0.0.1:{port}/", timeout=SHORT), timeout=TIMEOUT)
        assert caught.value.failure.kind is FailureKind.TIMEOUT
    assert max(told) <= SHORT / 2


@pytest.mark.usefixtures("only")
@each_world
def test_a_name_that_nobody_could_resolve_means_that_nothing_was_sent(world: str) -> None:
    error = failure(world, request(f"http://{'a' * 64}.example/"))
    assert error.failure.kind is FailureKind.NOT_SENT


# Exchanges that another thread ends

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n"
EVENT = b'data: {"action":"success","message":"first"}\n\n'
_TYPE = b"\x0f\x10\x11text/event-stream"  # RFC 7541, 6.2.2: a literal field with an indexed name
OVER_HTTP_2 = (
    b"\0\0\0\4\0\0\0\0\0"  # SETTINGS
    + bytes([0, 0, 1 + len(_TYPE), 1, 4, 0, 0, 0, 1, 0x88])  # HEADERS, with a status of 200
    + _TYPE
    + bytes([0, 0, len(EVENT), 0, 0, 0, 0, 0, 1])  # DATA
    + EVENT
)


def stalled(way: str) -> Callable[[socket.socket], None]:
    """Give a server that begins a reply and says no more."""

    def serve(connection: socket.socket) -> None:
        if way == "proxy":
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        if way in ("tls", "proxy"):
            connection = server_context().wrap_socket(connection, server_side=True)
        with connection:
            connection.recv(65536)
            connection.sendall(OVER_HTTP_2 if way == "http2" else STREAM + EVENT)
            while connection.recv(65536):
                pass

    return serve


def reaching(way: str, library: Any, port: int) -> tuple[str, Any]:
    """Give the URL, and what makes the pool."""
    if way == "proxy":
        made = over(library.HTTPProxy, proxy_url=f"http://127.0.0.1:{port}", ssl_context=trusting())
        return "https://127.0.0.1:1", made
    settings = {"http1": False, "http2": True} if way == "http2" else {"ssl_context": trusting()}
    return f"http{'s' if way == 'tls' else ''}://127.0.0.1:{port}", over(library.ConnectionPool, **settings)


CLOSERS: dict[str, Callable[[Client, Chat, Reply], None]] = {
    "reply": lambda client, chat, reply: reply.close(),
    "chat": lambda client, chat, reply: chat.close(),
    "client": lambda client, chat, reply: client.close(),
}


@each_library
@pytest.mark.parametrize("way", ["plain", "tls", "http2", "proxy"])
@pytest.mark.parametrize("closer", thinned(CLOSERS, one_in=3, reason="all come to the same call"))
def test_a_thread_that_reads_a_reply_is_told_at_once_when_another_closes_it(
    closer: str, way: str, library: Any
) -> None:
    errors: list[BaseException] = []
    first = threading.Event()
    known = Conversation(vqd="token", fe_version="x-y")

    def read() -> None:
        try:
            with reply:
                for _ in reply:
                    first.set()
        except BaseException as error:
            errors.append(error)

    with serving(stalled(way)) as port:
        url, make = reaching(way, library, port)
        profile = DUCKDUCKGO_2025_04.at(url, minimum_interval=0.0)
        with HttpcoreTransport(make) as transport, Client(profile, transport=transport) as client:
            chat = client.chat(conversation=known, cookies={})
            reply = chat.stream("Why?")
            reader = threading.Thread(target=read, daemon=True)
            reader.start()
            assert first.wait(TIMEOUT)
            CLOSERS[closer](client, chat, reply)
            reader.join(TIMEOUT)  # the read would take 30 s
            assert not reader.is_alive()
            (error,) = errors
            assert isinstance(error, TurnAborted)
            assert error.text == "first"


@each_library
def test_an_exchange_that_is_over_can_abort_no_other(library: Any) -> None:
    with Peer([OK], [OK]) as peer, HttpcoreTransport(over(library.ConnectionPool)) as transport:
        first = transport.open(request(peer.url), timeout=TIMEOUT)
        while first.read(timeout=TIMEOUT):
            pass
        first.close()
        with closing(transport.open(request(peer.url), timeout=TIMEOUT)) as second:
            first.abort()
            assert b"".join(iter(partial(second.read, timeout=TIMEOUT), b"")) == b"ok"
        assert peer.connections == 1


@each_library
def test_an_exchange_that_was_aborted_leaves_no_connection_in_the_pool(library: Any) -> None:
    with Peer([OK], [OK]) as peer:
        with HttpcoreTransport(over(library.ConnectionPool, max_connections=1)) as transport:
            with closing(transport.open(request(peer.url), timeout=TIMEOUT)) as exchange:
                exchange.abort()
                exchange.abort()
                with suppress(TransportError):  # what has arrived may still be read
                    while exchange.read(timeout=TIMEOUT):
                        pass
            with closing(transport.open(request(peer.url), timeout=TIMEOUT)) as exchange:
                assert b"".join(iter(partial(exchange.read, timeout=TIMEOUT), b"")) == b"ok"
        assert peer.connections == 2


def test_a_socket_is_not_closed_while_it_is_shut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system could have given its number to another one."""
    numbers: list[int] = []

    class Slow(socket.socket):
        def shutdown(self, how: int) -> None:
            closer = threading.Thread(target=exchange.close)
            closer.start()
            closer.join(SHORT)
            numbers.append(self.fileno())
            closers.append(closer)

    closers: list[threading.Thread] = []
    with Peer([OK[:-1], HANG]) as peer, HttpcoreTransport() as transport:
        monkeypatch.setattr(socket, "socket", Slow)
        exchange = transport.open(request(peer.url), timeout=TIMEOUT)
        exchange.abort()
        monkeypatch.undo()
        closers[0].join()
        assert numbers[0] > 0
        assert peer.all_closed(TIMEOUT)


def is_to(peer: Peer, connected: socket.socket) -> bool:
    return peer.url.endswith(f":{connected.getpeername()[1]}")


@each_library
def test_no_wait_lasts_so_long_in_one_piece_that_a_signal_before_it_is_missed(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[float | None] = []

    class Watched(socket.socket):
        def recv(self, *args: Any) -> bytes:
            if is_to(peer, self):
                timeouts.append(self.gettimeout())
            return super().recv(*args)

        def send(self, *args: Any) -> int:
            if is_to(peer, self):
                timeouts.append(self.gettimeout())
            return super().send(*args)

    with Peer([OK]) as peer, HttpcoreTransport(over(library.ConnectionPool)) as transport:
        monkeypatch.setattr(socket, "socket", Watched)
        with closing(transport.open(request(peer.url), timeout=TIMEOUT)) as exchange:
            monkeypatch.undo()
            while exchange.read(timeout=TIMEOUT):
                pass
    assert len(timeouts) > 1
    assert all(timeout is not None and timeout <= 0.5 for timeout in timeouts)


def test_a_read_outlasts_the_pieces_that_it_waits_in(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[float | None] = []

    class Impatient(socket.socket):
        def recv(self, *args: Any) -> bytes:
            if is_to(peer, self) and len(pieces) < 3:
                pieces.append(self.gettimeout())
                raise TimeoutError
            return super().recv(*args)

    with Peer([OK]) as peer, HttpcoreTransport() as transport:
        monkeypatch.setattr(socket, "socket", Impatient)
        with closing(transport.open(request(peer.url), timeout=TIMEOUT)) as exchange:
            monkeypatch.undo()
            assert b"".join(iter(partial(exchange.read, timeout=TIMEOUT), b"")) == b"ok"
    assert len(pieces) == 3


# Ctrl-C at any line

OWN = {f"{ddg_transports.__path__[0]}/{name}.py" for name in ("httpcore", "_httpcore_pool", "_httpcore_streams")}
SWEEP = "DDG_TESTS_SWEEP"


@each_library
def test_control_c_as_the_pool_hands_over_a_response_costs_no_place(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    make = library.Response.__init__

    def interrupted(response: object, *args: Any, **settings: Any) -> None:
        made.append(response)
        if len(made) == 2:  # the connection makes the first, the pool the second
            raise KeyboardInterrupt
        make(response, *args, **settings)

    with Peer([OK], [OK]) as peer:
        with HttpcoreTransport(over(library.ConnectionPool, max_connections=1)) as transport:
            monkeypatch.setattr(library.Response, "__init__", interrupted)
            with pytest.raises(KeyboardInterrupt):
                transport.open(request(peer.url), timeout=TIMEOUT)
            with closing(transport.open(request(peer.url), timeout=TIMEOUT)) as exchange:
                assert b"".join(iter(partial(exchange.read, timeout=TIMEOUT), b"")) == b"ok"
        assert peer.all_closed(TIMEOUT)


def test_control_c_at_any_line_of_a_transport_costs_no_place_and_no_socket(pytestconfig: pytest.Config) -> None:
    # In a process of its own: exceptions that a trace raises stay the context of what is raised in it afterwards.
    tier = ["--deep"] if pytestconfig.getoption("--deep") else []
    test = f"{__file__}::test_interrupt_at_each_line"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tier, test]
    done = subprocess.run(command, env={**os.environ, SWEEP: "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.skipif(SWEEP not in os.environ, reason="runs in a process of its own")
# Where it comes in a generator that is being finalized, Python says so and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@each_library
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_interrupt_at_each_line(library: Any, tls: bool) -> None:
    certificate = CERTIFICATES / "loopback.pem" if tls else None
    settings = {"max_connections": 1, "ssl_context": trusting()}
    n = 0
    with Peer(*[[OK]] * 10_000, certificate=certificate) as peer:
        before = open_sockets()
        every = 1 if library is httpcore else 7  # its lines are the same under another name
        for n in some(range(1, 2000, every), one_in=101):
            trace, open_ones = InterruptAt(n, OWN), ExitStack()
            with HttpcoreTransport(over(library.ConnectionPool, **settings)) as transport:
                try:
                    with trace.tracing():
                        for is_read in (True, False, True, True):
                            with closing(transport.open(request(peer.url), timeout=TIMEOUT)) as exchange:
                                open_ones.callback(exchange.close)
                                while is_read and exchange.read(timeout=TIMEOUT):
                                    pass
                except KeyboardInterrupt:
                    assert trace.left == 0
                open_ones.close()  # as a driver does in the end
                with closing(transport.open(request(peer.url), timeout=TIMEOUT)) as exchange:
                    assert b"".join(iter(partial(exchange.read, timeout=TIMEOUT), b"")) == b"ok", trace.where
            if trace.left > 0:
                break
        assert 200 < n < 1999
        assert peer.all_closed(TIMEOUT)
        gc.collect()
        assert open_sockets() <= before


@each_world
@each_library
def test_a_socket_that_takes_no_such_option_is_closed(library: Any, world: str) -> None:
    pool = library.ConnectionPool if world == "blocking" else library.AsyncConnectionPool
    with Peer([OK]) as peer:
        make = over(pool, socket_options=[(socket.IPPROTO_TCP, 9999, 1)])
        assert failure(world, request(peer.url), pool=make).failure.kind is FailureKind.NOT_SENT
        assert peer.all_closed(TIMEOUT)


@each_world
def test_a_unix_socket_on_windows_means_that_nothing_was_sent(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them, the libraries raise exceptions of many kinds."""

    async def connect_unix(path: object) -> object:
        raise RuntimeError("Unix sockets are not supported on this platform")

    context = trusting()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(anyio, "connect_unix", connect_unix)
    error = failure(world, request("http://127.0.0.1:1/"), uds="socket", ssl_context=context)
    assert error.failure.kind is FailureKind.NOT_SENT
    assert "Windows" in str(error)
