"""The clients of this project and its peers as programs: ``python -m benchmarks.programs NAME URL QUESTION...``.

Each asks the questions in one conversation, prints the replies, and ends with exit code 1 if one of them isn't whole:
what ``ddg-chat check`` wants of a program. The peers are as they were published, but for their addresses.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from importlib import import_module, metadata
from typing import Any, NamedTuple

Say = Callable[[str], object]

INTERVAL = 1.5
"""Seconds between two requests. On a loopback address this project's drivers would leave no pause."""

# This project's


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a client that gives up soon enough: ``ddg-chat check`` waits for 35 s."""
    from ddg_protocol import Policy

    return {"policy": Policy(connect_timeout=3.0, write_timeout=3.0, read_timeout=25.0), **settings}


def blocking(url: str, questions: Sequence[str], say: Say, *, interval: float = INTERVAL, **settings: Any) -> None:
    from ddg_protocol import DUCKDUCKGO_2025_04, DuckChatError
    from ddg_transports.blocking import Client

    failure = None
    profile = DUCKDUCKGO_2025_04.at(url, minimum_interval=interval)
    with Client(profile, **_settings(settings)) as client, client.chat() as chat:
        for question in questions:
            try:
                with chat.stream(question) as reply:
                    for text in reply:
                        say(text)
            except DuckChatError as error:
                failure = error
    if failure is not None:
        raise failure


def blocking_httpcore(url: str, questions: Sequence[str], say: Say, **settings: Any) -> None:
    from ddg_transports.httpcore import HttpcoreTransport

    with HttpcoreTransport() as transport:
        blocking(url, questions, say, transport=transport, **settings)


async def _ask(url: str, questions: Sequence[str], say: Say, *, interval: float = INTERVAL, **settings: Any) -> None:
    from ddg_protocol import DUCKDUCKGO_2025_04, DuckChatError
    from ddg_transports.anyio import AsyncClient

    failure = None
    profile = DUCKDUCKGO_2025_04.at(url, minimum_interval=interval)
    async with AsyncClient(profile, **_settings(settings)) as client, client.chat() as chat:
        for question in questions:
            try:
                async with chat.stream(question) as reply:
                    async for text in reply:
                        say(text)
            except DuckChatError as error:
                failure = error
    if failure is not None:
        raise failure


def on_asyncio(url: str, questions: Sequence[str], say: Say, **settings: Any) -> None:
    import asyncio

    asyncio.run(_ask(url, questions, say, **settings))


def on_trio(url: str, questions: Sequence[str], say: Say, **settings: Any) -> None:
    from functools import partial

    import trio

    trio.run(partial(_ask, url, questions, say, **settings))


def async_httpcore(url: str, questions: Sequence[str], say: Say, **settings: Any) -> None:
    import asyncio

    from ddg_transports.httpcore import AsyncHttpcoreTransport

    async def ask() -> None:
        async with AsyncHttpcoreTransport() as transport:
            await _ask(url, questions, say, transport=transport, **settings)

    asyncio.run(ask())


# The peers


HOME = "https://duckduckgo.com"


def _each(questions: Sequence[str], say: Say, ask: Callable[[str], Iterable[str]]) -> None:
    """Ask one question after the other, whatever comes of the one before."""
    failure: Exception | None = None
    for question in questions:
        try:
            for text in ask(question):
                say(text)
        except Exception as error:
            failure = error
        say("\n")
    if failure is not None:
        raise failure


async def _each_async(questions: Sequence[str], say: Say, ask: Callable[[str], AsyncIterator[str]]) -> None:
    failure: Exception | None = None
    for question in questions:
        try:
            async for text in ask(question):
                say(text)
        except Exception as error:
            failure = error
        say("\n")
    if failure is not None:
        raise failure


def _sent_to(url: str, session: Any) -> Any:
    """Return a class of sessions of aiohttp whose requests go to another address than their code says."""

    class Here(session):  # type: ignore[misc]
        def get(self, target: str, **settings: Any) -> Any:
            return super().get(target.replace(HOME, url), **settings)

        def post(self, target: str, **settings: Any) -> Any:
            return super().post(target.replace(HOME, url), **settings)

    return Here


def g4f(url: str, questions: Sequence[str], say: Say) -> None:
    """Its own timeout of 60 s, a parameter, is set to 30 s."""
    import asyncio

    provider: Any = import_module("g4f.Provider.DDG")
    provider.ClientSession = _sent_to(url, provider.ClientSession)
    conversation: Any = None

    async def ask(question: str) -> AsyncIterator[str]:
        nonlocal conversation
        messages = [{"role": "user", "content": question}]
        replies = provider.DDG.create_async_generator(
            "gpt-4o-mini", messages, timeout=30, conversation=conversation, return_conversation=True
        )
        async for piece in replies:
            if isinstance(piece, str):
                yield piece
            elif isinstance(piece, provider.Conversation):
                conversation = piece

    asyncio.run(_each_async(questions, say, ask))


def _ddgs(client: Any, url: str, questions: Sequence[str], say: Say) -> None:
    class Here(client):  # type: ignore[misc]
        def _get_url(self, method: str, url_: str = "", **settings: Any) -> Any:
            target = settings.pop("url", url_)
            return super()._get_url(method, target.replace(HOME, url), **settings)

    _each(questions, say, Here().chat_yield)


def duckduckgo_search(url: str, questions: Sequence[str], say: Say) -> None:
    _ddgs(import_module("duckduckgo_search").DDGS, url, questions, say)


def duckai(url: str, questions: Sequence[str], say: Say) -> None:
    """Without the 15 s that it sleeps over each challenge."""
    import time

    time.sleep = lambda _: None
    _ddgs(import_module("duckai.duckai").DuckAI, url, questions, say)


def duck_chat(url: str, questions: Sequence[str], say: Say) -> None:
    import asyncio

    api: Any = import_module("duck_chat.api")
    api.aiohttp.ClientSession = _sent_to(url, api.aiohttp.ClientSession)

    async def ask() -> None:
        async with api.DuckChat(model=api.ModelType.GPT4o) as chat:
            await _each_async(questions, say, chat.ask_question_stream)

    asyncio.run(ask())


class _Requests:
    """The module requests, sent to another address."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._requests: Any = import_module("requests")

    def get(self, target: str, **settings: Any) -> Any:
        return self._requests.get(target.replace(HOME, self._url), **settings)

    def post(self, target: str, **settings: Any) -> Any:
        return self._requests.post(target.replace(HOME, self._url), **settings)


