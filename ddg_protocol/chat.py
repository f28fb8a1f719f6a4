"""The chat request, and what each payload of its reply means (PROTOCOL.md section 6)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NoReturn

import msgspec

from .conversation import Message
from .errors import (
    ConversationFormatError,
    EmptyResponseError,
    IncompleteStream,
    LocalProtocolError,
    MalformedEvent,
    StreamTooLarge,
)
from .events import (
    ConversationTitle,
    Event,
    FinishReason,
    Heartbeat,
    LimitReached,
    MalformedPayload,
    StopReason,
    TextDelta,
    UnknownPayload,
)
from .headers import Headers
from .policy import Policy
from .profile import ServiceProfile
from .refusal import service_error
from .sse import EventStreamDecoder, Remainder
from .steps import identity_headers, origin_headers
from .text import encodable, printable

__all__ = ["format_prompt", "last_user_message"]

# The request


def chat_headers(profile: ServiceProfile, fe_version: str, vqd: str, answer: str) -> Headers:
    """Give the header fields of the chat request (PROTOCOL.md section 2).

    Args:
        profile: what is known of the service.
        fe_version: the front-end version; empty when it is not known.
        vqd: the token.
        answer: the answer to the challenge that came with it; empty for none.

    Returns:
        The fields. ``identity`` is the only coding asked for: each event must come through at once.
    """
    brands = profile.identity.sec_ch_ua
    return (
        *identity_headers(profile),
        *profile.chat_headers,
        *origin_headers(profile),
        *((("sec-ch-ua", brands),) if brands else ()),
        ("accept-encoding", "identity"),
        ("x-fe-version", fe_version),
        ("x-vqd-4", vqd),
        ("x-vqd-hash-1", answer),
    )


def chat_body(profile: ServiceProfile, model: str, messages: Sequence[Message]) -> bytes:
    """Give the chat request's body.

    Args:
        profile: has members of the body beside those two.
        model: the id of the model.
        messages: the history and the new one.

    Returns:
        JSON, in UTF-8.
    """
    return msgspec.json.encode({"model": model, "messages": messages, **profile.extra_body})


def format_prompt(messages: Sequence[Message | Mapping[str, Any]]) -> str:
    """Make the first turn's prompt: one message as it is, several as a line ``Role: content`` each.

    Args:
        messages: with ``role`` and ``content``; a content is text or a list of parts
            ``{"type": "text", "text": ...}``.

    Returns:
        The content of the one user message that is sent.

    Raises:
        LocalProtocolError: the messages are not of that form; it names the one and says what was expected.
    """
    pairs = _read_messages(messages)
    if len(pairs) == 1:
        return pairs[0][1]
    lines = [f"{role.capitalize()}: {content}" for role, content in pairs if content.strip()]
    return "\n".join(lines) + "\nAssistant:"


def last_user_message(messages: Sequence[Message | Mapping[str, Any]]) -> str:
    """Make a later turn's message: the trailing run of user messages, each stripped, joined by LF, blanks skipped.

    Args:
        messages: as for `format_prompt`.

    Returns:
        The content of the user message that the history is continued with.

    Raises:
        LocalProtocolError: the messages are not of that form, or the last one is not the user's.
    """
    pairs = _read_messages(messages)
    if pairs[-1][0] != "user":
        role = printable(pairs[-1][0], 40)
        raise LocalProtocolError(
            f"messages[{len(pairs) - 1}]: a later turn ends in a user message, not one of the role '{role}'"
        )
    run: list[str] = []
    for role, content in reversed(pairs):
        if role != "user":
            break
        if text := content.strip():
            run.append(text)
    return "\n".join(reversed(run))


def read_question(messages: str | Sequence[Message | Mapping[str, Any]], *, first: bool) -> str:
    """Make the text of the one user message that a turn sends.

    Args:
        messages: the question, or messages as for `format_prompt`.
        first: whether it is the first turn of its conversation.

    Returns:
        The text.

    Raises:
        LocalProtocolError: the messages are not of that form, or can't be sent as UTF-8.
    """
    if isinstance(messages, str):
        messages = ({"role": "user", "content": messages},)
    content = format_prompt(messages) if first else last_user_message(messages)
    if not encodable(content):
        raise LocalProtocolError("the question has half of a surrogate pair in it, which can't be sent as UTF-8")
    return content


def _read_messages(messages: Sequence[Message | Mapping[str, Any]]) -> list[tuple[str, str]]:
    if not isinstance(messages, Iterable):
        raise LocalProtocolError(f"messages must be text or a list of messages, not {type(messages).__name__}")
    pairs = [_read_message(f"messages[{index}]", message) for index, message in enumerate(messages)]
    if not pairs:
        raise LocalProtocolError("messages must hold one message at least")
    return pairs


def _read_message(where: str, message: Message | Mapping[str, Any]) -> tuple[str, str]:
    if isinstance(message, Message):
        return message.role, message.content
    if not isinstance(message, Mapping):
        raise LocalProtocolError(f"{where} must be a mapping with role and content, not {type(message).__name__}")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise LocalProtocolError(f"{where}: role must be text, not {type(role).__name__}")
    if isinstance(content, str):
        return role, content
    if not isinstance(content, list | tuple):
        raise LocalProtocolError(f"{where}: content must be text or a list of text parts, not {type(content).__name__}")
    return role, "".join(_read_part(f"{where}: content[{index}]", part) for index, part in enumerate(content))


def _read_part(where: str, part: Any) -> str:
    text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
    if not isinstance(text, str):
        raise LocalProtocolError(f'{where} must be a text part, {{"type": "text", "text": ...}}')
    return text


# The reply


class Piece(msgspec.Struct, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A plain piece of the reply, and nothing but that: what isn't one fails to be decoded as one.

    The members are in the order in which the service sends them: msgspec looks for the next one first.

    Attributes:
        role: the assistant's, or absent.
        message: the text.
        created: not used.
        id: not used.
        action: there, and nothing else.
        model: not used; it is known by now.
    """

    role: Literal["assistant"] | None = None
    message: str
    created: float | str | None = None
    id: str | float | None = None
    action: Literal["success"]
    model: str | float | None = None


