"""The examples of the documents: how they are found, and what it means that one runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLUGINS = ("asyncio", "trio", "pytest_cov", "hypothesispytest")


def examples(name: str) -> list[str]:
    """Give the Python code of a document, block by block."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def passes(example: str, pytester: pytest.Pytester) -> bool:
    """Run an example: as a file of tests if there are any, else as it is. Tell which."""
    tests = re.findall(r"^(?:async )?def test_", example, re.MULTILINE)
    if not tests:
        exec(compile(example, "example", "exec"), {"__name__": "example"})
        return False
    file = pytester.makepyfile(example)
    without = [f"-pno:{plugin}" for plugin in PLUGINS]
    outcomes = pytester.runpytest_inprocess("-Werror", "--strict-markers", *without, file).parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] >= len(tests)
    return True
