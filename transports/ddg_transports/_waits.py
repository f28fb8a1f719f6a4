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
        #: The task, while it waits and nothing has ended that.
        self._resume: Callable[[asyncio.Future[None]], object] | None = None
        self._context: Context | None = None
        # A task that goes on asks the future that it gets then for its result. It gets asyncio's own, a finished one:
        # another kind is asked by a name that is made anew each time, and each goes into the interpreter's cache of
        # methods, where some thousands of them stay in the place of others.
        self._ended: asyncio.Future[None] = loop.create_future()
        self._ended.set_result(None)

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
            self._context.run(resume, self._ended)

    def wake(self, ended: asyncio.Future[None] | None = None) -> None:
        """Let the task go on, in the loop's next round.

        Args:
            ended: what it meets there; by default nothing.
        """
        resume, self._resume = self._resume, None
        if resume is not None:
            self._loop.call_soon(resume, ended or self._ended, context=self._context)

    def fail(self, error: Exception) -> None:
        """Let the task go on with an error, in the loop's next round."""
        if self._resume is not None:
            ended = self._loop.create_future()
            ended.set_exception(error)
            self.wake(ended)

    # For the task, and for who looks at it

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Give the loop: a task of another one must not wait."""
        return self._loop

    def add_done_callback(
        self, callback: Callable[[asyncio.Future[None]], object], *, context: Context | None = None
    ) -> None:
        """Take what resumes the task."""
        self._resume, self._context = callback, context

    def cancel(self, msg: object = None) -> bool:
        """End the wait by a cancellation of the task.

        Returns:
            Whether it did; otherwise the wait has been ended already, and the task meets its cancellation itself.
        """
        if self._resume is None:
            return False
        ended = self._loop.create_future()
        ended.cancel(msg)
        self.wake(ended)
        return True

    def done(self) -> bool:
        """Tell whether no task waits, or the wait has been ended; `anyio.wait_all_tasks_blocked` asks."""
        return self._resume is None


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
        self._reader.fail(_GivenUp())

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
