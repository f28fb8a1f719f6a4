"""Client and service connected in memory: no I/O, and no clock but the one that is passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ddg_protocol import PAUSED, Event, SendRequest, Session, Signal, SolveChallenge, TextDelta, TurnFinished, Wait
from ddg_protocol.conversation import Messages
from ddg_protocol.intents import Coordinate
from ddg_protocol.service import Service, ServiceRequest, ServiceResponse

Cut = Callable[[bytes], Iterator[bytes]]


def whole(data: bytes) -> Iterator[bytes]:
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    for index in range(len(data)):
        yield data[index : index + 1]


class Run:
    """A session driven against a service, with a record of what happened.

    Attributes:
        requests: the requests sent, in order.
        waits: the waits, in order.
        events: the events returned, in order.
        now: the current time.
    """

    def __init__(self, session: Session, service: Service, *, cut: Cut = whole, start: float = 1_745_000_000.0) -> None:
        self.session = session
        self.service = service
        self.cut = cut
        self.now = start
        self.requests: list[SendRequest] = []
        self.waits: list[Wait] = []
        self.events: list[Event] = []

    @property
    def statuses(self) -> list[int]:
        return [exchange.status for exchange in self.service.log]

    def ask(self, text: Messages, **options: Any) -> TurnFinished:
        """Ask, and drive until PAUSED."""
        self.events.clear()
        self.session.ask(text, **options, now=self.now)
        self.drive()
        pieces = "".join(event.text for event in self.events if isinstance(event, TextDelta))
        (finished,) = [event for event in self.events if isinstance(event, TurnFinished)]
        assert pieces == finished.text
        return finished

    def drive(self) -> None:
        chunks: Iterator[bytes] = iter(())
        while True:
            match self.session.next_action(now=self.now):
                case SendRequest() as request:
                    self.requests.append(request)
                    response = self.handle(request)
                    self.session.receive_head(request, response.status, response.headers, now=self.now)
                    chunks = (chunk for piece in response.pieces for chunk in self.cut(piece.data))
                case Wait() as wait:
                    self.waits.append(wait)
                    self.now = max(self.now, wait.until)
                    self.session.wait_elapsed(wait)
                case SolveChallenge() | Coordinate():
                    raise AssertionError("neither a solver nor an engine here")
                case Signal.NEED_DATA:
                    chunk = next(chunks, None)
                    if chunk is None:
                        self.session.receive_eof(self.requests[-1])
                    else:
                        self.session.receive_data(self.requests[-1], chunk)
                case signal if signal is PAUSED:
                    return
                case event:
                    assert not isinstance(event, Signal)
                    self.events.append(event)

    def handle(self, request: SendRequest) -> ServiceResponse:
        path = request.url.removeprefix(self.session.profile.origin)
        host = self.session.profile.origin.partition("://")[2]
        sent = ServiceRequest(request.method, path, (("host", host), *request.headers), request.body)
        return self.service.handle(sent, now=self.now)
