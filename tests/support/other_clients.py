"""Clients of others as they are on PyPI, with nothing changed but the service's address: ``NAME URL`` as arguments.

Each asks two questions in one conversation, and prints the replies. It runs as a process of its own, in any environment
that has the client; nothing else of this project is needed there.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from importlib import import_module
from typing import Any

FIRST, SECOND = QUESTIONS = ("Why is the sky blue?", "And at night?")

_MODEL = "gpt-4o-mini"
_SERVICE = "https://duckduckgo.com"


class Here:
    """Sends the requests of an HTTP library, or of its session, to the service elsewhere."""

    def __init__(self, library: Any, url: str) -> None:
        self._library = library
        self._url = url

    def get(self, address: str, **settings: Any) -> Any:
        return self._library.get(address.replace(_SERVICE, self._url), **settings)

    def post(self, address: str, **settings: Any) -> Any:
        return self._library.post(address.replace(_SERVICE, self._url), **settings)


def g4f(url: str) -> None:
    provider: Any = import_module("g4f.Provider.DDG")

    class Session(provider.ClientSession):  # type: ignore[misc]
        def get(self, address: str, **settings: Any) -> Any:  # one address is not among the class's
            return super().get(address.replace(_SERVICE, url), **settings)

    provider.ClientSession = Session
    client = provider.DDG
    for name in ("url", "api_endpoint", "status_url"):
        setattr(client, name, getattr(client, name).replace(_SERVICE, url))

    async def converse() -> None:
        conversation = None
        for question in QUESTIONS:
            messages = [{"role": "user", "content": question}]
            settings = {"conversation": conversation, "return_conversation": True}
            async for piece in client.create_async_generator(_MODEL, messages, **settings):
                if isinstance(piece, provider.Conversation):
                    conversation = piece
                elif isinstance(piece, str):
                    print(piece, end="")
            print()

    asyncio.run(converse())


def duckduckgo_search(url: str) -> None:
    _ask_both(import_module("duckduckgo_search").DDGS, url)


def duckai(url: str) -> None:
    _ask_both(import_module("duckai.duckai").DuckAI, url)


def _ask_both(client: Any, url: str) -> None:
    class Client(client):  # type: ignore[misc]
        def _get_url(self, method: str, url_: str = "", **settings: Any) -> Any:
            address = settings.pop("url", url_)
            return super()._get_url(method, address.replace(_SERVICE, url), **settings)

    chat = Client()
    for question in QUESTIONS:
        print(chat.chat(question, _MODEL))


def duck_chat(url: str) -> None:
    async def converse() -> None:
        client = import_module("duck_chat").DuckChat()
        async with client._session as session:
            client._session = Here(session, url)
            for question in QUESTIONS:
                print(await client.ask_question(question))

    asyncio.run(converse())


def duckduckgo_ai_chat(url: str) -> None:
    """Run the program itself. Standard input must be a terminal, with the second question and ``exit``."""
    app: Any = import_module("duckduckgo_ai_chat.app")
    app.requests = Here(app.requests, url)
    app.mainrun(Namespace(yes=True, model="1", query=FIRST))


def llm_duckduckgo_chat(url: str) -> None:
    module: Any = import_module("llm_duckduckgo_chat")
    module.requests = Here(module.requests, url)
    messages: list[dict[str, str]] = []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        token, answer = module.DuckChat.fetch_vqd()
        response = module.DuckChat.fetch_response(f"{url}/duckchat/v1/chat", token, answer, _MODEL, messages)
        reply = "".join(module.DuckChat.process_stream(response))
        messages.append({"role": "assistant", "content": reply})
        print(reply)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
