"""What goes into the service, what comes out, and what is noted of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import msgspec

from ..intents import Headers, redacted

Endpoint = Literal["front_end", "landing", "status", "chat"]
"""The four places of the service, by the names that `ServiceProfile` has for their paths."""


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
            f"ServiceRequest(method={self.method!r}, target={self.target!r}, headers={redacted(self.headers)!r}, "
            f"body=<{len(self.body)} bytes>)"
        )


class Piece(msgspec.Struct, frozen=True):
    """A part of a response's body that is to reach the client as a whole and at once.

    Attributes:
        data: the bytes; framing (chunks) is the caller's.
        delay: seconds to let pass before it is sent.
    """

    data: bytes
    delay: float = 0.0


class ServiceResponse(msgspec.Struct, frozen=True):
    """A response.

    Attributes:
        status: the HTTP status.
        headers: in order, names in lower case. With ``content-length`` where the length is known; a body without is
            to be framed by the caller (chunked, or ended by the connection).
        pieces: the body. Each piece is made when it is asked for; a caller whose client is gone closes the generator.
    """

    status: int
    headers: Headers
    pieces: Generator[Piece, None, None]

    def __repr__(self) -> str:
        return f"ServiceResponse(status={self.status}, headers={redacted(self.headers)!r})"


class Exchange(msgspec.Struct):
    """One line of the service's log.

    Attributes:
        request: what came.
        endpoint: where it went; None for a target that the service doesn't have.
        status: the HTTP status it got.
        error: the ``ERR_...`` word of a refusal, else empty.
        reason: why it was refused, in words; empty where it was served.
        complete: whether the response was taken to its end. False while it is under way, and for good when the client
            went away.
    """

    request: ServiceRequest
    endpoint: Endpoint | None
    status: int
    error: str = ""
    reason: str = ""
    complete: bool = False


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

    def body(self) -> bytes:
        """Give the error body of PROTOCOL.md section 7, with the reason as one more member."""
        said = {"action": "error", "status": self.status, "type": self.error, "reason": self.reason}
        return msgspec.json.encode(said)
