"""`Client`: the blocking driver.

::

    with Client() as client:
        chat = client.chat()
        print(chat.ask("Why is the sky blue?").text)
        with chat.stream("And at dusk?") as reply:
            for text in reply:
                print(text, end="", flush=True)

It opens, sends, reads, sleeps and closes as the session asks, and decides nothing. Over sockets of its own it drives a
`WireSession`, over a transport (see `ddg_transports.transport`) a `Session`. `ddg_transports.anyio` is the version of
this module for asyncio and trio, in the same order.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self

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
from ddg_protocol.conversation import Messages
from ddg_protocol.errors import EngineUnavailable
from ddg_protocol.events import ModelsReceived
from ddg_protocol.intents import ChallengeAnswer, Coordinate
from ddg_protocol.models import ModelList
from ddg_protocol.session import AnswerChallenge
from ddg_protocol.wire import WireSession

from ._client import EVENTS, INTERRUPTED, Action, BaseChat, BaseClient, BaseReply, Tell
from ._lines import RequestLine, WireLine
from ._sockets import Connector, connected, tcp, unix
from ._trace import DriverReport, Trace, Watch, WatchedWire
from ._waits import SLICE
from .transport import Transport

if TYPE_CHECKING:
    from ddg_protocol.coordination import Coordination, Engine
    from ddg_protocol.tap import DrivenSession

__all__ = ["Chat", "Client", "Connector", "DriverReport", "Reply", "Trace", "connected", "tcp", "unix"]

_PATIENCE = 1.0  # seconds that closing waits for threads whose waits it ends
_AGAIN = 0.05  # seconds after which it ends a thread's wait again: the thread may have begun another


class Client(BaseClient["Chat", "WireLine | RequestLine"]):
    """Shares settings, pacing and the front-end version between its chats. Each chat may have a thread of its own.

    Args:
        profile: describes the service and its address.
        policy: retries, timeouts, bounds, strictness.
        transport: sends the requests, in place of the client's own sockets. The caller closes it.
        connect: makes the client's own connections: `tcp`, or a connector from `unix` or `connected`.
        ssl_context: for https on these connections; None makes a default one with the system's trusted certificates.
        answer_challenge: when challenges are answered (PROTOCOL.md section 5).
        solver: answers challenges in place of the library: takes a `SolveChallenge`, and returns the ``x-vqd-hash-1``
            value, or a `ddg_protocol.intents.ChallengeAnswer` that brings more, or raises `UnsupportedChallenge`.
        shared: an engine that other processes share, such as a `ddg_transports.engines.sqlite.SqliteEngine`. All of
            them keep one pace, and one `chat` after the other can continue a conversation by its ``key``. The caller
            closes it. None keeps the pace in this client.
        coordination: how to go by that engine, where its defaults don't do.
        on_action: gets a `Trace` of all that happens in the client's chats, as it happens: every intent, event, signal,
            exception and `DriverReport`. It is called in the chat's thread, and may close the chat. If it raises an
            exception, the turn is cancelled, and the call that reads the reply raises that exception.
            None means `tracing.log` for chats that are started while the logger ``ddg_transports`` is at DEBUG.
        clock: returns the time, in seconds. Pacing, backoff, ``Retry-After`` and the policy's timeouts go by it. It
            must never go back, and must go on while the client waits for a socket or a transport: such a wait takes
            real time, at most as much as is left on the clock.
        sleep: waits where the session has to: for its pace, a backoff, or the end of a ``Retry-After``. It gets the
            seconds that ``clock`` should go on by; when it returns, the wait is over. Nothing else calls it, and
            closing the chat doesn't end it. None waits in real time, and at most until the chat is closed.
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
        solver: Callable[[SolveChallenge], str | ChallengeAnswer] | None = None,
        shared: Engine | None = None,
        coordination: Coordination | None = None,
        on_action: Callable[[Trace], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__(profile, policy, ssl_context, answer_challenge, solver, on_action, shared, coordination)
        self._transport = transport
        self._connect = connect
        self._solver = solver
        self._engine: Engine | None = shared
        self._clock = clock
        self._sleep = sleep

    def models(self, *, refresh: bool = False) -> ModelList:
        """Return the models that the service lists. It is asked once; `ServiceProfile.with_models` uses the list.

        Args:
            refresh: whether to ask it again.

        Returns:
            The list.

        Raises:
            DuckChatError: the service refused or failed, or its list can't be read.
            LocalProtocolError: the client is closed, or the profile has no ``models_path``.
        """
        if self._models is None or refresh:
            with self.chat() as chat:
                self._models = chat._fetch_models()
        return self._models

    def close(self) -> None:
        """Close every chat; may be called again. A thread that is reading a reply gets `TurnAborted`.

        Threads that nothing can wake, such as those in a ``solver``, are waited for a second in all, and then for 50 ms
        each. What is open in their chats is closed as soon as they come back.
        """
        until = time.monotonic() + _PATIENCE

        def close(chat: Chat) -> None:
            chat._settle(chat._end(), until=until)

        with ExitStack() as stack:
            stack.callback(self._sweep)
            with self._lock:
                self._closed = True
                for chat in self._open_chats():
                    stack.callback(close, chat)

    def __enter__(self) -> Self:
        self._must_be_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sweep(self) -> None:
        while True:
            try:
                line = self._dropped.popleft()
            except IndexError:  # asking first whether there is one would be too early: other threads sweep, too
                return
            line.close()

    def _chat_clock(self) -> Callable[[], float]:
        return self._clock

    def _new_chat(self, session: DrivenSession, id: int, clock: Callable[[], float], watch: Watch | None) -> Chat:
        if self._transport is not None:
            return Chat(self, RequestLine(session, self._transport, clock), id, clock)
        wire = WireSession(session) if watch is None else WatchedWire(watch, session)
        return Chat(self, WireLine(wire, self._connect, self._tls, clock), id, clock)


class Chat(BaseChat[WireLine | RequestLine]):
    """A conversation, one turn at a time. Made by `Client.chat`.

    Attributes:
        id: tells the chat from the others of its client, in a `Trace`: 1 for the first.
    """

    _client: Client

    def __init__(self, client: Client, line: WireLine | RequestLine, id: int, clock: Callable[[], float]) -> None:
        super().__init__(client, line, id, clock)
        self._world = threading.RLock()  # held while the line is used

    def ask(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        effort: str | None = None,
        tools: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
        turn: str = "",
        wait: bool = False,
    ) -> TurnFinished:
        """Ask, and wait for the complete reply.

        Args:
            messages: the question; its parts, texts, images and files; or messages with roles and contents (PROTOCOL.md
                section 6).
            model: by id or alias; the conversation keeps it if the turn succeeds.
            effort: how hard the model reasons in this turn: one of its `Model.efforts`; None means its default.
            tools: the service's own tools that this turn asks for, such as ``["WebSearch"]``.
            extra: further members of the body of this turn's chat request.
            turn: a key for this turn, such as that of the request it is for; only in a chat with a ``key``. If the
                conversation has done the turn already, its stored reply is returned, and nothing is asked.
            wait: whether to wait until the chat is free, first come, first served, instead of raising `ChatBusy`. The
                reply that is waited for has to be read, or left, by another thread.

        Returns:
            The reply: its ``text``, the ``reason`` why it ended, its ``model``.

        Raises:
            DuckChatError: the turn was refused or failed; the conversation is as it was before.
            ChatBusy: the chat is still answering, or others wait for it.
            TurnAborted: the chat or its client was closed meanwhile.
            CoordinationError: the turn could not be done together with those of other processes; if the client shares
                an engine.
        """
        with self.stream(messages, model=model, effort=effort, tools=tools, extra=extra, turn=turn, wait=wait) as reply:
            for _ in reply.events():
                pass
        return reply._whole()

    def stream(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        effort: str | None = None,
        tools: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
        turn: str = "",
        wait: bool = False,
    ) -> Reply:
        """Ask, and read the reply as it arrives: ``with chat.stream("...") as reply``.

        For the arguments see `ask`. With ``wait``, entering the reply waits.

        Returns:
            The reply. Entering it starts the turn; leaving it early cancels the turn.
        """
        ask = partial(self._line.session.ask, messages, model=model, effort=effort, tools=tools, extra=extra, turn=turn)
        return Reply(self, ask, wait=wait)

    def _fetch_models(self) -> ModelList:
        with Reply(self, self._line.session.fetch_models, wait=False) as reply:
            (models,) = [event.models for event in reply.events() if type(event) is ModelsReceived]
        return models

    def close(self) -> None:
        """End the conversation and close its connection; may be called again, and from any thread."""
        self._settle(self._end())

    def __enter__(self) -> Self:
        self._must_be_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _leave(self, key: object, *, cancel: bool = True, drives: bool = False) -> None:
        """End the turn of the reply with this key, and bring the session to rest."""
        try:
            taken = self._take(key, cancel=cancel, drives=drives)
            self._settle(key if taken and cancel else None, drives=drives)
        finally:
            self._call_next()

    def _settle(self, taken: object | None, *, until: float | None = None, drives: bool = False) -> None:
        """Bring the session to rest. If another thread is using the line, that thread does so when it is done.

        Args:
            taken: the key of a turn whose wait is to end; None if nobody waits.
            until: how long to wait for the thread whose wait it is, on the clock of `time.monotonic`; None means a
                second from now.
            drives: whether the caller is what drives the session.
        """
        if not drives and self._interrupts():
            self._line.wake.ring(taken)
            return  # what it has interrupted does the rest
        with self._lock:
            self._catch_up()
        held = self._world.acquire(blocking=False)
        until = time.monotonic() + _PATIENCE if until is None else until
        late = taken is None
        while not held and not late:
            self._line.wake.ring(taken)
            held, late = self._world.acquire(timeout=_AGAIN), time.monotonic() >= until
        if held:
            try:
                self._rest()
            finally:
                self._world.release()

    def _rest(self) -> None:
        key = self._key
        try:
            while True:
                with suppress(TurnAborted):  # another turn has started, or a signal handler has closed the chat
                    while not self._answering and self._next(key) is not None:
                        pass
                if self._answering or key is self._key:
                    break
                key = self._key
        except BaseException:
            self._line.close()  # an intent to close it may be lost
            raise
        if self._closed:
            self._line.close()

    def _next(self, key: object) -> Event | None:
        """Carry out the session's intents until it has an event for the caller; return None when it is at rest."""
        tell: Tell = None
        try:
            while True:
                try:
                    action = self._pull(key, tell)
                finally:
                    if self._seen:
                        self._tell_hook()
                tell = None  # it has what was read, which needn't stay in memory while more is awaited
                if action is not NEED_DATA and type(action) in EVENTS:
                    return action  # type: ignore[return-value]  # mypy can't tell by a set of types
                with self._world:
                    if self._line.wake.key is not key:
                        self._line.wake.begin(key)
                    if key is not self._key:
                        pass  # the turn was taken away; the next pull raises
                    elif action is NEED_DATA:
                        tell = self._line.carry_out(action)
                    elif action is PAUSED:
                        self._line.leave()
                        self._take(key, cancel=False)
                        self._call_next()
                        return None
                    else:
                        tell = self._carry_out(action)
        except BaseException:
            if key is not self._key or self._answering:
                self._leave(key, drives=True)  # the last intent may be lost
            raise

    def _carry_out(self, action: Action) -> Tell:
        line = self._line
        if type(action) is Wait:
            line.leave()
            sleep = self._client._sleep or line.wake.sleep
            sleep(max(0.0, action.until - self._clock()))
            return partial(line.session.wait_elapsed, action)
        if type(action) is SolveChallenge:
            line.leave()
            assert self._client._solver is not None
            try:
                return partial(line.session.challenge_solved, action, self._client._solver(action))
            except UnsupportedChallenge as error:
                return partial(line.session.challenge_failed, action, str(error))
        if type(action) is Coordinate:
            assert self._client._engine is not None
            asked = self._clock()
            try:
                return self._told(action, self._client._engine.call(action.call), asked=asked)
            except EngineUnavailable as error:
                return self._not_told(action, error)
        return line.carry_out(action)


INTERRUPTED.update({Chat._next.__code__, Chat._settle.__code__})


class _Place:
    """A place in a chat's queue. Its lock is one that a finalizer can release, unlike an event's."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()

    def call(self) -> None:
        with suppress(RuntimeError):  # it is open already
            self._gate.release()

    def wait(self) -> None:
        while not self._gate.acquire(timeout=SLICE):
            pass


class Reply(BaseReply):
    """A reply as it arrives: enter it, iterate over its text or its `events`, leave it. Made by `Chat.stream`.

    One thread at a time can read it. Another one that tries to gets a `LocalProtocolError`.

    Attributes:
        finished: the end of the turn; None until then, and if the turn was cancelled.
    """

    _chat: Chat

    def __enter__(self) -> Self:
        self._chat._client._sweep()
        self._must_be_new()
        try:
            if self._wait:
                self._place = place = _Place()
                self._chat._line_up(place)
                place.wait()
            self._enter()
            return self
        except BaseException:
            self.close()
            if self._chat._closed:
                self._chat._settle(None)  # a signal handler that closed it could not, while it interrupted the session
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        self._must_be_entered()
        chat, key = self._chat, self._key
        try:
            while True:
                if self._reading:
                    raise self._two_readers()
                self._reading = True
                try:
                    event = chat._next(key)
                finally:
                    self._reading = False
                if event is None:
                    return
                if type(event) is TextDelta:  # the same as `_take`, with two calls fewer
                    self._said.write(event.text)
                    yield event.text
                else:
                    self._take(event)
        except TurnAborted as aborted:
            if not self._lost_nothing(aborted):
                raise

    def events(self) -> Iterator[Event]:
        """Iterate over all events of the turn, in order.

        Returns:
            An iterator over the events; it ends with the turn.

        Raises:
            DuckChatError: the turn was refused or failed; raised after its last event.
            TurnAborted: the reply was closed before it was complete.
        """
        self._must_be_entered()
        return iter(self._next_event, None)

    def close(self) -> None:
        """Leave the reply, and cancel its turn if it isn't complete. May be called again, and from any thread.

        A thread that is reading the reply gets `TurnAborted`: at once, or, over a transport whose exchanges can't be
        aborted, when its read returns.
        """
        self._left = True
        if self._place is not None:
            self._chat._step_out(self._place)
        if self._has_the_key():
            self._chat._leave(self._key, cancel=self.finished is None)
        elif self._chat._later:
            self._chat._settle(None)  # a signal handler ended it, as the last call of the session was over

    def _next_event(self) -> Event | None:
        if self._reading:
            raise self._two_readers()
        self._reading = True
        try:
            return self._take(self._chat._next(self._key))
        except TurnAborted as aborted:
            if self._lost_nothing(aborted):
                return None
            raise
        finally:
            self._reading = False
