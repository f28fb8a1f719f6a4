"""The examples of docs/writing-a-transport.md run, and the transports in it keep the contract."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ddg_transports.testing.contract import CHECKS, check

PAGE = (Path(__file__).parent.parent / "docs" / "writing-a-transport.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^<!-- example: (\w+) -->\n```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


def run(*names: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "example"}
    for name in names:
        exec(compile(EXAMPLES[name], f"writing-a-transport.md: {name}", "exec"), namespace)
    return namespace


def test_the_blocking_example_is_used_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    run("blocking", "use")
    assert "sky blue" in capsys.readouterr().out


def test_the_blocking_example_keeps_the_contract() -> None:
    run("blocking", "test")["test_my_transport_keeps_the_contract"]()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_example_keeps_the_contract(backend: str) -> None:
    report = check(run("async")["async_factory"], backend=backend)
    assert report.kept, str(report)


def test_the_checks_that_are_named_exist() -> None:
    assert set(re.findall(r"^(?:kept|BROKEN)  +(\S+)", PAGE, re.MULTILINE)) <= set(CHECKS)
    assert "`cancellation`" in PAGE
    assert CHECKS["not-decoded"].owed in PAGE
