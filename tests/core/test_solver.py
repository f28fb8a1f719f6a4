"""Challenges of the later revisions: which one counts, who is asked, and what an answer may bring."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from support.cases import each_of
from support.hand import DONE, HELLO, STREAM, Hand, counting

from ddg_protocol import (
    PAUSED,
    Conversation,
    ConversationFormatError,
    DuckChatError,
    HandshakeError,
    LocalProtocolError,
    Policy,
    RateLimitError,
    Retrying,
    SendRequest,
    Session,
    SolveChallenge,
    UnsupportedChallenge,
)
from ddg_protocol.errors import (
    AccessDeniedError,
    BadRequestError,
    BlockedError,
    ChallengeError,
    ConversationLimitError,
    EmptyResponseError,
    InputLimitError,
    ModelUnavailableError,
    ServiceUnavailableError,
    TokenError,
    UserLimitError,
)
from ddg_protocol.events import ChallengeReceived
from ddg_protocol.headers import Headers
from ddg_protocol.intents import ChallengeAnswer
from ddg_protocol.revisions import DUCK_AI_2026_10, DUCKDUCKGO_2025_07

PROFILE = DUCK_AI_2026_10
PAGE = b'<html data-version-tag="serp_1" data-version-sha="abc">'
CHALLENGE = b'{"action":"error","status":418,"type":"ERR_CHALLENGE","overrideCode":"3501"}'
IDS = PROFILE.updated(
    {
        "ids": {
            "journey_id": {"new": "session"},
            "message_id": {"form": "uuid"},
            "conversation_id": {"form": "uuid", "new": "conversation"},
        },
        "extra_body": {"durableStream": {"messageId": "{message_id}", "conversationId": "{conversation_id}"}},
    }
)


def hand_of(profile: Any = PROFILE, **settings: Any) -> Hand:
    return Hand(Session(profile, **{"solver": "embedder", "random_bytes": counting(), **settings}))


def to_status(hand: Hand) -> None:
    """Ask the first question, up to the status request."""
    hand.session.ask("Hi", now=hand.now)
    hand.request_for("duck.ai/")
    hand.answer(body=PAGE)
    hand.request_for("/status")


def to_solve(hand: Hand, challenge: str = "one") -> SolveChallenge:
    """Ask the first question, and return the request to the solver."""
    to_status(hand)
    hand.answer(headers=[("x-vqd-hash-1", challenge)], body=b'{"status":"0"}')
    return solve_of(hand)


def solve_of(hand: Hand) -> SolveChallenge:
    solve = hand.pull()
    assert isinstance(solve, SolveChallenge), solve
    return solve


def solved(hand: Hand, solve: SolveChallenge, answer: str | ChallengeAnswer = "answer") -> SendRequest:
    hand.session.challenge_solved(solve, answer)
    return hand.request_for("/chat")


def replied(hand: Hand, challenge: str = "") -> None:
    hand.answer(headers=[*STREAM, ("x-vqd-hash-1", challenge)], body=HELLO + DONE)
    assert hand.pull() is PAUSED


# The newest challenge counts


def test_the_challenge_of_a_reply_is_answered_with_the_next_question() -> None:
    hand = hand_of()
    solved(hand, to_solve(hand))
    replied(hand, "two")
    assert (hand.session.conversation.vqd, hand.session.conversation.vqd_hash_1) == ("", "two")
    hand.session.ask("And?", now=hand.now)
    solve = solve_of(hand)  # no status request came before it
    assert (solve.challenge, solve.attempt) == ("two", 1)
    solved(hand, solve)
    replied(hand)
    assert hand.session.conversation.vqd_hash_1 == ""
    hand.session.ask("And then?", now=hand.now)
    hand.request_for("/status")


def test_the_challenge_of_a_refusal_is_answered_at_once() -> None:
    hand = hand_of()
    solved(hand, to_solve(hand))
    hand.answer(418, [("x-vqd-hash-1", "two")], CHALLENGE)
    solve = solve_of(hand)
    assert (solve.challenge, solve.attempt) == ("two", 2)
    assert ChallengeReceived() in hand.events
    assert dict(solved(hand, solve, "better").headers)["x-vqd-hash-1"] == "better"
    replied(hand, "three")
    assert hand.session.conversation.vqd_hash_1 == "three"


def test_after_a_refusal_without_a_challenge_the_status_is_asked() -> None:
    hand = hand_of()
    solved(hand, to_solve(hand))
    hand.answer(418, body=CHALLENGE)
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-hash-1", "two")])
    assert solve_of(hand).challenge == "two"


def test_a_challenge_under_a_reply_s_error_is_answered_too() -> None:
    hand = hand_of()
    solved(hand, to_solve(hand))
    hand.answer(headers=[*STREAM, ("x-vqd-hash-1", "two")], body=b"data: " + CHALLENGE + b"\n\n")
    assert solve_of(hand).challenge == "two"


def test_a_challenge_that_was_spent_in_vain_is_not_used_again() -> None:
    hand = hand_of()
    solved(hand, to_solve(hand))
    replied(hand, "two")
    hand.session.ask("And?", now=hand.now)
    solved(hand, solve_of(hand))
    hand.answer(404, body=b"{}")
    with pytest.raises(Exception, match="refused"):
        hand.pull()
    assert hand.session.conversation.vqd_hash_1 == ""


def test_an_x_vqd_4_is_not_needed_and_not_kept() -> None:
    hand = hand_of()
    to_status(hand)
    hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", "one")])
    request = solved(hand, solve_of(hand))
    assert "x-vqd-4" not in dict(request.headers)
    hand.answer(headers=[*STREAM, ("x-vqd-4", "4-2"), ("x-vqd-hash-1", "two")], body=HELLO + DONE)
    assert hand.pull() is PAUSED
    assert hand.session.conversation.vqd == ""


def test_a_status_without_a_challenge_is_told_apart_from_a_refusal() -> None:
    hand = hand_of(policy=Policy(max_retries=1))
    to_status(hand)
    hand.answer(body=b'{"status":"0"}')
    hand.request_for("/status")
    hand.answer(body=b'{"status":"0"}')
    with pytest.raises(HandshakeError, match=r"no challenge \(x-vqd-hash-1\), and is no refusal"):
        hand.pull()


def test_after_a_rate_limit_no_landing_page_is_visited_where_there_is_none() -> None:
    hand = hand_of(policy=Policy(max_retries=1))
    solved(hand, to_solve(hand))
    hand.answer(429, [("x-vqd-hash-1", "two")])
    hand.request_for("/status")
    hand.answer(429)
    hand.request_for("/status")
    hand.answer(429)
    with pytest.raises(RateLimitError):
        hand.pull()


# The solver's seam


def test_the_solver_is_told_all_that_an_answer_can_be_bound_to() -> None:
    hand = hand_of(model="claude-haiku-4-5")
    solve = to_solve(hand, "Y2hhbGxlbmdl")
    assert solve.script == ""
    assert (solve.challenge, solve.origin, solve.fe_version) == ("Y2hhbGxlbmdl", "https://duck.ai", "serp_1-abc")
    assert (solve.model, solve.attempt, solve.identity) == ("claude-haiku-4-5", 1, PROFILE.identity)


def test_the_solver_of_april_2025_is_told_the_same_and_the_script() -> None:
    script = "(function(){return 1})()"
    challenge = base64.b64encode(script.encode()).decode()
    hand = Hand(Session(solver="embedder", answer_challenge="always"))
    hand.session.ask("Hi", now=0)
    hand.request_for("duckai=1")
    hand.answer()
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", challenge)])
    solve = solve_of(hand)
    assert (solve.script, solve.challenge, solve.origin) == (script, challenge, "https://duckduckgo.com")
    request = solved(hand, solve, ChallengeAnswer("e30=", (("x-more", "1"),), {"more": 1}))
    assert request.headers[-3:] == (("x-vqd-hash-1", "e30="), ("x-more", "1"), ("cookie", "dcs=1; dcm=3"))
    assert json.loads(request.body)["more"] == 1


def test_without_a_solver_no_question_is_sent_and_the_error_says_what_is_missing() -> None:
    hand = hand_of(solver="none")
    to_status(hand)
    hand.answer(headers=[("x-vqd-hash-1", "one")])
    with pytest.raises(ChallengeError, match=r"pass a solver .* see docs/revisions\.md"):
        hand.pull()
    assert hand.request is not None
    assert hand.request.url.endswith("/status")


def test_with_never_a_question_is_sent_without_an_answer() -> None:
    hand = hand_of(solver="none", answer_challenge="never")
    to_status(hand)
    hand.answer(headers=[("x-vqd-hash-1", "one")])
    assert "x-vqd-hash-1" not in dict(hand.request_for("/chat").headers)
    hand.answer(418, [("x-vqd-hash-1", "two")], CHALLENGE)
    with pytest.raises(ChallengeError):
        hand.pull()


@pytest.mark.parametrize("tries", [0, 1, 3])
def test_how_often_a_question_is_repeated_with_another_answer_is_policy(tries: int) -> None:
    hand = hand_of(policy=Policy(max_challenge_retries=tries))
    solve = to_solve(hand)
    for attempt in range(1, tries + 2):
        assert solve.attempt == attempt
        solved(hand, solve)
        hand.answer(418, [("x-vqd-hash-1", f"next{attempt}")], CHALLENGE)
        if attempt <= tries:
            solve = solve_of(hand)
    with pytest.raises(ChallengeError):
        hand.pull()


@pytest.mark.parametrize(("tries", "why"), [(4, "at most 3, not 4"), (-1, "0 or more"), (1.5, "a whole number")])
def test_the_tries_are_bounded(tries: Any, why: str) -> None:
    with pytest.raises(ValueError, match=f"max_challenge_retries must be .*{why}"):
        Policy(max_challenge_retries=tries)


def test_a_challenge_longer_than_the_policy_allows_is_not_handed_out() -> None:
    hand = hand_of(policy=Policy(max_challenge_bytes=3))
    to_status(hand)
    hand.answer(headers=[("x-vqd-hash-1", "four")])
    with pytest.raises(UnsupportedChallenge, match="longer than 3 bytes"):
        hand.pull()


def test_an_answer_may_bring_header_fields_and_members_for_its_own_request() -> None:
    hand = hand_of()
    answer = ChallengeAnswer(
        "a", (("x-more", "1"), ("x-fe-signals", "e30=")), {"durableStream": {"a": 1}, "canUseTools": 1}
    )
    request = solved(hand, to_solve(hand), answer)
    names = [name for name, _ in request.headers]
    assert names[names.index("x-fe-version") + 1] == "x-fe-signals"  # where the profile places it
    assert request.headers[-1] == ("x-more", "1")
    body = json.loads(request.body)
    assert (body["durableStream"], body["canUseTools"]) == ({"a": 1}, 1)
    assert list(body)[2] == "canUseTools"
    replied(hand, "two")
    hand.session.ask("And?", now=hand.now)
    again = solved(hand, solve_of(hand), "b")
    assert not {"x-more", "x-fe-signals"} & {name for name, _ in again.headers}
    assert "durableStream" not in json.loads(again.body)


def test_an_answer_that_is_not_known_to_be_spent_goes_out_again_with_all_it_brought() -> None:
    from ddg_protocol import FailureKind

    hand = hand_of()
    first = solved(hand, to_solve(hand), ChallengeAnswer("a", (("x-more", "1"),), {"b": 1}))
    hand.fail(FailureKind.NOT_SENT)
    second = hand.request_for("/chat")
    assert (second.headers, second.body) == (first.headers, first.body)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("two words", "visible ASCII"),
        (7, "answer must be text or a ChallengeAnswer, not int"),
        (ChallengeAnswer("a\n"), "visible ASCII"),
        (ChallengeAnswer("x" * 65537), "at most 64 KiB"),
        (ChallengeAnswer(7), "has the wrong type"),  # type: ignore[arg-type]
        (ChallengeAnswer("a", (("x", 1),)), "has the wrong type"),  # type: ignore[arg-type]
        (ChallengeAnswer("a", (("X-A", "1"),)), "'X-A' is not a header name"),
        (ChallengeAnswer("a", (("x a", "1"),)), "not a header name"),
        (ChallengeAnswer("a", (("x-a", "1\r\nb: c"),)), "x-a has a value that is not ASCII text"),
        (ChallengeAnswer("a", (("x-a", "é"),)), "not ASCII text"),
        (ChallengeAnswer("a", (("x-a", "1"), ("x-a", "1"))), "x-a is there twice"),
        (ChallengeAnswer("a", (("x-a", "x" * 65534),)), "at most 32, and at most 64 KiB"),
        (ChallengeAnswer("a", tuple((f"x-{number}", "1") for number in range(33))), "at most 32"),
        *(
            (ChallengeAnswer("a", ((name, "1"),)), f"{name} is not a solver's to give")
            for name in ("host", "cookie", "content-length", "user-agent", "origin", "x-vqd-hash-1", "accept")
        ),
        (ChallengeAnswer("a", (), {"model": "m"}), "not model or messages"),
        (ChallengeAnswer("a", (), {"messages": []}), "not model or messages"),
        (ChallengeAnswer("a", (), {7: 1}), "has the wrong type"),  # type: ignore[dict-item]
        (ChallengeAnswer("a", (), {"a": object()}), "can't be written as JSON"),
        (ChallengeAnswer("a", (), {"a": "\ud800"}), "can't be written as JSON"),
        (ChallengeAnswer("a", (), {"a": float("nan")}), "can't be written as JSON"),
        (ChallengeAnswer("a", (), {"a": "x" * 65529}), "members must be at most 64 KiB"),
    ],
)
def test_an_answer_that_can_not_be_sent_is_refused_and_another_may_follow(answer: Any, why: str) -> None:
    hand = hand_of()
    solve = to_solve(hand)
    with pytest.raises(LocalProtocolError, match=why):
        hand.session.challenge_solved(solve, answer)
    assert hand.session.next_action(now=hand.now) == solve
    solved(hand, solve)


def test_an_answer_that_just_fits_is_sent() -> None:
    hand = hand_of()
    fields = (*((f"x-{number:02}", "1") for number in range(31)), ("x-long", "x" * (64 * 1024 - 31 * 5 - 6)))
    answer = ChallengeAnswer("x" * 64 * 1024, fields, {"a": "x" * (64 * 1024 - len('{"a":""}'))})
    request = solved(hand, to_solve(hand), answer)
    assert request.headers[-32:] == fields
    assert dict(request.headers)["x-vqd-hash-1"] == answer.value
    assert json.loads(request.body)["a"] == answer.body["a"]


def test_an_answer_may_not_replace_what_april_2025_writes() -> None:
    hand = Hand(Session(solver="embedder", answer_challenge="always"))
    hand.session.ask("Hi", now=0)
    for path in ("duckai=1", "/aichat"):
        hand.request_for(path)
        hand.answer()
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", "e30=")])
    solve = solve_of(hand)
    for name in ("x-fe-version", "x-vqd-4", "sec-ch-ua", "content-type"):
        with pytest.raises(LocalProtocolError, match=f"{name} is not a solver's to give"):
            hand.session.challenge_solved(solve, ChallengeAnswer("a", ((name, "1"),)))


# Ids


def ids_of(request: SendRequest) -> tuple[str, str, str]:
    stream = json.loads(request.body)["durableStream"]
    return dict(request.headers)["x-ddg-journey-id"], stream["messageId"], stream["conversationId"]


def test_ids_stay_the_same_for_as_long_as_the_profile_says() -> None:
    hand = hand_of(IDS)
    journey, message, conversation = ids_of(solved(hand, to_solve(hand)))
    replied(hand, "two")
    hand.session.ask("And?", now=hand.now)
    second = ids_of(solved(hand, solve_of(hand)))
    assert (second[0], second[2]) == (journey, conversation)
    assert second[1] != message
    replied(hand, "three")
    # Another session continues the conversation, and is another session.
    stored = Conversation.from_json(hand.session.conversation.to_json())
    other = hand_of(IDS, conversation=stored, random_bytes=lambda length: b"\xff" * length)
    other.session.ask("And then?", now=0)
    third = ids_of(solved(other, solve_of(other)))
    assert third[0] == "f" * 32
    assert third[1] == "ffffffff-ffff-4fff-bfff-ffffffffffff"
    assert third[2] == conversation


def test_a_conversation_that_came_to_nothing_leaves_no_id() -> None:
    hand = hand_of(IDS)
    solved(hand, to_solve(hand))
    hand.session.cancel()
    assert hand.session.conversation.ids == ()


def test_ids_are_made_for_a_profile_that_has_some_and_no_other() -> None:
    def never(length: int) -> bytes:
        raise AssertionError("nobody needs it")

    hand = Hand(Session(random_bytes=never))
    hand.to_chat()


@each_of(
    "data, uuid",
    [
        (bytes(16), "00000000-0000-4000-8000-000000000000"),
        (b"\xff" * 16, "ffffffff-ffff-4fff-bfff-ffffffffffff"),
        (bytes(range(16)), "00010203-0405-4607-8809-0a0b0c0d0e0f"),
    ],
)
def test_an_id_has_all_the_random_bits_and_the_version_of_a_uuid(data: bytes, uuid: str) -> None:
    counts: list[int] = []

    def random_bytes(count: int) -> bytes:
        counts.append(count)
        return data

    hand = hand_of(IDS, random_bytes=random_bytes)
    journey, *made = ids_of(solved(hand, to_solve(hand)))
    assert (journey, made) == (data.hex(), [uuid] * 2)
    assert set(counts) == {16}


def test_ids_without_a_source_of_randomness_are_zeros() -> None:
    hand = Hand(Session(IDS, solver="embedder"))
    journey, message, _ = ids_of(solved(hand, to_solve(hand)))
    assert journey == "0" * 32
    assert message == "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        ((("a", "x y"),), "ids must be visible ASCII"),
        ((("a", "x" * 129),), "of 128 characters"),
        (tuple((f"a{number}", "x") for number in range(33)), "at most 32"),
        ((("\ud800", "x"),), "half of a surrogate pair"),
    ],
)
def test_ids_that_can_not_be_sent_make_no_conversation(ids: tuple[tuple[str, str], ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Conversation(ids=ids)


# Snapshots and secrets


def test_a_turn_goes_on_in_another_session_from_every_moment() -> None:
    hand = hand_of(IDS)
    answer = ChallengeAnswer("answer", (("x-more", "1"),), {"more": [1]})

    def moved() -> None:
        data = json.loads(json.dumps(hand.session.snapshot(now=hand.now)))
        hand.session = Session.restore(data, now=hand.now, profile=IDS, random_bytes=lambda length: b"\x09" * length)

    solve = to_solve(hand)
    moved()
    assert hand.pull() == solve
    hand.session.challenge_solved(solve, answer)
    moved()
    request = hand.request_for("/chat")
    moved()
    journey, _, conversation = ids_of(request)
    assert journey == f"{0:032x}"
    assert dict(request.headers)["x-more"] == "1"
    assert json.loads(request.body)["more"] == [1]
    hand.request = hand.session.request
    hand.answer(418, [("x-vqd-hash-1", "two")], CHALLENGE)
    solve = solve_of(hand)
    moved()
    assert (solve.challenge, solve.attempt) == ("two", 2)
    again = ids_of(solved(hand, solve))
    assert (again[0], again[2]) == (journey, conversation)
    replied(hand, "three")
    moved()
    assert hand.session.conversation.vqd_hash_1 == "three"
    assert hand.session.conversation.ids == (("conversation_id", conversation),)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("phase.turn.credentials.tokens.vqd_hash_1", "", "without a challenge"),
        ("phase.turn.credentials.headers", [["host", "x"]], "host is not a solver's to give"),
        ("phase.turn.ids", {"a": "x y"}, "ids must be visible ASCII"),
        ("ids", {"a": "x y"}, "ids must be visible ASCII"),
    ],
)
def test_a_snapshot_with_what_can_not_be_sent_is_refused(place: str, value: object, says: str) -> None:
    hand = hand_of(IDS)
    solved(hand, to_solve(hand))
    data = hand.session.snapshot(now=hand.now)
    *path, last = place.split(".")
    inner = data
    for name in path:
        inner = inner[name]
    inner[last] = value
    with pytest.raises(ConversationFormatError, match=says):
        Session.restore(data, now=0, profile=IDS)


def test_an_answer_in_a_snapshot_is_checked() -> None:
    hand = hand_of()
    hand.session.challenge_solved(to_solve(hand), "answer")
    data = hand.session.snapshot(now=hand.now)
    data["phase"]["outcome"]["headers"] = [["cookie", "x"]]
    with pytest.raises(ConversationFormatError, match="cookie is not a solver's to give"):
        Session.restore(data, now=0, profile=PROFILE)


def test_no_secret_is_shown() -> None:
    hand = hand_of(IDS, random_bytes=lambda length: b"\xab" * length)
    solve = to_solve(hand, "SECRET-CHALLENGE")
    answer = ChallengeAnswer("SECRET-ANSWER", (("x-more", "SECRET-FIELD"),), {"more": "SECRET-MEMBER"})
    request = solved(hand, solve, answer)
    texts = [repr(each) for each in (solve, answer, request, hand.session, hand.session.conversation)]
    assert "SECRET" in request.body.decode()
    assert not any("SECRET" in text or "abab" in text for text in texts)
    assert repr(answer) == "ChallengeAnswer(value=<13 characters>, headers=<1 fields>, body=<1 members>)"


# What the record of October 2026 says of errors, by a whole turn

#: What the session does after each error of the record, in its order, and the exception if that comes every time.
FOLLOWS: list[tuple[type[DuckChatError], str]] = [
    (ChallengeError, "solve"),
    (ChallengeError, "end"),  # for a person
    (ChallengeError, "end"),
    (BlockedError, "end"),
    (RateLimitError, "wait"),
    (UserLimitError, "end"),
    (InputLimitError, "end"),
    (ConversationLimitError, "end"),
    (RateLimitError, "wait"),
    (ServiceUnavailableError, "back off"),
    (ModelUnavailableError, "end"),
    (ModelUnavailableError, "end"),
    (BadRequestError, "end"),
    (BadRequestError, "end"),
    (TokenError, "once"),
    (BadRequestError, "end"),
    (AccessDeniedError, "once"),  # 401
    (AccessDeniedError, "end"),  # 403
    (ServiceUnavailableError, "back off"),
    (ServiceUnavailableError, "back off"),  # in the stream
    (ChallengeError, "solve"),
    (EmptyResponseError, "once"),
]
DELAYS = {"solve": [], "end": [], "once": [0.0], "wait": [60.0], "back off": [4.0]}


def chat_of(case: dict[str, Any]) -> tuple[int, Headers, bytes]:
    body = case["body"].encode()
    return (200, STREAM, body and b"data: " + body + b"\n\n") if case["status"] == 200 else (case["status"], (), body)


def answered(hand: Hand, response: tuple[int, Headers, bytes]) -> None:
    """Answer whatever is asked until the turn ends: each chat request with the same response."""
    hand.session.ask("Hi", now=hand.now)
    while True:
        match hand.pull():
            case SolveChallenge() as solve:
                hand.session.challenge_solved(solve, "answer")
            case SendRequest() as request if request.url.endswith("/chat"):
                hand.answer(*response)
            case SendRequest():
                hand.answer(headers=[("x-vqd-hash-1", "one")], body=PAGE)


def test_every_error_of_october_2026_has_the_consequence_of_its_row(vectors: Path) -> None:
    cases = json.loads((vectors / "revisions" / "errors-2026-10.json").read_bytes())
    *of_chat, of_status = cases
    for case, (exception, follows) in zip(of_chat, FOLLOWS, strict=True):
        hand = hand_of(policy=Policy(max_retries=1), jitter=lambda: 0.0)
        with pytest.raises(exception) as caught:
            answered(hand, chat_of(case))
        assert type(caught.value) is exception, case
        assert [event.delay for event in hand.events if isinstance(event, Retrying)] == DELAYS[follows], case
        assert (ChallengeReceived() in hand.events) == (follows == "solve"), case
    assert (of_status["status"], of_status["body"]) == (200, '{"status":"0"}')  # that is the test above


def test_a_throttled_status_request_waits_as_the_profile_says() -> None:
    hand = hand_of(policy=Policy(max_retries=1))
    to_status(hand)
    hand.answer(body=b'{"status":"0"}')
    before = hand.now
    hand.request_for("/status")
    assert hand.now == before + PROFILE.throttle_delay == before + 60.0
    assert DUCKDUCKGO_2025_07.throttle_delay == 60.0  # its service throttled in the same way
    hand.answer(headers=[("x-vqd-hash-1", "one")], body=b'{"status":"0"}')
    assert solved(hand, solve_of(hand)).method == "POST"


def test_an_answer_is_sent_as_it_was_given_whatever_becomes_of_the_solver_s_own() -> None:
    hand, members = hand_of(), {"signals": [1]}
    solve = to_solve(hand)
    hand.session.challenge_solved(solve, ChallengeAnswer("answer", (), members))
    members["signals"].append(object())  # type: ignore[arg-type]
    assert json.loads(hand.request_for("/chat").body)["signals"] == [1]


def test_ids_of_another_revision_are_neither_sent_nor_kept() -> None:
    stored = Conversation(
        ids=(("conversation_id", "0" * 32), ("journey_id", "0" * 32), *((f"other_{n}", "x") for n in range(30)))
    )
    hand = hand_of(IDS, conversation=stored)
    request = solved(hand, to_solve(hand))
    assert len(json.loads(request.body)["durableStream"]["conversationId"]) == 36
    replied(hand)
    assert [name for name, _ in hand.session.conversation.ids] == ["conversation_id"]


def test_a_session_restored_with_another_profile_drops_the_ids_that_are_not_its_own() -> None:
    many = PROFILE.updated(
        {
            "ids": {f"id_{n}": {"new": "session"} for n in range(29)}
            | {"journey_id": {"new": "session"}, "conversation_id": {"new": "conversation"}}
            | {"talk_id": {"new": "conversation"}}
        }
    )
    hand = hand_of(many)
    solve = to_solve(hand)
    data = hand.session.snapshot(now=hand.now)
    other = Session.restore(data, now=hand.now, profile=IDS, random_bytes=counting())
    kept = other.snapshot(now=hand.now)
    assert list(kept["ids"]) == ["journey_id"]
    again = Hand(other)
    again.now = hand.now
    conversation = ids_of(solved(again, solve))[2]
    assert len(conversation) == len("00000000-0000-4000-8000-000000000000")
    replied(again)
    assert other.conversation.ids == (("conversation_id", conversation),)


def test_a_profile_has_no_more_ids_than_a_conversation_can_hold() -> None:
    with pytest.raises(ValueError, match="ids: a profile may have 32 ids, not 34"):
        PROFILE.updated({"ids": {f"id_{n}": {} for n in range(33)} | {"journey_id": {}}})
