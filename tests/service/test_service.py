"""The service by itself: what it hands out, what it asks of a request, both ways."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddg_protocol.profile import ServiceProfile
from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from ddg_protocol.service import Fault, Piece, Question, Service, ServiceRequest, ServiceResponse
from ddg_protocol.service import _service as machine
from ddg_protocol.service._challenge import Challenge, literal
from ddg_protocol.service._challenge_pool import POOL
from ddg_protocol.service.faults import Coding, Cut

Headers = dict[str, str]

UA = DUCKDUCKGO_2025_04.identity.user_agent
BRANDS = DUCKDUCKGO_2025_04.identity.sec_ch_ua
PAGE: Headers = {"user-agent": UA, "accept": "text/html"}
STATUS: Headers = {
    "user-agent": UA,
    "accept": "text/event-stream",
    "cache-control": "no-cache",
    "pragma": "no-cache",
    "content-type": "application/json",
    "origin": "https://duckduckgo.com",
    "referer": "https://duckduckgo.com/",
    "x-vqd-accept": "1",
}
CHAT: Headers = {
    "user-agent": UA,
    "accept": "text/event-stream",
    "content-type": "application/json",
    "origin": "https://duckduckgo.com",
    "referer": "https://duckduckgo.com/",
    "sec-ch-ua": BRANDS,
    "x-fe-version": "",
    "x-vqd-hash-1": "",
}
HELLO = [{"role": "user", "content": "Hello"}]


def send(service: Service, method: str, target: str, headers: Headers, body: bytes = b"") -> ServiceResponse:
    return service.handle(ServiceRequest(method, target, tuple(headers.items()), body), now=1_743_500_000.0)


def body_of(response: ServiceResponse) -> bytes:
    return b"".join(piece.data for piece in response.pieces)


def field(response: ServiceResponse, name: str) -> str:
    [value] = [value for key, value in response.headers if key == name]
    return value


def without(headers: Headers, name: str) -> Headers:
    return {key: value for key, value in headers.items() if key != name}


def status(service: Service, **changes: str) -> ServiceResponse:
    return send(service, "GET", "/duckchat/v1/status", STATUS | changes)


PNG = {"type": "image", "mimeType": "image/png", "image": "data:image/png;base64,AAAA"}


def chat(
    service: Service, messages: Any = HELLO, *, token: str | None = None, headers: Headers = CHAT, **body: Any
) -> ServiceResponse:
    token = field(status(service), "x-vqd-4") if token is None else token
    asked = {"model": "gpt-4o-mini", "messages": messages} | body
    return send(service, "POST", "/duckchat/v1/chat", headers | {"x-vqd-4": token}, json.dumps(asked).encode())


def payloads(body: bytes) -> list[Any]:
    events = body.decode().split("\n\n")
    assert events.pop() == ""
    assert events.pop() == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


def text_of(response: ServiceResponse) -> str:
    return "".join(payload["message"] for payload in payloads(body_of(response)))


def refused(response: ServiceResponse, status: int, error: str, reason: str) -> bool:
    said = json.loads(body_of(response))
    assert (response.status, said["action"], said["status"], said["type"]) == (status, "error", status, error)
    return re.search(reason, said["reason"]) is not None


def bad(response: ServiceResponse, reason: str) -> bool:
    return refused(response, 400, "ERR_BAD_REQUEST", reason)


def answer(header: str, *, ua: str = UA, brands: str = BRANDS, compact: bool = False) -> str:
    """Answer a challenge as PROTOCOL.md section 5 says, with the length looked up in the browser's own table."""
    script = base64.b64decode(header).decode()
    [hashes] = re.findall(r"server_hashes: (\[.*\])", script)
    [(snippet, offset)] = re.findall(r"innerHTML = '(.*)';return String\((\d+) \+", script)
    texts = (ua + brands, str(int(offset) + dict(POOL)[snippet]))
    said = {
        "server_hashes": json.loads(hashes),
        "client_hashes": [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts],
        "signals": {},
    }
    return base64.b64encode(json.dumps(said, separators=(",", ":") if compact else None).encode()).decode()


