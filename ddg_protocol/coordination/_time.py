"""What an engine keeps has times in whole microseconds, by a clock that is not let go back."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MICROSECONDS = 1_000_000
Time = Annotated[int, Meta(ge=-(2**53), le=2**53)]
"""On an engine's clock, in microseconds. Every kind of number that a store may have holds it exactly."""
NEVER = -(10**15)
"""Earlier than every time of an engine, by more than any duration."""


class Kept(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What an engine keeps. In a row, it is the list of its attributes."""


class Clock(Kept, frozen=True):
    """What an engine has seen of its clock. Where the clock goes back, the time stands still once, and then goes on.

    Attributes:
        time: the newest time, in microseconds.
        offset: how far the clock has gone back so far, in microseconds.
    """

    time: Time = NEVER
    offset: Time = 0

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
