"""``ddg-chat emulate`` as a process of its own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

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
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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


def test_a_port_that_is_taken_is_one_sentence_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with emulate("--port", str(port)) as process:
            said, complained = process.communicate(timeout=20)
    assert process.returncode == 74
    assert said == ""
    assert re.fullmatch(rf"ddg-chat emulate: can't listen on 127\.0\.0\.1, port {port}: .*in use\n", complained)


@pytest.mark.parametrize("port", ["65536", "-1", "x", "٣"])
def test_a_port_that_is_none_is_a_usage_error(port: str) -> None:
    with emulate(f"--port={port}") as process:
        _, complained = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "a port is a number from 0 to 65535" in complained
