"""Waits of asyncio tasks, and their deadlines, for `_asyncio.AsyncioStream`.

When an `asyncio.Future` gets its result, the loop resumes the task in its next round, after polling all sockets and
timers. For a read, that is a tenth of the cost of an event, and needless: the loop itself delivered the data. A cancel
scope with a deadline arms and disarms a timer for each wait; here one timer serves many reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from types import TracebackType
from typing import Self


class Waiter:
    """A future-like object (see `asyncio.isfuture`) that one task at a time can await, any number of times.

    Args:
        loop: the task's loop.
    """

    #: Tells the task that it has to wait for this object; the task resets it.
    _asyncio_future_blocking = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        #: Resumes the task; None unless a task waits and its wait has not been ended.
        self._resume: Callable[[asyncio.Future[None]], object] | None = None
        self._context: Context | None = None
        # A resumed task calls `result` on the future that it gets: a finished `asyncio.Future`. On another class it
        # looks the method up by a string that it creates each time, and thousands of these strings would displace other
        # entries of the interpreter's method cache.
        self._ended: asyncio.Future[None] = loop.create_future()
        self._ended.set_result(None)

    def __await__(self) -> Generator[Waiter, None, None]:
        self._asyncio_future_blocking = True
        yield self

    # To end the wait; these do nothing if no task waits

    def run(self) -> None:
        """Resume the task: at once if no task runs now, as in a callback of the loop, otherwise in the next round."""
        if self._context is None or asyncio.current_task(self._loop) is not None:
            self.wake()
        elif self._resume is not None:
            resume, self._resume = self._resume, None
            self._context.run(resume, self._ended)

    def wake(self, ended: asyncio.Future[None] | None = None) -> None:
        """Resume the task in the loop's next round.

        Args:
            ended: a finished future with the result for the task; None returns from the wait.
        """
        resume, self._resume = self._resume, None
        if resume is not None:
            self._loop.call_soon(resume, ended or self._ended, context=self._context)

    def fail(self, error: Exception) -> None:
        """Raise an error in the task, in the loop's next round."""
        if self._resume is not None:
            ended = self._loop.create_future()
            ended.set_exception(error)
            self.wake(ended)

    # For the task, and for inspection

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop; only its tasks may wait."""
        return self._loop

    def add_done_callback(
        self, callback: Callable[[asyncio.Future[None]], object], *, context: Context | None = None
    ) -> None:
        """Store the callback that resumes the task."""
        self._resume, self._context = callback, context

    def cancel(self, msg: object = None) -> bool:
        """End the wait by cancelling the task.

        Returns:
            Whether it was still waiting. If not, the task handles its cancellation itself.
        """
        if self._resume is None:
            return False
        ended = self._loop.create_future()
        ended.cancel(msg)
        self.wake(ended)
        return True

    def done(self) -> bool:
        """Return whether no task waits, or its wait has ended; `anyio.wait_all_tasks_blocked` calls this."""
        return self._resume is None


class ReadScope:
    """Bounds the reads of a stream, one after the other, as a cancel scope with a deadline bounds one.

    Inside it the task may wait for the reader only. The timer is not armed for each read: when it fires, it checks
    whether the deadline has moved.

    Args:
        loop: its clock and timers are used.
        reader: the read waits for it.

    Attributes:
        deadline: the latest time at which the read ends, by the loop's clock; set before the scope is entered.
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
        """End the read without a result, if it still waits."""
        self._reader.fail(_GivenUp())

    def stop(self) -> None:
        """Forget the deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if not self._entered:
            return  # no read is running; the next one arms the timer
        if self._loop.time() >= self.deadline:
            self.cancel()
        else:
            self._timer = self._loop.call_at(self.deadline, self._look_at_the_clock)


class _GivenUp(Exception):
    """Ends a read from outside its task."""
