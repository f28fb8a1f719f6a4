"""What a reply has besides its text: sources as numbered links, images in files, and what could not be made."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from ddg_chat._below import show_below
from ddg_chat.main import main
from ddg_protocol import TurnFinished
from ddg_protocol.events import GeneratedImage, ImageFailed, ModelRefusal, ReasoningDelta, Source
from ddg_protocol.service import Said, Service
from ddg_transports.emulator import Emulator

PNG = b"\x89PNG\r\n\x1a\n..."


def shown(folder: Path | None = None, **has: tuple[object, ...]) -> list[str]:
    said: list[str] = []
    show_below(TurnFinished("", "stop", "m", **has), said.append, folder)  # type: ignore[arg-type]
    return said


def image(data: bytes) -> GeneratedImage:
    return GeneratedImage(base64.b64encode(data).decode())


def test_sources_are_numbered_and_each_address_comes_once() -> None:
    found = (
        *(Source("https://a.example/", "A title\nof\x1b[2J two lines"), Source("https://b.example/")),
        *(Source("https://a.example/", "Again"), Source("https://c.example/", "", "C")),
    )
    assert shown(sources=found) == [
        "[1] A title of\N{REPLACEMENT CHARACTER}[2J two lines: https://a.example/",
        "[2] https://b.example/",
        "[3] C: https://c.example/",
    ]


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (PNG, "png"),
        (b"\xff\xd8\xff\xe0", "jpg"),
        (b"GIF89a", "gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\0\0\0\0WAVE", "bin"),
        (b"<svg/>", "bin"),
    ],
)
def test_an_image_is_saved_by_what_it_is_and_replaces_no_file(data: bytes, suffix: str, tmp_path: Path) -> None:
    before = tmp_path / f"image-1.{suffix}"
    before.write_bytes(b"before")
    path = tmp_path / f"image-2.{suffix}"
    assert shown(tmp_path, images=(image(data),)) == [f"an image is saved as {path} ({len(data)} bytes)"]
    assert (before.read_bytes(), path.read_bytes()) == (b"before", data)
    assert path.stat().st_mode & 0o077 == 0


def test_an_image_that_is_not_base64_or_can_not_be_saved_is_said(tmp_path: Path) -> None:
    assert shown(images=(GeneratedImage("A"),)) == ["an image came that can't be read: it is not base64"]
    (said,) = shown(tmp_path / "nowhere", images=(image(PNG),))
    assert said.startswith(f"an image could not be saved as {tmp_path / 'nowhere' / 'image-1.png'}: ")


def test_what_could_not_be_made_or_answered_is_a_sentence() -> None:
    failed = (ImageFailed("content_policy", "It is not\nallowed."), ImageFailed("content_policy"), ImageFailed())
    assert shown(failed_images=failed, refusals=(ModelRefusal("model"),) * 2) == [
        "an image could not be made: It is not allowed.",
        "an image could not be made: content_policy",
        "an image could not be made",
        "the model refused to answer",
    ]


REPLY: list[Said] = [ReasoningDelta("So."), "Blue.\n", Source("https://a.example/", "A"), image(PNG)]


def test_ask_says_it_on_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Emulator(Service(responder=lambda _: REPLY)) as emulator:
        assert main(["ask", "Why?", "--base-url", emulator.url]) == 0
    out, err = capsys.readouterr()
    assert out == "Blue.\n"
    assert err == "[1] A: https://a.example/\nan image is saved as image-1.png (11 bytes)\n"
    assert (tmp_path / "image-1.png").read_bytes() == PNG


def test_ask_prints_every_event_as_json_and_saves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Emulator(Service(responder=lambda _: REPLY)) as emulator:
        assert main(["ask", "Why?", "--json", "--base-url", emulator.url]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    source = {"event": "Source", "url": "https://a.example/", "title": "A", "site": ""}
    made: dict[str, str | None] = {"event": "GeneratedImage", "base64": image(PNG).base64, "format": "", "call_id": ""}
    made |= {"width": None, "height": None}
    assert events[1:] == [
        {"event": "ReasoningDelta", "text": "So."},
        {"event": "TextDelta", "text": "Blue.\n"},
        source,
        made,
        {
            "event": "TurnFinished",
            "text": "Blue.\n",
            "reason": "stop",
            "model": "gpt-4o-mini",
            "served_model": "gpt-4o-mini",
            "reasoning": ["So."],
            "sources": [source],
            "images": [made],
        },
    ]
    assert list(tmp_path.iterdir()) == []


def test_chat_says_it_below_each_reply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from io import StringIO

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("sys.stdin", StringIO("Why?\nAnd?\n"))
    with Emulator(Service(responder=lambda _: REPLY)) as emulator:
        assert main(["chat", "--base-url", emulator.url]) == 0
    out, err = capsys.readouterr()
    assert out == "Blue.\nBlue.\n"
    assert re.findall(r"image-\d.png", err) == ["image-1.png", "image-2.png"]
    assert err.count("[1] A: https://a.example/") == 2
