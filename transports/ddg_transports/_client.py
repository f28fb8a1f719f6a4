"""The code that the blocking and the async client share: it neither waits nor does I/O."""

from __future__ import annotations

import os
import ssl
import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from io import StringIO
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, get_args

from msgspec.structs import replace

from ddg_protocol import (
    ClientState,
    Conversation,
    Cookie,
    Event,
    LocalProtocolError,
    Policy,
    SendRequest,
    ServiceProfile,
    Session,
    State,
    TextDelta,
    TurnAborted,
    TurnFinished,
)
from ddg_protocol.errors import ChatBusy, EngineUnavailable
from ddg_protocol.intents import Coordinate, Failure, FailureKind
from ddg_protocol.models import ModelList
from ddg_protocol.session import AnswerChallenge, Solver
from ddg_protocol.wire import WireAction, WireSession

from ._trace import Trace, Watch, Watcher
from .transport import verifying_context

if TYPE_CHECKING:
    from ddg_protocol.coordination import Coordination, OnBusy, Result
    from ddg_protocol.tap import DrivenSession


Action = WireAction | SendRequest
"""What a session returns to its driver, on either layer: intents, signals, and events for the caller."""

Tell = Callable[[], None] | None
"""Reports the result of an intent to the session; None if only time has passed."""


class Ask(Protocol):
    """A command that begins a turn of a session."""

    def __call__(self, *, now: float) -> None: ...


class Line(Protocol):
    """Carries out the intents of a session, on a connection of its own or over a transport."""

    @property
    def session(self) -> DrivenSession | WireSession: ...


class Place(Protocol):
    """The place of a caller in the queue for a busy chat."""

    def call(self) -> None:
        """Let the caller go on; may be called again, and from any thread, and takes no lock that a caller may hold."""


EVENTS = frozenset(get_args(Event))
"""The types of the actions that are for the caller. isinstance would check a dozen classes, for each chunk."""


def _jitter() -> float:
    from random import random  # seldom needed, and it imports hashlib

    return random()


def _log_hook() -> Watcher | None:
    """Return `tracing.log` if the program has the logger ``ddg_transports`` at DEBUG."""
    logging = sys.modules.get("logging")  # nobody has set it up where it isn't imported, which takes long
    if logging is None or not logging.getLogger("ddg_transports").isEnabledFor(logging.DEBUG):
        return None
    from .tracing import log

    return log


_NOBODY_WATCHES: deque[Trace] = deque(maxlen=0)

LineT = TypeVar("LineT", bound=Line)
ChatT = TypeVar("ChatT", bound="BaseChat[Any]")


