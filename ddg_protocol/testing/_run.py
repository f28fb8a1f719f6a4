"""Client and service connected in memory, at either layer: no socket, no sleep, no thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec

from ..conversation import Messages
from ..errors import DuckChatError, EngineUnavailable, LocalProtocolError, TransportError, UnsupportedChallenge
from ..events import Event, ModelsReceived, TurnFinished
from ..intents import ChallengeAnswer, Coordinate, Failure, FailureKind, SendRequest, Signal, SolveChallenge, Wait
from ..models import ModelList
from ..service import Handler, Piece, ServiceRequest, ServiceResponse, Then, framed
from ..tap import DrivenSession
from ..wire import Close, Connect, Send, WireSession
from ._clock import Clock
from ._http import read_request

if TYPE_CHECKING:
    from ..coordination import Engine

Chunking = Callable[[bytes], Iterable[bytes]]
"""Cuts bytes sent at once into the chunks that are read. The chunks joined must be the same bytes."""

SPRING_2025 = 1_745_000_000.0

_MIB = 1024 * 1024
_MAX_BYTES = 32 * _MIB
_MAX_STEPS = 500_000  # a front-end page takes 220,000 byte by byte
_MAX_KEPT = 1 * _MIB
_TOO_MUCH = f"the run ends a turn after {_MAX_BYTES // _MIB} MiB of responses, or {_MAX_STEPS:,} reads and events"


def whole(data: bytes) -> Iterator[bytes]:
    """Yield the bytes as they were sent.

    Args:
        data: the bytes sent at once.
    """
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    """Yield each byte by itself.

    Args:
        data: the bytes sent at once.
    """
    return (data[index : index + 1] for index in range(len(data)))


def every(size: int) -> Chunking:
    """Return a chunking into chunks of one size; the last may be shorter.

    Args:
        size: in bytes.
    """
    return lambda data: (data[index : index + size] for index in range(0, len(data), size))


def split_at(*places: int) -> Chunking:
    """Return a chunking that splits at given places; those past the end are ignored.

    Args:
        *places: byte offsets, in ascending order.
    """
    return lambda data: (data[a:b] for a, b in zip((0, *places), (*places, None), strict=True) if data[a:b])


class Cut(msgspec.Struct, frozen=True):
    """A break of the network.

    Attributes:
        response: the number of the response it breaks in, 0 for the first of the run.
        at: after how many of its bytes. For a `Session` those of the body count, for a `WireSession` all.
        reset: whether the connection is reset; otherwise it ends cleanly.
    """

    response: int
    at: int
    reset: bool = False


class Run:
    """A session driven against a service, with a record of what happened.

    A run acts as the driver. Delays of the service and waits of the session only move the clock; a delay past the
    session's deadline is a timeout, as with a real driver. So `Policy.turn_timeout` bounds a turn, by the clock.

    A turn is also bounded in work, whatever the service sends: after 32 MiB of responses, or 500,000 reads and events,
    the run interrupts the exchange, and the turn ends with a `TransportError` that says so.

    Args:
        session: a `Session`, which receives heads and bodies, or a `WireSession`, which receives HTTP/1.1.
        service: a `Service`, or any object with its ``handle``.
        clock: the time; None makes a clock that starts in spring 2025.
        chunks: cuts the bytes that the service sends at once into the chunks that the session reads.
        cut: where the network breaks; None for nowhere.
        solver: answers challenges of a session whose solver is the embedder.
        engine: carries out the calls of a coordinated session; None makes a `MemoryEngine` once there is one.

    Attributes:
        requests: the requests to the service, in order.
        responses: the bytes of each response that reached the session: its body, or all of it for a `WireSession`.
            Of a longer one the first MiB.
        waits: the session's waits, in order.
        events: the events of the last turn, in order.
    """

    def __init__(
        self,
        session: DrivenSession | WireSession,
        service: Handler,
        *,
        clock: Clock | None = None,
        chunks: Chunking = whole,
        cut: Cut | None = None,
        solver: Callable[[SolveChallenge], str | ChallengeAnswer] | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.session = session
        self.service = service
        self.clock = clock or Clock(SPRING_2025)
        self.chunks = chunks
        self.cut = cut
        self.solver = solver
        self.engine = engine
        self.requests: list[ServiceRequest] = []
        self.responses: list[bytearray] = []
        self.waits: list[Wait] = []
        self.events: list[Event] = []
        self._bytes_left, self._steps_left = _MAX_BYTES, _MAX_STEPS  # of this turn
        self._request: SendRequest | None = None  # the one under way, with a Session
        self._connect: Connect | None = None  # the open connection, with a WireSession
        self._ended = False  # the peer has closed that connection
        self._incoming: _Incoming | None = None

    def ask(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        until: Callable[[Event], bool] | None = None,
        **options: Any,
    ) -> TurnFinished | None:
        """Run a whole turn.

        Args:
            messages: as for `Session.ask`.
            model: as for `Session.ask`.
            until: called with each event; the turn is cancelled once it returns True.
            **options: other arguments of `Session.ask`, such as ``effort``.

        Returns:
            The end of the turn, or None if it was cancelled.

        Raises:
            DuckChatError: the turn was refused or broke; the session is at rest again.
        """
        self.begin(messages, model=model, **options)
        error: DuckChatError | None = None
        finished = None
        while True:
            try:
                event = self.next_event()
            except LocalProtocolError:
                raise  # a mistake of the run, not the end of the turn
            except DuckChatError as raised:
                error = raised
                continue
            if event is None:
                break
            if isinstance(event, TurnFinished):
                finished = event
            if until is not None and until(event):
                until = None
                self.session.cancel()
        if error is not None:
            raise error
        return finished

    def begin(self, messages: Messages, *, model: str | None = None, **options: Any) -> None:
        """Begin a turn whose events are taken one by one; see `Session.ask`."""
        self.events = []
        self._bytes_left, self._steps_left = _MAX_BYTES, _MAX_STEPS
        self.session.ask(messages, model=model, **options, now=self.clock.now)

    def fetch_models(self) -> ModelList:
        """Ask for the list of models, and return it; see `Session.fetch_models`.

        Raises:
            DuckChatError: as raised by the session.
        """
        self.events = []
        self._bytes_left, self._steps_left = _MAX_BYTES, _MAX_STEPS
        self.session.fetch_models(now=self.clock.now)
        while self.next_event() is not None:
            pass
        (received,) = (event for event in self.events if isinstance(event, ModelsReceived))
        return received.models

    def next_event(self) -> Event | None:
        """Carry out the session's intents until it returns an event.

        Returns:
            The event, or None at rest.

        Raises:
            DuckChatError: as raised by the session.
        """
        while True:
            action = self.session.next_action(now=self.clock.now)
            match action:
                case Signal.PAUSED:
                    self._leave()
                    return None
                case Signal.NEED_DATA:
                    self._read()
                case SendRequest():
                    self._leave()
                    self._request = action
                    self._exchange(_as_service_sees(action), action)
                case Connect():
                    self._connect, self._ended = action, False
                    self._wire.connected(action)
                case Send():
                    self._send(action)
                case Close():
                    self._leave()
                    self._connect = None
                    self._wire.closed(action)
                case Wait():
                    self.waits.append(action)
                    self.clock.advance_to(action.until)
                    self.session.wait_elapsed(action)
                case SolveChallenge():
                    assert self.solver is not None, "the session hands its challenges out, but the run has no solver"
                    try:
                        answer = self.solver(action)
                    except UnsupportedChallenge as error:
                        self.session.challenge_failed(action, str(error))
                    else:
                        self.session.challenge_solved(action, answer)
                case Coordinate():
                    self._coordinate(action)
                case _:
                    self._steps_left -= 1
                    self.events.append(action)
                    return action

    # The driver

    def _coordinate(self, intent: Coordinate) -> None:
        if self.engine is None:
            from ..coordination import MemoryEngine

            self.engine = MemoryEngine(self.clock)
        asked = self.clock.now
        try:
            result = self.engine.call(intent.call)
        except EngineUnavailable as error:
            self.session.coordination_failed(intent, Failure(FailureKind.OTHER, str(error)))
        else:
            self.session.coordinated(intent, result, asked=asked, now=self.clock.now)

    @property
    def _wire(self) -> WireSession:
        assert isinstance(self.session, WireSession)
        return self.session

    @property
    def _connection(self) -> Connect:
        assert self._connect is not None, "the session has no connection"
        return self._connect

    def _send(self, send: Send) -> None:
        if self._ended:
            self._wire.transport_failed(send, Failure(FailureKind.NOT_SENT, "the peer has closed the connection"))
            return
        self._leave()
        self._wire.sent(send)
        self._exchange(read_request(send.data), None)

    def _exchange(self, request: ServiceRequest, asked: SendRequest | None) -> None:
        self.requests.append(request)
        cut = self.cut if self.cut is not None and self.cut.response == len(self.responses) else None
        self.responses.append(bytearray())
        try:
            response = self.service.handle(request, now=self.clock.now)
        except TransportError as error:
            self._fail(error.failure)
            return
        pieces: Iterator[Piece] = response.pieces
        if asked is None:
            pieces = framed(response, method=request.method)
        elif response.unanswered == "more":
            assert not isinstance(self.session, WireSession)
            self.session.receive_head(asked, response.status, response.headers, now=self.clock.now)
        else:
            pieces = iter((Piece(b"", then=response.unanswered),))
            if response.unanswered in ("close", "reset"):
                response.pieces.break_off()
        self._incoming = _Incoming(response, pieces, self.chunks, cut, self.clock.now)

    def _read(self) -> None:
        incoming, deadline = self._incoming, self.session.deadline
        assert incoming is not None, "the session waits for data, but there is no response"
        assert deadline is not None, "the session waits for data without a deadline"
        if self._bytes_left <= 0 or self._steps_left <= 0:
            self._fail(Failure(FailureKind.INTERRUPTED, _TOO_MUCH))
            return
        got = incoming.next(deadline)
        self.clock.advance_to(min(incoming.due, deadline))
        self._steps_left -= 1
        if isinstance(got, bytes):
            self._bytes_left -= len(got)
            kept = self.responses[-1]
            kept += got[: _MAX_KEPT - len(kept)]
            if self._request is not None and not isinstance(self.session, WireSession):
                self.session.receive_data(self._request, got)
            else:
                self._wire.receive_bytes(self._connection, got)
        elif got == "reset":
            self._fail(Failure(FailureKind.CUT, "the connection was reset"))
        elif got == "close" and self._request is not None:
            self._fail(Failure(FailureKind.CUT, "the connection was closed before the response was whole"))
        elif got != "hang":
            self._end()

    def _end(self) -> None:
        self._leave()
        if self._request is not None and not isinstance(self.session, WireSession):
            self.session.receive_eof(self._request)
        else:
            self._ended = True
            self._wire.receive_eof(self._connection)

    def _fail(self, failure: Failure) -> None:
        self._leave()
        if self._request is not None and not isinstance(self.session, WireSession):
            self.session.transport_failed(self._request, failure)
        else:
            self._ended = True
            self._wire.transport_failed(self._connection, failure)

    def _leave(self) -> None:
        """Drop the rest of the response; the service sees its client leave if there was more."""
        if self._incoming is not None:
            self._incoming.close()
            self._ended = self._ended or self._incoming.over
            self._incoming = None


class _Incoming:
    """A response under way: what comes next, and when."""

    def __init__(
        self, response: ServiceResponse, pieces: Iterator[Piece], chunks: Chunking, cut: Cut | None, now: float
    ) -> None:
        self._response = response
        self._left = None if cut is None else cut.at
        self._at_cut: Literal["reset", "end"] = "reset" if cut is not None and cut.reset else "end"
        self._then: Then | Literal["end"] = "more"
        self._chunks = self._chunks_of(pieces, chunks)
        self._late: bytes | None = None  # what has not come by the time that was asked for
        self.due = now

    def next(self, by: float) -> bytes | Then | Literal["end"]:
        """Return what comes by a time: bytes, how the response ends, or "hang" for nothing."""
        if self._left == 0:
            return self._at_cut
        data = next(self._chunks, None) if self._late is None else self._late
        self._late = data if self.due > by else None
        if self.due > by or (data is None and self._then == "hang"):
            self.due = max(self.due, by)
            return "hang"  # until the deadline
        if data is None:
            return self._then
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return data

    @property
    def over(self) -> bool:
        """Whether the connection ended with what was returned."""
        return self._left == 0 or self._then in ("close", "reset")

    def close(self) -> None:
        """Close the response; the service sees its client leave unless it has sent everything."""
        self._response.pieces.close()

    def _chunks_of(self, pieces: Iterator[Piece], chunks: Chunking) -> Iterator[bytes]:
        for piece in pieces:
            self.due += piece.delay
            yield from filter(None, chunks(piece.data))
            self._then = piece.then
            if piece.then != "more":
                return
        self._then = "end"


def _as_service_sees(request: SendRequest) -> ServiceRequest:
    parts = urlsplit(request.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return ServiceRequest(request.method, target, (("host", parts.netloc), *request.headers), request.body)
