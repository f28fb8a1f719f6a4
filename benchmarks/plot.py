"""What a run found as bars: one panel for each limit that the project is measured by, all of the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.clients import FLOORS, OURS
from benchmarks.report import Report, Table

#: Which columns are drawn: part, which of its tables, column.
PANELS = (("turn", 0, 0), ("events", 0, 0), ("events", 0, 2), ("many", -1, 2), ("start", 0, 1), ("challenge", 0, 1))
OWN, FLOOR, PEER = "#2a6f97", "#c9c9c9", "#d98e5f"


def draw(found: Report, file: Path) -> None:
    """Draw it as an SVG.

    Raises:
        ImportError: matplotlib is not installed; the extra ``bench`` brings it.
    """
    try:
        import matplotlib
    except ImportError:
        raise ImportError("a plot needs matplotlib: pip install 'ddg-protocol[bench]'") from None
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "benchmarks"  # the same figures make the same file
    from matplotlib import pyplot

    parts = {part.name: part for part in found.parts}
    panels = [(parts[name].tables[table], column) for name, table, column in PANELS if name in parts]
    if not panels:
        return
    height = (len(panels) + 1) // 2
    figure, axes = pyplot.subplots(height, 2, figsize=(13, 3.4 * height), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (table, column) in zip(axes.flat, panels, strict=False):
        bars(axis, table, column)
    figure.suptitle(f"One run: {found.python}, {found.machine}. Less is better.", fontsize=11)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def bars(axis: Any, table: Table, column: int) -> None:
    rows = [(name, figure) for name, row in table.rows.items() if (figure := row[column])]
    rows.sort(key=lambda row: row[1], reverse=True)
    names = [name for name, _ in rows]
    figures = [figure for _, figure in rows]
    axis.barh(names, figures, color=[color_of(name) for name in names])
    axis.set_title(f"{table.title}\n{table.columns[column]}", fontsize=9)
    axis.bar_label(axis.containers[0], fmt="%.3g", fontsize=8, padding=2)
    axis.tick_params(labelsize=8)
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)


def color_of(name: str) -> str:
    if name in OURS or name.startswith(("ddg_", "ddg-")):
        return OWN
    return FLOOR if name in FLOORS or name in ("the interpreter alone", "msgspec", "h11") else PEER
