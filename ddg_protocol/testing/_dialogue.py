"""Dialogues: a session's turn as a test that reads from top to bottom.

A dialogue alternates between reports to its session and the actions it expects, and shows exactly where they differ.
Waits pass on the clock by themselves unless one is expected. `NEED_DATA` need not be expected.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import msgspec

from ..conversation import Messages
from ..errors import DuckChatError
from ..intents import (
    NEED_DATA,
    PAUSED,
    ChallengeAnswer,
    Coordinate,
    Failure,
    FailureKind,
    SendRequest,
    SolveChallenge,
    Wait,
)
from ..tap import DrivenSession
from ..wire import Close, Connect, Send, WireSession
from ._clock import Clock

if TYPE_CHECKING:
    from ..coordination import Result

SessionT = TypeVar("SessionT", bound=DrivenSession | WireSession)


class DialogueError(AssertionError):
    """A session's action differs from the expected one; the message shows the dialogue so far, and a diff."""


class Matcher:
    """An expectation for an action that is too long to write out.

    Args:
        text: the expectation as a diff shows it, in one or more lines.
        fits: returns whether an action, or an exception, meets the expectation.
    """

    def __init__(self, text: str, fits: Callable[[object], bool]) -> None:
        self.text = text
        self.fits = fits

    def __repr__(self) -> str:
        return self.text


def request(
    method: str,
    where: str,
    *,
    headers: Mapping[str, str | None] | None = None,
    body: object = None,
) -> Matcher:
    """Expect a `SendRequest`.

    Args:
        method: ``GET`` or ``POST``.
        where: the URL or its end, such as the path.
        headers: values by name in lower case; None for a field that must be absent. Others are not checked.
        body: the body, decoded from JSON; None for any.

    Returns:
        A matcher for `Dialogue.expects`.
    """
    fields = dict(headers or {})

    def fits(action: object) -> bool:
        if not isinstance(action, SendRequest) or action.method != method or not action.url.endswith(where):
            return False
        sent = dict(action.headers)
        return all(sent.get(name) == value for name, value in fields.items()) and (
            body is None or _json(action.body) == body
        )

    lines = [f"{method} …{where}" if where.startswith("/") else f"{method} {where}"]
    lines += [f"  {name}: {'(absent)' if value is None else value}" for name, value in fields.items()]
    if body is not None:
        lines.append(f"  body: {json.dumps(body)}")
    return Matcher("\n".join(lines), fits)


def connect(host: str, port: int = 443, *, tls: bool = True) -> Matcher:
    """Expect a `Connect`.

    Args:
        host: a host name or an address.
        port: TCP port.
        tls: whether the connection must use TLS.
    """
    return Matcher(
        f"Connect to {host}:{port}{' with TLS' if tls else ''}",
        lambda action: isinstance(action, Connect) and (action.host, action.port, action.tls) == (host, port, tls),
    )


def send(start: bytes, *, check_idle: bool | None = None) -> Matcher:
    """Expect a `Send` whose bytes begin with given ones.

    Args:
        start: the first bytes, such as ``b"GET /aichat HTTP/1.1"``.
        check_idle: whether it must ask to check a kept connection; None for either.
    """
    return Matcher(
        f"Send {start!r}…" + ("" if check_idle is None else f", check_idle={check_idle}"),
        lambda action: (
            isinstance(action, Send)
            and action.data.startswith(start)
            and (check_idle is None or action.check_idle == check_idle)
        ),
    )


def wait(seconds: float | None = None, *, reason: str | None = None, within: float = 1e-6) -> Matcher:
    """Expect a `Wait`, and let it pass.

    Args:
        seconds: its length from now; None for any.
        reason: ``"pacing"`` or ``"backoff"``; None for either.
        within: the tolerance in seconds.
    """

    def fits(action: object) -> bool:
        return (
            isinstance(action, _TimedWait)
            and (seconds is None or abs(action.seconds - seconds) <= within)
            and reason in (None, action.wait.reason)
        )

    said = ["Wait", *([] if seconds is None else [f"of {seconds:g} s"]), *([f"({reason})"] if reason else [])]
    return _WaitMatcher(" ".join(said), fits)


def raises(kind: type[DuckChatError], **attributes: object) -> Matcher:
    """Expect the turn to end with an exception.

    Args:
        kind: its class, or a base class.
        **attributes: attributes that it must have, such as ``status=429`` or ``retryable=True``.
    """

    def fits(action: object) -> bool:
        return isinstance(action, kind) and all(getattr(action, n, _MISSING) == v for n, v in attributes.items())

    said = ", ".join(f"{name}={value!r}" for name, value in attributes.items())
    return Matcher(f"{kind.__name__} raised" + (f" with {said}" if said else ""), fits)


_MISSING = object()


