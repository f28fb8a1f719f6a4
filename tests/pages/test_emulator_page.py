"""docs/emulator.md: its tables are the code's, and its examples in other languages run against an emulator."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support import chromium
from support.documents import files, read, table

from ddg_chat.main import make_parser
from ddg_protocol.service import Checks, Service
from ddg_transports.emulator import Emulator

PAGE = "docs/emulator.md"
HERE = "http://127.0.0.1:8000"  # where the page's emulator listens
REPLY = "Because of scattering, ☃."


def test_every_check_has_its_row() -> None:
    rows = table(PAGE, "What it asks of clients")
    assert [row["check"] for row in rows] == [f"`{name}`" for name in Checks.__struct_fields__]
    for row in rows:
        name = row["check"].strip("`")
        asked = (getattr(Checks(), name), getattr(Checks.strict(), name))
        assert (row["default"] == "yes", row["strict"] == "yes") == asked


def test_every_option_of_the_command_is_on_the_page() -> None:
    (commands,) = [action for action in make_parser(["emulate"])._actions if action.dest == "command"]
    assert isinstance(commands.choices, dict)
    options = [name for action in commands.choices["emulate"]._actions for name in action.option_strings]
    assert set(options) - set(re.findall(r"-[-\w]+", read(PAGE))) == {"-h", "--help", "--verbose"}


def program(name: str) -> str:
    """Return the path of a program, or skip the test."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} on PATH: the example for it isn't run")
    return path


def printed(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def emulator() -> Iterator[Emulator[Service]]:
    with Emulator(Service(responder=lambda question: REPLY)) as emulator:
        yield emulator


@pytest.mark.deep("curl")
def test_curl_prints_the_stream(emulator: Emulator[Service], tmp_path: Path) -> None:
    program("curl")
    said = printed(program("sh"), "-c", files(PAGE)["chat.sh"].replace(HERE, emulator.url), folder=tmp_path)
    assert '"message":"scattering, "' in said
    assert said.endswith("data: [DONE]\n\n")


@pytest.mark.deep("Node.js")
def test_node_holds_two_turns(emulator: Emulator[Service], tmp_path: Path) -> None:
    node, file = program("node"), tmp_path / "chat.mjs"
    file.write_text(files(PAGE)[file.name], encoding="utf-8")
    assert printed(node, file, emulator.url, folder=tmp_path) == f"{REPLY}\n{REPLY}\n"
    assert [len(exchange.request.body) > 150 for exchange in emulator.service.log if exchange.endpoint == "chat"] == [
        False,
        True,
    ]


@pytest.mark.deep("Go")
def test_go_prints_the_reply(emulator: Emulator[Service], tmp_path: Path) -> None:
    go, file = program("go"), tmp_path / "chat.go"
    file.write_text(files(PAGE)[file.name], encoding="utf-8")
    assert printed(go, "run", file, emulator.url, folder=tmp_path) == f"{REPLY}\n"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder, as ``python3 -m http.server`` does."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@chromium.needs_chromium
@pytest.mark.parametrize("allowed", ["its origin", "any", "none"])
def test_a_page_of_another_origin_shows_the_reply_if_it_is_allowed(allowed: str, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    with served(folder) as origin:
        cors = {"its origin": origin, "any": "*", "none": ""}[allowed]
        with Emulator(Service(responder=lambda question: REPLY, cors=cors)) as emulator:
            (folder / "chat.html").write_text(files(PAGE)["chat.html"].replace(HERE, emulator.url), encoding="utf-8")
            browser = chromium.started(lambda: chromium.Browser(tmp_path))
            try:
                browser.open(f"{origin}/chat.html")
                if allowed == "none":
                    asked = "{headers: {'x-vqd-accept': '1'}}"
                    outcome = browser.run(
                        f"fetch('{emulator.url}/duckchat/v1/status', {asked}).then(() => 'read', () => 'refused')"
                    )
                    assert outcome == "refused"
                    assert browser.run("document.getElementById('reply').textContent") == ""
                else:
                    browser.until("document.title === 'done'")
                    assert browser.run("document.getElementById('reply').textContent") == REPLY
            finally:
                browser.close()
    statuses = [(exchange.request.method, exchange.status) for exchange in emulator.service.log]
    if allowed == "none":
        assert set(statuses) == {("OPTIONS", 405)}
    else:
        assert statuses == [("OPTIONS", 200), ("GET", 200), ("OPTIONS", 200), ("POST", 200)]
