"""The parts of a question: `Text`, `Image` and `File`, and their form on the wire (PROTOCOL.md section 6).

A question of text alone is that text. One with images or files is a tuple of parts, of which the text, if there is any,
comes first.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .text import encodable, printable, shown

__all__ = ["File", "Image", "Part", "Text", "text_of"]

MAX_ATTACHMENT_BYTES = 32 * 1024 * 1024
"""The most bytes of an image or a file, whatever the service takes. The largest limit on record is 25 MB."""
MAX_NAME_CHARS = 255
#: A media type without parameters (RFC 6838 section 4.2).
_MIME_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}", re.ASCII)


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
            raise ValueError("a part's text has half of a surrogate pair in it")


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
        raise ValueError(f"an image or a file has {len(data)} bytes; it must have 1 to {MAX_ATTACHMENT_BYTES}")


def _check_mime_type(mime_type: object) -> None:
    if not (isinstance(mime_type, str) and _MIME_TYPE.fullmatch(mime_type)):
        raise ValueError(f"{shown(mime_type)} is not a media type such as image/png")


def text_of(content: str | tuple[Part, ...] | None) -> str:
    """Return the text of a question's content; empty if it has none.

    Args:
        content: that of a `Message`, or `Conversation.last_question`.
    """
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content or () if isinstance(part, Text))


def attachments(parts: tuple[Part, ...]) -> tuple[Image | File, ...]:
    """Return the images and files of a question's parts."""
    return tuple(part for part in parts if not isinstance(part, Text))


class _Typed(msgspec.Struct):
    type: str


_decode_typed = msgspec.json.Decoder(_Typed).decode


def type_of(part: str) -> str:
    """Return the type of a part of a reply.

    Args:
        part: JSON text.

    Returns:
        Its ``type``.

    Raises:
        ValueError: it is not a JSON object with a type, or can't be encoded as UTF-8.
    """
    try:
        return _decode_typed(part).type
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ValueError("a part of a reply must be a JSON object with a type") from None


# On the wire


class _WireImage(msgspec.Struct, tag="image", rename="camel", forbid_unknown_fields=True):
    mime_type: str
    image: str  # a data: URL


class _WireFile(msgspec.Struct, tag="file", rename="camel", forbid_unknown_fields=True):
    content: bytes  # which msgspec writes as base64
    encoding: Literal["base64"]
    mime_type: str
    filename: str
    # A file that is a page which the person is looking at has these, too. They are read and dropped.
    url: Any = msgspec.UNSET
    title: Any = msgspec.UNSET
    source: Any = msgspec.UNSET


WirePart = Text | _WireImage | _WireFile
"""One part of a question, as the service reads it."""


def on_wire(part: Part) -> WirePart:
    """Return a part in the form in which msgspec writes it for the service."""
    match part:
        case Image(data, mime_type):
            text = b2a_base64(data, newline=False).decode()
            return _WireImage(mime_type, f"data:{mime_type};base64,{text}")
        case File(data, mime_type, name):
            return _WireFile(data, "base64", mime_type, name)
    return part


def from_wire(part: WirePart) -> Part:
    """Return a part that was read in the service's form.

    Raises:
        ValueError: an image is not a data URL of its type, or a part is not valid.
    """
    match part:
        case _WireImage(mime_type, image):
            start, comma, text = image.partition(",")
            if not comma or start != f"data:{mime_type};base64":
                raise ValueError("an image must be a data URL of its type, in base64")
            try:
                return Image(a2b_base64(text.encode(), strict_mode=True), mime_type)
            except (Error, UnicodeEncodeError):
                raise ValueError("an image must be a data URL of its type, in base64") from None
        case _WireFile():
            return File(part.content, part.mime_type, part.filename)
    return part


def read_part(part: Mapping[str, Any]) -> Part:
    """Read a part that a caller wrote in the service's form.

    Args:
        part: a JSON object.

    Returns:
        The part.

    Raises:
        ValueError: it has another form; the message says which member.
    """
    try:
        return from_wire(msgspec.convert(dict(part), WirePart))
    except msgspec.ValidationError as error:
        raise ValueError(printable(str(error), 200)) from None
