"""Turns that end from elsewhere, and clients that are closed: who reads is told, at once, and nothing stays open."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any, ClassVar

import anyio
import pytest
from support.coordinated import LockedEngine
from support.loops import Loop, loops, run_on
from support.sockets import open_sockets, settled
from support.sweep import InterruptAt, cancelled_at
from support.tiers import some

import ddg_transports
from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    Conversation,
    LocalProtocolError,
    Policy,
    ServiceProfile,
    SolveChallenge,
    TurnAborted,
    Wait,
)
from ddg_protocol.errors import ChatBusy
from ddg_protocol.service import Question, Service
from ddg_protocol.wire import Connect
from ddg_transports._streams import Connection
from ddg_transports.anyio import AsyncClient, Trace, tcp
from ddg_transports.blocking import Chat, Client, Reply
from ddg_transports.emulator import Emulator
from ddg_transports.httpcore import AsyncHttpcoreTransport, HttpcoreTransport
from ddg_transports.testing.contract import trusting
from ddg_transports.testing.peer import CERTIFICATES, HANG, Peer
from ddg_transports.transport import AbortableExchange, transport_error

TIMEOUT = 20.0  # for what never comes, on the slowest of machines
SOON = 10.0  # a read waits for 30 s
WARM = Conversation(vqd="token", fe_version="x-y")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
FIRST = b'data: {"action":"success","message":"first"}\n\n'
STALLS = (HEAD + b"content-length: 999\r\n\r\n" + FIRST, HANG)
TOKEN = (b"HTTP/1.1 200 OK\r\nx-vqd-4: next\r\ncontent-length: 0\r\n\r\n",)
WHOLE = (HEAD + b"content-length: %d\r\n\r\n" % (len(FIRST) + 14) + FIRST + b"data: [DONE]\n\n",)
BACKENDS = ["asyncio", "trio"]


def at(url: str, interval: float = 0.0) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at(url, minimum_interval=interval)


# A reply that is read in one thread, and closed from another


class Reader(threading.Thread):
    """Asks, and keeps what came of it."""

    def __init__(self, chat: Chat) -> None:
        super().__init__(daemon=True)
        self.chat = chat
        self.error: BaseException | None = None
        self.reply = chat.stream("Why?")
        self.got: list[str] = []
        self.start()

    def run(self) -> None:
        try:
            with self.reply:
                for text in self.reply:
                    self.got.append(text)
        except BaseException as error:
            self.error = error


class Doing:
    """An ``on_action`` that tells when a driver is about to do something."""

    def __init__(self, what: object) -> None:
        self.what = what
        self.begun = threading.Event()

    def __call__(self, trace: Trace) -> None:
        if trace.what is self.what or (isinstance(self.what, type) and isinstance(trace.what, self.what)):
            self.begun.set()


CLOSERS: dict[str, Callable[[Client, Reader], None]] = {
    "the reply": lambda _, reader: reader.reply.close(),
    "the chat": lambda _, reader: reader.chat.close(),
    "the client": lambda client, _: client.close(),
}


def assert_aborted(reader: Reader, text: str) -> None:
    reader.join(SOON)
    assert not reader.is_alive()
    assert isinstance(reader.error, TurnAborted), reader.error
    assert reader.error.text == reader.reply.text == text
    assert reader.reply.finished is None


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("closer", CLOSERS)
def test_who_reads_a_reply_that_another_thread_closes_is_told_at_once(closer: str, tls: bool) -> None:
    doing = Doing("first")
    certificate = CERTIFICATES / "loopback.pem" if tls else None
    with Peer(STALLS, TOKEN, WHOLE, certificate=certificate) as peer:
        with Client(at(peer.url), ssl_context=trusting(), on_action=doing) as client:
            chat = client.chat(conversation=WARM, cookies={})
            reader = Reader(chat)
            while not reader.got:
                time.sleep(0)
            CLOSERS[closer](client, reader)
            assert_aborted(reader, "first")
            if closer == "the reply":
                assert chat.ask("And?").text == "first"
            else:
                with pytest.raises(LocalProtocolError, match=f"this {closer[4:]} is closed"):
                    chat.ask("And?")
        assert peer.all_closed(TIMEOUT)


@contextmanager
def full_backlog() -> Iterator[str]:
    """An address that nobody accepts at: connecting waits for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for each in waiting:
            each.close()


