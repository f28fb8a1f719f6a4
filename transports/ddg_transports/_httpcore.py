"""What the blocking and the async transport over httpcore have in common: all that doesn't wait."""

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

#: What an exception means, by the first of these names that it has: those of httpcore and of httpcore2, which are the
#: same, and those that they let through of h2 and socksio.
_KINDS = {
    "TimeoutError": FailureKind.TIMEOUT,
    "TimeoutException": FailureKind.TIMEOUT,
    "ConnectError": FailureKind.NOT_SENT,
    "ProxyError": FailureKind.NOT_SENT,
    "SOCKSError": FailureKind.NOT_SENT,
    "UnicodeError": FailureKind.NOT_SENT,  # no name that could be resolved
    "ConnectionNotAvailable": FailureKind.NOT_SENT,  # the peer went away, and said that it hadn't begun (RFC 9113, 6.8)
    "NetworkError": FailureKind.CUT,
    "LocalProtocolError": FailureKind.OTHER,
    "ProtocolError": FailureKind.CUT,
}


_PROXY_STATUS = re.compile(r"[1-9][0-9]{2}(?= )")
#: Texts of the library that are the same whatever the peer says.
_KNOWN_TEXT = re.compile(
    r"Server disconnected(?: without sending a response\.)?|Invalid username/password"
    r"|Proxy Server could not connect: [A-Za-z ]{4,40}\."
)


class Pool(Protocol):
    """What is used of an ``(Async)ConnectionPool``: it makes connections, set up as it is."""

    def create_connection(self, origin: Any) -> Any:
        """Make a connection, which connects with its first request."""


MakePool = Callable[[Any], Pool]
"""Makes a pool, given the ``network_backend`` to make it with."""


class Connections:
    """Makes connections, and keeps those that are free."""

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
        self._kept: list[tuple[Any, Any]] = []  # connections with no exchange on them, and the streams they are on
        self._lock = threading.Lock()  # around each use of `_kept`

    def take_ended(self) -> list[Any]:
        """Keep no longer, to be closed, what can't be used again: ended, or with something to read that nobody awaits.

        HTTP/1.1 connections look for that themselves, HTTP/2 ones don't.
        """
        with self._lock:
            ended = [it for it in self._kept if it[0].has_expired() or it[1].get_extra_info("is_readable")]
            self._kept = [it for it in self._kept if it not in ended]
        return [connection for connection, _ in ended]

    def take(self, origin: Any) -> tuple[Any, bool]:
        """Give a connection that leads there, and whether it was kept."""
        with self._lock:
            for index in reversed(range(len(self._kept))):
                if self._kept[index][0].can_handle_request(origin):
                    return self._kept.pop(index)[0], True
        return self._pool.create_connection(origin), False

    def keep(self, connection: Any, response: Any) -> bool:
        """Keep a connection whose exchange is over, if it can be used again; tell whether it is kept."""
        with self._lock:
            if connection.is_available() and len(self._kept) < _MOST_KEPT:
                self._kept.append((connection, response.extensions["network_stream"]))
                return True
        return False

    def take_all(self) -> list[Any]:
        """Keep none any more: those that were kept are given to be closed."""
        with self._lock:
            kept, self._kept = self._kept, []
        return [connection for connection, _ in kept]

    def request(self, request: SendRequest, **extensions: Any) -> Any:
        """Put a request in the library's terms: ``host`` and the framing are added, nothing else."""
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
    """Tell whether nothing can have come of a request."""
    return isinstance(error, TransportError) and error.failure.kind is FailureKind.NOT_SENT


def goes_out(event: str, info: Mapping[str, Any], streams: list[Any]) -> bool:
    """Follow a request by what the library tells of it.

    Args:
        event: what happens.
        info: more of it.
        streams: gets the streams that are made for the request, to a server or to a proxy.

    Returns:
        Whether the request goes out now: the connection is made, through a proxy if any.

    Raises:
        TypeError: the pool was made with another network backend.
    """
    if event.endswith((".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")):
        streams.append(info["return_value"])
        if not isinstance(streams[-1], Stream):
            raise TypeError("the pool was not made with the network_backend that it was given")
    if not event.endswith(".send_request_headers.started") or info["request"].method == b"CONNECT":
        return False
    if streams and event.startswith("http11."):  # HTTP/2 refuses what nobody asked for
        streams[-1].holds_back = True
    return True


def library_of(pool: Pool | None) -> Any:
    """Give the library that a pool is of; without a pool, the one that is installed."""
    bases = {base.__module__.partition(".")[0] for base in type(pool).__mro__}
    for name in ("httpcore", "httpcore2"):
        if pool is None or name in bases:
            with suppress(ModuleNotFoundError):
                return importlib.import_module(name)
    if pool is None:
        raise ModuleNotFoundError("this needs httpcore or httpcore2: pip install httpcore")
    raise TypeError("the pool is neither httpcore's nor httpcore2's")


def _require(module: str, extra: str) -> None:
    # The library itself would find out only when it connects.
    if find_spec(module) is None:
        raise ModuleNotFoundError(f"this needs {module}: pip install 'ddg-protocol[{extra}]'", name=module)


def text(headers: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Give the fields of a head as they are reported."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


@contextmanager
def meant(doing: str) -> Iterator[None]:
    """Raise what an exception of the library means: the one place where this is known. Others pass."""
    try:
        yield
    except Exception as error:
        names = {base.__name__ for base in type(error).__mro__}
        kind = next((kind for name, kind in _KINDS.items() if name in names), None)
        if kind is None:
            raise
        said: BaseException = error
        while said.__cause__ is not None:  # the library's own say less than what they were made of
            said = said.__cause__
        known = _known_text(error)
        if kind is FailureKind.TIMEOUT:
            said = TimeoutError("timed out")
        elif known:
            said = OSError(known)
        # The library's texts quote header lines that can't be read, and a traceback would show them.
        raise transport_error(said, doing, kind) from (error if is_harmless(said) and not known else None)


def _known_text(error: Exception) -> str:
    """Return what an exception of the library says, if nothing in it can be a peer's words; else an empty text."""
    said = str(error)
    if refusal := _PROXY_STATUS.match(said):
        return f"the proxy answered {refusal[0]}"  # its reason phrase follows
    return said if _KNOWN_TEXT.fullmatch(said) else ""
