"""Text from anywhere, made fit to be shown: visible, measured, and cut with how much was left out."""

from __future__ import annotations

import unicodedata

from ddg_protocol.text import printable


def one_line(text: str) -> str:
    """Make a text visible in one line, all of it: what isn't printable is its escape."""
    return printable(text, limit=10 * len(text) + 10)  # no escape is longer


def visible(text: str) -> str:
    """Make a text visible, lines and tabs kept; a line that ends in CR LF ends in LF."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(one_line, line.split("\t"))) for line in lines)


def cut(text: str, limit: int, ellipsis: str = "…") -> str:
    """Cut a text, and say how much of it was left out.

    Args:
        text: any.
        limit: the most characters that are kept.
        ellipsis: stands where it was cut.

    Returns:
        The text, or its beginning with the number of characters that are missing.
    """
    return text if len(text) <= limit else f"{text[:limit]}{ellipsis} (+{len(text) - limit:,})"


def columns(text: str) -> int:
    """Tell how many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut a text to columns of a terminal, and say how much of it was left out.

    Args:
        text: one line, visible.
        width: columns; the result takes no more, unless they are too few for the note itself.
        ellipsis: stands where it was cut.

    Returns:
        The text, or its beginning with the number of characters that are missing.
    """
    if columns(text) <= width:
        return text
    kept = first(text, max(0, width - columns(f"{ellipsis} (+{len(text):,})")))
    return cut(text, len(kept), ellipsis)


def wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines of at most so many columns; at a space where one is in the line's second half."""
    lines = []
    start = taken = 0
    space = -1
    for index, character in enumerate(text):
        wide = _columns_of(character)
        if taken + wide > width and index > start:
            end = space + 1 if space > (start + index) // 2 and character != " " else index
            lines.append(text[start:end].rstrip(" "))
            start = end
            taken = columns(text[start:index])
        taken += wide
        if character == " ":
            space = index
    return [*lines, text[start:].lstrip(" ") if lines else text]


def first(text: str, width: int) -> str:
    """Give as much of the beginning of a text as fits into so many columns."""
    taken = 0
    for index, character in enumerate(text):
        taken += _columns_of(character)
        if taken > width:
            return text[:index]
    return text


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
