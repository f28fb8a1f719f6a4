"""Every example of the README runs, and its commands are commands."""

from __future__ import annotations

import re

import pytest
from documents import ROOT, examples, passes

pytest_plugins = ["pytester"]

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = examples("README.md")


def test_the_readme_has_its_examples_and_one_of_them_is_of_tests() -> None:
    assert len(EXAMPLES) >= 3
    assert len([example for example in EXAMPLES if "def test_" in example]) == 1


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda code: code.splitlines()[0])
def test_an_example_of_the_readme_runs(
    example: str, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    assert passes(example, pytester) or "sky blue" in capsys.readouterr().out


@pytest.mark.parametrize("mark", ["setup", "test"])
def test_a_command_of_the_readme_is_one_line_that_can_be_pasted(mark: str) -> None:
    (block,) = re.findall(rf"<!-- {mark} -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert len(block.strip().splitlines()) == 1
