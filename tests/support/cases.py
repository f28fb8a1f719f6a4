"""Many small cases as one test: pytest takes longer for each test than such a case does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

SHOWN = 300  # characters of each value of a case that failed

Test = Callable[..., None]


def each_of(names: str, cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Run a test with each case in turn, where `pytest.mark.parametrize` would make a test of each.

    A failure shows which case it was. Cases share what fixtures the test has.
    """
    wanted = [name.strip() for name in names.split(",")]
    given = [case if len(wanted) > 1 else (case,) for case in cases]
    assert given, "there are no cases"

    def decorated(test: Test) -> Test:
        signature = inspect.signature(test)
        others = [parameter for name, parameter in signature.parameters.items() if name not in wanted]
        assert len(others) + len(wanted) == len(signature.parameters), f"{test.__name__} doesn't take {names}"

        def run(**more: Any) -> None:
            for values in given:
                case = dict(zip(wanted, values, strict=True))
                try:
                    test(**case, **more)
                except (Exception, pytest.fail.Exception) as error:
                    error.add_note("the case: " + ", ".join(f"{name}={_shown(value)}" for name, value in case.items()))
                    raise

        run.__name__, run.__qualname__ = test.__name__, test.__qualname__
        run.__module__, run.__doc__ = test.__module__, test.__doc__
        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return run

    return decorated


def _shown(value: object) -> str:
    try:
        shown = repr(value)
    except ValueError:  # an integer of more digits than Python shows
        return f"{type(value).__name__} without a repr"
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
