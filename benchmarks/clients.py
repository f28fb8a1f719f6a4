"""All that converse with the service, each in its own way: this project's drivers, the peers, and the floors.

A client is a context manager that is given the service's address and gives a function that holds a new conversation:
it asks the question, hands over each piece of the reply as it comes, and gives the whole reply in the end, which the
next turn would have to send. What was learnt of the service (the front-end version) is kept as long as the client is.
Peers are imported where they are used: one that is missing is known by its package's name.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from functools import cache
from importlib import import_module, metadata
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

Take = Callable[[str], object]
Converse = Callable[[str, Take], str]
AsyncConverse = Callable[[str, Take], Awaitable[str]]
World = Literal["blocking", "asyncio", "trio"]

MODEL = "gpt-4o-mini"
LONG = 600.0  # seconds: nothing here is to run out of time


class Contender(NamedTuple):
    """One that converses.

    Attributes:
        world: what runs it.
        packages: what has to be installed for it, beside this project.
        make: the client; an async one outside of the blocking world.
    """

    world: World
    packages: tuple[str, ...]
    make: Callable[[str], AbstractContextManager[Converse] | AbstractAsyncContextManager[AsyncConverse]]


@cache
def tls() -> Any:
    """What httpx and this project's transports over httpcore would make for each client, in 25 ms, and not use here."""
    return import_module("ssl").create_default_context()


# This project's


@contextmanager
def blocking(url: str, **settings: Any) -> Iterator[Converse]:
    from ddg_protocol import DUCKDUCKGO_2025_04, Policy
    from ddg_transports.blocking import Client

    patient = Policy(connect_timeout=LONG, read_timeout=LONG, total_timeout=LONG)
    with Client(DUCKDUCKGO_2025_04.at(url), policy=patient, **settings) as client:

        def converse(question: str, take: Take) -> str:
            with client.chat() as chat, chat.stream(question) as reply:
                for text in reply:
                    take(text)
            return reply.text

        yield converse


@contextmanager
def blocking_httpcore(url: str) -> Iterator[Converse]:
    from ddg_transports.httpcore import HttpcoreTransport

    with HttpcoreTransport(ssl_context=tls()) as transport, blocking(url, transport=transport) as converse:
        yield converse


@asynccontextmanager
async def anyio(url: str, **settings: Any) -> AsyncIterator[AsyncConverse]:
    from ddg_protocol import DUCKDUCKGO_2025_04, Policy
    from ddg_transports.anyio import AsyncClient

    patient = Policy(connect_timeout=LONG, read_timeout=LONG, total_timeout=LONG)
    async with AsyncClient(DUCKDUCKGO_2025_04.at(url), policy=patient, **settings) as client:

        async def converse(question: str, take: Take) -> str:
            async with client.chat() as chat, chat.stream(question) as reply:
                async for text in reply:
                    take(text)
            return reply.text

        yield converse


@asynccontextmanager
async def anyio_httpcore(url: str) -> AsyncIterator[AsyncConverse]:
    from ddg_transports.httpcore import AsyncHttpcoreTransport

    async with AsyncHttpcoreTransport(ssl_context=tls()) as transport, anyio(url, transport=transport) as converse:
        yield converse


# The floors: the least that can be done, with nothing that makes it right


REQUESTS = (
    ("GET", "/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1", ()),
    ("GET", "/aichat", ()),
    ("GET", "/duckchat/v1/status", (("x-vqd-accept", "1"),)),
)
_IDENTITY = (
    ("user-agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0"),
    ("accept-language", "en-US,en;q=0.9"),
    ("accept", "text/event-stream"),
)


def _chat(question: str) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": question}]}


