"""From a status and a body to the exception: PROTOCOL.md section 7, row by row."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol import errors
from ddg_protocol.errors import (
    AccessDeniedError,
    BadRequestError,
    BlockedError,
    ChallengeError,
    ConversationLimitError,
    InputLimitError,
    ModelUnavailableError,
    OutputLimitError,
    RateLimitError,
    ServiceError,
    ServiceUnavailableError,
    TokenError,
    UsageWindow,
    UserLimitError,
)
from ddg_protocol.refusal import limit_error, retry_after, service_error

HTML = b"<!DOCTYPE html><html><style>body{color:red}</style><h1>Sorry</h1></html>"
CDN_PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"


def body(**members: Any) -> bytes:
    return json.dumps({"action": "error", **members}).encode()


# The table

ROWS: list[tuple[int, str | None, type[ServiceError], bool]] = [
    (418, "ERR_CHALLENGE", ChallengeError, False),
    (418, "ERR_BN_LIMIT", BlockedError, False),
    (429, "ERR_CONVERSATION_LIMIT", ConversationLimitError, False),
    (429, "ERR_INPUT_LIMIT", InputLimitError, False),
    (429, "ERR_USER_LIMIT", UserLimitError, False),
    (429, "ERR_SERVICE_UNAVAILABLE", RateLimitError, True),
    (429, "ERR_RATE_LIMIT", RateLimitError, True),
    (429, "ERR_RATELIMIT", RateLimitError, True),
    (429, "ERR_OF_NEXT_YEAR", RateLimitError, True),
    (429, None, RateLimitError, True),
    (400, "ERR_INVALID_VQD", TokenError, True),
    (400, "ERR_EXPIRED_VQD", TokenError, True),
    (404, "ERR_MODEL_UNAVAILABLE", ModelUnavailableError, False),
    (404, "ERR_MODEL_RESTRICTED", ModelUnavailableError, False),
    (400, "ERR_BAD_REQUEST", BadRequestError, False),
    (400, "ERR_INVALID_INPUT", BadRequestError, False),
    (410, "ERR_ENDPOINT_DEPRECATED", BadRequestError, False),
    (503, "ERR_SERVICE_UNAVAILABLE", ServiceUnavailableError, True),
    *(
        (status, kind, cls, retryable)
        for status in (418, 429, 500)
        for kind, cls, retryable in (
            ("ERR_INVALID_CHALLENGE", ChallengeError, False),
            ("ERR_OUTPUT_LIMIT", OutputLimitError, False),
            ("ERR_ACCOUNT_LIMIT", UserLimitError, False),
            ("ERR_IMAGE_GENERATION_LIMIT", UserLimitError, False),
            ("ERR_UPSTREAM", ServiceUnavailableError, True),
            ("ERR_SERVICE_OFFLINE", ServiceUnavailableError, True),
            ("ERR_NETWORK", ServiceUnavailableError, True),
            ("ERR_STREAM_NETWORK", ServiceUnavailableError, True),
        )
    ),
    *((status, None, AccessDeniedError, False) for status in (401, 402, 403)),
    *((status, None, ServiceUnavailableError, True) for status in (500, 502, 503, 504, *range(520, 527))),
    *(
        (status, None, ServiceError, False)
        for status in (200, 204, 300, 400, 404, 405, 410, 418, 451, 501, 505, 519, 527)
    ),
    (400, "ERR_CHALLENGE", ServiceError, False),  # a type counts under the status of its row
    (404, "ERR_INVALID_VQD", ServiceError, False),
    (418, "ERR_INPUT_LIMIT", ServiceError, False),
    (430, "ERR_RATE_LIMIT", ServiceError, False),
]


@each_of("status, kind, cls, retryable", ROWS)
def test_a_row_of_the_table(status: int, kind: str | None, cls: type[ServiceError], retryable: bool) -> None:
    raw = body(status=status, type=kind) if kind else b""
    error = service_error(status, raw, retry_after=7.0)
    assert type(error) is cls
    assert (error.status, error.type, error.retryable) == (status, kind, retryable)
    assert (error.retry_after, error.body) == (7.0, raw)


def test_every_exception_of_the_table_has_a_row() -> None:
    assert {cls for _, _, cls, _ in ROWS} == {ServiceError, *ServiceError.__subclasses__()}


@each_of("status, kind, cls", [row[:3] for row in ROWS if row[1]])
def test_the_http_status_counts_where_the_body_has_none(status: int, kind: str, cls: type[ServiceError]) -> None:
    error = service_error(status, json.dumps({"type": kind, "r": "c6d8b851"}).encode())
    assert (type(error), error.status, error.type) == (cls, status, kind)


@each_of("status, kind, cls", [row[:3] for row in ROWS if row[0] >= 400])
def test_the_bodys_own_status_counts_inside_a_200_stream(
    status: int, kind: str | None, cls: type[ServiceError]
) -> None:
    error = service_error(200, body(status=status, **({"type": kind} if kind else {})))
    assert (type(error), error.status, error.type) == (cls, status, kind)


KINDS = {kind: cls for status, kind, cls, _ in ROWS if kind and kind != "ERR_OF_NEXT_YEAR"}


@pytest.mark.parametrize(("kind", "cls"), KINDS.items())
def test_a_type_alone_counts_inside_a_200_stream(kind: str, cls: type[ServiceError]) -> None:
    cls = {
        "ERR_CHALLENGE": ChallengeError,
        "ERR_INVALID_VQD": TokenError,
        "ERR_INPUT_LIMIT": InputLimitError,
        "ERR_RATE_LIMIT": RateLimitError,
    }.get(kind, cls)
    for members in ({"type": kind}, {"role": "error", "type": kind}, {"type": kind, "status": 200}):
        error = service_error(200, json.dumps(members).encode())
        assert (type(error), error.status, error.type) == (ServiceError if kind == "ERR_RATELIMIT" else cls, 200, kind)


@pytest.mark.parametrize(
    ("limit", "kind"),
    [
        ("account", "ERR_ACCOUNT_LIMIT"),
        ("entity", "ERR_USER_LIMIT"),
        ("conversation", "ERR_CONVERSATION_LIMIT"),
        ("image_generations", "ERR_IMAGE_GENERATION_LIMIT"),
        ("input", "ERR_INPUT_LIMIT"),
        ("output", "ERR_OUTPUT_LIMIT"),
    ],
)
def test_a_limit_of_a_reply_is_the_refusal_of_its_type(limit: str, kind: str) -> None:
    error, refusal = limit_error(limit), service_error(200, body(type=kind))
    assert error is not None
    assert (type(error), error.status, error.type, error.retryable) == (type(refusal), 200, kind, False)
    assert kind in str(error)


def test_a_limit_that_is_not_known_is_no_refusal() -> None:
    assert limit_error("") is limit_error("next_year") is None


# What a body says besides its type


def test_the_services_code_and_reason_are_kept_short_and_printable() -> None:
    error = service_error(418, body(type="ERR_BN_LIMIT", overrideCode="5b5b", r="c6d8b851"))
    assert (error.override_code, error.reason) == ("5b5b", "c6d8b851")
    error = service_error(418, body(type="ERR_BN_LIMIT", overrideCode="\x1b[2J" + "x" * 1000, r="\n" * 1000))
    assert len(error.override_code) <= 60
    assert len(error.reason) <= 60
    assert (error.override_code + error.reason).isprintable()
    assert service_error(400, body(reason="x" * 1000)).detail == "x" * 1000
    assert len(service_error(400, body(reason="x" * 1001)).detail) == 1000


@pytest.mark.parametrize("value", [None, 5, True, [], {}, ["x"]])
def test_a_code_or_reason_of_another_kind_is_none(value: Any) -> None:
    error = service_error(418, body(type="ERR_BN_LIMIT", overrideCode=value, r=value))
    assert (error.override_code, error.reason) == ("", "")


@pytest.mark.parametrize("check", [{"gk": "abc", "e": 0}, "pick", [1], 7, True])
def test_a_challenge_for_a_person_keeps_what_the_person_has_to_solve(check: Any) -> None:
    error = service_error(418, json.dumps({"type": "ERR_CHALLENGE", "cd": check}).encode())
    assert isinstance(error, ChallengeError)
    assert json.loads(error.picture_check) == check
    assert str(error) == (
        "the service asks a person to solve a picture check; open its page in a browser (418 ERR_CHALLENGE)"
    )


@pytest.mark.parametrize("check", [None, {}, [], "", 0, False])
def test_an_empty_challenge_is_for_no_person(check: Any) -> None:
    error = service_error(418, body(type="ERR_CHALLENGE", cd=check))
    assert isinstance(error, ChallengeError)
    assert error.picture_check == ""
    assert "picture" not in str(error)


def test_a_challenge_for_a_person_that_is_nested_too_deeply_to_be_written_is_one_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(value: object) -> str:
        raise RecursionError

    monkeypatch.setattr(json, "dumps", refuse)
    error = service_error(418, b'{"type":"ERR_CHALLENGE","cd":{"a":1}}')
    assert isinstance(error, ChallengeError)
    assert error.picture_check == "{}"


# Bodies that say little


@each_of(
    "raw",
    [
        b"",
        b" \r\n",
        HTML,
        b"null",
        b"[]",
        b'[{"status":418,"type":"ERR_CHALLENGE"}]',
        b'"ERR_CHALLENGE"',
        b"429",
        b"{}",
        b'{"status":418,"type":"ERR_CHALLENGE"',
        b'{"status":418,"type":"ERR_CHALLENGE"} and more',
        b"\x1f\x8b\x08\x00\xff\xfe",
        b"\xff" * 100,
        b'{"a":' + b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{" * 100_000,
        b'{"action"' * 10_000,
        b'{"status":' + b"9" * 10_000 + b"}",
        b'{"status":1e999}',
        b'{"status":-Infinity}',
        b'{"status":NaN}',
    ],
)
def test_a_body_that_says_nothing_leaves_it_to_the_http_status(raw: bytes) -> None:
    error = service_error(429, raw)
    assert type(error) is RateLimitError
    assert (error.status, error.type, error.body) == (429, None, raw)


@each_of("status", ["418", None, True, [418], {"s": 418}, 0, -1, 99, 200, 302, 399, 600, 1000, 10**30])
def test_a_status_that_is_no_error_status_does_not_count(status: Any) -> None:
    error = service_error(503, body(status=status, type="ERR_X"))
    assert (type(error), error.status, error.type) == (ServiceUnavailableError, 503, "ERR_X")


@each_of("kind", [None, 418, True, [], {}, "", ["ERR_CHALLENGE"]])
def test_a_type_that_is_no_word_does_not_count(kind: Any) -> None:
    error = service_error(418, body(status=429, type=kind))
    assert (type(error), error.status, error.type) == (RateLimitError, 429, None)


def test_a_number_may_be_written_as_a_fraction() -> None:
    assert service_error(200, b'{"action":"error","status":429.0}').status == 429


@each_of("garbage", [b"\n", b"\x1f\x8b\x08\x00", b"\x83\x01\x80", b")]}',\n", b"\xef\xbb\xbf", b"\n\n", b"{\x00\xff{"])
def test_garbage_before_the_json_is_passed_over(garbage: bytes) -> None:
    error = service_error(404, garbage + body(status=404, type="ERR_MODEL_UNAVAILABLE"))
    assert (type(error), error.type) == (ModelUnavailableError, "ERR_MODEL_UNAVAILABLE")


def test_bytes_that_are_not_utf_8_cost_only_themselves() -> None:
    error = service_error(200, b'{"action":"error","status":429,"type":"ERR_INPUT_LIMIT","r":"\xff\\ud800"}')
    assert type(error) is InputLimitError


def test_the_page_of_the_cdn_is_called_what_it_is() -> None:
    assert "a challenge page of the service's CDN" in str(service_error(403, CDN_PAGE))
    assert "CDN" not in str(service_error(403, HTML))
    assert type(service_error(403, CDN_PAGE)) is AccessDeniedError
    assert "CDN" not in str(service_error(500, CDN_PAGE))


# Reset times


def limited(**usage: Any) -> UserLimitError:
    error = service_error(429, body(status=429, type="ERR_USER_LIMIT", **usage))
    assert isinstance(error, UserLimitError)
    return error


def test_a_user_limit_says_when_it_ends() -> None:
    window = {"id": "day", "percentUsed": 100, "resetAt": "2026-09-02T00:00:00.000Z", "isBlocked": True}
    error = limited(fixedCostWindowUsage={"windows": [window]})
    assert error.resets == ("2026-09-02T00:00:00.000Z",)
    assert str(error) == (
        "this user's allowance is used up; wait until it is renewed at 2026-09-02T00:00:00.000Z (429 ERR_USER_LIMIT)"
    )


def test_only_windows_that_are_shut_have_to_open() -> None:
    windows = [
        {"resetAt": "Monday"},
        {"resetAt": "Tuesday", "isBlocked": False},
        {"resetAt": "Wednesday", "isBlocked": True},
    ]
    assert limited(fixedCostWindowUsage={"windows": windows}).resets == ("Monday", "Wednesday")
    other = service_error(429, body(type="ERR_INPUT_LIMIT", fixedCostWindowUsage={"windows": windows}))
    assert "Monday" not in str(other)


@each_of(
    "usage",
    [
        *(None, 5, "soon", [], {}, {"windows": None}, {"windows": {}}, {"windows": "2026"}, {"windows": []}),
        *({"windows": [None]}, {"windows": [5, [], {}]}, {"windows": [{"resetAt": None}, {"resetAt": 5}]}),
        {"windows": [{"resetAt": ""}]},
    ],
)
def test_a_user_limit_without_times_is_one_all_the_same(usage: Any) -> None:
    assert limited(fixedCostWindowUsage=usage).resets == ()


def test_a_user_limit_has_each_window_and_the_time_when_the_last_closed_one_opens() -> None:
    error = limited(
        r="fixed_cost_window_limit",
        fixedCostWindowUsage={
            "windows": [
                {"id": "day", "percentUsed": 100, "resetAt": "2026-09-02T00:00:00.000Z", "isBlocked": True},
                {"id": "week", "percentUsed": 40.5, "resetAt": "2026-09-07T00:00:00.000Z", "isBlocked": False},
                {"id": 7, "percentUsed": "all", "resetAt": "2026-09-02T02:00:00+01:00"},
                "soon",
            ]
        },
    )
    assert error.windows == (
        UsageWindow("day", 100.0, "2026-09-02T00:00:00.000Z", True),
        UsageWindow("week", 40.5, "2026-09-07T00:00:00.000Z", False),
        UsageWindow("", None, "2026-09-02T02:00:00+01:00", True),
    )
    assert error.reason == "fixed_cost_window_limit"
    assert error.resets == ("2026-09-02T00:00:00.000Z", "2026-09-02T02:00:00+01:00")
    assert error.reset_at == datetime(2026, 9, 2, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("used", ["1e999", "-1e999", "1" + "0" * 400])
def test_a_use_that_is_no_number_that_json_could_write_again_is_not_known(used: str) -> None:
    window = f'{{"id": "day", "percentUsed": {used}, "resetAt": "2026-09-02T00:00:00.000Z", "isBlocked": true}}'
    text = f'{{"type": "ERR_USER_LIMIT", "fixedCostWindowUsage": {{"windows": [{window}]}}}}'
    error = service_error(429, text.encode())
    assert isinstance(error, UserLimitError)
    assert error.windows == (UsageWindow("day", None, "2026-09-02T00:00:00.000Z", True),)


def test_a_time_without_a_zone_is_utc_and_one_that_is_none_does_not_count() -> None:
    windows = [{"resetAt": "2026-09-02T00:00:00"}, {"resetAt": "Monday"}, {"resetAt": "9999-12-31T23:59:59-23:59"}]
    assert limited(fixedCostWindowUsage={"windows": windows[:2]}).reset_at == 1_788_307_200
    assert limited(fixedCostWindowUsage={"windows": windows[1:2]}).reset_at is None
    assert limited(fixedCostWindowUsage={"windows": windows}).reset_at is not None


def test_hostile_reset_times_are_few_short_and_printable() -> None:
    error = limited(fixedCostWindowUsage={"windows": [{"resetAt": "\x1b\u202e" * 1000}] * 100})
    assert len(error.resets) == 8
    assert all(len(time) <= 40 and time.isprintable() for time in error.resets)
    assert len(str(error)) < 500


def test_reset_times_are_read_behind_garbage_too() -> None:
    raw = body(status=429, type="ERR_USER_LIMIT", fixedCostWindowUsage={"windows": [{"resetAt": "Monday"}]})
    error = service_error(429, b"\x1f{\x8b" + raw)
    assert isinstance(error, UserLimitError)
    assert error.resets == ("Monday",)


# Sentences


@each_of(
    "status, kind, sentence",
    [
        (
            429,
            "ERR_CONVERSATION_LIMIT",
            "the conversation has reached its limit; begin a new one (429 ERR_CONVERSATION_LIMIT)",
        ),
        (429, "ERR_INPUT_LIMIT", "the question is too long for the service; shorten it (429 ERR_INPUT_LIMIT)"),
        (429, "ERR_USER_LIMIT", "this user's allowance is used up; wait until it is renewed (429 ERR_USER_LIMIT)"),
        (429, None, "too many requests for now; try again later (429)"),
        (403, None, "the service denies access; asking again won't help (403)"),
        (502, None, "the service is not available now; try again later (502)"),
        (200, None, "the service sent something that is not a reply (200)"),
    ],
)
def test_an_error_says_what_happened_and_what_to_do(status: int, kind: str | None, sentence: str) -> None:
    assert str(service_error(status, body(type=kind) if kind else b"")) == sentence


def test_an_error_says_when_to_come_back() -> None:
    assert str(service_error(429, b"", retry_after=90.4)) == (
        "too many requests for now; try again later; it says to come back in 90 s (429)"
    )


def test_a_hostile_type_is_short_and_printable_everywhere() -> None:
    error = service_error(429, body(status=429, type="ERR\x1b[31m\u202e\ud800" + "X" * 10_000))
    assert error.type is not None
    assert error.type.startswith(r"ERR\x1b[31m\u202e\ud800X")
    assert len(error.type) <= 60
    assert str(error).isprintable()
    assert len(str(error)) < 200


WINDOW = ("windows", "id", "percentUsed", "resetAt", "isBlocked", "x")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WINDOW), inner),
    max_leaves=10,
)
NAMES = st.sampled_from(("action", "status", "type", "overrideCode", "r", "cd", "fixedCostWindowUsage"))
TYPES = st.sampled_from(("ERR_USER_LIMIT", "ERR_CHALLENGE"))


@settings(deadline=None)
@given(
    st.sampled_from((200, 418, 429)) | st.integers(100, 999),
    st.binary()
    | st.builds(
        lambda said, kind: json.dumps(said | kind).encode(),
        st.dictionaries(NAMES, JSON),
        st.just({}) | st.fixed_dictionaries({"type": TYPES}),
    ),
)
def test_whatever_the_body_it_is_a_service_error_that_can_be_shown(status: int, raw: bytes) -> None:
    error = service_error(status, raw)
    assert copy.copy(error).args == error.args
    assert (error.override_code + error.reason).isprintable()
    assert isinstance(error, ServiceError)
    assert str(error).isprintable()
    assert len(str(error)) < 500
    assert error.body == raw


# Bodies seen on the wire, by their shape

SHAPES: list[tuple[int, bytes, type[ServiceError]]] = [
    (
        418,
        b'{"action":"error","status":418,"type":"ERR_CHALLENGE","overrideCode":"0a1b","cd":{"cc":"duckchat","e":0}}',
        ChallengeError,
    ),
    (418, b'{"action":"error","status":418,"type":"ERR_BN_LIMIT","overrideCode":"0a1b"}', BlockedError),
    (429, b'{"action":"error","status":429,"type":"ERR_SERVICE_UNAVAILABLE","r":"00000000-0000"}', RateLimitError),
    (429, b'{"action":"error","r":"","status":429,"type":"ERR_SERVICE_UNAVAILABLE"}', RateLimitError),
    (429, b'{"type":"ERR_RATE_LIMIT","r":"00000000"}', RateLimitError),
]


@pytest.mark.parametrize(("status", "raw", "cls"), SHAPES)
def test_a_shape_seen_on_the_wire(status: int, raw: bytes, cls: type[ServiceError]) -> None:
    assert type(service_error(status, raw)) is cls


def test_every_body_of_the_record_is_the_exception_of_its_row(vectors: Path) -> None:
    of_type = {kind: cls for _, kind, cls, _ in reversed(ROWS) if kind}
    cases = json.loads((vectors / "errors.json").read_text())
    assert len(cases) >= 9
    for case in cases:
        said = json.loads(case["body"])
        error = service_error(case["http_status"], case["body"].encode())
        assert type(error) is of_type[said["type"]], said
        assert (error.status, error.type) == (case["http_status"], said["type"])
        if isinstance(error, UserLimitError):
            assert error.resets == ("2026-09-02T00:00:00.000Z",)


#: The exceptions of the record of October 2026, in its order. An empty 200 is for the session: it is no error body.
RECORD = [
    *(ChallengeError, ChallengeError, ChallengeError, BlockedError, RateLimitError, UserLimitError, InputLimitError),
    *(ConversationLimitError, RateLimitError, ServiceUnavailableError, ModelUnavailableError, ModelUnavailableError),
    *(BadRequestError, BadRequestError, TokenError, BadRequestError, AccessDeniedError, AccessDeniedError),
    *(ServiceUnavailableError, ServiceUnavailableError, ChallengeError, None, None),
]


def test_every_error_of_october_2026_is_the_exception_of_its_row_with_what_it_says(vectors: Path) -> None:
    cases = json.loads((vectors / "revisions" / "errors-2026-10.json").read_bytes())
    for case, cls in zip(cases, RECORD, strict=True):
        if cls is None:
            assert case["status"] == 200
            continue
        error = service_error(case["status"], case["body"].encode())
        said = json.loads(case["body"] or "{}")
        assert type(error) is cls, case
        assert (error.status, error.type) == (said.get("status", case["status"]), said.get("type"))
        assert (error.override_code, error.reason) == (said.get("overrideCode", ""), said.get("r", ""))
        if isinstance(error, ChallengeError):
            assert (json.loads(error.picture_check) if error.picture_check else None) == said.get("cd")
        if isinstance(error, UserLimitError):
            assert error.windows == (UsageWindow("day", 100.0, "2026-09-02T00:00:00.000Z", True),)
            assert error.reset_at == datetime(2026, 9, 2, tzinfo=UTC).timestamp()


# Retry-After

NOW = ("date", "Sun, 06 Nov 1994 08:49:37 GMT")


@each_of(
    "text, seconds",
    [
        ("0", 0.0),
        ("120", 120.0),
        ("  120\t", 120.0),
        ("0000000000120", 120.0),
        ("9" * 5000, 1e9),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("5 s", None),
        ("٣", None),
        ("²", None),
        ("soon", None),
        ("Sun, 31 Feb 1994 08:50:37 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_services_clock(text: str, seconds: float | None) -> None:
    assert retry_after((NOW, ("retry-after", text))) == seconds


def test_a_retry_after_date_says_nothing_without_the_services_clock() -> None:
    assert retry_after((("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"),)) is None
    assert retry_after((("date", "today"), ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"))) is None


def test_no_retry_after_or_several_say_nothing() -> None:
    assert retry_after((NOW,)) is None
    assert retry_after((("retry-after", "1"), ("retry-after", "2"))) is None


def test_the_names_the_table_uses_are_exceptions_of_the_tree() -> None:
    assert all(getattr(errors, cls.__name__) is cls for _, _, cls, _ in ROWS)
