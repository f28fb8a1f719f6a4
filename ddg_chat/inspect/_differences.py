"""What differs between two transcripts: which steps correspond to each other, and which of their facts differ.

All of it takes time in proportion to the transcripts, but for sorting, whatever is in them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Literal, TypeVar

import msgspec

from ddg_protocol.transcript import Transcript

from ._steps import BLANKED, Fact, Part, Round, Run, Step, Turn, read_steps

How = Literal["same", "changed", "added", "removed", "moved", "nature"]

_T = TypeVar("_T")

#: Facts that say what a run did, and not only how.
_COURSE = frozenset({("", "method"), ("", "path"), ("response", "status"), ("response", "failure"), ("", "how")})
_ORDERED: tuple[Part, ...] = ("header", "body")
"""The parts of a step whose order is the client's choice."""


class Row(msgspec.Struct, frozen=True):
    """A fact of two steps, side by side.

    Attributes:
        part: the part of the step.
        name: the fact's name.
        a: its value in the first run; None if it has none. Of a fact that only moved, its place.
        b: its value in the second run; None if it has none. Of a fact that only moved, its place.
        how: how the two differ; ``nature`` if they differ from run to run.
        nature: what the value is, if it differs from run to run.
    """

    part: Part
    name: str
    a: str | None
    b: str | None
    how: How
    nature: str = ""

    @property
    def differs(self) -> bool:
        """Whether this is a difference."""
        return self.how not in ("same", "nature")


class Pair(msgspec.Struct, frozen=True):
    """Two steps that correspond to each other, or one that only one run has.

    Attributes:
        a: the step of the first run; None if it has none.
        b: the step of the second run; None if it has none.
        changes: what differs between the two.
    """

    a: Step | None
    b: Step | None
    changes: tuple[Row, ...] = ()

    @property
    def step(self) -> Step:
        """The step of the first run, or else that of the second."""
        step = self.a or self.b
        assert step is not None, "a pair has a step"
        return step

    @property
    def is_alone(self) -> bool:
        """Whether only one run has the step, and not by its nature."""
        return (self.a is None or self.b is None) and not self.step.nature

    @property
    def differs(self) -> bool:
        """Whether this is a difference."""
        return self.is_alone or bool(self.changes)

    @property
    def parts_ways(self) -> bool:
        """Whether the runs do other things here, and not only the same in another way."""
        return self.is_alone or any((row.part, row.name) in _COURSE for row in self.changes)


class TurnPair(msgspec.Struct, frozen=True):
    """Two turns that correspond to each other, or one that only one run has.

    Attributes:
        a: the turn of the first run; None if it has none.
        b: the turn of the second run; None if it has none.
        pairs: their steps, in order.
    """

    a: Turn | None
    b: Turn | None
    pairs: tuple[Pair, ...]

    @property
    def title(self) -> str:
        """Such as ``turn 1``, or ``turn 2 of A, turn 1 of B``."""
        titles = [(turn.title, side) for turn, side in ((self.a, "A"), (self.b, "B")) if turn is not None]
        if len({title for title, _ in titles}) < len(titles):
            return titles[0][0]
        return ", ".join(f"{title} of {side}" for title, side in titles)


class Comparison(msgspec.Struct, frozen=True):
    """What differs between two chats that correspond to each other, or a chat that only one transcript has.

    Attributes:
        a: the chat of the first transcript; None if it has none.
        b: the chat of the second transcript; None if it has none.
        settings: the settings.
        turns: the turns, in order; none of a chat that only one transcript has, which is a difference as a whole.
        ignored: what is not compared because it differs from run to run, with the number of values.
    """

    a: Run | None
    b: Run | None
    settings: Pair
    turns: tuple[TurnPair, ...]
    ignored: dict[str, int]

    @property
    def found(self) -> Iterator[tuple[TurnPair | None, Pair]]:
        """The pairs that differ, each with its turn; that of the settings, which come first, is None."""
        if self.settings.differs:
            yield None, self.settings
        for turn in self.turns:
            yield from ((turn, pair) for pair in turn.pairs if pair.differs)

    @property
    def differs(self) -> bool:
        """Whether there is a difference."""
        return next(self.found, None) is not None

    @property
    def count(self) -> int:
        """The number of differences."""
        return sum(len(pair.changes) or 1 for _, pair in self.found)


