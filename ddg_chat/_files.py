"""New files, private ones, a lock that ends with its process, and replacing a file at once."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TextIO

from ._errors import CommandError
from ._text import one_line

_TRIES, _PAUSE = 100, 0.02  # of replacing a file on Windows; seconds between two


def private(path: str, flags: int) -> int:
    """Open a file, as an ``opener`` of `open`. A new file is private to its owner; an existing one keeps its mode.

    Windows has no such mode: there a new file has the permissions of its folder.
    """
    return os.open(path, flags, 0o600)


def expanded(name: str) -> Path:
    """Return the path that a person means by a name: one that begins with ``~`` is in a home folder."""
    with suppress(ValueError):  # a NUL, which whoever opens the file refuses
        name = os.path.expanduser(name)
    return Path(name)


def create(path: Path, *, by_line: bool = False) -> TextIO:
    """Create a text file, in UTF-8, private to its owner. A file that is there is never overwritten.

    Args:
        path: the file. A device or a pipe is there, and is written to.
        by_line: whether each line is written at once.

    Returns:
        The file, open for writing.

    Raises:
        CommandError: there is a file already, or no file can have this name.
        OSError: it can't be created.
    """

    def opened(mode: Literal["x", "w"]) -> TextIO:
        return open(path, mode, 1 if by_line else -1, encoding="utf-8", newline="\n", opener=private)

    if not path.name:  # it is empty, or a root
        raise CommandError(f"{str(path)!r} can't be the name of a file", 74)
    try:
        return opened("x")
    except FileExistsError:
        if path.is_file():
            raise CommandError(f"{path} already exists; name another file, or remove it first", 74) from None
        return opened("w")
    except ValueError:  # a NUL
        raise CommandError(f"{one_line(str(path), 40)} can't be the name of a file", 74) from None


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def locked(file: int, *, wait: bool = True) -> Iterator[None]:
        """Lock a file within the block. While another process has it locked, wait, or raise `BlockingIOError`.

        What is locked is the first byte: nobody else can read that one.
        """
        while True:
            os.lseek(file, 0, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                break
            except OSError as error:
                if not wait and error.errno == errno.EACCES:
                    raise BlockingIOError(errno.EAGAIN, "another process has it locked") from None
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
    def locked(file: int, *, wait: bool = True) -> Iterator[None]:
        """Lock a file within the block. While another process has it locked, wait, or raise `BlockingIOError`."""
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    replace = os.replace
