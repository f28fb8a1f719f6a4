"""The timeline as a sequence diagram in text: lifelines, arrows, and labels at their right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from ddg_protocol import State

from .._text import columns, escaped
from ._texts import fit, wrapped
from ._timeline import Entry, Kind, Party, Timeline

NARROWEST = 60
"""Columns; the minimum width of a diagram."""
_STATE_WIDTH = max(len(state.name) for state in State if state is not State.COORDINATING)
_PREVIEW = 400
"""Characters; the beginning of a longer body says little."""
_MOST_LINES = 4
"""The most lines of an error's text; other texts have one."""

_COLOURS: dict[Kind, str] = {
    "calls": "1",
    "requests": "34",
    "chunks": "34",
    "events": "",
    "waits": "33",
    "challenges": "35",
    "states": "36",
    "errors": "31",
}


_SAID = frozenset({"ask", "TextDelta", "ConversationTitle"})
"""Titles of the entries whose text is quoted."""


class Glyphs(msgspec.Struct, frozen=True):
    """The characters of the diagram.

    Attributes:
        line: a lifeline.
        wait: the lifeline of a waiting party.
        here: the lifeline of the party that an entry concerns.
        dash: an arrow's shaft.
        bold: the shaft of an arrow that reports a failure.
        right: the head of an arrow to the right.
        left: the head of an arrow to the left.
        leave_right: the start of an arrow to the right.
        leave_left: the start of an arrow to the left.
        cross: an arrow that crosses a lifeline.
        ellipsis: the end of a cut text.
        times: the sign before a count.
        to: the sign between the old and the new value.
    """

    line: str = "│"
    wait: str = "┊"
    here: str = "●"
    dash: str = "─"
    bold: str = "━"
    right: str = "►"
    left: str = "◄"
    leave_right: str = "├"
    leave_left: str = "┤"
    cross: str = "┼"
    ellipsis: str = "…"
    times: str = "×"
    to: str = "→"


UNICODE = Glyphs()
ASCII = Glyphs("|", ":", "*", "-", "=", ">", "<", "|", "|", "-", "...", "x", "->")


class Style(msgspec.Struct, frozen=True):
    """The style of the diagram.

    Attributes:
        width: the terminal's columns.
        glyphs: the characters.
        colour: whether to use colours.
        full: whether to show each chunk on its own line, each state, and uncut texts.
    """

    width: int
    glyphs: Glyphs = UNICODE
    colour: bool = False
    full: bool = False


def draw(timeline: Timeline, style: Style) -> Iterator[str]:
    """Draw a run.

    Args:
        timeline: the run.
        style: the diagram's style.

    Yields:
        Lines, without their ends. Text from the service contains only visible characters.
    """
    return _Drawing(timeline, style).lines()


class _Row(msgspec.Struct):
    """A row of the diagram before layout: one entry, or several as one."""

    entry: Entry
    title: str
    text: str
    state: str = ""