@contextmanager
def floor(url: str) -> Iterator[Converse]:
    """Recv, h11 and msgspec, in a straight line: no timeouts, no states, nothing checked."""
    import socket

    import h11
    import msgspec

    from ddg_protocol.reply import decode_text

    place = urlsplit(url)
    address = (place.hostname or "", place.port or 80)

    def converse(question: str, take: Take) -> str:
        fields = (("host", place.netloc), *_IDENTITY)
        with socket.create_connection(address) as connection:
            http = h11.Connection(h11.CLIENT)

            def respond(method: str, target: str, more: tuple[tuple[str, str], ...], body: bytes = b"") -> Any:
                request = h11.Request(method=method, target=target, headers=[*fields, *more])
                content = (request, h11.Data(data=body)) if body else (request,)
                connection.sendall(b"".join(http.send(event) for event in (*content, h11.EndOfMessage())))
                while (event := http.next_event()) is h11.NEED_DATA:
                    http.receive_data(connection.recv(65536))
                return event

            def body() -> Iterator[bytes]:
                while True:
                    event = http.next_event()
                    if event is h11.NEED_DATA:
                        http.receive_data(connection.recv(65536))
                    elif type(event) is h11.Data:
                        yield bytes(event.data)
                    else:
                        http.start_next_cycle()
                        return

            for method, target, more in REQUESTS:
                head = respond(method, target, more)
                page = b"".join(body())
                if target.startswith("/?q="):
                    version = _version(page.decode())
            content = msgspec.json.encode(_chat(question))
            tokens = ("x-vqd-4", dict(head.headers)[b"x-vqd-4"].decode())
            respond(
                "POST",
                "/duckchat/v1/chat",
                (tokens, ("x-fe-version", version), ("content-length", str(len(content)))),
                content,
            )
            rest = b""
            for data in body():
                *blocks, rest = (rest + data).split(b"\n\n")
                for block in blocks:
                    if block != b"data: [DONE]" and (text := decode_text(block[6:]).message):
                        take(text)
        return ""

    yield converse


@contextmanager
def bare_socket(url: str) -> Iterator[Converse]:
    """Canned requests, and no look at what comes but for its end: what the server and the system take by themselves."""
    import socket

    place = urlsplit(url)
    address = (place.hostname or "", place.port or 80)

    def converse(question: str, take: Take) -> str:
        with socket.create_connection(address) as connection:
            for method, target, _ in REQUESTS:
                connection.sendall(f"{method} {target} HTTP/1.1\r\nhost: {place.netloc}\r\n\r\n".encode())
                page = b""
                while b"\r\n\r\n" not in page:
                    page += connection.recv(65536)
                head, _, rest = page.partition(b"\r\n\r\n")
                left = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(rest)
                while left:
                    left -= len(connection.recv(65536))
            content = json.dumps(_chat(question)).encode()
            connection.sendall(
                b"POST /duckchat/v1/chat HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(content) + content
            )
            data = b""
            while not data.endswith(b"\r\n0\r\n\r\n"):
                data = data[-6:] + connection.recv(65536)  # what is looked for is a byte longer, both times
                for _ in range(data.count(b'"role":')):
                    take("?")
        return ""

    yield converse


# The peers: the loop that a client of the service has, over the libraries that they are written with


def _version(page: str) -> str:
    first = page.split('__DDG_BE_VERSION__="', 1)[1].split('"', 1)[0]
    return first + "-" + page.split('__DDG_FE_CHAT_HASH__="', 1)[1].split('"', 1)[0]


def _status_headers(url: str) -> dict[str, str]:
    return {
        **dict(_IDENTITY),
        "cache-control": "no-cache",
        "content-type": "application/json",
        "origin": url,
        "referer": f"{url}/",
        "x-vqd-accept": "1",
    }


def _chat_headers(url: str, version: str, token: str) -> dict[str, str]:
    return {
        **dict(_IDENTITY),
        "content-type": "application/json",
        "origin": url,
        "referer": f"{url}/",
        "x-fe-version": version,
        "x-vqd-4": token,
        "x-vqd-hash-1": "",
    }


def _take_line(line: str, take: Take, reply: list[str]) -> None:
    if line.startswith("data:"):
        _take_data(line[5:].strip(), take, reply)


def _take_data(data: str, take: Take, reply: list[str]) -> None:
    if data != "[DONE]":
        message = json.loads(data)
        if message.get("message"):
            take(message["message"])
            reply.append(message["message"])


