"""Many conversations over several workers that are killed and stopped, behind a balancer that asks again.

A worker is a process with a client of its own; all of them share an engine. The balancer gives each one turn at a time,
as the question of a conversation with a key for the turn. When a worker dies or stands still, it gives the turn to
another one; some turns it gives to two at once. So each turn may be done several times, and has to be there once.

The service is in the workers, and each of its replies is different: a turn that was done twice has two.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from multiprocessing import Pipe, connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec

from ddg_protocol import DUCKDUCKGO_2025_04, DuckChatError, SendRequest, ServiceProfile
from ddg_protocol.coordination import Call, Claim, Claimed, Commit, Coordination, Done, Reserve, Result
from ddg_protocol.coordination._documents import read_conversation, read_reply
from ddg_protocol.errors import TurnNotStored, TurnSuperseded
from ddg_protocol.session import Action
from ddg_protocol.tap import TappedSession
from ddg_transports.blocking import Client

from .crews import Line, OpenEngine, begin, ended, nonce, patiently
from .hand import DONE, PAGE, STREAM

WORKERS = 10
PACERS = 4
LEASE = 1.0  # seconds
INTERVAL = 0.05  # seconds
STARTS = 80  # of paced requests, at least
ACTS = 40  # turns between two kills, every third of which is a pause
LOCKS = Path("/proc/locks")
TWICE = 0.05  # the share of the turns that two workers get at once


class Lock:
    """What many make do with: a lock that ends, and a document that whoever had it then writes. Turns have no keys."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def call(self, call: Call) -> Result:
        if isinstance(call, Claim):
            call = msgspec.structs.replace(call, turn="")
        elif isinstance(call, Commit):
            taken = self._engine.call(Claim(key=call.key, holder=nonce(), lease=LEASE, take_over=True))
            call = msgspec.structs.replace(call, fence=taken.fence, revision=taken.revision, turn="", reply=b"")
        result: Result = self._engine.call(call)
        return result

    def close(self) -> None:
        self._engine.close()


class Late:
    """An engine some of whose answers come late, as over a network or on a busy machine."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._draw = random.Random(os.getpid())

    def call(self, call: Call) -> Result:
        result: Result = self._engine.call(call)
        if self._draw.random() < 0.2:
            time.sleep(self._draw.random() * 3 * INTERVAL)
        return result


class Windowless:
    """An engine that leaves the interval between the slots, and nothing for the time until a request begins."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def call(self, call: Call) -> Result:
        if isinstance(call, Reserve):
            call = msgspec.structs.replace(call, window=0.0)
        result: Result = self._engine.call(call)
        return result


# The service


class InMemory:
    """A transport whose service answers at once: the reply says which process and which request it was.

    Args:
        pause: called in the middle of each reply.
    """

    def __init__(self, pause: Callable[[], object] = lambda: None) -> None:
        self._pause = pause

    def open(self, request: SendRequest, *, timeout: float) -> Response:
        token = ("x-vqd-4", f"4-{nonce()}")
        if request.method == "POST":
            reply = msgspec.json.encode({"action": "success", "message": f"{os.getpid()} {nonce()}"})
            return Response((token, *STREAM), self._chunks(b"data: " + reply + b"\n\n"))
        return Response((token,), iter([PAGE]))

    def _chunks(self, event: bytes) -> Iterator[bytes]:
        yield event
        self._pause()
        yield DONE


class Response:
    status = 200

    def __init__(self, headers: tuple[tuple[str, str], ...], chunks: Iterator[bytes]) -> None:
        self.headers = headers
        self._chunks = chunks

    def read(self, *, timeout: float) -> bytes:
        return next(self._chunks, b"")

    def close(self) -> None:
        pass


