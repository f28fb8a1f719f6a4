"""Dates, in every form that HTTP knows (RFC 6265 section 5.1.1)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol.dates import parse_date, parse_time


@each_of(
    "text, expected",
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37"),
        ("Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37"),
        ("Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37"),
        ("6 nov 1994 8:49:37", "1994-11-06T08:49:37"),
        ("08:49:37 06 November 1994", "1994-11-06T08:49:37"),
        ("1994-11-06 08:49:37 Nov", "1994-11-11T08:49:37"),  # the first number of one or two digits is the day
        ("Sun, 06 Nov 1994 08:49:37 GMT, 09:50:38 07 Dec 1995", "1994-11-06T08:49:37"),  # the first of each counts
        ("Thu, 01-Jan-70 00:00:00 GMT", "1970-01-01T00:00:00"),
        ("Thu, 01 Jan 69 00:00:00 GMT", "2069-01-01T00:00:00"),
        ("Thu, 01 Jan 99 00:00:00 GMT", "1999-01-01T00:00:00"),
        ("Thu, 01 Jan 100 00:00:00 GMT", None),
        ("Mon, 01 Jan 1601 00:00:00 GMT", "1601-01-01T00:00:00"),
        ("Sun, 31 Dec 1600 23:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59"),
        ("Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00"),
        ("Sat, 29 Feb 2025 00:00:00 GMT", None),
        ("Sun, 00 Nov 1994 08:49:37 GMT", None),
        ("Sun, 32 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:60:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:60 GMT", None),
        ("Sun, 06 Nov 1994 08:49:370 GMT", None),
        ("Sun, 06 Nov 1994 8:4:3x GMT", "1994-11-06T08:04:03"),
        ("Sun, 06 Nov 19945 08:49:37 GMT", None),
        ("Sun, 06th Nov 1994AD 08:49:37 GMT", "1994-11-06T08:49:37"),
        ("Sun, 06 Nov 08:49:37 GMT", None),
        ("Sun, Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 GMT", None),
        ("", None),
        ("0", None),
        ("٠٦ Nov 1994 08:49:37", None),
    ],
)
def test_a_date_is_read_as_the_standard_says(text: str, expected: str | None) -> None:
    found = parse_date(text)
    assert found == (None if expected is None else datetime.fromisoformat(expected + "+00:00").timestamp())


MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2069, 12, 31)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC))


@given(MOMENTS)
def test_the_three_forms_of_http_mean_the_same_moment(moment: datetime) -> None:
    form = format_datetime(moment, usegmt=True)
    assert parsedate_to_datetime(form) == moment
    day, month = form[5:7], form[8:11]
    old = f"{moment:%A}, {day}-{month}-{moment:%y} {moment:%H:%M:%S} GMT"
    oldest = f"{form[:3]} {month} {moment.day:2} {moment:%H:%M:%S} {moment.year}"
    assert [parse_date(text) for text in (form, old, oldest)] == [moment.timestamp()] * 3


@given(st.text(st.sampled_from("0123456789:;,- \tJanFebGMT\x00é") | st.characters(), max_size=80))
def test_whatever_the_text_it_is_a_moment_or_none(text: str) -> None:
    found = parse_date(text)
    assert found is None or datetime(1601, 1, 1, tzinfo=UTC).timestamp() <= found < 253402300800


@pytest.mark.parametrize("piece", ["1:1:1", "1:", "1 ", "jan", "9", " ", "1:1:1 ", "é"])
def test_a_hostile_date_is_read_in_linear_time(piece: str) -> None:
    assert parse_date(piece * 300_000) is None


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("Windows has one time zone for all programs")
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "UTC+5")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
@each_of(
    "text, expected",
    [
        ("2026-09-02T00:00:00.000Z", 1_788_307_200),
        ("2026-09-02T00:00:00", 1_788_307_200),
        ("2026-09-02T02:00:00+02:00", 1_788_307_200),
        ("2026-09-02", 1_788_307_200),
        ("Monday", None),
        ("", None),
    ],
)
def test_a_time_of_iso_8601_without_a_zone_is_utc_wherever_it_is_read(text: str, expected: int | None) -> None:
    assert parse_time(text) == expected
