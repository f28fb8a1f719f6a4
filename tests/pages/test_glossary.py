"""The glossary has the words that the library uses, and the core's own text is plain English."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterable, Iterator

import pytest
from support.documents import DOCUMENTS, code_words, prose, read, table
from support.english import RIDDLES
from support.sources import modules_of, nodes_of

CORE = modules_of("ddg_protocol")
#: Those of the drivers and the command line too.
HELD = (*CORE, *modules_of("transports/ddg_transports"), *modules_of("ddg_chat"))

#: What a function's docstring must not begin with: its first word is an imperative verb of the field.
NO_VERB = {"A", "All", "An", "Give", "How", "Tell", "The", "What", "When", "Where", "Whether", "Which"}


def words() -> list[dict[str, str]]:
    return table("docs/glossary.md", "Glossary")


def texts(source: str, nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the docstrings of a module and of whatever is in it, and its comments."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield " ".join(node.value.value.split())
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


@functools.cache
def texts_of(module: str) -> tuple[str, ...]:
    return tuple(texts(read(module), nodes_of(module)))


# The glossary


def test_the_words_are_in_order_and_each_has_one_meaning() -> None:
    names = [row["word"] for row in words()]
    assert names == sorted(set(names))
    assert 25 <= len(names) <= 60
    assert {"emulator", "responder", "revision", "solver", "transport"} <= set(names)
    assert all(row["meaning"].endswith(".") for row in words())


@pytest.mark.deep("all sources are searched")
def test_each_word_is_used_in_the_core_or_in_the_documents() -> None:
    core = (text for module in CORE for text in texts_of(module))
    pages = (prose(name) for name in DOCUMENTS if name != "docs/glossary.md")
    used = "\n".join([*core, *pages])
    unused = [row["word"] for row in words() if not re.search(rf"\b{row['word']}(?:s|es|ed)?\b", used, re.IGNORECASE)]
    assert unused == []


def test_the_names_that_the_glossary_gives_are_in_the_core() -> None:
    core = "".join(read(module) for module in CORE)
    for row in words():
        for name in code_words(row["meaning"]):
            assert name.strip("[]") in core, name


# English


def test_modules_are_held() -> None:
    assert len(HELD) > 100


@pytest.mark.deep("all sources are searched")
def test_no_module_has_a_phrase_that_has_to_be_decoded() -> None:
    found = [(module, text) for module in HELD for text in texts_of(module) if RIDDLES.search(text)]
    assert found == []


@pytest.mark.deep("all sources are parsed")
def test_the_docstring_of_each_function_begins_with_a_verb() -> None:
    for module in HELD:
        for node in nodes_of(module):
            if isinstance(node, ast.FunctionDef) and (doc := ast.get_docstring(node)):
                marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
                assert marks & {"property", "pytest.fixture"} or doc.split()[0] not in NO_VERB, (
                    f"{module}:{node.lineno} {node.name}"
                )


def test_a_riddle_would_be_found() -> None:
    source = 'def f():\n    """Give x, as `Body` has it."""  # one floor down\n'
    assert len([text for text in texts(source, ast.walk(ast.parse(source))) if RIDDLES.search(text)]) == 2
