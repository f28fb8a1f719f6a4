"""`ddg-chat pace` says what a request waits for and who asks where; `ddg-chat doctor` whether the engine answers."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.stores import PROGRAMS, store

from ddg_chat._store import Store
from ddg_chat.main import main
from ddg_protocol.coordination import Claim, Claimed, Hold, Mark, Reserve
from ddg_protocol.service import Service
from ddg_transports.emulator import Emulator
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of ``ddg-chat``."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "ddg-chat"


@pytest.fixture
def engine(data: Path) -> Path:
    """The folder of the engine for the service's own address."""
    return data / "shared" / "https-duckduckgo.com"


def fill(engine: Any) -> None:
    """Let turns wait, have conversations, and meet a Retry-After."""
    for number in range(3):
        engine.call(Reserve(nonce=f"n{number}", interval=60.0, window=0.05, need=2, max_wait=1000.0))
    engine.call(Reserve(nonce="n3", interval=60.0, window=0.05, max_wait=1000.0, fe_version="serp_1"))
    claimed = engine.call(Claim(key="user/17\x1b[2J", holder="3fa9c1d2e4", lease=80.0))
    assert isinstance(claimed, Claimed)
    engine.call(Mark(key="user/17\x1b[2J", fence=claimed.fence, lease=80.0))
    engine.call(Hold(seconds=500.0))


def lines(capsys: pytest.CaptureFixture[str], *arguments: str, command: str = "pace", code: int = 0) -> list[str]:
    assert main([command, *arguments]) == code
    out, err = capsys.readouterr()
    assert err == ""
    return [re.sub(r"\d+\.\d s", "N s", line) for line in out.splitlines()]


