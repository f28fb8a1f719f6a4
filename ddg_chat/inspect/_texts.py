"""Text that is fit to be shown, measured, and cut with the number of characters left out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from .._text import columns, columns_of, first

_LONGEST_WORD = 40
"""Characters; what has no blank for longer may be divided anywhere."""


def cut(text: str, limit: int, ellipsis: str = "…") -> str:
    """Cut a text, and add the number of characters left out.

    Args:
        text: any text.
        limit: the maximum number of characters to keep.
        ellipsis: marks the cut.

    Returns:
        The text, or its beginning and the number of missing characters.
    """
    return text if len(text) <= limit else f"{text[:limit]}{ellipsis} (+{len(text) - limit:,})"


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut a text to a number of terminal columns, and add the number of characters left out.

    Args:
        text: one visible line.
        width: the maximum number of columns, exceeded only if the note itself doesn't fit.
        ellipsis: marks the cut.

    Returns:
        The text, or its beginning and the number of missing characters.
    """
    if columns(text) <= width:
        return text
    kept = first(text, max(0, width - columns(f"{ellipsis} (+{len(text):,})")))
    return cut(text, len(kept), ellipsis)


def wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines of at most ``width`` columns, at a space if there is one in a line's second half."""
    lines = []
    start = taken = 0
    space = -1
    for index, character in enumerate(text):
        wide = columns_of(character)
        if taken + wide > width and index > start:
            end = space + 1 if space > (start + index) // 2 and character != " " else index
            lines.append(text[start:end].rstrip(" "))
            start = end
            taken = columns(text[start:index])
        taken += wide
        if character == " ":
            space = index
    return [*lines, text[start:].lstrip(" ") if lines else text]


def common_ends(a: str, b: str) -> tuple[int, int]:
    """Return how many characters two texts have in common at their beginning, and at their end.

    Args:
        a: a text.
        b: another text.

    Returns:
        The two numbers. What is between is different, and consists of whole words, unless they are very long.
    """
    start = _same(a, b)
    blank = a.rfind(" ", max(0, start - _LONGEST_WORD), start)
    if blank >= 0:
        start = blank + 1
    elif start <= _LONGEST_WORD:
        start = 0
    rest = min(len(a), len(b)) - start
    end = min(rest, _same(reversed(a), reversed(b)))
    blank = a.find(" ", len(a) - end, len(a) - end + _LONGEST_WORD)
    if blank >= 0:
        end = len(a) - blank
    elif end <= _LONGEST_WORD:
        end = 0
    return start, end


def _same(a: Iterable[str], b: Iterable[str]) -> int:
    return sum(1 for _ in takewhile(lambda each: each[0] == each[1], zip(a, b, strict=False)))
