"""The checks of whom a transport trusts."""

from __future__ import annotations

from ddg_protocol import FailureKind

from ...peer import HANG
from .._bench import Bench, trusting
from .._item import item
from .._steps import expect, expect_failure, request, response


@item(over="tls", protects="anyone on the way could read the chats")
async def bad_certificate(bench: Bench) -> None:
    """A server whose certificate can't be verified is a failure of kind TLS, before anything is sent."""
    for what, certificate, context in (
        ("a certificate of an unknown CA", "loopback", trusting("other-ca")),
        ("a certificate for another host", "elsewhere", trusting()),
        ("an expired certificate", "expired", trusting()),
    ):
        peer = bench.peer([response()], certificate=certificate)
        async with bench.transport(context) as transport:
            await expect_failure(what, transport.open(request(peer)), FailureKind.TLS)
        expect(f"requests that arrived at the server with {what}", len(peer.requests), 0)


@item(over="tls")
async def no_tls(bench: Bench) -> None:
    """A server that doesn't speak TLS is a failure of kind TLS."""
    peer = bench.peer(opening=[b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", HANG], tls=True)
    async with bench.transport() as transport:
        await expect_failure("a response in plain text", transport.open(request(peer)), FailureKind.TLS)
