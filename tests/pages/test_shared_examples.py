"""Each example that shares an engine, as two processes behind a balancer: one conversation, and each turn once."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.front import front
from support.paths import ROOT
from support.servers import free_port, running
from support.stores import store

from ddg_protocol.service import Question, Service
from ddg_transports.emulator import Emulator

pytestmark = pytest.mark.deep("processes, servers, and libraries that take long to import")

SHARED = ROOT / "examples" / "shared"
TIMEOUT = 60.0
COMMANDS = {
    "over_fastapi": ["-m", "uvicorn", "--log-level", "warning", "--app-dir", str(SHARED), "over_fastapi:app", "--port"],
    "over_flask": ["-m", "flask", "--app", str(SHARED / "over_flask.py"), "run", "--with-threads", "--port"],
    "over_trio": [str(SHARED / "over_trio.py")],
}
#: What the service is asked for, once by whichever process: neither of the other ones asks for the pages again.
FRONT_END = "/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1"


class Slow:
    """A service whose reply to one question goes on until it is let go. Each reply is different."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.questions: list[str] = []
        self.service = Service(strict=True, responder=self._respond, delay=0.02)

    def _respond(self, question: Question) -> Iterator[str]:
        self.questions.append(question.text)
        yield f"reply {len(self.questions)}"
        if question.text == "slow":
            self.begun.set()
            while not self.go.is_set():
                yield "."
        yield f" to {question.text}"


class Workers:
    """Two processes of an example, and the balancer before them."""

    def __init__(self, name: str, engine: str, folder: Path, stack: ExitStack) -> None:
        self.slow = Slow()
        emulator = stack.enter_context(Emulator(self.slow.service))
        self.name = name
        self._first = ExitStack()
        ports = []
        for number, each in enumerate((self._first, stack)):
            port = free_port()
            arguments = [*COMMANDS[name], str(port)]
            log = folder / f"{number}.log"
            env = {"ENGINE": engine, "SERVICE": emulator.url, "PYTHONWARNINGS": "error::ResourceWarning"}
            each.enter_context(running(sys.executable, arguments, port, log, env=env))
            ports.append(port)
        stack.enter_context(self._first)
        self._port = stack.enter_context(front(ports))

    def end_first(self) -> None:
        self._first.close()

    def ask(self, text: str, *, turn: str = "") -> tuple[str, str]:
        """Ask a question of a conversation; return the reply, and the error; one of them may be empty."""
        if self.name == "over_trio":
            with socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT) as connection:
                connection.sendall(json.dumps({"key": "c é", "turn": turn, "text": text}).encode() + b"\n")
                connection.shutdown(socket.SHUT_WR)
                return read(connection.makefile("rb").read())
        response = httpx.post(
            f"http://127.0.0.1:{self._port}/chats/c%20%C3%A9",
            headers={"idempotency-key": turn, "connection": "close"},
            content=text.encode(),
            timeout=TIMEOUT,
        )
        if response.status_code != 200:
            return "", f"{response.status_code} {response.json()['error']}"
        return read(response.content)

    def requests(self, path: str) -> int:
        return len([exchange for exchange in self.slow.service.log if exchange.request.target == path])


def read(lines: bytes) -> tuple[str, str]:
    """Return the text that lines of JSON bring, and the error; a reply without an error has an end."""
    found: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]
    last = found[-1]
    assert "error" in last or "done" in last or list(last) == ["text"] == list(found[0])
    text = "".join(each.get("text", "") for each in found)
    return text.replace(".", ""), last.get("error", "")


@pytest.fixture(params=["sqlite", "valkey-server"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "engine")
        return
    with store(request.param, tmp_path / "server") as server:
        yield server.url


@pytest.fixture(params=COMMANDS)
def workers(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(request.param, engine, tmp_path, stack)


def test_either_process_continues_what_the_other_has_begun_and_a_turn_is_done_once(workers: Workers) -> None:
    assert workers.ask("first", turn="1") == ("reply 1 to first", "")
    assert workers.ask("second", turn="2") == ("reply 2 to second", "")
    assert workers.ask("first", turn="1") == ("reply 1 to first", "")
    assert workers.ask("first", turn="1") == ("reply 1 to first", "")
    workers.end_first()
    assert workers.ask("third", turn="3") == ("reply 3 to third", "")
    assert workers.ask("second", turn="2") == ("reply 2 to second", "")
    assert workers.slow.questions == ["first", "second", "third"]
    assert workers.requests(FRONT_END) == 1
    last = [exchange for exchange in workers.slow.service.log if exchange.request.method == "POST"][-1]
    said = json.loads(last.request.body)["messages"]
    assert [message["content"] for message in said if message["role"] == "user"][1:] == ["second", "third"]


def test_two_turns_at_once_go_as_the_example_says(workers: Workers) -> None:
    found: list[tuple[str, str]] = []
    asking = threading.Thread(target=lambda: found.append(workers.ask("slow", turn="1")))
    asking.start()
    assert workers.slow.begun.wait(TIMEOUT)
    if workers.name == "over_flask":  # it waits
        other = threading.Thread(target=lambda: found.append(workers.ask("other", turn="2")))
        other.start()
        workers.slow.go.set()
        other.join(TIMEOUT)
        asking.join(TIMEOUT)
        assert sorted(found) == [("reply 1 to slow", ""), ("reply 2 to other", "")]
        return
    text, error = workers.ask("other", turn="2")
    workers.slow.go.set()
    asking.join(TIMEOUT)
    if workers.name == "over_fastapi":  # it refuses
        assert error.startswith("409 another turn of this conversation is under way")
        assert found == [("reply 1 to slow", "")]
        return
    assert (text, error) == ("reply 2 to other", "")  # it takes over
    assert found[0][1] == "another turn has taken this conversation over; ask again to continue it"


@pytest.mark.parametrize("engine", ["valkey-server"], indirect=True)
def test_an_engine_that_is_down_refuses_and_nothing_is_asked(workers: Workers, engine: str) -> None:
    with socket.create_connection(("127.0.0.1", int(engine.rpartition(":")[2]))) as connection:
        connection.sendall(b"SHUTDOWN NOSAVE\r\n")
        while connection.recv(1024):
            pass
    text, error = workers.ask("first")
    assert text == ""
    assert "the shared engine is not available" in error
    assert workers.slow.questions == []
