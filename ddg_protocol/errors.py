"""Every exception of the protocol, in one tree.

`Session.next_action` *raises* the failure of a turn, once, after the last event of the turn. The exception's ``text``
has as much of the reply as had come by then.

Messages can be logged and shown: text from the wire goes through `text.printable` before it is put into one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .intents import Failure

__all__ = [
    "AccessDeniedError",
    "BadRequestError",
    "BlockedError",
    "ChallengeError",
    "ChatBusy",
    "ChatTimeoutError",
    "ContentDecodingError",
    "ConversationBusy",
    "ConversationFormatError",
    "ConversationLimitError",
    "CoordinationError",
    "DuckChatError",
    "EmptyResponseError",
    "EngineUnavailable",
    "FrontEndVersionMissing",
    "HandshakeError",
    "IncompleteStream",
    "InputLimitError",
    "InvalidToken",
    "LocalProtocolError",
    "MalformedEvent",
    "MalformedModelList",
    "ModelNotSupportedError",
    "ModelUnavailableError",
    "OutputLimitError",
    "PaceRefused",
    "RateLimitError",
    "RedirectRefused",
    "RemoteProtocolError",
    "ServiceError",
    "ServiceUnavailableError",
    "StreamTooLarge",
    "TokenError",
    "TransportError",
    "TurnAborted",
    "TurnNotStored",
    "TurnSuperseded",
    "UnsupportedChallenge",
    "UsageWindow",
    "UserLimitError",
]


class DuckChatError(Exception):
    """The root of all exceptions of this library.

    Attributes:
        text: as much of the reply as had come when the turn failed; may be empty.
    """

    text: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # The inherited method calls the class with `args` alone, but some classes require keyword arguments.
        return _remade, (type(self), self.args), self.__dict__


def _remade(cls: type[DuckChatError], args: tuple[Any, ...]) -> DuckChatError:
    return cls.__new__(cls, *args)


class LocalProtocolError(DuckChatError):
    """The caller or the driver did something that is not legal now. The message says what is; nothing has changed."""


class ChatBusy(LocalProtocolError):
    """The chat is still answering; a chat has one turn at a time."""


class RemoteProtocolError(DuckChatError):
    """The other side broke the protocol."""


class MalformedEvent(RemoteProtocolError):
    """A payload of the stream is neither JSON nor a word in brackets (strict mode, PROTOCOL.md section 6).

    Attributes:
        raw: the payload's bytes.
    """

    def __init__(self, message: str, *, raw: bytes = b"") -> None:
        super().__init__(message)
        self.raw = raw


class MalformedModelList(RemoteProtocolError):
    """The list of models doesn't have the form that is known; the message says where."""


class IncompleteStream(RemoteProtocolError):
    """The reply ended before it was complete (PROTOCOL.md section 6)."""


class EmptyResponseError(RemoteProtocolError):
    """The reply was complete, and had nothing that `TurnFinished` could have (PROTOCOL.md section 6).

    Attributes:
        had_events: whether it had any event at all.
    """

    had_events: bool = True


class StreamTooLarge(RemoteProtocolError):
    """Something the other side sent is longer than its bound (PROTOCOL.md section 8).

    Attributes:
        limit: the bound, in the unit that the message names.
    """

    def __init__(self, message: str, *, limit: int = 0) -> None:
        super().__init__(message)
        self.limit = limit


class InvalidToken(RemoteProtocolError):
    """A token can't be sent back in a header: it is not visible ASCII, or too long (PROTOCOL.md section 8)."""


class RedirectRefused(RemoteProtocolError):
    """A redirect is not followed: it is one too many, leads to a forbidden host, or would drop the question."""


class ContentDecodingError(RemoteProtocolError):
    """A body doesn't have the coding that its ``content-encoding`` names, or has one that was not asked for."""


class FrontEndVersionMissing(RemoteProtocolError):
    """The front-end page has no version, and the profile requires one (PROTOCOL.md section 3)."""


class UnsupportedChallenge(DuckChatError):
    """A challenge has a form that this library doesn't read. It never guesses an answer (PROTOCOL.md section 5).

    Attributes:
        position: where reading stopped, in characters from the start of the script; None where it never began.
        expected: what should have been there.
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
        status: the status in the body, else that of HTTP; 0 where no request was made.
        type: the service's ``ERR_...`` word, or None.
        override_code: the service's code for the case, such as ``"5b5b"``; may be empty.
        reason: the service's reason, or its id of the case (the body's ``r``); may be empty.
        detail: everything that was wrong with the request, from the emulator (the body's ``reason``); may be empty.
        retry_after: how many seconds the service asks the client to wait, or None.
        retryable: whether the same question can succeed later.
        body: the raw body, bounded.
    """

    retryable = False
    override_code: str = ""
    reason: str = ""
    detail: str = ""

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

    def __str__(self) -> str:
        """Return the message, with the reason that the body has."""
        return ": ".join(filter(None, (super().__str__(), self.reason, self.detail)))


