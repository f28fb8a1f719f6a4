"""A session over time: determinism, many sessions at once, slow and hostile peers, what it costs."""

from __future__ import annotations

import copy
import gc
import gzip
import hashlib
import heapq
import json
import sys
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.facing import Run
from support.hand import DONE, HELLO, PAGE, STREAM, Hand, echoing, move_to
from support.tiers import examples

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ChatTimeoutError,
    ClientState,
    Conversation,
    ConversationFormatError,
    Cookie,
    DuckChatError,
    FailureKind,
    LocalProtocolError,
    Policy,
    SendRequest,
    Session,
    SolveChallenge,
    TextDelta,
    TransportError,
    TurnFinished,
    TurnStarted,
    UnsupportedChallenge,
    Wait,
)
from ddg_protocol._state import State
from ddg_protocol.errors import AccessDeniedError, InputLimitError, StreamTooLarge
from ddg_protocol.events import FrontEndVersionUnknown, Queued
from ddg_protocol.service import ServiceResponse

WARM = Conversation(vqd="4-0", fe_version="x-y")
"""Whoever goes on from it, with cookies of their own, asks at once."""


def test_the_deadline_of_what_follows_a_reply_is_the_drains_own() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    assert hand.pull() is NEED_DATA
    hand.now += 29.5  # half a second before the read timeout
    hand.session.receive_data(request, HELLO + DONE)
    assert hand.pull() is NEED_DATA
    assert hand.session.state is State.DRAINING
    assert hand.session.deadline == hand.now + 1.0
    hand.now += 1.0
    assert hand.pull() is PAUSED
    assert hand.events[-3:] == [TextDelta("Hel"), TextDelta("lo"), TurnFinished("Hello", "stop", "gpt-4o-mini", None)]


# Pacing


def answer_front_end(hand: Hand) -> None:
    hand.request_for("duckai=1")
    hand.answer(body=PAGE)


def next_wait(hand: Hand) -> Wait:
    """Pull past events; the next intent is a wait."""
    while isinstance(action := hand.session.next_action(now=hand.now), FrontEndVersionUnknown | TurnStarted | Queued):
        pass
    assert isinstance(action, Wait), action
    return action


def test_a_request_that_began_late_keeps_the_next_one_away_from_it() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    answer_front_end(hand)
    wait = next_wait(hand)
    assert wait.until == 1.5
    hand.now = 100.0  # the caller slept too long
    hand.session.wait_elapsed(wait)
    hand.request_for("/aichat")
    hand.answer()
    assert next_wait(hand).until == 101.5


def test_a_request_that_began_late_keeps_those_away_that_wait() -> None:
    shared = ClientState()
    first, second, third = (Hand(Session(conversation=WARM, cookies={}, shared=shared)) for _ in range(3))
    for hand in (first, second, third):
        hand.session.ask("Hi", now=0)
    first.request_for("/chat")
    wait, other = next_wait(second), next_wait(third)
    assert (wait.until, other.until) == (1.5, 1.5)
    second.now = 2.75
    second.session.wait_elapsed(wait)
    second.request_for("/chat")
    third.now = 3.0
    third.session.wait_elapsed(other)
    again = next_wait(third)
    assert (again.until, again.reason) == (4.25, "pacing")
    third.now = 4.25
    third.session.wait_elapsed(again)
    third.request_for("/chat")


def test_a_wait_is_over_when_the_driver_says_so_and_the_next_request_is_counted_from_its_time() -> None:
    hand = Hand(Session(jitter=lambda: 0.0))
    hand.session.ask("Hi", now=0)
    answer_front_end(hand)
    wait = next_wait(hand)
    hand.now = 1.25  # a timer that is early, or a clock that stands
    hand.session.wait_elapsed(wait)
    hand.request_for("/aichat")
    hand.answer()
    assert next_wait(hand).until == 3.0


