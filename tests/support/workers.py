"""Workers with real sessions that share an engine, in virtual time: the world of `processes`, with sessions in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    DuckChatError,
    Failure,
    FailureKind,
    Policy,
    SendRequest,
    Session,
    Signal,
    TurnFinished,
    Wait,
)
from ddg_protocol.coordination import Call, Coordinate, Coordination, Hold, Reserve
from ddg_protocol.coordination._documents import read_conversation
from ddg_protocol.errors import TurnNotStored
from support.hand import PAGE, STREAM
from support.processes import LEASE, TIMEOUT, WINDOW, Answer, Plan, Process, Program, Sleep, Start, World

PROFILE = DUCKDUCKGO_2025_04
POLICY = Policy(max_retries=1, base_delay=0.5, turn_timeout=150.0)


@dataclass
class Task(Plan):
    """What a worker is asked.

    Attributes:
        on_busy: what it does while another worker has the conversation.
        refused: the ``Retry-After`` with which the service refuses the question at first; 0 for none.
        gives_up: whether the worker reports a call without an answer as failed; otherwise it makes the call again.
    """

    on_busy: Any = "wait"
    refused: float = 0.0
    gives_up: bool = False


@dataclass
class Worker(Process):
    """A worker with one turn to do.

    Attributes:
        orders: what has to happen when it runs next: ``"cancel"``, ``"close"`` or ``"move"``.
        finished: the end of its turn, if that came.
        error: what ended it, if that came.
        has_asked: whether its question went out.
        window: that of its newest slot.
    """

    orders: list[str] = field(default_factory=list)
    finished: TurnFinished | None = None
    error: DuckChatError | None = None
    has_asked: bool = False
    window: float = WINDOW


@dataclass
class Workers(World):
    """A world whose processes are workers.

    Attributes:
        make_session: makes a worker's session.
        tokens: those that were sent with a question; each is good for one.
    """

    make_session: Callable[..., Session] = Session
    tokens: set[str] = field(default_factory=set)

    def start(self, task: Task, *, offset: float = 0.0, drift: float = 0.0) -> Worker:
        worker = Worker(len(self.processes), task, offset, drift)
        worker.program = self._work(worker, task)
        self.processes.append(worker)
        self._resume(worker, None)
        return worker

    def history(self, key: str) -> list[str]:
        state = self.engine.conversations.get(key)
        if state is None or not state.stored.document:
            return []
        messages = read_conversation(state.stored.document).message_history
        assert [message.role for message in messages] == ["user", "assistant"] * (len(messages) // 2)
        return [message.text for message in messages if message.role == "user"]

    def _carry_out(self, process: Process, call: Call, asked: float) -> Answer:
        if isinstance(call, Hold):
            self.holds.append((self.now, self.now + call.seconds))
        return super()._carry_out(process, call, asked)

    def _send(self, process: Process, call: Call) -> None:
        assert isinstance(process, Worker)
        super()._send(process, call)
        attempt = process.attempt

        def no_answer() -> None:
            if process.attempt == attempt and process.asleep_until <= self.now:
                process.attempt += 1
                self._resume(process, Failure(FailureKind.OTHER, "there is no answer"))

        if isinstance(process.plan, Task) and process.plan.gives_up:
            self.at(self.now + TIMEOUT * 0.9, no_answer)

    def _session(self, worker: Worker, task: Task) -> tuple[Session, dict[str, Any]]:
        numbers = iter(range(1, 10_000))
        settings: dict[str, Any] = {
            "coordination": Coordination(key=task.conversation, lease=LEASE, window=WINDOW, on_busy=task.on_busy),
            "random_bytes": lambda length: (worker.number * 10_000 + next(numbers)).to_bytes(length),
            "policy": POLICY,
        }
        return self.make_session(PROFILE, **settings), settings

    def _work(self, worker: Worker, task: Task) -> Program:
        session, settings = self._session(worker, task)
        session.ask(task.turn, turn=task.turn, now=self.clock(worker))
        pieces: Iterator[tuple[float, bytes]] = iter(())
        request: SendRequest | None = None
        ahead: tuple[float, bytes] | None = None
        while True:
            while worker.orders:
                order = worker.orders.pop()
                if order == "move":
                    data = json.loads(json.dumps(session.snapshot(now=self.clock(worker))))
                    worker.offset += 777.0
                    session = Session.restore(data, now=self.clock(worker), **settings)
                    request = session.request
                else:
                    getattr(session, order)()
            try:
                action = session.next_action(now=self.clock(worker))
            except DuckChatError as error:
                self._has_failed(worker, error)
                continue
            match action:
                case Signal.PAUSED:
                    worker.ended = "done"
                    return
                case Wait():
                    yield Sleep(max(0.0, action.until - self.clock(worker)))
                    session.wait_elapsed(action)
                case Coordinate(call=call):
                    if isinstance(call, Reserve):
                        worker.window = call.window
                    answer = yield call
                    if isinstance(answer, Failure):
                        session.coordination_failed(action, answer)
                    else:
                        now = self.clock(worker)
                        session.coordinated(action, answer.result, asked=answer.asked, now=now)
                case SendRequest():
                    request, fetches = action, "duckai=1" in action.url
                    start = Start(self.now, worker.number, worker.window, fetches, self.engine.pace.epoch)
                    self.starts.append(start)
                    if fetches:
                        self.fetching[worker.number] = self.now
                    yield Sleep(0.05)
                    status, headers, pieces = self._respond(worker, task, action)
                    ahead = next(pieces, None)
                    self.fetching.pop(worker.number, None)
                    if session.request is request:
                        session.receive_head(request, status, headers, now=self.clock(worker))
                case Signal.NEED_DATA:
                    assert request is not None
                    assert session.deadline is not None
                    left = session.deadline - self.clock(worker)
                    if ahead is not None and ahead[0] > left:
                        ahead = ahead[0] - max(0.0, left), ahead[1]
                        yield Sleep(max(0.0, left))
                    elif ahead is not None:
                        yield Sleep(ahead[0])
                        session.receive_data(request, ahead[1])
                        ahead = next(pieces, None)
                    else:
                        session.receive_eof(request)
                case TurnFinished():
                    worker.finished = action

    def _has_failed(self, worker: Worker, error: DuckChatError) -> None:
        worker.error = error
        if isinstance(error, TurnNotStored):
            assert error.text, "text that came is never lost"
            assert error.conversation.message_history[-1].text == error.text

    def _respond(
        self, worker: Worker, task: Task, request: SendRequest
    ) -> tuple[int, list[tuple[str, str]], Iterator[tuple[float, bytes]]]:
        if "duckai=1" in request.url:
            return 200, [], iter([(0.0, PAGE)])
        if request.url.endswith("/aichat"):
            return 200, [], iter([])
        token = ("x-vqd-4", f"4-{len(self.starts)}")
        if request.url.endswith("/status"):
            return 200, [token], iter([])
        worker.has_asked = True
        sent = dict(request.headers)["x-vqd-4"]
        assert sent not in self.tokens, f"the token {sent} is spent"
        self.tokens.add(sent)
        if task.refused:
            seconds, task.refused = task.refused, 0.0
            return 429, [("retry-after", f"{seconds:g}")], iter([])
        text = f"reply of {worker.number} to {task.turn}"
        said = b'data: {"action":"success","message":"%s"}\n\n' % text.encode()
        return 200, [*STREAM, token], iter([(0.0, said), (task.takes, b"data: [DONE]\n\n")])


def acknowledged(world: Workers, key: str) -> list[str]:
    """Return the turns of a conversation whose callers were told that they are done."""
    done = [worker for worker in world.processes if isinstance(worker, Worker) and worker.finished is not None]
    return sorted({worker.plan.turn for worker in done if worker.plan.conversation == key})


def replies(world: Workers) -> dict[tuple[str, str], set[str]]:
    """Return the texts that callers were given for each turn."""
    found: dict[tuple[str, str], set[str]] = {}
    for worker in world.processes:
        if isinstance(worker, Worker) and worker.finished is not None:
            place = worker.plan.conversation, worker.plan.turn
            found.setdefault(place, set()).add(worker.finished.text)
    return found
