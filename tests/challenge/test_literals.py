"""String literals of JavaScript: their values as in Chromium, or where they break."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.scripts import quoted

from ddg_protocol.challenge import decode_string_literal
from ddg_protocol.errors import UnsupportedChallenge

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "js_literals.json").read_text("utf-8"))


@each_of("case", VECTORS)
def test_a_literal_means_what_chromium_says(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(UnsupportedChallenge):
            decode_string_literal(case["js"])
    else:
        value = decode_string_literal(case["js"])
        assert value == case["value"]
        assert len(value.encode("utf-16-le", "surrogatepass")) // 2 == case["length"]


@each_of(
    "source, position",
    [
        ("'ab\\u12'", 3),
        ("'\\u{110000}'", 1),
        ("`a${b}`", 2),
        ("`\\1`", 1),
        ("`\\74`", 1),
        ("'a", 0),
        ("", 0),
        ("'a' ", 0),
    ],
)
def test_what_is_no_literal_is_refused_where_it_breaks(source: str, position: int) -> None:
    with pytest.raises(UnsupportedChallenge) as refused:
        decode_string_literal(source)
    assert refused.value.position == position
    assert refused.value.expected


def test_an_escaped_dollar_begins_no_substitution() -> None:
    assert decode_string_literal(r"`\${a}$`") == "${a}$"
    assert decode_string_literal("'${a}'") == "${a}"  # only templates have any


@settings(deadline=None)
@given(st.text(alphabet=st.characters(), max_size=50))
def test_any_text_comes_back_from_its_escapes(text: str) -> None:
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert decode_string_literal(quoted(text)) == paired


@settings(deadline=None)
@given(st.text(alphabet="'\"`\\xu{}$0189afnr\n\r\u2028 ", max_size=30))
def test_nothing_but_a_refusal_comes_out(text: str) -> None:
    with suppress(UnsupportedChallenge):
        assert len(decode_string_literal(text)) <= len(text)
