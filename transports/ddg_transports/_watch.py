"""What ``on_action`` is shown: a session that tells of all that goes in and out of it, and how that reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ddg_protocol import Failure, SendRequest, Session, Signal, SolveChallenge, Wait
from ddg_protocol.intents import redacted
from ddg_protocol.session import Action
from ddg_protocol.wire import Close, Connect, Send, WireAction, WireSession


class Answer(msgspec.Struct, frozen=True):
    """What a driver told its session of an intent. Its repr hides what must not reach a log.

    Attributes:
        method: the session's method, such as ``"receive_head"``.
        intent: what it answers.
        arguments: what else the method was given, in order and without the time: status and headers, the bytes, the
            failure, the answer to a challenge.
    """

    method: str
    intent: SendRequest | Wait | SolveChallenge
    arguments: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        shown = [self.method, f"{type(self.intent).__name__} {self.intent.id}"]
        match self.method, self.arguments:
            case "receive_head", (status, headers):
                shown += [str(status), repr(redacted(headers))]
            case "receive_data", (data,):
                shown.append(f"<{len(data)} bytes>")
            case "challenge_solved", (answer,):
                shown.append(f"<{len(answer)} characters>")
            case _:
                shown += map(repr, self.arguments)
        return f"Answer({', '.join(shown)})"


Seen = WireAction | SendRequest | Answer
"""What ``on_action`` is shown: every intent, event and signal when it is given, every answer when it is told."""

Watcher = Callable[[Seen], object]


class WatchedSession(Session):
    """A session that shows what goes in and out of it, whichever floor it is driven from."""

    def __init__(self, watcher: Watcher, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._watcher = watcher
        self._shown: Action | None = None

    def next_action(self, *, now: float) -> Action:
        """See `Session.next_action`."""
        action = super().next_action(now=now)
        if action is not self._shown or isinstance(action, Signal):  # a Wait may be asked for more than once
            self._watcher(action)
        self._shown = action
        return action

    def receive_head(
        self, request: SendRequest, status: int, headers: Iterable[tuple[str, str]], *, now: float
    ) -> None:
        """See `Session.receive_head`."""
        headers = tuple(headers)
        super().receive_head(request, status, headers, now=now)
        self._watcher(Answer("receive_head", request, (status, headers)))

    def receive_data(self, request: SendRequest, data: bytes) -> None:
        """See `Session.receive_data`."""
        super().receive_data(request, data)
        self._watcher(Answer("receive_data", request, (data,)))

    def receive_eof(self, request: SendRequest) -> None:
        """See `Session.receive_eof`."""
        super().receive_eof(request)
        self._watcher(Answer("receive_eof", request))

    def transport_failed(self, intent: SendRequest, failure: Failure) -> None:
        """See `Session.transport_failed`."""
        super().transport_failed(intent, failure)
        self._watcher(Answer("transport_failed", intent, (failure,)))

    def wait_elapsed(self, wait: Wait) -> None:
        """See `Session.wait_elapsed`."""
        super().wait_elapsed(wait)
        self._watcher(Answer("wait_elapsed", wait))

    def challenge_solved(self, solve: SolveChallenge, answer: str) -> None:
        """See `Session.challenge_solved`."""
        super().challenge_solved(solve, answer)
        self._watcher(Answer("challenge_solved", solve, (answer,)))

    def challenge_failed(self, solve: SolveChallenge, text: str) -> None:
        """See `Session.challenge_failed`."""
        super().challenge_failed(solve, text)
        self._watcher(Answer("challenge_failed", solve, (text,)))


class WatchedWire(WireSession):
    """A `WireSession` that shows what it adds to the session below it."""

    def __init__(self, watcher: Watcher, session: Session) -> None:
        super().__init__(session)
        self._watcher = watcher

    def next_action(self, *, now: float) -> WireAction:
        """See `WireSession.next_action`."""
        action = super().next_action(now=now)
        if isinstance(action, Connect | Send | Close):
            self._watcher(action)
        return action
