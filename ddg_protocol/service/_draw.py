"""What a real service draws at random, drawn from a seed: the same seed gives the same service."""

from __future__ import annotations

import base64
import hashlib


def draw(seed: str, what: str, number: int = 0) -> bytes:
    """Draw 32 bytes.

    Args:
        seed: the service's.
        what: what they are for; draws for different things have nothing in common.
        number: which draw of that kind.

    Returns:
        The same bytes for the same arguments, on every machine.
    """
    return hashlib.sha256(f"{what} {number} {seed}".encode()).digest()


def hashed(text: str) -> str:
    """Give a text's SHA-256 as the challenge writes hashes: base64 of the digest."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
