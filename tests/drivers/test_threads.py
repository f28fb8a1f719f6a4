"""One blocking client in many threads, with the GIL and without."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest

from ddg_protocol import DUCKDUCKGO_2025_04
from ddg_protocol.service import Service
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator

THREADS = 8
TURNS_OF_A_CHAT = 5

many = pytest.param(1000, marks=pytest.mark.deep("as 40 turns, for longer"))


@pytest.mark.parametrize("turns", [40, many])
def test_threads_that_share_a_client_each_get_the_replies_to_their_own_questions(turns: int) -> None:
    together = Barrier(THREADS, timeout=60)

    def converse(client: Client, thread: int) -> list[tuple[str, str]]:
        together.wait()
        found: list[tuple[str, str]] = []
        for number in range(turns // THREADS // TURNS_OF_A_CHAT):
            with client.chat() as chat:
                questions = [f"question {thread}.{number}.{turn}" for turn in range(TURNS_OF_A_CHAT)]
                replies = [chat.ask(question).text for question in questions]
                assert [message.content for message in chat.conversation.message_history[::2]] == questions
                found += zip(questions, replies, strict=True)
        return found

    service = Service(responder=lambda question: ["You said: ", question.text], challenge=True)
    with (
        Emulator(service) as emulator,
        Client(DUCKDUCKGO_2025_04.at(emulator.url, minimum_interval=0.0)) as client,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        found = [pair for pairs in pool.map(partial(converse, client), range(THREADS)) for pair in pairs]
    assert len(found) == len(dict(found)) == turns
    assert all(reply == f"You said: {question}" for question, reply in found)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="a Python that always has a GIL")
def test_nothing_that_the_blocking_client_imports_switches_the_gil_on() -> None:
    code = "import ddg_transports.blocking, ddg_protocol.challenge, sys; print(sys._is_gil_enabled())"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
