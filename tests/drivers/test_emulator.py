"""The service over real loopback sockets, to clients that share no code with it."""

from __future__ import annotations

import json
import queue
import re
import socket
import ssl
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import anyio
import h11
import pytest
import trio
import trio.testing
from anyio.from_thread import start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiers import examples

from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from ddg_protocol.service import Fault, Question, Service, ServiceResponse
from ddg_protocol.service.faults import Body, Cut, Drip, Endless
from ddg_transports import emulator
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator, serve, throw_away_tls

TIMEOUT = 20.0  # for what never comes, on the slowest of machines


def headers_for(url: str, **more: str) -> dict[str, str]:
    """Both endpoints' header fields; the pages take them too."""
    return {
        "user-agent": "test",
        "accept": "text/event-stream, text/html",
        "cache-control": "no-cache",
        "pragma": "no-cache",
        "content-type": "application/json",
        "origin": url,
        "referer": f"{url}/",
        "x-vqd-accept": "1",
        "x-fe-version": "",
        "x-vqd-hash-1": "",
    } | {name.replace("_", "-"): value for name, value in more.items()}


def question(text: str) -> bytes:
    return json.dumps({"model": "o3-mini", "messages": [{"role": "user", "content": text}]}).encode()


def connect(url: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)


def raw(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT)


def exchange(url: str, data: bytes) -> bytes:
    """Send bytes, say that there are no more, and read what comes back to its end."""
    with raw(url) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(65536), b""))


def ask(connection: HTTPConnection, url: str, text: str) -> HTTPResponse:
    connection.request("GET", DUCKDUCKGO_2025_04.status_path, headers=headers_for(url))
    with connection.getresponse() as status:
        status.read()
    token = status.headers["x-vqd-4"]
    connection.request("POST", DUCKDUCKGO_2025_04.chat_path, question(text), headers_for(url, x_vqd_4=token))
    return connection.getresponse()


def text_of(stream: bytes) -> str:
    events = stream.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return "".join(json.loads(event.removeprefix("data: "))["message"] for event in events[:-2])


def test_handshake_and_chat_use_one_connection() -> None:
    service = Service(responder=lambda question: f"You said {question.text}")
    with Emulator(service) as running, closing(connect(running.url)) as connection:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", running.url)
        connection.connect()
        sock = connection.sock
        for path in (DUCKDUCKGO_2025_04.front_end_path, DUCKDUCKGO_2025_04.landing_path):
            connection.request("GET", path, headers=headers_for(running.url))
            with connection.getresponse() as page:
                assert page.status == 200
                assert len(page.read()) == int(page.headers["content-length"])
        for text in ("Größe 天", "again"):
            with ask(connection, running.url, text) as reply:
                assert reply.headers["content-type"] == "text/event-stream"
                assert reply.headers["transfer-encoding"] == "chunked"
                assert text_of(reply.read()) == f"You said {text}"
        assert connection.sock is sock
    assert [line.endpoint for line in service.log] == ["front_end", "landing", "status", "chat", "status", "chat"]
    assert all(line.complete and line.status == 200 for line in service.log)


def test_each_piece_arrives_when_it_is_made() -> None:
    go_on: queue.SimpleQueue[None] = queue.SimpleQueue()

    def responder(question: Question) -> Iterator[str]:
        yield "first"
        go_on.get(timeout=TIMEOUT)
        yield "second"

    with Emulator(Service(responder=responder)) as running, closing(connect(running.url)) as connection:
        reply = ask(connection, running.url, "?")
        came = b""
        while b"first" not in came:
            came += reply.read1()
        assert b"second" not in came
        go_on.put(None)
        assert text_of(came + reply.read()) == "firstsecond"


def test_a_client_that_leaves_early_is_noted_and_harms_nobody() -> None:
    def endless(question: Question) -> Iterator[str]:
        while True:
            yield "x" * 1000

    service = Service(responder=endless)
    with Emulator(service) as running:
        with closing(connect(running.url)) as connection:
            ask(connection, running.url, "?").close()
        with closing(connect(running.url)) as connection:
            connection.request("GET", "/aichat", headers=headers_for(running.url))
            assert connection.getresponse().read()
    assert [(line.endpoint, line.complete) for line in service.log] == [
        ("status", True),
        ("chat", False),
        ("landing", True),
    ]


