"""``ddg-chat check``: hold a client program, in any language, against the scenarios."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import msgspec

from ddg_transports.testing.scenarios import FAMILIES, SCENARIOS, Kind, Scenario

from .. import __version__
from .._errors import CommandError
from .._say import say
from .._text import one_line
from ._report import Report
from ._running import Program, Result, run_all

EPILOG = """\
the program:
  {url} stands for the address that it is to talk to, in place of
  https://duckduckgo.com, and {question} for the question. {questions}, as a
  word of its own, stands for several: each is an argument, to be asked one
  after the other in one conversation. The program prints the text of the
  replies on standard output, as UTF-8, and nothing else. Its exit code is 0 if
  every reply is whole; else it is another one, and standard error says why.
  After a turn that failed it goes on with the next question.

examples:
  ddg-chat check -- ddg-chat ask --base-url {url} {question}
  ddg-chat check --html page.html -- node client.mjs {url} {questions}
  ddg-chat check --only ends --only pace/interval -- ./client {url} {question}

The exit code is 0 if nothing is wrong, else 1. docs/check.md lists the
scenarios.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Run a client program in each of the scenarios of a service, and say what it gets\n"
        "wrong. They run side by side. A program hangs that does nothing for 35 s."
    )
    parser.epilog = EPILOG
    parser.usage = "%(prog)s [--only NAME] [--json FILE] [--html FILE] -- COMMAND ..."
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="a family or a scenario, repeatable, such as ends/reset",
    )
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON")
    parser.add_argument("--html", metavar="FILE", help="write the results as a page, in one file")
    parser.add_argument("words", nargs="+", metavar="COMMAND", help="the program and its arguments")


def run(args: argparse.Namespace) -> int:
    """Run the program in the scenarios, and print each result."""
    program, scenarios = Program(tuple(args.words)), _chosen(args.only)
    began, started = datetime.now(UTC), time.monotonic()
    results = []
    for result in run_all(program, scenarios):
        results.append(result)
        for line in _lines(result):
            say(line, sys.stdout)
    report = Report.of(shlex.join(program.words), results, began, time.monotonic() - started, __version__)
    say(summary(results, report.seconds), sys.stdout)
    if args.json:
        _write(args.json, msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n")
    if args.html:
        from ._page import page

        _write(args.html, page(report))
    return 1 if any(result.verdict.kind == "wrong" for result in results) else 0


def summary(results: Sequence[Result], seconds: float) -> str:
    """Return how many results are of each kind, in a line."""
    counts = Counter(result.verdict.kind for result in results)
    return f"{', '.join(f'{counts[kind]} {kind}' for kind in get_args(Kind))}, in {seconds:.0f} s"


def _lines(result: Result) -> list[str]:
    verdict, seconds = result.verdict, result.seen.seconds if result.seen else 0.0
    kind = verdict.kind.upper() if verdict.kind == "wrong" else verdict.kind
    lines = [f"{kind:<10} {result.name:<45} {seconds:5.1f} s"]
    if verdict.kind != "right":
        lines += [f"           {one_line(': '.join(filter(None, (verdict.mistake, verdict.why))))}"]
    if verdict.kind == "wrong":
        lines += [f"           {result.scenario.does}", f"           {result.scenario.owes}"]
    return lines


def _chosen(only: Sequence[str] | None) -> dict[str, Scenario]:
    if not only:
        return SCENARIOS
    for name in only:
        if name not in FAMILIES and name not in SCENARIOS:
            family = name.partition("/")[0]
            there_are = [each for each in SCENARIOS if family in FAMILIES and each.startswith(f"{family}/")] or FAMILIES
            raise CommandError(f"there is no {name}; there are {', '.join(there_are)}")
    return {name: each for name, each in SCENARIOS.items() if name in only or each.family in only}


def _write(file: str, text: str) -> None:
    with open(file, "w", encoding="utf-8") as out:
        out.write(text)
