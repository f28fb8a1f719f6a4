"""One HTTP/1.1 connection as its client sees it: h11, which is spared what is plain.

A reply comes as a chunk for each event, and of all that is done with one of these h11 would take more than half; a
page of 200 kB it would copy four times. A chunk that has nothing but its size (RFC 9112 section 7.1), and a body whose
length its head has told (section 6.2), need no parser. Everything else is h11's: heads, bodies of any other framing,
chunks with extensions, the last chunk with its trailers, and what is no HTTP at all. Between two chunks h11 holds
nothing, so that from there on it can read whatever comes; of a body of known length it never sees a byte, and the next
response is another h11's. The head of a request is written here, each part held against its grammar (sections 3 and 5):
h11, which looks at it five times as long, is only told that there was one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import h11

from .grammar import FIELD_VALUE, TOKEN
from .intents import SendRequest
from .text import printable

_CRLF = b"\r\n"
#: What h11 is told of each request: it reads the response of any GET or POST the same way.
_REQUEST = (h11.Request(method="GET", target="/", headers=[("host", "localhost")]), h11.EndOfMessage())
_TARGET = re.compile(r"[!-~]+")
#: The line before a plain chunk, and the beginning of one. More digits would be a quarter of a GiB.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,7})\r\n")
_SIZE_BEGUN = re.compile(rb"[0-9A-Fa-f]{0,7}\r?\Z")
#: How a head ends; h11 bears with a line's end without CR.
_BLANK_LINE = re.compile(rb"\n\r?\n")
#: A response is due, or its body.
_UNDER_WAY = (h11.SEND_RESPONSE, h11.SEND_BODY)
#: The most bytes that are read at once: what is made of them takes several times their memory.
_SLICE = 64 * 1024


class _TooLong(h11.RemoteProtocolError):
    """A bound of this module is passed; the text, unlike h11's, quotes nothing of the response."""