#: The members of a piece. They hold numbers and words; whatever else a payload holds is more than its text.
_BOOKKEEPING = frozenset({"action", "message", "role", "created", "id", "model", "status"})
#: What these hold is more than text even where it is empty (PROTOCOL.md section 6).
_PARTS = frozenset({"parts", "source"})


class _Saved(msgspec.Struct, forbid_unknown_fields=True):
    """A reader's state; the names are its attributes'."""

    remainder: Remainder
    payloads: list[bytes]
    unread: bytes
    size: int
    text: str
    half: int
    text_given: bool
    last_empty: bool
    output_limit: bool
    limit_reached: bool
    title: str | None
    served_model: str | None
    ended: bool
    done: bool
    finish_reason: FinishReason

    def check(self) -> None:
        """Refuse what no reader can have come to.

        Raises:
            ValueError: what.
        """
        if self.half and not 0xD800 <= self.half <= 0xDBFF:
            raise ValueError("half is not a high surrogate")
        if self.ended and not (self.done or self.half):
            raise ValueError("ended, and neither done nor half a character left")
        if self.done and (self.payloads or self.unread or not self.text):
            raise ValueError("done, with payloads left or without text")
        if self.size < 0:
            raise ValueError("size is not a number of bytes")
        if self.text_given and not (self.payloads and self.text):
            raise ValueError("text_given, and no payload whose text it was")
        msgspec.json.encode(self)  # fails for text that can't be encoded


decode_piece = msgspec.json.Decoder(Piece).decode
_decode_payload = msgspec.json.Decoder(dict[str, Any]).decode

