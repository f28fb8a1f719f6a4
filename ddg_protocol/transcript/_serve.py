"""Another client answered from a transcript."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from urllib.parse import urlsplit

import msgspec

from ..errors import ConversationFormatError, TransportError
from ..headers import Headers
from ..intents import Failure, FailureKind, SendRequest
from ..policy import MAX_SECONDS
from ..service import Exchange, Piece, Pieces, ServiceRequest, ServiceResponse, Then
from ..service._log import Log
from ..text import printable
from ._lines import NextAction, ReceiveData, ReceiveEof, ReceiveHead, Transcript, TransportFailed


class Recorded(msgspec.Struct):
    """An exchange of a transcript.

    Attributes:
        line: the number of the line that has its request.
        method: of the request.
        target: its path and query.
        status: of the response; 0 where none came.
        headers: of the response.
        head_after: seconds from the request to the head.
        chunks: what was read of the body, each with the seconds that it was waited for.
        failure: how it broke, where it did.
        whole: whether the end of the body came.
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


def exchanges(transcript: Transcript) -> list[Recorded]:
    """Find the exchanges of a transcript.

    Args:
        transcript: what happened.

    Returns:
        The exchanges, in order. When a chunk came is known by the pull that follows it.

    Raises:
        ConversationFormatError: a request in it has no readable address; the message has the line.
    """
    found: dict[int, Recorded] = {}
    latest: dict[int, float] = {}
    for (number, line), now in zip(transcript.lines, transcript.times(), strict=True):
        match line:
            case NextAction(gives={"type": "SendRequest", "id": int(id), "method": str(method), "url": str(url)}):
                try:
                    parts = urlsplit(url)
                except ValueError as error:
                    raise ConversationFormatError(f"line {number}: {printable(str(error))}") from None
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                found[id], latest[id] = Recorded(number, method, target), now
            case ReceiveHead(id=id) if id in found and line.status >= 200:
                exchange = found[id]
                exchange.status, exchange.headers = line.status, line.headers
                exchange.head_after, latest[id] = _passed(latest[id], now), now
            case ReceiveData(id=id) if id in found:
                found[id].chunks.append((_passed(latest[id], now), line.base64 or line.text.encode()))
                latest[id] = max(latest[id], now)
            case ReceiveEof(id=id) if id in found:
                found[id].whole = True
            case TransportFailed(id=id) if id in found:
                found[id].failure = Failure(line.kind, line.text)
    return list(found.values())


def _passed(before: float, now: float) -> float:
    """Give the seconds between two times; a clock that goes back stands, and nobody waits for ever."""
    return min(max(0.0, now - before), MAX_SECONDS)


