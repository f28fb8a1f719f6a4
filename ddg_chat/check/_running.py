"""Runs a program in scenarios, several side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO

import msgspec

from ddg_protocol.service import Fault
from ddg_protocol.service.faults import Cut, Refuse
from ddg_transports.testing.scenarios import PATIENCE, Observation, Scenario, Stage, Verdict

from .._errors import CommandError

WORKERS = 36
"""How many programs run at a time. Most of them only wait."""
LONGER = 15.0
"""How many seconds longer than that a program may run that does something."""
MAX_PRINTED = 4 * 1024 * 1024
"""How many bytes are kept of what a program prints on one of its streams."""

_GRACE = 2.0  # seconds, for the streams of a program that has ended
_LOOPBACK = "127.0.0.1,localhost"


class Program(msgspec.Struct, frozen=True):
    """A command line, with ``{url}`` and ``{question}`` or ``{questions}`` in it.

    Attributes:
        words: its words.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that the placeholders are there.

        Raises:
            CommandError: one is missing.
        """
        if not any("{url}" in word for word in self.words):
            raise CommandError("the command has no {url}; put it where the program takes the service's address")
        if self.holds_conversations == any("{question}" in word for word in self.words):
            raise CommandError(
                "the command has to have {question}, or {questions} as a word of its own, for a program that asks "
                "several in one conversation"
            )

    @property
    def holds_conversations(self) -> bool:
        """Whether it takes several questions."""
        return "{questions}" in self.words

    def arguments(self, url: str, questions: Sequence[str]) -> list[str]:
        """Return the command line for an address and some questions."""
        found: list[str] = []
        for word in self.words:
            if word == "{questions}":
                found += questions
            else:
                found.append(word.replace("{url}", url).replace("{question}", questions[0]))
        return found


class Result(msgspec.Struct, frozen=True):
    """What became of a program in a scenario.

    Attributes:
        name: the scenario's family and name.
        scenario: the scenario.
        verdict: the verdict.
        seen: what was seen; None if the program wasn't run.
    """

    name: str
    scenario: Scenario
    verdict: Verdict
    seen: Observation | None = None


def run_all(
    program: Program, scenarios: dict[str, Scenario], *, workers: int = WORKERS, patience: float = PATIENCE
) -> Iterator[Result]:
    """Run a program in each scenario, and yield the results in the order of the scenarios.

    Args:
        program: the program.
        scenarios: by name.
        workers: how many run at a time.
        patience: seconds without a request and without output after which a program is stopped. One that goes on is
            stopped after `LONGER` more, all in all.

    Raises:
        CommandError: the program can't be started.
    """
    stop = threading.Event()
    futures: dict[str, Future[Result]] = {}
    with ThreadPoolExecutor(workers) as pool:
        try:
            for name in sorted(scenarios, key=lambda name: not _takes_long(scenarios[name].faults)):
                futures[name] = pool.submit(_run, program, name, scenarios[name], patience, stop)
            for name in scenarios:
                yield futures[name].result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _takes_long(faults: Sequence[Fault]) -> bool:
    """Return whether a client waits in a scenario, for what doesn't come or to try again. These are begun first."""
    effects = [effect for fault in faults for effect in fault.effects]
    return any(
        (isinstance(effect, Cut) and effect.then == "hang") or (isinstance(effect, Refuse) and effect.status >= 429)
        for effect in effects
    )


def _run(program: Program, name: str, scenario: Scenario, patience: float, stop: threading.Event) -> Result:
    if len(scenario.turns) > 1 and not program.holds_conversations:
        return Result(name, scenario, Verdict("not asked", "it takes one question; {questions} would give it several"))
    with Stage(scenario) as stage:
        arguments = program.arguments(stage.url, scenario.questions)
        printed, said, code, seconds = _observe(arguments, stage, patience, stop)
    seen = stage.seen(printed=printed, said=said, code=code, seconds=seconds)
    return Result(name, scenario, scenario.judge(seen), seen)


def _observe(
    arguments: list[str], stage: Stage, patience: float, stop: threading.Event
) -> tuple[str, str, int | None, float]:
    """Run a program to its end, or stop it when time is up.

    Returns:
        What it printed on its two streams, its exit code or None, and how long it took.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a null character
        why = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"{arguments[0]} can't be run: {why}") from None
    assert process.stdout is not None
    assert process.stderr is not None
    streams = [_Stream(process.stdout), _Stream(process.stderr)]
    code: int | None = None
    try:
        while code is None and not stop.is_set():
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(min(0.25, patience))
            now = time.monotonic()
            active = max(stage.active, *(stream.active for stream in streams))
            if now > min(active + patience, started + patience + LONGER):
                break
    finally:
        _end(process)
        process.wait()
    seconds = time.monotonic() - started
    for stream in streams:
        stream.finish(_GRACE)
    return streams[0].text, streams[1].text, code, seconds


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and what it has started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: on macOS, of one that has ended
            os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Return the environment, so changed that no proxy gets what goes to a loopback address."""
    found = dict(os.environ)
    for name in ("NO_PROXY", "no_proxy"):
        found[name] = f"{found[name]},{_LOOPBACK}" if found.get(name) else _LOOPBACK
    return found


class _Stream:
    """Reads a stream to its end in a thread, and keeps its beginning."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = bytearray()
        self.active = time.monotonic()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")

    def finish(self, seconds: float) -> None:
        """Wait for the end of the stream, for a time: a program that it started may hold it open."""
        self._thread.join(seconds)
        if not self._thread.is_alive():
            self._stream.close()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while data := os.read(self._stream.fileno(), 65536):
                self._kept += data[: MAX_PRINTED - len(self._kept)]
                self.active = time.monotonic()
