"""Code in colours: what is coloured, that nothing else changes, and that no code takes long."""

from __future__ import annotations

import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tiers import some

from ddg_chat._colours import _STYLES, coloured

KINDS = {style: kind for kind, style in _STYLES.items()}
LANGUAGES = ["python", "c", "css", "sql", "html"]  # one of each pattern


def kinds(code: str, language: str) -> list[tuple[str, str]]:
    """What is coloured, in order: its kind and its text."""
    return [(KINDS[span.style], code[span.start : span.end]) for span in coloured(code, language).spans]  # type: ignore[index]


@pytest.mark.parametrize(
    ("language", "code", "found"),
    [
        (
            "Python",
            "def f(x):  # why\n    return x + 1.5",
            [("keyword", "def"), ("call", "f"), ("comment", "# why"), ("keyword", "return"), ("number", "1.5")],
        ),
        ("python", '"""a\n"b"""\nc', [("string", '"""a\n"b"""')]),
        ("python", '"""never\nclosed', [("string", '"""never\nclosed')]),
        ("python", r"'a\'b' 'it", [("string", r"'a\'b'")]),
        ("js", "if (a) `b\n${c}` // d", [("keyword", "if"), ("string", "`b\n${c}`"), ("comment", "// d")]),
        ("c", "/* a\n*/ int x; /* b", [("comment", "/* a\n*/"), ("keyword", "int"), ("comment", "/* b")]),
        ("rust", "fn f<'a>(x: &'a str)", [("keyword", "fn"), ("string", "'a>(x: &'")]),
        ("css", "a { b: url(http://c) /* d */ }", [("call", "url"), ("comment", "/* d */")]),
        (
            "SQL",
            "SELECT 'it''s' -- x",
            [("keyword", "SELECT"), *[("string", "'it'"), ("string", "'s'")], ("comment", "-- x")],
        ),
        ("html", '<!-- a -->-<b c="d">', [("comment", "<!-- a -->"), ("string", '"d"')]),
        ("autoit", "if 1 then", []),
        ("", "if 1 then", []),
    ],
)
def test_what_is_coloured(language: str, code: str, found: list[tuple[str, str]]) -> None:
    assert kinds(code, language) == found


@given(st.text(alphabet="a0_ \n\t'\"`\\/*#-<>!([{=.é日", max_size=60), st.sampled_from(LANGUAGES))
def test_the_code_stays_as_it_is_and_no_colour_is_in_another(code: str, language: str) -> None:
    text = coloured(code, language)
    assert text.plain == code
    ends = [edge for span in text.spans for edge in (span.start, span.end)]
    assert ends == sorted(ends)


UNITS = [
    *" \t\na0_'\"`\\/*#-<>!([{=.,:$&%@é",
    "a ",
    "a(",
    "a.",
    '\\"',
    "\\'",
    " \n",
    "0x",
    "*/",
    "/*",
    "--",
    "<!--",
    "->",
    "'\"",
    "\"'\\",
]
OPENINGS = ["", "a", '"', "'", "`", "\\", '"""', "'''", "/*", "//", "#", "<!--", "--", "'\\"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_code_takes_long(language: str) -> None:
    for opening, unit in some(product(OPENINGS, UNITS), one_in=9):
        code = (opening + unit * 8192)[:8192]
        begun = time.process_time()
        coloured(code, language)
        # A hundredth of it is usual. What takes the square of the length would be above it.
        assert time.process_time() - begun < 2.0, (opening, unit)
