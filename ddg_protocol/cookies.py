"""The cookie jar of one client: RFC 6265, for the handful of hosts that a profile allows.

The jar judges lifetimes by the *service's* clock, which it learns from the ``Date`` headers of responses: the core has
no wall clock, and the times in a stored conversation must mean the same wherever it is continued.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from .dates import parse_date
from .grammar import COOKIE_NAME, COOKIE_PATH, COOKIE_VALUE, HOST
from .headers import Headers
from .urls import is_address

MAX_COOKIE_BYTES = 4096
"""The longest name with its value (RFC 6265bis section 5.6); a longer cookie is ignored."""
MAX_COOKIES = 180
"""How many cookies a jar keeps; the oldest goes first. Browsers keep about as many for a site."""
MAX_ATTRIBUTE_BYTES = 1024
"""The longest attribute of a cookie, such as its path (RFC 6265bis section 5.6); a longer one is ignored."""
MAX_JAR_BYTES = 512 * 1024
"""The bound of a jar: names, values, domains and paths of all cookies. The oldest goes first; at least 85 fit."""

_LAST = 1e12  # later than the year 9999, the last of all dates, plus the longest age
_LONGEST = 1e10  # three hundred years: stored conversations have no word for "never"
_NO_EARLIER = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""The service's clock until it sends a ``Date``: older than this protocol, so that no cookie ends too soon."""


class Cookie(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cookie as the jar keeps it.

    Attributes:
        name: its name.
        value: its value; not shown in reprs.
        domain: the host it belongs to, in lower case, without a leading dot.
        path: the path it belongs to.
        host_only: whether only that very host gets it, not its subdomains.
        secure: whether it goes over https only.
        http_only: the attribute as it came; there are no scripts here to hide the cookie from.
        expires: when it ends, in seconds since 1970 by the service's clock; None where it lasts as long as the
            conversation.
    """

    name: str
    value: str
    domain: str
    path: str = "/"
    host_only: bool = True
    secure: bool = False
    http_only: bool = False
    expires: float | None = None

    def __post_init__(self) -> None:
        """Check that the cookie can be sent back.

        Raises:
            ValueError: the name or the value doesn't fit a ``cookie`` header, the domain or the path fits no address,
                one of them is too long, or ``expires`` is no time.
        """
        if not all(isinstance(each, str) for each in (self.name, self.value, self.domain, self.path)):
            raise ValueError("a cookie's name, value, domain and path must be text")
        if not COOKIE_NAME.fullmatch(self.name) or not COOKIE_VALUE.fullmatch(self.value):
            raise ValueError(
                "a cookie's name must be visible ASCII without = and ;, "
                "its value ASCII text without ; and without blanks around it"
            )
        if not HOST.fullmatch(self.domain) or self.domain.startswith("."):
            raise ValueError("a cookie's domain must be a host in lower case, without a leading dot")
        if not COOKIE_PATH.fullmatch(self.path):
            raise ValueError("a cookie's path must begin with / and be ASCII text")
        if len(self.name) + len(self.value) > MAX_COOKIE_BYTES:
            raise ValueError(f"a cookie's name and value must be at most {MAX_COOKIE_BYTES} bytes long")
        if max(len(self.domain), len(self.path)) > MAX_ATTRIBUTE_BYTES:
            raise ValueError(f"a cookie's domain and path must be at most {MAX_ATTRIBUTE_BYTES} bytes long")
        if self.expires is not None and not abs(self.expires) <= _LAST:
            raise ValueError(f"a cookie's expires must be within {_LAST:.0e} seconds of 1970")

    @property
    def size(self) -> int:
        """How many bytes of a jar's bound it takes: those of its name, value, domain and path."""
        return len(self.name) + len(self.value) + len(self.domain) + len(self.path)

    def __repr__(self) -> str:
        return f"<Cookie {self.name!r} of {self.domain}{self.path}, {len(self.value)} characters>"


def named_cookies(cookies: Mapping[str, str] | Iterable[Cookie], *, domain: str) -> tuple[Cookie, ...]:
    """Return cookies that a caller gave, by name and value or as `Cookie` values.

    Args:
        cookies: the cookies.
        domain: the host that those without one belong to.

    Raises:
        ValueError: one of them is not a cookie, or can't be sent.
    """
    if isinstance(cookies, Mapping):
        return tuple(Cookie(name=name, value=value, domain=domain) for name, value in cookies.items())
    try:
        found = tuple(cookies)
    except TypeError:
        raise _no_cookies(cookies) from None
    for cookie in found:
        if not isinstance(cookie, Cookie):
            raise _no_cookies(cookie)
    return found


def _no_cookies(given: object) -> ValueError:
    kind = type(given).__name__
    return ValueError(f"cookies must be a mapping of names to values, or Cookie values, not {kind}")


class CookieJar:
    """Takes ``set-cookie`` headers and gives ``cookie`` headers.

    It keeps at most `MAX_COOKIES`, and of those as many as fit into `MAX_JAR_BYTES`; the oldest goes first.

    Args:
        cookies: its first content.
        offset: the service's clock less the caller's, in seconds; None until a response shows it.
    """

    __slots__ = ("_by_key", "_size", "offset")

    def __init__(self, cookies: Iterable[Cookie] = (), *, offset: float | None = None) -> None:
        self._by_key: dict[tuple[str, str, str], Cookie] = {}
        self._size = 0  # of all cookies
        self.offset = offset
        for cookie in cookies:
            self.set(cookie)

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """The cookies in the jar, oldest first."""
        return tuple(self._by_key.values())

    def copy(self) -> CookieJar:
        """Return a jar with the same content, which changes independently of this one."""
        return CookieJar(self.cookies, offset=self.offset)

    def set(self, cookie: Cookie) -> None:
        """Add a cookie, or replace the one with the same name, domain and path (RFC 6265 section 5.3)."""
        key = cookie.domain, cookie.path, cookie.name
        before = self._by_key.get(key)
        self._by_key[key] = cookie
        self._size += cookie.size - (0 if before is None else before.size)
        while len(self._by_key) > MAX_COOKIES or self._size > MAX_JAR_BYTES:
            self._remove(next(iter(self._by_key)))

    def _remove(self, key: tuple[str, str, str]) -> None:
        if (cookie := self._by_key.pop(key, None)) is not None:
            self._size -= cookie.size

    def receive(self, url: str, headers: Headers, *, now: float) -> None:
        """Take the cookies of a response. Malformed ones are ignored, and those that the host may not set.

        Args:
            url: the address of the request.
            headers: the response's header fields.
            now: the caller's clock, in seconds.
        """
        fields = [(name.lower(), value) for name, value in headers]
        dates = [date for name, value in fields if name == "date" and (date := parse_date(value)) is not None]
        if dates:
            self.offset = dates[-1] - now
        elif self.offset is None:
            self.offset = _NO_EARLIER - now
        time = now + self.offset
        cookies = [_parse_cookie(url, value, time) for name, value in fields if name == "set-cookie"]
        for cookie in filter(None, cookies):
            if cookie.expires is not None and cookie.expires <= time:
                self._remove((cookie.domain, cookie.path, cookie.name))
            else:
                self.set(cookie)

    def header_for(self, url: str, *, now: float) -> str:
        """Return the value of the ``cookie`` header for a request (RFC 6265 section 5.4).

        Args:
            url: the address of the request.
            now: the caller's clock, in seconds.

        Returns:
            ``name=value`` pairs joined by ``"; "``, longer paths first, then older cookies; empty where none fits.
        """
        host, path, secure = _place(url)
        time = -math.inf if self.offset is None else now + self.offset
        for key in [key for key, c in self._by_key.items() if c.expires is not None and c.expires <= time]:
            self._remove(key)
        fitting = [
            cookie
            for cookie in self._by_key.values()
            if (host == cookie.domain or (not cookie.host_only and _is_subdomain(host, cookie.domain)))
            and _path_matches(path, cookie.path)
            and (secure or not cookie.secure)
        ]
        fitting.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in fitting)