def differences(a: Transcript, b: Transcript) -> list[Comparison]:
    """Compare two transcripts.

    Chats correspond to each other by their order; within a chat, turns by their questions, and otherwise by their
    order; within a turn, requests by method and path; between requests, events by their kind.

    Args:
        a: the readable part of the first transcript.
        b: the readable part of the second.

    Returns:
        All that differs, and what was not compared, chat by chat.
    """
    is_one_blanked = a.head.texts != b.head.texts
    ours, theirs = ([read_steps(chat, blanked=is_one_blanked) for chat in each.chats()] for each in (a, b))
    return [_compared(*each) for each in zip_longest(ours, theirs)]


def _compared(a: Run | None, b: Run | None) -> Comparison:
    if a is None or b is None:
        return Comparison(a, b, Pair(a.settings if a else None, b.settings if b else None), (), {})
    ignored: Counter[str] = Counter()
    compare = _Compare(ignored)
    settings = compare.pair(a.settings, b.settings)
    turns = tuple(compare.turn(*each) for each in matched(a.turns, b.turns, _asked, _sort_of_turn))
    return Comparison(a, b, settings, turns, dict(ignored))


def rows(a: Step | None, b: Step | None) -> list[Row]:
    """Return all facts of two steps, side by side.

    Args:
        a: the step of the first run, or None.
        b: the corresponding step of the second run, or None.

    Returns:
        The facts of each part, in the order of the first step; then those that only the second has.
    """
    ours, theirs = _numbered(a), _numbered(b)
    parts = dict.fromkeys(part for part, _, _ in (*ours, *theirs))
    moved = {key: places for part in _ORDERED for key, places in _moved(part, ours, theirs)}
    found: dict[Part, list[Row]] = {part: [] for part in parts}
    for key, fact in ours.items():
        found[key[0]].append(_row(fact, theirs.get(key), moved.get(key)))
    for key, fact in theirs.items():
        if key not in ours:
            found[key[0]].append(_row(None, fact, None))
    return [row for part in parts for row in found[part]]


# Which steps correspond


def matched(a: Sequence[_T], b: Sequence[_T], *keys: Callable[[_T], Hashable]) -> Iterator[tuple[_T | None, _T | None]]:
    """Match two sequences in order.

    Where they differ, they go on at the nearest place at which both are the same. Each item is looked at a few times
    at most, so this takes linear time; what it finds is not always the longest common part.

    Args:
        a: the first sequence.
        b: the second.
        keys: what matching items have in common. What one key leaves over, between its matches, is matched by the next.

    Yields:
        Pairs of items that match, in order, and each item that matches none with None.
    """
    if not keys or not a or not b:
        yield from ((each, None) for each in a)
        yield from ((None, each) for each in b)
        return
    key, *others = keys
    at_a = at_b = 0
    for i, j in (*_common([key(each) for each in a], [key(each) for each in b]), (len(a), len(b))):
        yield from matched(a[at_a:i], b[at_b:j], *others)
        if i < len(a):
            yield a[i], b[j]
        at_a, at_b = i + 1, j + 1


