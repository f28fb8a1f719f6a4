"""The code that the blocking and the async transport over httpcore share: it never waits."""

from __future__ import annotations

import importlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from ddg_protocol import FailureKind, SendRequest, TransportError
from ddg_protocol.text import printable

from ._httpcore_sockets import AsyncNetwork, BlockingNetwork, Stream
from .transport import is_harmless, transport_error, verifying_context

_MOST_KEPT = 10

#: The failure kind of an exception, by the first of these names in its classes. httpcore and httpcore2 use the same
#: names; the others are exceptions of h2 and socksio that they let through.
_KINDS = {
    "TimeoutError": FailureKind.TIMEOUT,
    "TimeoutException": FailureKind.TIMEOUT,
    "ConnectError": FailureKind.NOT_SENT,
    "ProxyError": FailureKind.NOT_SENT,
    "SOCKSError": FailureKind.NOT_SENT,
    "UnicodeError": FailureKind.NOT_SENT,  # not a valid host name
    "ConnectionNotAvailable": FailureKind.NOT_SENT,  # the peer closed without processing it (RFC 9113, 6.8)
    "NetworkError": FailureKind.CUT,
    "LocalProtocolError": FailureKind.OTHER,
    "ProtocolError": FailureKind.CUT,
}


_PROXY_STATUS = re.compile(r"[1-9][0-9]{2}(?= )")
#: Texts of the library that quote nothing from the peer.
_KNOWN_TEXT = re.compile(
    r"Server disconnected(?: without sending a response\.)?|Invalid username/password"
    r"|Proxy Server could not connect: [A-Za-z ]{4,40}\."
)


class Pool(Protocol):
    """The part of an ``(Async)ConnectionPool`` that is used: it makes connections with its settings."""

    def create_connection(self, origin: Any) -> Any:
        """Return a connection that connects with its first request."""


MakePool = Callable[[Any], Pool]
"""Takes a ``network_backend`` and returns a pool that uses it."""


class Connections:
    """Makes connections, and keeps idle ones for later requests."""

    def __init__(
        self,
        name: str,
        pool: MakePool | None,
        proxy: str | None,
        http2: bool,
        ssl_context: ssl.SSLContext | None,
        uds: str | None,
        network: BlockingNetwork | AsyncNetwork,
    ) -> None:
        if http2:
            _require("h2", "http2")
        made = pool and pool(network)
        self.library = network.library = library_of(made)
        self._pool: Pool = made or getattr(self.library, name)(
            ssl_context=ssl_context or verifying_context(),
            proxy=proxy and self._proxy(proxy),
            http2=http2,
            uds=uds,
            network_backend=network,
        )
        self._kept: list[tuple[Any, Any]] = []  # idle connections, each with its stream
        self._lock = threading.Lock()  # around each use of `_kept`

    def take_ended(self) -> list[Any]:
        """Remove and return the kept connections that can't be used again: ended ones, and those with unread bytes.

        HTTP/1.1 connections check for unread bytes themselves, HTTP/2 connections don't.
        """
        with self._lock:
            ended = [it for it in self._kept if it[0].has_expired() or it[1].get_extra_info("is_readable")]
            self._kept = [it for it in self._kept if it not in ended]
        return [connection for connection, _ in ended]

    def take(self, origin: Any) -> tuple[Any, bool]:
        """Return a connection to an origin, and whether it was a kept one."""
        with self._lock:
            for index in reversed(range(len(self._kept))):
                if self._kept[index][0].can_handle_request(origin):
                    return self._kept.pop(index)[0], True
        return self._pool.create_connection(origin), False

    def keep(self, connection: Any, response: Any) -> bool:
        """Keep a connection after its exchange if it can be used again, and return whether it is kept."""
        with self._lock:
            if connection.is_available() and len(self._kept) < _MOST_KEPT:
                self._kept.append((connection, response.extensions["network_stream"]))
                return True
        return False

    def take_all(self) -> list[Any]:
        """Remove and return all kept connections."""
        with self._lock:
            kept, self._kept = self._kept, []
        return [connection for connection, _ in kept]

    def request(self, request: SendRequest, **extensions: Any) -> Any:
        """Convert a request to the library's, adding only ``host`` and the framing."""
        fields = [("host", urlsplit(request.url).netloc), *request.headers]
        if request.method == "POST":
            fields.append(("content-length", str(len(request.body))))
        return self.library.Request(
            request.method,
            request.url,
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in fields],
            content=request.body,
            extensions=extensions,
        )

    def _proxy(self, url: str) -> Any:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "socks5"):
            raise ValueError(f"a proxy is http://, https:// or socks5://, not {printable(parts.scheme)!r}")
        if parts.scheme == "socks5":
            _require("socksio", "socks")
        if parts.username is None:
            return self.library.Proxy(url)
        return self.library.Proxy(url, auth=(unquote(parts.username).encode(), unquote(parts.password or "").encode()))


