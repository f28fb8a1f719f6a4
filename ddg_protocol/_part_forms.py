"""The parts of messages in the form in which the service reads and writes them (PROTOCOL.md section 6).

Most conversations have none, so this module is imported when one is met.
"""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .parts import File, Image, Part, Text
from .text import printable

# Of replies


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


# Of questions


class _WireImage(msgspec.Struct, tag="image", rename="camel", forbid_unknown_fields=True):
    mime_type: str
    image: str  # a data: URL


class _WireFile(msgspec.Struct, tag="file", rename="camel", forbid_unknown_fields=True):
    content: bytes  # msgspec writes it as base64
    encoding: Literal["base64"]
    mime_type: str
    filename: str
    # Only a page that the person is looking at, sent as a file, has these. They are read and dropped.
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
