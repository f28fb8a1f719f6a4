"""A `Session` over a transport. `_async_lines` is the async version of this module, in the same order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ddg_protocol import SendRequest, TransportError

from ._client import Action, Tell
from ._waits import Wake
from .transport import Exchange, Transport

if TYPE_CHECKING:
    from ddg_protocol.tap import DrivenSession


class RequestLine:
    """Carries out the intents of a `Session` over a transport.

    Args:
        session: the session.
        transport: sends its requests.
        clock: the client's clock.

    Attributes:
        wake: ends a wait from another thread; of the transport's own waits, only the reads that it can abort.
    """

    def __init__(self, session: DrivenSession, transport: Transport, clock: Callable[[], float]) -> None:
        self.session = session
        self._transport = transport
        self._clock = clock
        self.wake = Wake()
        self._request: SendRequest | None = None
        self._exchange: Exchange | None = None

    def carry_out(self, action: Action) -> Tell:
        """Open an exchange or read from it, and return the report for the session."""
        session, until = self.session, self.session.deadline
        assert until is not None, "an exchange always has a deadline"
        left = max(0.001, until - self._clock())
        if type(action) is SendRequest:
            self.leave()
            self._request = action
        request = self._request
        assert request is not None
        try:
            if type(action) is SendRequest:
                self._exchange = opened = self._transport.open(action, timeout=left)
                self.wake.ends(getattr(opened, "abort", None))
                return partial(session.receive_head, action, opened.status, opened.headers, now=self._clock())
            assert self._exchange is not None
            data = self._exchange.read(timeout=left)
        except TransportError as error:
            return partial(session.transport_failed, request, error.failure)
        return partial(session.receive_data, request, data) if data else partial(session.receive_eof, request)

    def leave(self) -> None:
        """Close the exchange."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self.wake.ends(None)
            exchange.close()

    close = leave