def test_leaving_the_block_closes_idle_connections_and_frees_the_port() -> None:
    with Emulator() as running:
        peer = raw(running.url)
        with closing(connect(running.url)) as connection:
            connection.request("GET", "/nowhere")
            connection.getresponse().read()
    with peer:
        assert peer.recv(1) == b""
    port = urlsplit(running.url).port
    assert port is not None
    with Emulator(port=port) as again:
        assert again.url == running.url


def test_it_may_be_closed_before_the_end_of_the_block_and_more_than_once() -> None:
    with Emulator(Service(script=[Fault("landing", [Cut(3, "hang")])])) as running:
        with closing(connect(running.url)) as connection:
            connection.request("GET", "/aichat", headers=headers_for(running.url))
            assert connection.getresponse().read1() != b""
        running.close()
        assert [line.ended for line in running.service.log] == ["left"]
        running.close()
        with pytest.raises(ConnectionRefusedError):
            raw(running.url)


def test_a_port_that_is_taken_is_an_os_error() -> None:
    with Emulator() as running, pytest.raises(OSError, match="in use"), Emulator(port=urlsplit(running.url).port or 0):
        pass


def test_what_the_responder_raises_is_raised_at_the_end_of_the_block() -> None:
    def responder(question: Question) -> str:
        raise LookupError("no such answer")

    def use() -> None:
        with (
            Emulator(Service(responder=responder)) as running,
            closing(connect(running.url)) as connection,
            pytest.raises(ConnectionError),
        ):
            ask(connection, running.url, "?")

    with pytest.raises(LookupError, match="no such answer"):
        use()


def test_what_the_responder_raises_is_told_in_a_few_lines() -> None:
    """It used to be an exception group of some 80 lines, below what the client had raised."""

    def responder(question: Question) -> str:
        raise LookupError("no such answer")

    def use() -> None:
        with Emulator(Service(responder=responder)) as running, Client(DUCKDUCKGO_2025_04.at(running.url)) as client:
            client.chat().ask("?")

    with pytest.raises(LookupError) as raised:
        use()
    lines = traceback.format_exception(raised.value)
    assert "The responder of the emulator's service raised this." in lines[-1]
    assert "in responder\n" in lines[-3]
    assert len(lines) <= 8
    assert "TransportError" not in "".join(lines)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost", "example.org", "", "127.0.0.1:80"])
def test_only_loopback_addresses_are_listened_on(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        anyio.run(partial(serve, Service(), host=host))


@contextmanager
def served(**settings: Any) -> Iterator[tuple[str, list[ServiceResponse | str]]]:
    """Run `serve`; give its URL, and what it tells."""
    told: list[ServiceResponse | str] = []
    with start_blocking_portal() as portal:
        serving, url = portal.start_task(partial(serve, Service(), tell=told.append, **settings))
        yield url, told
        serving.cancel()


def test_any_address_is_listened_on_if_that_is_allowed() -> None:
    with served(host="0.0.0.0", exposed=True) as (url, _):
        assert url.startswith("http://0.0.0.0:")
        assert exchange(url.replace("0.0.0.0", "127.0.0.1"), PAGE).startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ValueError, match=r"an address such as 0\.0\.0\.0"):
        anyio.run(partial(serve, Service(), host="localhost", exposed=True))


