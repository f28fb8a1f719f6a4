"""What the sessions of one client share: their pace, and what they have learned (PROTOCOL.md sections 3 and 7)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

import msgspec

from .cookies import Cookie, CookieJar
from .steps import STEPS_TO, Step

FETCH_SECONDS = 10.0
"""How long the other turns wait for one that fetches a page that they need too. Then the next one fetches."""
PATIENCE = 15.0
"""How long turns wait for such fetches in all, where none of them ends. Then each fetches for itself."""
_LOOK = 0.5
"""A turn that queues asks again after this many seconds at the latest, or when the next request may begin."""
_FIRST_LOOK = 0.05
"""A turn that waits for a page asks again after as long as the fetch has taken so far, and at least this many seconds.

So it asks nine times in `FETCH_SECONDS`. If ten thousand turns asked every second, the fetch itself would get no time.
"""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Few = Annotated[int, msgspec.Meta(ge=0, le=4)]


class Ticket(msgspec.Struct, frozen=True, order=True):
    """Says how old a turn is: that of an older one is less.

    Attributes:
        began: when the turn began, on the caller's clock.
        number: which of the client's turns it is, from 1; 0 before it has begun.
    """

    began: float = 0.0
    number: _Count = 0


class Place(msgspec.Struct, frozen=True):
    """A turn's place in the queue.

    Attributes:
        ticket: the turn's.
        ready: from when on it wants the next request to begin; None while one is out.
        until: when its session is pulled again, on the caller's clock.
        requests: how many it has still to make, pages excluded.
        pages: the pages that it still needs, in order.
    """

    ticket: Ticket
    ready: float | None
    until: float
    requests: _Few
    pages: tuple[Step, ...]


class Fetch(msgspec.Struct, frozen=True):
    """A page that is being fetched for all turns.

    Attributes:
        page: which one.
        ticket: that of the turn that fetches it.
        begun: when its request began, on the caller's clock.
        since: when that of the first of several fetches began, none of which has ended.
    """

    page: Step
    ticket: Ticket
    begun: float
    since: float

    @property
    def until(self) -> float:
        """Until when other turns wait for it, on the caller's clock."""
        return min(self.begun + FETCH_SECONDS, self.since + PATIENCE)

    def next_look(self, now: float) -> float:
        """Return when a turn that waits for it asks again."""
        return min(self.until, now + max(now - self.begun, _FIRST_LOOK))


class Queue(msgspec.Struct, frozen=True):
    """The turns under way, for a transcript.

    Attributes:
        tickets: how many turns have begun.
        places: the turns that have requests to make.
        fetches: the pages that are being fetched.
    """

    tickets: _Count = 0
    places: tuple[Place, ...] = ()
    fetches: tuple[Fetch, ...] = ()


class Slot(msgspec.Struct, frozen=True):
    """When a turn's next request may begin. All times are on the caller's clock.

    Attributes:
        until: when to ask again. The request may begin if that is now or earlier.
        least: the earliest start, if every older turn that waits makes all its requests first.
        start: the likely start: older turns whose response is still to come are counted, too.
        position: how many turns are ahead.
    """

    until: float
    least: float
    start: float
    position: int


