"""A conversation as a value, to and from JSON (PROTOCOL.md section 10).

A `Conversation` never changes: a complete turn replaces it as a whole. That is what makes a turn a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from .cookies import MAX_COOKIES, MAX_JAR_BYTES, Cookie
from .errors import ConversationFormatError, InvalidToken
from .grammar import MAX_VERSION_CHARS, VISIBLE
from .parts import File, Image, Part, Text, text_of
from .text import encodable, printable, shown

FORMAT_VERSION = 2
"""Version 1 has no images, files and parts. It is read, too."""
MAX_TOKEN_BYTES = 64 * 1024
MAX_IDS = 32
MAX_ID_CHARS = 128


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message of the history.

    Attributes:
        role: who wrote it.
        content: its text; for a question with images or files a tuple of parts, the text first.
        parts: what a reply has besides its text, each as JSON text, in order: the service's parts as they came, sources
            and images as parts of the types ``source`` and ``generated-image``.

    Raises:
        ValueError: JSON in UTF-8 can't hold the content, a part is no JSON object with a ``type``, or a reply has
            images or files as its content.
    """

    role: Literal["user", "assistant"]
    content: str | tuple[Text | Image | File, ...]
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what the types don't say."""
        content = self.content
        if isinstance(content, str):
            if not encodable(content):
                raise ValueError(
                    "the content of a message has half of a surrogate pair in it, which can't be sent as UTF-8"
                )
        elif self.role != "user" or not content or not all(isinstance(part, Part) for part in content):
            raise ValueError("the content of a message must be text, or for a question a tuple of one part or more")
        elif any(isinstance(part, Text) for part in content[1:]):
            raise ValueError("the text of a message must be its first part, and the only one of text")
        if self.parts and self.role != "assistant":
            raise ValueError("only a reply has parts besides its content")
        if self.parts:
            from ._part_forms import type_of  # which most conversations never need

            for part in self.parts:
                type_of(part)

    def __repr__(self) -> str:
        parts = f", parts=<{len(self.parts)}>" if self.parts else ""
        return f"Message(role={self.role!r}, content={self.content!r}{parts})"

    @property
    def text(self) -> str:
        """The text of its content, without images and files."""
        return text_of(self.content)

    @property
    def is_text_alone(self) -> bool:
        """Whether nothing is in it but its text."""
        return isinstance(self.content, str) and not self.parts


Messages = str | Sequence[Message | Mapping[str, Any] | Text | Image | File]
"""What can be asked: a text, the parts of one question, or messages with roles and contents."""


def check_token(name: str, value: str, *, limit: int | None = MAX_TOKEN_BYTES) -> None:
    """Check that a token can be sent back (PROTOCOL.md section 8).

    Args:
        name: the header that it is for.
        value: the token.
        limit: the most characters it may have; None where the policy bounds it.

    Raises:
        InvalidToken: it is not visible ASCII, or too long.
    """
    if not VISIBLE.fullmatch(value):
        raise InvalidToken(f"the service's {name} is not visible ASCII, so it can't be sent back")
    if limit is not None and len(value) > limit:
        raise InvalidToken(f"the service's {name} is {len(value)} characters long; at most {limit} can be sent back")


class Tokens(msgspec.Struct, frozen=True):
    """The pair of tokens of one response. The answer to a challenge goes with the token that came with it.

    Attributes:
        vqd: the ``x-vqd-4`` header; empty where there is none.
        vqd_hash_1: the challenge, which is the ``x-vqd-hash-1`` header; may be empty.
    """

    vqd: str = ""
    vqd_hash_1: str = ""

    def __post_init__(self) -> None:
        """Check that both can be sent back.

        Raises:
            InvalidToken: one of them can't be.
        """
        check_token("x-vqd-4", self.vqd)
        check_token("x-vqd-hash-1", self.vqd_hash_1, limit=None)

    def __repr__(self) -> str:
        return f"Tokens(vqd=<{len(self.vqd)} characters>, vqd_hash_1=<{len(self.vqd_hash_1)} characters>)"


class Conversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is needed to continue a conversation, here or in another process.

    It is checked when it is made, so that no file brings in what can't be sent: a `ValueError` says what is wrong.

    Attributes:
        model: the id of the model of the last turn; empty before the first.
        vqd: the token for the next turn; empty where it has to be fetched, or the revision has none.
        vqd_hash_1: the newest challenge: the one that came with the token, if there is one.
        message_history: the messages, oldest first.
        cookies: the content of the cookie jar.
        fe_version: the front-end version of the last turn; empty where it is unknown.
        title: the service's title for the conversation, or None.
        limit_reached: whether the service said that the conversation is full.
        answers_wanted: whether the service has asked for the answer to its challenge.
        ids: the ids that the client has made up for the conversation, with their names.
    """

    model: str = ""
    vqd: str = ""
    vqd_hash_1: str = ""
    message_history: tuple[Message, ...] = ()
    cookies: tuple[Cookie, ...] = ()
    fe_version: str = ""
    title: str | None = None
    limit_reached: bool = False
    answers_wanted: bool = False
    ids: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check that every member can be stored and sent.

        Raises:
            ValueError: one of them can't be; the message says which, and why.
        """
        if not (encodable(self.model) and encodable(self.title or "")):
            raise ValueError("model or title has half of a surrogate pair in it, which can't be stored as UTF-8")
        try:
            check_token("x-vqd-4", self.vqd)
            check_token("x-vqd-hash-1", self.vqd_hash_1, limit=None)
        except InvalidToken as error:
            raise ValueError(str(error)) from None
        if not VISIBLE.fullmatch(self.fe_version) or len(self.fe_version) > MAX_VERSION_CHARS:
            raise ValueError(f"fe_version must be visible ASCII, at most {MAX_VERSION_CHARS} characters")
        if len(self.ids) > MAX_IDS or not all(VISIBLE.fullmatch(id) and len(id) <= MAX_ID_CHARS for _, id in self.ids):
            raise ValueError(f"ids must be visible ASCII: at most {MAX_IDS}, of {MAX_ID_CHARS} characters")
        if not all(encodable(name) for name, _ in self.ids):
            raise ValueError("the name of an id has half of a surrogate pair in it, which can't be stored as UTF-8")
        if len(self.cookies) > MAX_COOKIES or sum(cookie.size for cookie in self.cookies) > MAX_JAR_BYTES:
            raise ValueError(f"a conversation may have {MAX_COOKIES} cookies, of {MAX_JAR_BYTES} bytes in total")

    def __repr__(self) -> str:
        title = self.title if self.title is None else printable(self.title)
        return (
            f"<Conversation model={printable(self.model)!r}, {len(self.message_history)} messages, "
            f"{len(self.cookies)} cookies, title={title!r}, limit_reached={self.limit_reached}>"
        )

    @property
    def tokens(self) -> Tokens:
        """The pair for the next turn."""
        return Tokens(self.vqd, self.vqd_hash_1)

    @property
    def last_question(self) -> str | tuple[Part, ...] | None:
        """The content of the user's last message, which can be asked again; None before the first turn."""
        return next((message.content for message in reversed(self.message_history) if message.role == "user"), None)

    def rewound(self) -> Conversation:
        """Return the conversation as it was before its last turn, so that `last_question` can be asked once more.

        Returns:
            The conversation without that question and what followed it, and with room for another. Model, title, tokens
            and cookies stay: they are the newest. Before the first turn it is the same conversation.
        """
        asked = [index for index, message in enumerate(self.message_history) if message.role == "user"]
        if not asked:
            return self
        return msgspec.structs.replace(self, message_history=self.message_history[: asked[-1]], limit_reached=False)

    def to_json(self) -> str:
        """Return the conversation as JSON. The text holds tokens and cookies: keep it as you would keep a password."""
        return msgspec.json.encode(_Stored(format_version=FORMAT_VERSION, conversation=self)).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Conversation:
        """Parse the result of `to_json`.

        Args:
            text: the JSON text.

        Returns:
            The conversation.

        Raises:
            ConversationFormatError: the text is not JSON, cut short, of a later version, or has a member of the wrong
                kind; the message says which.
        """
        try:
            version = msgspec.json.decode(text, type=_Version).format_version
            if version in (1, FORMAT_VERSION):
                return msgspec.json.decode(text, type=_Stored).conversation
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ConversationFormatError(f"not a stored conversation: {printable(str(error), 300)}") from error
        raise ConversationFormatError(
            f"the conversation is of format version {shown(version)}, "
            f"and this version of ddg-protocol reads 1 and {FORMAT_VERSION}"
            + ("; update ddg-protocol to read it" if version > FORMAT_VERSION else "")
        )


class _Version(msgspec.Struct):
    format_version: int


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    format_version: int
    conversation: Conversation
