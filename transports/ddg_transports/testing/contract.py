"""The contract of a transport (`ddg_transports.transport`), as checks against a scripted peer, plain and over TLS.

    python -m ddg_transports.testing.contract package.module:factory

The factory takes an `ssl.SSLContext`, for https, and returns a context manager whose value is the transport: an async
context manager for an async transport. In a test::

    def test_my_transport_keeps_the_contract():
        report = check(factory)
        assert report.kept, str(report)

The checks need neither pytest nor a network. A failed check says what it expected of the transport, and what it got.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import importlib
import inspect
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio

from ddg_protocol import FailureKind, SendRequest, TransportError

from ..transport import AsyncExchange, AsyncTransport, Exchange, Transport, verifying_context
from .peer import CERTIFICATES, CLOSE, CUT, DEAF, HANG, RESET, Peer, Said

__all__ = ["Factory", "Report", "Result", "check"]

Factory = Callable[[ssl.SSLContext], AbstractContextManager[Transport] | AbstractAsyncContextManager[AsyncTransport]]
"""Makes a transport that uses the given context for https."""

T = TypeVar("T")

_PATIENCE = 30.0  # seconds that a check may take
_SHORT = 0.1  # seconds; a timeout that is meant to expire
_STALL = 0.5  # seconds; the same for a request that must make some progress first
_SLACK = 2.0  # seconds that a result may be late on a busy machine
_MIB = 1024 * 1024


class NotKept(AssertionError):
    """The transport broke the contract; the message says how."""


@dataclass(frozen=True)
class Result:
    """The result of a check.

    Attributes:
        name: the check's name; over TLS with `` (tls)`` at its end.
        owed: what the transport owes, a sentence.
        problem: what it did instead; empty if it passed.
        seconds: how long the check took.
    """

    name: str
    owed: str
    problem: str
    seconds: float

    def __str__(self) -> str:
        if not self.problem:
            return f"kept    {self.name:<32} {self.seconds:6.2f} s"
        return f"BROKEN  {self.name:<32} {self.seconds:6.2f} s\n        owed: {self.owed}\n        but:  {self.problem}"


@dataclass(frozen=True)
class Report:
    """The results of all checks.

    Attributes:
        results: one for each check, in the order in which they ran.
    """

    results: tuple[Result, ...]

    @property
    def broken(self) -> tuple[Result, ...]:
        """The results of the failed checks."""
        return tuple(result for result in self.results if result.problem)

    @property
    def kept(self) -> bool:
        """Whether the transport passed all checks."""
        return not self.broken

    def __str__(self) -> str:
        total = len(self.results)
        return "\n".join([*map(str, self.results), f"{total - len(self.broken)} of {total} kept"])


def check(
    factory: Factory, names: Iterable[str] | None = None, *, tls: bool | None = None, backend: str = "asyncio"
) -> Report:
    """Check a transport against the contract; each check gets a transport of its own.

    Args:
        factory: makes the transport.
        names: the checks to run (``--help`` of the command lists them); None runs all that apply.
        tls: whether to check over TLS or plain; None checks both.
        backend: the event loop for an async transport, ``"asyncio"`` or ``"trio"``.

    Returns:
        The results.
    """
    world = "async" if hasattr(factory(trusting()), "__aenter__") else "blocking"
    results = []
    for over_tls in (False, True) if tls is None else (tls,):
        for name in CHECKS if names is None else names:
            this = CHECKS[name]
            if this.world in ("both", world) and this.over in ("both", "tls" if over_tls else "plain"):
                results.append(_run(this, factory, over_tls, world, backend))
    return Report(tuple(results))


def trusting() -> ssl.SSLContext:
    """Return a context that trusts the CA of the contract's peers, and no other."""
    return verifying_context(str(CERTIFICATES / "ca.pem"))


# Running a check


