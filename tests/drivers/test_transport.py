"""Clients over a transport of the embedder's, and the blocking client's ways to connect."""

from __future__ import annotations

import gc
import socket
import ssl
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import anyio
import h11
import pytest
from support.memory import InMemory
from support.native import AsyncTransport, BlockingTransport
from support.relay import relay
from support.traces import kept
from trio.testing import MockClock

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ChatTimeoutError,
    Conversation,
    Failure,
    FailureKind,
    Policy,
    SendRequest,
    TransportError,
)
from ddg_protocol.errors import IncompleteStream
from ddg_protocol.service import Service
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client, DriverReport, Trace, connected, unix
from ddg_transports.emulator import Emulator
from ddg_transports.testing.contract import trusting
from ddg_transports.transport import transport_error

WARM = Conversation(vqd="token", fe_version="x-y")
NO_RETRIES = Policy(max_retries=0, base_delay=0.0)
PIECE = b'data: {"action":"success","message":"first"}\n\n'


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Service(strict=True, challenge=True)) as running:
        yield running


class Scripted:
    """A transport and its only exchange: gives what it was told to give, raises what it was told to raise."""

    status = 200
    headers = (("content-type", "text/event-stream"),)

    def __init__(self, *said: bytes | Exception) -> None:
        self.said = list(said)
        self.timeouts: list[float] = []
        self.closed = 0

    def open(self, request: SendRequest, *, timeout: float) -> Scripted:
        self.timeouts.append(timeout)
        return self

    def read(self, *, timeout: float) -> bytes:
        self.timeouts.append(timeout)
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def close(self) -> None:
        self.closed += 1


class AsyncScripted(Scripted):
    async def open(self, request: SendRequest) -> AsyncScripted:  # type: ignore[override]
        return self

    async def read(self) -> bytes:  # type: ignore[override]
        return super().read(timeout=0)

    async def aclose(self) -> None:
        self.close()


def ask_blocking(transport: Scripted) -> str:
    with Client(transport=transport, policy=NO_RETRIES) as client:
        chat = client.chat(conversation=WARM, cookies={})
        try:
            return chat.ask("Why?").text
        finally:
            assert len(chat.conversation.message_history) in (0, 2)


def ask_async(transport: Scripted) -> str:
    assert isinstance(transport, AsyncScripted)

    async def ask() -> str:
        async with AsyncClient(transport=transport, policy=NO_RETRIES) as client:
            return (await client.chat(conversation=WARM, cookies={}).ask("Why?")).text

    return anyio.run(ask)


BOTH = pytest.mark.parametrize(("made", "ask"), [(Scripted, ask_blocking), (AsyncScripted, ask_async)])


# Over a transport


def test_two_turns_over_a_transport_challenge_and_all(emulator: Emulator) -> None:
    transport = BlockingTransport(trusting())
    seen: list[object] = []
    profile = DUCKDUCKGO_2025_04.at(emulator.url)
    with (
        Client(profile, transport=transport, on_action=kept(seen)) as client,
        client.chat() as chat,
    ):
        chat.ask("Why?")
        assert "Turn 2" in chat.ask("And?").text
    transport.close()
    requests = [action.id for action in seen if isinstance(action, SendRequest)]
    assert len(requests) == 6
    answered = [seen_.intent.id for seen_ in seen if isinstance(seen_, DriverReport) and seen_.method == "receive_head"]
    assert answered == requests


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_two_turns_over_an_async_transport(emulator: Emulator, backend: str) -> None:
    async def converse() -> str:
        transport = AsyncTransport(trusting())
        async with AsyncClient(DUCKDUCKGO_2025_04.at(emulator.url), transport=transport) as client:
            chat = client.chat()
            await chat.ask("Why?")
            text = (await chat.ask("And?")).text
        await transport.aclose()
        return text

    assert "Turn 2" in anyio.run(converse, backend=backend)


@BOTH
def test_each_exchange_is_closed_once_it_is_over(made: type[Scripted], ask: Callable[[Scripted], str]) -> None:
    transport = made(PIECE, b"data: [DONE]\n\n", b"")
    assert ask(transport) == "first"
    assert transport.closed == 1
    assert not transport.said


@BOTH
def test_a_failure_of_the_transport_is_the_session_s_business(
    made: type[Scripted], ask: Callable[[Scripted], str]
) -> None:
    transport = made(PIECE, TransportError("gone", failure=Failure(FailureKind.CUT, "gone")))
    with pytest.raises(IncompleteStream) as caught:
        ask(transport)
    assert (caught.value.text, transport.closed) == ("first", 1)
    late = made(TransportError("slow", failure=Failure(FailureKind.TIMEOUT, "slow")))
    with pytest.raises(ChatTimeoutError, match="slow"):
        ask(late)
    assert late.closed == 1


