"""Thousands of conversations over ten workers that are killed and stopped. `DDG_CONVERSATIONS` says how many.

Those who want the whole of it, and its figures::

    DDG_CONVERSATIONS=10000 pytest --deep -s tests/engines/test_many_conversations.py
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from support import balanced
from support.balanced import Lock, Windowless
from support.stores import store

from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine

MANY = int(os.environ.get("DDG_CONVERSATIONS", "400"))
MEMORY = Path("/dev/shm")
FEW = 150  # for the controls

pytestmark = [
    pytest.mark.deep("it kills processes, for half a minute"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
Open = Callable[[str], Any]


@pytest.fixture(params=["sqlite", "valkey-server"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens an engine; those of one name keep one pace."""
    if request.param == "sqlite":
        # In memory: a process that is killed loses nothing of a file, and how slow a disk is shows nothing here.
        with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
            yield lambda name: SqliteEngine(Path(folder) / name)
        return
    with store(request.param, tmp_path / "server") as server:
        yield lambda name: ValkeyEngine(server.url, scope=name)


def test_no_turn_is_lost_or_doubled_and_the_pace_is_kept(
    opened: Open, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    found = balanced.run(lambda: opened("turns"), lambda: opened("pace"), conversations=MANY)
    with capsys.disabled():
        print(f"\n{request.node.callspec.id}: {found}")
    assert found.faults() == {}
    assert found.turns > MANY
    assert found.kills >= MANY // 50
    assert found.pauses >= MANY // 100


@pytest.mark.skipif(not balanced.LOCKS.exists(), reason="this system doesn't tell who has a lock")
def test_the_balancer_knows_who_stands_still_in_a_transaction(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path)
    with engine, contextlib.closing(sqlite3.connect(tmp_path / "conversations.db", isolation_level=None)) as connection:
        connection.execute("SELECT count(*) FROM lease").fetchone()
        assert not balanced.has_write_lock(os.getpid())
        connection.execute("BEGIN IMMEDIATE")
        assert balanced.has_write_lock(os.getpid())
        connection.execute("ROLLBACK")
        assert not balanced.has_write_lock(os.getpid())


def test_with_a_lock_alone_turns_are_lost_or_have_other_replies(opened: Open) -> None:
    found = balanced.run(lambda: Lock(opened("turns")), lambda: opened("pace"), conversations=FEW)
    assert {"other"} <= set(found.faults())


def test_without_a_window_the_interval_is_not_kept(opened: Open) -> None:
    found = balanced.run(lambda: opened("turns"), lambda: Windowless(opened("pace")), conversations=FEW)
    assert set(found.faults()) == {"gap"}
