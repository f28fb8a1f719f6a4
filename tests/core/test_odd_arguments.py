"""What a driver or a caller hands in by mistake: a `LocalProtocolError` that says what, and the turn goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_of
from support.hand import DONE, HELLO, PAGE, STREAM, Hand

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ConversationFormatError,
    Failure,
    FailureKind,
    LocalProtocolError,
    ModelNotSupportedError,
    SendRequest,
    Session,
    SolveChallenge,
    TransportError,
    TurnFinished,
    Wait,
)
from ddg_protocol.events import FrontEndVersionUnknown
from ddg_protocol.tap import DrivenSession
from ddg_protocol.transcript import RecordedSession
from ddg_protocol.wire import Close, Connect, Send, WireSession

HUGE = 10**5000
"""More digits than `int` puts into text."""

ODD = st.sampled_from(
    [
        *(None, True, 0, -1, HUGE, 1.5, float("nan"), "", "x", "\ud800", b"x", [], {}, [None], [("a",)], [("a", None)]),
        *([("a", "\u20ac")], [("\ud800", "b")], (1, 2), object(), Session, [HUGE]),
        *(Failure("cut", "x"), Failure(FailureKind.CUT, None)),  # type: ignore[arg-type]
        Wait(id=None, until=0.0, reason=""),  # type: ignore[arg-type]
        Wait(id=1, until=0.0, reason=""),
        Wait(id=HUGE, until=0.0, reason=""),
        SendRequest(id=99, method="", url="", headers=(), body=b"", timeout=0.0),
        SolveChallenge(id=99, script="", identity=Session().profile.identity),
        *(
            Connect(id=99, host="", port=0, tls=True, timeout=0.0),
            Send(id=99, data=b"", check_idle=False),
            Close(id=99),
        ),
    ]
)

REPORTS: dict[str, int] = {
    "receive_head": 3,
    "receive_data": 2,
    "receive_eof": 1,
    "transport_failed": 2,
    "wait_elapsed": 1,
    "challenge_solved": 2,
    "challenge_failed": 2,
}
OF_THE_WIRE: dict[str, int] = {
    "connected": 1,
    "sent": 1,
    "closed": 1,
    "receive_bytes": 2,
    "receive_eof": 1,
    "transport_failed": 2,
    "wait_elapsed": 1,
    "challenge_solved": 2,
    "challenge_failed": 2,
}


def report(session: Any, name: str, arguments: list[Any]) -> bool:
    """Report something; tell whether it was refused, and only as it may be."""
    times = {"now": 0.0} if name == "receive_head" else {}
    try:
        getattr(session, name)(*arguments, **times)
    except LocalProtocolError as error:
        return str(error).isprintable()
    return False


def kind_of(value: object) -> str:
    return "huge" if value is HUGE else repr(value)[:20]


def plain(session: Session) -> DrivenSession:
    return session


def recorded(session: Session) -> DrivenSession:
    return RecordedSession(session, lambda line: None)


@pytest.mark.parametrize("of", [plain, recorded])
@given(data=st.data())
def test_a_session_refuses_what_no_report_has_and_goes_on(
    of: Callable[[Session], Session], data: st.DataObject
) -> None:
    hand = Hand()
    hand.session = session = of(hand.session)
    request = hand.to_chat()
    said = data.draw(st.lists(st.tuples(st.sampled_from(sorted(REPORTS)), st.booleans()), min_size=1, max_size=3))
    for name, named in said:
        arguments = [data.draw(ODD) for _ in range(REPORTS[name])]
        if named and name not in ("receive_eof", "wait_elapsed"):
            arguments[0] = request
        if arguments[0] is request and name != "challenge_solved":
            sane = (name == "receive_data" and type(arguments[1]) is bytes) or (
                name == "receive_head" and type(arguments[1]) is int and arguments[2] in ([], {}, "", b"")
            )
            assert report(session, name, arguments) or sane
        else:
            report(session, name, arguments)
    if session.request is request:
        session.cancel()
    assert session.next_action(now=0.0) is not None


@given(name=st.sampled_from(sorted(OF_THE_WIRE)), odd=st.lists(ODD, min_size=2, max_size=2), named=st.booleans())
def test_a_wire_session_refuses_what_no_report_has_and_goes_on(name: str, odd: list[Any], named: bool) -> None:
    session = WireSession(Session())
    session.ask("Why?", now=0.0)
    while not isinstance(action := session.next_action(now=0.0), Connect):
        if isinstance(action, Wait):
            session.wait_elapsed(action)
    session.connected(action)
    arguments = odd[: OF_THE_WIRE[name]]
    if named and len(arguments) == 2:
        arguments[0] = action
    report(session, name, arguments)
    session.cancel()
    while session.next_action(now=0.0) is not PAUSED:
        pass


@each_of("name", sorted(OF_THE_WIRE))
def test_none_in_place_of_an_intent_is_said_by_the_wire(name: str) -> None:
    session = WireSession(Session())
    with pytest.raises(LocalProtocolError, match="NoneType"):
        getattr(session, name)(*[None, b""][: OF_THE_WIRE[name]])


def test_pairs_in_place_of_cookies_are_said() -> None:
    with pytest.raises(ValueError, match="cookies must be a mapping of names to values, or Cookie values, not tuple"):
        Session(cookies=[("name", "value")])  # type: ignore[list-item]


@pytest.mark.parametrize("cookies", [5, "ab", {"a": 1}, {1: "a"}, {"a": None}, {"a": b"x"}])
def test_what_are_no_cookies_is_said(cookies: Any) -> None:
    with pytest.raises(ValueError, match=r"cookies must be a mapping of names|a cookie's name, value, domain and path"):
        Session(cookies=cookies)


@each_of("name", sorted(REPORTS))
def test_none_in_place_of_an_intent_is_said_by_the_session(name: str) -> None:
    session = Session()
    known: dict[str, list[Any]] = {"receive_head": [200, ()], "receive_data": [b""]}
    arguments = known.get(name, [""] * (REPORTS[name] - 1))
    times = {"now": 0.0} if name == "receive_head" else {}
    with pytest.raises(LocalProtocolError, match="NoneType"):
        getattr(session, name)(None, *arguments, **times)


@each_of("headers", [None, 5, [None], [("a",)], [("a", 1)], [(b"a", b"b")], [("a", "\u20ac")], [("a", "\ud800")]])
def test_header_fields_that_are_no_pairs_of_latin_1_text_are_said(headers: Any) -> None:
    hand = Hand()
    request = hand.to_chat()
    with pytest.raises(LocalProtocolError, match="headers must be pairs of latin-1 text"):
        hand.session.receive_head(request, 200, headers, now=hand.now)
    assert hand.session.next_action(now=hand.now) is NEED_DATA


@each_of("status", [None, "200", 200.0, True, 99, 1000, HUGE])
def test_a_status_that_is_none_is_said(status: Any) -> None:
    hand = Hand()
    request = hand.to_chat()
    with pytest.raises(LocalProtocolError, match="status must be a whole number from 100 to 999"):
        hand.session.receive_head(request, status, STREAM, now=hand.now)


@each_of("status, now", [(100, 0.0), (999, 9e299), (999, -9e299)])
def test_every_status_and_every_finite_time_is_taken(status: int, now: float) -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, status, (), now=now)


@each_of("now", [None, "1", float("nan"), float("inf"), True, 1e300, -1e300, 10**400, HUGE])
def test_a_time_that_is_none_is_said_where_it_is_kept(now: Any) -> None:
    hand = Hand()
    request = hand.to_chat()
    with pytest.raises(LocalProtocolError, match="now must be a finite number of seconds"):
        hand.session.receive_head(request, 200, STREAM, now=now)


@pytest.mark.parametrize("data", [None, "text", 5, [1]])
def test_what_is_no_bytes_is_said_and_does_no_harm(data: Any) -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    hand.session.receive_data(request, HELLO)
    with pytest.raises(LocalProtocolError, match=f"data must be bytes, not {type(data).__name__}"):
        hand.session.receive_data(request, data)
    hand.session.receive_data(request, DONE)
    while not isinstance(action := hand.session.next_action(now=hand.now), TurnFinished):
        pass
    assert action.text


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_buffer_that_is_used_again_does_not_change_what_was_reported(kind: Any) -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    buffer = bytearray(HELLO + DONE)
    hand.session.receive_data(request, kind(buffer))
    buffer[:] = bytes(len(buffer))
    while not isinstance(action := hand.session.next_action(now=hand.now), TurnFinished):
        pass
    assert action.text


@each_of("messages", [None, 5, 1.5, object(), b"x", {"role": "user"}, [None], [{}], {}, HUGE])
def test_a_question_that_is_none_is_said(messages: Any) -> None:
    with pytest.raises(LocalProtocolError, match="messages"):
        Session().ask(messages, now=0.0)


@pytest.mark.parametrize("model", [5, b"o3-mini", ["o3-mini"], HUGE, "\ud800"], ids=kind_of)
def test_a_model_that_is_no_name_is_said(model: Any) -> None:
    with pytest.raises(ModelNotSupportedError):
        Session().ask("Why?", model=model, now=0.0)


@pytest.mark.parametrize("nested", [[], {}])
def test_a_version_that_is_nested_deeply_is_said(nested: Any) -> None:
    deep: Any = nested
    for _ in range(100_000):
        deep = {"a": deep} if isinstance(nested, dict) else [deep]
    data = {"format_version": deep}
    try:
        with pytest.raises(ConversationFormatError, match="format version"):
            Session.restore(data, now=0.0)
    finally:
        while deep:  # freed piece by piece: older interpreters run out of stack
            deep = deep["a"] if isinstance(nested, dict) else deep[0]


@pytest.mark.parametrize("failure", [None, "cut", Failure("cut", ""), Failure(FailureKind.CUT, None)])  # type: ignore[arg-type]
def test_a_failure_that_is_none_is_said(failure: Any) -> None:
    hand = Hand()
    request = hand.to_chat()
    with pytest.raises(LocalProtocolError, match="a Failure with a FailureKind and a text"):
        hand.session.transport_failed(request, failure)
    hand.session.transport_failed(request, Failure(FailureKind.CUT, "x"))
    with pytest.raises(TransportError):
        hand.session.next_action(now=hand.now)


@pytest.mark.parametrize("answer", [None, 5, b"e30="])
def test_an_answer_that_is_no_text_is_said_and_the_right_one_is_taken(answer: Any) -> None:
    hand = Hand(Session(solver="embedder", answer_challenge="always"))
    hand.session.ask("Hi", now=0)
    hand.request_for("duckai=1")
    hand.answer(body=PAGE)
    hand.request_for("/aichat")
    hand.answer()
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", "e30=")])
    solve = hand.pull()
    assert isinstance(solve, SolveChallenge)
    with pytest.raises(LocalProtocolError, match="answer must be text"):
        hand.session.challenge_solved(solve, answer)
    with pytest.raises(LocalProtocolError, match="text must be text"):
        hand.session.challenge_failed(solve, answer)
    hand.session.challenge_solved(solve, "e30=")
    assert ("x-vqd-hash-1", "e30=") in hand.request_for("/chat").headers


def test_an_intent_whose_id_is_none_is_said() -> None:
    wait = Wait(id=None, until=0.0, reason="")  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="the id of a Wait is a whole number"):
        Session().wait_elapsed(wait)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_what_is_read_from_the_wire_may_be_in_a_buffer_that_is_used_again(kind: Callable[[Any], Any]) -> None:
    wire = WireSession(Session())
    wire.ask("Hi", now=0)
    wire.next_action(now=0)
    connect = wire.next_action(now=0)
    assert isinstance(connect, Connect)
    wire.connected(connect)
    send = wire.next_action(now=0)
    assert isinstance(send, Send)
    wire.sent(send)
    head = bytearray(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno")
    wire.receive_bytes(connect, kind(head))
    head[:] = bytes(len(head))
    assert isinstance(wire.next_action(now=0), FrontEndVersionUnknown)
    with pytest.raises(LocalProtocolError, match="not a Wait"):
        wire.receive_bytes(Wait(id=1, until=0.0, reason=""), bytearray())  # type: ignore[arg-type]
