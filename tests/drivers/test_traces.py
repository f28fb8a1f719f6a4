"""What `on_action` gets: what happened, in which chat, and when."""

from __future__ import annotations

from collections import defaultdict

import anyio
import pytest

from ddg_protocol import DUCKDUCKGO_2025_04, PAUSED, Policy, SendRequest, TurnFinished, TurnStarted
from ddg_protocol.errors import UserLimitError
from ddg_protocol.service import Fault, Service
from ddg_protocol.service.faults import Refuse
from ddg_protocol.wire import Connect
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client, DriverReport, Trace
from ddg_transports.emulator import Emulator
from ddg_transports.httpcore import HttpcoreTransport

KINDS = {TurnStarted, SendRequest, DriverReport, TurnFinished}


def by_chat(traces: list[Trace]) -> dict[int, set[type]]:
    kinds: dict[int, set[type]] = defaultdict(set)
    for trace in traces:
        kinds[trace.chat].add(type(trace.what))
    return kinds


def test_a_trace_says_in_which_chat_it_happened() -> None:
    traces: list[Trace] = []
    with Emulator() as emulator, HttpcoreTransport() as transport:
        profile = DUCKDUCKGO_2025_04.at(emulator.url)
        with Client(profile, on_action=traces.append) as client:
            first, second = client.chat(), client.chat()
            second.ask("Why?")
            first.ask("Why?")
            assert (first.id, second.id) == (1, 2)
        kinds = by_chat(traces)
        assert list(kinds) == [2, 1]
        assert all(found >= KINDS | {Connect} for found in kinds.values())
        traces.clear()
        with Client(profile, on_action=traces.append, transport=transport) as client:
            client.chat().ask("Why?")
        assert by_chat(traces)[1] >= KINDS


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_trace_says_in_which_chat_of_an_async_client_it_happened(backend: str) -> None:
    traces: list[Trace] = []

    async def ask(url: str) -> None:
        async with (
            AsyncClient(DUCKDUCKGO_2025_04.at(url), on_action=traces.append) as client,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(3):
                tasks.start_soon(client.chat().ask, "Why?")

    with Emulator() as emulator:
        anyio.run(ask, emulator.url, backend=backend)
    kinds = by_chat(traces)
    assert set(kinds) == {1, 2, 3}
    assert all(found >= KINDS | {Connect} for found in kinds.values())


def test_the_exception_that_ends_a_turn_is_traced_once_and_then_the_rest() -> None:
    traces: list[Trace] = []
    used_up = Service(script=[Fault("chat", [Refuse(429, "ERR_USER_LIMIT")], times=1)])
    with Emulator(used_up) as emulator:
        client = Client(DUCKDUCKGO_2025_04.at(emulator.url), policy=Policy(max_retries=0), on_action=traces.append)
        with client, pytest.raises(UserLimitError) as caught:
            client.chat().ask("Why?")
    told = [trace.what for trace in traces]
    assert [what for what in told if isinstance(what, Exception)] == [caught.value]
    assert PAUSED in told[told.index(caught.value) :]
