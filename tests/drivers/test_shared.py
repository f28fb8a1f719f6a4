"""Clients that share an engine, on every driver: conversations change hands, and one turn is done once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.coordinated import AsyncLockedEngine, LockedEngine
from support.loops import DEFAULT, OTHERS, TRIO, Loop, loops
from support.sweep import cancelled_at
from support.tiers import some, thinned

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ServiceError,
    ServiceProfile,
    TextDelta,
    TransportError,
    TurnFinished,
)
from ddg_protocol.coordination import Claim, Commit, Coordination, Reserve
from ddg_protocol.errors import ConversationBusy, EngineUnavailable, PaceRefused, TurnNotStored, TurnSuperseded
from ddg_protocol.events import EarlierTurnUnfinished, ReplyRecalled
from ddg_protocol.service import Fault, Question, Service
from ddg_protocol.service import faults as f
from ddg_transports.anyio import AsyncChat, AsyncClient
from ddg_transports.blocking import Chat, Client
from ddg_transports.emulator import Emulator
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.httpcore import AsyncHttpcoreTransport, HttpcoreTransport

TIMEOUT = 20.0  # for what never comes, on the slowest of machines


@pytest.fixture(params=loops(deep="as on asyncio's own loop"))
def anyio_backend(request: pytest.FixtureRequest) -> Loop:
    loop: Loop = request.param
    return loop


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


def at(url: str, **changes: float) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at(url, **changes)


def texts(chat: Chat | AsyncChat) -> list[str]:
    return [message.text for message in chat.conversation.message_history if message.role == "user"]


class Held:
    """A service whose replies wait until they are let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.service = Service(responder=self._respond)

    def _respond(self, question: Question) -> Iterator[str]:
        yield "first"
        self.begun.set()
        assert self.go.wait(TIMEOUT)
        yield " last"


# Blocking


@pytest.mark.parametrize("over", ["sockets", "httpcore"])
def test_a_conversation_changes_hands_and_a_turn_is_done_once(emulator: Emulator, over: str) -> None:
    engine = LockedEngine()
    with HttpcoreTransport() as transport:
        settings: dict[str, Any] = {"transport": transport} if over == "httpcore" else {}
        with (
            Client(at(emulator.url), shared=engine, **settings) as one,
            Client(at(emulator.url), shared=engine, **settings) as other,
        ):
            first = one.chat(key="c").ask("Why?", turn="1")
            second = other.chat(key="c")
            second.ask("And at night?", turn="2")
            assert texts(second) == ["Why?", "And at night?"]
            with one.chat(key="c").stream("Why?", turn="1") as reply:
                events = list(reply.events())
            assert events[1:] == [ReplyRecalled(), TextDelta(first.text), first]
            assert reply.text == first.text
    assert len([exchange for exchange in emulator.service.log if exchange.request.method == "POST"]) == 2


def test_clients_in_several_threads_share_conversations_over_sqlite(emulator: Emulator, tmp_path: Path) -> None:
    with SqliteEngine(tmp_path / "engine") as engine, Client(at(emulator.url), shared=engine) as client:
        failed: list[BaseException] = []

        def converse(number: int) -> None:
            try:
                for turn in range(2):
                    client.chat(key=f"c{turn}", on_busy="wait").ask(f"{number}", turn=f"{number}.{turn}")
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=converse, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failed == []
        for key in ("c0", "c1"):
            chat = client.chat(key=key)
            chat.ask("How many?", turn="last")
            assert sorted(texts(chat)) == sorted([*"0123", "How many?"])


