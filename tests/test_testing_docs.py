"""Every example of docs/testing.md and docs/transcripts.md runs."""

from __future__ import annotations

import pytest
from documents import ROOT, examples, passes

pytest_plugins = ["pytester"]

EXAMPLES = [
    pytest.param(code, id=f"{name}-{number}")
    for name in ("testing.md", "transcripts.md")
    for number, code in enumerate(examples(f"docs/{name}"))
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 7


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_documents_runs(
    example: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    passes(example, pytester)
