"""An image or a file that is attached to a question, read from disk."""

from __future__ import annotations

from pathlib import Path

from ddg_protocol.parts import MAX_ATTACHMENT_BYTES, File, Image

from ._below import kind_of
from ._errors import CommandError
from ._text import one_line

_TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}


def read_attachment(path: Path) -> Image | File:
    """Read an image or a file. A file that begins like an image is one, whatever its name.

    Args:
        path: the file.

    Returns:
        The image or the file.

    Raises:
        CommandError: it is empty, too long, or no file; or its name says nothing about its type.
        OSError: it can't be read.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_ATTACHMENT_BYTES + 1)
        kind = kind_of(data)
        return Image(data, _TYPES[kind]) if kind else File(data, _type_of(path), path.name)
    except ValueError as error:
        raise CommandError(f"{one_line(str(path), 80)} can't be attached: {error}", 74) from None


def _type_of(path: Path) -> str:
    from mimetypes import guess_type

    found, _ = guess_type(path.name)
    if found is None:
        raise ValueError("its name doesn't say what kind of file it is; give it one that does, such as notes.txt")
    return found


def described(part: Image | File) -> str:
    """Return the name or the kind of an attachment, with its size."""
    name = one_line(part.name, 40) if isinstance(part, File) else part.mime_type
    return f"{name} ({len(part.data):,} bytes)"
