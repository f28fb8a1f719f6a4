"""Every example of docs/testing.md and docs/transcripts.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = [
    pytest.param(code, id=f"{name}-{number}")
    for name in ("testing.md", "transcripts.md")
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / name).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 6


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_documents_runs(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    namespace: dict[str, object] = {"__name__": "example"}
    exec(compile(example, "example", "exec"), namespace)
    for name, test in namespace.items():
        if name.startswith("test_"):
            assert callable(test)
            test()
