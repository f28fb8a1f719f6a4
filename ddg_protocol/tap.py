"""What a driver drives, and how to watch it: a `DrivenSession`, and a `TappedSession` that reports each call to a tap.

A `Session` is a `DrivenSession`. So are `transcript.RecordedSession`, and a `TappedSession` with a tap of your own. A
driver, a `wire.WireSession` and a `testing.Run` take any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ._reports import as_bytes, as_fields
from ._state import State
from .chat import rereadable
from .conversation import Conversation, Messages
from .errors import DuckChatError
from .intents import ChallengeAnswer, Coordinate, Failure, SendRequest, SolveChallenge, Wait
from .policy import Policy
from .profile import ServiceProfile
from .session import Action

if TYPE_CHECKING:
    from .coordination import Result

__all__ = ["DrivenSession", "SessionTap", "TappedSession"]


class DrivenSession(Protocol):
    """The calls of a `Session`, where each is documented."""

    @property
    def profile(self) -> ServiceProfile:
        """See `Session.profile`."""

    @property
    def policy(self) -> Policy:
        """See `Session.policy`."""

    @property
    def state(self) -> State:
        """See `Session.state`."""

    @property
    def conversation(self) -> Conversation:
        """See `Session.conversation`."""

    @property
    def request(self) -> SendRequest | None:
        """See `Session.request`."""

    @property
    def deadline(self) -> float | None:
        """See `Session.deadline`."""

    @property
    def read_by(self) -> float | None:
        """See `Session.read_by`."""

    def ask(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        effort: str | None = None,
        tools: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
        turn: str = "",
        now: float,
    ) -> None:
        """See `Session.ask`."""

    def fetch_models(self, *, now: float) -> None:
        """See `Session.fetch_models`."""

    def cancel(self) -> None:
        """See `Session.cancel`."""

    def close(self) -> None:
        """See `Session.close`."""

    def next_action(self, *, now: float) -> Action:
        """See `Session.next_action`."""

    def receive_head(
        self, request: SendRequest, status: int, headers: Iterable[tuple[str, str]], *, now: float
    ) -> None:
        """See `Session.receive_head`."""

    def receive_data(self, request: SendRequest, data: bytes) -> None:
        """See `Session.receive_data`."""

    def receive_eof(self, request: SendRequest) -> None:
        """See `Session.receive_eof`."""

    def transport_failed(self, intent: SendRequest, failure: Failure) -> None:
        """See `Session.transport_failed`."""

    def wait_elapsed(self, wait: Wait) -> None:
        """See `Session.wait_elapsed`."""

    def challenge_solved(self, solve: SolveChallenge, answer: str | ChallengeAnswer) -> None:
        """See `Session.challenge_solved`."""

    def challenge_failed(self, solve: SolveChallenge, text: str) -> None:
        """See `Session.challenge_failed`."""

    def coordinated(self, intent: Coordinate, result: Result, *, asked: float, now: float) -> None:
        """See `Session.coordinated`."""

    def coordination_failed(self, intent: Coordinate, failure: Failure) -> None:
        """See `Session.coordination_failed`."""

    def snapshot(self, *, now: float) -> dict[str, Any]:
        """See `Session.snapshot`."""

    def _new_id(self) -> int: ...


class SessionTap(Protocol):
    """Gets the calls of a `TappedSession`, in order. What it raises is raised by the call."""

    def pulling(self) -> None:
        """Handle that an action is about to be pulled."""

    def pulled(self, action: Action | DuckChatError, now: float) -> None:
        """Handle the outcome of a pull.

        Args:
            action: what was returned, or raised.
            now: the caller's clock, in seconds.
        """

    def called(self, method: str, *arguments: Any) -> None:
        """Handle a command or a report that the session has accepted.

        Args:
            method: its name, such as ``"receive_data"``; ``"_new_id"`` for an id that a `wire.WireSession` took.
            *arguments: in the order of the method's signature.
        """


class TappedSession:
    """A session that reports each call to a tap.

    Args:
        session: the one to drive. From now on it is driven through this object alone.
        tap: gets the calls.
    """

    def __init__(self, session: DrivenSession, tap: SessionTap) -> None:
        self._session = session
        self._tap = tap

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._session!r}>"

    @property
    def profile(self) -> ServiceProfile:
        """See `Session.profile`."""
        return self._session.profile

    @property
    def policy(self) -> Policy:
        """See `Session.policy`."""
        return self._session.policy

    @property
    def state(self) -> State:
        """See `Session.state`."""
        return self._session.state

    @property
    def conversation(self) -> Conversation:
        """See `Session.conversation`."""
        return self._session.conversation

    @property
    def request(self) -> SendRequest | None:
        """See `Session.request`."""
        return self._session.request

    @property
    def deadline(self) -> float | None:
        """See `Session.deadline`."""
        return self._session.deadline

    @property
    def read_by(self) -> float | None:
        """See `Session.read_by`."""
        return self._session.read_by

    def snapshot(self, *, now: float) -> dict[str, Any]:
        """See `Session.snapshot`."""
        return self._session.snapshot(now=now)

    def ask(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        effort: str | None = None,
        tools: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
        turn: str = "",
        now: float,
    ) -> None:
        """See `Session.ask`."""
        messages = rereadable(messages)
        self._session.ask(messages, model=model, effort=effort, tools=tools, extra=extra, turn=turn, now=now)
        self._tap.called("ask", messages, model, effort, tools, extra, turn, now)

    def fetch_models(self, *, now: float) -> None:
        """See `Session.fetch_models`."""
        self._session.fetch_models(now=now)
        self._tap.called("fetch_models", now)

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self._session.cancel()
        self._tap.called("cancel")

    def close(self) -> None:
        """See `Session.close`."""
        self._session.close()
        self._tap.called("close")

    def next_action(self, *, now: float) -> Action:
        """See `Session.next_action`."""
        self._tap.pulling()
        try:
            action = self._session.next_action(now=now)
        except DuckChatError as error:
            self._tap.pulled(error, now)
            raise
        self._tap.pulled(action, now)
        return action

    def receive_head(
        self, request: SendRequest, status: int, headers: Iterable[tuple[str, str]], *, now: float
    ) -> None:
        """See `Session.receive_head`."""
        fields = as_fields(headers, most=self.policy.max_head_bytes)
        self._session.receive_head(request, status, fields, now=now)
        self._tap.called("receive_head", request, status, fields, now)

    def receive_data(self, request: SendRequest, data: bytes) -> None:
        """See `Session.receive_data`."""
        data = as_bytes(data)
        self._session.receive_data(request, data)
        self._tap.called("receive_data", request, data)

    def receive_eof(self, request: SendRequest) -> None:
        """See `Session.receive_eof`."""
        self._session.receive_eof(request)
        self._tap.called("receive_eof", request)

    def transport_failed(self, intent: SendRequest, failure: Failure) -> None:
        """See `Session.transport_failed`."""
        self._session.transport_failed(intent, failure)
        self._tap.called("transport_failed", intent, failure)

    def wait_elapsed(self, wait: Wait) -> None:
        """See `Session.wait_elapsed`."""
        self._session.wait_elapsed(wait)
        self._tap.called("wait_elapsed", wait)

    def challenge_solved(self, solve: SolveChallenge, answer: str | ChallengeAnswer) -> None:
        """See `Session.challenge_solved`."""
        self._session.challenge_solved(solve, answer)
        self._tap.called("challenge_solved", solve, answer)

    def challenge_failed(self, solve: SolveChallenge, text: str) -> None:
        """See `Session.challenge_failed`."""
        self._session.challenge_failed(solve, text)
        self._tap.called("challenge_failed", solve, text)

    def coordinated(self, intent: Coordinate, result: Result, *, asked: float, now: float) -> None:
        """See `Session.coordinated`."""
        self._session.coordinated(intent, result, asked=asked, now=now)
        self._tap.called("coordinated", intent, result, asked, now)

    def coordination_failed(self, intent: Coordinate, failure: Failure) -> None:
        """See `Session.coordination_failed`."""
        self._session.coordination_failed(intent, failure)
        self._tap.called("coordination_failed", intent, failure)

    def _new_id(self) -> int:
        id = self._session._new_id()
        self._tap.called("_new_id")
        return id
