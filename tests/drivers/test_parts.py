"""Images, files and the options of a turn, over both drivers."""

from __future__ import annotations

import json
from typing import Any

import anyio
import msgspec
import pytest

from ddg_protocol import DUCKDUCKGO_2025_04, LocalProtocolError, Model
from ddg_protocol.errors import InputLimitError
from ddg_protocol.models import AttachmentLimits
from ddg_protocol.parts import File, Image, Text
from ddg_protocol.service import Question, Service
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator

IMAGE, PDF = Image(b"\x89PNG", "image/png"), File(b"%PDF-1.7", "application/pdf", "a.pdf")
PROFILE = msgspec.structs.replace(
    DUCKDUCKGO_2025_04,
    models=(Model("sees", takes_images=True, file_types=("application/pdf",), efforts=("none", "low"), tools=("T",)),),
    attachment_limits={"free": AttachmentLimits(images_per_turn=1)},
    extra_body={"reasoningEffort": "{effort}", "metadata": {"toolChoice": "{tool_choice}"}},
)
ASKED: list[Any] = [[Text("What is this?"), IMAGE, PDF], "Are you sure?"]
OPTIONS: dict[str, Any] = {"effort": "low", "tools": ["T"], "extra": {"x": 1}}


def respond(question: Question) -> str:
    return f"{len(question.attachments)} attached"


def check(service: Service, said: list[str]) -> None:
    assert said == ["2 attached", "0 attached"]
    first, second = (json.loads(exchange.request.body) for exchange in service.log if exchange.endpoint == "chat")
    assert (first["reasoningEffort"], first["metadata"], first["x"]) == ("low", {"toolChoice": {"T": True}}, 1)
    assert (second["reasoningEffort"], "metadata" in second, "x" in second) == ("none", False, False)
    assert second["messages"][0] == first["messages"][0]


def test_a_blocking_chat_takes_them() -> None:
    with (
        Emulator(Service(PROFILE, strict=True, responder=respond)) as emulator,
        Client(PROFILE.at(emulator.url)) as client,
    ):
        chat = client.chat()
        with chat.stream(ASKED[0], **OPTIONS) as reply:
            said = ["".join(reply)]
        said.append(chat.ask(ASKED[1]).text)
        check(emulator.service, said)
        with pytest.raises(InputLimitError, match="at most 1 images in a question"):
            chat.ask([IMAGE, IMAGE])
        with pytest.raises(LocalProtocolError, match="has no effort 'high'"):
            chat.ask("Hi", effort="high")
        assert len(chat.conversation.message_history) == 4


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_chat_takes_them(backend: str) -> None:
    async def main() -> None:
        async with AsyncClient(PROFILE.at(emulator.url)) as client:
            chat = client.chat()
            async with chat.stream(ASKED[0], **OPTIONS) as reply:
                said = ["".join([text async for text in reply])]
            said.append((await chat.ask(ASKED[1])).text)
            check(emulator.service, said)
            with pytest.raises(InputLimitError, match="at most 1 images in a question"):
                await chat.ask([IMAGE, IMAGE])
            with pytest.raises(LocalProtocolError, match="has no tool 'x'"):
                await chat.ask("Hi", tools=["x"])

    with Emulator(Service(PROFILE, strict=True, responder=respond)) as emulator:
        anyio.run(main, backend=backend)
