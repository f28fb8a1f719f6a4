"""How much memory a turn against a hostile service takes: in a process of its own, with the service in another.

    python -m redteam.measured serve                  serves each that takes memory, and the good one; prints their URLs
    python -m redteam.measured ask DRIVER GOOD BAD..  asks the good one, and then each of the others in a fork of its
                                                      own; prints a line for each: what it took, in KiB, and its end

The peak is the kernel's own (VmHWM of /proc/self/status), set back before the second turn. ``ru_maxrss`` would begin
with the memory of the process that started this one.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec

from ddg_protocol import DUCKDUCKGO_2025_04

from .drivers import DRIVERS, Driver
from .server import GOOD, HostileServer
from .services import SERVICES

MEASURED = {service.name: service for service in SERVICES if service.takes_memory}


def serve() -> None:
    """Serve until the standard input ends."""
    with ExitStack() as stack:
        urls = {name: stack.enter_context(HostileServer(service)).url for name, service in MEASURED.items()}
        print(msgspec.json.encode({GOOD: stack.enter_context(HostileServer()).url, **urls}).decode(), flush=True)
        sys.stdin.read()


def ask(driver: str, good: str, *bad: str) -> None:
    """Measure a turn against each, under the default policy."""
    asked = DRIVERS[driver]
    outcomes = asked(DUCKDUCKGO_2025_04.at(good), lambda: None)
    assert [outcome.text for outcome in outcomes] == [GOOD] * 3, outcomes
    gc.collect()
    gc.freeze()  # what a fork looks at it copies
    for url in bad:
        if child := os.fork():
            assert os.waitpid(child, 0)[1] == 0
        else:
            _measure(asked, url)
            return


def _measure(asked: Driver, bad: str) -> None:
    """Ask once, in this process, and print what it took."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
    idle = _status("VmHWM")
    took = []
    first, *_ = asked(DUCKDUCKGO_2025_04.at(bad), lambda: took.append(_status("VmHWM") - idle), turns=1)
    ended = "a reply" if first.kind is None else first.kind.__name__
    print(msgspec.json.encode([took[0], ended]).decode(), flush=True)


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1])


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        ask(*sys.argv[2:])
