"""What tasks of asyncio's wait for, and what bounds their waits in time; for `_asyncio.AsyncioStream`.

An `asyncio.Future` that gets its result has the loop run the task in its next round, which looks at all sockets and
timers first. For a read that is a tenth of all that an event takes, and for nothing: it was the loop that had the data.
And a cancel scope with a deadline arms a timer for each wait and disarms it, where one can be moved on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from types import TracebackType
from typing import Self


class Waiter:
    """Future-like, as `asyncio.isfuture` has it; for one task at a time, and for any number of waits.

    Args:
        loop: the task's.
    """

    #: How a task sees that it is to wait for what it was given; it takes it back.
    _asyncio_future_blocking = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._resume: Callable[[Waiter], object] | None = None  # the task, while it waits and nothing has ended that
        self._context: Context | None = None
        self._error: BaseException | None = None

    def __await__(self) -> Generator[Waiter, None, None]:
        self._asyncio_future_blocking = True
        yield self

    # For who ends the wait; nothing happens where nobody waits

    def run(self) -> None:
        """Let the task go on: now, if no other task runs, as is so in what the loop calls itself."""
        if self._context is None or asyncio.current_task(self._loop) is not None:
            self.wake()
        elif self._resume is not None:
            resume, self._resume = self._resume, None
            self._context.run(resume, self)

    def wake(self, error: BaseException | None = None) -> None:
        """Let the task go on, in the loop's next round.

        Args:
            error: what it meets there.
        """
        resume, self._resume = self._resume, None
        if resume is not None:
            self._error = error
            self._loop.call_soon(resume, self, context=self._context)

    # For the task, and for who looks at it

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Give the loop: a task of another one must not wait."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Waiter], object], *, context: Context | None = None) -> None:
        """Take what resumes the task."""
        self._resume, self._context = callback, context

    def cancel(self, msg: object = None) -> bool:
        """End the wait by a cancellation of the task.

        Returns:
            Whether it did; otherwise the wait has been ended already, and the task meets its cancellation itself.
        """
        waits = self._resume is not None
        self.wake(asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg))
        return waits

    def done(self) -> bool:
        """Tell whether no task waits, or the wait has been ended."""
        return self._resume is None

    def result(self) -> None:
        """Raise what ended the wait, if that was an error."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # or its traceback would hold this frame, and this frame it


class ReadScope:
    """Bounds the reads of a stream, one after the other, as a cancel scope with a deadline would bound each.

    Nothing but the reader may be waited for in it. Its timer is not armed for each read: when it goes off it looks
    whether the deadline was moved on meanwhile.

    Args:
        loop: whose clock and timers are used.
        reader: what a read waits for.

    Attributes:
        deadline: the latest time for the read, by the loop's clock; set before the scope is entered.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: Waiter) -> None:
        self.deadline = 0.0
        self._loop = loop
        self._reader = reader
        self._entered = False
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._entered = True
        timer = self._timer
        if timer is None or timer.when() > self.deadline:
            self.stop()
            self._timer = self._loop.call_at(self.deadline, self._look_at_the_clock)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._entered = False
        return exc_type is _GivenUp

    def cancel(self) -> None:
        """Let the read end without a result, if it still waits for one."""
        self._reader.wake(_GivenUp())

    def stop(self) -> None:
        """Forget the deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if not self._entered:
            return  # it is the last read's; the next one arms it
        if self._loop.time() >= self.deadline:
            self.cancel()
        else:
            self._timer = self._loop.call_at(self.deadline, self._look_at_the_clock)


class _GivenUp(Exception):
    """Ends a read from outside of its task."""
