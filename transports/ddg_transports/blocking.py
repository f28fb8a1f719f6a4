"""`Client`: the blocking driver.

::

    with Client() as client:
        chat = client.chat()
        print(chat.ask("Why is the sky blue?").text)
        with chat.stream("And at dusk?") as reply:
            for text in reply:
                print(text, end="", flush=True)

It opens, sends, reads, sleeps and closes as the session asks, and decides nothing: over sockets of its own it drives a
`WireSession`, over a transport (see `ddg_transports.transport`) a `Session`. `ddg_transports.anyio` says the same, in
the same order, for asyncio and trio.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Self

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    Event,
    Policy,
    ServiceProfile,
    Session,
    SolveChallenge,
    TextDelta,
    TurnFinished,
    UnsupportedChallenge,
    Wait,
)
from ddg_protocol.session import AnswerChallenge
from ddg_protocol.wire import WireSession

from ._client import Action, BaseChat, BaseClient, Messages, Tell, is_event
from ._exchanges import RequestLine
from ._reply import BaseReply
from ._sockets import Connector, WireLine, connected, tcp, unix
from ._watch import Answer, Seen, WatchedWire, Watcher
from .transport import Transport

__all__ = ["Answer", "Chat", "Client", "Connector", "Reply", "Seen", "connected", "tcp", "unix"]


class Client(BaseClient["Chat", "WireLine | RequestLine"]):
    """What its chats share: settings, pacing, the front-end version. Each chat may have a thread of its own.

    Args:
        profile: what is known of the service, and where it is.
        policy: tries, times, bounds, strictness.
        transport: sends the requests, in place of sockets of the client's own. It stays the caller's to close.
        connect: makes the client's own connections: `tcp`, or what `unix` or `connected` gives.
        ssl_context: for https on them; None makes the standard one, which trusts what the system trusts.
        answer_challenge: when challenges are answered (PROTOCOL.md section 5).
        solver: answers challenges in place of the library: gets a `SolveChallenge`, gives the ``x-vqd-hash-1`` value
            or raises `UnsupportedChallenge`.
        on_action: is shown every intent, event, signal and `Answer` of every chat as it comes, in the chat's thread.
            Their reprs hide secrets.
    """

    def __init__(
        self,
        profile: ServiceProfile = DUCKDUCKGO_2025_04,
        *,
        policy: Policy | None = None,
        transport: Transport | None = None,
        connect: Connector = tcp,
        ssl_context: ssl.SSLContext | None = None,
        answer_challenge: AnswerChallenge = "on_demand",
        solver: Callable[[SolveChallenge], str] | None = None,
        on_action: Callable[[Seen], object] | None = None,
    ) -> None:
        super().__init__(profile, policy, ssl_context, answer_challenge, solver, on_action)
        self._transport = transport
        self._connect = connect
        self._solver = solver

    def close(self) -> None:
        """Close every chat. None of them may be reading a reply in another thread."""
        with ExitStack() as stack:
            stack.callback(self._sweep)
            with self._lock:
                for chat in list(self._chats):
                    stack.callback(chat.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sweep(self) -> None:
        while self._dropped:
            self._dropped.popleft().close()

    def _new_chat(self, session: Session, watcher: Watcher | None) -> Chat:
        if self._transport is not None:
            return Chat(self, RequestLine(session, self._transport))
        wire = WireSession(session) if watcher is None else WatchedWire(watcher, session)
        return Chat(self, WireLine(wire, self._connect, self._tls))


class Chat(BaseChat[WireLine | RequestLine]):
    """A conversation, one turn at a time. Made by `Client.chat`."""

    _client: Client

    def __init__(self, client: Client, line: WireLine | RequestLine) -> None:
        super().__init__(client, line, time.monotonic)

    def ask(self, messages: Messages, *, model: str | None = None) -> TurnFinished:
        """Ask, and wait for the whole reply.

        Args:
            messages: the question, or messages with roles and contents (PROTOCOL.md section 6).
            model: by id or alias; with the turn it becomes the conversation's.

        Returns:
            The reply: its ``text``, the ``reason`` it ended for, its ``model``.

        Raises:
            DuckChatError: the turn was refused or broke; the conversation is as it was before.
        """
        with self.stream(messages, model=model) as reply:
            for _ in reply.events():
                pass
        return reply._whole()

    def stream(self, messages: Messages, *, model: str | None = None) -> Reply:
        """Ask, and read the reply as it comes: ``with chat.stream("...") as reply``.

        Args:
            messages: as for `ask`.
            model: as for `ask`.

        Returns:
            The reply, to be entered: that begins the turn. Leaving it early cancels the turn.
        """
        return Reply(self, messages, model)

    def close(self) -> None:
        """End the conversation and close its connection; any number of times."""
        self._end()
        try:
            self._rest()
        finally:
            self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rest(self) -> None:
        while self._next() is not None:
            pass

    def _next(self) -> Event | None:
        """Do what the session asks until it has an event for the caller; None when it is at rest."""
        tell: Tell = None
        while True:
            action = self._pull(tell)
            if action is NEED_DATA:
                tell = self._line.carry_out(action)
            elif is_event(action):
                return action
            elif action is PAUSED:
                self._line.leave()
                return None
            else:
                tell = self._carry_out(action)

    def _carry_out(self, action: Action) -> Tell:
        line = self._line
        if type(action) is Wait:
            line.leave()
            time.sleep(max(0.0, action.until - time.monotonic()))
            return partial(line.session.wait_elapsed, action)
        if type(action) is SolveChallenge:
            line.leave()
            assert self._client._solver is not None
            try:
                return partial(line.session.challenge_solved, action, self._client._solver(action))
            except UnsupportedChallenge as error:
                return partial(line.session.challenge_failed, action, str(error))
        return line.carry_out(action)


class Reply(BaseReply):
    """A reply as it comes: enter it, iterate over its pieces of text or its `events`, leave it. Made by `Chat.stream`.

    Attributes:
        finished: the end of the turn, once it has come; None before, and where the turn was cancelled.
    """

    _chat: Chat

    def __enter__(self) -> Self:
        self._chat._client._sweep()
        self._enter()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        self._must_be_entered()
        while not self._over:
            event = self._chat._next()
            if type(event) is TextDelta:  # as `_take` has it, two calls shorter
                self._said.write(event.text)
                yield event.text
            else:
                self._take(event)

    def events(self) -> Iterator[Event]:
        """Iterate over all that happens, in order.

        Returns:
            An iterator over the events; its end is the end of the turn.

        Raises:
            DuckChatError: the turn was refused or broke, after its last event.
        """
        self._must_be_entered()
        return iter(self._next_event, None)

    def close(self) -> None:
        """Leave the reply: a turn that isn't done is cancelled. Any number of times."""
        if not self._over:
            self._over = True
            if self.finished is None:
                self._chat._cancel()
            self._chat._rest()

    def _next_event(self) -> Event | None:
        return self._take(None if self._over else self._chat._next())
