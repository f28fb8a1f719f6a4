"""`AsyncClient` over real loopback sockets, on asyncio and on trio."""

from __future__ import annotations

import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.loops import Loop, loops
from support.relay import relay
from support.sockets import open_sockets, settled
from support.sweep import cancelled_at
from support.tiers import some, thinned
from support.traces import kept

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ChatTimeoutError,
    Conversation,
    FailureKind,
    LocalProtocolError,
    Policy,
    SendRequest,
    ServiceError,
    ServiceProfile,
    SolveChallenge,
    TextDelta,
    TransportError,
    TurnAborted,
    TurnFinished,
    TurnStarted,
    UnsupportedChallenge,
)
from ddg_protocol.errors import ChatBusy, IncompleteStream
from ddg_protocol.events import ChallengeReceived
from ddg_protocol.service import Question, Service
from ddg_protocol.wire import Close, Connect, Send
from ddg_transports.anyio import AsyncChat, AsyncClient, AsyncReply, DriverReport, Trace, connected, unix
from ddg_transports.emulator import Emulator
from ddg_transports.testing.contract import CancelAt, trusting
from ddg_transports.testing.peer import CERTIFICATES, CLOSE, CUT, DEAF, HANG, Peer

TIMEOUT = 20.0  # for what never comes, on the slowest of machines
NO_RETRIES = Policy(max_retries=0, base_delay=0.0)
WARM = Conversation(vqd="token", fe_version="x-y")
REPLY = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n"
    b'data: {"action":"success","message":"first"}\n\n'
)


@pytest.fixture(params=loops(deep="as on asyncio's own loop"))
def anyio_backend(request: pytest.FixtureRequest) -> Loop:
    loop: Loop = request.param
    return loop


pytestmark = pytest.mark.anyio


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


def at(url: str, **changes: float) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at(url, **changes)


def first_then(rest: Callable[[str], Iterator[str]]) -> Service:
    def respond(question: Question) -> Iterator[str]:
        yield "first"
        yield from rest(question.text)

    return Service(strict=True, responder=respond)


def long(text: str) -> Iterator[str]:
    yield from (["."] * 100_000 if text == "long" else [" last"])


async def consume(reply: AsyncReply, take: Callable[[str], object]) -> None:
    async with reply:
        async for text in reply:
            take(text)


# Turns


async def test_two_turns_over_one_connection_handshake_and_all(emulator: Emulator) -> None:
    seen: list[object] = []
    async with (
        AsyncClient(at(emulator.url), on_action=kept(seen)) as client,
        client.chat(model="o3-mini") as chat,
    ):
        first = await chat.ask("Why is the sky blue?")
        second = await chat.ask("And at dusk?")
    assert "Why is the sky blue?" in first.text
    assert (second.reason, second.model) == ("stop", "o3-mini")
    *_, exchange = emulator.service.log
    messages = json.loads(exchange.request.body)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert [exchange.endpoint for exchange in emulator.service.log] == [
        "front_end",
        "landing",
        "status",
        "chat",
        "chat",
    ]
    assert [type(action) for action in seen if isinstance(action, Connect | Close)] == [Connect, Close]


async def test_a_conversation_stored_by_the_blocking_client_goes_on_here(emulator: Emulator) -> None:
    from ddg_transports.blocking import Client

    with Client(at(emulator.url)) as blocking, blocking.chat() as stored:
        stored.ask("Why?")
    async with AsyncClient(at(emulator.url)) as client:
        chat = client.chat(conversation=Conversation.from_json(stored.conversation.to_json()))
        assert "Turn 2" in (await chat.ask("And?")).text


async def test_events_are_all_that_happens_in_order(emulator: Emulator) -> None:
    async with AsyncClient(at(emulator.url)) as client, client.chat().stream("Why?") as reply:
        first, *pieces, last = [event async for event in reply.events()]
    assert first == TurnStarted("gpt-4o-mini")
    assert last == reply.finished
    assert isinstance(last, TurnFinished)
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == last.text == reply.text


