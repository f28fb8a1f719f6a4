"""``python -m benchmarks.scale``: how much one engine bears, and how many clients of one pace that is.

A *client* is all that the service sees as one: its requests keep one interval, whichever process makes them. At the
interval of the service it makes a turn every 1.55 s at most, which is five calls: a claim, a slot and its confirmation,
a mark, a commit. So what one engine bears, in turns, says how many clients it can serve that never rest.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from ddg_protocol import DUCKDUCKGO_2025_04
from ddg_protocol.coordination import Claim, Claimed, Commit, Coordination, Mark, Reserve
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine

from .engines import running

Work = Callable[[Any, str, int], None]
INTERVAL = DUCKDUCKGO_2025_04.interval + Coordination().window  # seconds from slot to slot
DOCUMENT = bytes(20_000)  # a conversation of some turns
REPLY = bytes(1_500)
QUEUES = (0, 10, 100, 999)


def pace(engine: Any, process: str, number: int) -> None:
    """Ask for a slot and confirm it."""
    for _ in range(2):
        engine.call(Reserve(nonce=f"{process}-{number}", interval=0.0, window=0.05, max_wait=1.0))


def turn(engine: Any, process: str, number: int) -> None:
    """Make the five calls of a turn; a conversation has ten."""
    key, name = f"{process}-{number // 10}", str(number)
    claimed = engine.call(Claim(key=key, holder=name, lease=30.0, turn=name))
    assert isinstance(claimed, Claimed)
    pace(engine, process, number)
    engine.call(Mark(key=key, fence=claimed.fence, lease=30.0))
    stored = Commit(key=key, fence=claimed.fence, revision=claimed.revision, document=DOCUMENT, turn=name, reply=REPLY)
    engine.call(stored)


def rate(open_engine: Callable[[], Any], work: Work, *, processes: int, seconds: float) -> float:
    """Return how often a second several processes do something with an engine that they share."""
    context = multiprocessing.get_context("fork")
    counts = context.SimpleQueue()

    def go(process: int) -> None:
        with closing(open_engine()) as engine:
            number, until = 0, time.monotonic() + seconds
            while time.monotonic() < until:
                work(engine, f"{processes}.{process}", number)
                number += 1
            counts.put(number)

    crew = [context.Process(target=go, args=(process,)) for process in range(processes)]
    for each in crew:
        each.start()
    total: int = sum(counts.get() for _ in crew)
    for each in crew:
        each.join()
    return total / seconds


def confirmation(engine: Any, queue: int, rounds: int, used: Callable[[], float]) -> float:
    """Return what a confirmation costs while other turns queue, in seconds of a processor: others may be busy."""
    for place in range(queue):
        engine.call(Reserve(nonce=f"q{place}", interval=1.5, window=0.05, max_wait=86_400.0))
    begun = used()
    for _ in range(rounds):
        engine.call(Reserve(nonce="last", interval=1.5, window=0.05, max_wait=86_400.0))
    return (used() - begun) / rounds


def show(
    name: str, open_engine: Callable[[str], Any], used: Callable[[], float], crews: Iterable[int], seconds: float
) -> None:
    print(f"\n{name}")
    for processes in crews:
        slots = rate(lambda: open_engine("pace"), pace, processes=processes, seconds=seconds)
        turns = rate(lambda: open_engine("turns"), turn, processes=processes, seconds=seconds)
        print(
            f"  {processes:3} processes: {2 * slots:8,.0f} calls/s for the pace alone; {turns:7,.0f} turns/s, "
            f"{5 * turns:7,.0f} calls/s: {turns * INTERVAL:6,.0f} clients that never rest"
        )
    for queue in QUEUES:
        with closing(open_engine(f"queue{queue}")) as engine:
            print(f"  {queue:3} turns queue: {confirmation(engine, queue, 100, used) * 1e6:6,.0f} us a confirmation")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="How much one engine bears.")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--folder", help="where SQLite writes; by default, the system's for temporary files")
    arguments = parser.parse_args()
    crews, seconds = arguments.processes, arguments.seconds
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        show("SQLite", lambda name: SqliteEngine(Path(folder) / name), time.process_time, crews, seconds)
    if not shutil.which("valkey-server"):
        return
    with running("valkey-server") as port:
        client: Any = import_module("valkey").Valkey(port=port, socket_timeout=5)
        url = f"valkey://127.0.0.1:{port}"

        def used() -> float:
            info: dict[str, float] = client.info("cpu")
            return info["used_cpu_user"] + info["used_cpu_sys"]

        show("Valkey", lambda name: ValkeyEngine(url, scope=name), used, crews, seconds)
        largest = max(client.memory_usage(key, samples=0) for key in client.keys("*{c:*"))
        print(f"  {largest / 1e3:,.0f} kB for a conversation of ten turns, {len(DOCUMENT) / 1e3:.0f} kB long")
        client.close()


if __name__ == "__main__":
    main()