class TestPages:
    def test_front_end_page_is_of_realistic_size_with_the_version_inside(self) -> None:
        service = Service(strict=True)
        response = send(service, "GET", "/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1", PAGE)
        page = body_of(response).decode()
        [before] = re.findall(r'__DDG_BE_VERSION__="([^"]*)"', page)
        [after] = re.findall(r'__DDG_FE_CHAT_HASH__="([^"]*)"', page)
        assert response.status == 200
        assert 150 * 1024 < len(page) < 250 * 1024
        assert len(page) == int(field(response, "content-length"))
        assert f"{before}-{after}" == service.front_end_version
        assert re.fullmatch(r"serp_20\d{6}_\d{6}_ET-[0-9a-f]{20}", service.front_end_version)

    def test_landing_page_is_small_and_sets_cookies(self) -> None:
        response = send(Service(strict=True), "GET", "/aichat", PAGE)
        cookies = [value for name, value in response.headers if name == "set-cookie"]
        assert response.status == 200
        assert len(body_of(response)) < 64 * 1024
        assert [cookie.partition(";")[0] for cookie in cookies] == ["5=1", "ah=wt-wt", "ax=v309-3"]
        assert "Expires=Wed, 01 Apr 2026 09:33:20 GMT" in cookies[2]

    def test_date_is_the_time_that_was_given(self) -> None:
        request = ServiceRequest("GET", "/aichat", tuple(PAGE.items()))
        assert field(Service(strict=True).handle(request, now=0.0), "date") == "Thu, 01 Jan 1970 00:00:00 GMT"
        assert field(Service(strict=True).handle(request, now=784111777.9), "date") == "Sun, 06 Nov 1994 08:49:37 GMT"

    @pytest.mark.parametrize("path", ["/aichat", "/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1"])
    def test_pages_ask_for_a_user_agent_and_for_html_to_be_wanted(self, path: str) -> None:
        service = Service(strict=True)
        assert bad(send(service, "GET", path, without(PAGE, "user-agent")), "user-agent is missing")
        assert bad(send(service, "GET", path, PAGE | {"accept": "image/png"}), "accept must be text/html")
        assert send(service, "GET", path, PAGE | {"accept": "text/html,application/xml;q=0.9"}).status == 200
        assert send(service, "GET", path, PAGE | {"accept": "*/*"}).status == 200

    def test_a_profile_of_another_revision_is_followed(self) -> None:
        profile = ServiceProfile(landing_path="/chat", version_markers=('A="', 'B="'))
        service = Service(profile, strict=True)
        assert send(service, "GET", "/chat", PAGE).status == 200
        assert send(service, "GET", "/aichat", PAGE).status == 404
        page = body_of(send(service, "GET", profile.front_end_path, PAGE)).decode()
        assert "-".join(re.findall(r'[AB]="([^"]*)"', page)) == service.front_end_version


class TestRouting:
    def test_unknown_target_is_404_and_says_what_there_is(self) -> None:
        assert refused(send(Service(strict=True), "GET", "/", PAGE), 404, "ERR_NOT_FOUND", "GET /duckchat/v1/status")

    @pytest.mark.parametrize(
        ("method", "target", "allowed"),
        [("POST", "/duckchat/v1/status", "GET"), ("GET", "/duckchat/v1/chat", "POST"), ("HEAD", "/aichat", "GET")],
    )
    def test_wrong_method_is_405_and_says_which(self, method: str, target: str, allowed: str) -> None:
        response = send(Service(strict=True), method, target, PAGE)
        assert field(response, "allow") == allowed
        assert refused(response, 405, "ERR_METHOD", f"the method must be {allowed}")