async def test_a_piece_of_text_is_given_before_any_more_bytes_exist() -> None:
    more = threading.Event()

    def wait(_: str) -> Iterator[str]:
        assert more.wait(TIMEOUT)
        yield " second"

    with Emulator(first_then(wait)) as emulator:
        async with AsyncClient(at(emulator.url)) as client, client.chat().stream("Why?") as reply:
            assert await anext(reply) == "first"
            more.set()
            assert [text async for text in reply] == [" second"]


async def test_a_challenge_is_answered_when_the_service_asks() -> None:
    with Emulator(Service(strict=True, challenge=True)) as emulator:
        async with AsyncClient(at(emulator.url)) as client, client.chat() as chat:
            async with chat.stream("Why is the sky blue?") as reply:
                assert ChallengeReceived() in [event async for event in reply.events()]
            await chat.ask("And?")
        assert [exchange.status for exchange in emulator.service.log if exchange.endpoint == "chat"] == [418, 200, 200]


async def test_a_solver_of_one_s_own_may_wait() -> None:
    async def solve(challenge: SolveChallenge) -> str:
        await anyio.sleep(0)
        raise UnsupportedChallenge(f"not today, {len(challenge.script) > 100}")

    with Emulator(Service(strict=True, challenge=True)) as emulator:
        async with AsyncClient(at(emulator.url), solver=solve) as client:
            with pytest.raises(UnsupportedChallenge, match="not today, True"):
                await client.chat().ask("Why?")


async def test_the_hook_sees_requests_and_answers_and_hides_secrets(emulator: Emulator) -> None:
    seen: list[object] = []
    async with (
        AsyncClient(at(emulator.url), on_action=kept(seen)) as client,
        client.chat() as chat,
    ):
        await chat.ask("Why?")
        token = chat.conversation.vqd
    requests = [action for action in seen if isinstance(action, SendRequest)]
    heads = [action for action in seen if isinstance(action, DriverReport) and action.method == "receive_head"]
    assert [request.id for request in requests] == [head.intent.id for head in heads]
    assert heads[-1].arguments[0] == 200
    assert {type(action) for action in seen} >= {Connect, Send, SendRequest, DriverReport, TurnStarted, TurnFinished}
    assert token
    assert token not in repr(seen)
    assert all(token in str(head.arguments) for head in heads[-1:]), "what is redacted is the repr"


# Leaving, cancelling, closing


async def test_leaving_a_reply_early_cancels_the_turn_and_the_next_one_works() -> None:
    with Emulator(first_then(long)) as emulator:
        async with AsyncClient(at(emulator.url)) as client:
            chat = client.chat()
            async with chat.stream("long") as reply:
                async for _ in reply:
                    break
            assert (reply.finished, reply.text) == (None, "first")
            for read_on in (reply.__anext__, reply.events().__anext__):
                with pytest.raises(TurnAborted) as caught:  # and not the end, as if it were complete
                    await read_on()
                assert caught.value.text == "first"
            assert not chat.conversation.message_history
            assert (await chat.ask("short")).text == "first last"


async def test_a_consumer_that_raises_leaves_the_chat_usable() -> None:
    with Emulator(first_then(long)) as emulator:
        async with AsyncClient(at(emulator.url)) as client:
            chat = client.chat()
            with pytest.raises(ZeroDivisionError):
                await consume(chat.stream("long"), lambda _: 1 / 0)
            assert (await chat.ask("short")).text == "first last"


async def test_leaving_from_inside_nested_scopes_cancels_nobody_else() -> None:
    others: list[str] = []

    async def other(chat: AsyncChat, started: anyio.Event) -> None:
        started.set()
        others.append((await chat.ask("short")).text)

    with Emulator(first_then(long)) as emulator:
        async with AsyncClient(at(emulator.url)) as client, anyio.create_task_group() as tasks:
            chat, started = client.chat(), anyio.Event()
            with anyio.CancelScope() as outer:
                async with chat.stream("long") as reply:
                    with anyio.CancelScope() as inner, anyio.fail_after(TIMEOUT):
                        async for _ in reply:
                            tasks.start_soon(other, client.chat(), started)
                            await started.wait()
                            inner.cancel()
                            await anyio.sleep(0)
                    assert inner.cancelled_caught
                    await anyio.sleep(0)
            assert not outer.cancel_called
            assert (await chat.ask("short")).text == "first last"
    assert others == ["first last"]


