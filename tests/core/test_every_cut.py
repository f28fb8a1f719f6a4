"""Every cut and every split: a conversation of two turns, its responses cut or split at each byte, on both floors.

The default tier tries one place in eighty; the deep one all of them, 18,554 cuts and 9,235 splits where zlib compresses
as it mostly does.

The conversation is held once. Where each of its requests is about to be answered, session and service are kept, and
each case begins there: with the same request, made again on a connection of its own. A turn that fails is asked again
once for each state that such failures leave: the turn that follows depends on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from support.services import copied
from support.tiers import some

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ClientState,
    Conversation,
    DuckChatError,
    HandshakeError,
    Message,
    Policy,
    RateLimitError,
    Retrying,
    SendRequest,
    ServiceError,
    Session,
    TextDelta,
    TransportError,
    TurnFinished,
    Wait,
)
from ddg_protocol.errors import (
    ContentDecodingError,
    EmptyResponseError,
    IncompleteStream,
    ServiceUnavailableError,
    TokenError,
)
from ddg_protocol.service import Fault, Service, ServiceRequest, ServiceResponse
from ddg_protocol.service import faults as f
from ddg_protocol.session import Action
from ddg_protocol.testing import Chunking, Clock, Cut, Run, byte_by_byte, split_at, whole
from ddg_protocol.wire import _DOWN, Close, Connect, Send, WireSession

POLICY = Policy(base_delay=0.0, max_retries=1)
QUESTIONS = ("Why?", "And?")
REPLY = ("Be", "cause ☃")
TEXT = "".join(REPLY)
PAGE = '<script>__DDG_BE_VERSION__="{}";__DDG_FE_CHAT_HASH__="{}";</script>'
DOCUMENTED = (IncompleteStream, TransportError, EmptyResponseError, ContentDecodingError, HandshakeError, ServiceError)
RETRYABLE = (RateLimitError, ServiceUnavailableError, TokenError)


def troubled_service() -> Service:
    """Redirects, gzip, a 418 and a 429, in two turns that both go well in the end."""
    halves = Service(strict=True, seed="cut").front_end_version.rsplit("-", 1)
    script = (
        Fault("front_end", (f.Redirect(status=302),), times=1),
        Fault("front_end", (f.Body(PAGE.format(*halves)), f.Coding("gzip")), first=2),  # a short one: each byte counts
        Fault("landing", (f.Redirect("https://duckduckgo.com/aichat", 301), f.Header("set-cookie", "a=b")), times=1),
        Fault("status", (f.Coding("deflate"),)),
        Fault("chat", (f.Refuse(429, "ERR_RATE_LIMIT", retry_after=1),), first=3, times=1),
    )
    return Service(strict=True, responder=lambda _: REPLY, challenge=True, script=script, seed="cut")


class Moment:
    """A session that is about to make a request, and the service that is going to answer it."""

    def __init__(self, question: str, snapshot: dict[str, Any], conversation: Conversation, now: float) -> None:
        self.question = question
        self.conversation = conversation
        self.now = now
        self.asked_again: set[tuple[object, ...]] = set()
        self._snapshot = snapshot
        self._service = Service(strict=True)

    def keep(self, service: Service) -> None:
        self._service = copied(service)

    def session(self, *, wire: bool) -> Session | WireSession:
        session = Session.restore(self._snapshot, now=0.0, policy=POLICY, shared=ClientState())
        return WireSession(session) if wire else session

    def run(self, *, wire: bool, cut: Cut | None = None) -> Run:
        return Run(self.session(wire=wire), copied(self._service), clock=Clock(self.now), cut=cut)


class Snapping(Session):
    """Keeps what it was before each pull."""

    before: dict[str, Any]

    def next_action(self, *, now: float) -> Action:
        self.before = self.snapshot(now=0.0)
        return super().next_action(now=now)


def hold_conversation() -> list[Moment]:
    moments: list[Moment] = []
    session, service = Snapping(policy=POLICY), troubled_service()

    class Keeping:
        def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
            moments.append(Moment(question, session.before, session.conversation, now))
            moments[-1].keep(service)
            return service.handle(request, now=now)

    run = Run(session, Keeping(), clock=Clock(100.0))
    for question in QUESTIONS:
        finished = run.ask(question)
        assert finished is not None
        assert finished.text == TEXT
    return moments


@pytest.fixture(scope="module")
def moments() -> list[Moment]:
    return hold_conversation()


def test_the_conversation_has_redirects_codings_a_418_and_a_429(moments: list[Moment]) -> None:
    run = Run(Session(policy=POLICY), service := troubled_service(), clock=Clock(100.0))
    for question in QUESTIONS:
        run.ask(question)
    assert [exchange.status for exchange in service.log] == [302, 200, 301, 200, 200, 418, 200, 429, 200, 200, 200]
    assert len(moments) == len(service.log)


@pytest.mark.parametrize("reset", [False, True], ids=["clean", "reset"])
@pytest.mark.parametrize("wire", [False, True], ids=["session", "wire"])
def test_every_cut(moments: list[Moment], wire: bool, reset: bool, pytestconfig: pytest.Config) -> None:
    kinds: dict[str, int] = {}
    for moment in moments:
        plain = moment.run(wire=wire)
        assert isinstance(_outcome(plain), TurnFinished)
        for at in some(range(len(plain.responses[0]) + 1), one_in=200):
            outcome = check_cut(moment, Cut(0, at, reset), wire=wire)
            kinds[outcome] = kinds.get(outcome, 0) + 1
    assert kinds["whole"]
    assert kinds.keys() - {"whole", "shorter"}
    if pytestconfig.getoption("deep"):
        assert sum(kinds.values()) > (7300 if wire else 1850)


def check_cut(moment: Moment, cut: Cut, *, wire: bool) -> str:
    run = moment.run(wire=wire, cut=cut)
    before = moment.conversation
    outcome = _outcome(run)
    _check_not_repeated(run)
    if isinstance(outcome, DuckChatError):
        assert isinstance(outcome, DOCUMENTED), outcome
        if isinstance(outcome, ServiceError):
            assert outcome.retryable == isinstance(outcome, RETRYABLE)
        assert _lasting(run.session.conversation) == _lasting(before)
        kind = type(outcome).__name__
        state = (wire, cut.reset, kind, str(outcome), len(run.requests), _state(run))
        if state in moment.asked_again:
            return kind
        moment.asked_again.add(state)
        run.cut = None
        again = run.ask(moment.question)
        assert again is not None
        text = again.text
    elif outcome.text == TEXT:
        text, kind = TEXT, "whole"
    else:
        # A body that ends well without [DONE] is a reply that was cut by a limit (PROTOCOL.md section 6).
        assert not wire
        assert not cut.reset
        assert (outcome.text, outcome.reason) == (REPLY[0], "length")
        text, kind = REPLY[0], "shorter"
    assert run.session.conversation.message_history == (
        *before.message_history,
        Message("user", moment.question),
        Message("assistant", text),
    )
    assert text == TEXT or kind == "shorter"
    return kind


def _lasting(conversation: Conversation) -> tuple[object, ...]:
    """What a turn that failed leaves as it was; a token that was sent is spent."""
    c = conversation
    return c.message_history, c.model, c.title, c.limit_reached, c.answers_wanted, c.cookies


def _state(run: Run) -> bytes:
    session = run.session
    if isinstance(session, WireSession):
        assert session._link is _DOWN
        session = session._session
    return msgspec.json.encode(session.snapshot(now=run.clock()))


def _check_not_repeated(run: Run) -> None:
    """Hold that a question whose reply had begun, or may have, was not asked once more."""
    asked = [number for number, request in enumerate(run.requests) if request.method == "POST"]
    if any(isinstance(event, TextDelta) for event in run.events):
        first = next(number for number, event in enumerate(run.events) if isinstance(event, TextDelta))
        assert not any(isinstance(event, Retrying) for event in run.events[first:])
    if asked[:1] == [0] and b"HTTP/1.1 " not in run.responses[0] and isinstance(run.session, WireSession):
        assert len(asked) == 1


def _outcome(run: Run) -> TurnFinished | DuckChatError:
    """Go on with the turn that is under way, to its end."""
    found: TurnFinished | DuckChatError | None = None
    while True:
        try:
            event = run.next_event()
        except DuckChatError as error:
            found = error
        else:
            if event is None:
                break
            found = event if isinstance(event, TurnFinished) else found
    assert found is not None
    return found


# Splits


def test_every_split(moments: list[Moment], pytestconfig: pytest.Config) -> None:
    cases = 0
    for wire in (False, True):
        for moment in moments:
            run = moment.run(wire=wire)
            heads = Heads(run.service)
            run.service = heads
            assert isinstance(_outcome(run), TurnFinished)
            bodies = [bytes(response) for response in run.responses]
            expected = actions_of(moment, heads.heads, bodies, whole, wire=wire)
            assert any(isinstance(action, TurnFinished) for action in expected)
            for at in some(range(1, len(bodies[0])), one_in=80):
                assert actions_of(moment, heads.heads, bodies, split_at(at), wire=wire) == expected
                cases += 1
            assert actions_of(moment, heads.heads, bodies, byte_by_byte, wire=wire) == expected
    if pytestconfig.getoption("deep"):
        assert cases > 9150


class Heads:
    """A service, and the heads of its responses."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self.heads: list[tuple[int, Sequence[tuple[str, str]]]] = []

    def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
        response: ServiceResponse = self._service.handle(request, now=now)
        self.heads.append((response.status, response.headers))
        return response