@contextmanager
def requests_loop(url: str) -> Iterator[Converse]:
    requests: Any = import_module("requests")
    version = ""

    def converse(question: str, take: Take) -> str:
        nonlocal version
        reply: list[str] = []
        with requests.Session() as session:
            if not version:
                version = _version(session.get(url + REQUESTS[0][1], timeout=LONG).text)
            session.get(url + "/aichat", timeout=LONG)
            status = session.get(url + "/duckchat/v1/status", headers=_status_headers(url), timeout=LONG)
            headers = _chat_headers(url, version, status.headers["x-vqd-4"])
            with session.post(
                url + "/duckchat/v1/chat", json=_chat(question), headers=headers, stream=True, timeout=LONG
            ) as response:
                for line in response.iter_lines():  # it would decode them as Latin-1
                    _take_line(line.decode(), take, reply)
        return "".join(reply)

    yield converse


@contextmanager
def httpx_loop(url: str) -> Iterator[Converse]:
    httpx: Any = import_module("httpx")
    connect_sse: Any = import_module("httpx_sse").connect_sse
    version = ""

    def converse(question: str, take: Take) -> str:
        nonlocal version
        reply: list[str] = []
        with httpx.Client(timeout=LONG, verify=tls()) as client:
            if not version:
                version = _version(client.get(url + REQUESTS[0][1]).text)
            client.get(url + "/aichat")
            token = client.get(url + "/duckchat/v1/status", headers=_status_headers(url)).headers["x-vqd-4"]
            headers = _chat_headers(url, version, token)
            chat = connect_sse(client, "POST", url + "/duckchat/v1/chat", json=_chat(question), headers=headers)
            with chat as source:
                for event in source.iter_sse():
                    _take_data(event.data, take, reply)
        return "".join(reply)

    yield converse


@asynccontextmanager
async def async_httpx_loop(url: str) -> AsyncIterator[AsyncConverse]:
    httpx: Any = import_module("httpx")
    connect_sse: Any = import_module("httpx_sse").aconnect_sse
    version = ""

    async def converse(question: str, take: Take) -> str:
        nonlocal version
        reply: list[str] = []
        async with httpx.AsyncClient(timeout=LONG, verify=tls()) as client:
            if not version:
                version = _version((await client.get(url + REQUESTS[0][1])).text)
            await client.get(url + "/aichat")
            token = (await client.get(url + "/duckchat/v1/status", headers=_status_headers(url))).headers["x-vqd-4"]
            headers = _chat_headers(url, version, token)
            chat = connect_sse(client, "POST", url + "/duckchat/v1/chat", json=_chat(question), headers=headers)
            async with chat as source:
                async for event in source.aiter_sse():
                    _take_data(event.data, take, reply)
        return "".join(reply)

    yield converse


@asynccontextmanager
async def aiohttp_loop(url: str) -> AsyncIterator[AsyncConverse]:
    """One session for all conversations, which is the least that it can hold."""
    aiohttp: Any = import_module("aiohttp")
    version = ""

    async def converse(question: str, take: Take) -> str:
        nonlocal version
        reply: list[str] = []
        if not version:
            async with session.get(url + REQUESTS[0][1]) as response:
                version = _version(await response.text())
        async with session.get(url + "/aichat") as response:
            await response.read()
        async with session.get(url + "/duckchat/v1/status", headers=_status_headers(url)) as response:
            token = response.headers["x-vqd-4"]
        headers = _chat_headers(url, version, token)
        async with session.post(url + "/duckchat/v1/chat", json=_chat(question), headers=headers) as response:
            async for line in response.content:
                _take_line(line.decode().strip(), take, reply)
        return "".join(reply)

    patience = aiohttp.ClientTimeout(total=LONG)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=patience) as session:
        yield converse


