"""The sockets that this process has open."""

from __future__ import annotations

import gc
import os

import anyio

TIMEOUT = 20


def open_sockets() -> int:
    """How many of this process are connected to somewhere."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return count


async def settled(before: int) -> None:
    """Wait until there are no more sockets than before: asyncio closes with the next turns of its loop."""
    with anyio.fail_after(TIMEOUT):
        while open_sockets() > before:
            gc.collect()
            await anyio.sleep(0.001)
