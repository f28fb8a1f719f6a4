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
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Self

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    Event,
    Policy,
    ServiceProfile,
    SolveChallenge,
    TextDelta,
    TurnAborted,
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

if TYPE_CHECKING:
    from ddg_protocol.tap import DrivenSession

__all__ = ["Answer", "Chat", "Client", "Connector", "Reply", "Seen", "connected", "tcp", "unix"]

_CLOSING = 20, 0.05  # how often a thread is called back, and how many seconds it is waited for each time


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
        """Close every chat; any number of times. Who is reading a reply in another thread gets `TurnAborted`."""
        with ExitStack() as stack:
            stack.callback(self._sweep)
            with self._lock:
                self._closed = True
                for chat in list(self._chats):
                    stack.callback(chat.close)

    def __enter__(self) -> Self:
        self._must_be_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sweep(self) -> None:
        while self._dropped:
            self._dropped.popleft().close()

    def _new_chat(self, session: DrivenSession, watcher: Watcher | None) -> Chat:
        if self._transport is not None:
            return Chat(self, RequestLine(session, self._transport))
        wire = WireSession(session) if watcher is None else WatchedWire(watcher, session)
        return Chat(self, WireLine(wire, self._connect, self._tls))


class Chat(BaseChat[WireLine | RequestLine]):
    """A conversation, one turn at a time. Made by `Client.chat`."""

    _client: Client

    def __init__(self, client: Client, line: WireLine | RequestLine) -> None:
        super().__init__(client, line, time.monotonic)
        self._world = threading.RLock()  # around what touches the line

    def ask(self, messages: Messages, *, model: str | None = None) -> TurnFinished:
        """Ask, and wait for the whole reply.

        Args:
            messages: the question, or messages with roles and contents (PROTOCOL.md section 6).
            model: by id or alias; with the turn it becomes the conversation's.

        Returns:
            The reply: its ``text``, the ``reason`` it ended for, its ``model``.

        Raises:
            DuckChatError: the turn was refused or broke; the conversation is as it was before.
            ChatBusy: the chat is still answering.
            TurnAborted: the chat or its client was closed meanwhile.
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
        """End the conversation and close its connection; any number of times, and from any thread."""
        self._end()
        self._settle(call_back=True)

    def __enter__(self) -> Self:
        self._must_be_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _leave(self, key: object, *, cancel: bool = True) -> None:
        """Take the turn from who has this key, and bring the session to rest."""
        self._settle(call_back=self._take(key, cancel=cancel) and cancel)

    def _settle(self, *, call_back: bool) -> None:
        """Bring the session to rest; a thread that touches the line does so itself when it is back."""
        held = self._world.acquire(blocking=False)
        tries, seconds = _CLOSING if call_back else (0, 0.0)
        while not held and tries > 0:
            self._line.wake.ring()
            held, tries = self._world.acquire(timeout=seconds), tries - 1
        if held:
            try:
                self._line.wake.reset()
                self._rest()
            finally:
                self._world.release()

    def _rest(self) -> None:
        key = self._key
        try:
            with suppress(TurnAborted):  # another turn has begun
                while not self._answering and self._next(key) is not None:
                    pass
        except BaseException:
            self._line.close()  # that it was to be may be lost
            raise
        if self._closed:
            self._line.close()

    def _next(self, key: object) -> Event | None:
        """Do what the session asks until it has an event for the caller; None when it is at rest."""
        tell: Tell = None
        try:
            while True:
                action = self._pull(key, tell)
                if action is not NEED_DATA and is_event(action):
                    return action
                with self._world:
                    if key is not self._key:
                        tell = None  # it was called back, as the next pull says
                    elif action is NEED_DATA:
                        tell = self._line.carry_out(action)
                    elif action is PAUSED:
                        self._line.leave()
                        self._take(key, cancel=False)
                        return None
                    else:
                        tell = self._carry_out(action)
        except BaseException:
            if key is not self._key or self._answering:
                self._leave(key)  # what was asked for last may be lost
            raise

    def _carry_out(self, action: Action) -> Tell:
        line = self._line
        if type(action) is Wait:
            line.leave()
            line.wake.sleep(action.until - time.monotonic())
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
        try:
            self._enter()
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        self._must_be_entered()
        chat, key = self._chat, self._key
        try:
            while (event := chat._next(key)) is not None:
                if type(event) is TextDelta:  # as `_take` has it, two calls shorter
                    self._said.write(event.text)
                    yield event.text
                else:
                    self._take(event)
        except TurnAborted as aborted:
            if not self._lost_nothing(aborted):
                raise

    def events(self) -> Iterator[Event]:
        """Iterate over all that happens, in order.

        Returns:
            An iterator over the events; its end is the end of the turn.

        Raises:
            DuckChatError: the turn was refused or broke, after its last event.
            TurnAborted: the reply was closed before it was complete.
        """
        self._must_be_entered()
        return iter(self._next_event, None)

    def close(self) -> None:
        """Leave the reply: a turn that isn't done is cancelled. Any number of times, and from any thread.

        Who is reading it in another thread gets `TurnAborted`: at once, but where a transport's read is waited for.
        """
        if self._has_the_key():
            self._chat._leave(self._key, cancel=self.finished is None)

    def _next_event(self) -> Event | None:
        try:
            return self._take(self._chat._next(self._key))
        except TurnAborted as aborted:
            if self._lost_nothing(aborted):
                return None
            raise
