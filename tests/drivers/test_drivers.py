"""What holds of every driver, whichever world and library: how a reply may be left, and what a driver looks like."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import httpcore
import httpcore2
import pytest
from support.tiers import thinned

import ddg_transports
from ddg_protocol import DUCKDUCKGO_2025_04, ChatTimeoutError, Conversation, Policy, ServiceProfile
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client
from ddg_transports.httpcore import AsyncHttpcoreTransport, HttpcoreTransport
from ddg_transports.testing.contract import trusting
from ddg_transports.testing.peer import CERTIFICATES, DEAF, Peer

SOON = 5.0  # seconds, on the slowest of machines; a peer that says no more stays there for four times as long
WARM = Conversation(vqd="token", fe_version="x-y")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
FIRST = b'data: {"action":"success","message":"first"}\n\n'
STALLS = (HEAD + b"content-length: 999\r\n\r\n" + FIRST, DEAF)
TOKEN = (b"HTTP/1.1 200 OK\r\nx-vqd-4: next\r\ncontent-length: 0\r\n\r\n",)
WHOLE = (HEAD + b"content-length: %d\r\n\r\n" % (len(FIRST) + 14) + FIRST + b"data: [DONE]\n\n",)


# Leaving a reply whose peer says nothing more, and reads nothing more, not even a goodbye of TLS


class Stop(Exception):
    """Raised by who reads a reply."""


def leave(text: str, how: str) -> bool:
    """Do with a piece what a consumer may do; tell whether to stop reading."""
    if how == "it raises":
        raise Stop(text)
    return how == "it stops"


def blocking(make: Callable[[ExitStack], dict[str, Any]], profile: ServiceProfile, policy: Policy, how: str) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(Client(profile, policy=policy, **make(stack)))
        chat = client.chat(conversation=WARM, cookies={})
        with chat.stream("Why?") as reply:
            for text in reply:
                if leave(text, how):
                    break
        if how != "it is done":
            assert chat.ask("And?").text == "first"


async def waiting(
    make: Callable[[AsyncExitStack], dict[str, Any]], profile: ServiceProfile, policy: Policy, how: str
) -> None:
    async with AsyncExitStack() as stack:
        settings = make(stack)
        if "transport" in settings:
            await stack.enter_async_context(settings["transport"])
        client = await stack.enter_async_context(AsyncClient(profile, policy=policy, **settings))
        chat = client.chat(conversation=WARM, cookies={})
        async with chat.stream("Why?") as reply:
            async for text in reply:
                if leave(text, how):
                    break
        if how != "it is done":
            assert (await chat.ask("And?")).text == "first"


def of_its_own(_: object) -> dict[str, Any]:
    return {"ssl_context": trusting()}


def over_pool(library: Any) -> Callable[[ExitStack], dict[str, Any]]:
    def make(stack: ExitStack) -> dict[str, Any]:
        pool = partial(library.ConnectionPool, trusting())
        return {"transport": stack.enter_context(HttpcoreTransport(lambda network: pool(network_backend=network)))}

    return make


def over_async_pool(library: Any) -> Callable[[AsyncExitStack], dict[str, Any]]:
    pool = partial(library.AsyncConnectionPool, trusting())
    return lambda _: {"transport": AsyncHttpcoreTransport(lambda network: pool(network_backend=network))}


def on(backend: str, make: Callable[[AsyncExitStack], dict[str, Any]]) -> Callable[[ServiceProfile, Policy, str], None]:
    return lambda *about: anyio.run(waiting, make, *about, backend=backend)


DRIVERS: dict[str, Callable[[ServiceProfile, Policy, str], None]] = {
    "blocking": lambda *about: blocking(of_its_own, *about),
    "blocking over httpcore": lambda *about: blocking(over_pool(httpcore), *about),
    "blocking over httpcore2": lambda *about: blocking(over_pool(httpcore2), *about),
    "asyncio": on("asyncio", of_its_own),
    "asyncio over httpcore": on("asyncio", over_async_pool(httpcore)),
    "asyncio over httpcore2": on("asyncio", over_async_pool(httpcore2)),
    "trio": on("trio", of_its_own),
    "trio over httpcore": on("trio", over_async_pool(httpcore)),
    "trio over httpcore2": on("trio", over_async_pool(httpcore2)),
}


@pytest.mark.parametrize(
    ("driver", "how", "tls"),
    thinned(
        product(DRIVERS, ["it stops", "it raises", "it waits", "it is done"], [False, True]),
        one_in=5,
        reason="each with each",
    ),
)
def test_a_reply_whose_peer_is_dead_is_left_at_once(driver: str, how: str, tls: bool) -> None:
    policy = Policy(max_retries=0, read_timeout=0.2 if how == "it waits" else 30.0)
    certificate = CERTIFICATES / "loopback.pem" if tls else None
    first = (*WHOLE, DEAF) if how == "it is done" else STALLS
    with Peer(first, TOKEN, WHOLE, certificate=certificate) as peer:
        began = time.monotonic()
        try:
            DRIVERS[driver](DUCKDUCKGO_2025_04.at(peer.url, minimum_interval=0.0), policy, how)
        except Stop:
            assert how == "it raises"
        except ChatTimeoutError:
            assert how == "it waits"
        else:
            connections = {"it stops": [1, 2, 2], "it is done": [1]}[how]
            assert [request.connection for request in peer.requests] == connections, "what was left is not kept"
        assert time.monotonic() - began < SOON


# What a driver looks like

FOLDER = Path(ddg_transports.__file__).parent
FILES = sorted(path for path in FOLDER.glob("*.py") if path.stem not in {"emulator", "_trace", "tracing"})


def decisions(source: str) -> Iterator[ast.AST]:
    """Give what decides where the code goes on: conditions, and what is matched."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
                yield node.test
            case ast.Match():
                yield node.subject
                for case in node.cases:
                    yield case.pattern
                    if case.guard is not None:
                        yield case.guard
            case ast.comprehension():
                yield from node.ifs


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_driver_decides_nothing_by_what_a_response_says(path: Path) -> None:
    said = {"status", "status_code", "headers", "reason", "raw_headers", "text"}
    for decision in decisions(path.read_text()):
        for node in ast.walk(decision):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            assert name not in said, f"line {getattr(node, 'lineno', 0)}: {ast.unparse(decision)}"


def outline(path: Path) -> list[tuple[str, list[str]]]:
    """Give the classes of a module, and the methods of each, in order and under the names they have in both worlds."""
    renamed = {"aclose": "close", "__aenter__": "__enter__", "__aiter__": "__iter__", "__anext__": "__next__"}
    return [
        (
            node.name.removeprefix("Async").removeprefix("_Async").lstrip("_"),
            [
                renamed.get(each.name, each.name)
                for each in node.body
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            ],
        )
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    ]


def test_blocking_and_async_say_the_same_in_the_same_order() -> None:
    waits, blocks = dict(outline(FOLDER / "anyio.py")), dict(outline(FOLDER / "blocking.py"))
    assert list(waits) == [*blocks, "Events"]  # what is a generator in blocking code
    for name, methods in blocks.items():
        others = [method for method in waits[name] if method in methods]
        assert others == [method for method in methods if method in others], name
        # Which an AsyncResource has; between threads.
        only_here = set(methods) - set(waits[name]) - {"__exit__", "__enter__", "_settle"}
        only_there = (
            set(waits[name]) - set(methods) - {"_interrupt", "_in_time", "__next__"}
        )  # from other tasks; in time
        assert not only_here | only_there, name
