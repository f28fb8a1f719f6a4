"""The event-stream decoder: the WHATWG HTML standard's "interpreting an event stream", to the letter.

Useful by itself to anyone who reads server-sent events::

    decoder = EventStreamDecoder()
    for chunk in response:
        for event in decoder.feed(chunk):
            print(event.event, event.data)
    if decoder.close():
        print("the last event was cut off")

`EventStreamDecoder._read` follows the standard line by line. Most chunks of a reply don't need that: they are nothing
but ``data: ...`` blocks, and `EventStreamDecoder._cut` splits them at once. No caller can see which of the two ran.
"""

from __future__ import annotations

import msgspec

from .errors import LocalProtocolError, StreamTooLarge

__all__ = ["EventStreamDecoder", "ServerSentEvent"]

DEFAULT_MAX_EVENT_BYTES = 1024 * 1024

_LF, _CR = 10, 13
_BOM = b"\xef\xbb\xbf"
_PREFIX = b"data: "
_END = b"\n\n"
_OBJECTS = (b"data: {", b"data:{")
"""How a line begins that may be longer than others."""

#: No sensible time has more digits, and `int` refuses longer ones under some settings of the interpreter.
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


class EventStreamDecoder:
    r"""Turns the bytes of one event stream, however they are cut into chunks, into its events.

    UTF-8 with replacement, one leading byte order mark dropped, lines ended by CR LF, LF or CR and by nothing else. An
    event comes out with the chunk that holds the end of its empty line: at a CR at once, without waiting for an LF.

    Time is linear in the length of the stream, and memory is bounded.

    Args:
        max_event_bytes: the longest line, without its end, and the most data of one event, each line with an LF.
        max_object_bytes: the same for an event whose data is one line that begins with ``{``, if that is more.

    Attributes:
        last_event_id: what a reconnection sends as ``Last-Event-ID``; empty if there is none.
        reconnection_time: as the stream set it, in milliseconds, or None.
        too_large: whether the bound was passed: the next call raises `StreamTooLarge`.

    Raises:
        ValueError: ``max_event_bytes`` is not at least 1.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """

    def __init__(self, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES, max_object_bytes: int = 0) -> None:
        if max_event_bytes < 1:
            raise ValueError(f"max_event_bytes must be at least 1, not {max_event_bytes}")
        self.last_event_id = ""
        self.reconnection_time: int | None = None
        self.too_large = False
        self._max = max_event_bytes
        self._max_object = max(max_event_bytes, max_object_bytes)
        self._passed = 0  # the bound that was passed
        self._closed = False
        self._whole = 0  # how long a chunk may be that is one block: nothing while anything is unfinished
        self._at_start = True  # a byte order mark may come
        self._after_cr = False  # an LF that comes next belongs to the end of the last line
        self._tail = bytearray()  # the unfinished line
        # The unfinished event.
        self._in_block = False
        self._data = bytearray()  # its data lines, each with an LF: an object for each could take 20 times as much
        self._is_object = False  # whether they are one, which begins with `{`
        self._event = ""
        self._id = ""
        self._retry: int | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Decode the next chunk.

        Args:
            data: any number of bytes, none included.

        Returns:
            The events that this chunk finished, in order.

        Raises:
            StreamTooLarge: a line or an event is longer than the bound. Events before it are returned first; then
                the next call raises.
            LocalProtocolError: the stream was closed.
        """
        payloads = self._cut(data)
        if payloads is not None:
            return [ServerSentEvent("message", str(data, "utf-8", "replace"), self.last_event_id) for data in payloads]
        return [
            ServerSentEvent(event or "message", str(data, "utf-8", "replace"), last_id, retry)
            for event, data, last_id, retry in self._read(data)
        ]

    def feed_data(self, data: bytes) -> list[bytes]:
        """Decode the next chunk, and return the data of its events alone, as bytes: for parsers that take bytes.

        Args:
            data: any number of bytes, none included.

        Returns:
            The data of the events that this chunk finished, in order, not yet decoded: it may hold invalid UTF-8.

        Raises:
            StreamTooLarge: see `feed`.
            LocalProtocolError: the stream was closed.
        """
        payloads = self._cut(data)
        if payloads is None:
            payloads = [payload for _, payload, _, _ in self._read(data)]
        return payloads

    def close(self) -> bool:
        """End the stream, and discard an unfinished event, as the standard says.

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

    def error(self) -> StreamTooLarge:
        """Return the exception for a stream that passed the bound."""
        limit = self._passed
        return StreamTooLarge(f"a line or an event of the stream is longer than {limit} bytes", limit=limit)

    @property
    def waiting(self) -> int:
        """How many bytes of an event that is not finished are kept."""
        return len(self._data) + len(self._tail)

    @property
    def unfinished(self) -> bytes | None:
        """The data that has come of an event that is not finished; None where none was begun."""
        tail = bytes(self._tail)
        if self._at_start:
            tail = tail.removeprefix(_BOM)
        name, _, value = tail.partition(b":")
        lines = self._data_lines
        if name == b"data" or (tail and b"data".startswith(tail)):
            lines.append(value.removeprefix(b" "))
        return b"\n".join(lines) if lines else None

    @property
    def remainder(self) -> bytes:
        """A stream that leads a new decoder to where this one is, unless it is `too_large`.

        From there `feed_data` returns the same; types, IDs and times of events are not part of it.
        """
        # No line is longer than it came: one at the bound may have had no space behind the colon.
        begun = b"".join((b"data: " if line.startswith(b" ") else b"data:") + line + b"\n" for line in self._data_lines)
        if not (begun or self._at_start):
            begun = b"\n"  # means nothing, and no byte order mark can come after it
        if self._after_cr:
            begun = begun[:-1] + b"\r"
        return begun + self._tail

    @property
    def _data_lines(self) -> list[bytes]:
        return bytes(self._data).split(b"\n")[:-1]

    def whole_block(self, data: bytes) -> bytes | None:
        r"""Decode a chunk that is one ``data: ...`` block, as most chunks of a reply are.

        Args:
            data: the next bytes of the stream.

        Returns:
            The data of its event. None means that nothing was done, and the chunk is still to be fed.
        """
        # Cheaper than `startswith`, `endswith` and a slice: whether both were there shows in the length. LF and CR are
        # literals, since two names fewer to look up are a twentieth of it.
        payload = data.removeprefix(b"data: ").removesuffix(b"\n\n")
        size = len(data)
        if size > self._whole or len(payload) != size - 8 or 10 in payload or 13 in payload:
            return None
        return payload

    def _cut(self, data: bytes) -> list[bytes] | None:
        """Return the data of the events in a chunk of plain blocks, or within a line; None for any other chunk."""
        if self._tail and _LF not in data and _CR not in data and len(self._tail) + len(data) <= self._max:
            self._tail += data
            return []
        end = data.rfind(_END)
        if end < 0 or _CR in data or self._in_block or self._after_cr or self.too_large or self._closed:
            return None
        if self._tail:
            end += len(self._tail)
            data = bytes(self._tail) + data
        body, rest = data[len(_PREFIX) : end], data[end + 2 :]
        payloads = body.split(_END + _PREFIX)
        if not data.startswith(_PREFIX) or _LF in b"".join(payloads) or _LF in rest:
            return None
        if end > self._max and max(map(len, payloads)) > self._max - len(_PREFIX):
            return None
        self._at_start = False
        self._tail[:] = rest
        if len(rest) > self._max:
            self._check(self._tail)
        self._whole = 0 if rest else self._max
        return payloads

    def _read(self, data: bytes) -> list[tuple[str, bytes, str, int | None]]:
        """Follow the standard line by line.

        Returns:
            Type, data, last ID and retry of each event that ends in this chunk.
        """
        if self._closed:
            raise LocalProtocolError("this event stream was closed; a new stream needs a new decoder")
        if self.too_large:
            raise self.error()
        events: list[tuple[str, bytes, str, int | None]] = []
        for line in self._split(data):
            if max(len(line), len(self._data)) > self._max and self._check(line):
                break
            if self._at_start:
                self._at_start = False
                line = line.removeprefix(_BOM)
            if line:
                self._in_block = True
                self._read_field(line)
            elif self._in_block:
                self._in_block = False
                self.last_event_id = self._id  # even where no event is dispatched
                if self._data:
                    events.append((self._event, bytes(self._data[:-1]), self._id, self._retry))
                    self._data.clear()
                self._event = ""
                self._retry = None
        else:
            if max(len(self._tail), len(self._data)) > self._max:
                self._check(self._tail)
        unfinished = self._at_start or self._in_block or self._after_cr or self._tail or self.too_large
        self._whole = 0 if unfinished else self._max
        if self.too_large and not events:
            raise self.error()
        return events

    def _check(self, line: bytes | bytearray) -> bool:
        """Check a line, which may be unfinished, and the data before it against the bounds; return `too_large`."""
        begun = bytes(line[: len(_OBJECTS[0])])
        is_object = not self._data and (begun.startswith(_OBJECTS) or any(each.startswith(begun) for each in _OBJECTS))
        limits = (
            (len(line), self._max_object if is_object else self._max),
            (len(self._data), self._max_object if self._is_object else self._max),
        )
        self._passed = next((limit for size, limit in limits if size > limit), 0)
        self.too_large = self._passed > 0
        return self.too_large

    def _split(self, data: bytes) -> list[bytes]:
        """Return the lines that end in a chunk, without their ends, and keep the unfinished one."""
        if not data:
            return []
        begun = data.removeprefix(b"\n") if self._after_cr else data
        self._after_cr = data.endswith(b"\r")
        if _CR in begun:
            begun = begun.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, tail = begun.split(b"\n")
        if lines and self._tail:
            lines[0] = bytes(self._tail) + lines[0]
            self._tail.clear()
        self._tail += tail
        return lines

    def _read_field(self, line: bytes) -> None:
        """Process a line that is not empty. The name of a comment is empty, and means nothing."""
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._is_object = not self._data and value.startswith(b"{")
            self._data += value + b"\n"
        elif name == b"event":
            self._event = str(value, "utf-8", "replace")
        elif name == b"id" and 0 not in value:
            self._id = str(value, "utf-8", "replace")
        elif name == b"retry" and value.isdigit():  # of bytes: ASCII digits, and one at least
            digits = value.lstrip(b"0")
            if len(digits) <= _MAX_RETRY_DIGITS:
                self._retry = self.reconnection_time = int(digits or b"0")
