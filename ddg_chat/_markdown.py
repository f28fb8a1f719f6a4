"""Markdown on a terminal, as it comes.

What is whole is written once and for ever, so that it scrolls away as any output does; only what is still growing, a
paragraph perhaps, is drawn again, and of that no more than fits the screen. So nothing is lost of a long reply, and
what was read doesn't move.
"""

from __future__ import annotations

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

#: The longest unit that is laid out or coloured, in characters: some of what can be written in one takes the square
#: of its length.
_LONGEST = 8 * 1024
#: The most lines of code that are coloured together.
_MOST_LINES = 200
#: The longest line that opens a block of code, in characters: each stretch of the block begins with it.
_LONGEST_FENCE = 200

#: What can't be shown would be left out: HTML, images, definitions of links. They are shown as they are written.
_INVISIBLE = ["html_block", "html_inline", "image", "reference"]
_PARSER = MarkdownIt("commonmark", {"maxNesting": 100}).enable(["table", "strikethrough"]).disable(_INVISIBLE)
_BLOCKS = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table").disable(_INVISIBLE)
_BLOCKS.core.ruler.enableOnly(["normalize", "block"])

_Line = list[Segment]


class _Code(CodeBlock):
    """A block of code as it is written, with nothing around it that copying would take along."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if code := str(self.text).removesuffix("\n"):
            yield coloured(code, self.lexer_name) if len(code) <= _LONGEST else Text(code, tab_size=4)


class _Table(TableElement):
    """A table in which a word that is longer than its column goes on in the next line, and is not cut."""

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


#: Copied for each unit: each new `Markdown` makes a parser, which takes longer than most units do. Without hyperlinks,
#: which are control sequences, with addresses of the service's.
_EMPTY = _Markdown("", hyperlinks=False)


def _markdown(source: str) -> Markdown:
    """Parse Markdown, to be laid out."""
    markdown = copy(_EMPTY)
    markdown.parsed = _PARSER.parse(source)
    return markdown


class _Unit(NamedTuple):
    """What is laid out by itself: a block, an item of a list, a stretch of code.

    Attributes:
        text: its Markdown.
        is_code: whether its lines, once whole, stay as they are.
        is_plain: whether it is shown as it is written.
        goes_on: whether it belongs to the one before it, and no empty line comes between them.
    """

    text: str
    is_code: bool = False
    is_plain: bool = False
    goes_on: bool = False


def _units(source: str) -> list[_Unit]:
    """Take Markdown apart. All but the last unit are the same whatever follows, if the source ends in a line's end."""
    lines = source.splitlines(keepends=True)
    starts: list[tuple[int, str, bool]] = []  # line, the fence that opens it if it is code, whether it goes on
    first_item = False
    for token in _BLOCKS.parse(source):
        if token.map is None or token.nesting < 0 or token.level > 1:
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
        text = "".join(lines[start if found else 0 : end])  # the first has the empty lines before it
        found.append(_Unit(opening + text, is_code=bool(fence), goes_on=goes_on))
    return found


def _stretches(lines: list[str], start: int, end: int) -> Iterator[int]:
    """Give where stretches of code begin that are short enough to be coloured."""
    size, begun = 0, start
    yield start
    for at in range(start + 1, end):
        size += len(lines[at])
        if at - begun > _MOST_LINES or (size > _LONGEST and at > begun + 1):
            yield at
            size, begun = len(lines[at]), at


def _short(unit: _Unit) -> Iterator[_Unit]:
    """Cut what is too long to be laid out; what is cut off is shown as it is written."""
    while len(unit.text) > _LONGEST and not unit.is_code:
        cut = max(unit.text.rfind(white, 0, _LONGEST) for white in " \n") + 1 or _LONGEST
        yield unit._replace(text=unit.text[:cut], is_plain=True)
        unit = _Unit(unit.text[cut:], goes_on=True)
    yield unit


def write_markdown(console: Console, pieces: Iterable[str]) -> None:
    """Write Markdown to a terminal while it comes; what came of it stays, should it break.

    Args:
        console: on a terminal that can move its cursor.
        pieces: of the text, cut anywhere.
    """
    # It is drawn in the meantime: a reply that stops in the middle is to be seen as far as it came.
    with MarkdownStream(console) as stream, Pace(stream.draw) as pace:
        for text in pieces:
            stream.feed(text)
            pace.due()


class MarkdownStream:
    """Markdown that grows on a terminal, within a ``with`` block; at the end of it all of it is written.

    Nothing of the text is taken for a command by the terminal, whatever is in it.

    Args:
        console: on a terminal that can move its cursor.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._fed: deque[str] = deque()  # since it was drawn; added to while it is
        self._pending = ""  # from the beginning of the unit that is growing, as far as it was drawn
        self._goes_on = False  # that unit
        self._written = 0  # lines of it
        self._begun = False  # whether anything was written at all
        self._width = console.width
        # It draws when it is told to: no thread of its own, no streams taken over.
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
        """Take in more, to be seen when it is drawn next.

        Args:
            text: a piece of Markdown, cut anywhere.
        """
        self._fed.append(harmless(text))

    def draw(self, *, whole: bool = False) -> None:
        """Write what is whole, and draw what is growing.

        Args:
            whole: whether nothing more comes.
        """
        if not self._written:
            self._width = self._console.width  # may change from unit to unit, but not within one
        pending = self._pending + "".join(self._fed.popleft() for _ in range(len(self._fed)))
        # What a line is, and whether it ends a unit, is sure when it is whole; or, if it is too long, taken to be.
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
            new = lines[self._written : -1]  # the colours of the last one may change
            self._written += len(new)
            settled += new
        self._pending, self._goes_on = last.text, last.goes_on
        self._show(settled, self._lines(last)[self._written :])

    def _show(self, settled: list[_Line], tail: list[_Line]) -> None:
        room = max(1, self._console.height - 1)
        with self._console:  # in one write
            if settled:
                self._live.update(Segments([]), refresh=True)  # or the last tail would be drawn below what is whole
                self._console.print(Segments([*_joined(settled), Segment.line()]), end="", crop=False)
            self._live.update(Segments(_joined(tail[-room:])), refresh=True)

    def _finish(self, unit: _Unit) -> list[_Line]:
        """Give the lines of a unit that are not written yet, and go on to the next."""
        lines = self._lines(unit)[self._written :]
        self._begun = self._begun or bool(lines)
        self._written = 0
        return lines

    def _lines(self, unit: _Unit) -> list[_Line]:
        """Lay a unit out, with the empty line before it, if it has one."""
        renderable: RenderableType = Text(unit.text) if unit.is_plain else _markdown(unit.text)
        options = self._console.options.update(width=self._width, height=None)
        lines = [_trimmed(line) for line in self._console.render_lines(renderable, options, pad=False)]
        if not unit.is_code:
            filled = [number for number, line in enumerate(lines) if line]
            lines = lines[filled[0] : filled[-1] + 1] if filled else []
        return [[], *lines] if lines and self._begun and not unit.goes_on else lines


def _trimmed(line: _Line) -> _Line:
    """Make a line harmless once more, for Markdown can name any character, and take the blanks from its end."""
    line = [Segment(harmless(text), style) for text, style, control in line if not control]
    while line and not line[-1].text.rstrip():
        line.pop()
    return [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)] if line else []


def _joined(lines: list[_Line]) -> list[Segment]:
    """Put lines into one, with line feeds between them."""
    joined: list[Segment] = []
    for number, line in enumerate(lines):
        joined += [Segment.line(), *line] if number else line
    return joined