def _common(a: Sequence[Hashable], b: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """Yield the places of a common part, in order."""
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, each in enumerate(b):
        places[each].append(index)
    i = j = 0
    while i < len(a) and j < len(b):
        nearest, distance = None, len(a) + len(b)
        skipped = 0
        while skipped < distance and i + skipped < len(a):
            there = places.get(a[i + skipped], [])
            index = bisect_left(there, j)
            if index < len(there) and skipped + there[index] - j < distance:
                nearest, distance = (i + skipped, there[index]), skipped + there[index] - j
            skipped += 1
        if nearest is None:
            return
        yield nearest
        i, j = nearest[0] + 1, nearest[1] + 1


def _asked(turn: Turn) -> Hashable:
    if turn.question is None:
        return None
    return turn.question.title, tuple((fact.name, fact.value) for fact in turn.question.facts())


def _sort_of_turn(turn: Turn) -> Hashable:
    return turn.question.title if turn.question else None


def _request_of(round: Round) -> Hashable:
    return round.request and round.request.title


def _path_of(round: Round) -> Hashable:
    return round.request and round.request.title.partition(" ")[2]


def _method_of(round: Round) -> Hashable:
    return round.request and round.request.title.partition(" ")[0]


def _title_of(step: Step) -> Hashable:
    return step.title


def _sort_of_step(step: Step) -> Hashable:
    return step.kind if step.kind == "wait" else step.title


_NO_TURN = Turn("", None)
_NO_ROUND = Round()


class _Compare:
    def __init__(self, ignored: Counter[str]) -> None:
        self._ignored = ignored

    def turn(self, a: Turn | None, b: Turn | None) -> TurnPair:
        ours, theirs = a or _NO_TURN, b or _NO_TURN
        found = [*self._step(ours.question, theirs.question), *self._steps(ours.opening, theirs.opening)]
        for mine, other in matched(ours.rounds, theirs.rounds, _request_of, _path_of, _method_of):
            one, another = mine or _NO_ROUND, other or _NO_ROUND
            found += self._steps(one.before, another.before)
            found += self._step(one.request, another.request)
            found += self._steps(one.after, another.after)
        found += self._step(ours.end, theirs.end)
        return TurnPair(a, b, tuple(found))

    def _steps(self, a: list[Step], b: list[Step]) -> Iterator[Pair]:
        return (self.pair(*each) for each in matched(a, b, _title_of, _sort_of_step))

    def _step(self, a: Step | None, b: Step | None) -> Iterator[Pair]:
        if a is not None or b is not None:
            yield self.pair(a, b)

    def pair(self, a: Step | None, b: Step | None) -> Pair:
        step = a or b
        if a is None or b is None:
            if step is not None and step.nature:
                self._ignored[step.nature] += 1
            return Pair(a, b)
        if a.nature and b.nature:
            if any(row.how != "same" for row in rows(a, b)):
                self._ignored[a.nature] += 1
            return Pair(a, b)
        changes = []
        for row in rows(a, b):
            if row.how == "nature":
                self._ignored[row.nature] += 1
            elif row.differs:
                changes.append(row)
        return Pair(a, b, tuple(changes))


# Which facts differ

_Key = tuple[Part, str, int]


def _numbered(step: Step | None) -> dict[_Key, Fact]:
    """Number facts of the same name, so that each of two has a counterpart."""
    counts: Counter[Any] = Counter()
    found: dict[_Key, Fact] = {}
    for fact in step.facts() if step is not None else ():
        name = fact.name.lower() if fact.part == "header" else fact.name
        counts[fact.part, name] += 1
        found[fact.part, name, counts[fact.part, name]] = fact
    return found


def _row(a: Fact | None, b: Fact | None, places: tuple[str, str] | None) -> Row:
    if a is None or b is None:
        fact = a or b
        assert fact is not None, "one of the two is there"
        nature = fact.nature if fact.nature == BLANKED else ""
        how: How = "nature" if nature else "added" if a is None else "removed"
        return Row(fact.part, fact.name, a.value if a else None, b.value if b else None, how, nature)
    if not _is_same(a, b):
        nature = a.nature if b.nature else ""
        if not nature and a.seconds is not None and b.seconds is not None and _is_close(a.seconds, b.seconds):
            nature = "times"
        return Row(a.part, a.name, a.value, b.value, "nature" if nature else "changed", nature)
    if places is not None:
        return Row(a.part, a.name, *places, "moved")
    return Row(a.part, a.name, a.value, b.value, "same")


def _is_same(a: Fact, b: Fact) -> bool:
    return a.same == b.same and a.seconds == b.seconds and (not (a.nature and b.nature) or a.value == b.value)


def _is_close(a: float, b: float) -> bool:
    """Return whether two durations may differ by chance: the jitter of a backoff at most doubles it."""
    return max(a, b) <= 2 * min(a, b) or abs(a - b) < 0.5


def _moved(part: Part, a: dict[_Key, Fact], b: dict[_Key, Fact]) -> Iterator[tuple[_Key, tuple[str, str]]]:
    """Yield the facts that have moved among those that both have, with their places in each step."""
    ours, theirs = [key for key in a if key[0] == part], [key for key in b if key[0] == part]
    places = {key: place for place, key in enumerate(theirs)}
    kept = _increasing([places[key] for key in ours if key in places])
    for place, key in enumerate(ours, 1):
        if key in places and places[key] not in kept:
            yield key, (f"place {place} of {len(ours)}", f"place {places[key] + 1} of {len(theirs)}")


def _increasing(numbers: list[int]) -> set[int]:
    """Return the members of a longest increasing part of different numbers."""
    ends: list[int] = []  # by length, the smallest number that ends such a part
    before: dict[int, int | None] = {}
    for number in numbers:
        place = bisect_left(ends, number)
        before[number] = ends[place - 1] if place else None
        ends[place : place + 1] = [number]
    found: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found
