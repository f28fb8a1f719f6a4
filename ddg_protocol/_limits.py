"""Checks of a question before anything is sent: the images and files that a model takes, and every limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ._setup import Setup
from .conversation import Conversation, Message
from .errors import ConversationLimitError, InputLimitError, LocalProtocolError
from .models import AttachmentLimits, Model
from .parts import File, Image, attachments
from .profile import ServiceProfile
from .text import shown


def check_kinds(profile: ServiceProfile, model: Model, messages: Sequence[Message]) -> None:
    """Check that a model takes the images and files of a conversation.

    Args:
        profile: says which types of images are taken.
        model: the model that is asked.
        messages: the history and the question.

    Raises:
        LocalProtocolError: the model takes no images, no files, or none of a type; the message says what it takes.
    """
    for part in _attachments(messages):
        taken = types_taken(profile, model, part)
        if part.mime_type.lower() not in taken:
            one, many = ("an image", "images") if isinstance(part, Image) else ("a file", "files")
            takes = f"it takes {', '.join(taken) or f'no {many}'}"
            raise LocalProtocolError(
                f"the conversation has {one} of the type {shown(part.mime_type)}, "
                f"which can't be sent to {shown(model.id)}: {takes}"
            )


def types_taken(profile: ServiceProfile, model: Model, part: Image | File) -> tuple[str, ...]:
    """Return the media types that a model takes for a part of this kind."""
    if isinstance(part, File):
        return model.file_types
    return profile.image_types if model.takes_images else ()


def check_limits(setup: Setup, conversation: Conversation, question: Message) -> None:
    """Check a question against the limits of the service and the policy.

    Args:
        setup: the session's.
        conversation: the one that the question continues.
        question: the new message.

    Raises:
        ConversationLimitError: the conversation is full.
        InputLimitError: the question is longer, or has more images or files, than the policy or the service allows.
    """
    if conversation.limit_reached:
        from .refusal import CONVERSATION_LIMIT  # which most conversations never need

        raise ConversationLimitError("the conversation has reached its limit; begin a new one", type=CONVERSATION_LIMIT)
    limit, length = setup.policy.max_prompt_chars, len(question.text)
    if limit is not None and length > limit:
        raise _too_much(
            limit,
            f"the question is {length} characters long, and at most {limit} are sent; "
            "shorten it, or set Policy.max_prompt_chars",
        )
    if not isinstance(question.content, str):
        profile = setup.profile
        limits = profile.attachment_limits.get(profile.tier, AttachmentLimits())
        _check_attachments(limits, conversation.message_history, question)


def _check_attachments(limits: AttachmentLimits, history: Sequence[Message], question: Message) -> None:
    new, old = tuple(_attachments((question,))), tuple(_attachments(history))
    images = sum(isinstance(part, Image) for part in new)
    files = [len(part.data) for part in (*old, *new) if isinstance(part, File)]
    all_images = images + sum(isinstance(part, Image) for part in old)
    largest = max((len(part.data) for part in new if isinstance(part, File)), default=0)
    for count, limit, what in (
        (images, limits.images_per_turn, "images in a question"),
        (all_images, limits.images_per_conversation, "images in a conversation"),
        (len(files), limits.files_per_conversation, "files in a conversation"),
        (largest, limits.file_bytes, "bytes in a file"),
        (sum(files), limits.total_file_bytes, "bytes in all files of a conversation"),
        (len(question.text), limits.characters_with_attachments, "characters in a question with images or files"),
    ):
        if limit is not None and count > limit:
            raise _too_much(limit, f"the service takes at most {limit} {what}, and there would be {count}")


def _attachments(messages: Iterable[Message]) -> Iterable[Image | File]:
    return (part for each in messages if not isinstance(each.content, str) for part in attachments(each.content))


def _too_much(limit: int, message: str) -> InputLimitError:
    from .refusal import INPUT_LIMIT  # which most conversations never need

    error = InputLimitError(message, type=INPUT_LIMIT)
    error.limit = limit
    return error
