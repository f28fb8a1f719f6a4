"""A transport over aiohttp, on asyncio: `python examples/over_aiohttp.py "Why is the sky blue?"` asks the emulator."""

from __future__ import annotations

import asyncio
import ssl
import sys

import aiohttp
from yarl import URL

from ddg_protocol import DUCKDUCKGO_2025_04, FailureKind, SendRequest, TransportError
from ddg_transports.anyio import AsyncClient
from ddg_transports.emulator import Emulator
from ddg_transports.transport import transport_error

HEAD = 128 * 1024  # bytes; a token alone may have 64 KiB


class OverAiohttp:
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    async def open(self, request: SendRequest) -> AiohttpExchange:
        response = await self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body if request.method == "POST" else None,
            timeout=aiohttp.ClientTimeout(total=None, connect=request.timeout),
            allow_redirects=False,
        )
        return AiohttpExchange(response)

    async def __aenter__(self) -> OverAiohttp:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context, limit=0),
            middlewares=[at_once],
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=Response,
            skip_auto_headers=["accept", "accept-encoding", "content-type", "user-agent"],
            auto_decompress=False,
            max_line_size=HEAD,
            max_field_size=HEAD,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()


class Response(aiohttp.ClientResponse):
    def close(self) -> None:
        """Close without a goodbye of TLS, for which asyncio would wait half a minute."""
        if self.connection is not None and self.connection.transport is not None:
            self.connection.transport.abort()
        super().close()


async def at_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Let no failure reach aiohttp, which would make a GET again."""
    try:
        return await send(request)
    except (aiohttp.ClientError, OSError) as error:
        raise failed(error) from None


class AiohttpExchange:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers)
        self._response = response

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise failed(error) from None

    async def aclose(self) -> None:
        self._response.close()


def failed(error: Exception) -> TransportError:
    # Raised from None: a traceback would show what a library's exception quotes of a head.
    if isinstance(error, aiohttp.ClientConnectorError):
        within = (
            error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error.os_error
        )
        return transport_error(within, "connecting", FailureKind.NOT_SENT)
    return transport_error(error, "the exchange broke", FailureKind.CUT)


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with Emulator() as emulator:
        profile = DUCKDUCKGO_2025_04.at(emulator.url)
        transport = OverAiohttp(ssl.create_default_context())
        async with transport, AsyncClient(profile, transport=transport) as client:
            print((await client.chat().ask(question)).text)


if __name__ == "__main__":
    asyncio.run(main())
