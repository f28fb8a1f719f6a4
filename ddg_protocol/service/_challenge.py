"""The service's half of ``x-vqd-hash-1``: make a plain challenge, check an answer (PROTOCOL.md section 5).

It shares no code with `ddg_protocol.challenge`, the client's half, so that each tests the other.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from ._challenge_pool import POOL
from ._draw import draw, hashed

#: The layout of the script of 2025-03-27, byte for byte.
_SCRIPT = """\
(function () {
  return {
        server_hashes: ["%s","%s"],
        client_hashes: [navigator.userAgent + (navigator.userAgentData ? \
navigator.userAgentData.brands.map(brand => `"${brand.brand}";v="${brand.version}"`).join(', ') : ''),\
(function(){const e = document.createElement('div');e.innerHTML = %s;return String(%d + e.innerHTML.length);})()],
        signals: {}
    };
})()
"""

#: Characters that a string literal must escape (ECMA-262, StringLiteral).
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r"})


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    server_hashes: list[str]
    client_hashes: list[str]
    signals: dict[str, Any]


_read_answer = msgspec.json.Decoder(_Answer).decode


class Challenge(msgspec.Struct, frozen=True):
    """A challenge, with what only the service knows about it.

    Attributes:
        server_hashes: the hashes that an answer must repeat.
        snippet: the HTML that the script assigns.
        length: the length of the HTML that a browser reads back.
        offset: the number that the script adds to it.
    """

    server_hashes: tuple[str, str]
    snippet: str
    length: int
    offset: int

    @classmethod
    def drawn(cls, seed: str, number: int) -> Challenge:
        """Return the service's challenge of a number."""
        dice = draw(seed, "challenge", number)
        snippet, length = POOL[int.from_bytes(dice[:4], "big") % len(POOL)]
        first, second = (base64.b64encode(draw(seed, f"server hash {i}", number)).decode() for i in (1, 2))
        return cls((first, second), snippet, length, offset=1 + int.from_bytes(dice[4:8], "big") % 9999)

    @property
    def script(self) -> str:
        """The JavaScript source."""
        return _SCRIPT % (*self.server_hashes, literal(self.snippet), self.offset)

    @property
    def encoded(self) -> str:
        """The value of the response's ``x-vqd-hash-1``."""
        return base64.b64encode(self.script.encode()).decode()

    def is_answered(self, answer: str, *, user_agent: str, brands: str) -> bool:
        """Check the request's ``x-vqd-hash-1``.

        Args:
            answer: the header's value.
            user_agent: the request's ``user-agent``.
            brands: the request's ``sec-ch-ua``, empty if it has none.

        Returns:
            Whether the answer is right, whatever the spacing of its JSON.
        """
        try:
            got = _read_answer(base64.b64decode(answer, validate=True))
        except (ValueError, RecursionError):  # not ASCII, not base64, not JSON, not of the shape
            return False
        return got == _Answer(
            server_hashes=list(self.server_hashes),
            client_hashes=[hashed(user_agent + brands), hashed(str(self.offset + self.length))],
            signals={},
        )


def literal(text: str) -> str:
    """Return a text as a single-quoted JavaScript string literal."""
    return f"'{text.translate(_ESCAPES)}'"
