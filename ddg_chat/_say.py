"""Lines for a person: harmless, and broken between words where they go to a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import TextIO

from ._text import columns, harmless

_PART = re.compile(r"\n|[ \t]+|[^ \t\n]+")
_LEAST = 10  # columns; a narrower terminal breaks words itself


def say(text: str, stream: TextIO | None = None) -> None:
    """Write lines.

    Args:
        text: one line or more. Nothing in it can act on a terminal.
        stream: where to; None means standard error. If it is a terminal, lines are broken between words.
    """
    where = stream or sys.stderr
    shown = harmless(text).rstrip("\n")
    print(folded(shown, width_of(where)) if where.isatty() else shown, file=where, flush=True)


def width_of(stream: TextIO) -> int:
    """Return the columns of the terminal that a stream goes to; 80 if it goes elsewhere.

    ``COLUMNS`` counts first, as in other programs.
    """
    try:
        return int(os.environ["COLUMNS"]) or 80
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def folded(text: str, width: int) -> str:
    """Break lines between words, in linear time.

    Args:
        text: lines. One that is indented stays so when it is broken.
        width: the most columns of a line. A longer word has a line of its own, and is left to the terminal.

    Returns:
        The lines. But for blanks at the breaks, nothing is added or left out.
    """
    fold = Fold(width)
    return fold.feed(text) + fold.end()


def table(rows: Iterable[tuple[str, str]], width: int) -> str:
    """Set terms and their explanations side by side, or on a narrow terminal below each other.

    Args:
        rows: the terms with their explanations.
        width: the terminal's columns.

    Returns:
        The lines, indented by two columns.
    """
    rows = list(rows)
    left = max(columns(term) for term, _ in rows) + 4
    lines = []
    for term, explanation in rows:
        if left + 20 > width:
            lines += [folded(f"  {term}", width), folded(f"    {explanation}", width)]
            continue
        first, *more = folded(explanation, width - left).split("\n")
        lines += [f"{f'  {term}'.ljust(left)}{first}", *(f"{' ' * left}{line}" for line in more)]
    return "\n".join(lines)


class Fold:
    """Breaks a text between words while it arrives. It keeps back what may be the beginning of a word.

    Args:
        width: the most columns of a line.
    """

    def __init__(self, width: int) -> None:
        self._width = max(width, _LEAST)
        self._indent = ""
        self._taken = 0  # columns of this line
        self._blank = ""  # after the last word, not written yet
        self._word: list[str] = []

    def feed(self, text: str) -> str:
        """Add text, and return what can be written.

        Args:
            text: a piece of it, cut anywhere.
        """
        return "".join(map(self._take, _PART.findall(text)))

    def end(self) -> str:
        """Return the rest of the text. What is fed next continues its line."""
        return self._end_word()

    def _take(self, part: str) -> str:
        if part[0] not in " \t\n":
            self._word.append(part)
            return ""
        before = self._end_word()
        if part != "\n":
            self._blank += part
            return before
        self._indent, self._taken, self._blank = "", 0, ""
        return f"{before}\n"

    def _end_word(self) -> str:
        word, blank = "".join(self._word), self._blank.expandtabs(4)
        if not word:
            return ""
        self._word, self._blank = [], ""
        wide = columns(word)
        if not self._taken:
            self._indent = blank
        elif self._taken + len(blank) + wide > self._width:
            blank, self._taken = f"\n{self._indent}", 0
            wide += len(self._indent)
            self._taken = wide
            return blank + word
        self._taken += len(blank) + wide
        return blank + word
