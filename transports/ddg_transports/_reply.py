"""The code that the blocking and the async reply share: it neither waits nor does I/O."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from io import StringIO
from typing import Any

from ddg_protocol import Event, LocalProtocolError, TextDelta, TurnAborted, TurnFinished

from ._client import BaseChat, Messages, Place


class BaseReply:
    """The part of a reply that has arrived.

    Attributes:
        finished: the end of the turn; None until then, and if the turn was cancelled.
    """

    def __init__(self, chat: BaseChat[Any], messages: Messages, model: str | None, *, wait: bool) -> None:
        self.finished: TurnFinished | None = None
        self._key = object()
        self._chat = chat
        self._begin = partial(chat._begin, self._key, messages, model)
        self._wait = wait
        self._place: Place | None = None  # in the chat's queue
        self._said = StringIO()  # a list of millions of tiny deltas would take 50 times their memory
        self._entered = False

    def __del__(self) -> None:
        if hasattr(self, "_chat") and self._has_the_key():
            self._chat._answering = False  # the next `ask` cleans up: nothing may wait here
            self._chat._call_next()
            warnings.warn(f"unclosed {type(self).__name__}", ResourceWarning, stacklevel=2, source=self)

    @property
    def text(self) -> str:
        """The text of the reply that has arrived."""
        return self._said.getvalue()

    def _must_be_new(self) -> None:
        if self._entered or self._place is not None:
            raise LocalProtocolError("a reply can be entered only once; ask again with chat.stream(...)")

    def _enter(self) -> None:
        self._begin(self._place)
        self._entered = True

    def _must_be_entered(self) -> None:
        if not self._entered:
            raise LocalProtocolError('enter a reply before reading it: (async) with chat.stream("...") as reply')

    def _has_the_key(self) -> bool:
        return self._chat._answering and self._chat._key is self._key

    def _whole(self) -> TurnFinished:
        assert self.finished is not None, "the last event of a turn is its end, or an exception is raised"
        return self.finished

    def _take(self, event: Event | None) -> Event | None:
        # By `type`: isinstance takes several times as long with the classes of msgspec.
        if type(event) is TextDelta:
            self._said.write(event.text)
        elif type(event) is TurnFinished:
            self.finished = event
        return event

    def _lost_nothing(self, aborted: TurnAborted) -> bool:
        """Add the text that arrived to the error, and return whether the turn had ended before it was aborted."""
        aborted.text = self.text
        return self.finished is not None


class Events(AsyncIterator[Event]):
    """An iterator over events. An async generator left half-way would be finished in another task, at any time.

    Args:
        next_event: returns the next event, and None at the end.
    """

    def __init__(self, next_event: Callable[[], Awaitable[Event | None]]) -> None:
        self._next_event = next_event

    async def __anext__(self) -> Event:
        event = await self._next_event()
        if event is None:
            raise StopAsyncIteration
        return event
