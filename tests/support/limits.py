"""What one test may take, and what the suite leaves behind: nothing.

The time a test may take is pytest-timeout's, set in pyproject.toml; memory, Ctrl-C and processes are seen to here.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = 2 << 30  # bytes for each process of the suite; a test that wants more gets a MemoryError
PATIENCE = 10.0  # seconds in which processes that were told to end do
GARBAGE = 32 << 20  # bytes by which a test may leave the process larger until garbage is collected
MARK = "DDG_TESTS_OF"  # in the environment of each process that a test starts

_collected_at = 0  # bytes that were resident then


def pytest_configure() -> None:
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    # In the background, under nohup and in many runners it is ignored; what tests start would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_logfinish() -> None:
    """Collect what a test leaves in cycles: a few objects that hold megabytes start no collection by themselves."""
    global _collected_at
    if sys.platform == "linux" and _resident() > _collected_at + GARBAGE:
        gc.collect()
        with contextlib.suppress(AttributeError):  # glibc keeps what threads have freed
            ctypes.CDLL(None).malloc_trim(0)
        _collected_at = _resident()


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """End what tests have started and not ended, and say so."""
    name = f"{os.getpid()}-{time.monotonic_ns()}"
    os.environ[MARK] = name
    yield
    del os.environ[MARK]
    until = time.monotonic() + PATIENCE
    while (left := _running(f"{MARK}={name}")) and time.monotonic() < until:
        time.sleep(0.01)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    assert not left, f"still running after all tests, and killed: {', '.join(left.values())}"


def _running(mark: str) -> dict[int, str]:
    """Return the command line of each process that has the mark in its environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found[int(folder.name)] = command
    return found
