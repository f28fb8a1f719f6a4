"""The calls of ``on_action``: it sees every action and report of a session, with reprs that hide secrets."""

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
    """A driver's report on an intent. Its repr hides secrets.

    Attributes:
        method: the session's method, such as ``"receive_head"``.
        intent: the intent that is reported on.
        arguments: the method's other arguments, in order and without the time: status and headers, the bytes, the
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
"""The argument of ``on_action``: each intent, event and signal as the session returns it, each report as it is made."""

Watcher = Callable[[Seen], object]


class Watch:
    """The tap of a watched session: shows its actions and reports, on whichever layer it is driven."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._shown: Action | None = None

    def pulling(self) -> None:
        """Show nothing yet."""

    def pulled(self, action: Action | DuckChatError, now: float) -> None:
        """Show an action, once."""
        if isinstance(action, DuckChatError):
            return  # the session raises it
        if action is not self._shown or isinstance(action, Signal):  # a driver may pull the same Wait again
            self._watcher(action)
        self._shown = action

    def called(self, method: str, *arguments: Any) -> None:
        """Show a report of the driver."""
        if arguments and isinstance(intent := arguments[0], SendRequest | Wait | SolveChallenge):
            self._watcher(Answer(method, intent, arguments[1:3]))  # without the time of a head


class WatchedWire(WireSession):
    """A `WireSession` that shows the intents it adds to those of the session below it."""

    def __init__(self, watcher: Watcher, session: DrivenSession) -> None:
        super().__init__(session)
        self._watcher = watcher

    def next_action(self, *, now: float) -> WireAction:
        """See `WireSession.next_action`."""
        action = super().next_action(now=now)
        if isinstance(action, Connect | Send | Close):
            self._watcher(action)
        return action
