"""What the sessions of one client share: their pace, and the front-end version (PROTOCOL.md sections 3 and 7)."""

from __future__ import annotations

import math


class Pacer:
    """Keeps the starts of one client's requests the minimum interval apart.

    A request reserves its start, which settles the order. A request that begins later than reserved must not come too
    close to the next one, which was reserved before that was known; so it begins when `earliest` allows it, too.

    Attributes:
        last_start: the last start that was reserved, on the caller's clock; None before the first.
        held_until: no request begins before this time on the caller's clock; minus infinity where none is held.
    """

    __slots__ = ("_last_begin", "held_until", "last_start")

    def __init__(self) -> None:
        self.last_start: float | None = None
        self.held_until = -math.inf
        self._last_begin = -math.inf

    def reserve(self, now: float, interval: float, *, by: float = math.inf) -> float:
        """Reserve the next free start. It is never given back.

        Args:
            now: the caller's clock, in seconds.
            interval: seconds to keep from the last reserved start.
            by: the latest useful start; a later one is not reserved.

        Returns:
            When the request may start, on the caller's clock.
        """
        start = now if self.last_start is None else max(now, self.last_start + interval)
        if start <= by:
            self.last_start = start
        return start

    def earliest(self, interval: float) -> float:
        """Return when a request may begin at the earliest, judged by the requests that have begun.

        Args:
            interval: seconds to keep from the last one.

        Returns:
            The time on the caller's clock; minus infinity where none has begun yet.
        """
        return self._last_begin + interval

    def hold(self, until: float) -> None:
        """Let no request begin before a time, as a ``Retry-After`` asks. A request that has begun goes on.

        Args:
            until: the time on the caller's clock; one that is earlier than the current hold changes nothing.
        """
        self.held_until = max(self.held_until, until)

    def begin(self, now: float) -> None:
        """Note that a request begins.

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
        """Add what a snapshot knows, as far as it is news.

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
