"""The checks of responses that don't come, or not to their end."""

from __future__ import annotations

import traceback

from ddg_protocol import FailureKind

from ...peer import CLOSE, CUT, RESET, Said
from .._bench import Bench
from .._item import item
from .._steps import NotKept, chunked, expect, expect_failure, read_all, request, response

TOKEN = b"4-271828182845904523536028747135"


@item()
async def refused(bench: Bench) -> None:
    """A connection that is refused is a failure of kind NOT_SENT."""
    peer = bench.peer()
    peer.close()
    async with bench.transport() as transport:
        await expect_failure("a refused connection", transport.open(request(peer)), FailureKind.NOT_SENT)


@item()
async def cut_before_head(bench: Bench) -> None:
    """A connection that ends before the head is a failure of kind CUT, and the request is not sent again."""
    peer = bench.peer([CUT], [RESET], [response()])
    async with bench.transport() as transport:
        for act in ("a connection that was closed before the head", "a connection that was reset before the head"):
            await expect_failure(act, transport.open(request(peer, "POST", body=b"x")), FailureKind.CUT)
    expect("the number of requests", len(peer.requests), 2)


@item(protects="half a reply would be taken for a whole one")
async def body_cut(bench: Bench) -> None:
    """A body that its framing shows to be cut is a failure of kind CUT, never an end."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
    begun = chunked(b"abc", last=False)
    peer = bench.peer([head, b"abc", CUT], [begun, CUT], [begun, b"f\r\nab", CUT], [head, b"abc", RESET])
    async with bench.transport() as transport:
        for how in ("short of its content-length", "without its last chunk", "within a chunk", "by a reset"):
            async with bench.opened(transport, request(peer)) as exchange:
                await expect_failure(f"a body that ended {how}", read_all(exchange), FailureKind.CUT)


@item()
async def no_http(bench: Bench) -> None:
    """A response that is not HTTP is a failure."""
    peer = bench.peer([b"SSH-2.0-OpenSSH_9.2\r\n\r\n", CLOSE])
    async with bench.transport() as transport:
        await expect_failure("a response that is not HTTP", transport.open(request(peer)))


@item(protects="what a peer sends has tokens in it, which must not stand in logs")
async def nothing_quoted(bench: Bench) -> None:
    """The text of a failure and its traceback quote nothing that came from the peer."""
    ok = b"HTTP/1.1 200 OK\r\n"
    broken = (
        b"SSH-2.0 %b\r\n\r\n",
        b"HTTP/1.1 %b OK\r\n\r\n",
        ok + b"x-vqd-4 %b\r\n\r\n",
        ok + b"content-length: %b\r\n\r\n",
        ok + b"transfer-encoding: chunked\r\n\r\n%b\r\n",
    )
    said: list[Said] = [[line % TOKEN, CLOSE] for line in broken]
    peer = bench.peer(*said)
    async with bench.transport() as transport:
        for _ in broken:
            try:
                await bench.answer(transport, request(peer))  # which lenient libraries survive
            except Exception as error:  # whether it is of the right class is for other checks to say
                for shown in traceback.format_exception(error):
                    if TOKEN.decode() in shown:
                        raise NotKept(f"what came from the peer is quoted: {shown.strip()}") from None
