"""The checks of the body of a response: all of its bytes, as they came, when they come."""

from __future__ import annotations

import gzip
import threading

from ...peer import CLOSE
from .._bench import Bench
from .._item import item
from .._steps import NotKept, chunked, expect, request, response


@item()
async def not_decoded(bench: Bench) -> None:
    """A body is returned as the bytes that came, not content-decoded."""
    coded = gzip.compress(b"some text")
    peer = bench.peer([response(coded, "content-encoding: gzip")])
    async with bench.transport() as transport:
        expect("the body", await bench.answer(transport, request(peer)), coded)


@item()
async def byte_by_byte(bench: Bench) -> None:
    """A response that arrives byte by byte is read like one that arrives at once."""
    said = chunked(b"abc", b"d", b"\r\n0\r\n")
    peer = bench.peer([said[i : i + 1] for i in range(len(said))])
    async with bench.transport() as transport:
        expect("the body", await bench.answer(transport, request(peer)), b"abcd\r\n0\r\n")


@item()
async def at_once(bench: Bench) -> None:
    """`read` returns bytes as soon as there are any, without waiting for more."""
    gates = [threading.Event() for _ in range(3)]
    peer = bench.peer(
        [chunked(last=False), gates[0], b"3\r\none\r\n", gates[1], b"3\r\ntwo\r\n", gates[2], b"0\r\n\r\n"]
    )
    try:
        async with bench.transport() as transport, bench.opened(transport, request(peer)) as exchange:
            for gate, piece in zip(gates, (b"one", b"two", b""), strict=True):
                gate.set()
                expect("the bytes from read", await exchange.read(), piece)
    finally:
        for gate in gates:
            gate.set()


@item()
async def empty_body(bench: Bench) -> None:
    """A body without bytes ends at once."""
    none = b"HTTP/1.1 204 No Content\r\n\r\n"
    peer = bench.peer([response()], [chunked()], [none], [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", CLOSE])
    async with bench.transport() as transport:
        for kind in ("with content-length: 0", "of no chunks", "of a 204", "delimited by the end of the connection"):
            expect(f"a body {kind}", await bench.answer(transport, request(peer)), b"")


@item()
async def large_body(bench: Bench) -> None:
    """A body of eight megabytes arrives whole."""
    body = bytes(range(256)) * (32 * 1024)
    chunks = [body[i : i + 65536] for i in range(0, len(body), 65536)]
    peer = bench.peer([response(body)], [chunked(*chunks)])
    async with bench.transport() as transport:
        for kind in ("with a content-length", "in chunks"):
            if await bench.answer(transport, request(peer)) != body:
                raise NotKept(f"a body {kind} differs from the one that was sent")


@item()
async def until_closed(bench: Bench) -> None:
    """A body that is delimited by the end of the connection arrives whole."""
    peer = bench.peer([b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b"abc", b"def", CLOSE])
    async with bench.transport() as transport:
        expect("the body", await bench.answer(transport, request(peer)), b"abcdef")
