"""The pages that people read first have short sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from support.documents import RECIPES, prose

LONGEST = 35  # words

FIRST = ("README.md", "docs/tour.md", "docs/index.md", "docs/recipes/index.md", *RECIPES)


def sentences(name: str) -> Iterator[str]:
    """Yield the sentences of a document; each cell of a table and each entry of a list is at least one."""
    text = re.sub(r"<!--[\s\S]*?-->|^#.*$|^\(\S+\)=$", "\n", prose(name), flags=re.MULTILINE)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)  # a link's address isn't read
    text = re.sub(r"`[^`]*`", "Code", text)  # a name is one word, however long
    text = re.sub(r"^\|[-| ]+\|$", "\n", text, flags=re.MULTILINE).replace("|", "\n\n").replace("**", "")
    for block in re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.)\s+", text, flags=re.MULTILINE):
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z`(])", " ".join(block.split())):
            if sentence.strip():
                yield sentence.strip()


@pytest.mark.parametrize("name", FIRST)
def test_no_sentence_is_long(name: str) -> None:
    found = list(sentences(name))
    assert len(found) > 5
    assert [sentence for sentence in found if len(sentence.split()) > LONGEST] == []


def test_a_long_sentence_is_found(tmp_path: object) -> None:
    long = next(sentence for sentence in sentences("docs/PROTOCOL.md") if len(sentence.split()) > LONGEST)
    assert long.count(". ") <= 1
