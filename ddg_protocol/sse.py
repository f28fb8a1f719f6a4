"""The event-stream decoder: the WHATWG HTML standard's "interpreting an event stream", to the letter.

Useful by itself to anyone who reads server-sent events::

    decoder = EventStreamDecoder()
    for chunk in response:
        for event in decoder.feed(chunk):
            print(event.event, event.data)
    if decoder.close():
        print("the last event was cut off")

There are two ways through the decoder, and no caller can tell which one a chunk took. A chunk that is *proven* to be
nothing but ``data: ...`` blocks is cut with `bytes.split`; anything else goes through the exact machine, line by line.
"""

from __future__ import annotations

import msgspec

from .errors import LocalProtocolError, StreamTooLarge

__all__ = ["EventStreamDecoder", "ServerSentEvent"]

DEFAULT_MAX_EVENT_BYTES = 1024 * 1024

_LF, _CR, _COLON = 10, 13, 58
_BOM = b"\xef\xbb\xbf"
_PREFIX = b"data: "
_BETWEEN = b"\n\ndata: "

#: No time that is meant has more digits, and `int` refuses longer ones under some settings of the interpreter.
_MAX_RETRY_DIGITS = 600


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of the stream.

    Attributes:
        event: its type; ``"message"`` where the stream names none.
        data: its data lines, joined by LF.
        id: the last event ID when it was dispatched; it persists from event to event.
        retry: the reconnection time that its own block set, in milliseconds, or None.
    """

    event: str
    data: str
    id: str = ""
    retry: int | None = None


class Remainder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a decoder keeps between two chunks, as far as the data of events goes (not their types, IDs and times).

    Attributes:
        at_start: whether a byte order mark may still come.
        after_cr: whether an LF that comes next belongs to the last line's end.
        in_block: whether the last whole line was not an empty one.
        too_large: whether the bound was passed and this was not said yet.
        data: the data lines of the unfinished event, without their line ends.
        tail: the unfinished line.
    """

    at_start: bool
    after_cr: bool
    in_block: bool
    too_large: bool
    data: list[bytes]
    tail: bytes


