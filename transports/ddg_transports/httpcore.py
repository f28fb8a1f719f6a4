"""Transports over `httpcore`, or its fork `httpcore2`: proxies, HTTP/2, unix sockets; blocking and async.

    with HttpcoreTransport(proxy="socks5://user:secret@127.0.0.1:1080", http2=True) as transport:
        with Client(transport=transport) as client:
            print(client.chat().ask("Why is the sky blue?").text)

What the settings here don't reach, a pool of one's own does: ``HttpcoreTransport(httpcore.ConnectionPool(...))``. It is
asked for connections, and each exchange has one for itself until it is over; they are kept here and not among the
pool's own. For the pool loses the place of a request that is cancelled at the wrong moment (1.0.9, and some of it in
httpcore2), and its HTTP/2 never tells a server that a stream was given up: what comes of it uses up the connection that
others are on. A connection that belongs to one exchange is just closed.
"""

from __future__ import annotations

import importlib
import math
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import unquote, urlsplit

import anyio

from ddg_protocol import FailureKind, SendRequest

from .transport import transport_error

_MOST_KEPT = 10
_CLOSING = 1.0  # seconds

#: What an exception means, by its name: httpcore's and httpcore2's, and those that they let through of h2 and socksio.
_KINDS = {
    "TimeoutError": FailureKind.TIMEOUT,
    "TimeoutException": FailureKind.TIMEOUT,
    "ConnectError": FailureKind.NOT_SENT,
    "ProxyError": FailureKind.NOT_SENT,
    "UnicodeError": FailureKind.NOT_SENT,  # no name that could be resolved
    "ConnectionNotAvailable": FailureKind.NOT_SENT,  # the peer went away, and said that it hadn't begun (RFC 9113, 6.8)
    "NetworkError": FailureKind.CUT,
    "LocalProtocolError": FailureKind.OTHER,
    "ProtocolError": FailureKind.CUT,
}


class Pool(Protocol):
    """What is used of an ``(Async)ConnectionPool``: it makes connections, set up as it is."""

    def create_connection(self, origin: Any) -> Any:
        """Make a connection, which connects with its first request."""


class _Kept(NamedTuple):
    """A connection with no exchange on it, and the stream that it is on."""

    connection: Any
    stream: Any

    def is_fresh(self) -> bool:
        """Tell whether it takes a request: it has not ended, and has nothing to read that nobody asked for."""
        return not (self.connection.has_expired() or self.stream.get_extra_info("is_readable"))


class _Base:
    """What the blocking and the async transport have in common: all that doesn't wait."""

    _pool_name: str

    def __init__(
        self,
        pool: Pool | None = None,
        *,
        proxy: str | None = None,
        http2: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        uds: str | None = None,
    ) -> None:
        self._library = library = _library_of(pool)
        self._kept: list[_Kept] = []
        self._lock = threading.Lock()  # around each use of `_kept`
        if pool is None:
            pool = getattr(library, self._pool_name)(
                ssl_context=ssl.create_default_context() if ssl_context is None else ssl_context,
                proxy=None if proxy is None else _proxy(library, proxy),
                http2=http2,
                uds=uds,
            )
        self._pool = pool

    def _take(self, origin: Any) -> _Kept | None:
        with self._lock:
            for index in reversed(range(len(self._kept))):
                if self._kept[index].connection.can_handle_request(origin):
                    return self._kept.pop(index)
        return None

    def _keep(self, kept: _Kept) -> bool:
        with self._lock:
            if kept.connection.is_available() and len(self._kept) < _MOST_KEPT:
                self._kept.append(kept)
                return True
        return False

    def _request(self, request: SendRequest, **extensions: Any) -> Any:
        fields = [("host", urlsplit(request.url).netloc), *request.headers]
        if request.method == "POST":
            fields.append(("content-length", str(len(request.body))))
        return self._library.Request(
            request.method,
            request.url,
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in fields],
            content=request.body,
            extensions=extensions,
        )


class HttpcoreTransport(_Base):
    """Sends requests over httpcore, in blocking code.

    A read waits for as long as `open` was told: httpcore can't be told with each.

    Args:
        pool: makes the connections; None for one with these settings. It stays the caller's.
        proxy: ``http://``, ``https://`` or ``socks5://``, with the credentials in it if it needs any.
        http2: whether to offer HTTP/2 to servers that speak TLS.
        ssl_context: for https; None makes the standard one, which trusts what the system trusts.
        uds: path of a unix socket to connect to, wherever a request goes.
    """

    _pool_name = "ConnectionPool"

    def open(self, request: SendRequest, *, timeout: float) -> _Exchange:
        """See `transport.Transport.open`."""
        limits = {"connect": min(request.timeout, timeout), "read": timeout, "write": timeout}
        sent = self._request(request, timeout=limits)
        while (kept := self._take(sent.url.origin)) is not None and not kept.is_fresh():
            kept.connection.close()
        connection = self._pool.create_connection(sent.url.origin) if kept is None else kept.connection
        try:
            with _meant(f"asking {sent.url.origin}"):
                response = connection.handle_request(sent)
        except BaseException:
            connection.close()
            raise
        return _Exchange(self, _Kept(connection, response.extensions["network_stream"]), response)

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._kept:
            self._kept.pop().connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Exchange:
    """A response to be read, in blocking code."""

    def __init__(self, transport: HttpcoreTransport, on: _Kept, response: Any) -> None:
        self.status: int = response.status
        self.headers = _text(response.headers)
        self._transport = transport
        self._on: _Kept | None = on
        self._body: Iterator[bytes] = iter(response.stream)

    def read(self, *, timeout: float) -> bytes:
        """See `transport.Exchange.read`."""
        with _meant("reading the response"):
            for data in self._body:
                if data:
                    return data
        if self._on is not None and self._transport._keep(self._on):
            self._on = None
        return b""

    def close(self) -> None:
        """See `transport.Exchange.close`."""
        on, self._on = self._on, None
        if on is not None:
            on.connection.close()


