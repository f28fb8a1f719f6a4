"""The command line's screens: Markdown and code that a service wrote, on a terminal."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Sequence

from rich.console import Console
from rich.segment import Segment

from ddg_chat._colours import coloured
from ddg_chat._markdown import MarkdownStream
from ddg_chat._text import harmless

from .parsers import CUT, HARMFUL

WORD = b"\xfe"
"""Stands for a word in a paragraph of its own, which must be seen."""
_SAME = 4000
"""Characters up to which a text is laid out the same wherever it is cut; of longer ones it is cut what is too long."""


def colours(data: bytes) -> None:
    """Colour code; the first line is its language."""
    language, _, code = harmless(data.decode("utf-8", "replace")).partition("\n")
    text = coloured(code, language)
    assert text.plain == code
    assert all(0 <= span.start < span.end <= len(code) for span in text.spans)


def markdown(data: bytes) -> None:
    """Draw Markdown, cut anywhere; nothing is lost, and nothing is a command to the terminal."""
    numbers = itertools.count()
    pieces = []
    for piece in data.replace(b"q", b"k").split(CUT):
        first, *others = (part.decode("utf-8", "replace") for part in piece.split(WORD))
        pieces.append(first + "".join(f"\n\nzq{next(numbers)}zq\n\n{other}" for other in others))
    shown = _drawn(pieces)
    assert not HARMFUL.search(shown)
    assert re.findall(r"zq\d+zq", shown) == [f"zq{number}zq" for number in range(next(numbers))]
    if sum(map(len, pieces)) <= _SAME and len(pieces) > 1:
        assert shown == _drawn(["".join(pieces)])


class _Settled(MarkdownStream):
    """Takes note of what is written for good."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.settled: list[str] = []

    def _show(self, settled: list[list[Segment]], tail: list[list[Segment]]) -> None:
        self.settled += ["".join(part.text for part in line) for line in settled]
        super()._show(settled, tail)


def _drawn(pieces: Sequence[str]) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=8, legacy_windows=False, _environ={})
    with _Settled(console) as stream:
        for number, piece in enumerate(pieces):
            stream.feed(piece)
            if number < 40:  # each draws what is growing once more
                stream.draw()
    return "\n".join(stream.settled)
