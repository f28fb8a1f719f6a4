"""Drive a session by hand, and bring it into any of its states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import msgspec

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    Failure,
    FailureKind,
    SendRequest,
    Session,
    SolveChallenge,
    Wait,
)
from ddg_protocol._state import AT_REST, State
from ddg_protocol.coordination import Call, Coordinate, Coordination, MemoryEngine
from ddg_protocol.service import Service

LISTING = msgspec.structs.replace(DUCKDUCKGO_2025_04, models_path="/duckchat/v1/models")
"""The service of April 2025 with a list of models, which it had not."""
PAGE = b'<script>__DDG_BE_VERSION__="serp_1_ET";__DDG_FE_CHAT_HASH__="0123456789abcdef0123";</script>'
STREAM = (("content-type", "text/event-stream"),)
HELLO = b'data: {"action":"success","message":"Hel"}\n\ndata: {"action":"success","message":"lo"}\n\n'
DONE = b"data: [DONE]\n\n"


def counting() -> Callable[[int], bytes]:
    """Return a source of random bytes for tests: 0, 1, 2 and so on."""
    numbers = count()
    return lambda length: next(numbers).to_bytes(length)


def echoing(*, challenge: bool = False) -> Service:
    return Service(strict=True, responder=lambda question: ["You ", "said: ", question.text, " ☃"], challenge=challenge)


class Hand:
    """Drives a session by hand, for tests that write each response themselves."""

    def __init__(self, session: Session | None = None, *, engine: bool = False) -> None:
        self.session = session or Session()
        self.now = 0.0
        self.engine = MemoryEngine(lambda: self.now) if engine else None
        self.calls: list[Call] = []
        self.events: list[object] = []
        self.waits: list[Wait] = []
        self.request: SendRequest | None = None

    def pull(self) -> object:
        """Pull an action other than an event or a wait."""
        while True:
            action = self.session.next_action(now=self.now)
            if isinstance(action, Wait):
                self.waits.append(action)
                self.now = max(self.now, action.until)
                self.session.wait_elapsed(action)
            elif isinstance(action, SendRequest):
                self.request = action
                return action
            elif isinstance(action, Coordinate) and self.engine is not None:
                self.calls.append(action.call)
                self.session.coordinated(action, self.engine.call(action.call), asked=self.now, now=self.now)
            elif action is NEED_DATA or action is PAUSED or isinstance(action, SolveChallenge | Coordinate):
                return action
            else:
                self.events.append(action)

    def request_for(self, path: str) -> SendRequest:
        request = self.pull()
        assert isinstance(request, SendRequest), request
        assert request.url.endswith(path), request.url
        return request

    def answer(self, status: int = 200, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> None:
        assert self.request is not None
        self.session.receive_head(self.request, status, headers, now=self.now)
        if body:
            self.session.receive_data(self.request, body)
        self.session.receive_eof(self.request)

    def fail(self, kind: FailureKind) -> None:
        assert self.request is not None
        self.session.transport_failed(self.request, Failure(kind, "it broke"))

    def handshake(self, token: str = "4-1", challenge: str = "") -> SendRequest:
        """Respond to the handshake, and return the chat request."""
        self.request_for("duckai=1")
        self.answer(body=PAGE)
        self.request_for("/aichat")
        self.answer(headers=[("set-cookie", "seen=1; path=/")])
        self.request_for("/status")
        self.answer(headers=[("x-vqd-4", token), ("x-vqd-hash-1", challenge)], body=b'{"status":"0"}')
        return self.request_for("/chat")

    def to_chat(self, text: str = "Hi", **handshake: str) -> SendRequest:
        self.session.ask(text, now=self.now)
        return self.handshake(**handshake)


def move_to(state: State) -> Hand:
    """Bring a session into a state."""
    coordination = Coordination(key="c") if state is State.COORDINATING else None
    settings: dict[str, Any] = {"random_bytes": counting(), "coordination": coordination} if coordination else {}
    session = Session(LISTING, solver="embedder", answer_challenge="always", **settings)
    hand = Hand(session, engine=coordination is not None)
    if state is State.CLOSED:
        session.close()
    if state in AT_REST:
        return hand
    session.ask("Hi", now=0)
    if state is State.PLANNING:
        return hand
    if state is State.COORDINATING:
        assert isinstance(session.next_action(now=0), Coordinate)
        return hand
    hand.request_for("duckai=1")
    if state is State.REQUESTING:
        return hand
    assert hand.request is not None
    if state is State.READING:
        session.receive_head(hand.request, 200, (), now=0)
        assert hand.pull() is NEED_DATA
        return hand
    hand.answer(body=PAGE)
    if state is State.WAITING:
        assert isinstance(session.next_action(now=0), Wait)
        return hand
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", "e30=" if state is State.SOLVING else "")])
    if state is State.SOLVING:
        assert isinstance(hand.pull(), SolveChallenge)
        return hand
    request = hand.request_for("/chat")
    session.receive_head(request, 200, STREAM, now=hand.now)
    session.receive_data(request, HELLO + (DONE if state is State.DRAINING else b""))
    assert hand.pull() is NEED_DATA
    return hand
