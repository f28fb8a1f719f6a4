"""What the blocking and the async reply have in common: all that neither waits nor touches the world."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from io import StringIO
from typing import Any

from ddg_protocol import Event, LocalProtocolError, TextDelta, TurnAborted, TurnFinished

from ._client import BaseChat, Messages


class BaseReply:
    """What has come of a reply.

    Attributes:
        finished: the end of the turn, once it has come; None before, and where the turn was cancelled.
    """

    def __init__(self, chat: BaseChat[Any], messages: Messages, model: str | None) -> None:
        self.finished: TurnFinished | None = None
        self._key = object()
        self._chat = chat
        self._begin = partial(chat._begin, self._key, messages, model)
        self._said = StringIO()  # and no list: millions of tiny pieces would take 50 times their memory
        self._entered = False

    def __del__(self) -> None:
        if hasattr(self, "_chat") and self._has_the_key():
            self._chat._answering = False  # who asks next clears up behind it: here nothing may be waited for
            warnings.warn(f"unclosed {type(self).__name__}", ResourceWarning, stacklevel=2, source=self)

    @property
    def text(self) -> str:
        """What has come of the reply."""
        return self._said.getvalue()

    def _enter(self) -> None:
        if self._entered:
            raise LocalProtocolError("a reply is entered once; ask again with chat.stream(...)")
        self._begin()
        self._entered = True

    def _must_be_entered(self) -> None:
        if not self._entered:
            raise LocalProtocolError('a reply is read where it is entered: (async) with chat.stream("...") as reply')

    def _has_the_key(self) -> bool:
        return self._chat._answering and self._chat._key is self._key

    def _whole(self) -> TurnFinished:
        assert self.finished is not None, "the events of a turn end with its end, or with an exception"
        return self.finished

    def _take(self, event: Event | None) -> Event | None:
        # By `type`: isinstance takes several times as long with the classes of msgspec.
        if type(event) is TextDelta:
            self._said.write(event.text)
        elif type(event) is TurnFinished:
            self.finished = event
        return event

    def _lost_nothing(self, aborted: TurnAborted) -> bool:
        """Tell whether the turn was over already when it was taken away; the error gets the text that had come."""
        aborted.text = self.text
        return self.finished is not None


class Events(AsyncIterator[Event]):
    """No async generator: one that is left half-way is finished whenever it is collected, and in a task of its own.

    Args:
        next_event: gives the next, and None at the end.
    """

    def __init__(self, next_event: Callable[[], Awaitable[Event | None]]) -> None:
        self._next_event = next_event

    async def __anext__(self) -> Event:
        event = await self._next_event()
        if event is None:
            raise StopAsyncIteration
        return event