class HttpConnection:
    """Writes requests, each as one piece, and reads their responses, one after the other.

    Args:
        max_head_bytes: the longest head of a response, with the interim ones before it.
        max_framing_bytes: the most that may be read behind the head and is not of the body: chunk extensions, trailers.
            The sizes of plain chunks don't count: there are few of them for each byte of the body.
    """

    def __init__(self, *, max_head_bytes: int, max_framing_bytes: int) -> None:
        self._max_head_bytes = max_head_bytes
        self._max_framing_bytes = max_framing_bytes
        self._begin()

    def _begin(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._max_head_bytes)
        self._head_due = True
        self._framing = 0  # what h11 was given of the head, and then of the rest without the body
        self._line_end = b""  # what the head ends with so far, as far as it may be half of a blank line
        self._left = 0  # bytes still to come of a body of known length
        self._over = False  # whether the response is whole
        self._behind = False  # whether anything came behind it that h11 was not given
        # Of a body whose chunks were all plain so far:
        self._in_chunks = False
        self._between_chunks = False  # with nothing of the next one begun
        self._due = 0  # bytes still to come of the chunk that is being read, with the line end after it
        self._begun = b""  # the line before the next one, as far as it came

    def send(self, request: SendRequest) -> bytes:
        """Write a request: ``host`` and the framing are added, nothing else.

        Args:
            request: what is asked.

        Returns:
            The bytes of it all.

        Raises:
            ValueError: it can't be written as HTTP/1.1.
        """
        parts = urlsplit(request.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = [("host", parts.netloc), *request.headers]
        if request.method == "POST":
            fields.append(("content-length", str(len(request.body))))
        if not (TOKEN.fullmatch(request.method) and _TARGET.fullmatch(target)):
            raise ValueError("its method is no word, or its address has something other than visible ASCII in it")
        for name, value in fields:
            if not (TOKEN.fullmatch(name) and FIELD_VALUE.fullmatch(value)):
                raise ValueError(f"the header {printable(name)!r} is not one that HTTP has")
        lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "\r\n"]
        for event in _REQUEST:
            self._h11.send(event)
        return "\r\n".join(lines).encode("latin-1") + request.body

    def whole_chunk(self, data: bytes) -> bytes | None:
        """Read what came if it is one plain chunk, as most of a reply is; else leave it.

        Args:
            data: as for `read`.

        Returns:
            What is in the chunk; or None, and the bytes are still to be read.
        """
        if self._between_chunks:
            line, _, rest = data.partition(b"\r\n")
            body = rest.removesuffix(b"\r\n")
            # The size is written here as nearly all servers write it: that costs less than to read theirs.
            if body and len(rest) - len(body) == 2 and line == b"%x" % len(body):
                return body
        return None

    def read(self, data: bytes) -> Iterator[bytes | h11.Event]:
        """Read what came.

        Args:
            data: any number of bytes; none at all are the end of the connection.

        Yields:
            What of the body is in them as bytes, everything else as h11's events. `h11.EndOfMessage` is the last.

        Raises:
            h11.RemoteProtocolError: it is not HTTP/1.1, ended before the response was whole, or is longer than a bound.
        """
        if len(data) <= _SLICE:
            yield from self._read(data)
            return
        for start in range(0, len(data), _SLICE):
            yield from self._read(data[start : start + _SLICE])

    def _read(self, data: bytes) -> Iterator[bytes | h11.Event]:
        while True:
            rest = b""
            if self._over:
                self._behind = True
                return
            if self._in_chunks and data:
                body, data = self._read_chunks(data)
                if body:
                    yield body
                if not data:
                    return
                if self._due:
                    raise h11.RemoteProtocolError("a chunk of the body is longer than its size")
            elif self._left and data:
                body, rest = data[: self._left], data[self._left :]
                self._left -= len(body)
                yield body
                if not self._left:
                    self._over, self._behind = True, bool(rest)
                    yield h11.EndOfMessage()
                return
            elif self._head_due:
                data, rest = self._read_head(data)
            self._framing += len(data)
            self._h11.receive_data(data)
            yield from self._events()
            self._check_framing()
            if not rest:
                return
            data = rest

    def trouble(self, error: h11.RemoteProtocolError) -> str:
        """Say what is wrong with a response, without a byte of it.

        Args:
            error: what `read` raised.

        Returns:
            A few words for a person.
        """
        if isinstance(error, _TooLong):
            return str(error)
        if error.error_status_hint == 431:
            return f"a line or the head of it is longer than {self._max_head_bytes} bytes"
        if not self._head_due:
            return "the framing of its body is malformed"
        return "its head is malformed, or its framing is none that is read"

    def next_cycle(self) -> bool:
        """Be ready for the next request, after the end of a response.

        Returns:
            Whether there can be one: both sides would have it, and nothing came that nobody asked for.
        """
        alone = self._over and not self._behind and self._h11.trailing_data == (b"", False)
        idle = alone and self._h11.our_state is h11.DONE  # and not MUST_CLOSE, as where the head said "close"
        self._begin()
        return idle

    def _read_head(self, data: bytes) -> tuple[bytes, bytes]:
        """Part what belongs to a head from what follows it: that is not h11's yet."""
        seen, self._line_end = self._line_end, b""
        blank = _BLANK_LINE.search(seen + data)
        if blank is None:
            self._line_end = (seen + data)[-2:]
            return data, b""
        end = blank.end() - len(seen)
        return data[:end], data[end:]

    def _events(self) -> Iterator[bytes | h11.Event]:
        """Give what h11 makes of the bytes it has; what stands behind the end of the response is not read."""
        before: object = None
        body: list[bytes] = []  # which goes out in one piece: one for each chunk can take 50 times as much memory
        while self._h11.their_state in _UNDER_WAY:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError:
                if body:
                    yield b"".join(body)
                raise
            if isinstance(event, type):  # NEED_DATA and PAUSED are classes
                break
            before = event
            # By `type`: isinstance is slow with the abstract base class that the events have.
            if type(event) is h11.Data:
                body.append(bytes(event.data))
                self._framing -= len(event.data)
                continue
            if type(event) is h11.Response:
                self._check_framing()
                self._head_due = False
                self._framing = 0
            elif type(event) is h11.EndOfMessage:
                self._over = True
            if body:
                yield b"".join(body)
                body.clear()
            yield event
        if body:
            yield b"".join(body)
        if type(before) is h11.Response:
            # It waits for a body of which it has seen nothing, and has looked at the two fields: chunks go first.
            fields = dict(before.headers)
            self._in_chunks = self._between_chunks = b"transfer-encoding" in fields
            self._left = 0 if self._in_chunks else int(fields.get(b"content-length", 0))

    def _check_framing(self) -> None:
        bound = self._max_head_bytes if self._head_due else self._max_framing_bytes
        if self._framing > bound:
            what = "its heads are" if self._head_due else "what frames its body is"
            raise _TooLong(f"{what} longer than {bound} bytes")

    def _read_chunks(self, data: bytes) -> tuple[bytes, bytes]:
        """Take plain chunks off.

        Args:
            data: what came.

        Returns:
            What is in the chunks, and what follows them; the latter is no chunk's line end if one is due.
        """
        data, self._begun = self._begun + data, b""
        pieces = []
        at, due = 0, self._due
        while True:
            if not due:
                line = _SIZE.match(data, at)
                size = int(line[1], 16) if line else 0
                if line is None or not size:
                    break
                at, due = line.end(), size + 2
            if due > 2:
                piece = data[at : at + due - 2]
                pieces.append(piece)
                at += len(piece)
                due -= len(piece)
            if due <= 2:
                line_end = data[at : at + due]
                if not _CRLF[2 - due :].startswith(line_end):
                    break
                at += len(line_end)
                due -= len(line_end)
            if due:
                break
        self._due, rest = due, data[at:]
        if not due:
            if _SIZE_BEGUN.match(rest):
                self._begun, rest = rest, b""
            else:
                self._in_chunks = False
        self._between_chunks = self._in_chunks and not due and not self._begun
        return b"".join(pieces), rest
