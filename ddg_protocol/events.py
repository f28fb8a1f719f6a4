"""What the caller of a turn sees. Values: frozen, comparable, matchable."""

from __future__ import annotations

from typing import Literal

import msgspec

from .errors import DuckChatError

__all__ = [
    "ChallengeReceived",
    "ConversationTitle",
    "Event",
    "FinishReason",
    "FrontEndVersionUnknown",
    "Heartbeat",
    "LandingPageFailed",
    "LimitReached",
    "MalformedPayload",
    "Retrying",
    "ServiceNotice",
    "StopReason",
    "TextDelta",
    "TurnCancelled",
    "TurnFinished",
    "TurnStarted",
    "UnknownPayload",
]

FinishReason = Literal["stop", "length"]


class TurnStarted(msgspec.Struct, frozen=True):
    """The turn was taken up.

    Attributes:
        model: the id of the model it goes to.
    """

    model: str


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the reply. All pieces joined are `TurnFinished.text`.

    Attributes:
        text: never empty, always encodable.
    """

    text: str


class TurnFinished(msgspec.Struct, frozen=True):
    """The turn is complete and is part of the conversation now.

    Attributes:
        text: the whole reply.
        reason: ``"stop"``, or ``"length"`` where the reply was cut by a limit.
        model: the id of the model that was asked.
        served_model: the model that the service says answered, or None.
    """

    text: str
    reason: FinishReason
    model: str
    served_model: str | None = None


class TurnCancelled(msgspec.Struct, frozen=True):
    """The turn was cancelled; the conversation is as it was before.

    Attributes:
        text: what had come of the reply.
    """

    text: str


class Retrying(msgspec.Struct, frozen=True):
    """A request is going to be made again.

    Attributes:
        attempt: 1 for the first retry of this kind of request.
        delay: seconds of backoff before it; pacing may add to them.
        cause: what made it necessary.
    """

    attempt: int
    delay: float
    cause: DuckChatError


class ChallengeReceived(msgspec.Struct, frozen=True):
    """The service asked for the answer to its challenge; the turn is sent once more with it."""


class FrontEndVersionUnknown(msgspec.Struct, frozen=True):
    """The front-end page gave no version; the handshake goes on without (PROTOCOL.md section 3).

    Attributes:
        cause: why.
    """

    cause: DuckChatError


class LandingPageFailed(msgspec.Struct, frozen=True):
    """The landing page gave no cookies; the client's own are enough (PROTOCOL.md section 3).

    Attributes:
        cause: why.
    """

    cause: DuckChatError


class ServiceNotice(msgspec.Struct, frozen=True):
    """What the status endpoint said beside the tokens, where it isn't plain "ok".

    Attributes:
        status: the service's word: ``"1"`` user limit, ``"2"`` service limit, others as they come.
        text: the same, for a person.
    """

    status: str
    text: str


class ConversationTitle(msgspec.Struct, frozen=True):
    """The service's title for the conversation.

    Attributes:
        title: as it came.
    """

    title: str


class LimitReached(msgspec.Struct, frozen=True):
    """A ``[LIMIT_...]`` word in the stream.

    Attributes:
        limit: in lower case without the prefix, such as ``"conversation"`` or ``"output"``.
    """

    limit: str


class StopReason(msgspec.Struct, frozen=True):
    """A ``[STOP_REASON:x]`` word in the stream.

    Attributes:
        reason: ``x``, as it came.
    """

    reason: str


class Heartbeat(msgspec.Struct, frozen=True):
    """A ``[PING]``: the service is still there."""


class UnknownPayload(msgspec.Struct, frozen=True):
    """A payload of a kind that this revision of the protocol doesn't know; nothing of it was used but its text.

    Attributes:
        raw: its bytes, as they came.
    """

    raw: bytes


class MalformedPayload(msgspec.Struct, frozen=True):
    """A payload that is neither JSON nor a known word (lenient mode; `MalformedEvent` in strict mode).

    Attributes:
        raw: its bytes, as they came.
    """

    raw: bytes


Event = (
    TurnStarted
    | TextDelta
    | TurnFinished
    | TurnCancelled
    | Retrying
    | ChallengeReceived
    | FrontEndVersionUnknown
    | LandingPageFailed
    | ServiceNotice
    | ConversationTitle
    | LimitReached
    | StopReason
    | Heartbeat
    | UnknownPayload
    | MalformedPayload
)
