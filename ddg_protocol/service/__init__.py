"""The server side of the protocol: the service of PROTOCOL.md as a pure state machine.

Parsed requests go in, responses come out; nothing here opens a socket, reads a clock or draws a random number::

    service = Service(challenge=True)
    response = service.handle(ServiceRequest("GET", "/aichat", headers), now=0.0)
    body = b"".join(piece.data for piece in response.pieces)
    service.log[-1].reason

By default it asks of clients what the real service is known to have asked; ``strict=True`` asks all of PROTOCOL.md, and
`Checks` sets each check. A script of `faults` says what goes wrong when, in code or, with `script`, as text. `framed`
turns a response into bytes for a byte stream; `ddg_transports.emulator` serves on a loopback port.
"""

from ._checks import Checks
from ._exchange import Exchange, Handler, Pieces, ServiceRequest, ServiceResponse
from ._framing import framed
from ._pieces import Endpoint, Piece, Then
from ._reply import Message, PayloadEvent, Question, Responder, Said, default_responder
from ._service import Service
from .faults import Fault

__all__ = [
    "Checks",
    "Endpoint",
    "Exchange",
    "Fault",
    "Handler",
    "Message",
    "PayloadEvent",
    "Piece",
    "Pieces",
    "Question",
    "Responder",
    "Said",
    "Service",
    "ServiceRequest",
    "ServiceResponse",
    "Then",
    "default_responder",
    "framed",
]
