"""What a transport is: an object with one method, ``open``, that sends a request and gives the exchange it began.

::

    client = Client(transport=MyTransport())

`Transport` and `Exchange` are for blocking code, `AsyncTransport` and `AsyncExchange` for asyncio and trio: the same,
with awaits, and without the timeouts, for there the driver cancels what takes too long.
``docs/writing-a-transport.md`` goes through it step by step, and ``python -m ddg_transports.testing.contract
module:factory`` checks all of it.

**A request is sent as it is**: ``method``, ``url``, ``headers`` in their order with empty values kept, ``body``;
beside them ``host`` and the framing, and nothing else. Each ``open`` is one request: redirects aren't followed, nothing
is retried, no cookie is kept (the session does all that), except that a request which met a connection that the peer
had closed while it was idle goes out again on a new one.

**A response is given as it is**: whatever its status, with its fields as pairs of latin-1 text, repeated where they
repeat, and the bytes of its body without the framing but not content-decoded. ``read`` gives bytes as soon as there are
any, and none at the complete end. An end that the framing shows to be premature is a failure, never an end.

**What goes wrong** is raised as a `ddg_protocol.TransportError`, made by `transport_error` in one place for each
library; its `FailureKind` decides what the session does about it. Any other exception is taken for a bug: the driver
closes the exchange, cancels the turn and lets it pass.

**Time.** In blocking code ``open`` and ``read`` are told for how many seconds they may wait (a library that can't be
told with each read keeps to what ``open`` was told), and making the connection may take ``request.timeout`` of it. What
runs out of time is a failure of kind TIMEOUT. In async code the driver cancels; only ``request.timeout`` is the
transport's to keep.

**Closing** an exchange gives up what wasn't read: at once, without an exception, any number of times. A body read to
its end leaves the connection free for the next request; one that wasn't must not. ``open`` that fails or is cancelled
has cleaned up behind itself; after a ``read`` that failed or was cancelled the exchange is still closed by the driver,
and only that.

**Several at once.** ``open`` is called by every chat of a client, from their threads or tasks; an exchange belongs to
one. Whoever made a transport closes it, after the client.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Protocol

from ddg_protocol import DuckChatError, Failure, FailureKind, SendRequest, TransportError
from ddg_protocol.text import printable

__all__ = ["AsyncExchange", "AsyncTransport", "Exchange", "Transport", "transport_error"]


class Exchange(Protocol):
    """A response whose head has come, and whose body is to be read."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Iterable[tuple[str, str]]:
        """The fields of the head in order, latin-1 text, repeated where they repeat."""

    def read(self, *, timeout: float) -> bytes:
        """Give the bytes of the body that there are, waiting for the first; none at its end.

        Args:
            timeout: seconds that this may take.

        Raises:
            TransportError: there is no more to come, or not in time.
        """

    def close(self) -> None:
        """Give up what wasn't read; any number of times."""


class Transport(Protocol):
    """Sends requests, in blocking code."""

    def open(self, request: SendRequest, *, timeout: float) -> Exchange:
        """Send a request and wait for the head of its response; interim ones (1xx) are passed over.

        Args:
            request: what to send; ``request.timeout`` is for making the connection.
            timeout: seconds that all of this may take.

        Raises:
            TransportError: no response came of it.
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
        """Give the bytes of the body that there are, waiting for the first; none at its end.

        Raises:
            TransportError: there is no more to come.
        """

    async def aclose(self) -> None:
        """Give up what wasn't read; any number of times. Called with cancellation shielded, and given a second."""


class AsyncTransport(Protocol):
    """Sends requests, on asyncio and trio."""

    async def open(self, request: SendRequest) -> AsyncExchange:
        """Send a request and wait for the head of its response; interim ones (1xx) are passed over.

        Args:
            request: what to send; ``request.timeout`` is for making the connection.

        Raises:
            TransportError: no response came of it.
        """


def transport_error(error: BaseException, doing: str, otherwise: FailureKind = FailureKind.OTHER) -> TransportError:
    """Say what an exception means for an exchange.

    Timeouts and failures of TLS are known by the standard library's exceptions; what else there is, the caller knows.
    An HTTP library's own exceptions can quote what came, such as a line with a token: of them only the class is said.

    Args:
        error: what a library raised.
        doing: what was being done, such as ``"connecting to duckduckgo.com:443"``.
        otherwise: what it is, if neither a timeout nor TLS.

    Returns:
        The error. Raise it ``from None`` unless ``error`` is the standard library's: a traceback shows what an error
        was raised from.
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
    # Which of the two it is depends on the version of Python.
    return isinstance(error, ssl.SSLEOFError) or getattr(error, "reason", "") == "UNEXPECTED_EOF_WHILE_READING"


def verifying_context(cafile: str | None = None) -> ssl.SSLContext:
    """Return a TLS context that verifies, and notices when a connection is cut. It is used where none is given.

    Some builds of Python have OpenSSL take a connection that is cut for one that ended: then a body that only the end
    of the connection ends could be cut without being noticed. Not with this context.

    Args:
        cafile: the certificates to trust, in a PEM file; None trusts those of the system.
    """
    context = ssl.create_default_context(cafile=cafile)
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", ssl.Options(0))
    return context


def is_harmless(error: BaseException) -> bool:
    """Return whether an exception's text comes from the system or this library, and not from a peer."""
    if isinstance(error, DuckChatError):
        return True
    return isinstance(error, OSError) and type(error).__module__ in ("builtins", "socket", "ssl")
