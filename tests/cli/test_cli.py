"""``ddg-chat`` as its users meet it: through `main` with arguments, and as a process of its own."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from ddg_chat._errors import exit_code
from ddg_chat.ask import _as_json
from ddg_chat.main import COMMANDS, EXIT_CODES, main
from ddg_protocol import Event, __version__, errors
from ddg_protocol.events import Retrying, UnknownPayload
from ddg_protocol.intents import Failure, FailureKind
from ddg_protocol.models import AttachmentLimits, Model, ModelList
from ddg_protocol.service import Question, Service
from ddg_transports.emulator import Emulator

TIMEOUT = 60.0  # for what never ends, on the slowest of machines


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


def run(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ddg_chat", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


# ask


def test_ask_streams_the_reply_of_an_emulator_started_for_it() -> None:
    done = run("ask", "--emulator", "Why is the sky blue?")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Why is the sky blue?\n")


def test_ask_reads_the_question_from_standard_input(emulator: Emulator) -> None:
    done = run("ask", "-", "--base-url", emulator.url, text="Why is the sky blue?")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Why is the sky blue?" in done.stdout


def test_each_piece_is_written_before_the_next_exists() -> None:
    more = threading.Event()

    def respond(question: Question) -> Iterator[str]:
        yield "first"
        assert more.wait(TIMEOUT), "the first piece was kept back"
        yield " second"

    with Emulator(Service(responder=respond)) as emulator:
        arguments = [sys.executable, "-m", "ddg_chat", "ask", "Why?", "--base-url", emulator.url]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.read(5) == b"first"
            more.set()
            assert process.stdout.read() == b" second\n"
    assert process.returncode == 0


def test_the_model_goes_to_the_service(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Why?", "--model", "claude-3-haiku", "--base-url", emulator.url]) == 0
    assert json.loads(emulator.service.log[-1].request.body)["model"] == "claude-3-haiku-20240307"
    assert "claude-3-haiku-20240307 was asked" in capsys.readouterr().out


def test_json_is_one_event_per_line(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Why?", "--json", "--base-url", emulator.url]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0] == {"event": "TurnStarted", "model": "gpt-4o-mini"}
    assert events[-1]["event"] == "TurnFinished"
    assert "".join(event["text"] for event in events if event["event"] == "TextDelta") == events[-1]["text"]


def test_bytes_and_exceptions_in_an_event_become_text() -> None:
    assert _as_json(UnknownPayload(b"\xff{}")) == {"event": "UnknownPayload", "raw": "\N{REPLACEMENT CHARACTER}{}"}
    retrying = Retrying(1, 2.5, errors.ServiceUnavailableError("not now", status=503))
    assert _as_json(retrying) == {"event": "Retrying", "attempt": 1, "delay": 2.5, "cause": "not now"}


FIELDS: dict[str, object] = {
    "attempt": 1,
    "delay": 2.5,
    "cause": errors.ServiceUnavailableError("not now", status=503),
    "position": 1,
    "until": 2.5,
    "raw": b"{}",
    "models": ModelList((Model("m", effort_tiers={"low": ("free",)}),), {"free": AttachmentLimits(images_per_turn=3)}),
}


@pytest.mark.parametrize("event", get_args(Event))
def test_every_event_is_a_line_of_json(event: type[msgspec.Struct]) -> None:
    required = [field.name for field in msgspec.structs.fields(event) if field.required]
    shown = json.loads(json.dumps(_as_json(event(**{name: FIELDS.get(name, "x") for name in required}))))
    assert shown["event"] == event.__name__
    assert set(required) <= shown.keys()


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_no_control_sequence_of_the_service_reaches_the_terminal(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = "a\x1b[31mb\x9b1mc\x07\x00\x7f\rd\te\nf"
    with Emulator(Service(responder=lambda _: [nasty])) as emulator:
        assert main(["ask", "Why?", *options, "--base-url", emulator.url]) == 0
    out = capsys.readouterr().out
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out)
    if options:
        assert nasty in {json.loads(line).get("text") for line in out.splitlines()}
    else:
        assert out == "a�[31mb�1mc����d\te\nf\n"


def test_a_reply_that_ends_in_a_line_gets_no_second_line_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(Service(responder=lambda _: ["one\n", "two\n"])) as emulator:
        assert main(["ask", "Why?", "--base-url", emulator.url]) == 0
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_character_that_the_output_lacks_does_not_end_the_reply() -> None:
    with Emulator(Service(responder=lambda _: ["snow \N{SNOWMAN} man"])) as emulator:
        done = subprocess.run(
            [sys.executable, "-m", "ddg_chat", "ask", "Why?", "--base-url", emulator.url],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"snow ? man\n", b"")


def test_a_refusal_is_answered_with_the_challenge_of_an_emulator_in_another_process() -> None:
    arguments = [sys.executable, "-m", "ddg_chat", "emulate", "--challenge"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            done = run("ask", "Why is the sky blue?", "--json", "--base-url", url)
        finally:
            server.send_signal(signal.SIGINT)
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events.count("ChallengeReceived") == 1
    assert events[-1] == "TurnFinished"


# The version


def test_the_version_is_that_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out == f"ddg-chat {__version__}\n"


# models


def test_models_lists_ids_aliases_and_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "gpt-4o-mini  (default, alias gpt-4)"
    assert "o3-mini" in others
    assert len(others) == 4


@pytest.fixture
def listing(tmp_path: Path) -> str:
    """The file of a profile whose service lists its models."""
    profile = tmp_path / "listing.toml"
    profile.write_text(
        'models_path = "/duckchat/v1/models"\n'
        '[[models]]\nid = "big"\nname = "The Big One"\naliases = ["b"]\navailable = false\n'
        '[[models]]\nid = "small"\n'
    )
    return str(profile)


def test_models_lists_those_of_the_service(listing: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--live", "--emulator", "--profile", listing]) == 0
    assert capsys.readouterr().out == "small  (default, small)\nbig  (The Big One, alias b, not for this client)\n"
    assert main(["models", "--profile", listing]) == 0
    assert capsys.readouterr().out == "big  (default, The Big One, alias b, not for this client)\nsmall\n"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--emulator"], 2, "--revision 2026-10 has one"),
        (["--profile", "LISTING", "--emulator", "--fault", "models:403"], 77, "asking again won't help"),
        (["--profile", "LISTING", "--emulator", "--fault", "models:body={}"], 76, "the list of models can't be read"),
    ],
)
def test_a_list_that_can_t_be_had_is_one_sentence(
    options: list[str], code: int, said: str, listing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--live", *(listing if word == "LISTING" else word for word in options)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"ddg-chat: [^\n]*\n", err)
    assert said in err


# Errors


@pytest.mark.usefixtures("waits")
def test_nothing_listening_is_one_sentence_and_code_69(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator() as gone:
        url = gone.url
    assert main(["ask", "Why?", "--base-url", url]) == 69
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"ddg-chat: [^\n]*Connection refused[^\n]*\n", err)


@pytest.mark.usefixtures("waits")
def test_a_person_at_a_terminal_is_told_what_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    with Emulator() as gone:
        url = gone.url
    assert main(["ask", "Why?", "--base-url", url]) == 69
    *notes, _ = capsys.readouterr().err.splitlines()
    assert [note for note in notes if re.fullmatch(r"ddg-chat: will retry in \d s: .*Connection refused", note)]
    assert [note for note in notes if re.fullmatch(r"ddg-chat: waiting to retry: \d+ s", note)]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--model", "gpt-17"], 2, "no model is called 'gpt-17'; the models are: gpt-4o-mini"),
        (["x" * 16_001], 65, "is 16001 characters long, and at most 16000 are sent; shorten it\n"),
        ([" "], 65, "the question is empty"),
        (["half \ud800"], 65, "UTF-8"),
    ],
)
def test_what_can_t_be_asked_is_said_in_a_sentence(
    arguments: list[str], code: int, said: str, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    question = [] if len(arguments) == 1 else ["Why?"]
    assert main(["ask", *question, *arguments, "--base-url", emulator.url]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ddg-chat: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: COMMAND"),
        (["sing"], "invalid choice: 'sing'"),
        (["conversations", "search"], "required: TEXT"),
        (["--", "ask", "Why?"], "ddg-chat: error: "),
        (["ask", "Why?", "--base-url", "http://example.org"], "plain http is for loopback addresses only"),
        (["ask", "Why?", "--base-url", "http://127.0.0.1:1", "--emulator"], "not allowed with"),
    ],
)
def test_a_command_line_that_can_t_be_understood_is_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def every_error() -> list[type[errors.DuckChatError]]:
    found = [errors.DuckChatError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


@pytest.mark.parametrize("kind", every_error())
def test_every_error_of_the_library_has_a_code_that_help_names(kind: type[errors.DuckChatError]) -> None:
    failure = Failure(FailureKind.CUT, "cut")
    error = kind("no", failure=failure) if kind is errors.TransportError else kind("no")
    assert re.search(rf"^  {exit_code(error)} ", EXIT_CODES, re.MULTILINE)


def test_an_error_that_nobody_foresaw_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code(ZeroDivisionError())


@pytest.mark.parametrize("arguments", [["ask", "-"], ["chat"]])
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])  # the second is Python's in the C locale
def test_standard_input_that_is_no_text_is_code_65(
    arguments: list[str], errors: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\xff"), encoding="utf-8", errors=errors))
    assert main([*arguments, "--base-url", "http://127.0.0.1:1"]) == 65
    assert capsys.readouterr().err == (
        "ddg-chat: the byte 0xff on standard input is not UTF-8 text; "
        "convert the input to UTF-8, for example with iconv -f LATIN1 -t UTF-8\n"
    )


# Errors as JSON

MISSING = "the question is missing: ddg-chat ask QUESTION, or - for standard input"


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(
    ("arguments", "code", "members"),
    [
        (
            ["ask", "Why?", "--json", "--emulator", "--fault", "chat:429,type=ERR_USER_LIMIT"],
            75,
            {"kind": "UserLimitError", "status": 429, "type": "ERR_USER_LIMIT"},
        ),
        (
            ["ask", "Why?", "--json", "--emulator", "--retries", "0", "--fault", "chat:429,retry-after=90"],
            75,
            {"kind": "RateLimitError", "status": 429, "retry_after": 90.0},
        ),
        (["ask", "Why?", "--json", "--emulator", "--model", "gpt-17"], 2, {"kind": "ModelNotSupportedError"}),
        (["ask", "Why?", "--json", "--fault", "chat:429"], 2, {"kind": "CommandError"}),
        (["ask", "Why?", "--json", "--profile", "/nowhere"], 74, {"kind": "FileNotFoundError"}),
        (["ask", "Why?", "--json", "--timeout", "soon"], 2, {"kind": "UsageError"}),
        (["ask", "--json"], 2, {"kind": "CommandError", "message": MISSING}),
        (["explain", "garbage!", "--json"], 65, {"kind": "UnsupportedChallenge"}),
    ],
)
def test_an_error_is_one_json_object_where_the_output_is_json(
    arguments: list[str], code: int, members: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    if members["kind"] == "UsageError":
        with pytest.raises(SystemExit, match=str(code)):
            main(arguments)
    else:
        assert main(arguments) == code
    out, err = capsys.readouterr()
    assert err == ""
    error = json.loads(out if arguments[0] == "explain" else out.splitlines()[-1])["error"]
    assert error["message"]
    assert error["exit_code"] == code
    assert {name: error.get(name) for name in members} == members


def test_the_emulator_s_errors_are_json_where_its_lines_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "--json", "--any-history"]) == 2
    out, err = capsys.readouterr()
    assert out == "", "a reader of the address gets nothing else"
    assert json.loads(err)["error"]["kind"] == "CommandError"


def test_a_question_that_speaks_of_json_asks_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ask", "--timeout", "soon", "--", "what is", "--json"])
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"ddg-chat ask: error: [^\n]*\nddg-chat ask --help says what it takes\n", err)


@pytest.mark.parametrize(
    ("arguments", "parser", "says"),
    [
        (["ask", "--emulatr", "Why?"], "ddg-chat ask", "there is no option --emulatr; did you mean --emulator?"),
        (["ask", "--emulatr=1", "Why?"], "ddg-chat ask", "there is no option --emulatr; did you mean --emulator?"),
        (["conversations", "list", "--zz"], "ddg-chat conversations list", "there is no option --zz"),
        (
            ["ask", "Why", "--emulator", "is", "it?"],
            "ddg-chat ask",
            "unexpected arguments: is it?; options come before or after the question",
        ),
        (["doctor", "me"], "ddg-chat doctor", "unexpected arguments: me"),
        (["--emulator", "ask", "Why?"], "ddg-chat", "the command must come first"),
    ],
)
def test_an_argument_that_a_command_does_not_know_is_named_by_that_command(
    arguments: list[str], parser: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert capsys.readouterr().err == f"{parser}: error: {says}\n{parser} --help says what it takes\n"


def test_an_interrupted_reply_keeps_what_came_and_ends_with_code_130() -> None:
    def respond(question: Question) -> Iterator[str]:
        yield "first"
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT)

    with Emulator(Service(responder=respond)) as emulator:
        arguments = [sys.executable, "-m", "ddg_chat", "ask", "Why?", "--base-url", emulator.url]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with process:
            out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, err) == (130, "")
    assert out in ("", "\n", "first\n"), "the interrupt may come before the text does"


def test_a_reader_that_has_gone_is_no_error_to_talk_about() -> None:
    with Emulator(Service(responder=lambda _: ["x" * 1000] * 1000)) as emulator:
        arguments = [sys.executable, "-m", "ddg_chat", "ask", "Why?", "--base-url", emulator.url]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            assert process.stderr.read() == b""
    assert process.returncode == 141


# Help


def test_help_names_every_command_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert EXIT_CODES in said
    assert all(name in said for name in COMMANDS)


def test_help_imports_nothing_that_it_does_not_use() -> None:
    program = (
        "import sys\nfrom ddg_chat.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit(bool({'ddg_protocol', 'ddg_transports', 'msgspec', 'asyncio'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=True, timeout=TIMEOUT)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: ddg-chat {command}" in capsys.readouterr().out
