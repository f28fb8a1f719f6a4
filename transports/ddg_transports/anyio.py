"""`AsyncClient`: the driver for asyncio and trio, native on both through anyio.

::

    async with AsyncClient() as client:
        chat = client.chat()
        print((await chat.ask("Why is the sky blue?")).text)
        async with chat.stream("And at dusk?") as reply:
            async for text in reply:
                print(text, end="", flush=True)

It opens, sends, reads, sleeps and closes as the session asks, and decides nothing. Over streams of its own it drives a
`WireSession`, over a transport (see `ddg_transports.transport`) a `Session`. `ddg_transports.blocking` is the blocking
version of this module, in the same order.

Every await here may be cancelled: the conversation is then as it was before the turn (or, if the reply was already
complete, after it), and the next turn works.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Self, cast

import anyio
from anyio.abc import AsyncResource

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

from ._async_lines import AsyncRequestLine, AsyncWireLine
from ._client import EVENTS, Action, BaseChat, BaseClient, BaseReply, Tell
from ._streams import AsyncConnector, WaitEnded, connected, loop_clock, on_asyncio, tcp, unix
from ._trace import DriverReport, Trace, Watch, WatchedWire
from .transport import AsyncTransport

if TYPE_CHECKING:
    from ddg_protocol.coordination import AsyncEngine, Call, Coordination, Engine, Result
    from ddg_protocol.tap import DrivenSession

    from ._asyncio_stream import AsyncioStream

__all__ = [
    "AsyncChat",
    "AsyncClient",
    "AsyncConnector",
    "AsyncReply",
    "DriverReport",
    "Trace",
    "connected",
    "tcp",
    "unix",
]


class AsyncClient(BaseClient["AsyncChat", "AsyncWireLine | AsyncRequestLine"], AsyncResource):
    """Shares settings, pacing and the front-end version between its chats. Each chat may have a task of its own.

    A client belongs to one event loop, and has the loop's clock and timers. It takes no others, unlike
    `blocking.Client`: the deadlines of a loop's cancel scopes are on the loop's own clock. A test that shall not wait
    runs on a loop with a virtual clock, such as trio's ``MockClock``.

    Args:
        profile: describes the service and its address.
        policy: retries, timeouts, bounds, strictness.
        transport: sends the requests, in place of the client's own streams. The caller closes it.
        connect: makes the client's own connections: `tcp`, or a connector from `unix` or `connected`.
        ssl_context: for https on these connections; None makes a default one with the system's trusted certificates.
        answer_challenge: when challenges are answered (PROTOCOL.md section 5).
        solver: answers challenges in place of the library: takes a `SolveChallenge`, and returns the ``x-vqd-hash-1``
            value, or a `ddg_protocol.intents.ChallengeAnswer` that brings more, or raises `UnsupportedChallenge`.
        shared: an engine that other processes share, such as a `ddg_transports.engines.sqlite.SqliteEngine`. All of
            them keep one pace, and one `chat` after the other can continue a conversation by its ``key``. A blocking
            engine is called in worker threads, one whose ``call`` is async on the loop. The caller closes it. None
            keeps the pace in this client.
        coordination: how to go by that engine, where its defaults don't do.
        on_action: gets a `Trace` of all that happens in the client's chats, as it happens: every intent, event, signal,
            exception and `DriverReport`. It is called in the chat's task, and may close the chat. If it raises an
            exception, the turn is cancelled, and the call that reads the reply raises that exception.
            None means `tracing.log` for chats that are started while the logger ``ddg_transports`` is at DEBUG.
    """

    def __init__(
        self,
        profile: ServiceProfile = DUCKDUCKGO_2025_04,
        *,
        policy: Policy | None = None,
        transport: AsyncTransport | None = None,
        connect: AsyncConnector = tcp,
        ssl_context: ssl.SSLContext | None = None,
        answer_challenge: AnswerChallenge = "on_demand",
        solver: Callable[[SolveChallenge], Awaitable[str | ChallengeAnswer]] | None = None,
        shared: Engine | AsyncEngine | None = None,
        coordination: Coordination | None = None,
        on_action: Callable[[Trace], object] | None = None,
    ) -> None:
        super().__init__(profile, policy, ssl_context, answer_challenge, solver, on_action, shared, coordination)
        self._transport = transport
        self._connect = connect
        self._solver = solver
        self._engine: Engine | AsyncEngine | None = shared

    async def models(self, *, refresh: bool = False) -> ModelList:
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
            async with self.chat() as chat:
                self._models = await chat._fetch_models()
        return self._models

    async def aclose(self) -> None:
        """Close every chat; may be called again. A task that is reading a reply gets `TurnAborted`."""
        self._closed = True
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._sweep)
            for chat in list(self._chats):
                stack.push_async_callback(chat.aclose)

    async def __aenter__(self) -> Self:
        self._must_be_open()
        return self

    async def _sweep(self) -> None:
        with anyio.CancelScope(shield=True):
            while self._dropped:
                await self._dropped.popleft().aclose()

    def _chat_clock(self) -> Callable[[], float]:
        return loop_clock()

    def _new_chat(self, session: DrivenSession, id: int, clock: Callable[[], float], watch: Watch | None) -> AsyncChat:
        if self._transport is not None:
            return AsyncChat(self, AsyncRequestLine(session, self._transport), id, clock)
        wire = WireSession(session) if watch is None else WatchedWire(watch, session)
        return AsyncChat(self, AsyncWireLine(wire, self._connect, self._tls), id, clock)


class AsyncChat(BaseChat["AsyncWireLine | AsyncRequestLine"], AsyncResource):
    """A conversation, one turn at a time. Made by `AsyncClient.chat`.

    Attributes:
        id: tells the chat from the others of its client, in a `Trace`: 1 for the first.
    """

    _client: AsyncClient

    def __init__(
        self, client: AsyncClient, line: AsyncWireLine | AsyncRequestLine, id: int, clock: Callable[[], float]
    ) -> None:
        super().__init__(client, line, id, clock)
        self._waiting: anyio.CancelScope | AsyncioStream | None = None

    async def ask(
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
                reply that is waited for has to be read, or left, by another task.

        Returns:
            The reply: its ``text``, the ``reason`` why it ended, its ``model``.

        Raises:
            DuckChatError: the turn was refused or failed; the conversation is as it was before.
            ChatBusy: the chat is still answering, or others wait for it.
            TurnAborted: the chat or its client was closed meanwhile.
            CoordinationError: the turn could not be done together with those of other processes; if the client shares
                an engine.
        """
        async with self.stream(
            messages, model=model, effort=effort, tools=tools, extra=extra, turn=turn, wait=wait
        ) as reply:
            async for _ in reply.events():
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
    ) -> AsyncReply:
        """Ask, and read the reply as it arrives: ``async with chat.stream("...") as reply``.

        For the arguments see `ask`. With ``wait``, entering the reply waits.

        Returns:
            The reply. Entering it starts the turn; leaving it early cancels the turn.
        """
        ask = partial(self._line.session.ask, messages, model=model, effort=effort, tools=tools, extra=extra, turn=turn)
        return AsyncReply(self, ask, wait=wait)

    async def _fetch_models(self) -> ModelList:
        async with AsyncReply(self, self._line.session.fetch_models, wait=False) as reply:
            (models,) = [event.models async for event in reply.events() if type(event) is ModelsReceived]
        return models

    async def aclose(self) -> None:
        """End the conversation and close its connection; may be called again, and from any task."""
        self._end()
        self._interrupt()
        with anyio.CancelScope(shield=True):
            await self._rest()

    async def __aenter__(self) -> Self:
        self._must_be_open()
        return self

    def _interrupt(self) -> bool:
        """End the wait of the task that is driving this chat, and return whether there was one."""
        if self._waiting is not None:
            self._waiting.cancel()
        return self._waiting is not None

    async def _leave(self, key: object, *, cancel: bool = True) -> None:
        """End the turn of the reply with this key, and bring the session to rest."""
        if self._take(key, cancel=cancel):
            try:
                self._interrupt()
                with anyio.CancelScope(shield=cancel):
                    await self._rest()
            finally:
                self._call_next()

    async def _rest(self) -> None:
        key = self._key
        try:
            with suppress(TurnAborted):  # another turn has started, or another task does this
                while not self._answering and await self._next(key) is not None:
                    pass
        except BaseException:
            await self._line.aclose()  # an intent to close it may be lost
            raise
        if self._closed:
            await self._line.aclose()

    async def _next(self, key: object) -> Event | None:
        """Carry out the session's intents until it has an event for the caller; return None when it is at rest."""
        tell: Tell = None
        action: Action | None = None
        try:
            while True:
                action = None
                try:
                    action = self._pull(key, tell)
                finally:
                    if self._seen:
                        self._tell_hook()
                tell = None  # it has what was read, which needn't stay in memory while more is awaited
                if action is not NEED_DATA and type(action) in EVENTS:
                    return action  # type: ignore[return-value]  # mypy can't tell by a set of types
                if action is PAUSED:
                    await self._line.leave()
                    self._take(key, cancel=False)
                    self._call_next()
                    return None
                tell = await self._in_time(action)
        except BaseException:
            if action is not NEED_DATA:  # the intent may be lost; a read can be repeated
                await self._leave(key)
            raise

    async def _in_time(self, action: Action) -> Tell:
        """Carry out an action; return None if the deadline passes, or `_interrupt` is called."""
        line, deadline = self._line, self._line.deadline
        if type(action) is Coordinate:
            deadline = None  # an engine has its own time limits
        stream = line.own_stream if action is NEED_DATA else None
        waiting = self._waiting = stream or anyio.CancelScope()
        waiting.deadline = math.inf if deadline is None else deadline
        try:
            if isinstance(waiting, anyio.CancelScope):
                with waiting:
                    return await self._carry_out(action)
            else:
                return await line.carry_out(action)
        except WaitEnded:
            pass
        finally:
            if stream is not None:
                stream.deadline = math.inf
            if self._waiting is waiting:
                self._waiting = None
        return None

    async def _carry_out(self, action: Action) -> Tell:
        line = self._line
        if type(action) is Wait:
            await line.leave()
            await anyio.sleep_until(action.until)
            return partial(line.session.wait_elapsed, action)
        if type(action) is SolveChallenge:
            await line.leave()
            assert self._client._solver is not None
            try:
                return partial(line.session.challenge_solved, action, await self._client._solver(action))
            except UnsupportedChallenge as error:
                return partial(line.session.challenge_failed, action, str(error))
        if type(action) is Coordinate:
            assert self._client._engine is not None
            asked = self._clock()
            try:
                return self._told(action, await _called(self._client._engine, action.call), asked=asked)
            except EngineUnavailable as error:
                return self._not_told(action, error)
        return await line.carry_out(action)


