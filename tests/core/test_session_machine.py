"""User, driver, network and service at once, at random, against a plain model of the conversation.

A run of the suite is short and always the same. For a long one with other dice each time::

    MACHINE_EXAMPLES=5000 pytest tests/test_session_machine.py
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    ClientState,
    Conversation,
    DuckChatError,
    Event,
    Failure,
    FailureKind,
    LocalProtocolError,
    Message,
    Policy,
    RateLimitError,
    Retrying,
    SendRequest,
    Session,
    SolveChallenge,
    TextDelta,
    TurnCancelled,
    TurnFinished,
    TurnStarted,
    Wait,
)
from ddg_protocol._phases import InTurn
from ddg_protocol._state import AT_REST, State
from ddg_protocol.errors import TokenError
from ddg_protocol.events import (
    ChallengeReceived,
    ConversationTitle,
    FrontEndVersionUnknown,
    LandingPageFailed,
    LimitReached,
    ModelsReceived,
    Queued,
    ServiceNotice,
)
from ddg_protocol.pace import Landing
from ddg_protocol.redirect import REDIRECTS
from ddg_protocol.service._challenge import Challenge
from ddg_protocol.session import Action

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))
FLOOR = 30
"""How often each state must be come to in a run."""

PROFILE = DUCKDUCKGO_2025_04.updated({"models_path": "/duckchat/v1/models"})
POLICY = Policy()
ALLOWED = {"duckduckgo.com", "start.duckduckgo.com", "duck.ai"}
OWN_COOKIES = {("duckduckgo.com", "dcs"): "1", ("duckduckgo.com", "dcm"): "3"}
SUPPLIED = {"mine": "7"}
PAGE = b'<script>__DDG_BE_VERSION__="serp_1_ET";__DDG_FE_CHAT_HASH__="0123456789abcdef0123";</script>'
VERSION = "serp_1_ET-0123456789abcdef0123"
STEPS = {
    PROFILE.front_end_path: "page",
    PROFILE.landing_path: "landing",
    PROFILE.status_path: "status",
    PROFILE.models_path: "models",
}
CHALLENGES = {challenge.encoded: challenge for challenge in (Challenge.drawn("machine", n) for n in range(4))}


# What the service can say


def sse(*payloads: bytes) -> bytes:
    return b"".join(b"data: " + payload + b"\n\n" for payload in payloads)


def piece(text: str) -> bytes:
    return json.dumps({"action": "success", "role": "assistant", "message": text, "model": "served"}).encode()


WORDS = [b"[PING]", b"[CHAT_TITLE:About the sky]", b"[STOP_REASON:x]", b"[LIMIT_OUTPUT]"]
TEXTS = ["Hel", "lo", " ", "☃", "\n", "", "a" * 300, "\ud83d", "\ude00", "\U0001f600"]
ERRORS = [
    *[(418, "ERR_CHALLENGE")] * 3,
    (418, "ERR_BN_LIMIT"),
    (429, "ERR_CONVERSATION_LIMIT"),
    (429, "ERR_INPUT_LIMIT"),
    (429, "ERR_USER_LIMIT"),
    (429, "ERR_RATE_LIMIT"),
    (429, "ERR_SERVICE_UNAVAILABLE"),
    (400, "ERR_INVALID_VQD"),
    (400, "ERR_EXPIRED_VQD"),
    (404, "ERR_MODEL_UNAVAILABLE"),
    (403, None),
    (500, None),
    (503, None),
    (521, None),
    (409, "ERR_NEW"),
]


def error_body(status: int, kind: str | None) -> bytes:
    return json.dumps({"action": "error", "status": status, **({"type": kind} if kind else {})}).encode()


odd_payloads = st.sampled_from(
    [
        *WORDS,
        b"[LIMIT_CONVERSATION]",
        b'{"action":"success","message":null}',
        b'{"role":"tool","message":"x"}',
        b'{"action":"success","message":"and","parts":[1]}',
        b'{"action":"success","source":{}}',
        b"not JSON",
        b"{",
        b"[]",
        b"7",
        b"[UNKNOWN]",
        b"\xff\xfe",
        *(error_body(*error) for error in ERRORS),
    ]
)
payloads = st.sampled_from(TEXTS).map(piece) | st.sampled_from(TEXTS).map(piece) | odd_payloads
endings = st.sampled_from(
    [b"[DONE]", b"[DONE]", b"[DONE][LIMIT_CONVERSATION]", b"[DONE][LIMIT_ENTITY]", b"", b"[PING]"]
)


@st.composite
def replies(draw: Callable[[Any], Any]) -> bytes:
    """Give the body of a reply, or something like it."""
    said = [*draw(st.lists(payloads, max_size=6)), draw(endings)]
    body = sse(*(payload for payload in said if payload))
    return body if draw(st.integers(0, 9)) else body[: draw(st.integers(0, len(body)))]


@dataclass
class Response:
    """What comes of a request, before it is cut into chunks."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def coded(self) -> Response:
        return Response(self.status, [*self.headers, ("content-encoding", "gzip")], gzip.compress(self.body, mtime=0))


