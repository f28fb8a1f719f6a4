"""A `Session` over an async transport; `_exchanges` says the same, in the same order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from ddg_protocol import SendRequest, TransportError

from ._client import Action, Tell
from ._scope import Scope
from .transport import AsyncExchange, AsyncTransport

if TYPE_CHECKING:
    from ddg_protocol.tap import DrivenSession

_CLOSING = 1.0  # seconds that an exchange may take to close


class AsyncRequestLine:
    """Carries out what a `Session` asks, over an async transport.

    Args:
        session: what asks.
        transport: sends its requests.
    """

    def __init__(self, session: DrivenSession, transport: AsyncTransport) -> None:
        self.session = session
        self._transport = transport
        self._request: SendRequest | None = None
        self._exchange: AsyncExchange | None = None

    def scope(self, action: Action, deadline: float) -> Scope:
        """Give what is entered around an action that is carried out, to bound it."""
        return anyio.CancelScope(deadline=deadline)

    async def carry_out(self, action: Action) -> Tell:
        """Open an exchange, or read from it; what the session is to be told of it."""
        session = self.session
        if type(action) is SendRequest:
            await self.leave()
            self._request = action
        request = self._request
        assert request is not None
        try:
            if type(action) is SendRequest:
                opened = await self._transport.open(action)
                if self._request is not action:  # it was left meanwhile, by another task
                    await _aclose(opened)
                    return None
                self._exchange = opened
                return partial(session.receive_head, action, opened.status, opened.headers, now=anyio.current_time())
            assert self._exchange is not None
            data = await self._exchange.read()
        except TransportError as error:
            return partial(session.transport_failed, request, error.failure)
        return partial(session.receive_data, request, data) if data else partial(session.receive_eof, request)

    async def leave(self) -> None:
        """Close the exchange: nothing more of it is wanted. It can't be cancelled, and it is bounded in time."""
        exchange, self._exchange, self._request = self._exchange, None, None
        if exchange is not None:
            await _aclose(exchange)

    aclose = leave


async def _aclose(exchange: AsyncExchange) -> None:
    with anyio.move_on_after(_CLOSING, shield=True):
        await exchange.aclose()
