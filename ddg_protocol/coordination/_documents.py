"""What engines store of a conversation: the document, and the reply of a turn, both as JSON with a version around them.

Reading is strict: what is of another form, of a later version or cut short is a `ConversationFormatError`. Bytes may be
sealed before they are stored and opened after they were read, so that an engine sees neither texts nor tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from ..conversation import Conversation
from ..errors import ConversationFormatError
from ..events import TurnFinished
from ..text import printable, shown

VERSION = 1


class StoredConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document.

    Attributes:
        stored: says what it is.
        version: of this form.
        content: the result of `Conversation.to_json`, which has a version of its own.
    """

    stored: Literal["conversation"]
    version: int
    content: msgspec.Raw


class StoredReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reply of a turn.

    Attributes:
        stored: says what it is.
        version: of this form.
        content: the event that ended the turn.
    """

    stored: Literal["reply"]
    version: int
    content: TurnFinished


class Header(msgspec.Struct, frozen=True):
    """What both begin with."""

    stored: str
    version: int


Stored = TypeVar("Stored", StoredConversation, StoredReply)


def write_conversation(conversation: Conversation, *, seal: Callable[[bytes], bytes] = bytes) -> bytes:
    """Return the document of a conversation.

    Args:
        conversation: what to store. Tokens and cookies are in it.
        seal: encrypts the bytes; without it they stay as they are.

    Returns:
        What an engine stores.
    """
    content = msgspec.Raw(conversation.to_json().encode())
    return seal(msgspec.json.encode(StoredConversation("conversation", VERSION, content)))


def read_conversation(document: bytes, *, unseal: Callable[[bytes], bytes] = bytes) -> Conversation:
    """Return the conversation of a document.

    Args:
        document: what an engine has stored.
        unseal: decrypts the bytes.

    Returns:
        The conversation.

    Raises:
        ConversationFormatError: it can't be opened, or is of another form; the message says where reading stopped.
    """
    return Conversation.from_json(_read(document, unseal, StoredConversation, "conversation").content)


def write_reply(reply: TurnFinished, *, seal: Callable[[bytes], bytes] = bytes) -> bytes:
    """Return the reply of a turn as an engine stores it.

    Args:
        reply: the event that ended the turn.
        seal: as for `write_conversation`.

    Returns:
        What an engine stores.
    """
    return seal(msgspec.json.encode(StoredReply("reply", VERSION, reply)))


def read_reply(reply: bytes, *, unseal: Callable[[bytes], bytes] = bytes) -> TurnFinished:
    """Return the reply of a turn.

    Args:
        reply: what an engine has stored.
        unseal: as for `read_conversation`.

    Returns:
        The event that ended the turn.

    Raises:
        ConversationFormatError: as for `read_conversation`. An empty reply is one that is no longer kept.
    """
    if not reply:
        raise ConversationFormatError(
            "the turn was done, but its reply is no longer kept; read the conversation for it"
        )
    return _read(reply, unseal, StoredReply, "reply").content


def _read(data: bytes, unseal: Callable[[bytes], bytes], form: type[Stored], what: str) -> Stored:
    try:
        data = unseal(data)
    except Exception as error:  # whatever the caller's cipher raises
        raise ConversationFormatError(f"the stored {what} can't be unsealed: {type(error).__name__}") from error
    try:
        header = msgspec.json.decode(data, type=Header)
        if header.version == VERSION:
            return msgspec.json.decode(data, type=form)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ConversationFormatError(f"not a stored {what}, or sealed: {printable(str(error), 300)}") from None
    raise ConversationFormatError(
        f"the stored {what} is of version {shown(header.version)}, and this version of ddg-protocol reads {VERSION}"
        + ("; update ddg-protocol to read it" if header.version > VERSION else "")
    )
