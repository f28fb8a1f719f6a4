"""What every test of the command line runs in."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the screen one width, whatever the tests were started from."""
    monkeypatch.setenv("COLUMNS", "100")
