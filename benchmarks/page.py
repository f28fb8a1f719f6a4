"""Puts what a run found into the document: ``python -m benchmarks.page RESULTS.json`` rewrites docs/benchmarks.md.

Only what stands between ``<!-- NAME -->`` and ``<!-- end -->`` is rewritten: the words around it are a person's.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec

from benchmarks.report import Report, as_markdown

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def filled(text: str, found: Report) -> str:
    """Put the tables of each part, and what they were measured with, where the text has a place for them."""
    pieces = {part.name: as_markdown(part) for part in found.parts} | {"run": about(found)}

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- {name} -->\n\n{pieces[name]}\n<!-- end -->" if name in pieces else match[0]

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def about(found: Report) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in found.packages.items())
    lines = [f"{found.python} on {found.machine}, {found.scale.rounds} rounds; {packages}.", ""]
    if found.not_installed:
        lines += [f"Not installed, and so not measured: {', '.join(found.not_installed)}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    (results,) = sys.argv[1:]
    found = msgspec.json.decode(Path(results).read_bytes(), type=Report)
    PAGE.write_text(filled(PAGE.read_text(), found))
