"""The README's commands are commands; that its examples run, test_page_examples shows."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from support.documents import code_words, examples, marked, prose, read, table
from support.paths import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_readme_can_be_read_at_once() -> None:
    assert len(read("README.md").splitlines()) <= 150


def test_the_readme_leaves_comparisons_to_their_page() -> None:
    clients = re.compile(r"\b(?:g4f|duckai|duck-chat|duckduckgo_search|llm-duckduckgo-chat)\b")
    assert clients.search(read("docs/conformance.md"))
    assert clients.search(prose("README.md")) is None


def test_the_tour_names_every_extra() -> None:
    extras = [name for row in table("docs/tour.md", "1. Install") for name in code_words(row["extra"])]
    assert sorted(extras) == sorted(PROJECT["optional-dependencies"])


def test_the_readme_shows_each_way_to_use_it() -> None:
    code = "\n".join(examples("README.md"))
    for way in ("import Client", "import AsyncClient", "asyncio.run(", "trio.run(", "next_action", "def test_"):
        assert way in code


@pytest.mark.parametrize("mark", ["setup", "test"])
def test_a_command_of_the_readme_is_one_line_that_can_be_pasted(mark: str) -> None:
    assert len(marked("README.md", mark).splitlines()) == 1
