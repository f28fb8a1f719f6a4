"""`WireSession`: a session one floor down, for those who have only a byte stream (HTTP/1.1 by h11).

It holds at most one connection and keeps it, between the requests of a handshake and between turns, for as long as
the origin stays the same and the peer allows. Every connection that was made is given up with exactly one `Close`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import h11
import msgspec

from ._http import HttpConnection
from ._reports import as_bytes, check_failure, check_kind
from ._state import State
from .conversation import Conversation, Message
from .errors import DuckChatError, LocalProtocolError
from .events import Event
from .intents import NEED_DATA, Failure, FailureKind, SendRequest, Signal, SolveChallenge, Wait
from .text import printable, shown

if TYPE_CHECKING:
    from .tap import DrivenSession

__all__ = ["Close", "Connect", "Send", "WireAction", "WireIntent", "WireSession"]


class Connect(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Open a connection, then call `WireSession.connected`. What is read from it names this intent.

    Attributes:
        id: unique in the session.
        host: a host name or an address, without brackets.
        port: TCP port.
        tls: whether to speak TLS, for ``host``.
        timeout: seconds that all of it may take, TLS included; report a `Failure` of kind TIMEOUT when they are over.
    """

    id: int
    host: str
    port: int
    tls: bool
    timeout: float


class Send(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Write these bytes to the connection, all of them, then call `WireSession.sent`.

    Attributes:
        id: unique in the session.
        data: one whole request.
        check_idle: the connection was kept from an earlier request. Look first whether it has been closed or has
            anything to read; if so, write nothing and report a `Failure` of kind NOT_SENT.
    """

    id: int
    data: bytes
    check_idle: bool

    def __repr__(self) -> str:
        return f"Send(id={self.id}, data=<{len(self.data)} bytes>, check_idle={self.check_idle})"


class Close(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Close the connection, or stop making it, without ceremony; then call `WireSession.closed`.

    Attributes:
        id: unique in the session.
    """

    id: int


WireIntent = Connect | Send | Close | Wait | SolveChallenge
"""What is asked of a driver that has a byte stream."""
WireAction = WireIntent | Event | Signal
"""Whatever `WireSession.next_action` gives."""

#: What the session gives, beside a SendRequest, when it wants nothing more of the exchange before.
_MOVES_ON = frozenset({Wait, SolveChallenge, Signal})


class _Link(enum.Enum):
    """Where the connection is."""

    NONE = enum.auto()
    CONNECTING = enum.auto()
    IDLE = enum.auto()
    """Open, and no exchange on it."""
    SENDING = enum.auto()
    RECEIVING = enum.auto()
    SPOILED = enum.auto()
    """Of no more use: a Close is due."""


# For what runs once a chunk: an Enum's members take several times as long to look up.
_NONE, _CONNECTING, _IDLE, _SENDING, _RECEIVING, _SPOILED = _Link


class WireSession:
    """A `Session` over a byte stream: bytes in, bytes out.

    Driven as the session is: commands, `next_action`, and an answer to each intent. Nothing that can be seen from
    outside moves with what is received, until an action is pulled. However a turn ends, pull until PAUSED: the Close of
    a connection that can't be kept comes then. (Small bodies are read to their end by the session itself; one that it
    leaves before costs the connection.)

    Args:
        session: the conversation to drive. From now on it is driven through this object alone.
    """

    def __init__(self, session: DrivenSession) -> None:
        self._session = session
        self._policy = session.policy
        self._newest_id = 0
        # The request whose response the session waits for, until that is complete.
        self._request: SendRequest | None = None
        self._send: Send | None = None
        self._head_due = False
        # The latest time for what the wire itself waits for: a Send, then the head of the response.
        self._due: float | None = None
        # The connection.
        self._link = _NONE
        self._connect: Connect | None = None
        self._http = self._new_http()
        self._kept = False
        # What was reported and not looked at yet.
        self._unread = False
        self._received: list[bytes] = []
        self._heard = False
        self._ended = False
        self._failure: Failure | None = None
        if (lost := session.request) is not None:  # a snapshot keeps an exchange, and no connection
            session.transport_failed(lost, Failure(FailureKind.CUT, "its connection is not at hand any more"))

    @property
    def conversation(self) -> Conversation:
        """See `Session.conversation`."""
        return self._session.conversation

    @property
    def state(self) -> State:
        """See `Session.state`."""
        return self._session.state

    @property
    def deadline(self) -> float | None:
        """The latest time at which `next_action` must be called again, on the caller's clock; None if there is none."""
        deadline = self._session.deadline
        if self._due is None or deadline is None:
            return self._due if deadline is None else deadline
        return min(self._due, deadline)

    def ask(
        self, messages: str | Sequence[Message | Mapping[str, Any]], *, model: str | None = None, now: float
    ) -> None:
        """Begin a turn; see `Session.ask`."""
        self._session.ask(messages, model=model, now=now)

    def cancel(self) -> None:
        """Cancel the turn; see `Session.cancel`. A connection with an exchange on it is closed."""
        self._session.cancel()
        self._give_up_exchange()

    def close(self) -> None:
        """End the session for good; see `Session.close`. The connection is closed."""
        self._session.close()
        self._request = None
        self._spoil()

    def next_action(self, *, now: float) -> WireAction:
        """Give what comes next. This is the only way anything comes out.

        Args:
            now: the caller's clock, in seconds.

        Returns:
            An intent, an event, PAUSED, or NEED_DATA: read from the connection (while a `Connect` or `Send` is not
            answered yet: answer it).

        Raises:
            DuckChatError: the turn was refused or is broken, as `Session.next_action` has it.
        """
        if self._unread:
            self._look(now)
        while True:
            link = self._link
            if link is _RECEIVING:  # as it is nearly always: the connection itself wants nothing
                pass
            elif link is _SPOILED:
                return self._close_connection()
            elif self._request is not None and (link is _IDLE or link is _NONE):
                intent = self._carry(self._request, now)
                if intent is not None:
                    return intent
                continue
            if self._due is not None and now >= self._due:
                self._fail(Failure(FailureKind.TIMEOUT, self._lateness()))
                continue
            try:
                action = self._session.next_action(now=now)
            except DuckChatError:
                self._give_up_exchange()
                raise
            if action is NEED_DATA:
                return NEED_DATA
            if type(action) is SendRequest:
                self._give_up_exchange()
                self._request = action
            elif type(action) not in _MOVES_ON or not self._give_up_exchange():
                return action
            # Otherwise the Close goes first, and the session gives the same again.

    # Answers

    def connected(self, connect: Connect) -> None:
        """Tell that the connection is made, TLS included.

        Args:
            connect: the intent that is answered.

        Raises:
            LocalProtocolError: no such intent was ever given.
        """
        if self._is_current(connect, self._connect, Connect) and self._link is _CONNECTING:
            self._link = _IDLE

    def sent(self, send: Send) -> None:
        """Tell that the bytes are written, all of them.

        Args:
            send: the intent that is answered.

        Raises:
            LocalProtocolError: no such intent was ever given.
        """
        if self._is_current(send, self._send, Send) and self._link is _SENDING:
            self._link = _RECEIVING
            self._unread = True  # the wait for the response begins with the next pull

    def closed(self, close: Close) -> None:
        """Tell that the connection is closed. Nothing waits for it.

        Args:
            close: the intent that is answered.

        Raises:
            LocalProtocolError: no such intent was ever given.
        """
        self._is_current(close, None, Close)

    def receive_bytes(self, connect: Connect, data: bytes) -> None:
        """Hand over what was read, in pieces of any size.

        Args:
            connect: the connection it was read from.
            data: the bytes; none at all say nothing. A copy is kept of what can change.

        Raises:
            LocalProtocolError: no such connection was ever asked for, it isn't made yet, its end was reported, or the
                data is not bytes.
        """
        if type(data) is not bytes:
            check_kind(connect, Connect)
            data = as_bytes(data)
        if connect is self._connect and self._link is _RECEIVING and not self._unread:
            # Nothing else is due, so that most of a reply can go the short way, which is three calls shorter.
            body = self._http.whole_chunk(data)
            if body is not None and self._request is not None:
                self._session.receive_data(self._request, body)
                return
        elif not self._is_current(connect, self._connect, Connect):
            return
        if not data:
            return
        if self._ended or self._link is _CONNECTING:
            raise LocalProtocolError(f"receive_bytes {'after receive_eof' if self._ended else 'before connected'}")
        if self._link is _IDLE:
            # It would pass for the answer to a request that isn't made yet.
            self._failure = Failure(FailureKind.NOT_SENT, "the peer spoke before it was asked")
        elif self._link is not _SPOILED:
            self._received.append(data)
            self._heard = True
        self._unread = True

    def receive_eof(self, connect: Connect) -> None:
        """Tell that the peer has ended the connection.

        Args:
            connect: the connection that ended.

        Raises:
            LocalProtocolError: no such connection was ever asked for.
        """
        if self._is_current(connect, self._connect, Connect):
            self._ended = self._unread = True

    def transport_failed(self, intent: Connect | Send | Close, failure: Failure) -> None:
        """Tell that an intent could not be carried out, or that its connection broke while it was read.

        Args:
            intent: what failed; for a read, the `Connect` of its connection.
            failure: how.

        Raises:
            LocalProtocolError: no such intent was ever given, or the failure is none.
        """
        kind = type(intent) if isinstance(intent, Send | Close) else Connect
        current = self._is_current(intent, self._connect, kind) or self._is_current(intent, self._send, kind)
        check_failure(failure)
        if current:
            self._failure = failure
            self._unread = True

    def wait_elapsed(self, wait: Wait) -> None:
        """See `Session.wait_elapsed`."""
        self._session.wait_elapsed(wait)

    def challenge_solved(self, solve: SolveChallenge, answer: str) -> None:
        """See `Session.challenge_solved`."""
        self._session.challenge_solved(solve, answer)

    def challenge_failed(self, solve: SolveChallenge, text: str) -> None:
        """See `Session.challenge_failed`."""
        self._session.challenge_failed(solve, text)

    def _is_current(
        self, intent: Connect | Send | Close, current: Connect | Send | None, kind: type[Connect | Send | Close]
    ) -> bool:
        check_kind(intent, kind)
        if intent.id > self._newest_id:
            raise LocalProtocolError(f"{kind.__name__} {shown(intent.id)} was never given by this session")
        return current is not None and intent.id == current.id

    def _new_id(self) -> int:
        self._newest_id = self._session._new_id()
        return self._newest_id

    # The connection

    def _new_http(self) -> HttpConnection:
        policy = self._policy
        return HttpConnection(max_head_bytes=policy.max_head_bytes, max_framing_bytes=policy.max_reply_bytes)

    def _carry(self, request: SendRequest, now: float) -> Connect | Send | Close | None:
        """Take the next step of a request towards the wire; None where it can't be sent at all."""
        try:
            host, port, tls = origin = _origin(request.url)
            if self._connect is None:
                self._link = _CONNECTING
                self._http = self._new_http()
                self._connect = Connect(id=self._new_id(), host=host, port=port, tls=tls, timeout=request.timeout)
                return self._connect
            if origin != (self._connect.host, self._connect.port, self._connect.tls):
                return self._close_connection()
            data = self._http.send(request)
        except ValueError as error:
            # A redirect can name an address that no request line holds.
            self._fail(Failure(FailureKind.OTHER, f"the request can't be put on the wire: {printable(str(error))}"))
            return None
        self._link = _SENDING
        self._heard = False
        self._head_due = True
        self._due = now + self._policy.write_timeout
        self._send = Send(id=self._new_id(), data=data, check_idle=self._kept)
        return self._send

    def _look(self, now: float) -> None:
        """Work through what was reported since the last pull."""
        self._unread = False
        failure, self._failure = self._failure, None
        if self._link is _CONNECTING and failure is not None:
            self._forget_connection()  # it never was one: there is nothing to close
            self._fail(failure)
            return
        not_sent = failure is not None and failure.kind is FailureKind.NOT_SENT
        if self._link is _SENDING and self._kept and (not_sent or (self._ended and not self._heard)):
            self._spoil()  # the peer had closed a kept connection: the request goes out again, on a new one
            return
        if self._request is not None and self._link in (_SENDING, _RECEIVING):
            self._read_response(self._request, now)
        if failure is not None:
            self._fail(failure)
        elif self._ended:
            self._fail(Failure(FailureKind.NOT_SENT, "the peer closed the connection before anything was sent"))
        elif self._head_due and self._link is _RECEIVING:
            self._due = now + self._policy.read_timeout

    def _read_response(self, request: SendRequest, now: float) -> None:
        data, at_end = b"".join(self._received), False
        self._received.clear()
        try:
            if data:
                self._pass_on(request, data, now)
            # Only now: what can't be read before the end is known is garbage, what can't be read then was cut.
            if self._ended and self._request is not None:
                at_end = True
                self._pass_on(request, b"", now)
        except h11.RemoteProtocolError as error:
            if at_end:
                self._fail(Failure(FailureKind.CUT, "the connection ended before the response was complete"))
            else:
                # h11's own text quotes the line that it refuses, which can be one with a token or a cookie.
                self._fail(Failure(FailureKind.OTHER, f"the response is not HTTP/1.1: {self._http.trouble(error)}"))

    def _pass_on(self, request: SendRequest, data: bytes, now: float) -> None:
        """Give the session what the connection makes of more bytes, or of its end."""
        session, complete = self._session, False
        for event in self._http.read(data):
            if type(event) is bytes:
                session.receive_data(request, event)
            elif type(event) is h11.Response:
                headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)
                session.receive_head(request, event.status_code, headers, now=now)
                self._head_due = False
                self._due = None
            elif type(event) is h11.EndOfMessage:
                session.receive_eof(request)
                complete = True
        if complete:
            self._complete()

    def _complete(self) -> None:
        """The response is whole: keep the connection if both sides can."""
        self._request = None
        if self._http.next_cycle() and self._link is _RECEIVING and not self._ended:
            self._link = _IDLE
            self._kept = True
        else:
            self._spoil()

    def _lateness(self) -> str:
        if self._link is _SENDING:
            return f"sending the request took longer than {self._policy.write_timeout:g} s (write_timeout)"
        return f"no response came within {self._policy.read_timeout:g} s (read_timeout)"

    def _give_up_exchange(self) -> bool:
        """Leave a response that the session wants nothing more of; True where that spoils the connection."""
        if self._request is None:
            return False
        self._request = None
        self._spoil()
        return True

    def _fail(self, failure: Failure) -> None:
        if self._request is not None:
            self._session.transport_failed(self._request, failure)
            self._request = None
        self._spoil()

    def _spoil(self) -> None:
        self._due = None
        if self._link is not _NONE:
            self._link = _SPOILED

    def _close_connection(self) -> Close:
        self._forget_connection()
        return Close(id=self._new_id())

    def _forget_connection(self) -> None:
        self._link = _NONE
        self._connect = self._send = self._failure = None
        self._kept = self._ended = self._unread = False
        self._received.clear()


@lru_cache(maxsize=16)  # a turn has four addresses, and asks for each more than once
def _origin(url: str) -> tuple[str, int, bool]:
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    return parts.hostname or "", parts.port or (443 if tls else 80), tls