@contextmanager
def silent(scheme: str) -> Iterator[str]:
    """A peer that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def unresolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name that nobody resolves."""
    release, real = threading.Event(), socket.getaddrinfo

    def getaddrinfo(*args: Any, flags: int = 0, **settings: Any) -> Any:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        release.wait(TIMEOUT)
        return real("127.0.0.1", 1, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield "https://name.invalid"
    release.set()


@pytest.mark.parametrize("waits_for", ["a connection", "a handshake of TLS", "a head", "a name", "its turn"])
def test_whatever_a_thread_waits_for_ends_at_once_when_another_closes_the_client(
    waits_for: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: dict[str, Callable[[], AbstractContextManager[str]]] = {
        "a connection": full_backlog,
        "a handshake of TLS": lambda: silent("https"),
        "a name": lambda: unresolved(monkeypatch),
    }
    doing = Doing(Wait if waits_for == "its turn" else NEED_DATA if waits_for == "a head" else Connect)
    policy = Policy(max_retries=0, connect_timeout=30.0)
    with (
        where.get(waits_for, lambda: silent("http"))() as url,
        Client(at(url, 30.0), policy=policy, on_action=doing) as client,
    ):
        if waits_for == "its turn":
            client._shared.pacer.last_start = time.monotonic()
        before = open_sockets()
        reader = Reader(client.chat(conversation=WARM, cookies={}))
        assert doing.begun.wait(TIMEOUT)
        client.close()
        assert_aborted(reader, "")
        assert open_sockets() <= before


def test_a_hook_may_close_the_reply_whose_actions_it_is_shown() -> None:
    with Emulator() as emulator:
        before = open_sockets()
        for n in range(1, 30):
            seen: list[object] = []
            asked: list[Reply] = []

            def close(trace: Trace, n: int = n, seen: list[object] = seen, asked: list[Reply] = asked) -> None:
                seen.append(trace.what)
                if len(seen) == n:
                    asked[0].close()

            with Client(at(emulator.url), on_action=close) as client:
                chat = client.chat()
                asked.append(chat.stream("Why?"))
                with pytest.raises(TurnAborted), asked[0] as reply:
                    list(reply)
                assert chat.ask("And?").text
        assert open_sockets() <= before + 2


def test_a_solver_may_close_the_client() -> None:
    def solve(_: SolveChallenge) -> str:
        client.close()
        return "answer"

    with (
        Emulator(Service(challenge=True)) as emulator,
        Client(at(emulator.url), answer_challenge="always", solver=solve) as client,
        pytest.raises(TurnAborted),
    ):
        client.chat().ask("Why?")


def test_a_transport_that_is_read_is_left_when_its_read_is_over() -> None:
    reading, release = threading.Event(), threading.Event()

    class Exchange:
        status = 200
        headers = (("content-type", "text/event-stream"),)
        closed: ClassVar[list[threading.Thread]] = []

        def read(self, *, timeout: float) -> bytes:
            reading.set()
            assert release.wait(TIMEOUT)
            return FIRST

        def close(self) -> None:
            self.closed.append(threading.current_thread())

    class Transport:
        def open(self, request: object, *, timeout: float) -> Exchange:
            return Exchange()

    with Client(at("http://127.0.0.1"), transport=Transport()) as client:
        chat = client.chat(conversation=WARM, cookies={})
        reader = Reader(chat)
        assert reading.wait(TIMEOUT)
        reader.reply.close()
        assert not Exchange.closed, "it belongs to who reads it"
        release.set()
        assert_aborted(reader, "")
        assert Exchange.closed == [reader]


def test_a_transport_that_can_abort_a_read_is_left_at_once() -> None:
    reading, release = threading.Event(), threading.Event()

    class Exchange:
        status = 200
        headers = (("content-type", "text/event-stream"),)
        called: ClassVar[list[tuple[str, threading.Thread]]] = []

        def read(self, *, timeout: float) -> bytes:
            reading.set()
            assert release.wait(TIMEOUT)
            raise transport_error(OSError("aborted"), "reading")

        def abort(self) -> None:
            self.called.append(("abort", threading.current_thread()))
            release.set()

        def close(self) -> None:
            self.called.append(("close", threading.current_thread()))

    class Transport:
        def open(self, request: object, *, timeout: float) -> AbortableExchange:
            return Exchange()

    with Client(at("http://127.0.0.1"), transport=Transport()) as client:
        chat = client.chat(conversation=WARM, cookies={})
        reader = Reader(chat)
        assert reading.wait(TIMEOUT)
        reader.reply.close()
        assert_aborted(reader, "")
        assert [name for name, _ in Exchange.called] == ["abort", "close"]
        assert Exchange.called[0][1] is threading.current_thread()


def test_no_read_lasts_so_long_in_one_piece_that_a_signal_before_it_is_missed() -> None:
    # Python handles a signal that comes just before a blocking call only when that returns.
    class Watched(socket.socket):
        timeouts: ClassVar[list[float | None]] = []

        def recv(self, *args: Any) -> bytes:
            self.timeouts.append(self.gettimeout())
            return super().recv(*args)

    def connect(action: Connect) -> socket.socket:
        opened = Watched()
        opened.connect((action.host, action.port))
        return opened

    with Emulator() as emulator, Client(at(emulator.url), connect=connect) as client:
        client.chat().ask("Why?")
    assert max(timeout for timeout in Watched.timeouts if timeout is not None) <= 0.5


# Two at once


def test_a_chat_that_is_asked_while_it_answers_says_so_in_the_words_of_who_asks() -> None:
    with Peer(STALLS) as peer, Client(at(peer.url)) as client:
        chat = client.chat(conversation=WARM, cookies={})
        with chat.stream("Why?") as reply:
            pieces = iter(reply)
            assert next(pieces) == "first"
            with pytest.raises(ChatBusy, match="still answering; read its reply, close it, or use another chat"):
                chat.ask("And?")
            assert reply.text == "first"


def test_a_chat_may_be_asked_within_the_reply_that_is_complete() -> None:
    with Emulator() as emulator, Client(at(emulator.url)) as client:
        chat = client.chat()
        with chat.stream("Why?") as reply:
            assert list(reply)
            assert chat.ask("And?").text


# What is closed


def test_a_closed_client_begins_nothing_more() -> None:
    with Emulator() as emulator:
        before = open_sockets()
        with Client(at(emulator.url)) as client:
            chat = client.chat()
            chat.ask("Why?")
        tries: list[Callable[[], object]] = [client.chat, lambda: chat.ask("And?"), chat.stream("And?").__enter__]
        tries += [client.__enter__, chat.__enter__]
        for attempt in tries:
            with pytest.raises(LocalProtocolError, match="this client is closed; make a new one"):
                attempt()
        client.close()
        assert_settled(before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_closed_async_client_begins_nothing_more(backend: str) -> None:
    async def main(url: str) -> None:
        before = open_sockets()
        async with AsyncClient(at(url)) as client:
            chat = client.chat()
            await chat.ask("Why?")
        with pytest.raises(LocalProtocolError, match="this client is closed; make a new one"):
            client.chat()
        for attempt in (lambda: chat.ask("And?"), chat.stream("And?").__aenter__, client.__aenter__, chat.__aenter__):
            with pytest.raises(LocalProtocolError, match="this client is closed; make a new one"):
                await attempt()
        await client.aclose()
        await settled(before)

    with Emulator() as emulator:
        anyio.run(main, emulator.url, backend=backend)


def test_what_is_left_open_is_a_resource_warning() -> None:
    with Peer(STALLS, TOKEN, WHOLE) as peer:
        client = Client(at(peer.url))
        chat = client.chat(conversation=WARM, cookies={})
        reply = chat.stream("Why?").__enter__()
        assert next(iter(reply)) == "first"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del reply
            gc.collect()
        assert "unclosed Reply" in {str(warning.message) for warning in caught}
        assert chat.ask("And?").text == "first"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del client, chat
            gc.collect()
        assert "unclosed Client" in {str(warning.message) for warning in caught}


def test_what_is_closed_or_never_was_used_gives_no_warning() -> None:
    with warnings.catch_warnings(), Emulator() as emulator:
        warnings.simplefilter("error")
        Client().chat().stream("Why?")
        with Client(at(emulator.url)) as client:
            client.chat().ask("Why?")
        del client
        gc.collect()


# A connection that is given up while it is made


@pytest.mark.parametrize("loop", loops(deep="seconds of a handshake that never ends"))
def test_a_connection_that_is_given_up_at_any_await_of_its_making_leaves_no_socket(loop: Loop) -> None:
    async def main(port: int) -> None:
        before, tried = open_sockets(), True
        for n in count(1):
            tried = await cancelled_at(n, make(port))
            await settled(before)
            if not tried:
                break
        assert n > 4

    async def make(port: int) -> None:
        connect = Connect(id=1, host="127.0.0.1", port=port, tls=True, timeout=30.0)
        with anyio.move_on_after(1.0):  # of a handshake that never ends
            await (await Connection.make(connect, tcp, trusting())).aclose()

    with silent("https") as url:
        run_on(loop, main, int(url.rpartition(":")[2]))


# A hook that raises at any action of two turns


class Hook(Exception):
    """Raised by an ``on_action``."""


class RaisesAt:
    """Counts the actions, and raises when shown the n-th."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, trace: Trace) -> None:
        self.left -= 1
        if self.left == 0:
            raise Hook(repr(trace.what))


def said(question: Question) -> list[str]:
    return [f"You said: {question.text}"]


@pytest.mark.parametrize("over", ["its own", "httpcore"])
def test_a_hook_that_raises_at_any_action_is_heard_and_the_next_question_works(over: str) -> None:
    with Emulator(Service(responder=said)) as emulator, HttpcoreTransport() as transport:
        settings: dict[str, Any] = {} if over == "its own" else {"transport": transport}
        before = open_sockets()
        for n in some(range(1, 200), one_in=29):
            hook = RaisesAt(n)
            with Client(at(emulator.url), on_action=hook, **settings) as client:
                chat = client.chat()
                try:
                    for text in ("Why?", "And?"):
                        assert chat.ask(text).text == f"You said: {text}"
                    hook.left = 0  # it says no more
                    break
                except Hook:
                    assert hook.left <= 0
                    assert chat.ask("So?").text == "You said: So?"
        transport.close()
        assert n > 40
        assert_settled(before)


def assert_settled(before: int) -> None:
    until = time.monotonic() + TIMEOUT
    while open_sockets() > before and time.monotonic() < until:
        time.sleep(0)  # the emulator's side
    assert open_sockets() <= before


@pytest.mark.parametrize("over", ["its own", "httpcore"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_hook_that_raises_at_any_action_is_heard_in_async_code_too(backend: str, over: str) -> None:
    async def main(url: str) -> None:
        before = open_sockets()
        async with AsyncHttpcoreTransport() as transport:
            settings: dict[str, Any] = {} if over == "its own" else {"transport": transport}
            for n in some(range(1, 200), one_in=29):
                hook = RaisesAt(n)
                async with AsyncClient(at(url), on_action=hook, **settings) as client:
                    chat = client.chat()
                    try:
                        for text in ("Why?", "And?"):
                            assert (await chat.ask(text)).text == f"You said: {text}"
                        hook.left = 0  # it says no more
                        break
                    except Hook:
                        assert hook.left <= 0
                        assert (await chat.ask("So?")).text == "You said: So?"
        assert n > 40
        await settled(before)

    with Emulator(Service(responder=said)) as emulator:
        anyio.run(main, emulator.url, backend=backend)


# Ctrl-C at any line of the driver


OWN = {f"{ddg_transports.__path__[0]}/{name}.py" for name in ("_client", "_lines", "_sockets", "_waits", "blocking")}


SWEEP = "DDG_TESTS_SWEEP"


def test_control_c_at_any_line_of_the_driver_comes_out_and_the_next_question_works(
    pytestconfig: pytest.Config,
) -> None:
    # In a process of its own: exceptions that a trace raises stay the context of what is raised in it afterwards.
    tier = ["--deep"] if pytestconfig.getoption("--deep") else []
    test = f"{__file__}::test_interrupt_at_each_line"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tier, test]
    done = subprocess.run(command, env={**os.environ, SWEEP: "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.skipif(SWEEP not in os.environ, reason="runs in a process of its own")
@pytest.mark.parametrize("is_shared", [False, True])
def test_interrupt_at_each_line(is_shared: bool) -> None:
    with Emulator(Service(responder=said)) as emulator:
        known = Conversation(fe_version=emulator.service.front_end_version)  # so that there is less of it
        before = open_sockets()
        for n in some(range(1, 2000), one_in=101):
            trace = InterruptAt(n, OWN)
            engine, key = (LockedEngine(), "c") if is_shared else (None, None)
            with Client(at(emulator.url), shared=engine) as client:
                chat = client.chat(conversation=known, key=key, cookies={})
                try:
                    with trace.tracing():
                        chat.ask("Why?")
                        with chat.stream("And?") as reply:
                            list(reply)
                except KeyboardInterrupt:
                    assert trace.left == 0
                assert chat.ask("So?").text == "You said: So?", trace.where
                assert engine is None or client.chat(key=key).ask("And so?").text == "You said: And so?", trace.where
            if trace.left > 0:
                break
        assert 200 < n < 1999
        assert_settled(before)
