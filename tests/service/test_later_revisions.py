"""Whole conversations against the service of each revision: on both floors, cut and split, stored and recorded."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pytest
from support.services import copied
from support.tiers import some

from ddg_protocol import (
    ChallengeAnswer,
    ClientState,
    Conversation,
    DuckChatError,
    Identity,
    Message,
    Policy,
    ServiceProfile,
    Session,
    SolveChallenge,
    TransportError,
    UnsupportedChallenge,
)
from ddg_protocol.errors import ChallengeError, EmptyResponseError, IncompleteStream, ServiceError
from ddg_protocol.events import (
    GeneratedImage,
    ImageDraft,
    PartReceived,
    ReasoningDelta,
    ReasoningSummary,
    Source,
    ToolFinished,
    ToolStarted,
)
from ddg_protocol.revisions import DUCK_AI_2026_10, DUCKDUCKGO_2025_07, REVISIONS
from ddg_protocol.service import Question, Said, Service, ServiceRequest
from ddg_protocol.service.script import fault_from_text
from ddg_protocol.testing import Cut, Run, byte_by_byte, every, split_at, stand_in_answer
from ddg_protocol.transcript import Lost, RecordedSession, Transcript, first_difference
from ddg_protocol.wire import WireSession

LATER = {"2025-07": DUCKDUCKGO_2025_07, "2026-10": DUCK_AI_2026_10}
QUESTIONS = ("Why?", "How?", "When?", "Where?", "Who?")
WITH_IDS = DUCK_AI_2026_10.updated(
    {
        "ids": {"journey_id": {}, "message_id": {"form": "uuid"}, "talk_id": {"form": "uuid", "new": "conversation"}},
        "chat_headers": [*map(list, DUCK_AI_2026_10.chat_headers), ["x-message", "{message_id}"]],
        "extra_body": {"durableStream": {"messageId": "{message_id}", "conversationId": "{talk_id}"}},
    }
)

DEEP = pytest.mark.deep("five turns of each revision again")

each_revision = pytest.mark.parametrize("profile", REVISIONS.values(), ids=REVISIONS)
each_later_one = pytest.mark.parametrize("profile", LATER.values(), ids=LATER)
each_floor = pytest.mark.parametrize("floor", [lambda session: session, WireSession], ids=["Session", "WireSession"])


def session_of(profile: ServiceProfile, **settings: Any) -> Session:
    solver = "none" if profile.challenge_form == "script" else "embedder"
    return Session(profile, **{"solver": solver, "random_bytes": os.urandom, **settings})


def reply_to(question: Question) -> list[Said]:
    """Return a reply with all that a later revision says."""
    said: list[Said] = [ReasoningDelta("Hm."), ReasoningSummary("A thought"), ToolStarted("WebSearch", "c1", '{"q":1}')]
    said += [ToolFinished("WebSearch", "c1", "found"), Source("https://a.example/", "A"), "You said: ", question.text]
    said += [" ☃", ImageDraft("AAAA"), GeneratedImage("AQID"), PartReceived('{"type":"reasoning","id":"r1"}')]
    return [*said, {"role": "mood", "mood": "sunny"}, b"[CHAT_TITLE:About it]", b"[STOP_REASON:end_turn]"]


def service_of(profile: ServiceProfile, **settings: Any) -> Service:
    settings = {"challenge": True, "strict": True, **settings}
    if profile.vqd_4:
        return Service(profile, responder=lambda question: ["You said: ", question.text, " ☃"], **settings)
    return Service(profile, responder=reply_to, **settings)


def run_of(session: Any, service: Any, **settings: Any) -> Run:
    return Run(session, service, **{"solver": stand_in_answer, **settings})


def refused(service: Service) -> list[tuple[object, str]]:
    return [(exchange.endpoint, exchange.error) for exchange in service.log if exchange.error]


# Five turns


@each_revision
@each_floor
@pytest.mark.parametrize("chunks", [every(7), pytest.param(byte_by_byte, marks=DEEP)])
def test_a_conversation_of_five_turns(
    profile: ServiceProfile, floor: Callable[[Session], Session | WireSession], chunks: Any
) -> None:
    service, shared = service_of(profile), ClientState()
    shared.fe_version = service.front_end_version  # else most of the time would go into the page's many bytes
    run = run_of(floor(session_of(profile, shared=shared)), service, chunks=chunks)
    for question in QUESTIONS:
        finished = run.ask(question)
        assert finished is not None
        assert finished.text == f"You said: {question} ☃"
    assert len(run.session.conversation.message_history) == 10
    if profile.vqd_4:
        assert refused(service) == [("chat", "ERR_CHALLENGE")]  # once asked to answer, it answers by itself
    else:
        assert refused(service) == []
        assert [exchange.endpoint for exchange in service.log] == ["status", *["chat"] * 5]


@each_later_one
@each_floor
def test_the_version_comes_from_the_page_and_no_landing_page_is_visited(
    profile: ServiceProfile, floor: Callable[[Session], Session | WireSession]
) -> None:
    service = service_of(profile)
    run = run_of(floor(session_of(profile)), service)
    run.ask("Hi")
    assert [exchange.endpoint for exchange in service.log] == ["front_end", "status", "chat"]
    assert service.log[-1].request.header("x-fe-version") == service.front_end_version
    assert run.session.conversation.cookies == ()
    lost = service.handle(ServiceRequest("GET", "/aichat", ()), now=0)
    assert lost.status == 404


@each_revision
def test_a_conversation_goes_on_from_json_in_another_session(profile: ServiceProfile) -> None:
    service, stored = service_of(profile), Conversation().to_json()
    for question in QUESTIONS:
        run = run_of(session_of(profile, conversation=Conversation.from_json(stored)), service)
        run.ask(question)
        stored = run.session.conversation.to_json()
    assert len(Conversation.from_json(stored).message_history) == 10
    assert refused(service) == ([("chat", "ERR_CHALLENGE")] if profile.vqd_4 else [])


@each_revision
def test_a_conversation_goes_on_from_a_snapshot_between_any_two_events(profile: ServiceProfile) -> None:
    service = service_of(profile)
    run = run_of(session_of(profile), service)
    run.ask("Hi")
    for question in QUESTIONS[:4]:
        run.begin(question)
        while True:
            event = run.next_event()
            assert isinstance(run.session, Session)
            data = json.loads(json.dumps(run.session.snapshot(now=run.clock.now)))
            other = Session.restore(data, now=run.clock.now, profile=profile, random_bytes=os.urandom)
            assert other.snapshot(now=run.clock.now) == run.session.snapshot(now=run.clock.now)
            run.session = other
            if event is None:
                break
    assert len(run.session.conversation.message_history) == 10


@each_revision
@pytest.mark.parametrize("redact_texts", [True, pytest.param(False, marks=DEEP)])
def test_a_conversation_is_recorded_without_secrets_and_replays(profile: ServiceProfile, redact_texts: bool) -> None:
    profile = WITH_IDS if profile is DUCK_AI_2026_10 else profile
    service, lines = service_of(profile), list[str]()
    secret = "5ec7e7" * 4

    def solver(solve: SolveChallenge) -> ChallengeAnswer:
        more = {"durableStream": {"publicKey": {"n": secret}}, "count": 7}
        return ChallengeAnswer(stand_in_answer(solve), (("x-fe-signals", secret),), more)

    recorded = RecordedSession(session_of(profile), lines.append, redact_texts=redact_texts)
    run = run_of(recorded, service, solver=solver)
    for question in QUESTIONS:
        run.ask(question)
    text = "".join(lines)
    transcript = Transcript.read(text)
    assert not any(isinstance(line, Lost) for _, line in transcript.lines)
    assert first_difference(transcript) is None
    assert secret not in text
    for exchange in service.log:
        for name in ("x-vqd-4", "x-vqd-hash-1", "x-ddg-journey-id", "x-message"):
            value = exchange.request.header(name)
            assert not value or value not in text
    assert not run.session.conversation.vqd_hash_1 or run.session.conversation.vqd_hash_1 not in text
    assert not any(id in text for _, id in run.session.conversation.ids)


def test_a_recording_that_goes_on_from_a_snapshot_hides_its_ids() -> None:
    service, lines = service_of(WITH_IDS), list[str]()
    run = run_of(session_of(WITH_IDS), service)
    run.ask("Hi")
    assert isinstance(run.session, Session)
    data = run.session.snapshot(now=run.clock.now)
    restored = RecordedSession.restore(data, now=run.clock.now, write=lines.append, profile=WITH_IDS)
    run.session = restored
    run.ask("And?")
    text = "".join(lines)
    assert first_difference(Transcript.read(text)) is None
    assert [name for name, _ in run.session.conversation.ids] == ["talk_id"]
    assert not any(id in text for _, id in run.session.conversation.ids)
    assert run.session.conversation.vqd_hash_1 not in text


# Cuts and splits


class Moment(NamedTuple):
    """Where a turn begins, in a conversation that nothing disturbs."""

    question: str
    stored: str
    service: Service
    lengths: list[int]  # of the turn's responses
    after: tuple[Message, ...]  # the history when the turn is done


def begun_at(moment: Moment, profile: ServiceProfile, floor: str, **settings: Any) -> Run:
    """Return a run of the same conversation in another process, against a copy of the same service."""
    service, shared = copied(moment.service), ClientState()
    shared.fe_version = service.front_end_version
    policy, conversation = Policy(base_delay=0.0, max_retries=1), Conversation.from_json(moment.stored)
    session = session_of(profile, shared=shared, policy=policy, conversation=conversation)
    return run_of(WireSession(session) if floor == "WireSession" else session, service, **settings)


@cache
def moments(name: str, floor: str) -> list[Moment]:
    """Hold a conversation of five turns, and return where each begins."""
    profile = REVISIONS[name]
    moment = Moment("", Conversation().to_json(), service_of(profile, seed="seed"), [], ())
    found = []
    for question in QUESTIONS:
        run = begun_at(moment, profile, floor)
        run.ask(question)
        after = run.session.conversation
        lengths = [len(bytes(response)) for response in run.responses]
        found.append(moment._replace(question=question, lengths=lengths, after=after.message_history))
        assert isinstance(run.service, Service)
        moment = Moment("", after.to_json(), run.service, [], ())
    return found


def is_its_own(turn: int, at: int, floor: str) -> bool:
    """Share the bytes among turns that are alike: on sessions the later ones, whose first fetches more; else all."""
    if floor == "WireSession":
        return at % len(QUESTIONS) == turn
    return turn == 0 or at % (len(QUESTIONS) - 1) == turn - 1


@each_revision
@pytest.mark.parametrize("floor", ["Session", "WireSession"])
def test_wherever_the_network_breaks_in_five_turns_each_is_whole_or_it_was_not(
    profile: ServiceProfile, floor: str
) -> None:
    name = next(name for name, each in REVISIONS.items() if each is profile)
    places = [
        (moment, number, at)
        for turn, moment in enumerate(moments(name, floor))
        for number, length in enumerate(moment.lengths)
        for at in range(length)
        if is_its_own(turn, at, floor)
    ]
    for moment, number, at in some(places, one_in=160):
        reset = at % 2 == 1  # at every other byte, the connection ends cleanly
        run = begun_at(moment, profile, floor, cut=Cut(number, at, reset=reset))
        before = run.session.conversation.message_history
        try:
            run.ask(moment.question)
        except (TransportError, IncompleteStream, EmptyResponseError, ServiceError):
            # A ServiceError is April's 418: which refusal it is stands in its body, and that was cut.
            assert run.session.conversation.message_history == before
            run.ask(moment.question)
        *earlier, reply = run.session.conversation.message_history
        assert tuple(earlier) == moment.after[:-1]
        if floor == "Session" and not reset:  # where nothing says how long a body is, it may end between two events
            assert moment.after[-1].text.startswith(reply.text)
        else:
            assert reply == moment.after[-1]


@each_revision
@pytest.mark.parametrize("floor", ["Session", "WireSession"])
def test_wherever_the_bytes_of_five_turns_are_split_they_mean_the_same(profile: ServiceProfile, floor: str) -> None:
    name = next(name for name, each in REVISIONS.items() if each is profile)
    places = [
        (moment, at)
        for turn, moment in enumerate(moments(name, floor))
        for at in range(1, max(moment.lengths))
        if is_its_own(turn, at, floor)
    ]
    for moment, at in some(places, one_in=160):
        run = begun_at(moment, profile, floor, chunks=split_at(at))
        run.ask(moment.question)
        assert run.session.conversation.message_history == moment.after


# The service's side


def test_the_challenge_of_the_emulator_says_what_it_is() -> None:
    service = service_of(DUCK_AI_2026_10)
    headers = (*DUCK_AI_2026_10.status_headers[:2], ("user-agent", "x"), ("x-vqd-accept", "1"))
    headers = (*headers, ("origin", "https://duck.ai"), ("referer", "https://duck.ai/"))
    response = service.handle(ServiceRequest("GET", "/duckchat/v1/status", headers), now=0)
    assert [name for name, _ in response.headers if name.startswith("x-")] == ["x-vqd-hash-1"]
    text = base64.b64decode(dict(response.headers)["x-vqd-hash-1"]).decode()
    assert text.startswith("stand-in challenge of the emulator of ddg-protocol, not of the real service; ")


@pytest.mark.parametrize("challenge", ["", "e30=", "not base64", "é", base64.b64encode(b"(function(){})()").decode()])
def test_the_solver_of_the_test_kit_answers_nothing_else(challenge: str) -> None:
    solve = SolveChallenge(id=1, script="", identity=Identity(), challenge=challenge)
    with pytest.raises(UnsupportedChallenge, match="no stand-in challenge"):
        stand_in_answer(solve)


@each_later_one
def test_a_wrong_answer_is_refused_with_the_next_challenge(profile: ServiceProfile) -> None:
    service, asked = service_of(profile), list[SolveChallenge]()

    def solver(solve: SolveChallenge) -> str:
        asked.append(solve)
        return stand_in_answer(solve) if solve.attempt > 1 else "wrong"

    run = run_of(session_of(profile), service, solver=solver)
    run.ask("Hi")
    assert refused(service) == [("chat", "ERR_CHALLENGE")]
    assert [solve.attempt for solve in asked] == [1, 2]
    assert asked[0].challenge != asked[1].challenge
    assert [exchange.endpoint for exchange in service.log].count("status") == 1


@each_later_one
def test_an_answer_counts_once_and_for_its_user_agent(profile: ServiceProfile) -> None:
    service, answers = service_of(profile), list[str]()

    def once(solve: SolveChallenge) -> str:
        answers.append(stand_in_answer(solve))
        return answers[0]

    run = run_of(session_of(profile, policy=Policy(max_challenge_retries=0)), service, solver=once)
    run.ask("Hi")
    with pytest.raises(ChallengeError):
        run.ask("And?")

    def other(solve: SolveChallenge) -> str:
        identity = Identity(user_agent="another", sec_ch_ua="", accept_language="")
        bound = SolveChallenge(id=solve.id, script="", identity=identity, challenge=solve.challenge)
        return stand_in_answer(bound)

    run = run_of(session_of(profile, policy=Policy(max_challenge_retries=0)), service, solver=other)
    with pytest.raises(ChallengeError):
        run.ask("Hi")


@each_later_one
def test_a_question_without_an_answer_is_refused(profile: ServiceProfile) -> None:
    service = Service(profile, strict=True)
    run = Run(session_of(profile, solver="none", answer_challenge="never"), service)
    with pytest.raises(ChallengeError):
        run.ask("Hi")
    assert service.log[-1].reason == "x-vqd-hash-1 is empty"


def test_a_revision_between_the_two_has_plain_scripts_and_no_token() -> None:
    between = DUCKDUCKGO_2025_07.updated({"challenge_form": "script"})
    service = Service(between, strict=True)
    run = Run(Session(between), service)
    run.ask("Hi")
    service.challenge = True
    run.ask("And?")
    assert refused(service) == [("chat", "ERR_CHALLENGE")]
    assert service.log[-1].request.header("x-vqd-hash-1")


def test_a_derived_revision_may_have_a_token_and_an_opaque_challenge() -> None:
    fields = [*map(list, DUCKDUCKGO_2025_07.chat_headers), ["x-vqd-4", "{vqd_4}"]]
    both = DUCKDUCKGO_2025_07.updated({"vqd_4": True, "chat_headers": fields})
    service = service_of(both)
    run = run_of(session_of(both), service)
    for question in QUESTIONS:
        run.ask(question)
    assert refused(service) == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("x-ddg-journey-id", "x", "x-ddg-journey-id must be 32 hexadecimal digits"),
        ("x-message", "0" * 32, "x-message must be a random UUID"),
        ("origin", "https://duckduckgo.com", "origin must be the address"),
        ("referer", "https://duckduckgo.com/", "referer must be the origin"),
        ("content-type", "text/plain", "content-type must be application/json"),
        ("x-fe-version", "old", "x-fe-version must be empty or the version"),
        ("user-agent", "", "user-agent is missing"),
    ],
)
def test_a_request_is_held_to_its_revision(name: str, value: str, reason: str) -> None:
    service = service_of(WITH_IDS)
    run = run_of(session_of(WITH_IDS), service)
    run.ask("Hi")
    sent = service.log[-1].request
    headers = tuple((n, value if n == name else v) for n, v in sent.headers)
    service.handle(ServiceRequest(sent.method, sent.target, headers, sent.body), now=0)
    assert service.log[-1].error == "ERR_BAD_REQUEST"
    assert service.log[-1].reason.startswith(reason)


def test_a_front_end_version_that_is_not_known_is_left_out() -> None:
    service = service_of(DUCK_AI_2026_10, script=[fault_from_text("front_end:500")])
    run = run_of(session_of(DUCK_AI_2026_10), service)
    run.ask("Hi")
    assert service.log[-1].request.header("x-fe-version") is None


def test_the_status_of_july_2025_is_held_to_the_referer_alone() -> None:
    service = service_of(DUCKDUCKGO_2025_07)
    headers = (*DUCKDUCKGO_2025_07.status_headers[:2], ("user-agent", "x"), ("x-vqd-accept", "1"))
    for referer, status in (("https://duckduckgo.com/", 200), ("https://duck.ai/", 400)):
        request = ServiceRequest("GET", "/duckchat/v1/status", (*headers, ("referer", referer)))
        assert service.handle(request, now=0).status == status


def test_a_status_may_be_held_to_neither() -> None:
    bare = DUCKDUCKGO_2025_07.updated({"status_headers": [["user-agent", "{user_agent}"]]})
    request = ServiceRequest("GET", "/duckchat/v1/status", (("user-agent", "x"),))
    assert Service(bare, strict=True).handle(request, now=0).status == 200


def test_no_error_quotes_a_challenge_or_an_answer() -> None:
    service = service_of(DUCK_AI_2026_10)
    run = run_of(session_of(DUCK_AI_2026_10), service, solver=lambda solve: "SECRET")
    with pytest.raises(DuckChatError) as caught:
        run.ask("Hi")
    assert "SECRET" not in repr(caught.value) + repr(service.log) + repr(run.session)
