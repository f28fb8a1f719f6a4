"""What a session asks of its driver: fields in order, secrets hidden, values that stand for themselves."""

from __future__ import annotations

import msgspec
import pytest

from ddg_protocol import ServiceProfile
from ddg_protocol.coordination import Hold
from ddg_protocol.identity import Identity
from ddg_protocol.intents import (
    NEED_DATA,
    PAUSED,
    Coordinate,
    Failure,
    FailureKind,
    SendRequest,
    Signal,
    SolveChallenge,
    Wait,
)
from ddg_protocol.revisions import REVISIONS

REQUEST = SendRequest(
    id=7,
    method="POST",
    url="https://duckduckgo.com/duckchat/v1/chat",
    headers=(("accept", "text/event-stream"), ("x-vqd-4", "4-123"), ("x-vqd-hash-1", ""), ("cookie", "dcm=3")),
    body=b'{"messages":[{"role":"user","content":"my secret"}]}',
    timeout=10.0,
)


@pytest.mark.parametrize("profile", REVISIONS.values(), ids=REVISIONS.keys())
def test_the_addresses_of_every_revision_are_shown(profile: ServiceProfile) -> None:
    paths = (profile.landing_path, profile.front_end_path, profile.status_path, profile.chat_path, profile.models_path)
    for url in (profile.url(path) for path in paths if path is not None):
        assert url in repr(msgspec.structs.replace(REQUEST, url=url))


def test_a_request_shows_neither_tokens_nor_cookies_nor_the_question() -> None:
    shown = repr(REQUEST)
    assert "POST" in shown
    assert "https://duckduckgo.com/duckchat/v1/chat" in shown
    assert "('x-vqd-4', '<5 characters>')" in shown
    assert "('cookie', '<5 characters>')" in shown
    assert "('x-vqd-hash-1', '')" in shown  # that it is empty is no secret
    assert "body=<52 bytes>" in shown
    for secret in ("4-123", "dcm=3", "my secret"):
        assert secret not in shown


def test_a_challenge_is_not_shown_whole() -> None:
    solve = SolveChallenge(id=8, script="(function(){return {}})()", identity=Identity())
    assert "script=<25 characters>" in repr(solve)
    assert "function" not in repr(solve)
    assert repr(solve).endswith("attempt=1)")


def test_an_address_that_is_not_the_service_s_own_is_shown_without_its_target() -> None:
    shown = repr(msgspec.structs.replace(REQUEST, url="https://duckduckgo.com/a?token=abc"))
    assert "url='https://duckduckgo.com/<11 characters>'" in shown


def test_signals_are_the_members_of_one_enum_and_are_shown_by_name() -> None:
    assert list(Signal) == [NEED_DATA, PAUSED]
    assert [repr(signal) for signal in Signal] == ["NEED_DATA", "PAUSED"]


def test_intents_are_values() -> None:
    assert Wait(id=1, until=2.0, reason="pacing") == Wait(id=1, until=2.0, reason="pacing")
    assert msgspec.structs.replace(REQUEST) == REQUEST
    assert hash(REQUEST) == hash(msgspec.structs.replace(REQUEST))
    with pytest.raises(AttributeError):
        REQUEST.id = 8  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Identity().user_agent = "another"  # type: ignore[misc]


def test_an_intent_in_json_says_which_it_is() -> None:
    coordinate = Coordinate(id=4, call=Hold(seconds=1.0))
    wait, solve = Wait(id=1, until=2.0, reason="busy"), SolveChallenge(id=2, script="", identity=Identity())
    for intent in (REQUEST, wait, solve, coordinate):
        assert msgspec.json.decode(msgspec.json.encode(intent))["type"] == type(intent).__name__


@pytest.mark.parametrize(
    "intent", [REQUEST, Wait(id=1, until=2.5, reason="backoff"), SolveChallenge(id=3, script="x", identity=Identity())]
)
def test_an_intent_is_read_back_from_json_as_what_it_was(intent: SendRequest | Wait | SolveChallenge) -> None:
    stored = msgspec.json.encode(intent)
    assert msgspec.json.decode(stored, type=SendRequest | Wait | SolveChallenge) == intent


def test_a_failure_says_how_far_a_request_came() -> None:
    assert {kind.value for kind in FailureKind} == {"not_sent", "cut", "timeout", "tls", "interrupted", "other"}
    assert Failure(FailureKind.CUT, "reset") == Failure(FailureKind.CUT, "reset")