def duckduckgo_ai_chat(url: str, questions: Sequence[str], say: Say) -> None:
    """The loop of its command, without what that prints."""
    import queue

    app: Any = import_module("duckduckgo_ai_chat.app")
    app.requests = _Requests(url)
    stdout, sys.stdout = sys.stdout, sys.stderr  # it tells that it begins
    vqd, vqd_hash_1 = app.fetch_vqd()
    sys.stdout = stdout
    messages: list[dict[str, str]] = []

    def ask(question: str) -> Iterable[str]:
        messages.append({"content": question, "role": "user"})
        response = app.fetch_response(f"{HOME}/duckchat/v1/chat", vqd, vqd_hash_1, "gpt-4o-mini", messages)
        pieces: queue.Queue[str] = queue.Queue()
        app.process_stream(response, pieces)
        while not pieces.empty():
            yield pieces.get()

    _each(questions, say, ask)


def llm_duckduckgo_chat(url: str, questions: Sequence[str], say: Say) -> None:
    plugin: Any = import_module("llm_duckduckgo_chat")
    plugin.requests = _Requests(url)
    conversation = import_module("llm").Conversation(model=plugin.DuckChatModel("gpt-4o-mini"))
    _each(questions, say, conversation.prompt)


class Entry(NamedTuple):
    """A program.

    Attributes:
        package: what has to be installed for it.
        run: asks the questions, in this process; None if it is a command of its own.
        command: that command.
    """

    package: str
    run: Callable[..., None] | None
    command: tuple[str, ...] = ()


OURS = {
    "blocking": Entry("ddg-protocol", blocking),
    "asyncio": Entry("ddg-protocol", on_asyncio),
    "trio": Entry("ddg-protocol", on_trio),
    "httpcore": Entry("ddg-protocol", blocking_httpcore),
    "httpcore-async": Entry("ddg-protocol", async_httpcore),
}
PEERS = {
    "g4f": Entry("g4f", g4f),
    "duckduckgo_search": Entry("duckduckgo_search", duckduckgo_search),
    "duck-chat": Entry("duck-chat", duck_chat),
    "duckduckgo-ai-chat": Entry("duckduckgo-ai-chat", duckduckgo_ai_chat),
    "llm-duckduckgo-chat": Entry("llm-duckduckgo-chat", llm_duckduckgo_chat),
    "duckai": Entry("duckai", duckai),
}
NODE = {"fetch": Entry("node", None, ("node", "examples/node/client.mjs"))}
PROGRAMS = {**OURS, **PEERS, **NODE}


def version(name: str) -> str | None:
    """Return the version of a program; None if it isn't installed."""
    package = PROGRAMS[name].package
    if package == "node":
        node = shutil.which("node")
        done = node and subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
        return f"node {done.stdout.strip().removeprefix('v')}" if done else None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def main() -> int:
    name, url, *questions = sys.argv[1:]
    run = PROGRAMS[name].run
    assert run is not None, f"{name} is a command of its own"
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]

    def say(text: str) -> None:
        print(text, end="", flush=True)

    try:
        run(url, questions, say)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
