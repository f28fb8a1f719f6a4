"""Which redirects are followed, and where they lead (PROTOCOL.md section 3)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.tiers import examples

from ddg_protocol.errors import RedirectRefused
from ddg_protocol.intents import SendRequest
from ddg_protocol.policy import Policy
from ddg_protocol.profile import ServiceProfile
from ddg_protocol.redirect import REDIRECTS, redirect_target
from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04

STATUS = "https://duckduckgo.com/duckchat/v1/status"
LOCAL = DUCKDUCKGO_2025_04.at("http://127.0.0.1:8000")


def target(
    location: str,
    *,
    url: str = STATUS,
    method: str = "GET",
    status: int = 302,
    redirects: int = 0,
    profile: ServiceProfile = DUCKDUCKGO_2025_04,
) -> str:
    request = SendRequest(id=1, method=method, url=url, headers=(), body=b"", timeout=10.0)
    return redirect_target(request, status, location, redirects, profile, Policy())


# What is followed


@each_of(
    "location, url",
    [
        ("/login", "https://duckduckgo.com/login"),
        ("v2", "https://duckduckgo.com/duckchat/v1/v2"),
        ("../v2/status?x=1&y=%20", "https://duckduckgo.com/duckchat/v2/status?x=1&y=%20"),
        ("?x=1", "https://duckduckgo.com/duckchat/v1/status?x=1"),
        ("//duck.ai", "https://duck.ai/"),
        ("https://duckduckgo.com", "https://duckduckgo.com/"),
        ("https://links.duckduckgo.com/a", "https://links.duckduckgo.com/a"),
        ("https://a.b.duckduckgo.com/a", "https://a.b.duckduckgo.com/a"),
        ("HTTPS://DuckDuckGo.COM/A", "https://duckduckgo.com/A"),
        ("https://duck.ai:8443/a", "https://duck.ai:8443/a"),
        ("https://duck.ai:1/a", "https://duck.ai:1/a"),
        ("https://duck.ai:/a", "https://duck.ai/a"),
        ("https://duck.ai:0443/a", "https://duck.ai:443/a"),
        ("/page#fragment", "https://duckduckgo.com/page"),
        ("/search?q=<a>|{b}", "https://duckduckgo.com/search?q=<a>|{b}"),  # as other clients let through
    ],
)
def test_a_redirect_within_the_service_is_followed(location: str, url: str) -> None:
    assert target(location) == url


@pytest.mark.parametrize("status", sorted(REDIRECTS))
def test_every_redirect_of_a_page_is_followed(status: int) -> None:
    assert target("/elsewhere", status=status) == "https://duckduckgo.com/elsewhere"


def test_redirects_are_these_statuses() -> None:
    assert {301, 302, 303, 307, 308} == REDIRECTS


# What is not


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_drop_the_question_is_refused(status: int) -> None:
    with pytest.raises(RedirectRefused, match=rf"redirects the question \({status}\) in a way that would drop it"):
        target("/elsewhere", method="POST", status=status)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_question_is_followed(status: int) -> None:
    assert target("/elsewhere", method="POST", status=status) == "https://duckduckgo.com/elsewhere"


def test_ten_redirects_are_followed_and_no_more() -> None:
    assert target("/10", redirects=9) == "https://duckduckgo.com/10"
    with pytest.raises(RedirectRefused, match=r"^the request was redirected more than 10 times$"):
        target("/11", redirects=10)


@each_of(
    "location, shown",
    [
        ("https://example.org/secret?secret#secret", "the redirect (302) to example.org is not followed"),
        ("//example.org:8443/secret", "the redirect (302) to example.org is not followed"),
        ("http://a-1.duckduckgo.com/secret", "the redirect (302) to a-1.duckduckgo.com is not followed"),
        ("https://secret@example.org/", "the redirect (302) is not followed"),
        ("https://secret:secret@example.org/", "the redirect (302) is not followed"),
        ("https://sec_ret.example.org/", "the redirect (302) is not followed"),
        (f"https://{'secret.' * 15}org/", "the redirect (302) is not followed"),
        ("https://[::1]/secret", "the redirect (302) is not followed"),
    ],
)
def test_a_refusal_names_a_plain_host_and_nothing_else_of_the_address(location: str, shown: str) -> None:
    with pytest.raises(RedirectRefused) as caught:
        target(location)
    assert str(caught.value).startswith(shown)
    assert "sec" not in str(caught.value)


@each_of(
    "location",
    [
        "https://example.org/",
        "//example.org/",
        "https://evilduckduckgo.com/",
        "https://duckduckgo.com.evil.com/",
        "https://links.duck.ai/",  # only the host itself is named
        "https://duckduckgo.com./",
        "https://.duckduckgo.com/",
        "https://a..duckduckgo.com/",
        "https://evil.com%2f.duckduckgo.com/",
        "https://evil.com;.duckduckgo.com/",
        "https://[::1]/",
        "https://[::1].duckduckgo.com/",
        "https://127.0.0.1/",
        "https://xn--dckduckgo-85a.com/",
        "https://evil.com?.duckduckgo.com/",
        "https://evil.com#.duckduckgo.com/",
    ],
)
def test_a_redirect_to_another_host_is_refused(location: str) -> None:
    with pytest.raises(RedirectRefused, match=r"the profile does not allow that host|no valid address") as caught:
        target(location)
    assert location not in str(caught.value)  # it can have a token in it


@each_of(
    "location",
    [
        "http://duckduckgo.com/",
        "ftp://duckduckgo.com/",
        "javascript:alert(1)",
        "data:text/html,hello",
        "mailto:someone@duckduckgo.com",
        "https://user@duckduckgo.com/",
        "https://user:word@duckduckgo.com/",
        "https://@duckduckgo.com/",
        "https://duckduckgo.com@duckduckgo.com/",
    ],
)
def test_a_redirect_off_https_or_with_a_user_is_refused(location: str) -> None:
    with pytest.raises(RedirectRefused, match="must stay on https"):
        target(location)


@each_of(
    "location",
    [
        "",
        " ",
        "/a b",
        "/a, /b",  # two location headers
        " /a",
        "/a\r\nset-cookie: x=1",
        "/\t/evil.com",
        "/\x00",
        "/\x7f",
        "/café",
        "https://дuckduckgo.com/",
        "/\ud800",
        r"\\evil.com",
        r"/\evil.com",
        r"https:\\evil.com",
        "https://evil.com\\.duckduckgo.com/",  # evil.com to every reader who takes \ for /
        "https://duckduckgo.com\\@evil.com/",
        "https://[duckduckgo.com/",
        "https://duckduckgo.com]/",
        "https://[duckduckgo.com]/",
        "https://duckduckgo.com:port/",
        "https://duckduckgo.com:99999/",
        "https://duckduckgo.com:-1/",
        "https://duckduckgo.com:0/",
    ],
)
def test_what_is_no_address_that_all_read_alike_is_refused(location: str) -> None:
    with pytest.raises(RedirectRefused) as caught:
        target(location)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("location", ["https:///evil.com/", "///evil.com/", "////evil.com/", "https:evil.com/"])
def test_an_address_without_a_host_stays_on_this_one(location: str) -> None:
    assert urlsplit(target(location)).netloc == "duckduckgo.com"


def test_a_hostile_address_is_shown_short_and_printable() -> None:
    with pytest.raises(RedirectRefused) as caught:
        target("https://evil.example/" + "\x1b[31m" * 10_000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


# Another base address


@each_of(
    "base, location, url",
    [
        ("http://127.0.0.1:8000", "/a", "http://127.0.0.1:8000/a"),
        ("http://127.0.0.1:8000", "//127.0.0.1:9000/a", "http://127.0.0.1:9000/a"),
        ("http://127.0.0.1:8000", "https://127.0.0.1/a", "https://127.0.0.1/a"),
        ("http://[::1]:8000", "/a", "http://[::1]:8000/a"),
        ("http://[::1]:8000", "http://[::1]/a", "http://[::1]/a"),
        ("http://localhost", "http://LOCALHOST/a", "http://localhost/a"),
        ("https://chat.example.org:8443", "/a", "https://chat.example.org:8443/a"),
    ],
)
def test_a_profile_for_another_address_stays_there(base: str, location: str, url: str) -> None:
    profile = DUCKDUCKGO_2025_04.at(base)
    assert target(location, url=profile.url("/start"), profile=profile) == url


@pytest.mark.parametrize("location", ["https://duckduckgo.com/", "http://localhost/", "http://127.0.0.2:8000/"])
def test_a_profile_for_another_address_does_not_lead_away_from_it(location: str) -> None:
    with pytest.raises(RedirectRefused, match="does not allow that host"):
        target(location, url=LOCAL.url("/start"), profile=LOCAL)


def test_a_redirect_on_loopback_keeps_its_scheme_or_leads_to_https() -> None:
    for origin, other in (("http://127.0.0.1", "ftp://127.0.0.1/"), ("https://127.0.0.1", "http://127.0.0.1/")):
        with pytest.raises(RedirectRefused, match="must stay on https"):
            target(other, url=origin, profile=DUCKDUCKGO_2025_04.at(origin))


def test_plain_http_does_not_lead_off_the_machine_though_the_host_is_allowed() -> None:
    profile = DUCKDUCKGO_2025_04.at("http://127.0.0.1:8000", allowed_hosts=("127.0.0.1", "example.org"))
    assert target("https://example.org/", url=profile.origin, profile=profile) == "https://example.org/"
    with pytest.raises(RedirectRefused, match="must stay on https"):
        target("http://example.org/", url=profile.origin, profile=profile)


# Whatever comes

PIECES = st.sampled_from(
    [
        *("https", "http", ":", "//", "/", "\\", "?", "#", "@", ".", "..", "%2f", "[", "]", "::1", ":443", ";"),
        *("duckduckgo.com", "duck.ai", "evil.com", "127.0.0.1", " ", "\t", "\r\n", "\x00", "é", "\ud800", "\u3002"),
    ]
)


@given(
    st.one_of(st.text(st.characters()), st.lists(PIECES, max_size=12).map("".join)),
    st.sampled_from((STATUS, LOCAL.url("/"))),
)
@settings(max_examples=examples(500))
def test_a_redirect_is_refused_or_leads_to_an_allowed_host_in_visible_ascii(location: str, url: str) -> None:
    profile = DUCKDUCKGO_2025_04 if url == STATUS else LOCAL
    try:
        found = target(location, url=url, profile=profile)
    except RedirectRefused:
        return
    assert re.fullmatch(r"[!-~]+", found)
    parts = urlsplit(found)
    assert parts.scheme in ("https", urlsplit(url).scheme)
    assert profile.allows(parts.hostname or "")
    assert re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?", parts.netloc)
    assert parts.path.startswith("/")
    assert "#" not in found
    assert "\\" not in found
    assert target(found, url=url, profile=profile) == found