tokens = st.sampled_from([*CHALLENGES, ""]).flatmap(
    lambda challenge: st.integers(1, 10**6).map(lambda n: [("x-vqd-4", f"4-{n}"), ("x-vqd-hash-1", challenge)])
)
odd_tokens = st.sampled_from(
    [
        [],
        [("x-vqd-4", "")],
        [("x-vqd-hash-1", "e30=")],
        [("x-vqd-4", "4-1\r\nevil: 1")],
        [("x-vqd-4", "4-é")],
        [("x-vqd-4", "4-" + "0" * 65536)],
        [("x-vqd-4", "4-1"), ("x-vqd-hash-1", "e30=")],
        [("x-vqd-4", "4-1"), ("x-vqd-hash-1", "!")],
    ]
)
cookies = st.lists(
    st.sampled_from(
        [
            ("set-cookie", "seen=1; path=/"),
            ("set-cookie", "seen=2; path=/"),
            ("Set-Cookie", "lang=en; path=/; secure"),
            ("set-cookie", "evil=1; domain=evil.example; path=/"),
            ("set-cookie", "broken"),
        ]
    ),
    max_size=2,
)
odd_headers = st.sampled_from(
    [
        ("retry-after", "3"),
        ("retry-after", "59.5"),
        ("retry-after", "4000"),
        ("content-length", "5"),
        ("content-length", "99999"),
        ("content-encoding", "br"),
        ("content-encoding", "gzip"),
        ("content-type", "text/html"),
        ("x", "y" * 1000),
    ]
)
locations = st.sampled_from(
    [
        "https://start.duckduckgo.com/moved",
        "https://duck.ai/moved",
        "/moved",
        "",
        "https://evil.example/",
        "http://duckduckgo.com/",
        "https://user@duckduckgo.com/",
        "https://[",
    ]
)


def good_response(step: str) -> st.SearchStrategy[Response]:
    """Give what the service says when all is well."""
    if step == "page":
        return st.just(Response(body=PAGE))
    if step == "landing":
        return cookies.map(lambda fields: Response(headers=list(fields), body=b"<html>"))
    if step == "status":
        return tokens.map(lambda pair: Response(headers=list(pair), body=b'{"status":"0"}'))
    if step == "models":
        return cookies.map(lambda fields: Response(headers=list(fields), body=b'{"models":[{"id":"listed"}]}'))
    stream = ("content-type", "text/event-stream; charset=utf-8")
    more = st.sampled_from([*map(piece, TEXTS), *WORDS])
    good = st.lists(more, max_size=3).map(lambda said: sse(piece("Yes"), *said, b"[DONE]"))
    return st.builds(
        lambda pair, fields, body: Response(200, [stream, *pair, *fields], body), tokens | st.just([]), cookies, good
    )


@st.composite
def odd_response(draw: Callable[[Any], Any], step: str) -> Response:
    """Give what else the service, or what stands before it, may say."""
    kind = draw(st.sampled_from(["refusal", "refusal", "redirect", "page", "empty", *["reply"] * 6 * (step == "chat")]))
    pair = draw(st.sampled_from([tokens, tokens, odd_tokens if step != "chat" else st.just([])]).flatmap(lambda t: t))
    headers = [*draw(cookies), *draw(st.just([]) | st.just([]) | st.lists(odd_headers, min_size=1, max_size=1)), *pair]
    if kind == "redirect":
        return Response(draw(st.sampled_from(sorted(REDIRECTS))), [*headers, ("location", draw(locations))], b"moved")
    if kind == "refusal":
        status, name = draw(st.sampled_from(ERRORS))
        return Response(status, headers, error_body(status, name))
    if kind == "reply":
        return Response(200, [("content-type", "text/event-stream"), *headers], draw(replies()))
    status = draw(st.sampled_from([200, 403, 429, 502]))
    return Response(status, headers, b"<html>Just a moment..." if kind == "page" else b"")


STREAM = ("content-type", "text/event-stream")
REFUSALS = [
    Response(503),
    Response(429),
    Response(400, body=error_body(400, "ERR_INVALID_VQD")),
    Response(200, [STREAM], sse(error_body(503, None))),
    Response(200, [STREAM], sse(piece("Yes"), error_body(503, None))),
    Response(200, [STREAM, ("x-vqd-4", "4-7")], sse(b"[CHAT_TITLE:lost]", error_body(429, "ERR_RATE_LIMIT"))),
]
"""What a service says that stays with it."""


# The model