class Pacer:
    """Keeps the starts of one client's requests the minimum interval apart, and serves the oldest turn first.

    A turn that waits for a start has a place in the queue, and younger ones wait for it. If its session isn't pulled in
    time, the place passes one interval later; the next pull takes it again. Nobody waits for a turn whose response is
    still to come, unless that is a page that they need, too. The interval is counted from the requests that have begun,
    so it is kept whatever becomes of the queue.

    Attributes:
        last_start: when the last request began, on the caller's clock; None before the first.
        held_until: no request begins before this time on the caller's clock; minus infinity where none is held.
    """

    __slots__ = ("_fetches", "_places", "_tickets", "held_until", "last_start")

    def __init__(self) -> None:
        self.last_start: float | None = None
        self.held_until = -math.inf
        self._tickets = 0
        self._places: dict[Ticket, Place] = {}
        self._fetches: dict[Step, Fetch] = {}

    @property
    def queue(self) -> Queue:
        """The turns under way."""
        return Queue(self._tickets, tuple(self._places.values()), tuple(self._fetches.values()))

    @queue.setter
    def queue(self, queue: Queue) -> None:
        self._tickets = queue.tickets
        self._places = {place.ticket: place for place in queue.places}
        self._fetches = {fetch.page: fetch for fetch in queue.fetches}

    def enter(self, now: float) -> Ticket:
        """Return the ticket of a turn that begins."""
        self._tickets += 1
        return Ticket(now, self._tickets)

    def enter_again(self, ticket: Ticket) -> Ticket:
        """Return the ticket of a turn that goes on in another session. It keeps its age, and the place that it has."""
        self._tickets = max(self._tickets, ticket.number)
        for known in (*self._places, *(fetch.ticket for fetch in self._fetches.values())):
            if known.number == ticket.number and math.isclose(known.began, ticket.began):
                return known
        return ticket

    def hold(self, until: float) -> None:
        """Let no request begin before a time, as a ``Retry-After`` asks. A request that has begun goes on.

        Args:
            until: the time on the caller's clock; one that is earlier than the current hold changes nothing.
        """
        self.held_until = max(self.held_until, until)

    def reserve(self, place: Place, *, now: float, interval: float, gap: float) -> Slot:
        """Take or keep a place in the queue, and return when the turn's next request may begin.

        Args:
            place: the turn's; its ``until`` is set here.
            now: the caller's clock, in seconds.
            interval: seconds from the start of one request to the next one's.
            gap: the same for this request.

        Returns:
            When it may begin. If that is now, call `begin`.
        """
        free = self.held_until if self.last_start is None else max(self.last_start + gap, self.held_until)
        first = max(free, now, place.ready or now)
        fetch = self._fetch_of_another(place, now)
        if not interval:  # there is no queue, then
            until = first if fetch is None else max(first, fetch.next_look(now))
            return Slot(until, first, first, 0 if fetch is None else 1)
        # Copies, since other sessions may leave the queue in between: a signal handler can close them.
        for other in list(self._places.values()):
            if other.until + interval <= now:
                self._places.pop(other.ticket, None)
        ahead = [other for other in list(self._places.values()) if other.ticket < place.ticket]
        waiting = [other for other in ahead if self._is_waiting(other, first, now)]
        if fetch is not None:
            until = max(first, fetch.next_look(now))
        elif waiting:
            turn_of_all = free + len(waiting) * interval
            until = max(first, now + _LOOK)
            until = min(until, turn_of_all) if turn_of_all > now else until
        else:
            until = first
        self._places[place.ticket] = msgspec.structs.replace(place, until=until)
        least, start = (first + interval * self._requests(others) for others in (waiting, ahead))
        return Slot(until, least, start, len(ahead))

    def begin(self, ticket: Ticket, step: Step, *, now: float, until: float) -> None:
        """Note that a request begins. After its last one, the turn is in nobody's way any more.

        Args:
            ticket: the turn's.
            step: which request.
            now: the caller's clock, in seconds.
            until: when its response must be complete.
        """
        self.last_start = now
        place = self._places.pop(ticket, None)
        if step in (Step.FRONT_END, Step.LANDING):
            unended = self._fetches.get(step)
            since = unended.since if unended is not None and now < unended.begun + PATIENCE else now
            self._fetches[step] = Fetch(step, ticket, now, since)
        if place is None or step in STEPS_TO:
            return
        pages = tuple(page for page in place.pages if page is not step)
        requests = place.requests - (step is Step.STATUS)
        self._places[ticket] = Place(ticket, None, until, requests, pages)

    def fetched(self, ticket: Ticket, page: Step) -> None:
        """Note that a turn's fetch of a page has ended, well or not: the others need not wait for it any more."""
        fetch = self._fetches.get(page)
        if fetch is not None and fetch.ticket == ticket:
            del self._fetches[page]

    def leave(self, ticket: Ticket) -> None:
        """Free the place of a turn that has ended, and let the next one fetch what it was fetching."""
        self._places.pop(ticket, None)
        for page in list(self._fetches):
            self.fetched(ticket, page)

    def _fetch_of_another(self, place: Place, now: float) -> Fetch | None:
        """Return the fetch that a turn has to wait for, if there is one."""
        fetch = self._fetches.get(place.pages[0]) if place.pages else None
        return fetch if fetch is not None and fetch.ticket != place.ticket and now < fetch.until else None

    def _is_waiting(self, place: Place, time: float, now: float) -> bool:
        """Return whether a turn wants its next request to begin at a time."""
        return place.ready is not None and place.ready <= time and self._fetch_of_another(place, now) is None

    def _requests(self, places: Iterable[Place]) -> int:
        """Return how many requests turns have still to make. Each page is fetched once for all of them."""
        pages = {page for place in places for page in place.pages}
        return sum(place.requests for place in places) + len(pages.difference(self._fetches))


