"""Sessions, the service, and what is recorded of them: what they do when anybody says anything.

An input is a series of steps, with an FF after each. The first says by letters what the session begins with
(`begun`); of the others the first letter says what is done (`Steps`), the rest with what.
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
import re
from collections.abc import Iterator
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import h11
import msgspec

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    Conversation,
    DuckChatError,
    Event,
    Failure,
    FailureKind,
    LocalProtocolError,
    Message,
    ModelNotSupportedError,
    Policy,
    SendRequest,
    ServiceProfile,
    Session,
    Signal,
    SolveChallenge,
    TextDelta,
    TurnCancelled,
    TurnFinished,
    Wait,
)
from ddg_protocol._state import AT_REST, State
from ddg_protocol.chat import format_prompt, last_user_message
from ddg_protocol.errors import ConversationFormatError
from ddg_protocol.intents import Coordinate
from ddg_protocol.revisions import DUCK_AI_2026_10
from ddg_protocol.service import Fault, Service, ServiceRequest, framed
from ddg_protocol.service.script import fault_from_text, script_from_toml
from ddg_protocol.tap import DrivenSession
from ddg_protocol.testing._http import read_request
from ddg_protocol.transcript import Recording, Transcript, TranscriptService, first_difference
from ddg_protocol.wire import Close, Connect, Send, WireSession

from .parsers import CUT, FIELD_VALUE, fields_of, fits_a_message

PROFILE = DUCKDUCKGO_2025_04
LOCAL = PROFILE.at("http://127.0.0.1:8000")
LATER = DUCK_AI_2026_10.updated(
    {"extra_body": {"id": "{talk_id}"}, "ids": {"journey_id": {}, "talk_id": {"new": "conversation"}}}
)
TIGHT = Policy(
    max_head_bytes=400,
    max_page_bytes=300,
    max_error_bytes=100,
    max_drain_bytes=20,
    max_event_bytes=60,
    max_reply_bytes=12,
    max_challenge_bytes=2000,
    max_prompt_chars=40,
    max_redirects=2,
    max_retries=1,
    base_delay=0.5,
)
TOKENS = Conversation(model="gpt-4o-mini", vqd="4-1", fe_version="a-b")
HISTORY = (Message("user", "a"), Message("assistant", "b"))

_SessionT = TypeVar("_SessionT", bound=DrivenSession | WireSession)
_BOMB = 1024 * 1024
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")


def begun(options: bytes) -> Session:
    """Begin a session.

    Args:
        options: letters: ``t`` it has tokens and a version, ``h`` and a history; ``j`` the embedder's cookies; ``l`` it
            is on loopback; ``p`` its questions may be repeated; ``b`` its bounds are small; ``s`` it is strict; ``e``
            the embedder solves challenges; ``a`` they are always answered, ``n`` never; ``o`` the service is that of
            October 2026.
    """
    chosen = {chr(letter) for letter in options}
    profile = LOCAL if "l" in chosen else LATER if "o" in chosen else PROFILE
    if "p" in chosen:
        profile = msgspec.structs.replace(profile, chat_is_repeatable=True)
    policy = TIGHT if "b" in chosen else Policy()
    conversation = TOKENS if "t" in chosen else Conversation()
    if conversation.vqd and profile is not PROFILE and not profile.vqd_4:
        conversation = msgspec.structs.replace(conversation, model="", vqd="", vqd_hash_1="one")
    if "h" in chosen:
        conversation = msgspec.structs.replace(conversation, message_history=HISTORY)
    return Session(
        profile,
        conversation=conversation,
        cookies={"own": "1"} if "j" in chosen else None,
        policy=msgspec.structs.replace(policy, strict="s" in chosen),
        answer_challenge="always" if "a" in chosen else "never" if "n" in chosen else "on_demand",
        solver="embedder" if "e" in chosen else "none",
    )


class Steps(Generic[_SessionT]):
    """Does what an input says to a session, and holds the session to its promises.

    Steps of both floors: ``?`` ask (``[...]`` is JSON), ``C`` cancel, ``X`` close, ``T`` seconds pass, ``A`` the answer
    to a challenge, ``a`` there is none, ``W`` nothing. What a step leaves waiting is answered as a driver would.

    Args:
        session: whose turns they are.
        size: bytes of the input, which bound what comes of it.
    """

    def __init__(self, session: _SessionT, profile: ServiceProfile, size: int) -> None:
        self.session: _SessionT = session
        self.profile = profile
        self.now = 1000.0
        self.text = ""  # of the turn, so far
        self.question: str | None = None
        self.left = 400 + 40 * size  # actions; each step that asks costs a handful, each event some bytes
        self.wait: Wait | None = None
        self.solve: SolveChallenge | None = None
        self.before: Conversation = session.conversation

    def run(self, steps: list[bytes]) -> None:
        """Do them all, and then come to rest."""
        for each in steps:
            self._answer_waiting(each[:1])
            self.left += 40
            try:
                self.step(each[:1], each[1:])
            except LocalProtocolError as error:
                fits_a_message(error)
            self.pull()
        self.session.cancel()
        self.pull()
        assert self.session.next_action(now=self.now) is PAUSED
        self.session.close()
        self.pull()
        assert self.session.state is State.CLOSED

    def step(self, what: bytes, text: bytes) -> None:
        """Do one.

        Raises:
            LocalProtocolError: it isn't legal now.
        """
        session = self.session
        match what:
            case b"?":
                self._ask(text)
            case b"C":
                session.cancel()
            case b"X":
                session.close()
            case b"T":
                self.now += float(text[:6]) if text[:6].isdigit() else 1.0
            case b"A" if self.solve is not None:
                session.challenge_solved(self.solve, text.decode("latin-1"))
            case b"a" if self.solve is not None:
                session.challenge_failed(self.solve, text.decode("utf-8", "surrogateescape"))
            case b"W":
                pass
            case _:
                self.step_of_floor(what, text)

    def step_of_floor(self, what: bytes, text: bytes) -> None:
        raise NotImplementedError

    def _ask(self, text: bytes) -> None:
        messages: Any = text.decode("utf-8", "surrogateescape")
        if text.startswith(b"["):
            try:
                messages = json.loads(text)
            except (ValueError, RecursionError):
                return
        model, _, _ = text.decode("latin-1").partition(" ")
        before = self.session.conversation
        try:
            self.session.ask(messages, model=model[1:] if model.startswith("@") else None, now=self.now)
        except ModelNotSupportedError as error:
            fits_a_message(error)
            assert self.session.conversation is before
            return
        given = [Message("user", messages)] if isinstance(messages, str) else messages
        self.question = (last_user_message if before.message_history else format_prompt)(given)
        self.before, self.text = before, ""

    def _answer_waiting(self, step: bytes) -> None:
        """Let time pass that is waited for, unless the step is about what is done meanwhile."""
        while self.wait is not None and step not in (b"C", b"X", b"S", b"W", b"T", b"O"):
            self.now = max(self.now, self.wait.until)
            self.session.wait_elapsed(self.wait)
            self.pull()

    def pull(self) -> None:
        """Pull until something has to be done that steps are for."""
        self.wait = self.solve = None
        while True:
            self.left -= 1
            assert self.left > 0, "more actions than the input can be the cause of"
            try:
                action = self.session.next_action(now=self.now)
            except DuckChatError as error:
                self._failed(error)
                continue
            if action is PAUSED:
                assert self.session.state in AT_REST
                return
            if action is NEED_DATA:
                deadline = self.session.deadline
                assert self.waits_for_answer() or (deadline is not None and self.now < deadline < math.inf)
                return
            if isinstance(action, Wait):
                assert math.isfinite(action.until)
                assert self.session.next_action(now=self.now) == action
                self.wait = action
                return
            if isinstance(action, SolveChallenge):
                assert self.session.next_action(now=self.now) == action
                self.solve = action
                return
            if isinstance(action, SendRequest | Connect | Send | Close):
                if self.intent(action):
                    return
            else:
                assert not isinstance(action, Signal | Coordinate)
                self._saw(action)

    def waits_for_answer(self) -> bool:
        """Whether an intent is out that has no deadline of its own."""
        return False

    def intent(self, action: SendRequest | Connect | Send | Close) -> bool:
        """Take an intent; tell whether a step is to answer it."""
        raise NotImplementedError

    def _saw(self, event: Event) -> None:
        repr(event)
        conversation = self.session.conversation
        if isinstance(event, TextDelta):
            assert event.text
            event.text.encode()
            self.text += event.text
        elif isinstance(event, TurnCancelled):
            assert event.text == self.text
        elif isinstance(event, TurnFinished):
            assert event.text == self.text
            content = (event.reasoning, event.summaries, event.tools, event.sources, event.images, event.failed_images)
            assert any((event.text, *content, event.refusals, event.parts))
            assert self.question is not None
            *history, reply = conversation.message_history
            assert history == [*self.before.message_history, Message("user", self.question)]
            assert reply == Message("assistant", self.text, reply.parts)
            assert set(reply.parts) >= {part for part in event.parts if "\\u" not in part and len(part) < 500}
            assert len(reply.parts) <= len(event.parts) + len(event.sources) + len(event.images)
            assert conversation.model == event.model
            assert Conversation.from_json(conversation.to_json()) == conversation
            self.before = conversation
        self._is_as_before(conversation)

    def _failed(self, error: DuckChatError) -> None:
        assert not isinstance(error, LocalProtocolError)
        fits_a_message(error)
        assert error.text in ("", self.text)
        assert self.session.state is State.READY
        self._is_as_before(self.session.conversation)

    def _is_as_before(self, conversation: Conversation) -> None:
        """A conversation changes by whole turns; what a turn can't leave is a token that it sent."""
        before = self.before
        assert conversation == before or conversation == msgspec.structs.replace(before, vqd="", vqd_hash_1="")

    def check_request(self, request: ServiceRequest, url: str) -> None:
        """Hold a request to what may be sent, and to whom."""
        parts = urlsplit(url)
        assert self.profile.allows(parts.hostname or "")
        assert parts.scheme == "https" or self.profile.origin == LOCAL.origin
        for name, value in request.headers:
            assert _NAME.fullmatch(name)
            assert FIELD_VALUE.fullmatch(value)
        names = [name for name, _ in request.headers]
        assert len(set(names)) == len(names)
        assert request.header("user-agent") == self.profile.identity.user_agent
        if request.method == "POST":
            assert bool(request.header("x-vqd-4")) == self.profile.vqd_4
            said = json.loads(request.body)["messages"]
            history = [{"role": m.role, "content": m.content} for m in self.before.message_history]
            assert said == [*history, {"role": "user", "content": self.question}]
        else:
            assert request.method == "GET"
            assert not request.body
            assert request.header("x-vqd-4") is None


