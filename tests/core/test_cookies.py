"""The cookie jar: RFC 6265 for one client, by example and against `http.cookiejar`."""

from __future__ import annotations

import http.cookiejar
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import Message
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import h11
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.tiers import examples

from ddg_protocol.cookies import MAX_ATTRIBUTE_BYTES, MAX_COOKIE_BYTES, MAX_COOKIES, MAX_JAR_BYTES, Cookie, CookieJar

HOME = "https://duckduckgo.com/duckchat/v1/status"
NOON = datetime(2025, 4, 1, 12, tzinfo=UTC).timestamp()
DATE = ("date", formatdate(NOON, usegmt=True))


def after(*lines: str, url: str = HOME, now: float = 0.0, date: tuple[str, str] | None = DATE) -> CookieJar:
    """A jar that took one response, which came when the caller's clock showed ``now``, and the service's noon."""
    jar = CookieJar()
    jar.receive(url, (*((date,) if date else ()), *(("set-cookie", line) for line in lines)), now=now)
    return jar


def sent(jar: CookieJar, url: str = HOME, now: float = 0.0) -> str:
    return jar.header_for(url, now=now)


# What is kept, and as what (section 5.2)


@each_of(
    "line, header",
    [
        ("a=b", "a=b"),
        ("a=", "a="),
        ("a=b=c", "a=b=c"),
        (" \t a \t = \t b \t ", "a=b"),
        ('a="b c"', 'a="b c"'),
        ("a=b; HttpOnly; SameSite=Lax; Priority=High; ;;=;", "a=b"),
        ("a=b;", "a=b"),
        ("a=b, c=d", "a=b, c=d"),
        ("$Version=1", "$Version=1"),
        ("a", ""),
        ("", ""),
        (";", ""),
        ("=b", ""),
        (" = b", ""),
        ("; a=b", ""),
        ("a b=c", ""),
        ("a=b\tc", ""),
        ("a=b\r\nx: y", ""),
        ("a\x00=b", ""),
        ("a=\x7f", ""),
        ("é=b", ""),
        ("a=é", ""),
    ],
)
def test_a_name_and_a_value_are_kept_where_they_can_be_sent_back(line: str, header: str) -> None:
    assert sent(after(line)) == header


def test_attributes_are_kept_with_the_cookie() -> None:
    (cookie,) = after("a=b; Domain=.DuckDuckGo.com; Path=/duckchat; SECURE; httponly; Max-Age=60").cookies
    assert cookie == Cookie(
        name="a",
        value="b",
        domain="duckduckgo.com",
        path="/duckchat",
        host_only=False,
        secure=True,
        http_only=True,
        expires=NOON + 60,
    )


def test_without_attributes_a_cookie_belongs_to_the_host_and_the_folder_it_came_from() -> None:
    assert after("a=b").cookies == (Cookie(name="a", value="b", domain="duckduckgo.com", path="/duckchat/v1"),)


@each_of(
    "attributes, domain, path, expires",
    [
        ("Domain=a.duckduckgo.com; Domain=duckduckgo.com", "duckduckgo.com", "/", None),
        ("Domain=duckduckgo.com; Domain=", "duckduckgo.com", "/", None),
        ("Path=/a; Path=/b", "links.duckduckgo.com", "/b", None),
        ("Path=/a; Path=", "links.duckduckgo.com", "/", None),
        ("Max-Age=1; Max-Age=2", "links.duckduckgo.com", "/", NOON + 2),
        ("Max-Age=1; Max-Age=x", "links.duckduckgo.com", "/", NOON + 1),
        ("Expires=Wed, 02 Apr 2025 12:00:00 GMT; Expires=never", "links.duckduckgo.com", "/", NOON + 86400),
    ],
)
def test_of_an_attribute_given_twice_the_last_that_is_valid_counts(
    attributes: str, domain: str, path: str, expires: float | None
) -> None:
    (cookie,) = after(f"a=b; {attributes}", url="https://links.duckduckgo.com/").cookies
    assert (cookie.domain, cookie.path, cookie.expires) == (domain, path, expires)


def test_header_names_are_known_in_any_case() -> None:
    jar = CookieJar()
    jar.receive(HOME, (("Date", DATE[1]), ("Set-Cookie", "a=b"), ("x-cookie", "c=d")), now=0.0)
    assert sent(jar) == "a=b"


# Which host (sections 5.1.3, 5.3 and 5.4)


