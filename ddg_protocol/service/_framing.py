"""A response as bytes: HTTP/1.1 by hand, since what a script asks for need not be HTTP (RFC 9112)."""

from __future__ import annotations

from collections.abc import Iterator

from ..headers import Headers
from ._exchange import ServiceResponse
from ._pieces import Piece

_FRAMING = {"content-length", "transfer-encoding"}


def framed(
    response: ServiceResponse, *, method: str = "GET", chunked: bool = True, keep: bool = True
) -> Iterator[Piece]:
    """Make the bytes of a response, lazily.

    Whoever takes them does with the connection what each piece says, and calls ``response.pieces.close()`` when the
    client leaves before the end.

    Args:
        response: what the service answered. Its pieces are taken by this alone.
        method: the request's; a HEAD gets no body.
        chunked: whether the client knows chunks (HTTP/1.1). For one that doesn't, a body of unknown length ends with
            the connection.
        keep: whether the connection is kept for another request. If not, the client is told and the last piece
            closes it.

    Yields:
        The head, then what each piece of the body becomes, then the end of it.
    """
    pieces = _bytes_of(response, method=method, chunked=chunked, keep=keep)
    for effect in response.on_wire:
        pieces = effect.over(pieces)
    for piece in pieces:
        if piece.then in ("close", "reset"):
            response.pieces.break_off()
        yield piece
        if piece.then != "more":
            return


def head(status: int, headers: Headers) -> bytes:
    """Make the bytes of a head. Whatever stands in its fields stands on the wire."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} \r\n{fields}\r\n".encode("latin-1")


def _bytes_of(response: ServiceResponse, *, method: str, chunked: bool, keep: bool) -> Iterator[Piece]:
    headers = response.headers
    has_body = method != "HEAD" and response.status not in (204, 304)
    is_framed = not has_body or any(name.lower() in _FRAMING for name, _ in headers)
    chunked = chunked and not is_framed
    if chunked:
        headers = (*headers, ("transfer-encoding", "chunked"))
    elif not is_framed:
        keep = False
    if not keep:
        headers = (*headers, ("connection", "close"))
    yield Piece(head(response.status, headers))
    for piece in response.pieces:
        data = piece.data if has_body else b""
        if chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        yield Piece(data, piece.delay, piece.then)  # after one that isn't "more", `framed` asks for none
    yield Piece(b"0\r\n\r\n" if chunked else b"", then="more" if keep else "close")
