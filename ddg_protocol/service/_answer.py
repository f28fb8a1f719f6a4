"""What the service is about to say, and what a fault's effect makes of that."""

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
    """A response that can still become another.

    Attributes:
        status: the HTTP status.
        headers: in order, without the body's length.
        begin: begins the body; not called for one that another takes the place of.
        length: how many bytes of body are announced; None where that isn't known.
        on_wire: what is to happen to the bytes of the whole.
    """

    status: int
    headers: Headers
    begin: Callable[[], Iterator[Piece]]
    length: int | None = None
    on_wire: tuple[StreamEffect, ...] = ()

    @classmethod
    def of(cls, status: int, headers: Headers, body: bytes) -> Answer:
        """Make one whose body is known."""
        return cls(status, headers, lambda: iter((Piece(body),)), len(body))

    @classmethod
    def refused(cls, status: int, type: str, reason: str = "", headers: Headers = ()) -> Answer:
        """Make one with the error body of PROTOCOL.md section 7, and the reason as one more member."""
        said = {"action": "error", "status": status, "type": type, "reason": reason}
        body = msgspec.json.encode({name: value for name, value in said.items() if value})
        return cls.of(status, (("content-type", "application/json"), *headers), body)

    def after(self, effect: Effect, *, target: str, tokens: Callable[[], Headers]) -> Answer:
        """Give what an effect makes of it.

        Args:
            effect: one of a fault's.
            target: where the request went.
            tokens: hands out a new pair.
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
                return replace(self, begin=lambda: iter((Piece(data),)), length=len(data))
            case Insert(of="wire") | Split(of="wire") | Drip(of="wire") | Cut(of="wire"):
                return replace(self, on_wire=(*self.on_wire, effect))
            case Split() | Drip() | Cut(then="close" | "reset" | "hang"):
                return self._over(effect, self.length)  # announced all the same
            case Coding():
                coded = replace(self, headers=_with(self.headers, "content-encoding", effect.name))
                return coded._over(effect, None)
            case _:
                return self._over(effect, None)

    def response(self, exchange: Exchange, date: str) -> ServiceResponse:
        """Begin the response.

        Args:
            exchange: notes how it fares.
            date: when it is sent.
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
    """Make a header field, in the way fields are kept: a character for each byte."""
    return as_bytes(name).decode("latin-1"), as_bytes(value).decode("latin-1")


def _with(headers: Headers, name: str, value: str | None) -> Headers:
    others = tuple(field for field in headers if field[0].lower() != name.lower())
    return others if value is None else (*others, _field(name, value))
