"""Transports over `httpcore`, or its fork `httpcore2`: proxies, HTTP/2, unix sockets; blocking and async.

::

    with HttpcoreTransport(proxy="socks5://user:secret@127.0.0.1:1080", http2=True) as transport:
        with Client(transport=transport) as client:
            print(client.chat().ask("Why is the sky blue?").text)

For other settings, pass a pool of your own::

    HttpcoreTransport(lambda network: httpcore.ConnectionPool(network_backend=network, retries=2))

Every request goes through the pool, and takes a place in it until its exchange is closed: ``max_connections`` bounds
how many are under way, also together with requests of your own over the same pool. A connection carries one
exchange at a time, over HTTP/2 too: the libraries never tell a server that a stream was abandoned (seen in httpcore
1.0.9 and httpcore2 2.16.2), so the rest of that stream would use up a connection that others share. A connection whose
exchange was abandoned is closed, and so is one with bytes to read after the end of a response: nobody requested them.

A request that is cancelled costs no place, wherever that happens, and neither does one that is interrupted (Ctrl-C) and
whose exchange is closed then. Only an interrupt in the few lines of the pool that queue a request or take it out again
may cost a place. A pool that is made here has no limit on its connections, and keeps ten.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, ClassVar, Self

from ddg_protocol import FailureKind, SendRequest

from ._httpcore_pool import Body, Library, MakePool, text
from ._httpcore_streams import AsyncNetwork, BlockingNetwork
from .transport import transport_error

__all__ = ["AsyncHttpcoreTransport", "HttpcoreTransport"]

_READING = "reading the response"


class _Transport:
    _kind: ClassVar[str]
    _network: ClassVar[type]

    def __init__(
        self,
        pool: MakePool | None = None,
        *,
        proxy: str | None = None,
        http2: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        uds: str | None = None,
    ) -> None:
        self._library = Library(self._kind, self._network(), pool, proxy, http2, ssl_context, uds)


class _Response:
    def __init__(self, library: Library, response: Any, body: Body) -> None:
        self.status: int = response.status
        self.headers = text(response.headers)
        self._library = library
        self._response = response
        self._body = body

    def _end(self) -> bytes:
        if not self._body.is_complete:
            raise transport_error(OSError("it was interrupted"), _READING, FailureKind.CUT)
        return b""


class HttpcoreTransport(_Transport):
    """Sends requests over httpcore, in blocking code.

    Args:
        pool: takes the ``network_backend`` and returns a pool that uses it. The other settings are then ignored.
        proxy: ``http://``, ``https://`` or ``socks5://``, with credentials if it needs any.
        http2: whether to offer HTTP/2 to servers that speak TLS.
        ssl_context: for https; None makes a default one with the system's trusted certificates.
        uds: path of a unix socket to connect to, for every request.
    """

    _kind = "ConnectionPool"
    _network = BlockingNetwork

    def open(self, request: SendRequest, *, timeout: float) -> _Exchange:
        """See `transport.Transport.open`."""
        timeouts = {"connect": request.timeout, "pool": timeout}
        sent = self._library.request(request, timeout=timeouts, until=time.monotonic() + timeout)
        try:
            response = self._library.pool.handle_request(sent)
            return _Exchange(self._library, response, sent.extensions["body"])
        except BaseException as error:
            if body := sent.extensions.get("body"):  # it may have been interrupted, even after the pool was done
                body.connection.abandon(body)
            self._library.raise_meant(error, f"asking {sent.url.origin}")

    def close(self) -> None:
        """Close the pool's connections; those in use when their exchanges are over."""
        self._library.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Exchange(_Response):
    """A response, in blocking code. Its place in the pool is taken until it is closed."""

    def __init__(self, library: Library, response: Any, body: Body) -> None:
        super().__init__(library, response, body)
        self._data: Iterator[bytes] = iter(self._body)

    def read(self, *, timeout: float) -> bytes:
        """See `transport.Exchange.read`."""
        self._body.connection.until = time.monotonic() + timeout
        try:
            for data in self._data:
                if data:
                    return data
        except BaseException as error:
            self._library.raise_meant(error, _READING)
        return self._end()

    def abort(self) -> None:
        """See `transport.AbortableExchange.abort`."""
        self._body.connection.abort(self._body)

    def close(self) -> None:
        """See `transport.Exchange.close`."""
        try:
            self._response.close()
        except BaseException:  # it was interrupted
            self._body.connection.abandon(self._body)
            raise


class AsyncHttpcoreTransport(_Transport):
    """Sends requests over httpcore, on asyncio and trio.

    Args:
        pool: takes the ``network_backend`` and returns a pool that uses it. The other settings are then ignored.
        proxy: ``http://``, ``https://`` or ``socks5://``, with credentials if it needs any.
        http2: whether to offer HTTP/2 to servers that speak TLS.
        ssl_context: for https; None makes a default one with the system's trusted certificates.
        uds: path of a unix socket to connect to, for every request.
    """

    _kind = "AsyncConnectionPool"
    _network = AsyncNetwork

    async def open(self, request: SendRequest) -> _AsyncExchange:
        """See `transport.AsyncTransport.open`."""
        sent = self._library.request(request, timeout={"connect": request.timeout})
        try:
            response = await self._library.pool.handle_async_request(sent)
        except BaseException as error:
            self._library.raise_meant(error, f"asking {sent.url.origin}")
        return _AsyncExchange(self._library, response, sent.extensions["body"])

    async def aclose(self) -> None:
        """Close the pool's connections; those in use when their exchanges are over."""
        await self._library.pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _AsyncExchange(_Response):
    """A response, on asyncio and trio. Its place in the pool is taken until it is closed."""

    def __init__(self, library: Library, response: Any, body: Body) -> None:
        super().__init__(library, response, body)
        self._data: AsyncIterator[bytes] = aiter(self._body)

    async def read(self) -> bytes:
        """See `transport.AsyncExchange.read`."""
        try:
            async for data in self._data:
                if data:
                    return data
        except BaseException as error:
            self._library.raise_meant(error, _READING)
        return self._end()

    async def aclose(self) -> None:
        """See `transport.AsyncExchange.aclose`."""
        await self._response.aclose()
        # Read until it fails: the generators inside must not be left to the garbage collector (PEP 525).
        with suppress(Exception):
            async for _ in self._data:
                pass
