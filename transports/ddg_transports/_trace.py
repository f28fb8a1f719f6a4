"""The calls of ``on_action``: it gets what happens in a chat as a `Trace`, whose repr hides secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ddg_protocol import DuckChatError, SendRequest, Signal, SolveChallenge, Wait
from ddg_protocol.intents import Coordinate
from ddg_protocol.session import Action
from ddg_protocol.wire import Close, Connect, Send, WireAction, WireSession

if TYPE_CHECKING:
    from ddg_protocol.tap import DrivenSession


class DriverReport(msgspec.Struct, frozen=True):
    """A driver's report on an intent. Its repr hides secrets.

    Attributes:
        method: the session's method, such as ``"receive_head"``.
        intent: the intent that is reported on.
        arguments: the method's other arguments, in order and without the time: status and headers, the bytes, the
            failure, the answer to a challenge, the result of a shared engine.
    """

    method: str
    intent: SendRequest | Wait | SolveChallenge | Coordinate
    arguments: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        shown = [self.method, f"{type(self.intent).__name__} {self.intent.id}"]
        match self.method, self.arguments:
            case "receive_head", (status, headers):
                from ddg_protocol.redaction import redacted  # which most programs never need

                shown += [str(status), repr(redacted(headers))]
            case "receive_data", (data,):
                shown.append(f"<{len(data)} bytes>")
            case "challenge_solved", (str(answer),):
                shown.append(f"<{len(answer)} characters>")
            case _:
                shown += map(repr, self.arguments)
        return f"DriverReport({', '.join(shown)})"


class Trace(msgspec.Struct, frozen=True):
    """What happened in a chat, in the order in which it did: the argument of ``on_action``. Its repr hides secrets.

    Attributes:
        chat: the ``id`` of the chat it happened in.
        what: an intent, event or signal as the session returns it; the exception that it raises; or a driver's report.
        at: when, on the client's clock, in seconds.
    """

    chat: int
    what: WireAction | SendRequest | DuckChatError | DriverReport
    at: float


Watcher = Callable[[Trace], object]


class Watch:
    """The tap of a watched session: passes on what it returns, raises and is told, on whichever layer.

    Args:
        watcher: gets the traces.
        chat: the chat's id.
        clock: the client's clock.
    """

    def __init__(self, watcher: Watcher, chat: int, clock: Callable[[], float]) -> None:
        self._watcher = watcher
        self._chat = chat
        self._clock = clock
        self._told: Action | DuckChatError | None = None

    def tell(self, what: WireAction | SendRequest | DuckChatError | DriverReport) -> None:
        """Pass on what happens now."""
        self._watcher(Trace(self._chat, what, self._clock()))

    def pulling(self) -> None:
        """Do nothing: there is no action yet."""

    def pulled(self, action: Action | DuckChatError, now: float) -> None:
        """Pass on an action or an exception, once."""
        if action is not self._told or isinstance(action, Signal):  # a driver may pull the same Wait again
            self.tell(action)
        self._told = action

    def called(self, method: str, *arguments: Any) -> None:
        """Pass on a report of the driver."""
        if arguments and isinstance(intent := arguments[0], SendRequest | Wait | SolveChallenge | Coordinate):
            most = 2 if method == "coordinated" else 3  # without the times of a head or a result
            self.tell(DriverReport(method, intent, arguments[1:most]))


class WatchedWire(WireSession):
    """A `WireSession` that passes on the intents it adds to those of the session below it."""

    def __init__(self, watch: Watch, session: DrivenSession) -> None:
        super().__init__(session)
        self._watch = watch

    def next_action(self, *, now: float) -> WireAction:
        """See `WireSession.next_action`."""
        action = super().next_action(now=now)
        if isinstance(action, Connect | Send | Close):
            self._watch.tell(action)
        return action
