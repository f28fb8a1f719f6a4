"""The list of models in the service's form, read and written (PROTOCOL.md section 3)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .errors import MalformedModelList
from .models import AttachmentLimits, Model, ModelList
from .policy import MIB
from .text import printable

__all__ = ["read_models", "write_models"]

_PAGES = 8
"""The limit of a file's pages if the service doesn't say."""

_Text = Annotated[str, msgspec.Meta(max_length=200)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Texts = Annotated[tuple[_Text, ...], msgspec.Meta(max_length=200)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Mebibytes = Annotated[int, msgspec.Meta(ge=0, le=2**53 // MIB)]


class _Access(msgspec.Struct, rename="camel"):
    id: _Text
    access_tier: _Texts | None = None


class _Listed(msgspec.Struct, rename="camel"):
    id: _Id
    name: _Text | None = None
    supports_image_upload: bool | None = None
    supported_tools: _Texts | None = None
    supported_reasoning_effort: _Texts | None = None
    reasoning_effort_access: Annotated[list[_Access], msgspec.Meta(max_length=200)] | None = None
    access_tier: _Texts | None = None
    entity_has_access: bool | None = None
    supported_file_types: _Texts | None = None


class _Files(msgspec.Struct, rename="camel"):
    max_per_conversation: _Number | None = None
    max_file_size_mb: _Mebibytes | None = msgspec.field(name="maxFileSizeMB", default=None)
    max_total_file_size_bytes: _Number | None = None
    max_pages_per_file: _Number | None = _PAGES


class _Images(msgspec.Struct, rename="camel"):
    max_per_turn: _Number | None = None
    max_per_conversation: _Number | None = None
    max_input_chars_with_attachments: _Number | None = None


class _Limits(msgspec.Struct, rename="camel"):
    files: _Files | None = None
    images: _Images | None = None


class _List(msgspec.Struct, rename="camel"):
    models: Annotated[list[_Listed], msgspec.Meta(min_length=1, max_length=1000)]
    attachment_limits: Annotated[dict[_Text, _Limits], msgspec.Meta(max_length=100)] | None = None


_decode_list = msgspec.json.Decoder(_List).decode


def read_models(data: bytes | bytearray | str) -> ModelList:
    """Parse the list of models.

    Args:
        data: JSON in the service's form. Unknown members are ignored. Only the models' ids are required.

    Returns:
        The list.

    Raises:
        MalformedModelList: the data is not of that form; the message says where.
    """
    try:
        listed = _decode_list(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedModelList(f"the list of models can't be read: {printable(str(error), 200)}") from None
    models = tuple(map(_model_of, listed.models))
    if len({model.id for model in models}) < len(models):
        raise MalformedModelList("the list of models can't be read: two models have the same id")
    return ModelList(models, {tier: _limits_of(limits) for tier, limits in (listed.attachment_limits or {}).items()})


def write_models(listed: ModelList) -> bytes:
    """Return a list of models in the service's form. It has file sizes in whole MiB, and no aliases.

    Args:
        listed: the list.
    """
    limits = {tier: _limits_written(limits) for tier, limits in listed.attachment_limits.items()}
    return msgspec.json.encode({"models": [_written(model) for model in listed.models], "attachmentLimits": limits})


def _model_of(listed: _Listed) -> Model:
    return Model(
        listed.id,
        name=listed.name or "",
        efforts=listed.supported_reasoning_effort or (),
        effort_tiers={
            access.id: access.access_tier for access in listed.reasoning_effort_access or () if access.access_tier
        },
        tools=listed.supported_tools or (),
        takes_images=listed.supports_image_upload is True,
        file_types=listed.supported_file_types or (),
        tiers=listed.access_tier or (),
        available=listed.entity_has_access,
    )


def _limits_of(limits: _Limits) -> AttachmentLimits:
    files, images = limits.files or _Files(max_pages_per_file=None), limits.images or _Images()
    return AttachmentLimits(
        files_per_conversation=files.max_per_conversation,
        file_bytes=None if files.max_file_size_mb is None else files.max_file_size_mb * MIB,
        total_file_bytes=files.max_total_file_size_bytes,
        pages_per_file=files.max_pages_per_file,
        images_per_turn=images.max_per_turn,
        images_per_conversation=images.max_per_conversation,
        characters_with_attachments=images.max_input_chars_with_attachments,
    )


def _written(model: Model) -> dict[str, Any]:
    access = [{"id": effort, "accessTier": tiers} for effort, tiers in model.effort_tiers.items()]
    written = {
        "id": model.id,
        "name": model.name or model.id,
        "supportsImageUpload": model.takes_images,
        "supportedTools": model.tools,
        "supportedReasoningEffort": model.efforts,
        "accessTier": model.tiers,
        "entityHasAccess": model.available is not False,
    }
    optional = {"reasoningEffortAccess": access, "supportedFileTypes": model.file_types}
    return written | {name: value for name, value in optional.items() if value}


def _limits_written(limits: AttachmentLimits) -> dict[str, dict[str, int | None]]:
    files = {
        "maxPerConversation": limits.files_per_conversation,
        "maxFileSizeMB": None if limits.file_bytes is None else limits.file_bytes // MIB,
        "maxTotalFileSizeBytes": limits.total_file_bytes,
        "maxPagesPerFile": limits.pages_per_file,
    }
    images = {
        "maxPerTurn": limits.images_per_turn,
        "maxPerConversation": limits.images_per_conversation,
        "maxInputCharsWithAttachments": limits.characters_with_attachments,
    }
    said = {"files": files, "images": images}
    return {kind: numbers for kind, numbers in said.items() if any(number is not None for number in numbers.values())}
