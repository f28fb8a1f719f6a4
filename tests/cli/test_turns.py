"""Several processes in one saved conversation: one asks at a time, and each goes on from what is stored."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from ddg_chat._errors import CommandError
from ddg_chat._store import Store
from ddg_chat._turns import UnderWay, turns_under_way
from ddg_chat.main import main
from ddg_protocol import Conversation, Message
from ddg_protocol.service import Question, Service
from ddg_transports.emulator import Emulator

TIMEOUT = 60.0  # for what never ends, on the slowest of machines
SKY = Conversation(model="o3-mini", message_history=(Message("user", "Why?"), Message("assistant", "So.")))


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    store = Store(tmp_path / "ddg-chat" / "conversations")
    store.save("sky", SKY)
    return store


def longer(conversation: Conversation, question: str) -> Conversation:
    added = Message("user", question), Message("assistant", "So.")
    return Conversation(model="o3-mini", message_history=(*conversation.message_history, *added))


def questions(store: Store, name: str = "sky") -> list[str]:
    return [message.text for message in store.load(name).message_history][::2]


class Lines:
    """Standard input whose lines are made when they are read."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)

    def isatty(self) -> bool:
        return False

    def __iter__(self) -> Iterator[str]:
        return self._lines


def chat(monkeypatch: pytest.MonkeyPatch, url: str, lines: Iterable[str]) -> int:
    monkeypatch.setattr(sys, "stdin", Lines(lines))
    return main(["chat", "--resume", "sky", "--base-url", url])


@pytest.fixture
def during() -> list[Callable[[], object]]:
    """What happens while the service answers the next question."""
    return []


@pytest.fixture
def emulator(during: list[Callable[[], object]]) -> Iterator[Emulator[Service]]:
    def respond(question: Question) -> Iterator[str]:
        while during:
            during.pop(0)()
        yield f"You asked: {question.text}"

    with Emulator(Service(responder=respond)) as running:
        yield running


def test_a_second_process_is_refused_and_told_who_asks_and_since_when(store: Store) -> None:
    with store.turn("sky"):
        (turn,) = turns_under_way(store.folder)
        assert (turn.name, turn.process) == ("sky", os.getpid())
        said = rf"^process {os.getpid()} has been asking in sky since \d\d:\d\d:\d\d; try again when it is done"
        with pytest.raises(CommandError, match=said) as refused, store.turn("sky"):
            pass
        assert refused.value.code == 75
        with store.turn("another"):
            assert [turn.name for turn in turns_under_way(store.folder)] == ["another", "sky"]
    assert turns_under_way(store.folder) == []
    with store.turn("sky"):
        pass
    assert sorted(path.name for path in store.folder.iterdir()) == [".lock", "sky.json"], "nothing stays behind"


def test_a_turn_of_another_day_has_its_date() -> None:
    turn = UnderWay("sky", 7, datetime(2025, 4, 1, 9, 5))
    assert str(turn) == "process 7 has been asking in sky since 2025-04-01 09:05:00"


@pytest.mark.parametrize(
    "content", [b"", b"\nnot JSON", b'\n{"process": "x", "since": 1}', b"\n[]", b"\n" + b"[" * 400]
)
def test_a_file_that_says_nothing_of_use_locks_all_the_same(content: bytes, store: Store) -> None:
    with store.turn("sky"):
        (store.folder / ".sky.turn").write_bytes(content)
        with pytest.raises(CommandError, match=r"^another process is asking in sky; try again"), store.turn("sky"):
            pass


def test_who_waits_gets_the_conversation_when_the_turn_before_is_done(store: Store) -> None:
    order: list[str] = []
    waits = threading.Event()

    def told(turn: UnderWay) -> None:
        order.append(f"waits for {turn.process}")
        waits.set()

    def second() -> None:
        with store.turn("sky", wait=told):
            order.append("second")

    thread = threading.Thread(target=second)
    with store.turn("sky"):
        thread.start()
        assert waits.wait(TIMEOUT)
        order.append("first")
    thread.join(TIMEOUT)
    assert order == [f"waits for {os.getpid()}", "first", "second"]
    assert turns_under_way(store.folder) == []