class EventStreamDecoder:
    r"""Turns the bytes of one event stream, however they are cut into chunks, into its events.

    UTF-8 with replacement, one leading byte order mark dropped, lines ended by CR LF, LF or CR and by nothing else. An
    event is out with the chunk that holds the end of its empty line: at a CR at once, without waiting for an LF.

    Time is linear in the length of the stream, and memory is bounded.

    Args:
        max_event_bytes: the longest line, without its end, and the most data of one event, each line with an LF.

    Attributes:
        last_event_id: what a reconnection sends as ``Last-Event-ID``; empty for none.
        reconnection_time: as the stream set it, in milliseconds, or None.
        too_large: whether the bound was passed: the next call raises it.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_closed",
        "_data",
        "_event",
        "_id",
        "_in_block",
        "_max",
        "_retry",
        "_tail",
        "_whole",
        "last_event_id",
        "reconnection_time",
        "too_large",
    )

    def __init__(self, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        self.last_event_id = ""
        self.reconnection_time: int | None = None
        self._max = max_event_bytes
        self._tail = bytearray()  # the unfinished line
        self._at_start = True
        self._after_cr = False
        # The unfinished block.
        self._in_block = False
        self._data = bytearray()  # its data lines, each with an LF: an object for each could take 20 times as much
        self._event = ""
        self._id = ""
        self._retry: int | None = None
        self.too_large = False
        self._closed = False
        # How long a chunk may be that holds one whole block: nothing while anything is unfinished.
        self._whole = 0

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take a chunk in.

        Args:
            data: the next bytes of the stream; any number of them, none included.

        Returns:
            The events that this chunk finished, in order.

        Raises:
            StreamTooLarge: a line or an event is longer than the bound. Events before it are given out first; then
                it is raised by the next call.
            LocalProtocolError: after `close`.
        """
        if self._tail and _LF not in data and _CR not in data:
            self._tail += data
            if len(self._tail) <= self._max:
                return []
            self.too_large = True
        payloads = self._cut(data)
        if payloads is not None:
            last_id = self.last_event_id
            return [ServerSentEvent("message", str(payload, "utf-8", "replace"), last_id) for payload in payloads]
        return [
            ServerSentEvent(event or "message", str(payload, "utf-8", "replace"), last_id, retry)
            for event, payload, last_id, retry in self._read(data)
        ]

    def feed_data(self, data: bytes) -> list[bytes]:
        """Take a chunk in, and give the data of its events alone, as bytes: for parsers that take bytes.

        Args:
            data: the next bytes of the stream; any number of them, none included.

        Returns:
            The data of the events that this chunk finished, in order, not yet decoded: it may hold invalid UTF-8.

        Raises:
            StreamTooLarge: see `feed`.
            LocalProtocolError: after `close`.
        """
        size = len(data)
        if size <= self._whole:  # as `whole_block` has it: a call here would cost a tenth of the whole way
            payload = data.removeprefix(b"data: ").removesuffix(b"\n\n")
            if len(payload) == size - 8 and 10 not in payload and 13 not in payload:
                return [payload]
        if self._tail and _LF not in data and _CR not in data:
            self._tail += data
            if len(self._tail) <= self._max:
                return []
            self.too_large = True
        payloads = self._cut(data)
        if payloads is None:
            payloads = [payload for _, payload, _, _ in self._read(data)]
        return payloads

    def whole_block(self, data: bytes) -> bytes | None:
        r"""Take a chunk in if it is one whole ``data: ...`` block, as most chunks of a reply are; else leave it.

        Args:
            data: the next bytes of the stream.

        Returns:
            The data of its event; or None, and the chunk is still to be fed.
        """
        size = len(data)
        if size <= self._whole:
            # Cheaper than `startswith`, `endswith` and a slice: whether both were there shows in the length.
            # LF and CR as literals: two names fewer to look up are a twentieth of it.
            payload = data.removeprefix(b"data: ").removesuffix(b"\n\n")
            if len(payload) == size - 8 and 10 not in payload and 13 not in payload:
                return payload
        return None

    def close(self) -> bool:
        """End the stream. What is unfinished is discarded, as the standard has it.

        Returns:
            Whether an unfinished event was discarded: one with data, or with a line that may have been data.

        Raises:
            StreamTooLarge: see `feed`.
        """
        if self.too_large:
            raise self.error()
        discarded = self.unfinished is not None
        self._tail.clear()
        self._data.clear()
        self._closed = True
        self._whole = 0
        return discarded

    @property
    def unfinished(self) -> bytes | None:
        """The data that has come of an event that is not finished; None where none was begun."""
        tail = bytes(self._tail)
        if self._at_start:
            tail = tail.removeprefix(_BOM)
        name, _, value = tail.partition(b":")
        lines = self._lines
        if name == b"data" or (tail and b"data".startswith(tail)):
            lines.append(value.removeprefix(b" "))
        return b"\n".join(lines) if lines else None

    @property
    def _lines(self) -> list[bytes]:
        """The data lines of the unfinished event."""
        return bytes(self._data).split(b"\n")[:-1]

    @property
    def remainder(self) -> Remainder:
        """What to begin another decoder with so that its `feed_data` goes on where this one is."""
        return Remainder(
            at_start=self._at_start,
            after_cr=self._after_cr,
            in_block=self._in_block,
            too_large=self.too_large,
            data=self._lines,
            tail=bytes(self._tail),
        )

    @classmethod
    def resume(cls, remainder: Remainder, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> EventStreamDecoder:
        """Go on where another decoder was.

        Args:
            remainder: that decoder's `remainder`.
            max_event_bytes: as for a new decoder.

        Returns:
            A decoder that gives by `feed_data` what the other one would have given.

        Raises:
            ValueError: no decoder has such a remainder.
        """
        if any(end in line for line in (*remainder.data, remainder.tail) for end in (_LF, _CR)):
            raise ValueError("a line of an event can't hold a line end")
        if (remainder.data and not remainder.in_block) or (remainder.at_start and remainder.in_block):
            raise ValueError("data without a block that it is in")
        decoder = cls(max_event_bytes=max_event_bytes)
        decoder._at_start = remainder.at_start
        decoder._after_cr = remainder.after_cr
        decoder._in_block = remainder.in_block
        decoder.too_large = remainder.too_large
        decoder._data += b"".join(line + b"\n" for line in remainder.data)
        decoder._tail += remainder.tail
        return decoder

    def _cut(self, data: bytes) -> list[bytes] | None:
        """Cut a chunk that is proven to be nothing but ``data: ...`` blocks, or say that it isn't."""
        if self._in_block or self._after_cr or self.too_large or self._closed or _CR in data:
            return None
        end = data.rfind(b"\n\n")
        begun = self._tail or data
        if end < 0 or not begun.startswith(_PREFIX):
            return None
        body = bytes(self._tail[len(_PREFIX) :]) + data[:end] if self._tail else data[len(_PREFIX) : end]
        payloads = [body]
        if _LF in body:
            payloads = body.split(_BETWEEN)
            if _LF in b"".join(payloads):
                return None
        if len(body) + len(_PREFIX) > self._max and max(map(len, payloads)) + len(_PREFIX) > self._max:
            return None
        self._tail.clear()
        self._at_start = False
        self._whole = self._max
        rest = data[end + 2 :]
        if rest:
            self._run(rest)  # no empty line is left in it, so it gives nothing
        return payloads

    def _read(self, data: bytes) -> list[tuple[str, bytes, str, int | None]]:
        """Take a chunk in by the exact machine; see `_run`."""
        if self._closed:
            raise LocalProtocolError("this event stream was closed; a new stream needs a new decoder")
        events = [] if self.too_large else self._run(data)
        if self.too_large and not events:
            self._tail.clear()
            raise self.error()
        return events

    def _run(self, data: bytes) -> list[tuple[str, bytes, str, int | None]]:
        """Follow the standard line by line; give type, data, last ID and retry of the events that end here."""
        events: list[tuple[str, bytes, str, int | None]] = []
        if self._after_cr and data.startswith(b"\n"):
            self._after_cr = False
            data = data[1:]
        if not data:
            return events
        self._after_cr = data.endswith(b"\r")
        if _CR in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, tail = data.split(b"\n")
        if lines and self._tail:
            lines[0] = bytes(self._tail) + lines[0]
            self._tail.clear()
        for line in lines:
            self.too_large = self.too_large or len(line) > self._max
            if self.too_large:
                break
            if self._at_start:
                self._at_start = False
                line = line.removeprefix(_BOM)
            if line:
                self._in_block = True
                if line[0] != _COLON:  # a comment
                    self._field(line)
                continue
            if not self._in_block:
                continue
            # The ID counts from here on even if no event is dispatched.
            self._in_block = False
            self.last_event_id = self._id
            if self._data:
                events.append((self._event, bytes(self._data[:-1]), self._id, self._retry))
                self._data.clear()
            self._event = ""
            self._retry = None
        if tail:  # the first piece of its line: others never come here
            self._tail += tail
            self.too_large = self.too_large or len(tail) > self._max
        unfinished = self._in_block or self._after_cr or self._tail or self.too_large
        self._whole = 0 if unfinished else self._max
        return events

    def _field(self, line: bytes) -> None:
        """Process one line that is neither empty nor a comment."""
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._data += value
            self._data += b"\n"
            self.too_large = len(self._data) > self._max
        elif name == b"event":
            self._event = str(value, "utf-8", "replace")
        elif name == b"id":
            if 0 not in value:
                self._id = str(value, "utf-8", "replace")
        elif name == b"retry" and value.isdigit():  # of bytes: ASCII digits, and one at least
            digits = value.lstrip(b"0")
            if len(digits) <= _MAX_RETRY_DIGITS:
                self._retry = self.reconnection_time = int(digits or b"0")

    def error(self) -> StreamTooLarge:
        """Give what is raised once the bound was passed."""
        return StreamTooLarge(f"a line or an event of the stream is longer than {self._max} bytes", limit=self._max)
