"""Texts that a person gives as arguments, at the prompt or in files: UTF-8, or a sentence that says what to do."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ddg_protocol import ConversationFormatError
from ddg_protocol.text import encodable

from ._errors import CommandError
from ._text import one_line

_T = TypeVar("_T")

MAX_FILE_BYTES = 16 * 1024 * 1024
"""The longest file that is read as text. No question may be as long."""


def checked(text: str, what: str = "the question") -> str:
    """Return a text if it can be sent as UTF-8.

    Args:
        text: from an argument or from the prompt, where Python keeps bytes that aren't text as lone surrogates.
        what: what it is, for the message.

    Raises:
        CommandError: it can't.
    """
    if not encodable(text):
        raise CommandError(f"{what} has bytes in it that are not UTF-8 text; write it again, or convert it", 65)
    return text


def text_or_file(text: str) -> str:
    """Return the text of an option.

    Args:
        text: the text itself, or ``@`` and the name of a file that has it.

    Raises:
        CommandError: the file isn't UTF-8 text, or too long.
        OSError: the file can't be read.
    """
    return read_text(Path(text[1:])) if text.startswith("@") else checked(text, "the text")


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file has.

    Args:
        path: the file.

    Raises:
        CommandError: it isn't TOML; the message says where.
        OSError: it can't be read.
    """
    try:
        return tomllib.loads(path.read_bytes().decode())
    except RecursionError:
        raise CommandError(f"{path}: it is nested too deeply", 74) from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: it is not UTF-8 text at position {error.start}; save it as UTF-8", 74) from None
    except ValueError as error:  # a number of too many digits is no TOMLDecodeError
        raise CommandError(f"{path}: it is not TOML: {error}", 74) from None


def read_text(path: Path) -> str:
    """Return the text of a file.

    Args:
        path: the file.

    Raises:
        CommandError: it isn't UTF-8 text, or too long.
        OSError: it can't be read.
    """
    name = one_line(str(path))
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except ValueError:  # a NUL
        raise CommandError(f"{name} can't be the name of a file", 74) from None
    if len(data) > MAX_FILE_BYTES:
        raise CommandError(f"{name} is longer than {MAX_FILE_BYTES:,} bytes, which is more than can be asked", 65)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{name} is not UTF-8 text: it has the byte 0x{data[error.start]:02x} at position {error.start}; "
            "convert it, for example with iconv -f LATIN1 -t UTF-8",
            65,
        ) from None


def read_transcript(path: Path, read: Callable[[bytes], _T]) -> _T:
    """Return what a file has that ``--record`` has written.

    Args:
        path: the file; - for standard input.
        read: reads its bytes.

    Raises:
        CommandError: it is no transcript, or a damaged one.
        OSError: it can't be read.
    """
    from_stdin = str(path) == "-"
    data = sys.stdin.buffer.read() if from_stdin else path.read_bytes()
    try:
        return read(data)
    except ConversationFormatError as error:
        name = "standard input" if from_stdin else one_line(str(path))
        raise CommandError(f"{name}: {error}; transcripts are written by --record FILE", 65) from None