@each_of(
    "host, domain, kept",
    [
        ("duckduckgo.com", "duckduckgo.com", True),
        ("duckduckgo.com", ".duckduckgo.com", True),
        ("links.duckduckgo.com", "duckduckgo.com", True),
        ("links.duckduckgo.com", "DUCKDUCKGO.COM", True),
        ("localhost", "localhost", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("[::1]", "::1", True),
        ("duckduckgo.com", "", True),
        ("duckduckgo.com", ".", True),
        ("duckduckgo.com", "links.duckduckgo.com", False),
        ("a.duckduckgo.com", "b.duckduckgo.com", False),
        ("evilduckduckgo.com", "duckduckgo.com", False),
        ("duckduckgo.com", "duckduckgo.com.", False),
        ("duckduckgo.com", "..duckduckgo.com", False),
        ("duckduckgo.com", "com", False),
        ("duckduckgo.com", ".com", False),
        ("duckduckgo.com", "example.org", False),
        ("127.0.0.1", "0.0.1", False),
        ("127.0.0.1", ".0.0.1", False),
        ("[::1]", "1", False),
        ("duckduckgo.com", "duck duckgo.com", False),
    ],
)
def test_a_host_sets_cookies_for_itself_and_its_parents_alone(host: str, domain: str, kept: bool) -> None:
    assert bool(after(f"a=b; Domain={domain}", url=f"https://{host}/").cookies) == kept


@each_of(
    "domain, host, goes",
    [
        ("", "duckduckgo.com", True),
        ("", "DuckDuckGo.com:8443", True),
        ("", "links.duckduckgo.com", False),
        ("duckduckgo.com", "duckduckgo.com", True),
        ("duckduckgo.com", "links.duckduckgo.com", True),
        ("duckduckgo.com", "a.links.duckduckgo.com", True),
        ("duckduckgo.com", "evilduckduckgo.com", False),
        ("duckduckgo.com", "duck.ai", False),
        ("duckduckgo.com", "com", False),
    ],
)
def test_a_cookie_goes_to_its_host_and_where_it_names_a_domain_to_its_subdomains(
    domain: str, host: str, goes: bool
) -> None:
    jar = after(f"a=b; Domain={domain}; Path=/")
    assert bool(sent(jar, f"https://{host}/")) == goes


def test_a_cookie_of_an_address_goes_to_that_address_alone() -> None:
    jar = after("a=b; Domain=127.0.0.1; Path=/", url="http://127.0.0.1:8000/")
    assert sent(jar, "http://127.0.0.1:9000/") == "a=b"
    assert sent(jar, "http://1.127.0.0.1/") == "a=b"  # a name, if there were such a top-level domain
    assert sent(jar, "http://127.0.0.2/") == ""


def test_what_is_no_web_address_has_no_cookies() -> None:
    assert sent(after("a=b"), "duckduckgo.com") == ""
    assert after("a=b", url="about:blank").cookies == ()


# Which path (section 5.1.4)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://duckduckgo.com", "/"),
        ("https://duckduckgo.com/", "/"),
        ("https://duckduckgo.com/a", "/"),
        ("https://duckduckgo.com/a/", "/a"),
        ("https://duckduckgo.com/a/b?c=/d/e", "/a"),
    ],
)
def test_the_default_path_is_the_folder(url: str, path: str) -> None:
    for line in ("a=b", "a=b; Path=", "a=b; Path=relative", "a=b; Path"):
        (cookie,) = after(line, url=url).cookies
        assert cookie.path == path


@each_of(
    "path, asked, goes",
    [
        ("/", "", True),
        ("/", "/a", True),
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a", "/a?b", True),
        ("/a/", "/a/b", True),
        ("/a/", "/a", False),
        ("/a", "/ab", False),
        ("/a", "/A", False),
        ("/a", "/", False),
        ("/a b", "/a%20b", False),
    ],
)
def test_a_cookie_goes_to_its_path_and_below(path: str, asked: str, goes: bool) -> None:
    assert bool(sent(after(f"a=b; Path={path}"), f"https://duckduckgo.com{asked}")) == goes


def test_a_path_that_no_request_can_have_costs_its_cookie() -> None:
    assert after("a=b; Path=/é", "c=d; Path=/\x00").cookies == ()


# Which scheme