class BaseClient(Generic[ChatT, LineT]):
    """Settings, and the chats made with them. `blocking.Client` and `anyio.AsyncClient` document the settings."""

    def __init__(
        self,
        profile: ServiceProfile,
        policy: Policy | None,
        ssl_context: ssl.SSLContext | None,
        answer_challenge: AnswerChallenge,
        solver: object,
        on_action: Watcher | None,
        shared: object,
        coordination: Coordination | None,
    ) -> None:
        if coordination is not None and shared is None:
            raise ValueError("coordination= says how to use a shared engine; pass the engine as well, with shared=")
        self.profile = profile
        self.policy = policy or Policy()
        self._ssl_context = ssl_context
        self._answer_challenge = answer_challenge
        self._solved_by: Solver = "none" if solver is None else "embedder"
        self._on_action = on_action
        self._engine = shared
        self._coordination = coordination
        self._shared = ClientState()
        self._ids = count(1)
        self._chats: weakref.WeakSet[ChatT] = weakref.WeakSet()
        self._dropped: deque[LineT] = deque()  # of chats that were garbage-collected
        # Held around each call of a session: a client's sessions share a `ClientState`. It is reentrant because a
        # signal handler may close them.
        self._lock = threading.RLock()
        self._asked = self._closed = False
        self._models: ModelList | None = None  # once the service was asked

    def __del__(self) -> None:
        if getattr(self, "_asked", False) and not self._closed:
            warnings.warn(f"unclosed {type(self).__name__}", ResourceWarning, stacklevel=2, source=self)

    def chat(
        self,
        *,
        model: str | None = None,
        conversation: Conversation | None = None,
        key: str | None = None,
        on_busy: OnBusy | None = None,
        cookies: Mapping[str, str] | Iterable[Cookie] | None = None,
        wrap: Callable[[Session], DrivenSession] | None = None,
    ) -> ChatT:
        """Start a conversation, or continue one. Nothing is sent yet.

        Args:
            model: by id or alias; None keeps the conversation's model, or uses the profile's default.
            conversation: one to continue.
            key: names the conversation for all clients that share the engine, here and in other processes. What the
                engine has stored for it takes the place of ``conversation``. None keeps the conversation in this chat.
            on_busy: what happens while another turn of that conversation is under way: ``"refuse"`` raises
                `ConversationBusy`, ``"wait"`` waits, ``"take_over"`` ends the other turn with `TurnSuperseded`. None is
                what the client's ``coordination`` says, which is ``"refuse"`` by default.
            cookies: your own cookies, in place of the landing page's.
            wrap: takes the session and returns the one to drive in its place, such as a
                `ddg_protocol.transcript.RecordedSession` around it, or `ddg_protocol.transcript.Recording.record`.

        Returns:
            The chat. It may keep a connection until it is closed or garbage-collected, or the client is closed.

        Raises:
            ModelNotSupportedError: the profile has no such model.
            LocalProtocolError: the client is closed.
            ValueError: the key can't be one, or the client shares no engine.
        """
        self._must_be_open()
        coordination = self._coordinated(key, on_busy)
        id, clock = next(self._ids), self._chat_clock()
        seen: deque[Trace] = deque()
        show = self._on_action or _log_hook()
        watch = None if show is None else Watch(seen.append, id, clock)
        session = Session(
            self.profile,
            conversation=conversation,
            model=model,
            cookies=cookies,
            policy=self.policy,
            shared=self._shared,
            jitter=_jitter,
            random_bytes=os.urandom,
            coordination=coordination,
            answer_challenge=self._answer_challenge,
            solver=self._solved_by,
        )
        driven: DrivenSession = session
        if wrap is not None:
            with self._lock:  # what it makes may share something with the client's other chats, such as a recording
                driven = wrap(session)
        if watch is not None:
            from ddg_protocol.tap import TappedSession  # which most clients never need

            driven = TappedSession(driven, watch)
        chat = self._new_chat(driven, id, clock, watch)
        chat._show, chat._seen = show, _NOBODY_WATCHES if watch is None else seen
        with self._lock:
            self._must_be_open()  # still
            self._chats.add(chat)
        return chat

    def _coordinated(self, key: str | None, on_busy: OnBusy | None) -> Coordination | None:
        """Return how a chat goes by the engine, if the client shares one."""
        if self._engine is None:
            if key is not None or on_busy is not None:
                raise ValueError(
                    "key and on_busy are for a conversation at a shared engine; pass one to the client, with shared="
                )
            return None
        from ddg_protocol.coordination import Coordination  # which most clients never need

        given = self._coordination or Coordination()
        return replace(given, key=given.key if key is None else key, on_busy=on_busy or given.on_busy)

    def _must_be_open(self) -> None:
        if self._closed:
            raise LocalProtocolError("this client is closed; make a new one")

    def _open_chats(self) -> list[ChatT]:
        while True:
            with suppress(RuntimeError):  # a signal handler has closed one in the middle of this
                return list(self._chats)

    def _chat_clock(self) -> Callable[[], float]:
        raise NotImplementedError

    def _new_chat(self, session: DrivenSession, id: int, clock: Callable[[], float], watch: Watch | None) -> ChatT:
        raise NotImplementedError

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = verifying_context()
        return self._ssl_context