class TestStatus:
    def test_status_hands_out_a_token_and_a_challenge(self) -> None:
        response = status(Service(strict=True))
        assert response.status == 200
        assert body_of(response) == b'{"status":"0"}'
        assert re.fullmatch(r"4-\d{39}", field(response, "x-vqd-4"))
        assert base64.b64decode(field(response, "x-vqd-hash-1")).startswith(b"(function () {")

    @pytest.mark.parametrize(
        "name", ["user-agent", "accept", "content-type", "cache-control", "pragma", "origin", "referer", "x-vqd-accept"]
    )
    def test_each_header_of_the_contract_is_asked_for(self, name: str) -> None:
        assert bad(send(Service(strict=True), "GET", "/duckchat/v1/status", without(STATUS, name)), f"^{name} ")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("x-vqd-accept", "0"),
            ("origin", "https://example.org"),
            ("origin", "http://duckduckgo.com"),
            ("referer", "https://duckduckgo.com"),
            ("accept", "application/json"),
            ("content-type", "text/plain"),
        ],
    )
    def test_a_header_with_another_value_is_refused(self, name: str, value: str) -> None:
        assert bad(status(Service(strict=True), **{name: value}), f"^{name} must be ")

    def test_names_in_capitals_lists_and_parameters_are_understood(self) -> None:
        headers = {name.title(): value for name, value in STATUS.items()}
        headers["Content-Type"] = "application/json; charset=utf-8"
        headers["Accept"] = "application/json, text/event-stream;q=0.9"
        assert send(Service(strict=True), "GET", "/duckchat/v1/status", headers).status == 200

    @pytest.mark.parametrize("base", ["http://127.0.0.1:8000", "https://duck.test"])
    def test_origin_is_where_the_request_was_sent_to(self, base: str) -> None:
        host = base.partition("//")[2]
        here = {"host": host, "origin": base, "referer": base + "/"}
        assert status(Service(strict=True), **here).status == 200
        assert bad(status(Service(strict=True), host=host), "^origin ")
        assert bad(status(Service(strict=True), **here | {"referer": "https://duckduckgo.com/"}), "^referer ")


class TestTokens:
    def test_each_token_is_good_for_one_request(self) -> None:
        service = Service(strict=True)
        token = field(status(service), "x-vqd-4")
        assert chat(service, token=token).status == 200
        assert refused(chat(service, token=token), 400, "ERR_INVALID_VQD", "used before")

    @pytest.mark.parametrize("token", ["", "4-1", "4-" + "0" * 39, "4-" + "0" * 38 + "1", "x", "4-" + "٣" * 39])
    def test_a_token_of_nobody_is_unknown(self, token: str) -> None:
        service = Service(strict=True)
        status(service)
        assert refused(chat(service, token=token), 400, "ERR_INVALID_VQD", "not a token of this service")

    def test_a_token_of_another_service_is_unknown(self) -> None:
        token = field(status(Service(strict=True, seed="another")), "x-vqd-4")
        service = Service(strict=True)
        status(service)
        assert refused(chat(service, token=token), 400, "ERR_INVALID_VQD", "not a token of this service")

    def test_the_oldest_token_expires_when_there_are_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "UNSPENT_TOKENS", 3)
        service = Service(strict=True)
        tokens = [field(status(service), "x-vqd-4") for _ in range(4)]
        assert refused(chat(service, token=tokens[0]), 400, "ERR_EXPIRED_VQD", "has expired")
        assert [chat(service, token=token).status for token in tokens[1:]] == [200, 200, 200]

    def test_a_refused_chat_has_spent_its_token_too(self) -> None:
        service = Service(strict=True)
        token = field(status(service), "x-vqd-4")
        assert bad(chat(service, [], token=token), "last message must")
        assert refused(chat(service, token=token), 400, "ERR_INVALID_VQD", "used before")

    def test_a_reply_brings_the_next_token(self) -> None:
        service = Service(strict=True)
        first = chat(service)
        second = chat(service, token=field(first, "x-vqd-4"))
        assert second.status == 200
        assert field(first, "x-vqd-4") != field(second, "x-vqd-4")
        assert field(first, "x-vqd-hash-1") != field(second, "x-vqd-hash-1")


