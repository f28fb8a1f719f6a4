"""Conversations as files, and ``ddg-chat conversations``: hostile names, damaged files, rights, a write that fails."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import msgspec
import pytest

from ddg_chat._errors import CommandError
from ddg_chat._export import as_markdown
from ddg_chat._store import Store, name_for
from ddg_chat.main import main
from ddg_protocol import Conversation, Cookie, Message

SKY = Conversation(
    model="gpt-4o-mini",
    vqd="4-secret",
    vqd_hash_1="c2VjcmV0",
    cookies=(Cookie(name="dcs", value="secret", domain="duckduckgo.com"),),
    fe_version="serp_secret",
    message_history=(Message("user", "Why is the sky blue?"), Message("assistant", "It **scatters**.")),
)

HOSTILE_NAMES = [
    "",
    ".",
    "..",
    ".hidden",
    "../up",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "-rf",
    "a b",
    "a\0b",
    "a\n",
    "a\x1b[2J",
    "x" * 101,
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the conversations that the command line keeps."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "ddg-chat" / "conversations"


@pytest.fixture
def store(folder: Path) -> Store:
    return Store(folder)


def test_what_is_kept_comes_back_without_what_lets_anybody_in(store: Store) -> None:
    store.save("sky", SKY)
    kept = store.load("sky")
    assert (kept.message_history, kept.model) == (SKY.message_history, SKY.model)
    assert "secret" not in (store.folder / "sky.json").read_text()
    assert (kept.vqd, kept.vqd_hash_1, kept.cookies, kept.fe_version) == ("", "", (), "")


@pytest.mark.skipif(os.name != "posix", reason="the rights of POSIX")
def test_nobody_else_can_read_it(store: Store) -> None:
    before = os.umask(0)
    try:
        store.save("sky", SKY)
    finally:
        os.umask(before)
    assert stat.S_IMODE((store.folder / "sky.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_is_none_reaches_no_file(name: str, store: Store, tmp_path: Path) -> None:
    for use in (lambda: store.save(name, SKY), lambda: store.load(name), lambda: store.remove(name)):
        with pytest.raises(CommandError, match="isn't a valid name for a conversation"):
            use()
    with pytest.raises(CommandError, match="isn't a valid name for a conversation"):
        store.rename("sky", name)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Why is the sky blue?", "2025-04-01-why-is-the-sky-blue"),
        ("../../etc/passwd", "2025-04-01-etc-passwd"),
        ("¿Qué es «π»?\n\x1b[2J", "2025-04-01-qué-es-π-2j"),
        ("?!", "2025-04-01"),
        ("word " * 100, "2025-04-01-word-word-word-word-word-word-word-word"),
    ],
)
def test_a_name_is_found_for_any_question(question: str, name: str, store: Store) -> None:
    assert name_for(question, date(2025, 4, 1)) == name
    assert store.save(name, SKY) == name
    assert store.save(name, SKY) == f"{name}-2"


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("sky", SKY)
    before = (store.folder / "sky.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save("sky", Conversation(), seen=SKY)
    assert files(store) == [".lock", "sky.json"]
    assert (store.folder / "sky.json").read_bytes() == before


def test_whoever_reads_meanwhile_finds_one_or_the_other(store: Store) -> None:
    store.save("sky", SKY)
    with (store.folder / "sky.json").open("rb") as reader:
        begun = reader.read(10)
        store.save("sky", Conversation(), seen=SKY)
        assert Conversation.from_json(begun + reader.read()).message_history == SKY.message_history
    assert not store.load("sky").message_history


def files(store: Store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def longer(conversation: Conversation, *words: str) -> Conversation:
    """A conversation that went on."""
    more = [Message(role, word) for word in words for role in ("user", "assistant")]
    return msgspec.structs.replace(conversation, message_history=(*conversation.message_history, *more))


@pytest.mark.parametrize("there", [SKY, Conversation(), None], ids=["the same", "another", "damaged"])
def test_a_name_that_is_taken_gets_a_number_and_nothing_is_replaced(there: Conversation | None, store: Store) -> None:
    store.save("sky", there or SKY)
    if there is None:
        (store.folder / "sky.json").write_text("damaged")
    before = (store.folder / "sky.json").read_bytes()
    assert [store.save("sky", SKY) for _ in range(2)] == ["sky-2", "sky-3"]
    assert (store.folder / "sky.json").read_bytes() == before


def test_two_who_go_on_with_the_same_conversation_lose_nothing(store: Store) -> None:
    store.save("sky", SKY)
    one, other = longer(SKY, "one"), longer(SKY, "other")
    assert store.save("sky", one, seen=SKY) == "sky"
    assert store.save("sky", other, seen=SKY) == "sky-2"
    assert store.save("sky", longer(one, "more"), seen=one) == "sky"
    assert store.load("sky").message_history == longer(one, "more").message_history
    assert store.load("sky-2").message_history == other.message_history


def test_a_conversation_that_was_removed_meanwhile_is_stored_again(store: Store) -> None:
    store.save("sky", SKY)
    store.remove("sky")
    assert store.save("sky", longer(SKY, "one"), seen=SKY) == "sky"


def test_the_longest_name_can_get_a_number_too(store: Store) -> None:
    store.save("x" * 100, SKY)
    assert store.load(store.save("x" * 100, SKY)).message_history == SKY.message_history


def test_what_a_killed_process_left_is_overwritten(store: Store) -> None:
    store.save("sky", SKY)
    (store.folder / ".new").write_text("half of a conversa" * 10_000)
    store.save("sky", longer(SKY, "one"), seen=SKY)
    assert files(store) == [".lock", "sky.json"]
    assert store.load("sky").message_history == longer(SKY, "one").message_history


#: Stores conversations that all get the same name, once it is told to.
BUSY = """
import sys
from datetime import date
from pathlib import Path
from ddg_chat._store import Store, name_for
from ddg_protocol import Conversation, Message

