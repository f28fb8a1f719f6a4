"""Count the sockets that this process has open."""

from __future__ import annotations

import gc
import os

import anyio

TIMEOUT = 20


def open_sockets() -> int:
    """Return how many sockets this process has open."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return count


async def settled(before: int) -> None:
    """Wait until no more sockets are open than before: asyncio closes them in later iterations of its loop."""
    with anyio.fail_after(TIMEOUT):
        while open_sockets() > before:
            gc.collect()
            await anyio.sleep(0.001)
