"""A process that fuzzes one target: ``python -m fuzz.worker``, started by ``python -m fuzz``.

It keeps a file with how far it is, and one with the input that it is at: whatever ends it, both can be read.
"""

from __future__ import annotations

import argparse
import hashlib
import mmap
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from . import engines
from .judge import LARGE, Finding, Judge, shrunk

MEMORY = 4 * 1024**3
"""Bytes of address space that the process may have: what wants more gets a `MemoryError`, which no target documents."""


class Report(msgspec.Struct):
    """How far a worker is.

    Attributes:
        runs: how often the target was run.
        seconds: of processor time that it has been at it: other programs make a run shorter, not slower.
        slowest: seconds of processor time that the slowest input took.
        slowest_size: the bytes in it.
        largest: the most bytes that one input took at once, of those that were weighed.
        resident: bytes that the process took at most.
        finding: what was found; empty for nothing.
        file: where the input is that shows it.
    """

    runs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_size: int = 0
    largest: int = 0
    resident: int = 0
    finding: str = ""
    file: str = ""


class Current:
    """The input that a process is at, in a file that outlives it."""

    def __init__(self, path: Path) -> None:
        size = 8 + LARGE
        path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)

    def note(self, data: bytes) -> None:
        """Note an input before it is tried."""
        data = data[:LARGE]
        self._map[: 8 + len(data)] = len(data).to_bytes(8, "big") + data

    @staticmethod
    def read(path: Path) -> bytes:
        """Read what was noted last."""
        data = path.read_bytes() if path.exists() else b""
        return data[8 : 8 + int.from_bytes(data[:8], "big")]


def save(findings: Path, name: str, data: bytes) -> Path:
    """Write the input of a finding, by the name that the target and the input give it."""
    findings.mkdir(parents=True, exist_ok=True)
    path = findings / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def main(argv: list[str] | None = None) -> None:
    """Fuzz until the time is over or something is found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.worker")
    parser.add_argument("target")
    parser.add_argument("--table", required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--work", type=Path, required=True, help="holds the report, the current input, the grown corpora"
    )
    parser.add_argument("--findings", type=Path, required=True)
    args = parser.parse_args(argv)
    begin = time.monotonic()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    target = next(target for target in engines.load(args.table, args.engine) if target.name == args.target)
    current = Current(args.work / f"{target.name}.current")
    test = _test(Judge(target), args.work / f"{target.name}.json", current, args.findings)
    for data in target.seeds:
        test(data)
    if args.engine == "atheris":
        grown = args.work / "grown" / target.name
        engines.run_atheris(target, test, until=begin + args.seconds, seed=args.seed, grown=grown)
    engines.run_hypothesis(target, test, until=begin + args.seconds, seed=args.seed)


def _test(judge: Judge, report_path: Path, current: Current, findings: Path) -> Callable[[bytes], None]:
    report = Report()
    begin, due = time.process_time(), 0.0

    def write() -> None:
        report.runs, report.seconds = judge.runs, time.process_time() - begin
        report.slowest, report.slowest_size, report.largest = judge.slowest, judge.slowest_size, judge.largest
        report.resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        part = report_path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(report))
        part.replace(report_path)

    def test(data: bytes) -> None:
        nonlocal due
        current.note(data)
        try:
            judge(data)
        except Finding as finding:
            report.finding = str(finding)
            report.file = str(save(findings, judge.target.name, _shrunk(judge, finding)))
            write()
            traceback.print_exception(finding)
            sys.stderr.flush()
            os._exit(1)
        now = time.monotonic()
        if now >= due:
            due = now + 0.5
            write()

    return test


def _shrunk(judge: Judge, finding: Finding) -> bytes:
    """Make the input smaller where it takes no time: not what hangs, or only grows too fast."""
    cause = finding.__cause__
    if not isinstance(cause, Exception):
        return finding.data

    def fails(data: bytes) -> bool:
        try:
            judge.target.run(data)
        except Exception as error:
            return _place(error) == _place(cause)
        return False

    return shrunk(finding.data, fails)


def _place(error: BaseException) -> tuple[type[BaseException], object]:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return type(error), (last.filename, last.lineno)


if __name__ == "__main__":
    main()
