"""One HTTP/1.1 connection, seen by its client: h11, bypassed for plain chunks.

A plain chunk has nothing but its size and its data (RFC 9112 section 7.1). While all chunks of a body are plain,
`whole_chunk` and `_read_chunks` read them, and h11 has seen nothing behind the head. It reads everything else: heads,
bodies of any other framing, and the rest of a body from its first chunk that is not plain, which is at the latest the
last one with its trailers.

What the two ways past h11 are worth, in instructions of one event (``python -m benchmarks.instructions wire``): 22,700
with both, 43,200 without `whole_chunk`, 102,500 without either. `_read_chunks` reads all that isn't one whole chunk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import h11

from .grammar import FIELD_VALUE
from .intents import SendRequest
from .text import printable

_CRLF = b"\r\n"
#: The end of a chunk with the size of the next one, and the beginning of that. More digits would be a quarter of a GiB.
_SIZE = re.compile(rb"\r\n([0-9A-Fa-f]{1,7})\r\n")
_SIZE_BEGUN = re.compile(rb"(\r(\n[0-9A-Fa-f]{0,7}\r?)?)?\Z")
#: How a head ends. h11 accepts a line's end without CR.
_BLANK_LINE = re.compile(rb"\n\r?\n")
#: h11's states of a server that still owes a response, or the rest of its body.
_UNDER_WAY = (h11.SEND_RESPONSE, h11.SEND_BODY)
#: The most bytes that are read at once: what comes of them takes several times their memory.
_SLICE = 64 * 1024


class _TooLong(h11.RemoteProtocolError):
    """A bound of this module is exceeded. Unlike h11's errors, its text quotes nothing of the response."""


