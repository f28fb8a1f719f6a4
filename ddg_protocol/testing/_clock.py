"""The only clock there is in a test that doesn't wait."""

from __future__ import annotations


class Clock:
    """A clock that stands still until it is moved.

    Call it for the time: it can be passed wherever `time.monotonic` could.

    Args:
        now: what it shows first, in seconds.

    Attributes:
        now: what it shows.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def __repr__(self) -> str:
        return f"Clock({self.now!r})"

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: how much; 0 or more.

        Raises:
            ValueError: it is less: time doesn't go back.
        """
        if not seconds >= 0:
            raise ValueError(f"time passes by 0 or more seconds, not by {seconds!r}")
        self.now += seconds

    def advance_to(self, time: float) -> None:
        """Let time pass until a time has come; nothing happens where it is past already."""
        self.now = max(self.now, time)
