"""Commands of a chat besides those of `test_chat.py`, and what `ddg-chat conversations` does with the kept ones."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddg_chat._search import found_in
from ddg_chat._store import Store
from ddg_chat.main import main
from ddg_protocol import Conversation, Message
from ddg_protocol.service import Service
from ddg_transports.emulator import Emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Service(responder=lambda question: [f"You asked: {question.text}"])) as running:
        yield running


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return Store(tmp_path / "ddg-chat" / "conversations")


def asked(emulator: Emulator) -> list[list[str]]:
    """What came with each question that reached the service: the contents of its messages."""
    bodies = [json.loads(exchange.request.body) for exchange in emulator.service.log if exchange.endpoint == "chat"]
    return [[message["content"] for message in body["messages"]] for body in bodies]


def chat(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, lines: str, *options: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode()), encoding="utf-8"))
    return main(["chat", "--base-url", emulator.url, *options])


def conversation(*texts: str, title: str | None = None) -> Conversation:
    roles = ("user", "assistant") * len(texts)
    history = tuple(Message(role, text) for role, text in zip(roles, texts, strict=False))  # type: ignore[arg-type]
    return Conversation(model="o3-mini", message_history=history, title=title)


# /undo


def test_a_turn_that_is_taken_back_is_neither_sent_nor_kept(
    emulator: Emulator, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(monkeypatch, emulator, "/save sky\nOne?\nTwo?\n/undo\nThree?\n") == 0
    assert asked(emulator)[-1] == ["One?", "You asked: One?", "Three?"]
    assert [each.text for each in store.load("sky").message_history][::2] == ["One?", "Three?"]
    assert "taken back: Two? (1 turn left)\n" in capsys.readouterr().err


def test_every_turn_can_be_taken_back_and_the_first_is_asked_anew(
    emulator: Emulator, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "/save sky\nOne?\n/undo\nTwo?\n/undo\n/undo\n"
    assert chat(monkeypatch, emulator, lines, "--system", "Be brief.") == 2
    assert asked(emulator)[-1] == ["System: Be brief.\nUser: Two?\nAssistant:"]
    assert store.names() == []
    err = capsys.readouterr().err
    assert "taken back: Two? (0 turns left)\n" in err
    assert err.endswith("ddg-chat: there is no question to take back\n")


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ("One?\n/undo\nTwo?\n", "two"),
        ("/save sky\nOne?\n/undo\nTwo?\n", "sky"),
        ("One?\n/undo\n", ""),
    ],
)
def test_a_conversation_of_which_all_is_taken_back_is_not_kept_but_for_a_name_that_was_given(
    lines: str, named: str, emulator: Emulator, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chat(monkeypatch, emulator, lines) == 0
    assert [name.rpartition("-")[2] for name in store.names()] == [named][: bool(named)]
    assert [len(store.load(name).message_history) for name in store.names()] == [2][: bool(named)]


def test_what_another_process_has_stored_is_not_discarded(store: Store) -> None:
    ours, theirs = conversation("One?", "1."), conversation("Mine?", "Yes.")
    store.save("sky", ours)
    store.save("sky", theirs, seen=ours)
    store.discard("sky", ours)
    assert store.load("sky").message_history == theirs.message_history
    store.discard("sky", theirs)
    store.discard("sky", theirs)
    assert store.names() == []


def test_what_another_process_has_added_is_not_taken_back(
    emulator: Emulator, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = conversation("One?", "You asked: One?", "Mine?", "Yes.")

    def lines() -> Iterator[str]:
        yield "/save sky\n"
        yield "One?\n"
        store.save("sky", theirs, seen=store.load("sky"))
        yield "/undo\n"

    monkeypatch.setattr(sys, "stdin", Lines(lines()))
    assert main(["chat", "--base-url", emulator.url]) == 2
    assert store.load("sky").message_history == theirs.message_history
    assert "nothing is taken back, since the question is no longer the last one" in capsys.readouterr().err


class Lines:
    """Standard input whose lines are made when they are read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def isatty(self) -> bool:
        return False

    def __iter__(self) -> Iterator[str]:
        return self._lines


