"""The reply of a chat request: bytes of its body in, events out (PROTOCOL.md section 6).

A `ReplyReader` works in two steps. It takes a chunk apart into *payloads*: the data of its server-sent events. Then it
interprets one payload at a time, when its event is pulled: a JSON object, mostly of new text, or words in brackets such
as ``[DONE]``. The new text is returned as a `TextDelta` and kept, since the conversation needs all of it. What a
payload brings besides its text is read in `payload`, and kept for `TurnFinished`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby, islice
from typing import Annotated, Any, Literal

import msgspec

from .errors import EmptyResponseError, IncompleteStream, MalformedEvent, StreamTooLarge
from .events import (
    ConversationTitle,
    Event,
    FinishReason,
    GeneratedImage,
    Heartbeat,
    ImageFailed,
    Kept,
    LimitReached,
    MalformedPayload,
    ModelRefusal,
    PartReceived,
    ReasoningDelta,
    ReasoningSummary,
    Source,
    StopReason,
    TextDelta,
    ToolFinished,
    ToolStarted,
    UnknownPayload,
)
from .payload import (
    NOT_DECODED,
    events_of,
    has_image,
    is_json,
    is_more,
    may_be_image,
    part_of,
    read_json,
    reply_text,
    split_words,
)
from .policy import MAX_COUNT, Policy
from .sse import EventStreamDecoder
from .text import printable


class TextPayload(msgspec.Struct, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A payload of new text and nothing else. Any other payload fails to decode as one.

    The members are in the order in which the service sends them: msgspec looks for the next one first.

    Attributes:
        role: the assistant's, or absent.
        message: the text.
        created: not used.
        id: not used.
        action: always there.
        model: not used; it is known by now.
    """

    role: Literal["assistant"] | None = None
    message: str
    created: float | str | None = None
    id: str | float | None = None
    action: Literal["success"]
    model: str | float | None = None


class SavedReply(msgspec.Struct, forbid_unknown_fields=True):
    """The state of a `ReplyReader` between two events. The default is that at the beginning.

    Attributes:
        text: all text that was returned.
        kept: the other events of the reply that were returned.
        half: a high surrogate, in UTF-16-LE, that waits for its low one.
        ends_empty: whether the last message was empty.
        limit_reached: whether the conversation has reached its limit.
        limit: the last limit that a word named; empty if none did.
        heard: whether any event came.
        title: the conversation's title, if one came.
        served_model: the first model that a payload named.
        finish_reason: why the reply ends, as far as that is known.
        done: whether it is complete.
        size: how many bytes of the body were cut into payloads.
        payloads: those that were not interpreted.
        given: how many events of the first payload were returned, with one for its text even if it has none.
        unread: the bytes of a chunk that were not cut.
        unfinished: the decoder's remainder.
        too_large: the bound that an event has passed; 0 if none has.
    """

    text: str = ""
    kept: list[Kept] = []
    half: bytes = b""
    ends_empty: bool = False
    limit_reached: bool = False
    limit: str = ""
    heard: bool = False
    title: str | None = None
    served_model: str | None = None
    finish_reason: FinishReason = "stop"
    done: bool = False
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)] = 0
    payloads: list[bytes] = []
    given: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0
    unread: bytes = b""
    unfinished: bytes = b""
    too_large: Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)] = 0


decode_text = msgspec.json.Decoder(TextPayload).decode

_DONE = b"[DONE]"
#: In place of the end of a chunk that has been read, which would keep the chunk in memory.
_NOTHING = memoryview(b"")
#: The most bytes that are cut into payloads at once: 64 KiB of tiny events take 1 MiB of memory.
_SLICE = 64 * 1024
#: How many deltas are kept before they are joined: each takes 50 bytes more than its text.
_MANY_DELTAS = 1024
#: What an event takes in memory besides its texts, at most.
_EVENT_BYTES = 256
#: Characters of which each makes a `str` take four bytes for every character.
_WIDE = re.compile("[\U00010000-\U0010ffff]")


