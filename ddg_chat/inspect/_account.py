"""What differs between two runs, in text: where they part, and what each has where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from .._say import folded
from .._text import escaped
from ._differences import Comparison, Pair, Row, TurnPair, rows
from ._steps import Run, Step
from ._texts import common_ends, cut

_CUT = 200
"""The most characters of a value."""
_BEFORE = 20
"""Characters; how much of what is the same is shown before what differs, in a value that is cut."""
_MOST_ROWS = 100
"""The most differences that are listed."""

_COLOURS = {"-": "31", "+": "32"}


class Look(msgspec.Struct, frozen=True):
    """How the account looks.

    Attributes:
        width: the terminal's columns.
        colour: whether to use colours.
        full: whether to list all differences, with their values uncut.
        ellipsis: the end of a cut text.
    """

    width: int
    colour: bool = False
    full: bool = False
    ellipsis: str = "…"


def account(chats: Sequence[Comparison], a: str, b: str, look: Look) -> Iterator[str]:
    """Say what differs.

    Args:
        chats: the chats of the two transcripts, in pairs.
        a: the name of the first transcript.
        b: the name of the second.
        look: how it looks.

    Yields:
        Lines, without their ends. Text from the transcripts contains only visible characters.
    """
    return _Account(chats, look).lines(a, b)


def titles(chats: Sequence[Comparison]) -> list[str]:
    """Return a title for each pair of chats. A pair that is alone needs none: its title is empty."""
    return [f"Chat {number}" for number in range(1, len(chats) + 1)] if len(chats) > 1 else [""]


def summary(comparison: Comparison) -> Iterator[str]:
    """Say where two chats differ first, where they part, and what was not compared: a sentence each."""
    first = next(comparison.found, None)
    if comparison.a is None or comparison.b is None:
        yield f"Only {'A' if comparison.b is None else 'B'} has this chat: {size([comparison.a or comparison.b])}."
    elif first is None:
        yield "Nothing differs."
    else:
        parting = next((each for each in comparison.found if each[1].parts_ways), None)
        if parting is None:
            yield f"They do the same. They differ first in {place(*first)}."
        elif parting[1] is first[1]:
            yield f"They differ first, and part, in {place(*first)}: {parted(first[1])}."
        else:
            yield f"They differ first in {place(*first)}."
            yield f"They part in {place(*parting)}: {parted(parting[1])}."
    if comparison.ignored:
        counts = ", ".join(f"{nature} ({count:,})" for nature, count in sorted(comparison.ignored.items()))
        yield f"Not compared, because they differ from run to run: {counts}."


def place(turn: TurnPair | None, pair: Pair) -> str:
    """Name a step, with its turn and its lines."""
    lines = [f"line {step.line} of {side}" for side, step in (("A", pair.a), ("B", pair.b)) if step is not None]
    return f"{turn.title + ', ' if turn else ''}{escaped(cut(pair.step.title, _CUT))} ({', '.join(lines)})"


def parted(pair: Pair) -> str:
    """Say how two runs part in a step."""
    if pair.is_alone:
        return f"only {'A' if pair.b is None else 'B'} has it"
    row = next((each for each in pair.changes if (each.part, each.name) == ("response", "status")), pair.changes[0])
    if row.a is None or row.b is None:
        return f"only {'A' if row.b is None else 'B'} has a {row.name}"
    return f"{escaped(cut(row.a, _CUT))} in A, {escaped(cut(row.b, _CUT))} in B"


def size(chats: Sequence[Run | None]) -> str:
    """Say how many turns and requests there are, and of several pairs how many chats one transcript has."""
    runs = [run for run in chats if run is not None]
    counts = {
        "chat": len(runs) if len(chats) > 1 else 0,
        "turn": sum(turn.question is not None for run in runs for turn in run.turns),
        "request": sum(run.requests for run in runs),
    }
    return ", ".join(
        f"{count:,} {what}{'' if count == 1 else 's'}" for what, count in counts.items() if count or what != "chat"
    )


def label(row: Row) -> str:
    """Name a fact, with the part of the step that it is in."""
    part = "" if row.part == "response" and row.name != "status" else row.part
    return f"{part} {row.name}".strip() + (", moved" if row.how == "moved" else "")


def brief(step: Step) -> str:
    """Say in a few words what a step that only one run has is about."""
    if step.kind == "request":
        return next((row.a or "" for row in rows(step, None) if row.part == "response"), "")
    return ", ".join(fact.value for fact in step.facts()[:2])


def common_start(row: Row, limit: int) -> int:
    """Return how many characters to leave out where two values that are too long begin alike."""
    if row.a is None or row.b is None or max(len(row.a), len(row.b)) <= limit:
        return 0
    return max(0, common_ends(row.a, row.b)[0] - _BEFORE)


class _Account:
    def __init__(self, chats: Sequence[Comparison], look: Look) -> None:
        self._chats = chats
        self._look = look
        self._limit = 1 << 62 if look.full else _CUT
        self._told: set[Row] = set()
        self._left = 1 << 62 if look.full else _MOST_ROWS

    def lines(self, a: str, b: str) -> Iterator[str]:
        ours, theirs = [chat.a for chat in self._chats], [chat.b for chat in self._chats]
        for mark, side, name, runs in (("-", "A", a, ours), ("+", "B", b, theirs)):
            yield from self._value(mark, f"{side}: {escaped(name)}, {size(runs)}", 0)
        for title, comparison in zip(titles(self._chats), self._chats, strict=True):
            if title:
                yield ""
                yield from self._heading(title, 0)
            yield ""
            for sentence in summary(comparison):
                yield from folded(sentence, self._look.width).split("\n")
            yield from self._listed(comparison)
        rest = sum(comparison.count for comparison in self._chats) - _MOST_ROWS
        if rest > 0 and not self._look.full:
            yield ""
            yield from self._heading(f"{rest:,} more differences are left out; --full lists them.", 0)

    def _listed(self, comparison: Comparison) -> Iterator[str]:
        if comparison.a is None or comparison.b is None:
            self._left -= 1  # the summary has said it
            return
        shown: TurnPair | str | None = ""
        for turn, pair in comparison.found:
            if self._left <= 0:
                break
            if turn is not shown:
                yield ""
                yield from self._heading("settings" if turn is None else turn.title, 0)
                shown = turn
            yield from self._pair(pair)

    def _pair(self, pair: Pair) -> Iterator[str]:
        title = self._cut(pair.step.title)
        if pair.is_alone:
            self._left -= 1
            about = self._cut(brief(pair.step))
            text = f"{title}{': ' if about else ''}{about} (line {pair.step.line})"
            yield from self._value("-" if pair.b is None else "+", text, 2)
            return
        if pair.a is not None and pair.b is not None and pair.step.kind != "settings":
            title += f" (lines {pair.a.line} and {pair.b.line})"
        if pair.step.kind != "settings":
            yield from self._heading(title, 2)
        above = []
        for row in pair.changes[: self._left]:
            if row in self._told:
                above.append(label(row))
                continue
            self._told.add(row)
            yield from self._row(row)
        self._left -= len(pair.changes)
        if above:
            yield from self._heading(escaped(f"as above: {', '.join(above)}"), 4)

    def _row(self, row: Row) -> Iterator[str]:
        yield from self._heading(escaped(label(row)), 4)
        skipped = common_start(row, self._limit)
        for mark, value in (("-", row.a), ("+", row.b)):
            if value is not None:
                if skipped:
                    yield from self._value(mark, f"(+{skipped:,}) {self._look.ellipsis}{self._cut(value[skipped:])}", 4)
                    continue
                yield from self._value(mark, self._cut(value), 4)

    def _cut(self, text: str) -> str:
        return escaped(cut(text, self._limit, self._look.ellipsis))

    def _heading(self, text: str, indent: int) -> Iterator[str]:
        yield from self._block(" " * indent, " " * indent, text, "1" if indent < 4 else "")

    def _value(self, mark: str, text: str, indent: int) -> Iterator[str]:
        before = " " * indent
        yield from self._block(f"{before}{mark} ", f"{before}  ", text, _COLOURS[mark])

    def _block(self, first: str, other: str, text: str, colour: str) -> Iterator[str]:
        for index, line in enumerate(folded(text, self._look.width - len(first)).split("\n")):
            shown = f"{first if index == 0 else other}{line}".rstrip()
            yield f"\x1b[{colour}m{shown}\x1b[0m" if self._look.colour and colour and shown else shown