def was_not_sent(error: BaseException) -> bool:
    """Return whether a failed request can't have reached the server."""
    return isinstance(error, TransportError) and error.failure.kind is FailureKind.NOT_SENT


def goes_out(event: str, info: Mapping[str, Any], streams: list[Any]) -> bool:
    """Follow a request by the library's trace events.

    Args:
        event: the event's name.
        info: the event's details.
        streams: the streams made for the request, to a server or a proxy; new ones are appended.

    Returns:
        Whether the connection is made, through the proxy if there is one, and the request goes out now.

    Raises:
        TypeError: the pool uses another network backend.
    """
    if event.endswith((".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")):
        streams.append(info["return_value"])
        if not isinstance(streams[-1], Stream):
            raise TypeError("the pool does not use the network_backend that it was given")
    if not event.endswith(".send_request_headers.started") or info["request"].method == b"CONNECT":
        return False
    if streams and event.startswith("http11."):  # HTTP/2 itself rejects unrequested bytes
        streams[-1].holds_back = True
    return True


def library_of(pool: Pool | None) -> Any:
    """Return the library that made a pool; without a pool, the one that is installed."""
    bases = {base.__module__.partition(".")[0] for base in type(pool).__mro__}
    for name in ("httpcore", "httpcore2"):
        if pool is None or name in bases:
            with suppress(ModuleNotFoundError):
                return importlib.import_module(name)
    if pool is None:
        raise ModuleNotFoundError("this needs httpcore or httpcore2: pip install httpcore")
    raise TypeError("the pool is from neither httpcore nor httpcore2")


def _require(module: str, extra: str) -> None:
    # The library itself imports it only when it connects.
    if find_spec(module) is None:
        raise ModuleNotFoundError(f"this needs {module}: pip install 'ddg-protocol[{extra}]'", name=module)


def text(headers: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Convert the header fields of a head to text."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


@contextmanager
def meant(doing: str) -> Iterator[None]:
    """Convert the library's exceptions to `TransportError`, here and nowhere else. Other exceptions pass."""
    try:
        yield
    except Exception as error:
        names = {base.__name__ for base in type(error).__mro__}
        kind = next((kind for name, kind in _KINDS.items() if name in names), None)
        if kind is None:
            raise
        said: BaseException = error
        while said.__cause__ is not None:  # the library's exceptions say less than their causes
            said = said.__cause__
        known = _known_text(error)
        if kind is FailureKind.TIMEOUT:
            said = TimeoutError("timed out")
        elif known:
            said = OSError(known)
        # The library's texts quote malformed header lines, and a traceback would show them.
        raise transport_error(said, doing, kind) from (error if is_harmless(said) and not known else None)


def _known_text(error: Exception) -> str:
    """Return the text of a library's exception if it can't quote the peer; otherwise an empty text."""
    said = str(error)
    if refusal := _PROXY_STATUS.match(said):
        return f"the proxy answered {refusal[0]}"  # without the reason phrase that follows
    return said if _KNOWN_TEXT.fullmatch(said) else ""
