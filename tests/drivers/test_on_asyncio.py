"""`AsyncClient` in asyncio programs, on every loop: their timeouts, task groups, cancelled tasks and runners."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable

import anyio
import pytest
from support.loops import Loop, loops, run_on
from support.sockets import open_sockets, settled
from support.sweep import task_cancelled_at
from support.tiers import some

from ddg_protocol import DUCKDUCKGO_2025_04, Conversation, Policy, ServiceProfile, TurnFinished
from ddg_protocol.service import Service
from ddg_transports.anyio import AsyncChat, AsyncClient, AsyncReply
from ddg_transports.emulator import Emulator
from ddg_transports.testing.peer import HANG, Peer

TIMEOUT = 20.0  # for what never comes, on the slowest of machines
WARM = Conversation(vqd="token", fe_version="x-y")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
FIRST = b'data: {"action":"success","message":"first"}\n\n'
STALLS = (HEAD + b"content-length: 999\r\n\r\n" + FIRST, HANG)
TOKEN = (b"HTTP/1.1 200 OK\r\nx-vqd-4: next\r\ncontent-length: 0\r\n\r\n",)
WHOLE = (HEAD + b"content-length: %d\r\n\r\n" % (len(FIRST) + 14) + FIRST + b"data: [DONE]\n\n",)

on_every_loop = pytest.mark.parametrize("loop", loops(trio=False))


def at(url: str) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at(url, minimum_interval=0.0)


async def by_timeout(reply: AsyncReply) -> None:
    async with asyncio.timeout(0.001):
        await anext(reply)


async def by_wait_for(reply: AsyncReply) -> None:
    await asyncio.wait_for(anext(reply), 0.001)


async def by_task_group(reply: AsyncReply) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reply.__anext__())
        await anyio.wait_all_tasks_blocked()
        raise TimeoutError


async def by_cancel(reply: AsyncReply) -> None:
    task = asyncio.ensure_future(reply.__anext__())
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)


@on_every_loop
@pytest.mark.parametrize("cancel", [by_timeout, by_wait_for, by_task_group, by_cancel])
def test_a_reply_whose_read_is_cancelled_can_be_left_and_the_next_turn_works(
    cancel: Callable[[AsyncReply], Awaitable[None]], loop: Loop
) -> None:
    async def main(url: str) -> None:
        before = open_sockets()
        async with AsyncClient(at(url), policy=Policy(max_retries=0)) as client:
            chat = client.chat(conversation=WARM, cookies={})
            async with chat.stream("Why?") as reply:
                assert await anext(reply) == "first"
                with contextlib.suppress(TimeoutError, ExceptionGroup):
                    await cancel(reply)
            assert not chat.conversation.message_history
            assert (await chat.ask("And?")).text == "first"
        await settled(before)

    with Peer(STALLS, TOKEN, WHOLE) as peer:
        run_on(loop, main, peer.url)
        assert peer.all_closed(TIMEOUT)


@on_every_loop
def test_a_runner_that_ends_while_a_reply_is_read_closes_the_connection(loop: Loop) -> None:
    async def main(url: str) -> None:
        async def read() -> None:
            async with AsyncClient(at(url)) as client:
                chat = client.chat(conversation=WARM, cookies={})
                async with chat.stream("Why?") as reply:
                    async for text in reply:
                        said.set_result(text)

        said = asyncio.get_running_loop().create_future()
        tasks.append(asyncio.ensure_future(read()))
        assert await said == "first"

    tasks: list[asyncio.Task[None]] = []
    before = open_sockets()
    with Peer(STALLS) as peer:
        run_on(loop, main, peer.url)
        assert tasks.pop().cancelled()
        assert peer.all_closed(TIMEOUT)
    gc.collect()
    assert open_sockets() <= before


async def converse(chat: AsyncChat, finished: list[TurnFinished]) -> None:
    """Ask twice, and note each reply as soon as it is complete."""
    for _ in range(2):
        async with chat.stream("Why?") as reply:
            async for event in reply.events():
                if isinstance(event, TurnFinished):
                    finished.append(event)


@pytest.mark.parametrize("loop", loops(trio=False, deep="as on asyncio's own loop"))
def test_a_task_that_is_cancelled_at_any_step_of_two_turns_leaves_the_conversation_whole_and_no_socket(
    loop: Loop,
) -> None:
    async def main(url: str) -> int:
        before = open_sockets()
        for number in some(range(1, 10_000), one_in=15):
            async with AsyncClient(at(url)) as client:
                chat, finished = client.chat(), list[TurnFinished]()
                cancelled = await task_cancelled_at(number, converse(chat, finished))
                messages = chat.conversation.message_history
                assert [message.role for message in messages] == ["user", "assistant"] * len(finished)
                with anyio.fail_after(TIMEOUT):
                    assert f"Turn {len(finished) + 1}" in (await chat.ask("Once more?")).text
            await settled(before)
            if not cancelled:
                break
        return number

    with Emulator(Service(challenge=True)) as emulator:
        assert run_on(loop, main, emulator.url) > 20
