"""Servers that several tests use one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.stores import PROGRAMS, Store, store


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
