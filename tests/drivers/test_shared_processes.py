"""Real sessions in real processes, against the emulator: one pace and one front-end page for all of them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from support.paths import ROOT

from ddg_protocol.service import Service, ServiceRequest, ServiceResponse
from ddg_transports.emulator import Emulator

PROCESSES, TURNS, INTERVAL = 6, 3, 0.15
WORKER = """
import sys
from ddg_protocol import DUCKDUCKGO_2025_04
from ddg_transports.blocking import Client
from ddg_transports.engines.sqlite import SqliteEngine

url, folder, number, turns, interval = sys.argv[1:]
engine = SqliteEngine(folder) if folder else None
sys.stdin.readline()  # until all have started
with Client(DUCKDUCKGO_2025_04.at(url, minimum_interval=float(interval)), shared=engine) as client:
    for turn in range(int(turns)):
        chat = client.chat(key="all", on_busy="wait") if engine else client.chat()
        chat.ask(f"{number}.{turn}", turn=f"{number}.{turn}" if engine else "")
"""


class Timed(Service):
    """A service that notes when each request came."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[tuple[float, str]] = []
        self._noting = threading.Lock()

    def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
        with self._noting:
            self.arrivals.append((time.monotonic(), request.target))
        return super().handle(request, now=now)


def arrivals(folder: str) -> list[tuple[float, str]]:
    """Let all processes ask, and return when their requests came."""
    service = Timed()
    with Emulator(service) as emulator:
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, emulator.url, folder, str(number), str(TURNS), str(INTERVAL)],
                stdin=subprocess.PIPE,
                cwd=ROOT,
                text=True,
            )
            for number in range(PROCESSES)
        ]
        try:
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
            assert [worker.wait(120) for worker in workers] == [0] * PROCESSES
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
                assert worker.stdin is not None
                worker.stdin.close()
    return service.arrivals


def too_close(found: list[tuple[float, str]]) -> list[float]:
    return [after - before for (before, _), (after, _) in pairwise(found) if after - before < INTERVAL]


def pages(found: list[tuple[float, str]]) -> int:
    return sum("duckai=1" in target for _, target in found)


@pytest.mark.deep("six processes, for several seconds")
def test_six_processes_keep_one_pace_and_fetch_the_front_end_version_once(tmp_path: Path) -> None:
    found = arrivals(str(tmp_path / "engine"))
    assert sum(target.endswith("/chat") for _, target in found) == PROCESSES * TURNS
    assert too_close(found) == []
    assert pages(found) == 1


@pytest.mark.deep("six processes, for several seconds")
def test_six_processes_without_an_engine_do_not() -> None:
    found = arrivals("")
    assert len(too_close(found)) > len(found) / 2
    assert pages(found) == PROCESSES
