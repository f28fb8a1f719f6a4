"""What the embedder allows, and what the sessions of one client share."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddg_protocol.pace import ClientState, Pacer
from ddg_protocol.policy import MAX_SECONDS, Policy

WHOLE = {
    *("max_retries", "max_redirects", "max_prompt_chars", "max_head_bytes", "max_page_bytes", "max_error_bytes"),
    *("max_drain_bytes", "max_event_bytes", "max_reply_bytes", "max_challenge_bytes"),
}
SECONDS = {
    *("base_delay", "max_retry_after", "connect_timeout", "write_timeout", "read_timeout", "total_timeout"),
    *("drain_timeout", "turn_timeout"),
}
MAY_BE_0 = {"max_retries", "max_redirects", "base_delay", "max_retry_after", "drain_timeout"}


def policy(name: str, value: Any) -> Policy:
    return Policy(**{name: value})


# The policy


def test_the_defaults_are_those_of_the_protocol() -> None:
    assert Policy() == Policy(
        strict=False,
        max_retries=3,
        base_delay=2.0,
        total_timeout=60.0,
        turn_timeout=180.0,
        max_redirects=10,
        max_prompt_chars=16_000,
        max_head_bytes=128 * 1024,
        max_page_bytes=8 * 1024 * 1024,
        max_error_bytes=64 * 1024,
        max_drain_bytes=64 * 1024,
        max_event_bytes=1024 * 1024,
        max_reply_bytes=16 * 1024 * 1024,
        max_challenge_bytes=256 * 1024,
    )


def test_each_attribute_counts_something_or_is_a_time_but_for_strictness() -> None:
    assert set(Policy.__struct_fields__) == WHOLE | SECONDS | {"strict"}


@pytest.mark.parametrize("name", sorted(WHOLE | SECONDS))
def test_a_bound_is_not_negative_and_0_only_where_that_has_a_meaning(name: str) -> None:
    if name in MAY_BE_0:
        assert getattr(policy(name, 0), name) == 0
    else:
        with pytest.raises(ValueError, match=rf"Policy\.{name} must be .*, more than 0.*, not 0"):
            policy(name, 0)
    bound = "0 or more" if name in MAY_BE_0 else "more than 0"
    with pytest.raises(ValueError, match=rf"Policy\.{name} must be a .*number, {bound}.*, not -1"):
        policy(name, -1)


@pytest.mark.parametrize("name", sorted(WHOLE | SECONDS))
@pytest.mark.parametrize("value", [math.nan, math.inf, "3", True, (1,)])
def test_a_bound_is_a_finite_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        policy(name, value)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_what_counts_something_is_whole(name: str) -> None:
    with pytest.raises(ValueError, match=rf"Policy\.{name} must be a whole number"):
        policy(name, 2.5)


@pytest.mark.parametrize("name", sorted(SECONDS))
def test_a_time_may_be_a_fraction(name: str) -> None:
    assert getattr(policy(name, 0.25), name) == 0.25


@pytest.mark.parametrize("name", sorted(WHOLE | SECONDS))
def test_only_the_length_of_a_prompt_can_be_set_free(name: str) -> None:
    if name == "max_prompt_chars":
        assert Policy(max_prompt_chars=None).max_prompt_chars is None
    else:
        with pytest.raises(ValueError, match=name):
            policy(name, None)


def test_a_change_is_checked_too() -> None:
    with pytest.raises(ValueError, match="max_retries"):
        msgspec.structs.replace(Policy(), max_retries=-1)


# The pacer (PROTOCOL.md section 7)


def test_the_first_request_starts_at_once() -> None:
    assert Pacer().reserve(100.0, 1.5) == 100.0


def test_requests_that_are_pulled_together_start_one_interval_apart_in_that_order() -> None:
    pacer = Pacer()
    assert [pacer.reserve(10.0, 1.5) for _ in range(4)] == [10.0, 11.5, 13.0, 14.5]


def test_a_request_after_a_pause_starts_at_once() -> None:
    pacer = Pacer()
    pacer.reserve(10.0, 1.5)
    assert pacer.reserve(60.0, 1.5) == 60.0


def test_a_retry_keeps_further_away() -> None:
    pacer = Pacer()
    pacer.reserve(10.0, 1.5)
    assert pacer.reserve(10.0, 1.5 * (1 + 0.5 * 2)) == 13.0


def test_without_an_interval_every_request_starts_at_once() -> None:
    pacer = Pacer()
    assert [pacer.reserve(5.0, 0.0) for _ in range(3)] == [5.0, 5.0, 5.0]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30), st.floats(0.001, 10))
def test_starts_are_never_closer_than_the_interval_nor_before_their_request(
    times: list[float], interval: float
) -> None:
    pacer = Pacer()
    times = sorted(times)
    starts = [pacer.reserve(now, interval) for now in times]
    assert all(start >= now for start, now in zip(starts, times, strict=True))
    assert all(later >= earlier + interval for earlier, later in pairwise(starts))


def test_a_request_that_begins_late_holds_off_the_next_one_which_was_reserved_before() -> None:
    pacer = Pacer()
    assert pacer.earliest(1.5) == -math.inf
    assert [pacer.reserve(10.0, 1.5) for _ in range(2)] == [10.0, 11.5]
    pacer.begin(11.0)
    assert pacer.earliest(1.5) == 12.5
    assert pacer.reserve(11.0, 1.5) == 13.0


def test_a_request_that_begins_after_every_reserved_start_is_where_the_next_one_counts_from() -> None:
    pacer = Pacer()
    pacer.begin(20.0)
    assert pacer.reserve(20.0, 1.5) == 21.5
    pacer.begin(30.0)
    assert pacer.reserve(30.0, 1.5) == 31.5


def test_clients_begin_with_nothing_in_common() -> None:
    one, other = ClientState(), ClientState()
    one.pacer.reserve(1.0, 1.5)
    one.fe_version = "serp_1-2"
    assert other.pacer.last_start is None
    assert other.fe_version == ""


@pytest.mark.parametrize("name", sorted(SECONDS))
def test_a_time_is_at_most_what_every_platform_can_wait_for(name: str) -> None:
    assert getattr(policy(name, MAX_SECONDS), name) == MAX_SECONDS
    for longer in (MAX_SECONDS + 1, 1e10, 10**400):
        with pytest.raises(ValueError, match=rf"Policy\.{name} must be a number, .* at most 1000000, not"):
            policy(name, longer)
    # Milliseconds that poll() takes, in an int of 32 bits; a session adds three of them at most.
    assert MAX_SECONDS * 1000 < 2**31
