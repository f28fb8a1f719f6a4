"""What every test of the command line runs in."""

from __future__ import annotations

from functools import partial

import pytest

from ddg_transports.blocking import Client
from ddg_transports.testing.clock import SkippingClock


@pytest.fixture(autouse=True)
def _screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the screen one width, whatever the tests were started from."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of the command's client, which take no time."""
    clock = SkippingClock()
    monkeypatch.setattr("ddg_chat._service.Client", partial(Client, clock=clock, sleep=clock.sleep))
    return clock.slept