class BaseChat(Generic[LineT]):
    """A conversation, and the calls of its session.

    The holder of the key drives the session: first a reply, then the caller that brings the session to rest. Ending a
    turn replaces the key, from any thread or task; the reader notices with its next pull.

    Attributes:
        id: tells the chat from the others of its client, in a `Trace`: 1 for the first.
    """

    _show: Watcher | None
    _seen: deque[Trace]

    def __init__(self, client: BaseClient[Any, LineT], line: LineT, id: int, clock: Callable[[], float]) -> None:
        self.id = id
        self._client = client
        self._line = line
        self._clock = clock
        self._lock = client._lock
        self._key = object()
        self._answering = False  # a reply has the key
        # Lists, though what is first leaves first: an empty deque takes 600 bytes, and there may be thousands of chats.
        self._queue: list[Place] = []  # the first is called when the chat is free
        self._later: list[Callable[[], None]] = []  # commands of a signal handler that interrupted a call
        self._closed = False

    def __reduce__(self) -> str:
        raise TypeError("a chat can't be copied; client.chat(conversation=...) continues its conversation in another")

    def __del__(self) -> None:
        # It is closed by the next call that enters a reply or closes, not during garbage collection. A finalizer of
        # `weakref` would keep the line, and with it whatever the client's callbacks lead to.
        if hasattr(self, "_line"):
            self._client._dropped.append(self._line)

    @property
    def conversation(self) -> Conversation:
        """The conversation after the last completed turn; store it with `Conversation.to_json`."""
        return self._line.session.conversation

    def _must_be_open(self) -> None:
        self._client._must_be_open()
        if self._closed:
            raise LocalProtocolError("this chat is closed; start another with client.chat(conversation=...)")

    def _begin(self, key: object, ask: Ask, place: Place | None) -> None:
        session = self._line.session
        with self._lock:
            if place is not None and (place not in self._queue or self._client._closed):
                raise TurnAborted("the reply, its chat or its client was closed before it was this question's turn")
            self._must_be_open()
            if self._is_busy() or (self._queue and self._queue[0] is not place):
                raise ChatBusy(
                    "this chat is still answering; read its reply, close it, or use another chat (wait=True waits)"
                )
            self._catch_up()
            if session.state not in _MAY_BE_ASKED:
                self._command(session.cancel)  # leaving the last turn was interrupted before it could
            try:
                self._call(partial(ask, now=self._clock()))
                if self._closed or (place is not None and place not in self._queue):  # by a signal handler
                    raise TurnAborted(_CLOSED)
            except BaseException:  # Ctrl-C, too
                if session.state not in _MAY_BE_ASKED:
                    self._command(session.cancel)
                raise
            self._client._asked = True
            self._key, self._answering = key, True
            if place is not None:
                self._queue.remove(place)

    def _is_busy(self) -> bool:
        return self._answering and self._line.session.state not in _MAY_BE_ASKED

    def _line_up(self, place: Place) -> None:
        """Add a place to the queue. It is called when its turn may begin, or when the chat is closed."""
        with self._lock:
            self._must_be_open()
            self._queue.append(place)
        self._call_next()

    def _step_out(self, place: Place) -> None:
        """Take a place out of the queue, if it is still there."""
        with self._lock:
            if place in self._queue:
                self._queue.remove(place)
                place.call()
        self._call_next()

    def _call_next(self) -> None:
        """Call the first of the queue, if the chat is free. A finalizer calls this, so it takes no lock."""
        with suppress(IndexError):
            first = self._queue[0]
            if not self._is_busy():
                first.call()

    def _take(self, key: object, *, cancel: bool, drives: bool = False) -> bool:
        """End the turn of the reply if it still has this key, and return whether it had.

        Args:
            key: the reply's.
            cancel: whether the turn is cancelled.
            drives: whether the caller is what drives the session.
        """
        with self._lock:
            if not (self._answering and self._key is key):
                return False
            self._key, self._answering = object(), False
            if cancel:
                (self._call if drives else self._command)(self._line.session.cancel)
            return True

    def _end(self) -> object:
        """End the session; return the key of the turn that was under way."""
        with self._lock:
            self._closed = True
            taken, self._key, self._answering = self._key, object(), False
            self._command(self._line.session.close)
            self._client._chats.discard(self)
            waiting, self._queue = self._queue, []
        for place in waiting:
            place.call()
        return taken

    def _command(self, command: Callable[[], None]) -> None:
        """Pass a command to the session. If this is a signal handler that has interrupted a call of it: after that."""
        if self._interrupts():
            self._later.append(command)
        else:
            self._call(command)

    def _call(self, command: Callable[[], None]) -> None:
        try:
            command()
        finally:
            self._catch_up()

    def _catch_up(self) -> None:
        while self._later:
            self._call(self._later.pop(0))

    def _interrupts(self) -> bool:
        """Return whether this thread is driving the session: then this is a signal handler, a hook or a callback.

        The stack says so; a flag would be wrong after a Ctrl-C just before it is reset, and take time in each pull.
        """
        frame = sys._getframe(1).f_back  # not that of the caller, which may be one of them
        while frame is not None:
            if frame.f_code in INTERRUPTED and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        return False

    def _told(self, intent: Coordinate, result: Result, *, asked: float) -> Tell:
        """Return the report of an engine's result."""
        return partial(self._line.session.coordinated, intent, result, asked=asked, now=self._clock())

    def _not_told(self, intent: Coordinate, error: EngineUnavailable) -> Tell:
        """Return the report that there is none."""
        return partial(self._line.session.coordination_failed, intent, Failure(FailureKind.OTHER, str(error)))

    def _pull(self, key: object, tell: Tell) -> Action:
        """Report to the session, and pull. Call `_tell_hook` afterwards, however it ends."""
        with self._lock:
            try:
                if key is not self._key:
                    raise TurnAborted(_CLOSED)
                if tell is not None:
                    tell()
                action = self._line.session.next_action(now=self._clock())
            finally:
                if self._later:
                    self._catch_up()
            if key is not self._key and type(action) is not TurnFinished:  # a signal handler took it
                raise TurnAborted(_CLOSED)
            return action

    def _tell_hook(self) -> None:
        """Show what happened. If the hook raises an exception, the next call shows the rest."""
        assert self._show is not None, "nothing is seen where nobody watches"
        while True:
            try:
                trace = self._seen.popleft()
            except IndexError:  # asking first whether there is one would be too early: another thread may show it
                return
            self._show(trace)