def test_what_is_asked_in_is_not_renamed_or_deleted(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with store.turn("sky"):
        for action in (["rename", "sky", "blue"], ["delete", "sky"]):
            assert main(["conversations", *action]) == 75
            assert f"process {os.getpid()} has been asking in sky" in capsys.readouterr().err
    assert store.names() == ["sky"]
    assert main(["conversations", "rename", "sky", "blue"]) == 0
    assert main(["conversations", "delete", "blue"]) == 0
    assert store.names() == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_t_be_written_lets_a_turn_go_on(store: Store) -> None:
    store.folder.chmod(0o500)
    try:
        with store.turn("sky"):
            assert turns_under_way(store.folder) == []
    finally:
        store.folder.chmod(0o700)


def test_a_place_that_is_no_folder_lets_a_turn_go_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with Store(folder).turn("sky"):
            assert turns_under_way(folder) == []


def test_a_question_is_asked_where_another_process_has_gone_on(
    store: Store,
    emulator: Emulator[Service],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def lines() -> Iterator[str]:
        yield "One?\n"
        now = store.load("sky")
        store.save("sky", longer(now, "Theirs?"), seen=now)
        yield "Two?\n"

    assert chat(monkeypatch, emulator.url, lines()) == 0
    assert questions(store) == ["Why?", "One?", "Theirs?", "Two?"]
    assert "another process has changed sky: it has 3 turns now, the last is 'Theirs?'\n" in capsys.readouterr().err


def test_the_turn_of_another_process_is_not_replaced(
    store: Store,
    emulator: Emulator[Service],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def lines() -> Iterator[str]:
        store.save("sky", longer(SKY, "Theirs?"), seen=SKY)
        yield "/retry\n"

    assert chat(monkeypatch, emulator.url, lines()) == 2
    assert capsys.readouterr().err.endswith("the question is not asked again, since it is no longer the last one\n")
    assert questions(store) == ["Why?", "Theirs?"]
    assert not [exchange for exchange in emulator.service.log if exchange.endpoint == "chat"]


def test_a_change_in_the_middle_of_a_turn_loses_nothing(
    store: Store,
    emulator: Emulator[Service],
    during: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    during.append(lambda: store.save("sky", longer(SKY, "Theirs?"), seen=SKY))  # by what keeps to no lock
    assert chat(monkeypatch, emulator.url, ["Mine?\n"]) == 0
    assert (questions(store), questions(store, "sky-2")) == (["Why?", "Theirs?"], ["Why?", "Mine?"])
    assert "another process has changed sky; this conversation is saved as sky-2\n" in capsys.readouterr().err


class Asking:
    """A process that asks in the conversation ``sky``."""

    def __init__(self, url: str, *questions: str, options: tuple[str, ...] = ()) -> None:
        command = [sys.executable, "-m", "ddg_chat", "chat", "--resume", "sky", "--base-url", url, *options]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{question}\n" for question in questions))
        self._process.stdin.close()
        self._process.stdin = None

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.ended()

    @property
    def id(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)

    def ended(self) -> tuple[int, str]:
        """Wait until it ends, and return its exit code and what it wrote to standard error."""
        _, err = self._process.communicate(timeout=TIMEOUT)
        return self._process.returncode, err


def test_a_process_that_is_killed_in_its_turn_leaves_the_conversation_free_at_once(
    store: Store, emulator: Emulator[Service], during: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answering, ended = threading.Event(), threading.Event()
    during.extend([answering.set, lambda: ended.wait(TIMEOUT)])
    with Asking(emulator.url, "Theirs?") as killed:
        assert answering.wait(TIMEOUT)
        assert [(turn.name, turn.process) for turn in turns_under_way(store.folder)] == [("sky", killed.id)]
        assert chat(monkeypatch, emulator.url, ["Mine?\n"]) == 75
        killed.kill()
        killed.ended()
        ended.set()
    assert turns_under_way(store.folder) == []
    assert chat(monkeypatch, emulator.url, ["Mine?\n"]) == 0
    assert questions(store) == ["Why?", "Mine?"]


@pytest.mark.deep("several processes ask in turn")
def test_processes_that_wait_for_each_other_make_one_conversation(store: Store, emulator: Emulator[Service]) -> None:
    said = {who: [f"{who}{number}" for number in range(8)] for who in "abc"}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(Asking(emulator.url, *said[who], options=("--wait", "--quiet"))) for who in said
        ]
        for process in processes:
            code, err = process.ended()
            assert code == 0, err
            assert not re.search("saved as sky-", err)
    assert store.names() == ["sky"]
    asked = questions(store)[1:]
    assert sorted(asked) == sorted(question for each in said.values() for question in each)
    for each in said.values():
        assert [question for question in asked if question in each] == each, "each in its own order"
    histories = [
        [message["content"] for message in json.loads(exchange.request.body)["messages"]][::2]
        for exchange in emulator.service.log
        if exchange.endpoint == "chat"
    ]
    assert histories == [["Why?", *asked[: number + 1]] for number in range(len(asked))], "each saw all before it"


@pytest.mark.deep("two processes ask at once")
def test_of_two_that_ask_at_once_one_is_refused_and_nothing_is_lost(
    store: Store, emulator: Emulator[Service], during: list[Callable[[], object]]
) -> None:
    answering, ended = threading.Event(), threading.Event()
    during.extend([answering.set, lambda: ended.wait(TIMEOUT)])
    with Asking(emulator.url, "First?") as first:
        assert answering.wait(TIMEOUT)
        with Asking(emulator.url, "Second?") as second:
            code, err = second.ended()
            assert (code, f"process {first.id} has been asking in sky since" in err) == (75, True), err
        ended.set()
        assert first.ended()[0] == 0
    assert questions(store) == ["Why?", "First?"]
