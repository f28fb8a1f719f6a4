"""A clock for the tests of a program with a blocking client: what the client would wait for takes no time."""

from __future__ import annotations

import time

__all__ = ["SkippingClock"]


class SkippingClock:
    """The clock and the sleep of a client that doesn't wait: ``Client(clock=clock, sleep=clock.sleep)``.

    The clock goes on as `time.monotonic` does, so that a peer that is silent is still a timeout. A sleep puts it
    forward and returns.

    Attributes:
        slept: the seconds of each sleep.
    """

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._skipped = 0.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        """Put the clock forward.

        Args:
            seconds: how far.
        """
        self.slept.append(seconds)
        self._skipped += seconds
