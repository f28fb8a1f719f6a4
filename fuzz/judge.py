"""The oracle: a documented result or a documented exception, in bounded time and memory.

A target says what is documented: whatever else it raises is a finding. Time and memory are held here.
"""

from __future__ import annotations

import itertools
import signal
import time
import tracemalloc
import zlib
from collections.abc import Callable
from types import FrameType

from .target import Target

HANG = 10.0
"""Seconds of processor time after which an input is given up."""
TRACED = 6
"""How many times as long a run may take while its memory is counted: each allocation is noted."""
SMALL, MIDDLE, LARGE = 16 * 1024, 32 * 1024, 64 * 1024
"""What an input is stretched to, in bytes: twice the input may take twice as long."""
GROWTH = 3.0
"""And not three times, twice over: what is quadratic takes four, and what gets further at one length grows but once."""
NOTICEABLE = 0.05
"""Seconds that the longest input takes at least where growth is judged: noise is larger below."""
HEAVY_SHARE = 0.2
"""The part of the time that goes into stretching inputs and weighing them."""


class Finding(Exception):
    """An input for which the oracle does not hold.

    Attributes:
        target: the target's name.
        data: the input.
    """

    def __init__(self, target: str, data: bytes, why: str) -> None:
        super().__init__(why)
        self.target = target
        self.data = data


class Hang(BaseException):
    """An input took longer than `HANG`. No exception of the library's own, so that nothing there catches it."""


class Judge:
    """Gives inputs to a target, and holds it to the oracle.

    Args:
        target: what to run.

    Attributes:
        runs: how often the target was run.
        slowest: seconds of processor time that the slowest input took.
        slowest_size: the bytes in it.
        largest: the most bytes of memory that an input took, of those that were weighed.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.runs = 0
        self.slowest = 0.0
        self.slowest_size = 0
        self.largest = 0
        self._light = self._heavy = 0.0
        signal.signal(signal.SIGVTALRM, _hang)

    def __call__(self, data: bytes) -> None:
        """Judge an input; one in many also stretched.

        Args:
            data: the input.

        Raises:
            Finding: the oracle doesn't hold.
        """
        self._light += self.hold_to_time(data)
        if self._heavy <= HEAVY_SHARE * self._light:
            before = time.process_time()
            self.hold_to_growth(data)
            self._heavy += time.process_time() - before

    def hold_to_time(self, data: bytes) -> float:
        """Run the target once; give the seconds that it took.

        Raises:
            Finding: it raised what it must not, or took too long.
        """
        took = self._timed(data)
        bound = self.target.seconds + self.target.seconds_per_byte * len(data)
        if took > bound:
            took = self._settled(data, took)
        if took > bound:
            raise Finding(
                self.target.name, data, f"{len(data)} bytes took {took:.3f} s, and {bound:.3f} s are the bound"
            )
        if took > self.slowest:
            self.slowest, self.slowest_size = took, len(data)
        return took

    def hold_to_growth(self, data: bytes) -> None:
        """Stretch an input to three lengths, and hold the target to linear time and memory.

        Raises:
            Finding: it took more, or raised what it must not.
        """
        inputs = [stretched(data, size) for size in (SMALL, MIDDLE, LARGE)]
        times = [self.hold_to_time(each) for each in inputs]
        large = inputs[-1]
        if times[-1] > max(NOTICEABLE, GROWTH * times[0]):
            times = [self._settled(*each) for each in zip(inputs, times, strict=True)]
            if times[1] > NOTICEABLE / 10 and all(long > GROWTH * short for short, long in itertools.pairwise(times)):
                said = ", ".join(f"{seconds:.3f}" for seconds in times)
                why = f"{SMALL}, {MIDDLE} and {LARGE} bytes took {said} s: not linear"
                raise Finding(self.target.name, large, why)
        for weighed in (data, large):
            self.hold_to_memory(weighed)

    def hold_to_memory(self, data: bytes) -> None:
        """Run the target once more, and count the memory that it takes at once.

        Raises:
            Finding: it is too much.
        """
        tracemalloc.start()
        try:
            self._run(data, slowed=TRACED)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.largest = max(self.largest, peak)
        bound = self.target.memory + self.target.memory_per_byte * len(data)
        if peak > bound:
            raise Finding(
                self.target.name, data, f"{len(data)} bytes took {peak} bytes of memory, {bound} are the bound"
            )

    def _settled(self, data: bytes, took: float) -> float:
        """Measure three times more, and give the least: other programs can only make it longer."""
        return min(took, *(self._timed(data) for _ in range(3)))

    def _timed(self, data: bytes) -> float:
        before = time.process_time()
        self._run(data)
        return time.process_time() - before

    def _run(self, data: bytes, *, slowed: int = 1) -> None:
        self.runs += 1
        hang = slowed * HANG
        signal.setitimer(signal.ITIMER_VIRTUAL, hang)
        try:
            self.target.run(data)
        except (Exception, Hang) as error:
            why = f"more than {hang:g} s" if isinstance(error, Hang) else f"{type(error).__name__}: {error}"
            raise Finding(self.target.name, data, why) from error
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


def stretched(data: bytes, size: int) -> bytes:
    """Make an input longer by saying a part of it again and again: what is not linear shows.

    Args:
        data: the input, which also says which part.
        size: how long it is to be.

    Returns:
        The longer input; the same for every size up to where it is cut.
    """
    if not data or len(data) >= size:
        return data[:size]
    dice = zlib.crc32(data)
    begin = dice % len(data)
    end = begin + 1 + (dice >> 16) % min(len(data) - begin, 64)
    part, room = data[begin:end], size - len(data)
    return data[:end] + (part * (1 + room // len(part)))[:room] + data[end:]


def shrunk(data: bytes, fails: Callable[[bytes], bool], *, seconds: float = 10.0) -> bytes:
    """Take away of a failing input what it doesn't need.

    Args:
        data: the input.
        fails: tells whether another fails as well.
        seconds: for how long, in processor time.

    Returns:
        An input that fails, perhaps the same.
    """
    end = time.process_time() + seconds
    size = len(data) // 2
    while size and time.process_time() < end:
        at = 0
        while at < len(data) and time.process_time() < end:
            less = data[:at] + data[at + size :]
            if fails(less):
                data = less
            else:
                at += size
        size //= 2
    return data
