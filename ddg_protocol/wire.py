"""`WireSession`: a session one layer lower, for drivers that have only a byte stream. It speaks HTTP/1.1, by h11.

It drives a `Session` and holds at most one connection, the *link*. A link lasts over the requests of a handshake and
over turns, for as long as the origin stays the same. The peer can close a kept link before the next request reaches it.
That request is then sent once more, on a new link, and the session does not learn of it.

The session judges all times but the two that only the link can know: when a `Send` must be over (``write_timeout``),
and when the head of the response must come after it (``read_timeout``). The session's own limit for a head is the sum
of all timeouts before it, and counts only for a head that trickles in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import h11
import msgspec

from ._http import HttpConnection
from ._reports import as_bytes, check_failure, check_kind
from ._state import LINKS, Link, LinkMove, State
from .conversation import Conversation, Messages
from .errors import DuckChatError, LocalProtocolError
from .events import Event
from .intents import (
    NEED_DATA,
    ChallengeAnswer,
    Coordinate,
    Failure,
    FailureKind,
    SendRequest,
    Signal,
    SolveChallenge,
    Wait,
)
from .text import printable, shown

if TYPE_CHECKING:
    from .coordination import Result
    from .tap import DrivenSession

__all__ = ["Close", "Connect", "Send", "WireAction", "WireIntent", "WireSession"]


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """Open a connection, then call `WireSession.connected`. Reports on what is read from it name this intent.

    Attributes:
        id: unique in the session.
        host: a host name or an address, without brackets.
        port: TCP port.
        tls: whether to use TLS, with a certificate for ``host``.
        timeout: seconds that all of it may take, TLS included. When they are over, report a `Failure` of kind TIMEOUT.
    """

    id: int
    host: str
    port: int
    tls: bool
    timeout: float


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Write these bytes to the connection, all of them, then call `WireSession.sent`.

    Attributes:
        id: unique in the session.
        data: one whole request.
        check_idle: whether the connection was kept from an earlier request. If so, check first whether it was closed or
            has anything to read; then write nothing and report a `Failure` of kind NOT_SENT.
    """

    id: int
    data: bytes
    check_idle: bool

    def __repr__(self) -> str:
        return f"Send(id={self.id}, data=<{len(self.data)} bytes>, check_idle={self.check_idle})"


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """Close the connection at once, or stop making it; then call `WireSession.closed`.

    Attributes:
        id: unique in the session.
    """

    id: int


WireIntent = Connect | Send | Close | Wait | SolveChallenge | Coordinate
"""What a driver on a byte stream is asked to do."""
WireAction = WireIntent | Event | Signal
"""Whatever `WireSession.next_action` returns."""

#: What the session returns when it wants no more of the exchange before; of the signals, PAUSED alone.
_MOVES_ON = frozenset({SendRequest, Wait, SolveChallenge, Signal})
#: For what runs once a chunk: on Python 3.11, to look up an Enum's member costs as much as a call.
_DOWN, _CONNECTING, _IDLE, _SENDING, _RECEIVING, _ABANDONED = Link


# A request takes this way, over the link whose states and moves are the table `_state.LINKS`:
#
# 1. The session asks for it. It is `_request` from now on, until its response is complete or not wanted any more.
# 2. `_carry` takes it to the link, one intent at a time: `Connect` if there is no link, then `Send`.
# 3. The driver's reports are kept. When the next action is pulled, `_look` works through them: the response goes to the
#    session, as reports of its own.
# 4. The response is complete: the link is kept for the next request, if both sides allow it (`_complete`). The request
#    failed (`_fail`), or the session leaves it (`_leave`): the link is abandoned, and a `Close` comes next. A kept link
#    that the peer had closed is abandoned alone, and the request goes out again (`_send_again`).
#
# `_due` is the next of the times that the link judges.


