"""The page of the docs, its picture and what both are made of: ``python -m benchmarks.page`` makes them again.

Only what stands between ``<!-- NAME -->`` and ``<!-- end -->`` is written: the words around it are a person's.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from benchmarks.plot import drawn
from benchmarks.report import Report, as_markdown

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "benchmarks.svg"


def write(found: Report, file: Path) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


def read(file: Path) -> Report:
    return msgspec.json.decode(file.read_bytes(), type=Report)


def publish(found: Report) -> None:
    """Make the page, the picture, and the file that both can be made of."""
    write(found, RESULTS)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    PICTURE.write_text(drawn(found), encoding="utf-8")


def filled(text: str, found: Report) -> str:
    """Put the tables of each part, and what they were measured with, where the text has a place for them."""
    pieces = {part.name: as_markdown(part) for part in found.parts} | {"run": about(found)}

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- {name} -->\n\n{pieces[name]}\n<!-- end -->" if name in pieces else match[0]

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def about(found: Report) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in found.packages.items())
    text = f"{found.python} on {found.machine}, {found.scale.rounds} rounds; {packages}.\n"
    if found.not_installed:
        text += f"\nNot installed, and so not measured: {', '.join(found.not_installed)}.\n"
    return text


if __name__ == "__main__":
    publish(read(RESULTS))