@dataclass
class Turn:
    """What a plain account of a turn remembers."""

    question: str
    model: str
    jar: dict[tuple[str, str], str]
    pair: tuple[str, str] | None
    answering: bool
    spent: bool = False
    asked: bool = False
    step: str = ""
    host: str = ""
    redirects: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    pieces: list[str] = field(default_factory=list)
    title: str | None = None
    limit: bool = False
    lands: bool = False  # the cookies of the landing page are still to come
    landed: bool = False  # it has visited that page itself
    lists: bool = False  # it asks for the list of models, and for nothing else


class Chat:
    """A session with its user and its driver, and what its conversation has to be."""

    def __init__(
        self, machine: SessionMachine, session: Session, *, solver: bool, answers: str, supplied: bool
    ) -> None:
        self.machine = machine
        self.session = session
        self.solver, self.answers, self.supplied = solver, answers, supplied
        self.history: tuple[Message, ...] = ()
        self.model = "gpt-4o-mini"
        self.pair: tuple[str, str] | None = None
        self.title: str | None = None
        self.limit = False
        self.wanted = False
        self.jar = self.fresh_jar()
        self.committed_jar: dict[tuple[str, str], str] | None = None
        self.turn: Turn | None = None
        self.state = session.state
        # The driver's side
        self.request: SendRequest | None = None
        self.phase = "over"  # head, body or over
        self.head: Response | None = None  # reported, and not looked at
        self.failure: FailureKind | None = None  # likewise
        self.rest = b""  # of the body
        self.intent: Wait | SolveChallenge | None = None
        self.answer = ""
        self.old: list[SendRequest | Wait | SolveChallenge] = []
        self.cancelled: str | None = None  # what a TurnCancelled that is still to come must say

    def __repr__(self) -> str:
        return f"<Chat {self.session.state.name}>"

    def fresh_jar(self) -> dict[tuple[str, str], str]:
        supplied = {("duckduckgo.com", name): value for name, value in SUPPLIED.items()} if self.supplied else {}
        return {**OWN_COOKIES, **supplied}

    # Pulling

    def pull(self) -> Action | None:
        """Pull one action and hold it against the model; None for an exception."""
        self.look_at_head()
        failure, self.failure = self.failure, None
        if failure is FailureKind.NOT_SENT and self.turn is not None and not self.turn.redirects:
            self.turn.spent = False
        turn, landing = self.turn, self.machine.shared.landing
        try:
            action = self.session.next_action(now=self.machine.now)
        except DuckChatError as error:
            self.turn_failed(error)
            return None
        finally:
            self.look_at_cookies(turn, landing)
        self.machine.seen[type(action)] += 1
        match action:
            case SendRequest():
                self.request_pulled(action)
            case Wait() | SolveChallenge():
                self.intent_pulled(action)
            case _ if action is PAUSED:
                assert self.session.state in AT_REST
                assert self.cancelled is None
                self.leave_exchange()
            case _ if action is NEED_DATA:
                assert self.request is not None
                assert self.session.deadline is not None
                # Else a driver that waits until then would spin.
                assert self.session.deadline > self.machine.now
            case event:
                self.event_pulled(event)  # type: ignore[arg-type]
        return action

    def pull_on(self) -> Action | None:
        """Pull past events."""
        while True:
            action = self.pull()
            if (
                action is None
                or isinstance(action, SendRequest | Wait | SolveChallenge)
                or action in (NEED_DATA, PAUSED)
            ):
                return action

    def leave_exchange(self) -> None:
        if self.request is not None:
            self.old.append(self.request)
        self.request, self.phase, self.head, self.failure = None, "over", None, None

    def look_at_head(self) -> None:
        """Take the account of a head that the session comes to now."""
        head, self.head = self.head, None
        turn = self.turn
        if head is None or turn is None:
            return
        fields = {name.lower(): value for name, value in head.headers}
        for name, value in head.headers:
            cookie, equals, _ = value.partition(";")[0].partition("=")
            if name.lower() == "set-cookie" and equals and "evil" not in cookie:
                turn.jar[turn.host, cookie] = value.partition(";")[0].partition("=")[2]
        if head.status in REDIRECTS:
            turn.redirects = -1 - turn.redirects if turn.redirects >= 0 else turn.redirects  # if it is followed
        elif fields.get("x-vqd-4") and (turn.step == "chat" or (turn.step == "status" and head.status == 200)):
            turn.pair, turn.spent = (fields["x-vqd-4"], fields.get("x-vqd-hash-1", "")), False

    def look_at_cookies(self, turn: Turn | None, before: Landing | None) -> None:
        """Take the account of what the client knows of the landing page: this chat's news, or news to this chat.

        The turn may be over: a pull that comes late takes what the page brought, and then says that time is up.
        """
        landing = self.machine.shared.landing
        phase = self.session._machine.phase
        if landing is not None and landing is not before:
            assert turn is not None
            assert turn.step == "landing"
            turn.landed = True
            turn.jar |= OWN_COOKIES
            assert {(cookie.domain, cookie.name): cookie.value for cookie in landing.cookies} == turn.jar
        if turn is not None and isinstance(phase, InTurn) and turn.lands:
            if not phase.turn.landing_due and not turn.landed and turn.step != "landing":
                assert landing is not None
                turn.jar |= {(cookie.domain, cookie.name): cookie.value for cookie in landing.cookies}
            turn.lands = phase.turn.landing_due

    def request_pulled(self, request: SendRequest) -> None:
        turn = self.turn
        assert turn is not None
        parts = urlsplit(request.url)
        headers = dict(request.headers)
        assert parts.scheme == "https"
        assert parts.hostname in ALLOWED
        if turn.redirects < 0:  # the head was a redirect, and nothing came between
            turn.redirects = -turn.redirects
            assert turn.redirects <= POLICY.max_redirects
        else:
            turn.redirects = 0
            path = request.url.removeprefix(PROFILE.origin)
            turn.step = STEPS.get(path, "chat")
            assert request.url == PROFILE.url(PROFILE.chat_path) or turn.step != "chat"
            turn.requests[turn.step] += 1
            self.machine.request_begins()
        turn.host = parts.hostname
        wanted = {f"{name}={value}" for (host, name), value in turn.jar.items() if host == turn.host}
        assert set(filter(None, headers.get("cookie", "").split("; "))) == wanted
        if turn.step == "chat":
            self.check_chat(turn, request, headers)
        else:
            assert request.method == "GET"
            assert not {"x-vqd-4", "x-vqd-hash-1"} & headers.keys()
        self.check_tries(turn)
        self.leave_exchange()
        self.request, self.phase = request, "head"

    def check_chat(self, turn: Turn, request: SendRequest, headers: dict[str, str]) -> None:
        assert request.method == "POST"
        assert turn.pair is not None
        assert not turn.pieces
        body = json.loads(request.body)
        assert body["model"] == turn.model
        assert [message["content"] for message in body["messages"]] == [
            *(message.content for message in self.history),
            turn.question,
        ]
        assert headers["x-vqd-4"] == turn.pair[0]
        answer = headers["x-vqd-hash-1"]
        if not turn.answering or not turn.pair[1]:
            assert answer == ""
        elif self.solver:
            assert answer == self.answer
        else:
            assert CHALLENGES[turn.pair[1]].is_answered(
                answer, user_agent=headers["user-agent"], brands=headers["sec-ch-ua"]
            )
        turn.spent, turn.title, turn.limit = True, None, False

    def check_tries(self, turn: Turn) -> None:
        tries, retries = turn.requests, turn.retries
        assert tries["page"] <= 1
        assert tries["landing"] <= 1 + retries["status"] + retries["chat"]
        assert tries["status"] <= 1 + retries["status"] + retries["chat"] + retries["token"] + turn.asked
        assert tries["chat"] <= 1 + retries["chat"] + retries["token"] + turn.asked
        assert max(retries["status"], retries["chat"]) <= POLICY.max_retries
        assert retries["token"] <= 1
        assert tries["models"] <= 1 + retries["models"] <= 1 + POLICY.max_retries
        assert not turn.lists or tries.keys() == {"models"}

    def intent_pulled(self, intent: Wait | SolveChallenge) -> None:
        if self.intent is not None:
            assert intent == self.intent
        else:
            self.leave_exchange()
            self.intent = intent
            if isinstance(intent, Wait):
                assert intent.until > self.machine.now

    def event_pulled(self, event: Event) -> None:
        if isinstance(event, TurnCancelled):
            assert event.text == self.cancelled
            self.cancelled = None
            self.leave_exchange()
            return
        turn = self.turn
        assert turn is not None
        turn.redirects = max(turn.redirects, 0)
        match event:
            case TurnStarted(model):
                assert not turn.lists
                assert model == turn.model
            case ModelsReceived(listed):
                assert turn.lists
                assert [model.id for model in listed.models] == ["listed"]
                self.turn = None
            case TextDelta(text):
                assert text
                text.encode()
                turn.pieces.append(text)
            case TurnFinished():
                self.turn_finished(turn, event)
            case ConversationTitle(title):
                turn.title = title
            case LimitReached(limit):
                turn.limit = turn.limit or limit == "conversation"
            case Retrying():
                self.retrying(turn, event)
            case ChallengeReceived():
                assert not turn.asked
                assert not turn.lists
                assert not turn.pieces
                assert self.answers != "never"
                turn.asked = turn.answering = True
                if turn.spent:
                    turn.pair, turn.spent = None, False
                self.leave_exchange()
            case Queued(position, until):
                assert position == 1
                assert until > self.machine.now
            case FrontEndVersionUnknown() | LandingPageFailed() | ServiceNotice():
                self.leave_exchange()

    def retrying(self, turn: Turn, event: Retrying) -> None:
        assert not turn.pieces
        if isinstance(event.cause, TokenError) and turn.step == "chat":
            turn.retries["token"] += 1
            turn.pair, turn.spent = None, False
        else:
            turn.retries[turn.step] += 1
            assert event.attempt == turn.retries[turn.step]
            assert event.delay >= 2.0
            if isinstance(event.cause, RateLimitError):
                turn.jar, turn.lands, turn.landed = self.fresh_jar(), not self.supplied, False
                turn.pair, turn.spent = None, False
            elif turn.spent:
                turn.pair, turn.spent = None, False
        self.leave_exchange()

    def turn_finished(self, turn: Turn, event: TurnFinished) -> None:
        assert event.text == "".join(turn.pieces) != ""
        assert event.model == turn.model
        self.history = (*self.history, Message("user", turn.question), Message("assistant", event.text))
        self.model = turn.model
        self.pair = None if turn.spent else turn.pair
        self.title = self.title if turn.title is None else turn.title
        self.limit = self.limit or turn.limit
        self.wanted = self.wanted or turn.asked
        self.jar = self.committed_jar = turn.jar
        self.turn = None

    def turn_failed(self, error: DuckChatError) -> None:
        assert not isinstance(error, LocalProtocolError)
        assert self.turn is not None
        assert error.text == "".join(self.turn.pieces)
        self.turn_is_over()
        assert self.session.state is State.READY
        assert self.session.next_action(now=self.machine.now) is PAUSED

    def turn_is_over(self) -> None:
        """Take the account of a turn that comes to nothing: all it leaves behind is that its token is spent."""
        if self.turn is not None and self.turn.requests["chat"]:
            self.pair = None
        self.turn = None
        self.old += [] if self.intent is None else [self.intent]
        self.intent = None
        self.leave_exchange()

    # The user

    def ask(self, question: str, model: str | None) -> None:
        self.session.ask(question, model=model, now=self.machine.now)
        self.leave_exchange()
        self.cancelled = None
        self.turn = Turn(
            question=question,
            model=model or self.model,
            jar=dict(self.jar),
            pair=self.pair,
            answering=self.answers == "always" or (self.answers == "on_demand" and self.wanted),
            lands=not self.supplied and self.committed_jar is None,
        )

    def fetch_models(self) -> None:
        self.session.fetch_models(now=self.machine.now)
        self.leave_exchange()
        self.cancelled = None
        self.turn = Turn(question="", model="", jar=dict(self.jar), pair=self.pair, answering=False, lists=True)

    def cancel(self) -> None:
        if self.turn is not None:
            self.cancelled = "".join(self.turn.pieces)
        self.session.cancel()
        self.turn_is_over()

    def close(self) -> None:
        self.session.close()
        self.cancelled = None
        self.turn_is_over()

    def restore(self) -> None:
        """Put another session in the place of this one, by way of JSON."""
        now = self.machine.now
        data = json.loads(json.dumps(self.session.snapshot(now=now)))
        elsewhere = Session.restore(data, now=now + 1024, profile=PROFILE, policy=POLICY)
        back = Session.restore(elsewhere.snapshot(now=now + 1024), now=now, profile=PROFILE, policy=POLICY)
        assert json.loads(json.dumps(back.snapshot(now=now))) == data
        self.session = Session.restore(
            data, now=now, profile=PROFILE, policy=POLICY, shared=self.machine.shared, jitter=self.machine.jitter
        )
        turn = self.turn
        if self.request is not None and (turn is None or turn.step != "chat"):
            # The connection is gone: what was a page or the status is asked for again, and what was done is done.
            if turn is not None:
                turn.requests[turn.step] -= 1
                turn.redirects = 0
            self.leave_exchange()

    # Invariants

    def check(self) -> None:
        conversation = self.session.conversation
        assert conversation.message_history == self.history
        assert conversation.model == self.model
        assert (conversation.vqd, conversation.vqd_hash_1) == (self.pair or ("", ""))
        assert (conversation.title, conversation.limit_reached) == (self.title, self.limit)
        assert conversation.answers_wanted == self.wanted
        kept = {(cookie.domain, cookie.name): cookie.value for cookie in conversation.cookies}
        assert kept == (self.committed_jar or {})
        assert (self.turn is not None) == (self.session.state not in (*AT_REST, State.DRAINING))
        if self.session.state is not self.state:
            self.state = self.session.state
            self.machine.visits[self.state] += 1