class _WaitMatcher(Matcher):
    """A matcher for a Wait; waits pass by themselves where anything else is expected."""


class _TimedWait(msgspec.Struct):
    """A Wait, and its length from the time it was pulled."""

    wait: Wait
    seconds: float


class _Dialogue(Generic[SessionT]):
    """What the dialogues of both layers share; see `Dialogue` and `WireDialogue`."""

    #: The intents that the dialogue has to report on before it goes on.
    _intents: ClassVar[tuple[type, ...]]

    def __init__(self, session: SessionT, *, clock: Clock | None = None) -> None:
        self.session: SessionT = session
        self.clock = clock or Clock()
        self._said: list[str] = []
        self._asked: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.ends()

    # Commands and reports

    def ask(self, messages: Messages, *, model: str | None = None, **options: Any) -> None:
        """Begin a turn; see `Session.ask`, whose other arguments the options are."""
        self._say(f"ask {messages!r}" + (f" of {model}" if model else ""))
        self.session.ask(messages, model=model, **options, now=self.clock.now)

    def fetch_models(self) -> None:
        """Ask for the list of models; see `Session.fetch_models`."""
        self._say("fetch the models")
        self.session.fetch_models(now=self.clock.now)

    def cancel(self) -> None:
        """Cancel the turn."""
        self._say("cancel")
        self.session.cancel()

    def close(self) -> None:
        """Close the session."""
        self._say("close")
        self.session.close()

    def passes(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: how long.
        """
        self._say(f"{seconds:g} s pass")
        self.clock.advance(seconds)

    def solves(self, answer: str | ChallengeAnswer) -> None:
        """Answer the `SolveChallenge` that was expected last.

        Args:
            answer: the value of the ``x-vqd-hash-1`` header, or an answer that brings more than that.
        """
        self._say("the answer to the challenge")
        self.session.challenge_solved(self._last(SolveChallenge), answer)

    def gives_up(self, text: str) -> None:
        """Report that the `SolveChallenge` that was expected last has no answer.

        Args:
            text: the reason, for people.
        """
        self._say(f"no answer to the challenge: {text}")
        self.session.challenge_failed(self._last(SolveChallenge), text)

    def answers(self, result: Result) -> None:
        """Report that the shared engine has answered the `Coordinate` that was expected last.

        Args:
            result: what it has answered, at once.
        """
        self._say(f"{result!r}")
        now = self.clock.now
        self.session.coordinated(self._last(Coordinate), result, asked=now, now=now)

    # Expectations

    def expects(self, *actions: object) -> None:
        """Pull actions, and compare them with those expected, one by one.

        Args:
            *actions: for each, an equal action, its class, or a `Matcher`.

        Raises:
            DialogueError: an action differs.
        """
        for expected in actions:
            got = self._pull(expected)
            if not _fits(expected, got):
                raise self._otherwise(_describe(expected), _describe(got))
            self._said.append(_indented("<<", _describe(got)))
            if isinstance(got, self._intents):
                self._asked = got

    def ends(self) -> None:
        """Check that the session is at rest, with no action left.

        Raises:
            DialogueError: an action is left.
        """
        got = self._pull(PAUSED)
        if got is not PAUSED:
            raise self._otherwise("the end of the dialogue: nothing is left to do", _describe(got))

    def _pull(self, expected: object) -> object:
        while True:
            now = self.clock.now
            try:
                action = self.session.next_action(now=now)
            except DuckChatError as error:
                return error
            if not isinstance(action, Wait):
                return action
            self.session.wait_elapsed(action)
            self.clock.advance_to(action.until)
            timed = _TimedWait(action, action.until - now)
            if isinstance(expected, _WaitMatcher):
                return timed
            self._said.append(_indented("  ", _describe(timed)))

    def _last(self, *kinds: type) -> Any:
        if not isinstance(self._asked, kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise self._otherwise(f"{names} as the last intent", _describe(self._asked))
        return self._asked

    def _say(self, text: str) -> None:
        self._said.append(_indented(">>", text))

    def _otherwise(self, expected: str, got: str) -> DialogueError:
        lines = difflib.ndiff(expected.splitlines(), got.splitlines())
        difference = "\n".join(line.rstrip("\n") for line in lines)
        said = "\n".join(self._said[-12:])
        before = f"... {len(self._said) - 12} earlier\n" if len(self._said) > 12 else ""
        return DialogueError(f"unexpected action (- expected, + got)\n{before}{said}\n{difference}")


class Dialogue(_Dialogue[DrivenSession]):
    """A dialogue with a `Session`, in a ``with`` block. At its end the session must be at rest.

    Args:
        session: the session under test.
        clock: the time; None makes a clock that starts at 0.
    """

    _intents = (SendRequest, SolveChallenge, Coordinate)

    def responds(
        self, status: int = 200, headers: Iterable[tuple[str, str]] = (), body: bytes | Iterable[bytes] = b""
    ) -> None:
        """Report a whole response to the last request.

        Args:
            status: the HTTP status.
            headers: in order.
            body: the whole body, or its chunks.
        """
        self.begins(status, headers)
        for chunk in (body,) if isinstance(body, bytes) else body:
            self.receives(chunk)
        self.finishes()

    def begins(self, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Report the head of the response to the last request.

        Args:
            status: the HTTP status.
            headers: the fields, in order.
        """
        headers = tuple(headers)
        self._say(f"{status}" + "".join(f"\n  {name}: {value}" for name, value in headers))
        self.session.receive_head(self._last(SendRequest), status, headers, now=self.clock.now)

    def receives(self, data: bytes) -> None:
        """Report a chunk of the response's body.

        Args:
            data: the bytes, not content-decoded. An empty chunk is not reported.
        """
        if data:
            self._say(f"{_short(data)}")
            self.session.receive_data(self._last(SendRequest), data)

    def finishes(self) -> None:
        """Report the end of the response's body."""
        self._say("the body's end")
        self.session.receive_eof(self._last(SendRequest))

    def fails(self, kind: FailureKind, text: str = "it broke") -> None:
        """Report that the exchange failed.

        Args:
            kind: the kind of failure.
            text: its description, for people.
        """
        self._say(f"failure: {kind.name}, {text}")
        self.session.transport_failed(self._last(SendRequest), Failure(kind, text))


class WireDialogue(_Dialogue[WireSession]):
    """A dialogue with a `WireSession`, in a ``with`` block. At its end the session must be at rest.

    Args:
        session: the session under test.
        clock: the time; None makes a clock that starts at 0.
    """

    _intents = (Connect, Send, Close, SolveChallenge, Coordinate)

    def __init__(self, session: WireSession, *, clock: Clock | None = None) -> None:
        super().__init__(session, clock=clock)
        self._connection: Connect | None = None

    def connected(self) -> None:
        """Report that the connection is made."""
        self._say("connected")
        self._connection = self._last(Connect)
        self.session.connected(self._last(Connect))

    def sent(self) -> None:
        """Report that the bytes are written."""
        self._say("sent")
        self.session.sent(self._last(Send))

    def closed(self) -> None:
        """Report that the connection is closed."""
        self._say("closed")
        self.session.closed(self._last(Close))

    def receives(self, *chunks: bytes) -> None:
        """Report chunks read from the connection.

        Args:
            *chunks: one for each read.
        """
        for data in chunks:
            self._say(_short(data))
            self.session.receive_bytes(self._current(), data)

    def finishes(self) -> None:
        """Report that the peer ended the connection."""
        self._say("the connection's end")
        self.session.receive_eof(self._current())

    def fails(self, kind: FailureKind, text: str = "it broke") -> None:
        """Report that the last intent, or the connection being read, failed.

        Args:
            kind: the kind of failure.
            text: its description, for people.
        """
        self._say(f"failure: {kind.name}, {text}")
        self.session.transport_failed(self._last(Connect, Send, Close), Failure(kind, text))

    def _current(self) -> Connect:
        if self._connection is None:
            raise self._otherwise("a connection to read from", "none was made")
        return self._connection


def _fits(expected: object, got: object) -> bool:
    if isinstance(expected, Matcher):
        return expected.fits(got)
    if isinstance(expected, type):
        return isinstance(got, expected)
    return type(got) is type(expected) and got == expected


def _describe(action: object) -> str:
    """Format an action so that a line-by-line diff is readable."""
    match action:
        case SendRequest():
            lines = [f"{action.method} {action.url}", *(f"  {name}: {value}" for name, value in action.headers)]
            if action.body:
                lines.append(f"  body: {action.body.decode('utf-8', 'replace')}")
            return "\n".join(lines)
        case Connect():
            return f"Connect to {action.host}:{action.port}{' with TLS' if action.tls else ''}"
        case Send():
            return f"Send {_short(action.data)}, check_idle={action.check_idle}"
        case _TimedWait():
            return f"Wait of {action.seconds:g} s ({action.wait.reason})"
        case _ if action is PAUSED or action is NEED_DATA:
            return f"{action!r}: {action.value}"
        case DuckChatError():
            return f"{type(action).__name__} raised: {action}"
        case type():
            return action.__name__
        case None:
            return "no intent yet"
        case _:
            return repr(action)


def _indented(mark: str, text: str) -> str:
    return "\n".join(f"{mark if index == 0 else '  '} {line}" for index, line in enumerate(text.splitlines() or [""]))


def _short(data: bytes) -> str:
    return repr(data) if len(data) <= 100 else f"{data[:80]!r}… ({len(data)} bytes)"


def _json(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return _MISSING
