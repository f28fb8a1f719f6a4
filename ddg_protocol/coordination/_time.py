"""An engine's time: whole microseconds, by a clock that is not let go back."""

from __future__ import annotations

import msgspec

MICROSECONDS = 1_000_000
NEVER = -(10**15)
"""Earlier than every time of an engine, by more than any duration."""


class Clock(msgspec.Struct, frozen=True):
    """What an engine has seen of its clock. Where the clock goes back, the time stands still once, and then goes on.

    Attributes:
        time: the newest time, in microseconds.
        offset: how far the clock has gone back so far, in microseconds.
    """

    time: int = NEVER
    offset: int = 0

    def at(self, now: int) -> Clock:
        """Return what is seen of a clock that shows a time, in microseconds."""
        time = now + self.offset
        return Clock(time, self.offset) if time >= self.time else Clock(self.time, self.time - now)


def microseconds(seconds: float) -> int:
    """Return a duration or a time in whole microseconds."""
    return round(seconds * MICROSECONDS)


def seconds(duration: int) -> float:
    """Return a duration in seconds."""
    return duration / MICROSECONDS
