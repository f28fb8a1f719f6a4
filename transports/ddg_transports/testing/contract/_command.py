"""What the commands of the contracts share: the factory is imported, and each result is printed as it comes."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from ._report import Report, Result


class Planned(Protocol):
    """A check that is to be run."""

    @property
    def name(self) -> str:
        """Its name."""

    def __call__(self) -> Result:
        """Run it."""


def run_all(planned: Sequence[Planned]) -> int:
    """Run checks, and print each result and a summary.

    Args:
        planned: the checks.

    Returns:
        The exit status: 0 if the contract is kept, 1 if it is broken, 130 if interrupted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what was done instead can have any characters in it
    results: list[Result] = []
    try:
        for each in planned:
            results.append(_show(each))
    except KeyboardInterrupt:
        print(f"interrupted: {len(planned) - len(results)} of {len(planned)} checks have no result")
        return 130
    report = Report(tuple(results))
    print(report.summary)
    return 0 if report.kept else 1


def _show(planned: Planned) -> Result:
    """Run a check and print its result; a terminal shows its name meanwhile."""
    terminal = sys.stdout.isatty()
    if terminal:
        print(f"        {planned.name}", end="\r", flush=True)
    result = planned()
    print(result, flush=True)  # its first line is longer than what it overwrites
    return result


def imported(name: str) -> Any:
    """Import what ``module:name`` names.

    Raises:
        ValueError: it can't be imported; the message says why.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(f"{name} does not name a factory: write it as MODULE:FACTORY, such as mymodule:factory")
    sys.path.insert(0, "")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        text = " ".join(str(error).split())
        raise ValueError(
            f"importing {module} raised {type(error).__name__} ({text}): `python -c 'import {module}'` shows where"
        ) from error
    if not hasattr(found, attribute):
        raise ValueError(f"module {module} has no {attribute}")
    return getattr(found, attribute)
