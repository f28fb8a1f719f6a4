"""How invocations of ``ddg-chat`` keep the pace together: by default, by ``--shared``, and not with ``--alone``."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.stores import PROGRAMS, store

from ddg_chat._errors import CommandError
from ddg_chat._shared import address, engine_for, open_engine, shown
from ddg_chat.main import main
from ddg_protocol import DUCKDUCKGO_2025_04
from ddg_protocol.coordination import Hold
from ddg_protocol.service import Service, ServiceRequest, ServiceResponse
from ddg_transports.emulator import Emulator
from ddg_transports.engines.sqlite import SqliteEngine

TIMEOUT = 60.0  # for what never ends, on the slowest of machines
LOCAL = DUCKDUCKGO_2025_04.at("http://127.0.0.1:8000")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of ``ddg-chat``."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "ddg-chat"


@pytest.fixture
def emulator() -> Iterator[Emulator[Service]]:
    with Emulator(Service(responder=lambda question: [f"You asked: {question.text}"])) as running:
        yield running


def test_each_address_has_a_pace_of_its_own_in_the_data_folder(data: Path) -> None:
    assert engine_for(None, DUCKDUCKGO_2025_04, emulates=False) == data / "shared" / "https-duckduckgo.com"
    elsewhere = DUCKDUCKGO_2025_04.at("https://[::1]:8443")
    assert engine_for(None, elsewhere, emulates=False) == data / "shared" / "https-___1__8443"


def test_what_needs_no_pace_or_has_no_folder_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_for(None, LOCAL, emulates=False) is None, "an address of this machine has no minimum interval"
    assert engine_for(None, DUCKDUCKGO_2025_04, emulates=True) is None
    assert engine_for("none", DUCKDUCKGO_2025_04, emulates=False) is None
    monkeypatch.setattr("ddg_chat._shared.find_spec", lambda _: None)
    assert engine_for(None, DUCKDUCKGO_2025_04, emulates=False) is None, "platformdirs isn't installed"


@pytest.mark.skipif(os.name != "posix", reason="paths of POSIX")
def test_a_url_names_a_folder_or_a_server() -> None:
    for url in ("sqlite:///var/lib/my%20bot", "sqlite:////var/lib/my bot"):
        assert engine_for(address(url), LOCAL, emulates=True) == Path("/var/lib/my bot")
    for url in (
        "redis://cache",
        "rediss://u:p@cache:6380/1",
        "valkey://[::1]",
        "valkeys://cache",
        "unix:///run/v.sock",
    ):
        assert engine_for(address(url), LOCAL, emulates=True) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "an engine is sqlite:///FOLDER, redis://HOST:PORT"),
        ("/var/lib/assistant", "an engine is sqlite:///FOLDER"),
        ("http://cache", "an engine is sqlite:///FOLDER"),
        ("redis:cache", "an engine is sqlite:///FOLDER"),
        ("redis://[", "an engine is sqlite:///FOLDER"),
        ("sqlite://lib/assistant", "the folder is named by its whole path"),
        ("sqlite:assistant", "the folder is named by its whole path"),
        ("sqlite:///a#b", "the folder is named by its whole path"),
        ("sqlite:///a%00b", "the folder is named by its whole path"),
        ("redis://", "the URL's host and port can't be read"),
        ("redis://cache:0", "the URL's host and port can't be read"),
        ("redis://:secret/@cache", "in a password, write / as %2F"),
        ("redis://me:12/secret@cache", "in a password, write / as %2F"),
        ("redis://me:12#secret@cache", "# as %23"),
        ("redis://me:12?secret@cache", "? as %3F"),
    ],
)
def test_what_is_no_engine_is_refused_and_nothing_of_it_is_shown(url: str, said: str) -> None:
    with pytest.raises(ArgumentTypeError) as refused:
        address(url)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    url = "redis://me:secret@cache:6380/1?password=secret"
    assert shown(address(url)) == "redis://cache:6380/1"
    monkeypatch.setenv("DDG_CHAT_SHARED", url)
    for arguments in (["config"], ["config", "--json"]):
        assert main(arguments) == 0
        out, _ = capsys.readouterr()
        assert "redis://cache:6380/1" in out
        assert "secret" not in out


def test_an_option_of_the_library_that_it_does_not_have_is_said_without_the_url() -> None:
    pytest.importorskip("valkey")
    with pytest.raises(CommandError, match="the library doesn't take this URL") as refused:
        open_engine("valkey://:secret@cache?socket_timeout=secret")
    assert "secret" not in str(refused.value)


def test_without_a_client_library_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "valkey", None)
    monkeypatch.setitem(sys.modules, "redis", None)
    assert main(["ask", "Why?", "--base-url", LOCAL.origin, "--shared", "redis://:secret@cache"]) == 2
    assert capsys.readouterr().err == "ddg-chat: redis://cache needs a client library: pip install valkey\n"


def test_the_command_line_goes_over_what_is_set(
    data: Path, emulator: Emulator[Service], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DDG_CHAT_SHARED", f"sqlite://{tmp_path}/set")
    assert main(["ask", "Why?", "--base-url", emulator.url, "--alone"]) == 0
    assert not (tmp_path / "set").exists()
    assert main(["ask", "Why?", "--base-url", emulator.url, "--shared", f"sqlite://{tmp_path}/given"]) == 0
    assert not (tmp_path / "set").exists()
    assert main(["ask", "Why?", "--base-url", emulator.url]) == 0
    assert (tmp_path / "set" / "pace.db").exists()
    assert not data.exists()


def test_a_retry_after_that_another_command_met_is_kept_to(
    emulator: Emulator[Service], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ["--base-url", emulator.url, "--shared", f"sqlite://{tmp_path}/shared"]
    with SqliteEngine(tmp_path / "shared") as engine:
        engine.call(Hold(seconds=5000.0))
    assert main(["ask", "Why?", *shared]) == 75
    assert "the next request may begin in 5000 s, which is longer than this turn waits" in capsys.readouterr().err
    assert not emulator.service.log


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("PRAGMA user_version = 9", "has version 9, and this version of ddg-protocol reads 1"),
        ("PRAGMA application_id = 5", "is a database of another program"),
    ],
)
def test_an_engine_that_can_t_be_used_says_what_to_do(
    harm: str, said: str, tmp_path: Path, emulator: Emulator[Service], capsys: pytest.CaptureFixture[str]
) -> None:
    SqliteEngine(tmp_path / "shared").close()
    with sqlite3.connect(tmp_path / "shared" / "pace.db") as connection:
        connection.execute(harm)
    connection.close()
    shared = ["--base-url", emulator.url, "--shared", f"sqlite://{tmp_path}/shared"]
    assert main(["ask", "Why?", *shared]) == 69
    err = capsys.readouterr().err
    assert said in err
    assert err.endswith("; --shared URL names another engine, and --alone does without one\n")
    assert not emulator.service.log, "nothing is asked without the pace"
    assert main(["ask", "Why?", *shared, "--json"]) == 69
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "EngineUnavailable"


def test_a_data_folder_that_can_t_be_made_says_what_to_do(
    data: Path, tmp_path: Path, emulator: Emulator[Service], capsys: pytest.CaptureFixture[str]
) -> None:
    data.parent.mkdir()
    data.write_text("in its place")
    profile = tmp_path / "slow.toml"
    profile.write_text("minimum_interval = 0.001\n")
    asks = ["ask", "Why?", "--base-url", emulator.url, "--profile", str(profile)]
    assert main(asks) == 69
    err = capsys.readouterr().err
    assert err.startswith(f"ddg-chat: {data / 'shared'}")
    assert err.endswith("; --shared URL names another engine, and --alone does without one\n")
    assert main([*asks, "--alone"]) == 0


# Several processes

INTERVAL = 0.8


class Timed(Service):
    """Notes when requests come."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
        self.times.append(now)
        return super().handle(request, now=now)

    @property
    def least_gap(self) -> float:
        return min(later - earlier for earlier, later in itertools.pairwise(self.times))


