"""A coordinated session on a byte stream: its calls come between connecting, sending and reading, and disturb none."""

from __future__ import annotations

import pytest
from support.cases import each_of
from support.coordinated import LEASE, NEW, READY_SLOT, session_of
from support.hand import LISTING, counting, echoing

from ddg_protocol import NEED_DATA, Policy, Session, TurnCancelled, TurnStarted
from ddg_protocol.coordination import Call, Claim, Coordinate, Coordination, MemoryEngine, Released, Result
from ddg_protocol.errors import EngineUnavailable
from ddg_protocol.intents import Failure, FailureKind
from ddg_protocol.testing import Clock, Cut, Dialogue, Run, WireDialogue, connect, request, send
from ddg_protocol.wire import Close, Send, WireSession

LONG = Policy(read_timeout=1000.0, total_timeout=1000.0, turn_timeout=1000.0)
REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n"
STARTED = TurnStarted("gpt-4o-mini")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def begun(policy: Policy = LONG, **settings: float) -> WireDialogue:
    """Return a dialogue whose page is about to be asked for."""
    dialogue = WireDialogue(WireSession(session_of(policy=policy, **settings)))
    dialogue.ask("Hi")
    dialogue.expects(Coordinate)
    dialogue.answers(NEW)
    dialogue.expects(STARTED, Coordinate)
    dialogue.answers(READY_SLOT)
    dialogue.expects(connect("duckduckgo.com"))
    return dialogue


def test_two_sessions_on_two_byte_streams_share_a_conversation() -> None:
    clock, random = Clock(100.0), counting()
    engine, service = MemoryEngine(clock), echoing()
    runs = [
        Run(
            WireSession(Session(coordination=Coordination(key="c"), random_bytes=random)),
            service,
            clock=clock,
            engine=engine,
        )
        for _ in range(2)
    ]
    for number in range(4):
        finished = runs[number % 2].ask(f"Question {number}")
        assert finished is not None
        assert finished.text == f"You said: Question {number} ☃"
    assert len(runs[1].session.conversation.message_history) == 8
    assert [len(run.requests) for run in runs] == [5, 2]  # all that the first fetched was of use to the second


def test_the_lease_is_renewed_while_a_head_is_awaited_and_the_connection_stays() -> None:
    dialogue = begun()
    dialogue.connected()
    dialogue.expects(Send)
    dialogue.sent()
    dialogue.expects(NEED_DATA)
    dialogue.passes(LEASE / 3)
    dialogue.expects(Coordinate)
    dialogue.answers(NEW)
    dialogue.expects(NEED_DATA)
    dialogue.receives(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    session = dialogue.session
    assert not isinstance(session.next_action(now=dialogue.clock.now), Close)


@each_of("until", ["connected", "sent"])
def test_neither_connecting_nor_sending_is_interrupted_for_a_renewal(until: str) -> None:
    dialogue = begun(lease=1.5)
    session, now = dialogue.session, dialogue.clock.now
    if until == "sent":
        dialogue.connected()
        dialogue.expects(Send)
    assert session.deadline is not None
    assert session.deadline >= now + 10
    dialogue.passes(0.5)
    if until == "connected":
        dialogue.connected()
        dialogue.expects(send(b"GET "))
    dialogue.sent()
    dialogue.expects(Coordinate)
    assert session.deadline == now + 0.5


@each_of("cut", [None, 0, 40])
def test_an_engine_that_fails_closes_no_connection_that_can_be_kept(cut: int | None) -> None:
    clock = Clock(100.0)
    engine = Failing(MemoryEngine(clock))
    session = WireSession(Session(LISTING, coordination=Coordination(key="c"), random_bytes=counting()))
    broken = None if cut is None else Cut(3, cut)
    run = Run(session, echoing(), clock=clock, engine=engine, cut=broken)
    engine.fails = {Claim: 1}
    with pytest.raises(EngineUnavailable):
        run.ask("Hi")
    assert run.requests == []
    if cut is None:
        assert run.ask("Hi") is not None
    else:
        with pytest.raises(Exception, match=r"cut off|connection"):
            run.ask("Hi")
    finished = run.ask("And?")
    assert finished is not None
    assert len(session.conversation.message_history) == (4 if cut is None else 2)


class Failing:
    """An engine that fails for some of its calls."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self.fails: dict[type[Call], int] = {}

    def call(self, call: Call) -> Result:
        if self.fails.get(type(call), 0):
            self.fails[type(call)] -= 1
            raise EngineUnavailable("it is down")
        return self._engine.call(call)


def test_a_dialogue_answers_for_the_engine() -> None:
    with Dialogue(session_of()) as dialogue:
        dialogue.ask("Hi")
        dialogue.expects(Coordinate)
        dialogue.answers(NEW)
        dialogue.expects(STARTED, Coordinate)
        dialogue.answers(READY_SLOT)
        dialogue.expects(request("GET", "duckai=1"))
        dialogue.cancel()
        dialogue.expects(TurnCancelled(""), Coordinate)
        dialogue.answers(Released())


def test_a_turn_is_stored_while_its_connection_waits_and_the_connection_is_kept() -> None:
    clock = Clock(100.0)
    run = Run(
        WireSession(Session(LISTING, coordination=Coordination(key="c"), random_bytes=counting())),
        echoing(),
        clock=clock,
    )
    run.ask("Hi")
    connection = run._connect
    assert connection is not None
    run.ask("And?")
    assert run._connect is connection


def test_a_report_of_a_failure_goes_through() -> None:
    session = WireSession(session_of())
    session.ask("Hi", now=0.0)
    intent = session.next_action(now=0.0)
    assert isinstance(intent, Coordinate)
    session.coordination_failed(intent, Failure(FailureKind.NOT_SENT, "it is down"))
    with pytest.raises(EngineUnavailable, match="it is down"):
        session.next_action(now=0.0)
