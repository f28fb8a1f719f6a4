"""Part 4: what it takes to start: whole processes that import something, or that ask and print the first piece."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import NamedTuple

from benchmarks import clients, server
from benchmarks.clients import ALL, versions
from benchmarks.report import Limit, Part, Scale, Table, over
from benchmarks.worker import Failed

NOTHING = "the interpreter alone"
CORE, DRIVER = "ddg_protocol", "ddg_transports.blocking"
#: What is imported, and the contender that it takes to be installed.
IMPORTS = {
    NOTHING: ("", None),
    "msgspec": ("msgspec", None),
    "h11": ("h11", None),
    CORE: (CORE, None),
    DRIVER: (DRIVER, None),
    "ddg_transports.anyio": ("ddg_transports.anyio", None),
    "ddg_transports.httpcore": ("ddg_transports.httpcore", None),
    "requests": ("requests", clients.REQUESTS_LOOP),
    "httpx, httpx_sse": ("httpx, httpx_sse", clients.HTTPX),
    "aiohttp": ("aiohttp", clients.AIOHTTP),
    "duckai": ("duckai", clients.DUCKAI),
    "g4f.Provider.DDG": ("g4f.Provider.DDG", clients.G4F),
}
#: What the limits are made of.
LIMITED = (NOTHING, "msgspec", CORE, DRIVER, "aiohttp")
_SAY = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"


class Spent(NamedTuple):
    """Seconds by the clock and of the processor, and the most KiB that the process had."""

    wall: float
    cpu: float
    memory: float


Measure = Callable[[list[str], Mapping[str, str]], Spent]
Typical = Callable[[Iterable[float]], float]


def run(scale: Scale) -> Part:
    spent = imports(IMPORTS, scale.rounds)
    failed: dict[str, str] = {}
    with server.running() as url:
        asked = server.question(scale.short)
        commands = {"ddg-chat ask": [sys.executable, "-m", "ddg_chat", "ask", "--base-url", url, asked]}
        for name in ALL:
            if versions(name) is not None:
                commands[name] = [sys.executable, "-m", "benchmarks.once", name, url, asked]
        first = taking_turns(commands, scale.rounds, first_piece, failed)
    notes = [f"{name} gave no first piece: {why}" for name, why in failed.items()]
    base = spent[NOTHING]
    rows: dict[str, list[float | None]] = {
        name: [each.wall * 1e3, each.cpu * 1e3, (each.cpu - base.cpu) * 1e3, each.memory / 1024, more(each, base)]
        for name, each in spent.items()
    }
    columns = ["wall ms", "CPU ms", "CPU over it, ms", "MiB", "over it, MiB"]
    whole = Table("A process that imports it, from start to end, and over the interpreter alone", columns, rows)
    pieces = Table(
        "From the start of a process to the first piece of the reply",
        ["wall ms", "CPU ms to its end"],
        {name: [each.wall * 1e3, each.cpu * 1e3] for name, each in first.items()},
    )
    return Part("start", "Start", [whole, pieces], limits(spent), notes)


def limits(spent: dict[str, Spent]) -> list[Limit]:
    """Compare the imports, by the processor's time of whole processes: other work disturbs it least."""
    base, core, driver = spent[NOTHING], spent[CORE], spent[DRIVER]
    found = [Limit(f"import {CORE} over import msgspec, ms", (core.cpu - spent["msgspec"].cpu) * 1e3, 20.0)]
    if (peer := spent.get("aiohttp")) is not None:
        # The limits of time and of memory. What later revisions have (parts, models, events) takes 3 % of the driver's.
        for name, mine, *at_most_of in ((CORE, core, 0.3, 0.3), (DRIVER, driver, 0.5, 0.55)):
            for what, ratio, at_most in (
                ("whole processes", over(mine.cpu, peer.cpu), at_most_of[0]),
                ("memory over the interpreter", over(more(mine, base), more(peer, base)), at_most_of[1]),
            ):
                if ratio is not None:
                    found.append(Limit(f"import {name} / import aiohttp, {what}", ratio, at_most))
    return found


def more(one: Spent, base: Spent) -> float:
    """MiB over those of another process."""
    return (one.memory - base.memory) / 1024


def imports(names: Iterable[str], rounds: int, typical: Typical = median) -> dict[str, Spent]:
    """Measure the imports of what is installed."""
    commands = {}
    for name in names:
        module, needs = IMPORTS[name]
        if needs is None or versions(needs) is not None:
            commands[name] = [sys.executable, "-c", f"import {module}\n{_SAY}" if module else _SAY]
    return taking_turns(commands, rounds, imported, {}, typical)


def taking_turns(
    commands: dict[str, list[str]],
    rounds: int,
    measure: Measure,
    failed: dict[str, str],
    typical: Typical = median,
) -> dict[str, Spent]:
    """Run all in rotating order; give what is typical of the rounds, and say who failed and why."""
    found: dict[str, list[Spent]] = {name: [] for name in commands}
    turns = list(commands.items())
    # All are found compiled, whether they are installed or lie in a checkout, and whatever the caller's settings.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for name, command in list(turns):  # this compiles, and brings the files into the system's memory
        try:
            measure(command, environment)
        except Failed as error:
            failed[name] = str(error)
            turns.remove((name, command))
    for turn in range(rounds):
        first = turn % len(turns)
        for name, command in turns[first:] + turns[:first]:
            found[name].append(measure(command, environment))
    return {name: Spent(*map(typical, zip(*each, strict=True))) for name, each in found.items() if each}


def imported(command: list[str], environment: Mapping[str, str]) -> Spent:
    """Run it to its end; it says how much memory it had."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    said = process.stdout.read()
    cpu = ended(process)
    assert process.returncode == 0, command
    return Spent(time.perf_counter() - began, cpu, float(said))


def first_piece(command: list[str], environment: Mapping[str, str]) -> Spent:
    """Run it to its end; what counts of the clock is the time to the first byte that it says."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    said = os.read(process.stdout.fileno(), 1)
    wall = time.perf_counter() - began
    process.stdout.read()
    why = process.stderr.read().decode().strip().rpartition("\n")[2]
    process.stderr.close()
    cpu = ended(process)
    if not said:
        raise Failed(why)
    return Spent(wall, cpu, 0.0)


def ended(process: subprocess.Popen[bytes]) -> float:
    """Wait for the end of a process; give what it took of the processor, in seconds."""
    assert process.stdout is not None
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime
