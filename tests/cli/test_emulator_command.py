"""``ddg-chat emulate``: as a process of its own, what its options mean, and what it says while it serves."""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace
from support.cases import each_of
from support.paths import TRANSCRIPTS
from support.tiers import thinned

from ddg_chat import emulate
from ddg_chat._seen import RequestsSeen
from ddg_chat.main import main, make_parser
from ddg_protocol import DUCKDUCKGO_2025_04, Policy, RateLimitError, Session, TurnStarted
from ddg_protocol.events import LandingPageFailed, LimitReached
from ddg_protocol.revisions import DUCK_AI_2026_10
from ddg_protocol.service import Checks, Service, ServiceRequest
from ddg_protocol.service.script import fault_from_text
from ddg_protocol.testing import Run
from ddg_transports.blocking import Client

COMMAND = """
import argparse, sys
from ddg_chat import emulate
parser = argparse.ArgumentParser(prog="ddg-chat emulate")
emulate.configure(parser)
sys.exit(emulate.run(parser.parse_args()))
"""


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals can't be sent to one process there")
@pytest.mark.parametrize("number", thinned([signal.SIGINT, signal.SIGTERM], one_in=2, reason="a process each"))
def test_it_says_where_it_listens_and_serves_until_interrupted(number: signal.Signals) -> None:
    with started("--challenge") as process:
        assert process.stdout is not None
        url = process.stdout.readline().rstrip("\n")
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=20)) as connection:
            connection.request("GET", "/aichat", headers={"user-agent": "test", "accept": "text/html"})
            assert connection.getresponse().status == 200
            process.send_signal(number)
            said, told = process.communicate(timeout=20)
    assert said == ""
    line, summary = told.splitlines()
    # Its end may come before it has seen that the client has it all.
    assert re.fullmatch(r"\d\d:\d\d:\d\d GET /aichat: 200; (complete|under way), 185 bytes", line)
    assert summary == "ddg-chat emulate: 1 request (1 landing)"
    assert process.returncode == 0


def test_a_port_that_is_taken_is_one_sentence_and_exit_code_74(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["emulate", "--port", str(port)]) == 74
    said, complained = capsys.readouterr()
    assert said == ""
    assert re.fullmatch(rf"ddg-chat: can't listen on 127\.0\.0\.1, port {port}: .*in use\n", complained)


def test_an_address_beyond_the_loopback_comes_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        assert main(["emulate", "--host", "0.0.0.0", "--port", str(taken.getsockname()[1])]) == 74
    warning, _ = capsys.readouterr().err.splitlines()
    assert warning == (
        "ddg-chat emulate: warning: 0.0.0.0 is no loopback address; whoever reaches it can use the emulator"
    )


@pytest.mark.skipif(find_spec("trustme") is None, reason="needs trustme (the extra tls)")
def test_a_name_that_no_certificate_can_be_for_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "--cert-for", "a b"]) == 2
    assert "no certificate can be made for a b" in capsys.readouterr().err


@each_of(
    "argument, says",
    [
        *((f"--port={port}", "a port is a number from 0 to 65535") for port in ("65536", "-1", "x", "٣")),
        *((f"--host={host}", "must be an address such as 127.0.0.1") for host in ("localhost", "", "1.2.3", "::g")),
        *((f"--words-per-second={rate}", "a number of words from 0.001") for rate in ("0", "x", "nan", "inf")),
        *((f"--cors={origin}", "an origin has no path") for origin in ("http://a/", "a", "http://a\r\nb: c", "")),
        ("--delay=0", "a number of seconds above 0"),
        ("--fault=chat:frobnicate", "'frobnicate' is no effect; the effects are refuse, "),
        ("--revision=1999", "invalid choice"),
    ],
)
def test_an_argument_that_is_none_is_a_usage_error(
    argument: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["emulate", argument])
    assert left.value.code == 2
    assert says in capsys.readouterr().err


