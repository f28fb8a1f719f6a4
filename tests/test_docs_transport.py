"""docs/writing-a-transport.md is true: the transports in it keep the contract, and the checks that it names exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
from documents import examples, read

from ddg_transports.testing.contract import CHECKS, check

PAGE = "docs/writing-a-transport.md"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_example_keeps_the_contract(backend: str) -> None:
    (example,) = [code for code in examples(PAGE) if "async_factory" in code]
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, PAGE, "exec"), namespace)
    report = check(namespace["async_factory"], backend=backend)
    assert report.kept, str(report)


def test_an_example_holds_the_blocking_one_to_the_contract() -> None:
    assert [code for code in examples(PAGE) if "class Exchange" in code and "report = check(factory)" in code]


def test_the_checks_that_are_named_exist() -> None:
    page = read(PAGE)
    assert set(re.findall(r"^(?:kept|BROKEN)  +(\S+)", page, re.MULTILINE)) <= set(CHECKS)
    assert "`cancellation`" in page
    assert CHECKS["not-decoded"].owed in page
