"""What one turn asks for besides its question: effort, tools, members of the body (PROTOCOL.md section 6)."""

from __future__ import annotations

import json
import math
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ConversationFormatError,
    LocalProtocolError,
    Model,
    ServiceProfile,
    Session,
    SolveChallenge,
)
from ddg_protocol.intents import ChallengeAnswer
from ddg_protocol.service import Service
from ddg_protocol.testing import Clock, Run
from ddg_protocol.transcript import RecordedSession, Transcript, first_difference
from ddg_protocol.wire import WireSession

MODELS = (
    Model("thinks", efforts=("none", "low", "high"), effort_tiers={"high": ("plus", "pro")}, tools=("WebSearch",)),
    Model("always", efforts=("low",)),
    Model("plain"),
)
PROFILE = msgspec.structs.replace(
    DUCKDUCKGO_2025_04,
    label="A later one",
    models=MODELS,
    minimum_interval=0.0,
    tool_choice={"NewsSearch": False},
    extra_body={
        "metadata": {"toolChoice": "{tool_choice}"},
        "canUseTools": "{uses_tools}",
        "reasoningEffort": "{effort}",
        "canShowGreeting": False,
    },
)


def sent(profile: ServiceProfile = PROFILE, **options: Any) -> Any:
    """The body of a turn's request, without its messages."""
    service = Service(profile, strict=True)
    Run(Session(profile), service).ask("Hi", **options)
    body = json.loads(service.log[-1].request.body)
    assert body.pop("messages") == [{"role": "user", "content": "Hi"}]
    return body


def refused(says: str, profile: ServiceProfile = PROFILE, **options: Any) -> None:
    session = Session(profile)
    with pytest.raises(LocalProtocolError, match=says):
        session.ask("Hi", **options, now=0.0)
    assert session.state.name == "READY"


# What is sent


@each_of(
    "options, effort",
    [
        ({}, "none"),
        ({"effort": "low"}, "low"),
        ({"model": "always"}, "low"),
        ({"model": "plain"}, "none"),
        ({"model": "plain", "effort": "none"}, "none"),
    ],
)
def test_the_effort_is_that_of_the_turn_or_the_model_s_own(options: dict[str, Any], effort: str) -> None:
    assert sent(**options)["reasoningEffort"] == effort


def test_the_tools_of_the_turn_are_chosen() -> None:
    assert sent()["metadata"]["toolChoice"] == {"NewsSearch": False}
    body = sent(tools=["WebSearch", "NewsSearch"])
    assert body["metadata"]["toolChoice"] == {"WebSearch": True, "NewsSearch": True}
    assert body["canUseTools"] is True


def test_members_of_the_turn_take_the_place_of_the_profile_s() -> None:
    extra = {"canShowGreeting": True, "durableStream": {"messageId": "1"}}
    assert sent(extra=extra) == {
        "model": "thinks",
        "metadata": {"toolChoice": {"NewsSearch": False}},
        "canUseTools": False,
        "reasoningEffort": "none",
        "canShowGreeting": True,
        "durableStream": {"messageId": "1"},
    }


def test_options_are_for_one_turn() -> None:
    service = Service(PROFILE, strict=True)
    run = Run(Session(PROFILE), service)
    run.ask("Hi", effort="low", extra={"x": 1})
    run.ask("Hi")
    body = json.loads(service.log[-1].request.body)
    assert (body["reasoningEffort"], "x" in body) == ("none", False)


def test_members_are_those_of_the_moment_when_the_turn_was_asked_for() -> None:
    service, extra = Service(PROFILE, strict=True), {"x": [1]}
    run = Run(Session(PROFILE), service)
    run.begin("Hi", extra=extra)
    extra["x"].append(2)
    while run.next_event() is not None:
        pass
    assert json.loads(service.log[-1].request.body)["x"] == [1]


def test_a_solver_s_members_go_over_those_of_the_turn() -> None:
    profile = msgspec.structs.replace(PROFILE, vqd_4=False, challenge_form="opaque")
    session = Session(profile, solver="embedder", answer_challenge="always", cookies={})
    session.ask("Hi", extra={"x": 1, "y": 1}, now=0.0)
    while not isinstance(action := session.next_action(now=0.0), SolveChallenge):
        if getattr(action, "method", "") == "GET":
            session.receive_head(action, 200, [("x-vqd-hash-1", "abc")], now=0.0)  # type: ignore[arg-type]
            session.receive_eof(action)  # type: ignore[arg-type]
    session.challenge_solved(action, ChallengeAnswer("answer", (), {"x": 2}))
    while getattr(request := session.next_action(now=0.0), "method", "") != "POST":
        pass
    body = json.loads(request.body)  # type: ignore[union-attr]
    assert (body["x"], body["y"]) == (2, 1)


@each_of("make", [lambda session: session, WireSession])
def test_every_floor_takes_them(make: Any) -> None:
    service = Service(PROFILE, strict=True)
    run = Run(make(Session(PROFILE)), service)
    run.ask("Hi", effort="low", tools=("WebSearch",), extra={"x": 1})
    body = json.loads(service.log[-1].request.body)
    assert (body["reasoningEffort"], body["metadata"]["toolChoice"]["WebSearch"], body["x"]) == ("low", True, 1)


# What is refused


