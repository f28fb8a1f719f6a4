"""What goes into the service, what comes out, and what is noted of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

import msgspec

from ..headers import Headers
from ..redaction import redacted
from ..text import printable
from ._pieces import Endpoint, Piece, Then
from .faults import Fault, StreamEffect


class ServiceRequest(msgspec.Struct, frozen=True):
    """A request as the service sees it.

    Attributes:
        method: in capitals, as it came.
        target: the path with its query, as it came.
        headers: in order; latin-1 text, names in any case.
        body: all of it.
    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Give the value of the first field of that name (in lower case), or None."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def __repr__(self) -> str:
        return (
            f"ServiceRequest(method={self.method!r}, target={self.target!r}, "
            f"headers={redacted(self.headers, sent=True)!r}, "
            f"body=<{len(self.body)} bytes>)"
        )


class Exchange(msgspec.Struct):
    """One line of the service's log.

    Attributes:
        request: what came.
        endpoint: where it went; None for a target that the service doesn't have.
        status: the HTTP status it got.
        error: the ``ERR_...`` word of a refusal, else empty.
        reason: what was wrong with the request, in words; empty where nothing was.
        faults: what the script made of the response; empty where it was left alone.
        taken: how many bytes of the response's body were handed out.
        ended: how it ended. ``"complete"``: the response was taken to its end. ``"broken"``: the script broke it off.
            ``"left"``: the client went away before. Empty while it is under way.
    """

    request: ServiceRequest
    endpoint: Endpoint | None
    status: int
    error: str = ""
    reason: str = ""
    faults: tuple[Fault, ...] = ()
    taken: int = 0
    ended: Literal["", "complete", "broken", "left"] = ""

    @property
    def complete(self) -> bool:
        """Whether the response was taken to its end."""
        return self.ended == "complete"

    def __str__(self) -> str:
        """One line of a log: no header and no body is in it, so nothing secret."""
        said = f"{self.status} {self.error}".rstrip() + (f" ({self.reason})" if self.reason else "")
        effects = ", ".join(type(effect).__name__.lower() for fault in self.faults for effect in fault.effects)
        return (
            f"{printable(self.request.method, 20)} {printable(self.request.target)}: {said}; "
            f"{_ENDED[self.ended]}, {self.taken} bytes" + (f"; by the script: {effects}" if effects else "")
        )


_ENDED = {"": "under way", "complete": "complete", "broken": "broken off", "left": "the client left before the end"}


class Pieces(Iterator[Piece]):
    """The body of a response, piece by piece. Each is made when it is asked for; the exchange notes how far it got.

    Args:
        pieces: makes them.
        exchange: the line of the log.
        length: how many bytes they are, where that is known: a client that has them all asks for no more.
    """

    def __init__(self, pieces: Iterable[Piece], exchange: Exchange, length: int | None = None) -> None:
        self._pieces = iter(pieces)
        self._exchange = exchange
        self._length = length
        self._stopped = False

    def __next__(self) -> Piece:
        exchange = self._exchange
        piece = None if self._stopped else next(self._pieces, None)
        if piece is None:
            if not self._stopped:
                self._note("complete")
            raise StopIteration
        exchange.taken += len(piece.data)
        self._stopped = piece.then != "more"
        if piece.then in ("close", "reset"):
            self._note("broken")
        return piece

    def close(self, *, delivered: bool = True) -> None:
        """Say that the client is gone. If there was more, it has left early.

        Args:
            delivered: whether it got the piece that was given last.
        """
        self._give_up("complete" if delivered and self._exchange.taken == self._length else "left")

    def break_off(self) -> None:
        """Say that the connection is ended, by the script, before the body."""
        self._give_up("broken")

    def _give_up(self, ended: Literal["complete", "broken", "left"]) -> None:
        self._note(ended)
        self._stopped = True
        self._pieces = iter(())  # lets go of whatever makes them

    def _note(self, ended: Literal["complete", "broken", "left"]) -> None:
        if not self._exchange.ended:
            self._exchange.ended = ended


class ServiceResponse(msgspec.Struct, frozen=True):
    """A response, as its parts. `framed` makes bytes of it, for those who have a byte stream.

    Attributes:
        status: the HTTP status.
        headers: in order, names in lower case. With ``content-length`` where the length is known; a body without is
            framed as its connection allows (chunked, or ended by the connection). A fault's values may hold anything.
        pieces: the body. Whoever takes it closes it when the client leaves before the end.
        unanswered: what happens in place of the response, before its head is whole; ``"more"`` where nothing does.
            For those who have no bytes: `framed` does it itself.
        on_wire: what is to happen to the bytes of the whole response, head included. `framed` sees to it.
    """

    status: int
    headers: Headers
    pieces: Pieces
    unanswered: Then = "more"
    on_wire: tuple[StreamEffect, ...] = ()

    def __repr__(self) -> str:
        return f"ServiceResponse(status={self.status}, headers={redacted(self.headers)!r})"


class Handler(Protocol):
    """Whatever answers requests as `Service` does; a `ddg_protocol.transcript.TranscriptService` is one."""

    def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
        """Answer a request; see `Service.handle`."""


class Refusal(Exception):
    """Ends the handling of a request: the response is to be an error. It never leaves the service.

    Attributes:
        status: the HTTP status.
        error: the ``ERR_...`` word.
        reason: what was wrong, for the one who writes the client. Nothing from the wire stands in it.
        headers: fields that go with it.
    """

    def __init__(self, status: int, error: str, reason: str, headers: Headers = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.error = error
        self.reason = reason
        self.headers = headers
