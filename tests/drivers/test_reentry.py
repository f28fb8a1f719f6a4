"""What comes in the middle of a call: a signal handler, another thread, a second reader, the garbage collector."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    Conversation,
    DuckChatError,
    LocalProtocolError,
    Policy,
    SendRequest,
    ServiceProfile,
    Session,
    TurnAborted,
)
from ddg_protocol._state import State
from ddg_protocol.service import Service
from ddg_protocol.tap import DrivenSession, TappedSession
from ddg_transports import blocking
from ddg_transports._waits import Wake
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Chat, Client, Reply
from ddg_transports.emulator import Emulator
from ddg_transports.transport import transport_error

TIMEOUT = 20.0  # for what never comes, on the slowest of machines
WARM = Conversation(vqd="token", fe_version="x-y")
HELLO = b'data: {"action":"success","message":"hello"}\n\ndata: [DONE]\n\n'


def at(url: str) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at(url, minimum_interval=0.0)


class Exchange:
    """Has a whole reply to read, unless it is aborted."""

    status = 200
    headers = (("content-type", "text/event-stream"), ("x-vqd-4", "next"))

    def __init__(self) -> None:
        self.data = HELLO
        self.aborted_by: list[threading.Thread] = []

    def read(self, *, timeout: float) -> bytes:
        if self.aborted_by:
            raise transport_error(OSError("aborted"), "reading")
        data, self.data = self.data, b""
        return data

    def abort(self) -> None:
        self.aborted_by.append(threading.current_thread())

    def close(self) -> None:
        pass


class Transport:
    """Returns an exchange for each request. The first waits until it may."""

    def __init__(self) -> None:
        self.opening, self.may_open, self.second = threading.Event(), threading.Event(), threading.Event()
        self.opened: list[Exchange] = []

    def open(self, request: SendRequest, *, timeout: float) -> Exchange:
        if self.opening.is_set():
            self.second.set()
        self.opening.set()
        assert self.may_open.wait(TIMEOUT)
        self.opened.append(Exchange())
        return self.opened[-1]


# A signal handler that closes: it may come in any call of a session


class Interrupted:
    """A tap that closes something in the middle of the n-th call of a session, as a signal handler can."""

    def __init__(self, n: int) -> None:
        self.left = n
        self.closes: Any = None

    def _pass(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.closes.close()

    def pulling(self) -> None:
        self._pass()

    def pulled(self, action: object, now: float) -> None:
        self._pass()

    def called(self, method: str, *arguments: object) -> None:
        self._pass()


def ask(chat: Chat, taps: list[Interrupted], closed: str) -> str:
    """Ask, while something is closed; return how it ended."""
    reply = chat.stream("Why?")
    taps[0].closes = {"client": chat._client, "chat": chat, "reply": reply}[closed]
    try:
        with reply:
            text = "".join(reply)
        assert reply.finished is not None
        assert text == reply.finished.text != ""
    except TurnAborted:
        return "aborted"
    return "whole"


@pytest.mark.parametrize("closed", ["client", "chat", "reply"])
def test_whatever_call_of_a_session_a_signal_handler_interrupts_it_may_close(closed: str) -> None:
    with Emulator(Service()) as emulator:
        known = Conversation(fe_version=emulator.service.front_end_version)  # so that there is less of it
        found: list[str] = []
        for n in range(1, 500):
            taps = [Interrupted(n)]

            def wrap(session: Session, taps: list[Interrupted] = taps) -> DrivenSession:
                return TappedSession(session, taps[0])

            with Client(at(emulator.url)) as client:
                chat = client.chat(conversation=known, cookies={}, wrap=wrap)
                found.append(ask(chat, taps, closed))
                if taps[0].left > 0:
                    break
                history = chat.conversation.message_history
                assert len(history) == (2 if found[-1] == "whole" else 0), n
                if closed == "reply":
                    assert chat.ask("And?").text, n
                else:
                    assert chat._line.session.state is State.CLOSED, n
                    assert chat._line._connection is None, n  # type: ignore[union-attr]
        assert 20 < n < 499
        assert found[0] == "aborted", "it was the question that was interrupted"
        assert set(found) == {"aborted", "whole"}


def test_a_question_that_waits_for_its_turn_may_be_left_by_a_signal_handler_just_as_it_is_asked() -> None:
    tap, transport = Interrupted(1), Transport()
    transport.may_open.set()
    with Client(at("http://127.0.0.1"), transport=transport) as client:
        chat = client.chat(conversation=WARM, cookies={}, wrap=lambda session: TappedSession(session, tap))
        reply = tap.closes = chat.stream("Why?", wait=True)
        with pytest.raises(TurnAborted), reply:
            pass
        assert not transport.opened
        assert chat.ask("And?", wait=True).text == "hello"


def test_control_c_as_a_question_is_asked_under_a_complete_reply_asks_nothing() -> None:
    class ControlC:
        def close(self) -> None:
            raise KeyboardInterrupt

    tap, transport = Interrupted(0), Transport()
    transport.may_open.set()
    with Client(at("http://127.0.0.1"), transport=transport) as client:
        chat = client.chat(conversation=WARM, cookies={}, wrap=lambda session: TappedSession(session, tap))
        with chat.stream("Why?") as reply:
            while reply.finished is None:
                next(reply.events())
            tap.left, tap.closes = 1, ControlC()
            with pytest.raises(KeyboardInterrupt):
                chat.ask("And?")
        assert len(transport.opened) == 1
        assert len(chat.conversation.message_history) == 2


def test_a_client_closes_all_its_chats_though_a_signal_handler_closes_one_in_between() -> None:
    class Interrupts(weakref.WeakSet[Chat]):
        def __iter__(self) -> Iterator[Chat]:
            for number, chat in enumerate(super().__iter__()):
                if number == 1 and not chats[0]._closed:
                    chats[0].close()
                yield chat

    client = Client(at("http://127.0.0.1"))
    chats = [client.chat() for _ in range(3)]
    client._chats = Interrupts(chats)
    client.close()
    assert all(chat._closed for chat in chats)


# A close from another thread, and what comes after it


def test_a_ring_ends_no_wait_but_those_of_its_own_turn() -> None:
    ended: list[str] = []
    wake = Wake()
    wake.begin("one")
    wake.ring("one")
    assert wake.rung
    wake.begin("two")
    wake.ends(lambda: ended.append("two"))
    wake.ring("one")  # it was late
    assert (wake.rung, ended) == (False, [])
    wake.ring("two")
    assert (wake.rung, ended) == (True, ["two"])


def test_a_close_that_can_t_end_a_wait_does_not_end_the_next_question_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "_PATIENCE", 0.0)
    transport, has_lock = Transport(), threading.Event()
    replies: list[object] = []

    def hold_the_lock(session: Session) -> Session:
        has_lock.set()
        assert transport.second.wait(TIMEOUT)
        return session

    def read(reply: Reply) -> None:
        try:
            with reply:
                replies.append("".join(reply))
        except DuckChatError as error:
            replies.append(error)

    policy = Policy(max_retries=0)
    with Client(at("http://127.0.0.1"), transport=transport, policy=policy) as client:
        chat = client.chat(conversation=WARM, cookies={})
        first, second = chat.stream("first"), chat.stream("second")
        threads = [threading.Thread(target=read, args=(first,))]
        threads[0].start()
        assert transport.opening.wait(TIMEOUT)
        first.close()  # gives up: nothing can end what the thread does
        threads.append(threading.Thread(target=read, args=(second,)))
        threads[1].start()
        while chat._line.session.state is not State.REQUESTING:
            pass
        # The first thread comes back, and can't go on before the second one has the line.
        threads.append(threading.Thread(target=client.chat, kwargs={"wrap": hold_the_lock}))
        threads[2].start()
        assert has_lock.wait(TIMEOUT)
        transport.may_open.set()
        for thread in threads:
            thread.join(TIMEOUT)
    assert [str(each) for each in replies if isinstance(each, TurnAborted)] == [
        "the reply was closed before it was complete"
    ]
    assert "hello" in replies
    assert not any(exchange.aborted_by for exchange in transport.opened[1:])


def test_closing_a_client_waits_a_second_in_all_for_threads_that_nothing_can_wake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    waits: list[object] = []

    class UsedByAThread:
        def acquire(self, *, blocking: bool = True, timeout: float = 0.0) -> bool:
            nonlocal now
            now += timeout
            if blocking:
                waits.append(self)
            return False

    monkeypatch.setattr(blocking, "time", SimpleNamespace(monotonic=lambda: now))
    client = Client(at("http://127.0.0.1"))
    chats = [client.chat() for _ in range(10)]
    for chat in chats:
        chat._world = UsedByAThread()  # type: ignore[assignment]
    client.close()
    assert all(chat._closed for chat in chats)
    assert set(waits) == {chat._world for chat in chats}, "each thread is woken once, however late it is"
    assert 1.0 <= now < 2.0


def test_a_turn_that_another_thread_ends_just_before_a_read_is_aborted() -> None:
    class Ended(TappedSession):
        @property
        def read_by(self) -> float | None:
            if closers:
                closers.pop().start()
                while reply._has_the_key():
                    pass
            return super().read_by

    class Nobody(Interrupted):
        def _pass(self) -> None:
            pass

    transport, closers = Transport(), []
    transport.may_open.set()
    with Client(at("http://127.0.0.1"), transport=transport) as client:
        chat = client.chat(conversation=WARM, cookies={}, wrap=lambda session: Ended(session, Nobody(0)))
        reply = chat.stream("Why?")
        closer = threading.Thread(target=reply.close)
        with reply:
            closers.append(closer)
            with pytest.raises(TurnAborted):
                list(reply)
        closer.join(TIMEOUT)
        assert not closer.is_alive()


class Raced(deque[Any]):
    """Whoever asks is told that there is something, which another thread takes then."""

    def __bool__(self) -> bool:
        return True


def test_a_dropped_chat_that_another_thread_closes_first_is_closed_once() -> None:
    client = Client(at("http://127.0.0.1"))
    client._dropped = Raced()
    client.close()
    assert client._closed


def test_a_trace_that_another_thread_shows_first_is_shown_once() -> None:
    transport = Transport()
    shown: list[object] = []
    transport.may_open.set()
    with Client(at("http://127.0.0.1"), transport=transport, on_action=shown.append) as client:
        chat = client.chat(conversation=WARM, cookies={})
        chat._seen = Raced()
        assert chat.ask("Why?").text == "hello"


# Two readers of a reply


def test_a_second_thread_that_reads_a_reply_is_refused() -> None:
    transport = Transport()
    with Client(at("http://127.0.0.1"), transport=transport) as client:
        chat = client.chat(conversation=WARM, cookies={})
        with chat.stream("Why?") as reply:
            texts: list[str] = []
            reader = threading.Thread(target=lambda: texts.extend(reply))
            reader.start()
            assert transport.opening.wait(TIMEOUT)
            for read in (iter(reply), reply.events()):
                with pytest.raises(LocalProtocolError, match="another thread or task is reading this reply"):
                    next(read)
            transport.may_open.set()
            reader.join(TIMEOUT)
    assert texts == ["hello"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_second_task_that_reads_a_reply_is_refused_and_the_first_goes_on(backend: str) -> None:
    class AsyncExchange(Exchange):
        async def read(self) -> bytes:  # type: ignore[override]
            reading.set()
            await may_read.wait()
            return super().read(timeout=0.0)

        async def aclose(self) -> None:
            pass

    class AsyncTransport:
        async def open(self, request: SendRequest) -> AsyncExchange:
            return AsyncExchange()

    reading, may_read = anyio.Event(), anyio.Event()

    async def main() -> list[str]:
        texts: list[str] = []

        async def read() -> None:
            texts.extend([text async for text in reply])

        async with AsyncClient(at("http://127.0.0.1"), transport=AsyncTransport()) as client:
            chat = client.chat(conversation=WARM, cookies={})
            async with chat.stream("Why?") as reply, anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await reading.wait()
                with pytest.raises(LocalProtocolError, match="another thread or task is reading this reply"):
                    await anext(reply)
                may_read.set()
        return texts

    assert anyio.run(main, backend=backend) == ["hello"]


# What the garbage collector finds


def test_a_chat_is_not_copied_since_the_end_of_the_copy_would_close_its_connection() -> None:
    with Client(at("http://127.0.0.1")) as client, pytest.raises(TypeError, match="a chat can't be copied"):
        copy.copy(client.chat())


class Bot:
    """Holds a client and a chat, and is a callback of the client."""

    def __init__(self, kind: type[Client] | type[AsyncClient]) -> None:
        self.client = kind(on_action=self.see)
        self.chat = self.client.chat()

    def see(self, trace: object) -> None:
        pass


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_whose_callback_leads_back_to_its_chat_is_collected(kind: type[Client] | type[AsyncClient]) -> None:
    async def made() -> weakref.ref[Bot]:
        return weakref.ref(Bot(kind))

    bot = anyio.run(made)
    gc.collect()
    assert bot() is None
