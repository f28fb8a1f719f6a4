"""One item of the contract: what an engine owes, and the coroutine that checks it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ._bench import Bench

Run = Callable[[Bench], Coroutine[Any, Any, None]]
"""Checks one item; raises `NotKept`, or what the engine raised."""


@dataclass(frozen=True)
class Check:
    """One item of the contract.

    Attributes:
        name: a few words with hyphens.
        owed: what the engine owes, a sentence.
        protects: why the check can't be waived, half a sentence; empty if it can be.
        run: the coroutine function that checks it.
    """

    name: str
    owed: str
    protects: str
    run: Run


def item(*, protects: str = "") -> Callable[[Run], Check]:
    """Make a check of a coroutine function; its docstring says what is owed."""

    def make(run: Run) -> Check:
        return Check(run.__name__.replace("_", "-"), inspect.getdoc(run) or "", protects, run)

    return make
