"""docs/writing-an-engine.md is true: the checks that it names exist, and its command is the one there is."""

from __future__ import annotations

import re

from support.documents import blocks, examples, read

from ddg_transports.testing.engine_contract import CHECKS
from ddg_transports.testing.engine_contract.__main__ import main

PAGE = "docs/writing-an-engine.md"


def test_an_example_is_held_to_the_contract() -> None:
    assert [code for code in examples(PAGE) if "class FileEngine" in code and "check(with_a_clock" in code]


def test_the_checks_that_are_named_exist_and_owe_what_it_says() -> None:
    named = re.findall(r"^(?:kept|BROKEN)  +(\S+)", read(PAGE), re.MULTILINE)
    assert named
    assert set(named) <= set(CHECKS)
    assert CHECKS["any-key"].owed in read(PAGE)


def test_the_command_is_the_one_there_is() -> None:
    (command,) = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    assert command == f"python -m {main.__module__.removesuffix('.__main__')} mymodule:factory"
