"""What this project's drivers and others get wrong: ``python -m benchmarks.conformance``; ``--publish`` writes it down.

Each program of `benchmarks.programs` whose packages are installed goes through ``ddg-chat check``. The page of the docs
is made of the results, which are kept beside this module: only what stands between ``<!-- NAME -->`` and
``<!-- end -->`` is written.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.programs import OURS, PROGRAMS, version
from ddg_chat.check._running import Program, run_all
from ddg_transports.testing.scenarios import FAMILIES, SCENARIOS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "conformance.json"
PAGE = ROOT / "docs" / "conformance.md"
_PLACE = re.compile(r"<!-- (conformance-\w+) -->\n.*?<!-- end -->", re.DOTALL)
_MARKS = {"right": "✓", "tolerable": "~", "wrong": "✗", "not asked": "·"}


class Finding(msgspec.Struct, frozen=True):
    """What became of a program in a scenario: see `ddg_transports.testing.scenarios.Verdict`."""

    kind: str
    mistake: str = ""
    why: str = ""


class Run(msgspec.Struct, frozen=True):
    """A program's results.

    Attributes:
        name: the program.
        version: the version of its package.
        seconds: how long the run took.
        found: by scenario.
    """

    name: str
    version: str
    seconds: float
    found: dict[str, Finding]

    def count(self, kind: str, family: str = "") -> int:
        return sum(each.kind == kind for name, each in self.found.items() if name.startswith(family))


class Found(msgspec.Struct, frozen=True):
    """All results, and when and on what they were found."""

    date: str
    python: str
    runs: tuple[Run, ...]


def run(name: str) -> Run:
    """Hold a program against all scenarios."""
    arguments = PROGRAMS[name].command or (sys.executable, "-m", "benchmarks.programs", name)
    started = time.monotonic()
    results = list(run_all(Program((*arguments, "{url}", "{questions}")), SCENARIOS))
    found = {each.name: Finding(each.verdict.kind, each.verdict.mistake or "", each.verdict.why) for each in results}
    return Run(name, version(name) or "", round(time.monotonic() - started, 1), found)


# The page


def pieces(found: Found) -> dict[str, str]:
    """Return what is written, by the name of its place."""
    return {
        "conformance-about": f"Found on {found.date}, on {found.python}.\n",
        "conformance-summary": "".join(_summary(found.runs)),
        "conformance-families": "".join(_families(found.runs)),
        "conformance-mistakes": "".join(_mistakes(found.runs)),
        "conformance-scenarios": "".join(_scenarios(found.runs)),
    }


def filled(text: str, found: Found) -> str:
    """Put the results where the text has a place for them."""
    return _PLACE.sub(lambda match: f"<!-- {match[1]} -->\n\n{pieces(found)[match[1]]}\n<!-- end -->", text)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |\n"


def _head(*cells: str) -> str:
    return _row(*cells) + "|" + "---|" * len(cells) + "\n"


def _summary(runs: Sequence[Run]) -> Iterator[str]:
    yield _head("client", "version", "right", "tolerable", "wrong", "not asked")
    for each in runs:
        yield _row(each.name, each.version, *(each.count(kind) for kind in _MARKS))


def _families(runs: Sequence[Run]) -> Iterator[str]:
    yield _head("", *(each.name for each in runs))
    for family in FAMILIES:
        cells = []
        for each in runs:
            asked = sum(each.count(kind, f"{family}/") for kind in ("right", "tolerable", "wrong"))
            wrong = each.count("wrong", f"{family}/")
            cells.append(f"**{wrong} of {asked}**" if wrong else f"0 of {asked}" if asked else "")
        yield _row(family, *cells)


def _mistakes(runs: Sequence[Run]) -> Iterator[str]:
    for each in runs:
        wrong = {name: finding for name, finding in each.found.items() if finding.kind == "wrong"}
        counts = Counter(finding.mistake for finding in wrong.values())
        if counts:
            yield f"**{each.name}**\n\n"
        for mistake, number in counts.most_common():
            names = ", ".join(f"`{name}`" for name, finding in wrong.items() if finding.mistake == mistake)
            yield f"- {mistake}, {number}: {names}\n"
        yield "\n" if counts else ""


def _scenarios(runs: Sequence[Run]) -> Iterator[str]:
    ours = [each for each in runs if each.name in OURS]
    others = [each for each in runs if each.name not in OURS]
    yield _head("scenario", "this project's", *(each.name for each in others))
    for name in SCENARIOS:
        kinds = {each.found[name].kind for each in ours}
        mine = "".join(_MARKS[kind] for kind in _MARKS if kind in kinds)
        yield _row(f"`{name}`", mine, *(_MARKS[each.found[name].kind] for each in others))


# The command


def read() -> Found:
    return msgspec.json.decode(RESULTS.read_bytes(), type=Found)


def publish(found: Found) -> None:
    """Write the results, and the page that is made of them."""
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conformance", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=list(PROGRAMS), metavar="NAME")
    parser.add_argument("--publish", action="store_true", help="write benchmarks/conformance.json and the page of it")
    arguments = parser.parse_args(argv)
    runs = []
    for name in arguments.only:
        if version(name) is None:
            print(f"{name}: not installed")
            continue
        runs.append(run(name))
        print(
            f"{name} {runs[-1].version}: {', '.join(f'{runs[-1].count(kind)} {kind}' for kind in _MARKS)}", flush=True
        )
    python = f"Python {'.'.join(map(str, sys.version_info[:3]))}"
    found = Found(datetime.now(UTC).strftime("%Y-%m-%d"), python, tuple(runs))
    if arguments.publish:
        before = {each.name: each for each in read().runs} if RESULTS.exists() else {}
        now = before | {each.name: each for each in runs}
        publish(Found(found.date, python, tuple(now[name] for name in PROGRAMS if name in now)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
