"""Every driver as one function: it asks once, lets something happen, and asks again; and what came of each turn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import httpcore
from support.planted import shown_by

from ddg_protocol import DuckChatError, ServiceProfile
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client
from ddg_transports.httpcore import AsyncHttpcoreTransport, HttpcoreTransport
from ddg_transports.testing.contract import trusting


@dataclass(frozen=True)
class Outcome:
    """What came of a turn.

    Attributes:
        kind: the exception's class; None where there is a reply.
        text: of the reply, or of the exception.
        shown: all that the exception shows, with its traceback.
    """

    kind: type[DuckChatError] | None
    text: str
    shown: str = ""

    @classmethod
    def of(cls, error: DuckChatError) -> Outcome:
        """Make it of an exception, while its traceback is whole."""
        return cls(type(error), str(error), "\n".join(shown_by(error)))


Driver = Callable[..., list[Outcome]]
"""Is given a profile, what to do after the first turn, how many turns, and a client's settings; gives the outcomes:
of a turn, and then of one by the same chat and one by another."""


def _blocking(
    make: Callable[..., Any] | None, profile: ServiceProfile, then: Callable[[], None], turns: int = 3, **settings: Any
) -> list[Outcome]:
    outcomes = []
    with ExitStack() as stack:
        transport = stack.enter_context(make(ssl_context=trusting())) if make else None
        client = stack.enter_context(Client(profile, transport=transport, ssl_context=trusting(), **settings))
        chat = client.chat()
        for asked in (chat, chat, client.chat())[:turns]:
            try:
                outcomes.append(Outcome(None, asked.ask("Why?").text))
            except DuckChatError as error:
                outcomes.append(Outcome.of(error))
            if len(outcomes) == 1:
                then()
    return outcomes


def _async(
    backend: str,
    make: Callable[..., Any] | None,
    profile: ServiceProfile,
    then: Callable[[], None],
    turns: int = 3,
    **settings: Any,
) -> list[Outcome]:
    async def main() -> list[Outcome]:
        outcomes = []
        async with AsyncExitStack() as stack:
            transport = await stack.enter_async_context(make(ssl_context=trusting())) if make else None
            client = AsyncClient(profile, transport=transport, ssl_context=trusting(), **settings)
            await stack.enter_async_context(client)
            chat = client.chat()
            for asked in (chat, chat, client.chat())[:turns]:
                try:
                    outcomes.append(Outcome(None, (await asked.ask("Why?")).text))
                except DuckChatError as error:
                    outcomes.append(Outcome.of(error))
                if len(outcomes) == 1:
                    then()
        return outcomes

    return anyio.run(main, backend=backend)


def _over_h2(pool: Any, network: Any) -> Any:
    return pool(network_backend=network, http1=False, http2=True)


def _h2(**_: Any) -> HttpcoreTransport:
    return HttpcoreTransport(partial(_over_h2, httpcore.ConnectionPool))


def _async_h2(**_: Any) -> AsyncHttpcoreTransport:
    return AsyncHttpcoreTransport(partial(_over_h2, httpcore.AsyncConnectionPool))


DRIVERS: dict[str, Driver] = {
    "blocking": partial(_blocking, None),
    "asyncio": partial(_async, "asyncio", None),
    "trio": partial(_async, "trio", None),
    "httpcore": partial(_blocking, HttpcoreTransport),
    "httpcore on asyncio": partial(_async, "asyncio", AsyncHttpcoreTransport),
    "httpcore on trio": partial(_async, "trio", AsyncHttpcoreTransport),
}
"""Every driver."""

OVER_H2: dict[str, Driver] = {
    "httpcore": partial(_blocking, _h2),
    "httpcore on asyncio": partial(_async, "asyncio", _async_h2),
    "httpcore on trio": partial(_async, "trio", _async_h2),
}
"""Those that speak HTTP/2, with nothing else, on plain connections."""