#: What the decoders raise; nothing else.
_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_DONE = b"[DONE]"
#: A word ends at a bracket that ends the payload or is followed by another word: titles may hold brackets.
_WORD = re.compile(rb"\[([A-Z_][A-Z0-9_]*)(?::(.*?))?\](?=\[[A-Z_]|\Z)", re.DOTALL)

#: The most bytes that are cut into payloads at once: 64 KiB of tiny events take 1 MiB of memory.
_SLICE = 64 * 1024
#: How many pieces of text are kept before they are joined: each takes 50 bytes beside its text.
_MANY_PIECES = 1024
#: Characters of which each makes a `str` take four bytes for every character.
_WIDE = re.compile("[\U00010000-\U0010ffff]")


class ReplyReader:
    """The reply of one chat request: body bytes in, events out, one at a time.

    A payload is interpreted when its event is asked for, and nothing that can be seen from outside moves before.

    Attributes:
        chunks: what has come of the body, content-decoded, cut anywhere, and was not looked at. Append to it.
        idle: whether nothing else is at hand.
        done: whether the reply is complete; what follows is ignored.
        finish_reason: why it ended, once it is done.
        title: the conversation's title, if one came.
        limit_reached: whether the conversation has reached its limit.
        served_model: the first model that a payload named, or None.
    """

    __slots__ = (
        "_decoder",
        "_ended",
        "_half",
        "_joined",
        "_last_empty_at",
        "_look_at",
        "_max_reply_bytes",
        "_measure_from",
        "_output_limit",
        "_payloads",
        "_pieces",
        "_plain",
        "_rest",
        "_size",
        "_strict",
        "_text_given",
        "_text_length",
        "_text_width",
        "chunks",
        "done",
        "finish_reason",
        "idle",
        "limit_reached",
        "served_model",
        "title",
    )

    def __init__(self, policy: Policy) -> None:
        """Begin a reply.

        Args:
            policy: whether a malformed payload is raised or given as an event, and the bounds of events and replies.
        """
        self.chunks: deque[bytes] = deque()
        self._strict = policy.strict
        self._max_reply_bytes = policy.max_reply_bytes
        self._measure_from = policy.max_reply_bytes // 8  # so few bytes can't be text that takes half of the bound
        self._decoder = EventStreamDecoder(max_event_bytes=policy.max_event_bytes)
        self._rest: memoryview | None = None  # of the chunk that is being cut into payloads
        self._payloads: deque[bytes] = deque()
        self._size = 0  # how many bytes of the stream were cut into payloads
        self._look_at = 0  # the size from which on a chunk does not go the short way: there is something to be done
        # The text, in pieces: those that were joined, and those since then.
        self._joined: list[str] = []
        self._pieces: list[str] = []
        self._text_length = 0  # in characters, once it is measured
        self._text_width = 0  # the bytes of each in memory; 0 until it is measured
        self._last_empty_at = -1  # how many pieces there were when an empty one came
        self._half = ""  # a high surrogate that waits for its low one
        self._text_given = False  # of the payload that is next, which has more to it
        self._plain = False  # whether a plain piece may be next: none of these and not the end, and the model is known
        self._output_limit = False
        self._ended = False
        self.idle = True
        self.done = False
        self.finish_reason: FinishReason = "length"
        self.title: str | None = None
        self.limit_reached = False
        self.served_model: str | None = None

    @property
    def text(self) -> str:
        """All pieces that were given out, joined."""
        self._join_pieces()
        text = "".join(self._joined)
        self._joined = [text] if text else []
        return text

    @property
    def has_pieces(self) -> bool:
        """Whether a `TextDelta` was given out."""
        return bool(self._pieces or self._joined)

    def next_event(self) -> Event | None:
        """Interpret as many payloads as make one event.

        Returns:
            The event, or None: more bytes are needed, or the reply is done.

        Raises:
            MalformedEvent: a payload is neither JSON of a known shape nor a known word, and the reader is strict.
            ServiceError: the service broke off with an error.
            EmptyResponseError: the service says that the reply is complete, and there is no text.
            StreamTooLarge: an event or the reply is longer than its bound.
        """
        while True:
            if self.idle:
                try:
                    data = self.chunks.popleft()
                except IndexError:
                    return None
                size = self._size + len(data)
                raw = self._decoder.whole_block(data) if size <= self._look_at else None
                if raw is None:
                    self._cut(memoryview(data))
                    continue
                self._size = size
            elif self._payloads:
                raw = self._payloads.popleft()
            elif self._decoder.too_large and not self.done:
                raise self._decoder.error()
            elif self._rest is not None:
                self._cut(self._rest)
                continue
            else:
                self.idle = True
                continue
            if self._plain:
                try:
                    text = decode_piece(raw).message
                except _NOT_DECODED:
                    pass
                else:
                    if text:
                        self._pieces.append(text)
                        return TextDelta(text)
                    self._last_empty_at = len(self._pieces)
                    continue
            event = self._interpret(raw)
            held = self._half or self._text_given or self._ended or self.done
            self._plain = not (held or self.served_model is None or self._size > self._measure_from)
            self.idle = False  # a payload may have been put back
            if event is not None:
                return event

    def end(self) -> None:
        """Take the body's clean end in, once `next_event` returns None. It may return one event more afterwards.

        Raises:
            IncompleteStream: an event that could hold text is not finished.
            EmptyResponseError: there is no text.
        """
        if self.done:
            return
        unfinished = self._decoder.unfinished
        if unfinished is not None and not unfinished.lstrip().startswith(b"["):
            raise IncompleteStream("the reply ended in the middle of an event")
        if self._half:
            self._ended, self._plain, self.idle = True, False, False
            self._payloads.append(b"")
        else:
            self._finish(self._reason_of_end)

    @property
    def _reason_of_end(self) -> FinishReason:
        """Why a reply ended whose body ends here, without a word."""
        return "stop" if self._last_empty_at == len(self._pieces) else "length"

    def to_data(self) -> dict[str, Any]:
        """Give the reader's state, as data that JSON can hold; `from_data` makes a reader of it that goes on."""
        text = self.text
        saved = _Saved(
            remainder=self._decoder.remainder,
            payloads=list(self._payloads),
            unread=bytes(self._rest or b""),
            size=self._size,
            text=text,
            half=ord(self._half) if self._half else 0,
            text_given=self._text_given,
            last_empty=self._last_empty_at == len(self._pieces),
            output_limit=self._output_limit,
            limit_reached=self.limit_reached,
            title=self.title,
            served_model=self.served_model,
            ended=self._ended,
            done=self.done,
            finish_reason=self.finish_reason,
        )
        data: dict[str, Any] = msgspec.to_builtins(saved)
        return data

    @classmethod
    def from_data(cls, data: object, policy: Policy) -> ReplyReader:
        """Go on where another reader was.

        Args:
            data: that reader's `to_data`.
            policy: as for a new reader.

        Returns:
            A reader that gives what the other one would have given.

        Raises:
            ConversationFormatError: the data is not of that form.
        """
        reader = cls(policy)
        try:
            saved = msgspec.convert(data, _Saved)
            saved.check()
            reader._decoder = EventStreamDecoder.resume(saved.remainder, max_event_bytes=policy.max_event_bytes)
        except (msgspec.ValidationError, ValueError) as error:
            raise ConversationFormatError(
                f"the reply in the snapshot can't be read: {printable(str(error))}"
            ) from error
        reader._payloads.extend(saved.payloads)
        reader._rest = memoryview(saved.unread) if saved.unread else None
        reader._size = saved.size
        reader.idle = False
        if saved.text:
            reader._joined.append(saved.text)
        if saved.last_empty:
            reader._last_empty_at = 0
        reader._half = chr(saved.half) if saved.half else ""
        reader._text_given = saved.text_given
        reader._output_limit = saved.output_limit
        reader._ended = saved.ended
        reader.limit_reached = saved.limit_reached
        reader.title = saved.title
        reader.served_model = saved.served_model
        reader.done = saved.done
        reader.finish_reason = saved.finish_reason
        return reader

    def _cut(self, rest: memoryview) -> None:
        """Cut the next bytes into payloads, so few that little memory is taken, and check the bounds."""
        if self.done or not rest:
            return  # what follows the end is ignored
        if self._size >= self._max_reply_bytes:
            limit = self._max_reply_bytes
            raise StreamTooLarge(f"the reply is longer than {limit} bytes", limit=limit)
        data = bytes(rest[: min(_SLICE, self._max_reply_bytes - self._size)])
        self._rest = rest[len(data) :] or None
        self._size += len(data)
        self.idle = False
        if len(self._pieces) >= _MANY_PIECES:
            self._join_pieces()
        # From here on no chunk and no piece goes the short way, on which the text is not measured.
        self._look_at = min(self._size + _SLICE, self._measure_from)
        self._plain = self._plain and self._size <= self._measure_from
        with suppress(StreamTooLarge):  # it is raised after the payloads before
            self._payloads.extend(self._decoder.feed_data(data))

    def _join_pieces(self) -> None:
        if self._pieces:
            self._last_empty_at = 0 if self._last_empty_at == len(self._pieces) else -1
            self._joined.append("".join(self._pieces))
            self._pieces.clear()

    def _interpret(self, raw: bytes) -> Event | None:
        """Do what a payload says, or the first part of it, with the rest of it put back."""
        if self._ended:
            reason = self._reason_of_end
            event = self._give(self._flush())
            self._finish(reason)
            return event
        if self._text_given:
            self._text_given = False
            return UnknownPayload(raw)
        payload = _read_payload(raw)
        if payload is None:
            return self._interpret_words(raw)
        action, kind = payload.get("action"), payload.get("type")
        if action == "error" or (action is None and isinstance(kind, str) and kind.startswith("ERR_")):
            if self._half:
                self._payloads.appendleft(raw)
                return self._give(self._flush())
            raise service_error(200, raw)
        by_assistant = payload.get("role") in (None, "assistant")
        unknown = not by_assistant or any(payload.get(name) is not None for name in _PARTS)
        if not (unknown or _is_piece(payload)):
            return self._malformed(raw)
        unknown = unknown or any(_is_more(name, value) for name, value in payload.items())
        model, message = payload.get("model"), payload.get("message")
        if self.served_model is None and isinstance(model, str) and model:
            self.served_model = _encodable(model)
        text = ""
        if by_assistant and isinstance(message, str):
            self._last_empty_at = -1 if message else len(self._pieces)
            text = self._join(message)
        if not text:
            return UnknownPayload(raw) if unknown else None
        if unknown:
            self._payloads.appendleft(raw)
            self._text_given = True
        return self._give(text)

    def _interpret_words(self, raw: bytes) -> Event | None:
        stripped = raw.strip()
        words = _split_words(stripped)
        if not words:
            # The turn is complete at the first [DONE], whatever stands behind it.
            if stripped.startswith(_DONE):
                self._payloads.appendleft(_DONE)
            return self._malformed(raw)
        if len(words) > 1:
            others = [word for word in words if word != _DONE]
            self._payloads.extendleft([_DONE] * (len(others) < len(words)))
            self._payloads.extendleft(reversed(others))
            return None
        if stripped == _DONE:
            if self._half:
                self._payloads.appendleft(raw)
                return self._give(self._flush())
            self._finish("stop")
            return None
        name, colon, value = stripped[1:-1].partition(b":")
        if stripped == b"[PING]":
            return Heartbeat()
        if name == b"CHAT_TITLE" and colon:
            self.title = str(value, "utf-8", "replace")
            return ConversationTitle(self.title)
        if name == b"STOP_REASON" and colon:
            return StopReason(str(value, "utf-8", "replace"))
        if name.startswith(b"LIMIT_") and len(name) > 6 and not colon:
            self.limit_reached = self.limit_reached or name == b"LIMIT_CONVERSATION"
            self._output_limit = self._output_limit or name == b"LIMIT_OUTPUT"
            return LimitReached(str(name[6:], "ascii").lower())
        return UnknownPayload(raw)

    def _malformed(self, raw: bytes) -> MalformedPayload:
        if self._strict:
            shown = printable(str(raw[:200], "utf-8", "replace"))
            raise MalformedEvent(f"a payload is neither JSON of a known shape nor a known word: {shown}", raw=raw)
        return MalformedPayload(raw)

    def _join(self, message: str) -> str:
        """Put a held half before a piece, and hold back the one that it ends with."""
        text, self._half = self._half + message, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return _encodable(text)

    def _flush(self) -> str:
        text, self._half = _encodable(self._half), ""
        return text

    def _give(self, text: str) -> TextDelta:
        if self._size > self._measure_from:
            self._measure(text)
        self._pieces.append(text)
        return TextDelta(text)

    def _measure(self, text: str) -> None:
        """Check how much memory the text would take with another piece: one wide character widens all of it.

        Raises:
            StreamTooLarge: more than the bound.
        """
        if not self._text_width:
            before = self.text
            self._text_length, self._text_width = len(before), _width(before)
        self._text_length += len(text)
        self._text_width = max(self._text_width, _width(text))
        limit = self._max_reply_bytes // 2
        if self._text_length * self._text_width > limit:
            raise StreamTooLarge(f"the text of the reply takes more than {limit} bytes of memory", limit=limit)

    def _finish(self, reason: FinishReason) -> None:
        if not self.has_pieces:
            raise EmptyResponseError("the reply is complete and holds no text")
        self.done = True
        self.finish_reason = "length" if self._output_limit else reason
        self._look_at = -1  # nothing goes the short way any more
        self._payloads.clear()
        self._rest = None
        self._plain = False