class SessionSteps(Steps[DrivenSession]):
    r"""Steps of the upper floor.

    ``R`` a whole response: a line ``STATUS`` or ``STATUS name: value``, a line for each other field, an empty line, the
    body. ``H`` its head alone, ``D`` bytes of the body, ``Z`` bytes gzipped, ``M`` a MiB of them gzipped, if `bombs`,
    ``E`` its end, ``F`` and a digit a failure. ``O`` bytes for an earlier request, or for one that was never made.
    ``S`` the session is stored and goes on by another clock, at most `stores` times.
    """

    request: SendRequest | None = None
    last_id = 0
    bombs = 0
    stores = 2000

    def step_of_floor(self, what: bytes, text: bytes) -> None:
        session, request = self.session, self.request
        match what:
            case b"S" if type(session) is Session and self.stores:
                self.stores -= 1
                self._store(session)
            case b"O":
                number = int(text[:2]) if text[:2].isdigit() else 99
                session.receive_data(_request(number), text)
            case _ if request is None:
                pass
            case b"R":
                head, _, body = text.partition(b"\n\n")
                self._head(request, head)
                session.receive_data(request, body)
                session.receive_eof(request)
            case b"H":
                self._head(request, text)
            case b"D":
                session.receive_data(request, text)
            case b"Z":
                session.receive_data(request, gzip.compress(text, mtime=0))
            case b"M" if self.bombs and text:
                self.bombs -= 1
                self.left += _BOMB  # each byte can be an event
                session.receive_data(request, gzip.compress(text * (_BOMB // len(text)), mtime=0))
            case b"E":
                session.receive_eof(request)
            case b"F":
                session.transport_failed(request, failure(text))

    def _head(self, request: SendRequest, head: bytes) -> None:
        status = int(head[:3]) if head[:3].isdigit() else 200
        self.session.receive_head(request, status, fields_of(head[3:].removeprefix(b" ")), now=self.now)

    def _store(self, session: Session) -> None:
        now, later = self.now, self.now + 1024.0
        data = session.snapshot(now=now)
        again = Session.restore(json.loads(json.dumps(data)), now=later, profile=session.profile, policy=session.policy)
        back = Session.restore(again.snapshot(now=later), now=now, profile=session.profile, policy=session.policy)
        assert back.snapshot(now=now) == data
        self.session, self.now = again, later

    def intent(self, action: SendRequest | Connect | Send | Close) -> bool:
        assert isinstance(action, SendRequest)
        assert action.id > self.last_id
        self.last_id = action.id
        self.check_request(ServiceRequest(action.method, action.url, action.headers, action.body), action.url)
        self.request = action
        return True


class WireSteps(Steps[WireSession]):
    """Steps of the lower floor.

    ``B`` bytes from the peer, ``E`` it ends the connection, ``F`` and a digit a failure of what is out, or of the
    connection.
    """

    connect: Connect | None = None
    asked: Connect | Send | None = None

    def _answer_waiting(self, step: bytes) -> None:
        while self.asked is not None and step in (b"B", b"E"):
            asked, self.asked = self.asked, None
            if isinstance(asked, Connect):
                self.session.connected(asked)
            else:
                self.session.sent(asked)
            self.pull()
        super()._answer_waiting(step)

    def step_of_floor(self, what: bytes, text: bytes) -> None:
        session, connect, asked = self.session, self.connect, self.asked
        match what:
            case _ if connect is None:
                pass
            case b"B":
                session.receive_bytes(connect, text)
            case b"E":
                session.receive_eof(connect)
            case b"F":
                session.transport_failed(asked or connect, failure(text))
                if isinstance(asked, Connect):
                    self.connect = None
                self.asked = None

    def waits_for_answer(self) -> bool:
        return self.asked is not None

    def intent(self, action: SendRequest | Connect | Send | Close) -> bool:
        match action:
            case Connect():
                assert self.connect is None, "two connections at once"
                assert action.tls or self.profile.origin == LOCAL.origin
                assert self.profile.allows(action.host)
                self.connect = self.asked = action
                return True
            case Send():
                assert self.connect is not None
                request = read_request(action.data)
                scheme = "https" if self.connect.tls else "http"
                host = request.header("host") or ""
                assert urlsplit(f"{scheme}://{host}").hostname == self.connect.host
                fields = tuple(field for field in request.headers if field[0] not in ("host", "content-length"))
                sent = msgspec.structs.replace(request, headers=fields)
                self.check_request(sent, f"{scheme}://{host}{request.target}")
                self.asked = action
                return True
            case Close():
                assert self.connect is not None, "closed twice, or never made"
                self.connect = self.asked = None
                self.session.closed(action)
                return False
            case _:
                raise AssertionError(action)

    def run(self, steps: list[bytes]) -> None:
        super().run(steps)
        assert self.connect is None, "a connection is left"


def failure(text: bytes) -> Failure:
    kinds = list(FailureKind)
    kind = kinds[int(text[:1]) % len(kinds)] if text[:1].isdigit() else FailureKind.OTHER
    return Failure(kind, text[1:].decode("utf-8", "surrogateescape"))


def _request(number: int) -> SendRequest:
    return SendRequest(id=number, method="GET", url="", headers=(), body=b"", timeout=1.0)


# The targets


def session(data: bytes) -> None:
    """Take turns with whatever answers."""
    options, *steps = data.split(CUT)
    session = begun(options)
    driven = SessionSteps(session, session.profile, len(data))
    driven.bombs = 1
    driven.run(steps)


def wire(data: bytes) -> None:
    """Take turns with whatever is read from the connection."""
    options, *steps = data.split(CUT)
    session = begun(options)
    WireSteps(WireSession(session), session.profile, len(data)).run(steps)


def recording(data: bytes) -> None:
    """Take turns that are recorded, with ``r`` without their texts; done again, they are the same.

    A second chat begins as the first did, and is recorded with it.
    """
    options, *steps = data.split(CUT)[:_MOST_RECORDED]
    lines: list[str] = []
    recording = Recording(lines.append, redact_texts=b"r" in options)
    for each in (steps, steps[:_MOST_AGAIN]):
        session = recording.record(begun(options))
        SessionSteps(session, session.profile, len(data)).run(each)
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    _served(transcript)


def transcript(data: bytes) -> None:
    """Read a transcript; play it to today's core, and serve it again."""
    try:
        found = Transcript.read(data)
        first_difference(found)
        for chat in found.chats():
            _served(chat)
        _served(found)
    except ConversationFormatError as error:
        fits_a_message(error)


def _served(transcript: Transcript) -> None:
    service = TranscriptService(transcript)
    for _ in range(4):
        run = service.handle(ServiceRequest("GET", "/duckchat/v1/status", ()), now=0.0)
        for piece in run.pieces:
            assert 0 <= piece.delay < math.inf


def snapshot(data: bytes) -> None:
    """Restore a session from JSON, and go on with it by the steps that follow."""
    stored, *steps = data.split(CUT)
    try:
        saved = json.loads(stored)
    except (ValueError, RecursionError):
        return
    try:
        session = Session.restore(saved, now=1000.0)
    except ConversationFormatError as error:
        fits_a_message(error)
        return
    now = 1000.0
    assert Session.restore(session.snapshot(now=now), now=now).snapshot(now=now) == session.snapshot(now=now)
    driven = SessionSteps(session, PROFILE, len(data))
    driven.now, driven.last_id = now, saved["last_id"]
    phase = saved.get("phase") or {"cancelled": saved.get("cancelled") and {"text": saved["cancelled"]}}
    driven.text = (phase.get("reader") or phase.get("cancelled") or {}).get("text", "")
    if phase.get("exchange"):
        driven.request = _request(phase["exchange"]["request"]["id"])
    if phase.get("turn"):
        driven.question = phase["turn"]["messages"][-1]["content"]
    driven.pull()
    driven.run(steps)


_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+)")
_MOST_PIECES = 24
_MOST_RECORDED = 2000  # steps: each is a line at least, which is kept, read and done again, several times over
_MOST_AGAIN = 4  # steps of the second chat of a recording


def service(data: bytes) -> None:
    r"""Send the service requests: ``METHOD TARGET``, a line for each field, an empty line, the body.

    In a field, ``{token}`` is the token that it handed out last. Before the first FF stand its faults, a line each.
    """
    first, *requests = data.split(CUT)
    service = Service(script=_faults(first), challenge=first.startswith(b"!"), seed="fuzz")
    token = b"4-0"
    for each in requests[:8]:
        head, _, body = each.replace(b"{token}", token).partition(b"\n\n")
        line, _, fields = head.partition(b"\n")
        found = _REQUEST_LINE.fullmatch(line.decode("latin-1"))
        method, target = found.groups() if found else ("GET", line.decode("latin-1"))
        response = service.handle(ServiceRequest(method, target, fields_of(fields), body), now=1.75e9)
        assert 200 <= response.status < 600
        exchange = service.log[-1]
        assert exchange.reason.isprintable() or not exchange.reason
        token = next((value.encode() for name, value in response.headers if name == "x-vqd-4"), token)
        chunked = not each.endswith(b" ")
        pieces = list(itertools.islice(framed(response, method=method, chunked=chunked), _MOST_PIECES))
        assert all(0 <= piece.delay < math.inf for piece in pieces)
        response.pieces.close()
        assert exchange.ended or not pieces
        if not exchange.faults and len(pieces) < _MOST_PIECES:
            _is_http(method, response.status, b"".join(piece.data for piece in pieces))


def _is_http(method: str, status: int, data: bytes) -> None:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    client.receive_data(b"")
    head = client.next_event()
    assert isinstance(head, h11.Response)
    assert head.status_code == status
    while isinstance(client.next_event(), h11.Data):
        pass
    assert client.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)


def _faults(text: bytes) -> list[Fault]:
    found = []
    for line in text.decode("utf-8", "surrogateescape").splitlines()[:4]:
        try:
            found.append(fault_from_text(line.removeprefix("!")))
        except ValueError as error:
            fits_a_message(error)
    return found


def fault_scripts(data: bytes) -> None:
    """Read faults, as lines and as TOML; what was read happens."""
    text = data.decode("utf-8", "surrogateescape")
    faults: list[Fault] = _faults(data)
    try:
        faults += script_from_toml(text)
    except ValueError as error:
        fits_a_message(error)
    if not faults:
        return
    service = Service(LOCAL, script=faults[:8])
    for request in itertools.islice(answered_by(service, Session(LOCAL, policy=TIGHT)), 12):
        assert request.method in ("GET", "POST")


def answered_by(service: Service, session: Session) -> Iterator[SendRequest]:
    """Take a turn, answered by a service; of endless bodies, no more than the session wants."""
    now = 0.0
    session.ask("?", now=now)
    for _ in range(400):
        try:
            action = session.next_action(now=now)
        except DuckChatError as error:
            fits_a_message(error)
            continue
        if action is PAUSED:
            return
        if isinstance(action, Wait):
            now = action.until
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest):
            yield action
            parts = urlsplit(action.url)
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            fields = (("host", parts.netloc), *action.headers)
            response = service.handle(ServiceRequest(action.method, target, fields, action.body), now=now)
            request, pieces = action, framed(response)
            if response.unanswered == "more":
                session.receive_head(request, response.status, response.headers, now=now)
                pieces = response.pieces
            else:
                pieces = iter(())
        elif action is NEED_DATA:
            piece = next(pieces, None)
            if piece is None:
                session.transport_failed(request, Failure(FailureKind.CUT, ""))
            else:
                session.receive_data(request, piece.data)
                now += min(piece.delay, 100.0)
    session.cancel()


def answered_at_once(session: Session) -> Iterator[SendRequest]:
    """Take a turn in which all goes well, as far as the profile has it; give its requests."""
    profile, now = session.profile, 0.0
    try:
        session.ask("?", now=now)
    except LocalProtocolError:
        return
    while True:
        try:
            action = session.next_action(now=now)
        except DuckChatError as error:
            fits_a_message(error)
            return
        if action is PAUSED:
            return
        if isinstance(action, Wait):
            now = action.until
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest):
            yield action
            page = "".join(f'{marker}v"' for marker in profile.version_markers).encode()
            fields = (("x-vqd-4", "4-1"), ("content-type", "text/event-stream"))
            session.receive_head(action, 200, fields, now=now)
            body = b'data: {"action":"success","message":"x"}\n\ndata: [DONE]\n\n' if action.body else page
            session.receive_data(action, body)
            session.receive_eof(action)