def test_a_secure_cookie_goes_over_https_alone() -> None:
    for url in ("https://localhost/", "http://localhost/"):
        jar = after("a=b; Secure", "c=d", url=url)
        assert sent(jar, "https://localhost/") == "a=b; c=d"
        assert sent(jar, "http://localhost/") == "c=d"


# In which order (section 5.4)


def test_longer_paths_go_first_and_then_older_cookies() -> None:
    jar = after("a=1; Path=/", "b=2; Path=/duckchat", "c=3; Path=/", "d=4; Path=/duckchat/v1", "e=5; Path=/duckchat")
    assert sent(jar) == "d=4; b=2; e=5; a=1; c=3"


def test_a_new_value_takes_the_place_of_the_old_one_and_its_age() -> None:
    jar = after("a=1", "b=2", "a=3; Secure")
    assert sent(jar) == "a=3; b=2"
    assert [cookie.secure for cookie in jar.cookies] == [True, False]


def test_cookies_of_one_name_and_different_paths_or_domains_are_different() -> None:
    jar = after(
        "a=1; Path=/duckchat", "a=2; Path=/", "a=3; Domain=duckduckgo.com; Path=/", url="https://x.duckduckgo.com/"
    )
    assert sent(jar, "https://x.duckduckgo.com/duckchat") == "a=1; a=2; a=3"


def test_a_cookie_that_was_deleted_and_set_again_is_young() -> None:
    jar = after("a=1", "b=2", "a=; Max-Age=0", "a=3")
    assert sent(jar) == "b=2; a=3"


# How long


@each_of(
    "attributes, seconds",
    [
        ("Max-Age=60", 60),
        ("max-age=060", 60),
        ("Expires=Tue, 01 Apr 2025 12:01:00 GMT", 60),
        ("Expires=Tue, 01-Apr-25 12:01:00 GMT", 60),
        ('Expires="Tue, 01 Apr 2025 12:01:00 GMT"', 60),
        ("Max-Age=60; Expires=Tue, 01 Apr 2025 13:00:00 GMT", 60),
        ("Expires=Tue, 01 Apr 2025 13:00:00 GMT; Max-Age=60", 60),
        ("Max-Age=soon; Expires=Tue, 01 Apr 2025 12:01:00 GMT", 60),
        ("Max-Age=+60; Expires=Tue, 01 Apr 2025 12:01:00 GMT", 60),
    ],
)
@each_of("now", [0.0, 1e6, NOON, -5.5])
def test_a_cookie_ends_by_the_services_clock_whatever_the_callers_shows(
    attributes: str, seconds: int, now: float
) -> None:
    jar = after(f"a=b; {attributes}", now=now)
    assert sent(jar, now=now + seconds - 0.5) == "a=b"
    assert sent(jar, now=now + seconds) == ""
    assert jar.cookies == ()


@each_of("attributes", ["", "Max-Age", "Max-Age=", "Max-Age=-", "Max-Age=1.5", "Max-Age=٣", "Expires", "Expires=never"])
def test_a_cookie_without_an_end_that_can_be_read_stays(attributes: str) -> None:
    jar = after(f"a=b; {attributes}")
    assert jar.cookies[0].expires is None
    assert sent(jar, now=1e12) == "a=b"


@each_of(
    "attributes",
    [
        "Max-Age=0",
        "Max-Age=-1",
        "Max-Age=-" + "9" * 1000,
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Expires=Tue, 01 Apr 2025 12:00:00 GMT",
        "Max-Age=0; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
    ],
)
def test_an_end_that_is_past_deletes_the_cookie(attributes: str) -> None:
    jar = after("a=b", "c=d")
    jar.receive(HOME, (DATE, ("set-cookie", f"a=b; {attributes}"), ("set-cookie", f"new=b; {attributes}")), now=0.0)
    assert sent(jar) == "c=d"


def test_only_the_same_name_domain_and_path_are_deleted() -> None:
    jar = after("a=b; Path=/", "a=c; Path=/duckchat")
    jar.receive(HOME, (DATE, ("set-cookie", "a=; Path=/; Max-Age=0")), now=0.0)
    assert sent(jar) == "a=c"


def test_a_host_can_not_delete_the_cookies_of_another() -> None:
    jar = after("a=b; Domain=a.duckduckgo.com; Path=/", url="https://a.duckduckgo.com/")
    jar.receive(
        "https://b.duckduckgo.com/", (DATE, ("set-cookie", "a=; Domain=a.duckduckgo.com; Path=/; Max-Age=0")), now=0.0
    )
    assert sent(jar, "https://a.duckduckgo.com/") == "a=b"


