"""`Client`: the blocking driver, on `socket` and `ssl`.

    with Client() as client:
        chat = client.chat()
        print(chat.ask("Why is the sky blue?").text)
        with chat.stream("And at dusk?") as reply:
            for text in reply:
                print(text, end="", flush=True)

It opens, sends, reads, sleeps and closes as `WireSession` asks, and decides nothing.
"""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ClientState,
    Conversation,
    Cookie,
    Event,
    LocalProtocolError,
    Message,
    Policy,
    ServiceProfile,
    Session,
    Signal,
    SolveChallenge,
    TextDelta,
    TransportError,
    TurnFinished,
    UnsupportedChallenge,
    Wait,
)
from ddg_protocol.session import AnswerChallenge
from ddg_protocol.wire import Close, Connect, Send, WireAction, WireSession

from ._sockets import Connection

Messages = str | Sequence[Message | Mapping[str, Any]]
#: Tells the session what came of an intent; None where only time has passed.
_Answer = Callable[[], None] | None


class Client:
    """What its chats share: settings, pacing, the front-end version. Each chat may have a thread of its own.

    Args:
        profile: what is known of the service, and where it is.
        policy: tries, times, bounds, strictness.
        ssl_context: for https; None makes the standard one, which trusts what the system trusts.
        answer_challenge: when challenges are answered (PROTOCOL.md section 5).
        solver: answers challenges in place of the library: gets a `SolveChallenge`, gives the ``x-vqd-hash-1`` value
            or raises `UnsupportedChallenge`.
        on_action: is shown every intent, event and signal of every chat as it comes, in the chat's thread.
    """

    def __init__(
        self,
        profile: ServiceProfile = DUCKDUCKGO_2025_04,
        *,
        policy: Policy | None = None,
        ssl_context: ssl.SSLContext | None = None,
        answer_challenge: AnswerChallenge = "on_demand",
        solver: Callable[[SolveChallenge], str] | None = None,
        on_action: Callable[[WireAction], None] | None = None,
    ) -> None:
        self.profile = profile
        self.policy = policy or Policy()
        self._ssl_context = ssl_context
        self._answer_challenge = answer_challenge
        self._solver = solver
        self._on_action = on_action
        self._shared = ClientState()
        self._lock = threading.Lock()  # around each call of a session: they share `_shared`
        self._chats: set[Chat] = set()

    def chat(
        self,
        *,
        model: str | None = None,
        conversation: Conversation | None = None,
        cookies: Mapping[str, str] | Iterable[Cookie] | None = None,
    ) -> Chat:
        """Begin a conversation, or go on with one. Nothing is sent yet.

        Args:
            model: by id or alias; None keeps the conversation's, or takes the profile's default.
            conversation: one to go on with.
            cookies: a jar of one's own, in place of the landing page's.

        Returns:
            The chat. It keeps a connection until it is closed, or the client is.

        Raises:
            ModelNotSupportedError: the profile has no such model.
        """
        session = Session(
            self.profile,
            conversation=conversation,
            model=model,
            cookies=cookies,
            policy=self.policy,
            shared=self._shared,
            jitter=random.random,
            answer_challenge=self._answer_challenge,
            solver="none" if self._solver is None else "embedder",
        )
        chat = Chat(self, WireSession(session))
        with self._lock:
            self._chats.add(chat)
        return chat

    def close(self) -> None:
        """Close every chat. None of them may be reading a reply in another thread."""
        with self._lock:
            chats = list(self._chats)
        for chat in chats:
            chat.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        return self._ssl_context