@dataclass(frozen=True)
class Check:
    """One item of the contract.

    Attributes:
        name: a few words with hyphens.
        owed: what the transport owes, a sentence.
        world: whether it is for ``"blocking"`` transports, ``"async"`` ones or ``"both"``.
        over: whether it is for ``"plain"`` connections, ``"tls"`` or ``"both"``.
    """

    name: str
    owed: str
    world: str
    over: str
    run: Callable[[Bench], Coroutine[Any, Any, None]]


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order in which they run."""


def _check(
    *, world: str = "both", over: str = "both"
) -> Callable[[Callable[[Bench], Coroutine[Any, Any, None]]], None]:
    def add(run: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
        name = run.__name__.replace("_", "-")
        CHECKS[name] = Check(name, inspect.getdoc(run) or "", world, over, run)

    return add


def _run(this: Check, factory: Factory, tls: bool, world: str, backend: str) -> Result:
    bench = _AsyncBench(factory, tls) if world == "async" else Bench(factory, tls)
    started = time.monotonic()
    try:
        if world == "async":
            anyio.run(_guarded, this, bench, backend=backend)
        else:
            _run_blocking(this, bench)
        problem = ""
    except NotKept as error:
        problem = str(error)
    except TransportError as error:
        problem = f"TransportError ({error.failure.kind.name}) was raised though nothing went wrong: {error}"
    except Exception as error:
        problem = f"{type(error).__name__} was raised, which is not a TransportError: {error}"
    finally:
        bench.stop()
    return Result(this.name + (" (tls)" if tls else ""), this.owed, problem, time.monotonic() - started)


async def _guarded(this: Check, bench: Bench) -> None:
    with anyio.move_on_after(_PATIENCE):
        await this.run(bench)
        return
    raise NotKept(f"it was still waiting after {_PATIENCE:g} s")


def _run_blocking(this: Check, bench: Bench) -> None:
    """Run a check in a thread that can be abandoned if it never returns."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            this.run(bench).send(None)
        except StopIteration:
            pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if thread.is_alive():
        bench.stop()  # most likely this ends its wait
        thread.join(_SLACK)
        raise NotKept(f"it was still waiting after {_PATIENCE:g} s")
    if failures:
        raise failures[0]


class Bench:
    """The helpers of a check. For a blocking transport, none of its coroutines ever waits."""

    timeout = 5.0  # seconds; the timeout passed to a blocking transport

    def __init__(self, factory: Factory, tls: bool) -> None:
        self.tls = tls
        self._factory = factory
        self._peers: list[Peer] = []

    def peer(self, *replies: Said, certificate: str = "loopback", **settings: Any) -> Peer:
        """Start a peer; it stops at the end of the check."""
        if self.tls and "tls" not in settings:
            settings["certificate"] = CERTIFICATES / f"{certificate}.pem"
        peer = Peer(*replies, **settings)
        self._peers.append(peer.__enter__())
        return peer

    def stop(self) -> None:
        """Stop the peers."""
        for peer in self._peers:
            peer.close()

    @asynccontextmanager
    async def transport(self, context: ssl.SSLContext | None = None) -> AsyncIterator[AsyncTransport]:
        """Make a transport; the end of the block closes it."""
        made: Any = self._factory(context or trusting())
        with made as transport:
            yield _Awaitable(transport, self)

    @asynccontextmanager
    async def opened(self, transport: AsyncTransport, request: SendRequest) -> AsyncIterator[AsyncExchange]:
        """Open an exchange; the end of the block closes it."""
        exchange = await transport.open(request)
        try:
            yield exchange
        finally:
            await self.close(exchange)

    async def answer(self, transport: AsyncTransport, request: SendRequest) -> bytes:
        """Carry out a complete exchange.

        Returns:
            The response's body.
        """
        async with self.opened(transport, request) as exchange:
            return await _body(exchange)

    async def close(self, exchange: AsyncExchange) -> None:
        """Close an exchange as the driver does."""
        await exchange.aclose()

    async def pause(self, seconds: float) -> None:
        """Wait for some time."""
        time.sleep(seconds)

    def tasks(self) -> int:
        """Return the number of tasks."""
        return 0