def test_what_happens_to_a_busy_conversation_is_said_by_argument() -> None:
    held, engine = Held(), LockedEngine()
    with Emulator(held.service) as emulator, Client(at(emulator.url), shared=engine) as client:
        superseded: list[TurnSuperseded] = []

        def ask() -> None:
            try:
                client.chat(key="c").ask("Why?")
            except TurnSuperseded as error:
                superseded.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert held.begun.wait(TIMEOUT)
        with pytest.raises(ConversationBusy) as busy:
            client.chat(key="c").ask("And?")
        assert 0 < busy.value.retry_after <= 90
        impatient = Client(at(emulator.url), shared=engine, coordination=Coordination(max_wait=0.1))
        with impatient, pytest.raises(ConversationBusy):
            impatient.chat(key="c", on_busy="wait").ask("And?")
        with client.chat(key="c", on_busy="take_over").stream("And?") as reply:
            events = reply.events()
            assert EarlierTurnUnfinished() in [next(events), next(events)]
            held.go.set()
            assert [event for event in events if isinstance(event, TurnFinished)]
        thread.join(TIMEOUT)
        assert [error.text for error in superseded] == ["first last"]
        chat = client.chat(key="c")
        chat.ask("Once more?")
        assert texts(chat) == ["And?", "Once more?"]


def test_a_busy_conversation_is_waited_for_until_it_is_free() -> None:
    held, engine = Held(), LockedEngine()
    with Emulator(held.service) as emulator, Client(at(emulator.url), shared=engine) as client:
        thread = threading.Thread(target=lambda: client.chat(key="c").ask("Why?"))
        thread.start()
        assert held.begun.wait(TIMEOUT)
        waiting = client.chat(key="c", on_busy="wait")
        held.go.set()
        waiting.ask("And?")
        thread.join(TIMEOUT)
        assert texts(waiting) == ["Why?", "And?"]


@pytest.mark.parametrize("over", ["sockets", "httpcore"])
def test_a_lease_is_renewed_while_a_slow_reply_comes(over: str) -> None:
    engine = LockedEngine()
    service = Service(responder=lambda _: ["a", "b", "c", "d"], delay=0.2)
    coordination = Coordination(lease=0.6)
    with Emulator(service) as emulator, HttpcoreTransport() as transport:
        settings: dict[str, Any] = {"transport": transport} if over == "httpcore" else {}
        with Client(at(emulator.url), shared=engine, coordination=coordination, **settings) as client:
            assert client.chat(key="c").ask("Why?").text == "abcd"
    renewed = [call for call in engine.calls if isinstance(call, Claim) and call.fence]
    assert len(renewed) >= 2
    assert engine.kinds[-1] == "Commit"


def test_a_conversation_is_free_again_however_a_turn_ends() -> None:
    engine = LockedEngine()
    script = (
        Fault("chat", (f.Refuse(403),), times=1),
        Fault("chat", (f.Refuse(429, retry_after=900),), first=2, times=1),
    )
    with Emulator(Service(script=script)) as emulator, Client(at(emulator.url), shared=engine) as client:
        chat = client.chat(key="c")
        with pytest.raises(ServiceError):
            chat.ask("Why?")
        with client.chat(key="c").stream("Why?") as reply:
            next(reply.events())
        with client.chat(key="c") as closed:
            reply = closed.stream("Why?")
            reply.__enter__()
            next(reply.events())
        with pytest.raises(ServiceError):
            chat.ask("Why?")
        assert engine.kinds[-2:] == ["Hold", "Release"]
        assert engine.kinds.count("Release") == 4
        with pytest.raises((PaceRefused, ServiceError)):
            client.chat(key="other").ask("Why?")


def test_without_the_engine_nothing_is_asked(emulator: Emulator) -> None:
    engine = LockedEngine()
    with Client(at(emulator.url), shared=engine) as client:
        for call in (Claim, Reserve):
            engine.down = {call}
            with pytest.raises(EngineUnavailable, match="the engine is down"):
                client.chat(key="c").ask("Why?")
        assert emulator.service.log == ()
        engine.down = set()
        assert client.chat(key="c").ask("Why?").text


