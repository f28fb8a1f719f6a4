"""The events, by which a session tells the caller of a turn what happens: frozen values, comparable and matchable."""

from __future__ import annotations

from typing import Literal

import msgspec

from .errors import DuckChatError
from .models import ModelList

__all__ = [
    "ChallengeReceived",
    "ConversationTitle",
    "EarlierTurnUnfinished",
    "Event",
    "FinishReason",
    "FrontEndVersionUnknown",
    "GeneratedImage",
    "Heartbeat",
    "ImageDraft",
    "ImageFailed",
    "LandingPageFailed",
    "LimitReached",
    "MalformedPayload",
    "ModelRefusal",
    "ModelsReceived",
    "PartReceived",
    "Queued",
    "ReasoningDelta",
    "ReasoningSummary",
    "ReplyRecalled",
    "Retrying",
    "ServiceNotice",
    "Source",
    "StopReason",
    "TextDelta",
    "ToolFinished",
    "ToolStarted",
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


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False, tag=True):
    """New text of the model's reasoning, for a person to see. It is not part of the reply.

    Attributes:
        text: the text; never empty.
    """

    text: str


class ReasoningSummary(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A summary of the model's reasoning. Where several come at once, each is an event.

    Attributes:
        text: the text; never empty.
    """

    text: str


class ToolStarted(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The service begins to use a tool of its own. Nothing is asked of the caller.

    Attributes:
        name: the tool's, such as ``"WebSearch"``.
        call_id: what the service calls this use of it; may be empty.
        arguments: JSON text; empty if there are none.
    """

    name: str
    call_id: str = ""
    arguments: str = ""


class ToolFinished(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The service has used a tool of its own.

    Attributes:
        name: the tool's; empty if the service doesn't tell.
        call_id: as for `ToolStarted`.
        result: what it brought, as text; None if the service doesn't tell.
    """

    name: str = ""
    call_id: str = ""
    result: str | None = None


class Source(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A page that the reply draws on.

    Attributes:
        url: its address, as it came: nothing says that it is one, or that it is safe to open.
        title: its title; may be empty.
        site: the site's name; may be empty.
    """

    url: str
    title: str = ""
    site: str = ""


class _Image(msgspec.Struct, frozen=True, gc=False, tag=True):
    base64: str
    format: str = ""
    width: int | None = None
    height: int | None = None
    call_id: str = ""

    @property
    def data(self) -> bytes | None:
        """The image's bytes, decoded at each access. None if the text is not base64, as a browser reads it.

        Source: https://infra.spec.whatwg.org/#forgiving-base64-decode
        """
        from binascii import Error, a2b_base64

        text = self.base64.encode().translate(None, b"\t\n\f\r ")
        if len(text) % 4 == 0:
            text = text.removesuffix(b"=").removesuffix(b"=")
        try:
            return None if b"=" in text else a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
        except Error:
            return None

    def __repr__(self) -> str:
        size = "" if self.width is None or self.height is None else f", {self.width} by {self.height}"
        return f"<{type(self).__name__} {self.format[:20]!r}, {len(self.base64)} characters of base64{size}>"


class ImageDraft(_Image, frozen=True, gc=False, tag=True):
    """A draft of an image that is being made. Each later one, and the `GeneratedImage`, replaces it.

    Attributes:
        base64: the image, as it came. Its length is bounded by `Policy.max_image_bytes`.
        format: such as ``"png"``, by the service's word; empty if it doesn't tell.
        width: in pixels, by the service's word, or None.
        height: in pixels, by the service's word, or None.
        call_id: as for `ToolStarted`.
    """


class GeneratedImage(_Image, frozen=True, gc=False, tag=True):
    """An image of the reply.

    Attributes:
        base64: the image, as it came. Its length is bounded by `Policy.max_image_bytes`.
        format: such as ``"png"``, by the service's word; empty if it doesn't tell.
        width: in pixels, by the service's word, or None.
        height: in pixels, by the service's word, or None.
        call_id: as for `ToolStarted`.
    """


class ImageFailed(msgspec.Struct, frozen=True, gc=False, tag=True):
    """An image could not be made.

    Attributes:
        error: the service's word for why, such as ``"content_policy"``; may be empty.
        message: the same, for a person; may be empty.
        call_id: as for `ToolStarted`.
    """

    error: str = ""
    message: str = ""
    call_id: str = ""


class ModelRefusal(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The model declines to answer. The turn goes on: what the model says about it comes as text.

    Attributes:
        detected_by: the service's word for who noticed, such as ``"model"``; may be empty.
    """

    detected_by: str = ""


class PartReceived(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A part of the reply that is not shown, but kept to be sent back with the history.

    Attributes:
        json: the part as JSON text, its members as they came.
    """

    json: str


Kept = (
    ReasoningDelta
    | ReasoningSummary
    | ToolStarted
    | ToolFinished
    | Source
    | GeneratedImage
    | ImageFailed
    | ModelRefusal
    | PartReceived
)
"""The events that `TurnFinished` has."""


class TurnFinished(msgspec.Struct, frozen=True):
    """The turn is complete, and is now part of the conversation.

    Attributes:
        text: the whole reply; empty if the turn has something else instead, such as an image.
        reason: ``"stop"``, or ``"length"`` where a limit cut the reply.
        model: the id of the model that was asked.
        served_model: the model that wrote the reply by the service's word, or None.
        reasoning: the texts of `ReasoningDelta`; those with no other of these events between them are joined.
        summaries: the texts of `ReasoningSummary`.
        tools: each use of a tool, as it began and ended.
        sources: the pages that the reply draws on.
        images: the finished images.
        failed_images: those that could not be made.
        refusals: the model's refusals to answer.
        parts: what the history may need, as JSON text.
    """

    text: str
    reason: FinishReason
    model: str
    served_model: str | None = None
    reasoning: tuple[str, ...] = ()
    summaries: tuple[str, ...] = ()
    tools: tuple[ToolStarted | ToolFinished, ...] = ()
    sources: tuple[Source, ...] = ()
    images: tuple[GeneratedImage, ...] = ()
    failed_images: tuple[ImageFailed, ...] = ()
    refusals: tuple[ModelRefusal, ...] = ()
    parts: tuple[str, ...] = ()


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


class EarlierTurnUnfinished(msgspec.Struct, frozen=True):
    """An earlier turn of the conversation was asked and never came to an end: its worker died, or lost its lease.

    Its question may have used some of the allowance, and its token is not used again. It is not part of the history.
    """


class ReplyRecalled(msgspec.Struct, frozen=True):
    """The conversation has already done the turn with this key. Its stored reply follows, without any request."""


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
    """A payload carries something that no other event holds. Those that hold the rest of it came before.

    Attributes:
        raw: the payload's bytes as they came.
    """

    raw: bytes


class MalformedPayload(msgspec.Struct, frozen=True):
    """A payload is neither JSON nor a word (lenient mode; `MalformedEvent` in strict mode).

    Attributes:
        raw: the payload's bytes as they came.
    """

    raw: bytes


class ModelsReceived(msgspec.Struct, frozen=True):
    """The list that `Session.fetch_models` asked for has come: the last event before PAUSED.

    Attributes:
        models: the list.
    """

    models: ModelList


Event = (
    TurnStarted
    | TextDelta
    | ReasoningDelta
    | ReasoningSummary
    | ToolStarted
    | ToolFinished
    | Source
    | ImageDraft
    | GeneratedImage
    | ImageFailed
    | ModelRefusal
    | PartReceived
    | TurnFinished
    | TurnCancelled
    | Queued
    | EarlierTurnUnfinished
    | ReplyRecalled
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
    | ModelsReceived
)
