"""Part 3: many conversations that stream together in one process, each number of them in a process of its own."""

from __future__ import annotations

import random
from statistics import median

from benchmarks import clients, server
from benchmarks.clients import AIOHTTP, ANYIO, TRIO, versions
from benchmarks.report import Limit, Part, Scale, Table, over
from benchmarks.worker import Failed, Figures, Worker

NAMES = (ANYIO, TRIO, AIOHTTP, clients.G4F, clients.ASYNC_HTTPX)


def run(scale: Scale) -> Part:
    rounds = max(1, scale.rounds // 3)
    fewest, most = scale.together[0], scale.together[-1]
    names = [name for name in NAMES if versions(name) is not None]
    rows: dict[int, dict[str, list[float | None]]] = {many: {} for many in scale.together}
    missing: dict[tuple[str, int], float] = {}
    notes = []
    with server.running() as url:
        found: dict[tuple[str, int], list[Figures]] = {(name, many): [] for many in scale.together for name in names}
        takes = [(name, many) for name, many in found for _ in range(3 if many == fewest else 1)]  # those are short
        for turn in range(rounds):
            for name, many in random.Random(turn).sample(takes, len(takes)):
                try:
                    found[name, many].append(together(url, name, many, scale.each))
                except Failed as error:
                    notes.append(f"{name} could not hold {many} conversations at once: {error}")
        for (name, many), figures in found.items():
            if figures:
                rows[many][name] = row(figures, many * scale.each)
                missing[name, many] = many * scale.each - min(each["pieces"] for each in figures)
        drained = median(server.drain(url, scale.together[-1], scale.each) for _ in range(rounds))
    notes.append(
        f"The server alone, read by a loop that looks at nothing, gives {drained:,.0f} events/s to {most} connections: "
        "it shares the machine's processors with who reads."
    )
    columns = ["events/s", "CPU us/event", "KiB each", "slowest reply, s"]
    tables = [
        Table(f"{many} conversations of {scale.each} events each", columns, each) for many, each in rows.items() if each
    ]
    limits = []
    for name in (ANYIO, TRIO):
        few, many_of_them = rows[fewest].get(name), rows[most].get(name)
        if few is None or many_of_them is None:
            limits.append(Limit(f"{most} at once, {name}: not held", 1.0, 0.0))
            continue
        limits.append(Limit(f"{most} at once, {name}: events missing", missing[name, most], 0.0))
        slower = over(few[0], many_of_them[0])
        if slower is not None:
            limits.append(Limit(f"events/s, {name}: with {fewest} / with {most}", slower, 1 / 0.75))
        peer = rows[most].get(AIOHTTP)
        ratio = over(many_of_them[2], peer[2] if peer else None)
        if ratio is not None:
            limits.append(Limit(f"memory of each of {most}: {name} / {AIOHTTP}", ratio, 1.0))
    return Part("many", "Many at once", tables, limits, notes)


def together(url: str, name: str, many: int, each: int) -> Figures:
    """Hold so many conversations at once, in a new process."""
    with Worker(name, url) as worker:
        return worker.do("many", question=server.question(each, together=many), conversations=many)


def row(rounds: list[Figures], events: int) -> list[float | None]:
    return [
        median(each["pieces"] / each["wall"] for each in rounds),
        median(each["cpu"] for each in rounds) / events * 1e6,
        median(each["memory"] for each in rounds) / 1024,
        median(each["slowest"] for each in rounds),
    ]
