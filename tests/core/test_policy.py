"""What the embedder allows: numbers of their kinds."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from support.cases import each_of

from ddg_protocol.policy import MAX_COUNT, MAX_SECONDS, Policy

WHOLE = {
    *("max_retries", "max_redirects", "max_prompt_chars", "max_head_bytes", "max_page_bytes", "max_error_bytes"),
    *("max_drain_bytes", "max_event_bytes", "max_image_bytes", "max_reply_bytes", "max_challenge_bytes"),
    *("max_unanswered_retries", "max_challenge_retries"),
}
SECONDS = {
    *("base_delay", "max_retry_after", "connect_timeout", "write_timeout", "read_timeout", "total_timeout"),
    *("drain_timeout", "turn_timeout"),
}
MAY_BE_0 = {
    *("max_retries", "max_unanswered_retries", "max_challenge_retries", "max_redirects"),
    *("base_delay", "max_retry_after", "drain_timeout"),
}


def policy(name: str, value: Any) -> Policy:
    return Policy(**{name: value})


# The policy


def test_the_defaults_are_those_of_the_protocol() -> None:
    assert Policy() == Policy(
        strict=False,
        max_retries=3,
        max_unanswered_retries=None,
        base_delay=2.0,
        max_challenge_retries=1,
        max_retry_after=60.0,
        connect_timeout=10.0,
        write_timeout=10.0,
        read_timeout=30.0,
        total_timeout=60.0,
        turn_timeout=180.0,
        drain_timeout=1.0,
        max_redirects=10,
        max_prompt_chars=16_000,
        max_head_bytes=128 * 1024,
        max_page_bytes=8 * 1024 * 1024,
        max_error_bytes=64 * 1024,
        max_drain_bytes=64 * 1024,
        max_event_bytes=1024 * 1024,
        max_image_bytes=4 * 1024 * 1024,
        max_reply_bytes=16 * 1024 * 1024,
        max_challenge_bytes=256 * 1024,
    )


def test_each_attribute_counts_something_or_is_a_time_but_for_strictness() -> None:
    assert set(Policy.__struct_fields__) == WHOLE | SECONDS | {"strict"}


@each_of("name", sorted(WHOLE | SECONDS))
def test_a_bound_is_not_negative_and_0_only_where_that_has_a_meaning(name: str) -> None:
    if name in MAY_BE_0:
        assert getattr(policy(name, 0), name) == 0
    else:
        with pytest.raises(ValueError, match=rf"Policy\.{name} must be .*, more than 0.*, not 0"):
            policy(name, 0)
    bound = "0 or more" if name in MAY_BE_0 else "more than 0"
    with pytest.raises(ValueError, match=rf"Policy\.{name} must be a .*number, {bound}.*, not -1"):
        policy(name, -1)


@each_of("name", sorted(WHOLE | SECONDS))
def test_a_bound_is_a_finite_number(name: str) -> None:
    for value in (math.nan, math.inf, "3", True, (1,)):
        with pytest.raises(ValueError, match=name):
            policy(name, value)


@each_of("name", sorted(WHOLE))
def test_what_counts_something_is_whole(name: str) -> None:
    with pytest.raises(ValueError, match=rf"Policy\.{name} must be a whole number"):
        policy(name, 2.5)


@each_of("name", sorted(WHOLE - {"max_challenge_retries"}))
def test_a_count_has_few_enough_digits_to_be_shown(name: str) -> None:
    assert getattr(policy(name, 2**63 - 1), name) == MAX_COUNT
    for larger in (2**63, 10**400):
        with pytest.raises(ValueError, match=rf"Policy\.{name} must be a whole number, .* below 2\*\*63, not"):
            policy(name, larger)


def test_a_challenge_is_answered_anew_three_times_at_most() -> None:
    assert policy("max_challenge_retries", 3).max_challenge_retries == 3
    with pytest.raises(ValueError, match=r"^Policy\.max_challenge_retries must be at most 3, not 4$"):
        policy("max_challenge_retries", 4)


@each_of("name", sorted(SECONDS))
def test_a_time_may_be_a_fraction(name: str) -> None:
    for seconds in (0.25, 5e-324):
        assert getattr(policy(name, seconds), name) == seconds


@each_of("name", sorted(WHOLE | SECONDS))
def test_only_what_none_has_a_meaning_for_can_be_none(name: str) -> None:
    if name in ("max_prompt_chars", "max_unanswered_retries"):
        assert getattr(policy(name, None), name) is None
    else:
        with pytest.raises(ValueError, match=name):
            policy(name, None)


def test_a_change_is_checked_too() -> None:
    with pytest.raises(ValueError, match="max_retries"):
        msgspec.structs.replace(Policy(), max_retries=-1)


@each_of("name", sorted(SECONDS))
def test_a_time_is_at_most_what_every_platform_can_wait_for(name: str) -> None:
    assert getattr(policy(name, MAX_SECONDS), name) == MAX_SECONDS
    for longer in (MAX_SECONDS + 1, 1e10, 10**400):
        with pytest.raises(ValueError, match=rf"Policy\.{name} must be a number, .* at most 1000000, not"):
            policy(name, longer)
    # Milliseconds that poll() takes, in an int of 32 bits; a session adds three of them at most.
    assert MAX_SECONDS * 1000 < 2**31
