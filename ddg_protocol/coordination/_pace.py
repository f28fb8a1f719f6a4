"""The pace of one client, whichever process makes a request: slots, the queue, holds, the front-end version.

A *slot* is when a request may begin. It is final if it begins soon: the request then begins within one window of the
call that asked, or never. The next slot is an interval behind the end of that window. So the starts of requests keep
the interval, however long the answer is under way, and without a clock in common.

A turn whose slot is not final has a *place* in the queue. Places are ordered by the age of their turns, and each counts
for all requests that its turn has still to make: these follow one another, and younger turns come after them. A place
passes if its turn doesn't come back for it. Only final slots count for the interval, so a turn that was given up costs
the others the time until its place has passed, and nothing else.

Times are by the engine's clock, in microseconds.
"""

from __future__ import annotations

import re

import msgspec

from ..errors import EngineUnavailable
from ..pace import FETCH_SECONDS, PATIENCE
from ._time import NEVER, Clock, Kept, Time, microseconds, seconds
from .calls import MAX_WINDOW, Count, Held, PaceCall, Refused, Reserve, Slot

MAX_PLACES = 1000
"""The last of them would wait for 25 minutes at the service's pace: eight times as long as a turn may take."""
VERSION_SECONDS = 86_400.0
"""How long the front-end version is kept."""
FIRST_LOOK = 0.05
"""A turn that waits for a fetch asks again after as long as it has taken so far, and at least this many seconds."""
_DIGITS = re.compile(r"[0-9]{1,15}")


class Place(Kept, frozen=True):
    """A turn's place in the queue.

    Attributes:
        ticket: says how old the turn is; that of an older one is less.
        nonce: of the turn's newest call.
        need: how many requests it has still to make.
        fetches: whether the next one is for the front-end version.
        until: when the place passes.
    """

    ticket: Count
    nonce: str
    need: Count
    fetches: bool
    until: Time


class Given(Kept, frozen=True):
    """The newest final slot. There is one without a ticket before the first.

    Attributes:
        ticket: of its turn.
        nonce: of its call.
        last: the latest time at which its request begins.
        before: the same of the slot before it.
    """

    ticket: Count = 0
    nonce: str = ""
    last: Time = NEVER
    before: Time = NEVER


class Fetch(Kept, frozen=True):
    """The front-end version is being fetched for all turns.

    Attributes:
        ticket: of the turn that fetches it.
        nonce: of its call.
        begun: when the request began.
        since: when that of the first of several fetches began, none of which has ended.
    """

    ticket: Count
    nonce: str
    begun: Time
    since: Time

    @property
    def until(self) -> int:
        """Until when other turns wait for it."""
        return min(self.begun + microseconds(FETCH_SECONDS), self.since + microseconds(PATIENCE))

    def next_look(self, now: int) -> int:
        """Return when a turn that waits for it asks again."""
        return min(self.until, now + max(now - self.begun, microseconds(FIRST_LOOK)))


class PaceState(Kept, frozen=True, kw_only=True):
    """What an engine keeps of the pace of one client.

    Attributes:
        epoch: names the life of the engine. The tickets of another one are void.
        unknown: whether requests may begin that got their slots in an earlier life.
        given: the newest final slot.
        clock: what the engine has seen of its clock.
        tickets: how many turns have come.
        held: no slot begins before this time.
        places: the queue, the oldest turn first.
        fetch: the fetch of the front-end version that has not ended, if there is one.
        version: the front-end version; empty if it is not known.
        learned: when it became known.
    """

    epoch: str
    unknown: bool = True
    given: Given = Given()
    clock: Clock = Clock()
    tickets: Count = 0
    held: Time = NEVER
    places: tuple[Place, ...] = ()
    fetch: Fetch | None = None
    version: str = ""
    learned: Time = NEVER


def in_epoch(state: PaceState, epoch: str) -> PaceState:
    """Return the state in the engine's present life.

    Args:
        state: what the engine holds, with times of the clock that it still has.
        epoch: names its present life.

    Returns:
        The same state if it is of this life. Otherwise the slots and tickets are void, and the rest stays.
    """
    if state.epoch == epoch:
        return state
    return PaceState(epoch=epoch, clock=state.clock, held=state.held, version=state.version, learned=state.learned)


def decide(state: PaceState, call: PaceCall, now: int) -> tuple[PaceState, Slot | Refused | Held]:
    """Carry out a call.

    Args:
        state: what the engine holds.
        call: what a session asks.
        now: the engine's clock, in microseconds.

    Returns:
        What the engine holds after it, and the answer.

    Raises:
        EngineUnavailable: what the engine holds is out of range, so that there is no answer.
    """
    state = msgspec.structs.replace(state, clock=state.clock.at(now))
    if isinstance(call, Reserve):
        try:
            return _reserve(state, call, state.clock.time)
        except ValueError as error:  # of the answer, which checks itself
            raise EngineUnavailable(f"the stored pace can't be used: {error}") from None
    held = max(state.held, state.clock.time + microseconds(call.seconds))
    return msgspec.structs.replace(state, held=held), Held()