class TestChat:
    def test_reply_streams_word_by_word_between_empty_pieces_and_ends_with_done(self) -> None:
        service = Service(strict=True, responder=lambda question: "One two\nthree.")
        response = chat(service)
        pieces = [piece.data for piece in response.pieces]
        assert response.status == 200
        assert field(response, "content-type") == "text/event-stream"
        said = payloads(b"".join(pieces))
        assert [payload["message"] for payload in said] == ["", "One ", "two\n", "three.", ""]
        assert len(pieces) == len(said) + 1
        assert said[1] == {
            "role": "assistant",
            "message": "One ",
            "created": 1743500000,
            "id": said[0]["id"],
            "action": "success",
            "model": "gpt-4o-mini",
        }
        assert re.fullmatch(r"chatcmpl-\w{29}", said[0]["id"])

    def test_text_beyond_ascii_comes_through(self) -> None:
        text = "Größe 天 \U0001f986\u2028 \x00\r\n"
        service = Service(strict=True, responder=lambda question: question.text)
        assert text_of(chat(service, [{"role": "user", "content": text}])) == text

    @given(text=st.text())
    @settings(deadline=None)
    def test_the_pieces_are_the_reply(self, text: str) -> None:
        assert text_of(chat(Service(strict=True, responder=lambda question: text))) == text

    def test_a_responder_sees_the_question_and_may_give_its_own_pieces(self) -> None:
        seen: list[Question] = []

        def responder(question: Question) -> list[str]:
            seen.append(question)
            return ["two words", " and more"]

        response = chat(Service(strict=True, responder=responder), model="o3-mini", extra=1)
        assert [payload["message"] for payload in payloads(body_of(response))] == ["", "two words", " and more", ""]
        [question] = seen
        assert (question.text, question.model) == ("Hello", "o3-mini")
        assert [(message.role, message.content) for message in question.messages] == [("user", "Hello")]

    def test_pieces_are_made_only_when_asked_for(self) -> None:
        made: list[str] = []

        def responder(question: Question) -> Iterator[str]:
            for word in ("one", "two"):
                made.append(word)
                yield word

        pieces = chat(Service(strict=True, responder=responder)).pieces
        assert payloads(next(pieces).data + b"data: [DONE]\n\n")[0]["message"] == ""
        assert made == []
        next(pieces)
        assert made == ["one"]

    def test_delay_stands_between_the_pieces_of_a_reply(self) -> None:
        pieces = list(chat(Service(strict=True, delay=0.5, responder=lambda question: "a b")).pieces)
        assert [piece.delay for piece in pieces] == [0.0, 0.5, 0.5, 0.5, 0.5]
        assert Piece(b"").delay == 0.0

    def test_default_responder_says_who_answers_what(self) -> None:
        text = text_of(
            chat(Service(strict=True), [{"role": "user", "content": "Why is the sky blue?"}], model="o3-mini")
        )
        assert "emulator" in text
        assert "o3-mini" in text
        assert "Turn 1 " in text
        assert "5 words (20 characters): Why is the sky blue?" in text

    @pytest.mark.parametrize(
        ("text", "said"), [("a", "1 word (1 character): a"), ("a b", "2 words (3 characters): a b")]
    )
    def test_default_responder_counts_one_as_one(self, text: str, said: str) -> None:
        reply = text_of(chat(Service(strict=True), [{"role": "user", "content": text}]))
        assert reply.endswith(said)

    def test_default_responder_repeats_a_long_question_in_part(self) -> None:
        text = text_of(chat(Service(strict=True), [{"role": "user", "content": "a" * 100_000}]))
        assert len(text) < 1000
        assert "1 word (100000 characters)" in text

    def test_the_version_it_served_is_taken_and_another_is_refused(self) -> None:
        service = Service(strict=True)
        assert chat(service, headers=CHAT | {"x-fe-version": service.front_end_version}).status == 200
        assert bad(chat(service, headers=CHAT | {"x-fe-version": "serp_1-0"}), "^x-fe-version ")
        assert bad(chat(service, headers=without(CHAT, "x-fe-version")), "^x-fe-version ")

    @pytest.mark.parametrize(
        "name", ["user-agent", "accept", "content-type", "origin", "referer", "x-fe-version", "x-vqd-hash-1"]
    )
    def test_each_header_of_the_contract_is_asked_for(self, name: str) -> None:
        assert bad(chat(Service(strict=True), headers=without(CHAT, name)), f"^{name} ")

    @pytest.mark.parametrize("content_type", ["text/plain", "application/jsonp", ""])
    def test_a_body_of_another_type_is_refused(self, content_type: str) -> None:
        assert bad(chat(Service(strict=True), headers=CHAT | {"content-type": content_type}), "content-type must be")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"model":"gpt-4o-mini"}',
            b'{"model":1,"messages":[]}',
            b'{"model":"gpt-4o-mini","messages":{}}',
            b'{"model":"gpt-4o-mini","messages":[{"role":"user"}]}',
            b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":["a"]}]}',
            b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":[{"type":"video"}]}]}',
            b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":[{"type":"file","encoding":"hex"}]}]}',
            b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"a","parts":[{}]}]}',
            b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"\xff"}]}',
            b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"\\ud800"}]}',
            b'{"model":"gpt-4o-mini","x":' + b"[" * 100_000,
        ],
    )
    def test_a_body_of_another_shape_is_refused(self, body: bytes) -> None:
        service = Service(strict=True)
        headers = CHAT | {"x-vqd-4": field(status(service), "x-vqd-4")}
        assert bad(send(service, "POST", "/duckchat/v1/chat", headers, body), "^the body must be JSON")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ([], "of which the first alone may be its text"),
            ([PNG, {"type": "text", "text": "a"}], "of which the first alone may be its text"),
            ([{"type": "text", "text": "a"}] * 2, "of which the first alone may be its text"),
            ([PNG | {"mimeType": "image/webp"}], "an image must be a data URL"),
            ([PNG | {"image": "https://example.com/a.png"}], "an image must be a data URL"),
            ([PNG], "the model takes no images or files of that type"),
        ],
    )
    def test_parts_in_a_wrong_form_are_refused(self, content: Any, reason: str) -> None:
        assert bad(chat(Service(strict=True), [{"role": "user", "content": content}]), reason)

    def test_the_parts_of_a_reply_have_a_member_of_their_own(self) -> None:
        asked, text = {"role": "user", "content": "a"}, {"type": "text", "text": "b"}
        sent = [asked, {"role": "assistant", "content": [text]}, asked]
        assert bad(chat(Service(), sent), "the content of a reply must be a text")
        assert bad(chat(Service(strict=True), [{**asked, "parts": [text]}]), "only a reply has a member parts")

    def test_a_history_is_known_by_its_text_in_either_form(self) -> None:
        service = Service(strict=True, responder=lambda question: "b")
        asked, text = {"role": "user", "content": "a"}, {"type": "text", "text": "b"}
        assert text_of(chat(service, [asked])) == "b"
        parts = [{"type": "reasoning", "id": "r1"}, text]
        for reply in ({"content": "b"}, {"content": "", "parts": [text]}, {"content": "", "parts": parts}):
            sent = [asked, {"role": "assistant", **reply}, {"role": "user", "content": [text]}]
            assert text_of(chat(service, sent)) == "b"
        assert bad(
            chat(service, [asked, {"role": "assistant", "content": "", "parts": [{"type": "x"}]}, asked]), "hist"
        )

    @pytest.mark.parametrize("model", ["gpt-5", "gpt-4", ""])
    def test_only_ids_of_the_table_are_models(self, model: str) -> None:
        assert refused(chat(Service(strict=True), model=model), 404, "ERR_MODEL_UNAVAILABLE", "no model with that id")

    @pytest.mark.parametrize("model", [model.id for model in DUCKDUCKGO_2025_04.models])
    def test_each_id_of_the_table_is_a_model(self, model: str) -> None:
        assert payloads(body_of(chat(Service(strict=True), model=model)))[0]["model"] == model

    @pytest.mark.parametrize(
        ("roles", "reason"),
        [
            ("", "last message must have the role user"),
            ("a", "must alternate"),
            ("uu", "must alternate"),
            ("ua", "last message must have the role user"),
            ("s", "system is not supported"),
            ("su", "system is not supported"),
            ("us", "system is not supported"),
            ("t", "must alternate"),
        ],
    )
    def test_messages_out_of_turn_are_refused(self, roles: str, reason: str) -> None:
        names = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}
        assert bad(chat(Service(strict=True), [{"role": names[role], "content": "x"} for role in roles]), reason)


