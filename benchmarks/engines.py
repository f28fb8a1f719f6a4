"""What a call costs that shares the pace or a conversation: ``python -m benchmarks.engines``, with servers from Debian.

Of a server the yardstick is EVALSHA of ``return 1`` by the same client, in turn with the calls, so that other work on
the machine slows both. The last figure is what an engine bears when several processes ask it together.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from statistics import median
from typing import Any

from ddg_protocol.coordination import Claim, Claimed, Commit, Hold, Mark, Release, Reserve
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine

SERVERS = ("valkey-server", "redis-server")
DOCUMENT = bytes(20_000)  # a conversation of some turns


@contextmanager
def running(program: str) -> Iterator[int]:
    """Run a server on a free port, for a ``with`` block."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--port", str(port), "--dir", folder, "--save", "", "--bind", "127.0.0.1"]
        with subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL) as server:
            try:
                while True:
                    with suppress(ConnectionRefusedError):
                        socket.create_connection(("127.0.0.1", port)).close()
                        break
                    time.sleep(0.01)
                yield port
            finally:
                server.terminate()


def calls_of(engine: Any, crowded: Any, queue: int) -> dict[str, Callable[[], object]]:
    """Return what is measured: the calls of a paced request, and those of a turn. Turns queue at one of two engines."""
    number = iter(range(10**9))
    reserves = itertools.cycle(
        [Reserve(nonce=f"n{each}", interval=0.0, window=0.05, max_wait=1.0) for each in range(100)]
    )

    def reserve() -> object:
        return engine.call(next(reserves))

    confirmed = Reserve(nonce="c", interval=1.5, window=0.05, max_wait=86_400.0)

    def confirm() -> object:
        return crowded.call(confirmed)

    def turn() -> object:
        name = f"t{next(number)}"
        claimed = engine.call(Claim(key="k", holder=name, lease=30.0, take_over=True))
        assert isinstance(claimed, Claimed)
        fence, revision = claimed.fence, claimed.revision
        engine.call(Mark(key="k", fence=fence, lease=30.0))
        return engine.call(Commit(key="k", fence=fence, revision=revision, document=DOCUMENT, turn=name, reply=b"r"))

    def claim_and_release() -> object:
        claimed = engine.call(Claim(key="r", holder=f"r{next(number)}", lease=30.0, take_over=True))
        return engine.call(Release(key="r", fence=claimed.fence, revision=claimed.revision))

    for place in range(queue):
        crowded.call(Reserve(nonce=f"q{place}", interval=1.5, window=0.05, max_wait=86_400.0))
    return {
        "reserve": reserve,
        f"confirm, {queue} turns queueing": confirm,
        "hold": lambda: engine.call(Hold(seconds=0.0)),
        "claim, release": claim_and_release,
        "claim, mark, commit": turn,
    }


def measure(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the typical time of each, in microseconds; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begun)
    return {name: median(each) * 1e6 for name, each in times.items()}


def together(open_engine: Callable[[], Any], processes: int, seconds: float) -> float:
    """Return how many reserves a second an engine answers to several processes."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def ask(process: int) -> None:
        with closing(open_engine()) as engine:
            count, until = 0, time.monotonic() + seconds
            while time.monotonic() < until:
                engine.call(Reserve(nonce=f"{process}-{count}", interval=0.0, window=0.05, max_wait=1.0))
                count += 1
            answers.put(count)

    workers = [context.Process(target=ask, args=(process,)) for process in range(processes)]
    for worker in workers:
        worker.start()
    total: int = sum(answers.get() for _ in workers)
    for worker in workers:
        worker.join()
    return total / seconds


def show(title: str, found: dict[str, float], yardstick: float | None, rate: float) -> None:
    print(f"\n{title}")
    for name, value in found.items():
        ratio = "" if yardstick is None else f"{value / yardstick:8.2f} x"
        print(f"  {name:32} {value:8.0f} us {ratio}")
    print(f"  {'reserves/s, 4 processes':32} {rate:8,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description="What engines cost.")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--queue", type=int, default=20, help="turns that queue")
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with closing(SqliteEngine(f"{folder}/a")) as engine, closing(SqliteEngine(f"{folder}/b")) as crowded:
            found = measure(calls_of(engine, crowded, arguments.queue), arguments.rounds // 5)
        show("SQLite", found, None, together(lambda: SqliteEngine(f"{folder}/a"), 4, arguments.seconds))
    for program in filter(shutil.which, SERVERS):
        with running(program) as port:
            of_server(program, port, arguments)


def of_server(program: str, port: int, arguments: argparse.Namespace) -> None:
    client: Any = import_module("valkey").Valkey(port=port, socket_timeout=5)
    sha = client.script_load("return 1")
    calls = calls_of(ValkeyEngine(client), ValkeyEngine(client, scope="crowded"), arguments.queue)
    found = measure({"EVALSHA of return 1": lambda: client.evalsha(sha, 1, "k"), **calls}, arguments.rounds)
    rate = together(lambda: ValkeyEngine(f"valkey://127.0.0.1:{port}"), 4, arguments.seconds)
    show(program, found, found["EVALSHA of return 1"], rate)
    client.close()


if __name__ == "__main__":
    main()
