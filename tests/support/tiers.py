"""The two tiers of the suite: every behaviour once by default, exhaustive tests with ``--deep``.

`pytest.mark.deep("reason")` marks tests that only the deep tier runs; the helpers here choose how many cases the
default tier tries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

DEEP_TIMEOUT = 1800  # seconds for a test with --deep; pyproject.toml has the default tier's
WORKERS = 4  # at most: each takes about 150 MB

T = TypeVar("T")

_left_out = pytest.StashKey[int]()
_deep = False

# The time of an example only shows how busy the machine is.
settings.register_profile("deep", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("default", settings.get_profile("deep"), max_examples=10)


def examples(number: int, *, default: int = 10) -> int:
    """Return how many examples Hypothesis tries: `number` in the deep tier, at most `default` otherwise."""
    return number if _deep else min(number, default)


def some(cases: Iterable[T], *, one_in: int) -> list[T]:
    """Return the cases that one test loops over: all in the deep tier, otherwise one in `one_in`, and the last."""
    found = list(cases)
    return found if _deep else [*found[:-1:one_in], *found[-1:]]


def thinned(cases: Iterable[Any], *, one_in: int, reason: str) -> list[Any]:
    """Return the cases as parameters; the default tier runs one in `one_in`, beginning with the first."""
    deep = pytest.mark.deep(reason)
    given = (case if isinstance(case, tuple) else (case,) for case in cases)
    return [pytest.param(*case, marks=deep if number % one_in else ()) for number, case in enumerate(given)]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--deep", action="store_true", help="run the exhaustive tests too")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run folders in parallel, on a process more than there are processors: tests of drivers wait for sockets.

    A named file or test ends before workers would have started.
    """
    named = any(not Path(argument).is_dir() for argument in config.args)
    return 0 if named else min(WORKERS, (os.cpu_count() or 1) + 1)


def pytest_configure(config: pytest.Config) -> None:
    global _deep  # test modules read it while they are imported
    _deep = config.getoption("deep")
    config.addinivalue_line("markers", "deep(reason): run by --deep only; the reason is required")
    settings.load_profile("deep" if _deep else "default")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    deep = [item for item in items if item.get_closest_marker("deep")]
    for item in items if config.getoption("deep") else ():
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(DEEP_TIMEOUT))
    for item in deep:
        for mark in item.iter_markers("deep"):
            if not (len(mark.args) == 1 and isinstance(mark.args[0], str) and mark.args[0] and not mark.kwargs):
                raise pytest.UsageError(f"{item.nodeid}: deep requires one argument, the reason")
    if not config.getoption("deep"):
        config.hook.pytest_deselected(items=deep)
        items[:] = [item for item in items if not item.get_closest_marker("deep")]
        config.stash[_left_out] = len(deep)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_left_out, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if number := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[_left_out] = number


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if number := config.stash.get(_left_out, 0):
        terminalreporter.write_line(f"{number} deep tests not run: --deep runs them too")
