"""docs/check.md is true: its tables are those of the code."""

from __future__ import annotations

import runpy
from typing import Any, get_args

from support.documents import read, table
from support.paths import ROOT

from ddg_transports.testing.scenarios import Kind, Mistake

SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "scenarios.py"))


def test_the_page_lists_every_scenario() -> None:
    page = read("docs/check.md")
    assert SCRIPT["written"](page) == page, "run docs/scenarios.py"
    assert page.count("](PROTOCOL.md#") > 60


def test_every_verdict_and_every_mistake_has_its_row() -> None:
    assert [row["verdict"] for row in table("docs/check.md", "What is said of it")] == list(get_args(Kind))
    rows = read("docs/check.md").partition("| wrong | |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(get_args(Mistake))
