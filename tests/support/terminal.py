"""A terminal for tests: a program on a real pseudo-terminal, and the screen that a person would see."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import pyte

from support.screens import ScrollingScreen

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

#: Starts a program as `_SHIM` does, but in a fork of a process that has imported it; requests and answers are lines.
_FORKS = """
import fcntl, gc, importlib, json, os, pkgutil, sys, termios

package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
gc.freeze()  # nothing of it is looked at in a fork, nor copied
print(flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        print(os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1]), flush=True)
        continue
    until_then, ready = os.pipe()
    if not (child := os.fork()):
        break
    os.close(ready)
    os.read(until_then, 1)
    os.close(until_then)
    print(child, flush=True)
else:
    sys.exit()
os.setsid()
terminal = os.open(request["terminal"], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for number in range(3):
    os.dup2(terminal, number)
os.closerange(3, 256)
sys.stdin, sys.stdout, sys.stderr = (open(number, mode, closefd=False) for number, mode in enumerate("rww"))
os.environ.clear()
os.environ.update(request["environment"])
sys.argv = request["arguments"]
sys.exit(importlib.import_module(f"{package.__name__}.main").main())
"""


class _Forks:
    """A process that has imported a package of ours and runs its ``main`` in forks of itself."""

    def __init__(self, package: str) -> None:
        self.package = package
        command = [sys.executable, "-c", _FORKS, package]
        self.process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True, start_new_session=True)
        self._answer()

    def ask(self, **request: Any) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


class _Fork:
    """A program that was started so, with what is used of `subprocess.Popen`."""

    def __init__(self, forks: _Forks, terminal: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self._forks = forks
        self._number = forks.ask(terminal=terminal, arguments=arguments, environment=dict(environment))
        self._code: int | None = None

    def send_signal(self, number: int) -> None:
        if self._code is None:
            os.kill(self._number, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            self._code = self._forks.ask(wait=self._number)
        return self._code


_forks: _Forks | None = None


@contextmanager
def forking(package: str) -> Iterator[None]:
    """Run ``python -m package`` on terminals in forks of one process, each of which starts in a tenth of the time."""
    global _forks
    _forks = _Forks(package)
    try:
        yield
    finally:
        with _forks.process:
            _forks = None


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
        self._screen = ScrollingScreen(columns, rows)
        self._screen.write_process_input = self._answer  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self._screen)
        self._timeout = timeout
        self._command = command
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self._env = {**inherited, "TERM": "xterm-256color", **(env or {})}
        self.raw = b""
        self.ended = False

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        size = struct.pack("HHHH", self._screen.lines, self._screen.columns, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        name = os.ttyname(slave)
        self._process = self._started(name)
        os.close(slave)  # not sooner, or the terminal would have hung up
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _started(self, terminal: str) -> _Fork | subprocess.Popen[bytes]:
        if _forks is not None and self._command[:3] == (sys.executable, "-m", _forks.package):
            return _Fork(_forks, terminal, ["-m", *self._command[3:]], self._env)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SHIM, terminal, *self._command],
            env=self._env,
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        with process.stdout as until_then:
            until_then.read()  # until its end: the terminal has replaced it then
        return process

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
        return self._screen.text

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
