"""Text that is fit to be shown, measured, and cut with the number of characters left out."""

from __future__ import annotations

from .._text import columns, columns_of, first


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
