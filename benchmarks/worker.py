"""One contender in a process of its own: ``python -m benchmarks.worker NAME URL``; what it is to do comes line by line.

``turn``: a whole new conversation. ``many``: so many of them at once. Each line is answered by one of figures.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Self

import anyio

from benchmarks.clients import ALL, Contender
from benchmarks.server import raise_file_limit

Figures = dict[str, float]

WARM_UP = "2 events"


def memory(which: str) -> int:
    """``VmRSS``, the memory this process has in use, or ``VmHWM``, the most it ever had; in bytes (proc(5))."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(which))


def reset_peak() -> None:
    """Let ``VmHWM`` begin again at what is in use now."""
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")


class Stopwatch:
    """The figures of one turn."""

    def __init__(self) -> None:
        self.pieces = 0
        self.first = self.first_cpu = 0.0
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def take(self, _: str) -> None:
        if not self.pieces:
            self.first, self.first_cpu = time.perf_counter(), time.process_time()
        self.pieces += 1

    def stop(self, reply: str) -> Figures:
        cpu, now = time.process_time(), time.perf_counter()
        return {
            "cpu": cpu - self._cpu,
            "wall": now - self._began,
            "first": self.first - self._began,
            "pieces": self.pieces,
            "characters": len(reply),
        }


def turn(contender: Contender, url: str, question: str) -> Figures:
    """Hold one conversation with a client of its own."""
    make: Any = contender.make

    async def measured() -> Figures:
        watch = Stopwatch()
        async with make(url) as converse:
            return watch.stop(await converse(question, watch.take))

    if contender.world != "blocking":
        return run(contender, measured)
    watch = Stopwatch()
    with make(url) as converse:
        return watch.stop(converse(question, watch.take))


def many(contender: Contender, url: str, question: str, conversations: int) -> Figures:
    """Hold so many conversations at once, with one client, after a first one by itself.

    The server lets the replies begin together. What counts is the time from the first piece of all.
    """
    raise_file_limit()
    make: Any = contender.make

    async def measured() -> Figures:
        watches: list[Stopwatch] = []
        replies: list[float] = []

        async def one() -> None:
            watch = Stopwatch()
            watches.append(watch)
            await converse(question, watch.take)
            replies.append(time.perf_counter() - watch.first)

        async with make(url) as converse:
            await converse(WARM_UP, str)
            gc.collect()
            reset_peak()
            before = memory("VmRSS")
            async with anyio.create_task_group() as tasks:
                for _ in range(conversations):
                    tasks.start_soon(one)
            cpu, now = time.process_time(), time.perf_counter()
        first = min(watches, key=lambda watch: watch.first)
        return {
            "pieces": sum(watch.pieces for watch in watches),
            "wall": now - first.first,
            "cpu": cpu - first.first_cpu,
            "slowest": max(replies),
            "memory": (memory("VmHWM") - before) / conversations,
        }

    return run(contender, measured)


def run(contender: Contender, measured: Callable[[], Coroutine[Any, Any, Figures]]) -> Figures:
    if contender.world == "trio":
        import trio

        return trio.run(measured)
    return asyncio.run(measured())


DOES: dict[str, Callable[..., Figures]] = {"turn": turn, "many": many}


def main() -> None:
    name, url = sys.argv[1:]
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said: Any = DOES[asked.pop("do")](ALL[name], url, **asked)
        except Exception as error:  # of whatever kind: a peer that can't do it is a figure, too
            said = f"{type(error).__name__}: {error}"
        print(json.dumps(said), flush=True)


class Failed(Exception):
    """A contender could not do what it was to do."""


class Worker:
    """A contender in a process of its own, as the one who measures sees it.

    Args:
        name: of the contender.
        url: of the server.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, what: str, **asked: Any) -> Figures:
        """Have it do something, and wait until it has."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **asked}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        said = json.loads(line) if line else "it ended"
        if isinstance(said, str):
            raise Failed(f"{self.name}: {said}")
        figures: Figures = said
        return figures

    def close(self) -> None:
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


if __name__ == "__main__":
    main()