@each_of(
    "options, says",
    [
        ({"effort": "medium"}, "'thinks' has no effort 'medium'; it has none, low, high"),
        ({"effort": "high"}, "'high' of 'thinks' is for the tiers plus, pro, and the profile's is 'free'"),
        ({"effort": "low", "model": "plain"}, "'plain' has no effort 'low'; it has none"),
        ({"effort": "none", "model": "always"}, "'always' has no effort 'none'; it has low"),
        ({"effort": 5}, "has no effort 5"),
        ({"tools": ["GenerateImage"]}, "'thinks' has no tool 'GenerateImage'; it has WebSearch, NewsSearch"),
        ({"tools": ["\x1b[2J"]}, "has no tool .*x1b"),
        ({"tools": [[]]}, "has no tool list"),
        ({"tools": "WebSearch"}, "tools must be a list of names, not str"),
        ({"tools": {"WebSearch": True}}, "tools must be a list of names, not dict"),
        ({"tools": None}, "tools must be a list of names, not NoneType"),
        ({"extra": ""}, "extra must be a mapping of members, not str"),
        ({"extra": [1]}, "extra must be a mapping of members, not list"),
        ({"extra": {1: 1}}, "extra must have texts for names"),
        ({"extra": {"model": "x"}}, "and not model or messages"),
        ({"extra": {"messages": []}}, "and not model or messages"),
        ({"extra": {"x": object()}}, "extra can't be written as JSON"),
        ({"extra": {"x": "\ud83e"}}, "extra can't be written as JSON"),
        ({"extra": {"x": 10**5000}}, "extra can't be written as JSON"),
        *(
            (
                {"extra": {"x": [1, {"y": value}]}},
                "extra can't be written as JSON in UTF-8: JSON has None, bools, finite",
            )
            for value in (math.nan, -math.inf, {1}, b"x", date(2026, 1, 1), Decimal(1), {1: 2})
        ),
    ],
)
def test_what_the_model_does_not_have_is_refused_with_what_it_has(options: dict[str, Any], says: str) -> None:
    refused(says, **options)


def test_a_tier_that_may_use_an_effort_is_not_refused() -> None:
    assert sent(msgspec.structs.replace(PROFILE, tier="plus"), effort="high")["reasoningEffort"] == "high"


def test_the_service_of_april_has_neither_efforts_nor_tools() -> None:
    refused("'DuckDuckGo AI Chat' has no reasoning effort", DUCKDUCKGO_2025_04, effort="none")
    refused("has no choice of tools", DUCKDUCKGO_2025_04, tools=["WebSearch"])
    assert sent(DUCKDUCKGO_2025_04, extra={"x": 1}) == {"model": "gpt-4o-mini", "x": 1}


def test_a_model_without_tools_says_so() -> None:
    refused(
        "'plain' has no tool 'x'; it has none",
        msgspec.structs.replace(PROFILE, tool_choice={}),
        model="plain",
        tools=["x"],
    )


# Snapshots and transcripts

OPTIONS: dict[str, Any] = {"effort": "low", "tools": ("WebSearch",), "extra": {"x": {"y": [1, None]}}}


def test_a_snapshot_keeps_the_options() -> None:
    session = Session(PROFILE)
    session.ask("Hi", **OPTIONS, now=0.0)
    data = json.loads(json.dumps(session.snapshot(now=0.0)))
    service, clock = Service(PROFILE, strict=True), Clock()
    run = Run(Session.restore(data, now=clock.now, profile=PROFILE), service, clock=clock)
    while run.next_event() is not None:
        pass
    body = json.loads(service.log[-1].request.body)
    assert (body["reasoningEffort"], body["metadata"]["toolChoice"]["WebSearch"], body["x"]) == (
        "low",
        True,
        {"y": [1, None]},
    )


@each_of(
    "options", [{"effort": "medium"}, {"tools": ["x"]}, {"extra": {"model": "x"}}, {"more": 1}, {"tools": "WebSearch"}]
)
def test_a_snapshot_with_options_that_are_none_is_refused(options: dict[str, Any]) -> None:
    session = Session(PROFILE)
    session.ask("Hi", now=0.0)
    data = session.snapshot(now=0.0)
    data["phase"]["turn"]["options"].update(options)
    with pytest.raises(ConversationFormatError):
        Session.restore(data, now=0.0, profile=PROFILE)


def test_a_transcript_has_the_options_with_stand_ins_for_the_members() -> None:
    lines: list[str] = []
    run = Run(RecordedSession(Session(PROFILE), lines.append), Service(PROFILE, strict=True))
    run.ask("Hi", effort="low", tools=["WebSearch"], extra={"key": "secret", "n": 5})
    text = "".join(lines)
    assert first_difference(Transcript.read(text)) is None
    asked = next(json.loads(line) for line in lines if json.loads(line).get("do") == "ask")
    assert (asked["effort"], asked["tools"]) == ("low", ["WebSearch"])
    assert set(asked["extra"]) == {"key", "n"}
    assert "secret" not in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: (
        st.lists(children, max_size=2) | st.dictionaries(st.text("ab{}", max_size=3), children, max_size=2)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["x", "{effort}", "canUseTools"]), JSON, max_size=2))
def test_any_member_is_sent_as_it_is(extra: dict[str, Any]) -> None:
    body = sent(extra=extra)
    assert {name: body[name] for name in extra} == extra
