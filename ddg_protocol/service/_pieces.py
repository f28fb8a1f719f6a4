"""The words of the service's vocabulary that faults and responses share: its places, and bytes with their timing."""

from __future__ import annotations

from typing import Literal

import msgspec

Endpoint = Literal["front_end", "landing", "status", "chat"]
"""The four places of the service, by the names that `ServiceProfile` has for their paths."""

Then = Literal["more", "close", "reset", "hang"]
"""What becomes of the connection after a piece.

``"more"``: nothing, the response goes on. ``"close"``: it is closed in good order though the response isn't whole;
``"reset"``: it is reset (TCP's RST). ``"hang"``: nothing more comes, for as long as the client stays.
"""


class Piece(msgspec.Struct, frozen=True):
    """Bytes that are to reach the client as a whole and at once.

    Attributes:
        data: the bytes; may be none.
        delay: seconds to let pass before they are sent.
        then: what comes after them. After anything but ``"more"`` no piece is asked for.
    """

    data: bytes
    delay: float = 0.0
    then: Then = "more"
