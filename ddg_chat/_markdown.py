"""Markdown on a terminal, as it arrives.

Complete units are written once, and scroll away like any output. Only the unit that is still growing, such as a
paragraph, is redrawn, and no more of it than fits the screen. So a long reply stays complete, and lines don't move
while they are read.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from copy import copy
from itertools import pairwise
from types import TracebackType
from typing import ClassVar, NamedTuple, Self

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import CodeBlock, Markdown, MarkdownElement, TableElement
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from ._colours import coloured
from ._pace import Pace
from ._text import harmless

#: The longest unit that is laid out or coloured, in characters: some Markdown takes quadratic time.
_LONGEST = 8 * 1024
#: The most lines of such a unit: a line of one letter takes as long to lay out as a line of ten.
_MOST_LINES = 400
#: The most opening brackets of a unit that is laid out: each may be looked at with all that follows it.
_MOST_BRACKETS = 500
#: The most lines of code that are coloured together.
_MOST_CODE_LINES = 200
#: The longest line that opens a code block, in characters: each stretch of the block begins with it.
_LONGEST_FENCE = 200

#: HTML, images and link definitions would be left out by the parser. Disabled, they are shown as they are written.
_INVISIBLE = ["html_block", "html_inline", "image", "reference"]
#: The most levels of nested blocks that are laid out: the parser would leave out what is deeper.
_DEEPEST = 100
_PARSER = MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable(["table", "strikethrough"]).disable(_INVISIBLE)
_BLOCKS = MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable("table").disable(_INVISIBLE)
_BLOCKS.core.ruler.enableOnly(["normalize", "block"])

#: As many lines as are laid out together at most.
_LINES = re.compile(rf"(?:[^\n]*+\n){{{_MOST_LINES}}}")

_Line = list[Segment]


class _Code(CodeBlock):
    """A code block as it is written, without a frame, so that it can be copied."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if code := str(self.text).removesuffix("\n"):
            yield coloured(code, self.lexer_name) if len(code) <= _LONGEST else Text(code, tab_size=4)


