"""What a session asks of its driver, and the words the driver answers with.

An intent has an ``id`` that is unique in its session and kept by snapshots; answers match by it.
Reprs hide what must not reach a log: tokens, cookies, the answer to a challenge, and whatever else could be a secret.
"""

from __future__ import annotations

import enum
from typing import final

import msgspec

from .headers import Headers
from .identity import Identity


class Signal(enum.Enum):
    """What `Session.next_action` gives when there is neither an intent nor an event."""

    NEED_DATA = "read some of the current response and tell me"
    PAUSED = "nothing to do until a command"

    def __repr__(self) -> str:
        return self.name


NEED_DATA = Signal.NEED_DATA
PAUSED = Signal.PAUSED


@final
class SendRequest(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Open an exchange: send this, then report the response's head with `Session.receive_head`.

    The driver adds ``host`` and the framing, nothing else, and keeps empty values.

    Attributes:
        id: unique in the session.
        method: ``GET`` or ``POST``.
        url: absolute, http or https.
        headers: in order; latin-1 text.
        body: the bytes to send; empty for none.
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
    """Let time pass, then call `Session.wait_elapsed`. Asking again gives the same `Wait`.

    Attributes:
        id: unique in the session.
        until: the time to wait for, on the caller's clock (the one that ``now`` is read from), in seconds.
        reason: ``"pacing"`` (the service's minimum interval) or ``"backoff"`` (before a retry, or because a
            ``Retry-After`` holds the client).
    """

    id: int
    until: float
    reason: str


class SolveChallenge(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answer a challenge: call `Session.challenge_solved` or `Session.challenge_failed`. Asking again gives the same.

    Attributes:
        id: unique in the session.
        script: the challenge's JavaScript source.
        identity: the browser identity that is really sent, and that the answer is about.
    """

    id: int
    script: str
    identity: Identity

    def __repr__(self) -> str:
        return f"SolveChallenge(id={self.id}, script=<{len(self.script)} characters>, identity={self.identity!r})"


Intent = SendRequest | Wait | SolveChallenge


class FailureKind(enum.Enum):
    """How an exchange failed, as far as a driver can tell. What to do about it is the session's business."""

    NOT_SENT = "not_sent"
    """Nothing can have been processed: the connection could not be made."""
    CUT = "cut"
    """The connection ended, or was reset, before the response was complete."""
    TIMEOUT = "timeout"
    """The driver's own wait ran out."""
    TLS = "tls"
    """The secure connection could not be made or trusted."""
    INTERRUPTED = "interrupted"
    """The caller or its environment stopped the exchange."""
    OTHER = "other"
    """Anything else."""


class Failure(msgspec.Struct, frozen=True):
    """What a driver reports with ``transport_failed``.

    Attributes:
        kind: one of `FailureKind`.
        text: what happened, for a person.
    """

    kind: FailureKind
    text: str
