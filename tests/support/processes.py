"""Processes that share an engine, in virtual time: their calls take time, get lost, come twice and out of order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from ddg_protocol.coordination import (
    Busy,
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    Done,
    Hold,
    Lost,
    Mark,
    Marked,
    Refused,
    Release,
    Reserve,
    Result,
    Slot,
    _pace,
    _turns,
)
from ddg_protocol.coordination._pace import PaceState
from ddg_protocol.coordination._turns import ConversationState
from ddg_protocol.coordination.calls import MAX_WINDOW

INTERVAL = 1.5
WINDOW = 0.05
LEASE = 10.0
TIMEOUT = 2.0
"""After this many seconds without an answer, a call is repeated."""
DRIFT = 1e-4
"""How much faster or slower than the true time a clock is, at most."""


class Engine:
    """An engine that outlives its processes: `lose_pace` and `lose_all` are its accidents."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.pace = PaceState(epoch="life1", unknown=False)
        self.conversations: dict[str, ConversationState] = {}
        self.lives = 1

    def call(self, call: Call) -> Result:
        now = round(self.clock() * 1e6)
        if isinstance(call, Reserve | Hold):
            self.pace, answer = _pace.decide(self.pace, call, now)
            return answer
        state = self.conversations.get(call.key, ConversationState())
        self.conversations[call.key], result = _turns.decide(state, call, now)
        return result

    def lose_pace(self) -> None:
        """Start anew without what was kept of the pace."""
        self.lives += 1
        self.pace = PaceState(epoch=f"life{self.lives}")

    def restart(self) -> None:
        """Start anew with what was kept."""
        self.lives += 1
        self.pace = _pace.in_epoch(self.pace, f"life{self.lives}")

    def lose_all(self) -> None:
        """Start anew with nothing."""
        self.lose_pace()
        self.conversations.clear()


@dataclass(frozen=True)
class Fate:
    """What becomes of a call: how long it takes there and back, in seconds; None if it doesn't come there, or back."""

    there: float | None = 0.001
    back: float | None = 0.001
    again: float | None = None  # it comes there once more, so many seconds later


@dataclass(frozen=True)
class Sleep:
    seconds: float


@dataclass(frozen=True)
class Answer:
    """A result; when the call was made, by the process's clock; in which life of the data it was carried out."""

    result: Result
    asked: float
    life: int


Step = Sleep | Call
Program = Generator[Step, Any, None]


@dataclass
class Plan:
    """What a turn does.

    Attributes:
        conversation: its key.
        turn: the turn's key.
        requests: how many paced requests it makes.
        takes: how long each response takes, in seconds.
        fetches: whether the first request is for the front-end version, unless it is known.
        renews: whether the lease is renewed in time.
        take_over: whether the conversation is taken from another turn.
        releases: ``"stores"`` or ``"leaves"`` for one that gives up at the end; empty for one that commits.
    """

    conversation: str
    turn: str
    requests: int = 2
    takes: float = 0.3
    fetches: bool = False
    renews: bool = True
    take_over: bool = False
    releases: str = ""


@dataclass
class Process:
    """One turn in a process of its own, with a clock of its own."""

    number: int
    plan: Plan
    offset: float
    drift: float
    program: Program = field(init=False)
    asleep_until: float = 0.0  # stopped, by the true time
    attempt: int = 0
    calls: int = 0
    ended: str = ""


@dataclass(frozen=True)
class Start:
    """A paced request that has begun, by the true time, in the slot of an epoch. `given` is when it first had one."""

    time: float
    process: int
    window: float
    fetch: bool
    epoch: str
    given: float = 0.0