def test_a_reply_that_cant_be_stored_is_not_lost(emulator: Emulator) -> None:
    engine = LockedEngine()
    engine.down = {Commit}
    settings = Coordination(lease=1.0)
    with Client(at(emulator.url), shared=engine, coordination=settings) as client:
        chat = client.chat(key="c")
        with pytest.raises(TurnNotStored) as lost:
            chat.ask("Why?")
        assert "Why?" in lost.value.text
        assert lost.value.conversation.message_history[-1].text == lost.value.text
        assert chat.conversation.message_history == ()
        engine.down = set()
        chat.ask("Why?")
        assert texts(chat) == ["Why?"]


def test_the_list_of_models_keeps_the_pace_too(emulator: Emulator) -> None:
    engine = LockedEngine()
    profile = at(emulator.url).updated({"models_path": "/duckchat/v1/models"})
    with Client(profile, shared=engine) as client, pytest.raises((ServiceError, TransportError)):
        client.models()
    assert engine.kinds == ["Reserve"]


def test_an_engine_with_a_bug_ends_the_turn_with_that(emulator: Emulator) -> None:
    class Broken:
        def call(self, call: object) -> Any:
            raise ZeroDivisionError

    with Client(at(emulator.url), shared=Broken()) as client, pytest.raises(ZeroDivisionError):
        client.chat(key="c").ask("Why?")


@pytest.mark.parametrize("settings", [{"key": "c"}, {"on_busy": "wait"}])
def test_a_conversation_with_a_key_needs_an_engine(settings: Any) -> None:
    with Client() as client, pytest.raises(ValueError, match="shared="):
        client.chat(**settings)
    with pytest.raises(ValueError, match="shared="):
        Client(coordination=Coordination())


def test_a_chat_that_is_closed_while_the_engine_is_asked_gives_its_conversation_back(emulator: Emulator) -> None:
    class Slow(LockedEngine):
        def __init__(self) -> None:
            super().__init__()
            self.asked, self.go = threading.Event(), threading.Event()

        def call(self, call: Any) -> Any:
            result = super().call(call)
            if isinstance(call, Claim) and not self.asked.is_set():
                self.asked.set()
                assert self.go.wait(TIMEOUT)
            return result

    engine = Slow()
    with Client(at(emulator.url), shared=engine) as client:
        chat = client.chat(key="c")
        failed: list[BaseException] = []

        def ask() -> None:
            try:
                chat.ask("Why?")
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert engine.asked.wait(TIMEOUT)
        closing = threading.Thread(target=chat.close)
        closing.start()
        time.sleep(0)
        engine.go.set()
        closing.join(TIMEOUT)
        thread.join(TIMEOUT)
        assert len(failed) == 1
        assert engine.kinds[-1] == "Release"
        assert client.chat(key="c").ask("Why?").text


# Asyncio and trio


@contextmanager
def engine_of(kind: str, folder: Path) -> Iterator[Any]:
    if kind == "sqlite":
        with SqliteEngine(folder) as engine:
            yield engine
    else:
        yield LockedEngine() if kind == "locked" else AsyncLockedEngine()


ENGINES_AND_TRANSPORTS = [
    *(("sqlite", "streams"), ("sqlite", "httpcore"), ("locked", "streams")),
    *(("async", "httpcore"), ("async", "streams"), ("locked", "httpcore")),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "over"), thinned(ENGINES_AND_TRANSPORTS, one_in=3, reason="each with each"))