class TestHistory:
    def asked(self, *contents: str) -> list[dict[str, str]]:
        return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]

    def test_a_conversation_goes_on_with_what_was_really_said(self) -> None:
        service = Service(strict=True, responder=lambda question: f"reply to {question.text}")
        assert text_of(chat(service, self.asked("1"))) == "reply to 1"
        assert text_of(chat(service, self.asked("1", "reply to 1", "2"))) == "reply to 2"
        third = chat(service, self.asked("1", "reply to 1", "2", "reply to 2", "3"), model="o3-mini")
        assert text_of(third) == "reply to 3"

    @pytest.mark.parametrize(
        "contents",
        [
            ("1", "reply to 2", "2"),
            ("2", "reply to 1", "2"),
            ("1", "reply to 1 ", "2"),
            ("1", "reply to 1", "2", "?", "3"),
        ],
    )
    def test_a_history_that_was_not_so_is_refused(self, contents: tuple[str, ...]) -> None:
        service = Service(strict=True, responder=lambda question: f"reply to {question.text}")
        body_of(chat(service, self.asked("1")))
        assert bad(chat(service, self.asked(*contents)), "^this service did not answer the history")

    def test_a_reply_that_the_client_did_not_take_is_no_history(self) -> None:
        service = Service(strict=True, responder=lambda question: "a b c")
        response = chat(service, self.asked("1"))
        next(response.pieces)
        response.pieces.close()
        assert bad(chat(service, self.asked("1", "a b c", "2")), "^this service did not answer the history")

    def test_the_reply_is_history_once_done_was_taken(self) -> None:
        service = Service(strict=True, responder=lambda question: "a")
        pieces = chat(service, self.asked("1")).pieces
        assert any(piece.data == b"data: [DONE]\n\n" for piece in pieces)
        assert chat(service, self.asked("1", "a", "2")).status == 200

    def test_the_oldest_history_is_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "KNOWN_HISTORIES", 2)
        service = Service(strict=True, responder=lambda question: "a")
        for content in ("1", "2", "3"):
            body_of(chat(service, self.asked(content)))
        assert bad(chat(service, self.asked("1", "a", "?")), "^this service did not answer the history")
        assert chat(service, self.asked("2", "a", "?")).status == 200


