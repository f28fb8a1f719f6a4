"""The checks of the head of a response."""

from __future__ import annotations

from .._bench import Bench
from .._item import item
from .._steps import expect, read_all, request, response


@item()
async def head_as_given(bench: Bench) -> None:
    """The head is returned as it came: fields in order, repeated where they repeat, latin-1 text, empty values."""
    fields = ("set-cookie: a=b; Expires=Wed, 01 Jan 2020 00:00:00 GMT", "x-vqd-4: \xe9\xff", "set-cookie: c=d", "x-e:")
    peer = bench.peer([response(b"x", *fields, status="200 OK")])
    async with bench.transport() as transport, bench.opened(transport, request(peer)) as exchange:
        expect("the status", exchange.status, 200)
        got = [(name.lower(), value) for name, value in exchange.headers]
    expected = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    expect("the headers", [field for field in got if field[0] != "content-length"], expected)


@item()
async def interim_passed_over(bench: Bench) -> None:
    """An interim response (100 Continue) is skipped."""
    peer = bench.peer([b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"x")])
    async with bench.transport() as transport, bench.opened(transport, request(peer)) as exchange:
        expect("the status", exchange.status, 200)
        expect("the body", await read_all(exchange), b"x")
