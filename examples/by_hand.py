"""A `Session` driven by hand, with http.client: `python examples/by_hand.py "Why is the sky blue?"` asks the emulator.

Each request has a connection of its own. What is said of a failure is all that a driver has to know of the protocol.
"""

from __future__ import annotations

import http.client
import sys
import time
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    Failure,
    FailureKind,
    SendRequest,
    Session,
    Signal,
    TextDelta,
    Wait,
)
from ddg_transports.emulator import Emulator


def drive(session: Session) -> None:
    with ExitStack() as connections:  # the one in use, if any
        while (action := session.next_action(now=time.monotonic())) is not Signal.PAUSED:
            try:
                match action:
                    case SendRequest() as request:
                        connections.close()
                        response = send(connections.enter_context(closing(connect(request))), request)
                        session.receive_head(request, response.status, response.getheaders(), now=time.monotonic())
                    case Signal.NEED_DATA:
                        if data := response.read1(65536):
                            session.receive_data(request, data)
                        else:
                            session.receive_eof(request)
                    case Wait() as wait:
                        time.sleep(max(0.0, wait.until - time.monotonic()))
                        session.wait_elapsed(wait)
                    case TextDelta(text):
                        print(text, end="", flush=True)
            except TimeoutError as error:
                session.transport_failed(request, Failure(FailureKind.TIMEOUT, str(error)))
            except ConnectionRefusedError as error:
                session.transport_failed(request, Failure(FailureKind.NOT_SENT, str(error)))
            except (OSError, http.client.HTTPException) as error:
                session.transport_failed(request, Failure(FailureKind.CUT, str(error)))
    print()


def connect(request: SendRequest) -> http.client.HTTPConnection:
    url = urlsplit(request.url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return kind(url.netloc, timeout=request.timeout)


def send(connection: http.client.HTTPConnection, request: SendRequest) -> http.client.HTTPResponse:
    url = urlsplit(request.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection.request(request.method, target, request.body or None, dict(request.headers))
    return connection.getresponse()


if __name__ == "__main__":
    with Emulator() as emulator:
        session = Session(DUCKDUCKGO_2025_04.at(emulator.url))
        session.ask(" ".join(sys.argv[1:]) or "Why is the sky blue?", now=time.monotonic())
        drive(session)
