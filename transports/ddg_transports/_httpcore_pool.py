"""The code that the blocking and the async transport over httpcore share: its pool, and what the pool holds."""

from __future__ import annotations

import importlib
import math
import re
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, NoReturn, Self
from urllib.parse import unquote, urlsplit

import anyio

from ddg_protocol import FailureKind, SendRequest
from ddg_protocol.text import printable

from ._httpcore_streams import OWNER
from .transport import is_harmless, transport_error, verifying_context

_MOST_KEPT = 10

_PROXY_STATUS = re.compile(r"[1-9][0-9]{2}(?= )")
#: Texts of the library that quote nothing from the peer.
_KNOWN_TEXT = re.compile(
    r"Server disconnected(?: without sending a response\.)?|Invalid username/password"
    r"|Proxy Server could not connect: [A-Za-z ]{4,40}\."
)


MakePool = Callable[[Any], Any]
"""Takes a ``network_backend`` and returns a pool that uses it."""


class PooledConnection:
    """A connection as its pool sees it: it carries one exchange at a time, and is idle whenever it carries none.

    It is idle before its first exchange, too: a request that is cancelled after its pool has made a connection for it,
    and before it uses it, leaves it to the next request. (httpcore 1.0.9 would never use its place again.)

    A blocking pool calls `handle_request` and `close`, an async one `handle_async_request` and `aclose`.

    Args:
        connection: the library's connection.
        library: httpcore or httpcore2.

    Attributes:
        library: httpcore or httpcore2.
        stream: the newest stream that was made for it; closing it closes those that carry it.
        until: when blocking waits end, on the clock of `time.monotonic`.
        guard: held while the connection changes hands or its socket is shut down or closed; never during a wait.
    """

    def __init__(self, connection: Any, library: Any) -> None:
        self.library = library
        self.stream: Any = None
        self.until = self._whole = math.inf
        self.guard = threading.RLock()  # reentrant: a signal handler may close what is being closed
        self._connecting: anyio.CancelScope | None = None
        self._connection = connection
        self._body: Body | None = None  # of the exchange that it carries
        self._is_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def is_idle(self) -> bool:
        """Return whether it carries no exchange."""
        return self._body is None

    is_available = is_idle

    def is_closed(self) -> bool:
        """Return whether it is closed, or will be when its exchange is over."""
        return self._is_closed

    def is_connected(self) -> bool:
        """Return whether its pool must not forget it. httpcore2 asks this."""
        return True

    def can_multiplex(self) -> bool:
        """Return False. httpcore2 asks this."""
        return False

    def has_expired(self) -> bool:
        """Return whether an idle connection can't be used again: it ended, or the peer sent what nobody asked for."""
        with self.guard:
            if self._body is not None or self.stream is None or self._is_closed:
                return False
            return self.stream.is_readable() or bool(self._connection.has_expired())

    def handle_request(self, request: Any) -> Any:
        """Send a request and wait for the head of its response, at most until ``until`` of its extensions."""
        body = Body(self)
        try:
            self._begin(body, request)
            self._whole = request.extensions.get("until", math.inf)
            self.until = min(self._whole, time.monotonic() + _time_to_connect(request))
            return self._with_body(body, self._connection.handle_request(request))
        except BaseException:
            if self._body is body:
                self.abandon(body)
            raise

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request and wait for the head of its response."""
        body = Body(self)
        self._begin(body, request)
        try:
            with anyio.fail_after(_time_to_connect(request)) as self._connecting:
                return self._with_body(body, await self._connection.handle_async_request(request))
        except BaseException:
            await self.aabandon()
            raise

    def goes_out(self) -> None:
        """Allow the request the rest of its time, once; see `_httpcore_streams.Owner`."""
        self.until, self._whole = max(self.until, self._whole), -math.inf
        if self._connecting is not None:
            self._connecting.deadline = math.inf

    def end(self, body: Body) -> None:
        """End a blocking exchange."""
        with self.guard:
            if self._can_be_kept(body):
                self._body = None
            else:
                self.abandon(body)

    async def aend(self, body: Body) -> None:
        """End an async exchange."""
        if self._can_be_kept(body):
            self._body = None
        else:
            await self.aabandon()

    def abandon(self, body: Body) -> None:
        """Abandon a blocking exchange, and close the connection."""
        with self.guard:
            self._is_closed = True  # first: its place is free, even if this is interrupted
            if self._body is body:
                self._body = None
            self.close()

    async def aabandon(self) -> None:
        """Give up an async exchange, and close the connection."""
        self._body = None
        await self.aclose()

    def abort(self, body: Body) -> None:
        """End the waits of a blocking exchange from another thread."""
        with self.guard:
            if self._body is body:
                self._is_closed = True
                self.stream.abort()

    def close(self) -> None:
        """Close the connection, or let it be closed when its exchange is over."""
        with self.guard:
            self._is_closed = True
            if self._body is None:
                (self.stream or self._connection).close()

    async def aclose(self) -> None:
        """Close the connection, or let it be closed when its exchange is over."""
        self._is_closed = True
        if self._body is None:
            await (self.stream or self._connection).aclose()

    def _begin(self, body: Body, request: Any) -> None:
        with self.guard:
            if self._body is not None or self._is_closed:
                raise self.library.ConnectionNotAvailable
            self._body = body
        request.extensions["body"] = body  # the pool returns another one, if it is not interrupted before it does
        OWNER.set(self)  # and leave it: each connection sets itself before it is made

    def _with_body(self, body: Body, response: Any) -> Any:
        if self.stream is None:
            raise TypeError("the pool does not use the network_backend that it was given")
        body.stream, response.stream = response.stream, body
        return response

    def _can_be_kept(self, body: Body) -> bool:
        return body.is_complete and not self._is_closed and self._connection.is_available()


class Body:
    """The body of a response, blocking or async. Its pool closes it when the exchange is over.

    Args:
        connection: carries the exchange.

    Attributes:
        connection: carries the exchange.
        stream: the library's body, as soon as there is one.
        is_complete: whether all of it was read.
    """

    def __init__(self, connection: PooledConnection) -> None:
        self.connection = connection
        self.stream: Any = None
        self.is_complete = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.stream
        self.stream.close()
        self.is_complete = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self.stream:
            yield data
        await self.stream.aclose()
        self.is_complete = True

    def close(self) -> None:
        """End a blocking exchange; see `PooledConnection.end`."""
        self.connection.end(self)

    async def aclose(self) -> None:
        """End an async exchange; see `PooledConnection.aend`."""
        await self.connection.aend(self)


class _Content:
    """The body of a request: one piece, as often as the library asks for it.

    The library's own is an async generator. If the request is cancelled in the midst of it, it is left to the garbage
    collector, and trio warns of it.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._data,))

    def __aiter__(self) -> _Pieces:
        return _Pieces(self)