def test_the_longest_life_is_a_time_that_can_be_stored() -> None:
    (cookie,) = after("a=b; Max-Age=" + "9" * 1000).cookies
    assert msgspec.json.decode(msgspec.json.encode(cookie), type=Cookie) == cookie
    assert cookie.expires == NOON + 1e10


def test_the_services_clock_is_that_of_its_last_date() -> None:
    jar = after("a=b; Max-Age=60", "c=d; Max-Age=7200")
    jar.receive(HOME, (("date", formatdate(NOON + 3600, usegmt=True)),), now=1.0)
    assert sent(jar, now=1.0) == "c=d"
    jar.receive(HOME, (("date", "yesterday"), ("last-modified", formatdate(NOON + 7200, usegmt=True))), now=2.0)
    assert sent(jar, now=3600.0) == "c=d"
    assert sent(jar, now=3601.0) == ""


def test_a_date_behind_the_cookies_counts_for_them() -> None:
    jar = CookieJar()
    jar.receive(HOME, (("set-cookie", "a=b; Expires=Tue, 01 Apr 2025 11:00:00 GMT"), DATE), now=0.0)
    assert jar.cookies == ()


def test_a_service_that_never_says_its_date_deletes_and_limits_cookies_all_the_same() -> None:
    jar = after("a=b; Max-Age=60", "c=d; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "e=f", date=None, now=5.0)
    assert sent(jar, now=64.0) == "a=b; c=d; e=f"
    assert sent(jar, now=65.0) == "c=d; e=f"
    gone = ("set-cookie", "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    jar.receive(HOME, (gone, ("set-cookie", "e=; Max-Age=0")), now=66.0)
    assert jar.cookies == ()


def test_without_a_date_no_cookie_ends_before_its_time_whatever_the_callers_clock_shows() -> None:
    for date in ("Wed, 01 Jan 2025 00:02:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"):  # this protocol is younger
        jar = after(f"a=b; Expires={date}", date=None, now=NOON)
        assert sent(jar, now=NOON + 60) == "a=b"


def test_a_stored_jar_waits_for_a_clock_before_it_throws_cookies_away() -> None:
    stored = after("a=b; Max-Age=60").cookies
    jar = CookieJar(stored)
    assert sent(jar, now=1e12) == "a=b"
    jar.receive(HOME, (("date", formatdate(NOON + 61, usegmt=True)),), now=0.0)
    assert sent(jar, now=0.0) == ""


# How much


def test_the_oldest_cookies_make_room() -> None:
    jar = after(*(f"c{n}=" for n in range(MAX_COOKIES + 20)))
    assert [cookie.name for cookie in jar.cookies] == [f"c{n}" for n in range(20, MAX_COOKIES + 20)]
    jar.receive(HOME, (DATE, ("set-cookie", "c20=again")), now=0.0)
    assert len(jar.cookies) == MAX_COOKIES
    assert jar.cookies[0].value == "again"


def test_a_cookie_that_is_too_long_is_ignored() -> None:
    assert len(after("abcd=" + "x" * (MAX_COOKIE_BYTES - 4)).cookies) == 1
    assert after("abcd=" + "x" * (MAX_COOKIE_BYTES - 3)).cookies == ()


def test_a_hostile_line_is_read_in_linear_time() -> None:
    line = "a=b" + "; Domain=x; Max-Age=1; Expires=1" * 50_000
    assert after(line).cookies == ()


# The jar and its cookies as values


def test_a_copy_goes_its_own_way() -> None:
    jar = after("a=b; Max-Age=60")
    copy = jar.copy()
    copy.receive(HOME, (("date", formatdate(NOON + 30, usegmt=True)), ("set-cookie", "c=d")), now=0.0)
    assert sent(copy, now=30.0) == "c=d"
    assert sent(jar, now=30.0) == "a=b"
    jar.receive(HOME, (DATE, ("set-cookie", "c=e")), now=0.0)
    assert sent(copy) == "c=d"


def test_a_cookie_of_the_embedders_goes_to_the_host_it_names() -> None:
    jar = CookieJar([Cookie(name="dcm", value="3", domain="duckduckgo.com")])
    assert sent(jar) == "dcm=3"
    assert sent(jar, "http://duckduckgo.com/any/where") == "dcm=3"
    assert sent(jar, "https://links.duckduckgo.com/") == ""


@each_of(
    "change, why",
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a="}, "name"),
        ({"name": "a;b"}, "name"),
        ({"value": "b;c"}, "value"),
        ({"value": "b\r\nc"}, "value"),
        ({"value": "é"}, "value"),
        ({"domain": ""}, "domain"),
        ({"domain": ".duckduckgo.com"}, "domain"),
        ({"domain": "DuckDuckGo.com"}, "domain"),
        ({"domain": "duckduckgo.com/a"}, "domain"),
        ({"domain": "\ud800"}, "domain"),
        ({"path": ""}, "path"),
        ({"path": "a"}, "path"),
        ({"path": "/\x00"}, "path"),
    ],
)
def test_a_cookie_that_could_not_be_sent_back_can_not_be_made(change: dict[str, str], why: str) -> None:
    fields: dict[str, Any] = {"name": "a", "value": "b", "domain": "duckduckgo.com", **change}
    with pytest.raises(ValueError, match=why):
        Cookie(**fields)
    if "\ud800" not in fields["domain"]:
        with pytest.raises(msgspec.ValidationError, match=why):
            msgspec.json.decode(msgspec.json.encode(fields), type=Cookie)


def test_a_cookie_is_a_value_that_does_not_change() -> None:
    (cookie,), (same,) = after("a=b").cookies, after("a=b").cookies
    assert (cookie, hash(cookie)) == (same, hash(same))
    with pytest.raises(AttributeError):
        cookie.value = "c"  # type: ignore[misc]


def test_a_cookie_does_not_show_its_value() -> None:
    (cookie,) = after("ay=my-secret; Path=/").cookies
    assert repr(cookie) == "<Cookie 'ay' of duckduckgo.com/, 9 characters>"


# Whatever comes


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40) | st.text(st.characters(), max_size=20), max_size=8), st.booleans())
@example([b"a=b; Path=/; Domain=duckduckgo.com; Max-Age=1"], True)
def test_nothing_unsafe_ever_gets_into_the_cookie_header(parts: list[bytes | str], with_name: bool) -> None:
    lines = [part if isinstance(part, str) else part.decode("latin-1") for part in parts]
    jar = after(*(f"a={line}" if with_name else line for line in lines), "; ".join(lines))
    header = sent(jar)
    assert re.fullmatch(r"[ -~]*", header)
    assert all(re.fullmatch(r"[!-:<>-~]+=[ -:<-~]*", pair) for pair in header.split("; ") if header)
    assert msgspec.json.decode(msgspec.json.encode(jar.cookies), type=tuple[Cookie, ...]) == jar.cookies