#: The attribute of `TurnFinished` that each kind of kept event goes to.
_GATHERED: dict[type[Kept], str] = {
    ReasoningDelta: "reasoning",
    ReasoningSummary: "summaries",
    PartReceived: "parts",
    ToolStarted: "tools",
    ToolFinished: "tools",
    Source: "sources",
    GeneratedImage: "images",
    ImageFailed: "failed_images",
    ModelRefusal: "refusals",
}
#: The events of which `TurnFinished` has the text alone.
_TEXTS: dict[type[Kept], str] = {ReasoningSummary: "text", PartReceived: "json"}


class ReplyReader:
    """The reply of one chat request: bytes of the body in, events out, one at a time.

    A payload is interpreted when its event is pulled, and nothing that can be seen from outside moves before.

    Args:
        policy: says whether a malformed payload is raised or returned as an event, and has the bounds.
        saved: the state of another reader, to go on from there.

    Attributes:
        chunks: of the body, content-decoded, that have come and were not read. Append to it.
        idle: whether nothing but `chunks` is left to read.
        done: whether the reply is complete; what follows is ignored.
        finish_reason: why it ended, once it is done.
        title: the conversation's title, if one came.
        limit_reached: whether the conversation has reached its limit.
        served_model: the first model that a payload named, or None.
    """

    # Python 3.11 reads attributes slower if an object's dict has more than 29: by 3 % of an event's instructions.
    __slots__ = (
        "_decoder",
        "_deltas",
        "_ends_empty",
        "_given",
        "_half",
        "_heard",
        "_joined",
        "_kept",
        "_kept_size",
        "_length",
        "_limit",
        "_max_event_bytes",
        "_max_reply_bytes",
        "_measuring",
        "_more",
        "_payloads",
        "_plain",
        "_size",
        "_strict",
        "_too_large",
        "_unread",
        "_whole_until",
        "_width",
        "chunks",
        "done",
        "finish_reason",
        "idle",
        "limit_reached",
        "served_model",
        "title",
    )

    def __init__(self, policy: Policy, saved: SavedReply | None = None) -> None:
        saved = saved or SavedReply()
        self.chunks: deque[bytes] = deque()
        self.idle = False
        self.done = saved.done
        self.finish_reason = saved.finish_reason
        self.title = saved.title
        self.limit_reached = saved.limit_reached
        self.served_model = saved.served_model
        self._strict = policy.strict
        # From bytes to payloads.
        self._max_reply_bytes = policy.max_reply_bytes
        self._max_event_bytes = policy.max_event_bytes
        self._size = saved.size  # how many bytes of the body were taken
        self._whole_until = -1  # up to this size no bound has to be checked
        self._unread = memoryview(saved.unread)
        self._payloads = deque(saved.payloads)
        self._decoder = EventStreamDecoder(
            max_event_bytes=policy.max_event_bytes, max_object_bytes=policy.max_image_bytes
        )
        self._too_large = 0
        self._feed(saved.unfinished)
        self._too_large = self._too_large or saved.too_large
        # From payloads to text.
        self._plain = False  # whether a message is new text as it is, and changes nothing else here
        self._joined = [saved.text] if saved.text else []  # deltas that were joined
        self._deltas: list[str] = []  # those since then
        self._measuring = False  # whether the text may pass its bound
        self._length, self._width = 0, 0  # of the text then, in characters and in bytes of each
        self._half = saved.half
        self._ends_empty = saved.ends_empty
        self._limit = saved.limit
        self._heard = saved.heard
        # From payloads to the other events.
        self._given = saved.given
        self._more: Iterator[Event] | None = None  # the next ones of the first payload; None if it is not parsed
        self._kept = list(saved.kept)
        self._kept_size = sum(map(_memory, self._kept))
        self._begin_to_measure()

    @property
    def text(self) -> str:
        """All text that was returned."""
        self._join()
        text = "".join(self._joined)
        self._joined = [text] if text else []
        return text

    @property
    def has_content(self) -> bool:
        """Whether a `TextDelta`, or another event that `TurnFinished` has, was returned."""
        return bool(self._deltas or self._joined or self._kept)

    @property
    def gathered(self) -> dict[str, Any]:
        """The attributes of `TurnFinished` for what came besides the text, those that are not empty."""
        found: dict[str, list[Any]] = {}
        for kind, events in groupby(self._kept, type):
            values: Iterable[Any] = events
            if kind is ReasoningDelta:
                values = ("".join(event.text for event in values),)
            elif kind in _TEXTS:
                values = (getattr(event, _TEXTS[kind]) for event in values)
            found.setdefault(_GATHERED[kind], []).extend(values)
        return {name: tuple(values) for name, values in found.items()}

    @property
    def parts(self) -> tuple[str, ...]:
        """What the history keeps besides the text, in order: see `Message.parts`."""
        return tuple(part for event in self._kept if (part := part_of(event)))

    @property
    def saved(self) -> SavedReply:
        """The state that another reader needs to go on from here, without `chunks`."""
        return SavedReply(
            text=self.text,
            kept=list(self._kept),
            half=self._half,
            ends_empty=self._ends_empty,
            limit_reached=self.limit_reached,
            limit=self._limit,
            heard=self._heard,
            title=self.title,
            served_model=self.served_model,
            finish_reason=self.finish_reason,
            done=self.done,
            size=self._size,
            payloads=list(self._payloads),
            given=self._given,
            unread=bytes(self._unread),
            unfinished=self._decoder.remainder,
            too_large=self._too_large,
        )

    def next_event(self) -> Event | None:
        """Interpret as many payloads as make one event.

        Returns:
            The event, or None: more bytes are needed, or the reply is done.

        Raises:
            MalformedEvent: a payload is neither JSON nor a word, and the reader is strict.
            ServiceError: the service broke off with an error, or the reply has a limit and nothing else.
            EmptyResponseError: the reply is complete, and brought nothing that `TurnFinished` could have.
            StreamTooLarge: an event or the reply is longer than its bound.
        """
        while True:
            if self.idle:
                try:
                    data = self.chunks.popleft()
                except IndexError:
                    return None
                size = self._size + len(data)
                # Without this, an event in a chunk of its own costs 2.6 times as much (benchmarks.instructions).
                raw = self._decoder.whole_block(data) if size <= self._whole_until else None
                if raw is None:
                    self._unread = memoryview(data)
                    self.idle = False
                    continue
                self._size = size
            elif self._payloads:
                raw = self._payloads.popleft()
            elif self._unread or self._too_large:
                self._cut()
                continue
            else:
                self.idle = True
                continue
            # Without this, an event costs 3.2 times as much.
            try:
                text = decode_text(raw).message if self._plain else ""
            except NOT_DECODED:
                text = ""
            if not text:
                found = self._interpret(raw)
                if found is None:
                    continue
                if not isinstance(found, str):
                    return found
                text = found
            if self._measuring:
                self._measure(text)
            self._deltas.append(text)
            return TextDelta(text)

    def end(self) -> None:
        """Handle the clean end of the body, once `next_event` returns None. Call that again: the reply ends there.

        Raises:
            IncompleteStream: an event that could hold text is not finished.
            EmptyResponseError: there was no event at all.
        """
        if self.done:
            return
        unfinished = self._decoder.unfinished
        if unfinished is not None and not unfinished.lstrip().startswith(b"["):
            raise IncompleteStream("the reply ended in the middle of an event; ask again")
        if not (self._heard or self.has_content):  # older snapshots don't have the former
            silent = EmptyResponseError("the reply has no event at all; ask again")
            silent.had_events = False
            raise silent
        if not self._ends_empty:
            self.finish_reason = "length"
        self._payloads.append(_DONE)
        self.idle = False

    # From bytes to payloads

    def _cut(self) -> None:
        """Cut the next bytes into payloads, a slice at a time to save memory, and check the bounds."""
        if self.done:
            self._unread = _NOTHING
            return
        if limit := self._too_large:
            raise StreamTooLarge(f"a line or an event of the stream is longer than {limit} bytes", limit=limit)
        limit = self._max_reply_bytes
        size = min(len(self._unread), _SLICE, limit - self._size)
        if size <= 0:
            raise StreamTooLarge(f"the reply is longer than {limit} bytes", limit=limit)
        data, self._unread = bytes(self._unread[:size]), self._unread[size:] or _NOTHING
        self._size += size
        self._whole_until = min(self._size + _SLICE, limit)
        self._begin_to_measure()
        if len(self._deltas) >= _MANY_DELTAS:
            self._join()
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        first, before = len(self._payloads), self._decoder.waiting
        with suppress(StreamTooLarge):  # `_cut` raises it, after the payloads before
            self._payloads.extend(self._decoder.feed_data(data))
        if self._decoder.too_large:
            self._too_large = self._decoder.error().limit
        if before + len(data) > self._max_event_bytes:
            self._check_sizes(first)

    def _check_sizes(self, first: int) -> None:
        """Check each new payload that is longer than others may be: it has to bring an image."""
        for index, raw in enumerate(islice(self._payloads, first, None), first):
            if len(raw) > self._max_event_bytes and not (
                may_be_image(raw) and (payload := read_json(raw)) is not None and has_image(payload, raw)
            ):
                self._too_large = self._max_event_bytes
                self._payloads = deque(islice(self._payloads, index))
                return

    # From payloads to events

    def _interpret(self, raw: bytes) -> str | Event | None:
        """Interpret a payload of any kind.

        Returns:
            New text, an event, or None if it means neither. Where it means two, or where text was held back before it,
            the payload is put back for the rest.
        """
        self._heard = True  # the first event of a reply is interpreted here, whatever it is
        found = self._read_object(raw)
        held = self._half or self._ends_empty or self._given or self.done
        self._plain = not held and self.served_model is not None
        self.idle = False  # a payload may have been put back
        return found

    def _read_object(self, raw: bytes) -> str | Event | None:
        """Interpret a JSON object, or words if it is none."""
        if self._given:
            return self._read_on(raw)
        payload = read_json(raw)
        if payload is None:
            return self._read_words(raw)
        if _is_error(payload):
            if self._half:
                self._payloads.appendleft(raw)
                return self._flush()
            from .refusal import service_error  # which most conversations never need

            raise service_error(200, raw)
        model = payload.get("model")
        if self.served_model is None and isinstance(model, str) and model:
            self.served_model = _encodable(model)
        name, text = reply_text(payload)
        if name is not None:
            self._ends_empty = not text
            text = self._join_halves(text)
        if is_more(payload, text=name):
            self._payloads.appendleft(raw)
            self._given, self._more = 1, events_of(payload, raw, text=name)
        return text or None

    def _read_on(self, raw: bytes) -> Event | None:
        """Return the next event of a payload whose text was returned, until there is none."""
        if self._more is None:
            payload = read_json(raw) or {}
            self._more = islice(events_of(payload, raw, text=reply_text(payload)[0]), self._given - 1, None)
        event = next(self._more, None)
        if event is None:
            self._given, self._more = 0, None
            return None
        self._payloads.appendleft(raw)
        self._given += 1
        if isinstance(event, Kept):
            self._keep(event)
        return event

    def _keep(self, event: Kept) -> None:
        """Keep an event for the end of the turn.

        Raises:
            StreamTooLarge: those that are kept take more memory than the bound.
        """
        self._kept_size += _memory(event)
        limit = self._max_reply_bytes // 2
        if self._kept_size > limit:
            text = f"what the reply has besides its text takes more than {limit} bytes of memory"
            raise StreamTooLarge(text, limit=limit)
        self._kept.append(event)

    def _read_words(self, raw: bytes) -> str | Event | None:
        """Interpret words in brackets: one, or several that are put back one by one."""
        stripped = raw.strip()
        words = split_words(stripped)
        if not words:
            if stripped.startswith(_DONE):  # the reply is complete, whatever stands behind it
                self._payloads.appendleft(_DONE)
            return UnknownPayload(raw) if is_json(raw) else self._malformed(raw)
        if len(words) > 1:
            words.sort(key=lambda word: word == _DONE)  # the others come before the end
            self._payloads.extendleft(reversed(words))
            return None
        name, colon, value = stripped[1:-1].partition(b":")
        text = str(value, "utf-8", "replace")
        match str(name, "ascii"), bool(colon):
            case "DONE", False:
                return self._finish()
            case "PING", False:
                return Heartbeat()
            case "CHAT_TITLE", True:
                self.title = text
                return ConversationTitle(text)
            case "STOP_REASON", True:
                if text == "max_tokens":
                    self.finish_reason = "length"
                return StopReason(text)
            case word, False if word.startswith("LIMIT_") and word != "LIMIT_":
                if word == "LIMIT_OUTPUT":
                    self.finish_reason = "length"
                self.limit_reached = self.limit_reached or word == "LIMIT_CONVERSATION"
                self._limit = word.removeprefix("LIMIT_").lower()
                return LimitReached(self._limit)
        return UnknownPayload(raw)

    def _malformed(self, raw: bytes) -> MalformedPayload:
        if self._strict:
            shown = printable(str(raw[:200], "utf-8", "replace"))
            raise MalformedEvent(f"a payload is neither JSON nor a word: {shown}", raw=raw)
        return MalformedPayload(raw)

    def _finish(self) -> str | None:
        """End the reply, and return text that was held back."""
        text = self._flush()
        if not (text or self.has_content):
            from .refusal import limit_error  # which most conversations never need

            raise limit_error(self._limit) or EmptyResponseError(
                "the reply is complete, and holds neither text nor anything else; ask again, or differently"
            )
        self.done = True
        self._whole_until = -1
        self._payloads.clear()
        return text or None

    # The text

    def _join_halves(self, text: str) -> str:
        """Join a held half of a character to a message, and hold back the half that the message ends with."""
        if text.isascii() and not self._half:
            return text
        units = self._half + text.encode("utf-16-le", "surrogatepass")
        whole = units[:-2] if 0xD8 <= units[-1] <= 0xDB else units
        self._half = units[len(whole) :]
        return whole.decode("utf-16-le", "replace")

    def _flush(self) -> str:
        """Return U+FFFD for a held half, whose other did not come; empty if there is none."""
        half, self._half = self._half, b""
        return half.decode("utf-16-le", "replace")

    def _begin_to_measure(self) -> None:
        """Measure the text from here on if it could pass its bound within a slice: before, it has too few bytes."""
        if not self._measuring and self._size + _SLICE > self._max_reply_bytes // 8:
            text, self._measuring = self.text, True
            self._length, self._width = len(text), _width(text)

    def _measure(self, text: str) -> None:
        """Check how much memory the text takes with a new delta: one wide character widens all of it.

        Raises:
            StreamTooLarge: it takes more than the bound.
        """
        self._length += len(text)
        self._width = max(self._width, _width(text))
        limit = self._max_reply_bytes // 2
        if self._length * self._width > limit:
            raise StreamTooLarge(f"the text of the reply takes more than {limit} bytes of memory", limit=limit)

    def _join(self) -> None:
        self._joined.append("".join(self._deltas))
        self._deltas.clear()


def _is_error(payload: dict[str, Any]) -> bool:
    """Return whether a payload says that the service broke off."""
    action, kind = payload.get("action"), payload.get("type")
    is_named = action is None and isinstance(kind, str) and kind.startswith("ERR_")
    return action == "error" or is_named or payload.get("role") == "error"


def _memory(event: Kept) -> int:
    """Return how many bytes an event takes, at most."""
    texts = (value for value in msgspec.structs.astuple(event) if isinstance(value, str))
    return _EVENT_BYTES + sum(len(text) * _width(text) for text in texts)


def _width(text: str) -> int:
    """Return how many bytes each character of a `str` takes, at most."""
    if text.isascii():
        return 1
    return 4 if _WIDE.search(text) else 2


def _encodable(text: str) -> str:
    """Join surrogate pairs, and replace each half without its other with U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
