"""The native drivers' layer in the form of transports, so that the contract of a transport can test it.

`WireSession`, the lines and the connections are under test; a stand-in for the session lets them carry any request.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import anyio
import msgspec

from ddg_protocol import NEED_DATA, PAUSED, Failure, FailureKind, Policy, SendRequest, Session, Signal, TransportError
from ddg_protocol.events import Heartbeat
from ddg_protocol.wire import Close, Connect, Send, WireSession
from ddg_transports import _async_lines, _lines, _sockets, _streams


class OneRequest:
    """A stand-in for a session: requests one exchange after another, and keeps the results."""

    def __init__(self) -> None:
        self.policy = Policy(read_timeout=10.0, write_timeout=10.0)
        self.request: SendRequest | None = None
        self.deadline: float | None = None
        self.news = False
        self._ids = 0

    def begin(self, request: SendRequest, deadline: float) -> None:
        self.request, self.deadline, self.given = request, deadline, False
        self.status, self.headers = 0, tuple[tuple[str, str], ...]()
        self.data: list[bytes] = []
        self.ended = False
        self.failure: Failure | None = None

    @property
    def read_by(self) -> float | None:
        return self.deadline

    def _new_id(self) -> int:
        self._ids += 1
        return self._ids

    def next_action(self, *, now: float) -> SendRequest | Signal | Heartbeat:
        if self.news:
            self.news = False
            return Heartbeat()  # an event to handle before more is read
        if self.request is None or self.failure is not None or self.ended:
            return PAUSED
        if not self.given:
            self.given = True
            return self.request
        if self.deadline is not None and now >= self.deadline:
            self.failure = Failure(FailureKind.TIMEOUT, "nothing came in time")
            return PAUSED
        return NEED_DATA

    def receive_head(self, _: SendRequest, status: int, headers: Iterable[tuple[str, str]], *, now: float) -> None:
        self.status, self.headers, self.news = status, tuple(headers), True

    def receive_data(self, _: SendRequest, data: bytes) -> None:
        self.data.append(data)
        self.news = True

    def receive_eof(self, _: SendRequest) -> None:
        self.ended = self.news = True

    def transport_failed(self, _: SendRequest, failure: Failure) -> None:
        self.failure = failure

    def cancel(self) -> None:
        self.request = None

    close = cancel

    def has_come(self, *, head: bool) -> bool:
        return bool(self.status) if head else bool(self.data) or self.ended

    def raise_failure(self) -> None:
        if self.failure is not None and not self.data:
            raise TransportError(self.failure.text, failure=self.failure)


def wire(session: OneRequest) -> WireSession:
    return WireSession(cast(Session, session))


class BlockingTransport:
    checks_idle = True

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.idle: list[tuple[OneRequest, _lines.WireLine]] = []

    def open(self, request: SendRequest, *, timeout: float) -> BlockingExchange:
        if self.idle:
            session, line = self.idle.pop()
        else:
            session = OneRequest()
            line = _lines.WireLine(wire(session), _sockets.tcp, lambda: self._context)
        return BlockingExchange(self, session, line, request, timeout)

    def close(self) -> None:
        for _, line in self.idle:
            line.close()


class BlockingExchange:
    def __init__(
        self,
        transport: BlockingTransport,
        session: OneRequest,
        line: _lines.WireLine,
        request: SendRequest,
        timeout: float,
    ) -> None:
        self._transport, self._session, self._line = transport, session, line
        self.closed = False
        session.begin(request, time.monotonic() + timeout)
        try:
            self._run(head=True)
        except BaseException:
            self.close()
            raise
        self.status, self.headers = session.status, session.headers

    def read(self, *, timeout: float) -> bytes:
        self._session.deadline = time.monotonic() + timeout
        self._run(head=False)
        return self._session.data.pop(0) if self._session.data else b""

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._session.cancel()
            self._rest()
            self._transport.idle.append((self._session, self._line))

    def _run(self, *, head: bool) -> None:
        while not self._session.has_come(head=head) and self._step() is not PAUSED:
            pass
        if self._session.failure or self._session.ended:
            self._rest()
        self._session.raise_failure()

    def _rest(self) -> None:
        while self._step() is not PAUSED:
            pass

    def _step(self) -> Any:
        action = self._line.session.next_action(now=time.monotonic())
        if isinstance(action, Send) and not self._transport.checks_idle:
            action = msgspec.structs.replace(action, check_idle=False)
        if isinstance(action, Connect | Send | Close) or action is NEED_DATA:
            tell = self._line.carry_out(action)
            if tell is not None:
                tell()
        return action


@contextmanager
def blocking(context: ssl.SSLContext) -> Iterator[BlockingTransport]:
    transport = BlockingTransport(context)
    try:
        yield transport
    finally:
        transport.close()


class AsyncTransport:
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.idle: list[tuple[OneRequest, _async_lines.AsyncWireLine]] = []

    async def open(self, request: SendRequest) -> AsyncExchange:
        if self.idle:
            session, line = self.idle.pop()
        else:
            session = OneRequest()
            line = _async_lines.AsyncWireLine(wire(session), _streams.tcp, lambda: self._context)
        exchange = AsyncExchange(self, session, line)
        session.begin(request, anyio.current_time() + 60)
        try:
            await exchange.run(head=True)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await exchange.aclose()
            raise
        exchange.status, exchange.headers = session.status, session.headers
        return exchange

    async def aclose(self) -> None:
        for _, line in self.idle:
            await line.aclose()


class AsyncExchange:
    status = 0
    headers: tuple[tuple[str, str], ...] = ()
    on_close: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, transport: AsyncTransport, session: OneRequest, line: _async_lines.AsyncWireLine) -> None:
        self._transport, self._session, self._line = transport, session, line
        self.closed = False

    async def read(self) -> bytes:
        await self.run(head=False)
        return self._session.data.pop(0) if self._session.data else b""

    async def aclose(self) -> None:
        if not self.closed:
            self.closed = True
            self._session.cancel()
            await self._rest()
            self._transport.idle.append((self._session, self._line))
            self.on_close()

    async def run(self, *, head: bool) -> None:
        while not self._session.has_come(head=head) and await self._step() is not PAUSED:
            pass
        if self._session.failure or self._session.ended:
            await self._rest()
        self._session.raise_failure()

    async def _rest(self) -> None:
        while await self._step() is not PAUSED:
            pass

    async def _step(self) -> Any:
        action = self._line.session.next_action(now=anyio.current_time())
        if isinstance(action, Connect | Send | Close) or action is NEED_DATA:
            tell = await self._line.carry_out(action)
            if tell is not None:
                tell()
        return action


@asynccontextmanager
async def on_anyio(context: ssl.SSLContext) -> AsyncIterator[AsyncTransport]:
    transport = AsyncTransport(context)
    try:
        yield transport
    finally:
        with anyio.CancelScope(shield=True):
            await transport.aclose()
