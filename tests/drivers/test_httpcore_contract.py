"""The transports over httpcore and httpcore2 keep the contract: straight, over HTTP/2, behind proxies."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Iterator, Set
from functools import partial
from typing import Any

import httpcore
import httpcore2
import pytest
from support import servers
from support.h2_gateway import Gateway
from support.tiers import thinned

from ddg_transports.httpcore import AsyncHttpcoreTransport, HttpcoreTransport
from ddg_transports.testing.contract import CHECKS, check

LIBRARIES: dict[str, Any] = {"httpcore": httpcore, "httpcore2": httpcore2}
WORLDS = ["blocking", "asyncio", "trio"]
EACH = [(world, library) for world in WORLDS for library in LIBRARIES]


def first(number: int) -> pytest.MarkDecorator:
    """Try each library in each world, by default only one of these pairs."""
    cases = thinned([*EACH[number:], *EACH[:number]], one_in=len(EACH), reason="each library in each world")
    return pytest.mark.parametrize(("world", "library"), cases, indirect=["library"])


def alternating(number: int) -> pytest.MarkDecorator:
    """Try each world, with the libraries in turn."""
    cases = [(world, list(LIBRARIES)[(number + n) % 2]) for n, world in enumerate(WORLDS)]
    return pytest.mark.parametrize(("world", "library"), cases, indirect=["library"])


#: Over before there is any HTTP/2: the gateway would be asked instead of the peer.
BEFORE_HTTP = {"refused", "bad-certificate", "no-tls", "connect-timeout"}
#: Hundreds of TLS handshakes, two for each; the sweep over plain HTTP/2 is the same from there on.
TOO_LONG = {"cancellation"}
#: The libraries take what a server says before it is asked for the proxy's answer; one that speaks TLS never does that.
SPEAKS_FIRST = {"no-tls"}


@pytest.fixture
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A library, as if it were the only one that is installed."""
    for name in LIBRARIES:
        if name != request.param:
            monkeypatch.setitem(sys.modules, name, None)
    return LIBRARIES[request.param]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="session", params=["tinyproxy", "dante"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with getattr(servers, request.param)(tmp_path_factory.mktemp(request.param)) as url:
        yield url


def made(pool: Any, network: Any, **settings: Any) -> Any:
    """Make a pool with the network backend that a transport gives."""
    return pool(network_backend=network, **settings)


def keeps_it(
    world: str,
    settings: Callable[[ssl.SSLContext], dict[str, Any]],
    *,
    tls: bool | None = None,
    but: Set[str] = frozenset(),
) -> None:
    transport = HttpcoreTransport if world == "blocking" else AsyncHttpcoreTransport
    names = [name for name in CHECKS if name not in but]
    backend = "asyncio" if world == "blocking" else world
    report = check(lambda context: transport(**settings(context)), names, tls=tls, backend=backend)
    assert report.kept, str(report)


@first(0)
def test_straight(world: str, library: Any) -> None:
    keeps_it(world, lambda context: {"ssl_context": context})


@pytest.mark.deep("the same checks, of a pool that others made")
@alternating(0)
def test_over_a_pool_that_is_handed_in(world: str, library: Any) -> None:
    pool = library.ConnectionPool if world == "blocking" else library.AsyncConnectionPool
    keeps_it(world, lambda context: {"pool": partial(made, pool, ssl_context=context)})


@pytest.mark.deep("the same checks over HTTP/2")
@alternating(1)
def test_over_http_2(world: str, library: Any, gateway: Gateway) -> None:
    pool = library.ConnectionPool if world == "blocking" else library.AsyncConnectionPool
    make = partial(made, pool, http1=False, http2=True, uds=gateway.plain)
    keeps_it(world, lambda context: {"pool": make}, tls=False, but=BEFORE_HTTP)


@pytest.mark.deep("HTTP/2 is the same over TLS")
@alternating(0)
def test_over_http_2_and_tls(world: str, library: Any, gateway: Gateway) -> None:
    before = gateway.connections
    settings = {"http2": True, "uds": gateway.tls}
    keeps_it(world, lambda context: {"ssl_context": context, **settings}, tls=True, but=BEFORE_HTTP | TOO_LONG)
    assert gateway.connections > before


@pytest.mark.deep("real proxies")
@pytest.mark.parametrize("world", WORLDS)
def test_behind_a_proxy(world: str, proxy: str) -> None:
    # An HTTP proxy is a party to what is plain, with headers and answers of its own; TLS goes through it untouched.
    tls = True if proxy.startswith("http") else None
    keeps_it(world, lambda context: {"ssl_context": context, "proxy": proxy}, tls=tls, but=SPEAKS_FIRST)
