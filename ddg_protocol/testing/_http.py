"""The service's HTTP/1.1 parser, for connections in memory.

A `Send` is one whole request, written by h11, so the parser can be strict. It doesn't use h11 itself, so that the
writer and the reader are independent.
"""

from __future__ import annotations

from ..service import ServiceRequest


def read_request(data: bytes) -> ServiceRequest:
    """Parse one whole request.

    Args:
        data: the data of a `Send`.

    Returns:
        The request.

    Raises:
        AssertionError: the data is not one whole request, which would be a bug in the session.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, version = line.split(" ")
    headers = tuple((name.lower(), value.strip(" \t")) for name, _, value in (each.partition(":") for each in fields))
    request = ServiceRequest(method, target, headers, body)
    assert end, f"a request's head has no end: {data!r}"
    assert version == "HTTP/1.1", version
    assert len(body) == int(request.header("content-length") or 0), "the body's length is not the content-length"
    return request