@lru_cache(maxsize=16)  # a turn has four addresses, and asks for each several times
def _place(url: str) -> tuple[str, str, bool]:
    """Return a URL's host, its path, and whether it is https."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.path or "/", parts.scheme == "https"


def _parse_cookie(url: str, line: str, time: float) -> Cookie | None:
    """Parse a ``set-cookie`` value by RFC 6265 sections 5.2 and 5.3; of an attribute given twice the last counts."""
    pair, *attributes = line.split(";")
    name, equals, value = (part.strip(" \t") for part in pair.partition("="))
    if not equals:
        return None
    domain = path = max_age = ""
    expires: float | None = None
    secure = http_only = False
    for attribute in attributes:
        key, _, text = (part.strip(" \t") for part in attribute.partition("="))
        if len(text) > MAX_ATTRIBUTE_BYTES:
            continue
        match key.lower():
            case "domain" if text:
                domain = text.removeprefix(".").lower()
            case "path":
                path = text
            case "max-age" if re.fullmatch(r"-?[0-9]+", text):
                max_age = text
            case "expires" if (date := parse_date(text)) is not None:
                expires = date
            case "secure":
                secure = True
            case "httponly":
                http_only = True
    host, own_path, _ = _place(url)
    if domain and domain != host and ("." not in domain or not _is_subdomain(host, domain)):
        return None  # not the host's to set, or a whole top-level domain: a profile's hosts have no other suffixes
    try:
        return Cookie(
            name=name,
            value=value,
            domain=domain or host,
            path=path if path.startswith("/") else _default_path(own_path),
            host_only=not domain,
            secure=secure,
            http_only=http_only,
            expires=time + max(-_LONGEST, min(float(max_age), _LONGEST)) if max_age else expires,
        )
    except ValueError:
        return None


def _is_subdomain(host: str, domain: str) -> bool:
    return host.endswith("." + domain) and not is_address(host)


def _path_matches(path: str, cookie_path: str) -> bool:
    return path == cookie_path or (
        path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/")
    )


def _default_path(path: str) -> str:
    return path[: path.rfind("/")] or "/"
