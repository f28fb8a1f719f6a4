"""Messages that are more than text, in the form in which the service reads them in a chat request."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from ._part_forms import WirePart, on_wire, type_of
from .conversation import Message
from .parts import Text
from .profile import ServiceProfile

_IMAGE = "generated-image"
"""The type of a reply's image in the history. It is never sent back: no record shows that the service takes it."""


class _WireMessage(msgspec.Struct, omit_defaults=True):
    role: str
    content: str | list[WirePart]
    parts: list[Text | msgspec.Raw] = []


def form_of(profile: ServiceProfile, message: Message) -> Message | _WireMessage:
    """Return a message in the form that the service reads."""
    content = message.content
    if message.role == "assistant":
        if profile.history_parts == "text":
            return Message("assistant", message.text)
        text = [Text(message.text)] if content else []
        kept = (msgspec.Raw(part.encode()) for part in message.parts if not _is_image(part))
        return _WireMessage("assistant", "", [*text, *kept])
    if isinstance(content, str):
        return message if profile.bare_text else _WireMessage("user", [Text(content)])
    return _WireMessage("user", [on_wire(part) for part in content])


def _is_image(part: str) -> bool:
    found = False
    with suppress(ValueError):  # it is nested too deeply for the stack as it is here, and no image is
        found = type_of(part) == _IMAGE
    return found
