"""A terminal's screen, with the lines that have scrolled away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyte
from pyte.screens import Char, Margins


class ScrollingScreen(pyte.Screen):
    """Keeps what scrolls away.

    pyte's own `HistoryScreen` can turn its pages as well. For that it wraps each method whenever it is looked up, which
    takes as long as all else.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._gone: list[Mapping[int, Char]] = []
        super().__init__(columns, rows)

    def index(self) -> None:
        """Go down a line; on the last one, the first one scrolls away."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == bottom:
            self._gone.append(self.buffer[top])
        super().index()

    def erase_in_display(self, how: int = 0, *args: Any, **kwargs: Any) -> None:
        """Erase a part of the screen, or what has scrolled away."""
        super().erase_in_display(how, *args, **kwargs)
        if how == 3:
            self._gone.clear()

    def reset(self) -> None:
        """Return to how everything was at first."""
        super().reset()
        self._gone.clear()

    @property
    def text(self) -> str:
        """The text on the screen, after the text that has scrolled away, without blanks at the ends of lines."""
        gone = ["".join(row[column].data for column in sorted(row)) for row in self._gone]
        # The screen's own `display` measures each character, which takes most of a test's time.
        rows = [self.buffer[number] for number in range(self.lines)]
        seen = ["".join(row[x].data if x in row else " " for x in range(self.columns)) for row in rows]
        return "\n".join(line.rstrip() for line in (*gone, *seen)).rstrip()
