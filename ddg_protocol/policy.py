"""What the embedder allows a session: tries, times and bounds."""

from __future__ import annotations

import math

import msgspec

from .text import shown

KIB = 1024
MIB = 1024 * 1024
MAX_SECONDS = 1_000_000
"""The longest time that is waited, eleven days: in milliseconds it fits the 32 bits that some platforms have for it."""
_MAY_BE_0 = frozenset({"max_retries", "base_delay", "max_retry_after", "drain_timeout", "max_redirects"})


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Tries, times and bounds (PROTOCOL.md sections 7 and 8).

    Times are in seconds, at most 1,000,000; sizes are of decompressed bytes.

    Attributes:
        strict: whether a malformed payload ends the turn (`MalformedEvent`) instead of being an event.
        max_retries: how often a kind of request is made again in one turn.
        base_delay: what the backoff grows from.
        max_retry_after: the longest ``Retry-After`` that is waited for; a longer one ends each turn of the client at
            once, until no more than this is left of it.
        connect_timeout: making the connection.
        write_timeout: sending a request.
        read_timeout: the wait for the response's head, and for each next piece of its body.
        total_timeout: one whole exchange, from the pull of its `SendRequest` to the end of its body.
        turn_timeout: one whole turn, from `Session.ask` to the end of the reply: every request, redirect, retry and
            wait of it counts, and so does the time in which other chats of the client have their turn. A wait that
            would end later is not begun: the turn ends at once.
        drain_timeout: reading the little that follows a complete reply, so that the connection can be kept.
        max_redirects: followed for one request.
        max_prompt_chars: the longest prompt that is sent; None sends any.
        max_head_bytes: a response's head, with the interim ones (1xx) before it.
        max_page_bytes: the front-end page.
        max_error_bytes: what is kept of the body of a refusal.
        max_drain_bytes: what is read of a body that nobody wants, so that the connection can be kept.
        max_event_bytes: a line or an event of the stream.
        max_reply_bytes: a reply: every byte of its body, before and after decompression, whether it means anything or
            not; twice the memory that its text takes; and by itself what a `wire.WireSession` reads of chunk
            extensions, sizes in an unusual form and trailers.
        max_challenge_bytes: a challenge, as encoded in its header.
    """

    strict: bool = False
    max_retries: int = 3
    base_delay: float = 2.0
    max_retry_after: float = 60.0
    connect_timeout: float = 10.0
    write_timeout: float = 10.0
    read_timeout: float = 30.0
    total_timeout: float = 60.0
    turn_timeout: float = 180.0
    drain_timeout: float = 1.0
    max_redirects: int = 10
    max_prompt_chars: int | None = 16_000
    max_head_bytes: int = 128 * KIB
    max_page_bytes: int = 8 * MIB
    max_error_bytes: int = 64 * KIB
    max_drain_bytes: int = 64 * KIB
    max_event_bytes: int = 1 * MIB
    max_reply_bytes: int = 16 * MIB
    max_challenge_bytes: int = 256 * KIB

    def __post_init__(self) -> None:
        """Refuse what can't be meant.

        Raises:
            ValueError: which attribute is not a number of its kind: whole where it counts something, at most
                `MAX_SECONDS` where it is a time.
        """
        for name, default in zip(self.__struct_fields__, self.__struct_defaults__, strict=True):
            value = getattr(self, name)
            if isinstance(default, bool) or (value is None and name == "max_prompt_chars"):
                continue
            whole = isinstance(default, int)
            fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            least = 0 if name in _MAY_BE_0 else math.ulp(0.0)
            if not (fits and least <= value and (whole or value <= MAX_SECONDS)):
                kind = "a whole number" if whole else "a number"
                bound = "0 or more" if least == 0 else "more than 0"
                most = "" if whole else f" and at most {MAX_SECONDS}"
                raise ValueError(f"Policy.{name} must be {kind}, {bound}{most}, not {shown(value)}")
