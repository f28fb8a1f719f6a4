"""The same random calls at the same times: each engine answers as the rules do."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from support.engines import AtTime, Model, Player, Step, histories
from support.stores import Store
from support.tiers import examples

from ddg_protocol.coordination import Claim, Claimed, Commit, _scripts
from ddg_protocol.coordination._turns import MAX_EARLIER
from ddg_protocol.errors import EngineUnavailable
from ddg_transports.engines import sqlite
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine

PACE = b"ddg:1:{default}:pace"
BEGIN = 1_764_331_122_123_456  # with as many digits as a server's clock has


class Time:
    """A clock that the test sets, in microseconds."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> int:
        return self.now


def another_life(client: Any) -> None:
    """Have a server find that its pace is of an earlier run."""
    if client.exists(PACE):
        client.hset(PACE, "epoch", "0:0")


def never() -> None:
    raise AssertionError


def many_turns() -> list[Step]:
    """More turns than are remembered, then replies of which not all are kept; each is asked for again."""

    def claim(turn: str) -> Step:
        return Step(1, "k", lambda _: Claim(key="k", holder=f"h{next(number)}", lease=1.0, turn=turn, take_over=True))

    def commit(turn: str, reply: bytes) -> Step:
        def make(given: list[tuple[Any, Claimed]]) -> Commit:
            last = given[-1][1]
            return Commit(
                key="k",
                fence=last.fence,
                revision=last.revision,
                document=b"d",
                turn=turn,
                reply=reply if turn else b"",
            )

        return Step(1, "k", make)

    number = itertools.count()
    done = [(f"{turn}" if turn % 5 else "", b"%d" % turn) for turn in range(70)]
    done += [("a", bytes(1 << 21)), ("b", bytes(1 << 21)), ("c", b"c"), ("d", bytes(1 << 20)), ("e", b"e")]
    done += [("f", bytes(1 << 22)), ("g", bytes((1 << 22) + 1))]
    turns = [step for turn, reply in done for step in (claim(turn), commit(turn, reply), commit(turn, reply))]
    return [*turns, *(claim(turn) for turn, _ in done)]


def late_claims() -> list[Step]:
    """More holders than are remembered, then the claim of each once more; the last of them has the lease."""

    def claim(number: int, *, take_over: bool) -> Step:
        return Step(1, "k", lambda _: Claim(key="k", holder=f"h{number}", lease=60.0, take_over=take_over))

    holders = range(MAX_EARLIER + 4)
    return [claim(number, take_over=again) for again in (True, False) for number in holders]


def compare(engine: Any, time: Time, history: list[Step], new_life: Callable[[], None]) -> None:
    rules = Model(time)
    model, real = Player(rules, rules.new_life), Player(engine, new_life)
    for number, step in enumerate(history):
        time.now += step.wait
        expected, found = model.play(step), real.play(step)
        assert found == expected, f"call {number}: {step.make([])}"


@given(history=histories(goes_back=False))
@settings(max_examples=examples(120))
def test_sqlite_answers_as_the_rules_do(history: list[Step], tmp_path_factory: pytest.TempPathFactory) -> None:
    time = Time()
    folder = tmp_path_factory.mktemp("engine")
    with pytest.MonkeyPatch.context() as patch, SqliteEngine(folder) as engine:
        patch.setattr(sqlite, "_now", time)

        def new_life() -> None:
            connection = sqlite3.connect(folder / "pace.db")
            with connection:
                connection.execute("UPDATE pace SET boot = 'another'")
            connection.close()

        compare(engine, time, history, new_life)


def test_sqlite_keeps_of_many_turns_what_the_rules_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time()
    monkeypatch.setattr(sqlite, "_now", time)
    with SqliteEngine(tmp_path) as engine:
        compare(engine, time, many_turns(), never)


def test_sqlite_remembers_as_many_holders_as_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time()
    monkeypatch.setattr(sqlite, "_now", time)
    with SqliteEngine(tmp_path) as engine:
        compare(engine, time, late_claims(), never)


@pytest.mark.deep("it needs a server")
def test_a_server_remembers_as_many_holders_as_the_rules(server: Store) -> None:
    time = Time()
    compare(ValkeyEngine(AtTime(server.client(), time)), time, late_claims(), never)


@pytest.mark.deep("it needs a server")
def test_a_server_keeps_of_many_turns_what_the_rules_say(server: Store) -> None:
    time = Time()
    compare(ValkeyEngine(AtTime(server.client(), time)), time, many_turns(), never)


@pytest.mark.deep("it needs a server")
def test_a_server_answers_as_the_rules_do(server: Store) -> None:
    client = server.client()
    scripts = AtTime(client, lambda: time.now)
    time = Time()

    @given(history=histories(goes_back=True))
    @settings(max_examples=examples(75))
    def check(history: list[Step]) -> None:
        client.flushall()
        time.now = BEGIN
        compare(ValkeyEngine(scripts), time, history, lambda: another_life(client))

    check()


MISTAKES = [
    ("free + interval", "free"),
    ("number < ticket and", "number > ticket and"),
    ("requests * (interval + window)", "requests * interval"),
    ("local start = math.max(now, held)", "local start = now"),
    ("if now < time then", "if false then"),
    ("last = now + MAX_WINDOW", "last = NEVER"),
    ("or place.till < now", ""),
    ("given.nonce == nonce\n", "false\n"),
    ("return its and fetch and", "return false and"),
    ("tonumber(ARGV[3]) == fence and not ended", "not ended"),
    ("tonumber(ARGV[4]) ~= revision or not is_holder", "not is_holder"),
    ("redis.call('HGET', key, 'k:' .. turn)", "false"),
    ("sent or marked", "sent"),
    ("math.max(fence + 1, now)", "fence + 1"),
    ("now < till and not ended", "false"),
    ("claimed ~= 0 or had_it", "claimed ~= 0 or claims == holder"),
    ("> MAX_EARLIER", "> MAX_EARLIER - 1"),
]


@pytest.mark.deep("it needs a server")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_script_is_found(server: Store, mistake: tuple[str, str]) -> None:
    client, time = server.client(), Time()
    assert mistake[0] in _scripts.PACE + _scripts.CONVERSATION
    scripts = AtTime(client, time, mistake=mistake)

    @given(history=histories(goes_back=True))
    @example(history=late_claims())
    @settings(max_examples=300, database=None, phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False)
    def check(history: list[Step]) -> None:
        client.flushall()
        time.now = BEGIN
        compare(ValkeyEngine(scripts), time, history, lambda: another_life(client))

    with pytest.raises((AssertionError, EngineUnavailable)):
        check()
