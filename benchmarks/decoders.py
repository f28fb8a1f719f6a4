"""Part 7: the decoder of the event stream by itself. ``python -m benchmarks.stream`` measures it, and says more."""

from __future__ import annotations

from benchmarks import stream
from benchmarks.report import Limit, Part, Scale, Table


def run(scale: Scale) -> Part:
    found = stream.run(scale.decoded, scale.rounds)
    ways = found["nanoseconds_per_event"]
    rows: dict[str, list[float | None]] = {}
    for name in ways[stream.WAYS[0]]:
        row: list[float | None] = []
        for times in ways.values():
            row += [times[name], times[name] / times[stream.MSGSPEC_FLOOR]]
        rows[name] = row
    columns = [column for way in ways for column in (f"{way} a chunk, ns", "x floor")]
    title = f"{found['events']} events of {found['bytes_per_event']:.0f} bytes (in 1-byte chunks a tenth of them)"
    limits = [Limit(each["what"], each["ratio"], each["at_most"]) for each in found["budgets"]]
    notes = [f"{name} is not installed, and so not measured." for name in found["not_installed"]]
    return Part("stream", "The event stream by itself", [Table(title, columns, rows)], limits, notes)
