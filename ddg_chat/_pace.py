"""Work that is repeated soon and often, but leaves most of the time to other work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_REST = 4.0  # times the duration of the work


class Pace:
    """Does work each time it is due, in a thread of its own, within a ``with`` block.

    After each run it rests for four times the run's duration. Calls of `due` during a run and its rest cause one run.

    Args:
        work: the call to make. `due` or the end of the block raises its exception.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._is_due = threading.Event()
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def due(self) -> None:
        """Schedule a run of the work."""
        self._is_due.set()
        self._raise()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._is_due.set()
        self._thread.join()
        self._raise()

    def _run(self) -> None:
        while self._is_due.wait() and not self._ended.is_set():
            self._is_due.clear()
            begun = time.monotonic()
            try:
                self._work()
            except Exception as error:
                self._error = error
                return
            self._ended.wait(_REST * (time.monotonic() - begun))

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
