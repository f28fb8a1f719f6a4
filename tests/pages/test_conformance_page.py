"""docs/conformance.md and the README's table are made of benchmarks/conformance.json, which has all scenarios."""

from __future__ import annotations

from support.documents import read

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


def test_the_pages_are_made_of_the_results() -> None:
    found = conformance.read()
    for name in ("docs/conformance.md", "README.md"):
        assert conformance.filled(read(name), found) == read(name), name
    assert f"[{len(SCENARIOS)} scenarios](check.md)" in read("docs/conformance.md")
    assert f"[{len(SCENARIOS)} scenarios](docs/check.md)" in read("README.md")
