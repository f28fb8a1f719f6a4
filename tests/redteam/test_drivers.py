"""Every hostile service against every driver: the turn ends as it should, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from redteam.drivers import DRIVERS, OVER_H2
from redteam.server import GOOD, HostileServer
from redteam.services import SECRET, SERVICES, HostileService

from ddg_protocol import Policy, RateLimitError, errors

POLICY: dict[str, Any] = {
    "max_retries": 1,
    "base_delay": 0.0,
    "connect_timeout": 5.0,
    "write_timeout": 5.0,
    "read_timeout": 5.0,
    "total_timeout": 20.0,
    "turn_timeout": 40.0,
    "drain_timeout": 0.2,
    "max_reply_bytes": 4 * 1024 * 1024,  # sooner met; test_memory.py has the default
}
#: What the default tier tries, by the blocking driver.
SOME = ("empty pieces", "NUL in a token", "two responses", "a head of a million cookies")


def cases() -> list[Any]:
    found = []
    for service in SERVICES:
        for name, driver in (OVER_H2 if service.over_h2 else DRIVERS).items():
            cheap = name == "blocking" and service.name in SOME
            marks = () if cheap else pytest.mark.deep("every hostile service against every driver takes minutes")
            found.append(pytest.param(service, driver, id=f"{service.name}-{name}", marks=marks))
    return found


@pytest.mark.timeout(90)  # ends what hangs: the policy ends each turn before
@pytest.mark.parametrize(("service", "driver"), cases())
def test_a_turn_against_a_hostile_service_ends_as_documented(service: HostileService, driver: Any) -> None:
    policy = Policy(**{**POLICY, **service.policy})
    answering = "always" if service.challenge else "on_demand"
    with HostileServer(service) as server:
        first, *later = driver(server.profile, server.calm, policy=policy, answer_challenge=answering)
        assert server.all_closed(), "a connection is left open"
    if isinstance(service.ends, str):
        assert (first.kind, first.text) == (None, service.ends)
    else:
        assert first.kind is not None, f"a reply: {first.text!r}"
        assert issubclass(first.kind, service.ends), first.shown
        assert first.kind.__name__ in errors.__all__
    assert SECRET not in first.shown
    if service.holds:
        assert {outcome.kind for outcome in later} == {RateLimitError}
    elif not service.over_h2:  # which a good server here doesn't speak
        assert [(outcome.kind, outcome.text) for outcome in later] == [(None, GOOD)] * 2


def test_the_names_of_hostile_services_are_unique() -> None:
    assert len({service.name for service in SERVICES}) == len(SERVICES)


def test_what_the_default_tier_tries_is_in_the_table() -> None:
    assert set(SOME) <= {service.name for service in SERVICES}
