"""docs/writing-a-transport.md is true: the transports in it keep the contract, and the checks that it names exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.documents import blocks, examples, read

from ddg_transports.testing.contract import CHECKS, check

PAGE = "docs/writing-a-transport.md"


@pytest.mark.deep("the blocking one shows it")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_example_keeps_the_contract(backend: str) -> None:
    (example,) = [code for code in examples(PAGE) if "async_factory" in code]
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, PAGE, "exec"), namespace)
    report = check(namespace["async_factory"], backend=backend)
    assert report.kept, str(report)


def test_an_example_holds_the_blocking_one_to_the_contract() -> None:
    assert [code for code in examples(PAGE) if "class Exchange" in code and "report = check(factory)" in code]


@pytest.mark.deep("what the examples and the command's own tests say, put together")
@pytest.mark.parametrize(("number", "example"), [(0, "class Exchange"), (1, "async_factory"), (2, "class Exchange")])
def test_a_command_of_the_page_holds_an_example_to_the_contract(number: int, example: str, tmp_path: Path) -> None:
    code = next(code for code in examples(PAGE) if example in code).replace("async_factory", "factory")
    (tmp_path / "mymodule.py").write_text(code, encoding="utf-8")
    commands = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    python, *arguments = shlex.split(commands[number], comments=True)
    assert python == "python"
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("kept ")}
    assert len(kept) > 15
    assert kept < set(CHECKS)  # some are for one world only


def test_the_checks_that_are_named_exist() -> None:
    page = read(PAGE)
    assert set(re.findall(r"^(?:kept|BROKEN)  +(\S+)", page, re.MULTILINE)) <= set(CHECKS)
    assert "`cancellation`" in page
    assert CHECKS["not-decoded"].owed in page


def test_the_checks_that_cannot_be_waived_are_those_of_the_table() -> None:
    _, _, section = read(PAGE).partition("can't be waived:\n")
    table = re.findall(r"^\| `(\S+)` \| (.+) \|$", section.partition("\n### ")[0], re.MULTILINE)
    assert dict(table) == {name: found.protects for name, found in CHECKS.items() if found.protects}
