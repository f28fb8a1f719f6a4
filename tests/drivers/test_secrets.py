"""A secret in a response that can't be read: in no exception, no traceback, no transcript, and not shown to anyone."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from support.planted import FIELDS, HEADS, leaks, planted, shown_by, wire_text

from ddg_protocol import DUCKDUCKGO_2025_04, DuckChatError, Policy
from ddg_protocol.transcript import RecordedSession
from ddg_transports.blocking import Client
from ddg_transports.httpcore import HttpcoreTransport
from ddg_transports.testing.peer import CLOSE, Peer, Said

DRIVERS = {"blocking": False, "httpcore": True}
FEW = settings(
    max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
POLICY = Policy(max_retries=0, max_redirects=1)


def asked(raw: bytes, *, over_httpcore: bool) -> str:
    """Ask a server that answers everything with the same bytes; give all that was shown and written."""
    shown: list[str] = []

    def on_action(action: object) -> None:
        shown.append(repr(action))

    with ExitStack() as stack:
        reply: Said = (raw, CLOSE)
        peer = stack.enter_context(Peer(*[reply] * 8))
        transport = stack.enter_context(HttpcoreTransport()) if over_httpcore else None
        profile = DUCKDUCKGO_2025_04.at(peer.url)
        client = stack.enter_context(Client(profile, policy=POLICY, on_action=on_action, transport=transport))
        chat = client.chat(wrap=lambda session: RecordedSession(session, shown.append))
        with pytest.raises(DuckChatError) as caught:
            chat.ask("Why?")
    return "\n".join([*shown, *shown_by(caught.value)])


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("place", HEADS)
@given(secret=planted())
@FEW
def test_a_response_that_can_not_be_read_is_never_quoted(place: str, driver: str, secret: str) -> None:
    assert not leaks(secret, asked(HEADS[place](secret.encode()), over_httpcore=DRIVERS[driver]))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("place", ["cookie", "old cookie", "authenticate", "location's query", "unknown", "server"])
@given(secret=planted())
@FEW
def test_a_head_that_can_be_read_is_shown_without_its_secrets(place: str, driver: str, secret: str) -> None:
    name, value = FIELDS[place](wire_text(secret))
    raw = f"HTTP/1.1 302 Found\r\n{name}: {value}\r\ncontent-length: 0\r\n\r\n".encode("latin-1")
    assert not leaks(secret, asked(raw, over_httpcore=DRIVERS[driver]))