class _Drawing:
    def __init__(self, timeline: Timeline, style: Style) -> None:
        self._timeline = timeline
        self._style = style
        self._glyphs = style.glyphs
        self._width = width = max(style.width, NARROWEST)
        self._gap = 10 if width >= 100 else 8
        self._parties: list[Party] = ["caller", "session", "service"]
        if any("solver" in (entry.source, entry.target) for entry in timeline.entries):
            self._parties.append("solver")
        self._time_width = max(len("seconds"), len(f"{timeline.seconds:.3f}"))
        lanes = self._gap * (len(self._parties) - 1) + 7
        self._has_states = width >= 80 and not style.full
        is_coordinated = any(
            entry.kind == "states" and entry.title.endswith(State.COORDINATING.name) for entry in timeline.entries
        )
        widest = len(State.COORDINATING.name) if is_coordinated else _STATE_WIDTH
        states = widest + 2 if self._has_states else 0
        self._text_width = max(16, width - self._time_width - 2 - lanes - 1 - states)

    def lines(self) -> Iterator[str]:
        """Yield the heading, the rows of each turn, and the summary."""
        yield from self._headings()
        shown_at = None
        for number, turn in enumerate(self._timeline.turns):
            if number:
                yield f"{'':{self._time_width}}  {self._dim(self._lifelines().rstrip())}"
            for row in self._rows(turn):
                at = f"{row.entry.at:.3f}"
                yield from self._row(row, "" if at == shown_at else at)
                shown_at = at
        yield ""
        yield from self._summary()

    def _headings(self) -> Iterator[str]:
        names = "".join(f"{party:^{self._gap}}" for party in self._parties)
        # Each name is centred on its lifeline; half of the first name is to the left of the first lifeline.
        shift = self._gap // 2 - 3
        yield self._dim(f"{'seconds':>{self._time_width}}  {names[shift:].rstrip()}")

    def _rows(self, entries: Sequence[Entry]) -> Iterator[_Row]:
        if self._style.full:
            for entry in entries:
                yield self._alone(entry)
            return
        pending: _Row | None = None
        for row in self._folded(entries):
            if row.entry.kind == "states":
                state = row.entry.title.rpartition(" ")[2]
                if self._has_states and pending is not None and not pending.state:
                    pending.state = state
                    continue
                row = _Row(row.entry, state, row.text)
            if pending is not None:
                yield pending
            pending = row
        if pending is not None:
            yield pending

    def _folded(self, entries: Sequence[Entry]) -> Iterator[_Row]:
        """Fold consecutive chunks and their deltas: the chunks into one row, the deltas into another."""
        for is_stream, group in groupby(entries, _is_stream):
            if not is_stream:
                yield from map(self._alone, group)
                continue
            run = list(group)
            chunks = [entry for entry in run if entry.kind == "chunks" and entry.title == "chunk"]
            ends = [entry for entry in run if entry.title == "end"]
            pieces = [entry for entry in run if entry.kind == "events"]
            if chunks:
                yield self._chunks(chunks, over=bool(ends) and not pieces, preview=not pieces)
            if pieces:
                times = f" {self._glyphs.times}{len(pieces):,}" if len(pieces) > 1 else ""
                yield _Row(pieces[0], f"TextDelta{times}", _quoted("".join(entry.text for entry in pieces)))
            if ends and (pieces or not chunks):
                yield self._alone(ends[0])

    def _alone(self, entry: Entry) -> _Row:
        if entry.kind == "chunks" and entry.title == "chunk":
            return self._chunks([entry], over=False, preview=True)
        title = escaped(entry.title).replace("→", self._glyphs.to)
        text = _quoted(entry.text) if entry.title in _SAID else escaped(entry.text)
        return _Row(entry, f"{title}:" if entry.bad and text and entry.kind != "requests" else title, text)

    def _chunks(self, chunks: list[Entry], *, over: bool, preview: bool) -> _Row:
        size = sum(entry.size for entry in chunks)
        text = f"{size:,} byte{'' if size == 1 else 's'}"
        seconds = chunks[-1].at - chunks[0].at
        if seconds >= 0.0005:
            text += f" in {seconds:.3f} s"
        if over:
            text += ", end"
        body = "".join(entry.text for entry in chunks) if preview else ""
        if body and (self._style.full or len(body) <= _PREVIEW):
            text += f": {escaped(body)}"
        return _Row(chunks[0], "chunk," if len(chunks) == 1 else f"{len(chunks):,} chunks,", text)

    def _row(self, row: _Row, at: str) -> Iterator[str]:
        entry, width = row.entry, self._text_width
        colour = "31" if entry.bad else _COLOURS[entry.kind]
        label = f"{row.title} {row.text}" if row.text else row.title
        if not self._style.full:
            label = fit(label, width * (_MOST_LINES if entry.bad else 1), self._glyphs.ellipsis)
        first, *rest = wrapped(label, width)
        state = ""
        if row.state:
            state = " " * (width - columns(first) + 2) + self._paint(row.state, _COLOURS["states"])
        shown = self._paint(first[: len(row.title)], colour) + first[len(row.title) :] + state
        yield f"{self._dim(f'{at:>{self._time_width}}')}  {self._lanes(entry, colour)} {shown}".rstrip()
        yield from (f"{'':{self._time_width}}  {self._dim(self._lifelines())} {line}" for line in rest)

    # Lanes

    def _lifelines(self) -> str:
        return "   " + (" " * (self._gap - 1)).join(self._glyphs.line for _ in self._parties) + "   "

    def _lanes(self, entry: Entry, colour: str) -> str:
        glyphs, gap = self._glyphs, self._gap
        source, target = self._parties.index(entry.source), self._parties.index(entry.target)
        cells = list((glyphs.line + " " * (gap - 1)) * (len(self._parties) - 1) + glyphs.line)
        if source == target:
            cells[source * gap] = glyphs.wait if entry.kind == "waits" else glyphs.here
            begin, end = source * gap, source * gap + 1
        else:
            shaft = glyphs.bold if entry.bad and entry.kind == "errors" else glyphs.dash
            left, right = sorted((source * gap, target * gap))
            begin, end = left, right + 1
            for place in range(left + 1, right):
                cells[place] = glyphs.cross if place % gap == 0 else shaft
            if source < target:
                cells[left], cells[right - 1] = glyphs.leave_right, glyphs.right
            else:
                cells[right], cells[left + 1] = glyphs.leave_left, glyphs.left
        before, arrow, after = "".join(cells[:begin]), "".join(cells[begin:end]), "".join(cells[end:])
        return self._dim("   " + before) + self._paint(arrow, colour) + self._dim(after + "   ")

    def _summary(self) -> Iterator[str]:
        timeline = self._timeline
        turns = sum(entry.title == "ask" and entry.kind == "calls" for entry in timeline.entries)
        parts = [
            f"{turns} turn{'' if turns == 1 else 's'}",
            f"{timeline.requests} request{'' if timeline.requests == 1 else 's'}",
            f"{timeline.received:,} bytes received",
            f"{timeline.seconds:.3f} s, {timeline.waited:.3f} s of them waiting",
        ]
        yield from wrapped(", ".join(parts), self._width)
        if timeline.blanked:
            yield "Questions and replies were blanked in the recording."

    # Colours

    def _dim(self, text: str) -> str:
        return self._paint(text, "2")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._style.colour and colour and text.strip() else text


def _is_stream(entry: Entry) -> bool:
    return entry.kind == "chunks" or (entry.kind == "events" and entry.title == "TextDelta")


def _quoted(text: str) -> str:
    return f'"{escaped(text)}"'