@BOTH
def test_any_other_exception_of_the_transport_passes_after_the_exchange_is_closed(
    made: type[Scripted], ask: Callable[[Scripted], str]
) -> None:
    transport = made(PIECE, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        ask(transport)
    assert transport.closed == 1


def test_a_blocking_transport_is_told_how_long_it_may_wait() -> None:
    transport = Scripted(PIECE, b"data: [DONE]\n\n", b"")
    policy = Policy(connect_timeout=1, write_timeout=2, read_timeout=3, total_timeout=100, drain_timeout=0.5)
    with Client(transport=transport, policy=policy) as client:
        client.chat(conversation=WARM, cookies={}).ask("Why?")
    for told, allowed in zip(transport.timeouts, (6, 3, 3, 0.5), strict=True):
        assert allowed - 0.4 < told <= allowed


def test_what_an_exception_means_is_told_by_its_class_and_else_by_the_caller() -> None:
    assert transport_error(TimeoutError(), "reading").failure.kind is FailureKind.TIMEOUT
    assert transport_error(ssl.SSLError(1, "no"), "connecting").failure.kind is FailureKind.TLS
    assert transport_error(ssl.SSLEOFError(8, "eof"), "reading", FailureKind.CUT).failure.kind is FailureKind.CUT
    error = transport_error(ConnectionResetError(104, "reset\x1b by peer"), "reading", FailureKind.CUT)
    assert (str(error), error.failure.kind) == ("reading: reset\\x1b by peer", FailureKind.CUT)
    assert str(transport_error(ValueError(), "reading")) == "reading: ValueError"
    assert str(transport_error(OSError("no address"), "connecting")) == "connecting: no address"
    assert str(transport_error(TransportError("over", failure=error.failure), "reading")) == "reading: over"


def test_what_a_library_says_is_not_repeated_since_it_can_quote_what_came() -> None:
    class BadStatusLine(OSError):
        """As of urllib3 and requests, whose exceptions are OSErrors too."""

    error = h11.RemoteProtocolError("illegal header line: bytearray(b'x-vqd-4 : 4-123')")
    assert str(transport_error(error, "reading")) == "reading: RemoteProtocolError"
    assert str(transport_error(BadStatusLine("4-123"), "reading")) == "reading: BadStatusLine"


# Time


def test_chats_of_many_tasks_are_paced_together_and_fetch_each_page_once() -> None:
    transport = InMemory()

    async def converse() -> None:
        async with AsyncClient(transport=transport) as client, anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(client.chat().ask, "Why?")

    anyio.run(converse, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})
    gaps = [later - earlier for earlier, later in pairwise(transport.starts)]
    assert gaps == pytest.approx([1.5] * 21)
    endpoints = [exchange.endpoint for exchange in transport.service.log]
    assert [endpoints.count(endpoint) for endpoint in ("front_end", "landing", "status", "chat")] == [1, 1, 10, 10]


# The blocking client's own connections


def test_a_unix_socket_carries_it(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "duck.sock"
    with (
        relay(path, emulator.url),
        Client(DUCKDUCKGO_2025_04.at("http://127.0.0.1"), connect=unix(path)) as client,
    ):
        assert client.chat().ask("Why?").text


def test_a_unix_socket_that_is_not_there_is_a_connection_that_can_t_be_made(tmp_path: Path) -> None:
    with (
        Client(policy=NO_RETRIES, connect=unix(tmp_path / "nothing")) as client,
        pytest.raises(TransportError, match="No such file") as caught,
    ):
        client.chat(conversation=WARM, cookies={}).ask("Why?")
    assert caught.value.failure.kind is FailureKind.NOT_SENT


def test_a_connected_socket_carries_one_chat(emulator: Emulator) -> None:
    host, _, port = emulator.url.removeprefix("http://").partition(":")
    opened = socket.create_connection((host, int(port)))
    profile = DUCKDUCKGO_2025_04.at(emulator.url)
    with Client(profile, policy=NO_RETRIES, connect=connected(opened)) as client:
        chat = client.chat()
        assert chat.ask("Why?").text
        with pytest.raises(TransportError, match="already been used"):
            client.chat(conversation=WARM, cookies={}).ask("Why?")
        assert "Turn 2" in chat.ask("And?").text
    assert opened.fileno() == -1


def test_a_chat_that_nobody_has_any_more_is_closed_with_the_next_turn(emulator: Emulator) -> None:
    with Client(DUCKDUCKGO_2025_04.at(emulator.url)) as client:
        client.chat().ask("Why?")
        gc.collect()
        (line,) = client._dropped
        client.chat().ask("Why?")
        assert line not in client._dropped
        gc.collect()
        assert len(client._dropped) == 1
    assert not client._dropped


def test_a_hook_that_raises_ends_the_turn_and_leaks_nothing(emulator: Emulator) -> None:
    bugs = False

    def watch(_: Trace) -> None:
        if bugs:
            raise ZeroDivisionError("a bug of the hook")

    client = Client(DUCKDUCKGO_2025_04.at(emulator.url), on_action=watch)
    chats = [client.chat(), client.chat()]
    for chat in chats:
        chat.ask("Why?")
    bugs = True
    with pytest.raises(ZeroDivisionError):
        chats[0].ask("And?")
    with pytest.raises(ZeroDivisionError):
        client.close()  # and what is open then is a ResourceWarning
