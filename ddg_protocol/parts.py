"""The parts of a question: `Text`, `Image` and `File` (PROTOCOL.md section 6).

A question of text alone is that text. One with images or files is a tuple of parts, of which the text, if there is any,
comes first.
"""

from __future__ import annotations

import msgspec

from .text import encodable, shown

__all__ = ["File", "Image", "Part", "Text", "text_of"]

MAX_ATTACHMENT_BYTES = 32 * 1024 * 1024
"""The most bytes of an image or a file, whatever the service takes. The largest limit on record is 25 MB."""
MAX_NAME_CHARS = 255
_MAX_TYPE_NAME_CHARS = 127
_IN_TYPE_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_!#$&^.+-")


class Text(msgspec.Struct, frozen=True, tag="text", forbid_unknown_fields=True):
    """The text of a question. Several are joined, in order.

    Attributes:
        text: the text.

    Raises:
        ValueError: it is not a `str`, or has half of a surrogate pair in it.
    """

    text: str

    def __post_init__(self) -> None:
        """Check that JSON in UTF-8 can hold the text."""
        if not isinstance(self.text, str):
            raise ValueError(f"a part's text must be a str, not {type(self.text).__name__}")
        if not encodable(self.text):
            raise ValueError("a part's text has half of a surrogate pair in it, which can't be sent as UTF-8")


class Image(msgspec.Struct, frozen=True, tag="image", forbid_unknown_fields=True):
    """An image of a question. It is sent as it is: nothing here reads or scales images.

    Attributes:
        data: the image's bytes, 32 MiB at most.
        mime_type: such as ``"image/png"``.

    Raises:
        ValueError: the data is empty, too long, or not bytes; or the type is not that of an image.
    """

    data: bytes
    mime_type: str

    def __post_init__(self) -> None:
        """Check the data's size and the type's form."""
        _check_data(self.data)
        _check_mime_type(self.mime_type)
        if not self.mime_type.lower().startswith("image/"):
            raise ValueError(f"{shown(self.mime_type)} is not the media type of an image")

    def __repr__(self) -> str:
        return f"<Image {self.mime_type}, {len(self.data)} bytes>"


class File(msgspec.Struct, frozen=True, tag="file", forbid_unknown_fields=True):
    """A file of a question.

    Attributes:
        data: the file's bytes, 32 MiB at most.
        mime_type: such as ``"application/pdf"``.
        name: the file's name, which the model is told.

    Raises:
        ValueError: the data is empty, too long, or not bytes; or the type or the name is not valid.
    """

    data: bytes
    mime_type: str
    name: str

    def __post_init__(self) -> None:
        """Check the data's size, and the type's and the name's form."""
        _check_data(self.data)
        _check_mime_type(self.mime_type)
        name: object = self.name
        if not (isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS and name.isprintable()):
            raise ValueError(f"a file's name must be 1 to {MAX_NAME_CHARS} printable characters, not {shown(name)}")

    def __repr__(self) -> str:
        return f"<File {self.mime_type}, {len(self.data)} bytes>"


Part = Text | Image | File
"""One part of a question."""


def _check_data(data: bytes) -> None:
    if not isinstance(data, bytes):
        raise ValueError(f"the data of an image or a file must be bytes, not {type(data).__name__}")
    if not 0 < len(data) <= MAX_ATTACHMENT_BYTES:
        raise ValueError(f"an image or a file must have 1 to {MAX_ATTACHMENT_BYTES} bytes, not {len(data)}")


def _check_mime_type(mime_type: object) -> None:
    names = mime_type.split("/") if isinstance(mime_type, str) else []
    if len(names) != 2 or not all(map(_is_type_name, names)):
        raise ValueError(f"{shown(mime_type)} is not a media type such as image/png")


def _is_type_name(name: str) -> bool:
    """Return whether a text can be half of a media type without parameters (RFC 6838 section 4.2)."""
    # Not by a pattern: most conversations never need one, and compiling it is 0.3 % of the import of this package.
    return name[:1].isalnum() and len(name) <= _MAX_TYPE_NAME_CHARS and _IN_TYPE_NAME.issuperset(name)


def text_of(content: str | tuple[Part, ...] | None) -> str:
    """Return the text of a question's content; empty if it has none.

    Args:
        content: that of a message, or `Conversation.last_question`.
    """
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content or () if isinstance(part, Text))


def attachments(parts: tuple[Part, ...]) -> tuple[Image | File, ...]:
    """Return the images and files of a question's parts."""
    return tuple(part for part in parts if not isinstance(part, Text))
