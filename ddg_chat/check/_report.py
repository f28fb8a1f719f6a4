"""The results of a run as data: what ``--json`` writes and the page shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ddg_transports.testing.scenarios import Observation

from ._running import Result

MAX_TEXT = 2_000
"""How many characters are kept of what a program printed in a scenario."""
MAX_REQUESTS = 40
"""How many of its requests are kept."""


class RequestLine(msgspec.Struct, frozen=True):
    """A request of the program's, without its headers and its body.

    Attributes:
        at: when it came, in seconds since the scenario began.
        method: its method.
        target: its path.
        status: the status that it got.
        note: what was wrong with it, and how the response ended.
    """

    at: float
    method: str
    target: str
    status: int
    note: str = ""


class Line(msgspec.Struct, frozen=True):
    """What became of the program in a scenario.

    Attributes:
        name: the scenario's family and name.
        does: what is done.
        owes: what is owed.
        section: the section of PROTOCOL.md.
        verdict: right, tolerable, wrong or not asked.
        mistake: what is wrong; empty if nothing is.
        why: the reason.
        code: the exit code; None if it was stopped, or not run.
        seconds: how long it took.
        printed: what it printed on standard output.
        said: what it printed on standard error.
        requests: what the service saw.
    """

    name: str
    does: str
    owes: str
    section: int
    verdict: str
    mistake: str = ""
    why: str = ""
    code: int | None = None
    seconds: float = 0.0
    printed: str = ""
    said: str = ""
    requests: tuple[RequestLine, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """The results of a run.

    Attributes:
        program: the command line.
        version: the version of this project.
        began: when, in UTC.
        seconds: how long it took.
        results: a line for each scenario, in order.
    """

    program: str
    version: str
    began: str
    seconds: float
    results: tuple[Line, ...]

    @classmethod
    def of(cls, program: str, results: Sequence[Result], began: datetime, seconds: float, version: str) -> Report:
        """Make the report of a run."""
        return cls(program, version, began.strftime("%Y-%m-%d %H:%M"), round(seconds, 1), tuple(map(_line, results)))


def _line(result: Result) -> Line:
    scenario, verdict, seen = result.scenario, result.verdict, result.seen or Observation(code=None)
    requests = [
        RequestLine(
            round(request.at, 2),
            request.method,
            request.target,
            request.status,
            ", ".join(filter(None, (request.error, request.reason, _ENDED.get(request.ended, "")))),
        )
        for request in seen.requests[:MAX_REQUESTS]
    ]
    requests += [
        RequestLine(round(request.at, 2), request.method, request.target, request.status, "to another host")
        for request in seen.strange[:MAX_REQUESTS]
    ]
    return Line(
        name=result.name,
        does=scenario.does,
        owes=scenario.owes,
        section=scenario.section,
        verdict=verdict.kind,
        mistake=verdict.mistake or "",
        why=verdict.why,
        code=seen.code,
        seconds=round(seen.seconds, 2),
        printed=_cut(seen.printed),
        said=_cut(seen.said),
        requests=tuple(requests),
    )


_ENDED = {"broken": "broken off", "left": "the client left before the end"}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… (+{len(text) - MAX_TEXT:,})"
