"""What every test of the command line runs in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
from support.terminal import forking

from ddg_transports.blocking import Client
from ddg_transports.testing.clock import SkippingClock


@pytest.fixture(autouse=True)
def _screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the screen one width, whatever the tests were started from."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(autouse=True)
def config_file(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration file, which isn't there, whatever the settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("DDG_CHAT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder / "ddg-chat" / "config.toml"


@pytest.fixture(scope="session")
def quick_start(pytestconfig: pytest.Config) -> Iterator[None]:
    """Start the command on terminals in forks, except in the deep tier."""
    with nullcontext() if pytestconfig.getoption("--deep") else forking("ddg_chat"):
        yield


@pytest.fixture(autouse=True)
def _data(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what commands store, such as the pace of this machine, away from that of whoever runs the tests."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of the command's client, which take no time. Its pace is its own: an engine's clock skips nothing."""
    clock = SkippingClock()
    monkeypatch.setenv("DDG_CHAT_SHARED", "none")
    monkeypatch.setattr("ddg_chat._service.Client", partial(Client, clock=clock, sleep=clock.sleep))
    return clock.slept