class Starts:
    """A tap that writes down when a session has its requests begin. What the driver takes from then on is its own."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def pulling(self) -> None:
        pass

    def pulled(self, action: Action | DuckChatError, now: float) -> None:
        if isinstance(action, SendRequest):
            self._line.write(repr(now))

    def called(self, method: str, *arguments: Any) -> None:
        pass


def at(interval: float) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at("http://127.0.0.1:1", minimum_interval=interval)


# The processes


class Turn(msgspec.Struct, frozen=True):
    """A turn of a conversation, and how it is asked."""

    key: str
    number: int

    @property
    def question(self) -> str:
        return f"{self.key} asks number {self.number}?"


def work(open_engine: OpenEngine, jobs: Connection) -> None:
    """Do one turn after the other, and tell the reply, or which error it was."""
    draw = random.Random(os.getpid())
    service = InMemory(lambda: time.sleep(draw.random() * 0.01))
    coordination = Coordination(lease=LEASE, on_busy="wait", max_wait=60.0)
    with Client(at(0.0), shared=open_engine(), transport=service, coordination=coordination) as client:
        while True:
            turn: Turn = jobs.recv()
            try:
                with client.chat(key=turn.key) as chat:
                    reply = chat.ask(turn.question, turn=str(turn.number)).text
            except (TurnSuperseded, TurnNotStored) as error:  # it stood still for too long
                jobs.send((turn, None, str(error)))
            else:
                jobs.send((turn, reply, ""))


def keep_pace(open_engine: OpenEngine, starts: Line) -> None:
    """Ask one question after the other, and write down when the requests began."""
    with Client(at(INTERVAL), shared=Late(open_engine()), transport=InMemory()) as client:
        while True:
            with client.chat(wrap=lambda session: TappedSession(session, Starts(starts))) as chat:
                chat.ask("How often?")


class Worker:
    """A process that does turns, the turn that it has, and what it is told and tells."""

    def __init__(self, open_engine: OpenEngine) -> None:
        self.jobs, theirs = Pipe()
        self.process: BaseProcess = begin(lambda: work(open_engine, theirs))
        theirs.close()
        self.turn: Turn | None = None
        self.begun = 0.0
        self.stands_still_until: float | None = None

    def give(self, turn: Turn) -> None:
        self.turn, self.begun = turn, time.monotonic()
        self.jobs.send(turn)

    def stop(self) -> bool:
        """Stop it; return whether it stands still with a lock that others wait for."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        return has_write_lock(self.process.pid)

    def go_on(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.jobs.close()


def has_write_lock(pid: int) -> bool:
    """Return whether a process is in a transaction that writes to a file of SQLite, for which others wait.

    It then has the lock on byte 120 of the file's index (https://sqlite.org/walformat.html, section 2.3.1). Linux alone
    says so; elsewhere no process has it.
    """
    locks = [line.split()[1:] for line in LOCKS.read_text(encoding="ascii").splitlines()] if LOCKS.exists() else []
    return any((kind, whose, first) == ("WRITE", str(pid), "120") for _, _, kind, whose, _, first, *_ in locks)


class Found(msgspec.Struct):
    """What a run has come to.

    Attributes:
        turns: how many were acknowledged.
        kills: how many workers were killed in the middle of a turn.
        pauses: how many stood still for longer than the lease in the middle of a turn.
        superseded: how many turns ended with an error, because another worker had done them.
        lost: the acknowledged turns that are not in their conversation.
        doubled: the turns that are there more than once.
        other: the turns with another reply than one that was acknowledged.
        held: how many of the pauses began in a transaction of SQLite, so that everybody waits.
        recovery: the longest time from a kill or a pause to the reply of the same turn, in seconds, without such waits.
        waited: the same with them.
        slowest: the longest time that a turn took which nothing befell, in seconds, without such waits.
        starts: how many requests were paced.
        gap: the least time between two of them, in seconds.
        seconds: how long it took.
    """

    turns: int = 0
    kills: int = 0
    pauses: int = 0
    superseded: int = 0
    lost: list[Turn] = []
    doubled: list[Turn] = []
    other: list[Turn] = []
    held: int = 0
    recovery: float = 0.0
    waited: float = 0.0
    slowest: float = 0.0
    starts: int = 0
    gap: float = 0.0
    seconds: float = 0.0

    def faults(self) -> dict[str, int | float]:
        """Return what must not be."""
        counts = {"lost": len(self.lost), "doubled": len(self.doubled), "other": len(self.other)}
        found: dict[str, int | float] = {name: count for name, count in counts.items() if count}
        if self.gap < INTERVAL:
            found["gap"] = self.gap
        if self.recovery > LEASE + 1.0 + self.slowest:  # a busy machine delays all turns
            found["recovery"] = self.recovery
        return found

    def __str__(self) -> str:
        return (
            f"{self.turns} turns in {self.seconds:.0f} s, {self.kills} kills, {self.pauses} pauses: {len(self.lost)} "
            f"lost, {len(self.doubled)} doubled, {len(self.other)} with another reply, {self.superseded} superseded; "
            f"recovery at most {self.recovery:.2f} s, or {self.waited:.2f} s with waits for {self.held} that "
            f"stood still in a transaction; other turns at most {self.slowest:.2f} s; {self.starts} paced requests, at "
            f"least {self.gap * 1000:.1f} ms apart"
        )


class Balancer:
    """Has workers do all turns of many conversations; see `run`."""

    def __init__(self, open_engine: OpenEngine, conversations: int, seed: int) -> None:
        self._open = open_engine
        self._draw = random.Random(seed)
        self._left = {f"c{number}": self._draw.choice((1, 2, 2, 2, 4)) for number in range(conversations)}
        self._ready = deque(Turn(key, 0) for key in self._left)
        self._workers = [Worker(open_engine) for _ in range(WORKERS)]
        self._broken: dict[Turn, float] = {}  # when a worker died or stood still that had it
        self._troubled: set[Turn] = set()
        self._waits: list[tuple[float, float]] = []  # from when until when a worker stood still with a lock
        self.replies: dict[Turn, str] = {}
        self.found = Found()

    def run(self, idle: Callable[[], object]) -> None:
        """Have all turns done, with a kill every so many turns, or a pause.

        Args:
            idle: called now and then.
        """
        acts = 0
        while any(self._left.values()):
            self._give_turns()
            waiting = connection.wait([worker.jobs for worker in self._workers], timeout=0.05)
            for worker in [worker for worker in self._workers if worker.jobs in waiting]:
                self._take_reply(worker)
            self._let_go()
            if self.found.turns >= acts * ACTS + ACTS and self._act(pauses=acts % 3 == 2):
                acts += 1
            idle()

    def close(self) -> None:
        for worker in self._workers:
            worker.end()

    def _give_turns(self) -> None:
        for worker in self._workers:
            if worker.turn is None and worker.stands_still_until is None and self._ready:
                turn = self._ready.popleft()
                if turn in self.replies:
                    continue
                worker.give(turn)
                if self._draw.random() < TWICE:
                    self._ready.appendleft(turn)
                    self._troubled.add(turn)

    def _take_reply(self, worker: Worker) -> None:
        turn, reply, _ = worker.jobs.recv()
        worker.turn = None
        if reply is None:
            self.found.superseded += 1
            if turn not in self.replies:
                self._ready.appendleft(turn)
            return
        if turn in self.replies:
            if self.replies[turn] != reply:
                self.found.other.append(turn)
            return
        self.replies[turn] = reply
        self.found.turns += 1
        if turn in self._broken:
            broken = self._broken.pop(turn)
            self.found.recovery = max(self.found.recovery, self._time_since(broken))
            self.found.waited = max(self.found.waited, time.monotonic() - broken)
        elif turn not in self._troubled:
            self.found.slowest = max(self.found.slowest, self._time_since(worker.begun))
        self._left[turn.key] -= 1
        if self._left[turn.key]:
            self._ready.append(Turn(turn.key, turn.number + 1))

    def _time_since(self, begun: float) -> float:
        """Return the seconds since, without those in which a worker stood still with a lock."""
        now = time.monotonic()
        return now - begun - sum(max(min(until, now) - max(since, begun), 0.0) for since, until in self._waits)

    def _act(self, *, pauses: bool) -> bool:
        """Kill or stop a worker that has a turn; return whether there was one."""
        busy = [index for index, worker in enumerate(self._workers) if worker.turn and not worker.stands_still_until]
        if not busy:
            return False
        index = self._draw.choice(busy)
        worker = self._workers[index]
        turn = worker.turn
        assert turn is not None
        if pauses:
            begun = time.monotonic()
            holds = worker.stop()
            worker.stands_still_until = begun + 1.5 * LEASE
            if holds:
                earlier = self._waits[-1][1] if self._waits else 0.0
                self._waits.append((max(begun, earlier), worker.stands_still_until))
            self.found.pauses += 1
            self.found.held += holds
        else:
            worker.end()
            self._workers[index] = Worker(self._open)
            self.found.kills += 1
        if turn not in self.replies:
            self._troubled.add(turn)
            self._broken[turn] = time.monotonic()
            self._ready.appendleft(turn)
        return True

    def _let_go(self) -> None:
        for worker in self._workers:
            if worker.stands_still_until is not None and time.monotonic() > worker.stands_still_until:
                worker.go_on()
                worker.stands_still_until = None


def check(engine: Any, replies: dict[Turn, str], found: Found) -> None:
    """Compare what the engine has with what was acknowledged."""
    of: dict[str, dict[str, Turn]] = {}
    for turn in replies:
        of.setdefault(turn.key, {})[turn.question] = turn
    for key, turns in of.items():
        claimed = patiently(engine, Claim(key=key, holder=nonce(), lease=1.0, take_over=True))
        assert isinstance(claimed, Claimed), claimed
        history = read_conversation(claimed.document).message_history if claimed.document else ()
        stored = [(asked.text, said.text) for asked, said in zip(history[::2], history[1::2], strict=True)]
        found.lost += [turn for text, turn in turns.items() if text not in [asked for asked, _ in stored]]
        found.doubled += [turn for text, turn in turns.items() if [asked for asked, _ in stored].count(text) > 1]
        found.other += [turns[asked] for asked, said in stored if replies[turns[asked]] != said]
        last = Turn(key, len(turns) - 1)
        done = patiently(engine, Claim(key=key, holder=nonce(), lease=1.0, turn=str(last.number), take_over=True))
        if not isinstance(done, Done) or read_reply(done.reply).text != replies[last]:
            found.other.append(last)


def run(open_engine: OpenEngine, open_pace: OpenEngine, *, conversations: int, seed: int = 1) -> Found:
    """Have workers do the turns of many conversations, and others keep a pace; kill and stop both.

    Args:
        open_engine: opens the engine of the conversations.
        open_pace: opens the engine of the pace.
        conversations: how many; they have 2.2 turns each.
        seed: of what is killed and stopped, and when.

    Returns:
        What it has come to.
    """
    begun = time.monotonic()
    draw = random.Random(seed)
    starts = Line()
    times: list[float] = []
    pacers = [begin(lambda: keep_pace(open_pace, starts)) for _ in range(PACERS)]
    balancer = Balancer(open_engine, conversations, seed)
    stopped: list[tuple[int, float]] = []
    next_act = begun + 1.0

    def disturb() -> None:
        nonlocal next_act
        now = time.monotonic()
        times.extend(map(float, starts.lines()))
        if stopped and now > stopped[0][1]:
            os.kill(stopped.pop()[0], signal.SIGCONT)
        elif not stopped and now > next_act:
            next_act = now + 0.5 + draw.random()
            index = draw.randrange(PACERS)
            pid = pacers[index].pid
            assert pid is not None
            if draw.random() < 0.7:
                os.kill(pid, signal.SIGSTOP)
                stopped.append((pid, now + draw.random() * 0.5))
            else:
                pacers[index].kill()
                pacers[index].join()
                pacers[index] = begin(lambda: keep_pace(open_pace, starts))

    with ExitStack() as stack:
        stack.enter_context(ended(pacers))
        stack.callback(balancer.close)
        balancer.run(disturb)
        while len(times) < STARTS:
            time.sleep(0.02)
            disturb()
    times.extend(map(float, starts.lines()))
    starts.close()
    times.sort()
    found = balancer.found
    found.starts = len(times)
    found.gap = min((after - before for before, after in itertools.pairwise(times)), default=0.0)
    with closing(open_engine()) as engine:
        check(engine, balancer.replies, found)
    found.seconds = time.monotonic() - begun
    return found