def _reserve(state: PaceState, call: Reserve, now: int) -> tuple[PaceState, Slot | Refused]:
    ticket = _ticket(state, call)
    state = _with_news(state, call, ticket, now)
    place = Place(ticket, call.nonce, call.need, call.fetches, now)
    if call.fetches and state.version:  # the slot is for the request after the fetch
        place = Place(ticket, call.nonce, max(1, call.need - 1), False, now)
    start, ahead = _start(state, call, place, now)
    delay = seconds(start - now)
    # A turn that waits for a fetch asks again: its next request may be another one then.
    final = start - now <= microseconds(call.window) // 2 and not _waits_for_fetch(state, place, now)
    if delay > call.max_wait or (len(state.places) >= MAX_PLACES and not final):
        return state, Refused(wait=delay)
    state = _given(state, call, place, start, now) if final else _queued(state, call, place, start)
    slot = Slot(
        delay=delay, final=final, ticket=str(ticket), epoch=state.epoch, position=ahead, fe_version=state.version
    )
    return msgspec.structs.replace(state, tickets=max(state.tickets, ticket)), slot


def _ticket(state: PaceState, call: Reserve) -> int:
    """Return the ticket of the turn that calls; a new one if it has none that is of this life."""
    if call.epoch == state.epoch and _DIGITS.fullmatch(call.ticket) and 0 < int(call.ticket) <= state.tickets:
        return int(call.ticket)
    known: tuple[Place | Given, ...] = (*state.places, state.given)
    return next((each.ticket for each in known if each.nonce == call.nonce), state.tickets + 1)


def _with_news(state: PaceState, call: Reserve, ticket: int, now: int) -> PaceState:
    """Return the state without the turn's place and what is over, and with what the turn brings."""
    places = tuple(place for place in state.places if place.ticket != ticket and place.until >= now)
    state = msgspec.structs.replace(state, places=places)
    if state.unknown:
        given = Given(last=now + microseconds(MAX_WINDOW))
        state = msgspec.structs.replace(state, unknown=False, given=given)
    if state.version and now >= state.learned + microseconds(VERSION_SECONDS):
        state = msgspec.structs.replace(state, version="")
    fetch = state.fetch
    has_fetched = fetch is not None and fetch.ticket == ticket and fetch.nonce != call.nonce
    if has_fetched:  # well or not
        state = msgspec.structs.replace(state, fetch=None)
    is_wanted = not state.version and (fetch is None or now >= fetch.until)  # a newer one may be coming
    if call.fe_version and (has_fetched or is_wanted):
        state = msgspec.structs.replace(state, fetch=None, version=call.fe_version, learned=now)
    return state


def _start(state: PaceState, call: Reserve, own: Place, now: int) -> tuple[int, int]:
    """Return when the turn's slot begins, and how many turns are ahead."""
    interval, window = microseconds(call.interval), microseconds(call.window)
    ahead = {
        place.ticket: place.need
        for place in state.places
        if interval and place.ticket < own.ticket and not _waits_for_fetch(state, place, now)
    }
    if state.given.nonce == call.nonce and now <= state.given.last:
        ahead = {}  # the slot is given already
    start = max(now, state.held)
    if interval:
        start = max(start, _free(state, call) + interval) + sum(ahead.values()) * (interval + window)
    if _waits_for_fetch(state, own, now) and state.fetch is not None:
        return max(start, state.fetch.next_look(now)), len(ahead.keys() | {state.fetch.ticket})
    return start, len(ahead)


def _free(state: PaceState, call: Reserve) -> int:
    """Return the latest time at which another request begins. One that is asked for again has not begun."""
    return state.given.before if state.given.nonce == call.nonce else state.given.last


def _waits_for_fetch(state: PaceState, place: Place, now: int) -> bool:
    """Return whether a turn needs what another one is fetching."""
    fetch = state.fetch
    return place.fetches and fetch is not None and fetch.ticket != place.ticket and now < fetch.until


def _given(state: PaceState, call: Reserve, place: Place, start: int, now: int) -> PaceState:
    """Return the state after a final slot. The place is kept for the turn's next request, if it has one to make."""
    interval, window, free = microseconds(call.interval), microseconds(call.window), _free(state, call)
    # Where the call is repeated, an earlier answer may have a longer window.
    given = Given(place.ticket, call.nonce, max(state.given.last, now + window), free)
    state = msgspec.structs.replace(state, given=given)
    if place.fetches:
        fetch = state.fetch
        since = start if fetch is None or now >= fetch.begun + microseconds(PATIENCE) else fetch.since
        state = msgspec.structs.replace(state, fetch=Fetch(place.ticket, call.nonce, start, since))
    if place.need == 1 or not interval:
        return state
    return _with_place(state, Place(place.ticket, call.nonce, place.need - 1, False, given.last + interval + window))


def _queued(state: PaceState, call: Reserve, place: Place, start: int) -> PaceState:
    """Return the state after a slot that is not final. The turn may come back for it an interval late."""
    interval, window = microseconds(call.interval), microseconds(call.window)
    if not interval:  # there is no queue, then
        return state
    return _with_place(state, msgspec.structs.replace(place, until=start + window + interval))


def _with_place(state: PaceState, place: Place) -> PaceState:
    places = sorted((*state.places, place), key=lambda each: each.ticket)
    return msgspec.structs.replace(state, places=tuple(places))
