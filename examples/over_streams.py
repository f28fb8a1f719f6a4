"""A transport on asyncio's streams: `python examples/over_streams.py "Why is the sky blue?"` asks the emulator.

h11 speaks HTTP/1.1 and `asyncio.open_connection` carries it; each exchange has a connection of its own.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from urllib.parse import urlsplit

import h11

from ddg_protocol import DUCKDUCKGO_2025_04, FailureKind, SendRequest
from ddg_transports.anyio import AsyncClient
from ddg_transports.emulator import Emulator
from ddg_transports.transport import transport_error


class OverStreams:
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    async def open(self, request: SendRequest) -> StreamsExchange:
        url = urlsplit(request.url)
        tls = url.scheme == "https"
        try:
            async with asyncio.timeout(request.timeout):
                reader, writer = await asyncio.open_connection(
                    url.hostname, url.port or (443 if tls else 80), ssl=self._context if tls else None
                )
        except OSError as error:
            raise transport_error(error, f"connecting to {url.netloc}", FailureKind.NOT_SENT) from None
        exchange = StreamsExchange(reader, writer)
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        length = [("content-length", str(len(request.body)))] if request.method == "POST" else []
        fields = [("host", url.netloc), *request.headers, *length]
        try:
            await exchange.send(h11.Request(method=request.method, target=target, headers=fields), request.body)
        except BaseException:
            await exchange.aclose()
            raise
        return exchange

    async def __aenter__(self) -> OverStreams:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass  # nothing is kept


class StreamsExchange:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=128 * 1024)
        self.status = 0
        self.headers: tuple[tuple[str, str], ...] = ()

    async def send(self, head: h11.Request, body: bytes) -> None:
        """Send a request, and receive the head of its response."""
        data = b"".join(filter(None, map(self._http.send, (head, h11.Data(data=body), h11.EndOfMessage()))))
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise transport_error(error, "sending", FailureKind.CUT) from None
        while not isinstance(event := await self._next(), h11.Response):
            pass  # an interim response
        self.status = event.status_code
        self.headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)

    async def read(self) -> bytes:
        event = await self._next() if self._http.their_state is h11.SEND_BODY else None
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _next(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(65536))
        except (h11.RemoteProtocolError, OSError) as error:
            # From None: a traceback would show what h11's exception quotes of a head.
            raise transport_error(error, "reading", FailureKind.CUT) from None
        return event

    async def aclose(self) -> None:
        self._writer.transport.abort()  # without a goodbye of TLS, for which asyncio would wait half a minute


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with Emulator() as emulator:
        profile = DUCKDUCKGO_2025_04.at(emulator.url)
        transport = OverStreams(ssl.create_default_context())
        async with transport, AsyncClient(profile, transport=transport) as client:
            print((await client.chat().ask(question)).text)


if __name__ == "__main__":
    asyncio.run(main())