# Against the standard library's jar


class Line(NamedTuple):
    """A ``set-cookie`` line of the kind that both jars mean to read by the same rules.

    Left out is where `http.cookiejar` goes its own way, on purpose or by age, and RFC 6265 is followed here:

    * a name without ``=`` (a cookie there), a control character or other text that can't be sent (kept there);
    * an attribute given twice (the first counts there), an empty Domain, a Max-Age that is no number (the whole cookie
      is dropped there), a Path that doesn't begin with ``/`` (taken there), Version and Port (RFC 2965 there);
    * ``Expires`` before ``Max-Age`` (the first counts there): that jar is given them the other way round;
    * a cookie of a host and one of the domain of that name (two there): the names differ by kind;
    * a past end for a foreign domain (it deletes there, before it asks whether it may);
    * several lines of one response (what they delete is deleted first there): that jar is given one at a time;
    * the order of the header for paths of one length (by domain there).
    """

    name: str
    value: str
    domain: str | None
    path: str | None
    secure: bool
    max_age: int | None
    expires: int | None  # seconds from the time of the response

    def text(self, now: float, *, max_age_first: bool) -> str:
        ends = [f"Max-Age={self.max_age}"] if self.max_age is not None else []
        if self.expires is not None:
            ends.append(f"Expires={formatdate(now + self.expires, usegmt=True)}")
        parts = [f"{self.name}-{'d' if self.domain else 'h'}={self.value}", *(ends if max_age_first else ends[::-1])]
        parts += [f"Domain={self.domain}"] if self.domain else []
        parts += [f"Path={self.path}"] if self.path is not None else []
        return "; ".join(parts + ["Secure"] * self.secure)

    def is_a_foreign_deletion(self, host: str) -> bool:
        end = self.expires if self.max_age is None else self.max_age
        own = self.domain is None or f".{host}".endswith("." + self.domain.lstrip(".").lower())
        return end is not None and end <= 0 and not own