@dataclass
class World:
    """True time, the engine, the processes and what is between them.

    Attributes:
        fate: gives what becomes of the next call.
        engine: what the processes call.
        skew: the engine's clock less the true time, in seconds.
    """

    fate: Callable[[], Fate]
    make: Callable[[Callable[[], float]], Engine] = Engine
    skew: float = 1000.0
    now: float = 0.0
    processes: list[Process] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    given: dict[str, float] = field(default_factory=dict)  # when a request first had a final slot
    fetch_slots: list[tuple[float, int]] = field(default_factory=list)  # when each was given, and to whom
    holds: list[tuple[float, float]] = field(default_factory=list)  # told, and until
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    replies: dict[tuple[str, str], set[bytes]] = field(default_factory=dict)
    leases: dict[str, dict[int, float]] = field(default_factory=dict)  # by whom, until when by the holder's own clock
    marked: dict[str, set[int]] = field(default_factory=dict)  # the fences of marks that nothing has followed
    life: int = 1  # of the conversations
    fetching: dict[int, float] = field(default_factory=dict)
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.engine = self.make(lambda: self.now + self.skew)

    def at(self, time: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(time, self.now), next(self._order), what))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()
        self.now = max(self.now, until)

    @property
    def under_way(self) -> list[Process]:
        return [process for process in self.processes if not process.ended]

    # What happens

    def begin(self, plan: Plan, *, offset: float = 0.0, drift: float = 0.0) -> Process:
        number = len(self.processes)
        process = Process(number, plan, offset, drift)
        process.program = self._turn(process)
        self.processes.append(process)
        self._resume(process, None)
        return process

    def stop(self, process: Process, seconds: float) -> None:
        """Let a process not run for a while."""
        process.asleep_until = max(process.asleep_until, self.now + seconds)

    def kill(self, process: Process) -> None:
        process.program.close()
        process.ended = "killed"
        self.fetching.pop(process.number, None)

    def hold(self, seconds: float) -> None:
        """Have a process report a ``Retry-After``."""
        self.engine.call(Hold(seconds=seconds))
        self.holds.append((self.now, self.now + seconds))

    def restart(self) -> None:
        self.engine.restart()

    def lose_pace(self) -> None:
        self.engine.lose_pace()
        self.holds = [(told, min(until, self.now)) for told, until in self.holds]

    def lose_all(self) -> None:
        self.lose_pace()
        self.engine.lose_all()
        self.life += 1
        for kept in (self.acknowledged, self.replies, self.leases, self.marked):
            kept.clear()

    def history(self, key: str) -> list[str]:
        state = self.engine.conversations.get(key)
        return state.stored.document.decode().split() if state else []

    # A process

    def clock(self, process: Process) -> float:
        return self.now * (1 + process.drift) + process.offset

    def _resume(self, process: Process, value: Any) -> None:
        if process.ended:
            return
        if process.asleep_until > self.now:
            self.at(process.asleep_until, lambda: self._resume(process, value))
            return
        try:
            step = process.program.send(value)
        except StopIteration:
            self._has_ended(process)
            return
        if isinstance(step, Sleep):
            self.at(self.now + step.seconds / (1 + process.drift), lambda: self._resume(process, None))
        else:
            process.calls += 1
            self._send(process, step)

    def _has_ended(self, process: Process) -> None:
        process.ended = process.ended or "done"

    def _send(self, process: Process, call: Call) -> None:
        if process.ended:
            return
        process.attempt += 1
        attempt, asked, fate = process.attempt, self.clock(process), self.fate()

        def carry_out() -> None:
            answer = self._carry_out(process, call, asked)
            if fate.back is not None:
                self.at(self.now + fate.back, lambda: deliver(answer))

        def deliver(answer: Answer) -> None:
            if process.attempt == attempt:
                process.attempt += 1
                self._resume(process, answer)

        def repeat() -> None:
            if process.asleep_until > self.now:
                self.at(process.asleep_until, repeat)
            elif process.attempt == attempt:
                self._send(process, call)

        if fate.there is not None:
            self.at(self.now + fate.there, carry_out)
            if fate.again is not None:
                self.at(self.now + fate.there + fate.again, carry_out)
        self.at(self.now + TIMEOUT, repeat)

    def _carry_out(self, process: Process, call: Call, asked: float) -> Answer:
        before = self.engine.conversations.get(call.key) if isinstance(call, Commit | Release) else None
        answer = Answer(self.engine.call(call), asked, self.life)
        if isinstance(call, Reserve) and isinstance(answer.result, Slot) and answer.result.final:
            self.given.setdefault(call.nonce, self.now)
            if call.fetches and not answer.result.fe_version:
                self.fetch_slots.append((self.now, process.number))
        if isinstance(call, Reserve | Hold):
            return answer
        leases, marked = self.leases.setdefault(call.key, {}), self.marked.setdefault(call.key, set())
        if isinstance(call, Claim) and isinstance(answer.result, Claimed):
            self._check_claim(process, call, answer.result, leases, marked)
            leases[process.number] = (asked - process.offset) / (1 + process.drift) + LEASE * (1 - 2 * DRIFT)
        elif isinstance(call, Mark) and isinstance(answer.result, Marked):
            marked.add(call.fence)
        elif isinstance(call, Commit | Release):
            leases.pop(process.number, None)
            if before is not None and before.lease.ended is not self.engine.conversations[call.key].lease.ended:
                marked.discard(call.fence)  # else it is repeated, or lost
                if call.document is not None:
                    marked.clear()
        return answer

    def _check_claim(
        self, process: Process, call: Claim, has: Claimed, leases: dict[int, float], marked: set[int]
    ) -> None:
        """Check that a process can take itself for the only holder, and is told of an earlier one's mark."""
        others = {number: until for number, until in leases.items() if number != process.number and until > self.now}
        assert call.take_over or not others, f"two have the conversation at once: {process.number} and {others}"
        if call.take_over:
            leases.clear()
        assert has.sent == bool(marked - {has.fence}), f"it says {has.sent}, and marked have {marked}"

    def _turn(self, process: Process) -> Program:
        plan, me = process.plan, f"p{process.number}"
        has = yield from self._claim(process, me)
        if has is None:
            return
        ticket = epoch = version = ""
        requests = plan.requests
        fetches = plan.fetches
        while requests:
            nonce, window = f"{me}.{requests}", WINDOW
            while True:
                answer: Answer = yield Reserve(
                    nonce=nonce,
                    interval=INTERVAL,
                    window=window,
                    need=requests,
                    ticket=ticket,
                    epoch=epoch,
                    max_wait=10_000.0,
                    fetches=fetches,
                    fe_version=version,
                )
                slot = answer.result
                if isinstance(slot, Refused):
                    yield Release(key=plan.conversation, fence=has.fence, revision=has.revision)
                    process.ended = "refused"
                    return
                assert isinstance(slot, Slot)
                ticket, epoch = slot.ticket, slot.epoch
                if fetches and slot.fe_version:
                    fetches, requests, version = False, requests - 1, slot.fe_version
                yield Sleep(slot.delay)
                if slot.final and self.clock(process) <= answer.asked + window:
                    break
                if slot.final:
                    window = min(2 * window, MAX_WINDOW)
            self.starts.append(Start(self.now, process.number, window, fetches, epoch, self.given[nonce]))
            if fetches:
                self.fetching[process.number] = self.now
            lost = yield from self._wait_for_response(process, me, has)
            self.fetching.pop(process.number, None)
            if lost:
                return
            if fetches:
                fetches, version = False, "v1"
            requests -= 1
        yield from self._end(process, has)

    def _claim(self, process: Process, me: str) -> Generator[Step, Any, Claimed | None]:
        plan = process.plan
        claim = Claim(key=plan.conversation, holder=me, lease=LEASE, turn=plan.turn, take_over=plan.take_over)
        while True:
            answer: Answer = yield claim
            match answer.result:
                case Busy(retry_after=retry_after):
                    yield Sleep(min(retry_after, 3.0))
                case Done(reply=reply):
                    self._has_reply(process, answer, reply)
                    process.ended = "done already"
                    return None
                case Claimed() as has:
                    return has
                case _:
                    process.ended = "lost"
                    return None

    def _wait_for_response(self, process: Process, me: str, has: Claimed) -> Generator[Step, Any, bool]:
        plan, left = process.plan, process.plan.takes
        while left > 0:
            yield Sleep(min(left, LEASE / 3))
            left -= LEASE / 3
            if left > 0 and plan.renews:
                answer: Answer = yield Claim(key=plan.conversation, holder=me, lease=LEASE, fence=has.fence)
                if not isinstance(answer.result, Claimed):
                    process.ended = "lost"
                    return True
        return False

    def _end(self, process: Process, has: Claimed) -> Generator[Step, Any, None]:
        plan = process.plan
        answer: Answer = yield Mark(key=plan.conversation, fence=has.fence, lease=LEASE)
        if isinstance(answer.result, Lost):
            process.ended = "lost"
            return
        if plan.releases:
            document = has.document if plan.releases == "stores" else None
            yield Release(key=plan.conversation, fence=has.fence, revision=has.revision, document=document)
            process.ended = "released"
            return
        history = b" ".join(filter(None, (has.document, plan.turn.encode())))
        reply = f"reply of p{process.number}".encode()
        answer = yield Commit(
            key=plan.conversation,
            fence=has.fence,
            revision=has.revision,
            document=history,
            turn=plan.turn,
            reply=reply,
        )
        if not isinstance(answer.result, Committed):
            process.ended = "lost"
        elif self._has_reply(process, answer, reply):
            self.acknowledged.setdefault(plan.conversation, []).append(plan.turn)

    def _has_reply(self, process: Process, answer: Answer, reply: bytes) -> bool:
        """Note what a turn was told its reply is, unless the engine has lost it since."""
        key = process.plan.conversation, process.plan.turn
        if answer.life == self.life:
            self.replies.setdefault(key, set()).add(reply)
        return answer.life == self.life