class WireSession:
    """A `Session` over a byte stream: bytes in, bytes out.

    It is driven as a session is: commands, `next_action`, and a report on each intent. Nothing that can be seen from
    outside changes with a report, until an action is pulled. However a turn ends, pull until PAUSED: the Close of
    a connection that can't be kept comes then. Every connection that was made is closed with exactly one `Close`.

    Args:
        session: the conversation to drive. From now on it is driven through this object alone.
    """

    def __init__(self, session: DrivenSession) -> None:
        self._session = session
        self._policy = policy = session.policy
        self._newest_id = 0
        self._request: SendRequest | None = None
        # The link, and the intents that it was made by and has sent last.
        self._link = _DOWN
        self._http = HttpConnection(max_head_bytes=policy.max_head_bytes, max_framing_bytes=policy.max_reply_bytes)
        self._connect: Connect | None = None
        self._send: Send | None = None
        self._kept = False  # whether it was used for a request before
        self._heard = False  # whether anything came since the last Send
        self._due: float | None = None  # when the Send must be over, or the next bytes of the head must have come
        # What was reported since the last pull.
        self._unread = False
        self._received: list[bytes] = []
        self._ended = False
        self._failure: Failure | None = None
        if (lost := session.request) is not None:  # a snapshot keeps an exchange, but no connection
            session.transport_failed(lost, Failure(FailureKind.CUT, "the connection did not survive the snapshot"))

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
        # A connection that is being made, or a request that is being sent, isn't interrupted to renew a lease.
        session, due, deadline = self._session, self._due, None
        if self._link is not _RECEIVING:
            deadline = session.read_by
        if deadline is None:
            deadline = session.deadline
        if due is None or (deadline is not None and deadline < due):
            return deadline
        return due

    def ask(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        effort: str | None = None,
        tools: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
        turn: str = "",
        now: float,
    ) -> None:
        """Begin a turn; see `Session.ask`."""
        self._session.ask(messages, model=model, effort=effort, tools=tools, extra=extra, turn=turn, now=now)

    def fetch_models(self, *, now: float) -> None:
        """Ask for the list of models; see `Session.fetch_models`."""
        self._session.fetch_models(now=now)

    def cancel(self) -> None:
        """Cancel the turn; see `Session.cancel`. A connection with an exchange on it is closed."""
        self._session.cancel()
        self._leave()

    def close(self) -> None:
        """End the session for good; see `Session.close`. The connection is closed."""
        self._session.close()
        self._request = None
        self._abandon()

    def next_action(self, *, now: float) -> WireAction:
        """Return what is next. Nothing comes out in any other way.

        Args:
            now: the caller's clock, in seconds.

        Returns:
            An intent, an event, PAUSED, or NEED_DATA: read from the connection (or report on the `Connect` or `Send`
            that is out).

        Raises:
            DuckChatError: the turn was refused or broke; see `Session.next_action`.
        """
        if self._unread:
            self._look(now)
        while True:
            if self._due is not None and now >= self._due:
                self._fail(Failure(FailureKind.TIMEOUT, self._lateness()))
            if self._link is not _RECEIVING and (intent := self._link_intent(now)) is not None:
                return intent
            try:
                action = self._session.next_action(now=now)
            except DuckChatError:
                self._leave()
                raise
            if action is NEED_DATA or type(action) not in _MOVES_ON:
                return action  # type: ignore[return-value]  # no SendRequest: mypy can't tell by a set of types
            left = self._leave()
            if type(action) is SendRequest:
                self._request = action
            elif not left:
                return action
            # Otherwise the Close goes first, and the session returns the same again.

    # Reports

    def connected(self, connect: Connect) -> None:
        """Report that the connection is made, TLS included.

        Args:
            connect: the intent.

        Raises:
            LocalProtocolError: it was never given.
        """
        if self._is_current(connect, Connect) and self._link is _CONNECTING:
            self._move(LinkMove.CONNECTED)

    def sent(self, send: Send) -> None:
        """Report that the bytes are written, all of them.

        Args:
            send: the intent.

        Raises:
            LocalProtocolError: it was never given.
        """
        if self._is_current(send, Send) and self._link is _SENDING:
            self._move(LinkMove.SENT)
            self._unread = True  # the wait for the response begins with the next pull

    def closed(self, close: Close) -> None:
        """Report that the connection is closed. Nothing waits for this report.

        Args:
            close: the intent.

        Raises:
            LocalProtocolError: it was never given.
        """
        self._is_current(close, Close)

    def receive_bytes(self, connect: Connect, data: bytes) -> None:
        """Report what was read, in chunks of any size.

        Args:
            connect: the connection it was read from.
            data: the bytes; none at all change nothing. A copy is kept of what can change.

        Raises:
            LocalProtocolError: the connection was never asked for or isn't made yet, its end was reported, or the data
                is not bytes.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        if connect is self._connect and self._link is _RECEIVING and not self._unread:
            # Nothing else was reported: most of a reply goes to the session from here, without a `_look`.
            body = self._http.whole_chunk(data)
            if body is not None and self._request is not None:
                self._session.receive_data(self._request, body)
                return
        elif not self._is_current(connect, Connect):
            return
        if not data:
            return
        if self._ended or self._link is _CONNECTING:
            raise LocalProtocolError(f"receive_bytes {'after receive_eof' if self._ended else 'before connected'}")
        if self._link is _IDLE:
            # It would be read as the response to the next request.
            self._failure = Failure(FailureKind.NOT_SENT, "the peer sent something before it was asked")
        self._received.append(data)
        self._heard = self._unread = True

    def receive_eof(self, connect: Connect) -> None:
        """Report that the peer has ended the connection.

        Args:
            connect: the connection that ended.

        Raises:
            LocalProtocolError: it was never asked for.
        """
        if self._is_current(connect, Connect):
            self._received.append(b"")  # what `HttpConnection.read` takes for the end
            self._ended = self._unread = True

    def transport_failed(self, intent: Connect | Send | Close, failure: Failure) -> None:
        """Report that an intent could not be carried out, or that a connection broke while it was read.

        Args:
            intent: what failed; for a read, the `Connect` of its connection.
            failure: what happened.

        Raises:
            LocalProtocolError: the intent was never given, or the failure is none.
        """
        current = self._is_current(intent, type(intent) if isinstance(intent, Send | Close) else Connect)
        check_failure(failure)
        if current:
            self._failure = failure
            self._unread = True

    def wait_elapsed(self, wait: Wait) -> None:
        """See `Session.wait_elapsed`."""
        self._session.wait_elapsed(wait)

    def challenge_solved(self, solve: SolveChallenge, answer: str | ChallengeAnswer) -> None:
        """See `Session.challenge_solved`."""
        self._session.challenge_solved(solve, answer)

    def challenge_failed(self, solve: SolveChallenge, text: str) -> None:
        """See `Session.challenge_failed`."""
        self._session.challenge_failed(solve, text)

    def coordinated(self, intent: Coordinate, result: Result, *, asked: float, now: float) -> None:
        """See `Session.coordinated`."""
        self._session.coordinated(intent, result, asked=asked, now=now)

    def coordination_failed(self, intent: Coordinate, failure: Failure) -> None:
        """See `Session.coordination_failed`."""
        self._session.coordination_failed(intent, failure)

    def _is_current(self, intent: Connect | Send | Close, kind: type[Connect | Send | Close]) -> bool:
        """Return whether a report is about this link and its last Send. The caller drops any other."""
        check_kind(intent, kind)
        if intent.id > self._newest_id:
            raise LocalProtocolError(f"{kind.__name__} {shown(intent.id)} was never given by this session")
        return any(current is not None and current.id == intent.id for current in (self._connect, self._send))

    def _look(self, now: float) -> None:
        """Work through what was reported since the last pull."""
        self._unread = False
        received, self._received = self._received, []
        failure, self._failure = self._failure, None
        if self._link is _CONNECTING and failure is not None:
            self._forget(LinkMove.REFUSED)
            self._fail(failure)
            return
        # The peer had closed a kept link: the driver saw that before it wrote, or nothing came but the end.
        not_sent = failure is not None and failure.kind is FailureKind.NOT_SENT
        if self._link is _SENDING and self._kept and (not_sent or (self._ended and not self._heard)):
            self._send_again()
            return
        if self._request is not None and self._link in (_SENDING, _RECEIVING):
            self._read_response(self._request, received, now)
        if self._link is _ABANDONED:
            return
        if failure is not None:
            self._fail(failure)
        elif self._ended:
            self._fail(Failure(FailureKind.NOT_SENT, "the peer closed the connection before anything was sent"))
        elif self._link is _RECEIVING and self._http.head_due:
            self._due = now + self._policy.read_timeout

    def _read_response(self, request: SendRequest, received: list[bytes], now: float) -> None:
        """Read what came of a response, and report it to the session."""
        session, event = self._session, None
        for data in received:
            try:
                for event in self._http.read(data):
                    if type(event) is bytes:
                        session.receive_data(request, event)
                    elif type(event) is h11.Response:
                        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
                        session.receive_head(request, event.status_code, fields, now=now)
                        self._due = None
            except h11.RemoteProtocolError as error:
                if data:
                    failure = Failure(FailureKind.OTHER, f"the response is not HTTP/1.1: {self._http.trouble(error)}")
                else:
                    failure = Failure(FailureKind.CUT, "the connection ended before the response was complete")
                self._fail(failure)
                return
        if type(event) is h11.EndOfMessage:
            session.receive_eof(request)
            self._complete()

    # The request

    def _link_intent(self, now: float) -> Connect | Send | Close | None:
        """Return what the link needs next, if anything."""
        intent: Connect | Send | None = None
        if self._request is not None and self._link in (_DOWN, _IDLE):
            intent = self._carry(self._request, now)
        if self._link is _ABANDONED:
            self._forget(LinkMove.CLOSE)
            return Close(id=self._new_id())
        return intent

    def _carry(self, request: SendRequest, now: float) -> Connect | Send | None:
        """Take the next step of a request. None if it can't be sent at all, or not on this link."""
        try:
            host, port, tls = origin = _origin(request.url)
            if self._connect is None:
                self._move(LinkMove.CONNECT)
                self._http.begin()
                self._connect = Connect(id=self._new_id(), host=host, port=port, tls=tls, timeout=request.timeout)
                return self._connect
            if origin != (self._connect.host, self._connect.port, self._connect.tls):
                self._abandon()
                return None
            data = self._http.send(request)
        except ValueError as error:
            # A redirect can name an address that no request line can hold.
            self._fail(Failure(FailureKind.OTHER, f"the request can't be put on the wire: {printable(str(error))}"))
            return None
        self._move(LinkMove.SEND)
        self._heard = False
        self._due = now + self._policy.write_timeout
        self._send = Send(id=self._new_id(), data=data, check_idle=self._kept)
        return self._send

    def _complete(self) -> None:
        """Keep the link after a complete response, if both sides allow it."""
        self._request = None
        if self._http.next_cycle() and self._link is _RECEIVING and not self._ended:
            self._move(LinkMove.KEEP)
            self._kept = True
        else:
            self._abandon()

    def _send_again(self) -> None:
        """Abandon a kept link, but not its request. That goes out on a new link, so this can happen only once."""
        self._abandon()

    def _leave(self) -> bool:
        """Drop the request, if there is one, and abandon its link. Return whether there was one."""
        if self._request is None:
            return False
        self._request = None
        self._abandon()
        return True

    def _fail(self, failure: Failure) -> None:
        """Report a failure to the session, if it still waits for a response, and abandon the link."""
        if self._request is not None:
            self._session.transport_failed(self._request, failure)
            self._request = None
        self._abandon()

    def _lateness(self) -> str:
        if self._link is _SENDING:
            return f"sending the request took longer than {self._policy.write_timeout:g} s (write_timeout)"
        return f"no response came within {self._policy.read_timeout:g} s (read_timeout)"

    # The link

    def _abandon(self) -> None:
        self._due = None
        self._move(LinkMove.ABANDON)

    def _forget(self, move: LinkMove) -> None:
        """Make the move after which the link is down. Later reports on its intents are dropped."""
        self._move(move)
        self._connect = self._send = None
        self._kept = self._ended = False

    def _move(self, move: LinkMove) -> None:
        target = LINKS[self._link].get(move)
        assert target is not None, f"a bug of ddg-protocol: {move.name} from {self._link.name}"
        self._link = target

    def _new_id(self) -> int:
        self._newest_id = self._session._new_id()
        return self._newest_id


@lru_cache(maxsize=16)  # a turn has four addresses, and asks for each more than once
def _origin(url: str) -> tuple[str, int, bool]:
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    return parts.hostname or "", parts.port or (443 if tls else 80), tls
