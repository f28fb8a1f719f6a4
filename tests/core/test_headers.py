"""Header fields: found by name, and shown without secrets."""

from __future__ import annotations

from support.cases import each_of

from ddg_protocol.headers import field
from ddg_protocol.redaction import SECRET_HEADERS, redacted


def test_a_field_is_found_by_its_name_and_several_are_joined() -> None:
    headers = (("date", "\t today "), ("vary", "a"), ("vary", " b "))
    assert field(headers, "date") == "today"
    assert field(headers, "vary") == "a, b"
    assert field(headers, "etag") == ""


@each_of("name", sorted(SECRET_HEADERS))
def test_a_secret_header_is_hidden_in_any_case(name: str) -> None:
    assert redacted(((name.title(), "abc"), (name, ""))) == ((name.title(), "<3 characters>"), (name, ""))


def test_other_headers_are_shown_in_their_order() -> None:
    fields = (("accept", "text/html"), ("x-fe-version", "serp_1-2"), ("accept", "*/*"))
    assert redacted(fields, sent=True) == fields
    fields = (("content-type", "text/html; charset=utf-8"), ("date", "Thu, 01 Jan 2026 00:01:40 GMT"), ("age", "7"))
    assert redacted(fields) == fields


def test_of_a_response_only_what_is_known_to_be_harmless_is_shown() -> None:
    fields = (("etag", "abc"), ("server", "abc"), ("x-abc", "1"), ("location", "/?abc"), ("set-cookie2", "a=abc"))
    assert redacted(fields) == (
        ("etag", "<3 characters>"),
        ("server", "<3 characters>"),
        ("<5 characters>", "<1 characters>"),
        ("location", "<5 characters>"),
        ("set-cookie2", "<5 characters>"),
    )
