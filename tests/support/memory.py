"""The service itself as an async transport: no network, and no time but the event loop's."""

from __future__ import annotations

from urllib.parse import urlsplit

import anyio

from ddg_protocol import SendRequest
from ddg_protocol.service import Service, ServiceRequest, ServiceResponse


class InMemory:
    def __init__(self) -> None:
        self.service = Service()
        self.starts: list[float] = []

    async def open(self, request: SendRequest) -> InMemoryExchange:
        self.starts.append(anyio.current_time())
        parts = urlsplit(request.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        asked = ServiceRequest(request.method, target, request.headers, request.body)
        return InMemoryExchange(self.service.handle(asked, now=1_745_000_000.0))


class InMemoryExchange:
    def __init__(self, response: ServiceResponse) -> None:
        self.status, self.headers, self._pieces = response.status, response.headers, response.pieces

    async def read(self) -> bytes:
        return b"".join(piece.data for piece in self._pieces)

    async def aclose(self) -> None:
        self._pieces.close()
