"""The revisions of the service as data: what each sends, in order, and what data can say."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.cases import each_of
from support.hand import Hand, counting

from ddg_protocol import SendRequest, ServiceProfile, Session, SolveChallenge, revisions
from ddg_protocol._part_forms import read_part
from ddg_protocol._request import chat_body
from ddg_protocol.conversation import Message
from ddg_protocol.handshake import read_version
from ddg_protocol.intents import ChallengeAnswer
from ddg_protocol.parts import attachments, text_of
from ddg_protocol.policy import MIB
from ddg_protocol.revisions import DUCK_AI_2026_10, DUCKDUCKGO_2025_04, DUCKDUCKGO_2025_07, REVISIONS

FIXTURES = Path(__file__).with_name("revisions")
CHALLENGE = "Y2hhbGxlbmdl"
UUID = "00000000-0000-4000-8000-{:012d}"


def recorded(revision: str) -> ServiceProfile:
    """Return the profile of a recorded browser request: a revision with changes that TOML says."""
    return REVISIONS[revision].updated(tomllib.loads((FIXTURES / f"recorded-{revision}.toml").read_text()))


def page_with(version: str, profile: ServiceProfile) -> bytes:
    halves = version.split("-", 1)
    return "".join(f'{marker}{half}"' for marker, half in zip(profile.version_markers, halves, strict=True)).encode()


class Asked(msgspec.Struct):
    """The requests of a first turn, and what the solver was asked."""

    page: SendRequest
    status: SendRequest
    chat: SendRequest
    solve: SolveChallenge


def first_turn(profile: ServiceProfile, answer: str | ChallengeAnswer, *, version: str = "serp_1-abc") -> Asked:
    """Ask a question against a hand-written service, as far as the chat request."""
    hand = Hand(Session(profile, solver="embedder", random_bytes=counting()))
    hand.session.ask("hello", now=0)
    page = hand.request_for(profile.front_end_path)
    hand.answer(body=page_with(version, profile))
    status = hand.request_for("/status")
    hand.answer(headers=[("x-vqd-hash-1", CHALLENGE)], body=b'{"status":"0"}')
    solve = hand.pull()
    assert isinstance(solve, SolveChallenge)
    hand.session.challenge_solved(solve, answer)
    return Asked(page, status, hand.request_for("/chat"), solve)


# What the shipped revisions send


def test_april_2025_is_the_default_and_stays_as_it_was() -> None:
    assert REVISIONS["2025-04"] is DUCKDUCKGO_2025_04
    assert revisions.REVISIONS is REVISIONS  # it is made once
    assert Session().profile is DUCKDUCKGO_2025_04
    assert ServiceProfile(allowed_hosts=("duckduckgo.com", ".duckduckgo.com", "duck.ai")) == DUCKDUCKGO_2025_04


def test_july_2025_sends_the_least_that_a_client_had_answered() -> None:
    asked = first_turn(DUCKDUCKGO_2025_07, "answer")
    assert asked.page.url == "https://duckduckgo.com/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1"
    assert asked.status.headers == (
        ("accept", "*/*"),
        ("cache-control", "no-store"),
        ("referer", "https://duckduckgo.com/"),
        ("user-agent", "ddg-protocol"),
        ("x-vqd-accept", "1"),
    )
    assert asked.chat.headers == (
        ("accept", "text/event-stream"),
        ("content-type", "application/json"),
        ("origin", "https://duckduckgo.com"),
        ("referer", "https://duckduckgo.com/"),
        ("user-agent", "ddg-protocol"),
        ("x-fe-version", "serp_1-abc"),
        ("x-vqd-hash-1", "answer"),
    )
    assert list(json.loads(asked.chat.body)) == ["model", "messages"]


def test_october_2026_sends_the_least_that_a_client_had_answered() -> None:
    asked = first_turn(DUCK_AI_2026_10, "answer")
    assert asked.page.url == "https://duck.ai/"
    assert asked.page.headers == (("accept", "text/html"), ("user-agent", "ddg-protocol"))
    assert asked.status.headers == (
        ("accept", "*/*"),
        ("cache-control", "no-store"),
        ("origin", "https://duck.ai"),
        ("referer", "https://duck.ai/"),
        ("user-agent", "ddg-protocol"),
        ("x-vqd-accept", "1"),
    )
    assert asked.chat.headers == (
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        ("x-fe-version", "serp_1-abc"),
        ("x-vqd-hash-1", "answer"),
        ("x-ddg-journey-id", "0" * 32),
        ("origin", "https://duck.ai"),
        ("referer", "https://duck.ai/"),
        ("user-agent", "ddg-protocol"),
    )
    body = json.loads(asked.chat.body)
    assert list(body) == ["model", "messages", "canUseTools", "reasoningEffort", "canShowGreeting"]
    assert (body["canUseTools"], body["reasoningEffort"], body["canShowGreeting"]) == (False, "none", False)


@pytest.mark.parametrize("profile", [DUCKDUCKGO_2025_07, DUCK_AI_2026_10], ids=["2025-07", "2026-10"])
def test_a_later_revision_passes_for_no_browser(profile: ServiceProfile) -> None:
    asked = first_turn(profile, "answer")
    for request in (asked.page, asked.status, asked.chat):
        names = {name for name, _ in request.headers}
        assert not names & {"x-fe-signals", "cookie", "accept-language", "x-vqd-4"}
        assert not any(name.startswith("sec-") for name in names)
        assert dict(request.headers)["user-agent"] == "ddg-protocol"


@pytest.mark.parametrize("profile", REVISIONS.values(), ids=REVISIONS)
def test_a_revision_can_be_said_in_json_and_read_back(profile: ServiceProfile) -> None:
    assert msgspec.json.decode(msgspec.json.encode(profile), type=ServiceProfile) == profile
    assert DUCKDUCKGO_2025_04.updated(msgspec.to_builtins(profile)) == profile


def test_the_version_is_read_from_attributes_as_well_as_from_a_script() -> None:
    page = b'<html lang="en" data-version-tag="serp_20261002_113931_ET" data-version-sha="16077f4e">'
    assert read_version(page, DUCK_AI_2026_10) == "serp_20261002_113931_ET-16077f4e"


# That data can say what a browser sent


@pytest.mark.parametrize("revision", ["2025-07", "2026-10"])
def test_data_can_say_a_recorded_request_header_by_header(revision: str, vectors: Path) -> None:
    record = json.loads((vectors / "revisions" / f"request-{revision}.json").read_text())
    profile, sent = recorded(revision), dict(record["chat"]["headers"])
    answer = ChallengeAnswer(sent["x-vqd-hash-1"], (("x-fe-signals", sent["x-fe-signals"]),))
    # The record has blanks in place of the answer, which no answer has.
    answer = msgspec.structs.replace(answer, value=answer.value.replace(" ", "_"))
    asked = first_turn(profile, answer, version=sent["x-fe-version"])
    for name in ("status", "chat", *(("page",) if "page" in record else ())):
        request: SendRequest = getattr(asked, name)
        assert (request.method, request.url) == (record[name]["method"], record[name]["url"])
        headers = [[n, v.replace(" ", "_") if n == "x-vqd-hash-1" else v] for n, v in record[name]["headers"]]
        assert [list(field) for field in request.headers] == headers


def test_data_can_say_how_the_list_of_models_was_asked_for(vectors: Path) -> None:
    record = json.loads((vectors / "revisions" / "request-2026-10.json").read_text())["models"]
    hand = Hand(Session(recorded("2026-10"), solver="embedder"))
    hand.session.fetch_models(now=0)
    request = hand.request_for("/models")
    assert (request.method, request.url) == (record["method"], record["url"])
    assert [list(field) for field in request.headers] == record["headers"]


@pytest.mark.parametrize("revision", ["2025-07", "2026-10"])
def test_data_can_say_a_recorded_request_member_by_member(revision: str, vectors: Path) -> None:
    body = json.loads((vectors / "revisions" / f"request-{revision}.json").read_text())["chat"]["body"]
    ids = {"message_id": UUID.format(1), "conversation_id": UUID.format(2)}
    built = chat_body(recorded(revision), body["model"], list(map(message_of, body["messages"])), ids=ids)
    assert json.dumps(json.loads(built)) == json.dumps(body)


def message_of(said: Any) -> Message:
    """Return a recorded message as a value."""
    content = said["content"]
    if said["role"] == "assistant":
        parts = said.get("parts", [])
        text = content or "".join(part["text"] for part in parts if part["type"] == "text")
        return Message("assistant", text, tuple(json.dumps(part) for part in parts if part["type"] != "text"))
    parts = () if isinstance(content, str) else tuple(map(read_part, content))
    return Message("user", parts if attachments(parts) else text_of(parts) or content)


@pytest.mark.parametrize("revision", ["2025-07", "2026-10"])
def test_data_can_say_every_other_recorded_body_member_by_member(revision: str, vectors: Path) -> None:
    record = json.loads((vectors / "revisions" / f"request-{revision}.json").read_text())
    said = tomllib.loads((FIXTURES / f"bodies-{revision}.toml").read_text())["body"]
    for changes, other in zip(said, record["other_bodies"], strict=True):
        body, ids = other["body"], {"message_id": UUID.format(1), "conversation_id": UUID.format(2)}
        profile = REVISIONS[revision].updated(changes.get("profile", {}))
        messages = list(map(message_of, body["messages"]))
        built = chat_body(profile, body["model"], messages, tools=changes.get("tools", ()), ids=ids)
        assert json.dumps(json.loads(built)) == json.dumps(body)


def test_data_can_say_another_order_of_headers(vectors: Path) -> None:
    record = json.loads((vectors / "revisions" / "request-2026-10.json").read_text())
    names, said = record["headers_of_another_capture"]["names"], dict(recorded("2026-10").chat_headers)
    fields = [[name, said.get(name, "1")] for name in names]
    asked = first_turn(
        recorded("2026-10").updated({"chat_headers": fields}),
        ChallengeAnswer("answer", (("x-fe-signals", "e30="),)),
    )
    assert [name for name, _ in asked.chat.headers] == names


def test_data_can_say_the_order_of_a_browser_s_headers() -> None:
    asked = first_turn(recorded("2025-07"), ChallengeAnswer("answer", (("x-fe-signals", "e30="),)))
    names = [name for name, _ in asked.chat.headers]
    assert names[:6] == ["accept", "accept-encoding", "accept-language", "content-type", "cookie", "dnt"]
    assert asked.chat.headers[-3:] == (
        ("x-fe-signals", "e30="),
        ("x-fe-version", "serp_1-abc"),
        ("x-vqd-hash-1", "answer"),
    )
    assert dict(asked.status.headers)["cookie"] == "5=1; dcs=1; dcm=3"
    body = json.loads(asked.chat.body)
    assert list(body) == ["model", "metadata", "messages", "canUseTools", "canUseApproxLocation"]
    assert body["metadata"]["toolChoice"] == dict.fromkeys(
        ("NewsSearch", "VideosSearch", "LocalSearch", "WeatherForecast"), False
    )


def test_data_can_say_how_ids_are_made_and_what_is_null() -> None:
    asked = first_turn(recorded("2026-10"), "answer")
    body = json.loads(asked.chat.body)
    assert body["canUseApproxLocation"] is None
    assert dict(asked.chat.headers)["x-ddg-journey-id"] == "0" * 32
    # The page, the status and the chat request each have had a message id.
    assert body["durableStream"]["messageId"] == UUID.format(4)
    assert body["durableStream"]["conversationId"] == UUID.format(2)


def test_a_cookie_that_a_whole_list_does_not_place_comes_last() -> None:
    profile = DUCK_AI_2026_10.updated({"cookies": {"5": "1"}})
    asked = first_turn(profile, "answer")
    for request in (asked.page, asked.status, asked.chat):
        assert request.headers[-1] == ("cookie", "5=1")


def test_what_a_turn_asks_for_is_what_the_body_says() -> None:
    profile = DUCK_AI_2026_10.updated({"tool_choice": {"NewsSearch": False, "WebSearch": True}})

    def body(*tools: str, effort: str = "none") -> dict[str, Any]:
        built: dict[str, Any] = json.loads(chat_body(profile, "m", [Message("user", "Hi")], tools=tools, effort=effort))
        return built

    assert body()["metadata"] == {"toolChoice": {"NewsSearch": False, "WebSearch": True}}
    asked = body("NewsSearch", "GenerateImage", effort="low")
    assert asked["metadata"] == {"toolChoice": {"GenerateImage": True, "NewsSearch": True, "WebSearch": True}}
    assert (asked["canUseTools"], asked["reasoningEffort"]) == (True, "low")


def test_a_member_without_a_value_is_left_out_wherever_it_is() -> None:
    profile = DUCK_AI_2026_10.updated(
        {"extra_body": {"a": ["{tool_choice}", 1], "b": {"c": "{solver}"}, "d": "{solver}"}}
    )
    sent = json.loads(chat_body(profile, "m", []))
    assert sent == {"model": "m", "messages": [], "a": [1]}
    given = json.loads(chat_body(profile, "m", [], more={"d": "{model}", "e": 2}))
    assert given == {**sent, "d": "{model}", "e": 2}
    assert list(given) == ["model", "messages", "a", "d", "e"]


def test_what_only_looks_like_a_placeholder_is_sent_as_it_is() -> None:
    texts = {"a": "{effort", "b": "effort}", "c": "{Effort}", "d": "{}", "e": "a {effort}", "f": [], "g": {}, "h": ""}
    sent = json.loads(chat_body(DUCK_AI_2026_10.updated({"extra_body": texts}), "m", []))
    assert sent == {"model": "m", "messages": [], **texts}


def test_the_models_of_october_2026_are_those_of_the_record(vectors: Path) -> None:
    record = json.loads((vectors / "revisions" / "models-2026-10.json").read_text())
    models = {model.id: model for model in DUCK_AI_2026_10.models}
    for said in record["models"]:
        model = models[said["id"]]
        assert model.name == said["name"]
        assert list(model.efforts) == said["supportedReasoningEffort"]
        assert set(model.tools) == set(said["supportedTools"])
        assert model.takes_images == said["supportsImageUpload"]
        assert list(model.file_types) == said.get("supportedFileTypes", [])
        assert set(model.tiers) == set(said["accessTier"])
        for access in said.get("reasoningEffortAccess", []):
            assert set(model.effort_tiers.get(access["id"], model.tiers)) == set(access["accessTier"])
    assert models.keys() - {said["id"] for said in record["models"]} == {"gpt-6-luna"}
    for tier, said in record["attachmentLimits"].items():
        limits, files, images = DUCK_AI_2026_10.attachment_limits[tier], said["files"], said["images"]
        assert limits.files_per_conversation == files["maxPerConversation"]
        assert limits.file_bytes == files["maxFileSizeMB"] * 1024 * 1024
        assert limits.total_file_bytes == files["maxTotalFileSizeBytes"]
        assert limits.pages_per_file == files["maxPagesPerFile"]
        assert limits.images_per_turn == images["maxPerTurn"]
        assert limits.images_per_conversation == images["maxPerConversation"]
        assert limits.characters_with_attachments == images["maxInputCharsWithAttachments"]


def test_the_limits_of_october_2026_are_those_of_the_record() -> None:
    found = {
        tier: (each.files_per_conversation, each.file_bytes, each.total_file_bytes, each.pages_per_file)
        for tier, each in DUCK_AI_2026_10.attachment_limits.items()
    }
    assert found == {
        "free": (3, 5 * MIB, 5 * MIB, 15),
        "plus": (5, 25 * MIB, 25 * MIB, 35),
        "pro": (5, 25 * MIB, 25 * MIB, 50),
    }
    images = [
        (each.images_per_turn, each.images_per_conversation) for each in DUCK_AI_2026_10.attachment_limits.values()
    ]
    assert images == [(3, 5), (3, 10), (3, 10)]
    assert {each.characters_with_attachments for each in DUCK_AI_2026_10.attachment_limits.values()} == {4500}


def test_a_model_of_october_2026_is_for_some_tiers_and_takes_some_kinds_of_parts() -> None:
    found: dict[tuple[str, bool, bool], list[str]] = {}
    for model in DUCK_AI_2026_10.models:
        kinds = (" ".join(model.tiers), model.takes_images, model.file_types == ("application/pdf",))
        found.setdefault(kinds, []).append(model.id)
    assert found == {
        ("free plus pro internal", True, True): ["gpt-5.6-luna", "gpt-5.4-mini", "claude-haiku-4-5"],
        ("free plus pro internal", False, False): ["mistral-small-2603", "tinfoil/gpt-oss-120b"],
        ("free plus pro internal", True, False): ["tinfoil/gemma4-31b"],
        ("free", True, True): ["gpt-6-luna"],
        ("plus pro internal", True, True): ["gpt-5.6-terra", "claude-sonnet-4-6"],
        ("pro internal", True, True): ["gpt-5.6-sol", "claude-opus-4-8"],
    }


def test_the_effort_is_the_model_s_own_unless_the_turn_asks_for_another() -> None:
    def effort(model: str, asked: str | None = None) -> str:
        return str(json.loads(chat_body(DUCK_AI_2026_10, model, [], effort=asked))["reasoningEffort"])

    assert [effort(model) for model in ("gpt-5.6-luna", "mistral-small-2603", "tinfoil/gpt-oss-120b", "new")] == [
        *("none", "none", "low", "none")
    ]
    assert effort("gpt-5.6-luna", "low") == "low"


# Checked when made


@each_of(
    "changes, why",
    [
        ({"chat_headers": [["user-agent", "x"]]}, "chat_headers: user-agent must be {user_agent}, not 'x'"),
        ({"chat_headers": [["user-agent", "{user_agent}"], ["cookie", "a=b"]]}, "cookie must be {cookie}"),
        ({"chat_headers": [["user-agent", "{user_agent}"], ["x-vqd-hash-1", "x"]]}, "x-vqd-hash-1 must be {answer}"),
        ({"chat_headers": [["user-agent", "{user_agent}"], ["x-vqd-4", ""]]}, "x-vqd-4 must be {vqd_4}"),
        ({"chat_headers": [["user-agent", "{user_agent}"], ["host", "x"]]}, "host is written by the driver"),
        ({"chat_headers": [["user-agent", "{user_agent}"]] * 2}, "user-agent is there twice"),
        (
            {"chat_headers": [["user-agent", "{user_agent}"], ["x-a", "{a}"]]},
            "x-a: nothing is called {a}; there are acc",
        ),
        ({"status_headers": [["user-agent", "{user_agent}"], ["x-a", "{answer}"]]}, "nothing is called {answer}"),
        ({"page_headers": [["user-agent", "{user_agent}"], ["X-A", "a"]]}, "'X-A' is not a header name in lower case"),
        ({"page_headers": [["user-agent", "{user_agent}"], ["x-a", "a\n"]]}, "x-a is not a header value"),
        ({"extra_body": {"a": [{"b": "{c}"}]}}, "extra_body: nothing is called {c}; there are effort,"),
        ({"extra_body": {"messages": "{model}"}}, "extra_body must not name model or messages, except to place them"),
        ({"ids": {"Journey": {}}}, "ids: 'Journey' must be lower-case letters"),
        ({"ids": {"_a": {}}}, "ids: '_a' must be lower-case letters"),
        ({"ids": {"é": {}}}, "ids: 'é' must be lower-case letters"),
        ({"ids": {"answer": {}}}, "ids: 'answer' must be lower-case letters"),
        ({"ids": {"a": {"form": "base64"}}}, "'base64' - at `ids[...].form`"),
        ({"ids": {"a": {"new": "never"}}}, "'never'"),
        ({"tool_choice": {"a": "yes"}}, "got `str` - at `tool_choice[...]`"),
        ({"tool_choice": {"\ud800": True}}, "tool_choice can't be written as JSON"),
        ({"challenge_form": "puzzle"}, "'puzzle' - at `challenge_form`"),
        ({"vqd_4": "no"}, "got `str` - at `vqd_4`"),
    ],
)
def test_a_revision_that_can_not_be_sent_is_refused_with_the_reason(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        DUCK_AI_2026_10.updated(changes)


def test_a_name_that_no_revision_has_is_an_attribute_error_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match=r"'ddg_protocol\.revisions' has no attribute 'DUCK_AI_2099_01'"):
        _ = revisions.DUCK_AI_2099_01


def test_a_later_revision_is_there_however_it_is_first_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "REVISIONS", REVISIONS)  # so that it is put back
    monkeypatch.delattr(revisions, "DUCK_AI_2026_10")
    assert revisions.DUCK_AI_2026_10 is DUCK_AI_2026_10
