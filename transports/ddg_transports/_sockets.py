"""A connection on `socket` and `ssl`, and what its exceptions mean."""

from __future__ import annotations

import socket
import ssl
import time

from ddg_protocol import Failure, FailureKind, TransportError
from ddg_protocol.errors import printable

_READ_SIZE = 64 * 1024


class Connection:
    """A connection, plain or TLS, with a bound on every call: a time on the clock of `time.monotonic`.

    Args:
        host: a name or an address; each address of a name is tried, and gets its share of the time. Resolving the
            name takes the time it takes.
        port: TCP port.
        context: for TLS; None for plain TCP.
        until: when to give up, the TLS handshake included.

    Raises:
        TransportError: it could not be made.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, *, until: float) -> None:
        try:
            self._socket = _open(host, port, context, until)
        except (OSError, ValueError) as error:  # ValueError: no name that could be resolved, or certified
            raise _mapped(error, f"connecting to {host}:{port}", FailureKind.NOT_SENT) from error

    def write(self, data: bytes, *, until: float) -> None:
        """Write all of it.

        Raises:
            TimeoutError: ``until`` came first.
            TransportError: the connection broke.
        """
        rest = memoryview(data)
        try:
            while rest:
                self._bound(until)
                rest = rest[self._socket.send(rest) :]
        except TimeoutError:
            raise
        except OSError as error:
            raise _mapped(error, "sending", FailureKind.CUT) from error

    def read(self, *, until: float) -> bytes:
        """Read what there is; nothing at the end.

        Raises:
            TimeoutError: ``until`` came first.
            TransportError: the connection broke.
        """
        try:
            self._bound(until)
            return self._socket.recv(_READ_SIZE)
        except TimeoutError:
            raise
        except OSError as error:
            raise _mapped(error, "reading", FailureKind.CUT) from error

    def check_idle(self) -> None:
        """See that a kept connection has not ended, and has nothing to read that nobody asked for.

        Raises:
            TransportError: it has; nothing can be sent over it any more.
        """
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            pass
        text = "the connection was closed while it was idle"
        raise TransportError(text, failure=Failure(FailureKind.NOT_SENT, text))

    def close(self) -> None:
        """Close it, without a goodbye: nobody waits for one."""
        self._socket.close()

    def _bound(self, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


def _open(host: str, port: int, context: ssl.SSLContext | None, until: float) -> socket.socket:
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(max(0.001, (until - time.monotonic()) / (len(addresses) - number + 1)))
            try:
                plain.connect(address)
            except OSError:
                if number == len(addresses):
                    raise
                plain.close()
                continue
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is None:
                return plain
            plain.settimeout(max(0.001, until - time.monotonic()))
            # A body that only the end of the connection ends must not be cut without being noticed.
            return context.wrap_socket(plain, server_hostname=host, suppress_ragged_eofs=False)
        except BaseException:
            plain.close()
            raise
    raise OSError("the name has no address")


def _mapped(error: OSError | ValueError, doing: str, otherwise: FailureKind) -> TransportError:
    """Say what an exception means for the exchange: the one place where this is known."""
    kind = otherwise
    if isinstance(error, TimeoutError):
        kind = FailureKind.TIMEOUT
    elif isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        kind = FailureKind.TLS
    said = getattr(error, "verify_message", "") or getattr(error, "strerror", None) or str(error)
    text = f"{doing}: {printable(said)}"
    return TransportError(text, failure=Failure(kind, text))