class _Pieces:
    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


def _time_to_connect(request: Any) -> float:
    timeout = request.extensions.get("timeout", {}).get("connect")
    return math.inf if timeout is None else timeout


class Library:
    """httpcore or httpcore2: its pool, its requests, its exceptions.

    Args:
        kind: the name of the library's class of pools.
        network: the network backend.
        pool: makes a pool; without one, the settings of `ddg_transports.httpcore` do.

    Attributes:
        pool: the pool, which holds `PooledConnection`.
    """

    def __init__(
        self,
        kind: str,
        network: Any,
        pool: MakePool | None,
        proxy: str | None,
        http2: bool,
        ssl_context: ssl.SSLContext | None,
        uds: str | None,
    ) -> None:
        if http2:
            _require("h2", "HTTP/2")
        made = pool and pool(network)
        self._library = library = library_of(made)
        self.pool: Any = made or getattr(library, kind)(
            ssl_context=ssl_context or verifying_context(),
            proxy=proxy and self._proxy(proxy),
            http2=http2,
            uds=uds,
            network_backend=network,
            max_connections=None,
            max_keepalive_connections=_MOST_KEPT,
        )
        create = self.pool.create_connection
        self.pool.create_connection = lambda origin: PooledConnection(create(origin), library)

    def request(self, request: SendRequest, **extensions: Any) -> Any:
        """Convert a request to the library's, adding only ``host`` and the framing."""
        fields = [("host", urlsplit(request.url).netloc), *request.headers]
        if request.method == "POST":
            fields.append(("content-length", str(len(request.body))))
        return self._library.Request(
            request.method,
            request.url,
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in fields],
            content=_Content(request.body),
            extensions=extensions,
        )

    def raise_meant(self, error: BaseException, doing: str) -> NoReturn:
        """Raise the `TransportError` that an exception of the library means, here and nowhere else.

        Raises:
            TransportError: the request has failed.
            BaseException: the given exception, if it is none of the library's.
        """
        kind = self._kind(error)
        if kind is None:
            raise error
        # The library's exceptions say less than their causes. Its pool removes the cause, but not the context.
        said = error.__cause__ or error.__context__ or error
        while said.__cause__ is not None:
            said = said.__cause__
        known = _known_text(error)
        if kind is FailureKind.TIMEOUT:
            said = TimeoutError("timed out")
        elif known:
            said = OSError(known)
        # The library's texts quote malformed header lines, and a traceback would show them.
        raise transport_error(said, doing, kind) from (error if is_harmless(said) and not known else None)

    def _kind(self, error: BaseException) -> FailureKind | None:
        library = self._library
        if isinstance(error, (TimeoutError, library.TimeoutException)):
            return FailureKind.TIMEOUT
        # UnicodeError: not a valid host name
        if isinstance(error, (library.ConnectError, library.ProxyError, UnicodeError, _of("socksio", "SOCKSError"))):
            return FailureKind.NOT_SENT
        if isinstance(error, library.LocalProtocolError):
            return FailureKind.OTHER
        if isinstance(error, (library.NetworkError, library.ProtocolError, _of("h2.exceptions", "ProtocolError"))):
            return FailureKind.CUT
        return None

    def _proxy(self, url: str) -> Any:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "socks5"):
            raise ValueError(f"a proxy is http://, https:// or socks5://, not {printable(parts.scheme)!r}")
        if not url.isascii():
            raise ValueError("the URL of a proxy is ASCII: write other characters as percent escapes")
        if parts.scheme == "socks5":
            _require("socksio", "a SOCKS proxy")
        if parts.username is None:
            return self._library.Proxy(url)
        return self._library.Proxy(url, auth=(unquote(parts.username).encode(), unquote(parts.password or "").encode()))


