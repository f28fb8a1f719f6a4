"""What engines store of a conversation: a document, and the reply of a turn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given

from ddg_protocol import Conversation, ConversationFormatError, Message, TurnFinished
from ddg_protocol.coordination._documents import read_conversation, read_reply, write_conversation, write_reply
from ddg_protocol.events import (
    GeneratedImage,
    ImageFailed,
    ModelRefusal,
    Source,
    ToolFinished,
    ToolStarted,
)
from ddg_protocol.testing import strategies

CONVERSATION = Conversation(
    model="m",
    vqd="token",
    message_history=(Message("user", "Gr\u00fc\u00dfe\u2028\U0001f600"), Message("assistant", "Hi")),
)
REPLY = TurnFinished(
    "Hi",
    "length",
    "m",
    "served",
    reasoning=("because",),
    summaries=("so",),
    tools=(ToolStarted("search"), ToolFinished("search", result="found")),
    sources=(Source("https://example.org/"),),
    images=(GeneratedImage("AAAA", width=2, height=1),),
    failed_images=(ImageFailed("content_policy"),),
    refusals=(ModelRefusal("model"),),
    parts=('{"type":"x"}',),
)
DOCUMENT = write_conversation(CONVERSATION)
STORED_REPLY = write_reply(REPLY)


def sealed(data: bytes) -> bytes:
    return b"sealed" + data[::-1]


def unsealed(data: bytes) -> bytes:
    if data[:6] != b"sealed":
        raise PermissionError("no key for this")
    return data[6:][::-1]


@given(strategies.conversations(attached=True))
def test_a_conversation_is_read_as_it_was_written(conversation: Conversation) -> None:
    assert read_conversation(write_conversation(conversation)) == conversation


def test_a_reply_is_read_as_it_was_written() -> None:
    assert read_reply(STORED_REPLY) == REPLY
    assert read_reply(write_reply(TurnFinished("", "stop", ""))) == TurnFinished("", "stop", "")


def test_what_is_stored_can_be_sealed() -> None:
    document, reply = write_conversation(CONVERSATION, seal=sealed), write_reply(REPLY, seal=sealed)
    assert b"token" not in document
    assert document == sealed(DOCUMENT)
    assert read_conversation(document, unseal=unsealed) == CONVERSATION
    assert read_reply(reply, unseal=unsealed) == REPLY


def test_what_can_t_be_unsealed_is_refused_without_a_word_of_it() -> None:
    with pytest.raises(ConversationFormatError, match=r"can't be unsealed: PermissionError$"):
        read_conversation(DOCUMENT, unseal=unsealed)
    with pytest.raises(ConversationFormatError, match="not a stored reply, or sealed: JSON is malformed") as caught:
        read_reply(sealed(STORED_REPLY))
    assert "Hi" not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "stored"), [(read_conversation, DOCUMENT), (read_reply, STORED_REPLY)], ids=["conversation", "reply"]
)
def test_what_is_cut_short_or_longer_is_refused(read: Callable[[bytes], object], stored: bytes) -> None:
    for cut in range(len(stored)):
        with pytest.raises(ConversationFormatError):
            read(stored[:cut])
    with pytest.raises(ConversationFormatError, match="trailing"):
        read(stored + b"{}")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (STORED_REPLY, "not a stored conversation, or sealed: Invalid enum value 'reply'"),
        (DOCUMENT.replace(b'"version":1', b'"version":2', 1), "is of version 2, .* reads 1; update ddg-protocol"),
        (
            DOCUMENT.replace(b'"version":1', b'"version":0', 1),
            "is of version 0, and this version of ddg-protocol reads 1$",
        ),
        (DOCUMENT.replace(b'"format_version":2', b'"format_version":9'), "the conversation is of format version 9"),
        (DOCUMENT.replace(b'"stored"', b'"more":1,"stored"'), "unknown field `more`"),
        (b"[" * 100_000, "Expected `object`, got `array`"),
        (b'{"stored":"conversation","version":1,"content":' + b"[" * 100_000, "not a stored conversation"),
        (b"\xff\xfe", "JSON is malformed"),
    ],
)
def test_what_has_another_form_is_refused(stored: bytes, message: str) -> None:
    with pytest.raises(ConversationFormatError, match=message):
        read_conversation(stored)


def test_a_reply_with_a_member_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConversationFormatError, match="unknown field `more`"):
        read_reply(STORED_REPLY.replace(b'"stored"', b'"more":1,"stored"'))


def test_a_reply_that_is_no_longer_kept_says_so() -> None:
    with pytest.raises(ConversationFormatError, match="no longer kept"):
        read_reply(b"")