class _Tape:
    """The exchanges of a transcript, to be had one after the other by who asks the same."""

    def __init__(self, transcript: Transcript) -> None:
        self._left = deque(exchanges(transcript))

    def next(self, method: str, target: str) -> Recorded | str:
        """Give the next exchange; or why there is none for this request."""
        if not self._left:
            return "the transcript has no more requests"
        found = self._left[0]
        if (found.method, found.target) != (method, target):
            there, here = f"{found.method} {found.target}", printable(f"{method} {target}")
            return f"the transcript has {there} here (line {found.line}), not {here}"
        return self._left.popleft()

    def asked(self, request: SendRequest) -> Recorded:
        """Give the next exchange.

        Raises:
            TransportError: there is none for this request.
        """
        parts = urlsplit(request.url)
        found = self.next(request.method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        if isinstance(found, str):
            # Trying again would change nothing.
            raise TransportError(found, failure=Failure(FailureKind.INTERRUPTED, found))
        return found


class TranscriptService:
    """Answers requests as a transcript has it, in its order and its time; wherever a `service.Service` is taken.

    A request that the transcript doesn't have next is refused (404), and the error body's ``reason`` says what it has.

    Args:
        transcript: what happened.
        real_time: whether what was waited for is waited for again.

    Raises:
        ConversationFormatError: a request in the transcript has no readable address.
    """

    def __init__(self, transcript: Transcript, *, real_time: bool = False) -> None:
        self.profile = transcript.head.profile
        self._tape = _Tape(transcript)
        self._real_time = real_time
        self._log = Log()

    @property
    def log(self) -> Sequence[Exchange]:
        """What clients did and what became of it; see `service.Service.log`."""
        return self._log.exchanges()

    def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
        """Answer a request; see `service.Service.handle`."""
        found = self._tape.next(request.method, request.target)
        exchange = Exchange(request, None, 404)
        self._log.add(exchange)
        if isinstance(found, str):
            exchange.error, exchange.reason = "ERR_NOT_FOUND", found
            body = msgspec.json.encode({"action": "error", "status": 404, "type": exchange.error, "reason": found})
            fields = (("content-type", "application/json"), ("content-length", str(len(body))))
            return ServiceResponse(404, fields, Pieces([Piece(body)], exchange, len(body)))
        exchange.status = found.status
        # The framing of the next connection is the business of who has it.
        headers = tuple((name, value) for name, value in found.headers if name.lower() != "transfer-encoding")
        unanswered: Then = "more" if found.status else ("hang" if found.failure is None else "reset")
        return ServiceResponse(found.status, headers, Pieces(self._pieces(found), exchange), unanswered)

    def _pieces(self, found: Recorded) -> Iterator[Piece]:
        delay = found.head_after
        for waited, data in found.chunks:
            yield Piece(data, waited + delay if self._real_time else 0.0)
            delay = 0.0
        if not found.whole:  # it broke, or nobody read on
            yield Piece(b"", then="hang" if found.failure is None else "reset")


class TranscriptTransport:
    """Answers a session's requests as a transcript has it: a transport for blocking drivers, without a network.

    A request that the transcript doesn't have next is a `TransportError` that says what it has.

    Args:
        transcript: what happened.
        sleep: passes the time, in seconds, for a replay in real time; None replays at once.

    Raises:
        ConversationFormatError: a request in the transcript has no readable address.
    """

    def __init__(self, transcript: Transcript, *, sleep: Callable[[float], object] | None = None) -> None:
        self._tape = _Tape(transcript)
        self._sleep = sleep

    def open(self, request: SendRequest, *, timeout: float) -> RecordedExchange:
        """Give the response whose request is next.

        Args:
            request: what to send.
            timeout: not needed: what was too late then is a failure of the transcript.

        Raises:
            TransportError: the transcript has another request here, or the exchange broke before its head came.
        """
        found = self._tape.asked(request)
        if self._sleep is not None and found.head_after:
            self._sleep(found.head_after)
        return RecordedExchange(found, self._sleep)


class AsyncTranscriptTransport:
    """A `TranscriptTransport` for drivers on asyncio and trio.

    Args:
        transcript: what happened.
        sleep: passes the time, in seconds, for a replay in real time, as `anyio.sleep` does; None replays at once.

    Raises:
        ConversationFormatError: a request in the transcript has no readable address.
    """

    def __init__(self, transcript: Transcript, *, sleep: Callable[[float], Awaitable[object]] | None = None) -> None:
        self._tape = _Tape(transcript)
        self._sleep = sleep

    async def open(self, request: SendRequest) -> AsyncRecordedExchange:
        """Give the response whose request is next.

        Args:
            request: what to send.

        Raises:
            TransportError: the transcript has another request here, or the exchange broke before its head came.
        """
        found = self._tape.asked(request)
        if self._sleep is not None and found.head_after:
            await self._sleep(found.head_after)
        return AsyncRecordedExchange(found, self._sleep)


class _Reading:
    """A response as it is read."""

    def __init__(self, found: Recorded) -> None:
        if not found.status:
            raise _failed(found)
        self.status = found.status
        self.headers = found.headers
        self._found = found
        self._left = deque(found.chunks)

    def _next(self) -> tuple[float, bytes]:
        """Give the next chunk as it was read, none at the end of the body; and the seconds before it."""
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
        """Give the next chunk as it was read; none at the end of the body.

        Args:
            timeout: not needed.

        Raises:
            TransportError: the exchange broke here, or nobody read on.
        """
        seconds, data = self._next()
        if self._sleep is not None and seconds:
            self._sleep(seconds)
        return data

    def close(self) -> None:
        """Nothing is held."""


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
        """Give the next chunk as it was read; none at the end of the body.

        Raises:
            TransportError: the exchange broke here, or nobody read on.
        """
        seconds, data = self._next()
        if self._sleep is not None and seconds:
            await self._sleep(seconds)
        return data

    async def aclose(self) -> None:
        """Nothing is held."""


def _failed(found: Recorded) -> TransportError:
    text = "nobody read on when this was recorded"
    failure = found.failure or Failure(FailureKind.CUT, text)
    return TransportError(failure.text, failure=failure)