@each_of(
    "arguments, says",
    [
        ("--any-history", "--any-history goes with --strict"),
        ("--transcript x --strict --reply y --cors *", "--transcript has all the responses; leave out --strict"),
        ("--transcript x --fault chat:429", "leave out --fault"),
    ],
)
def test_options_that_contradict_each_other_are_named(
    arguments: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emulate", *arguments.split()]) == 2
    assert says in capsys.readouterr().err


def listening(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_faults_come_from_the_command_line_and_from_a_file(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text('[[fault]]\non = "landing"\ntimes = 1\neffects = [{ do = "refuse", status = 503 }]\n')
    faults = ("--fault", "chat:429,type=ERR_RATE_LIMIT,times=1", "--fault", "chat:done=[DONE][LIMIT_ENTITY]")
    with (
        started("--script", str(script), *faults) as process,
        Client(DUCKDUCKGO_2025_04.at(listening(process)), policy=Policy(max_retries=0)) as client,
    ):
        chat = client.chat()
        with chat.stream("Why?") as refused:
            events = refused.events()
            assert [type(next(events)) for _ in range(2)] == [TurnStarted, LandingPageFailed]
            with pytest.raises(RateLimitError):
                next(events)
        with chat.stream("Why?") as reply:
            assert LimitReached("entity") in list(reply.events())


@pytest.mark.skipif(find_spec("trustme") is None, reason="needs trustme (the extra tls)")
def test_https_with_the_ca_in_a_file(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    with started("--tls", "--ca-file", str(ca_file)) as process:
        url = listening(process)
        assert url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=ca_file)
        profile = DUCKDUCKGO_2025_04.at(url, minimum_interval=0.0)
        with Client(profile, ssl_context=trusting) as client:
            assert client.chat().ask("Why?").text


@each_of(
    "option, content, code, says",
    [
        ("--script", b"[[fault]]", 74, "`on`"),
        ("--script", None, 74, "No such file"),
        ("--script", b"x", 74, "not TOML"),
        ("--script", b"\xff", 74, "can't decode"),
        ("--reply", b"\xff", 74, "the reply is not UTF-8 text"),
        ("--transcript", b"x", 65, "line 1"),
        ("--transcript", None, 74, "No such file"),
        ("--ca-file", None, 74, "No such file"),
    ],
)
def test_a_file_that_can_not_be_used_is_one_sentence(
    option: str, content: bytes | None, code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if option == "--ca-file":
        pytest.importorskip("trustme")
    file = tmp_path / ("missing/file" if content is None else "file")
    if content is not None:
        file.write_bytes(content)
    assert main(["emulate", option, str(file)]) == code
    said, complained = capsys.readouterr()
    assert said == ""
    assert complained.startswith(f"ddg-chat: {file}: ")
    assert says in complained
    assert complained.count("\n") == 1


def test_every_fault_of_the_help_is_one() -> None:
    examples = re.findall(r"^    (\w+:\S+)", emulate.FAULTS, re.MULTILINE)
    assert len(examples) >= 8
    for example in examples:
        fault_from_text(example)


# The service that the options make


def parsed(*arguments: str) -> Namespace:
    return make_parser(["emulate"]).parse_args(["emulate", *arguments])


def service_of(*arguments: str) -> Service:
    return emulate._service(parsed(*arguments))


def test_the_options_reach_the_service() -> None:
    assert service_of().checks == Checks()
    assert service_of("--strict").checks == Checks.strict()
    assert service_of("--strict", "--any-history").checks == replace(Checks.strict(), history=False)
    assert service_of("--cors", "http://[::1]:3000")._cors == "http://[::1]:3000"
    assert service_of("--revision", "2026-10").profile == DUCK_AI_2026_10
    run = Run(Session(), service_of("--reply", "One two.", "--delay", "2", "--words-per-second", "4"))
    before = run.clock()
    assert run.ask("Why?").text == "One two."  # type: ignore[union-attr]
    assert run.clock() - before == pytest.approx(3 * 1.5 + 2 + 4 * 0.25)  # pacing, the delay, four pieces


def test_a_reply_is_a_text_a_file_or_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reply.txt").write_text("from a file ☃\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("from standard input ☃".encode())))
    replies = ["a text", str(tmp_path / "reply.txt"), "-"]
    found = [Run(Session(), service_of("--reply", reply)).ask("Why?").text for reply in replies]  # type: ignore[union-attr]
    assert found == ["a text", "from a file ☃\n", "from standard input ☃"]


def test_a_transcript_is_served() -> None:
    run = Run(Session(), emulate._transcript(str(TRANSCRIPTS / "two-turns.jsonl")))
    assert run.ask("Anything") is not None


# What it says while it serves


def seen(run: Callable[[Service, RequestsSeen], object], service: Service, **settings: bool) -> list[str]:
    out = io.StringIO()
    seen = RequestsSeen(out, **settings)
    run(service, seen)
    seen.summarize(service.unmet_faults)
    return out.getvalue().splitlines()


def send(service: Service, seen: RequestsSeen, target: str = "/aichat", *headers: tuple[str, str]) -> None:
    response = service.handle(ServiceRequest("GET", target, headers), now=0.0)
    for _ in response.pieces:
        pass
    seen(response)


def test_a_line_says_the_time_the_request_its_status_its_end_and_the_script() -> None:
    service = Service(script=[fault_from_text("landing:cut=3,times=1"), fault_from_text("chat:429,drip=1")])

    def run(service: Service, seen: RequestsSeen) -> None:
        send(service, seen)
        send(service, seen, "/duckchat/v1/status")
        seen("a TLS handshake failed: \x1b[2J")

    lines = seen(run, service)
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "TIME ", line) for line in lines] == [
        "TIME GET /aichat: 200; broken off, 3 bytes; by the script: cut",
        "TIME GET /duckchat/v1/status: 400 ERR_BAD_REQUEST (x-vqd-accept must be 1); complete, 90 bytes",
        "TIME a TLS handshake failed: \N{REPLACEMENT CHARACTER}[2J",
        (
            "ddg-chat emulate: 2 requests (1 landing, 1 status); refused 1 with 400 ERR_BAD_REQUEST; "
            "no request met the fault at chat: refuse, drip"
        ),
    ]