async def test_another_task_may_leave_a_reply_and_nobody_is_cancelled() -> None:
    release = threading.Event()

    def stall(text: str) -> Iterator[str]:
        if text == "stall":
            assert release.wait(TIMEOUT)
        yield " last"

    got: list[str] = []
    reading = anyio.Event()

    async def read(reply: AsyncReply) -> None:
        got.append(await anext(reply))
        reading.set()
        with pytest.raises(TurnAborted, match="closed before it was complete") as caught:
            await anext(reply)
        assert caught.value.text == "first"
        await anyio.sleep(0)  # this task goes on as if nothing had been
        got.append("end")

    seen: list[object] = []
    with Peer(REPLY_THEN_HANG) as peer:
        async with (
            AsyncClient(at(peer.url), on_action=kept(seen)) as client,
            anyio.create_task_group() as tasks,
        ):
            chat = client.chat(conversation=WARM, cookies={})
            async with chat.stream("stall") as reply:
                tasks.start_soon(read, reply)
                await reading.wait()
                await anyio.wait_all_tasks_blocked()
                await reply.aclose()
                await reply.aclose()
            assert not tasks.cancel_scope.cancel_called
    assert got == ["first", "end"]
    assert reply.finished is None


REPLY_THEN_HANG = (REPLY, HANG)


async def test_a_client_that_is_closed_ends_what_another_task_is_reading() -> None:
    problems: list[str] = []

    async def ask(chat: AsyncChat) -> None:
        try:
            await chat.ask("Why?")
        except TurnAborted as error:
            problems.append(error.text)

    said = anyio.Event()

    def hear(trace: Trace) -> None:
        if isinstance(trace.what, TextDelta):
            said.set()

    with Peer(REPLY_THEN_HANG) as peer:
        async with anyio.create_task_group() as tasks, AsyncClient(at(peer.url), on_action=hear) as client:
            tasks.start_soon(ask, client.chat(conversation=WARM, cookies={}))
            await said.wait()
        assert peer.all_closed(TIMEOUT)
    assert problems == ["first"]


async def test_a_chat_takes_one_question_at_a_time() -> None:
    with Peer(REPLY_THEN_HANG) as peer:
        async with AsyncClient(at(peer.url)) as client:
            chat = client.chat(conversation=WARM, cookies={})
            async with chat.stream("Why?") as reply:
                assert await anext(reply) == "first"
                with pytest.raises(ChatBusy, match="still answering"):
                    await chat.ask("And?")
                assert reply.text == "first"


async def test_a_reply_is_read_where_it_is_entered_and_entered_once(emulator: Emulator) -> None:
    async with AsyncClient(at(emulator.url)) as client:
        reply = client.chat().stream("Why?")
        await reply.aclose()
        with pytest.raises(LocalProtocolError, match=r"with chat\.stream"):
            await anext(reply)
        async with reply:
            assert [text async for text in reply]
        with pytest.raises(LocalProtocolError, match="entered only once"):
            async with reply:
                pass


async def test_a_dropped_chat_is_closed_with_the_next_turn_of_another(emulator: Emulator) -> None:
    before = open_sockets()
    async with AsyncClient(at(emulator.url)) as client:
        for _ in range(5):
            await client.chat().ask("Why?")
        gc.collect()
        await settled(before + 2)  # this side and the emulator's of the last one
    await settled(before)


# Cancellation at every await


async def converse(chat: AsyncChat, turns: int, finished: list[TurnFinished]) -> None:
    """Ask so many times, and note each reply as soon as it is complete."""
    for _ in range(turns):
        async with chat.stream("Why?") as reply:
            async for event in reply.events():
                if isinstance(event, TurnFinished):
                    finished.append(event)


