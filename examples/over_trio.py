"""A transport on a raw trio stream: `python examples/over_trio.py "Why is the sky blue?"` asks the emulator.

h11 speaks HTTP/1.1 and trio carries it; each exchange has a connection of its own.
"""

from __future__ import annotations

import ssl
import sys
from urllib.parse import urlsplit

import h11
import trio

from ddg_protocol import DUCKDUCKGO_2025_04, FailureKind, SendRequest, TransportError
from ddg_transports.anyio import AsyncClient
from ddg_transports.emulator import Emulator
from ddg_transports.transport import transport_error


class OverTrio:
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    async def open(self, request: SendRequest) -> TrioExchange:
        url = urlsplit(request.url)
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        length = [("content-length", str(len(request.body)))] if request.method == "POST" else []
        fields = [("host", url.netloc), *request.headers, *length]
        exchange = TrioExchange(
            await self._connect(url.hostname or "", url.port, url.scheme == "https", request.timeout)
        )
        try:
            head = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
            await exchange.send(h11.Request(method=request.method, target=target, headers=head), request.body)
            await exchange.receive_head()
        except BaseException:
            await exchange.aclose()
            raise
        return exchange

    async def _connect(self, host: str, port: int | None, tls: bool, timeout: float) -> trio.abc.Stream:
        stream: trio.abc.Stream | None = None
        try:
            with trio.fail_after(timeout):
                stream = await trio.open_tcp_stream(host, port or (443 if tls else 80))
                if tls:
                    stream = trio.SSLStream(stream, self._context, server_hostname=host, https_compatible=True)
                    await stream.do_handshake()
                return stream
        except BaseException as error:
            if stream is not None:
                await trio.aclose_forcefully(stream)
            if isinstance(error, OSError | trio.BrokenResourceError | trio.TooSlowError):
                raise failed(error, f"connecting to {host}", FailureKind.NOT_SENT) from None
            raise

    async def __aenter__(self) -> OverTrio:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass  # nothing is kept


class TrioExchange:
    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=128 * 1024)
        self.status = 0
        self.headers: tuple[tuple[str, str], ...] = ()

    async def send(self, head: h11.Request, body: bytes) -> None:
        data = b"".join(filter(None, map(self._http.send, (head, h11.Data(data=body), h11.EndOfMessage()))))
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise failed(error, "sending", FailureKind.CUT) from None

    async def receive_head(self) -> None:
        while not isinstance(event := await self._next(), h11.Response):
            pass
        self.status = event.status_code
        self.headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)

    async def read(self) -> bytes:
        event = await self._next() if self._http.their_state is h11.SEND_BODY else None
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _next(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(bytes(await self._stream.receive_some()))
        except (h11.RemoteProtocolError, trio.BrokenResourceError) as error:
            raise failed(error, "reading", FailureKind.CUT) from None
        return event

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)


def failed(error: BaseException, doing: str, otherwise: FailureKind) -> TransportError:
    # Raised from None: a traceback would show what a library's exception quotes of a head.
    root = TimeoutError("timed out") if isinstance(error, trio.TooSlowError) else error.__cause__ or error
    return transport_error(root, doing, otherwise)


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with Emulator() as emulator:
        profile = DUCKDUCKGO_2025_04.at(emulator.url)
        transport = OverTrio(ssl.create_default_context())
        async with transport, AsyncClient(profile, transport=transport) as client:
            print((await client.chat().ask(question)).text)


if __name__ == "__main__":
    trio.run(main)