# /copy


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "copying is off; start with --clipboard"),
        (["--clipboard"], "nothing can be copied: standard error is no terminal"),
    ],
)
def test_nothing_is_copied_unless_the_user_asks_and_a_terminal_is_there(
    options: list[str],
    said: str,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert chat(monkeypatch, emulator, "One?\n/copy\n", *options) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert "\x1b" not in out + err


def test_there_is_nothing_to_copy_yet(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(monkeypatch, emulator, "/copy\n", "--clipboard") == 2
    assert "there is no reply to copy yet" in capsys.readouterr().err


# /search, and conversations search


def test_a_text_is_found_in_questions_replies_and_titles(store: Store) -> None:
    store.save("sky", conversation("Why is the\nsky blue?", "Because of  Rayleigh.", "And at dusk?", "It is red."))
    store.save("sea", conversation("Why?", "So.", title="The BLUE sea"))
    store.save("else", conversation("Why?", "So."))
    (store.folder / "broken.json").write_text("{")
    assert set(found_in(store, "Sky  blue")) == {"sky  Why is the sky blue?", "  question 1: Why is the sky blue?"}
    assert set(found_in(store, "blue")) >= {"sea  The BLUE sea", "sky  Why is the sky blue?"}
    assert list(found_in(store, "of rayleigh.")) == ["sky  Why is the sky blue?", "  reply 1: Because of Rayleigh."]
    assert not list(found_in(store, "green"))


def test_a_place_is_shown_with_what_is_around_it_and_not_each_of_many(store: Store) -> None:
    store.save("long", conversation(*["a" * 30 + " needle " + "b" * 60] * 6))
    heading, *places, more = found_in(store, "needle")
    assert heading.startswith("long  aaa")
    assert places == [f"  {who}: …{'a' * 19} needle {'b' * 39}…" for who in ("question 1", "reply 1", "question 2")]
    assert more == "  and 3 more"


def test_a_chat_and_the_command_line_find_the_same(
    emulator: Emulator, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store.save("sky", conversation("Why is the sky blue?", "So."))
    assert chat(monkeypatch, emulator, "/search BLUE\n/search green\n") == 0
    found = "sky  Why is the sky blue?\n  question 1: Why is the sky blue?\n"
    assert capsys.readouterr().err == f"{found}no saved conversation has 'green'\n"
    assert main(["conversations", "search", "blue"]) == 0
    assert capsys.readouterr() == (found, "")
    assert main(["conversations", "search", "green"]) == 1
    assert capsys.readouterr() == ("", "no saved conversation has 'green'\n")
    assert chat(monkeypatch, emulator, "/search\n") == 2


# conversations rename, delete, export --all


def test_a_conversation_is_renamed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.save("sky", conversation("Why?", "So."))
    assert main(["conversations", "rename", "sky", "sea"]) == 0
    assert store.names() == ["sea"]
    assert main(["conversations", "rename", "sky", "lake"]) == 74
    assert "there is no conversation called 'sky'" in capsys.readouterr().err
    store.save("sky", conversation("Why?", "So."))
    assert main(["conversations", "rename", "sky", "sea"]) == 74
    assert "there is already a conversation called 'sea'" in capsys.readouterr().err
    assert main(["conversations", "rename", "sky", "../sky"]) == 2
    assert sorted(store.names()) == ["sea", "sky"]


@pytest.mark.parametrize("action", ["delete", "rm"])
def test_conversations_are_deleted(action: str, store: Store) -> None:
    for name in ("one", "two", "three"):
        store.save(name, conversation("Why?", "So."))
    assert main(["conversations", action, "one", "two"]) == 0
    assert store.names() == ["three"]


def test_all_conversations_are_exported_but_damaged_ones(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("sky", "sea"):
        store.save(name, conversation(f"Why the {name}?", "So."))
    folder = tmp_path / "new" / "backup"
    assert main(["conversations", "export", "--all", str(folder)]) == 0
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        f"{name}.md": f"# Why the {name}?\n\n*o3-mini*\n\n> Why the {name}?\n\nSo.\n" for name in ("sky", "sea")
    }
    assert capsys.readouterr().err == f"2 conversations are written to {folder}\n"
    (store.folder / "broken.json").write_text("{")
    other = tmp_path / "other"
    assert main(["conversations", "export", "--all", str(other)]) == 74
    assert sorted(path.name for path in other.iterdir()) == ["sea.md", "sky.md"]
    assert "damaged, and left out: broken" in capsys.readouterr().err


def test_an_export_of_all_replaces_no_file(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("sky", "sea"):
        store.save(name, conversation("Why?", "So."))
    (tmp_path / "sea.md").write_text("mine")
    assert main(["conversations", "export", "--all", str(tmp_path)]) == 74
    assert f"{tmp_path / 'sea.md'} already exists" in capsys.readouterr().err
    assert not (tmp_path / "sky.md").exists(), "either all are written or none"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "name the conversation to export, or use --all FOLDER"), (["sky", "--all", "x"], "leave out the name")],
)
def test_an_export_is_of_one_or_of_all(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conversations", "export", *arguments]) == 2
    assert said in capsys.readouterr().err