STEPS_ON = st.integers(0, 60)
BITE = st.integers(1, 60) | st.just(10**6)
MOODS = st.sampled_from(["well", "well", "any", "any", "stubborn"])
FATES = ["good", "coded", "odd", "odd", "odd", "challenge", "failure"]


class SessionMachine(RuleBasedStateMachine):
    """Two sessions of one client, and everything that can happen to them."""

    visits: ClassVar[Counter[State]] = Counter()
    seen: ClassVar[Counter[type]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.shared = ClientState()
        self.last_begin: float | None = None
        self.chats: list[Chat] = []
        self.jitters = 0

    def jitter(self) -> float:
        self.jitters += 1
        return self.jitters % 8 / 8

    def request_begins(self) -> None:
        assert self.last_begin is None or self.now - self.last_begin >= PROFILE.interval
        self.last_begin = self.now

    def open(self, *, solver: bool, answers: Any, supplied: bool, conversation: Conversation | None = None) -> Chat:
        session = Session(
            PROFILE,
            conversation=conversation,
            cookies=SUPPLIED if supplied else None,
            policy=POLICY,
            shared=self.shared,
            jitter=self.jitter,
            answer_challenge=answers,
            solver="embedder" if solver else "none",
        )
        return Chat(self, session, solver=solver, answers=answers, supplied=supplied)

    @initialize(
        solver=st.booleans(),
        answers=st.tuples(*[st.sampled_from(["always", "always", "on_demand", "never"])] * 2),
        supplied=st.booleans(),
    )
    def begin(self, solver: bool, answers: tuple[Any, Any], supplied: bool) -> None:
        self.chats = [
            self.open(solver=solver, answers=answers[0], supplied=False),
            self.open(solver=True, answers=answers[1], supplied=supplied),
        ]

    def chat(self, data: st.DataObject, wanted: Callable[[Chat], bool]) -> Chat:
        return data.draw(st.sampled_from([chat for chat in self.chats if wanted(chat)]))

    def any_chat(self, wanted: Callable[[Chat], bool]) -> bool:
        return any(map(wanted, self.chats))

    # The user

    @precondition(lambda self: self.any_chat(may_ask))
    @rule(data=st.data(), model=st.sampled_from([None, None, "o3-mini"]), steps=STEPS_ON, bite=BITE, mood=MOODS)
    def ask(self, data: st.DataObject, model: str | None, steps: int, bite: int, mood: str) -> None:
        chat = self.chat(data, may_ask)
        chat.ask(data.draw(st.sampled_from(["Hi", "Why is the sky blue?", "☃"])), model)
        self.go_on(chat, data, steps, bite, mood)

    @precondition(lambda self: self.any_chat(may_ask))
    @rule(data=st.data(), steps=STEPS_ON, bite=BITE, mood=MOODS)
    def fetch_models(self, data: st.DataObject, steps: int, bite: int, mood: str) -> None:
        chat = self.chat(data, may_ask)
        chat.fetch_models()
        self.go_on(chat, data, steps, bite, mood)

    @rule(data=st.data(), chance=st.integers(0, 5))
    def cancel(self, data: st.DataObject, chance: int) -> None:
        if chance == 0:
            self.chat(data, anything).cancel()

    @rule(data=st.data(), chance=st.integers(0, 9))
    def close(self, data: st.DataObject, chance: int) -> None:
        if chance == 0:
            self.chat(data, anything).close()

    @precondition(lambda self: self.any_chat(is_closed))
    @rule(data=st.data())
    def go_on_with_the_conversation(self, data: st.DataObject) -> None:
        chat = self.chat(data, is_closed)
        saved = Conversation.from_json(chat.session.conversation.to_json())
        other = self.open(solver=chat.solver, answers=chat.answers, supplied=chat.supplied, conversation=saved)
        other.history, other.model, other.pair = chat.history, chat.model, chat.pair
        other.title, other.limit, other.wanted = chat.title, chat.limit, chat.wanted
        other.committed_jar = chat.committed_jar
        if chat.committed_jar is not None and not chat.supplied:
            other.jar = dict(chat.committed_jar)
        self.chats[self.chats.index(chat)] = other

    @precondition(lambda self: self.any_chat(is_full))
    @rule(data=st.data())
    def begin_anew(self, data: st.DataObject) -> None:
        chat = self.chat(data, is_full)
        chat.close()
        other = self.open(solver=chat.solver, answers=chat.answers, supplied=chat.supplied)
        self.chats[self.chats.index(chat)] = other

    @rule(data=st.data())
    def store_and_restore(self, data: st.DataObject) -> None:
        self.chat(data, anything).restore()

    # The driver, and what the network and the service let it see

    @rule(data=st.data())
    def pull(self, data: st.DataObject) -> None:
        self.chat(data, anything).pull()

    @rule(data=st.data())
    def pull_on(self, data: st.DataObject) -> None:
        self.chat(data, anything).pull_on()

    @precondition(lambda self: self.any_chat(in_a_turn))
    @rule(data=st.data(), steps=STEPS_ON, bite=BITE, mood=MOODS)
    def it_goes_on_for_a_while(self, data: st.DataObject, steps: int, bite: int, mood: str) -> None:
        self.go_on(self.chat(data, in_a_turn), data, steps, bite, mood)

    @precondition(lambda self: self.any_chat(awaits_head))
    @rule(data=st.data())
    def a_response_in_one_burst(self, data: st.DataObject) -> None:
        chat = self.chat(data, awaits_head)
        self.respond(chat, data, "any")
        while chat.phase == "body":
            self.deliver(chat, len(chat.rest))

    @precondition(lambda self: self.any_chat(awaits_body))
    @rule(data=st.data(), bite=st.integers(0, 60) | st.just(10**6))
    def a_piece_of_the_body(self, data: st.DataObject, bite: int) -> None:
        self.deliver(self.chat(data, awaits_body), bite)

    @precondition(lambda self: self.any_chat(awaits_anything))
    @rule(data=st.data(), kind=st.sampled_from(FailureKind))
    def the_network_fails(self, data: st.DataObject, kind: FailureKind) -> None:
        chat = self.chat(data, awaits_anything)
        if kind is not FailureKind.NOT_SENT or chat.phase == "head":
            self.fail(chat, kind)

    @precondition(lambda self: self.any_chat(is_waiting))
    @rule(data=st.data())
    def a_wait_is_over(self, data: st.DataObject) -> None:
        chat = self.chat(data, is_waiting)
        assert isinstance(chat.intent, Wait)
        self.wait(chat, chat.intent.until)

    @precondition(lambda self: self.any_chat(is_solving))
    @rule(data=st.data(), good=st.sampled_from([True, True, True, False]))
    def the_embedder_solves(self, data: st.DataObject, good: bool) -> None:
        chat = self.chat(data, is_solving)
        assert isinstance(chat.intent, SolveChallenge)
        if good:
            self.solve(chat, chat.intent)
        else:
            chat.session.challenge_failed(chat.intent, "no idea")
            chat.old.append(chat.intent)
            chat.intent = None

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 1.5, 5.0, 31.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.any_chat(has_deadline))
    @rule(data=st.data(), chance=st.integers(0, 2))
    def a_deadline_comes(self, data: st.DataObject, chance: int) -> None:
        chat = self.chat(data, has_deadline)
        if chance == 0:
            self.now = max(self.now, chat.session.deadline or 0)
            chat.pull()

    # What a driver must not do, or may do in vain

    @precondition(lambda self: self.any_chat(has_past))
    @rule(data=st.data(), what=st.integers(0, 4))
    def a_late_answer(self, data: st.DataObject, what: int) -> None:
        chat = self.chat(data, has_past)
        old = data.draw(st.sampled_from(chat.old[-3:]))
        before = chat.session.snapshot(now=self.now)
        if isinstance(old, Wait):
            chat.session.wait_elapsed(old)
        elif isinstance(old, SolveChallenge):
            chat.session.challenge_solved(old, "bGF0ZQ==") if what else chat.session.challenge_failed(old, "late")
        else:
            report(chat.session, old, what, self.now)
        assert chat.session.snapshot(now=self.now) == before

    @rule(data=st.data(), what=st.integers(0, 10))
    def what_is_not_legal(self, data: st.DataObject, what: int) -> None:
        chat = self.chat(data, anything)
        session = chat.session
        never = SendRequest(id=10**6, method="GET", url="https://duckduckgo.com/", headers=(), body=b"", timeout=1.0)
        before = session.snapshot(now=self.now)
        try:
            if what < 4:
                report(session, never, what, self.now)
            elif what == 4:
                session.wait_elapsed(Wait(id=10**6, until=0.0, reason="pacing"))
            elif what == 5 and not may_ask(chat):
                session.ask("Hi", now=self.now)
            elif what == 10 and not may_ask(chat):
                session.fetch_models(now=self.now)
            elif what == 6 and chat.request is not None:
                session.wait_elapsed(chat.request)  # type: ignore[arg-type]
            elif what == 7 and awaits_head(chat):
                assert chat.request is not None
                report(session, chat.request, data.draw(st.integers(1, 2)), self.now)
            elif what == 8 and awaits_body(chat):
                assert chat.request is not None
                report(session, chat.request, 0, self.now)
            elif what == 9 and may_ask(chat):
                session.ask([], now=self.now)
            else:
                return
        except LocalProtocolError:
            assert session.snapshot(now=self.now) == before
        else:
            raise AssertionError("it was legal")

    # Helpers

    def go_on(self, chat: Chat, data: st.DataObject, steps: int, bite: int, mood: str) -> None:
        stubborn = data.draw(st.sampled_from(REFUSALS)) if mood == "stubborn" else None
        for _ in range(steps):
            action = chat.pull_on()
            chat.check()
            match action:
                case Wait():
                    self.wait(chat, action.until)
                case SolveChallenge():
                    self.solve(chat, action)
                case _ if chat.phase == "head" and stubborn and chat.turn is not None and chat.turn.step == "chat":
                    self.head(chat, stubborn)
                case _ if chat.phase == "head":
                    self.respond(chat, data, mood)
                case _ if chat.phase == "body":
                    self.deliver(chat, bite)
                case _:
                    break

    def respond(self, chat: Chat, data: st.DataObject, mood: str) -> None:
        assert chat.turn is not None
        fate = data.draw(st.sampled_from(FATES)) if mood == "any" else "good"
        if fate == "failure":
            self.fail(chat, data.draw(st.sampled_from(FailureKind)))
        elif fate == "challenge":
            self.head(chat, Response(418, data.draw(tokens | st.just([])), error_body(418, "ERR_CHALLENGE")))
        elif fate == "odd":
            self.head(chat, data.draw(odd_response(chat.turn.step)))
        else:
            response = data.draw(good_response(chat.turn.step))
            self.head(chat, response.coded() if fate == "coded" else response)

    def fail(self, chat: Chat, kind: FailureKind) -> None:
        assert chat.request is not None
        chat.session.transport_failed(chat.request, Failure(kind, "the network failed"))
        chat.phase, chat.failure = "over", kind

    def head(self, chat: Chat, response: Response) -> None:
        assert chat.request is not None
        chat.session.receive_head(chat.request, response.status, response.headers, now=self.now)
        chat.phase, chat.head, chat.rest = "body", response, response.body

    def deliver(self, chat: Chat, bite: int) -> None:
        assert chat.request is not None
        if chat.rest:
            chat.session.receive_data(chat.request, chat.rest[:bite])
            chat.rest = chat.rest[bite:]
        else:
            chat.session.receive_eof(chat.request)
            chat.phase = "over"

    def wait(self, chat: Chat, until: float) -> None:
        assert isinstance(chat.intent, Wait)
        self.now = max(self.now, until)
        chat.session.wait_elapsed(chat.intent)
        chat.old.append(chat.intent)
        chat.intent = None

    def solve(self, chat: Chat, intent: SolveChallenge) -> None:
        chat.answer = f"YW5zd2Vy{intent.id}"
        chat.session.challenge_solved(intent, chat.answer)
        chat.old.append(intent)
        chat.intent = None

    @invariant()
    def each_conversation_is_what_the_model_says(self) -> None:
        for chat in self.chats:
            chat.check()


