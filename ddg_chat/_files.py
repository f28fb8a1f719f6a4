"""Private files, a lock that ends with its process, and replacing a file at once."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TRIES, _PAUSE = 100, 0.02  # of replacing a file on Windows; seconds between two


def private(path: str, flags: int) -> int:
    """Open a file, as an ``opener`` of `open`. A new file is private to its owner; an existing one keeps its mode.

    Windows has no such mode: there a new file has the permissions of its folder.
    """
    return os.open(path, flags, 0o600)


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def locked(file: int) -> Iterator[None]:
        """Wait until no other process has the file locked, and keep it locked within the block."""
        while True:
            os.lseek(file, 0, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_LOCK, 1)
                break
            except OSError as error:
                if error.errno != errno.EDEADLK:  # it gives up after ten tries, one each second
                    raise
        try:
            yield
        finally:
            os.lseek(file, 0, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

    def replace(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
        """Put a file in the place of another. If another program is reading that one, wait up to two seconds."""
        for _ in range(_TRIES):
            try:
                os.replace(source, target)
                return
            except PermissionError:
                time.sleep(_PAUSE)
        os.replace(source, target)

else:
    import fcntl

    @contextmanager
    def locked(file: int) -> Iterator[None]:
        """Wait until no other process has the file locked, and keep it locked within the block."""
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    replace = os.replace
