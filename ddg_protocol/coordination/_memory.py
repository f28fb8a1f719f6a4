"""The engine of one process, which is the model of all others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from ..errors import EngineUnavailable
from . import _pace, _turns
from ._pace import PaceState
from ._time import microseconds
from ._turns import ConversationState
from .calls import Call, Hold, Reserve, Result


class MemoryEngine:
    """Keeps the pace and the conversations in memory. They end with it.

    Args:
        now: gives the time in seconds, from any origin.
        ttl: for how many seconds a conversation is kept after the last call that changes it; None for no end.
        max_conversations: the most that are kept. For one more, `EngineUnavailable` is raised.
        lock: is held during each call, where several threads make calls: a `threading.Lock`.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        ttl: float | None = None,
        max_conversations: int = 10_000,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self._now = now
        self._ttl = None if ttl is None else microseconds(ttl)
        self._max = max_conversations
        self._lock = lock or nullcontext()
        # No request is under way that this engine doesn't know: it has no earlier life.
        self._pace = PaceState(epoch="memory", unknown=False)
        self._conversations: dict[str, tuple[int, ConversationState]] = {}  # that of the oldest call first

    def __repr__(self) -> str:
        return f"<MemoryEngine with {len(self._conversations)} conversations>"

    def call(self, call: Call) -> Result:
        """Carry out a call.

        Args:
            call: what a session asks.

        Returns:
            The answer.

        Raises:
            EngineUnavailable: a claim is for a conversation too many. Nothing was changed.
        """
        with self._lock:
            return self._carry_out(call, microseconds(self._now()))

    def _carry_out(self, call: Call, now: int) -> Result:
        if isinstance(call, Reserve | Hold):
            self._pace, answer = _pace.decide(self._pace, call, now)
            return answer
        self._forget(now)
        before = self._conversations.get(call.key, (now, ConversationState()))[1]
        after, result = _turns.decide(before, call, now)
        if after is not before:
            if call.key not in self._conversations and len(self._conversations) >= self._max:
                raise EngineUnavailable(f"the engine is full: it keeps {self._max} conversations (max_conversations)")
            self._conversations.pop(call.key, None)
            self._conversations[call.key] = now, after
        return result

    def _forget(self, now: int) -> None:
        """Drop the conversations whose time is over."""
        while self._ttl is not None and self._conversations:
            key, (used, _) = next(iter(self._conversations.items()))
            if now < used + self._ttl:
                return
            del self._conversations[key]
