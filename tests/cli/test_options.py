"""The options of `ddg-chat ask` and `chat`, its pipes and files, its completion, and how soon it is there."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import shutil
import stat
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers import microsocks, tinyproxy

from ddg_chat.main import COMMANDS, main
from ddg_protocol.service import Service
from ddg_protocol.service.script import fault_from_text
from ddg_protocol.transcript import Transcript
from ddg_transports.emulator import Emulator

TIMEOUT = 60.0  # for what never ends, on the slowest of machines
PROGRAM = [sys.executable, "-m", "ddg_chat"]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Service(responder=lambda question: [f"You asked: {question.text}"])) as running:
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def asked(emulator: Emulator) -> list[str]:
    """The questions that reached the service."""
    bodies = [json.loads(exchange.request.body) for exchange in emulator.service.log if exchange.endpoint == "chat"]
    return [body["messages"][-1]["content"] for body in bodies]


def with_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


# Pipes


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["-"], "one\ntwo"),
        (["Summarise", "this:", "-"], "Summarise this:\n\none\ntwo"),
        (["Before:", "-", "And", "after."], "Before:\n\none\ntwo\n\n\nAnd after."),
    ],
)
def test_what_comes_through_a_pipe_is_a_part_of_the_question(
    arguments: list[str], question: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_input(monkeypatch, b"one\ntwo\n")
    assert main(["ask", *arguments, "--base-url", emulator.url]) == 0
    assert [text.rstrip("\n") for text in asked(emulator)] == [question]


def test_a_pipeline_of_a_shell(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("zwölf Boxkämpfer\n" * 100, encoding="utf-8")
    line = f'cat notes.txt | "{sys.executable}" -m ddg_chat ask - --base-url {emulator.url} | tail -n 1'
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, timeout=TIMEOUT, check=True)
    assert (done.stdout.decode(), done.stderr) == ("zwölf Boxkämpfer\n", b"")


def test_standard_input_can_be_read_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "-", "and", "-", "--emulator"]) == 2
    assert capsys.readouterr().err == "ddg-chat: standard input can be read only once; use one -\n"


def test_nothing_comes_through_the_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with_input(monkeypatch, b"\n")
    assert main(["ask", "-", "--emulator"]) == 65
    assert "the question is empty" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell closes them")
@pytest.mark.parametrize(("streams", "code"), [("<&-", 65), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 65)])
def test_standard_streams_may_be_closed_from_the_beginning(streams: str, code: int, emulator: Emulator) -> None:
    question = "-" if "<" in streams else "Why?"
    line = f'"{sys.executable}" -m ddg_chat ask {question} --base-url {emulator.url} {streams}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=TIMEOUT, check=False)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert asked(emulator) == ([] if code else ["Why?"])


BREAKS_OFF = """
import sys
import types
from ddg_chat import main

def run(args):
    print("not written yet")
    raise OSError(28, "No space left on device")

sys.modules["breaks_off"] = types.SimpleNamespace(run=run, configure=lambda parser: None)
main.COMMANDS["models"] = ("breaks_off", "breaks off")
sys.exit(main.main(["models"]))
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_is_still_to_be_written_when_a_command_fails_does_not_change_its_exit_code() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", BREAKS_OFF]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=buffered, timeout=TIMEOUT, check=False)
    assert (done.returncode, done.stderr) == (74, b"ddg-chat: [Errno 28] No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_can_t_be_written_is_a_sentence(emulator: Emulator) -> None:
    with open("/dev/full", "w") as full:
        arguments = [*PROGRAM, "ask", "Why?", "--base-url", emulator.url]
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)
    assert done.returncode == 74
    assert re.fullmatch(rb"ddg-chat: [^\n]*No space left on device\n", done.stderr)


