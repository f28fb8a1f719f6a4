"""What the blocking and the async reply have in common: all that neither waits nor touches the world."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from io import StringIO
from typing import Any

from ddg_protocol import Event, LocalProtocolError, TextDelta, TurnFinished

from ._client import BaseChat, Messages


class BaseReply:
    """What has come of a reply.

    Attributes:
        finished: the end of the turn, once it has come; None before, and where the turn was cancelled.
    """

    def __init__(self, chat: BaseChat[Any], messages: Messages, model: str | None) -> None:
        self.finished: TurnFinished | None = None
        self._chat = chat
        self._begin = partial(chat._begin, messages, model)
        self._said = StringIO()  # and no list: millions of tiny pieces would take 50 times their memory
        self._entered = False
        self._over = True  # nothing is to be read: not yet, or not any more

    @property
    def text(self) -> str:
        """What has come of the reply."""
        return self._said.getvalue()

    def _enter(self) -> None:
        if self._entered:
            raise LocalProtocolError("a reply is entered once; ask again with chat.stream(...)")
        self._begin()
        self._entered = True
        self._over = False

    def _must_be_entered(self) -> None:
        if not self._entered:
            raise LocalProtocolError('a reply is read where it is entered: (async) with chat.stream("...") as reply')

    def _whole(self) -> TurnFinished:
        if self.finished is None:
            raise LocalProtocolError("the turn was cancelled from outside")
        return self.finished

    def _take(self, event: Event | None) -> Event | None:
        # By `type`: isinstance takes several times as long with the classes of msgspec.
        if type(event) is TextDelta:
            self._said.write(event.text)
        elif event is None:
            self._over = True
        elif type(event) is TurnFinished:
            self.finished = event
        return event


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