HOSTS = ("example.com", "a.example.com", "b.a.example.com", "ample.com", "example.org")
PATHS = ("", "/", "/a", "/a/", "/a/b", "/ab", "/a/b/c")
SECONDS = st.sampled_from((-100, -1, 0, 1, 2, 10, 1000))
LINES = st.builds(
    Line,
    name=st.sampled_from(("n", "m")),
    value=st.sampled_from(("", "1", "2", "x=y", '"q"')),
    domain=st.none() | st.sampled_from((*HOSTS, ".example.com", ".a.Example.COM", "com", ".org", "b.example.com")),
    path=st.none() | st.sampled_from(PATHS),
    secure=st.booleans(),
    max_age=st.none() | SECONDS,
    expires=st.none() | SECONDS,
)
URLS = st.builds("{}://{}{}".format, st.sampled_from(("https", "http")), st.sampled_from(HOSTS), st.sampled_from(PATHS))
RESPONSES = st.tuples(URLS, st.lists(LINES, max_size=4), st.sampled_from((0, 1, 2, 9, 100)))


@contextmanager
def reference_clock() -> Iterator[SimpleNamespace]:
    clock = SimpleNamespace(now=NOON)
    fake = SimpleNamespace(time=lambda: clock.now, localtime=time.localtime)
    with mock.patch.object(http.cookiejar, "time", fake):
        yield clock


def reference_header(reference: http.cookiejar.CookieJar, url: str) -> str:
    request = urllib.request.Request(url)
    reference.add_cookie_header(request)
    return request.get_header("Cookie") or ""


def pairs(header: str) -> Counter[str]:
    return Counter(header.split("; ") if header else [])


@settings(max_examples=examples(300))
@given(st.lists(RESPONSES, max_size=6), st.lists(URLS, min_size=1, max_size=6))
def test_the_jar_agrees_with_the_standard_librarys(
    responses: list[tuple[str, list[Line], int]], asked: list[str]
) -> None:
    policy = http.cookiejar.DefaultCookiePolicy(
        rfc2965=False, strict_ns_domain=http.cookiejar.DefaultCookiePolicy.DomainStrictNonDomain
    )
    reference, jar = http.cookiejar.CookieJar(policy), CookieJar()
    with reference_clock() as clock:
        for url, lines, pause in responses:
            host = url.split("/")[2]
            lines = [line for line in lines if not line.is_a_foreign_deletion(host)]
            for line in lines:
                message = Message()
                message["Set-Cookie"] = line.text(clock.now, max_age_first=True)
                response: Any = SimpleNamespace(info=lambda m=message: m)
                reference.extract_cookies(response, urllib.request.Request(url))
            headers = [("set-cookie", line.text(clock.now, max_age_first=False)) for line in lines]
            jar.receive(url, (("date", formatdate(clock.now, usegmt=True)), *headers), now=clock.now - NOON)
            clock.now += pause
            for url in asked:
                assert pairs(jar.header_for(url, now=clock.now - NOON)) == pairs(reference_header(reference, url))


# Bounds (RFC 6265bis section 5.6: attributes of at most 1,024 octets; section 6.1)


def size_of(jar: CookieJar) -> int:
    return sum(len(c.name) + len(c.value) + len(c.domain) + len(c.path) for c in jar.cookies)


def test_a_path_that_is_too_long_is_as_if_it_were_not_there() -> None:
    (cookie,) = after("a=b; path=/" + "x" * MAX_ATTRIBUTE_BYTES).cookies
    assert cookie.path == "/duckchat/v1"
    (cookie,) = after("a=b; path=/" + "x" * (MAX_ATTRIBUTE_BYTES - 1)).cookies
    assert len(cookie.path) == MAX_ATTRIBUTE_BYTES


@pytest.mark.parametrize("attribute", ["domain=", "max-age=", "expires="])
def test_an_attribute_that_is_too_long_is_as_if_it_were_not_there(attribute: str) -> None:
    assert after(f"a=b; {attribute}{'0' * 1025}").cookies == after("a=b").cookies
    assert after(f"a=b; {attribute}{'0' * 1025}; Path=/; Secure").cookies == after("a=b; Path=/; Secure").cookies


