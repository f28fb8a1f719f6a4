"""The engines that come with the package keep the contract, in real time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.stores import Store

from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine
from ddg_transports.testing.engine_contract import CHECKS, check

pytestmark = pytest.mark.deep("half a minute each, for the engine's clock")


def assert_kept(factory: Callable[[], AbstractContextManager[object]]) -> None:
    report = check(factory)
    assert report.kept, str(report)
    assert len(report.results) == len(CHECKS)


def test_sqlite_keeps_the_contract(tmp_path: Path) -> None:
    @contextmanager
    def factory() -> Iterator[SqliteEngine]:
        with TemporaryDirectory(dir=tmp_path) as folder, SqliteEngine(folder) as engine:
            yield engine

    assert_kept(factory)


def test_valkey_and_redis_keep_the_contract(server: Store) -> None:
    @contextmanager
    def factory() -> Iterator[ValkeyEngine]:
        server.client().flushall()
        with ValkeyEngine(server.url) as engine:
            yield engine

    assert_kept(factory)