def _of(module: str, name: str) -> Any:
    """Return the class of another library's exceptions, or an empty tuple if it isn't loaded."""
    return getattr(sys.modules.get(module), name, ())


def library_of(pool: Any) -> Any:
    """Return the library that made a pool; without a pool, the one that is installed."""
    bases = {base.__module__.partition(".")[0] for base in type(pool).__mro__}
    for name in ("httpcore", "httpcore2"):
        if pool is None or name in bases:
            with suppress(ModuleNotFoundError):
                return importlib.import_module(name)
    if pool is None:
        raise ModuleNotFoundError("this needs httpcore or httpcore2: pip install httpcore")
    raise TypeError("the pool is from neither httpcore nor httpcore2")


def _require(module: str, purpose: str) -> None:
    # The library itself imports it only when it connects.
    if find_spec(module) is None:
        raise ModuleNotFoundError(f"{purpose} needs {module}: pip install {module}", name=module)


def text(headers: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Convert the header fields of a head to text."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _known_text(error: BaseException) -> str:
    """Return the text of a library's exception if it can't quote the peer; otherwise an empty text."""
    said = str(error)
    if refusal := _PROXY_STATUS.match(said):
        return f"the proxy answered {refusal[0]}"  # without the reason phrase that follows
    return said if _KNOWN_TEXT.fullmatch(said) else ""
