"""The steps that checks are made of: requests, the bytes of responses, and what is expected of an outcome."""

from __future__ import annotations

from collections.abc import Awaitable

from ddg_protocol import FailureKind, SendRequest, TransportError

from ...transport import AsyncExchange
from ..peer import Peer

MIB = 1024 * 1024


class NotKept(AssertionError):
    """The transport broke the contract; the message says how."""


def request(
    peer: Peer,
    method: str = "GET",
    target: str = "/",
    headers: tuple[tuple[str, str], ...] = (("accept", "*/*"), ("accept-encoding", "identity")),
    body: bytes = b"",
    timeout: float = 15.0,
) -> SendRequest:
    return SendRequest(id=1, method=method, url=peer.url + target, headers=headers, body=body, timeout=timeout)


def response(body: bytes = b"", *fields: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", *fields, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def chunked(*chunks: bytes, last: bool = True) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if last else b"")


async def read_all(exchange: AsyncExchange) -> bytes:
    pieces = []
    while piece := await exchange.read():
        if not isinstance(piece, bytes):
            raise NotKept(f"read returned {type(piece).__name__}, not bytes")
        pieces.append(piece)
    return b"".join(pieces)


async def expect_failure(doing: str, something: Awaitable[bytes | AsyncExchange], *kinds: FailureKind) -> None:
    wanted = "a TransportError" + (f" of kind {' or '.join(kind.name for kind in kinds)}" if kinds else "")
    try:
        gave = await something
    except TransportError as error:
        if kinds and error.failure.kind not in kinds:
            raise NotKept(f"{doing}: expected {wanted}, not {error.failure.kind.name} ({error})") from error
    except Exception as error:
        raise NotKept(f"{doing}: expected {wanted}, not {type(error).__name__} ({error})") from error
    else:
        if not isinstance(gave, bytes):
            await gave.aclose()
        shown = f"{len(gave)} bytes" if isinstance(gave, bytes) else "an exchange"
        raise NotKept(f"{doing}: expected {wanted}, but it succeeded and returned {shown}")


def expect(what: str, got: object, expected: object) -> None:
    if got != expected:
        raise NotKept(f"{what}: expected {_short(expected)}, got {_short(got)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:150]}… ({len(text)} characters)"
