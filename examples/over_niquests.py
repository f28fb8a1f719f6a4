"""A transport over niquests: `python examples/over_niquests.py "Why is the sky blue?"` asks the emulator.

It uses niquests' adapter, for a `Session` adds headers, keeps cookies, and follows redirects. niquests is told whom to
trust by the path of a certificate: `factory` takes it from the contract. One thing niquests can't do: it gives fields
of one name together, wherever they stood in the head.

Beside requests or urllib3, install it with `URLLIB3_NO_OVERRIDE=1 pip install --no-binary urllib3-future niquests`:
otherwise its urllib3-future takes the place of urllib3 in the environment, and breaks what others do with it.
"""

from __future__ import annotations

import ssl
import sys

import niquests
from niquests.adapters import HTTPAdapter
from niquests.packages.urllib3.exceptions import HTTPError, NewConnectionError

from ddg_protocol import DUCKDUCKGO_2025_04, FailureKind, SendRequest, TransportError
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator
from ddg_transports.testing.contract import Context
from ddg_transports.transport import transport_error


class OverNiquests:
    """Sends requests over niquests.

    Args:
        verify: what to trust for https: the path of a certificate (PEM), or True for what the system trusts.
    """

    def __init__(self, verify: str | bool = True) -> None:
        self._verify = verify
        self._adapter = HTTPAdapter(disable_http2=True, disable_http3=True)

    def open(self, request: SendRequest, *, timeout: float) -> NiquestsExchange:
        body = request.body if request.method == "POST" else None
        prepared = niquests.Request(request.method, request.url, dict(request.headers), data=body).prepare()
        limits = (min(request.timeout, timeout), timeout)
        try:
            return NiquestsExchange(self._adapter.send(prepared, stream=True, timeout=limits, verify=self._verify))
        except (niquests.RequestException, HTTPError, OSError) as error:
            raise failed(error) from None

    def __enter__(self) -> OverNiquests:
        return self

    def __exit__(self, *_: object) -> None:
        self._adapter.close()


class NiquestsExchange:
    def __init__(self, response: niquests.Response) -> None:
        self.status = response.status_code
        self.headers = tuple(response.raw.headers.iteritems())
        self._raw = response.raw
        self.close = response.raw.close

    def read(self, *, timeout: float) -> bytes:
        connection = self._raw.connection
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            data: bytes = self._raw.read1(65536, decode_content=False)
            return data
        except (HTTPError, OSError) as error:
            raise failed(error) from None


def failed(error: BaseException) -> TransportError:
    # Raised from None: a traceback would show what a library's exception quotes of a head.
    kind = FailureKind.CUT
    seen: BaseException | None = error
    while seen is not None:  # what went wrong is somewhere within what niquests and urllib3 made of it
        if isinstance(seen, NewConnectionError):
            kind = FailureKind.NOT_SENT
        if isinstance(seen, niquests.Timeout | TimeoutError | ssl.SSLError):
            return transport_error(
                seen if isinstance(seen, ssl.SSLError) else TimeoutError("timed out"), "the exchange"
            )
        seen = seen.__cause__ or seen.__context__
    return transport_error(error, "the exchange broke", kind)


def factory(context: Context) -> OverNiquests:
    return OverNiquests(context.cafile)


if __name__ == "__main__":
    question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with (
        Emulator() as emulator,
        OverNiquests() as transport,
        Client(DUCKDUCKGO_2025_04.at(emulator.url), transport=transport) as client,
    ):
        print(client.chat().ask(question).text)
