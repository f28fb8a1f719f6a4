"""A manual clock, for tests that don't wait."""

from __future__ import annotations


class Clock:
    """A clock that stands still until it is moved.

    Calling it returns the time, so it can be passed in place of `time.monotonic`.

    Args:
        now: the initial time, in seconds.

    Attributes:
        now: the current time.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def __repr__(self) -> str:
        return f"Clock({self.now!r})"

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Args:
            seconds: how far; 0 or more.

        Raises:
            ValueError: ``seconds`` is negative or NaN.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must be 0 or more, not {seconds!r}")
        self.now += seconds

    def advance_to(self, time: float) -> None:
        """Move the clock forward to a time; do nothing if that time is past."""
        self.now = max(self.now, time)