class Landing(msgspec.Struct, frozen=True):
    """What a visit of the landing page has brought.

    Attributes:
        cookies: the content of the jar after it.
        offset: the service's clock less the caller's, in seconds.
        visited: when it was visited, on the caller's clock.
    """

    cookies: tuple[Cookie, ...]
    offset: float
    visited: float

    def is_current(self, now: float) -> bool:
        """Return whether none of the cookies has ended."""
        time = now + self.offset
        return all(cookie.expires is None or cookie.expires > time for cookie in self.cookies)


class ClientState:
    """What the sessions of one client share. Sessions that share one are driven under one lock.

    Attributes:
        pacer: keeps their requests apart, and holds them all where the service said ``Retry-After``.
        fe_version: the front-end version, once one of them has fetched it; empty before.
        landing: what one of them has got from the landing page; None before, and after a refusal of these cookies.
    """

    __slots__ = ("fe_version", "landing", "pacer")

    def __init__(self) -> None:
        self.pacer = Pacer()
        self.fe_version = ""
        self.landing: Landing | None = None

    def has_landed(self, jar: CookieJar, *, now: float) -> None:
        """Keep the cookies of a session that has visited the landing page.

        Args:
            jar: has the cookies.
            now: the caller's clock, in seconds.
        """
        self.landing = Landing(jar.cookies, jar.offset or 0.0, now)

    def land(self, jar: CookieJar, *, now: float) -> bool:
        """Put the cookies of the landing page into a session's jar.

        Args:
            jar: gets the cookies.
            now: the caller's clock, in seconds.

        Returns:
            Whether there are any; if not, the landing page has to be visited.
        """
        landing = self.landing
        if landing is None or not landing.is_current(now):
            return False
        for cookie in landing.cookies:
            jar.set(cookie)
        if jar.offset is None:
            jar.offset = landing.offset
        return True

    def drop_landing(self, *, begun: float) -> None:
        """Drop the cookies of the landing page after a refusal, unless it was visited since.

        Args:
            begun: when the request began that was refused, on the caller's clock.
        """
        if self.landing is not None and self.landing.visited <= begun:
            self.landing = None

    def learn(
        self, *, fe_version: str, last_start: float | None, held_until: float | None, landing: Landing | None
    ) -> None:
        """Add what a snapshot knows, as far as it is news.

        Args:
            fe_version: the front-end version; empty where it isn't known.
            last_start: when the last request began, on the caller's clock.
            held_until: until when requests are held, on the caller's clock.
            landing: what the landing page has brought.
        """
        self.fe_version = self.fe_version or fe_version
        self.landing = self.landing or landing
        pacer = self.pacer
        if last_start is not None:
            pacer.last_start = last_start if pacer.last_start is None else max(pacer.last_start, last_start)
        if held_until is not None:
            pacer.hold(held_until)