def test_header_fields_are_shown_with_secrets_cut() -> None:
    secret = ("cookie", "session=0123456789abcdef"), ("Authorization", "abc"), ("x-odd", "\x1b[2J\n")

    def run(service: Service, seen: RequestsSeen) -> None:
        send(service, seen, "/duckchat/v1/status", ("x-vqd-accept", "1"), *secret)

    lines = seen(run, Service(), headers=True)
    assert "  > x-vqd-accept: 1" in lines
    assert "  > cookie: session=... (24 characters)" in lines
    assert "  > Authorization: a... (3 characters)" in lines
    assert "  > x-odd: \N{REPLACEMENT CHARACTER}[2J" in lines
    assert [line for line in lines if re.fullmatch(r"  < x-vqd-4: 4-\d{6}\.\.\. \(41 characters\)", line)]


def test_each_line_can_be_json() -> None:
    service = Service(script=[fault_from_text("landing:split=1"), fault_from_text("chat:503")])

    def run(service: Service, seen: RequestsSeen) -> None:
        send(service, seen)
        send(service, seen, "/x", ("cookie", "session=0123456789abcdef"))
        seen("a note")

    first, second, note, last = map(json.loads, seen(run, service, headers=True, as_json=True))
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first.pop("response_headers")[0] == ["date", "Thu, 01 Jan 1970 00:00:00 GMT"]
    assert first == {
        "method": "GET",
        "target": "/aichat",
        "endpoint": "landing",
        "status": 200,
        "error": "",
        "reason": "",
        "ended": "complete",
        "bytes": 185,
        "script": ["split"],
        "request_headers": [],
    }
    assert (second["endpoint"], second["error"], second["request_headers"]) == (
        None,
        "ERR_NOT_FOUND",
        [["cookie", "session=... (24 characters)"]],
    )
    assert note.keys() == {"time", "note"}
    counts = {"requests": 2, "endpoints": {"landing": 1, "no endpoint": 1}, "refused": {"404 ERR_NOT_FOUND": 1}}
    assert last == {"summary": counts | {"unmet_faults": ["chat: refuse"]}}


def test_it_goes_on_when_nobody_reads_what_it_says() -> None:
    out = io.StringIO()
    seen = RequestsSeen(out)
    out.close()
    seen("a note")
    seen.summarize()
