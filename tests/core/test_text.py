"""Text from the wire, made fit for a message."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol.text import printable


@each_of(
    "text, shown",
    [
        ("ERR_CHALLENGE", "ERR_CHALLENGE"),
        ("zwölf Boxkämpfer ☃", "zwölf Boxkämpfer ☃"),
        ("two\r\nlines", r"two\r\nlines"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x00\x7f\x85", r"\x00\x7f\x85"),
        ("exe\u202egpj", r"exe\u202egpj"),
        ("\u2066hidden\u2069", r"\u2066hidden\u2069"),
        ("\ufeff\u200b\u2028", r"\ufeff\u200b\u2028"),
        ("\ud83d half", r"\ud83d half"),
        ("\U000e0041tag", r"\U000e0041tag"),
    ],
)
def test_what_can_not_be_seen_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_too_long_ends_in_an_ellipsis() -> None:
    assert printable("a" * 120) == "a" * 120
    assert printable("a" * 121) == "a" * 119 + "…"
    assert printable("\n" * 10, 10) == r"\n\n\n\n\n"[:9] + "…"


@given(st.text(st.characters(), max_size=300), st.integers(2, 200))
@example("\U000e0001" * 1000, 120)
def test_a_shown_text_is_visible_and_bounded_whatever_came(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    shown.encode()
