"""`WireSession` in situations that drivers rarely meet."""

from __future__ import annotations

import pytest

from ddg_protocol import (
    NEED_DATA,
    Identity,
    LocalProtocolError,
    Session,
    SolveChallenge,
    TransportError,
    TurnCancelled,
    Wait,
    wire,
)
from ddg_protocol._state import State
from ddg_protocol.events import FrontEndVersionUnknown
from ddg_protocol.wire import Close, Connect, Send, WireSession


def asked() -> tuple[WireSession, Connect]:
    session = WireSession(Session())
    assert session.state is State.READY
    session.ask("Hi", now=0)
    session.next_action(now=0)  # TurnStarted
    connect = session.next_action(now=0)
    assert isinstance(connect, Connect)
    return session, connect


def test_bytes_that_come_after_a_cancel_are_dropped() -> None:
    session, connect = asked()
    session.connected(connect)
    send = session.next_action(now=0)
    assert isinstance(send, Send)
    session.sent(send)
    session.cancel()
    session.receive_bytes(connect, b"HTTP/1.1 200 OK\r\n")
    actions = [session.next_action(now=0), session.next_action(now=0)]
    assert {type(action) for action in actions} == {Close, TurnCancelled}


def test_a_read_of_no_bytes_changes_nothing() -> None:
    session, connect = asked()
    session.connected(connect)
    session.receive_bytes(connect, b"")  # where any byte would be a response to nothing
    send = session.next_action(now=0)
    assert isinstance(send, Send)
    session.sent(send)
    for _ in range(2):  # before the pull that begins the wait for the head, and after it
        session.receive_bytes(connect, b"")
        assert session.next_action(now=0) is NEED_DATA
    session.receive_bytes(connect, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert isinstance(session.next_action(now=0), FrontEndVersionUnknown)


def test_the_answer_to_a_challenge_that_was_never_given_is_refused() -> None:
    session = WireSession(Session())
    solve = SolveChallenge(id=9, script="", identity=Identity())
    with pytest.raises(LocalProtocolError, match="never given"):
        session.challenge_solved(solve, "x")
    with pytest.raises(LocalProtocolError, match="never given"):
        session.challenge_failed(solve, "no idea")


def test_a_request_that_can_not_be_put_on_the_wire_is_a_failure_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(url: str) -> tuple[str, int, bool]:
        raise ValueError(f"no such address: {url}")

    monkeypatch.setattr(wire, "_origin", refuse)
    session = WireSession(Session())
    session.ask("Hi", now=0)

    def drive() -> None:
        now = 0.0
        while True:
            action = session.next_action(now=now)
            if isinstance(action, Wait):
                now = action.until
                session.wait_elapsed(action)

    with pytest.raises(TransportError, match="can't be put on the wire"):
        drive()
