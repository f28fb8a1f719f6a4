"""docs/conformance.md is made of benchmarks/conformance.json, which has all scenarios."""

from __future__ import annotations

from support.documents import read

import ddg_protocol
from benchmarks import conformance
from benchmarks.programs import OURS, PROGRAMS
from ddg_transports.testing.scenarios import SCENARIOS


def test_the_results_are_those_of_every_program_in_every_scenario() -> None:
    found = conformance.read()
    assert [run.name for run in found.runs] == list(PROGRAMS)
    for run in found.runs:
        assert list(run.found) == list(SCENARIOS), f"{run.name}: run python -m benchmarks.conformance --publish"
        if run.name in OURS:
            assert {finding.kind for finding in run.found.values()} == {"right"}, run.name


def test_the_page_is_made_of_the_results() -> None:
    page = read("docs/conformance.md")
    assert conformance.filled(page, conformance.read()) == page
    assert f"[{len(SCENARIOS)} scenarios](check.md)" in page
    assert f"{len(SCENARIOS)} scenarios" in read("README.md")


def test_the_page_compares_this_version() -> None:
    assert f"| blocking | {ddg_protocol.__version__} | {len(SCENARIOS)} | 0 | 0 | 0 |" in read("docs/conformance.md")
