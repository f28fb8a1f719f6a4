"""The service's requests and responses, and its record of them."""

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
        method: in upper case, as received.
        target: the path with its query, as received.
        headers: in order; latin-1 text, names in any case.
        body: the whole body.
    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the value of the first field of that name (in lower case), or None."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def __repr__(self) -> str:
        return (
            f"ServiceRequest(method={self.method!r}, target={self.target!r}, "
            f"headers={redacted(self.headers, sent=True)!r}, "
            f"body=<{len(self.body)} bytes>)"
        )


class Exchange(msgspec.Struct):
    """An entry of the service's log.

    Attributes:
        request: the request as received.
        endpoint: the endpoint; None for an unknown target.
        status: the HTTP status of the response.
        error: the ``ERR_...`` word of a refusal; otherwise empty.
        reason: what was wrong with the request, in words; empty if nothing was.
        faults: the script's faults that applied to it.
        taken: how many bytes of the response's body were taken.
        ended: how it ended. ``"complete"``: the response was taken to its end. ``"broken"``: the script broke it off.
            ``"left"``: the client left early. Empty while it is under way.
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
        """Format the exchange as one line, without headers and bodies, so without secrets."""
        said = f"{self.status} {self.error}".rstrip() + (f" ({self.reason})" if self.reason else "")
        effects = ", ".join(type(effect).__name__.lower() for fault in self.faults for effect in fault.effects)
        return (
            f"{printable(self.request.method, 20)} {printable(self.request.target)}: {said}; "
            f"{_ENDED[self.ended]}, {self.taken} bytes" + (f"; by the script: {effects}" if effects else "")
        )


_ENDED = {"": "under way", "complete": "complete", "broken": "broken off", "left": "the client left before the end"}


class Pieces(Iterator[Piece]):
    """The body of a response, piece by piece. Each is made on demand; the exchange records the progress.

    Args:
        pieces: the source of the pieces.
        exchange: the entry of the log.
        length: their total length in bytes, if known: a client that has them all takes no more.

    Attributes:
        exchange: as given.
    """

    def __init__(self, pieces: Iterable[Piece], exchange: Exchange, length: int | None = None) -> None:
        self._pieces = iter(pieces)
        self.exchange = exchange
        self._length = length
        self._stopped = False

    def __next__(self) -> Piece:
        exchange = self.exchange
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
        """Record that the client is gone. If there was more, it left early.

        Args:
            delivered: whether the last piece reached it.
        """
        self._give_up("complete" if delivered and self.exchange.taken == self._length else "left")

    def break_off(self) -> None:
        """Record that the script ends the connection before the end of the body."""
        self._give_up("broken")

    def _give_up(self, ended: Literal["complete", "broken", "left"]) -> None:
        self._note(ended)
        self._stopped = True
        self._pieces = iter(())  # releases their source

    def _note(self, ended: Literal["complete", "broken", "left"]) -> None:
        if not self.exchange.ended:
            self.exchange.ended = ended


class ServiceResponse(msgspec.Struct, frozen=True):
    """A response in its parts. `framed` turns it into bytes for a byte stream.

    Attributes:
        status: the HTTP status.
        headers: in order, names in lower case. They include ``content-length`` if the length is known; otherwise the
            connection frames the body (chunked, or ended by its close). A fault's values may contain anything.
        pieces: the body. The consumer must close it if the client leaves before the end.
        unanswered: what happens instead of the response, before its head is complete; ``"more"`` if nothing does.
            Only for consumers that don't use `framed`, which does it itself.
        on_wire: effects on the bytes of the whole response, head included. `framed` applies them.
    """

    status: int
    headers: Headers
    pieces: Pieces
    unanswered: Then = "more"
    on_wire: tuple[StreamEffect, ...] = ()

    @property
    def exchange(self) -> Exchange:
        """The entry of the service's log."""
        return self.pieces.exchange

    def __repr__(self) -> str:
        return f"ServiceResponse(status={self.status}, headers={redacted(self.headers)!r})"


class Handler(Protocol):
    """An object that handles requests as `Service` does, such as `ddg_protocol.transcript.TranscriptService`."""

    def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
        """Return the response to a request; see `Service.handle`."""


class Refusal(Exception):
    """Ends the handling of a request with an error response. It never leaves the service.

    Attributes:
        status: the HTTP status.
        error: the ``ERR_...`` word.
        reason: what was wrong, for the client's author. It contains nothing from the wire.
        headers: additional fields of the response.
    """

    def __init__(self, status: int, error: str, reason: str, headers: Headers = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.error = error
        self.reason = reason
        self.headers = headers
