"""Images, files and efforts on the command line: attached, asked for, and exported."""

from __future__ import annotations

import io
import json
import sys
import tomllib
from pathlib import Path

import pytest

from ddg_chat._attach import described, read_attachment
from ddg_chat._errors import CommandError
from ddg_chat._export import as_markdown
from ddg_chat.main import main
from ddg_protocol import DUCKDUCKGO_2025_04, Conversation, Message
from ddg_protocol.parts import File, Image, Text
from ddg_protocol.service import Service
from ddg_transports.emulator import Emulator

PNG = b"\x89PNG\r\n\x1a\n..."
PROFILE = """
models = [
    {id = "sees", takes_images = true, file_types = ["application/pdf"], efforts = ["none", "low"]},
    {id = "reads"},
]
extra_body = {reasoningEffort = "{effort}"}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "profile.toml").write_text(PROFILE, encoding="utf-8")
    (tmp_path / "duck.png").write_bytes(PNG)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    return tmp_path


def chat(monkeypatch: pytest.MonkeyPatch, *lines: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode()), encoding="utf-8"))
    return main(["chat", "--emulator", "--profile", "profile.toml", "--quiet"])


def stored(folder: Path) -> list[Conversation]:
    return [Conversation.from_json(file.read_bytes()) for file in (folder / "data").rglob("*.json")]


# In a chat


def test_what_is_attached_goes_with_the_next_question_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(monkeypatch, "/attach duck.png", "/attach a.pdf", "What is this?", "Sure?", "/export talk.md") == 0
    said = capsys.readouterr().err
    assert "attached to the next question: image/png (11 bytes), a.pdf (8 bytes)" in said
    (conversation,) = stored(folder)
    first, _, second, _ = conversation.message_history
    assert first.content == (
        Text("What is this?"),
        Image(PNG, "image/png"),
        File(b"%PDF-1.7", "application/pdf", "a.pdf"),
    )
    assert second.content == "Sure?"
    text = Path("talk.md").read_text(encoding="utf-8")
    assert "> What is this?\n>\n> ![image](<talk-1.png>)\n>\n> *a\\.pdf (8 bytes)*\n" in text
    assert Path("talk-1.png").read_bytes() == PNG


def test_what_was_attached_goes_again_with_a_retry_and_can_be_dropped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["/attach", "/attach duck.png", "/attach", "Hi", "/new", "/attach duck.png", "What is this?", "/retry"]
    assert chat(monkeypatch, *lines) == 0
    said = capsys.readouterr().err
    assert said.index("nothing is attached; /attach FILE attaches") < said.index("nothing is attached any more")
    contents = {conversation.message_history[0].content for conversation in stored(folder)}
    assert contents == {"Hi", (Text("What is this?"), Image(PNG, "image/png"))}


def test_ask_sends_files_with_its_question(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = DUCKDUCKGO_2025_04.updated(tomllib.loads(PROFILE))
    with Emulator(Service(profile)) as emulator:
        options = ["--base-url", emulator.url, "--profile", "profile.toml"]
        assert main(["ask", "What", "is", "this?", "--attach", "duck.png", "--attach", "a.pdf", *options]) == 0
        (asked,) = [each for each in emulator.service.log if each.endpoint == "chat"]
    content = json.loads(asked.request.body)["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "image", "file"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["Why?", "--attach", "nowhere.png"], 74, "nowhere.png: No such file"),
        (["Why?", "--attach", "duck.png", "--model", "reads"], 65, "it takes no images"),
        (["--messages", "asked.json", "--attach", "duck.png"], 2, "--attach needs a question to send the files with"),
    ],
)
def test_ask_says_why_it_sends_no_file(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("asked.json").write_text('[{"role": "user", "content": "Why?"}]')
    assert main(["ask", *arguments, "--emulator", "--profile", "profile.toml"]) == code
    assert says in capsys.readouterr().err


def test_a_model_that_takes_no_images_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(monkeypatch, "/model reads", "/attach duck.png", "What is this?") != 0
    assert "'image/png', which can't be sent to 'reads': it takes no images" in capsys.readouterr().err


def test_the_effort_is_shown_and_kept_until_another_model_has_no_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert (
        chat(monkeypatch, "/effort", "/effort low", "Hi", "/effort", "/model reads", "Hi", "/model sees", "/effort")
        == 0
    )
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("the effort is")]
    assert said == ["the effort is none", "the effort is low", "the effort is low", "the effort is none"]


def test_a_loaded_conversation_is_not_asked_with_an_effort_that_its_model_has_not(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    lines = ["/model reads", "Hi", "/save talk", "/new", "/model sees", "/effort low", "Hi", "/load talk", "And now?"]
    assert chat(monkeypatch, *lines) == 0
    (talk,) = [conversation for conversation in stored(folder) if conversation.model == "reads"]
    assert len(talk.message_history) == 4


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["/effort medium"], "sees has no effort medium; it has none, low"),
        (["/model reads", "/effort low"], "reads has no efforts to choose from"),
        (["/attach nowhere.png"], "No such file"),
        (["/attach empty.txt"], "empty.txt can't be attached: an image or a file must have 1 to "),
        (["/attach odd"], "odd can't be attached: its name doesn't say what kind of file it is"),
        (["/attach a\0b"], "can't be attached"),
        (["/attach ~\0b"], "can't be attached"),
    ],
)
def test_what_can_not_be_attached_or_chosen_is_a_sentence(
    lines: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.txt").touch()
    Path("odd").write_bytes(b"?")
    assert chat(monkeypatch, *lines) != 0
    assert says in capsys.readouterr().err


# Files


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [(PNG, "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF89a", "image/gif"), (b"RIFF....WEBP", "image/webp")],
)
def test_an_image_is_what_begins_like_one(data: bytes, mime_type: str) -> None:
    Path("a.pdf").write_bytes(data)
    assert read_attachment(Path("a.pdf")) == Image(data, mime_type)


def test_a_name_that_could_harm_a_terminal_is_refused() -> None:
    Path("a\x1b[2J.pdf").write_bytes(b"%PDF")
    with pytest.raises(CommandError) as refused:
        read_attachment(Path("a\x1b[2J.pdf"))
    assert str(refused.value).isprintable()
    assert described(File(b"%PDF", "application/pdf", "x" * 100)).startswith("x" * 39 + "…")


# Markdown


def exported(*parts: object, text: str = "So.") -> str:
    reply = Message("assistant", text, tuple(json.dumps(part) for part in parts))
    return as_markdown(Conversation(message_history=(Message("user", "Why?"), reply))).split("> Why?\n\n")[1]


def source(url: str, **more: object) -> dict[str, object]:
    return {"type": "source", "source": {"url": url, **more}}


def test_the_sources_of_a_reply_are_numbered_links_below_it() -> None:
    assert exported(
        source("https://a.example/x y", title="A [b]*c*\n"),
        source("https://b.example", site="B"),
        source("https://a.example/x y"),
        source("http://c.example/<>\\é"),
        source("javascript:alert(1)", title="<b>"),
        source("data:x"),
        source(""),
        {"type": "source", "source": "x"},
        {"type": "reasoning", "summaryText": ["x"]},
    ) == (
        "So.\n\n"
        r"1. [A \[b\]\*c\*](<https://a.example/x%20y>)" + "\n"
        "2. [B](<https://b.example>)\n"
        r"3. [http\:\/\/c\.example\/\<\>\\é](<http://c.example/%3C%3E%5C%C3%A9>)" + "\n"
        r"4. \<b\> (javascript\:alert\(1\))" + "\n"
        r"5. data\:x" + "\n"
    )


def test_a_stored_conversation_is_exported_with_its_images_next_to_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(monkeypatch, "/attach duck.png", "What is this?", "/save talk") == 0
    assert main(["conversations", "export", "talk", "out.md"]) == 0
    assert "> ![image](<out-1.png>)\n" in Path("out.md").read_text(encoding="utf-8")
    assert Path("out-1.png").read_bytes() == PNG
    capsys.readouterr()
    assert main(["conversations", "export", "talk"]) == 0
    assert "> *an image (11 bytes)*\n" in capsys.readouterr().out
    assert main(["conversations", "export", "talk", "out.md"]) == 74
    assert "out.md already exists" in capsys.readouterr().err


def test_an_image_without_a_folder_to_save_it_to_is_named() -> None:
    image = {"type": "generated-image", "result": "AAAA", "data": {}}
    assert exported(image, {"type": "generated-image", "result": "?"}, text="") == "*an image (3 bytes)*\n"
