"""The same random calls at the same times: each engine answers as the rules do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from support.engines import AtTime, Model, Player, Step, histories
from support.stores import Store
from support.tiers import examples

from ddg_transports.engines import sqlite
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine

BEGIN = 1_764_331_122_123_456  # with as many digits as a server's clock has


class Time:
    """A clock that the test sets, in microseconds."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> int:
        return self.now


def compare(engine: Any, time: Time, history: list[Step]) -> None:
    model, real = Player(Model(time)), Player(engine)
    for number, step in enumerate(history):
        time.now += step.wait
        expected, found = model.play(step), real.play(step)
        assert found == expected, f"call {number}: {step.make({})}"


@given(history=histories(goes_back=False))
@settings(max_examples=examples(500, default=15))
def test_sqlite_answers_as_the_rules_do(history: list[Step], tmp_path_factory: pytest.TempPathFactory) -> None:
    time = Time()
    with pytest.MonkeyPatch.context() as patch, SqliteEngine(tmp_path_factory.mktemp("engine")) as engine:
        patch.setattr(sqlite, "_now", time)
        compare(engine, time, history)


@pytest.mark.deep("it needs a server")
def test_a_server_answers_as_the_rules_do(server: Store) -> None:
    client = server.client()

    @given(history=histories(goes_back=True))
    @settings(max_examples=examples(200))
    def check(history: list[Step]) -> None:
        client.flushall()
        time = Time()
        compare(ValkeyEngine(AtTime(client, time)), time, history)

    check()