class AsyncHttpcoreTransport(_Base):
    """Sends requests over httpcore, on asyncio and trio.

    Args:
        pool: makes the connections; None for one with these settings. It stays the caller's.
        proxy: ``http://``, ``https://`` or ``socks5://``, with the credentials in it if it needs any.
        http2: whether to offer HTTP/2 to servers that speak TLS.
        ssl_context: for https; None makes the standard one, which trusts what the system trusts.
        uds: path of a unix socket to connect to, wherever a request goes.
    """

    _pool_name = "AsyncConnectionPool"

    async def open(self, request: SendRequest) -> _AsyncExchange:
        """See `transport.AsyncTransport.open`."""
        streams: list[Any] = []

        async def trace(event: str, info: Mapping[str, Any]) -> None:
            step = event.partition(".")[2]
            if step in ("connect_tcp.complete", "connect_unix_socket.complete"):
                streams.append(info["return_value"])
            elif step == "send_request_headers.started" and info["request"].method != b"CONNECT":
                connecting.deadline = math.inf  # connected, and through a proxy if there is one

        sent = self._request(request, trace=trace)
        while (kept := self._take(sent.url.origin)) is not None and not kept.is_fresh():
            await _aclose(kept.connection)
        connection = self._pool.create_connection(sent.url.origin) if kept is None else kept.connection
        try:
            with _meant(f"asking {sent.url.origin}"), anyio.fail_after(request.timeout) as connecting:
                response = await connection.handle_async_request(sent)
        except BaseException:
            # One that is cancelled during its TLS handshake is left open by the library, and out of its sight.
            await _aclose(connection, *streams)
            raise
        return _AsyncExchange(self, _Kept(connection, response.extensions["network_stream"]), response)

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        while self._kept:
            await _aclose(self._kept.pop().connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _AsyncExchange:
    """A response to be read, on asyncio and trio."""

    def __init__(self, transport: AsyncHttpcoreTransport, on: _Kept, response: Any) -> None:
        self.status: int = response.status
        self.headers = _text(response.headers)
        self._transport = transport
        self._on: _Kept | None = on
        self._body: AsyncIterator[bytes] = aiter(response.stream)

    async def read(self) -> bytes:
        """See `transport.AsyncExchange.read`."""
        with _meant("reading the response"):
            async for data in self._body:
                if data:
                    return data
        if self._on is not None and self._transport._keep(self._on):
            self._on = None
        return b""

    async def aclose(self) -> None:
        """See `transport.AsyncExchange.aclose`."""
        on, self._on = self._on, None
        if on is not None:
            await _aclose(on.connection)
            # Read to where it breaks: the generators inside must not be left to the garbage collector (PEP 525).
            with suppress(Exception):
                async for _ in self._body:
                    pass


async def _aclose(*resources: Any) -> None:
    for resource in resources:
        with anyio.move_on_after(_CLOSING, shield=True):
            await resource.aclose()


def _library_of(pool: Pool | None) -> Any:
    """Give the library that a pool is of; without a pool, the one that is installed."""
    bases = {base.__module__.partition(".")[0] for base in type(pool).__mro__}
    for name in ("httpcore", "httpcore2"):
        if pool is None or name in bases:
            with suppress(ModuleNotFoundError):
                return importlib.import_module(name)
    raise TypeError("the pool is neither httpcore's nor httpcore2's" if pool else "neither httpcore nor httpcore2 here")


def _proxy(library: Any, url: str) -> Any:
    parts = urlsplit(url)
    if parts.username is None:
        return library.Proxy(url)
    return library.Proxy(url, auth=(unquote(parts.username).encode(), unquote(parts.password or "").encode()))


def _text(headers: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


@contextmanager
def _meant(doing: str) -> Iterator[None]:
    """Raise what an exception of the library means: the one place where this is known. Others pass."""
    try:
        yield
    except Exception as error:
        kind = next((_KINDS[base.__name__] for base in type(error).__mro__ if base.__name__ in _KINDS), None)
        if kind is None:
            raise
        said: BaseException = error
        while said.__cause__ is not None:  # the library's own say less than what they were made of
            said = said.__cause__
        said = TimeoutError("timed out") if kind is FailureKind.TIMEOUT else said
        raise transport_error(said, doing, kind) from error
