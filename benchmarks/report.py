"""What a run found: tables, and the limits that must hold; as text, as Markdown, as JSON."""

from __future__ import annotations

import math
import os
import platform
from importlib import metadata

import msgspec

from benchmarks.clients import ALL, versions


class Table(msgspec.Struct):
    """Some figures.

    Attributes:
        title: what they are of.
        columns: with their units.
        rows: a figure for each column, by whose it is; None where there is none.
    """

    title: str
    columns: list[str]
    rows: dict[str, list[float | None]]


class Limit(msgspec.Struct):
    what: str
    ratio: float
    at_most: float

    @property
    def holds(self) -> bool:
        return self.ratio <= self.at_most


class Part(msgspec.Struct):
    """A part of the run.

    Attributes:
        name: what ``--only`` knows it by.
        title: for a person.
        tables: what was found.
        limits: what must hold of it.
        notes: what is to be said beside the figures, such as who could not do what.
    """

    name: str
    title: str
    tables: list[Table]
    limits: list[Limit] = []
    notes: list[str] = []


class Scale(msgspec.Struct, frozen=True):
    """How much is measured.

    Attributes:
        rounds: of which the medians count; everything takes its turn in each.
        processes: that each contender has one after the other, a third of the rounds in each, where a turn is measured.
        short: events of a short reply.
        long: events of a long one.
        apart: microseconds between two events that come one by one: more than anyone needs for one.
        together: how many conversations are held at once.
        each: events of each of these.
        turns: how long the histories are.
        decoded: events that the decoders of event streams are given.
        challenges: how many are answered.
    """

    rounds: int = 9
    processes: int = 5
    short: int = 20
    long: int = 2000
    apart: int = 300
    together: tuple[int, ...] = (100, 1000, 3000)
    each: int = 100
    turns: tuple[int, ...] = (10, 100, 1000)
    decoded: int = 20_000
    challenges: int = 60


QUICK = Scale(
    rounds=1,
    processes=1,
    short=5,
    long=100,
    apart=100,
    together=(5, 20),
    each=10,
    turns=(2, 10, 50),
    decoded=500,
    challenges=5,
)
"""Everything works; the figures say nothing."""


class Report(msgspec.Struct):
    python: str
    machine: str
    scale: Scale
    packages: dict[str, str]
    not_installed: list[str]
    parts: list[Part]


def report(scale: Scale, parts: list[Part]) -> Report:
    packages = {name: metadata.version(name) for name in ("anyio", "h11", "httpcore", "msgspec")}
    missing = []
    for name in ALL:
        found = versions(name)
        if found is None:
            missing.append(name)
        else:
            packages |= found
    return Report(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        machine=f"{platform.machine()} {platform.system()}, {os.cpu_count()} CPUs",
        scale=scale,
        packages=dict(sorted(packages.items())),
        not_installed=missing,
        parts=parts,
    )


def over(one: float | None, other: float | None) -> float | None:
    """Divide, where there is something to divide: what is too little to be measured is nothing to compare with."""
    return None if one is None or other is None or other <= 0 else one / other


def shown(figure: float | None) -> str:
    """Three digits that count."""
    if figure is None:
        return "-"
    if not figure:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(figure))))
    return f"{figure:,.{digits}f}"


def as_text(part: Part) -> str:
    lines = ["", part.title, "=" * len(part.title)]
    for table in part.tables:
        width = max(map(len, table.rows)) + 2
        widths = [max(len(column), 8) + 2 for column in table.columns]
        lines += ["", table.title]
        lines.append(" " * width + "".join(f"{name:>{size}}" for name, size in zip(table.columns, widths, strict=True)))
        for name, row in table.rows.items():
            cells = (f"{shown(figure):>{size}}" for figure, size in zip(row, widths, strict=True))
            lines.append(f"{name:<{width}}" + "".join(cells))
    lines += ["", *part.notes, *map(limit_text, part.limits)]
    return "\n".join(lines)


def limit_text(limit: Limit) -> str:
    return f"{'holds' if limit.holds else 'FAILS'}  {limit.what:<78}{limit.ratio:>8.3f}  at most {limit.at_most:.3f}"


def as_markdown(part: Part) -> str:
    lines = []
    for table in part.tables:
        lines += [
            f"**{table.title}**",
            "",
            f"| | {' | '.join(table.columns)} |",
            "|---|" + "---:|" * len(table.columns),
        ]
        lines += [f"| {name} | {' | '.join(map(shown, row))} |" for name, row in table.rows.items()]
        lines.append("")
    lines += [line for note in part.notes for line in (note, "")]
    if part.limits:
        lines += ["| must hold | found | at most | |", "|---|---|---|---|"]
        lines += [
            f"| {limit.what} | {limit.ratio:.3f} | {limit.at_most:.3f} | {'holds' if limit.holds else '**fails**'} |"
            for limit in part.limits
        ]
        lines.append("")
    return "\n".join(lines)
