"""``python -m fuzz``: every target for its share of the time; ``python -m fuzz reproduce TARGET FILE``: one input."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from . import engines
from .judge import Finding, Judge
from .worker import Current, Report, save

HERE = Path(__file__).parent
LATE = 120.0
"""Seconds that a worker may take beyond its share; then it hangs where Python can't interrupt it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz, or reproduce a finding.

    Args:
        argv: the arguments; None takes the process's own.

    Returns:
        0 where the oracle holds, 1 where it doesn't.
    """
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", metavar="TARGET", nargs="*", help="what to fuzz; everything if nothing is named")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long it takes together (default: 1)")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes at once (default: 2)")
    parser.add_argument("--engine", choices=["auto", "atheris", "hypothesis"], default="auto")
    parser.add_argument("--seed", type=int, default=0, help="of the dice; 0 takes others each time (default: 0)")
    parser.add_argument("--table", default="fuzz.targets", help="the module whose TARGETS they are")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where reports and grown corpora go")
    parser.add_argument("--findings", type=Path, default=HERE / "findings", help="where inputs go that show something")
    parser.epilog = "python -m fuzz reproduce TARGET FILE runs a target on one input."
    args = parser.parse_args(argv)
    table = {target.name: target for target in engines.load(args.table, "")}
    if args.targets[:1] == ["reproduce"]:
        if len(args.targets) != 3:
            parser.error("reproduce takes a TARGET and a FILE")
        return reproduce(Judge(table[args.targets[1]]), Path(args.targets[2]).read_bytes())
    unknown = set(args.targets) - set(table)
    if unknown:
        parser.error(f"no target is called {', '.join(sorted(unknown))}; there are {', '.join(table)}")
    if args.engine == "auto":
        args.engine = "atheris" if engines.has_atheris() else "hypothesis"
    names = args.targets or list(table)
    share = args.minutes * 60 * args.jobs / len(names)
    args.work.mkdir(parents=True, exist_ok=True)
    print(f"{len(names)} targets, {share:.0f} s each, {args.jobs} at once, by {args.engine}", flush=True)
    begin = time.monotonic()
    with ThreadPoolExecutor(args.jobs) as pool:
        reports = list(pool.map(partial(fuzz, args=args, seconds=share), names))
    found = [report for report in reports if report.finding]
    runs = sum(report.runs for report in reports)
    print(f"{runs} executions in {time.monotonic() - begin:.0f} s; {len(found)} findings")
    return 1 if found else 0


def reproduce(judge: Judge, data: bytes) -> int:
    """Run a target on one input, as it is and stretched; what is found is raised on, with its trace."""
    try:
        judge(data)
    except Finding as finding:
        raise finding.with_traceback(None) from finding.__cause__
    print(f"{judge.target.name}: nothing found; {len(data)} bytes took {judge.slowest:.3f} s, {judge.largest} bytes")
    return 0


def fuzz(name: str, *, args: argparse.Namespace, seconds: float) -> Report:
    """Let a process fuzz a target, and say in a line what became of it."""
    report_path, current = args.work / f"{name}.json", args.work / f"{name}.current"
    log = args.work / f"{name}.log"
    report_path.unlink(missing_ok=True)
    current.unlink(missing_ok=True)
    options = [f"--{option}={getattr(args, option)}" for option in ("table", "engine", "seed", "work", "findings")]
    command = [sys.executable, "-m", "fuzz.worker", name, f"--seconds={seconds}", *options]
    with log.open("wb") as out:
        worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            code = worker.wait(seconds + LATE)
            ended = f"the worker ended with {code}"
        except subprocess.TimeoutExpired:
            worker.kill()
            code, ended = worker.wait(), "the worker hung where it could not be interrupted"
        except BaseException:
            worker.kill()
            raise
    report = msgspec.json.decode(report_path.read_bytes(), type=Report) if report_path.exists() else Report()
    if code and not report.finding:
        report.finding, report.file = f"{ended}; see {log}", str(save(args.findings, name, Current.read(current)))
    print(_line(name, report, log.read_text(errors="replace")), flush=True)
    return report


def _line(name: str, report: Report, log: str) -> str:
    covered = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
    reached = f", {covered[-1][2]} inputs reach {covered[-1][0]} edges" if covered else ""
    line = (
        f"{name:16} {report.runs:>9} executions in {report.seconds:>4.0f} s of processor time, "
        f"{report.runs / max(report.seconds, 1e-9):>6.0f}/s{reached}; "
        f"slowest {report.slowest * 1000:.0f} ms ({report.slowest_size} bytes), "
        f"most memory {report.largest / 1e6:.1f} MB of {report.resident / 1e6:.0f} MB"
    )
    if report.finding:
        line += f"\n  FOUND {report.finding}\n  python -m fuzz reproduce {name} {shlex.quote(str(report.file))}"
    return line


if __name__ == "__main__":
    sys.exit(main())
