"""A transport over httpx: `python examples/over_httpx.py "Why is the sky blue?"` asks the emulator.

It uses httpx's transport, for a `Client` keeps cookies and reads the environment. On asyncio and on trio.
"""

from __future__ import annotations

import ssl
import sys
from contextlib import suppress
from typing import Any

import anyio
import httpx

from ddg_protocol import DUCKDUCKGO_2025_04, FailureKind, SendRequest, TransportError
from ddg_transports.anyio import AsyncClient
from ddg_transports.emulator import Emulator
from ddg_transports.transport import transport_error


class OverHttpx:
    def __init__(self, context: ssl.SSLContext) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=10)
        self._transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)

    async def open(self, request: SendRequest) -> HttpxExchange:
        limits = httpx.Timeout(None, connect=request.timeout).as_dict()
        streams: list[Any] = []

        async def trace(event: str, info: dict[str, Any]) -> None:
            if event.endswith(".connect_tcp.complete"):
                streams.append(info["return_value"])

        sent = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            content=request.body if request.method == "POST" else None,
            extensions={"timeout": limits, "trace": trace},
        )
        try:
            return HttpxExchange(await self._transport.handle_async_request(sent))
        except BaseException as error:
            for stream in streams:  # which httpx forgets, where a TLS handshake is cancelled
                with anyio.move_on_after(1, shield=True):
                    await stream.aclose()
            if isinstance(error, httpx.TransportError):
                raise failed(error) from None
            raise

    async def __aenter__(self) -> OverHttpx:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.aclose()


class HttpxExchange:
    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
        self._response = response
        self._body = response.aiter_raw()

    async def read(self) -> bytes:
        try:
            return await anext(self._body, b"")
        except httpx.TransportError as error:
            raise failed(error) from None

    async def aclose(self) -> None:
        await self._response.aclose()
        with suppress(httpx.TransportError, httpx.StreamError):  # so that no generator is left half done (PEP 525)
            async for _ in self._body:
                pass


def failed(error: Exception) -> TransportError:
    # Raised from None: a traceback would show what a library's exception quotes of a head.
    root: BaseException = error
    while (within := root.__cause__ or root.__context__) is not None:
        root = within
    match error:
        case httpx.TimeoutException():
            return transport_error(TimeoutError("timed out"), "waiting")
        case httpx.ConnectError() | httpx.ProxyError() | httpx.UnsupportedProtocol():
            return transport_error(root, "connecting", FailureKind.NOT_SENT)
    return transport_error(root, "the exchange broke", FailureKind.CUT)


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with Emulator() as emulator:
        profile = DUCKDUCKGO_2025_04.at(emulator.url)
        transport = OverHttpx(ssl.create_default_context())
        async with transport, AsyncClient(profile, transport=transport) as client:
            print((await client.chat().ask(question)).text)


if __name__ == "__main__":
    anyio.run(main)
