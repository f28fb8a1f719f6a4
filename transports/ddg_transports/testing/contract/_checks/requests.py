"""The checks of what arrives at the peer: a request as it is, once, and nothing that the transport remembers."""

from __future__ import annotations

from .._bench import Bench
from .._item import item
from .._steps import MIB, expect, read_all, request, response


@item()
async def request_as_given(bench: Bench) -> None:
    """A request arrives with its method, target, headers in order and body; only host and framing are added."""
    peer = bench.peer(*[[response()]] * 2)
    headers = (
        ("user-agent", "a b"),
        ("x-fe-version", ""),
        ("accept-encoding", "gzip, deflate"),
        ("cookie", "a=b; c=d"),
    )
    async with bench.transport() as transport:
        await bench.answer(transport, request(peer, "GET", "/?q=a+b&c=%20", headers))
        await bench.answer(
            transport, request(peer, "POST", "/chat", (*headers, ("content-type", "x/y")), b"\0body\xff")
        )
    get, post = peer.requests
    expect("the method and target of a GET", (get.method, get.target), ("GET", "/?q=a+b&c=%20"))
    expect("the method and target of a POST", (post.method, post.target), ("POST", "/chat"))
    expect("the body of a GET", get.body, b"")
    expect("the body of a POST", post.body, b"\0body\xff")
    framing = {"host", "content-length", "transfer-encoding", "connection"}
    expect("the headers of a GET", tuple(h for h in get.headers if h[0] not in framing), headers)
    expect(
        "the headers of a POST",
        tuple(h for h in post.headers if h[0] not in framing),
        (*headers, ("content-type", "x/y")),
    )
    expect("the host", dict(get.headers).get("host"), peer.url.partition("//")[2])


@item()
async def large_request(bench: Bench) -> None:
    """A body of a megabyte arrives whole."""
    peer = bench.peer([response()])
    async with bench.transport() as transport:
        await bench.answer(transport, request(peer, "POST", body=bytes(MIB)))
    expect("the length of the body that arrived", len(peer.requests[0].body), MIB)


@item(protects="a redirect could take the chat and its tokens to any host")
async def redirect_not_followed(bench: Bench) -> None:
    """A redirect is returned as it came; the transport doesn't follow it."""
    peer = bench.peer([response(b"there", "location: /there", status="302 Found")], [response(b"here")])
    async with bench.transport() as transport, bench.opened(transport, request(peer)) as exchange:
        expect("the status", exchange.status, 302)
        await read_all(exchange)
    expect("the number of requests", len(peer.requests), 1)


@item(protects="chats that share cookies can be told to be of one person")
async def no_cookies(bench: Bench) -> None:
    """No cookie is kept: a request carries the cookies in its headers and no others."""
    peer = bench.peer([response(b"", "set-cookie: a=b; Path=/")], [response()])
    async with bench.transport() as transport:
        for _ in range(2):
            await bench.answer(transport, request(peer))
    expect("the cookies of the second request", dict(peer.requests[1].headers).get("cookie"), None)


@item()
async def refusals_as_given(bench: Bench) -> None:
    """A refusal is a response, and no request is sent a second time because of it."""
    statuses = [
        "401 Unauthorized",
        "407 Proxy Authentication Required",
        "418 I'm a teapot",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "503 Service Unavailable",
    ]
    peer = bench.peer(*[[response(b"why", "retry-after: 0", status=status)] for status in statuses])
    async with bench.transport() as transport:
        for status in statuses:
            async with bench.opened(transport, request(peer, "POST", body=b"x")) as exchange:
                expect("the status", exchange.status, int(status[:3]))
                expect(f"the body of a {status[:3]}", await read_all(exchange), b"why")
    expect("the number of requests", len(peer.requests), len(statuses))
