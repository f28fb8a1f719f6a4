"""Limits of each test, and a check that the suite leaves no processes behind.

The time limit is that of pytest-timeout, set in pyproject.toml; memory, Ctrl-C and processes are handled here.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

MEMORY = 2 << 30  # bytes for each process of the suite; a test that wants more gets a MemoryError
ROOM = 256 << 20  # bytes more, to report a test that has them all: its traceback keeps what it has
PATIENCE = 10.0  # seconds for processes that were told to end
GARBAGE = 32 << 20  # bytes by which the process may grow until garbage is collected
MARK = "DDG_TESTS_OF"  # in the environment of each process that a test starts

_collected_at = 0  # resident bytes at the last collection


def pytest_configure() -> None:
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    os.environ.pop("PYTEST_ADDOPTS", None)  # options of this run, and not of those that tests start
    # SIGINT is ignored in the background, under nohup and in many runners; child processes would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a test that ran out of memory with a little more of it."""
    if sys.platform != "linux" or call.excinfo is None or not call.excinfo.errisinstance(MemoryError):
        return (yield)
    import resource

    most, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(
        resource.RLIMIT_DATA, (most + ROOM if hard == resource.RLIM_INFINITY else min(most + ROOM, hard), hard)
    )
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave modules and collected tests out of each collection of garbage, many of which tests ask for."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Collect a test's garbage: a few large objects in cycles don't start a collection by themselves."""
    global _collected_at
    outcome = yield
    if sys.platform == "linux" and _resident() > _collected_at + GARBAGE:
        gc.collect()
        with contextlib.suppress(AttributeError):  # glibc keeps the memory that threads have freed
            ctypes.CDLL(None).malloc_trim(0)
        _collected_at = _resident()
    return outcome


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Kill the processes that tests left running, and fail if there are any."""
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
