"""The models of the service, as data: what each can do, and how much may be attached to a question."""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["AttachmentLimits", "Model", "ModelList"]

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model of the service, and what it can do. One of which only the name is known takes text alone.

    Attributes:
        id: its name on the wire.
        aliases: other names for it, for people.
        name: what the service calls it, for people; may be empty.
        efforts: how hard it can be asked to reason, such as ``("none", "low")``.
        effort_tiers: the tiers that may use an effort, for the efforts where that is known.
        tools: the service's own tools that it can use, such as ``"WebSearch"``.
        takes_images: whether questions may have images.
        file_types: the media types of the files that questions may have.
        tiers: the tiers that may use it, such as ``"free"``; empty where that is not known.
        available: whether the service says that this client may use it; None if it doesn't say.
    """

    id: str
    aliases: tuple[str, ...] = ()
    name: str = ""
    efforts: tuple[str, ...] = ()
    effort_tiers: dict[str, tuple[str, ...]] = {}
    tools: tuple[str, ...] = ()
    takes_images: bool = False
    file_types: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    available: bool | None = None

    @property
    def default_effort(self) -> str:
        """The effort of a turn that doesn't choose one: ``"none"``, or the first of a model that lists only others."""
        return "none" if "none" in self.efforts or not self.efforts else self.efforts[0]


class AttachmentLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much may be attached to questions. None means that no limit is known.

    Attributes:
        files_per_conversation: the most files in all questions of a conversation.
        file_bytes: the most bytes of each file.
        total_file_bytes: the most bytes of all files of a conversation.
        pages_per_file: the most pages of each file. Only the service counts them.
        images_per_turn: the most images in a question.
        images_per_conversation: the most images in all questions of a conversation.
        characters_with_attachments: the most characters in the text of a question that has an image or a file.
    """

    files_per_conversation: _Count | None = None
    file_bytes: _Count | None = None
    total_file_bytes: _Count | None = None
    pages_per_file: _Count | None = None
    images_per_turn: _Count | None = None
    images_per_conversation: _Count | None = None
    characters_with_attachments: _Count | None = None


class ModelList(msgspec.Struct, frozen=True):
    """The models of the service as it lists them.

    Attributes:
        models: in the service's order. It doesn't say which is the default.
        attachment_limits: how much may be attached to questions, for each tier.
    """

    models: tuple[Model, ...]
    attachment_limits: dict[str, AttachmentLimits] = {}
