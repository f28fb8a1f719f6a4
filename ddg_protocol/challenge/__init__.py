"""``x-vqd-hash-1``: the answer that the browser would give, or none (PROTOCOL.md section 5).

The script is read, never run. What is not known for certain raises `UnsupportedChallenge`.
"""

from __future__ import annotations

from .answer import (
    answer_challenge,
    build_x_vqd_hash_1,
    inner_html_length,
    parse_dom_fingerprint,
    parse_server_hashes,
    read_challenge,
    sha256_base64,
)
from .literals import decode_string_literal
from .script import Challenge, describe_form, read_script

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
