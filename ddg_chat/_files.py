"""Private files, and a lock that ends with its process."""

from __future__ import annotations

import os
import sys


def private(path: str, flags: int) -> int:
    """Open a file, as an ``opener`` of `open`. A new file is private to its owner; an existing one keeps its mode."""
    return os.open(path, flags, 0o600)


if sys.platform == "win32":
    import msvcrt

    def lock(file: int) -> None:
        """Wait until no other process has the file locked, and lock it until it is closed."""
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def lock(file: int) -> None:
        """Wait until no other process has the file locked, and lock it until it is closed."""
        fcntl.flock(file, fcntl.LOCK_EX)
