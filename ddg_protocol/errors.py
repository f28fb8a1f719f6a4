"""Every exception of the protocol, in one tree.

A turn that is refused or that breaks is *raised* by `Session.next_action`, once, after the last event of
the turn. Whatever of the reply had come by then is in the exception's ``text``.

Nothing from the wire stands in a message before it went through `printable`: messages can be logged and shown.
"""

from __future__ import annotations

from typing import Any

from .intents import Failure

__all__ = [
    "AccessDeniedError",
    "BlockedError",
    "ChallengeError",
    "ChatBusy",
    "ChatTimeoutError",
    "ContentDecodingError",
    "ConversationFormatError",
    "ConversationLimitError",
    "DuckChatError",
    "EmptyResponseError",
    "FrontEndVersionMissing",
    "HandshakeError",
    "IncompleteStream",
    "InputLimitError",
    "InvalidToken",
    "LocalProtocolError",
    "MalformedEvent",
    "ModelNotSupportedError",
    "ModelUnavailableError",
    "RateLimitError",
    "RedirectRefused",
    "RemoteProtocolError",
    "ServiceError",
    "ServiceUnavailableError",
    "StreamTooLarge",
    "TokenError",
    "TransportError",
    "TurnAborted",
    "UnsupportedChallenge",
    "UserLimitError",
]


class DuckChatError(Exception):
    """The root of all that this library raises.

    Attributes:
        text: what had come of the reply when the turn broke; empty when nothing had.
    """

    text: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # The inherited one calls the class with `args` alone, and some have keyword-only arguments that must be there.
        return _remade, (type(self), self.args), self.__dict__


def _remade(cls: type[DuckChatError], args: tuple[Any, ...]) -> DuckChatError:
    return cls.__new__(cls, *args)


class LocalProtocolError(DuckChatError):
    """The caller or the driver did what is not legal now; the message says what is. Nothing was changed."""


class ChatBusy(LocalProtocolError):
    """The chat is still answering: a chat has one turn at a time."""


class RemoteProtocolError(DuckChatError):
    """The other side broke the protocol."""


class MalformedEvent(RemoteProtocolError):
    """A payload of the stream is neither JSON of a known shape nor a sentinel (strict mode, PROTOCOL.md section 6).

    Attributes:
        raw: the payload's bytes.
    """

    def __init__(self, message: str, *, raw: bytes = b"") -> None:
        super().__init__(message)
        self.raw = raw


class IncompleteStream(RemoteProtocolError):
    """The reply ended before it was complete; ``text`` has what came (PROTOCOL.md section 6)."""


class EmptyResponseError(RemoteProtocolError):
    """The reply was complete and held no text (PROTOCOL.md section 6)."""


class StreamTooLarge(RemoteProtocolError):
    """Something the other side sent is longer than its bound (PROTOCOL.md section 8).

    Attributes:
        limit: the bound, in the unit that the message names.
    """

    def __init__(self, message: str, *, limit: int = 0) -> None:
        super().__init__(message)
        self.limit = limit


class InvalidToken(RemoteProtocolError):
    """A token that can't be put back into a header: not visible ASCII, or too long (PROTOCOL.md section 8)."""


class RedirectRefused(RemoteProtocolError):
    """A redirect that is not followed: too many, to a host that is not allowed, or one that would drop the question."""


class ContentDecodingError(RemoteProtocolError):
    """A body that its ``content-encoding`` doesn't describe, or with a coding that was not asked for."""


class FrontEndVersionMissing(RemoteProtocolError):
    """The front-end page gave no version, and the profile requires one (PROTOCOL.md section 3)."""


class UnsupportedChallenge(DuckChatError):
    """A challenge that this library doesn't read; it never answers one by a guess (PROTOCOL.md section 5).

    Attributes:
        position: where reading stopped, in characters from the start of the script; None when it never began.
        expected: what would have been read there.
        form: what the challenge looks like as a whole, such as ``"an obfuscated script, meta.v 4"``.
    """

    def __init__(self, message: str, *, position: int | None = None, expected: str = "", form: str = "") -> None:
        super().__init__(message)
        self.position = position
        self.expected = expected
        self.form = form


class ServiceError(DuckChatError):
    """The service said no (PROTOCOL.md section 7).

    Attributes:
        status: the status that counts, the body's own where it has one; 0 when no request was made.
        type: the service's ``ERR_...`` word, or None.
        retry_after: seconds to wait as the service asked, or None.
        retryable: whether asking again later, unchanged, can succeed.
        body: the raw body, bounded.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        type: str | None = None,
        retry_after: float | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.retry_after = retry_after
        self.body = body


class ChallengeError(ServiceError):
    """418 ``ERR_CHALLENGE``: the service wants an answer to its challenge, or refused the one it got."""


class BlockedError(ServiceError):
    """418 ``ERR_BN_LIMIT``: the service blocks this client."""


class ConversationLimitError(ServiceError):
    """429 ``ERR_CONVERSATION_LIMIT``: the conversation is full; a new one has to be begun."""


class InputLimitError(ServiceError):
    """429 ``ERR_INPUT_LIMIT``, or a prompt over the policy's own bound: the question is too long."""


class UserLimitError(ServiceError):
    """429 ``ERR_USER_LIMIT``: this user's allowance is used up.

    Attributes:
        resets: when each window that is shut opens again, as the service wrote it (ISO 8601), where it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        type: str | None = None,
        retry_after: float | None = None,
        body: bytes = b"",
        resets: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, status=status, type=type, retry_after=retry_after, body=body)
        self.resets = resets


class RateLimitError(ServiceError):
    """429 of any other kind: too many requests for now."""

    retryable = True


class TokenError(ServiceError):
    """400 ``ERR_INVALID_VQD`` or ``ERR_EXPIRED_VQD``: the token is not, or no longer, good."""

    retryable = True


class ModelUnavailableError(ServiceError):
    """404 ``ERR_MODEL_UNAVAILABLE`` or ``ERR_MODEL_RESTRICTED``."""


class AccessDeniedError(ServiceError):
    """401, 402 or 403."""


class ServiceUnavailableError(ServiceError):
    """500, 502, 503, 504, 520-526: the service, or what stands before it, is down."""

    retryable = True


class HandshakeError(DuckChatError):
    """The handshake gave no tokens, and there is no `ServiceError` or `TransportError` to blame."""


class TransportError(DuckChatError):
    """The driver could not carry an exchange through.

    Attributes:
        failure: what the driver reported; its ``kind`` says whether anything can have been processed.
    """

    def __init__(self, message: str, *, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure


class ChatTimeoutError(DuckChatError, TimeoutError):
    """A deadline of the policy passed; the message says which."""


class TurnAborted(DuckChatError):
    """The reply was closed before it was complete, here or elsewhere; ``text`` has what came. Drivers raise it."""


class ModelNotSupportedError(DuckChatError, ValueError):
    """A model that the profile's table doesn't have; the message lists those it has."""


class ConversationFormatError(DuckChatError):
    """A stored conversation, snapshot or transcript that can't be read; the message says where it stopped."""