class ChallengeError(ServiceError):
    """The service asks for an answer to its challenge, or refused the one it got.

    Attributes:
        picture_check: what a person has to solve on the service's own page, as JSON (the body's ``cd``). Empty if the
            challenge is for a program.
    """

    picture_check: str = ""


class BadRequestError(ServiceError):
    """The service doesn't accept such a request, or no longer does."""


class BlockedError(ServiceError):
    """The service blocks this client."""


class ConversationLimitError(ServiceError):
    """The conversation is full; begin a new one."""


class InputLimitError(ServiceError):
    """The question is too long, or has too many images or files, for the service or by the policy.

    Attributes:
        limit: the limit that was passed, in the unit that the message names; None where the service doesn't say.
    """

    limit: int | None = None


class OutputLimitError(ServiceError):
    """The reply is longer than the service lets it be."""


class UsageWindow(msgspec.Struct, frozen=True):
    """How much of a user's allowance is used up, in one window of time.

    Attributes:
        id: the service's name for the window, such as ``"day"``; may be empty.
        percent_used: the share that is used up; None if it is not known.
        reset_at: when the window opens again, as the service wrote it (ISO 8601); may be empty.
        is_blocked: whether the window is closed.
    """

    id: str
    percent_used: float | None
    reset_at: str
    is_blocked: bool


class UserLimitError(ServiceError):
    """This user's allowance is used up.

    Attributes:
        windows: those that the service names; may be empty.
        resets: when each closed window opens again, as the service wrote it (ISO 8601); may be empty.
        reset_at: when the last of these opens again, in seconds since 1970; None if no time can be read.
    """

    windows: tuple[UsageWindow, ...] = ()
    resets: tuple[str, ...] = ()
    reset_at: float | None = None


class RateLimitError(ServiceError):
    """The service has had too many requests for now."""

    retryable = True


class TokenError(ServiceError):
    """The service refused the token as unknown or expired."""

    retryable = True


class ModelUnavailableError(ServiceError):
    """The service doesn't offer the model, or not to this user."""


class AccessDeniedError(ServiceError):
    """The service denies access."""


class ServiceUnavailableError(ServiceError):
    """The service, or a proxy before it, is down."""

    retryable = True


class HandshakeError(DuckChatError):
    """The handshake gave no tokens, and neither a `ServiceError` nor a `TransportError` explains it."""


class TransportError(DuckChatError):
    """The driver could not complete an exchange.

    Attributes:
        failure: the driver's report; its ``kind`` says whether the service can have processed the request.
    """

    def __init__(self, message: str, *, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure


class ChatTimeoutError(DuckChatError, TimeoutError):
    """A deadline of the policy passed; the message says which."""


class TurnAborted(DuckChatError):
    """The reply was closed, here or elsewhere, before it was complete. Only drivers raise it."""


class ModelNotSupportedError(DuckChatError, ValueError):
    """The profile has no such model; the message lists the models that it has."""


class ConversationFormatError(DuckChatError):
    """A stored conversation, snapshot or transcript can't be read; the message says where reading stopped."""


class CoordinationError(DuckChatError):
    """The turn can't go on together with those of other processes."""


class EngineUnavailable(CoordinationError):
    """The shared engine decided nothing: it can't be reached, is full, or what it holds or replies can't be read.

    Nothing was changed, as far as is known. A call may be repeated; without an answer, no request is made.
    """


class ConversationBusy(CoordinationError):
    """Another turn of the conversation is under way, here or in another process.

    Attributes:
        retry_after: seconds until its lease ends, unless it is renewed.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PaceRefused(CoordinationError):
    """The turn's next request may only begin after a longer time than the turn can wait.

    Attributes:
        wait: seconds until it could begin.
    """

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class TurnSuperseded(CoordinationError):
    """Another turn has taken the conversation over meanwhile. This one is not part of it; ``text`` has what came."""


class TurnNotStored(CoordinationError):
    """The reply is complete, but the shared engine could not store the turn before its lease ended.

    ``text`` has the reply. The turn may be part of the conversation after all: the next turn shows it.

    Attributes:
        conversation: the `Conversation` with the turn. It holds tokens and cookies.
    """

    def __init__(self, message: str, *, conversation: Any = None) -> None:  # its module imports this one
        super().__init__(message)
        self.conversation = conversation