@asynccontextmanager
async def g4f(url: str) -> AsyncIterator[AsyncConverse]:
    """The DDG provider of g4f, its addresses pointed at the server, and without its pauses."""
    provider: Any = import_module("g4f.Provider.DDG")

    class Here(provider.DDG):  # type: ignore[misc]
        api_endpoint = url + "/duckchat/v1/chat"
        status_url = url + "/duckchat/v1/status"
        _chat_xfe = ""

        @classmethod
        async def sleep(cls, multiplier: float = 1.0) -> None:
            pass

    class Session(provider.ClientSession):  # type: ignore[misc]
        def get(self, target: str, **settings: Any) -> Any:
            return super().get(
                target.replace("https://duckduckgo.com", url), **settings
            )  # one is written into its code

    Here.url = url + "/aichat"
    original, provider.ClientSession = provider.ClientSession, Session

    async def converse(question: str, take: Take) -> str:
        messages = [{"role": "user", "content": question}]
        conversation: Any = None
        replies = Here.create_async_generator(MODEL, messages, timeout=LONG, return_conversation=True)
        async for piece in replies:
            if isinstance(piece, str):
                take(piece)
            elif isinstance(piece, provider.Conversation):
                conversation = piece
        return str(conversation.message_history[-1]["content"])

    try:
        yield converse
    finally:
        provider.ClientSession = original


def duckai_package(name: str) -> Any:
    """Import a module of duckai, without its pauses: it sleeps 15 s over each challenge."""
    time.sleep = lambda _: None
    return import_module(name)


@contextmanager
def duckai(url: str) -> Iterator[Converse]:
    """The duckai client, its addresses pointed at the server. It answers each challenge by V8, which runs the script.

    Of the three requests before the chat it leaves out the landing page, which is added here: it is the same job then.
    """
    duck_ai: Any = duckai_package("duckai.duckai").DuckAI

    class Here(duck_ai):  # type: ignore[misc]
        def _get_url(self, method: str, url_: str = "", **settings: Any) -> Any:
            target = settings.pop("url", url_)
            return super()._get_url(method, url + target[22:], **settings)

    def converse(question: str, take: Take) -> str:
        client = Here(timeout=int(LONG))
        client._get_url("GET", "https://duckduckgo.com/aichat")
        for piece in client.chat_yield(question, timeout=LONG):
            take(piece)
        return str(client._chat_messages[-1]["content"])

    duck_ai._chat_xfe = ""
    yield converse


BLOCKING = "blocking"
ANYIO = "anyio on asyncio"
TRIO = "anyio on trio"
HTTPCORE = "blocking over httpcore"
ASYNC_HTTPCORE = "anyio over httpcore, asyncio"
FLOOR = "floor: recv, h11, msgspec"
BARE = "bare socket"
G4F = "g4f DDG provider"
DUCKAI = "duckai"
AIOHTTP = "aiohttp loop"
HTTPX = "httpx + httpx-sse"
ASYNC_HTTPX = "httpx + httpx-sse, asyncio"
TRIO_HTTPX = "httpx + httpx-sse, trio"
REQUESTS_LOOP = "requests loop"

OURS: dict[str, Contender] = {
    BLOCKING: Contender("blocking", (), blocking),
    ANYIO: Contender("asyncio", (), anyio),
    TRIO: Contender("trio", ("trio",), anyio),
    HTTPCORE: Contender("blocking", (), blocking_httpcore),
    ASYNC_HTTPCORE: Contender("asyncio", (), anyio_httpcore),
}
PEERS: dict[str, Contender] = {
    G4F: Contender("asyncio", ("g4f",), g4f),
    AIOHTTP: Contender("asyncio", ("aiohttp",), aiohttp_loop),
    HTTPX: Contender("blocking", ("httpx", "httpx-sse"), httpx_loop),
    ASYNC_HTTPX: Contender("asyncio", ("httpx", "httpx-sse"), async_httpx_loop),
    TRIO_HTTPX: Contender("trio", ("httpx", "httpx-sse", "trio"), async_httpx_loop),
    REQUESTS_LOOP: Contender("blocking", ("requests",), requests_loop),
    DUCKAI: Contender("blocking", ("duckai",), duckai),
}
FLOORS: dict[str, Contender] = {
    FLOOR: Contender("blocking", (), floor),
    BARE: Contender("blocking", (), bare_socket),
}
ALL = {**OURS, **PEERS, **FLOORS}


def versions(name: str) -> dict[str, str] | None:
    """The versions of the packages that a contender needs; None where one is not installed."""
    try:
        return {package: metadata.version(package) for package in ALL[name].packages}
    except metadata.PackageNotFoundError:
        return None
