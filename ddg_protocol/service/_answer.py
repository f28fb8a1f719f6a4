"""A response before it is sent, and how the effects of faults change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec.structs import replace

from ..headers import Headers
from ._exchange import Exchange, Pieces, ServiceResponse
from ._framing import head
from ._pieces import Piece, Then
from .faults import Body, Coding, Cut, Drip, Effect, Header, Insert, Redirect, Refuse, Split, StreamEffect, as_bytes

_FRAMING = {"content-length", "transfer-encoding"}


class Answer(msgspec.Struct, frozen=True):
    """A response that effects can still change.

    Attributes:
        status: the HTTP status.
        headers: in order, without the body's length.
        begin: starts the body; not called if an effect replaces it.
        length: the announced length of the body in bytes; None if unknown.
        on_wire: effects on the bytes of the whole response.
        coded: whether the body is compressed.
    """

    status: int
    headers: Headers
    begin: Callable[[], Iterator[Piece]]
    length: int | None = None
    on_wire: tuple[StreamEffect, ...] = ()
    coded: bool = False

    @classmethod
    def of(cls, status: int, headers: Headers, body: bytes) -> Answer:
        """Return a response whose body is known."""
        return cls(status, headers, lambda: iter((Piece(body),)), len(body))

    @classmethod
    def refused(cls, status: int, type: str, reason: str = "", headers: Headers = ()) -> Answer:
        """Return a response with the error body of PROTOCOL.md section 7, and the reason as one more member."""
        said = {"action": "error", "status": status, "type": type, "reason": reason}
        body = msgspec.json.encode({name: value for name, value in said.items() if value})
        return cls.of(status, (("content-type", "application/json"), *headers), body)

    def after(self, effect: Effect, *, target: str, tokens: Callable[[], Headers]) -> Answer:
        """Return the response that an effect makes of this one.

        Args:
            effect: an effect of a fault.
            target: the target of the request.
            tokens: issues a new pair.
        """
        match effect:
            case Refuse():
                later = () if effect.retry_after == "" else (_field("retry-after", str(effect.retry_after)),)
                return self.refused(effect.status, effect.type, headers=(*later, *(tokens() if effect.tokens else ())))
            case Redirect():
                return self.of(effect.status, (_field("location", effect.to or target),), b"")
            case Header():
                return replace(self, headers=_with(self.headers, effect.name, effect.value))
            case Body():
                data = as_bytes(effect.text)
                return replace(self, begin=lambda: iter((Piece(data),)), length=len(data), coded=False)
            case Insert(of="wire") | Split(of="wire") | Drip(of="wire") | Cut(of="wire"):
                return replace(self, on_wire=(*self.on_wire, effect))
            case Split() | Drip() | Cut(then="close" | "reset" | "hang"):
                return self._over(effect, self.length)  # the announced length stays
            case Coding() if self.coded:
                return self
            case Coding():
                headers = _with(self.headers, "content-encoding", effect.name)
                coded = replace(self, headers=headers, coded=True)
                return coded._over(effect, None)
            case _:
                return self._over(effect, None)

    def response(self, exchange: Exchange, date: str) -> ServiceResponse:
        """Start the response.

        Args:
            exchange: the log's entry, which records the progress.
            date: the value of its ``date``.
        """
        headers = (("date", date), *self.headers)
        if self.length is not None and not any(name.lower() in _FRAMING for name, _ in headers):
            headers = (*headers, ("content-length", str(self.length)))
        room = len(head(self.status, headers))
        unanswered: Then = next(
            (cut.then for cut in self.on_wire if isinstance(cut, Cut) and cut.then != "end" and cut.at < room), "more"
        )
        return ServiceResponse(
            self.status, headers, Pieces(self.begin(), exchange, self.length), unanswered, self.on_wire
        )

    def _over(self, effect: StreamEffect, length: int | None) -> Answer:
        begin = self.begin
        return replace(self, begin=lambda: effect.over(begin()), length=length)


def _field(name: str, value: str) -> tuple[str, str]:
    """Return a header field in latin-1: a character for each byte."""
    return as_bytes(name).decode("latin-1"), as_bytes(value).decode("latin-1")


def _with(headers: Headers, name: str, value: str | None) -> Headers:
    others = tuple(field for field in headers if field[0].lower() != name.lower())
    return others if value is None else (*others, _field(name, value))
