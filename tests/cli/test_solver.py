"""`ddg-chat --revision` and `--solver`: a program that answers challenges, in any language."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ddg_chat._service import REVISIONS as NAMES
from ddg_chat._solver import solver_of
from ddg_chat.main import main
from ddg_protocol import Identity, SolveChallenge, UnsupportedChallenge
from ddg_protocol.revisions import REVISIONS

SOLVE = SolveChallenge(
    id=7,
    script="",
    identity=Identity(user_agent="me", sec_ch_ua="", accept_language=""),
    challenge="Y2g=",
    origin="https://duck.ai",
    fe_version="serp_1-a",
    model="m",
    attempt=2,
)
STAND_IN = """
import base64, json, sys
asked = json.load(sys.stdin)
name = base64.b64decode(asked["challenge"]).decode().rpartition("Number ")[2]
answer = f"stand-in answer to number {name} for {asked['identity']['user_agent']}"
json.dump({"value": base64.b64encode(answer.encode()).decode(), "headers": {"x-more": "1"}}, sys.stdout)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path


def command(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


def test_the_names_of_the_revisions_are_those_of_the_core() -> None:
    assert tuple(REVISIONS) == NAMES


@pytest.mark.parametrize("revision", NAMES)
def test_the_emulator_of_a_command_speaks_each_revision(revision: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--emulator", "--revision", revision, "Hi"]) == 0
    assert "This is the emulator" in capsys.readouterr().out


def test_a_program_answers_the_challenge(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--emulator", "--revision", "2026-10", "--solver", command(STAND_IN), "Hi"]) == 0
    assert "gpt-5.6-luna was asked" in capsys.readouterr().out


def test_a_program_gets_all_that_an_answer_can_be_bound_to(tmp_path: Path) -> None:
    kept = tmp_path / "asked.json"
    keep = f"import sys; open({str(kept)!r}, 'w').write(sys.stdin.read());"
    answer = solver_of(command(keep + """print('{"value": "a", "body": {"b": 1}}')"""))(SOLVE)
    assert (answer.value, answer.headers, answer.body) == ("a", (), {"b": 1})
    assert json.loads(kept.read_text()) == {
        "challenge": "Y2g=",
        "script": "",
        "origin": "https://duck.ai",
        "fe_version": "serp_1-a",
        "model": "m",
        "attempt": 2,
        "identity": {"user_agent": "me", "sec_ch_ua": "", "accept_language": ""},
    }


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("print('x')", 'wrote something else than {"value": "..."}'),
        ("print('[]')", 'wrote something else than {"value": "..."}'),
        ("print('{\"value\": 7}')", 'wrote something else than {"value": "..."}'),
        ("print('{}')", "wrote neither a value nor an error"),
        ('print(\'{"error": "no \\\\u001b[31m way"}\')', "[31m way"),
        ("import time; time.sleep(60)", "took longer than 0.5 s"),
    ],
)
def test_a_program_without_an_answer_is_told_in_a_sentence(code: str, why: str) -> None:
    with pytest.raises(UnsupportedChallenge) as caught:
        solver_of(command(code), seconds=0.5 if "sleep" in code else 30)(SOLVE)
    said = str(caught.value)
    assert said.isprintable()
    assert why in said


@pytest.mark.parametrize("name", ["/nowhere/solve", "a\0b"])
def test_a_program_that_can_not_be_run_is_told_in_a_sentence(name: str) -> None:
    with pytest.raises(UnsupportedChallenge, match="can't be run: "):
        solver_of(shlex.quote(name))(SOLVE)


@pytest.mark.parametrize(("text", "why"), [('"', "No closing quotation"), (" ", "the command is empty")])
def test_a_command_that_is_none_is_an_error_of_the_command_line(
    text: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["ask", "--solver", text, "Hi"])
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("raise SystemExit(3)", 77, "the embedder's solver gave no answer"),
        ('print(\'{"value": "a b"}\')', 65, "the answer must be visible ASCII"),
        ('print(\'{"value": "a", "headers": {"host": "b"}}\')', 65, "host is not a solver's to give"),
        ('print(\'{"value": "wrong"}\')', 77, "the service asks for the answer to its challenge, or refused"),
    ],
)
def test_a_turn_that_a_program_fails_is_one_sentence(
    code: str, exit_code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "--emulator", "--revision", "2026-10", "--solver", command(code), "Hi"]) == exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "spring 2025" not in line


def test_without_a_solver_the_error_links_the_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from ddg_protocol.service import Service
    from ddg_transports.emulator import Emulator

    with Emulator(Service(REVISIONS["2026-10"])) as emulator:
        assert main(["ask", "--base-url", emulator.url, "--revision", "2026-10", "Hi"]) == 77
    error = capsys.readouterr().err
    assert "name a program that can, with --solver CMD: see docs/revisions.md" in error
    assert "try again later" not in error


def test_a_profile_file_changes_the_chosen_revision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('models = [{ id = "gpt-7" }]\n')
    assert main(["ask", "--emulator", "--revision", "2026-10", "--profile", str(file), "Hi"]) == 0
    assert "gpt-7 was asked" in capsys.readouterr().out


def test_an_emulator_of_its_own_speaks_the_revision_that_is_asked_for() -> None:
    arguments = [sys.executable, "-m", "ddg_chat", "emulate", "--revision", "2026-10"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().rstrip("\n")
            assert main(["ask", "--base-url", url, "--revision", "2026-10", "--solver", command(STAND_IN), "Hi"]) == 0
        finally:
            process.kill()


def test_a_run_with_a_solver_is_recorded_and_shown_without_what_it_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    file = tmp_path / "run.jsonl"
    asked = ["ask", "--emulator", "--revision", "2026-10", "--solver", command(STAND_IN), "--record", str(file), "Hi"]
    assert main(asked) == 0
    capsys.readouterr()
    assert main(["inspect", str(file)]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"challenge .*[0-9]{3} characters", shown)
    assert ", with 1 more field" in shown
    assert main(["replay", str(file)]) == 0
