"""A coordinated session in the hands of a test, which answers each call in place of an engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import anyio
import pytest

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    Conversation,
    DuckChatError,
    Failure,
    FailureKind,
    Message,
    Policy,
    SendRequest,
    Session,
)
from ddg_protocol._state import State
from ddg_protocol.coordination import (
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    Coordinate,
    Coordination,
    Held,
    Hold,
    Mark,
    Marked,
    MemoryEngine,
    Release,
    Released,
    Reserve,
    Result,
    Slot,
)
from ddg_protocol.coordination._documents import write_conversation
from ddg_protocol.errors import EngineUnavailable
from support.hand import DONE, HELLO, LISTING, STREAM, Hand, counting

LEASE = 60.0
WINDOW = 0.05
READY_SLOT = Slot(delay=0.0, final=True, ticket="1", epoch="e")
STORED = Conversation(
    model="o3-mini",
    vqd="4-9",
    message_history=(Message("user", "Why?"), Message("assistant", "Since.")),
    fe_version="stored",
)
NEW = Claimed(fence=7, revision=0, document=b"")
DOWN = Failure(FailureKind.OTHER, "no answer")


def session_of(profile: Any = LISTING, *, policy: Policy | None = None, shared: Any = None, **settings: Any) -> Session:
    coordination = Coordination(**{"key": "c", "lease": LEASE, "window": WINDOW, **settings})
    return Session(profile, policy=policy, shared=shared, coordination=coordination, random_bytes=counting())


class Told(Hand):
    """A hand whose engine is the test: it answers each call by the rule for its kind, and keeps the calls."""

    def __init__(self, session: Session | None = None) -> None:
        super().__init__(session or session_of())
        self.fences = count(7)
        self.rules: dict[type[Call], Callable[[Any], Result | Failure | None]] = {
            Reserve: lambda _: READY_SLOT,
            Hold: lambda _: Held(),
            Claim: lambda call: Claimed(fence=call.fence or next(self.fences), revision=0, document=b""),
            Mark: lambda _: Marked(),
            Commit: lambda call: Committed(revision=call.revision + 1),
            Release: lambda _: Released(),
        }
        self.intents: list[Coordinate] = []

    def pull(self) -> object:
        while isinstance(action := super().pull(), Coordinate):
            result = self.rules[type(action.call)](action.call)
            self.intents.append(action)
            self.calls.append(action.call)
            if result is None:
                return action
            self.answer_with(action, result)
        return action

    def answer_with(self, intent: Coordinate, result: Result | Failure) -> None:
        if isinstance(result, Failure):
            self.session.coordination_failed(intent, result)
        else:
            self.session.coordinated(intent, result, asked=self.now, now=self.now)

    def on(self, kind: type[Call], result: Result | Failure | None) -> Told:
        self.rules[kind] = lambda _: result
        return self

    def one_after_the_other(self, kind: type[Call], *results: Result | Failure) -> Told:
        left = iter(results)
        self.rules[kind] = lambda _: next(left)
        return self

    def stored(self, conversation: Conversation = STORED, *, revision: int = 4, **claimed: Any) -> Told:
        """Let the engine have a conversation."""
        document = write_conversation(conversation)
        return self.on(Claim, Claimed(fence=7, revision=revision, document=document, **claimed))

    def ask(self, text: str = "Hi", **options: Any) -> Told:
        self.session.ask(text, now=self.now, **options)
        return self

    def reply(self) -> None:
        """Respond to the question, and pull to the end of the turn."""
        self.answer(200, STREAM, HELLO + DONE)
        assert self.pull() is PAUSED

    def of(self, kind: type[Any]) -> list[Any]:
        return [call for call in self.calls if isinstance(call, kind)]

    @property
    def kinds(self) -> list[str]:
        return [type(call).__name__ for call in self.calls]


def refused(hand: Told, kind: type[DuckChatError], match: str | None = None) -> Any:
    """Pull up to the exception, and then to rest."""
    with pytest.raises(kind, match=match) as caught:
        hand.pull()
    assert hand.pull() is PAUSED
    assert hand.session.state is State.READY
    return caught.value


def streaming(hand: Told) -> SendRequest:
    hand.ask()
    request = hand.handshake()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    hand.session.receive_data(request, HELLO)
    assert hand.pull() is NEED_DATA
    return request


def committing(hand: Told) -> Coordinate:
    hand.on(Commit, None).ask()
    hand.handshake()
    hand.answer(200, STREAM, HELLO + DONE)
    intent = hand.pull()
    assert isinstance(intent, Coordinate)
    return intent


class LockedEngine:
    """A `MemoryEngine` for threads, with the calls that it has carried out.

    Attributes:
        calls: in order.
        down: the kinds of calls that it refuses.
    """

    def __init__(self) -> None:
        self._engine = MemoryEngine(time.monotonic)
        self._lock = threading.Lock()
        self.calls: list[Call] = []
        self.down: set[type[Call]] = set()

    def call(self, call: Call) -> Result:
        with self._lock:
            if type(call) in self.down:
                raise EngineUnavailable("the engine is down")
            self.calls.append(call)
            return self._engine.call(call)

    @property
    def kinds(self) -> list[str]:
        return [type(call).__name__ for call in self.calls]


class AsyncLockedEngine(LockedEngine):
    """The same on asyncio and trio; its answers are under way for a moment."""

    async def call(self, call: Call) -> Result:  # type: ignore[override]
        await anyio.sleep(0)
        result = super().call(call)
        await anyio.sleep(0)
        return result
