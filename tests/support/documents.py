"""Find the documents and their examples, and run an example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.paths import ROOT

PLUGINS = ("asyncio", "trio", "pytest_cov", "hypothesispytest")
DOCUMENTS = tuple(
    path.relative_to(ROOT).as_posix()
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in path.parts
)

RECIPES = tuple(name for name in DOCUMENTS if name.startswith("docs/recipes/") and not name.endswith("index.md"))

_BLOCK = re.compile(r"^(?P<continues><!-- continues -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```", re.M | re.S)


def read(name: str) -> str:
    """Return a document's text."""
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name: str) -> str:
    """Return a document's text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", read(name), flags=re.MULTILINE | re.DOTALL)


def blocks(name: str, language: str) -> list[str]:
    """Return the blocks of one language; a continuation includes the last block that isn't one."""
    found: list[str] = []
    beginning = ""
    for block in _BLOCK.finditer(read(name)):
        if block["language"] == language:
            if block["continues"]:
                found.append(beginning + block["code"])
            else:
                beginning = block["code"]
                found.append(beginning)
    return found


def files(name: str) -> dict[str, str]:
    """Return the files that a document shows, by their names: blocks that a comment ``file: NAME`` precedes."""
    found = re.findall(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```", read(name), re.MULTILINE | re.DOTALL)
    return dict(found)


def marked(name: str, mark: str) -> str:
    """Return the one block of a document that a comment precedes, such as ``<!-- setup -->``."""
    (block,) = re.findall(rf"^<!-- {mark} -->\n```\w+\n(.*?)^```", read(name), re.MULTILINE | re.DOTALL)
    return str(block)


def examples(name: str) -> list[str]:
    """Return the Python examples of a document."""
    return blocks(name, "python")


def run(found: dict[str, str], pytester: pytest.Pytester) -> int:
    """Run examples, given by their names: those that have tests together, as test files. Return how many have tests."""
    tests = 0
    files: list[Path] = []
    for name, example in found.items():
        if number := len(re.findall(r"^(?:async )?def test_", example, re.MULTILINE)):
            files.append(pytester.makepyfile(**{name: example}))
            tests += number
        else:
            exec(compile(example, name, "exec"), {"__name__": "example"})
    if files:
        # Or the root is a folder above the present one and that of the files, where this user may not write.
        options = [f"--rootdir={pytester.path}", "-Werror", "--strict-markers", *(f"-pno:{name}" for name in PLUGINS)]
        outcomes = pytester.runpytest_inprocess(*options, *files).parseoutcomes()
        assert set(outcomes) == {"passed"}
        assert outcomes["passed"] >= tests
    return len(files)


def table(name: str, heading: str) -> list[dict[str, str]]:
    """Return the rows of the first table under a heading, keyed by the words of its head."""
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", read(name), re.MULTILINE | re.DOTALL)
    assert section is not None, f"{name} has no section {heading}"
    first = re.search(r"(?:^\|.*\|\n?)+", section[1], re.MULTILINE)
    assert first is not None, f"{name} has no table in {heading}"
    head, _, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in first[0].splitlines()]
    return [dict(zip(head, row, strict=True)) for row in rows]


def code_words(text: str) -> list[str]:
    """Return the words between backticks."""
    return re.findall(r"`([^`]+)`", text)