class _Table(TableElement):
    """A table that wraps a word that is longer than its column, rather than cut it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                for column in table.columns:
                    column.overflow = "fold"
            yield table


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Code,
        "code_block": _Code,
        "table_open": _Table,
    }


#: Copied for each unit: a new `Markdown` makes a parser, which takes longer than most units. Without hyperlinks, which
#: would put the service's addresses into control sequences.
_EMPTY = _Markdown("", hyperlinks=False)


def _markdown(source: str) -> Markdown:
    """Parse Markdown for layout."""
    markdown = copy(_EMPTY)
    markdown.parsed = _PARSER.parse(source)
    return markdown


class _Unit(NamedTuple):
    """A part that is laid out by itself: a block, a list item, a stretch of code.

    Attributes:
        text: its Markdown.
        is_code: whether it is code, whose complete lines no longer change.
        is_plain: whether it is shown as it is written.
        goes_on: whether it continues the unit before it, without an empty line between them.
    """

    text: str
    is_code: bool = False
    is_plain: bool = False
    goes_on: bool = False


def _units(source: str) -> list[_Unit]:
    """Split Markdown into units. If the source ends with a line feed, later text can change only the last unit."""
    lines = source.splitlines(keepends=True)
    starts: list[tuple[int, str, bool]] = []  # line, the fence that opens it if it is code, whether it continues
    too_deep: list[int] = []  # lines
    first_item = False
    for token in _BLOCKS.parse(source):
        if token.map is None or token.nesting < 0:
            continue
        if token.level >= _DEEPEST - 1:
            too_deep.append(token.map[0])
        if token.level > 1:
            continue
        start, end = token.map
        match token.type, token.level:
            case (("bullet_list_open" | "ordered_list_open"), 0):
                first_item = True
            case "list_item_open", 1:
                starts.append((start, "", not first_item))
                first_item = False
            case "fence", 0 if len(lines[start]) <= _LONGEST_FENCE:
                fence = lines[start].rstrip("\n") + "\n"
                starts += [(at, fence, at > start) for at in _stretches(lines, start, end)]
            case _, 0:
                starts.append((start, "", False))
    found: list[_Unit] = []
    for (start, fence, goes_on), (end, *_) in pairwise([*starts, (len(lines), "", False)]):
        opening = fence if goes_on else ""
        text = "".join(lines[start if found else 0 : end])  # the first unit includes the empty lines before it
        is_plain = any(start <= line < end for line in too_deep)
        found.append(_Unit(opening + text, is_code=bool(fence), is_plain=is_plain, goes_on=goes_on))
    return found


def _stretches(lines: list[str], start: int, end: int) -> Iterator[int]:
    """Yield the first lines of stretches of code that are short enough to be coloured."""
    size, begun = 0, start
    yield start
    for at in range(start + 1, end):
        size += len(lines[at])
        if at - begun > _MOST_CODE_LINES or (size > _LONGEST and at > begun + 1):
            yield at
            size, begun = len(lines[at]), at


def _short(unit: _Unit) -> Iterator[_Unit]:
    """Split a unit that is too long for layout; all parts but the last are shown as they are written."""
    while not unit.is_code and (cut := _cut(unit.text)):
        yield unit._replace(text=unit.text[:cut], is_plain=True)
        unit = _Unit(unit.text[cut:], goes_on=True)
    yield unit


def _cut(text: str) -> int:
    """Return where to cut a text that is too long for layout; 0 if it is short enough."""
    if lines := _LINES.match(text, 0, _LONGEST):
        return lines.end() if lines.end() < len(text) else 0
    return max(text.rfind(white, 0, _LONGEST) for white in " \n") + 1 or _LONGEST if len(text) > _LONGEST else 0


def write_markdown(console: Console, pieces: Iterable[str]) -> None:
    """Write Markdown to a terminal while it arrives. If the reply breaks, the text that arrived stays.

    Args:
        console: a terminal that can move its cursor.
        pieces: the text, cut anywhere.
    """
    # Draw in another thread: a reply that stalls must show the text that has arrived.
    with MarkdownStream(console) as stream, Pace(stream.draw) as pace:
        for text in pieces:
            stream.feed(text)
            pace.due()


class MarkdownStream:
    """Markdown that grows on a terminal within a ``with`` block. The end of the block writes all of it.

    No text can act as a command to the terminal.

    Args:
        console: a terminal that can move its cursor.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._fed: deque[str] = deque()  # since the last draw; `feed` appends during one
        self._pending = ""  # the growing unit, as far as it was drawn
        self._goes_on = False  # whether that unit continues the one before it
        self._written = 0  # the lines of that unit that are written
        self._begun = False  # whether anything is written
        self._width = console.width
        # It draws only on request: without a thread of its own, and without redirecting streams.
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.draw(whole=True)
        finally:
            self._live.stop()

    def feed(self, text: str) -> None:
        """Add text, for the next draw.

        Args:
            text: a piece of Markdown, cut anywhere.
        """
        self._fed.append(harmless(text))

    def draw(self, *, whole: bool = False) -> None:
        """Write the complete units, and draw the growing one.

        Args:
            whole: whether the text is complete.
        """
        if not whole and len(self._pending) > 2 * _LONGEST and 4 * sum(map(len, self._fed.copy())) < len(self._pending):
            return  # a line of code without end: it is laid out as a whole, so seldom enough for a linear time
        if not self._written:
            self._width = self._console.width  # may change between units, but not within one
        pending = self._pending + "".join(self._fed.popleft() for _ in range(len(self._fed)))
        # Parse complete lines only: an incomplete one can still change its kind. One that is too long is parsed anyway.
        end = len(pending) if whole else pending.rfind("\n") + 1
        units = _units(pending[:end]) or [_Unit("")]
        if len(units[-1].text) + len(pending) - end > _LONGEST and not units[-1].is_code:
            end = len(pending)
            units = _units(pending) or [_Unit("")]
        growing = pending[end:]
        if self._goes_on and not units[0].text.startswith("\n\n"):
            units[0] = units[0]._replace(goes_on=True)
        if not whole:
            units[-1] = units[-1]._replace(text=units[-1].text + growing)
        units = [part for unit in units for part in _short(unit)]
        last = _Unit("") if whole else units.pop()
        settled = [line for unit in units for line in self._finish(unit)]
        if last.is_code:
            lines = self._lines(last._replace(text=last.text.removesuffix(growing)))
            new = lines[self._written : -1]  # the colours of the last line may change
            self._written += len(new)
            settled += new
        self._pending, self._goes_on = last.text, last.goes_on
        self._show(settled, self._lines(last)[self._written :])

    def _show(self, settled: list[_Line], tail: list[_Line]) -> None:
        room = max(1, self._console.height - 1)
        with self._console:  # in one write
            if settled:
                self._live.update(Segments([]), refresh=True)  # or the last tail is redrawn below the complete units
                self._console.print(Segments([*_joined(settled), Segment.line()]), end="", crop=False)
            self._live.update(Segments(_joined(tail[-room:])), refresh=True)

    def _finish(self, unit: _Unit) -> list[_Line]:
        """Return the unwritten lines of a unit, and start the next unit."""
        lines = self._lines(unit)[self._written :]
        self._begun = self._begun or bool(lines)
        self._written = 0
        return lines

    def _lines(self, unit: _Unit) -> list[_Line]:
        """Lay out a unit, with the empty line before it, if it has one."""
        is_plain = unit.is_plain or (unit.text.count("[") > _MOST_BRACKETS and not unit.is_code)
        renderable: RenderableType = Text(unit.text) if is_plain else _markdown(unit.text)
        options = self._console.options.update(width=self._width, height=None)
        lines = [_trimmed(line) for line in self._console.render_lines(renderable, options, pad=False)]
        if not unit.is_code:
            filled = [number for number, line in enumerate(lines) if line]
            lines = lines[filled[0] : filled[-1] + 1] if filled else []
        return [[], *lines] if lines and self._begun and not unit.goes_on else lines


def _trimmed(line: _Line) -> _Line:
    """Make a line harmless again, because Markdown entities can name any character, and strip blanks from its end."""
    line = [Segment(harmless(text), style) for text, style, control in line if not control]
    while line and not line[-1].text.rstrip():
        line.pop()
    return [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)] if line else []


def _joined(lines: list[_Line]) -> list[Segment]:
    """Join lines with line feeds."""
    joined: list[Segment] = []
    for number, line in enumerate(lines):
        joined += [Segment.line(), *line] if number else line
    return joined