def test_a_cookie_of_a_page_whose_own_path_is_too_long_is_ignored() -> None:
    assert after("a=b", url="https://duckduckgo.com/" + "x" * 2000 + "/y").cookies == ()


def test_a_jar_is_bounded_in_total_and_the_oldest_goes_first() -> None:
    jar = CookieJar()
    for number in range(400):
        line = f"n{number}={'x' * 4000}; path=/{'y' * 1000}"
        jar.receive(HOME, (("set-cookie", line),), now=0.0)
        assert size_of(jar) <= MAX_JAR_BYTES
    assert jar.cookies[-1].name == "n399"
    # RFC 6265bis section 6.1: at least 50 cookies of a domain, each of at least 4,096 octets.
    assert len(jar.cookies) >= 50


def test_a_jar_holds_180_cookies_and_half_a_mib_to_the_byte() -> None:
    jar = CookieJar(Cookie(name=f"c{number}", value="", domain="duckduckgo.com") for number in range(181))
    assert [len(jar.cookies), jar.cookies[0].name] == [180, "c1"]
    # Each takes 4,096 bytes: 2 for the name, 13 for the domain, 3 for the path, and the rest for the value.
    full = [Cookie(name=f"{n:02x}", value="x" * 4078, domain="duckduckg.com", path="/ab") for n in range(128)]
    jar = CookieJar(full)
    assert jar.cookies == tuple(full)
    for cookie in (full[5], msgspec.structs.replace(full[5], value="y" * 4079)):
        jar.set(cookie)
    assert [cookie.name for cookie in jar.cookies] == [cookie.name for cookie in full[1:]]


def test_a_cookie_ends_within_the_times_that_can_be_stored() -> None:
    for end in (1e12, -1e12):
        assert Cookie(name="a", value="b", domain="duckduckgo.com", expires=end).expires == end
        with pytest.raises(ValueError, match="a cookie's expires"):
            Cookie(name="a", value="b", domain="duckduckgo.com", expires=end * 1.0000000000005)


def test_a_cookie_that_is_set_again_is_counted_once_and_one_that_ends_no_more() -> None:
    jar = CookieJar()
    for _ in range(400):
        jar.receive(HOME, (("set-cookie", f"n={'x' * 4000}"), ("set-cookie", "small=1; max-age=9")), now=0.0)
    assert [cookie.name for cookie in jar.cookies] == ["n", "small"]
    for number in range(400):
        for age in (9, 0):
            jar.receive(HOME, (("set-cookie", f"m{number}={'x' * 4000}; max-age={age}"),), now=0.0)
    assert [cookie.name for cookie in jar.cookies] == ["n", "small"]
    copied = jar.copy()
    for number in range(48):
        copied.set(Cookie(name=f"c{number}", value="x" * 4000, domain="duckduckgo.com"))
        jar.header_for(HOME, now=5.0)
    assert len(copied.cookies) == 50
    assert "small" not in copied.header_for(HOME, now=99.0)
    assert len(jar.cookies) == 2


@each_of(
    "wrong",
    [
        *({"value": " x"}, {"value": "x "}, {"value": " "}, {"value": "x\t"}, {"value": "x\n"}, {"value": "é"}),
        *({"name": "n" * 96, "value": "v" * 4001}, {"path": "/" + "x" * 1024}, {"domain": "x" * 1025}),
        *({"path": ""}, {"path": "/\n"}, {"domain": ""}, {"domain": "\ud800"}, {"name": ""}, {"name": "a b"}),
        *({"expires": float("nan")}, {"expires": float("inf")}, {"expires": 1e300}, {"expires": -1e300}),
    ],
)
def test_a_cookie_that_could_not_be_sent_back_or_stored_can_not_be_made(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "a", "value": "b", "domain": "duckduckgo.com"}
    with pytest.raises(ValueError, match="a cookie's"):
        Cookie(**{**good, **wrong})


@given(value=st.text(st.sampled_from('ab "=,\t\\~'), max_size=6))
def test_a_cookie_that_can_be_made_can_be_sent(value: str) -> None:
    try:
        cookie = Cookie(name="a", value=value, domain="duckduckgo.com")
    except ValueError:
        return
    h11.Request(method="GET", target="/", headers=[("host", "x"), ("cookie", sent(CookieJar([cookie])))])
