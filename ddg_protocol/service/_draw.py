"""Values that a real service draws at random, derived from a seed: the same seed gives the same service."""

from __future__ import annotations

import base64
import hashlib


def draw(seed: str, what: str, number: int = 0) -> bytes:
    """Return 32 bytes derived from a seed.

    Args:
        seed: the service's seed.
        what: their purpose; the bytes for different purposes are independent.
        number: which draw of that kind.

    Returns:
        The same bytes for the same arguments, on every machine.
    """
    return hashlib.sha256(f"{what} {number} {seed}".encode()).digest()


def hashed(text: str) -> str:
    """Return a text's SHA-256 as challenges write hashes: the digest in base64."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
