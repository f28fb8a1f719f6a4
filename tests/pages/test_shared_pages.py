"""The pages on several processes are true: their settings and figures are the code's, and so are the messages."""

from __future__ import annotations

import os
import re

from support.documents import code_words, read, table
from support.paths import ROOT

from ddg_protocol import Session
from ddg_protocol.coordination import Call, Claim, Commit, Coordination, Mark, MemoryEngine, Reserve, Result
from ddg_protocol.coordination._pace import MAX_PLACES
from ddg_protocol.coordination._turns import MAX_REPLY_BYTES, MAX_TURNS
from ddg_protocol.coordination.calls import MAX_KEY_CHARS
from ddg_protocol.service import Service
from ddg_protocol.testing import Clock, Run

PAGE = "docs/more-than-one-process.md"

SOURCES = (
    *(ROOT / "ddg_protocol" / "coordination").glob("*.py"),
    *(ROOT / "transports" / "ddg_transports" / "engines").glob("*.py"),
)
SQLITE = ("database or disk is full", "database is locked")  # in its own words


def test_each_message_of_the_runbook_is_one_of_an_engine() -> None:
    code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text(encoding="utf-8") for path in SOURCES))
    rows = re.findall(r"^\| one sees \| (.*) \|$", read("docs/runbook.md"), re.MULTILINE)
    said = [word.removeprefix("EngineUnavailable: ") for row in rows for word in code_words(row) if " " in word]
    parts = [part.strip(" ()") for word in said for part in re.split(r"\.\.\.|\d+ ?s?|\(", word)]
    parts = [part for part in parts if part and part not in SQLITE]
    assert len(rows) == len(re.findall(r"^## (?!What to look)", read("docs/runbook.md"), re.MULTILINE))
    assert len(parts) > 10
    assert [part for part in parts if part not in code] == []


def test_the_settings_have_their_defaults() -> None:
    rows = {row["setting"].strip("`"): row["default"] for row in table(PAGE, "Settings")}
    given = Coordination()
    assert given.max_wait is None
    assert rows == {
        "lease": f"{given.lease:g} s",
        "window": f"{given.window:g} s",
        "max_wait": "`Policy.turn_timeout`",
        "on_busy": f'`"{given.on_busy}"`',
    }


def test_the_bounds_of_the_page_are_those_of_the_code() -> None:
    text = read(PAGE)
    assert f"last {MAX_TURNS} turns with a key, up to {MAX_REPLY_BYTES // 2**20} MiB" in text
    assert f"at most {MAX_PLACES:,} turns" in text
    assert f"text of 1 to {MAX_KEY_CHARS} characters" in text


def test_the_rights_of_the_page_are_those_that_a_test_shows_to_suffice() -> None:
    (rights,) = re.findall(r'^RIGHTS = "(.*)"$', read("tests/engines/test_valkey_server.py"), re.MULTILINE)
    assert f"`{rights}`" in read(PAGE)


class Counted:
    """An engine that notes what it is asked."""

    def __init__(self, clock: Clock) -> None:
        self.calls: list[type[Call]] = []
        self._engine = MemoryEngine(lambda: clock.now)

    def call(self, call: Call) -> Result:
        self.calls.append(type(call))
        return self._engine.call(call)


def test_a_turn_with_one_request_makes_as_many_calls_as_the_page_says() -> None:
    clock, service = Clock(0.0), Service()
    engine = Counted(clock)
    found = []
    for waits in (0.0, 0.5, 5.0):
        clock.now += waits
        engine.calls.clear()
        session = Session(coordination=Coordination(key="c"), random_bytes=os.urandom)
        Run(session, service, clock=clock, engine=engine).ask("Why?")
        found.append(list(engine.calls))
    assert found[1] == [Claim, Reserve, Reserve, Mark, Commit]
    assert found[2] == [Claim, Reserve, Mark, Commit]
    assert "5 with one request: claim, slot, confirmation, mark, commit; 4 if nobody queues" in read(PAGE)
