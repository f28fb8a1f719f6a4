"""A transport over requests: `python examples/over_requests.py "Why is the sky blue?"` asks the emulator.

It uses requests' adapter, for a `Session` adds headers, keeps cookies, and reads the body of a redirect.
Two things requests can't do. It gives fields of one name together, wherever they stood in the head. It lets go of the
socket with the head of a response that is the last of its connection: reads of such a body keep the timeout of `open`.
"""

from __future__ import annotations

import ssl
import sys
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, NewConnectionError

from ddg_protocol import DUCKDUCKGO_2025_04, FailureKind, SendRequest, TransportError
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator
from ddg_transports.transport import transport_error


class Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *sizes: Any, **settings: Any) -> None:
        super().init_poolmanager(*sizes, **settings, ssl_context=self._context)

    def cert_verify(self, *_: object) -> None:
        """Trust whom the context trusts, and not what requests brings along."""


class OverRequests:
    def __init__(self, context: ssl.SSLContext) -> None:
        self._adapter = Adapter(context)

    def open(self, request: SendRequest, *, timeout: float) -> RequestsExchange:
        body = request.body if request.method == "POST" else None
        prepared = requests.Request(request.method, request.url, dict(request.headers), data=body).prepare()
        try:
            limits = (min(request.timeout, timeout), timeout)
            return RequestsExchange(self._adapter.send(prepared, stream=True, timeout=limits))
        except (requests.RequestException, OSError) as error:
            raise failed(error) from None

    def __enter__(self) -> OverRequests:
        return self

    def __exit__(self, *_: object) -> None:
        pools = self._adapter.poolmanager.pools
        for key in pools.keys():  # noqa: SIM118 - that is all the iteration it has
            pools[key].close()


class RequestsExchange:
    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        self.headers = tuple(response.raw.headers.iteritems())
        self._raw = response.raw
        self.close = response.raw.close  # gives the connection up where its body was not read to the end

    def read(self, *, timeout: float) -> bytes:
        connection = self._raw.connection
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            data: bytes = self._raw.read1(65536, decode_content=False)
            if not data:
                self._raw.drain_conn()  # gives the connection back, which `read1` doesn't
            return data
        except (HTTPError, OSError) as error:
            raise failed(error) from None


def failed(error: BaseException) -> TransportError:
    # Raised from None: a traceback would show what a library's exception quotes of a head.
    kind = FailureKind.CUT
    seen: BaseException | None = error
    while seen is not None:  # what went wrong is somewhere within what requests and urllib3 made of it
        if isinstance(seen, NewConnectionError):
            kind = FailureKind.NOT_SENT
        if isinstance(seen, requests.Timeout | TimeoutError | ssl.SSLError):
            return transport_error(
                seen if isinstance(seen, ssl.SSLError) else TimeoutError("timed out"), "the exchange"
            )
        seen = seen.__cause__ or seen.__context__
    return transport_error(error, "the exchange broke", kind)


if __name__ == "__main__":
    question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with (
        Emulator() as emulator,
        OverRequests(ssl.create_default_context()) as transport,
        Client(DUCKDUCKGO_2025_04.at(emulator.url), transport=transport) as client,
    ):
        print(client.chat().ask(question).text)
