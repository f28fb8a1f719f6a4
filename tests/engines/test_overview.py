"""Each engine says who holds what, and changes nothing by it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddg_protocol.coordination import Claim, Claimed, Hold, Mark, Refused, Release, Reserve, Slot
from ddg_protocol.errors import EngineUnavailable
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine


def reserve(nonce: str, **changes: Any) -> Reserve:
    return Reserve(nonce=nonce, interval=60.0, window=1.0, max_wait=1000.0, **changes)


def claim(engine: Any, key: str, holder: str, lease: float = 90.0) -> Claimed:
    claimed = engine.call(Claim(key=key, holder=holder, lease=lease))
    assert isinstance(claimed, Claimed)
    return claimed


def test_who_waits_and_who_has_a_conversation(open_engine: Callable[[], Any]) -> None:
    with open_engine() as engine:
        empty = engine.overview(interval=60.0)
        assert (empty.queue, empty.held, empty.fe_version, empty.conversations) == ((), 0.0, "", ())
        assert 60.0 <= empty.next_slot <= 61.0, "an earlier life may have given a slot"
        first = engine.call(reserve("a", need=2, fetches=True))
        second = engine.call(reserve("b", ticket="", fe_version="serp_1"))
        assert isinstance(first, Slot)
        assert isinstance(second, Slot)
        marked = claim(engine, "größe/1", "holder1")
        engine.call(Mark(key="größe/1", fence=marked.fence, lease=90.0))
        claim(engine, "sky", "holder2", lease=50.0)
        done = claim(engine, "done", "holder3")
        engine.call(Release(key="done", fence=done.fence, revision=0))
        claim(engine, "over", "holder4", lease=0.0)
        for _ in range(2):  # to look changes nothing
            seen = engine.overview(interval=60.0, window=1.0)
            assert [(turn.ticket, turn.requests) for turn in seen.queue] == [
                (int(first.ticket), 2),
                (int(second.ticket), 1),
            ]
            refused = engine.call(Reserve(nonce="c", interval=60.0, window=1.0, max_wait=0.0))
            assert isinstance(refused, Refused)
            assert refused.wait == pytest.approx(seen.next_slot, abs=5.0)
            held = {one.key: one for one in seen.conversations}
            assert {key: (one.holder, one.marked) for key, one in held.items()} == {
                "größe/1": ("holder1", True),
                "sky": ("holder2", False),
            }
            assert 40.0 < held["sky"].ends <= 50.0
        engine.call(Hold(seconds=5000.0))
        seen = engine.overview(interval=60.0)
        assert 4990.0 < seen.held <= 5000.0
        assert seen.next_slot >= seen.held


def test_another_boot_has_no_queue_and_no_leases(tmp_path: Path) -> None:
    with SqliteEngine(tmp_path) as engine:
        engine.call(Hold(seconds=5000.0))
        engine.call(reserve("a"))
        claim(engine, "sky", "holder")
    for name, table in (("pace.db", "pace"), ("conversations.db", "lease")):
        connection = sqlite3.connect(tmp_path / name)
        with connection:
            connection.execute(f"UPDATE {table} SET boot = 'another'")
        connection.close()
    with SqliteEngine(tmp_path) as engine:
        seen = engine.overview(interval=60.0)
    assert (seen.queue, seen.conversations) == ((), ())
    assert seen.held > 4000.0


class Without:
    """A client of another family: it has what the engine needs, and nothing else."""

    def __init__(self, client: Any) -> None:
        self.evalsha, self.eval = client.evalsha, client.eval


def test_a_client_that_can_t_list_keys_says_nothing_of_conversations(server: Any) -> None:
    engine = ValkeyEngine(Without(server.client()))
    claim(engine, "sky", "holder")
    assert engine.overview(interval=1.5).conversations is None


def test_a_server_that_doesn_t_answer_or_holds_something_else_says_so(server: Any) -> None:
    server.client().hset("ddg:1:{default}:pace", "times", "soon")
    with ValkeyEngine(server.url) as engine, pytest.raises(EngineUnavailable, match="the stored pace can't be read"):
        engine.overview(interval=1.5)
    server.client().set("ddg:1:{c:sky}", "text")
    with ValkeyEngine(server.url) as engine, pytest.raises(EngineUnavailable, match=r"127\.0\.0\.1.*WRONGTYPE"):
        engine.overview(interval=1.5)
    with ValkeyEngine("valkey://127.0.0.1:1") as engine, pytest.raises(EngineUnavailable, match="can't be reached"):
        engine.overview(interval=1.5)