class HttpConnection:
    """Writes requests, each in one piece, and reads their responses, one after the other.

    Args:
        max_head_bytes: the longest head of a response, with the interim ones before it.
        max_framing_bytes: the most that may come behind the head and is not body: chunk extensions, trailers.
            The sizes of plain chunks don't count: there are few of them for each byte of the body.

    Attributes:
        head_due: whether the head of the response has still to come.
    """

    def __init__(self, *, max_head_bytes: int, max_framing_bytes: int) -> None:
        self._max_head_bytes = max_head_bytes
        self._max_framing_bytes = max_framing_bytes
        self.begin()

    def begin(self) -> None:
        """Start again with a new connection, or with the next request on a kept one."""
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._max_head_bytes)
        self.head_due = True
        self._framing = 0  # bytes that h11 was given of the heads; later of the rest, without the body
        self._line_end = b""  # the last bytes of the head so far, which can be half of a blank line
        # Of a body whose chunks were all plain so far:
        self._left = 0  # bytes that the present chunk still lacks
        self._begun: bytes | None = None  # what came of its end and of the next one's size; None for any other body

    def send(self, request: SendRequest) -> bytes:
        """Write a request. Adds ``host`` and the framing, nothing else.

        Args:
            request: what is asked.

        Returns:
            All its bytes.

        Raises:
            ValueError: it can't be written as HTTP/1.1.
        """
        parts = urlsplit(request.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = [("host", parts.netloc), *request.headers]
        if request.method == "POST":
            fields.append(("content-length", str(len(request.body))))
        for name, value in fields:
            if not FIELD_VALUE.fullmatch(value):  # h11 accepts most control characters
                raise ValueError(f"the header {printable(name)!r} is not one that HTTP has")
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        try:
            head = h11.Request(method=request.method, target=target, headers=headers)
            events = (head, h11.Data(request.body), h11.EndOfMessage())
            return b"".join(self._h11.send(event) or b"" for event in events)
        except h11.LocalProtocolError:
            # h11's own text quotes what it refuses, which can be a token or a cookie.
            raise ValueError("its method, its address or the name of a header is not one that HTTP has") from None

    def whole_chunk(self, data: bytes) -> bytes | None:
        """Read what came if it is exactly one plain chunk, as most of a reply is. A short cut: `read` reads the same.

        Args:
            data: as for `read`.

        Returns:
            The data of the chunk; None if `read` has to read it.
        """
        if self._begun == b"\r\n":
            line, end, rest = data.partition(b"\r\n")
            body = rest.removesuffix(end)
            size = len(body)
            # To write the size as nearly all servers do costs less than to parse theirs.
            if size and len(rest) - size == 2 and line == b"%x" % size:
                return body
        return None

    def read(self, data: bytes) -> Iterator[bytes | h11.Event]:
        """Read what came.

        Args:
            data: any number of bytes; none are the end of the connection.

        Yields:
            The body as bytes, everything else as h11's events. `h11.EndOfMessage` is the last.

        Raises:
            h11.RemoteProtocolError: it is not HTTP/1.1, ended before the response was complete, or exceeds a bound.
        """
        for start in range(0, len(data) or 1, _SLICE):
            yield from self._read(data[start : start + _SLICE])

    def trouble(self, error: h11.RemoteProtocolError) -> str:
        """Say what is wrong with a response, without a byte of it.

        Args:
            error: what `read` raised.

        Returns:
            A few words for a person.
        """
        if isinstance(error, _TooLong):
            return str(error)
        what = "a head" if self.head_due else "the framing of its body"
        return f"{what} is {'too long' if error.error_status_hint == 431 else 'malformed or not supported'}"

    def next_cycle(self) -> bool:
        """Get ready for the next request, after the end of a response.

        Returns:
            Whether the connection can be kept: both sides allow it, and nothing came behind the response.
        """
        nothing_behind = self._h11.trailing_data == (b"", False)
        kept = nothing_behind and self._h11.our_state is self._h11.their_state is h11.DONE
        self.begin()
        return kept

    def _read(self, data: bytes) -> Iterator[bytes | h11.Event]:
        while True:
            rest = b""
            if self._begun is not None and data:
                body, data = self._read_chunks(self._begun + data)
                if body:
                    yield body
                if self._begun is not None:
                    return
                if not data.startswith(_CRLF):
                    raise h11.RemoteProtocolError("a chunk of the body is longer than its size")
                data = data.removeprefix(_CRLF)
            elif self.head_due:
                data, rest = self._split_head(data)
            self._framing += len(data)
            self._h11.receive_data(data)
            yield from self._events()
            if not rest:
                return
            data = rest

    def _split_head(self, data: bytes) -> tuple[bytes, bytes]:
        """Separate the bytes of a head from what follows it, which h11 is not to see yet."""
        seen, self._line_end = self._line_end, b""
        blank = _BLANK_LINE.search(seen + data)
        if blank is None:
            self._line_end = (seen + data)[-2:]
            return data, b""
        end = blank.end() - len(seen)
        return data[:end], data[end:]

    def _events(self) -> Iterator[bytes | h11.Event]:
        """Return what h11 makes of the bytes it has. It reads nothing behind the end of the response."""
        body: list[bytes] = []  # goes out in one piece: one for each chunk can take 50 times as much memory
        while self._h11.their_state in _UNDER_WAY:
            event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED] | h11.RemoteProtocolError
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                event = error  # raised below, after what came before it
            # By `type`: isinstance is slow with the abstract base class that the events have.
            if type(event) is h11.Data:
                body.append(bytes(event.data))
                self._framing -= len(event.data)
                continue
            if body:
                yield b"".join(body)
                body.clear()
            if isinstance(event, h11.RemoteProtocolError):
                raise event
            self._check_framing()
            if isinstance(event, type):  # NEED_DATA is a class
                return
            if type(event) is h11.Response:
                self.head_due = False
                self._framing = 0
                if b"transfer-encoding" in dict(event.headers):
                    self._begun = _CRLF  # so the first chunk looks like one that follows another
            elif type(event) is h11.EndOfMessage:
                self._begun = None  # at once after a head that allows no body
            yield event

    def _check_framing(self) -> None:
        bound = self._max_head_bytes if self.head_due else self._max_framing_bytes
        if self._framing > bound:
            what = "its heads are" if self.head_due else "what frames its body is"
            raise _TooLong(f"{what} longer than {bound} bytes")

    def _read_chunks(self, data: bytes) -> tuple[bytes, bytes]:
        """Read plain chunks.

        Args:
            data: what came of them and was not read.

        Returns:
            The data of the chunks, and what follows it.
        """
        pieces = []
        at, left = 0, self._left
        while True:
            piece = data[at : at + left]
            pieces.append(piece)
            at += len(piece)
            left -= len(piece)
            line = None if left else _SIZE.match(data, at)
            if line is None or not (size := int(line[1], 16)):
                break
            at, left = line.end(), size
        rest = data[at:]
        self._left = left
        self._begun = rest if left or _SIZE_BEGUN.match(rest) else None
        return b"".join(pieces), rest
