"""The service's reader of HTTP/1.1, for a connection that exists in memory alone.

A `Send` is one whole request, written by h11, so there is nothing to be lenient about. It is not read with h11, so
that what one end writes and the other reads are two hands' work.
"""

from __future__ import annotations

from ..service import ServiceRequest


def read_request(data: bytes) -> ServiceRequest:
    """Read one whole request.

    Args:
        data: what a `Send` carries.

    Returns:
        The request.

    Raises:
        AssertionError: it is not one whole request; that would be a bug of the session's.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, version = line.split(" ")
    headers = tuple((name.lower(), value.strip(" \t")) for name, _, value in (each.partition(":") for each in fields))
    request = ServiceRequest(method, target, headers, body)
    assert end, f"a request's head has no end: {data!r}"
    assert version == "HTTP/1.1", version
    assert len(body) == int(request.header("content-length") or 0), "a request's body is not as long as it says"
    return request
