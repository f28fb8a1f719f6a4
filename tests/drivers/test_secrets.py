"""A secret in a response that can't be read: in no exception, no traceback, no transcript, and not shown to anyone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from itertools import product

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from support.planted import FIELDS, HEADS, leaks, planted, shown_by, wire_text
from support.tiers import examples, thinned

from ddg_protocol import DUCKDUCKGO_2025_04, DuckChatError, Policy, ServiceProfile, Session
from ddg_protocol.tap import DrivenSession
from ddg_protocol.transcript import RecordedSession
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client
from ddg_transports.httpcore import AsyncHttpcoreTransport, HttpcoreTransport
from ddg_transports.testing.peer import CLOSE, Peer, Said

DRIVERS = [
    "own sockets",
    "httpcore",
    "own sockets on asyncio",
    "own sockets on trio",
    "httpcore on asyncio",
    "httpcore on trio",
]
FEW = settings(
    max_examples=examples(3, default=1),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
POLICY = Policy(max_retries=0, max_redirects=1)
READ = ["cookie", "old cookie", "authenticate", "location's query", "unknown", "server"]
"""Fields of a head that can be read."""


def asked(raw: bytes, driver: str) -> str:
    """Ask a server that answers everything with the same bytes; give all that was shown and written."""
    shown: list[str] = []
    reply: Said = (raw, CLOSE)
    library, _, backend = driver.partition(" on ")
    over_httpcore = library == "httpcore"
    with Peer(*[reply] * 8) as peer:
        profile = DUCKDUCKGO_2025_04.at(peer.url)
        asking = partial(ask, profile, shown, over_httpcore)
        if backend:
            asking = partial(anyio.run, partial(ask_async, profile, shown, over_httpcore), backend=backend)
        with pytest.raises(DuckChatError) as caught:
            asking()
    return "\n".join([*shown, *shown_by(caught.value)])


def ask(profile: ServiceProfile, shown: list[str], over_httpcore: bool) -> None:
    with ExitStack() as stack:
        transport = stack.enter_context(HttpcoreTransport()) if over_httpcore else None
        client = stack.enter_context(Client(profile, policy=POLICY, on_action=showing(shown), transport=transport))
        client.chat(wrap=recording(shown)).ask("Why?")


async def ask_async(profile: ServiceProfile, shown: list[str], over_httpcore: bool) -> None:
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(AsyncHttpcoreTransport()) if over_httpcore else None
        client = AsyncClient(profile, policy=POLICY, on_action=showing(shown), transport=transport)
        await stack.enter_async_context(client)
        await client.chat(wrap=recording(shown)).ask("Why?")


def showing(shown: list[str]) -> Callable[[object], None]:
    return lambda action: shown.append(repr(action))


def recording(shown: list[str]) -> Callable[[Session], DrivenSession]:
    return lambda session: RecordedSession(session, shown.append)


@pytest.mark.parametrize(("place", "driver"), thinned(product(HEADS, DRIVERS), one_in=5, reason="each with each"))
@given(secret=planted())
@FEW
def test_a_response_that_can_not_be_read_is_never_quoted(place: str, driver: str, secret: str) -> None:
    assert not leaks(secret, asked(HEADS[place](secret.encode()), driver))


@pytest.mark.parametrize(("place", "driver"), thinned(product(READ, DRIVERS), one_in=5, reason="each with each"))
@given(secret=planted())
@FEW
def test_a_head_that_can_be_read_is_shown_without_its_secrets(place: str, driver: str, secret: str) -> None:
    name, value = FIELDS[place](wire_text(secret))
    raw = f"HTTP/1.1 302 Found\r\n{name}: {value}\r\ncontent-length: 0\r\n\r\n".encode("latin-1")
    assert not leaks(secret, asked(raw, driver))
