"""A terminal for tests: a program on a real pseudo-terminal, and the screen that a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import pyte

#: Makes the terminal the program's own, so that Ctrl-C sends it a signal. It runs in a process of its own, since code
#: between fork and exec isn't safe with threads.
_SHIM = """
import fcntl, os, sys, termios
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for number in range(3):
    os.dup2(terminal, number)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Terminal:
    """A program on a terminal, for a ``with`` block.

    Args:
        *command: the program and its arguments.
        env: its environment, in addition to the inherited one.
        columns: the width of the terminal.
        rows: the height of the terminal.
        timeout: the limit of each wait, in seconds.
    """

    def __init__(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        columns: int = 80,
        rows: int = 24,
        timeout: float = 60.0,
    ) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._screen.write_process_input = self._answer  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self._screen)
        self._timeout = timeout
        self._command = command
        self._env = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        self.raw = b""
        self.ended = False

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        size = struct.pack("HHHH", self._screen.lines, self._screen.columns, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        name = os.ttyname(slave)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SHIM, name, *self._command],
            env=self._env,
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        with self._process.stdout as until_then:
            until_then.read()  # until its end: the terminal has replaced it then
        os.close(slave)  # not sooner, or the terminal would have hung up
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def write(self, keys: str) -> None:
        """Press keys."""
        self.press(keys.encode())

    def press(self, keys: bytes) -> None:
        """Press keys, given as any bytes."""
        os.write(self._master, keys)

    def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal; the program gets a signal."""
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self._process.send_signal(number)

    def wait_for(self, seen: str | Callable[[str], object]) -> str:
        """Wait until a text is seen, or a function accepts the whole text; return the whole text."""
        is_seen = (lambda text: seen in text) if isinstance(seen, str) else seen
        until = time.monotonic() + self._timeout
        while not is_seen(self.text):
            assert not self.ended, f"the program has ended:\n{self.text}"
            assert self._read(until), f"not seen in time: {seen}\n{self.text}"
        return self.text

    def wait(self) -> int:
        """Wait until the program has ended, and return its exit code."""
        until = time.monotonic() + self._timeout
        while not self.ended:
            assert self._read(until), f"the program doesn't end:\n{self.text}"
        return self._process.wait(self._timeout)

    @property
    def text(self) -> str:
        """The text on the screen, after the text that has scrolled away, without blanks at the ends of lines."""
        gone = ["".join(row[column].data for column in sorted(row)) for row in self._screen.history.top]
        # The screen's own `display` measures each character, which takes most of a test's time.
        rows = [self._screen.buffer[number] for number in range(self._screen.lines)]
        seen = ["".join(row[x].data if x in row else " " for x in range(self._screen.columns)) for row in rows]
        return "\n".join(line.rstrip() for line in (*gone, *seen)).rstrip()

    def _read(self, until: float) -> bool:
        """Read the available output, waiting for its first byte; return False if none comes in time."""
        left = until - time.monotonic()
        if left <= 0 or not select.select([self._master], [], [], left)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # nobody has the other side open any more
            data = b""
        self.raw += data
        self._stream.feed(data)
        self.ended = not data
        return True

    def _answer(self, data: str) -> None:
        os.write(self._master, data.encode())
