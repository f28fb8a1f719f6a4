"""A turn takes at most 64 MiB of memory, whatever the service sends: in every driver, under the default policy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest
from redteam.drivers import DRIVERS
from redteam.measured import MEASURED
from redteam.server import GOOD
from support.paths import TESTS

MOST = 64 * 1024  # KiB
COMMAND = (sys.executable, "-m", "redteam.measured")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TESTS)}


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """The services' URLs by their names; they are in a process of their own."""
    with subprocess.Popen([*COMMAND, "serve"], stdin=-1, stdout=-1, env=ENVIRONMENT, text=True) as server:
        assert server.stdout is not None
        yield msgspec.json.decode(server.stdout.readline(), type=dict[str, str])
        server.communicate()


def measured(driver: str, good: str, *bad: str) -> list[tuple[int, str]]:
    """Ask each hostile service in a process of its own; give KiB above idle, and how the turn ended."""
    done = subprocess.run([*COMMAND, "ask", driver, good, *bad], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [msgspec.json.decode(line, type=tuple[int, str]) for line in done.stdout.splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process's memory")
@pytest.mark.deep("seventy turns, each in a process of its own")
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_turn_takes_at_most_64_mib_whatever_the_service_sends(driver: str, urls: dict[str, str]) -> None:
    found = measured(driver, urls[GOOD], *(urls[name] for name in MEASURED))
    figures = dict(zip(MEASURED, found, strict=True))
    lines = [f"{kib / 1024:6.1f} MiB  {name} ({end})" for name, (kib, end) in figures.items()]
    print(driver, *lines, sep="\n")
    assert max(kib for kib, _ in figures.values()) <= MOST, "\n".join([driver, *lines])


def test_twelve_services_are_measured_at_least() -> None:
    assert len(MEASURED) >= 12
