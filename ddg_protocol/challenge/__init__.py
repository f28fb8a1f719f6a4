"""``x-vqd-hash-1``: what the browser would say, or nothing (PROTOCOL.md section 5).

The script is read, never run; what is not known for certain is `UnsupportedChallenge`.
"""

from __future__ import annotations

from .answer import (
    answer_challenge,
    build_x_vqd_hash_1,
    parse_dom_fingerprint,
    parse_server_hashes,
    read_challenge,
    sha256_base64,
)
from .literals import decode_string_literal
from .script import Challenge, describe_form, read_script


def inner_html_length(html: str, *, chrome: int | None = 133) -> int:
    """Give the length of ``div.innerHTML`` after it was assigned a text, as a browser counts.

    Args:
        html: what is assigned; at most 1,024 characters.
        chrome: the major version of the browser to answer as; None when it isn't known.

    Returns:
        UTF-16 code units.

    Raises:
        UnsupportedChallenge: it is too long or too deep, or what that browser would say is not known.
    """
    from .dom import inner_html_length  # brings bs4 and html5lib, which cost more to import than all the rest

    return inner_html_length(html, chrome=chrome)


__all__ = [
    "Challenge",
    "answer_challenge",
    "build_x_vqd_hash_1",
    "decode_string_literal",
    "describe_form",
    "inner_html_length",
    "parse_dom_fingerprint",
    "parse_server_hashes",
    "read_challenge",
    "read_script",
    "sha256_base64",
]