async def test_async_clients_share_conversations(emulator: Emulator, tmp_path: Path, kind: str, over: str) -> None:
    with engine_of(kind, tmp_path) as engine:
        async with AsyncHttpcoreTransport() as transport:
            settings: dict[str, Any] = {"transport": transport} if over == "httpcore" else {}
            async with (
                AsyncClient(at(emulator.url), shared=engine, **settings) as one,
                AsyncClient(at(emulator.url), shared=engine, **settings) as other,
            ):
                first = await one.chat(key="c").ask("Why?", turn="1")
                second = other.chat(key="c")
                await second.ask("And at night?", turn="2")
                assert texts(second) == ["Why?", "And at night?"]
                async with one.chat(key="c").stream("Why?", turn="1") as reply:
                    recalled = [event async for event in reply.events()]
                assert recalled[1:] == [ReplyRecalled(), TextDelta(first.text), first]
                async with anyio.create_task_group() as tasks:
                    for number in range(2):
                        chat = one.chat(key="d", on_busy="wait")
                        tasks.start_soon(chat.ask, f"{number}")
                last = other.chat(key="d")
                await last.ask("How many?")
                assert sorted(texts(last)) == ["0", "1", "How many?"]


@pytest.mark.anyio
@pytest.mark.parametrize("over", thinned(["streams", "httpcore"], one_in=2, reason="the lease is the session's"))
async def test_an_async_client_renews_its_lease_and_a_wait_of_its_own_is_not_cut(over: str) -> None:
    engine = AsyncLockedEngine()
    service = Service(responder=lambda _: ["a", "b", "c", "d"], delay=0.2)
    with Emulator(service) as emulator:
        async with AsyncHttpcoreTransport() as transport:
            settings: dict[str, Any] = {"transport": transport} if over == "httpcore" else {}
            coordination = Coordination(lease=0.3)
            async with AsyncClient(at(emulator.url), shared=engine, coordination=coordination, **settings) as client:
                assert (await client.chat(key="c").ask("Why?")).text == "abcd"
    renewed = [call for call in engine.calls if isinstance(call, Claim) and call.fence]
    assert len(renewed) >= 3
    assert engine.kinds[-1] == "Commit"


async def converse(chat: AsyncChat, finished: list[TurnFinished]) -> None:
    for number in range(2):
        async with chat.stream("Why?", turn=f"{number}") as reply:
            async for event in reply.events():
                if isinstance(event, TurnFinished):
                    finished.append(event)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [LockedEngine, AsyncLockedEngine])
@pytest.mark.parametrize("over", thinned(["streams", "httpcore"], one_in=2, reason="the calls are the same"))
async def test_cancelled_at_any_step_nothing_is_half_done(
    emulator: Emulator, kind: type[LockedEngine], over: str, anyio_backend: Loop
) -> None:
    done = set()
    # Each loop and engine has steps of its own: together they have all over streams. Over httpcore there are many more.
    every = 40 if over == "httpcore" else 8
    first = 1 + (2 * [DEFAULT, TRIO, *OTHERS.values()].index(anyio_backend) + (kind is LockedEngine)) % every
    for number in some(range(first, 10_000, every), one_in=3):
        engine: Any = kind()
        async with AsyncHttpcoreTransport() as transport:
            settings: dict[str, Any] = {"transport": transport} if over == "httpcore" else {}
            async with AsyncClient(at(emulator.url), shared=engine, **settings) as client:
                finished: list[TurnFinished] = []
                chat = client.chat(key="c")
                cancelled = await cancelled_at(number, converse(chat, finished))
                # Nobody has to wait for a lease to end, and a turn that is in the conversation isn't done again.
                with anyio.fail_after(TIMEOUT):
                    other = client.chat(key="c")
                    again: list[TurnFinished] = []
                    await converse(other, again)
                assert texts(other) == ["Why?", "Why?"]
                assert again[: len(finished)] == finished
                assert not any(call.take_over for call in engine.calls if isinstance(call, Claim))
        done.add(len(finished))
        if not cancelled:
            break
    assert number > 15
    assert done >= {0, 2}


@pytest.mark.anyio
async def test_async_without_the_engine_nothing_is_asked(emulator: Emulator) -> None:
    engine = LockedEngine()
    engine.down = {Claim}
    async with AsyncClient(at(emulator.url), shared=engine) as client:
        with pytest.raises(EngineUnavailable):
            await client.chat(key="c").ask("Why?")
    assert emulator.service.log == ()
