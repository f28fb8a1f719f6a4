"""The list of models that the service gives: read strictly where it matters, asked for by a session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_of
from support.hand import LISTING, Hand

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    ChatTimeoutError,
    ClientState,
    DuckChatError,
    FailureKind,
    LocalProtocolError,
    Model,
    Policy,
    RateLimitError,
    Retrying,
    SendRequest,
    Session,
    TransportError,
    TurnCancelled,
    Wait,
)
from ddg_protocol.errors import (
    AccessDeniedError,
    ContentDecodingError,
    MalformedModelList,
    RedirectRefused,
    ServiceUnavailableError,
    StreamTooLarge,
)
from ddg_protocol.events import ModelsReceived
from ddg_protocol.model_list import read_models, write_models
from ddg_protocol.models import AttachmentLimits, ModelList
from ddg_protocol.revisions.duck_ai_2026_10 import DUCK_AI_2026_10
from ddg_protocol.service import Fault, Service
from ddg_protocol.service import faults as f
from ddg_protocol.testing import Chunking, Dialogue, Run, byte_by_byte, request, whole
from ddg_protocol.transcript import RecordedSession, Transcript, first_difference
from ddg_protocol.wire import WireSession

LUNA = Model(
    "gpt-5.6-luna",
    name="GPT-5.6 Luna",
    efforts=("none", "low"),
    effort_tiers={"none": ("free", "plus"), "low": ("plus",)},
    tools=("WebSearch",),
    takes_images=True,
    file_types=("application/pdf",),
    tiers=("free", "plus"),
    available=True,
)
SMALL = Model("mistral-small-2603", name="Mistral Small 4", tiers=("free",), available=True)
OPUS = Model("claude-opus-4-8", name="Claude Opus 4.8", tiers=("pro",), available=False)
FREE = AttachmentLimits(
    files_per_conversation=3,
    file_bytes=5 * 2**20,
    total_file_bytes=5 * 2**20,
    pages_per_file=15,
    images_per_turn=3,
    images_per_conversation=5,
    characters_with_attachments=4500,
)
LISTED = ModelList((OPUS, LUNA, SMALL), {"free": FREE})
SERVED = msgspec.structs.replace(LISTING, models=LISTED.models, attachment_limits=LISTED.attachment_limits)


# The form


def test_the_list_of_october_2026_reads(vectors: Path) -> None:
    listed = read_models((vectors / "revisions" / "models-2026-10.json").read_bytes())
    assert len(listed.models) == 10
    by_id = {model.id: model for model in listed.models}
    assert by_id["gpt-5.4-mini"].efforts == ("none", "low", "medium")
    assert by_id["gpt-5.4-mini"].effort_tiers["medium"] == ("pro", "internal")
    assert by_id["mistral-small-2603"] == Model(
        "mistral-small-2603", name="Mistral Small 4", tiers=by_id["mistral-small-2603"].tiers, available=True
    )
    assert by_id["tinfoil/gpt-oss-120b"].default_effort == "low"
    assert [by_id[id].available for id in ("gpt-5.6-luna", "claude-opus-4-8")] == [True, False]
    assert by_id["claude-haiku-4-5"].file_types == ("application/pdf",)
    assert "GenerateImage" in by_id["gpt-5.6-terra"].tools
    assert listed.attachment_limits["free"] == FREE
    assert {tier: limits.pages_per_file for tier, limits in listed.attachment_limits.items()} == {
        "free": 15,
        "plus": 35,
        "pro": 50,
    }
    assert read_models(write_models(listed)) == listed


def test_the_models_and_limits_of_the_list_apply_in_a_profile(vectors: Path) -> None:
    listed = read_models((vectors / "revisions" / "models-2026-10.json").read_bytes())
    profile = DUCKDUCKGO_2025_04.with_models(listed)
    assert profile.validate_model() == "gpt-5.6-luna"  # the first that a caller without an account may use
    assert profile.validate_model("claude-opus-4-8") == "claude-opus-4-8"
    assert {model.id for model in profile.models} == {model.id for model in listed.models}
    assert profile.attachment_limits[profile.tier] == FREE


def test_a_list_that_was_written_reads_as_it_was() -> None:
    assert read_models(write_models(LISTED)) == LISTED
    assert read_models(write_models(ModelList((Model("m"),)))).models == (Model("m", name="m", available=True),)


def test_only_an_id_has_to_be_there_and_what_is_unknown_is_ignored() -> None:
    said = {
        "models": [{"id": "m", "label": None, "settingId": 7, "new": {"x": []}}],
        "more": True,
        "attachmentLimits": {"free": {}, "plus": {"files": {"new": "?"}, "displayName": 1}, "pro": {}},
    }
    listed = read_models(json.dumps(said))
    assert listed.models == (Model("m"),)
    assert listed.attachment_limits["free"] == AttachmentLimits()
    assert listed.attachment_limits["plus"] == AttachmentLimits(pages_per_file=8)
    assert read_models('{"models":[{"id":"m","supportedTools":null}],"attachmentLimits":null}').models == (Model("m"),)


@each_of(
    "said, where",
    [
        ([], "Expected `object`"),
        ({}, "missing required field `models`"),
        ({"models": []}, r"\$.models"),
        ({"models": {}}, r"\$.models"),
        ({"models": [7]}, r"\$.models\[0\]"),
        ({"models": [{}]}, r"missing required field `id` - at `\$.models\[0\]"),
        ({"models": [{"id": "m"}, {"id": 7}]}, r"\$.models\[1\].id"),
        ({"models": [{"id": ""}]}, r"\$.models\[0\].id"),
        ({"models": [{"id": "x" * 201}]}, r"\$.models\[0\].id"),
        ({"models": [{"id": "m", "supportsImageUpload": "yes"}]}, "supportsImageUpload"),
        ({"models": [{"id": "m", "supportedTools": "all"}]}, "supportedTools"),
        ({"models": [{"id": "m", "supportedTools": ["x"] * 201}]}, "supportedTools"),
        ({"models": [{"id": "m", "reasoningEffortAccess": [{"id": 7}]}]}, r"reasoningEffortAccess\[0\].id"),
        ({"models": [{"id": "m", "entityHasAccess": 1}]}, "entityHasAccess"),
        ({"models": [{"id": "m"}], "attachmentLimits": []}, "attachmentLimits"),
        ({"models": [{"id": "m"}], "attachmentLimits": {"free": {"files": {"maxFileSizeMB": -1}}}}, "maxFileSizeMB"),
        (
            {"models": [{"id": "m"}], "attachmentLimits": {"free": {"files": {"maxFileSizeMB": 2**33 + 1}}}},
            "maxFileSizeMB",
        ),
        ({"models": [{"id": "m"}], "attachmentLimits": {"free": {"images": {"maxPerTurn": 1.5}}}}, "maxPerTurn"),
        ({"models": [{"id": "m"}, {"id": "m"}]}, "two models have the same id"),
        ({"models": [{"id": str(number)} for number in range(1001)]}, r"\$.models"),
    ],
)
def test_a_list_of_another_form_says_where(said: Any, where: str) -> None:
    with pytest.raises(MalformedModelList, match=f"^the list of models can't be read: .*{where}"):
        read_models(json.dumps(said))


@each_of(
    "member, value, more",
    [
        ("id", "x" * 200, "x" * 201),
        ("name", "x" * 200, "x" * 201),
        ("accessTier", ["x" * 200] * 200, ["x" * 201]),
        ("accessTier", [], ["x"] * 201),
        ("reasoningEffortAccess", [{"id": "x" * 200}] * 200, [{"id": "x"}] * 201),
    ],
)
def test_what_is_said_of_a_model_is_bounded(member: str, value: Any, more: Any) -> None:
    assert len(read_models(json.dumps({"models": [{"id": "m", member: value}]})).models) == 1
    with pytest.raises(MalformedModelList, match=member):
        read_models(json.dumps({"models": [{"id": "m", member: more}]}))


def test_models_tiers_and_limits_are_bounded() -> None:
    def read(models: int, tiers: int, number: int) -> ModelList:
        limits = {str(tier): {"files": {"maxPerConversation": number}} for tier in range(tiers)}
        return read_models(json.dumps({"models": [{"id": str(n)} for n in range(models)], "attachmentLimits": limits}))

    for number in (0, 2**53):
        listed = read(1000, 100, number)
        assert listed.attachment_limits["99"] == AttachmentLimits(files_per_conversation=number, pages_per_file=8)
    for wrong in ((1001, 1, 0), (1, 101, 0), (1, 1, -1), (1, 1, 2**53 + 1)):
        with pytest.raises(MalformedModelList):
            read(*wrong)


@each_of(
    "data",
    [
        *(b"", b"null", b"<html>", b"\xff", b'{"models":[{"id":"\\ud800"}]}', b'{"models":[{"id":"\xff"}]}'),
        *(b"[" * 100_000, b'{"models":' * 100_000, b'{"models":[{"id":' + b"9" * 5000 + b"}]}"),
        b'{"models":[{"id":"m"}]} and more',
    ],
)
def test_bytes_that_are_no_list_are_one_short_sentence(data: bytes) -> None:
    with pytest.raises(MalformedModelList) as caught:
        read_models(data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_whatever_comes_is_a_list_or_the_typed_error(data: bytes | str) -> None:
    with pytest.raises(MalformedModelList):
        read_models(data)


# A profile's models


def test_models_keep_their_aliases_and_the_default_stays_if_it_may_be_used() -> None:
    before = msgspec.structs.replace(
        LISTING, models=(Model("mistral-small-2603", ("small", "gpt-5.6-luna")), Model("x", ("y",)))
    )
    profile = before.with_models(LISTED)
    assert [model.id for model in profile.models] == ["mistral-small-2603", "gpt-5.6-luna", "claude-opus-4-8"]
    assert profile.models[0].aliases == ("small",)  # the other is a model's id now
    assert profile.attachment_limits == LISTED.attachment_limits
    assert profile.models_path == LISTING.models_path


def test_a_default_that_may_not_be_used_gives_way() -> None:
    before = msgspec.structs.replace(LISTING, models=(Model("claude-opus-4-8"),))
    assert before.with_models(LISTED).models[0].id == "gpt-5.6-luna"


def test_the_path_of_the_list_is_checked_and_none_in_april() -> None:
    assert DUCKDUCKGO_2025_04.models_path is None
    with pytest.raises(ValueError, match="models_path must begin with /"):
        msgspec.structs.replace(LISTING, models_path="models")
    assert DUCKDUCKGO_2025_04.updated({"models_path": "/models"}).models_path == "/models"


# A session


def service(*faults: f.Effect, times: int | None = None) -> Service:
    return Service(SERVED, strict=True, script=[Fault("models", list(faults), times=times)] if faults else ())


def in_pieces(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 61] for at in range(0, len(data), 61))


@pytest.mark.parametrize("access", [{"id": "low"}, {"id": "low", "accessTier": None}, {"id": "low", "accessTier": []}])
def test_an_effort_that_is_listed_without_tiers_is_for_every_tier(access: dict[str, Any]) -> None:
    listed = {"id": "thinks", "supportedReasoningEffort": ["none", "low"], "reasoningEffortAccess": [access]}
    models = read_models(json.dumps({"models": [listed]}))
    assert models.models[0].effort_tiers == {}
    profile = DUCK_AI_2026_10.with_models(models)
    Session(profile).ask("Hi", effort="low", now=0.0)


@pytest.mark.parametrize("wire", [False, True])
@pytest.mark.parametrize(
    "chunking", [whole, in_pieces, pytest.param(byte_by_byte, marks=pytest.mark.deep("every cut of some 20 KB"))]
)
def test_a_session_fetches_the_list_without_a_token_and_then_asks(wire: bool, chunking: Chunking) -> None:
    session, served = Session(SERVED), service()
    run = Run(WireSession(session) if wire else session, served, chunks=chunking)
    before = session.conversation
    assert run.fetch_models() == LISTED
    (exchange,) = served.log
    assert (exchange.endpoint, exchange.request.method, exchange.request.body) == ("models", "GET", b"")
    names = {name.lower() for name, _ in exchange.request.headers}
    assert {"user-agent", "origin", "referer"} <= names
    assert not {"x-vqd-accept", "x-vqd-4", "x-vqd-hash-1"} & names
    assert session.conversation == before
    assert run.ask("Hi") is not None
    assert run.fetch_models() == LISTED  # while the reply's body may still be drained


def test_the_revision_of_october_2026_lists_its_models() -> None:
    run = Run(Session(DUCK_AI_2026_10), Service(DUCK_AI_2026_10, strict=True))
    listed = run.fetch_models()
    assert [model.id for model in listed.models] == [model.id for model in DUCK_AI_2026_10.models]
    assert listed.attachment_limits == DUCK_AI_2026_10.attachment_limits
    may_use = {model.id for model in listed.models if model.available}
    assert may_use == {model.id for model in DUCK_AI_2026_10.models if "free" in model.tiers}
    profile = DUCK_AI_2026_10.with_models(listed)
    assert profile.validate_model() == DUCK_AI_2026_10.validate_model()


def test_a_dialogue_can_fetch_the_list() -> None:
    with Dialogue(Session(SERVED)) as dialogue:
        dialogue.fetch_models()
        dialogue.expects(request("GET", "/duckchat/v1/models", headers={"x-vqd-accept": None}))
        dialogue.cancel()
        dialogue.expects(TurnCancelled(""))


def test_the_list_is_the_last_event_before_rest() -> None:
    run = Run(Session(SERVED), service())
    run.session.fetch_models(now=run.clock.now)
    assert run.next_event() == ModelsReceived(LISTED)
    assert run.next_event() is None


def test_a_profile_without_a_list_has_none_to_ask_for() -> None:
    session = Session()
    with pytest.raises(LocalProtocolError, match="models_path"):
        session.fetch_models(now=0)
    session.ask("Hi", now=0)
    with pytest.raises(LocalProtocolError, match=r"fetch_models\(\) is not legal now"):
        session.fetch_models(now=0)


def test_the_request_keeps_to_the_pace_of_the_client() -> None:
    shared = ClientState()
    session = Session(SERVED, shared=shared)
    shared.pacer.last_start = 10.0
    session.fetch_models(now=10.0)
    wait = session.next_action(now=10.0)
    assert isinstance(wait, Wait)
    assert (wait.until, wait.reason) == (11.5, "pacing")
    session.wait_elapsed(wait)
    assert isinstance(session.next_action(now=11.5), SendRequest)
    assert shared.pacer.last_start == 11.5


def test_the_embedders_cookies_go_with_the_request_and_new_ones_are_not_kept() -> None:
    hand = Hand(Session(SERVED, cookies={"mine": "7"}))
    hand.session.fetch_models(now=0)
    request = hand.request_for("/duckchat/v1/models")
    assert dict(request.headers)["cookie"] == "dcs=1; dcm=3; mine=7"
    hand.answer(headers=[("set-cookie", "seen=1")], body=write_models(LISTED))
    assert hand.pull() is PAUSED
    assert hand.session.conversation.cookies == ()


def test_a_redirect_within_the_service_is_followed_and_another_refused() -> None:
    hand = Hand(Session(SERVED))
    hand.session.fetch_models(now=0)
    hand.request_for("/duckchat/v1/models")
    hand.answer(301, [("location", "/v2/models")])
    hand.request_for("/v2/models")
    hand.answer(body=write_models(LISTED))
    assert hand.pull() is PAUSED
    assert hand.events == [ModelsReceived(LISTED)]
    hand.session.fetch_models(now=hand.now)
    hand.request_for("/duckchat/v1/models")
    hand.answer(302, [("location", "https://example.org/")])
    with pytest.raises(RedirectRefused):
        hand.pull()


@each_of(
    "effects, exception, tries",
    [
        ([f.Refuse(403)], AccessDeniedError, 1),
        ([f.Refuse(429, "ERR_RATE_LIMIT")], RateLimitError, 4),
        ([f.Refuse(503)], ServiceUnavailableError, 4),
        ([f.Body("{}")], MalformedModelList, 1),
        ([f.Body("<html>")], MalformedModelList, 1),
        ([f.Body("{}"), f.Endless(" ")], StreamTooLarge, 1),
        ([f.Coding("gzip"), f.Insert("x")], ContentDecodingError, 1),
        ([f.Header("content-encoding", "br")], ContentDecodingError, 1),
        ([f.Cut(10)], TransportError, 4),
        ([f.Cut(10, "end")], MalformedModelList, 1),
        ([f.Cut(0, of="wire")], TransportError, 4),
    ],
)
@each_of("wire", [False, True])
def test_a_list_that_can_t_be_had_is_the_exception_that_says_why(
    effects: list[f.Effect], exception: type[DuckChatError], tries: int, wire: bool
) -> None:
    served = service(*effects)
    session = Session(SERVED, policy=Policy(max_page_bytes=100_000, base_delay=0.1))
    run = Run(WireSession(session) if wire else session, served)
    with pytest.raises(exception):
        run.fetch_models()
    assert [exchange.endpoint for exchange in served.log] == ["models"] * tries
    run.session.cancel()
    assert run.ask("Hi") is not None


def test_a_list_that_is_refused_once_is_asked_for_again_and_no_page_is_visited() -> None:
    served = service(f.Refuse(429, retry_after=2), times=1)
    run = Run(Session(SERVED), served)
    assert run.fetch_models() == LISTED
    assert [type(event) for event in run.events] == [Retrying, ModelsReceived]
    assert [exchange.endpoint for exchange in served.log] == ["models", "models"]


def test_the_list_comes_in_the_turns_time_or_not_at_all() -> None:
    hand = Hand(Session(SERVED, policy=Policy(turn_timeout=5.0, max_retries=0)))
    hand.session.fetch_models(now=0)
    hand.request_for("/duckchat/v1/models")
    hand.now = 6.0
    with pytest.raises(ChatTimeoutError):
        hand.pull()


def test_it_can_be_cancelled() -> None:
    hand = Hand(Session(SERVED))
    hand.session.fetch_models(now=0)
    hand.request_for("/duckchat/v1/models")
    hand.session.cancel()
    assert hand.pull() is PAUSED
    assert hand.events == [TurnCancelled("")]
    hand.fail(FailureKind.INTERRUPTED)  # dropped: the request is over


# Snapshots and transcripts


def test_a_snapshot_at_any_moment_goes_on() -> None:
    hand = Hand(Session(SERVED))
    hand.session.fetch_models(now=0)
    for halfway in (False, True):
        if halfway:
            request = hand.request_for("/duckchat/v1/models")
            hand.session.receive_head(request, 200, (), now=0)
            hand.session.receive_data(request, b'{"models":')
            assert hand.pull() is NEED_DATA
        restored = Hand(Session.restore(json.loads(json.dumps(hand.session.snapshot(now=0))), now=5, profile=SERVED))
        restored.now = 5.0
        restored.request_for("/duckchat/v1/models")  # a GET is sent again
        restored.answer(body=write_models(LISTED))
        assert restored.pull() is PAUSED
        assert restored.events == [ModelsReceived(LISTED)]


@each_of(
    "change",
    [
        {"goal": "status"},
        {"goal": "chat"},
        {"retries": {}},
        {"retries": {"chat": 0}},
        {"retries": {"list of models": -1}},
    ],
)
def test_a_snapshot_that_no_session_can_have_made_is_refused(change: dict[str, Any]) -> None:
    session = Session(SERVED)
    session.fetch_models(now=0)
    session.next_action(now=0)
    data = session.snapshot(now=0)
    data["phase"]["turn"] |= change
    with pytest.raises(DuckChatError, match="snapshot can't be read"):
        Session.restore(data, now=0, profile=SERVED)


def test_a_snapshot_is_refused_by_a_profile_without_a_list() -> None:
    session = Session(SERVED)
    session.fetch_models(now=0)
    with pytest.raises(DuckChatError, match="goal"):
        Session.restore(session.snapshot(now=0), now=0, profile=msgspec.structs.replace(SERVED, models_path=None))


@each_of("redact", [False, True])
def test_a_transcript_has_the_list_and_replays(redact: bool) -> None:
    lines: list[str] = []
    run = Run(RecordedSession(Session(SERVED), lines.append, redact_texts=redact), service())
    run.fetch_models()
    run.ask("Hi")
    text = "".join(lines)
    assert '{"do":"fetch_models"' in text
    assert "ModelsReceived" in text
    assert first_difference(Transcript.read(text)) is None
