"""Serve a transcript to another client."""

from __future__ import annotations

import operator
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from ..errors import ConversationFormatError, TransportError
from ..headers import Headers
from ..intents import Failure, FailureKind, SendRequest
from ..policy import MAX_SECONDS
from ..service import Exchange, Piece, Pieces, ServiceRequest, ServiceResponse
from ..service._log import Log
from ..service.faults import Cut
from ..text import printable
from ._lines import NextAction, ReceiveData, ReceiveEof, ReceiveHead, TransportFailed
from ._reading import Transcript


class Recorded(msgspec.Struct):
    """An exchange of a transcript.

    Attributes:
        line: the line number of its request.
        method: the request's method.
        target: the request's path and query.
        status: the response's status; 0 if none came.
        headers: the response's headers.
        head_after: seconds from the request to the head.
        chunks: the chunks of the body, each with the seconds before it.
        failure: the failure that ended it, or None.
        whole: whether the end of the body came.
        body: the request's body.
        chat: the number of its chat.
    """

    line: int
    method: str
    target: str
    status: int = 0
    headers: Headers = ()
    head_after: float = 0.0
    chunks: list[tuple[float, bytes]] = []
    failure: Failure | None = None
    whole: bool = False
    body: bytes = b""
    chat: int = 1


def exchanges(transcript: Transcript) -> list[Recorded]:
    """Return the exchanges of a transcript.

    Args:
        transcript: the transcript to read.

    Returns:
        The exchanges, in order. The time of a chunk is that of the pull that follows it.

    Raises:
        ConversationFormatError: a request has an invalid URL; the message names the line.
    """
    found: dict[tuple[int, int], Recorded] = {}
    latest: dict[tuple[int, int], float] = {}
    for (number, line), now in zip(transcript.lines, transcript.times(), strict=True):
        match line:
            case NextAction(
                gives={"type": "SendRequest", "id": int(id), "method": str(method), "url": str(url), **more}
            ):
                try:
                    parts = urlsplit(url)
                except ValueError as error:
                    raise ConversationFormatError(f"line {number}: {printable(str(error))}") from None
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                key = line.chat, id
                found[key] = Recorded(number, method, target, body=_bytes(more.get("body")), chat=line.chat)
                latest[key] = now
            case ReceiveHead() if (key := (line.chat, line.id)) in found and line.status >= 200:
                exchange = found[key]
                exchange.status, exchange.headers = line.status, line.headers
                exchange.head_after, latest[key] = _passed(latest[key], now), now
            case ReceiveData() if (key := (line.chat, line.id)) in found:
                found[key].chunks.append((_passed(latest[key], now), line.data))
                latest[key] = max(latest[key], now)
            case ReceiveEof() if (key := (line.chat, line.id)) in found:
                found[key].whole = True
            case TransportFailed() if (key := (line.chat, line.id)) in found:
                found[key].failure = Failure(line.kind, line.text)
    return list(found.values())


def _bytes(body: object) -> bytes:
    """Return the bytes of a recorded body, if it is text; others are recorded as base64, and no client sends them."""
    return body.encode() if isinstance(body, str) else b""


def _passed(before: float, now: float) -> float:
    """Return the seconds between two times, from 0 to `MAX_SECONDS`."""
    return min(max(0.0, now - before), MAX_SECONDS)


class _Question(msgspec.Struct):
    messages: msgspec.Raw


def _identity(body: bytes) -> bytes:
    """Return what identifies a request's body: its messages, if it is a question, since ids in it may be others."""
    try:
        return bytes(msgspec.json.decode(body, type=_Question).messages)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return body


_line = operator.attrgetter("line")


class _Row:
    """Exchanges in order, each of which is taken once."""

    def __init__(self) -> None:
        self.exchanges: list[Recorded] = []
        self._at = 0  # all before are taken

    def first(self, taken: Container[int]) -> Recorded | None:
        """Return the first that is not taken."""
        at = self._at
        while at < len(self.exchanges) and self.exchanges[at].line in taken:
            at += 1
        self._at = at
        return self.exchanges[at] if at < len(self.exchanges) else None


