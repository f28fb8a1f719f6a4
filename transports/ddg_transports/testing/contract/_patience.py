"""Running a check that may never return: it is given up after some time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from ._steps import NotKept

_SLACK = 2.0  # seconds until something ends that is given up


def finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return


def in_thread(work: Callable[[], None], patience: float, *, give_up: Callable[[], None] | None = None) -> None:
    """Do something in a thread that can be abandoned if it never returns.

    Args:
        work: what to do.
        patience: for how many seconds.
        give_up: is called if it takes longer, before the thread is abandoned: most likely it ends its wait.

    Raises:
        NotKept: it takes longer.
        BaseException: whatever it raises.
    """
    failures: list[BaseException] = []

    def target() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        if give_up is not None:
            give_up()
            thread.join(_SLACK)
        raise NotKept(f"it was still waiting after {patience:g} s")
    if failures:
        raise failures[0]


async def in_time(work: Callable[[], Coroutine[Any, Any, None]], patience: float) -> None:
    """Do something in this task, and cancel it if it takes too long.

    Args:
        work: what to do.
        patience: for how many seconds.

    Raises:
        NotKept: it takes longer.
    """
    with anyio.move_on_after(patience):
        await work()
        return
    raise NotKept(f"it was still waiting after {patience:g} s")