def actions_of(
    moment: Moment,
    heads: Sequence[tuple[int, Sequence[tuple[str, str]]]],
    bodies: Sequence[bytes],
    chunks: Chunking,
    *,
    wire: bool,
) -> list[object]:
    """Drive a session to the end of its turn; the first response comes in these chunks, the others whole."""
    session, now = moment.session(wire=wire), moment.now
    found: list[object] = []
    left: Iterator[bytes] = iter(())
    number = 0
    asked: Any = None
    while (action := session.next_action(now=now)) is not PAUSED:
        if action is NEED_DATA:
            chunk = next(left, None)
            if isinstance(session, WireSession):
                session.receive_bytes(asked, chunk) if chunk else session.receive_eof(asked)
            else:
                session.receive_data(asked, chunk) if chunk else session.receive_eof(asked)
            continue
        found.append(action)
        if isinstance(action, Wait):
            now = max(now, action.until)
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest | Send):
            left = iter(list((chunks if number == 0 else whole)(bodies[number])))
            if isinstance(session, WireSession):
                session.sent(action)  # type: ignore[arg-type]
            else:
                asked = action
                session.receive_head(asked, *heads[number], now=now)
            number += 1
        elif isinstance(action, Connect) and isinstance(session, WireSession):
            asked = action
            session.connected(action)
        elif isinstance(action, Close) and isinstance(session, WireSession):
            session.closed(action)
    # Errors are compared by what they say.
    return [repr(action) if isinstance(action, Retrying) else action for action in found]
