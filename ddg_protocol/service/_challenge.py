"""The service's half of ``x-vqd-hash-1``: making a plain challenge, judging an answer (PROTOCOL.md section 5).

Nothing here is shared with `ddg_protocol.challenge`, the client's half: what one makes, the other must read.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from ._challenge_pool import POOL
from ._draw import draw, hashed

#: The layout of the script of 2025-03-27, to the byte.
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

#: What can't stand as itself in a string literal (ECMA-262, StringLiteral).
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r"})


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    server_hashes: list[str]
    client_hashes: list[str]
    signals: dict[str, Any]


_read_answer = msgspec.json.Decoder(_Answer).decode


class Challenge(msgspec.Struct, frozen=True):
    """A challenge, and what only the service knows of it.

    Attributes:
        server_hashes: are to be echoed.
        snippet: the HTML that the script assigns.
        length: what a browser reads back.
        offset: what the script adds to that.
    """

    server_hashes: tuple[str, str]
    snippet: str
    length: int
    offset: int

    @classmethod
    def drawn(cls, seed: str, number: int) -> Challenge:
        """Draw the service's challenge of that number."""
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
        """Judge the request's ``x-vqd-hash-1``.

        Args:
            answer: the header's value.
            user_agent: the request's ``user-agent``.
            brands: the request's ``sec-ch-ua``, empty where it has none.

        Returns:
            Whether it is the answer, however its JSON is spaced.
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
    """Write a text as a single-quoted JavaScript string literal."""
    return f"'{text.translate(_ESCAPES)}'"
