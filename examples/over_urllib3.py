"""A transport over urllib3: `python examples/over_urllib3.py "Why is the sky blue?"` asks the emulator.

Two things urllib3 can't do. It gives fields of one name together, wherever they stood in the head. It lets go of the
socket with the head of a response that is the last of its connection: reads of such a body keep the timeout of `open`.
"""

from __future__ import annotations

import ssl
import sys

import urllib3
from urllib3 import exceptions

from ddg_protocol import DUCKDUCKGO_2025_04, FailureKind, SendRequest, TransportError
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator
from ddg_transports.transport import transport_error


class OverUrllib3:
    def __init__(self, context: ssl.SSLContext) -> None:
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False)

    def open(self, request: SendRequest, *, timeout: float) -> Urllib3Exchange:
        try:
            response = self._pool.urlopen(
                request.method,
                request.url,
                headers=dict(request.headers),
                body=request.body if request.method == "POST" else None,
                timeout=urllib3.Timeout(total=timeout, connect=min(request.timeout, timeout)),
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (exceptions.HTTPError, OSError, ValueError) as error:
            raise failed(error) from None
        return Urllib3Exchange(response)

    def __enter__(self) -> OverUrllib3:
        return self

    def __exit__(self, *_: object) -> None:
        for key in self._pool.pools.keys():  # noqa: SIM118 - that is all the iteration it has
            self._pool.pools[key].close()


class Urllib3Exchange:
    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers = tuple(response.headers.iteritems())
        self._response = response
        self.close = response.close  # gives the connection up where its body was not read to the end

    def read(self, *, timeout: float) -> bytes:
        connection = self._response.connection
        if connection is not None and (opened := getattr(connection, "sock", None)) is not None:
            opened.settimeout(timeout)
        try:
            data = self._response.read1(65536, decode_content=False)
            if not data:
                self._response.drain_conn()  # gives the connection back, which `read1` doesn't
            return data
        except (exceptions.HTTPError, OSError) as error:
            raise failed(error) from None


def failed(error: Exception) -> TransportError:
    # Raised from None: a traceback would show what a library's exception quotes of a head.
    # A TimeoutError or an SSLError, which `transport_error` knows, may be wrapped in one of urllib3's own.
    within = next((it for it in error.args if isinstance(it, OSError)), error)
    match error:
        case exceptions.NewConnectionError() | exceptions.LocationParseError():
            return transport_error(within, "connecting", FailureKind.NOT_SENT)
        case exceptions.TimeoutError():
            return transport_error(TimeoutError("timed out"), "waiting")
        case exceptions.SSLError():
            return transport_error(within, "connecting", FailureKind.TLS)
    return transport_error(within, "the exchange broke", FailureKind.CUT)


if __name__ == "__main__":
    question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with (
        Emulator() as emulator,
        OverUrllib3(ssl.create_default_context()) as transport,
        Client(DUCKDUCKGO_2025_04.at(emulator.url), transport=transport) as client,
    ):
        print(client.chat().ask(question).text)
