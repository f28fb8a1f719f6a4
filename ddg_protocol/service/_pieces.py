"""The types that faults and responses share: the endpoints, and bytes with their timing."""

from __future__ import annotations

from typing import Literal

import msgspec

Endpoint = Literal["front_end", "landing", "status", "chat", "models"]
"""The endpoints of the service, named as their paths in `ServiceProfile`."""

Then = Literal["more", "close", "reset", "hang"]
"""What happens to the connection after a piece.

``"more"``: nothing, the response goes on. ``"close"``: it is closed cleanly though the response is incomplete.
``"reset"``: it is reset (TCP's RST). ``"hang"``: nothing more is sent until the client leaves.
"""


class Piece(msgspec.Struct, frozen=True):
    """Bytes to send to the client at once.

    Attributes:
        data: the bytes; may be empty.
        delay: seconds to wait before they are sent.
        then: what happens after them. No piece is taken after any value but ``"more"``.
    """

    data: bytes
    delay: float = 0.0
    then: Then = "more"
