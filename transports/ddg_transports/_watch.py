"""What ``on_action`` is shown: a session that tells of all that goes in and out of it, and how that reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ddg_protocol import DuckChatError, SendRequest, Signal, SolveChallenge, Wait
from ddg_protocol.redaction import redacted
from ddg_protocol.session import Action
from ddg_protocol.wire import Close, Connect, Send, WireAction, WireSession

if TYPE_CHECKING:
    from ddg_protocol.tap import DrivenSession


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


class Watch:
    """The tap of a session that is watched: shows what goes in and out of it, whichever layer it is driven from."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._shown: Action | None = None

    def pulling(self) -> None:
        """Nothing is shown yet."""

    def pulled(self, action: Action | DuckChatError, now: float) -> None:
        """Show an action, once."""
        if isinstance(action, DuckChatError):
            return  # it is raised
        if action is not self._shown or isinstance(action, Signal):  # a Wait may be asked for more than once
            self._watcher(action)
        self._shown = action

    def called(self, method: str, *arguments: Any) -> None:
        """Show what the driver reports."""
        if arguments and isinstance(intent := arguments[0], SendRequest | Wait | SolveChallenge):
            self._watcher(Answer(method, intent, arguments[1:3]))  # a head is without its time


class WatchedWire(WireSession):
    """A `WireSession` that shows what it adds to the session below it."""

    def __init__(self, watcher: Watcher, session: DrivenSession) -> None:
        super().__init__(session)
        self._watcher = watcher

    def next_action(self, *, now: float) -> WireAction:
        """See `WireSession.next_action`."""
        action = super().next_action(now=now)
        if isinstance(action, Connect | Send | Close):
            self._watcher(action)
        return action