class _AsyncBench(Bench):
    @asynccontextmanager
    async def transport(self, context: ssl.SSLContext | None = None) -> AsyncIterator[AsyncTransport]:
        made: Any = self._factory(context or trusting())
        async with made as transport:
            yield transport

    async def close(self, exchange: AsyncExchange) -> None:
        with anyio.move_on_after(1, shield=True):
            await exchange.aclose()

    async def pause(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    def tasks(self) -> int:
        return len(anyio.get_running_tasks())


class _Awaitable:
    """A blocking transport in the shape of an async one."""

    def __init__(self, transport: Transport, bench: Bench) -> None:
        self._transport = transport
        self._bench = bench

    async def open(self, request: SendRequest) -> _AwaitableExchange:
        return _AwaitableExchange(self._transport.open(request, timeout=self._bench.timeout), self._bench)


class _AwaitableExchange:
    def __init__(self, exchange: Exchange, bench: Bench) -> None:
        self._exchange = exchange
        self._bench = bench

    @property
    def status(self) -> int:
        return self._exchange.status

    @property
    def headers(self) -> Iterable[tuple[str, str]]:
        return self._exchange.headers

    async def read(self) -> bytes:
        return self._exchange.read(timeout=self._bench.timeout)

    async def aclose(self) -> None:
        self._exchange.close()


# Helpers for the checks


def _request(
    peer: Peer,
    method: str = "GET",
    target: str = "/",
    headers: tuple[tuple[str, str], ...] = (("accept", "*/*"), ("accept-encoding", "identity")),
    body: bytes = b"",
    timeout: float = _PATIENCE / 2,
) -> SendRequest:
    return SendRequest(id=1, method=method, url=peer.url + target, headers=headers, body=body, timeout=timeout)


def _response(body: bytes = b"", *fields: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", *fields, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def _chunked(*chunks: bytes, last: bool = True) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if last else b"")


async def _body(exchange: AsyncExchange) -> bytes:
    pieces = []
    while piece := await exchange.read():
        if not isinstance(piece, bytes):
            raise NotKept(f"read returned {type(piece).__name__}, not bytes")
        pieces.append(piece)
    return b"".join(pieces)


async def _fails(doing: str, something: Awaitable[bytes | AsyncExchange], *kinds: FailureKind) -> None:
    wanted = " or ".join(kind.name for kind in kinds) or "any kind"
    try:
        gave = await something
    except TransportError as error:
        if kinds and error.failure.kind not in kinds:
            raise NotKept(
                f"{doing}: expected a TransportError of kind {wanted}, not {error.failure.kind.name} ({error})"
            ) from error
    except Exception as error:
        raise NotKept(
            f"{doing}: expected a TransportError of kind {wanted}, not {type(error).__name__} ({error})"
        ) from error
    else:
        if not isinstance(gave, bytes):
            await gave.aclose()
        shown = f"{len(gave)} bytes" if isinstance(gave, bytes) else "an exchange"
        raise NotKept(f"{doing}: expected a TransportError of kind {wanted}, but it succeeded and returned {shown}")


def _same(what: str, got: object, expected: object) -> None:
    if got != expected:
        raise NotKept(f"{what}: expected {_short(expected)}, got {_short(got)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:150]}… ({len(text)} characters)"


# The checks: requests


@_check()
async def request_as_given(bench: Bench) -> None:
    """A request arrives with its method, target, headers in order and body; only host and framing are added."""
    peer = bench.peer(*[[_response()]] * 2)
    headers = (
        ("user-agent", "a b"),
        ("x-fe-version", ""),
        ("accept-encoding", "gzip, deflate"),
        ("cookie", "a=b; c=d"),
    )
    async with bench.transport() as transport:
        await bench.answer(transport, _request(peer, "GET", "/?q=a+b&c=%20", headers))
        await bench.answer(
            transport, _request(peer, "POST", "/chat", (*headers, ("content-type", "x/y")), b"\0body\xff")
        )
    get, post = peer.requests
    _same("the method and target of a GET", (get.method, get.target), ("GET", "/?q=a+b&c=%20"))
    _same("the method and target of a POST", (post.method, post.target), ("POST", "/chat"))
    _same("the body of a GET", get.body, b"")
    _same("the body of a POST", post.body, b"\0body\xff")
    framing = {"host", "content-length", "transfer-encoding", "connection"}
    _same("the headers of a GET", tuple(h for h in get.headers if h[0] not in framing), headers)
    _same(
        "the headers of a POST",
        tuple(h for h in post.headers if h[0] not in framing),
        (*headers, ("content-type", "x/y")),
    )
    _same("the host", dict(get.headers).get("host"), peer.url.partition("//")[2])


@_check()
async def large_request(bench: Bench) -> None:
    """A body of a megabyte arrives whole."""
    peer = bench.peer([_response()])
    async with bench.transport() as transport:
        await bench.answer(transport, _request(peer, "POST", body=bytes(_MIB)))
    _same("the length of the body that arrived", len(peer.requests[0].body), _MIB)


@_check()
async def redirect_not_followed(bench: Bench) -> None:
    """A redirect is returned as it came; the transport doesn't follow it."""
    peer = bench.peer([_response(b"there", "location: /there", status="302 Found")], [_response(b"here")])
    async with bench.transport() as transport, bench.opened(transport, _request(peer)) as exchange:
        _same("the status", exchange.status, 302)
        await _body(exchange)
    _same("the number of requests", len(peer.requests), 1)


@_check()
async def no_cookies(bench: Bench) -> None:
    """No cookie is kept: a request carries the cookies in its headers and no others."""
    peer = bench.peer([_response(b"", "set-cookie: a=b; Path=/")], [_response()])
    async with bench.transport() as transport:
        for _ in range(2):
            await bench.answer(transport, _request(peer))
    _same("the cookies of the second request", dict(peer.requests[1].headers).get("cookie"), None)


@_check()
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
    peer = bench.peer(*[[_response(b"why", "retry-after: 0", status=status)] for status in statuses])
    async with bench.transport() as transport:
        for status in statuses:
            async with bench.opened(transport, _request(peer, "POST", body=b"x")) as exchange:
                _same("the status", exchange.status, int(status[:3]))
                _same(f"the body of a {status[:3]}", await _body(exchange), b"why")
    _same("the number of requests", len(peer.requests), len(statuses))


# The checks: responses


@_check()
async def head_as_given(bench: Bench) -> None:
    """The head is returned as it came: fields in order, repeated where they repeat, latin-1 text, empty values."""
    fields = ("set-cookie: a=b; Expires=Wed, 01 Jan 2020 00:00:00 GMT", "x-vqd-4: \xe9\xff", "set-cookie: c=d", "x-e:")
    peer = bench.peer([_response(b"x", *fields, status="200 OK")])
    async with bench.transport() as transport, bench.opened(transport, _request(peer)) as exchange:
        _same("the status", exchange.status, 200)
        got = [(name.lower(), value) for name, value in exchange.headers]
    expected = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    _same("the headers", [field for field in got if field[0] != "content-length"], expected)


@_check()
async def interim_passed_over(bench: Bench) -> None:
    """An interim response (100 Continue) is skipped."""
    peer = bench.peer([b"HTTP/1.1 100 Continue\r\n\r\n" + _response(b"x")])
    async with bench.transport() as transport, bench.opened(transport, _request(peer)) as exchange:
        _same("the status", exchange.status, 200)
        _same("the body", await _body(exchange), b"x")


@_check()
async def not_decoded(bench: Bench) -> None:
    """A body is returned as the bytes that came, not content-decoded."""
    coded = gzip.compress(b"some text")
    peer = bench.peer([_response(coded, "content-encoding: gzip")])
    async with bench.transport() as transport:
        _same("the body", await bench.answer(transport, _request(peer)), coded)


@_check()
async def byte_by_byte(bench: Bench) -> None:
    """A response that arrives byte by byte is read like one that arrives at once."""
    said = _chunked(b"abc", b"d", b"\r\n0\r\n")
    peer = bench.peer([said[i : i + 1] for i in range(len(said))])
    async with bench.transport() as transport:
        _same("the body", await bench.answer(transport, _request(peer)), b"abcd\r\n0\r\n")


@_check()
async def at_once(bench: Bench) -> None:
    """`read` returns bytes as soon as there are any, without waiting for more."""
    gates = [threading.Event() for _ in range(3)]
    peer = bench.peer(
        [_chunked(last=False), gates[0], b"3\r\none\r\n", gates[1], b"3\r\ntwo\r\n", gates[2], b"0\r\n\r\n"]
    )
    try:
        async with bench.transport() as transport, bench.opened(transport, _request(peer)) as exchange:
            for gate, piece in zip(gates, (b"one", b"two", b""), strict=True):
                gate.set()
                _same("the bytes from read", await exchange.read(), piece)
    finally:
        for gate in gates:
            gate.set()


@_check()
async def empty_body(bench: Bench) -> None:
    """A body without bytes ends at once."""
    none = b"HTTP/1.1 204 No Content\r\n\r\n"
    peer = bench.peer([_response()], [_chunked()], [none], [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", CLOSE])
    async with bench.transport() as transport:
        for kind in ("with content-length: 0", "of no chunks", "of a 204", "delimited by the end of the connection"):
            _same(f"a body {kind}", await bench.answer(transport, _request(peer)), b"")


@_check()
async def large_body(bench: Bench) -> None:
    """A body of eight megabytes arrives whole."""
    body = bytes(range(256)) * (32 * 1024)
    chunks = [body[i : i + 65536] for i in range(0, len(body), 65536)]
    peer = bench.peer([_response(body)], [_chunked(*chunks)])
    async with bench.transport() as transport:
        for kind in ("with a content-length", "in chunks"):
            if await bench.answer(transport, _request(peer)) != body:
                raise NotKept(f"a body {kind} differs from the one that was sent")


@_check()
async def until_closed(bench: Bench) -> None:
    """A body that is delimited by the end of the connection arrives whole."""
    peer = bench.peer([b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b"abc", b"def", CLOSE])
    async with bench.transport() as transport:
        _same("the body", await bench.answer(transport, _request(peer)), b"abcdef")


# The checks: failures


@_check()
async def refused(bench: Bench) -> None:
    """A connection that is refused is a failure of kind NOT_SENT."""
    peer = bench.peer()
    peer.close()
    async with bench.transport() as transport:
        await _fails("a refused connection", transport.open(_request(peer)), FailureKind.NOT_SENT)


@_check()
async def cut_before_head(bench: Bench) -> None:
    """A connection that ends before the head is a failure of kind CUT, and the request is not sent again."""
    peer = bench.peer([CUT], [RESET], [_response()])
    async with bench.transport() as transport:
        for act in ("a connection that was closed before the head", "a connection that was reset before the head"):
            await _fails(act, transport.open(_request(peer, "POST", body=b"x")), FailureKind.CUT)
    _same("the number of requests", len(peer.requests), 2)


@_check()
async def body_cut(bench: Bench) -> None:
    """A body that its framing shows to be cut is a failure of kind CUT, never an end."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
    chunked = _chunked(b"abc", last=False)
    peer = bench.peer([head, b"abc", CUT], [chunked, CUT], [chunked, b"f\r\nab", CUT], [head, b"abc", RESET])
    async with bench.transport() as transport:
        for how in ("short of its content-length", "without its last chunk", "within a chunk", "by a reset"):
            async with bench.opened(transport, _request(peer)) as exchange:
                await _fails(f"a body that ended {how}", _body(exchange), FailureKind.CUT)


@_check()
async def no_http(bench: Bench) -> None:
    """A response that is not HTTP is a failure."""
    peer = bench.peer([b"SSH-2.0-OpenSSH_9.2\r\n\r\n", CLOSE])
    async with bench.transport() as transport:
        await _fails("a response that is not HTTP", transport.open(_request(peer)))


@_check(over="tls")
async def bad_certificate(bench: Bench) -> None:
    """A server whose certificate can't be verified is a failure of kind TLS, before anything is sent."""
    for what, certificate, context in (
        ("a certificate of an unknown CA", "loopback", ssl.create_default_context()),
        ("a certificate for another host", "elsewhere", trusting()),
        ("an expired certificate", "expired", trusting()),
    ):
        peer = bench.peer([_response()], certificate=certificate)
        async with bench.transport(context) as transport:
            await _fails(what, transport.open(_request(peer)), FailureKind.TLS)
        _same(f"requests that arrived at the server with {what}", len(peer.requests), 0)


@_check(over="tls")
async def no_tls(bench: Bench) -> None:
    """A server that doesn't speak TLS is a failure of kind TLS."""
    peer = bench.peer(opening=[b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", HANG], tls=True)
    async with bench.transport() as transport:
        await _fails("a response in plain text", transport.open(_request(peer)), FailureKind.TLS)


# The checks: time


async def _in_time(doing: str, something: Awaitable[bytes | AsyncExchange]) -> None:
    started = time.monotonic()
    await _fails(doing, something, FailureKind.TIMEOUT)
    took = time.monotonic() - started
    if took > _SHORT + _SLACK:
        raise NotKept(f"{doing}: it took {took:.1f} s to give up after {_SHORT:g} s at most")


@_check()
async def connect_timeout(bench: Bench) -> None:
    """Making the connection, TLS included, takes request.timeout at most; then it is a failure of kind TIMEOUT."""
    peer = bench.peer(opening=[HANG], tls=True)
    async with bench.transport() as transport:
        await _in_time("a TLS handshake that is not answered", transport.open(_request(peer, timeout=_SHORT)))


@_check(world="blocking")
async def head_timeout(bench: Bench) -> None:
    """A head that doesn't come in time is a failure of kind TIMEOUT."""
    peer = bench.peer([HANG])
    bench.timeout = _SHORT
    async with bench.transport() as transport:
        await _in_time("a head that doesn't come", transport.open(_request(peer)))


@_check(world="blocking")
async def read_timeout(bench: Bench) -> None:
    """A body that doesn't continue in time is a failure of kind TIMEOUT."""
    peer = bench.peer([_response(b"abcdef")[:-3], HANG])
    async with bench.transport() as transport, bench.opened(transport, _request(peer)) as exchange:
        bench.timeout = _SHORT  # for the reads; `open` got a longer one
        await _in_time("a body that doesn't continue", _body(exchange))


@_check(world="blocking", over="plain")
async def write_timeout(bench: Bench) -> None:
    """A request that the peer doesn't read in time is a failure of kind TIMEOUT."""
    peer = bench.peer(opening=[DEAF])
    bench.timeout = _SHORT
    async with bench.transport() as transport:
        await _in_time("a peer that reads nothing", transport.open(_request(peer, "POST", body=bytes(8 * _MIB))))


# The checks: one exchange after another, several at once, closing


@_check()
async def one_after_the_other(bench: Bench) -> None:
    """After an exchange that was completed, abandoned or failed, the next one works."""
    good: Said = [_response(b"good")]
    half = _response(b"abcdef")[:-3]
    closing: Said = [_response(b"good", "connection: close"), CLOSE]
    peer = bench.peer(good, good, closing, good, [half, CUT], good, [half, HANG], good, [CUT], good)
    async with bench.transport() as transport:
        for what in ("the first", "one after a good one", "one that says it is the last", "one after the last"):
            _same(f"the body of {what}", await bench.answer(transport, _request(peer)), b"good")
        async with bench.opened(transport, _request(peer)) as exchange:
            await _fails("a body that was cut", _body(exchange))
        _same("the body of one after one that was cut", await bench.answer(transport, _request(peer)), b"good")
        async with bench.opened(transport, _request(peer)) as exchange:
            await exchange.read()
        _same("the body of one after one that was abandoned", await bench.answer(transport, _request(peer)), b"good")
        await _fails("no head", transport.open(_request(peer)))
        _same("the body of one after one without a head", await bench.answer(transport, _request(peer)), b"good")


@_check()
async def closed_while_idle(bench: Bench) -> None:
    """If the peer has closed a kept connection, the request is sent on a new one, once."""
    for how, act in (("closed", CUT), ("reset", RESET)):
        peer = bench.peer([_response(b"first"), act], [_response(b"second")])
        async with bench.transport() as transport:
            _same("the first body", await bench.answer(transport, _request(peer)), b"first")
            await bench.pause(0.05)  # the news has to arrive
            body = await bench.answer(transport, _request(peer, "POST", body=b"x"))
            _same(f"the second body, after one that was {how}", body, b"second")
        _same("the number of requests", len(peer.requests), 2)


@_check()
async def early_close(bench: Bench) -> None:
    """Closing an exchange early discards its rest at once: the peer sees it, and need not respond."""
    half = _response(b"abcdef")[:-3]
    for how, act in (("a peer that waits", HANG), ("a peer that is dead", DEAF)):
        peer = bench.peer([half, act])
        async with bench.transport() as transport:
            async with bench.opened(transport, _request(peer)) as exchange:
                await exchange.read()
                started = time.monotonic()
            _same(f"closed to {how} within a second", time.monotonic() - started < 1, True)
            if act is HANG:
                _same("the peer sees a closed connection", peer.all_closed(_SLACK), True)


@_check()
async def double_close(bench: Bench) -> None:
    """An exchange can be closed repeatedly, however it ended."""
    half = _response(b"abcdef")[:-3]
    peer = bench.peer([_response(b"x")], [half, HANG], [half, CUT])
    async with bench.transport() as transport:
        for what in ("that was read to its end", "that was abandoned", "that failed"):
            exchange = await transport.open(_request(peer))
            if what == "that was read to its end":
                await _body(exchange)
            elif what == "that failed":
                await _fails("a body that was cut", _body(exchange))
            for _ in range(3):
                try:
                    await exchange.aclose()
                except Exception as error:
                    raise NotKept(f"closing an exchange {what} raised {type(error).__name__}: {error}") from error


@_check()
async def several_at_once(bench: Bench) -> None:
    """Several exchanges are open at once, and none waits for another."""
    gate = threading.Event()
    peer = bench.peer([_response(b"abcdef")[:-3], gate, b"def"], [_response(b"second")])
    try:
        async with bench.transport() as transport, bench.opened(transport, _request(peer)) as first:
            _same("the second body", await bench.answer(transport, _request(peer)), b"second")
            gate.set()
            _same("the first body", await _body(first), b"abcdef")
    finally:
        gate.set()


@_check()
async def nothing_left(bench: Bench) -> None:
    """When the transport is closed, nothing is left: no connection, no task."""
    before = bench.tasks()
    half = _response(b"abcdef")[:-3]
    peer = bench.peer([_response(b"x")], [half, HANG], [half, CUT], [CUT], [_response(b"x")])
    async with bench.transport() as transport:
        await bench.answer(transport, _request(peer))
        async with bench.opened(transport, _request(peer)) as exchange:
            await exchange.read()
        async with bench.opened(transport, _request(peer)) as exchange:
            await _fails("a body that was cut", _body(exchange))
        await _fails("no head", transport.open(_request(peer)))
        await bench.answer(transport, _request(peer))
    await bench.pause(0.01)  # asyncio closes in the next round of its loop
    gc.collect()
    _same("all connections are closed", peer.all_closed(_SLACK), True)
    _same("the number of tasks", bench.tasks(), before)


@_check(world="async")
async def cancellation(bench: Bench) -> None:
    """After an exchange is cancelled at any await, the next one works, and nothing is left."""
    whole = _response(b"abcdef")
    await _cancel_at_each_await(bench, "a whole one", [whole])
    await _cancel_at_each_await(bench, "one that stalls", [whole[:-3], HANG])


async def _cancel_at_each_await(bench: Bench, name: str, said: Said) -> None:
    before = bench.tasks()
    peer = bench.peer(*[said] * 500, certificate="loopback")
    other = bench.peer(*[[_response(b"good")]] * 500)
    async with bench.transport() as transport:
        for number in range(1, 500):
            with anyio.move_on_after(_STALL) as scope:
                cut = CancelAt(bench.answer(transport, _request(peer)), number, scope)
                await cut
            try:
                with anyio.fail_after(_SLACK):
                    _same("the body of the exchange after it", await bench.answer(transport, _request(other)), b"good")
            except TimeoutError:
                raise NotKept(f"after {name} was cancelled at its await {number}, the next one never ends") from None
            if not cut.reached:
                break
    await bench.pause(0.01)
    gc.collect()
    for each in (peer, other):
        _same("all connections are closed", each.all_closed(_SLACK), True)
    _same("the number of tasks", bench.tasks(), before)


class CancelAt(Awaitable[T]):
    """Run a coroutine, and cancel a scope while it waits for the n-th time.

    Args:
        something: the coroutine.
        number: the number of the wait, counted from 1.
        scope: the scope to cancel; it encloses this.

    Attributes:
        reached: whether it waited that many times.
    """

    def __init__(self, something: Coroutine[Any, Any, T], number: int, scope: anyio.CancelScope) -> None:
        self._something = something
        self._number = number
        self._scope = scope
        self.reached = False

    def __await__(self) -> Generator[Any, Any, T]:
        resume: Callable[[], Any] = partial(self._something.send, None)
        waits = 0
        while True:
            try:
                wanted = resume()
            except StopIteration as stop:
                result: T = stop.value
                return result
            waits += 1
            if waits == self._number:
                self.reached = True
                self._scope.cancel()
            try:
                resume = partial(self._something.send, (yield wanted))
            except BaseException as error:
                resume = partial(self._something.throw, error)


# The command


def main(arguments: list[str] | None = None) -> int:
    """Check the transport of a factory against the contract, and print the report.

    Args:
        arguments: the command line's arguments; None takes the process's.

    Returns:
        The exit status: 0 if all checks pass, 1 if not.
    """
    parser = argparse.ArgumentParser(prog="python -m ddg_transports.testing.contract", description=main.__doc__)
    parser.add_argument("factory", metavar="MODULE:FACTORY", help="takes an SSLContext, returns a context manager")
    parser.add_argument("checks", metavar="CHECK", nargs="*", help=f"only these; there are {', '.join(CHECKS)}")
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio", help="for an async transport")
    args = parser.parse_args(arguments)
    if unknown := set(args.checks) - set(CHECKS):
        parser.error(f"there is no check {sorted(unknown)[0]}")
    module, _, name = args.factory.partition(":")
    sys.path.insert(0, "")
    report = check(getattr(importlib.import_module(module), name), args.checks or None, backend=args.backend)
    print(report)
    return 0 if report.kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