def _split_words(raw: bytes) -> list[bytes]:
    """Split ``[A][B:x]`` into its words; give none where it isn't made of words alone."""
    words: list[bytes] = []
    position = 0
    while match := _WORD.match(raw, position):
        words.append(match[0])
        position = match.end()
    return words if position == len(raw) else []


def _is_piece(payload: dict[str, Any]) -> bool:
    """Tell whether a payload is a piece of the reply; its text may be missing, and it may hold more than that."""
    action, message = payload.get("action"), payload.get("message")
    if message is None:
        return bool(action == "success")
    return isinstance(message, str) and (action is None or bool(action == "success"))


def _is_more(name: str, value: Any) -> bool:
    """Tell whether a member of a piece holds something beside its text."""
    if name in _BOOKKEEPING:
        return isinstance(value, dict | list)
    return value is not None and value not in ("", [], {})


def _width(text: str) -> int:
    """Tell how many bytes each character of a `str` takes, at most."""
    if text.isascii():
        return 1
    return 4 if _WIDE.search(text) else 2


def _read_payload(raw: bytes) -> dict[str, Any] | None:
    """Read a JSON payload; None where it is not a JSON object."""
    if not raw.lstrip().startswith(b"{"):  # words, mostly: that it is no JSON would cost several times as much to find
        return None
    try:
        return _decode_payload(raw)
    except _NOT_DECODED:
        pass
    from json import loads  # which most conversations never need

    # msgspec refuses halves of surrogate pairs and invalid UTF-8; the standard library reads the former, and the
    # latter is what the event stream has U+FFFD for. Numbers mean nothing here, and `int` refuses long ones.
    try:
        payload = loads(str(raw, "utf-8", "replace"), parse_int=float, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _encodable(text: str) -> str:
    """Join surrogate pairs, and put U+FFFD for each half without its other."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
