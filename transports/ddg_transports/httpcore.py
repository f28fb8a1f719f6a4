"""Transports over `httpcore`, or its fork `httpcore2`: proxies, HTTP/2, unix sockets; blocking and async.

::

    with HttpcoreTransport(proxy="socks5://user:secret@127.0.0.1:1080", http2=True) as transport:
        with Client(transport=transport) as client:
            print(client.chat().ask("Why is the sky blue?").text)

For other settings, pass a pool of your own::

    HttpcoreTransport(lambda network: httpcore.ConnectionPool(network_backend=network, retries=2))

The pool only makes connections, over the given network backend, which bounds every wait and sees every byte. An
exchange has a connection to itself until it is over; idle connections are kept here and not in the pool, so the pool's
``max_connections`` has no effect. There are two reasons. A pool leaks the slot of a request that is cancelled at the
wrong moment (httpcore 1.0.9, and in part httpcore2). And its HTTP/2 never tells the server that a stream was abandoned,
so the rest of that stream uses up a connection that other streams share. A connection that belongs to one exchange is
just closed. A connection with bytes to read after the end of a response is closed too: nobody requested them.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

import anyio

from ddg_protocol import FailureKind, SendRequest

from ._httpcore import Connections, MakePool, goes_out, meant, text, was_not_sent
from ._httpcore_sockets import AsyncNetwork, BlockingNetwork, Clock
from .transport import transport_error

__all__ = ["AsyncHttpcoreTransport", "HttpcoreTransport"]

_CLOSING = 1.0  # seconds


class HttpcoreTransport:
    """Sends requests over httpcore, in blocking code.

    Args:
        pool: takes the ``network_backend`` and returns a pool that uses it. The other settings are then ignored.
        proxy: ``http://``, ``https://`` or ``socks5://``, with credentials if it needs any.
        http2: whether to offer HTTP/2 to servers that speak TLS.
        ssl_context: for https; None makes a default one with the system's trusted certificates.
        uds: path of a unix socket to connect to, for every request.
    """

    def __init__(
        self,
        pool: MakePool | None = None,
        *,
        proxy: str | None = None,
        http2: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        uds: str | None = None,
    ) -> None:
        self._clock = Clock()
        network = BlockingNetwork(self._clock)
        self._connections = Connections("ConnectionPool", pool, proxy, http2, ssl_context, uds, network)

    def open(self, request: SendRequest, *, timeout: float) -> _Exchange:
        """See `transport.Transport.open`."""
        until = time.monotonic() + timeout
        streams: list[Any] = []

        def trace(event: str, info: Mapping[str, Any]) -> None:
            if goes_out(event, info, streams):
                self._clock.until = until

        sent = self._connections.request(request, trace=trace)
        for ended in self._connections.take_ended():
            ended.close()
        while True:
            connection, is_kept = self._connections.take(sent.url.origin)
            self._clock.until = min(until, time.monotonic() + request.timeout)
            try:
                with meant(f"asking {sent.url.origin}"):
                    response = connection.handle_request(sent)
                return _Exchange(self._connections, self._clock, connection, response)
            except BaseException as error:
                for each in (connection, *streams):  # the library leaves them open if it fails in between
                    each.close()
                if not (is_kept and was_not_sent(error)):
                    raise

    def close(self) -> None:
        """Close the kept connections."""
        for connection in self._connections.take_all():
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Exchange:
    """A response, in blocking code."""

    def __init__(self, connections: Connections, clock: Clock, connection: Any, response: Any) -> None:
        self.status: int = response.status
        self.headers = text(response.headers)
        self._connections = connections
        self._clock = clock
        self._connection = connection
        self._response = response
        self._body: Iterator[bytes] = iter(response.stream)
        self._is_broken = False

    def read(self, *, timeout: float) -> bytes:
        """See `transport.Exchange.read`."""
        self._clock.until = time.monotonic() + timeout
        if self._is_broken:
            raise transport_error(OSError("it was interrupted"), "reading the response", FailureKind.CUT)
        try:
            with meant("reading the response"):
                for data in self._body:
                    if data:
                        return data
                self._response.close()
        except BaseException:
            # The body's iterator would now end as if the response were complete. And httpcore 1.0.9 reports a
            # connection as available before it has reset it: an interruption in between leaves one that can't be used.
            self._is_broken = True
            self.close()
            raise
        if self._connection is not None and self._connections.keep(self._connection, self._response):
            self._connection = None
        return b""

    def close(self) -> None:
        """See `transport.Exchange.close`."""
        if self._connection is not None:
            self._connection.close()


class AsyncHttpcoreTransport:
    """Sends requests over httpcore, on asyncio and trio.

    Args:
        pool: takes the ``network_backend`` and returns a pool that uses it. The other settings are then ignored.
        proxy: ``http://``, ``https://`` or ``socks5://``, with credentials if it needs any.
        http2: whether to offer HTTP/2 to servers that speak TLS.
        ssl_context: for https; None makes a default one with the system's trusted certificates.
        uds: path of a unix socket to connect to, for every request.
    """

    def __init__(
        self,
        pool: MakePool | None = None,
        *,
        proxy: str | None = None,
        http2: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        uds: str | None = None,
    ) -> None:
        self._connections = Connections("AsyncConnectionPool", pool, proxy, http2, ssl_context, uds, AsyncNetwork())

    async def open(self, request: SendRequest) -> _AsyncExchange:
        """See `transport.AsyncTransport.open`."""
        streams: list[Any] = []

        async def trace(event: str, info: Mapping[str, Any]) -> None:
            if goes_out(event, info, streams):
                connecting.deadline = math.inf

        sent = self._connections.request(request, trace=trace)
        await _aclose(*self._connections.take_ended())
        while True:
            connection, is_kept = self._connections.take(sent.url.origin)
            try:
                with meant(f"asking {sent.url.origin}"), anyio.fail_after(request.timeout) as connecting:
                    response = await connection.handle_async_request(sent)
                return _AsyncExchange(self._connections, connection, response)
            except BaseException as error:
                await _aclose(connection, *streams)  # the library leaves them open if it ends in between
                if not (is_kept and was_not_sent(error)):
                    raise

    async def aclose(self) -> None:
        """Close the kept connections."""
        await _aclose(*self._connections.take_all())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _AsyncExchange:
    """A response, on asyncio and trio."""

    def __init__(self, connections: Connections, connection: Any, response: Any) -> None:
        self.status: int = response.status
        self.headers = text(response.headers)
        self._connections = connections
        self._connection = connection
        self._response = response
        self._body: AsyncIterator[bytes] = aiter(response.stream)

    async def read(self) -> bytes:
        """See `transport.AsyncExchange.read`."""
        with meant("reading the response"):
            async for data in self._body:
                if data:
                    return data
            await self._response.aclose()
        if self._connection is not None and self._connections.keep(self._connection, self._response):
            self._connection = None
        return b""

    async def aclose(self) -> None:
        """See `transport.AsyncExchange.aclose`."""
        if self._connection is not None:
            await _aclose(self._connection)
            # Read until it fails: the generators inside must not be left to the garbage collector (PEP 525).
            with suppress(Exception):
                async for _ in self._body:
                    pass


async def _aclose(*resources: Any) -> None:
    for resource in resources:
        with anyio.move_on_after(_CLOSING, shield=True):
            await resource.aclose()