def test_a_whole_turn_by_a_clock_that_stands() -> None:
    hand = Hand(Session(jitter=lambda: 0.0))
    hand.session.ask("Hi", now=0)
    untils = []
    for response in (
        (200, (), PAGE),
        (200, (), b""),
        (503, (), b""),
        (200, [("x-vqd-4", "4-1")], b""),
        (200, STREAM, b'data: {"action":"success","message":"Hello"}\n\ndata: [DONE]\n\n'),
    ):
        while not isinstance(action := hand.session.next_action(now=0), SendRequest):
            if isinstance(action, Wait):
                untils.append(action.until)
                hand.session.wait_elapsed(action)
        hand.request = action
        hand.answer(*response)
    assert hand.pull() is PAUSED
    # Pacing, pacing, backoff and what pacing adds to it, pacing.
    assert untils == [1.5, 3.0, 2.0, 5.25, 6.75]
    assert hand.session.conversation.message_history[-1].content == "Hello"


# Snapshots that were tampered with


def snapshot_with(state: State, path: str, value: Any) -> Any:
    """Give a state's snapshot with another value at a place."""
    data = snapshot_in(state, reported=state is State.REQUESTING)
    *folders, name = path.split(".")
    value_at(data, tuple(folders))[name] = value
    return data


@each_of(
    "state, path, value, says",
    [
        (State.WAITING, "phase.outcome", {"type": "Solved", "answer": "x"}, "outcome"),
        (State.READY, "phase.outcome", {"type": "Solved", "answer": "x"}, "outcome"),
        (State.SOLVING, "phase.outcome", {"type": "Solved", "answer": "a\r\nb"}, "ASCII"),
        (State.WAITING, "phase.turn.messages", [], "history and a question"),
        (State.WAITING, "phase.turn.messages", [{"role": "assistant", "content": "Hi"}], "history and a question"),
        (State.WAITING, "phase.turn.messages", [{"role": "user", "content": "x"}] * 2, "history and a question"),
        (State.WAITING, "phase.turn.messages", [{"role": "user", "content": "\ud800"}], "surrogate"),
        (State.WAITING, "phase.turn.retries", {"chat": 1}, "retries"),
        (State.WAITING, "phase.turn.retries.landing page", -1, "retries"),
        (State.WAITING, "phase.turn.retries.status", 10**400, "retries"),
        (State.STREAMING, "phase.exchange.awaited", "receive_head", "order"),
        (State.STREAMING, "phase.exchange.awaited", "nothing", "order"),
        (State.STREAMING, "phase.exchange.received", -1, "received"),
        (State.STREAMING, "phase.body.decoded", -1, "decoded"),
        (State.STREAMING, "phase.body.status", 1000, "status"),
        (State.STREAMING, "phase.reader.size", -1, "size"),
        (State.STREAMING, "phase.exchange.head", {"type": "Head", "status": 9, "headers": [], "now": 0.0}, "status"),
        (State.STREAMING, "phase.exchange.head", {"type": "Head", "status": 200, "headers": [], "now": 0.0}, "order"),
        (State.STREAMING, "phase.exchange.request.url", "https://[", "URL"),
        (State.SOLVING, "phase.solve.script", "\ud800", "surrogate"),
    ],
)
def test_what_no_session_can_have_come_to_is_refused(state: State, path: str, value: Any, says: str) -> None:
    with pytest.raises(ConversationFormatError, match=says):
        Session.restore(snapshot_with(state, path, value), now=0)


@each_of(
    "state, path, last, past",
    [
        (State.READY, "last_id", 2**53 - 1, 2**53),
        (State.READY, "held_until", 1e12, 1e12 + 0.5),
        (State.READY, "last_start", -1e12, -1e12 - 0.5),
        (State.WAITING, "phase.turn.retries.status", 2**31 - 1, 2**31),
        (State.WAITING, "phase.wait.until", 1e9, 1e9 + 0.5),
        (State.STREAMING, "phase.body.status", 100, 99),
        (State.STREAMING, "phase.body.status", 999, 1000),
        (State.REQUESTING, "phase.exchange.head.status", 100, 99),
        (State.REQUESTING, "phase.exchange.head.status", 999, 1000),
    ],
)
def test_a_number_in_a_snapshot_is_read_up_to_its_bound(state: State, path: str, last: Any, past: Any) -> None:
    Session.restore(snapshot_with(state, path, last), now=0)
    with pytest.raises(ConversationFormatError, match="the snapshot can't be read"):
        Session.restore(snapshot_with(state, path, past), now=0)


