"""A turn takes at most 64 MiB of memory, whatever the service sends: in every driver, under the default policy."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest
from redteam.drivers import DRIVERS
from redteam.services import SERVICES
from support.paths import TESTS

MOST = 64 * 1024  # KiB
MEASURED = [service.name for service in SERVICES if service.takes_memory]
COMMAND = (sys.executable, "-m", "redteam.measured")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TESTS)}


def measured(name: str, driver: str) -> tuple[int, str]:
    """Ask a hostile service in processes of their own; give KiB above idle, and how the turn ended."""
    with subprocess.Popen([*COMMAND, "serve", name], stdin=-1, stdout=-1, env=ENVIRONMENT, text=True) as server:
        assert server.stdout is not None
        good, bad = server.stdout.readline().split()
        done = subprocess.run([*COMMAND, "ask", driver, good, bad], env=ENVIRONMENT, capture_output=True, text=True)
        server.communicate()
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=tuple[int, str])


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process's memory")
@pytest.mark.deep("seventy turns, each in a process of its own")
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_turn_takes_at_most_64_mib_whatever_the_service_sends(driver: str) -> None:
    figures = {name: measured(name, driver) for name in MEASURED}
    lines = [f"{kib / 1024:6.1f} MiB  {name} ({end})" for name, (kib, end) in figures.items()]
    print(driver, *lines, sep="\n")
    assert max(kib for kib, _ in figures.values()) <= MOST, "\n".join([driver, *lines])


def test_twelve_services_are_measured_at_least() -> None:
    assert len(MEASURED) >= 12
