"""One turn at a time in a saved conversation: a file that is locked while a process asks in it, and says which one.

The lock ends with its process, however that ends, so nobody waits for a process that was killed. It needs no shared
engine, since the conversations are files of this machine.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple

from ._errors import CommandError
from ._files import locked, private

_BEFORE, _AFTER = ".", ".turn"  # around the conversation's name
_TRIES, _PAUSE = 10, 0.02  # whoever only looks has the lock for a moment
_MAX_BYTES = 500
_TRY_LATER = 75


class UnderWay(NamedTuple):
    """A turn that is under way.

    Attributes:
        name: the conversation's.
        process: the id of the process that asks; None if it isn't known.
        since: when it began, in local time; None if it isn't known.
    """

    name: str
    process: int | None = None
    since: datetime | None = None

    def __str__(self) -> str:
        if self.process is None or self.since is None:
            return f"another process is asking in {self.name}"
        day = "" if self.since.date() == datetime.now().date() else f"{self.since:%Y-%m-%d} "
        return f"process {self.process} has been asking in {self.name} since {day}{self.since:%H:%M:%S}"


@contextmanager
def turn_in(folder: Path, name: str, *, wait: Callable[[UnderWay], object] | None = None) -> Iterator[None]:
    """Keep other processes from asking in a conversation within the block.

    Where the file can't be made, perhaps since the folder can't be written, the block runs all the same. Then a turn of
    another process is noticed when this one is stored.

    Args:
        folder: the folder of the conversations.
        name: the conversation's name, which is valid.
        wait: is told who asks, before waiting for it; None refuses.

    Raises:
        CommandError: another process asks in it.
    """
    path = folder / f"{_BEFORE}{name}{_AFTER}"
    with ExitStack() as stack:
        file = _lock(path, wait, stack)
        if file is not None:
            about = {"process": os.getpid(), "since": datetime.now().isoformat()}
            with suppress(OSError):
                file.truncate(0)
                file.write(b"\n" + json.dumps(about).encode())  # others can't read the first byte on Windows
        yield


def turns_under_way(folder: Path) -> list[UnderWay]:
    """Return the turns that are under way, by the names of their conversations.

    Args:
        folder: the folder of the conversations.
    """
    found = []
    for path in sorted(folder.glob(f"{_BEFORE}*{_AFTER}")):
        with suppress(OSError), open(path, "rb") as file:
            try:
                with locked(file.fileno(), wait=False):
                    pass  # a process that was killed has left it
            except BlockingIOError:
                found.append(_read(path))
    return found


def _lock(path: Path, wait: Callable[[UnderWay], object] | None, stack: ExitStack) -> IO[bytes] | None:
    """Lock the file until the stack is closed, and then remove it; None where there can be no such file."""
    tries, may_wait = 0, False
    while True:
        with ExitStack() as opened:
            try:
                file = opened.enter_context(open(path, "ab", buffering=0, opener=private))
                opened.enter_context(locked(file.fileno(), wait=may_wait))
                if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    continue
            except FileNotFoundError:
                if path.parent.is_dir():
                    continue  # the one before has removed it
                return None
            except BlockingIOError:
                tries += 1
            except OSError:
                return None
            else:
                opened.callback(_remove, path)
                stack.push(opened.pop_all())
                return file
        if tries < _TRIES:
            time.sleep(_PAUSE)
        elif wait is None:
            said = f"{_read(path)}; try again when it is done (ddg-chat chat --wait waits for it)"
            raise CommandError(said, _TRY_LATER)
        elif not may_wait:
            wait(_read(path))
            may_wait = True


def _remove(path: Path) -> None:
    with suppress(OSError):  # on Windows, while it is open
        path.unlink()


def _read(path: Path) -> UnderWay:
    """Return what the file says. It says nothing where its process has just locked it, or has ended meanwhile."""
    name = path.name.removeprefix(_BEFORE).removesuffix(_AFTER)
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(1)
            about = json.loads(file.read(_MAX_BYTES))
        return UnderWay(name, int(about["process"]), datetime.fromisoformat(about["since"]))
    except (OSError, ValueError, TypeError, KeyError):
        return UnderWay(name)