class _Tape:
    """The exchanges of a transcript: of each chat, one after the other for the same requests."""

    def __init__(self, transcript: Transcript) -> None:
        self._chats: defaultdict[int, _Row] = defaultdict(_Row)
        self._asked: defaultdict[tuple[str, str, bytes], _Row] = defaultdict(_Row)
        self._takers: dict[int, object] = {}  # by line
        for exchange in exchanges(transcript):
            self._chats[exchange.chat].exchanges.append(exchange)
            self._asked[exchange.method, exchange.target, _identity(exchange.body)].exchanges.append(exchange)

    def next(self, method: str, target: str, body: bytes) -> Recorded | str:
        """Return the exchange for a request, or why there is none.

        It is the next of a chat: if there are several, of the first that goes on with such a request. But which chat
        asks a question is known by its messages, whoever had the requests before it.
        """
        taker = object()
        while True:
            found = self._found(method, target, body)
            # Clients may ask from several threads: the first to set its mark has it.
            if isinstance(found, str) or self._takers.setdefault(found.line, taker) is taker:
                return found

    def _found(self, method: str, target: str, body: bytes) -> Recorded | str:
        upcoming = [found for row in self._chats.values() if (found := row.first(self._takers)) is not None]
        if not upcoming:
            return "the transcript has no more requests"
        row = self._asked.get((method, target, _identity(body))) if body and len(self._chats) > 1 else None
        if row is not None and (found := row.first(self._takers)) is not None:
            return found
        fitting = [found for found in upcoming if (found.method, found.target) == (method, target)]
        if fitting:
            return min(fitting, key=_line)
        found = min(upcoming, key=_line)
        there, here = printable(f"{found.method} {found.target}"), printable(f"{method} {target}")
        return f"the transcript has {there} here (line {found.line}), not {here}"

    def asked(self, request: SendRequest) -> Recorded:
        """Return the exchange of a request.

        Raises:
            TransportError: there is none for this request.
        """
        parts = urlsplit(request.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        found = self.next(request.method, target, request.body)
        if isinstance(found, str):
            # A retry would change nothing.
            raise TransportError(found, failure=Failure(FailureKind.INTERRUPTED, found))
        return found


class TranscriptService:
    """Serves the responses of a transcript, in order; accepted wherever a `service.Service` is.

    Any request but the transcript's next is refused (404), and the error body's ``reason`` names the next. A transcript
    of several chats has a next request for each, and the chat to which a question belongs is known by its messages.

    Args:
        transcript: the transcript to serve.
        real_time: whether to repeat the recorded delays.

    Raises:
        ConversationFormatError: a request in the transcript has an invalid URL.
    """

    def __init__(self, transcript: Transcript, *, real_time: bool = False) -> None:
        self.profile = transcript.head.profile
        self._tape = _Tape(transcript)
        self._real_time = real_time
        self._log = Log()

    @property
    def log(self) -> Sequence[Exchange]:
        """The exchanges with clients; see `service.Service.log`."""
        return self._log.exchanges()

    def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
        """Return the response to a request; see `service.Service.handle`."""
        found = self._tape.next(request.method, request.target, request.body)
        exchange = Exchange(request, None, 404)
        self._log.add(exchange)
        if isinstance(found, str):
            exchange.error, exchange.reason = "ERR_NOT_FOUND", found
            body = msgspec.json.encode({"action": "error", "status": 404, "type": exchange.error, "reason": found})
            fields = (("content-type", "application/json"), ("content-length", str(len(body))))
            return ServiceResponse(404, fields, Pieces([Piece(body)], exchange, len(body)))
        exchange.status = found.status
        # The new connection has its own framing.
        headers = tuple((name, value) for name, value in found.headers if name.lower() != "transfer-encoding")
        unanswered: Literal["more", "hang", "reset"] = (
            "more" if found.status else "hang" if found.failure is None else "reset"
        )
        # In bytes it is the same: not even a head comes.
        on_wire = () if unanswered == "more" else (Cut(0, unanswered, "wire"),)
        return ServiceResponse(found.status, headers, Pieces(self._pieces(found), exchange), unanswered, on_wire)

    def _pieces(self, found: Recorded) -> Iterator[Piece]:
        delay = found.head_after
        for waited, data in found.chunks:
            yield Piece(data, waited + delay if self._real_time else 0.0)
            delay = 0.0
        if not found.whole:  # it failed, or its body was not read to the end
            yield Piece(b"", then="hang" if found.failure is None else "reset")


class TranscriptTransport:
    """Serves the responses of a transcript, without a network: a transport for blocking drivers.

    Any request but the transcript's next raises a `TransportError` that names the next. A transcript of several chats
    has a next request for each, as for a `TranscriptService`.

    Args:
        transcript: the transcript to serve.
        sleep: sleeps for some seconds, for a replay in real time; None replays at once.

    Raises:
        ConversationFormatError: a request in the transcript has an invalid URL.
    """

    def __init__(self, transcript: Transcript, *, sleep: Callable[[float], object] | None = None) -> None:
        self._tape = _Tape(transcript)
        self._sleep = sleep

    def open(self, request: SendRequest, *, timeout: float) -> RecordedExchange:
        """Return the response to the transcript's next request.

        Args:
            request: the request; it must be the transcript's next.
            timeout: unused; a recorded timeout is a failure in the transcript.

        Raises:
            TransportError: the transcript has another request here, or the exchange failed before its head came.
        """
        found = self._tape.asked(request)
        if self._sleep is not None and found.head_after:
            self._sleep(found.head_after)
        return RecordedExchange(found, self._sleep)


class AsyncTranscriptTransport:
    """A `TranscriptTransport` for drivers on asyncio and trio.

    Args:
        transcript: the transcript to serve.
        sleep: sleeps for some seconds as `anyio.sleep` does, for a replay in real time; None replays at once.

    Raises:
        ConversationFormatError: a request in the transcript has an invalid URL.
    """

    def __init__(self, transcript: Transcript, *, sleep: Callable[[float], Awaitable[object]] | None = None) -> None:
        self._tape = _Tape(transcript)
        self._sleep = sleep

    async def open(self, request: SendRequest) -> AsyncRecordedExchange:
        """Return the response to the transcript's next request.

        Args:
            request: the request; it must be the transcript's next.

        Raises:
            TransportError: the transcript has another request here, or the exchange failed before its head came.
        """
        found = self._tape.asked(request)
        if self._sleep is not None and found.head_after:
            await self._sleep(found.head_after)
        return AsyncRecordedExchange(found, self._sleep)


class _Reading:
    """A response that is being read."""

    def __init__(self, found: Recorded) -> None:
        if not found.status:
            raise _failed(found)
        self.status = found.status
        self.headers = found.headers
        self._found = found
        self._left = deque(found.chunks)

    def _next(self) -> tuple[float, bytes]:
        """Return the seconds before the next chunk, and the chunk; it is empty at the end of the body."""
        seconds = 0.0
        while self._left:
            waited, data = self._left.popleft()
            seconds += waited
            if data:
                return seconds, data
        if not self._found.whole:
            raise _failed(self._found)
        return seconds, b""


class RecordedExchange(_Reading):
    """A response of a `TranscriptTransport`. Made by `TranscriptTransport.open`.

    Attributes:
        status: the HTTP status.
        headers: in order.
    """

    def __init__(self, found: Recorded, sleep: Callable[[float], object] | None) -> None:
        super().__init__(found)
        self._sleep = sleep

    def read(self, *, timeout: float) -> bytes:
        """Return the next chunk as it was read; it is empty at the end of the body.

        Args:
            timeout: unused.

        Raises:
            TransportError: the exchange failed here, or the recording has no more of it.
        """
        seconds, data = self._next()
        if self._sleep is not None and seconds:
            self._sleep(seconds)
        return data

    def close(self) -> None:
        """Do nothing: an exchange holds no resources."""


class AsyncRecordedExchange(_Reading):
    """A response of an `AsyncTranscriptTransport`. Made by `AsyncTranscriptTransport.open`.

    Attributes:
        status: the HTTP status.
        headers: in order.
    """

    def __init__(self, found: Recorded, sleep: Callable[[float], Awaitable[object]] | None) -> None:
        super().__init__(found)
        self._sleep = sleep

    async def read(self) -> bytes:
        """Return the next chunk as it was read; it is empty at the end of the body.

        Raises:
            TransportError: the exchange failed here, or the recording has no more of it.
        """
        seconds, data = self._next()
        if self._sleep is not None and seconds:
            await self._sleep(seconds)
        return data

    async def aclose(self) -> None:
        """Do nothing: an exchange holds no resources."""


def _failed(found: Recorded) -> TransportError:
    text = "the recording has no more of this exchange"
    failure = found.failure or Failure(FailureKind.CUT, text)
    return TransportError(failure.text, failure=failure)
