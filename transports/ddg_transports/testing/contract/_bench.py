"""The bench on which a check runs: it starts the peers, and has one shape for transports of both worlds."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any

import anyio

from ddg_protocol import SendRequest

from ...transport import AsyncExchange, AsyncTransport, Exchange, Transport, verifying_context
from ..peer import CERTIFICATES, Peer, Said
from ._steps import read_all

Factory = Callable[["Context"], AbstractContextManager[Transport] | AbstractAsyncContextManager[AsyncTransport]]
"""Makes a transport that trusts for https what the given context trusts, and nothing else."""


class Context(ssl.SSLContext):
    """The TLS context for a factory. Made by `trusting`.

    Attributes:
        cafile: the file (PEM) with the one certificate that it trusts, for libraries that take no context.
    """

    cafile: str


def trusting(ca: str = "ca") -> Context:
    """Return a context that trusts one CA of the contract's peers, and no other.

    Args:
        ca: ``"ca"``, which signed their certificates, or ``"other-ca"``, which signed none.
    """
    cafile = str(CERTIFICATES / f"{ca}.pem")
    like = verifying_context(cafile)
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    context.options, context.verify_flags = like.options, like.verify_flags
    context.load_verify_locations(cafile)
    context.cafile = cafile
    return context


class Bench:
    """The helpers of a check. For a blocking transport, none of its coroutines ever waits."""

    patience = 60.0  # seconds that a check may take
    slack = 2.0  # seconds that a result may be late on a busy machine
    timeout = 5.0  # seconds; the timeout passed to a blocking transport

    def __init__(self, factory: Factory, tls: bool) -> None:
        self.tls = tls
        self._factory = factory
        self._peers: list[Peer] = []

    def peer(self, *replies: Said, certificate: str = "loopback", **settings: Any) -> Peer:
        """Start a peer; it stops at the end of the check."""
        if self.tls and "tls" not in settings:
            settings["certificate"] = CERTIFICATES / f"{certificate}.pem"
        peer = Peer(*replies, **settings)
        self._peers.append(peer.__enter__())
        return peer

    def stop(self) -> None:
        """Stop the peers."""
        for peer in self._peers:
            peer.close()

    @asynccontextmanager
    async def made(self, context: Context) -> AsyncIterator[Any]:
        """Make a transport, and give it as the factory made it; the end of the block closes it."""
        manager: Any = self._factory(context)
        with manager as transport:
            yield transport

    @asynccontextmanager
    async def transport(self, context: Context | None = None) -> AsyncIterator[AsyncTransport]:
        """Make a transport; the end of the block closes it."""
        async with self.made(context or trusting()) as transport:
            yield _Awaitable(transport, self)

    @asynccontextmanager
    async def opened(self, transport: AsyncTransport, request: SendRequest) -> AsyncIterator[AsyncExchange]:
        """Open an exchange; the end of the block closes it."""
        exchange = await transport.open(request)
        try:
            yield exchange
        finally:
            await self.close(exchange)

    async def answer(self, transport: AsyncTransport, request: SendRequest) -> bytes:
        """Carry out a complete exchange.

        Returns:
            The response's body.
        """
        async with self.opened(transport, request) as exchange:
            return await read_all(exchange)

    async def close(self, exchange: AsyncExchange) -> None:
        """Close an exchange as the driver does."""
        await exchange.aclose()

    async def pause(self, seconds: float) -> None:
        """Wait for some time."""
        time.sleep(seconds)

    def tasks(self) -> int:
        """Return the number of tasks."""
        return 0


class AsyncBench(Bench):
    @asynccontextmanager
    async def made(self, context: Context) -> AsyncIterator[Any]:
        manager: Any = self._factory(context)
        async with manager as transport:
            yield transport

    @asynccontextmanager
    async def transport(self, context: Context | None = None) -> AsyncIterator[AsyncTransport]:
        async with self.made(context or trusting()) as transport:
            yield transport

    async def close(self, exchange: AsyncExchange) -> None:
        with anyio.move_on_after(1, shield=True):
            await exchange.aclose()

    async def pause(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    def tasks(self) -> int:
        return len(anyio.get_running_tasks())


class _Awaitable:
    """A blocking transport in the shape of an async one."""

    def __init__(self, transport: Transport, bench: Bench) -> None:
        self._transport = transport
        self._bench = bench

    async def open(self, request: SendRequest) -> _AwaitableExchange:
        return _AwaitableExchange(self._transport.open(request, timeout=self._bench.timeout), self._bench)


class _AwaitableExchange:
    def __init__(self, exchange: Exchange, bench: Bench) -> None:
        self._exchange = exchange
        self._bench = bench

    @property
    def status(self) -> int:
        return self._exchange.status

    @property
    def headers(self) -> Iterable[tuple[str, str]]:
        return self._exchange.headers

    async def read(self) -> bytes:
        return self._exchange.read(timeout=self._bench.timeout)

    async def aclose(self) -> None:
        self._exchange.close()
