"""What a session asks of its driver, and the words the driver answers with.

An intent has an ``id`` that is unique in its session and kept by snapshots; answers match by it.
Reprs hide what must not reach a log: tokens, cookies, the answer to a challenge, and whatever else could be a secret.
"""

from __future__ import annotations

import enum
from typing import final

import msgspec

from .profile import Identity

Headers = tuple[tuple[str, str], ...]
"""Header fields in order, names in lower case, values latin-1; repeated where they repeat."""

SECRET_HEADERS = frozenset(
    {
        "authentication-info",
        "authorization",
        "cookie",
        "cookie2",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
        "x-vqd-4",
        "x-vqd-hash-1",
    }
)
"""Names of headers that carry secrets. They aren't all that is hidden: see `redacted`."""


def redacted(headers: Headers, *, sent: bool = False) -> Headers:
    """Replace what could be a secret by ``<N characters>``.

    What the service says is hidden unless it is known to be harmless, by the field and its value. Of a request, names
    are shown, and the values of the fields that every request has.

    Args:
        headers: the fields as sent or received.
        sent: whether they are those of a request.

    Returns:
        The same fields, in order, fit to be shown. Empty values stay empty.
    """
    from ._harmless import (  # with patterns that nobody needs until something is shown
        is_harmless,
        is_known_name,
        is_sent,
    )

    if sent:
        return tuple((name, value if is_sent(name.lower()) else _hidden(value)) for name, value in headers)
    return tuple(
        (
            name if name.lower() in SECRET_HEADERS or is_known_name(name.lower()) else _hidden(name),
            value if is_harmless(name.lower(), value) else _hidden(value),
        )
        for name, value in headers
    )


def _hidden(text: str) -> str:
    return f"<{len(text)} characters>" if text else ""


def _shown_url(url: str) -> str:
    """Return a URL as far as it may be shown: a redirect can lead to one with a secret in its path or query."""
    from ._harmless import TARGETS

    scheme, separator, rest = url.partition("://")
    host, slash, target = rest.partition("/")
    return url if slash + target in TARGETS else f"{scheme}{separator}{host}/{_hidden(target)}"


def field(headers: Headers, name: str) -> str:
    """Give a header field's value.

    Args:
        headers: the fields, names in lower case.
        name: the name, in lower case.

    Returns:
        The value; several joined by ``", "``, as RFC 9110 section 5.3 has it; empty for none.
    """
    return ", ".join(value.strip(" \t") for key, value in headers if key == name)


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
        return (
            f"SendRequest(id={self.id}, method={self.method!r}, url={_shown_url(self.url)!r}, "
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
