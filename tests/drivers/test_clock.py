"""The clock and the sleep that a client is given: its waits take no time in a test, and nothing else is different."""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from support.memory import InMemory
from support.traces import kept
from trio.testing import MockClock

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    ChatTimeoutError,
    Conversation,
    Retrying,
    ServiceProfile,
    TurnAborted,
)
from ddg_protocol.service import Fault, Service
from ddg_protocol.service.faults import Refuse
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client, Trace
from ddg_transports.emulator import Emulator
from ddg_transports.httpcore import HttpcoreTransport
from ddg_transports.testing.clock import SkippingClock
from ddg_transports.testing.peer import HANG, Peer

SOON = 20.0  # far less than the waits, and enough on the slowest of machines
WARM = Conversation(vqd="token", fe_version="x-y")


def at(url: str, interval: float = 50.0) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at(url, minimum_interval=interval)


@contextmanager
def soon() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < SOON


# Blocking


@pytest.mark.parametrize("over", ["its own", "httpcore"])
def test_a_client_waits_by_the_clock_and_the_sleep_that_it_is_given(over: str) -> None:
    clock = SkippingClock()
    with Emulator() as emulator, HttpcoreTransport() as transport, soon():
        settings: dict[str, Any] = {} if over == "its own" else {"transport": transport}
        with Client(at(emulator.url), clock=clock, sleep=clock.sleep, **settings) as client:
            assert client.chat().ask("Why?").text
    assert clock.slept == pytest.approx([50.0] * 3, abs=SOON)


def test_a_retry_after_is_waited_for_by_the_same_sleep() -> None:
    clock = SkippingClock()
    seen: list[object] = []
    busy = Service(script=[Fault("chat", [Refuse(429, retry_after=50)], times=1)])
    with (
        Emulator(busy) as emulator,
        Client(at(emulator.url, 0.0), clock=clock, sleep=clock.sleep, on_action=kept(seen)) as client,
        soon(),
    ):
        client.chat().ask("Why?")
    (delay,) = [event.delay for event in seen if isinstance(event, Retrying)]
    assert delay >= 50
    assert clock.slept == [pytest.approx(delay, abs=SOON)]


def test_a_wait_is_over_when_sleep_returns_even_on_a_clock_that_has_not_moved() -> None:
    waits: list[float] = []
    with Emulator() as emulator, Client(at(emulator.url), sleep=waits.append) as client, soon():
        client.chat().ask("Why?")
    assert len(waits) == 3


def test_a_timeout_comes_by_the_clock_of_the_client() -> None:
    clock = SkippingClock()

    def skip(trace: Trace) -> None:
        if trace.what is NEED_DATA:
            clock.sleep(31.0)  # a read may take 30

    stalls = (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99\r\n\r\n", HANG)
    with (
        Peer(stalls) as peer,
        Client(at(peer.url), clock=clock, on_action=skip) as client,
        soon(),
        pytest.raises(ChatTimeoutError),
    ):
        client.chat(conversation=WARM, cookies={}).ask("Why?")


def test_what_is_traced_has_the_time_of_the_clients_clock() -> None:
    clock, traces = SkippingClock(), list[Trace]()
    with (
        Emulator() as emulator,
        Client(at(emulator.url), clock=clock, sleep=clock.sleep, on_action=traces.append) as client,
    ):
        client.chat().ask("Why?")
    times = [trace.at for trace in traces]
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(150.0, abs=SOON)


def test_what_sleep_raises_cancels_the_turn_and_the_next_one_works() -> None:
    clock = SkippingClock()

    def interrupted(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 2:
            raise KeyboardInterrupt

    with Emulator() as emulator, Client(at(emulator.url), clock=clock, sleep=interrupted) as client:
        chat = client.chat()
        with pytest.raises(KeyboardInterrupt):
            chat.ask("Why?")
        assert chat.conversation.message_history == ()
        assert chat.ask("Why?").text


def test_a_chat_that_is_closed_while_a_sleep_of_ours_lasts_ends_when_it_returns() -> None:
    sleeping, awake = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        sleeping.set()
        assert awake.wait(SOON)

    caught: list[BaseException] = []

    def ask() -> None:
        try:
            chat.ask("Why?")
        except TurnAborted as error:
            caught.append(error)

    with Emulator() as emulator, Client(at(emulator.url), sleep=sleep) as client:
        chat = client.chat()
        thread = threading.Thread(target=ask)
        thread.start()
        assert sleeping.wait(SOON)
        chat.close()
        assert not caught
        awake.set()
        thread.join(SOON)
        assert len(caught) == 1


# On a loop, whose own clock is the client's


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock goes forward where it would wait, made of what asyncio documents."""

    def __init__(self) -> None:
        self.skipped = 0.0
        super().__init__(Skipping(self))

    def time(self) -> float:
        return super().time() + self.skipped


class Skipping(selectors.DefaultSelector):
    def __init__(self, loop: SkippingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0 if timeout else timeout)
        if not ready and timeout:
            self._loop.skipped += timeout
        return ready


async def converse() -> float:
    begun = anyio.current_time()
    transport = InMemory()
    async with AsyncClient(at(DUCKDUCKGO_2025_04.origin), transport=transport) as client:
        assert (await client.chat().ask("Why?")).text
    return anyio.current_time() - begun


def test_an_async_client_waits_on_the_virtual_clock_of_trio() -> None:
    with soon():
        took: float = anyio.run(converse, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})
    assert took == pytest.approx(150.0)


def test_an_async_client_waits_on_the_virtual_clock_of_an_asyncio_loop() -> None:
    with soon(), asyncio.Runner(loop_factory=SkippingLoop) as runner:
        assert runner.run(converse()) == pytest.approx(150.0, abs=SOON)