@pytest.mark.parametrize("done", thinned([0, 1], one_in=2, reason="the second turn is the same"))
async def test_cancelled_at_any_step_of_two_turns_the_conversation_is_whole_and_the_next_turn_works(done: int) -> None:
    with Emulator(Service(strict=True, challenge=True)) as emulator:
        before = open_sockets()
        turns = list[int]()
        for number in some(range(1, 10_000), one_in=15):
            async with AsyncClient(at(emulator.url)) as client:
                chat = client.chat()
                finished: list[TurnFinished] = []
                await converse(chat, done, finished)
                cancelled = await cancelled_at(number, converse(chat, 2 - done, finished))
                messages = chat.conversation.message_history
                turns.append(len(finished))
                assert [message.role for message in messages] == ["user", "assistant"] * turns[-1]
                with anyio.fail_after(TIMEOUT):
                    assert f"Turn {turns[-1] + 1}" in (await chat.ask("Once more?")).text
                assert len(chat.conversation.message_history) == len(messages) + 2
            await settled(before)
            if not cancelled:
                break
    assert number > (4 if done else 20)
    assert (turns[0], turns[-1]) == (done, 2)


async def test_cancelled_at_any_await_over_a_transport_exchanges_are_closed(emulator: Emulator) -> None:
    from support.native import AsyncTransport

    before = open_sockets()
    for number in some(range(1, 10_000), one_in=9):
        transport = AsyncTransport(trusting())
        async with AsyncClient(at(emulator.url), transport=transport) as client:
            chat = client.chat()
            with anyio.CancelScope() as scope:
                cut = CancelAt(converse(chat, 2, []), number, scope)
                await cut
            with anyio.fail_after(TIMEOUT):
                assert (await chat.ask("Once more?")).text
        await transport.aclose()
        await settled(before)
        if not cut.reached:
            break
    assert number > 8


# Connections


async def test_a_kept_connection_that_the_peer_closed_is_made_anew_without_a_word() -> None:
    text = b'data: {"action":"success","message":"x"}\n\ndata: [DONE]\n\n'
    said = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-vqd-4: t\r\ncontent-length: %d\r\n\r\n%b"
    said %= (len(text), text)
    seen: list[object] = []
    with Peer([said, CUT], [said]) as peer:
        async with AsyncClient(at(peer.url), policy=NO_RETRIES, on_action=kept(seen)) as client:
            chat = client.chat(conversation=WARM, cookies={})
            await chat.ask("Why?")
            assert peer.all_closed(TIMEOUT)
            await chat.ask("And?")
        assert len(peer.requests) == 2
    assert len([action for action in seen if isinstance(action, Connect)]) == 2


async def test_a_refused_connection_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with AsyncClient(at(f"http://127.0.0.1:{port}"), policy=NO_RETRIES) as client:
        with pytest.raises(TransportError, match=f"connecting to 127.0.0.1:{port}: ") as caught:
            await client.chat(conversation=WARM, cookies={}).ask("Why?")
    assert caught.value.failure.kind is FailureKind.NOT_SENT


@pytest.mark.parametrize("said", [b"", REPLY[:20], REPLY])
async def test_a_peer_that_stops_talking_is_given_up_in_time(said: bytes) -> None:
    with Peer((said, HANG)) as peer:
        async with AsyncClient(at(peer.url), policy=Policy(max_retries=0, read_timeout=0.05)) as client:
            with pytest.raises(ChatTimeoutError, match="read_timeout"):
                await client.chat(conversation=WARM, cookies={}).ask("Why?")
        assert peer.all_closed(TIMEOUT)


async def test_a_peer_that_takes_nothing_is_given_up_in_time() -> None:
    policy = Policy(max_retries=0, write_timeout=0.05, read_timeout=5.0, max_prompt_chars=None)
    with Peer(opening=[DEAF]) as peer:
        async with AsyncClient(at(peer.url), policy=policy) as client:
            with pytest.raises(ChatTimeoutError, match="write_timeout"):
                await client.chat(conversation=WARM, cookies={}).ask("long " * 1_600_000)


