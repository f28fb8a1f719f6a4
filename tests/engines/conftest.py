"""Servers that several tests use one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stores import PROGRAMS, Store, store

from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine


@pytest.fixture(scope="session", params=PROGRAMS)
def shared_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with store(request.param, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def server(shared_server: Store) -> Store:
    """A server without data; its settings are as they come."""
    shared_server.client().flushall()
    return shared_server


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    """A kind of server, for tests that start their own."""
    found: str = request.param
    return found


@pytest.fixture(params=["sqlite", *PROGRAMS])
def open_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Opens an engine of each kind; those that a test opens share what they keep, in whatever process."""
    if request.param == "sqlite":
        yield lambda: SqliteEngine(tmp_path / "engine")
        return
    with store(request.param, tmp_path / "server") as server:
        yield lambda: ValkeyEngine(server.url)