class TestChallenge:
    def test_chat_is_refused_until_the_answer_is_right(self) -> None:
        service = Service(strict=True, challenge=True)
        refusal = chat(service)
        assert refused(refusal, 418, "ERR_CHALLENGE", "x-vqd-hash-1 is empty")
        answered = CHAT | {"x-vqd-hash-1": answer(field(refusal, "x-vqd-hash-1"))}
        reply = chat(service, token=field(refusal, "x-vqd-4"), headers=answered)
        assert reply.status == 200
        assert text_of(reply)

    def test_every_snippet_of_the_pool_is_drawn_and_its_answer_taken(self) -> None:
        service = Service(strict=True, challenge=True, responder=lambda question: "a")
        handed_out, drawn = status(service), set()
        for _ in range(400):
            header = field(handed_out, "x-vqd-hash-1")
            drawn.update(re.findall(r"innerHTML = '(.*)';return", base64.b64decode(header).decode()))
            handed_out = chat(
                service, token=field(handed_out, "x-vqd-4"), headers=CHAT | {"x-vqd-hash-1": answer(header)}
            )
            assert handed_out.status == 200
        assert drawn == {snippet for snippet, _ in POOL}

    @pytest.mark.parametrize("compact", [True, False])
    def test_either_spacing_is_taken(self, compact: bool) -> None:
        service = Service(strict=True, challenge=True)
        got = status(service)
        headers = CHAT | {"x-vqd-hash-1": answer(field(got, "x-vqd-hash-1"), compact=compact)}
        assert chat(service, token=field(got, "x-vqd-4"), headers=headers).status == 200

    def test_an_answer_goes_with_the_token_of_its_challenge(self) -> None:
        service = Service(strict=True, challenge=True)
        one, other = status(service), status(service)
        headers = CHAT | {"x-vqd-hash-1": answer(field(one, "x-vqd-hash-1"))}
        assert refused(
            chat(service, token=field(other, "x-vqd-4"), headers=headers), 418, "ERR_CHALLENGE", "^x-vqd-hash-1"
        )
        assert chat(service, token=field(one, "x-vqd-4"), headers=headers).status == 200

    def test_the_answer_is_about_the_identity_that_is_sent(self) -> None:
        service = Service(strict=True, challenge=True)
        got = status(service)
        headers = CHAT | {"x-vqd-hash-1": answer(field(got, "x-vqd-hash-1"), ua="Other/1.0")}
        assert chat(service, token=field(got, "x-vqd-4"), headers=headers).status == 418
        got = status(service)
        headers = without(CHAT, "sec-ch-ua") | {
            "user-agent": "Other/1.0",
            "x-vqd-hash-1": answer(field(got, "x-vqd-hash-1"), ua="Other/1.0", brands=""),
        }
        assert chat(service, token=field(got, "x-vqd-4"), headers=headers).status == 200

    def test_an_answer_that_is_not_quite_one_is_refused(self) -> None:
        right = answer(field(status(Service(strict=True)), "x-vqd-hash-1"))
        said = json.loads(base64.b64decode(right))

        def encoded(**changes: Any) -> str:
            return base64.b64encode(json.dumps(said | changes).encode()).decode()

        wrong = [
            right[:-1],
            right + "=",
            " " + right,
            "é",
            base64.b64encode(b"\xff").decode(),
            base64.b64encode(b"[" * 100_000).decode(),
            base64.b64encode(b'{"signals":' + b'{"a":' * 100_000).decode(),
            encoded(signals={"a": 1}),
            encoded(meta={"v": "4"}),
            encoded(client_hashes=said["client_hashes"][::-1]),
            encoded(client_hashes=said["client_hashes"][:1]),
            encoded(server_hashes=said["server_hashes"][::-1]),
            encoded(server_hashes=["1", "2"]),
            encoded(server_hashes=None),
        ]
        for value in wrong:
            service = Service(strict=True, challenge=True)
            token = field(status(service), "x-vqd-4")
            response = chat(service, token=token, headers=CHAT | {"x-vqd-hash-1": value})
            assert refused(response, 418, "ERR_CHALLENGE", "not the answer to the challenge"), value[:40]

    def test_a_wrong_answer_is_refused_even_where_none_is_asked_for(self) -> None:
        assert chat(Service(strict=True), headers=CHAT | {"x-vqd-hash-1": "1000"}).status == 418
        assert chat(Service(strict=True), headers=CHAT | {"x-vqd-hash-1": ""}).status == 200

    def test_a_snippet_is_written_as_the_literal_that_means_it(self) -> None:
        assert literal("<a b='c\\'>\r\n") == r"'<a b=\'c\\\'>\r\n'"

    def test_the_script_has_the_layout_of_the_recorded_one(self, vectors: Path) -> None:
        recorded = (vectors / "challenge" / "plain-2025-03-27.js").read_text()
        first, second = re.findall(r'"([\w+/]{43}=)"', recorded)
        same = Challenge((first, second), "<div><div></div><div></div", 33, 101)
        assert same.script.rstrip("\n") == recorded.rstrip("\n")

    def test_the_pool_is_what_the_browser_says(self, vectors: Path) -> None:
        table = json.loads((vectors / "dom" / "innerhtml.json").read_text())
        assert (
            tuple(
                (row["html"], row["chrome133"])
                for row in table
                if row["group"] == "challenge" and row.get("chrome156", row["chrome133"]) == row["chrome133"]
            )
            == POOL
        )


