"""The line editor of the chat."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.shortcuts import CompleteStyle

MARK = "> "


def line_editor(
    history: Path,
    completions: Callable[[str], Iterator[str]],
    *,
    status: Callable[[], str] | None = None,
    color: bool = True,
) -> Callable[[], str]:
    """Make a line editor.

    Enter sends the text, unless it ends in a backslash; then, as with Alt+Enter, a new line begins. Lines that are
    pasted together stay together.

    Args:
        history: the file of earlier inputs, readable by its owner only.
        completions: returns the possible completions of a line's last word.
        status: returns what the line below the prompt says; None shows no such line.
        color: whether colours may be used.

    Returns:
        A function that reads the next input; it raises KeyboardInterrupt for Ctrl-C and EOFError for Ctrl-D.
    """
    history.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(history, os.O_CREAT | os.O_WRONLY, 0o600))
    session: PromptSession[str] = PromptSession(
        MARK,
        multiline=True,
        prompt_continuation=_continuation,
        history=_History(history),
        key_bindings=_keys(),
        completer=_Completer(completions),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
        color_depth=None if color else ColorDepth.DEPTH_1_BIT,
        bottom_toolbar=status,
        output=create_output(always_prefer_tty=True),  # only the replies go into a pipe
    )
    return session.prompt


@contextmanager
def echo_off() -> Iterator[None]:
    """Turn the terminal's echo off, so that typing doesn't disturb a reply. The line editor shows it later."""
    if sys.platform == "win32":  # its console echoes input only when it is read
        yield
        return
    import termios

    terminal = sys.stdin.fileno()
    before, quiet = termios.tcgetattr(terminal), termios.tcgetattr(terminal)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _continuation(width: int, number: int, wrapped: int) -> StyleAndTextTuples:
    return [("", ". ".rjust(width))]


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.is_cursor_at_the_end and buffer.text.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


class _History(FileHistory):
    """A history that ignores errors in writing: a full disk must not end the conversation."""

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            super().store_string(string)


class _Completer(Completer):
    def __init__(self, completions: Callable[[str], Iterator[str]]) -> None:
        self._completions = completions

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        line = document.text_before_cursor
        for word in self._completions(line):
            yield Completion(word, start_position=-len(line.rpartition(" ")[2]))