@pytest.mark.parametrize(("good", "request_follows"), [(True, True), (False, False)])
def test_an_outcome_that_was_not_looked_at_is_kept(good: bool, request_follows: bool) -> None:
    hand = move_to(State.SOLVING)
    solve = hand.session.next_action(now=hand.now)
    assert isinstance(solve, SolveChallenge)
    hand.session.challenge_solved(solve, "YW5zd2Vy") if good else hand.session.challenge_failed(solve, "no idea")
    data = json.loads(json.dumps(hand.session.snapshot(now=hand.now)))
    again = Hand(Session.restore(data, now=hand.now))
    again.now = hand.now
    if request_follows:
        assert dict(again.request_for("/chat").headers)["x-vqd-hash-1"] == "YW5zd2Vy"
    else:
        with pytest.raises(UnsupportedChallenge, match="no idea"):
            again.pull()


def test_reports_that_were_not_looked_at_are_kept_where_they_are_in_order() -> None:
    hand = Hand()
    hand.to_chat()
    waiting = hand.session.snapshot(now=hand.now)
    hand.fail(FailureKind.CUT)
    failed = hand.session.snapshot(now=hand.now)
    with pytest.raises(TransportError, match="it broke"):
        Session.restore(failed, now=0).next_action(now=0)
    ended = copy.deepcopy(failed)
    ended["phase"]["exchange"]["end"] = {"type": "End"}
    early = copy.deepcopy(waiting)
    early["phase"]["exchange"]["chunks"] = ["eA=="]
    for data in (ended, early):
        with pytest.raises(ConversationFormatError, match="out of order"):
            Session.restore(data, now=0)


