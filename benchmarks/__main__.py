"""All of it: ``python -m benchmarks`` from the project's root; ``--help`` tells what it takes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import challenges, decoders, histories, many, page, plot, start, turns
from benchmarks.report import QUICK, Part, Scale, as_text, report

PARTS: dict[str, Callable[[Scale], Part]] = {
    "turn": turns.turn,
    "events": turns.events,
    "many": many.run,
    "start": start.run,
    "challenge": challenges.run,
    "histories": histories.run,
    "stream": decoders.run,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measured against what others use.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw what was found")
    parser.add_argument("--publish", action="store_true", help="make docs/benchmarks.md and its picture of it")
    parser.add_argument("--quick", action="store_true", help="little of everything, once: to see that it works")
    arguments = parser.parse_args(argv)
    scale = QUICK if arguments.quick else Scale()
    parts = []
    for name in arguments.only:
        part = PARTS[name](scale)
        parts.append(part)
        print(as_text(part), flush=True)
    found = report(scale, parts)
    print(f"\n{page.about(found)}")
    if arguments.json:
        page.write(found, arguments.json)
    if arguments.plot:
        arguments.plot.write_text(plot.drawn(found), encoding="utf-8")
    if arguments.publish:
        page.publish(found)
    if arguments.quick:
        print("This was little, once: whether a limit holds can't be told from it.")
        return 0
    return 0 if all(limit.holds for part in parts for limit in part.limits) else 1


if __name__ == "__main__":
    sys.exit(main())
