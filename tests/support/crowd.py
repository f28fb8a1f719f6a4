"""Sessions that share a client's state, driven together in virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Literal

import msgspec

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ClientState,
    Conversation,
    DuckChatError,
    Failure,
    FailureKind,
    SendRequest,
    Session,
    TextDelta,
    Wait,
)
from ddg_protocol.events import Event
from ddg_protocol.intents import Signal

from .hand import DONE, HELLO, PAGE, STREAM

STEPS = {"?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1": "page", "aichat": "landing", "status": "status", "chat": "chat"}

What = Literal["ok", "error", "limited", "hold", "cut", "hangs"]


class Outcome(msgspec.Struct, frozen=True):
    """What comes of a request, and after how many seconds."""

    what: What = "ok"
    after: float = 0.25


class Start(msgspec.Struct, frozen=True):
    """A request that began."""

    now: float
    step: str
    member: Member


class Member(msgspec.Struct, eq=False):
    """A session and its driver.

    Attributes:
        session: the session.
        number: which member it is.
        asked: when its turn began.
        events: the events of all turns, with their times.
        waits: the waits of all turns.
        error: what ended the last turn.
        ended: when the last turn ended; None while it is under way.
        abandoned: whether its driver has stopped.
        fetching: the step of the request whose response is still to come.
        version: tells which entry of the agenda is the member's newest.
    """

    session: Session
    number: int
    asked: float = 0.0
    events: list[tuple[float, Event]] = []
    waits: list[Wait] = []
    error: DuckChatError | None = None
    ended: float | None = None
    abandoned: bool = False
    fetching: str = ""
    version: int = 0

    @property
    def first_answer(self) -> float:
        """When the first text of its reply came."""
        return next(now for now, event in self.events if isinstance(event, TextDelta))


class Crowd:
    """Drives many sessions of one client, each as a driver of its own would.

    Args:
        respond: returns what comes of a member's request, by its step.
        last_first: whether of those that wake at the same time the one that began to sleep last wakes first.
        start: the time of the beginning.

    Attributes:
        now: the time.
        shared: what the sessions have in common.
        members: the sessions, in the order in which they began.
        starts: the requests that began, in order; redirects don't happen.
        pulls: how many actions were pulled.
    """

    def __init__(
        self,
        respond: Callable[[Member, str], Outcome] = lambda member, step: Outcome(),
        *,
        last_first: bool = False,
        start: float = 0.0,
    ) -> None:
        self.respond = respond
        self.now = start
        self.shared = ClientState()
        self.members: list[Member] = []
        self.starts: list[Start] = []
        self.pulls = 0
        self._agenda: list[tuple[float, int, Member, int, Callable[[], None]]] = []
        self._numbers = count()
        self._sign = -1 if last_first else 1

    def ask(self, *, warm: bool = False, **settings: object) -> Member:
        """Let another session begin a turn; a warm one needs only the chat request."""
        if warm:
            settings = {"conversation": Conversation(vqd="4-0", fe_version="x-y"), "cookies": {}, **settings}
        session = Session(shared=self.shared, jitter=lambda: 0.0, **settings)  # type: ignore[arg-type]
        member = Member(session, len(self.members), asked=self.now)
        self.members.append(member)
        self.ask_again(member)
        return member

    def ask_again(self, member: Member) -> None:
        """Let a session that is at rest begin its next turn."""
        member.ended = member.error = None
        member.asked = self.now
        member.session.ask("Hi", now=self.now)
        self.pull(member)

    def run(self, until: float = float("inf")) -> None:
        """Let time pass, until nobody has anything to do or a time has come."""
        while self._agenda and self._agenda[0][0] <= until:
            now, _, member, version, report = heapq.heappop(self._agenda)
            if version != member.version or member.abandoned:
                continue
            self.now = max(self.now, now)
            report()
            self.pull(member)
        if until < float("inf"):
            self.now = max(self.now, until)

    def cancel(self, member: Member) -> None:
        """Cancel a turn, and pull to its end."""
        member.session.cancel()
        self.pull(member)

    def close(self, member: Member) -> None:
        """Close a session, and pull to its end."""
        member.session.close()
        self.pull(member)

    def abandon(self, member: Member) -> None:
        """Let the driver stop, for good or until `resume`."""
        member.abandoned = True

    def resume(self, member: Member) -> None:
        """Let the driver go on, which has missed all that happened meanwhile: its exchange is cut."""
        member.abandoned = False
        request = member.session.request
        if request is not None:
            member.session.transport_failed(request, Failure(FailureKind.CUT, "it was left alone"))
        elif member.waits and member.waits[-1].until <= self.now:
            member.session.wait_elapsed(member.waits[-1])
        self.pull(member)

    def pull(self, member: Member) -> None:
        """Pull as a driver does, until there is something to wait for."""
        session = member.session
        member.version += 1
        member.fetching = ""
        while True:
            self.pulls += 1
            try:
                action = session.next_action(now=self.now)
            except DuckChatError as error:
                member.error = error
                continue
            if isinstance(action, Wait):
                assert action.until > self.now, "a driver would spin"
                if action not in member.waits[-1:]:
                    member.waits.append(action)
                self._later(member, action.until, partial(session.wait_elapsed, action))
                return
            if isinstance(action, SendRequest):
                self._send(member, action)
                return
            if action is NEED_DATA:
                deadline = session.deadline
                assert deadline is not None
                self._later(member, deadline, lambda: None)
                return
            if action is PAUSED:
                member.ended = self.now
                return
            assert not isinstance(action, Signal | SendRequest | Wait)
            member.events.append((self.now, action))  # type: ignore[arg-type]

    def _later(self, member: Member, at: float, report: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, self._sign * next(self._numbers), member, member.version, report))

    def _send(self, member: Member, request: SendRequest) -> None:
        session, step = member.session, STEPS[request.url.rpartition("/")[2]]
        self.starts.append(Start(self.now, step, member))
        outcome = self.respond(member, step)
        deadline = session.deadline
        assert deadline is not None
        member.fetching = step
        at = self.now + outcome.after
        if outcome.what == "hangs" or at >= deadline:
            self._later(member, deadline, lambda: None)
        else:
            self._later(member, at, lambda: _report(session, request, step, outcome.what, at))


def _report(session: Session, request: SendRequest, step: str, what: What, now: float) -> None:
    if what == "cut":
        session.transport_failed(request, Failure(FailureKind.CUT, "the connection broke"))
        return
    status = {"ok": 200, "error": 503, "limited": 429, "hold": 429}[what]
    headers = [("retry-after", "20")] if what == "hold" else []
    if what == "ok" and step in ("status", "chat"):
        headers += [("x-vqd-4", "4-1"), *(STREAM if step == "chat" else ())]
    if what == "ok" and step == "landing":
        headers += [("set-cookie", f"visit={now}; path=/")]
    session.receive_head(request, status, headers, now=now)
    if what == "ok":
        session.receive_data(request, HELLO + DONE if step == "chat" else PAGE)
    session.receive_eof(request)
