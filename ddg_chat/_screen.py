"""Replies on standard output: as drawn Markdown on a terminal that can show it, otherwise as plain text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import TextIO

from ._say import Fold, width_of
from ._text import harmless

Writer = Callable[[Iterable[str]], None]
"""Writes a reply, delta by delta as it arrives."""


def write_plain(pieces: Iterable[str]) -> None:
    """Write a reply as plain, harmless text, and end its last line, even if the reply breaks."""
    fold = Fold(width_of(sys.stdout)) if sys.stdout.isatty() else None
    ended = True
    try:
        for text in pieces:
            ended = text.endswith("\n")
            print(fold.feed(harmless(text)) if fold else harmless(text), end="", flush=True)
    finally:
        if fold:
            print(fold.end(), end="", flush=True)
        if not ended:
            print(flush=True)


def whole(write: Writer) -> Writer:
    """Return a writer that writes a reply once it is complete, and nothing of one that breaks."""
    return lambda pieces: write(["".join(pieces)])


def writer(*, color: bool = True, set_off: bool = False) -> Writer:
    """Return the writer that suits standard output.

    Args:
        color: whether colours may be used.
        set_off: whether an empty line follows a reply on a terminal.
    """
    if not sys.stdout.isatty() or is_dumb() or find_spec("rich") is None:
        return write_plain
    from rich.console import Console

    from ._markdown import write_markdown

    console = Console(no_color=None if color else True, highlight=False)

    def write(pieces: Iterable[str]) -> None:
        has_come = False

        def noted() -> Iterator[str]:
            nonlocal has_come
            for text in pieces:
                has_come = True
                yield text

        try:
            write_markdown(console, noted())
        finally:
            if set_off and has_come:
                console.line()

    return write


def takes_escapes(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that understands escape sequences. A Windows console is told to."""
    return stream.isatty() and not is_dumb() and (sys.platform != "win32" or _turn_escapes_on(stream))


if sys.platform == "win32":
    import ctypes
    import msvcrt

    def _turn_escapes_on(stream: TextIO) -> bool:
        """Turn ENABLE_VIRTUAL_TERMINAL_PROCESSING on, and return whether it is on."""
        console = ctypes.c_void_p(msvcrt.get_osfhandle(stream.fileno()))
        mode = ctypes.c_ulong()
        kernel = ctypes.windll.kernel32
        return bool(
            kernel.GetConsoleMode(console, ctypes.byref(mode)) and kernel.SetConsoleMode(console, mode.value | 4)
        )


def is_dumb() -> bool:
    """Return whether ``TERM`` says that the terminal can't move its cursor."""
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")