class Chat:
    """A conversation, one turn at a time. Made by `Client.chat`."""

    def __init__(self, client: Client, wire: WireSession) -> None:
        self._client = client
        self._wire = wire
        self._connect: Connect | None = None
        self._connection: Connection | None = None

    @property
    def conversation(self) -> Conversation:
        """The conversation as of the last turn that was done; store it with `Conversation.to_json`."""
        return self._wire.conversation

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
        if reply.finished is None:
            raise LocalProtocolError("the turn was cancelled from outside")
        return reply.finished

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
        with self._client._lock:
            self._wire.close()
            self._client._chats.discard(self)
        self._rest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, messages: Messages, model: str | None) -> None:
        with self._client._lock:
            self._wire.ask(messages, model=model, now=time.monotonic())

    def _cancel(self) -> None:
        with self._client._lock:
            self._wire.cancel()

    def _rest(self) -> None:
        while self._next() is not None:
            pass

    def _next(self) -> Event | None:
        """Do what the session asks until it has an event for the caller; None when it is at rest."""
        client, wire = self._client, self._wire
        answer: _Answer = None
        while True:
            with client._lock:
                if answer is not None:
                    answer()
                action = wire.next_action(now=time.monotonic())
            if client._on_action is not None:
                client._on_action(action)
            match action:
                case Signal.PAUSED:
                    return None
                case Connect() | Send() | Signal.NEED_DATA:
                    answer = self._exchange(action)
                case Close():
                    self._drop()
                    answer = partial(wire.closed, action)
                case Wait():
                    time.sleep(max(0.0, action.until - time.monotonic()))
                    answer = partial(wire.wait_elapsed, action)
                case SolveChallenge():
                    answer = self._solve(action)
                case _:
                    return action

    def _exchange(self, action: Connect | Send | Signal) -> _Answer:
        wire, until = self._wire, self._wire.deadline
        assert until is not None, "an exchange always has a deadline"
        if isinstance(action, Connect):
            self._connect = action
        assert self._connect is not None
        try:
            if isinstance(action, Connect):
                context = self._client._tls() if action.tls else None
                until = min(until, time.monotonic() + action.timeout)
                self._connection = Connection(action.host, action.port, context, until=until)
                return partial(wire.connected, action)
            assert self._connection is not None
            if isinstance(action, Send):
                if action.check_idle:
                    self._connection.check_idle()
                self._connection.write(action.data, until=until)
                return partial(wire.sent, action)
            data = self._connection.read(until=until)
        except TimeoutError:
            return None  # the deadline has come; what that means is the session's business
        except TransportError as error:
            return partial(wire.transport_failed, self._connect, error.failure)
        return partial(wire.receive_bytes, self._connect, data) if data else partial(wire.receive_eof, self._connect)

    def _solve(self, solve: SolveChallenge) -> _Answer:
        assert self._client._solver is not None
        try:
            return partial(self._wire.challenge_solved, solve, self._client._solver(solve))
        except UnsupportedChallenge as error:
            return partial(self._wire.challenge_failed, solve, str(error))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._connect = None


class Reply:
    """A reply as it comes: enter it, iterate over its pieces of text or its `events`, leave it. Made by `Chat.stream`.

    Attributes:
        finished: the end of the turn, once it has come; None before, and where the turn was cancelled.
    """

    def __init__(self, chat: Chat, messages: Messages, model: str | None) -> None:
        self._chat = chat
        self._question = (messages, model)
        self._pieces: list[str] = []
        self._entered = False
        self._over = False
        self.finished: TurnFinished | None = None

    @property
    def text(self) -> str:
        """What has come of the reply."""
        return "".join(self._pieces)

    def __enter__(self) -> Self:
        if self._entered:
            raise LocalProtocolError("a reply is entered once; ask again with chat.stream(...)")
        self._chat._begin(*self._question)
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        return (event.text for event in self.events() if isinstance(event, TextDelta))

    def events(self) -> Iterator[Event]:
        """Iterate over all that happens, in order.

        Returns:
            An iterator over the events; its end is the end of the turn.

        Raises:
            DuckChatError: the turn was refused or broke, after its last event.
        """
        if not self._entered:
            raise LocalProtocolError('a reply is read where it is entered: with chat.stream("...") as reply')
        return iter(self._next_event, None)

    def close(self) -> None:
        """Leave the reply: a turn that isn't done is cancelled. Any number of times."""
        if self._entered and not self._over:
            self._over = True
            if self.finished is None:
                self._chat._cancel()
            self._chat._rest()

    def _next_event(self) -> Event | None:
        event = None if self._over else self._chat._next()
        match event:
            case TextDelta():
                self._pieces.append(event.text)
            case TurnFinished():
                self.finished = event
            case None:
                self._over = True
        return event
