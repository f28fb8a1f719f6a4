"""A `Session` over an async transport. `_lines` is the blocking version of this module, in the same order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from ddg_protocol import SendRequest, TransportError

from ._client import Action, Tell
from .transport import AsyncExchange, AsyncTransport

if TYPE_CHECKING:
    from ddg_protocol.tap import DrivenSession

_CLOSING = 1.0  # seconds that an exchange may take to close


class AsyncRequestLine:
    """Carries out the intents of a `Session` over an async transport.

    Args:
        session: the session.
        transport: sends its requests.
    """

    own_stream = None

    def __init__(self, session: DrivenSession, transport: AsyncTransport) -> None:
        self.session = session
        self._transport = transport
        self._request: SendRequest | None = None
        self._exchange: AsyncExchange | None = None

    async def carry_out(self, action: Action) -> Tell:
        """Open an exchange or read from it, and return the report for the session."""
        session = self.session
        if type(action) is SendRequest:
            await self.leave()
            self._request = action
        request = self._request
        assert request is not None
        try:
            if type(action) is SendRequest:
                opened = await self._transport.open(action)
                if self._request is not action:  # another task left it meanwhile
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
        """Close the exchange. Closing is shielded from cancellation and bounded in time."""
        exchange, self._exchange, self._request = self._exchange, None, None
        if exchange is not None:
            await _aclose(exchange)

    aclose = leave


async def _aclose(exchange: AsyncExchange) -> None:
    with anyio.move_on_after(_CLOSING, shield=True):
        await exchange.aclose()
