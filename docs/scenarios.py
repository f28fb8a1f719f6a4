"""Writes the table of the scenarios into docs/check.md: ``python docs/scenarios.py``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ddg_transports.testing.scenarios import FAMILIES, SCENARIOS

PAGE = Path(__file__).parent / "check.md"
_PLACE = re.compile(r"(?<=<!-- scenarios -->\n).*?(?=<!-- end -->)", re.DOTALL)
#: The headings of PROTOCOL.md that scenarios refer to, as links lead to them.
_SECTIONS = {
    3: "3-the-handshake",
    4: "4-bodies",
    5: "5-x-vqd-hash-1",
    6: "6-chat",
    7: "7-failures-pacing-retries",
    8: "8-bounds",
    9: "9-event-stream",
}


def tables() -> Iterator[str]:
    """Yield a table for each family."""
    for family, about in FAMILIES.items():
        yield f"\n### {family}: {about}\n\n| scenario | what is done | what is owed | section |\n|---|---|---|---|\n"
        for scenario in SCENARIOS.values():
            if scenario.family == family:
                section = f"[{scenario.section}](PROTOCOL.md#{_SECTIONS[scenario.section]})"
                yield f"| `{family}/{scenario.name}` | {scenario.does} | {scenario.owes} | {section} |\n"
    yield "\n"


def written(page: str) -> str:
    """Return the page with the tables of today's scenarios."""
    return _PLACE.sub(lambda _: "".join(tables()), page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