def report(session: Session, request: SendRequest, what: int, now: float) -> None:
    match what:
        case 0:
            session.receive_head(request, 200, [("x-vqd-4", "4-666")], now=now)
        case 1:
            session.receive_data(request, sse(piece("late")))
        case 2:
            session.receive_eof(request)
        case _:
            session.transport_failed(request, Failure(FailureKind.CUT, "late"))


def anything(chat: Chat) -> bool:
    return True


def may_ask(chat: Chat) -> bool:
    return chat.session.state in (State.READY, State.DRAINING)


def is_closed(chat: Chat) -> bool:
    return chat.session.state is State.CLOSED


def is_full(chat: Chat) -> bool:
    return chat.limit


def in_a_turn(chat: Chat) -> bool:
    return chat.turn is not None


def awaits_head(chat: Chat) -> bool:
    return chat.phase == "head" and chat.turn is not None


def awaits_body(chat: Chat) -> bool:
    return chat.phase == "body"


def awaits_anything(chat: Chat) -> bool:
    return chat.phase != "over"


def is_waiting(chat: Chat) -> bool:
    return isinstance(chat.intent, Wait)


def is_solving(chat: Chat) -> bool:
    return isinstance(chat.intent, SolveChallenge)


def has_deadline(chat: Chat) -> bool:
    return chat.session.deadline is not None


