"""What a `Service` asks: by default what the real one asked, strictly all of PROTOCOL.md, and each check alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from support.cases import each_of

from ddg_protocol import DUCKDUCKGO_2025_04, Session
from ddg_protocol.errors import BadRequestError
from ddg_protocol.refusal import service_error
from ddg_protocol.revisions import REVISIONS
from ddg_protocol.service import Checks, Fault, Service, ServiceRequest, ServiceResponse
from ddg_protocol.service.faults import Header, Refuse
from ddg_protocol.testing import Run, stand_in_answer

HELLO = [{"role": "user", "content": "Hello"}]
SECOND = [*HELLO, {"role": "assistant", "content": "said by an earlier run"}, *HELLO]
ORIGIN = "https://duckduckgo.com"
PAGE = "http://localhost:3000"  # of a browser
HERE = {"host": "127.0.0.1:8000"}
STATUS, CHAT = "/duckchat/v1/status", "/duckchat/v1/chat"
ASKS_FOR_TOKENS = {"x-vqd-accept": "1"}
#: Nothing is wrong with these.
STRICT_CHAT = {
    "user-agent": "test",
    "accept": "text/event-stream",
    "content-type": "application/json",
    "origin": ORIGIN,
    "referer": f"{ORIGIN}/",
    "x-fe-version": "",
    "x-vqd-hash-1": "",
}
STRICT_STATUS = {**STRICT_CHAT, "cache-control": "no-cache", "pragma": "no-cache"}


def send(service: Service, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> ServiceResponse:
    return service.handle(ServiceRequest(method, target, tuple(headers.items()), body), now=0.0)


def body_of(response: ServiceResponse) -> bytes:
    return b"".join(piece.data for piece in response.pieces)


def reason_of(response: ServiceResponse) -> str:
    return str(json.loads(body_of(response))["reason"])


def status(service: Service, **headers: str) -> ServiceResponse:
    return send(service, "GET", STATUS, ASKS_FOR_TOKENS | headers)


def token_of(response: ServiceResponse) -> str:
    return dict(response.headers)["x-vqd-4"]


def chat(
    service: Service, messages: Any = HELLO, headers: Mapping[str, str] = {}, *, token: str = "", **body: Any
) -> ServiceResponse:
    asked = {"model": "gpt-4o-mini", "messages": messages} | body
    headers = {"x-vqd-4": token or token_of(status(service)), **headers}
    return send(service, "POST", CHAT, headers, json.dumps(asked).encode())


# By default
def test_a_status_request_needs_nothing_but_the_wish_for_tokens() -> None:
    assert status(Service()).status == 200
    assert reason_of(send(Service(), "GET", STATUS, {})) == "x-vqd-accept must be 1"


def test_a_question_needs_nothing_but_its_token() -> None:
    assert chat(Service()).status == 200


def test_pages_need_nothing() -> None:
    for path in (DUCKDUCKGO_2025_04.landing_path, DUCKDUCKGO_2025_04.front_end_path):
        assert send(Service(), "GET", path, {}).status == 200


@each_of(
    "headers",
    [
        {"origin": ORIGIN, "referer": f"{ORIGIN}/"},
        {"origin": "http://127.0.0.1:8000", "referer": "http://127.0.0.1:8000/"},
        {"origin": "https://127.0.0.1:8000"},
        {"referer": f"{ORIGIN}/aichat"},
        {"referer": ORIGIN},
        {"origin": f"{ORIGIN}:443"},
    ],
)
def test_the_origin_is_the_emulators_or_the_services(headers: dict[str, str]) -> None:
    assert status(Service(), **HERE, **headers).status == 200


@each_of("origin", ["https://example.org", "http://duckduckgo.com", "null", "", f"{ORIGIN}.example.org"])
def test_any_other_origin_is_refused(origin: str) -> None:
    assert reason_of(status(Service(), **HERE, origin=origin)).startswith(f"origin must be {ORIGIN} or the address")
    assert reason_of(status(Service(), **HERE, referer=f"{origin}/")).startswith("referer must be a page of ")


def test_a_stale_front_end_version_is_taken() -> None:
    assert chat(Service(), headers={"x-fe-version": "serp_20240101_000000_ET-0"}).status == 200


def test_a_token_is_taken_again() -> None:
    service = Service()
    token = token_of(status(service))
    assert [chat(service, token=token).status for _ in range(3)] == [200, 200, 200]
    assert reason_of(chat(service, token="4-1")) == "x-vqd-4 is not a token of this service"


def test_an_answer_is_taken_again_where_there_are_no_tokens() -> None:
    service = Service(REVISIONS["2026-10"], responder=lambda question: "Yes.")
    run = Run(Session(service.profile, solver="embedder"), service, solver=stand_in_answer)
    run.ask("One?")
    request = service.log[-1].request
    assert service.handle(request, now=0.0).status == 200
    strict = Service(REVISIONS["2026-10"], strict=True)
    Run(Session(service.profile, solver="embedder"), strict, solver=stand_in_answer).ask("One?")
    assert reason_of(strict.handle(strict.log[-1].request, now=0.0)).endswith("a challenge that is open")


def test_a_wrong_answer_is_refused_all_the_same() -> None:
    response = chat(Service(), headers={"x-vqd-hash-1": "qwertyu"})
    assert (response.status, reason_of(response)[:24]) == (418, "x-vqd-hash-1 is not the ")


@each_of("messages", [[*HELLO, *HELLO], SECOND, [{"role": "assistant", "content": "Hi"}, *HELLO]])
def test_any_history_is_taken(messages: Any) -> None:
    assert chat(Service(), messages).status == 200


def test_a_role_that_nobody_has_is_refused() -> None:
    assert "must have the role user or assistant" in reason_of(chat(Service(), [{"role": "x", "content": ""}]))


# Strictly
def test_all_of_the_protocol_is_asked() -> None:
    assert Service(strict=True).checks == Checks.strict()
    assert all(msgspec.structs.astuple(Checks.strict()))
    Run(Session(), Service(strict=True, challenge=True)).ask("Why?")


@each_of(
    "check, wrong, reason",
    [
        ("fields", {"headers": {"user-agent": "", "accept": "text/html"}}, "user-agent is missing; accept must"),
        ("own_origin", {"headers": {"origin": ORIGIN, **HERE}}, "origin must be the address"),
        ("front_end_version", {"headers": {"x-fe-version": "serp_2024-0"}}, "x-fe-version must be empty or"),
        ("fresh_tokens", {"token": "used"}, "x-vqd-4 is a token that was used before"),
        ("turns", {"messages": [*HELLO, *HELLO]}, "the messages must alternate"),
        ("history", {"messages": SECOND}, "this service did not answer the history"),
    ],
)
def test_each_check_can_be_set_alone(check: str, wrong: dict[str, Any], reason: str) -> None:
    others = msgspec.structs.replace(Checks.strict(), **{check: False, "history": check not in ("turns", "history")})
    for checks in (Checks(), Checks(**{check: True}), others):
        service = Service(checks=checks)
        token = token_of(status(service, **STRICT_STATUS))
        settings = {"headers": {}, **wrong, "token": token}
        settings["headers"] = STRICT_CHAT | settings["headers"]
        if "token" in wrong:
            chat(service, **settings)
        response = chat(service, **settings)
        if getattr(checks, check):
            assert reason_of(response).startswith(reason), checks
        else:
            assert response.status == 200, checks


def test_the_checks_of_the_default_can_be_left_out() -> None:
    assert send(Service(checks=Checks(accept_tokens=False)), "GET", STATUS, {}).status == 200
    assert status(Service(checks=Checks(origin=False)), origin="https://example.org").status == 200


# Refusals
def test_a_refusal_lists_everything_that_is_wrong() -> None:
    service = Service(strict=True)
    headers = {"x-vqd-4": "4-1", "origin": "https://example.org", "x-vqd-hash-1": ""}
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": []}, {"role": "x", "content": ""}]
    body = json.dumps({"model": "gpt-9", "messages": messages}).encode()
    response = send(service, "POST", CHAT, headers, body)
    reasons = reason_of(response).split("; ")
    assert response.status == 400
    assert reasons[0] == "x-vqd-4 is not a token of this service"
    for begin in ("user-agent is", "accept must", "content-type must", "origin must", "referer must", "the role"):
        assert any(reason.startswith(begin) for reason in reasons), begin
    assert "x-fe-version is missing" in reasons
    for end in ("there is no model with that id", "the last message must have the role user"):
        assert end in reasons
    assert len(set(reasons)) == len(reasons)
    assert service.log[-1].reason == "; ".join(reasons)


def test_a_refusal_is_as_short_for_a_thousand_messages() -> None:
    messages = [{"role": "system", "content": "x"}] * 1000
    assert len(reason_of(chat(Service(strict=True), messages, token="4-1"))) < 1000


def test_the_reason_reaches_the_text_of_the_exception() -> None:
    response = chat(Service(), headers={"origin": "https://example.org"})
    error = service_error(400, body_of(response))
    assert isinstance(error, BadRequestError)
    assert error.detail.startswith(f"origin must be {ORIGIN} or ")
    assert str(error).endswith(f"(400 ERR_BAD_REQUEST): {error.detail}")


def test_a_reason_in_an_exception_is_bounded_and_visible() -> None:
    error = service_error(400, json.dumps({"type": "ERR_BAD_REQUEST", "reason": "\x1b[2J\n" * 1000}).encode())
    assert str(error).isprintable()
    assert len(str(error)) < 1300
    assert service_error(400, b'{"reason": 1}').detail == ""


def test_a_client_says_what_was_wrong_with_its_conversation() -> None:
    run = Run(Session(), Service(strict=True))
    run.ask("Why?")
    other = Run(Session(conversation=run.session.conversation), Service(strict=True, seed="another"))
    with pytest.raises(BadRequestError, match=r"\(400 ERR_BAD_REQUEST\): .*; this service did not answer the history"):
        other.ask("And?")


# Pages of other origins


def test_a_preflight_is_answered_and_counts_for_no_fault() -> None:
    service = Service(cors=PAGE, script=[Fault("chat", [Refuse(429)], times=1)])
    response = send(service, "OPTIONS", CHAT, {"origin": PAGE, "access-control-request-method": "POST"})
    assert response.status == 200
    assert (
        dict(response.headers).items()
        >= {
            "access-control-allow-origin": PAGE,
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": "*",
        }.items()
    )
    assert [chat(service).status for _ in range(2)] == [429, 200]


def test_a_page_may_ask_and_read_everything_refusals_too() -> None:
    service = Service(cors=PAGE, script=[Fault("chat", [Refuse(429)], first=2)])
    page = {**HERE, "origin": PAGE, "referer": f"{PAGE}/"}
    responses = [status(service, **page), chat(service, headers=page), chat(service, headers=page)]
    assert [response.status for response in responses] == [200, 200, 429]
    for response in responses:
        fields = dict(response.headers)
        assert fields["access-control-allow-origin"] == PAGE
        assert fields["access-control-expose-headers"] == "*"


def test_strictly_the_page_is_an_origin_too() -> None:
    checks = Checks(own_origin=True)
    page = {**HERE, "origin": PAGE, "referer": f"{PAGE}/"}
    assert status(Service(cors=PAGE, checks=checks), **page).status == 200
    assert status(Service(checks=checks), **page).status == 400


def test_all_pages_may() -> None:
    assert status(Service(cors="*", strict=False), **HERE, origin="null").status == 200


def test_without_it_a_preflight_is_refused_with_what_to_do() -> None:
    response = send(Service(), "OPTIONS", CHAT, {"origin": PAGE})
    assert response.status == 405
    assert "cors names the page's origin" in reason_of(response)
    assert send(Service(cors="*"), "OPTIONS", "/nowhere", {}).status == 404
    assert not [name for name, _ in status(Service()).headers if name.startswith("access-control")]


def test_a_fault_comes_before_what_the_page_needs() -> None:
    service = Service(cors="*", script=[Fault("status", [Header("x-vqd-4")])])
    assert dict(status(service).headers).keys() >= {"x-vqd-hash-1", "access-control-allow-origin"}


def test_a_response_knows_its_entry_in_the_log() -> None:
    service = Service()
    response = status(service)
    assert response.exchange is service.log[-1]


def test_latency_comes_before_the_first_piece_that_is_not_empty() -> None:
    for said, delays in (("a b", [0.0, 2.5, 0.5, 0.5, 0.5]), ("", [0.0, 2.5, 0.5]), ([{"a": 1}], [0.0, 2.5, 0.5, 0.5])):
        service = Service(latency=2.0, delay=0.5, responder=lambda question, said=said: said)  # type: ignore[misc]
        assert [piece.delay for piece in chat(service).pieces] == delays