def test_nobody_has_asked_yet_and_a_look_makes_nothing(
    data: Path, engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines(capsys) == [
        "pace at https://duckduckgo.com: N s between requests",
        f"  kept in {engine}, which is not there yet; the first question makes it",
    ]
    assert f"  {engine}: is not there yet; the first question makes it" in lines(capsys, command="doctor")
    assert not data.exists()


def test_who_waits_for_what_is_said(data: Path, engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SqliteEngine(engine) as opened:
        fill(opened)
    (data / "conversations").mkdir()
    with Store(data / "conversations").turn("sky"):
        *said, asking, has = lines(capsys)
    assert said == [
        "pace at https://duckduckgo.com: N s between requests",
        f"  kept in {engine}",
        "  next request  in N s, behind 4 turns",
        "  held          for N s, as the service has asked (Retry-After)",
        "  front end     version serp_1",
        "  turn 1        2 requests to make; its place passes in N s",
        "  turn 2        2 requests to make; its place passes in N s",
        "  turn 3        2 requests to make; its place passes in N s",
        "  turn 4        1 request to make; its place passes in N s",
    ]
    assert re.fullmatch(rf"  sky           process {os.getpid()} has been asking since [-\d]+ [:\d]+", asking)
    assert has == (
        "  user/17\N{REPLACEMENT CHARACTER}[2J   turn 3fa9c1d2… has it, and may have sent its question; "
        "its lease ends in N s"
    )
    assert any(
        line.startswith(f"  {engine}: answers; a request may begin in ") for line in lines(capsys, command="doctor")
    )


def test_json_has_all_of_it(data: Path, engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SqliteEngine(engine) as opened:
        fill(opened)
    (data / "conversations").mkdir()
    with Store(data / "conversations").turn("sky"):
        assert main(["pace", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["service"], found["interval"], found["engine"]) == ("https://duckduckgo.com", 1.5, str(engine))
    assert [(turn["ticket"], turn["requests"]) for turn in found["queue"]] == [(1, 2), (2, 2), (3, 2), (4, 1)]
    assert 400 < found["held"] <= 500 <= found["next_slot"] + 5
    (conversation,) = found["conversations"]
    assert (conversation["key"], conversation["holder"], conversation["marked"]) == (
        "user/17\x1b[2J",
        "3fa9c1d2e4",
        True,
    )
    (asking,) = found["asking"]
    assert (asking["conversation"], asking["process"]) == ("sky", os.getpid())


def test_a_fetch_of_the_front_end_and_a_long_queue(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SqliteEngine(engine) as opened:
        opened.call(Reserve(nonce="first", interval=0.0, window=0.05, fetches=True, max_wait=9.0))
        for number in range(30):
            opened.call(Reserve(nonce=f"n{number}", interval=60.0, window=0.05, max_wait=9000.0))
    said = lines(capsys)
    assert "  front end     a turn has been fetching its version for N s" in said
    assert said[-1] == "  and 10 more"
    assert len(said) == 25


def test_an_address_without_an_interval_has_no_pace_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, "--base-url", "http://127.0.0.1:8000") == [
        "pace at http://127.0.0.1:8000: 0 s between requests",
        "  each command keeps its own: http://127.0.0.1:8000 has no minimum interval",
    ]
    assert lines(capsys, "--shared", "none")[1] == "  each command keeps its own: so it is set (--alone, --shared none)"
    with Emulator(Service()) as emulator:
        said = lines(capsys, "--emulator", command="doctor")
        assert "  each command keeps its own: an emulator of its own needs none" in said
        assert main(["doctor", "--base-url", emulator.url]) == 0


def test_without_platformdirs_there_is_no_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ddg_chat._shared.find_spec", lambda _: None)
    assert "a common one needs platformdirs (pip install platformdirs), or --shared URL" in lines(capsys)[1]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: sql(path, "PRAGMA user_version = 9"), "has version 9, and this version of ddg-protocol reads 1"),
        (lambda path: sql(path, "UPDATE pace SET state = x'02'"), "the stored pace is of version 2"),
        (lambda path: path.write_bytes(b"not a database" * 100), "file is not a database"),
    ],
)
def test_an_engine_that_can_t_be_used_is_a_finding(
    harm: Any, said: str, engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with SqliteEngine(engine) as opened:
        opened.call(Hold(seconds=1.0))
    harm(engine / "pace.db")
    assert main(["pace"]) == 69
    err = capsys.readouterr().err
    assert said in err
    assert err.endswith("; --shared URL names another engine, and --alone does without one\n")
    assert main(["pace", "--json"]) == 69
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "EngineUnavailable"
    assert main(["doctor", "--json"]) == 69
    pace = json.loads(capsys.readouterr().out)["pace"]
    assert (pace["answers"], pace["exit_code"], said in pace["error"]) == (False, 69, True)
    assert said in "\n".join(lines(capsys, command="doctor", code=69))


def sql(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def test_a_service_is_not_asked_while_it_wants_no_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SqliteEngine(tmp_path / "engine") as opened:
        opened.call(Hold(seconds=5000.0))
    with Emulator(Service()) as emulator:
        shared = ["--base-url", emulator.url, "--shared", f"sqlite://{tmp_path}/engine"]
        said = lines(capsys, *shared, command="doctor", code=75)
        assert not emulator.service.log
    assert said[-1].startswith("  was not asked: the next request may begin in ")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_server_says_the_same_and_no_password_is_shown(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with store(program, tmp_path / "server") as server:
        server.client().config_set("requirepass", "secret")
        url = server.url.replace("//", "//:secret@")
        with ValkeyEngine(url) as opened:
            fill(opened)
        said = lines(capsys, "--shared", url)
        assert said[1:4] == [
            f"  kept in {server.url}",
            "  next request  in N s, behind 4 turns",
            "  held          for N s, as the service has asked (Retry-After)",
        ]
        assert said[-1].endswith("turn 3fa9c1d2… has it, and may have sent its question; its lease ends in N s")
        assert main(["pace", "--shared", server.url.replace("//", "//:secret2@")]) == 69
        err = capsys.readouterr().err
        assert "it refuses the user name or the password" in err
        assert "secret" not in err
    assert main(["doctor", "--shared", url]) == 69
    out = capsys.readouterr().out
    assert f"  {server.url}: {server.url}: it can't be reached" in out
    assert "secret" not in out