def has_past(chat: Chat) -> bool:
    return bool(chat.old)


def walk(number: int, *, derandomize: bool = not EXAMPLES) -> None:
    run_state_machine_as_test(
        SessionMachine,
        settings=settings(
            max_examples=number,
            stateful_step_count=100 if EXAMPLES else 50,
            derandomize=derandomize,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )


def test_whatever_happens_the_conversation_is_what_the_model_says() -> None:
    walk(20)


SOUGHT = (
    TurnFinished,
    TurnCancelled,
    Retrying,
    ChallengeReceived,
    ConversationTitle,
    FrontEndVersionUnknown,
    LandingPageFailed,
    ModelsReceived,
)


def hardly_seen() -> list[str]:
    """Return the states and events that the walks have not come to often."""
    alone = set(State) - {State.COORDINATING}  # which needs an engine: test_sessions_machine.py
    states = [state.name for state in State if state in alone and SessionMachine.visits[state] < FLOOR]
    return states + [event.__name__ for event in SOUGHT if SessionMachine.seen[event] < 5]


@pytest.mark.deep("hundreds of walks until each state is seen often")
def test_every_state_is_seen_often() -> None:
    SessionMachine.visits, SessionMachine.seen = Counter(), Counter()
    walk(EXAMPLES or 500)
    for _ in range(5):  # what one walk comes to depends on what else Hypothesis knows of
        if hardly_seen():
            walk(500, derandomize=False)
    assert hardly_seen() == []
