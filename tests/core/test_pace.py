"""The pace of one client's requests, and what else its sessions share (PROTOCOL.md section 7)."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ddg_protocol.pace import ClientState, Pacer


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
