"""Whole conversations of each revision, with every driver, over real sockets."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable
from contextlib import ExitStack

import anyio
import pytest

from ddg_protocol import ChallengeAnswer, Conversation, SendRequest, ServiceProfile, SolveChallenge
from ddg_protocol.errors import ChallengeError
from ddg_protocol.events import GeneratedImage, ReasoningDelta
from ddg_protocol.parts import File, Image, Text
from ddg_protocol.revisions import DUCK_AI_2026_10, REVISIONS
from ddg_protocol.service import Said, Service
from ddg_protocol.testing import stand_in_answer
from ddg_transports import Trace
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator
from ddg_transports.httpcore import AsyncHttpcoreTransport, HttpcoreTransport
from ddg_transports.tracing import log

QUESTIONS = ("Why?", "How?", "When?", "Where?", "Who?")


def answered(solve: SolveChallenge) -> ChallengeAnswer:
    return ChallengeAnswer(stand_in_answer(solve), (("x-fe-signals", "e30="),), {"more": 1})


async def answered_later(solve: SolveChallenge) -> str | ChallengeAnswer:
    await anyio.sleep(0)
    return answered(solve)


def blocking(profile: ServiceProfile, *, over_httpcore: bool) -> Conversation:
    solver = None if profile.challenge_form == "script" else answered
    with ExitStack() as stack:
        transport = stack.enter_context(HttpcoreTransport()) if over_httpcore else None
        client = stack.enter_context(Client(profile, transport=transport, solver=solver))
        chat = client.chat()
        for question in QUESTIONS:
            chat.ask(question)
        return chat.conversation


async def waiting(profile: ServiceProfile, over_httpcore: bool) -> Conversation:
    solver = None if profile.challenge_form == "script" else answered_later
    if over_httpcore:
        async with (
            AsyncHttpcoreTransport() as transport,
            AsyncClient(profile, transport=transport, solver=solver) as client,
        ):
            return await five_turns(client)
    async with AsyncClient(profile, solver=solver) as client:
        return await five_turns(client)


async def five_turns(client: AsyncClient) -> Conversation:
    chat = client.chat()
    for question in QUESTIONS:
        await chat.ask(question)
    return chat.conversation


DRIVERS: dict[str, Callable[[ServiceProfile], Conversation]] = {
    "blocking": lambda profile: blocking(profile, over_httpcore=False),
    "blocking over httpcore": lambda profile: blocking(profile, over_httpcore=True),
    "asyncio": lambda profile: anyio.run(waiting, profile, False, backend="asyncio"),
    "asyncio over httpcore": lambda profile: anyio.run(waiting, profile, True, backend="asyncio"),
    "trio": lambda profile: anyio.run(waiting, profile, False, backend="trio"),
    "trio over httpcore": lambda profile: anyio.run(waiting, profile, True, backend="trio"),
}


@pytest.mark.parametrize("driver", DRIVERS.values(), ids=DRIVERS)
@pytest.mark.parametrize("profile", REVISIONS.values(), ids=REVISIONS)
def test_a_conversation_of_five_turns_with_each_driver(
    driver: Callable[[ServiceProfile], Conversation], profile: ServiceProfile
) -> None:
    with Emulator(Service(profile, strict=True, challenge=True)) as emulator:
        conversation = driver(profile.at(emulator.url))
        chats = [exchange for exchange in emulator.service.log if exchange.endpoint == "chat"]
    assert len(conversation.message_history) == 10
    if profile.vqd_4:
        return
    assert len(chats) == 5
    assert not any(exchange.error for exchange in emulator.service.log)
    assert all(exchange.request.header("x-fe-signals") == "e30=" for exchange in chats)
    assert all(b'"more":1' in exchange.request.body for exchange in chats)
    journeys = {exchange.request.header("x-ddg-journey-id") for exchange in chats}
    assert len(journeys) == 1
    assert journeys != {"0" * 32}


def test_a_client_without_a_solver_says_what_is_missing() -> None:
    with (
        Emulator(Service(DUCK_AI_2026_10, strict=True)) as emulator,
        Client(DUCK_AI_2026_10.at(emulator.url)) as client,
        pytest.raises(ChallengeError, match=r"docs/revisions\.md"),
    ):
        client.chat().ask("Hi")
    assert [exchange.endpoint for exchange in emulator.service.log] == ["front_end", "status"]


def test_no_log_has_a_secret_or_what_an_image_or_a_file_holds(caplog: pytest.LogCaptureFixture) -> None:
    secret, data = "5ec7e7" * 4, b"what nobody else may see"
    traces: list[Trace] = []

    def note(trace: Trace) -> None:
        traces.append(trace)
        log(trace)

    def solver(solve: SolveChallenge) -> ChallengeAnswer:
        return ChallengeAnswer(stand_in_answer(solve), (("x-fe-signals", secret),), {"key": {"n": secret}})

    said: list[Said] = [ReasoningDelta("hidden thought"), "hidden text", GeneratedImage(b64encode(data).decode())]
    caplog.set_level(logging.DEBUG)
    with (
        Emulator(Service(DUCK_AI_2026_10, strict=True, responder=lambda question: said)) as emulator,
        Client(DUCK_AI_2026_10.at(emulator.url), solver=solver, on_action=note) as client,
    ):
        chat = client.chat()
        for _ in range(2):
            chat.ask([Text("hidden question"), Image(data, "image/png"), File(data, "application/pdf", "hidden.pdf")])
        sent = [exchange.request for exchange in emulator.service.log if exchange.endpoint == "chat"]
        text = caplog.text + "".join(str(vars(record)) for record in caplog.records)
        text += repr(
            (client, chat, [trace.what for trace in traces if isinstance(trace.what, SendRequest | SolveChallenge)])
        )
    hidden = [secret, "hidden", data.decode(), b64encode(data).decode(), chat.conversation.vqd_hash_1]
    hidden += [str(request.header(name)) for request in sent for name in ("x-vqd-hash-1", "x-ddg-journey-id")]
    assert len(traces) > 10
    assert len(caplog.records) > 10
    assert [each for each in hidden if not each or each in text] == []


def test_each_chat_has_a_journey_of_its_own() -> None:
    with (
        Emulator(Service(DUCK_AI_2026_10, strict=True)) as emulator,
        Client(DUCK_AI_2026_10.at(emulator.url), solver=answered) as client,
    ):
        for _ in range(2):
            client.chat().ask("Hi")
        journeys = {exchange.request.header("x-ddg-journey-id") for exchange in emulator.service.log}
    assert len(journeys - {None}) == 2


def test_what_is_traced_of_an_answer_says_nothing_of_it() -> None:
    shown: list[str] = []
    with (
        Emulator(Service(DUCK_AI_2026_10, strict=True)) as emulator,
        Client(
            DUCK_AI_2026_10.at(emulator.url), solver=answered, on_action=lambda trace: shown.append(repr(trace))
        ) as client,
    ):
        client.chat().ask("Hi")
        chat = next(exchange for exchange in emulator.service.log if exchange.endpoint == "chat")
    (answer,) = (text for text in shown if "challenge_solved" in text)
    assert "ChallengeAnswer(value=<" in answer
    for name in ("x-vqd-hash-1", "x-ddg-journey-id"):
        value = chat.request.header(name)
        assert value
        assert not any(value in text for text in shown)
