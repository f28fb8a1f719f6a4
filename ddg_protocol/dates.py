"""The dates of HTTP, in every form that servers write, and the times of the service's JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_PARTS = re.compile(r"[^\t\x20-\x2f;-@[-`{-~]+")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@lru_cache(maxsize=4)  # the responses of a handshake come within a second or two, and say so
def parse_date(text: str) -> float | None:
    """Parse a date as RFC 6265 section 5.1.1 does, which reads every form of RFC 9110 section 5.6.7.

    Args:
        text: the header value or attribute.

    Returns:
        Seconds since 1970, or None where it is no date.
    """
    clock = day = month = year = None
    for part in _PARTS.findall(text):
        if clock is None and (found := _CLOCK.match(part)):
            clock = [int(number) for number in found.groups()]
        elif day is None and (found := _DAY.match(part)):
            day = int(found[1])
        elif month is None and part[:3].lower() in _MONTHS:
            month = _MONTHS.index(part[:3].lower()) + 1
        elif year is None and (found := _YEAR.match(part)):
            year = int(found[1])
    if clock is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 2000 if year < 70 else 1900
    try:
        hour, minute, second = clock
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp() if year >= 1601 else None
    except ValueError:
        return None


def parse_time(text: str) -> float | None:
    """Parse a time as ISO 8601 writes it.

    Args:
        text: such as ``2026-09-02T00:00:00.000Z``; without a zone it is UTC.

    Returns:
        Seconds since 1970, or None where it is no time.
    """
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
