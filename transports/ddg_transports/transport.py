"""The transport interface: an object with one method, ``open``, that sends a request and returns the exchange.

::

    client = Client(transport=MyTransport())

`Transport` and `Exchange` are for blocking code, `AsyncTransport` and `AsyncExchange` for asyncio and trio. The async
versions have no timeouts: there the driver cancels a call that takes too long. ``docs/writing-a-transport.md`` explains
the interface step by step, and ``python -m ddg_transports.testing.contract module:factory`` checks all of it.

**A request is sent as it is**: ``method``, ``url``, ``headers`` in their order with empty values kept, and ``body``.
The transport adds ``host`` and the framing, and nothing else. Each ``open`` sends one request: it follows no redirect,
retries nothing and keeps no cookie, because the session does all that. There is one exception: if the peer closed a
connection while it was idle, the request is sent again on a new one.

**A response is returned as it is**: whatever its status, with its fields as pairs of latin-1 text, repeated where they
repeat, and the bytes of its body without the framing but not content-decoded. ``read`` returns bytes as soon as there
are any, and empty bytes at the complete end. An end that the framing shows to be premature is a failure, never an end.

**A failure** is raised as a `ddg_protocol.TransportError`, made by `transport_error` in one place for each library; its
`FailureKind` decides what the session does about it. Any other exception counts as a bug: the driver closes the
exchange, cancels the turn and lets the exception pass.

**Time.** In blocking code ``open`` and ``read`` get the number of seconds that they may wait; a library without a
timeout for each read uses that of ``open``. Of that time, ``request.timeout`` may be spent on making the connection.
Running out of time is a failure of kind TIMEOUT. In async code the driver cancels, and the transport only has to
enforce ``request.timeout``.

**Closing** an exchange discards the unread rest: at once, without an exception, any number of times. The connection may
be reused only if the body was read to its end. If ``open`` fails or is cancelled, it has already cleaned up. After a
``read`` that failed or was cancelled, the driver still closes the exchange, and does nothing else with it.

In blocking code no exchange is closed while a thread is in its ``read``. A reply that another thread closes is left
when the ``read`` returns, after the timeout at the latest; or at once, if the exchange has an ``abort``, as an
`AbortableExchange` does.

**Several at once.** Every chat of a client calls ``open``, from its own thread or task; an exchange belongs to one
chat. The code that made a transport closes it, after the client.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Protocol

from ddg_protocol import DuckChatError, Failure, FailureKind, SendRequest, TransportError
from ddg_protocol.text import printable

__all__ = ["AbortableExchange", "AsyncExchange", "AsyncTransport", "Exchange", "Transport", "transport_error"]


class Exchange(Protocol):
    """A response whose head has arrived, and whose body can be read."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Iterable[tuple[str, str]]:
        """The fields of the head in order, latin-1 text, repeated where they repeat."""

    def read(self, *, timeout: float) -> bytes:
        """Return the bytes of the body that are there, waiting for the first; empty at the end.

        Args:
            timeout: seconds that this may take.

        Raises:
            TransportError: the body was cut, or nothing came in time.
        """

    def close(self) -> None:
        """Discard the unread rest; may be called again."""


class AbortableExchange(Exchange, Protocol):
    """An exchange whose ``read`` another thread can end. An `Exchange` may have this, and need not."""

    def abort(self) -> None:
        """End the ``read`` of another thread, and later ones, at once: they fail, or read the end. It never raises.

        The driver calls it from the thread that closes a reply, a chat or a client, and not after ``close``. Over a
        socket, ``socket.shutdown`` does it; ``socket.close`` doesn't.
        """


class Transport(Protocol):
    """Sends requests, in blocking code."""

    def open(self, request: SendRequest, *, timeout: float) -> Exchange:
        """Send a request and wait for the head of its response, skipping interim responses (1xx).

        Args:
            request: the request; ``request.timeout`` bounds making the connection.
            timeout: seconds that the whole call may take.

        Raises:
            TransportError: there was no response.
        """


class AsyncExchange(Protocol):
    """An `Exchange` on asyncio and trio."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Iterable[tuple[str, str]]:
        """The fields of the head in order, latin-1 text, repeated where they repeat."""

    async def read(self) -> bytes:
        """Return the bytes of the body that are there, waiting for the first; empty at the end.

        Raises:
            TransportError: the body was cut.
        """

    async def aclose(self) -> None:
        """Discard the unread rest; may be called again. The call is shielded from cancellation, for one second."""


class AsyncTransport(Protocol):
    """Sends requests, on asyncio and trio."""

    async def open(self, request: SendRequest) -> AsyncExchange:
        """Send a request and wait for the head of its response, skipping interim responses (1xx).

        Args:
            request: the request; ``request.timeout`` bounds making the connection.

        Raises:
            TransportError: there was no response.
        """


def transport_error(error: BaseException, doing: str, otherwise: FailureKind = FailureKind.OTHER) -> TransportError:
    """Convert an exception to a `TransportError`.

    The standard library's exceptions identify timeouts and TLS failures; the caller knows the kind of the others. An
    HTTP library's own exceptions can quote received data, such as a line with a token: the text names only their class.

    Args:
        error: the library's exception.
        doing: the operation that failed, such as ``"connecting to duckduckgo.com:443"``.
        otherwise: the kind, if it is neither a timeout nor a TLS failure.

    Returns:
        The error. Raise it ``from None`` unless ``error`` is the standard library's: a traceback also shows the cause.
    """
    kind = otherwise
    if isinstance(error, TimeoutError):
        kind = FailureKind.TIMEOUT
    elif isinstance(error, ssl.SSLError) and not _is_cut(error):
        kind = FailureKind.TLS
    said = ""
    if is_harmless(error):
        said = getattr(error, "verify_message", "") or getattr(error, "strerror", None) or str(error)
    text = f"{doing}: {printable(said or type(error).__name__)}"
    return TransportError(text, failure=Failure(kind, text))


def _is_cut(error: ssl.SSLError) -> bool:
    # The version of Python decides which of the two it is.
    return isinstance(error, ssl.SSLEOFError) or getattr(error, "reason", "") == "UNEXPECTED_EOF_WHILE_READING"


def verifying_context(cafile: str | None = None) -> ssl.SSLContext:
    """Return a TLS context that verifies certificates and detects a cut connection. It is the default context.

    In some builds of Python, OpenSSL reports a cut connection as one that ended: a cut then goes unnoticed in a body
    that is delimited by the end of the connection. This context reports it.

    Args:
        cafile: the certificates to trust, in a PEM file; None trusts those of the system.
    """
    context = ssl.create_default_context(cafile=cafile)
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", ssl.Options(0))
    return context


def is_harmless(error: BaseException) -> bool:
    """Return whether an exception's text comes from the system or this library, not from a peer."""
    if isinstance(error, DuckChatError):
        return True
    return isinstance(error, OSError) and type(error).__module__ in ("builtins", "socket", "ssl")
