"""Transcripts with the drivers and on the command line: recorded and played by both, served by an emulator."""

from __future__ import annotations

import json
import re
from pathlib import Path

import anyio
import pytest
from support.paths import TRANSCRIPTS as FOLDER

from ddg_chat.main import main
from ddg_protocol import DUCKDUCKGO_2025_04, ServiceProfile, Session, TransportError
from ddg_protocol.service import Service
from ddg_protocol.tap import DrivenSession
from ddg_protocol.transcript import (
    AsyncTranscriptTransport,
    RecordedSession,
    Transcript,
    TranscriptService,
    TranscriptTransport,
    first_difference,
)
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator

TWO_TURNS = (FOLDER / "two-turns.jsonl").read_text(encoding="utf-8")
TOKENS = re.compile(r"4-[0-9]{20,}")


def test_a_client_without_a_network_takes_a_transcript_as_its_transport() -> None:
    transcript = Transcript.read(TWO_TURNS)
    slept: list[float] = []
    with Client(
        transcript.head.profile.at("http://127.0.0.1:1"), transport=TranscriptTransport(transcript, sleep=slept.append)
    ) as client:
        chat = client.chat()
        assert chat.ask("Why is the sky blue?").text.startswith("You said: Why is the sky blue? ☃")
        assert sum(slept) == pytest.approx(8 * 0.05)
        assert chat.ask("And at night?").text.startswith("You said: And at night?")
        with pytest.raises(TransportError, match="no more requests"):
            chat.ask("And?")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_client_without_a_network_takes_a_transcript_as_its_transport(backend: str) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def main() -> None:
        profile = transcript.head.profile.at("http://127.0.0.1:1")
        async with AsyncClient(profile, transport=AsyncTranscriptTransport(transcript, sleep=sleep)) as client:
            chat = client.chat()
            assert (await chat.ask("Why?")).text.startswith("You said: Why is the sky blue? ☃")
            assert sum(slept) == pytest.approx(8 * 0.05)
            assert (await chat.ask("And at night?")).text.startswith("You said: And at night?")
            with pytest.raises(TransportError, match="no more requests"):
                await chat.ask("And?")

    transcript = Transcript.read(TWO_TURNS)
    anyio.run(main, backend=backend)


def test_a_chat_of_either_driver_is_recorded_and_an_emulator_serves_what_it_was() -> None:
    lines: list[str] = []

    def wrap(session: Session) -> DrivenSession:
        return RecordedSession(session, lines.append)

    async def record_another(profile: ServiceProfile) -> str:
        async with AsyncClient(profile) as client:
            return (await client.chat(wrap=wrap).ask("Why?")).text

    with Emulator(Service(responder=lambda question: "Because ☃.")) as emulator:
        profile = DUCKDUCKGO_2025_04.at(emulator.url)
        with Client(profile) as client:
            assert client.chat(wrap=wrap).ask("Why?").text == "Because ☃."
        recorded = Transcript.read("".join(lines))
        assert first_difference(recorded) is None
        lines.clear()
        assert anyio.run(record_another, profile) == "Because ☃."
    assert first_difference(Transcript.read("".join(lines))) is None
    with Emulator(TranscriptService(recorded)) as again, Client(DUCKDUCKGO_2025_04.at(again.url)) as client:
        assert client.chat().ask("Anything").text == "Because ☃."
        assert [exchange.status for exchange in again.service.log] == [200] * 4


# On the command line


def test_replay_says_the_same_or_where_it_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("ddg_chat.replay.sleep", slept.append)
    assert main(["replay", str(FOLDER / "two-turns.jsonl"), "--show"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "the same: 54 actions, 93 lines"
    assert json.loads(out[0]) == {"type": "TurnStarted", "model": "gpt-4o-mini"}
    changed = tmp_path / "changed.jsonl"
    changed.write_text(TWO_TURNS.replace('"TextDelta","text":"You "', '"TextDelta","text":"We "'), "utf-8")
    assert not slept
    assert main(["replay", str(changed), "--real-time"]) == 1
    assert 1.0 < sum(slept) < 60.0
    out = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"line \d+: no longer the same", out[0])
    assert '- "text": "We "' in out
    assert '+ "text": "You "' in out
    changed.write_text("nonsense", "utf-8")
    assert main(["replay", str(changed)]) == 65
    assert "line 1" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "nothing")]) == 74


def test_ask_records_and_the_recording_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.jsonl"
    assert main(["ask", "--emulator", "--record", str(file), "--blank-texts", "Why is the sky blue?"]) == 0
    assert "sky blue" in capsys.readouterr().out
    text = file.read_text("utf-8")
    assert "sky" not in text
    assert not TOKENS.search(text)
    assert main(["replay", str(file)]) == 0
    assert capsys.readouterr().out.startswith("the same: ")
