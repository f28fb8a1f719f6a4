"""Clients of others, unmodified but for their addresses, hold a conversation with a default emulator.

They are in the extra `peers`, in this environment or in that of the Python that DDG_PEERS names.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import other_clients

from ddg_transports.emulator import Emulator

PYTHON = os.environ.get("DDG_PEERS", sys.executable)
HOLDING = {
    "g4f": "g4f==0.5.0.3",
    "duckduckgo_search": "duckduckgo_search==7.5.5",
    "duck_chat": "duck_chat==1.3.3",
    "duckduckgo_ai_chat": "duckduckgo-ai-chat==0.0.8",
}
REFUSED = {"llm_duckduckgo_chat": "llm-duckduckgo-chat==0.1.6", "duckai": "duckai==0.3.1"}

pytestmark = [
    pytest.mark.deep("clients of others"),
    pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there"),
]


def needs(requirement: str) -> None:
    """Skip the test if a client is not there in that version."""
    name, _, version = requirement.partition("==")
    ask = f"from importlib.metadata import version; print(version({name!r}))"
    found = subprocess.run([PYTHON, "-c", ask], capture_output=True, text=True, timeout=60, check=False).stdout.strip()
    if found != version:
        where = "DDG_PEERS can name a Python that has it; the extra peers has those that hold two turns"
        pytest.skip(f"{requirement} is not installed for {PYTHON}; {where}")


def converse(name: str, url: str, folder: Path) -> str:
    """Run a client at a terminal, and return what it prints, without colours."""
    import pty  # not every system has it

    master, terminal = pty.openpty()
    os.write(master, f"{other_clients.SECOND}\nexit\n".encode())  # only one of them reads it
    try:
        done = subprocess.run(
            [PYTHON, "-W", "ignore", other_clients.__file__, name, url],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(folder)},
            timeout=100,
            check=False,
        )
    finally:
        os.close(master)
        os.close(terminal)
    return re.sub(r"\x1b\[[0-9;]*\w", "", done.stdout.decode())


@pytest.mark.parametrize("name", HOLDING)
def test_two_turns_with_nothing_changed_but_addresses(name: str, tmp_path: Path) -> None:
    needs(HOLDING[name])
    with Emulator() as emulator:
        printed = converse(name, emulator.url, tmp_path)
    chats = [line for line in emulator.service.log if line.endpoint == "chat"]
    assert [line.status for line in chats] == [200, 200], f"{printed}\n{emulator.service.log}"
    for turn, question in enumerate(other_clients.QUESTIONS, 1):
        assert f"Turn {turn} of this conversation" in printed
        assert f"characters): {question}" in printed


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_answer_to_the_challenge_is_all_that_these_are_refused_for(name: str, tmp_path: Path) -> None:
    needs(REFUSED[name])
    with Emulator() as emulator:
        converse(name, emulator.url, tmp_path)
    (chat,) = [line for line in emulator.service.log if line.endpoint == "chat"]
    assert (chat.status, chat.error) == (418, "ERR_CHALLENGE")
    assert chat.reason == "x-vqd-hash-1 is not the answer to the challenge that came with x-vqd-4"
