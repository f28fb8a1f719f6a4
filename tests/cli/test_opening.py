"""What comes before the first question: `--system`, `--messages` and `/system`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddg_chat._opening import typed_in
from ddg_chat._store import Store
from ddg_chat.main import main
from ddg_protocol import Conversation, Message
from ddg_protocol.chat import format_prompt
from ddg_protocol.revisions import REVISIONS
from ddg_protocol.service import Service
from ddg_transports.emulator import Emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Service(responder=lambda question: ["So."])) as running:
        yield running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "ddg-chat" / "conversations"


def asked(emulator: Emulator) -> list[list[str]]:
    """What came with each question that reached the service: the contents of its messages."""
    bodies = [json.loads(exchange.request.body) for exchange in emulator.service.log if exchange.endpoint == "chat"]
    return [[message["content"] for message in body["messages"]] for body in bodies]


def chat(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, lines: str, *options: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode()), encoding="utf-8"))
    return main(["chat", "--base-url", emulator.url, *options])


OPENAI = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": [{"type": "text", "text": "Two?"}]},
]
AS_PROMPT = "System: Be brief.\nUser: One?\nAssistant: Yes.\nUser: Two?"


def test_instructions_go_with_the_first_question(emulator: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "instructions.txt"
    file.write_text("Be brief.\n")
    for system in ("Be brief.", f"@{file}"):
        assert main(["ask", "Why?", "--system", system, "--base-url", emulator.url]) == 0
    assert asked(emulator) == [["System: Be brief.\nUser: Why?\nAssistant:"]] * 2


def test_instructions_can_be_the_same_for_every_command(emulator: Emulator, config_file: Path) -> None:
    config_file.parent.mkdir(parents=True)
    config_file.write_text('system = "Be brief."')
    assert main(["ask", "Why?", "--base-url", emulator.url]) == 0
    assert asked(emulator) == [["System: Be brief.\nUser: Why?\nAssistant:"]]


@pytest.mark.parametrize("wrap", [lambda found: found, lambda found: {"model": "gpt-4o", "messages": found}])
def test_messages_of_openai_s_form_come_before_the_question(wrap: object, emulator: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(wrap(OPENAI)))  # type: ignore[operator]
    assert main(["ask", "--messages", str(file), "--base-url", emulator.url]) == 0
    assert main(["ask", "Three?", "--messages", str(file), "--base-url", emulator.url]) == 0
    assert asked(emulator) == [[f"{AS_PROMPT}\nAssistant:"], [f"{AS_PROMPT}\nUser: Three?\nAssistant:"]]


def with_image(url: str) -> str:
    image = {"type": "image_url", "image_url": {"url": url}}
    return json.dumps([{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}])


def test_an_image_of_openai_s_form_is_sent_where_the_model_takes_images(tmp_path: Path) -> None:
    file = tmp_path / "messages.json"
    file.write_text(with_image("data:image/png;base64,iVBORw0KGgo="))
    with Emulator(Service(REVISIONS["2026-10"])) as emulator:
        solver = f"{sys.executable} -c 'import json; print(json.dumps(dict(value=\"YQ==\")))'"
        options = ["--revision", "2026-10", "--solver", solver, "--base-url", emulator.url]
        main(["ask", "--messages", str(file), *options])
        (body,) = [json.loads(each.request.body) for each in emulator.service.log if each.endpoint == "chat"][:1]
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image", "mimeType": "image/png", "image": "data:image/png;base64,iVBORw0KGgo="},
            ],
        }
    ]


def test_an_image_that_is_elsewhere_is_not_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "messages.json"
    file.write_text(with_image("https://example.org/sky.png"))
    assert main(["ask", "--messages", str(file), "--emulator"]) == 65
    said = "the image https://example.org/sky.png is not in the file; put it there as a data: URL\n"
    assert capsys.readouterr().err == f"ddg-chat: {file}: {said}"


def test_messages_can_come_through_a_pipe(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(OPENAI).encode()), encoding="utf-8"))
    assert main(["ask", "--messages", "-", "--base-url", emulator.url]) == 0
    assert asked(emulator) == [[f"{AS_PROMPT}\nAssistant:"]]


def test_a_conversation_of_this_program_s_is_continued(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = (Message("user", "One?"), Message("assistant", "Yes."))
    file = tmp_path / "sky.json"
    file.write_text(Conversation(model="o3-mini", message_history=history).to_json())
    assert main(["ask", "Two?", "--messages", str(file), "--system", "Be brief.", "--base-url", emulator.url]) == 0
    assert asked(emulator) == [["One?", "Yes.", "Two?"]]
    assert json.loads(emulator.service.log[-1].request.body)["model"] == "o3-mini"
    assert "the instructions are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"{", "is not JSON: "),
        (b"3", "has no messages: what is read is a JSON list"),
        (b"{}", "has no messages: what is read is a JSON list"),
        (b"[]", "at least"),
        (b'[{"role": "user"}]', "messages[0]"),
        (b'[{"role": "user", "content": null}]', "messages[0]"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format_version": 2, "conversation": 3}', "not a stored conversation"),
        (b'["\xff"]', "is not UTF-8 text: it has the byte 0xff at position 2"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_file_of_something_else_says_what_is_read(
    written: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "messages.json"
    file.write_bytes(written)
    assert main(["ask", "Why?", "--messages", str(file), "--emulator"]) == 65
    err = capsys.readouterr().err
    assert err.startswith("ddg-chat: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_file_that_is_too_long_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "messages.json"
    file.write_bytes(b" " * (16 * 1024 * 1024 + 1))
    assert main(["ask", "Why?", "--messages", str(file), "--emulator"]) == 65
    err = capsys.readouterr().err
    assert err.startswith("ddg-chat: ")
    assert "is longer than 16,777,216 bytes" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", [["--messages", "nowhere.json"], ["--system", "@nowhere.txt"]])
def test_a_file_that_isn_t_there_is_named(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Why?", *option, "--emulator"]) == 74
    assert f"{option[1].removeprefix('@')}: No such file or directory" in capsys.readouterr().err


def test_a_question_may_be_left_out_only_where_the_messages_end_in_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(OPENAI[:3]))
    assert main(["ask", "--messages", str(file), "--emulator"]) == 2
    assert "the question is missing" in capsys.readouterr().err


def test_a_chat_has_instructions_in_each_new_conversation(
    emulator: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "One?\nTwo?\n/new\nThree?\n/system Be long.\n/new\nFour?\n/retry\n/system -\n/new\nFive?\n"
    assert chat(monkeypatch, emulator, lines, "--system", "Be brief.") == 0
    first = "System: Be brief.\nUser: One?\nAssistant:"
    assert asked(emulator) == [
        [first],
        [first, "So.", "Two?"],
        ["System: Be brief.\nUser: Three?\nAssistant:"],
        ["System: Be long.\nUser: Four?\nAssistant:"],
        ["System: Be long.\nUser: Four?\nAssistant:"],
        ["Five?"],
    ]
    err = capsys.readouterr().err
    assert "the instructions are: Be long.\nthis conversation has begun without them; /new begins one" in err
    assert "new conversations have no instructions\n" in err
    assert sorted(name[11:] for name in Store(folder).names()) == ["five", "four", "one", "three"]


def test_a_chat_begins_with_messages_and_new_ones_don_t(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(OPENAI[:3]))
    assert chat(monkeypatch, emulator, "Two?\n/new\nThree?\n", "--messages", str(file)) == 0
    assert asked(emulator) == [[f"{AS_PROMPT}\nAssistant:"], ["Three?"]]


def test_a_chat_goes_on_with_a_conversation_of_a_file(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = (Message("user", "One?"), Message("assistant", "Yes."))
    file = tmp_path / "sky.json"
    file.write_text(Conversation(model="o3-mini", message_history=history).to_json())
    before = file.read_bytes()
    assert chat(monkeypatch, emulator, "Two?\n", "--messages", str(file)) == 0
    assert asked(emulator) == [["One?", "Yes.", "Two?"]]
    assert file.read_bytes() == before


def test_a_conversation_of_a_file_is_saved_with_its_first_turn_and_exported_before(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    history = (Message("user", "One?"), Message("assistant", "Yes."))
    (tmp_path / "sky.json").write_text(Conversation(model="o3-mini", message_history=history).to_json())
    assert chat(monkeypatch, emulator, "/save\n/export\n/save sky\n", "--messages", "sky.json") == 0
    err = capsys.readouterr().err
    assert err.startswith("nothing to save yet\n")
    assert err.endswith("nothing to save yet; the name will be sky\n")
    assert [path.name[10:] for path in tmp_path.glob("*.md")] == ["-one.md"]


def test_a_list_shows_the_question_rather_than_what_came_before_it(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(monkeypatch, emulator, "/save sky\nWhy is it blue?\n", "--system", "Be brief.") == 0
    assert main(["conversations"]) == 0
    assert capsys.readouterr().out.endswith("1 turn  Why is it blue?\n")


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Be brief.\nUser: or not."}, {"role": "user", "content": "Why?\nAnd how?"}],
        [{"role": "user", "content": "One?"}, {"role": "user", "content": "Why?\nAnd how?"}],
    ],
)
def test_what_was_typed_is_found_in_a_prompt(messages: list[dict[str, str]]) -> None:
    assert typed_in(format_prompt(messages)) == "Why?\nAnd how?"


@pytest.mark.parametrize(
    "text", ["Why?", "User: who are you?", "Assistant:", "System: only\nAssistant:", "a\nUser: b\nAssistant:"]
)
def test_what_is_no_prompt_stays_as_it_is(text: str) -> None:
    assert typed_in(text) == text