store, who = Store(Path(sys.argv[1])), sys.argv[2]
print(flush=True)
for number in sys.stdin:
    said = tuple(Message(role, f"{who} {number.strip()}") for role in ("user", "assistant"))
    print(store.save(name_for("Why?", date(2025, 4, int(number))), Conversation(message_history=said)), flush=True)
"""


def test_processes_that_begin_with_the_same_question_at_once_lose_nothing(store: Store) -> None:
    rounds = range(1, 21)
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", BUSY, store.folder, who],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    bufsize=1,
                )
            )
            for who in "abc"
        ]
        pipes = [(stack.enter_context(p.stdin), p.stdout) for p in processes if p.stdin and p.stdout]
        for _, heard in pipes:
            heard.readline()
        names = set()
        for number in rounds:
            for said, _ in pipes:
                said.write(f"{number}\n")
            names |= {heard.readline().strip() for _, heard in pipes}
    assert len(names) == 3 * len(rounds)
    kept = {entry.conversation.last_question for entry in store.entries() if entry.conversation}
    assert kept == {f"{who} {number}" for who in "abc" for number in rounds}


def test_another_name(store: Store) -> None:
    store.save("sky", SKY)
    store.save("sea", SKY)
    with pytest.raises(CommandError, match="there is already a conversation called 'sea'"):
        store.rename("sky", "sea")
    store.rename("sky", "sky")
    store.rename("sky", "heaven")
    assert sorted(store.names()) == ["heaven", "sea"]


# The command


def aged(path: Path, seconds: int) -> None:
    os.utime(path, (seconds, seconds))


def test_an_empty_store_lists_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conversations"]) == 0
    assert capsys.readouterr() == ("", "there is no saved conversation yet\n")
    assert not folder.exists()


def test_the_list_has_the_last_one_first_and_tells_what_is_damaged(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for age, name in enumerate(("cut", "sky", "a-long-name")):
        store.save(name, SKY)
        aged(store.folder / f"{name}.json", 1_000_000 + age)
    (store.folder / "cut.json").write_text('{"version": 1, "mod')
    aged(store.folder / "cut.json", 1_000_000)
    (store.folder / "no conversation.txt").write_text("")
    (store.folder / "no name.json").write_text("")
    assert main(["conversations", "list"]) == 0
    last, middle, first = capsys.readouterr().out.splitlines()
    assert last.startswith("a-long-name  1970-01-1")
    assert middle.startswith("sky          1970-01-1")
    assert middle.endswith("   1 turn  Why is the sky blue?")
    assert first.startswith("cut          1970-01-1")
    assert first.endswith("damaged")


def test_export_writes_markdown_that_no_terminal_takes_for_a_command(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    history = (
        Message("user", "Why\n\nso?"),
        Message("assistant", "a\x1b[2J\n```\nnot closed"),
        Message("user", "And?"),
    )
    store.save(
        "sky",
        Conversation(model="o3-mini", title="T\x1b]0;t\x07", message_history=(*history, Message("assistant", "b"))),
    )
    assert main(["conversations", "export", "sky"]) == 0
    bad = "\N{REPLACEMENT CHARACTER}"
    assert capsys.readouterr().out == (
        f"# T{bad}]0;t{bad}\n\n*o3-mini*\n\n> Why\n>\n> so?\n\na{bad}[2J\n```\nnot closed\n```\n\n> And?\n\nb\n"
    )


def test_rm_removes_what_can_t_be_read_too(store: Store) -> None:
    store.save("sky", SKY)
    store.save("sea", SKY)
    (store.folder / "sea.json").write_bytes(b"\xff\x00")
    assert main(["conversations", "rm", "sky", "sea"]) == 0
    assert store.names() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["conversations", "export", "sky"],
            "there is no conversation called 'sky'; ddg-chat conversations lists them",
        ),
        (["conversations", "rm", "sky"], "there is no conversation called 'sky'"),
        (["conversations", "rm", "../x"], "'../x' isn't a valid name for a conversation"),
        (["conversations", "export", "cut"], "cut.json can't be read, and is left unchanged: "),
        (["chat", "--emulator", "--resume", "cut"], "cut.json can't be read, and is left unchanged: "),
        (["chat", "--emulator", "--resume", "sky"], "there is no conversation called 'sky'"),
    ],
)
def test_what_is_not_there_or_damaged_is_said(
    arguments: list[str], said: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.save("cut", SKY)
    (store.folder / "cut.json").write_text('{"version": 1, "mod')
    assert main(arguments) == (2 if "../x" in arguments else 74)
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_there_may_be_nothing_to_go_on_with(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "--emulator", "--resume"]) == 74
    assert capsys.readouterr().err == "ddg-chat: there is no saved conversation yet; leave out --resume to begin one\n"


def test_a_conversation_of_a_later_version_is_left_alone(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.save("sky", SKY)
    path = store.folder / "sky.json"
    later = path.read_text().replace('"format_version":2', '"format_version":99')
    assert later != path.read_text()
    path.write_text(later)
    assert main(["conversations", "export", "sky"]) == 74
    assert "version" in capsys.readouterr().err
    assert path.read_text() == later


def test_without_the_extra_it_is_said_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ddg_chat.chat.find_spec", lambda name: None if name == "rich" else sys)
    assert main(["conversations"]) == 2
    assert capsys.readouterr().err == "ddg-chat: conversations needs rich: pip install rich\n"


@pytest.mark.parametrize(
    ("reply", "written"),
    [
        ("```\ncode\n```", "```\ncode\n```"),
        ("````\n```\n", "````\n```\n````"),
        ("~~~ python\n```", "~~~ python\n```\n~~~"),
        ("``` no ` fence", "``` no ` fence"),
        ("```\n``` no end", "```\n``` no end\n```"),
        ("    ```", "    ```"),
    ],
)
def test_a_block_of_code_that_was_not_closed_takes_in_nothing_of_what_follows(reply: str, written: str) -> None:
    history = (
        Message("user", "Why?"),
        Message("assistant", reply),
        Message("user", "And?"),
        Message("assistant", "So."),
    )
    text = as_markdown(Conversation(model="o3-mini", message_history=history))
    assert text == f"# Why?\n\n*o3-mini*\n\n> Why?\n\n{written}\n\n> And?\n\nSo.\n"