class Asking:
    """A process that asks two questions of a service with a minimum interval."""

    def __init__(self, url: str, folder: Path, *options: str) -> None:
        profile = folder / "slow.toml"
        profile.write_text(f"minimum_interval = {INTERVAL}\n")
        command = [sys.executable, "-m", "ddg_chat", "chat", "--base-url", url, "--profile", str(profile), *options]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ended(self) -> None:
        """Let it go on to its end."""
        _, err = self._process.communicate("One?\nTwo?\n", timeout=TIMEOUT)
        assert (self._process.returncode, err) == (0, "")


def asked_by_three(folder: Path, *options: str) -> Timed:
    """Let three processes ask at once, and return the service that they asked."""
    with Emulator(Timed()) as emulator, ThreadPoolExecutor() as pool:
        processes = [Asking(emulator.url, folder, *options) for _ in range(3)]
        list(pool.map(Asking.ended, processes))
        return emulator.service


def fetches(service: Service) -> int:
    return sum(exchange.endpoint == "front_end" for exchange in service.log)


@pytest.mark.deep("three processes ask for ten seconds")
def test_processes_keep_the_pace_together_and_fetch_the_front_end_once(tmp_path: Path, data: Path) -> None:
    service = asked_by_three(tmp_path)
    # A request may come to the service late, and the next one not: more than half of the interval is left, however.
    assert service.least_gap > INTERVAL / 2
    assert fetches(service) == 1
    (folder,) = (data / "shared").iterdir()
    assert folder.name.startswith("http-127.0.0.1_")


@pytest.mark.deep("three processes ask for ten seconds")
def test_processes_that_go_alone_do_not(tmp_path: Path, data: Path) -> None:
    service = asked_by_three(tmp_path, "--alone")
    # Each keeps the interval, so the starts of three can't all be half of it apart.
    assert service.least_gap < INTERVAL / 2
    assert fetches(service) == 3
    assert not (data / "shared").exists()


@pytest.mark.deep("three processes ask for ten seconds")
@pytest.mark.parametrize("program", PROGRAMS)
def test_processes_keep_the_pace_together_through_a_server(program: str, tmp_path: Path) -> None:
    with store(program, tmp_path / "server") as server:
        service = asked_by_three(tmp_path, "--shared", server.url)
    assert service.least_gap > INTERVAL / 2
    assert fetches(service) == 1
