"""``ddg-chat emulate`` as a process of its own."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.tiers import thinned

from ddg_protocol import DUCKDUCKGO_2025_04, Policy, RateLimitError, TurnStarted
from ddg_protocol.events import LandingPageFailed, LimitReached
from ddg_protocol.service.script import fault_from_text
from ddg_transports.blocking import Client

COMMAND = """
import argparse, sys
from ddg_chat import emulate
parser = argparse.ArgumentParser(prog="ddg-chat emulate")
emulate.configure(parser)
sys.exit(emulate.run(parser.parse_args()))
"""


@contextmanager
def emulate(*arguments: str) -> Iterator[subprocess.Popen[str]]:
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
    with emulate("--challenge") as process:
        assert process.stdout is not None
        url = process.stdout.readline().rstrip("\n")
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=20)) as connection:
            connection.request("GET", "/aichat", headers={"user-agent": "test", "accept": "text/html"})
            assert connection.getresponse().status == 200
            process.send_signal(number)
            assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


def test_a_port_that_is_taken_is_one_sentence_and_exit_code_74() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with emulate("--port", str(port)) as process:
            said, complained = process.communicate(timeout=20)
    assert process.returncode == 74
    assert said == ""
    assert re.fullmatch(rf"ddg-chat emulate: can't listen on 127\.0\.0\.1, port {port}: .*in use\n", complained)


@pytest.mark.parametrize("port", thinned(["65536", "-1", "x", "٣"], one_in=4, reason="a process each"))
def test_a_port_that_is_none_is_a_usage_error(port: str) -> None:
    with emulate(f"--port={port}") as process:
        _, complained = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "a port is a number from 0 to 65535" in complained


def listening(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_faults_come_from_the_command_line_and_from_a_file(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text('[[fault]]\non = "landing"\ntimes = 1\neffects = [{ do = "refuse", status = 503 }]\n')
    faults = ("--fault", "chat:429,type=ERR_RATE_LIMIT,times=1", "--fault", "chat:done=[DONE][LIMIT_ENTITY]")
    with (
        emulate("--script", str(script), *faults) as process,
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
    with emulate("--tls", "--ca-file", str(ca_file)) as process:
        url = listening(process)
        assert url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=ca_file)
        profile = DUCKDUCKGO_2025_04.at(url, minimum_interval=0.0)
        with Client(profile, ssl_context=trusting) as client:
            assert client.chat().ask("Why?").text


def test_a_fault_that_is_none_is_a_usage_error_that_says_what_there_is() -> None:
    with emulate("--fault", "chat:frobnicate") as process:
        _, complained = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "'frobnicate' is no effect; the effects are refuse, " in complained


@pytest.mark.parametrize(
    ("content", "says"),
    thinned([("[[fault]]", "`on`"), (None, "No such file"), ("x", "not TOML")], one_in=3, reason="a process each"),
)
def test_a_script_that_can_not_be_used_is_one_sentence(tmp_path: Path, content: str | None, says: str) -> None:
    script = tmp_path / "script.toml"
    if content is not None:
        script.write_text(content)
    with emulate("--script", str(script)) as process:
        said, complained = process.communicate(timeout=20)
    assert process.returncode == 74
    assert said == ""
    assert complained.startswith(f"ddg-chat emulate: {script}: ")
    assert says in complained
    assert complained.count("\n") == 1


def test_every_fault_of_the_help_is_one() -> None:
    with emulate("--help") as process:
        said, _ = process.communicate(timeout=20)
    examples = re.findall(r"^    (\w+:\S+)", said, re.MULTILINE)
    assert len(examples) >= 8
    for example in examples:
        fault_from_text(example)
