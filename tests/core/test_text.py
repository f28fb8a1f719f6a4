"""Text from the wire, made fit for a message."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol.text import printable, shown


@each_of(
    "text, expected",
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
def test_what_can_not_be_seen_is_shown_as_its_escape(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_what_is_too_long_ends_in_an_ellipsis() -> None:
    assert printable("a" * 120) == "a" * 120
    assert printable("a" * 121) == "a" * 119 + "…"
    assert printable("\n" * 10, 10) == r"\n\n\n\n\n"[:9] + "…"


@given(st.text(st.characters(), max_size=300), st.integers(2, 200))
@example("\U000e0001" * 1000, 120)
def test_a_shown_text_is_visible_and_bounded_whatever_came(text: str, limit: int) -> None:
    visible = printable(text, limit)
    assert visible.isprintable()
    assert len(visible) <= limit
    visible.encode()


@each_of(
    "value, expected",
    [
        ("a\nb", r"'a\\nb'"),
        ("a" * 121, f"'{'a' * 119}…'"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        (10**20 - 1, "9" * 20),
        (1 - 10**20, "-" + "9" * 20),
        (10**20, "a huge int"),
        (-(10**5000), "a huge int"),
        (None, "NoneType"),
        ([[]], "list"),
        (b"secret", "bytes"),
    ],
)
def test_a_value_of_any_kind_is_shown_shortly(value: object, expected: str) -> None:
    assert shown(value) == expected