INTERRUPTED = {BaseChat._call.__code__, BaseChat._pull.__code__}
"""The functions that drive a session. In the middle of one, nothing else may."""
_CLOSED = "the reply was closed before it was complete"
_MAY_BE_ASKED = frozenset({State.READY, State.DRAINING})


class BaseReply:
    """The part of a reply that has arrived.

    Attributes:
        finished: the end of the turn; None until then, and if the turn was cancelled.
    """

    def __init__(self, chat: BaseChat[Any], ask: Ask, *, wait: bool) -> None:
        self.finished: TurnFinished | None = None
        self._key = object()
        self._chat = chat
        self._begin = partial(chat._begin, self._key, ask)
        self._wait = wait
        self._place: Place | None = None  # in the chat's queue
        self._said = StringIO()  # a list of millions of tiny deltas would take 50 times their memory
        self._entered = self._reading = self._left = False

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
        self._left = False
        self._begin(self._place)
        if self._left:  # by a signal handler
            raise TurnAborted(_CLOSED)
        self._entered = True

    def _must_be_entered(self) -> None:
        if not self._entered:
            raise LocalProtocolError('enter a reply before reading it: (async) with chat.stream("...") as reply')

    def _two_readers(self) -> LocalProtocolError:
        return LocalProtocolError("another thread or task is reading this reply; one at a time can")

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
