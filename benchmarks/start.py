"""Part 4: what it takes to start: whole processes that import something, or that ask and print the first piece."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

from benchmarks import clients, server
from benchmarks.clients import ALL, versions
from benchmarks.report import Limit, Part, Scale, Table

NOTHING = "the interpreter alone"
#: What is imported, and the contender that it takes to be installed.
IMPORTS = {
    NOTHING: ("", None),
    "msgspec": ("msgspec", None),
    "h11": ("h11", None),
    "ddg_protocol": ("ddg_protocol", None),
    "ddg_transports.blocking": ("ddg_transports.blocking", None),
    "ddg_transports.anyio": ("ddg_transports.anyio", None),
    "ddg_transports.httpcore": ("ddg_transports.httpcore", None),
    "requests": ("requests", clients.REQUESTS_LOOP),
    "httpx, httpx_sse": ("httpx, httpx_sse", clients.HTTPX),
    "aiohttp": ("aiohttp", clients.AIOHTTP),
    "duckai": ("duckai", clients.DUCKAI),
    "g4f.Provider.DDG": ("g4f.Provider.DDG", clients.G4F),
}
_SAY = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
Spent = tuple[float, float, float]


def run(scale: Scale) -> Part:
    imports = {
        name: [sys.executable, "-c", f"import {module}\n{_SAY}" if module else _SAY]
        for name, (module, needs) in IMPORTS.items()
        if needs is None or versions(needs) is not None
    }
    spent = taking_turns(imports, scale.rounds + 2, imported)
    with server.running() as url:
        asked = server.question(scale.short)
        commands = {"ddg-chat ask": [sys.executable, "-m", "ddg_chat", "ask", "--base-url", url, asked]}
        for name in ALL:
            if versions(name) is not None:
                commands[name] = [sys.executable, "-m", "benchmarks.once", name, url, asked]
        first = taking_turns(commands, scale.rounds, first_piece)
    base = spent[NOTHING]
    rows: dict[str, list[float | None]] = {
        name: [wall * 1e3, (wall - base[0]) * 1e3, cpu * 1e3, memory / 1024, (memory - base[2]) / 1024]
        for name, (wall, cpu, memory) in spent.items()
    }
    columns = ["wall ms", "over it, ms", "CPU ms", "MiB", "over it, MiB"]
    table = Table("A process that imports it, from start to end, and over the interpreter alone", columns, rows)
    pieces = Table(
        "From the start of a process to the first piece of the reply",
        ["wall ms", "CPU ms to its end"],
        {name: [wall * 1e3, cpu * 1e3] for name, (wall, cpu, _) in first.items()},
    )
    core, driver = spent["ddg_protocol"], spent["ddg_transports.blocking"]
    least = spent["msgspec"]
    limits = [
        Limit("import ddg_protocol over import msgspec: ms / 20 ms", (core[0] - least[0]) / 0.020, 1.0),
    ]
    if "aiohttp" in spent:
        peer = spent["aiohttp"]
        limits += [
            Limit("import ddg_protocol / import aiohttp, whole processes", core[0] / peer[0], 0.3),
            Limit("import ddg_transports.blocking / import aiohttp, whole processes", driver[0] / peer[0], 0.5),
            Limit("memory over the interpreter: ddg_protocol / aiohttp", over(core, base) / over(peer, base), 0.3),
            Limit("memory over it: ddg_transports.blocking / aiohttp", over(driver, base) / over(peer, base), 0.5),
        ]
    return Part("start", "Start", [table, pieces], limits)


def over(one: Spent, base: Spent) -> float:
    return one[2] - base[2]


def taking_turns(commands: dict[str, list[str]], rounds: int, measure) -> dict[str, Spent]:  # type: ignore[no-untyped-def]
    found: dict[str, list[Spent]] = {name: [] for name in commands}
    turns = list(commands.items())
    for turn in range(rounds + 1):
        first = turn % len(turns)
        for name, command in turns[first:] + turns[:first]:
            spent = measure(command)
            if turn:  # the first round brings the files into the system's memory
                found[name].append(spent)
    medians: dict[str, Spent] = {}
    for name, rounds_of in found.items():
        wall, cpu, memory = (median(each) for each in zip(*rounds_of, strict=True))
        medians[name] = (wall, cpu, memory)
    return medians


def imported(command: list[str]) -> Spent:
    """Seconds of wall and processor, and the most KiB that it had."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return wall, usage.ru_utime + usage.ru_stime, float(said)


def first_piece(command: list[str]) -> Spent:
    """Seconds to the first byte it says, and of the processor to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    said = os.read(process.stdout.fileno(), 1)
    wall = time.perf_counter() - began
    process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert said, command
    return wall, usage.ru_utime + usage.ru_stime, 0.0
