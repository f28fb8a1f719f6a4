"""Many conversations at once, against the emulator in another process. `DDG_CONVERSATIONS` says how many."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest
from support.sockets import open_sockets, settled

from ddg_protocol import DUCKDUCKGO_2025_04, Policy
from ddg_transports.anyio import AsyncClient

MANY = int(os.environ.get("DDG_CONVERSATIONS", "10"))
TURNS = 3
TIMEOUT = max(300, MANY // 10)
SERVE = """
import anyio
from ddg_protocol.service import Service
from ddg_transports.emulator import serve

async def main():
    async with anyio.create_task_group() as tasks:
        print(await tasks.start(serve, Service()), flush=True)

anyio.run(main)
"""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def run(url: str, many: int) -> dict[str, list[str]]:
    replies: dict[str, list[str]] = {}
    # On one machine all of them begin at once, and the last to be served has waited for all the others.
    patient = Policy(
        max_retries=0, connect_timeout=TIMEOUT, read_timeout=TIMEOUT, total_timeout=TIMEOUT, turn_timeout=TIMEOUT
    )

    async def converse(client: AsyncClient, name: str) -> None:
        chat = client.chat()
        replies[name] = [(await chat.ask(f"{name} asks number {turn}?")).text for turn in range(TURNS)]

    async with AsyncClient(DUCKDUCKGO_2025_04.at(url), policy=patient) as client, anyio.create_task_group() as tasks:
        for number in range(many):
            tasks.start_soon(converse, client, f"client-{number}")
    return replies


@pytest.mark.anyio
async def test_many_conversations_at_once_are_right_and_complete_and_leave_nothing(url: str) -> None:
    await run(url, min(50, MANY))  # what is made once is made now, and what grows to a size
    gc.collect()
    sockets, blocks = open_sockets(), sys.getallocatedblocks()
    with anyio.fail_after(TIMEOUT):
        replies = await run(url, MANY)
    assert len(replies) == MANY
    for name, texts in replies.items():
        for turn, text in enumerate(texts):
            assert re.search(rf"Turn {turn + 1} .*{name} asks number {turn}\?", text), text
    replies.clear()
    await settled(sockets)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 2_000, "memory is not back to where it was"
