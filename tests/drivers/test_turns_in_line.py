"""Questions that wait until their chat is free: first come, first served, and none waits for nothing."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

import anyio
import pytest
from support.sweep import cancelled_at

from ddg_protocol import DUCKDUCKGO_2025_04, LocalProtocolError, ServiceProfile, TurnAborted
from ddg_protocol.errors import ChatBusy, UserLimitError
from ddg_protocol.service import Fault, Service
from ddg_protocol.service.faults import Refuse
from ddg_transports.anyio import AsyncChat, AsyncClient, AsyncReply
from ddg_transports.blocking import Chat, Client, Reply
from ddg_transports.emulator import Emulator

BACKENDS = ["asyncio", "trio"]
SOON = 20.0


def at(url: str) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at(url)


def questions(chat: Chat | AsyncChat) -> list[str]:
    return [message.text for message in chat.conversation.message_history if message.role == "user"]


class Asker(threading.Thread):
    """Asks in a thread, and is in line once it is made."""

    def __init__(self, chat: Chat, question: str) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self.reply: Reply = chat.stream(question, wait=True)
        place = len(chat._queue)
        self.start()
        while len(chat._queue) == place:
            time.sleep(0)

    def run(self) -> None:
        try:
            with self.reply:
                for _ in self.reply:
                    pass
        except BaseException as error:
            self.error = error

    def ended(self) -> BaseException | None:
        self.join(SOON)
        assert not self.is_alive()
        return self.error


@contextmanager
def chatting(service: Service | None = None) -> Iterator[Chat]:
    with Emulator(service or Service()) as emulator, Client(at(emulator.url)) as client:
        yield client.chat()


def test_questions_that_wait_are_asked_in_the_order_in_which_they_came() -> None:
    with chatting() as chat:
        with chat.stream("0") as reply:
            askers = [Asker(chat, str(number)) for number in range(1, 6)]
            assert list(reply)
        assert [asker.ended() for asker in askers] == [None] * 5
        assert questions(chat) == ["0", "1", "2", "3", "4", "5"]


def test_a_question_that_waits_at_a_chat_that_is_free_is_asked_at_once() -> None:
    with chatting() as chat:
        assert chat.ask("Why?", wait=True).text
        with chat.stream("And?") as reply:
            assert list(reply)
            assert chat.ask("And at dusk?", wait=True).text  # within the reply that is complete


def test_nobody_who_does_not_wait_comes_before_those_who_do() -> None:
    with chatting() as chat:
        with chat.stream("0") as reply:
            asker = Asker(chat, "1")
            while reply._next_event() is not None and reply.finished is None:
                pass
            with pytest.raises(ChatBusy):
                chat.ask("2")
        assert asker.ended() is None
        assert questions(chat) == ["0", "1"]


@pytest.mark.parametrize("how", ["chat", "client"])
def test_closing_ends_every_wait(how: str) -> None:
    with chatting() as chat, chat.stream("0"):
        askers = [Asker(chat, str(number)) for number in range(1, 4)]
        close: Callable[[], None] = chat.close if how == "chat" else chat._client.close
        close()
        assert [type(asker.ended()) for asker in askers] == [TurnAborted] * 3
        with pytest.raises(LocalProtocolError, match="is closed"):
            chat.ask("4", wait=True)


def test_a_reply_may_be_closed_while_it_waits_and_the_others_go_on() -> None:
    with chatting() as chat:
        with chat.stream("0"):
            first, second = Asker(chat, "1"), Asker(chat, "2")
            first.reply.close()
            assert isinstance(first.ended(), TurnAborted)
            assert second.is_alive()
        assert second.ended() is None
        assert questions(chat) == ["2"], "the first was left early"


def test_a_reply_that_waits_can_be_entered_only_once() -> None:
    with chatting() as chat:
        with chat.stream("0"):
            first = Asker(chat, "1")
            with pytest.raises(LocalProtocolError, match="only once"):
                first.reply.__enter__()
        assert first.ended() is None


def test_a_question_that_can_not_be_asked_lets_the_next_one_go() -> None:
    with chatting() as chat:
        with chat.stream("0") as reply:
            askers = [Asker(chat, question) for question in ("1", " ", "3")]
            assert list(reply)
        assert [type(asker.ended()) for asker in askers] == [type(None), LocalProtocolError, type(None)]
        assert questions(chat) == ["0", "1", "3"]


def test_a_turn_that_fails_lets_the_next_one_go() -> None:
    with chatting(Service(script=[Fault("chat", [Refuse(429, "ERR_USER_LIMIT")], times=1)])) as chat:
        with chat.stream("0") as reply:
            asker = Asker(chat, "1")
            with pytest.raises(UserLimitError):
                list(reply)
        assert asker.ended() is None
        assert questions(chat) == ["1"]


def test_a_reply_that_is_dropped_lets_the_next_question_go() -> None:
    with chatting() as chat:
        replies = [chat.stream("0").__enter__()]
        asker = Asker(chat, "1")
        with pytest.warns(ResourceWarning, match="unclosed Reply"):
            replies.clear()
        assert asker.ended() is None


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="a signal is sent to a thread")
def test_a_wait_can_be_interrupted() -> None:
    with chatting() as chat, chat.stream("0"):

        def interrupt() -> None:
            while not chat._queue:
                time.sleep(0)
            signal.pthread_kill(main, signal.SIGINT)

        main = threading.get_ident()
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            chat.ask("1", wait=True)
        thread.join()
        assert not chat._queue


def test_many_threads_share_one_chat() -> None:
    with chatting() as chat:

        def ask(thread: int) -> None:
            for number in range(5):
                assert f"{thread}.{number}" in chat.ask(f"{thread}.{number}", wait=True).text

        threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(questions(chat))) == 40


# Tasks


def run(backend: str, test: Callable[[AsyncChat], Awaitable[None]]) -> None:
    async def main(url: str) -> None:
        async with AsyncClient(at(url)) as client:
            await test(client.chat())

    with Emulator() as emulator:
        anyio.run(main, emulator.url, backend=backend)


async def in_line(chat: AsyncChat, number: int) -> None:
    while len(chat._queue) < number:
        await anyio.sleep(0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tasks_are_served_in_the_order_in_which_they_came_but_for_those_that_are_cancelled(backend: str) -> None:
    async def test(chat: AsyncChat) -> None:
        async with anyio.create_task_group() as tasks, chat.stream("0") as reply:
            scopes = [anyio.CancelScope() for _ in range(5)]
            for number, scope in enumerate(scopes, 1):
                tasks.start_soon(ask, chat, str(number), scope)
                await in_line(chat, number)
            scopes[0].cancel()
            scopes[2].cancel()
            assert [text async for text in reply]
        assert questions(chat) == ["0", "2", "4", "5"]

    async def ask(chat: AsyncChat, question: str, scope: anyio.CancelScope) -> None:
        with scope:
            await chat.ask(question, wait=True)

    run(backend, test)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_task_that_is_cancelled_when_it_is_called_lets_the_next_one_go(backend: str) -> None:
    async def test(chat: AsyncChat) -> None:
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            async with chat.stream("0") as reply:
                tasks.start_soon(ask, chat, "1", scope)
                await in_line(chat, 1)
                tasks.start_soon(ask, chat, "2", anyio.CancelScope())
                await in_line(chat, 2)
                assert [text async for text in reply]
            scope.cancel()
        assert questions(chat)[-1] == "2"

    async def ask(chat: AsyncChat, question: str, scope: anyio.CancelScope) -> None:
        with scope:
            await chat.ask(question, wait=True)

    run(backend, test)


@pytest.mark.parametrize("backend", BACKENDS)
def test_closing_ends_the_wait_of_every_task(backend: str) -> None:
    async def test(chat: AsyncChat) -> None:
        errors: list[BaseException] = []

        async def ask(question: str) -> None:
            try:
                await chat.ask(question, wait=True)
            except TurnAborted as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks, chat.stream("0"):
            for number in range(1, 4):
                tasks.start_soon(ask, str(number))
                await in_line(chat, number)
            await chat.aclose()
        assert len(errors) == 3
        with pytest.raises(LocalProtocolError, match="this chat is closed"):
            await chat.ask("4", wait=True)

    run(backend, test)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_async_reply_may_be_closed_while_it_waits(backend: str) -> None:
    async def test(chat: AsyncChat) -> None:
        waiting = chat.stream("1", wait=True)

        async def ask() -> None:
            with pytest.raises(TurnAborted):
                await waiting.__aenter__()

        async with anyio.create_task_group() as tasks, chat.stream("0"):
            tasks.start_soon(ask)
            await in_line(chat, 1)
            await waiting.aclose()
        assert chat._queue == type(chat._queue)()

    run(backend, test)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("where", ["this thread", "another thread"])
def test_an_async_reply_that_is_dropped_lets_the_next_question_go(backend: str, where: str) -> None:
    def drop(replies: list[AsyncReply]) -> None:
        if where == "this thread":
            replies.clear()
        else:
            thread = threading.Thread(target=replies.clear)
            thread.start()
            thread.join()

    async def ask(chat: AsyncChat) -> None:
        await chat.ask("1", wait=True)

    async def test(chat: AsyncChat) -> None:
        replies = [await chat.stream("0").__aenter__()]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, chat)
            await in_line(chat, 1)
            with pytest.warns(ResourceWarning, match="unclosed AsyncReply"):
                drop(replies)
        assert questions(chat) == ["1"]

    run(backend, test)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_question_in_line_may_be_cancelled_at_any_await_and_the_chat_goes_on(backend: str) -> None:
    async def test(chat: AsyncChat) -> None:
        for n in count(1):
            done: list[bool] = []

            async def ask(n: int = n, done: list[bool] = done) -> None:
                done.append(not await cancelled_at(n, chat.ask("1", wait=True)))

            async with anyio.create_task_group() as tasks, chat.stream("0") as reply:
                tasks.start_soon(ask)
                await anyio.sleep(0)
                tasks.start_soon(partial(chat.ask, "2", wait=True))
                assert [text async for text in reply]
            assert not chat._queue
            assert questions(chat)[-1] == "2"
            if done == [True]:
                break
        assert n > 4

    run(backend, test)