def test_a_chat_through_pipes_keeps_replies_and_all_else_apart(
    emulator: Emulator, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_input(monkeypatch, b"One?\n/save both\n\nTwo\\\nand a half?\n/quit\nThree?\n")
    assert main(["chat", "--base-url", emulator.url]) == 0
    out, err = capsys.readouterr()
    assert out == "You asked: One?\nYou asked: Two\nand a half?\n"
    assert err == f"saved as both, in {home / 'ddg-chat' / 'conversations'}\n"
    assert asked(emulator) == ["One?", "Two\nand a half?"]


def test_a_chat_through_pipes_ends_with_the_first_refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_input(monkeypatch, b"One?\nTwo?\nThree?\n")
    assert main(["chat", "--emulator", "--fault", "chat:429,type=ERR_USER_LIMIT,first=2"]) == 75
    out, err = capsys.readouterr()
    assert "One?" in out
    assert "Three?" not in out
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("/export ~nobody-has-this-name/x.md", 74, "No such file or directory"),
        ("/export a\0b", 74, "can't be the name of a file"),
        ("/export ~\0b", 74, "can't be the name of a file"),
        ("/export /dev/null/x", 74, "Not a directory"),
        ("/sing", 2, "there is no command /sing"),
        ("/\x1b[2J", 2, "there is no command /\N{REPLACEMENT CHARACTER}[2J"),
    ],
)
def test_a_command_that_can_t_be_carried_out_is_a_sentence(
    command: str,
    code: int,
    said: str,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_input(monkeypatch, f"One?\n{command}\n".encode())
    assert main(["chat", "--base-url", emulator.url]) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_chat_whose_reader_has_gone_ends(emulator: Emulator) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed:
        done = subprocess.run(
            [*PROGRAM, "chat", "--base-url", emulator.url],
            input=b"One?\nTwo?\n",
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")
    assert asked(emulator) == ["One?"]


# Ways


@pytest.mark.parametrize("transport", ["sockets", "httpcore", "http2"])
def test_each_transport_carries_the_question(
    transport: str, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "Why?", "--transport", transport, "--base-url", emulator.url]) == 0
    assert capsys.readouterr().out == "You asked: Why?\n"


@pytest.mark.deep("proxies of others")
@pytest.mark.parametrize("proxy", [tinyproxy, microsocks])
def test_a_proxy_carries_the_question(
    proxy: object, emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with proxy(tmp_path) as url:  # type: ignore[operator]
        assert main(["ask", "Why?", "--proxy", url, "--base-url", emulator.url]) == 0
    assert capsys.readouterr().out == "You asked: Why?\n"


def test_a_proxy_that_isn_t_there_is_said_without_its_password(
    emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    with Emulator() as gone:
        proxy = gone.url.replace("http://", "http://user:secret@")
    assert main(["ask", "Why?", "--retries", "0", "--proxy", proxy, "--base-url", emulator.url]) == 69
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"ddg-chat: [^\n]*the proxy\n", err)
    assert "secret" not in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--proxy", "ftp://h:1"], "a proxy is http://, https:// or socks5://"),
        (["--proxy", "http://"], "a proxy is http://, https:// or socks5://"),
        (["--proxy", "http://h:x"], "a proxy is http://, https:// or socks5://"),
        (["--proxy", "http://me:p@ss@h:1"], "in a password, write / as %2F"),
        (["--proxy", "http://me:80/secret@h:1"], "in a password, write / as %2F"),
        (["--proxy", "http://me:80?secret@h:1"], "in a password, write / as %2F"),
        (["--proxy", "http://me:80#secret@h:1"], "in a password, write / as %2F"),
        (["--proxy", "http://me:gehéim@h:1"], "[USER:PASSWORD@]HOST:PORT, in ASCII"),
        (["--timeout", "0"], "must be a number of seconds above 0"),
        (["--timeout", "nan"], "must be a number of seconds above 0"),
        (["--timeout", "1e300"], "at most 86400"),
        (["--timeout", "soon"], "must be a number of seconds above 0"),
        (["--retries", "-1"], "must be a whole number from 0 to 9999"),
        (["--retries", "1.5"], "must be a whole number from 0 to 9999"),
        (["--transport", "pigeon"], "invalid choice: 'pigeon'"),
        (["--fault", "chat:nonsense"], "argument --fault: "),
        (["--fault", "chat:42"], "argument --fault: refuse.status must be a whole number from 200 to 599\n"),
    ],
)
def test_an_option_that_can_t_be_understood_says_what_could_be(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["ask", "Why?", *options])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert said in err
    assert "secret" not in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--blank-texts"], "--record FILE"),
        (["--fault", "chat:429"], "add --emulator"),
        (["--challenge"], "add --emulator"),
        (["--proxy", "http://127.0.0.1:1", "--transport", "sockets"], "--transport sockets doesn't support proxies"),
    ],
)
def test_options_that_do_not_go_together_say_which_would(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "Why?", "--base-url", "http://127.0.0.1:1", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_lenient_is_what_it_is_if_strict_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["ask", "Why?", "--emulator", "--fault", "chat:event=garbage"]
    assert main(arguments) == 0
    assert main([*arguments, "--strict"]) == 76


def test_a_connection_that_can_t_be_made_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    script = [fault_from_text("status:cut=0,then=hang,of=wire")]
    with Emulator(Service(script=script)) as emulator:
        assert main(["ask", "Why?", "--timeout", "0.2", "--retries", "0", "--base-url", emulator.url]) == 75
    assert "allow more time with --timeout" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("library", "arguments", "said"),
    [
        ("h2", ["ask", "Why?", "--emulator", "--transport", "http2"], "HTTP/2 needs h2: pip install h2"),
        (
            "socksio",
            ["ask", "Why?", "--emulator", "--proxy", "socks5://127.0.0.1:1"],
            "a SOCKS proxy needs socksio: pip install socksio",
        ),
        ("shtab", ["completion", "bash"], "pip install shtab"),
        ("trustme", ["emulate", "--tls"], "pip install trustme"),
    ],
)
def test_a_library_that_isn_t_installed_is_named(
    library: str, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


# Files


def test_a_profile_changes_what_it_names(emulator: Emulator, tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(
        '[identity]\nuser_agent = "mine/1.0"\nsec_ch_ua = ""\n\n[[models]]\nid = "gpt-4o-mini"\naliases = ["mini"]\n'
    )
    assert main(["ask", "Why?", "--model", "mini", "--profile", str(profile), "--base-url", emulator.url]) == 0
    request = emulator.service.log[-1].request
    assert dict(request.headers)["user-agent"] == "mine/1.0"
    assert json.loads(request.body)["model"] == "gpt-4o-mini"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"models = ", "Invalid value"),
        (b"colour = 'blue'", "`colour`"),
        (b"models = 3", "`models`"),
        (b"minimum_interval = -1", "minimum_interval"),
        (b"origin = 'http://example.org'", "loopback"),
        (b"models = []", "model"),
        (b"\xff\xfe", "it is not UTF-8 text at position 0; save it as UTF-8"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"status_path = 'a\\u001b[2J'", "status_path"),
        (None, "No such file or directory"),
    ],
)
def test_a_profile_that_can_t_be_used_says_where(
    written: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "profile.toml"
    if written is not None:
        profile.write_bytes(written)
    assert main(["ask", "Why?", "--base-url", "http://127.0.0.1:1", "--profile", str(profile)]) == 74
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"ddg-chat: [^\x00-\x1f\x7f-\x9f]+\n", err)
    assert err.startswith(f"ddg-chat: {profile}: ")
    assert said in err


