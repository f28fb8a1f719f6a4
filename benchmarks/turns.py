"""Parts 1 and 2: a turn from end to end, and what each further event of it costs. The same rounds serve both."""

from __future__ import annotations

from functools import cache
from statistics import median

from benchmarks import clients, server
from benchmarks.clients import ALL, BARE, BLOCKING, FLOOR, FLOORS, PEERS, versions
from benchmarks.report import Limit, Part, Scale, Table
from benchmarks.worker import Failed, Figures, Worker

Found = dict[tuple[str, str], list[Figures]]


@cache
def measured(scale: Scale) -> tuple[Found, dict[str, str]]:
    """Give the figures of all turns by contender and question; and of those who could not hold one, why."""
    names = [name for name in ALL if versions(name) is not None]
    found: Found = {}
    failed: dict[str, str] = {}
    with server.running() as url:
        workers = {name: Worker(name, url) for name in names}
        for question in questions(scale):
            for name in names:
                try:  # the first one warms up, and shows whether it can
                    figures = workers[name].do("turn", question=question)
                    pieces = int(question.split()[0])
                    if figures["pieces"] != pieces:
                        raise Failed(f"{name}: {figures['pieces']:.0f} of {pieces} pieces came")
                except Failed as error:
                    failed[f"{question!r}"] = str(error)
                else:
                    found[name, question] = []
            takers = [name for name in names if (name, question) in found]
            for turn in range(scale.rounds):
                first = turn % len(takers)
                for name in takers[first:] + takers[:first]:
                    found[name, question].append(workers[name].do("turn", question=question))
        for worker in workers.values():
            worker.close()
    return found, failed


def questions(scale: Scale) -> tuple[str, str, str, str]:
    """A short and a long reply as they come, then the same in one go."""
    return (
        server.question(scale.short, apart=scale.apart),
        server.question(scale.long, apart=scale.apart),
        server.question(scale.short),
        server.question(scale.long),
    )


def turn(scale: Scale) -> Part:
    found, failed = measured(scale)
    short, long, _, _ = questions(scale)

    def figure(name: str, question: str, what: str) -> float | None:
        rounds = found.get((name, question))
        return median(each[what] for each in rounds) * 1e3 if rounds else None

    rows = {}
    for name in ALL:
        if (first := figure(name, short, "first")) is not None:
            rows[name] = [
                figure(name, short, "cpu"),
                figure(name, long, "cpu"),
                figure(name, short, "wall"),
                figure(name, long, "wall"),
                first,
                first / (figure(BARE, short, "first") or 1.0),
            ]
    columns = ["CPU ms, short", "CPU ms, long", "wall ms, short", "wall ms, long", "first piece, ms", "x bare socket"]
    limits = []
    for name in PEERS:
        mine, peer = figure(BLOCKING, short, "cpu"), figure(name, short, "cpu")
        if mine and peer:
            limits.append(Limit(f"CPU of handshake and short reply: {BLOCKING} / {name}", mine / peer, 1.0))
    title = f"Handshake and reply of {scale.short} and of {scale.long} events, {scale.apart} us apart"
    return Part("turn", "A turn, end to end", [Table(title, columns, rows)], limits, list(failed.values()))


def events(scale: Scale) -> Part:
    found, failed = measured(scale)
    paced, paced_long, at_once, at_once_long = questions(scale)

    def each(name: str, short: str, long: str) -> float | None:
        if (name, long) not in found:
            return None
        more = median(figures["cpu"] for figures in found[name, long])
        return (more - median(figures["cpu"] for figures in found[name, short])) / (scale.long - scale.short) * 1e6

    ways = {name: (each(name, paced, paced_long), each(name, at_once, at_once_long)) for name in ALL}
    floor = ways[FLOOR]
    rows = {
        name: [one, over(one, floor[0]), big, over(big, floor[1])]
        for name, (one, big) in ways.items()
        if one is not None or big is not None
    }
    columns = ["one a read, us", "x floor", "many a read, us", "x floor"]
    limits = []
    for index, way in enumerate(("one a read", "many a read")):

        def limit(mine: str, other: str, at_most: float, way: str = way, index: int = index) -> None:
            ratio = over(ways[mine][index], ways[other][index])
            if ratio is not None:
                limits.append(Limit(f"CPU per event, {way}: {mine} / {other}", ratio, at_most))

        limit(BLOCKING, FLOOR, 1.35)
        for peer in PEERS:
            limit(BLOCKING, peer, 1.0)
        for peer in (clients.G4F, clients.HTTPX, clients.ASYNC_HTTPX):
            limit(clients.ANYIO, peer, 1.0)
    assert FLOORS
    title = f"CPU per streamed event: {scale.apart} us apart, and sent in one go"
    return Part("events", "Per event", [Table(title, columns, rows)], limits, list(failed.values()))


def over(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one / max(other, 1e-9)
