"""Where a reply goes: `--output` and `--no-stream`."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from ddg_chat.main import main
from ddg_protocol.service import Service
from ddg_protocol.service.script import fault_from_text
from ddg_transports.emulator import Emulator


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def emulated(*faults: str, reply: str = "**Yes**, \x1b[2Jit is.") -> Emulator[Service]:
    script = [fault_from_text(fault) for fault in faults]
    return Emulator(Service(responder=lambda _: reply.split(" "), script=script))


WRITTEN = "**Yes**,\N{REPLACEMENT CHARACTER}[2Jit is.\n".replace(" ", "")


@pytest.mark.parametrize("options", [[], ["--json"], ["--no-stream"], ["--json", "--no-stream"]])
def test_a_reply_is_written_to_a_file_as_well(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "reply.md"
    with emulated() as emulator:
        assert main(["ask", "Why?", "--output", str(file), *options, "--base-url", emulator.url]) == 0
    assert file.read_text() == WRITTEN
    out = capsys.readouterr().out
    assert json.loads(out.splitlines()[-1])["event"] == "TurnFinished" if "--json" in options else out == WRITTEN


def test_each_reply_of_a_chat_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"One?\nTwo?\n"), encoding="utf-8"))
    file = tmp_path / "replies.md"
    with emulated() as emulator:
        assert main(["chat", "--output", str(file), "--base-url", emulator.url]) == 0
    assert file.read_text() == f"{WRITTEN}\n{WRITTEN}"


def test_an_output_replaces_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "reply.md"
    file.write_text("mine")
    with emulated() as emulator:
        assert main(["ask", "Why?", "--output", str(file), "--base-url", emulator.url]) == 74
        assert not emulator.service.log, "it is said before anything is asked"
    assert capsys.readouterr().err == f"ddg-chat: {file} already exists; name another file, or remove it first\n"
    assert file.read_text() == "mine"


BROKEN = 'chat:event={"status":429%2C"type":"ERR_USER_LIMIT"%2C"action":"error"},after=2'


@pytest.mark.parametrize(("options", "shown"), [([], "**Yes**,\n"), (["--no-stream"], "")])
def test_of_a_reply_that_breaks_there_is_what_came_or_nothing(
    options: list[str], shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "reply.md"
    with emulated(BROKEN) as emulator:
        assert main(["ask", "Why?", "--output", str(file), *options, "--base-url", emulator.url]) == 75
    assert capsys.readouterr().out == shown
    assert file.read_text() == shown


def test_no_event_of_a_turn_that_breaks_is_shown_with_no_stream(capsys: pytest.CaptureFixture[str]) -> None:
    with emulated(BROKEN) as emulator:
        assert main(["ask", "Why?", "--json", "--no-stream", "--base-url", emulator.url]) == 75
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["error"]["kind"] == "UserLimitError"
