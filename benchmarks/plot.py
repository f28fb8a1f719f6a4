"""What a run found as bars: one panel for each thing that the project is measured by, all of the same run."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.clients import FLOORS, OURS
from benchmarks.report import Report, Table, shown
from benchmarks.stream import EVENTS, PAYLOADS, READER, SESSION
from docs.pictures import box, svg, text

#: Which columns are drawn: part, which of its tables, column.
PANELS = (
    ("turn", 0, 0),
    ("events", 0, 0),
    ("events", 0, 2),
    ("start", 0, 2),
    ("many", -1, 1),
    ("many", -1, 2),
    ("challenge", 0, 1),
    ("stream", 0, 2),
)
OWN = {*OURS, PAYLOADS, READER, SESSION, EVENTS}
LEAST = {"the interpreter alone", "msgspec", "h11", *FLOORS}
WIDTH, NAME, BAR, LINE, HEAD = 590, 215, 290, 21, 62


def drawn(found: Report) -> str:
    """Draw it as an SVG, two panels side by side; the same figures make the same bytes."""
    parts = {part.name: part for part in found.parts}
    panels = [
        (f"{parts[name].title}: {table.columns[column]}", table.title, bars_of(table, column))
        for name, which, column in PANELS
        if name in parts
        for table in (parts[name].tables[which],)
    ]
    title = f"One run, {found.python} on {found.machine}. Less is better."
    lines = [text(20, 30, title, "title"), *legend()]
    top = 75
    for left, right in zip(panels[::2], [*panels[1::2], None], strict=False):
        for x, panel in ((20, left), (20 + WIDTH, right)):
            if panel is not None:
                lines += drawn_panel(x, top, *panel)
        top += HEAD + LINE * max(len(panel[2]) for panel in (left, right) if panel is not None)
    return svg(2 * WIDTH + 20, top, title, lines)


def legend() -> Iterator[str]:
    for x, kind, words in ((20, "pure", "this project"), (140, "note", "peers"), (225, "band", "the least there is")):
        yield box(x, 42, 12, 12, kind)
        yield text(x + 18, 53, words, "soft")


def bars_of(table: Table, column: int) -> list[tuple[str, float]]:
    """Give the figures of a column, the least first."""
    rows = [(name, figure) for name, row in table.rows.items() if (figure := row[column]) is not None]
    return sorted(rows, key=lambda row: row[1])


def drawn_panel(x: int, y: int, title: str, subtitle: str, bars: list[tuple[str, float]]) -> Iterator[str]:
    yield text(x, y + 14, title, "title")
    yield text(x, y + 31, subtitle, "soft")
    most = max((figure for _, figure in bars), default=0.0)
    for number, (name, figure) in enumerate(bars):
        top = y + 40 + LINE * number
        width = round(BAR * max(figure, 0.0) / most) if most > 0 else 0
        yield text(x + NAME, top + 12, name, "right soft")
        yield box(x + NAME + 8, top, max(width, 1), LINE - 6, kind_of(name))
        yield text(x + NAME + 14 + width, top + 12, shown(figure), "soft")


def kind_of(name: str) -> str:
    if name in OWN or name.startswith(("ddg_", "ddg-")):
        return "pure"
    return "band" if name in LEAST or name.startswith("floor") else "note"
