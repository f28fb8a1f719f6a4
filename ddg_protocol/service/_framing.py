"""Responses as bytes: HTTP/1.1 (RFC 9112) by hand, since a script may ask for invalid HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from ..headers import Headers
from ._exchange import ServiceResponse
from ._pieces import Piece

_FRAMING = {"content-length", "transfer-encoding"}


def framed(
    response: ServiceResponse, *, method: str = "GET", chunked: bool = True, keep: bool = True
) -> Iterator[Piece]:
    """Yield the bytes of a response, lazily.

    The consumer must do with the connection what each piece says, and call ``response.pieces.close()`` if the client
    leaves before the end.

    Args:
        response: the service's response. Nothing else may take its pieces.
        method: the request's method; a HEAD gets no body.
        chunked: whether the client supports chunked bodies (HTTP/1.1). If not, a body of unknown length ends with
            the connection.
        keep: whether the connection is kept for another request. If not, the client is told and the last piece
            closes it.

    Yields:
        The head, then each piece of the body with its framing, then the end.
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
    """Return the bytes of a head, its fields unchanged whatever they contain."""
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
        yield Piece(data, piece.delay, piece.then)  # after one that isn't "more", `framed` takes none
    yield Piece(b"0\r\n\r\n" if chunked else b"", then="more" if keep else "close")
