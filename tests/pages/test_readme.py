"""The README's commands are commands; that its examples run, test_docs_examples shows."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from support.documents import code_words, examples, read, table
from support.paths import ROOT

import ddg_protocol
from ddg_transports.testing.scenarios import SCENARIOS

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_readme_compares_this_version() -> None:
    assert f"| blocking | {ddg_protocol.__version__} | {len(SCENARIOS)} | 0 | 0 | 0 |" in read("README.md")


def test_the_readme_names_every_extra() -> None:
    extras = [name for row in table("README.md", "Two commands") for name in code_words(row["extra"])]
    assert sorted(extras) == sorted(PROJECT["optional-dependencies"])


def test_the_readme_shows_each_way_to_use_it() -> None:
    code = "\n".join(examples("README.md"))
    for way in ("blocking import Client", "asyncio.run(", "trio.run(", "next_action", "def test_"):
        assert way in code


@pytest.mark.parametrize("mark", ["setup", "test"])
def test_a_command_of_the_readme_is_one_line_that_can_be_pasted(mark: str) -> None:
    (block,) = re.findall(rf"<!-- {mark} -->\n```sh\n(.*?)```", read("README.md"), re.DOTALL)
    assert len(block.strip().splitlines()) == 1
