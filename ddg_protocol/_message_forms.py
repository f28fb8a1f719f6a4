"""Messages that are more than text, in the form in which the service reads them in a chat request."""

from __future__ import annotations

import msgspec

from ._part_forms import WirePart, on_wire
from .conversation import Message
from .parts import Text
from .profile import ServiceProfile

_IMAGE = '{"type":"generated-image"'
"""How the history stores an image of a reply. It is never sent back: no record shows that the service takes it."""


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
        return _WireMessage(
            "assistant", "", [*text, *(msgspec.Raw(p.encode()) for p in message.parts if not p.startswith(_IMAGE))]
        )
    if isinstance(content, str):
        return message if profile.bare_text else _WireMessage("user", [Text(content)])
    return _WireMessage("user", [on_wire(part) for part in content])