async def test_an_answer_that_comes_before_the_question_was_read_is_understood(anyio_backend_name: str) -> None:
    def refuse() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")  # and closes

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=refuse)
        serving.start()
        profile = at(f"http://127.0.0.1:{listener.getsockname()[1]}")
        async with AsyncClient(profile, policy=Policy(max_retries=0, max_prompt_chars=None)) as client:
            with pytest.raises(ServiceError if anyio_backend_name == "trio" else (ServiceError, TransportError)):
                # asyncio's transports forget what came where they can't send any more
                await client.chat(conversation=WARM, cookies={}).ask("long " * 1_600_000)
        serving.join(TIMEOUT)


async def test_a_tls_handshake_that_never_ends_is_given_up_in_time() -> None:
    with Peer(opening=[HANG], tls=True) as peer:
        profile = at(peer.url, minimum_interval=0.0)
        async with AsyncClient(profile, policy=Policy(max_retries=0, connect_timeout=0.05)) as client:
            with pytest.raises(ChatTimeoutError, match="connecting to"):
                await client.chat(conversation=WARM, cookies={}).ask("Why?")
        assert peer.all_closed(TIMEOUT)


async def test_a_reply_that_drips_is_ended_by_the_total_timeout() -> None:
    stop = threading.Event()
    policy = Policy(max_retries=0, total_timeout=0.5)

    def drip(_: str) -> Iterator[str]:
        while not stop.wait(0.01):
            yield "."

    with Emulator(first_then(drip)) as emulator:
        async with AsyncClient(at(emulator.url), policy=policy) as client:
            with pytest.raises(ChatTimeoutError, match="total_timeout") as caught:
                await client.chat().ask("Why?")
        stop.set()
    assert caught.value.text.startswith("first")


async def test_a_reply_that_is_cut_is_told_with_what_came_of_it() -> None:
    with Peer((REPLY, CUT)) as peer:
        async with AsyncClient(at(peer.url)) as client:
            with pytest.raises(IncompleteStream) as caught:
                await client.chat(conversation=WARM, cookies={}).ask("Why?")
    assert caught.value.text == "first"


def unframed(act: Any) -> tuple[Any, ...]:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    return (head + b'data: {"action":"success","message":"first"}\n\ndata: {"action":"success","message":""}\n\n', act)


async def test_https_is_verified_against_the_caller_s_context_and_a_cut_is_no_end() -> None:
    certificate = CERTIFICATES / "loopback.pem"
    with Peer(unframed(CLOSE), unframed(CUT), certificate=certificate) as peer:
        profile = at(peer.url, minimum_interval=0.0)
        async with AsyncClient(profile, ssl_context=trusting()) as client:
            assert (await client.chat(conversation=WARM, cookies={}).ask("Why?")).text == "first"
            with pytest.raises(IncompleteStream):
                await client.chat(conversation=WARM, cookies={}).ask("Why?")
        async with AsyncClient(profile, policy=NO_RETRIES) as client:
            with pytest.raises(TransportError, match="issuer certificate") as caught:
                await client.chat(conversation=WARM, cookies={}).ask("Why?")
    assert caught.value.failure.kind is FailureKind.TLS


async def test_a_unix_socket_carries_it(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "duck.sock"
    with relay(path, emulator.url):
        async with AsyncClient(at("http://127.0.0.1"), connect=unix(path)) as client:
            assert (await client.chat().ask("Why?")).text


async def test_a_connected_stream_carries_one_chat(emulator: Emulator) -> None:
    host, _, port = emulator.url.removeprefix("http://").partition(":")
    stream = await anyio.connect_tcp(host, int(port))
    async with AsyncClient(at(emulator.url), policy=NO_RETRIES, connect=connected(stream)) as client:
        chat = client.chat()
        assert (await chat.ask("Why?")).text
        with pytest.raises(TransportError, match="already been used"):
            await client.chat(conversation=WARM, cookies={}).ask("Why?")
        assert "Turn 2" in (await chat.ask("And?")).text
