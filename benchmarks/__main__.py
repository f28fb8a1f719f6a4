"""All of it: ``python -m benchmarks [--only NAME...] [--json FILE] [--plot FILE.svg] [--quick]`` from the project's root."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks import challenges, histories, many, start, turns
from benchmarks.report import QUICK, Part, Scale, as_text, report

PARTS: dict[str, Callable[[Scale], Part]] = {
    "turn": turns.turn,
    "events": turns.events,
    "many": many.run,
    "start": start.run,
    "challenge": challenges.run,
    "histories": histories.run,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measured against what others use.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw what was found; needs matplotlib")
    parser.add_argument("--quick", action="store_true", help="little of everything, once: to see that it works")
    arguments = parser.parse_args(argv)
    scale = QUICK if arguments.quick else Scale()
    parts = []
    for name in arguments.only:
        part = PARTS[name](scale)
        parts.append(part)
        print(as_text(part), flush=True)
    found = report(scale, parts)
    print(f"\n{found.python}, {found.machine}; " + ", ".join(f"{name} {it}" for name, it in found.packages.items()))
    for name in found.not_installed:
        print(f"not installed: {name}")
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    if arguments.plot:
        from benchmarks.plot import draw

        draw(found, arguments.plot)
    return 0 if all(limit.holds for part in parts for limit in part.limits) else 1


if __name__ == "__main__":
    sys.exit(main())
