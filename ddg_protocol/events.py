"""The events, by which a session tells the caller of a turn what happens: frozen values, comparable and matchable."""

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
    "Queued",
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
    """The turn has begun.

    Attributes:
        model: the id of the model that is asked.
    """

    model: str


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """New text of the reply. All deltas joined are `TurnFinished.text`.

    Attributes:
        text: the text; never empty, and UTF-8 can encode it.
    """

    text: str


class TurnFinished(msgspec.Struct, frozen=True):
    """The turn is complete, and is now part of the conversation.

    Attributes:
        text: the whole reply.
        reason: ``"stop"``, or ``"length"`` where a limit cut the reply.
        model: the id of the model that was asked.
        served_model: the model that wrote the reply by the service's word, or None.
    """

    text: str
    reason: FinishReason
    model: str
    served_model: str | None = None


class TurnCancelled(msgspec.Struct, frozen=True):
    """The turn was cancelled; the conversation is as it was before.

    Attributes:
        text: as much of the reply as had come.
    """

    text: str


class Queued(msgspec.Struct, frozen=True):
    """The turn waits for the pace, and other turns of the client are ahead of it.

    It comes before the wait: once, and again when another number of turns is ahead, or when the start is put off by
    more than an interval and a second. A turn with nobody ahead only keeps the interval to the last request, and no
    event says so.

    Attributes:
        position: how many turns are ahead.
        until: when the next request is likely to begin, on the caller's clock.
    """

    position: int
    until: float


class Retrying(msgspec.Struct, frozen=True):
    """A request will be retried.

    Attributes:
        attempt: 1 for the first retry of this kind of request.
        delay: seconds of backoff before it; pacing may add to them.
        cause: why it is retried.
    """

    attempt: int
    delay: float
    cause: DuckChatError


class ChallengeReceived(msgspec.Struct, frozen=True):
    """The service asked for the answer to its challenge; the question is sent once more with the answer."""


class FrontEndVersionUnknown(msgspec.Struct, frozen=True):
    """The front-end page has no version; the handshake continues without one (PROTOCOL.md section 3).

    Attributes:
        cause: what went wrong.
    """

    cause: DuckChatError


class LandingPageFailed(msgspec.Struct, frozen=True):
    """The landing page failed; the handshake continues with the client's own cookies (PROTOCOL.md section 3).

    Attributes:
        cause: what went wrong.
    """

    cause: DuckChatError


class ServiceNotice(msgspec.Struct, frozen=True):
    """The status endpoint reported a status other than "ok".

    Attributes:
        status: the service's word: ``"1"`` is the user limit, ``"2"`` the service limit; others are as they came.
        text: the same, for a person.
    """

    status: str
    text: str


class ConversationTitle(msgspec.Struct, frozen=True):
    """The service has a title for the conversation.

    Attributes:
        title: the title as it came.
    """

    title: str


class LimitReached(msgspec.Struct, frozen=True):
    """A limit was reached: a ``[LIMIT_...]`` word in the stream.

    Attributes:
        limit: which one, in lower case without the prefix, such as ``"conversation"`` or ``"output"``.
    """

    limit: str


class StopReason(msgspec.Struct, frozen=True):
    """The service says why the reply stopped: a ``[STOP_REASON:x]`` word in the stream.

    Attributes:
        reason: ``x``, as it came.
    """

    reason: str


class Heartbeat(msgspec.Struct, frozen=True):
    """The service is still there: a ``[PING]`` in the stream."""


class UnknownPayload(msgspec.Struct, frozen=True):
    """A payload is of a kind that this revision of the protocol doesn't know; only its text, if any, was used.

    Attributes:
        raw: the payload's bytes as they came.
    """

    raw: bytes


class MalformedPayload(msgspec.Struct, frozen=True):
    """A payload is neither JSON nor a known word (lenient mode; `MalformedEvent` in strict mode).

    Attributes:
        raw: the payload's bytes as they came.
    """

    raw: bytes


Event = (
    TurnStarted
    | TextDelta
    | TurnFinished
    | TurnCancelled
    | Queued
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
