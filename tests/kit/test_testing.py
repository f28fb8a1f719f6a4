"""The test kit's own tests: the clock, dialogues on both floors, and client and service face to face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from support.cases import each_of
from support.tiers import thinned

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ChatTimeoutError,
    ClientState,
    DuckChatError,
    Failure,
    FailureKind,
    LocalProtocolError,
    Policy,
    RateLimitError,
    Retrying,
    SendRequest,
    Session,
    SolveChallenge,
    State,
    TextDelta,
    TransportError,
    TurnCancelled,
    TurnFinished,
    TurnStarted,
    UnsupportedChallenge,
)
from ddg_protocol.errors import IncompleteStream, StreamTooLarge
from ddg_protocol.service import Fault, Service, ServiceRequest, ServiceResponse
from ddg_protocol.service import faults as f
from ddg_protocol.testing import (
    Chunking,
    Clock,
    Cut,
    Dialogue,
    DialogueError,
    Run,
    WireDialogue,
    _run,
    byte_by_byte,
    connect,
    every,
    raises,
    request,
    send,
    split_at,
    wait,
    whole,
)
from ddg_protocol.testing._http import read_request
from ddg_protocol.wire import Close, Connect, Send, WireSession

PAGE = b'<script>__DDG_BE_VERSION__="serp_1_ET";__DDG_FE_CHAT_HASH__="0123456789abcdef0123";</script>'
STREAM = (("content-type", "text/event-stream"),)
HELLO = b'data: {"action":"success","message":"Hello"}\n\n'
DONE = b"data: [DONE]\n\n"

# The clock


def test_a_clock_stands_still_until_it_is_moved() -> None:
    assert repr(Clock(2.5)) == "Clock(2.5)"
    clock = Clock(5.0)
    clock.advance(1.5)
    assert clock() == clock.now == 6.5
    clock.advance_to(10)
    clock.advance_to(7)
    assert clock() == 10


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_time_does_not_go_back(seconds: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Clock().advance(seconds)


# Dialogues


def to_the_question(dialogue: Dialogue) -> None:
    dialogue.ask("Hi")
    dialogue.expects(TurnStarted("gpt-4o-mini"), request("GET", "duckai=1", headers={"accept": "text/html"}))
    dialogue.responds(body=PAGE)
    dialogue.expects(request("GET", "/aichat", headers={"x-vqd-4": None}))
    dialogue.responds(headers=[("set-cookie", "seen=1")])
    dialogue.expects(request("GET", "/duckchat/v1/status"))
    dialogue.responds(headers=[("x-vqd-4", "4-1")], body=b'{"status":"0"}')
    dialogue.expects(
        request(
            "POST",
            "https://duckduckgo.com/duckchat/v1/chat",
            headers={"x-vqd-4": "4-1"},
            body={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]},
        )
    )


def test_a_dialogue_says_a_whole_turn() -> None:
    with Dialogue(Session()) as dialogue:
        to_the_question(dialogue)
        dialogue.begins(200, STREAM)
        dialogue.receives(HELLO)
        dialogue.expects(TextDelta("Hello"))
        dialogue.receives(DONE)
        dialogue.expects(TurnFinished)
        dialogue.finishes()
    assert dialogue.clock.now == 4.5  # three times the interval


def said_of(*steps: Callable[[Dialogue], object]) -> str:
    """What a dialogue says that goes otherwise."""
    with pytest.raises(DialogueError) as caught:
        hold(steps)
    return str(caught.value)


def hold(steps: Iterable[Callable[[Dialogue], object]]) -> None:
    with Dialogue(Session()) as dialogue:
        dialogue.ask("Hi")
        for step in steps:
            step(dialogue)


def test_what_went_otherwise_is_shown_with_what_was_said_before() -> None:
    lines = said_of(lambda d: d.expects(TurnStarted("o3-mini"))).splitlines()
    assert lines[:2] == ["unexpected action (- expected, + got)", ">> ask 'Hi'"]
    assert [line for line in lines if line[:1] in "-+"] == [
        "- TurnStarted(model='o3-mini')",
        "+ TurnStarted(model='gpt-4o-mini')",
    ]


@each_of(
    "expected, shown",
    [
        (request("POST", "duckai=1"), "- POST duckai=1"),
        (request("GET", "/aichat"), "- GET …/aichat"),
        (request("GET", "duckai=1", headers={"accept": "*/*"}), "-   accept: */*"),
        (request("GET", "duckai=1", headers={"accept": None}), "-   accept: (absent)"),
        (request("GET", "duckai=1", body={}), "-   body: {}"),
        (TextDelta, "- TextDelta"),
        (raises(RateLimitError, status=429), "- RateLimitError raised with status=429"),
        (wait(1.5, reason="pacing"), "- Wait of 1.5 s (pacing)"),
        (connect("duckduckgo.com"), "- Connect to duckduckgo.com:443 with TLS"),
        (send(b"GET"), "- Send b'GET'…"),
    ],
)
def test_what_was_expected_and_what_came_are_both_shown(expected: object, shown: str) -> None:
    said = said_of(lambda d: d.expects(TurnStarted, expected))
    assert shown in said
    assert "+ GET https://duckduckgo.com/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1" in said
    assert ">> ask 'Hi'" in said


def test_a_dialogue_that_ends_unfinished_fails() -> None:
    started: Callable[[Dialogue], object] = lambda d: d.expects(TurnStarted, SendRequest)  # noqa: E731
    assert "+ NEED_DATA" in said_of(started)
    said = said_of(started, lambda d: d.responds(body=PAGE))
    assert "- the end of the dialogue: nothing is left to do" in said
    assert "+ GET https://duckduckgo.com/aichat" in said


def test_an_error_within_a_dialogue_is_not_hidden_by_its_end() -> None:
    with pytest.raises(ZeroDivisionError):
        hold([lambda _: 1 / 0])


def test_waits_pass_by_themselves_or_are_expected() -> None:
    with Dialogue(Session()) as dialogue:
        dialogue.ask("Hi")
        dialogue.expects(TurnStarted, SendRequest)
        dialogue.responds(body=PAGE)
        dialogue.expects(wait(1.5, reason="pacing"), request("GET", "/aichat"))
        dialogue.cancel()
        dialogue.expects(TurnCancelled(""))
    said = said_of(
        lambda d: d.expects(TurnStarted, SendRequest), lambda d: d.responds(body=PAGE), lambda d: d.expects(wait(2.0))
    )
    assert "+ Wait of 1.5 s (pacing)" in said


def test_a_turn_that_is_refused_or_breaks_or_takes_too_long() -> None:
    with Dialogue(Session(policy=Policy(max_retries=1))) as dialogue:
        to_the_question(dialogue)
        dialogue.responds(429, body=b"{}")
        dialogue.expects(Retrying, wait(reason="backoff"), request("GET", "/aichat"))
        dialogue.fails(FailureKind.CUT)
        dialogue.expects(object, request("GET", "/status"))
        dialogue.responds(headers=[("x-vqd-4", "4-2")])
        dialogue.expects(request("POST", "/chat"))
        dialogue.responds(429, body=[b"{", b"}"])
        dialogue.expects(raises(RateLimitError, status=429, retryable=True))
    with Dialogue(Session()) as dialogue:
        to_the_question(dialogue)
        dialogue.passes(60)
        dialogue.expects(raises(ChatTimeoutError))
        dialogue.close()


def test_challenges_that_are_handed_out() -> None:
    challenge = ("x-vqd-hash-1", "YQ==")
    for solved in (True, False):
        with Dialogue(Session(solver="embedder", answer_challenge="always")) as dialogue:
            dialogue.ask("Hi")
            dialogue.expects(TurnStarted, SendRequest)
            dialogue.responds(body=PAGE)
            dialogue.expects(SendRequest)
            dialogue.responds()
            dialogue.expects(SendRequest)
            dialogue.responds(headers=[("x-vqd-4", "4-1"), challenge])
            dialogue.expects(SolveChallenge)
            if solved:
                dialogue.solves("answer")
                dialogue.expects(request("POST", "/chat", headers={"x-vqd-hash-1": "answer"}))
                dialogue.cancel()
                dialogue.expects(TurnCancelled(""))
            else:
                dialogue.gives_up("no idea")
                dialogue.expects(raises(DuckChatError))


def test_an_answer_to_what_was_not_asked_is_said_so() -> None:
    with pytest.raises(DialogueError, match="SendRequest as the last intent"), Dialogue(Session()) as dialogue:
        dialogue.responds()
    with pytest.raises(DialogueError, match="a connection to read from"), WireDialogue(WireSession(Session())) as wire:
        wire.receives(b"HTTP/1.1 200 OK\r\n\r\n")


def test_a_dialogue_one_floor_down() -> None:
    with WireDialogue(WireSession(Session(cookies={}))) as dialogue:
        dialogue.ask("Hi")
        dialogue.expects(TurnStarted, connect("duckduckgo.com"))
        dialogue.connected()
        dialogue.expects(send(b"GET /?q=", check_idle=False))
        dialogue.sent()
        dialogue.receives(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(PAGE), PAGE)
        dialogue.expects(wait(1.5), send(b"GET /duckchat/v1/status", check_idle=True))
        dialogue.fails(FailureKind.NOT_SENT)
        dialogue.expects(Close)
        dialogue.closed()
        dialogue.expects(Connect)
        dialogue.fails(FailureKind.TLS, "an untrusted certificate")
        dialogue.expects(raises(TransportError))
        dialogue.ask("Hi again")
        dialogue.expects(TurnStarted, Connect)
        dialogue.connected()
        dialogue.expects(Send)
        dialogue.sent()
        dialogue.receives(b"HTTP/1.1 429 Too Many Requests\r\n")
        dialogue.finishes()
        dialogue.expects(Close, Retrying)
        dialogue.cancel()
        dialogue.expects(TurnCancelled(""))


# Face to face


def echoing(**settings: Any) -> Service:
    return Service(responder=lambda question: ["You ", "said: ", question.text, " ☃"], **settings)


def on_both_floors(**settings: Any) -> Iterator[Session | WireSession]:
    yield Session(**settings)
    yield WireSession(Session(**settings))


@pytest.mark.parametrize("chunks", [whole, byte_by_byte, every(7), split_at(1, 50)])
@pytest.mark.parametrize("challenge", [False, True])
def test_two_turns_face_to_face_on_both_floors(chunks: Chunking, challenge: bool) -> None:
    seen = []
    for layer in (0, 1):
        service = echoing(challenge=challenge)
        shared = ClientState()
        shared.fe_version = service.front_end_version  # else most of the time would go into the page's many bytes
        session = list(on_both_floors(shared=shared))[layer]
        run = Run(session, service, chunks=chunks)
        first = run.ask("Why is the sky blue?")
        second = run.ask("And at night?", model="o3-mini")
        assert first is not None
        assert second is not None
        assert (first.text, second.text) == ("You said: Why is the sky blue? ☃", "You said: And at night? ☃")
        assert second.model == "o3-mini"
        assert all(exchange.complete for exchange in service.log)
        seen.append([(each.method, each.target, each.body) for each in run.requests])
    assert seen[0] == seen[1]


@each_of("chunks", [whole, byte_by_byte, every(3), split_at(), split_at(2), split_at(0, 2, 2, 99)])
def test_a_chunking_loses_nothing(chunks: Chunking) -> None:
    for data in (b"", b"a", b"abcdefg"):
        assert b"".join(chunks(data)) == data


def test_who_has_seen_enough_cancels_and_the_service_notices() -> None:
    for session in on_both_floors():
        service = echoing()
        run = Run(session, service)
        assert run.ask("Hi", until=lambda event: isinstance(event, TextDelta)) is None
        assert run.events[-2:] == [TextDelta("You "), TurnCancelled("You ")]
        assert not service.log[-1].complete
        assert run.ask("Hi") is not None
        assert session.conversation.message_history[0].content == "Hi"


def test_delays_pass_on_the_clock_and_one_past_the_deadline_is_a_timeout() -> None:
    for session in on_both_floors():
        run = Run(session, echoing(delay=2.0))
        run.ask("Hi")
        assert run.clock.now - 1_745_000_000 == pytest.approx(4.5 + 6 * 2)
    for session in on_both_floors(policy=Policy(read_timeout=1.5)):
        with pytest.raises(ChatTimeoutError, match="read_timeout"):
            Run(session, echoing(delay=2.0)).ask("Hi")


ENDLESS = {
    "comments": (f.Done(""), f.Endless(": comment\n")),
    "comments, byte by byte": (f.Done(""), f.Endless(":\n"), f.Split((1,))),
    "pings": (
        f.Done(""),
        f.Endless("data: [PING]\n\n"),
    ),
    "text": (f.Body(""), f.Endless('data: {"message":"x"}\n\n')),
    "a bomb": (f.Done(""), f.Endless("\n"), f.Coding()),
}


@pytest.mark.parametrize(
    "effects", thinned([(effects,) for effects in ENDLESS.values()], one_in=2, reason="megabytes each")
)
def test_a_run_ends_whatever_the_script_says(effects: tuple[f.Effect, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "_MAX_STEPS", 10_000)
    for session in on_both_floors(policy=Policy(max_reply_bytes=1024 * 1024)):
        run = Run(session, echoing(script=[Fault("chat", effects)]))
        with pytest.raises((StreamTooLarge, TransportError)) as caught:
            run.ask("Hi")
        if isinstance(caught.value, TransportError):
            assert "the run ends a turn after 32 MiB of responses, or 500,000 reads and events" in str(caught.value)
        assert len(run.events) <= 10_000 + 64 * 1024
        assert max(map(len, run.responses)) <= 1024 * 1024
        assert run.next_event() is None
        assert session.conversation.message_history == ()


def test_a_run_reads_no_more_than_its_bound_of_a_patient_session() -> None:
    for session in on_both_floors(policy=Policy(max_page_bytes=1 << 40)):
        run = Run(session, echoing(script=[Fault("front_end", [f.Endless("x" * 65_536)])]))
        with pytest.raises(TransportError, match="32 MiB"):
            run.ask("Hi")
        assert run.next_event() is None


@pytest.mark.parametrize("reset", [False, True])
def test_the_network_breaks_where_it_is_told_to(reset: bool) -> None:
    for session, at in zip(on_both_floors(), (250, 1800), strict=True):
        run = Run(session, echoing(), cut=Cut(3, at, reset))
        with pytest.raises((IncompleteStream, TransportError)):
            run.ask("Hi")
        assert len(run.responses[3]) == at
        assert session.conversation.message_history == ()
        assert run.ask("Hi") is not None


def test_a_connection_that_ends_after_a_response_is_made_anew() -> None:
    plain = Run(WireSession(Session()), echoing())
    plain.ask("Hi")
    for reset in (False, True):
        run = Run(WireSession(Session()), echoing(), cut=Cut(1, len(plain.responses[1]), reset))
        assert run.ask("Hi") is not None
        assert run.responses == plain.responses


@each_of("then", ["close", "reset", "hang"])
@each_of("of", ["body", "wire"])
def test_the_script_of_the_service_is_played_out_on_both_floors(then: Any, of: Any) -> None:
    said = []
    for session in on_both_floors():
        service = echoing(script=[Fault("status", (f.Cut(3, then, of),), times=2)])
        run = Run(session, service)
        assert run.ask("Hi") is not None
        said.append([(type(e), type(e.cause)) for e in run.events if isinstance(e, Retrying)])
        ended = [exchange.ended for exchange in service.log if exchange.faults]
        assert ended == ["left" if then == "hang" else "broken"] * (2 if of == "wire" else 1)
    if of == "wire":
        assert said[0] == said[1]
        assert len(said[0]) == 2
    else:
        assert said == [[], []]  # the tokens are in the head, and the head has come


def test_a_peer_that_can_not_be_reached_is_a_failure() -> None:
    class Nowhere:
        def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
            raise TransportError("unreachable", failure=Failure(FailureKind.TLS, "unreachable"))

    for session in on_both_floors():
        with pytest.raises(TransportError):
            Run(session, Nowhere()).ask("Hi")


def test_a_solver_of_the_embedder_is_asked() -> None:
    scripts = []

    def solve(challenge: SolveChallenge) -> str:
        scripts.append(challenge.script)
        return "no-answer"

    run = Run(Session(solver="embedder", answer_challenge="always"), echoing(), solver=solve)
    with pytest.raises(DuckChatError):
        run.ask("Hi")
    assert "innerHTML" in scripts[0]


def test_a_solver_that_can_not_is_told_as_a_driver_tells_it() -> None:
    def give_up(challenge: SolveChallenge) -> str:
        raise UnsupportedChallenge("too hard")

    for session in on_both_floors(solver="embedder", answer_challenge="always"):
        run = Run(session, echoing(), solver=give_up)
        with pytest.raises(UnsupportedChallenge, match="too hard"):
            run.ask("Hi")
        assert session.conversation.message_history == ()


def test_what_a_solver_may_not_say_is_its_own_mistake_and_ends_no_turn() -> None:
    run = Run(Session(solver="embedder", answer_challenge="always"), echoing(), solver=lambda _: "two\r\nlines")
    with pytest.raises(LocalProtocolError):
        run.ask("Hi")
    assert run.session.state is State.SOLVING


def test_a_request_on_the_wire_is_read_whole_or_not_at_all() -> None:
    sent = b"POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
    assert read_request(sent) == ServiceRequest("POST", "/x?y", (("host", "a"), ("content-length", "2")), b"hi")
    with pytest.raises(AssertionError):
        read_request(sent[:-1])


def test_events_can_be_taken_one_by_one() -> None:
    run = Run(Session(DUCKDUCKGO_2025_04), echoing())
    run.begin("Hi")
    assert run.next_event() == TurnStarted("gpt-4o-mini")
    assert run.next_event() == TextDelta("You ")
    assert {wait.reason for wait in run.waits} == {"pacing"}