def test_a_record_can_be_replayed_and_has_no_secrets(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.jsonl"
    assert main(["ask", "Why is it?", "--record", str(file), "--base-url", emulator.url]) == 0
    token = next(value for name, value in emulator.service.log[-1].request.headers if name == "x-vqd-4")
    assert token not in file.read_text()
    assert "Why is it?" in file.read_text()
    assert main(["replay", str(file)]) == 0
    assert "the same: " in capsys.readouterr().out


def test_a_replay_shows_what_it_does_in_the_time_that_it_took(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.jsonl"
    assert main(["ask", "Why?", "--record", str(file), "--base-url", emulator.url]) == 0
    capsys.readouterr()
    waits: list[float] = []
    monkeypatch.setattr("ddg_chat.replay.sleep", waits.append)
    assert main(["replay", "--show", "--real-time", str(file)]) == 0
    *actions, summary = capsys.readouterr().out.splitlines()
    assert {"type": "TextDelta", "text": "You asked: Why?"} in map(json.loads, actions)
    assert summary.startswith(f"the same: {len(actions)} actions, ")
    assert len(waits) == len(actions)
    assert min(waits) >= 0


def test_a_record_without_texts(emulator: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    assert main(["ask", "Why is it?", "--record", str(file), "--blank-texts", "--base-url", emulator.url]) == 0
    assert "Why is it?" not in file.read_text()


def test_a_record_of_what_went_wrong_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.jsonl"
    assert main(["ask", "Why?", "--emulator", "--fault", "chat:410", "--record", str(file)]) == 1
    assert "--record FILE records what the service sent" in capsys.readouterr().err
    assert main(["replay", str(file)]) == 0
    assert Transcript.read(file.read_bytes()).lines


def test_the_conversations_of_a_chat_are_recorded_in_one_file(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.jsonl"
    with_input(monkeypatch, b"One?\n/new\nTwo?\n")
    assert main(["chat", "--record", str(file), "--base-url", emulator.url]) == 0
    assert list(tmp_path.glob("run*")) == [file]
    one, two = Transcript.read(file.read_bytes()).chats()
    assert "One?" in repr(one)
    assert "Two?" in repr(two)
    capsys.readouterr()
    assert main(["replay", str(file)]) == 0
    assert capsys.readouterr().out.startswith("the same: 2 chats, ")


@pytest.mark.skipif(os.name != "posix", reason="the rights of POSIX")
@pytest.mark.parametrize("kind", ["--record", "/export", "--html"])
def test_nobody_else_can_read_a_file_that_is_written_for_a_person(
    kind: str, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, record = tmp_path / "file", tmp_path / "run.jsonl"
    before = os.umask(0)
    try:
        if kind == "/export":
            with_input(monkeypatch, f"Why?\n/export {file}\n".encode())
            assert main(["chat", "--quiet", "--base-url", emulator.url]) == 0
        else:
            run = record if kind == "--html" else file
            assert main(["ask", "Why?", "--base-url", emulator.url, "--record", str(run)]) == 0
        if kind == "--html":
            assert main(["inspect", str(record), "--html", str(file)]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "/"])
def test_a_record_needs_the_name_of_a_file(name: str, emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Why?", "--base-url", emulator.url, "--record", name]) == 74
    assert "can't be the name of a file" in capsys.readouterr().err


def test_a_record_replaces_no_file(emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.jsonl"
    file.write_text("mine")
    assert main(["ask", "Why?", "--record", str(file), "--base-url", emulator.url]) == 74
    assert capsys.readouterr().err == f"ddg-chat: {file} already exists; name another file, or remove it first\n"
    assert file.read_text() == "mine"
    assert not emulator.service.log


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs /dev/null")
def test_a_record_can_go_to_a_device(emulator: Emulator) -> None:
    assert main(["ask", "Why?", "--record", "/dev/null", "--base-url", emulator.url]) == 0


def test_an_emulator_of_the_command_s_own_asks_for_a_challenge(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Why?", "--emulator", "--challenge", "--json"]) == 0
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events.count("ChallengeReceived") == 1


def test_a_record_that_can_t_be_written_is_said_before_anything_is_asked(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nowhere" / "run.jsonl"
    assert main(["ask", "Why?", "--record", str(file), "--base-url", emulator.url]) == 74
    assert capsys.readouterr().err == f"ddg-chat: {file}: No such file or directory\n"
    assert not emulator.service.log


def test_a_replay_that_differs_shows_no_control_sequence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.jsonl"
    with Emulator(Service(responder=lambda _: ["the reply"])) as emulator:
        assert main(["ask", "Why?", "--record", str(file), "--base-url", emulator.url]) == 0
    recorded = file.read_text(encoding="utf-8")
    changed = recorded.replace('"TextDelta","text":"the reply"', '"TextDelta","text":"\\u009b2J\\u001b[2J\x7f"')
    assert changed != recorded
    file.write_text(changed, encoding="utf-8")
    capsys.readouterr()
    assert main(["replay", str(file)]) == 1
    out = capsys.readouterr().out
    assert "no longer the same" in out
    assert "2J" in out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)


# Help, completion, and the start


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_usual_terminal(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*([command] if command else []), "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_breaks_no_word_on_a_narrow_terminal(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for width in (24, 1000):
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit):
            main([*([command] if command else []), "--help"])
        _, said[width] = capsys.readouterr().out.split("\n\n", 1)  # the usage has its own rules
    assert said[24].split() == said[1000].split()
    assert all(len(line) <= 24 or len(line.split()) <= 2 for line in said[24].splitlines())


COMPLETE = """
. "$1"
function=$(complete -p ddg-chat | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$function
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ddg-chat", "co"], {"conversations", "completion"}),
        (["ddg-chat", "ask", "--re"], {"--retries", "--record"}),
        (["ddg-chat", "ask", "--transport", "h"], {"httpcore", "http2"}),
        (["ddg-chat", "ask", "--model", "o"], {"o3-mini"}),
        (["ddg-chat", "ask", "--model", "gpt-"], {"gpt-4o-mini", "gpt-5.6-luna"}),
        (["ddg-chat", "conversations", "e"], {"export"}),
        (["ddg-chat", "completion", ""], {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes_the_command_line(
    words: list[str], offered: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", script, *words], capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    assert done.stderr == ""
    assert offered <= set(done.stdout.split())


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef ddg-chat"), ("fish", "complete -c ddg-chat")])
def test_other_shells_get_a_script_of_theirs(shell: str, mark: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert mark in out
    assert all(command in out for command in COMMANDS)
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=out, text=True, timeout=TIMEOUT, check=True)


def seconds_of(*arguments: str) -> float:
    """Run a process; gives the time that processors spent on it, which others on this machine don't add to."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, timeout=TIMEOUT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.deep("a measurement beside another")
def test_help_is_there_in_two_fifths_of_the_time_that_a_peer_takes_to_import() -> None:
    pytest.importorskip("aiohttp")
    rounds = [(seconds_of("-m", "ddg_chat", "--help"), seconds_of("-c", "import aiohttp")) for _ in range(5)]
    help_, peer = map(statistics.median, zip(*rounds, strict=True))
    assert help_ <= 0.4 * peer
