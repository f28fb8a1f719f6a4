"""The two pages: the front end with its version markers, the landing page with its cookies (PROTOCOL.md section 3)."""

from __future__ import annotations

from datetime import UTC, datetime

from ..profile import ServiceProfile

_YEAR = 365 * 24 * 3600
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TILE = (
    '<div class="tile" id="t{0:04d}"><a href="/?q=result+{0}&amp;ia=web">Result {0}</a><p>What it is about.</p></div>\n'
)


def http_date(when: float) -> str:
    """Format a time for HTTP (RFC 9110, section 5.6.7).

    Args:
        when: seconds since the epoch.

    Returns:
        The date in the fixed-length form, in English whatever the locale.
    """
    t = datetime.fromtimestamp(int(when), UTC)
    return f"{_DAYS[t.weekday()]}, {t.day:02d} {_MONTHS[t.month - 1]} {t.year:04d} {t:%H:%M:%S} GMT"


def front_end_page(profile: ServiceProfile, version: tuple[str, str]) -> bytes:
    """Return a page as large as the real one, over 200 KiB.

    The version's two halves are in a script past its middle, or, if their markers are attributes, in its first tag.
    """
    before, after = profile.version_markers
    in_tag = before.startswith("data-") and after.startswith("data-")
    attributes = f' {before}{version[0]}" {after}{version[1]}"' if in_tag else ""
    markers = "" if in_tag else f'window.{before}{version[0]}";window.{after}{version[1]}";'
    return (
        f'<!DOCTYPE html>\n<html lang="en-US"{attributes}>\n'
        '<head><meta charset="utf-8"><title>DuckDuckGo AI Chat</title></head>\n'
        "<body>\n"
        + "".join(map(_TILE.format, range(1200)))
        + f"<script>{markers}</script>\n"
        + "".join(map(_TILE.format, range(1200, 2000)))
        + "</body>\n</html>\n"
    ).encode()


def landing_page() -> bytes:
    """Return the page that clients visit only for its cookies."""
    return (
        b'<!DOCTYPE html>\n<html lang="en-US">\n<head><meta charset="utf-8"><title>Duck.ai</title></head>\n'
        b'<body><main id="app"><noscript>The chat needs JavaScript.</noscript></main></body>\n</html>\n'
    )


def landing_cookies(now: float) -> tuple[tuple[str, str], ...]:
    """Return the landing page's ``set-cookie`` fields, one for each way to limit a cookie's lifetime.

    Args:
        now: seconds since the epoch.

    Returns:
        The fields. None is ``Secure``, since the service may also run over plain http.
    """
    return (
        ("set-cookie", "5=1; Path=/; SameSite=Lax"),
        ("set-cookie", f"ah=wt-wt; Path=/; Max-Age={_YEAR}; SameSite=Lax"),
        ("set-cookie", f"ax=v309-3; Path=/; Expires={http_date(now + _YEAR)}; HttpOnly; SameSite=Lax"),
    )
