"""A responder that says more than text: what the client gets of it (PROTOCOL.md section 6)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.facing import Run
from support.tiers import examples

from ddg_protocol import DUCKDUCKGO_2025_04, Session, TextDelta, TurnFinished, TurnStarted
from ddg_protocol.errors import EmptyResponseError, ServiceUnavailableError
from ddg_protocol.events import (
    ConversationTitle,
    GeneratedImage,
    ImageDraft,
    ImageFailed,
    LimitReached,
    ModelRefusal,
    ReasoningDelta,
    Source,
    ToolFinished,
    ToolStarted,
    UnknownPayload,
)
from ddg_protocol.policy import Policy
from ddg_protocol.service import PayloadEvent, Question, Said, Service
from ddg_protocol.testing import every, strategies

STRICT = Policy(strict=True, max_retries=0)


def events_of(service: Service, *, session: Session | None = None) -> list[object]:
    run = Run(session or Session(policy=STRICT), service)
    run.ask("Why?")
    assert isinstance(run.events[0], TurnStarted)
    return [*run.events[1:]]


def researched(question: Question) -> Iterator[Said]:
    yield ReasoningDelta("They ask why.")
    yield ToolStarted("WebSearch", "c1", '{"query":"sky"}')
    yield ToolFinished("WebSearch", "c1")
    yield "Because "
    yield {"action": "success", "role": "assistant", "message": "of scattering.", "new": {"x": 1}}
    yield Source("https://example.com/", "Example")
    yield b"[CHAT_TITLE:The sky]"
    yield ImageDraft("AQ==", "png", 2, 2)
    yield GeneratedImage("AQID", "png", 2, 2, "c2")


def test_a_responder_gives_events_objects_and_bytes_beside_text() -> None:
    service = Service(responder=researched)
    session = Session(policy=STRICT)
    *events, finished = events_of(service, session=session)
    assert events == [
        ReasoningDelta("They ask why."),
        ToolStarted("WebSearch", "c1", '{"query":"sky"}'),
        ToolFinished("WebSearch", "c1"),
        TextDelta("Because "),
        TextDelta("of scattering."),
        UnknownPayload(b'{"action":"success","role":"assistant","message":"of scattering.","new":{"x":1}}'),
        Source("https://example.com/", "Example"),
        ConversationTitle("The sky"),
        ImageDraft("AQ==", "png", 2, 2),
        GeneratedImage("AQID", "png", 2, 2, "c2"),
    ]
    assert finished == TurnFinished(
        "Because of scattering.",
        "stop",
        "gpt-4o-mini",
        "gpt-4o-mini",
        reasoning=("They ask why.",),
        tools=(ToolStarted("WebSearch", "c1", '{"query":"sky"}'), ToolFinished("WebSearch", "c1")),
        sources=(Source("https://example.com/", "Example"),),
        images=(GeneratedImage("AQID", "png", 2, 2, "c2"),),
    )
    # The service knows its own reply again, and goes on.
    assert Run(session, service).ask("And?").text == "Because of scattering."


@pytest.mark.parametrize("said", [GeneratedImage("AQID"), ModelRefusal("model"), Source("u")])
def test_a_turn_without_text_is_committed_and_the_conversation_goes_on(said: PayloadEvent) -> None:
    service = Service(responder=lambda _: [said])
    session = Session(policy=STRICT)
    run = Run(session, service)
    for turn in (1, 2):
        finished = run.ask("Why?")
        assert finished.text == ""
        assert said in (*finished.images, *finished.refusals, *finished.sources)
        assert [message.content for message in session.conversation.message_history] == ["Why?", ""] * turn


def test_a_turn_of_nothing_but_what_is_unknown_is_an_error() -> None:
    with pytest.raises(EmptyResponseError):
        events_of(Service(responder=lambda _: [{"role": "new"}, b"[ADS:{}]"]))


@pytest.mark.parametrize("said", [Source("u"), ReasoningDelta("x"), GeneratedImage("AQID")])
def test_a_reply_that_breaks_after_something_came_is_not_asked_for_again(said: PayloadEvent) -> None:
    profile = msgspec.structs.replace(DUCKDUCKGO_2025_04, chat_is_repeatable=True)
    error = {"action": "error", "status": 503}
    service = Service(profile, responder=lambda _: [said, error])
    run = Run(Session(profile), service)
    with pytest.raises(ServiceUnavailableError):
        run.ask("Why?")
    assert run.events[1:] == [said]
    assert run.session.conversation.message_history == ()


def test_a_limit_that_a_responder_says_counts() -> None:
    session = Session(policy=STRICT)
    *_, limit, _ = events_of(Service(responder=lambda _: ["x", b"[LIMIT_CONVERSATION]"]), session=session)
    assert limit == LimitReached("conversation")
    assert session.conversation.limit_reached


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(strategies.payload_events(), max_size=4), st.sampled_from([40, 1 << 16]))
@example([ImageFailed("content_policy", "It can't be made.", "1")], 40)  # which few draws have
def test_each_event_of_a_responder_is_the_event_that_its_client_gets(said: list[PayloadEvent], size: int) -> None:
    run = Run(
        Session(policy=STRICT), Service(responder=lambda _: [*said, "x"]), cut=lambda data: iter(every(size)(data))
    )
    run.ask("Why?")
    assert run.events[1:-1] == [*said, TextDelta("x")]