def test_it_tells_of_each_response_and_of_what_was_no_request() -> None:
    with served() as (url, told):
        exchange(url, PAGE + b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n")
        exchange(url, b"\x16\x03\x01\x00\xee\r\n\r\n")
        wait_for(lambda: len(told) == 3)
    assert [str(each.exchange)[:21] for each in told if not isinstance(each, str)] == [
        "GET /aichat: 200; com",
        "GET /nowhere: 404 ERR",
    ]
    assert told[2] == "a client sent something that is not an HTTP/1.1 request: illegal request line"


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 65535"):
        anyio.run(partial(serve, Service(), port=port))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Emulator() as running:
        yield running.url


class TestHttp:
    @pytest.mark.parametrize(
        ("data", "status"),
        [
            (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
            (b"GET\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/x\r\nhost: x\r\n\r\n", 400),
            (b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nhost: x\r\nbad header: x\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabc", 400),
            (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
            (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 501),
            (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"x" * emulator.MAX_HEAD_BYTES, 431),
            (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * emulator.MAX_HEAD_BYTES, 431),
        ],
    )
    def test_what_is_no_request_is_refused_and_the_connection_closed(self, url: str, data: bytes, status: int) -> None:
        answer = exchange(url, data)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert exchange(url, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").startswith(b"HTTP/1.1 404 ")

    def test_a_body_that_is_too_long_is_refused(self, url: str) -> None:
        data = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n" + b"x" * 9_999_999
        refused = exchange(url, data)
        assert refused.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nconnection: close\r\n" in refused.lower()
        assert exchange(url, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").startswith(b"HTTP/1.1 404 ")

    @given(data=st.binary(max_size=200) | st.text(alphabet="GET/ HTP1.0\r\n:x", max_size=200).map(str.encode))
    @settings(max_examples=examples(50))
    def test_whatever_comes_gets_an_end(self, url: str, data: bytes) -> None:
        assert re.match(rb"HTTP/1\.1 [45]\d\d |\Z", exchange(url, data))

    def test_pipelined_requests_are_answered_in_order(self, url: str) -> None:
        answer = exchange(url, b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\nPUT /aichat HTTP/1.1\r\nhost: x\r\n\r\n")
        assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"404", b"405"]

    def test_a_head_request_gets_no_body_and_the_connection_goes_on(self, url: str) -> None:
        with closing(connect(url)) as connection:
            connection.request("HEAD", "/aichat", headers=headers_for(url))
            response = connection.getresponse()
            assert (response.status, response.read()) == (405, b"")
            connection.request("GET", "/aichat", headers=headers_for(url))
            assert connection.getresponse().status == 200

    def test_a_client_that_asks_to_close_gets_that(self, url: str) -> None:
        answer = exchange(
            url, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n"
        )
        assert answer.count(b"HTTP/1.1 404 ") == 1

    def test_a_client_of_http_1_0_gets_a_stream_that_the_connection_ends(self, url: str) -> None:
        with closing(connect(url)) as connection:
            connection.request("GET", DUCKDUCKGO_2025_04.status_path, headers=headers_for(url))
            token = connection.getresponse().headers["x-vqd-4"]
        fields = headers_for(url, x_vqd_4=token, host=urlsplit(url).netloc)
        body = question("?")
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"POST /duckchat/v1/chat HTTP/1.0\r\n{head}content-length: {len(body)}\r\n\r\n"
        answer_head, _, stream = exchange(url, request.encode() + body).partition(b"\r\n\r\n")
        assert b"chunked" not in answer_head.lower()
        assert "emulator" in text_of(stream)

    def test_a_client_that_waits_to_be_told_to_go_on_is_told(self, url: str) -> None:
        with raw(url) as peer, peer.makefile("rb") as answers:
            peer.sendall(b"PUT / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            assert answers.readline().startswith(b"HTTP/1.1 100 ")
            assert answers.readline() == b"\r\n"
            peer.sendall(b"{}")
            assert answers.readline().startswith(b"HTTP/1.1 404 ")


async def ask_with_h11(url: str, text: str) -> str:
    """The handshake and a question on one connection, one byte of it at a time where that costs nothing."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    http = h11.Connection(h11.CLIENT)

    async with await anyio.connect_tcp(parts.hostname, parts.port) as stream:

        async def fetch(method: str, target: str, body: bytes, **more: str) -> tuple[dict[bytes, bytes], bytes]:
            fields = headers_for(url, **more) | {"host": parts.netloc, "content-length": str(len(body))}
            sent = http.send(h11.Request(method=method, target=target, headers=list(fields.items())))
            assert sent is not None
            await stream.send(sent + (http.send(h11.Data(data=body)) or b"") + (http.send(h11.EndOfMessage()) or b""))
            head: dict[bytes, bytes] = {}
            got = b""
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    http.receive_data(await stream.receive(16))
                elif isinstance(event, h11.Response):
                    head = dict(event.headers)
                elif isinstance(event, h11.Data):
                    got += event.data
                elif isinstance(event, h11.EndOfMessage):
                    http.start_next_cycle()
                    return head, got

        head, _ = await fetch("GET", "/duckchat/v1/status", b"")
        _, stream_of_events = await fetch(
            "POST", "/duckchat/v1/chat", question(text), x_vqd_4=head[b"x-vqd-4"].decode()
        )
        return text_of(stream_of_events)


BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@BACKENDS
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_serve_answers_many_clients_at_once_and_stops_when_cancelled(backend: str, host: str) -> None:
    service, many = Service(responder=lambda question: question.text), examples(300)
    got: list[str] = []

    async def client(url: str, text: str) -> None:
        got.append(await ask_with_h11(url, text))

    async def main() -> None:
        async with anyio.create_task_group() as server:
            url = await server.start(partial(serve, service, host=host))
            async with anyio.create_task_group() as clients:
                for number in range(many):
                    clients.start_soon(client, url, f"client {number}")
            server.cancel_scope.cancel()

    if host == "::1" and not has_ipv6_loopback():
        pytest.skip("this machine has no ::1")
    anyio.run(main, backend=backend)
    assert sorted(got) == sorted(f"client {number}" for number in range(many))
    assert [line.status for line in service.log] == [200] * 2 * many


def has_ipv6_loopback() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_the_delay_of_each_piece_passes_before_it_is_sent() -> None:
    service = Service(delay=3600, responder=lambda question: "a b c")

    async def main() -> float:
        async with anyio.create_task_group() as server:
            url = await server.start(serve, service)
            began = anyio.current_time()
            assert await ask_with_h11(url, "?") == "a b c"
            took = anyio.current_time() - began
            server.cancel_scope.cancel()
        return took

    clock = trio.testing.MockClock(autojump_threshold=0)
    assert anyio.run(main, backend="trio", backend_options={"clock": clock}) == pytest.approx(5 * 3600)


# What the script says of the connection


PAGE = b"GET /aichat HTTP/1.1\r\nhost: x\r\nuser-agent: test\r\naccept: text/html\r\n\r\n"


def landing(*effects: Cut | Drip | Body | Endless) -> Service:
    return Service(script=[Fault("landing", effects, times=1)])


def with_server(service: Service, use: Callable[[socket.socket], Awaitable[None]], backend: str) -> None:
    """Serve, send a request for the landing page from a socket of the test's own, and go on with that."""

    async def main() -> None:
        async with anyio.create_task_group() as server:
            url = await server.start(serve, service)
            with anyio.fail_after(TIMEOUT), raw(url) as peer:
                peer.sendall(PAGE)
                peer.setblocking(False)
                await use(peer)
            server.cancel_scope.cancel()

    anyio.run(main, backend=backend)


async def receive(peer: socket.socket) -> bytes:
    await anyio.wait_readable(peer)
    return peer.recv(65536)


async def receive_all(peer: socket.socket) -> bytes:
    came = b""
    while data := await receive(peer):
        came += data
    return came


async def send_without_end(peer: socket.socket) -> None:
    while True:
        await anyio.wait_writable(peer)
        peer.send(b"x" * 65536)


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await anyio.lowlevel.checkpoint()


@BACKENDS
@pytest.mark.parametrize("effect", [Cut(then="hang"), Cut(40, "hang", "wire"), Drip(3600.0), Drip(3600.0, "wire")])
def test_who_hangs_up_while_nothing_comes_is_noticed_at_once(effect: Cut | Drip, backend: str) -> None:
    service = landing(effect)

    async def leave(peer: socket.socket) -> None:
        await until(lambda: len(service.log) == 1)
        peer.close()
        await until(lambda: service.log[0].ended == "left")

    with_server(service, leave, backend)


@BACKENDS
@pytest.mark.parametrize("effect", [Cut(then="hang"), Cut(40, "hang", "wire"), Drip(3600.0)])
def test_who_stays_until_the_server_ends_has_not_left(effect: Cut | Drip, backend: str) -> None:
    service = landing(effect)

    async def stay(peer: socket.socket) -> None:
        await until(lambda: len(service.log) == 1)

    with_server(service, stay, backend)
    with Emulator(landing(effect)) as running, raw(running.url) as peer:
        peer.sendall(PAGE)
        wait_for(lambda: len(running.service.log) == 1)
        running.__exit__(None, None, None)
    assert running.service.log[0].ended == ""


def test_who_left_just_before_the_end_is_in_the_log_all_the_same() -> None:
    with Emulator(landing(Cut(then="hang"))) as running, raw(running.url) as peer:
        peer.sendall(PAGE)
        assert peer.recv(10)
        peer.close()
    assert running.service.log[0].ended == "left"


def wait_for(true: Callable[[], bool]) -> None:
    async def wait() -> None:
        with anyio.fail_after(TIMEOUT):
            await until(true)

    anyio.run(wait)


@BACKENDS
def test_a_reset_is_one_and_no_end(backend: str) -> None:
    async def see(peer: socket.socket) -> None:
        with pytest.raises(ConnectionResetError):
            await receive_all(peer)

    with_server(landing(Cut(5, "reset")), see, backend)


@BACKENDS
def test_a_close_is_an_end_and_no_reset(backend: str) -> None:
    async def see(peer: socket.socket) -> None:
        assert (await receive_all(peer)).endswith(b"\r\n\r\n<!DOC")

    with_server(landing(Cut(5)), see, backend)


@BACKENDS
def test_a_client_that_does_not_read_costs_no_memory(backend: str) -> None:
    service = landing(Body(), Endless())

    async def do_not_read(peer: socket.socket) -> None:
        await receive(peer)
        taken, turns = -1, 0
        while turns < 100:  # for so long nothing more was taken
            turns = turns + 1 if service.log[0].taken == taken else 0
            taken = service.log[0].taken
            await anyio.lowlevel.checkpoint()
        assert 0 < taken < 32 * 1024 * 1024, "what the system buffers, and no more"

    with_server(service, do_not_read, backend)


@BACKENDS
def test_what_is_asked_while_a_reply_drips_is_answered_after_it(backend: str) -> None:
    service = Service(script=[Fault("landing", [Drip(0.05)], times=1)])

    async def ask_again(peer: socket.socket) -> None:
        await until(lambda: len(service.log) == 1)
        peer.sendall(PAGE)
        came = b""
        while came.count(b"</html>\n") < 2:
            came += await receive(peer)

    with_server(service, ask_again, backend)
    assert [line.ended for line in service.log] == ["complete", "complete"]


@BACKENDS
def test_who_says_too_much_before_it_was_answered_is_let_go(backend: str) -> None:
    service = landing(Cut(then="hang"))

    async def talk(peer: socket.socket) -> None:
        with pytest.raises(ConnectionError):
            await send_without_end(peer)
        await until(lambda: service.log[0].ended == "left")

    with_server(service, talk, backend)


def test_many_clients_are_served_while_many_hang() -> None:
    hanging = 300
    service = Service(script=[Fault("landing", [Cut(then="hang")], times=hanging)])
    with Emulator(service) as running:
        peers = [raw(running.url) for _ in range(hanging)]
        for peer in peers:
            peer.sendall(PAGE)
        for peer in peers:
            assert peer.recv(12) == b"HTTP/1.1 200"
        with Client(DUCKDUCKGO_2025_04.at(running.url)) as client:
            assert client.chat().ask("Still there?").text
        for peer in peers:
            peer.close()
    ended = [line.ended for line in service.log]
    assert (ended.count("left"), ended.count("complete")) == (hanging, 4)


def test_when_there_is_no_file_left_to_accept_with_it_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    accept, failures = socket.socket.accept, [OSError(24, "Too many open files"), ConnectionAbortedError()]

    def scarce(listener: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", scarce)
    with Emulator() as running:
        assert exchange(running.url, PAGE).startswith(b"HTTP/1.1 200 ")
    assert not failures


# TLS


needs_trustme = pytest.mark.skipif(find_spec("trustme") is None, reason="needs trustme (the extra tls)")


def secure(running: Emulator) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=running.ca_pem)


def at(running: Emulator) -> Client:
    return Client(DUCKDUCKGO_2025_04.at(running.url, minimum_interval=0.0), ssl_context=secure(running))


@needs_trustme
def test_https_for_who_trusts_the_throw_away_ca() -> None:
    with Emulator(Service(challenge=True), tls=True) as running, at(running) as client:
        assert running.url.startswith("https://127.0.0.1:")
        chat = client.chat()
        assert chat.ask("Why?").text
        assert "Turn 2" in chat.ask("And?").text
    assert all(line.complete for line in running.service.log)


@needs_trustme
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_certificate_is_good_for_loopback_names_and_addresses(host: str) -> None:
    server, pem = throw_away_tls()
    client = ssl.create_default_context(cadata=pem)
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(theirs, ours, server_hostname=host)
    other = server.wrap_bio(ours, theirs, server_side=True)
    for side in (one, other, one):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert one.version() == "TLSv1.3"


@needs_trustme
def test_who_does_not_trust_it_is_gone_and_harms_nobody() -> None:
    with Emulator(tls=True) as running:
        with raw(running.url) as peer, pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(peer, server_hostname="127.0.0.1")
        with raw(running.url) as peer:
            peer.sendall(PAGE)  # no TLS at all
            while peer.recv(65536):
                pass
        with at(running) as client:
            assert client.chat().ask("Why?").text


@needs_trustme
def test_it_tells_of_a_client_that_does_not_trust_it() -> None:
    context, _ = throw_away_tls()
    with served(tls=context) as (url, told):
        with raw(url) as peer, pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(peer, server_hostname="127.0.0.1")
        wait_for(lambda: bool(told))
    assert re.match(r"a TLS handshake failed: \w*UNKNOWN_CA", str(told[0]))


@needs_trustme
def test_the_certificate_is_good_for_another_name_if_that_is_asked_for() -> None:
    context, pem = throw_away_tls("emulator", "192.0.2.1")
    with served(tls=context) as (url, _), raw(url) as peer:
        ssl.create_default_context(cadata=pem).wrap_socket(peer, server_hostname="emulator").close()
    with pytest.raises(ValueError, match="no certificate can be made for a b"):
        throw_away_tls("a b")


def read_over_tls(effect: Cut | Drip) -> bytes:
    with Emulator(landing(effect), tls=True) as running:
        context = secure(running)
        # An end without a word is an SSLEOFError this way.
        with context.wrap_socket(raw(running.url), server_hostname="127.0.0.1", suppress_ragged_eofs=False) as peer:
            peer.sendall(PAGE.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            return b"".join(iter(lambda: peer.recv(65536), b""))


@needs_trustme
def test_over_tls_a_close_is_said_and_a_reset_is_not() -> None:
    assert read_over_tls(Drip(0.01)).endswith(b"</html>\n")
    assert read_over_tls(Cut(5)).endswith(b"\r\n\r\n<!DOC")
    with pytest.raises(OSError, match=r"reset|violation of protocol"):
        read_over_tls(Cut(5, "reset"))


@needs_trustme
def test_who_hangs_up_over_tls_is_noticed_too() -> None:
    with Emulator(landing(Cut(then="hang")), tls=True) as running:
        with secure(running).wrap_socket(raw(running.url), server_hostname="127.0.0.1") as peer:
            peer.sendall(PAGE)
            assert peer.recv(10)
        wait_for(lambda: running.service.log[0].ended == "left")


def test_without_trustme_tls_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ImportError, match=re.escape("pip install trustme")):
        Emulator(tls=True)
