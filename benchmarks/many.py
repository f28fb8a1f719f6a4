"""Part 3: many conversations that stream together in one process, each number of them in a process of its own."""

from __future__ import annotations

from statistics import median

from benchmarks import clients, server
from benchmarks.clients import versions
from benchmarks.report import Limit, Part, Scale, Table
from benchmarks.worker import Failed, Figures, Worker

NAMES = (clients.ANYIO, clients.TRIO, clients.AIOHTTP, clients.G4F, clients.ASYNC_HTTPX)


def run(scale: Scale) -> Part:
    rounds = max(1, scale.rounds // 3)
    names = [name for name in NAMES if versions(name) is not None]
    found: dict[tuple[str, int], list[Figures]] = {}
    notes = []
    with server.running() as url:
        for turn in range(rounds):
            first = turn % len(names)
            for many in scale.together:
                for name in names[first:] + names[:first]:
                    with Worker(name, url) as worker:
                        try:
                            figures = worker.do(
                                "many", question=server.question(scale.each, together=many), conversations=many
                            )
                        except Failed as error:
                            notes.append(str(error))
                            continue
                    if figures["pieces"] != many * scale.each:
                        notes.append(f"{name}: {figures['pieces']:.0f} of {many * scale.each} pieces came")
                    found.setdefault((name, many), []).append(figures)
        drained = [server.drain(url, scale.together[-1], scale.each) for _ in range(rounds)]
    tables, limits = [], []

    def figure(name: str, many: int, what: str) -> float:
        if what == "rate":
            return median(each["pieces"] / each["wall"] for each in found[name, many])
        return median(each[what] for each in found[name, many])

    for many in scale.together:
        rows: dict[str, list[float | None]] = {}
        for name in names:
            if (name, many) in found:
                rows[name] = [
                    figure(name, many, "rate"),
                    figure(name, many, "cpu") / many / scale.each * 1e6,
                    figure(name, many, "memory") / 1024,
                    figure(name, many, "slowest"),
                ]
        columns = ["events/s", "CPU us/event", "KiB each", "slowest reply, s"]
        tables.append(Table(f"{many} conversations of {scale.each} events each", columns, rows))
    fewest, most = scale.together[0], scale.together[-1]
    notes.append(
        f"The server alone, read by a loop that looks at nothing, gives {median(drained):,.0f} events/s "
        f"to {most} connections."
    )
    for name in (clients.ANYIO, clients.TRIO):
        if (name, most) in found:
            complete = min(each["pieces"] for each in found[name, most]) / (most * scale.each)
            limits.append(Limit(f"{most} at once, {name}: pieces missing", 1.0 - complete, 0.0))
            slower = figure(name, fewest, "rate") / figure(name, most, "rate")
            limits.append(Limit(f"events/s, {name}: with {fewest} / with {most}", slower, 1 / 0.75))
            if (clients.AIOHTTP, most) in found:
                ratio = figure(name, most, "memory") / figure(clients.AIOHTTP, most, "memory")
                limits.append(Limit(f"memory of each of {most}: {name} / {clients.AIOHTTP}", ratio, 1.0))
    return Part("many", "Many at once", tables, limits, notes)
