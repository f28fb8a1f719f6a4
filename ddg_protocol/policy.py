"""What the embedder allows (`Policy`), and what the sessions of one client share (`ClientState` and its pacer)."""

from __future__ import annotations

import math

import msgspec

from .errors import shown

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


class Pacer:
    """Keeps the starts of one client's requests the minimum interval apart (PROTOCOL.md section 7).

    A start is reserved, which settles the order. Who comes late to it must not come too close to the next one, which
    was reserved before that was known; so the request begins when `earliest` allows it too.

    Attributes:
        last_start: the last start that was reserved; None before the first.
        held_until: before this time no request begins, on the caller's clock; minus infinity where none is held.
    """

    __slots__ = ("_last_begin", "held_until", "last_start")

    def __init__(self) -> None:
        self.last_start: float | None = None
        self.held_until = -math.inf
        self._last_begin = -math.inf

    def reserve(self, now: float, interval: float, *, by: float = math.inf) -> float:
        """Take the next free start. It is never given back.

        Args:
            now: the caller's clock, in seconds.
            interval: seconds to keep from the last reserved start.
            by: the latest start that is of use; a later one is not taken.

        Returns:
            When the request may start, on the caller's clock.
        """
        start = now if self.last_start is None else max(now, self.last_start + interval)
        if start <= by:
            self.last_start = start
        return start

    def earliest(self, interval: float) -> float:
        """Tell when a request may begin at the earliest, after those that really began.

        Args:
            interval: seconds to keep from the last one.

        Returns:
            The time on the caller's clock; minus infinity where none began yet.
        """
        return self._last_begin + interval

    def hold(self, until: float) -> None:
        """Let no request begin before a time, as a ``Retry-After`` asks. One that has begun goes on.

        Args:
            until: the time on the caller's clock; an earlier one than is kept to already changes nothing.
        """
        self.held_until = max(self.held_until, until)

    def begin(self, now: float) -> None:
        """Take note that a request begins.

        Args:
            now: the caller's clock, in seconds.
        """
        self._last_begin = now
        self.last_start = now if self.last_start is None else max(self.last_start, now)


class ClientState:
    """What the sessions of one client share. Sessions that share one are driven under one lock.

    Attributes:
        pacer: keeps their requests apart, and holds them all where the service said ``Retry-After``.
        fe_version: the front-end version, once one of them has fetched it; empty before.
    """

    __slots__ = ("fe_version", "pacer")

    def __init__(self) -> None:
        self.pacer = Pacer()
        self.fe_version = ""

    def learn(self, *, fe_version: str, last_start: float | None, held_until: float | None) -> None:
        """Take over what a snapshot knows, as far as it is news.

        Args:
            fe_version: the front-end version; empty where it isn't known.
            last_start: the last start that was reserved, on the caller's clock.
            held_until: until when requests are held, on the caller's clock.
        """
        self.fe_version = self.fe_version or fe_version
        pacer = self.pacer
        if last_start is not None:
            pacer.last_start = last_start if pacer.last_start is None else max(pacer.last_start, last_start)
        if held_until is not None:
            pacer.hold(held_until)
