"""Parts 1 and 2: a turn from end to end, and what each further event of it costs. The same rounds serve both.

What a process costs is a matter of luck, too: on which processor the system puts it and its server, and how its heap
happens to lie. So all of it is on one processor, on which nobody has to work while another does, and everyone has
several processes, one after the other.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from statistics import median
from typing import NamedTuple

from benchmarks import clients, server
from benchmarks.clients import ALL, ANYIO, BARE, BLOCKING, FLOOR, FLOORS, PEERS, TRIO, versions
from benchmarks.report import Limit, Part, Scale, Table, over
from benchmarks.worker import Failed, Figures, Worker


class Found(NamedTuple):
    """The figures of all rounds by contender and question; and why there are none, of those who could not hold it."""

    figures: dict[tuple[str, str], list[Figures]]
    failed: dict[tuple[str, str], str]

    def median(self, name: str, question: str, what: str) -> float | None:
        rounds = self.figures.get((name, question))
        return median(each[what] for each in rounds) if rounds else None

    def notes(self, *asked: str) -> list[str]:
        return [
            f'{name} could not hold the turn "{question}": {why}'
            for (name, question), why in self.failed.items()
            if question in asked
        ]


class Questions(NamedTuple):
    """A short and a long reply whose events come one by one, and the same in one go."""

    short: str
    long: str
    short_at_once: str
    long_at_once: str


def questions(scale: Scale) -> Questions:
    return Questions(
        server.question(scale.short, apart=scale.apart),
        server.question(scale.long, apart=scale.apart),
        server.question(scale.short),
        server.question(scale.long),
    )


@cache
def measured(scale: Scale) -> Found:
    """Have everyone hold every turn, each round in an order of its own."""
    found = Found({}, {})
    with on_one_processor(), server.running() as url:
        rounds = max(1, scale.rounds // 3)
        for process in range(scale.processes):
            measure(scale, range(process * rounds, (process + 1) * rounds), url, found)
    return found


def measure(scale: Scale, rounds: Iterable[int], url: str, found: Found) -> None:
    """Have everyone hold every turn in some of the rounds, each in a process of its own."""
    with ExitStack() as stack:
        names = [name for name in ALL if versions(name) is not None]
        workers = {name: stack.enter_context(Worker(name, url)) for name in names}
        for question in questions(scale):
            for name in names:
                try:  # the first one warms up, and shows whether it can
                    check(name, question, workers[name].do("turn", question=question))
                except Failed as error:
                    found.failed[name, question] = str(error)
            takers = [name for name in names if (name, question) not in found.failed]
            for turn in rounds:
                random.Random(turn).shuffle(takers)  # whoever comes after one of its kind finds the caches filled
                for name in takers:
                    figures = workers[name].do("turn", question=question)
                    found.figures.setdefault((name, question), []).append(figures)


@contextmanager
def on_one_processor() -> Iterator[None]:
    """Keep this process, and all that it starts, on one processor until the end of the block."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def check(name: str, question: str, figures: Figures) -> None:
    """Look whether all of the reply came.

    Raises:
        Failed: it did not.
    """
    events = int(question.split()[0])
    if figures["pieces"] != events:
        raise Failed(f"{figures['pieces']:.0f} of {events} pieces came")
    if name not in FLOORS and figures["characters"] != len(server.reply(events)):
        raise Failed(f"{figures['characters']:.0f} characters came")


def turn(scale: Scale) -> Part:
    found, asked = measured(scale), questions(scale)
    bare = found.median(BARE, asked.short, "first")
    rows: dict[str, list[float | None]] = {}
    for name in ALL:
        first = found.median(name, asked.short, "first")
        if first is not None:
            figures = [
                found.median(name, question, what) for what in ("cpu", "wall") for question in (asked.short, asked.long)
            ]
            rows[name] = [*(None if each is None else each * 1e3 for each in figures), first * 1e3, over(first, bare)]
    columns = ["CPU ms, short", "CPU ms, long", "wall ms, short", "wall ms, long", "first piece, ms", "x bare socket"]
    limits = [
        Limit(f"CPU of handshake and short reply: {BLOCKING} / {name}", ratio, 1.0)
        for name in PEERS
        if (ratio := over(rows[BLOCKING][0], rows[name][0] if name in rows else None)) is not None
    ]
    title = f"Handshake and reply of {scale.short} and of {scale.long} events, {scale.apart} us apart"
    return Part("turn", "A turn, end to end", [Table(title, columns, rows)], limits, found.notes(*asked[:2]))


def events(scale: Scale) -> Part:
    found, asked = measured(scale), questions(scale)

    def each(name: str, short: str, long: str) -> float | None:
        """Microseconds that an event more takes."""
        less, more = found.median(name, short, "cpu"), found.median(name, long, "cpu")
        return None if less is None or more is None else (more - less) / (scale.long - scale.short) * 1e6

    ways = {
        "one a read": {name: each(name, asked.short, asked.long) for name in ALL},
        "many a read": {name: each(name, asked.short_at_once, asked.long_at_once) for name in ALL},
    }
    rows: dict[str, list[float | None]] = {}
    for name in ALL:
        row: list[float | None] = []
        for figures in ways.values():
            row += [figures[name], over(figures[name], figures[FLOOR])]
        if row[0] is not None:
            rows[name] = row
    limits = []
    for way, figures in ways.items():
        compared = [(BLOCKING, FLOOR, 1.35), *((BLOCKING, peer, 1.0) for peer in PEERS)]
        compared += [(ANYIO, peer, 1.0) for peer in (clients.G4F, clients.AIOHTTP, clients.HTTPX, clients.ASYNC_HTTPX)]
        compared += [(TRIO, clients.TRIO_HTTPX, 1.0)]
        for mine, other, at_most in compared:
            if (ratio := over(figures[mine], figures[other])) is not None:
                limits.append(Limit(f"CPU per event, {way}: {mine} / {other}", ratio, at_most))
    columns = ["one a read, us", "x floor", "many a read, us", "x floor"]
    title = f"CPU per streamed event: {scale.apart} us apart, and sent in one go"
    return Part("events", "Per event", [Table(title, columns, rows)], limits, found.notes(*asked))