def paths_of(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to each value within JSON data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from paths_of(value, (*path, key))


def value_at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def snapshot_in(state: State, *, reported: bool) -> Any:
    hand = move_to(state)
    if reported and state is State.REQUESTING:
        hand = Hand()
        hand.to_chat()
        hand.answer(200, STREAM, HELLO)
    elif reported and state is State.STREAMING and hand.request is not None:
        hand.session.receive_data(hand.request, HELLO)
        hand.session.receive_eof(hand.request)
    return json.loads(json.dumps(hand.session.snapshot(now=hand.now)))


def go_on(session: Session) -> None:
    """Drive a session for a while, whatever it wants."""
    now = 0.0
    request = session.request
    for _ in range(60):
        try:
            match session.next_action(now=now):
                case Wait() as wait:
                    now = min(max(now, wait.until), now + 100)
                    session.wait_elapsed(wait)
                case SolveChallenge() as solve:
                    session.challenge_solved(solve, "YW5zd2Vy")
                case SendRequest() as request:
                    session.receive_head(request, 200, [*STREAM, ("x-vqd-4", "4-1")], now=now)
                    session.receive_data(request, HELLO + DONE)
                case action if action is NEED_DATA and request is not None:
                    now += 20
                    session.receive_eof(request)
                case action if action is PAUSED:
                    if session.state is State.CLOSED:
                        return
                    session.ask("Hi", now=now)
        except DuckChatError:
            pass


SNAPSHOTS = [snapshot_in(state, reported=reported) for state in State for reported in (False, True)]
ODD: list[Any] = [None, True, 0, -1, 7, 10**30, 1.5, -1e308, [], {}, [[]], {"x": 1}]
ODD += ["", "x", "e30=", "\ud800", "a\r\nb", "https://["]


@settings(max_examples=examples(600), derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_snapshot_with_anything_in_the_place_of_anything_is_refused_or_goes_on(data: st.DataObject) -> None:
    snapshot = copy.deepcopy(data.draw(st.sampled_from(SNAPSHOTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(paths_of(snapshot))))
        parent, key = value_at(snapshot, path[:-1]), path[-1]
        kind = data.draw(st.sampled_from(["odd", "other", "without"]))
        if kind == "odd":
            parent[key] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
        elif kind == "other":
            other = data.draw(st.sampled_from(SNAPSHOTS))
            parent[key] = copy.deepcopy(value_at(other, data.draw(st.sampled_from(list(paths_of(other))))))
        else:
            del parent[key]
    try:
        session = Session.restore(snapshot, now=0.0)
    except ConversationFormatError:
        return
    go_on(session)


# What is given at the beginning


def test_a_question_that_is_half_a_character_is_refused_and_changes_nothing() -> None:
    hand = Hand()
    with pytest.raises(LocalProtocolError, match="surrogate"):
        hand.session.ask("\ud83d", now=0)
    assert hand.session.state is State.READY
    hand.to_chat()


@pytest.mark.parametrize(
    "question",
    [
        "",
        " \n",
        [{"role": "user", "content": ""}],
        [{"role": "system", "content": " "}, {"role": "user", "content": ""}],
    ],
)
def test_a_blank_question_is_refused_before_anything_is_sent(question: Any) -> None:
    hand = Hand()
    with pytest.raises(LocalProtocolError, match="the question is empty"):
        hand.session.ask(question, now=0)
    assert hand.session.state is State.READY
    hand.to_chat()


def test_a_blank_question_of_a_later_turn_is_refused_too() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(200, STREAM, HELLO + DONE)
    while hand.pull() is not PAUSED:
        pass
    for question in ("", " ", [{"role": "assistant", "content": "So."}, {"role": "user", "content": " "}]):
        with pytest.raises(LocalProtocolError, match="the question is empty"):
            hand.session.ask(question, now=hand.now)


def test_cookies_may_be_given_with_all_that_belongs_to_them() -> None:
    own = [
        Cookie(name="a", value="1", domain="duckduckgo.com", path="/duckchat"),
        Cookie(name="b", value="2", domain="elsewhere.example"),
    ]
    hand = Hand(Session(cookies=own))
    hand.session.ask("Hi", now=0)
    first = hand.request_for("duckai=1")
    hand.answer(body=PAGE)
    second = hand.request_for("/status")
    assert dict(first.headers)["cookie"] == "dcs=1; dcm=3"
    assert dict(second.headers)["cookie"] == "a=1; dcs=1; dcm=3"


def test_only_the_first_answer_to_an_intent_counts() -> None:
    hand = move_to(State.SOLVING)
    solve = hand.session.next_action(now=hand.now)
    assert isinstance(solve, SolveChallenge)
    hand.session.challenge_solved(solve, "Zmlyc3Q=")
    hand.session.challenge_solved(solve, "c2Vjb25k")
    hand.session.challenge_failed(solve, "too late")
    assert dict(hand.request_for("/chat").headers)["x-vqd-hash-1"] == "Zmlyc3Q="


def test_chunks_without_bytes_are_none() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, [*STREAM, ("content-encoding", "gzip")], now=hand.now)
    for data in (b"", gzip.compress(HELLO + DONE), b""):
        hand.session.receive_data(request, data)
    assert hand.pull() is NEED_DATA
    other = Hand()
    other.session.ask("Hi", now=0)
    front = other.request_for("duckai=1")
    other.session.receive_head(front, 200, (), now=0)
    for data in (b"", PAGE, b""):
        other.session.receive_data(front, data)
    other.session.receive_eof(front)
    other.request_for("/aichat")
    assert [type(event) for event in other.events] == [TurnStarted]


# Determinism


class Recorder:
    """A session, and every call of its driver with what came of it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = []

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.session, name)
        if not callable(member):
            return member

        def call(*args: Any, **kwargs: Any) -> Any:
            # Frozen, so that it can be told as it was: iterators are used up, and exceptions are not comparable.
            result = member(*args, **kwargs)
            self.calls.append((name, args, kwargs, repr(result)))
            return result

        return call


class Troubled(Run):
    """The service, with a refusal on the way."""

    def handle(self, request: SendRequest) -> ServiceResponse:
        response = super().handle(request)
        if len(self.requests) == 3:
            return msgspec.structs.replace(response, status=503, headers=(("retry-after", "1"),))
        return response


def recorded() -> list[tuple[str, tuple[Any, ...], dict[str, Any], str]]:
    """Record a conversation of two turns, with a refusal, a challenge, waits and pieces."""
    recorder = Recorder(Session(jitter=lambda: 0.25))
    run = Troubled(cast(Session, recorder), echoing(challenge=True))
    run.ask("Why is the sky blue?")
    run.ask("And at night?")
    assert {type(event) for event in run.events} >= {TextDelta, TurnFinished}
    return recorder.calls


def replay(session: Session, calls: Iterable[tuple[str, tuple[Any, ...], dict[str, Any], str]]) -> None:
    for name, args, kwargs, result in calls:
        assert repr(getattr(session, name)(*args, **kwargs)) == result


def test_the_same_inputs_give_the_same_actions() -> None:
    calls = recorded()
    assert calls == recorded()
    assert sum("Retrying" in result or "ChallengeReceived" in result for *_, result in calls) == 2
    replay(Session(jitter=lambda: 0.25), calls)


def test_the_same_inputs_give_the_same_actions_after_restore_at_any_step() -> None:
    calls = recorded()
    resumed = 0
    for step in range(1, len(calls)):
        session = Session(jitter=lambda: 0.25)
        replay(session, calls[:step])
        exchange = session._machine.exchange
        if exchange is not None and (exchange.request.method == "GET" or session.state is State.DRAINING):
            continue  # such a request is asked for again, by another id
        now = next(kwargs["now"] for _, _, kwargs, _ in reversed(calls[:step]) if "now" in kwargs)
        data = json.loads(json.dumps(session.snapshot(now=now)))
        replay(Session.restore(data, now=now, jitter=lambda: 0.25), calls[step:])
        resumed += 1
    assert resumed > len(calls) / 2


def test_a_coded_reply_goes_on_within_a_piece_that_was_longer_than_is_given_at_once() -> None:
    body = b"".join(b'data: {"action":"success","message":"%d %s"}\n\n' % (n, b"x" * 50) for n in range(4000)) + DONE
    hand = Hand()
    request = hand.to_chat()
    coded = gzip.compress(body)
    hand.session.receive_head(request, 200, [*STREAM, ("content-encoding", "gzip")], now=hand.now)
    hand.session.receive_data(request, coded[:-100])
    for _ in range(2500):
        hand.events.append(hand.session.next_action(now=hand.now))
    other = Hand(Session.restore(json.loads(json.dumps(hand.session.snapshot(now=hand.now))), now=0))
    other.session.receive_data(request, coded[-100:])
    other.session.receive_eof(request)
    assert other.pull() is PAUSED
    events = [*hand.events, *other.events]
    finished = events[-1]
    assert isinstance(finished, TurnFinished)
    assert finished.text == "".join(f"{n} {'x' * 50}" for n in range(4000))
    assert finished.text == "".join(event.text for event in events if isinstance(event, TextDelta))


# Many sessions of one client


def test_sessions_that_start_together_make_their_requests_one_interval_apart_the_oldest_first() -> None:
    shared = ClientState()
    hands = [Hand(Session(shared=shared)) for _ in range(8)]
    order = hands[4:] + hands[:4]
    begun: list[tuple[float, str, Hand]] = []
    agenda: list[tuple[float, int, Hand, Wait | None]] = []
    for number, hand in enumerate(order):
        hand.session.ask("Hi", now=0)
        heapq.heappush(agenda, (0.0, number, hand, None))
    turns = len(agenda)
    while agenda:
        now, _, hand, wait = heapq.heappop(agenda)
        if wait is not None:
            hand.session.wait_elapsed(wait)
        while (action := hand.session.next_action(now=now)) is not PAUSED:
            if isinstance(action, Wait):
                turns += 1
                heapq.heappush(agenda, (action.until, turns, hand, action))
                break
            if isinstance(action, SendRequest):
                hand.request, hand.now = action, now
                begun.append((now, action.url.rpartition("/")[2], hand))
                hand.answer(200, [*STREAM, ("x-vqd-4", "4-1")], HELLO + DONE if action.method == "POST" else PAGE)
    assert [now for now, _, _ in begun] == [1.5 * n for n in range(len(begun))]
    firsts = list(dict.fromkeys(id(hand) for _, _, hand in begun))
    assert firsts == [id(hand) for hand in order]
    paths = Counter(path for _, path, _ in begun)
    assert paths == {"?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1": 1, "aichat": 1, "status": 8, "chat": 8}
    assert {len(hand.session.conversation.message_history) for hand in hands} == {2}


# A slow peer


@pytest.mark.parametrize("path", ["page", "aichat", "status"])
def test_a_peer_that_drips_ends_no_handshake_but_the_request(path: str) -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    for wanted in ("duckai=1", "/aichat", "/status"):
        request = hand.request_for(wanted)
        if path in wanted or (path, wanted) == ("page", "duckai=1"):
            break
        hand.answer(body=PAGE)
    hand.session.receive_head(request, 503, (), now=hand.now)
    began = hand.now
    while hand.session.next_action(now=hand.now) is NEED_DATA:
        assert hand.now - began < 60
        hand.now += 1
        hand.session.receive_data(request, b"x")
    assert hand.now - began == 60
    assert hand.session.state is State.PLANNING


def test_a_request_without_any_response_ends_with_its_timeouts() -> None:
    policy = Policy(connect_timeout=2.0, write_timeout=3.0, read_timeout=4.0)
    hand = Hand(Session(policy=policy))
    hand.to_chat()
    assert hand.pull() is NEED_DATA
    assert hand.session.deadline == hand.now + 9
    hand.now += 9
    with pytest.raises(ChatTimeoutError, match="connect, write and read timeouts"):
        hand.pull()


def test_what_follows_a_reply_is_read_up_to_a_bound() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    hand.session.receive_data(request, HELLO + DONE)
    assert hand.pull() is NEED_DATA
    hand.session.receive_data(request, bytes(64 * 1024))
    for _ in range(2):  # what was counted is not counted again
        assert hand.pull() is NEED_DATA
    hand.session.receive_data(request, b"x")
    assert hand.pull() is PAUSED


# The bounds of section 8


def peak_while(act: Callable[[], object]) -> int:
    """Give the bytes that Python's memory grew by at most."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        act()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def bomb(mebibytes: int, filler: bytes = b"x" * 1024) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    block = filler * (1024 * 1024 // len(filler))
    return b"".join([*(packer.compress(block) for _ in range(mebibytes)), packer.flush()])


def fed_whole(hand: Hand, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    """Answer in chunks as they come from a network, pulling after each."""
    request = hand.request
    assert request is not None
    hand.session.receive_head(request, status, headers, now=hand.now)
    for start in range(0, len(body), 65536):
        hand.session.receive_data(request, body[start : start + 65536])
        while (action := hand.session.next_action(now=hand.now)) is not NEED_DATA:
            if not isinstance(action, TextDelta):
                hand.events.append(action)
                return
    hand.session.receive_eof(request)


GZIP = ("content-encoding", "gzip")


def test_a_head_over_the_bound_is_refused() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(200, [*STREAM, *[("x", "y" * 1019)] * 128, ("z", "z")], HELLO + DONE)
    with pytest.raises(StreamTooLarge, match="head") as caught:
        hand.pull()
    assert caught.value.limit == 128 * 1024


def test_heads_are_measured_as_http_1_1_writes_them() -> None:
    interim, last = [("link", "</style.css>")], [*STREAM, ("x-long", "y" * 50)]
    lines = ["HTTP/1.1 200 ", "", *(f"{name}: {value}" for name, value in interim)]
    lines += ["HTTP/1.1 200 ", "", *(f"{name}: {value}" for name, value in last)]
    size = sum(len(line) + len("\r\n") for line in lines)
    for over in (0, 1):
        hand = Hand(Session(policy=Policy(max_head_bytes=size - over), conversation=WARM, cookies={}))
        hand.session.ask("Hi", now=0)
        request = hand.request_for("/chat")
        hand.session.receive_head(request, 100, interim, now=0)
        hand.answer(200, last, HELLO + DONE)
        if over:
            with pytest.raises(StreamTooLarge, match=f"longer than {size - 1} bytes"):
                hand.pull()
        else:
            assert hand.pull() is PAUSED


def test_a_page_that_is_a_bomb_is_an_event_and_costs_no_more_than_the_bound() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    hand.request_for("duckai=1")
    body = bomb(32)
    assert peak_while(lambda: fed_whole(hand, 200, [GZIP], body)) < 28 * 1024 * 1024
    (event,) = hand.events[1:]
    assert isinstance(event, FrontEndVersionUnknown)
    assert isinstance(event.cause, StreamTooLarge)
    assert event.cause.limit == 8 * 1024 * 1024


def test_an_error_body_that_is_a_bomb_is_kept_to_its_bound() -> None:
    hand = Hand()
    hand.to_chat()
    body = bomb(32)

    def refuse() -> None:
        with pytest.raises(AccessDeniedError) as caught:
            fed_whole(hand, 403, [GZIP], body)
        assert len(caught.value.body) == 64 * 1024

    assert peak_while(refuse) < 1024 * 1024


def test_a_landing_page_is_not_read_beyond_the_little_that_keeps_a_connection() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    answer_front_end(hand)
    request = hand.request_for("/aichat")
    hand.session.receive_head(request, 200, (), now=hand.now)
    hand.session.receive_data(request, bytes(64 * 1024))
    assert hand.pull() is NEED_DATA
    hand.session.receive_data(request, b"x")
    hand.request_for("/status")


def test_a_reply_that_is_a_bomb_ends_at_the_bound_of_its_text() -> None:
    hand = Hand(Session(policy=Policy(max_reply_bytes=1024 * 1024)))
    hand.to_chat()
    event = b'data: {"action":"success","message":"%s"}\n\n'
    body = bomb(32, event % (b"x" * (1024 - len(event) + 2)))

    def stream() -> None:
        with pytest.raises(StreamTooLarge, match="reply") as caught:
            fed_whole(hand, 200, [*STREAM, GZIP], body)
        assert len(caught.value.text) <= 1024 * 1024

    assert peak_while(stream) < 8 * 1024 * 1024


def test_an_event_that_is_a_bomb_ends_at_the_bound_of_an_event() -> None:
    hand = Hand()
    hand.to_chat()

    def stream() -> None:
        with pytest.raises(StreamTooLarge, match="event") as caught:
            fed_whole(hand, 200, [*STREAM, GZIP], bomb(32))
        assert caught.value.limit == 1024 * 1024

    assert peak_while(stream) < 8 * 1024 * 1024


def test_the_compressed_form_of_a_reply_is_bounded_too() -> None:
    hand = Hand(Session(policy=Policy(max_reply_bytes=1000)))
    request = hand.to_chat()
    noise = b"".join(b": %s\n" % hashlib.sha256(b"%d" % n).hexdigest().encode() for n in range(100))
    hand.session.receive_head(request, 200, [*STREAM, GZIP], now=hand.now)
    hand.session.receive_data(request, gzip.compress(HELLO + noise))
    with pytest.raises(StreamTooLarge, match="the compressed body"):
        hand.pull()


def test_a_compressed_body_may_be_as_long_as_its_bound() -> None:
    body = gzip.compress(HELLO + DONE, 0, mtime=0)
    for over in (0, 1):
        hand = Hand(Session(policy=Policy(max_reply_bytes=len(body) - over)))
        hand.to_chat()
        hand.answer(200, [*STREAM, GZIP], body)
        if over:
            with pytest.raises(StreamTooLarge, match=f"the compressed body is longer than {len(body) - 1} bytes"):
                hand.pull()
        else:
            assert hand.pull() is PAUSED


@pytest.mark.parametrize("filler", [b":\n", b"\n", b'data: {"action":"success"}\n\n', b"data\n"])
def test_what_says_nothing_is_bounded_in_its_decompressed_form(filler: bytes) -> None:
    hand = Hand(Session(policy=Policy(max_reply_bytes=128 * 1024)))
    hand.to_chat()
    with pytest.raises(StreamTooLarge, match="the reply is longer than 131072 bytes"):
        fed_whole(hand, 200, [*STREAM, GZIP], gzip.compress(HELLO + filler * 200_000))


@pytest.mark.parametrize("cut", [1, 7, 1_000_000])
def test_a_reply_is_read_as_far_as_the_bound_of_its_decompressed_form(cut: int) -> None:
    stream = HELLO + b": \n" * 100 + HELLO + DONE
    body = gzip.compress(stream)
    for over in (0, 1):
        hand = Hand(Session(policy=Policy(max_reply_bytes=len(stream) - over)))
        request = hand.to_chat()
        hand.session.receive_head(request, 200, [*STREAM, GZIP], now=hand.now)
        for start in range(0, len(body), cut):
            hand.session.receive_data(request, body[start : start + cut])
        pull = partial(hand.session.next_action, now=hand.now)
        assert "".join(cast(TextDelta, pull()).text for _ in range(4)) == "HelloHello"
        if over:
            with pytest.raises(StreamTooLarge):
                pull()
        else:
            assert isinstance(pull(), TurnFinished)


def test_a_challenge_over_the_bound_is_not_read() -> None:
    hand = Hand(Session(answer_challenge="always", policy=Policy(max_challenge_bytes=1000)))
    hand.session.ask("Hi", now=0)
    with pytest.raises(UnsupportedChallenge, match="1000"):
        hand.handshake(challenge="A" * 1004)


def test_a_prompt_is_measured_as_it_is_sent() -> None:
    session = Session(policy=Policy(max_prompt_chars=20))
    session.ask([{"role": "user", "content": "x"}, {"role": "user", "content": "y"}], now=0)  # with "Assistant:"
    with pytest.raises(InputLimitError, match="26 characters"):
        session.next_action(now=0)


# What a session costs


def finished(hand: Hand, *paths: str) -> None:
    """Ask, answer what is requested, in that order, and pull to the end of the turn."""
    hand.session.ask("Hi", now=hand.now)
    for path in paths:
        hand.request_for(path)
        pair = [("x-vqd-4", "4-1")]
        hand.answer(200, [*STREAM, *pair], HELLO + DONE) if path == "/chat" else hand.answer(headers=pair, body=PAGE)
    assert hand.pull() is PAUSED


def test_an_idle_session_costs_at_most_4_kib_beside_its_history_and_tokens() -> None:
    shared = ClientState()
    first = Hand(Session(shared=shared))
    finished(first, "duckai=1", "/aichat", "/status", "/chat")
    saved = first.session.conversation.to_json()
    tracemalloc.start()
    try:
        conversations = [Conversation.from_json(saved) for _ in range(200)]
        patient = Policy(turn_timeout=1000)  # they all take their turn in the pacer's order
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        sessions = [Session(conversation=conversation, shared=shared, policy=patient) for conversation in conversations]
        for session in sessions:
            finished(Hand(session), "/chat")
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / len(sessions)
    finally:
        tracemalloc.stop()
    assert each < 4096  # with the turn that the history grew by


def test_a_session_restored_asked_and_finished_again_and_again_does_not_grow() -> None:
    shared = ClientState()
    hand = Hand(Session(shared=shared))
    finished(hand, "duckai=1", "/aichat", "/status", "/chat")
    sizes: list[tuple[int, int]] = []
    turns = examples(1000, default=300)
    for turn in range(turns + 1):
        data = hand.session.snapshot(now=hand.now)
        data["conversation"]["message_history"] = []  # which grows as it should
        stored = json.dumps(data)
        if turn in (100, turns):
            gc.collect()
            sizes.append((len(stored), sys.getallocatedblocks()))
        now = hand.now
        hand = Hand(Session.restore(json.loads(stored), now=now, shared=shared))
        hand.now = now
        finished(hand, "/chat")
    (stored_before, blocks_before), (stored_after, blocks_after) = sizes
    assert stored_after - stored_before < 16  # the ids' digits
    assert blocks_after - blocks_before < 500
