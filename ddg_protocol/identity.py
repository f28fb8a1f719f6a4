"""The browser identity that a client claims."""

from __future__ import annotations

import msgspec


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The browser identity that every request claims, and for which challenges are answered.

    Attributes:
        user_agent: the ``user-agent`` header.
        sec_ch_ua: the ``sec-ch-ua`` header, the brands; empty, and then not sent, for a browser without brands.
        accept_language: the ``accept-language`` header.
    """

    user_agent: str = (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36"
    )
    sec_ch_ua: str = '"Chromium";v="133", "Not_A Brand";v="8"'
    accept_language: str = "en-US,en;q=0.9"