async def _called(engine: Engine | AsyncEngine, call: Call) -> Result:
    if iscoroutinefunction(engine.call):
        result: Result = await engine.call(call)
        return result
    from anyio import to_thread  # which most clients never need

    # Cancelled, it waits until the thread is done: a call that is given up must not come after those that follow.
    return await to_thread.run_sync(cast("Engine", engine).call, call)


class _Place:
    """A place in a chat's queue. A finalizer may call it, so in any thread."""

    def __init__(self) -> None:
        self._called = anyio.Event()
        self._soon = _call_soon()

    def call(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._soon(self._called.set)

    async def wait(self) -> None:
        await self._called.wait()


class AsyncReply(BaseReply, AsyncResource):
    """A reply as it arrives: enter it, iterate over its text or its `events`, leave it. Made by `AsyncChat.stream`.

    One task at a time can read it. Another one that tries to gets a `LocalProtocolError`.

    Attributes:
        finished: the end of the turn; None until then, and if the turn was cancelled.
    """

    _chat: AsyncChat

    async def __aenter__(self) -> Self:
        await self._chat._client._sweep()
        self._must_be_new()
        if not self._wait:
            self._enter()
            return self
        self._place = place = _Place()
        try:
            self._chat._line_up(place)
            await place.wait()
            self._enter()
        finally:
            self._chat._step_out(place)
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        self._must_be_entered()
        while (event := await self._next_event()) is not None:
            if type(event) is TextDelta:
                return event.text
        raise StopAsyncIteration

    def events(self) -> AsyncIterator[Event]:
        """Iterate over all events of the turn, in order.

        Returns:
            An iterator over the events; it ends with the turn.

        Raises:
            DuckChatError: the turn was refused or failed; raised after its last event.
            TurnAborted: the reply was closed before it was complete.
        """
        self._must_be_entered()
        return _Events(self._next_event)

    async def aclose(self) -> None:
        """Leave the reply, and cancel its turn if it isn't complete. May be called again, and from any task.

        A task that is reading the reply gets `TurnAborted`.
        """
        if self._place is not None:
            self._chat._step_out(self._place)
        if self._has_the_key():
            await self._chat._leave(self._key, cancel=self._chat._interrupt() or self.finished is None)

    async def _next_event(self) -> Event | None:
        if self._reading:
            raise self._two_readers()
        self._reading = True
        try:
            return self._take(await self._chat._next(self._key))
        except TurnAborted as aborted:
            if self._lost_nothing(aborted):
                return None
            raise
        finally:
            self._reading = False


def _call_soon() -> Callable[[Callable[[], object]], object]:
    """Return the running loop's function that calls another in the loop, from any thread."""
    if on_asyncio():
        import asyncio

        return asyncio.get_running_loop().call_soon_threadsafe
    import trio

    return trio.lowlevel.current_trio_token().run_sync_soon


class _Events(AsyncIterator[Event]):
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