class TestSeedAndLog:
    def run(self, service: Service) -> list[tuple[Any, bytes]]:
        responses = [status(service), send(service, "GET", DUCKDUCKGO_2025_04.front_end_path, PAGE), chat(service)]
        return [(response.headers, body_of(response)) for response in responses]

    def test_the_same_seed_gives_the_same_service_and_another_does_not(self) -> None:
        assert self.run(Service(strict=True, seed="a")) == self.run(Service(strict=True, seed="a"))
        assert all(
            one != other
            for one, other in zip(
                self.run(Service(strict=True, seed="a")), self.run(Service(strict=True, seed="b")), strict=True
            )
        )

    def test_the_log_says_what_was_decided(self) -> None:
        service = Service(strict=True, challenge=True)
        body_of(chat(service))
        send(service, "GET", "/nowhere", PAGE)
        assert [(line.endpoint, line.status, line.error, line.complete) for line in service.log] == [
            ("status", 200, "", False),
            ("chat", 418, "ERR_CHALLENGE", True),
            (None, 404, "ERR_NOT_FOUND", False),
        ]
        assert service.log[1].reason == "x-vqd-hash-1 is empty"
        assert json.loads(service.log[1].request.body)["messages"] == HELLO

    def test_the_log_tells_a_reply_taken_whole_from_one_given_up(self) -> None:
        service = Service(strict=True)
        body_of(chat(service))
        given_up = chat(service).pieces
        next(given_up)
        given_up.close()
        assert [line.complete for line in service.log if line.endpoint == "chat"] == [True, False]

    def test_a_line_of_the_log_says_what_was_asked_and_what_became_of_it(self) -> None:
        service = Service(strict=True, script=[Fault("landing", [Coding("gzip"), Cut(3, "reset")])])
        body_of(chat(service, headers=CHAT | {"x-vqd-hash-1": "bm8="}))
        body_of(send(service, "GET", "/aichat", PAGE))
        given_up = chat(service).pieces
        next(given_up)
        given_up.close()
        send(service, "GET\n", "/\x1b[2J" + 1000 * "x", PAGE)
        lines = [str(line) for line in service.log if line.endpoint != "status"]
        assert re.sub(r"\d+ bytes", "N bytes", "\n".join(lines[:3])) == (
            "POST /duckchat/v1/chat: 418 ERR_CHALLENGE (x-vqd-hash-1 is not the answer to the challenge that came with "
            "x-vqd-4); complete, N bytes\n"
            "GET /aichat: 200; broken off, N bytes; by the script: coding, cut\n"
            "POST /duckchat/v1/chat: 200; the client left before the end, N bytes"
        )
        assert lines[3].startswith("GET\\n /\\x1b[2Jxxx")
        assert len(lines[3]) < 400

    def test_who_answers_and_whether_it_asks_for_the_challenge_can_change(self) -> None:
        service = Service(strict=True)
        assert chat(service).status == 200
        service.challenge = True
        assert chat(service).status == 418
        service.challenge, service.responder = False, lambda question: "Another."
        assert b"Another." in body_of(chat(service))

    def test_the_log_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ddg_protocol.service._log.LOG_LENGTH", 2)
        service = Service(strict=True)
        for target in ("/1", "/2", "/3"):
            send(service, "GET", target, PAGE)
        assert [line.request.target for line in service.log] == ["/2", "/3"]

    @pytest.mark.parametrize("many", ["body", "headers"])
    def test_the_log_keeps_at_most_16_mib(self, many: str) -> None:
        service = Service(strict=True)
        body = bytes(1024 * 1024) if many == "body" else b""
        headers = (("a", ""),) * (4096 if many == "headers" else 1)
        for number in range(50):
            service.handle(ServiceRequest("POST", f"/{number}", headers, body), now=0.0)
        assert [line.request.target for line in service.log] == [f"/{number}" for number in range(35, 50)]

    def test_the_log_keeps_the_last_exchange_whatever_its_size(self) -> None:
        service = Service(strict=True)
        service.handle(ServiceRequest("POST", "/", (), bytes(17 * 1024 * 1024)), now=0.0)
        assert len(service.log) == 1

    def test_reprs_hide_tokens_and_cookies(self) -> None:
        service = Service(strict=True)
        response = status(service, cookie="secret=1")
        assert field(response, "x-vqd-4") not in repr(response)
        assert "secret=1" not in repr(service.log[0])


@given(
    method=st.sampled_from(["GET", "POST"]),
    target=st.sampled_from(["/aichat", "/duckchat/v1/status", "/duckchat/v1/chat", "/"]),
    headers=st.dictionaries(st.sampled_from([*CHAT, *STATUS, "host"]), st.text(st.characters(max_codepoint=255))),
    body=st.binary(),
)
@settings(deadline=None)
def test_whatever_comes_gets_a_response(method: str, target: str, headers: Headers, body: bytes) -> None:
    for service in (Service(strict=True, challenge=True), Service(cors="*")):
        token = field(status(service), "x-vqd-4")
        for request_headers in (headers, headers | {"x-vqd-4": token}, CHAT | {"x-vqd-4": token} | headers):
            assert body_of(send(service, method, target, request_headers, body))
