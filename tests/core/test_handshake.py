"""What each request of the handshake asks, and what its response yields (PROTOCOL.md sections 2 and 3)."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol._request import page_headers, status_headers
from ddg_protocol.conversation import MAX_TOKEN_BYTES, Conversation, Tokens
from ddg_protocol.errors import HandshakeError, InvalidToken
from ddg_protocol.events import ServiceNotice
from ddg_protocol.grammar import MAX_VERSION_CHARS
from ddg_protocol.handshake import read_notice, read_tokens, read_version, require_tokens
from ddg_protocol.identity import Identity
from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from ddg_protocol.steps import Step

PROFILE = DUCKDUCKGO_2025_04
A, B = (marker.encode() for marker in PROFILE.version_markers)
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36"
)


# What is asked


def test_the_pages_are_asked_for_as_a_browser_does() -> None:
    assert page_headers(PROFILE) == (
        ("user-agent", AGENT),
        ("accept-language", "en-US,en;q=0.9"),
        ("accept", "text/html"),
        ("accept-encoding", "gzip, deflate"),
    )


def test_the_status_is_asked_for_with_the_header_that_asks_for_tokens() -> None:
    assert status_headers(PROFILE) == (
        ("user-agent", AGENT),
        ("accept-language", "en-US,en;q=0.9"),
        ("accept", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
        ("content-type", "application/json"),
        ("x-vqd-accept", "1"),
        ("origin", "https://duckduckgo.com"),
        ("referer", "https://duckduckgo.com/"),
        ("accept-encoding", "gzip, deflate"),
    )


def test_another_identity_and_other_headers_are_data() -> None:
    identity = Identity(user_agent="my-program/1.0", sec_ch_ua="", accept_language="")
    headers = (("user-agent", "{user_agent}"), ("accept-language", "{accept_language}"), ("dnt", "1"))
    profile = msgspec.structs.replace(PROFILE, identity=identity, page_headers=headers, status_headers=headers[:1])
    assert page_headers(profile) == (("user-agent", "my-program/1.0"), ("dnt", "1"))
    assert status_headers(profile) == (("user-agent", "my-program/1.0"),)


def test_another_address_is_the_origin_of_its_requests() -> None:
    profile = PROFILE.at("http://[::1]:8000")
    assert status_headers(profile)[-3:-1] == (("origin", "http://[::1]:8000"), ("referer", "http://[::1]:8000/"))


def test_the_steps_are_in_the_order_of_the_protocol() -> None:
    assert list(Step) == [Step.FRONT_END, Step.LANDING, Step.STATUS, Step.CHAT, Step.MODELS]


# The front-end version


def page(first: bytes, second: bytes) -> bytes:
    return b"<html><script>window." + A + first + b'";window.' + B + second + b'";</script></html>'


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"serp_20250401_100419_ET", b"19d438eb199b2bf7c300"),
        (b"serp_20260715_120000_ET", b"0123456789abcdef0123456789abcdef01234567"),
        (b"a", b"b"),
        (b"a-b", b"<c>'d"),
    ],
)
def test_the_version_is_what_stands_after_the_two_markers(first: bytes, second: bytes) -> None:
    assert read_version(page(first, second), PROFILE) == (first + b"-" + second).decode()


def test_the_markers_may_come_in_any_order_and_the_first_of_each_counts() -> None:
    assert read_version(B + b'2";' + A + b'1";' + A + b'3";', PROFILE) == "1-2"


@each_of(
    "text",
    [
        b"",
        b"<html></html>",
        A + b'1"',
        B + b'2"',
        page(b"", b"2"),
        page(b"1", b""),
        page(b"1 ", b"2"),
        page(b"1\r\nx-evil: 1", b"2"),
        page(b"1", b"\x00"),
        page("é".encode(), b"2"),
        page(b"1", b"\xff"),
        A + b"1",
        A + b'1";' + B + b"2",
        A[:-1] + b"'1';" + B + b'2"',
        page(b"1", b"2").lower(),
    ],
)
def test_a_page_without_both_markers_or_with_what_can_not_be_sent_has_no_version(text: bytes) -> None:
    assert read_version(text, PROFILE) == ""


def test_a_page_cut_anywhere_before_its_second_marker_ends_has_no_version() -> None:
    text = page(b"1", b"2")
    end = text.index(B) + len(B) + len(b'2"')
    assert {read_version(text[:length], PROFILE) for length in range(end)} == {""}
    assert read_version(text[:end], PROFILE) == "1-2"


def test_a_version_is_bounded() -> None:
    longest = b"1" * 256
    assert len(read_version(page(longest, longest[1:]), PROFILE)) == MAX_VERSION_CHARS == 512
    assert read_version(page(longest, longest), PROFILE) == ""
    assert read_version(page(b"1" * 1_000_000, b"2"), PROFILE) == ""


def test_a_version_that_is_read_can_be_kept_with_a_conversation() -> None:
    longest = read_version(page(b"1" * (MAX_VERSION_CHARS - 2), b"2"), PROFILE)
    assert len(longest) == MAX_VERSION_CHARS
    kept = Conversation(fe_version=longest)
    assert Conversation.from_json(kept.to_json()) == kept


def test_other_markers_are_data() -> None:
    profile = msgspec.structs.replace(PROFILE, version_markers=("data-vérsion='", 'hash="'))
    assert read_version('<p data-vérsion=\'1" hash="2">'.encode(), profile) == "1-2"


@settings(deadline=None)
@given(st.lists(st.sampled_from((A, B, b'"', b"-", b"serp", b"\n", b"\xff")) | st.binary(max_size=8), max_size=20))
def test_whatever_the_page_a_version_is_empty_or_fits_a_header(parts: list[bytes]) -> None:
    version = read_version(b"".join(parts), PROFILE)
    assert version == "" or (version.isascii() and version.isprintable() and " " not in version and "-" in version)


# Tokens

PAIR = (("content-type", "application/json"), ("x-vqd-4", "4-123"), ("x-vqd-hash-1", "KGZ1bmN0aW9uKCk="))


def test_the_tokens_of_a_response_are_a_pair() -> None:
    assert read_tokens(PAIR, PROFILE) == require_tokens(PAIR, PROFILE) == Tokens("4-123", "KGZ1bmN0aW9uKCk=")


@pytest.mark.parametrize("headers", [PAIR[:2], (*PAIR[:2], ("x-vqd-hash-1", ""))])
def test_a_challenge_may_be_missing_or_empty(headers: tuple[tuple[str, str], ...]) -> None:
    assert require_tokens(headers, PROFILE) == Tokens("4-123", "")


@pytest.mark.parametrize(
    "headers", [(), PAIR[:1], PAIR[2:], (("x-vqd-4", ""),), (("x-vqd-4", "  "),), (("x-vqd-hash-1", "a b"),)]
)
def test_without_a_token_there_is_no_pair(headers: tuple[tuple[str, str], ...]) -> None:
    assert read_tokens(headers, PROFILE) is None
    with pytest.raises(HandshakeError, match=r"has no token \(x-vqd-4\)"):
        require_tokens(headers, PROFILE)


@each_of("value", ["a b", "a\tb", "a\r\nx: y", "a\x00", "\x7f", "é", "4-\x85"])
@each_of("name", ["x-vqd-4", "x-vqd-hash-1"])
def test_a_token_that_could_not_be_sent_back_is_an_error(name: str, value: str) -> None:
    headers = tuple((key, value if key == name else text) for key, text in PAIR)
    for read in (read_tokens, require_tokens):
        with pytest.raises(InvalidToken, match=f"{name} is not visible ASCII") as caught:
            read(headers, PROFILE)
        assert value not in str(caught.value)


@pytest.mark.parametrize("name", ["x-vqd-4", "x-vqd-hash-1"])
def test_a_token_that_comes_twice_is_an_error_and_not_a_choice(name: str) -> None:
    with pytest.raises(InvalidToken, match=name):
        read_tokens((*PAIR, (name, "another")), PROFILE)


def test_a_token_is_bounded_and_a_challenge_by_the_policy() -> None:
    longest = "1" * MAX_TOKEN_BYTES
    assert require_tokens((("x-vqd-4", longest), ("x-vqd-hash-1", longest * 2)), PROFILE) == Tokens(
        longest, longest * 2
    )
    with pytest.raises(InvalidToken, match="65537 characters long; at most 65536"):
        read_tokens((("x-vqd-4", longest + "1"),), PROFILE)


# The status body


@pytest.mark.parametrize("body", [b'{"status":"0"}', b'{"status":"0","secondaryStatus":"0","statusV2":0}'])
def test_a_status_of_0_is_no_news(body: bytes) -> None:
    assert read_notice(body) is None


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("1", "the limit for this user is reached"),
        ("2", "the service's own limit is reached"),
        ("7", "the service reports status 7"),
    ],
)
def test_another_status_is_news(status: str, text: str) -> None:
    assert read_notice(json.dumps({"status": status}).encode()) == ServiceNotice(status, text)


@each_of(
    "body",
    [
        *(b"", b"OK", b"null", b"[]", b"{}", b'{"status":1}', b'{"status":null}', b'{"status":"1"', b'{"STATUS":"1"}'),
        *(b"<html></html>", b"\xff\xfe", b'{"status":"\xff"}', b'{"status":"\\ud800"}', b'{"status":"1"} '[:-2]),
        *(b'{"a":' + b"[" * 100_000, b"[" * 100_000, b'{"status":' + b"[" * 100_000),
    ],
)
def test_a_body_of_another_form_says_nothing(body: bytes) -> None:
    assert read_notice(body) is None


def test_a_hostile_status_is_short_and_printable() -> None:
    notice = read_notice(json.dumps({"status": "\x1b[31m\u202e" * 1000}).encode())
    assert notice is not None
    assert notice.status.isprintable()
    assert notice.text.isprintable()
    assert len(notice.status) <= 40
    assert len(notice.text) < 100


# As seen on the wire


def test_the_page_the_bodies_and_the_tokens_of_the_record_are_read(vectors: Path) -> None:
    seen = json.loads((vectors / "handshake.json").read_text())
    for sample in seen["front_end_page"]:
        assert read_version(sample["data"].encode(), PROFILE) == sample["expected_x_fe_version"]
    for version in seen["x_fe_version"]:
        first, _, second = version.rpartition("-")
        assert read_version(page(first.encode(), second.encode()), PROFILE) == version
    for body in seen["status_bodies"]:
        assert read_notice(body.encode()) is None
    for token in seen["x_vqd_4"]:
        assert require_tokens((("x-vqd-4", token),), PROFILE) == Tokens(token)
    assert all(seen[key] for key in ("front_end_page", "x_fe_version", "status_bodies", "x_vqd_4"))
