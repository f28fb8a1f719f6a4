"""The pages that people read first have short sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from support.cases import each_of
from support.documents import DOCUMENTS, RECIPES, prose
from support.english import RIDDLES

LONGEST = 35  # words

FIRST = ("README.md", "docs/tour.md", "docs/index.md", "docs/recipes/index.md", *RECIPES)


def sentences(name: str) -> Iterator[str]:
    """Yield the sentences of a document."""
    return sentences_of(prose(name))


def sentences_of(text: str) -> Iterator[str]:
    """Yield the sentences of Markdown without code; each cell of a table and each entry of a list is at least one."""
    text = re.sub(r"<!--[\s\S]*?-->|^#.*$|^\(\S+\)=$", "\n", text, flags=re.MULTILINE)
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


def test_a_sentence_is_counted_as_it_is_read() -> None:
    text = """# A heading. It isn't one

A [link with four words](https://example.org/a/b) and `a = name` here. `Client` begins a
second one, over two lines: and goes on after a colon.

* an entry
* another; with two clauses

| cell | `other` cell |
|---|---|
"""
    found = [(len(sentence.split()), sentence.split()[0]) for sentence in sentences_of(text)]
    assert found == [(8, "A"), (14, "Code"), (2, "an"), (4, "another;"), (1, "cell"), (2, "Code")]


@pytest.mark.deep("all pages are searched")
@each_of("name", [name for name in DOCUMENTS if not name.startswith(("CHANGELOG", "docs/upstream/"))])
def test_no_page_has_a_phrase_that_has_to_be_decoded(name: str) -> None:
    text = " ".join(prose(name).split())
    assert [text[found.start() - 40 : found.end() + 40] for found in RIDDLES.finditer(text)] == []
