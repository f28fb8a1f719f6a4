"""The intents, by which a session asks its driver to act, the signals, and the failure that a driver reports.

Every intent has an ``id`` that is unique in its session, and that snapshots keep; reports name the intent by it. Reprs
hide everything that could be a secret: tokens, cookies, and answers to challenges.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, final

import msgspec

from .headers import Headers
from .identity import Identity
from .text import printable

if TYPE_CHECKING:
    from .coordination.calls import Call


class Signal(enum.Enum):
    """What `Session.next_action` returns when there is neither an intent nor an event."""

    NEED_DATA = "read some of the current response and tell me"
    PAUSED = "nothing to do until a command"

    def __repr__(self) -> str:
        return self.name


NEED_DATA = Signal.NEED_DATA
PAUSED = Signal.PAUSED


@final
class SendRequest(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send this request, then report the response's head with `Session.receive_head`.

    The driver adds ``host`` and the framing, nothing else, and keeps empty values.

    Attributes:
        id: unique in the session.
        method: ``GET`` or ``POST``.
        url: absolute, http or https.
        headers: in order; latin-1 text.
        body: the bytes to send; may be empty.
        timeout: seconds that connecting may take.
    """

    id: int
    method: str
    url: str
    headers: Headers
    body: bytes
    timeout: float

    def __repr__(self) -> str:
        from .redaction import redacted, shown_url  # with patterns that nobody needs until something is shown

        return (
            f"SendRequest(id={self.id}, method={self.method!r}, url={shown_url(self.url)!r}, "
            f"headers={redacted(self.headers, sent=True)!r}, body=<{len(self.body)} bytes>, timeout={self.timeout!r})"
        )


class Wait(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let time pass, then call `Session.wait_elapsed`. Until then, `Session.next_action` returns the same `Wait`.

    Attributes:
        id: unique in the session.
        until: the end of the wait, on the caller's clock (the one of every ``now``), in seconds.
        reason: ``"pacing"`` (the service's minimum interval, older turns of the client, or a page that another turn is
            fetching), ``"backoff"`` (before a retry, or because a ``Retry-After`` holds the client) or ``"busy"``
            (another turn has the conversation, or the shared engine could not store this one yet).
    """

    id: int
    until: float
    reason: str


class SolveChallenge(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answer a challenge: call `Session.challenge_solved` or `Session.challenge_failed`.

    Until then, `Session.next_action` returns the same `SolveChallenge`.

    Attributes:
        id: unique in the session.
        script: the challenge's JavaScript source, in the form of April 2025; empty in a revision whose challenges this
            package doesn't read.
        identity: the browser identity that the session sends, for which the answer is computed.
        challenge: the challenge as it came: the value of ``x-vqd-hash-1``.
        origin: of the service: scheme, host and port.
        fe_version: the front-end version that goes with the question; empty if it is not known.
        model: the id of the question's model.
        attempt: which try of the question this is: 1, and one more after each challenge that came in place of a reply.
    """

    id: int
    script: str
    identity: Identity
    challenge: str = ""
    origin: str = ""
    fe_version: str = ""
    model: str = ""
    attempt: int = 1

    def __repr__(self) -> str:
        return (
            f"SolveChallenge(id={self.id}, script=<{len(self.script)} characters>, identity={self.identity!r}, "
            f"challenge=<{len(self.challenge)} characters>, origin={self.origin!r}, fe_version={self.fe_version!r}, "
            f"model={printable(self.model)!r}, attempt={self.attempt})"
        )


class ChallengeAnswer(msgspec.Struct, frozen=True):
    """The answer to a challenge, with whatever else the chat request has to carry with it.

    Attributes:
        value: the value of the ``x-vqd-hash-1`` header.
        headers: more header fields of this one request, names in lower case. It can't have one that the session, the
            driver or the profile writes.
        body: more members of this one request's body; they replace those of the same name.
    """

    value: str
    headers: Headers = ()
    body: dict[str, Any] = {}

    def __repr__(self) -> str:
        return (
            f"ChallengeAnswer(value=<{len(self.value)} characters>, "
            f"headers=<{len(self.headers)} fields>, body=<{len(self.body)} members>)"
        )


class Coordinate(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Have the shared engine carry out a call: `Session.coordinated` has its result, or `Session.coordination_failed`.

    Until then, `Session.next_action` returns the same `Coordinate`. It comes only from sessions with a
    `coordination.Coordination`. An exchange that is under way stays open meanwhile: only the next intent of another
    kind, or PAUSED, ends it.

    Attributes:
        id: unique in the session.
        call: what to pass to the engine. It may be passed again where its result was lost.
    """

    id: int
    call: Call


Intent = SendRequest | Wait | SolveChallenge | Coordinate


class FailureKind(enum.Enum):
    """How an exchange failed, as far as a driver can tell. The session decides what follows."""

    NOT_SENT = "not_sent"
    """The connection could not be made, so the service can't have processed the request."""
    CUT = "cut"
    """The connection ended or was reset before the response was complete."""
    TIMEOUT = "timeout"
    """The driver's own time limit was reached."""
    TLS = "tls"
    """The secure connection could not be made or trusted."""
    INTERRUPTED = "interrupted"
    """The caller or its environment stopped the exchange."""
    OTHER = "other"
    """Anything else."""


class Failure(msgspec.Struct, frozen=True):
    """What went wrong with an exchange, for ``transport_failed``.

    Attributes:
        kind: how it failed.
        text: what happened, for a person.
    """

    kind: FailureKind
    text: str
