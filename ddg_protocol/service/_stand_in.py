"""A stand-in for the challenges of the later revisions: a text that says what it is, and asks nothing of a browser.

This module shares no code with `ddg_protocol.testing.stand_in_answer`, which answers it.
"""

from __future__ import annotations

import base64

import msgspec

from ._draw import draw


class StandIn(msgspec.Struct, frozen=True):
    """A stand-in for a challenge of a form that only a browser answers.

    Attributes:
        name: tells it apart from the others of the service.
    """

    name: str

    @classmethod
    def drawn(cls, seed: str, number: int) -> StandIn:
        """Return the service's stand-in of a number."""
        return cls(f"{number}-{draw(seed, 'stand-in', number).hex()[:16]}")

    @property
    def encoded(self) -> str:
        """The value of the response's ``x-vqd-hash-1``."""
        text = (
            "stand-in challenge of the emulator of ddg-protocol, not of the real service; "
            f"ddg_protocol.testing.stand_in_answer answers it. Number {self.name}"
        )
        return base64.b64encode(text.encode()).decode()

    def is_answered(self, answer: str, *, user_agent: str, brands: str) -> bool:
        """Check the request's ``x-vqd-hash-1``. Like a real answer, it is bound to the ``user-agent``."""
        right = f"stand-in answer to number {self.name} for {user_agent}"
        return answer == base64.b64encode(right.encode("latin-1")).decode()
