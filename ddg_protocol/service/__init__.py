"""The other side of the protocol: the service of PROTOCOL.md as a pure state machine.

Parsed requests go in, responses come out; nothing here opens a socket, reads a clock or draws a random number::

    service = Service(challenge=True)
    response = service.handle(ServiceRequest("GET", "/aichat", headers), now=0.0)
    body = b"".join(piece.data for piece in response.pieces)
    service.log[-1].reason

`ddg_transports.emulator` puts it on a loopback port.
"""

from ._exchange import Endpoint, Exchange, Piece, ServiceRequest, ServiceResponse
from ._reply import Message, Question, Responder, default_responder
from ._service import Service

__all__ = [
    "Endpoint",
    "Exchange",
    "Message",
    "Piece",
    "Question",
    "Responder",
    "Service",
    "ServiceRequest",
    "ServiceResponse",
    "default_responder",
]
