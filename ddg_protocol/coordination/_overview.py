"""Who holds what of an engine at one moment, for whoever runs it. To look changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..policy import MAX_SECONDS
from . import _pace
from ._pace import PaceState
from ._time import Clock, seconds
from ._turns import Lease
from .calls import Held, Reserve, Slot

MAX_LISTED = 1000
"""As many conversations are listed at most. An engine may keep millions."""
_NOBODY = "overview"  # the nonce of a turn that only asks when it could begin; those of sessions are longer


class WaitingTurn(msgspec.Struct, frozen=True):
    """A turn with a place in the queue, the oldest first.

    Attributes:
        ticket: says how old it is; that of an older one is less.
        requests: how many paced requests it has still to make.
        passes: seconds until its place passes, unless it asks again.
    """

    ticket: int
    requests: int
    passes: float


class LeasedConversation(msgspec.Struct, frozen=True):
    """A conversation that a turn has.

    Attributes:
        key: the conversation's.
        holder: the nonce of the turn.
        ends: seconds until its lease ends, unless it is renewed.
        marked: whether its question may have been sent.
    """

    key: str
    holder: str
    ends: float
    marked: bool


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine holds. Durations are in seconds, from when it was asked.

    Attributes:
        next_slot: how long a turn that asked now would wait if all turns ahead of it make their requests.
        held: for how long a ``Retry-After`` lets no request begin; 0 if none does.
        queue: the turns that wait.
        fetching: for how long a turn has been fetching the front-end version for all; None if none does.
        fe_version: the front-end version; empty if it is not known.
        conversations: those that turns have, 1000 at most; None if the engine can't list them.
    """

    next_slot: float
    held: float
    queue: tuple[WaitingTurn, ...]
    fetching: float | None
    fe_version: str
    conversations: tuple[LeasedConversation, ...] | None


def overview(
    pace: PaceState,
    conversations: Iterable[LeasedConversation] | None,
    *,
    now: int,
    interval: float,
    window: float,
) -> Overview:
    """Return what an engine holds.

    Args:
        pace: the pace, in the engine's present life.
        conversations: those that are leased; None if they can't be listed.
        now: the engine's clock, in microseconds.
        interval: seconds between two requests of the turns that ask.
        window: seconds for which their slots may be used.
    """
    asked = Reserve(nonce=_NOBODY, interval=interval, window=window, max_wait=MAX_SECONDS)
    after, answer = _pace.decide(pace, asked, now)
    assert not isinstance(answer, Held), "a Reserve is not answered so"
    time = after.clock.time
    fetch = after.fetch if after.fetch is not None and time < after.fetch.until else None
    return Overview(
        next_slot=answer.delay if isinstance(answer, Slot) else answer.wait,
        held=max(0.0, seconds(after.held - time)),
        queue=tuple(
            WaitingTurn(place.ticket, place.need, seconds(place.until - time))
            for place in after.places
            if place.nonce != _NOBODY
        ),
        fetching=None if fetch is None else max(0.0, seconds(time - fetch.begun)),
        fe_version=after.version,
        conversations=None if conversations is None else tuple(conversations),
    )


def leased(key: str, lease: Lease, clock: Clock, now: int) -> LeasedConversation | None:
    """Return a conversation if a turn has it; None if its lease has ended.

    Args:
        key: the conversation's.
        lease: its newest one.
        clock: what the engine has seen of its clock.
        now: the engine's clock, in microseconds.
    """
    ends = seconds(lease.until - clock.at(now).time)
    return None if lease.ended or ends <= 0 else LeasedConversation(key, lease.holder, ends, lease.marked)
