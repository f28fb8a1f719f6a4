"""`WireSession` in memory, against a hand-written peer: bytes in, bytes out, no I/O and no clock but the one passed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.tiers import some

from ddg_protocol._state import LINKS, Link, LinkMove, State
from ddg_protocol.errors import (
    ChatTimeoutError,
    DuckChatError,
    IncompleteStream,
    LocalProtocolError,
    RateLimitError,
    TransportError,
)
from ddg_protocol.events import (
    Event,
    FrontEndVersionUnknown,
    LandingPageFailed,
    Retrying,
    TextDelta,
    TurnCancelled,
    TurnFinished,
    TurnStarted,
)
from ddg_protocol.intents import Coordinate, Failure, FailureKind, Signal, SolveChallenge, Wait
from ddg_protocol.policy import Policy
from ddg_protocol.profile import ServiceProfile
from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from ddg_protocol.session import Session
from ddg_protocol.wire import Close, Connect, Send, WireIntent, WireSession

LOOPBACK = DUCKDUCKGO_2025_04.at("http://127.0.0.1:8000")
NO_BACKOFF = Policy(base_delay=0.0)
PAGE = b'<script>__DDG_BE_VERSION__="serp_20250401_100419_ET";__DDG_FE_CHAT_HASH__="19d438eb199b2bf7c300"</script>'
REPLY = (
    b'data: {"role":"assistant","message":"Sun","action":"success"}\n\n'
    b'data: {"message":"light.","action":"success"}\n\n'
    b"data: [DONE]\n\n"
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Answer = Callable[[h11.Request], bytes | None]
"""What a peer says to a request; None ends the connection without a word."""


def response(body: bytes = b"", *headers: str, status: int = 200, framing: str = "content-length") -> bytes:
    lines = [f"HTTP/1.1 {status} OK", *headers]
    if framing == "content-length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        half = len(body) // 2
        pieces = [piece for piece in (body[:half], body[half:]) if piece]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return "\r\n".join([*lines, "", ""]).encode() + body


def reply(*, framing: str = "chunked") -> bytes:
    return response(REPLY, "Content-Type: text/event-stream", "x-vqd-4: token-2", framing=framing)


def service(request: h11.Request) -> bytes | None:
    """A service that says yes to everything."""
    match request.target.partition(b"?")[0]:
        case b"/":
            return response(PAGE, "Content-Type: text/html")
        case b"/aichat":
            return response(b"<html></html>", "Set-Cookie: 5=1; Path=/")
        case b"/duckchat/v1/status":
            return response(b'{"status":"0"}', "x-vqd-4: token-1", "x-vqd-hash-1:")
        case _:
            return reply()


def answering(path: bytes, *answers: bytes | None) -> Answer:
    """The same service, but for what it says to the first requests for one path."""
    left = deque(answers)
    return lambda request: left.popleft() if left and request.target == path else service(request)


Wanted = TypeVar("Wanted", Connect, Send)


class Run:
    """A driver of a few lines, with what happened on the way.

    Attributes:
        intents: what was asked of the driver.
        requests: what the peer understood of what was sent.
        events: what the caller saw.
        closed_by_peer: set by a test: the peer has ended the connection while it was idle.
    """

    def __init__(
        self,
        answer: Answer = service,
        *,
        profile: ServiceProfile = LOOPBACK,
        policy: Policy = NO_BACKOFF,
        chunk: int | None = None,
        close_after: int | None = None,
    ) -> None:
        self.wire = WireSession(Session(profile, policy=policy))
        self.answer = answer
        self.chunk = chunk
        self.close_after = close_after  # bytes of each response, then the peer closes
        self.now = 1000.0
        self.intents: list[WireIntent] = []
        self.requests: list[tuple[h11.Request, bytes]] = []
        self.events: list[Event] = []
        self.connection: Connect | None = None
        self.peer = h11.Connection(h11.SERVER)
        self.incoming: deque[bytes] = deque()
        self.ended = False
        self.closed_by_peer = False

    def ask(self, text: str = "Why is the sky blue?") -> list[Event]:
        """A whole turn; what the caller saw of it."""
        self.events = []
        self.wire.ask(text, now=self.now)
        self.drive()
        return self.events

    def until(self, kind: type[Wanted]) -> Wanted:
        """Ask, and pull until there is an intent of that kind, which is left to the test; connect on the way."""
        self.wire.ask("Why?", now=self.now)
        while not isinstance(action := self.wire.next_action(now=self.now), kind):
            if isinstance(action, Connect):
                self.connection = action
                self.wire.connected(action)
        return action

    def drive(self) -> None:
        """Pull until PAUSED, exceptions or not; raise the turn's exception then, as a driver would."""
        error: DuckChatError | None = None
        while True:
            try:
                if self.step() is Signal.PAUSED:
                    break
            except DuckChatError as raised:
                assert error is None, "a turn raises once"
                error = raised
        if error is not None:
            raise error

    def step(self) -> object:
        action = self.wire.next_action(now=self.now)
        match action:
            case Connect():
                assert self.connection is None, "one connection at a time"
                self.intents.append(action)
                self.connection = action
                self.peer = h11.Connection(h11.SERVER)
                self.incoming.clear()
                self.ended = False
                self.wire.connected(action)
            case Send():
                self.intents.append(action)
                assert self.connection is not None
                if action.check_idle and self.closed_by_peer:
                    self.closed_by_peer = False
                    self.wire.transport_failed(action, Failure(FailureKind.NOT_SENT, "closed while idle"))
                else:
                    self.receive(action.data)
                    self.wire.sent(action)
            case Close():
                self.intents.append(action)
                assert self.connection is not None, "what isn't open can't be closed"
                self.connection = None
                self.wire.closed(action)
            case Wait():
                self.intents.append(action)
                self.now = action.until
                self.wire.wait_elapsed(action)
            case Signal.NEED_DATA:
                assert self.connection is not None, "there is nothing to read from"
                if self.incoming:
                    self.wire.receive_bytes(self.connection, self.incoming.popleft())
                elif self.ended:
                    self.wire.receive_eof(self.connection)
                else:
                    assert self.wire.deadline is not None, "an endless wait"
                    self.now = self.wire.deadline
            case Signal():
                pass
            case SolveChallenge() | Coordinate():
                raise AssertionError("no solver and no engine here")
            case _:
                self.events.append(action)
        return action

    def receive(self, data: bytes) -> None:
        """Be the peer: read the request and respond."""
        self.peer.receive_data(data)
        head = self.peer.next_event()
        assert isinstance(head, h11.Request)
        body = bytearray()
        while isinstance(event := self.peer.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        self.requests.append((head, bytes(body)))
        said = self.answer(head)
        self.ended = said is None or self.close_after is not None
        said = (said or b"")[: self.close_after]
        size = self.chunk or max(len(said), 1)
        self.incoming.extend(said[at : at + size] for at in range(0, len(said), size))
        self.peer = h11.Connection(h11.SERVER)

    @property
    def kinds(self) -> list[str]:
        return [type(intent).__name__ for intent in self.intents]

    @property
    def paths(self) -> list[str]:
        return [request.target.partition(b"?")[0].decode() for request, _ in self.requests]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


PATHS = ["/", "/aichat", "/duckchat/v1/status", "/duckchat/v1/chat"]


def test_handshake_and_chat_use_one_connection() -> None:
    run = Run()
    run.ask()
    assert run.text == "Sunlight."
    assert run.paths == PATHS
    assert run.kinds == ["Connect", "Send", "Send", "Send", "Send"]
    connect, *sends = run.intents
    assert isinstance(connect, Connect)
    assert (connect.host, connect.port, connect.tls, connect.timeout) == ("127.0.0.1", 8000, False, 10.0)
    assert [send.check_idle for send in sends if isinstance(send, Send)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("address", "port", "tls"),
    [
        ("http://127.0.0.1", 80, False),
        ("https://127.0.0.1", 443, True),
        ("http://127.0.0.1:443", 443, False),
        ("https://127.0.0.1:80", 80, True),
    ],
)
def test_an_address_without_a_port_has_that_of_its_scheme(address: str, port: int, tls: bool) -> None:
    session = WireSession(Session(DUCKDUCKGO_2025_04.at(address)))
    session.ask("Hi", now=0)
    connect = next(action for action in iter(lambda: session.next_action(now=0), None) if isinstance(action, Connect))
    assert (connect.host, connect.port, connect.tls) == ("127.0.0.1", port, tls)


def test_the_connection_is_kept_between_turns() -> None:
    run = Run()
    run.ask()
    run.ask("And at dusk?")
    assert run.paths == [*PATHS, "/duckchat/v1/chat"]
    assert run.kinds.count("Connect") == 1
    assert b'"role":"assistant","content":"Sunlight."' in run.requests[-1][1]


def test_a_request_is_what_the_session_asked_with_host_first_and_the_length_of_a_body() -> None:
    run = Run()
    run.ask()
    chat, body = run.requests[-1]
    assert chat.headers.raw_items()[0] == (b"host", b"127.0.0.1:8000")
    assert (b"content-length", str(len(body)).encode()) in chat.headers
    assert (b"x-vqd-4", b"token-1") in chat.headers
    assert (b"x-vqd-hash-1", b"") in chat.headers, "an empty value is kept"
    page, empty = run.requests[0]
    assert page.target == LOOPBACK.front_end_path.encode()
    assert not empty
    assert b"content-length" not in dict(page.headers)


def test_the_repr_of_a_send_shows_no_byte_of_it() -> None:
    run = Run()
    run.ask()
    assert "Sunlight" not in repr(run.intents)
    assert "token-1" not in repr(run.intents)
    assert f"data=<{len(run.intents[-1].data)} bytes>" in repr(run.intents[-1])  # type: ignore[union-attr]


@each_of("framing", ["content-length", "chunked", "end of connection"])
@each_of("chunk", [1, 2, 7, None])
def test_how_a_reply_is_framed_and_cut_changes_nothing(framing: str, chunk: int | None) -> None:
    run = Run(answering(b"/duckchat/v1/chat", reply(framing=framing)), chunk=chunk)
    if framing == "end of connection":
        run.close_after = 100_000
    events = run.ask()
    assert events == [
        TurnStarted("gpt-4o-mini"),
        TextDelta("Sun"),
        TextDelta("light."),
        TurnFinished("Sunlight.", "stop", "gpt-4o-mini"),
    ]


def test_each_delta_is_returned_before_more_bytes_are_asked_for() -> None:
    run = Run(chunk=1)
    run.wire.ask("Why?", now=run.now)
    seen = b""
    while not run.text:
        before = len(run.incoming)
        action = run.step()
        if action is Signal.NEED_DATA and before:
            seen = bytes(b"".join(run.incoming))
    assert run.text == "Sun"
    # What is left is all that follows the empty line of the first event.
    assert seen.endswith(b"0\r\n\r\n")
    assert b"Sun" not in seen
    assert b"light." in seen


@pytest.mark.parametrize("path", [b"/aichat", b"/duckchat/v1/status", b"/duckchat/v1/chat"])
def test_interim_responses_are_skipped(path: bytes) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    run = Run(lambda request: early + (service(request) or b"") if request.target == path else service(request))
    run.ask()
    assert run.text == "Sunlight."


# Connections that can't be kept


def test_a_connection_that_the_peer_closed_while_it_was_idle_is_made_anew_and_no_request_is_lost() -> None:
    run = Run()
    run.ask()
    run.closed_by_peer = True
    run.intents.clear()
    events = run.ask("And at dusk?")
    assert run.kinds == ["Send", "Close", "Connect", "Send"]
    first, _, _, second = run.intents
    assert isinstance(first, Send)
    assert isinstance(second, Send)
    assert first.data == second.data
    assert (first.check_idle, second.check_idle) == (True, False)
    assert isinstance(events[-1], TurnFinished)
    assert not [event for event in events if isinstance(event, Retrying)]


@pytest.mark.parametrize("when", ["before the send", "instead of sent"])
def test_the_end_of_an_idle_connection_may_be_reported_as_such(when: str) -> None:
    run = Run()
    run.ask()
    assert run.connection is not None
    if when == "before the send":
        run.wire.receive_eof(run.connection)
    run.wire.ask("And at dusk?", now=run.now)
    run.intents.clear()
    if when == "instead of sent":
        assert isinstance(run.wire.next_action(now=run.now), TurnStarted)
        assert isinstance(run.wire.next_action(now=run.now), Send)
        run.wire.receive_eof(run.connection)
    run.drive()
    assert run.kinds == ["Close", "Connect", "Send"]
    assert run.text == "Sunlight.Sunlight."


@each_of("heard, ends", [(b"", False), (CONTINUE, False), (CONTINUE, True)])
def test_a_question_that_may_have_arrived_on_a_kept_connection_is_not_sent_again(heard: bytes, ends: bool) -> None:
    run = Run()
    run.ask()
    send = run.until(Send)
    assert run.connection is not None
    assert send.check_idle
    run.wire.receive_bytes(run.connection, heard)
    if ends:
        run.wire.receive_eof(run.connection)
    else:
        run.wire.transport_failed(send, Failure(FailureKind.CUT, "reset"))
    with pytest.raises(TransportError) as caught:
        run.drive()
    assert caught.value.failure.kind is FailureKind.CUT
    assert run.paths == PATHS


def test_a_connection_that_ends_while_it_is_made_has_sent_nothing() -> None:
    run = Run()
    run.wire.receive_eof(run.until(Connect))
    close, event = run.wire.next_action(now=run.now), run.wire.next_action(now=run.now)
    assert isinstance(close, Close)
    assert isinstance(event, FrontEndVersionUnknown)
    assert isinstance(event.cause, TransportError)
    assert event.cause.failure.kind is FailureKind.NOT_SENT


def test_bytes_on_an_idle_connection_cost_the_connection() -> None:
    run = Run()
    run.ask()
    assert run.connection is not None
    run.wire.receive_bytes(run.connection, reply())
    run.intents.clear()
    run.ask("And at dusk?")
    assert run.kinds == ["Close", "Connect", "Send"]
    assert run.text == "Sunlight."


def test_bytes_behind_a_response_cost_the_connection_and_not_the_next_response() -> None:
    run = Run(answering(b"/duckchat/v1/status", (service_status() + reply())))
    run.ask()
    assert run.text == "Sunlight."
    assert run.kinds == ["Connect", "Send", "Send", "Send", "Close", "Connect", "Send"]


def service_status() -> bytes:
    return response(b'{"status":"0"}', "x-vqd-4: token-1")


@pytest.mark.parametrize("said", ["Connection: close", "HTTP/1.0"])
def test_a_connection_that_the_peer_won_t_keep_is_closed(said: str) -> None:
    status = response(b'{"status":"0"}', "x-vqd-4: token-1", "Connection: close")
    if said == "HTTP/1.0":
        status = service_status().replace(b"HTTP/1.1", b"HTTP/1.0")
    run = Run(answering(b"/duckchat/v1/status", status))
    run.ask()
    assert run.text == "Sunlight."
    assert run.kinds == ["Connect", "Send", "Send", "Send", "Close", "Connect", "Send"]


def test_a_body_too_long_to_be_read_to_its_end_costs_the_connection() -> None:
    long = response(b"x" * 1_000_000)
    run = Run(answering(b"/aichat", long), chunk=10_000)
    run.ask()
    assert run.text == "Sunlight."
    assert run.kinds == ["Connect", "Send", "Send", "Close", "Connect", "Send", "Send"]
    assert run.paths == PATHS


def test_another_origin_is_another_connection() -> None:
    moved = response(b"", "Location: https://duck.ai/duckchat/v1/status", status=307)
    run = Run(answering(b"/duckchat/v1/status", moved), profile=DUCKDUCKGO_2025_04)
    run.ask()
    assert run.text == "Sunlight."
    connects = [(c.host, c.port, c.tls) for c in run.intents if isinstance(c, Connect)]
    assert connects == [("duckduckgo.com", 443, True), ("duck.ai", 443, True), ("duckduckgo.com", 443, True)]
    assert [kind for kind in run.kinds if kind != "Wait"] == [
        *("Connect", "Send", "Send", "Send", "Close"),
        *("Connect", "Send", "Close"),
        *("Connect", "Send"),
    ]


def test_an_address_that_no_request_line_holds_is_a_failure_like_any_other() -> None:
    moved = response(b"", "Location: https://xn--.duckduckgo.com/\x7f", status=307)
    run = Run(answering(b"/aichat", moved), profile=DUCKDUCKGO_2025_04)
    events = run.ask()
    assert [type(event) for event in events if not isinstance(event, TextDelta)] == [
        *(TurnStarted, LandingPageFailed, TurnFinished)
    ]


# The link


def all_moves() -> set[tuple[Link, LinkMove]]:
    return {(link, move) for link, row in LINKS.items() for move in row}


def test_every_link_is_reached_and_leads_back_to_no_connection() -> None:
    leads_to = {link: set(LINKS[link].values()) for link in Link}
    reached, todo = {Link.DOWN}, [Link.DOWN]
    while todo:
        for target in leads_to[todo.pop()] - reached:
            reached.add(target)
            todo.append(target)
    assert reached == set(Link)
    back = {Link.DOWN}
    while more := {link for link in Link if link not in back and back & leads_to[link]}:
        back |= more
    assert back == set(Link)
    assert all(LinkMove.ABANDON in row for row in LINKS.values())


@each_of("link", Link)
@each_of("move", LinkMove)
def test_a_move_of_the_link_that_is_not_in_the_table_is_a_bug(link: Link, move: LinkMove) -> None:
    wire = WireSession(Session())
    wire._link = link
    if move in LINKS[link]:
        wire._move(move)
        assert wire._link is LINKS[link][move]
    else:
        with pytest.raises(AssertionError, match=f"{move.name} from {link.name}"):
            wire._move(move)
        assert wire._link is link


def test_every_move_of_the_link_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: set[tuple[Link, LinkMove]] = set()
    original = WireSession._move

    def watched(self: WireSession, move: LinkMove) -> None:
        made.add((self._link, move))
        original(self, move)

    monkeypatch.setattr(WireSession, "_move", watched)
    Run(policy=Policy(base_delay=0.0)).wire.close()
    idle = Run()
    idle.ask()
    idle.wire.close()
    idle.wire.close()
    idle.drive()
    connecting, sending = Run(), Run()
    connecting.until(Connect)
    sending.until(Send)
    for run in (connecting, sending):
        run.wire.cancel()
    receiving = Run(answering(b"/aichat", None))
    receiving.ask()
    refused = Run()
    refused.wire.transport_failed(refused.until(Connect), Failure(FailureKind.NOT_SENT, "refused"))
    refused.drive()
    assert made == all_moves()


def test_a_response_that_is_complete_before_its_request_is_sent_costs_the_connection() -> None:
    run = Run()
    run.until(Send)
    assert run.connection is not None
    run.wire.receive_bytes(run.connection, response(PAGE))
    run.drive()
    assert run.text == "Sunlight."
    assert run.kinds == ["Close", "Connect", "Send", "Send", "Send"]


# Failures


def test_a_connection_that_is_never_made_is_not_closed() -> None:
    run = Run()
    run.wire.transport_failed(run.until(Connect), Failure(FailureKind.NOT_SENT, "refused"))
    event = run.wire.next_action(now=run.now)
    assert isinstance(event, FrontEndVersionUnknown)
    assert isinstance(event.cause, TransportError)
    run.drive()
    assert run.kinds == ["Connect", "Send", "Send", "Send"]


def test_a_send_that_fails_on_a_new_connection_is_the_session_s_business() -> None:
    run = Run()
    run.wire.transport_failed(run.until(Send), Failure(FailureKind.CUT, "reset"))
    run.drive()
    assert isinstance(run.events[0], FrontEndVersionUnknown)
    assert run.kinds == ["Close", "Connect", "Send", "Send", "Send"]


def test_the_end_before_any_byte_of_the_response_is_a_cut_and_a_question_is_not_asked_twice() -> None:
    run = Run(answering(b"/duckchat/v1/chat", None))
    with pytest.raises(TransportError) as caught:
        run.ask()
    assert caught.value.failure.kind is FailureKind.CUT
    assert run.paths == PATHS
    assert run.connection is None


def test_a_get_that_was_cut_is_made_again() -> None:
    run = Run(answering(b"/duckchat/v1/status", None, response()[:10]))
    run.answer = answering(b"/duckchat/v1/status", None)
    run.ask()
    assert run.paths == ["/", "/aichat", "/duckchat/v1/status", "/duckchat/v1/status", "/duckchat/v1/chat"]
    assert run.kinds.count("Close") == 1


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_a_reply_cut_at_any_byte_is_never_taken_for_a_whole_one(framing: str) -> None:
    whole = reply(framing=framing)
    done = whole.index(b"[DONE]\n\n") + len(b"[DONE]\n\n")
    for cut in some(range(len(whole)), one_in=5):
        run = Run()
        run.ask()
        before = run.wire.conversation
        run.answer, run.close_after = (lambda _: whole), cut
        if cut >= done:
            run.ask()
            assert run.text == "Sunlight.", "what happens after [DONE] never changes the turn"
        else:
            with pytest.raises((IncompleteStream, TransportError)) as caught:
                run.ask()
            assert caught.value.text == run.text
            assert run.wire.conversation.message_history == before.message_history
        assert run.connection is None
        run.answer, run.close_after = service, None
        run.ask()
        assert run.text == "Sunlight."


def test_garbage_is_a_failure_whose_message_can_be_shown() -> None:
    run = Run(lambda request: b"\x1b[31mSSH-2.0\x00\r\n\r\n" if request.method == b"POST" else service(request))
    with pytest.raises(TransportError, match=r"not HTTP/1\.1") as caught:
        run.ask()
    assert caught.value.failure.kind is FailureKind.OTHER
    assert str(caught.value).isprintable()
    assert run.connection is None


@pytest.mark.parametrize("framing", ["chunked", "content-length"])
@pytest.mark.parametrize("chunk", [1 << 16, 1])
def test_what_stands_behind_a_response_changes_nothing_but_that_the_connection_is_closed(
    framing: str, chunk: int
) -> None:
    said = reply(framing=framing).replace(b"\r\n", b"\r\nconnection: close\r\n", 1) + b"\r\nmore"
    run = Run(answering(b"/duckchat/v1/chat", said), chunk=chunk)
    run.ask()
    assert run.text == "Sunlight."
    assert run.connection is None


def test_a_head_has_a_bound() -> None:
    endless = b"HTTP/1.1 200 OK\r\n" + b"x-filler: y\r\n" * 100_000
    run = Run(lambda request: endless if request.method == b"POST" else service(request), chunk=1000)
    with pytest.raises(DuckChatError):
        run.ask()
    taken = len(endless) - sum(map(len, run.incoming))
    assert taken <= run.wire._policy.max_head_bytes + 2000


def test_a_refusal_leaves_the_connection_usable() -> None:
    refused = response(b'{"action":"error","status":429,"type":"ERR_CONVERSATION_LIMIT"}', status=429)
    run = Run(answering(b"/duckchat/v1/chat", refused))
    with pytest.raises(DuckChatError):
        run.ask()
    run.ask()
    assert run.text == "Sunlight."
    assert run.kinds.count("Connect") == 1


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"\r\n", reply()]), max_size=6),
    st.booleans(),
)
@settings(deadline=None)
def test_whatever_the_peer_says_only_documented_exceptions_escape(said: list[bytes], ends: bool) -> None:
    run = Run(lambda request: b"".join(said) if request.method == b"POST" else service(request), chunk=5)
    run.close_after = None
    try:
        run.wire.ask("Why?", now=run.now)
        while run.step() is not Signal.PAUSED:
            run.ended = run.ended or (ends and len(run.requests) == 4)
    except DuckChatError as error:
        assert not isinstance(error, LocalProtocolError)  # noqa: PT017 - any other of the tree will do
        run.drive()
    run.answer = service
    run.ask()
    assert run.text == "Sunlight."


# Time


def test_connecting_sending_and_the_wait_for_a_head_have_their_own_deadlines() -> None:
    policy = Policy(base_delay=0.0, write_timeout=3.0, read_timeout=5.0, max_retries=0)
    run = Run(policy=policy)
    run.ask()
    run.wire.ask("And at dusk?", now=run.now)
    while not isinstance(action := run.wire.next_action(now=run.now), Send):
        pass
    assert run.wire.deadline == run.now + 3.0
    run.wire.sent(action)
    assert run.wire.next_action(now=run.now + 1) is Signal.NEED_DATA
    assert run.wire.deadline == run.now + 6.0
    run.now += 6
    assert isinstance(run.step(), Close)
    with pytest.raises(ChatTimeoutError, match="read_timeout"):
        run.step()
    assert run.step() is Signal.PAUSED


def test_the_earlier_of_the_links_deadline_and_the_turns_counts() -> None:
    for turn_timeout, seconds in ((2.0, 2.0), (100.0, 3.0)):
        run = Run(policy=Policy(write_timeout=3.0, turn_timeout=turn_timeout))
        run.until(Send)
        assert run.wire.deadline == run.now + seconds


def test_a_send_that_takes_too_long_is_given_up() -> None:
    run = Run(policy=Policy(write_timeout=3.0))
    run.ask()
    run.wire.ask("And at dusk?", now=run.now)
    while not isinstance(run.wire.next_action(now=run.now), Send):
        pass
    run.now += 3
    assert isinstance(run.step(), Close)
    with pytest.raises(ChatTimeoutError, match="write_timeout"):
        run.step()


def test_what_comes_while_a_request_is_sent_gives_it_no_more_time() -> None:
    run = Run(policy=Policy(write_timeout=3.0, read_timeout=30.0))
    run.ask()
    run.wire.ask("And at dusk?", now=run.now)
    while not isinstance(run.wire.next_action(now=run.now), Send):
        pass
    assert run.connection is not None
    run.wire.receive_bytes(run.connection, CONTINUE)
    run.wire.next_action(now=run.now + 1)
    assert run.wire.deadline == run.now + 3.0


def test_a_reply_that_stalls_is_given_up_with_what_came_of_it() -> None:
    stalled = reply()[: reply().index(b"light.")]
    run = Run(lambda request: stalled if request.method == b"POST" else service(request))
    with pytest.raises(ChatTimeoutError) as caught:
        run.ask()
    assert caught.value.text == "Sun"
    assert run.connection is None


@pytest.mark.parametrize("framing", ["chunked", "content-length"])
def test_a_reply_may_take_longer_than_the_wait_for_its_head(framing: str) -> None:
    run = Run(policy=Policy(read_timeout=5.0, total_timeout=60.0))
    run.ask()
    run.wire.sent(run.until(Send))
    assert run.connection is not None
    body = [b": %d\n\n" % number for number in range(10)] + [REPLY]
    length = sum(map(len, body))
    framed = "Transfer-Encoding: chunked" if framing == "chunked" else f"Content-Length: {length}"
    run.wire.receive_bytes(run.connection, response(b"", "Content-Type: text/event-stream", framed, framing="none"))
    for piece in body:
        assert run.wire.next_action(now=run.now) is Signal.NEED_DATA
        run.now += 4.0
        whole = b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece
        run.wire.receive_bytes(run.connection, whole)
    assert run.wire.next_action(now=run.now) == TextDelta("Sun")


def test_chunks_that_are_reported_before_a_pull_are_read_in_their_order() -> None:
    run = Run()
    run.ask()
    run.wire.sent(run.until(Send))
    assert run.connection is not None
    first, second, third = (b'data: {"message":"%d"}\n\n' % number for number in range(3))
    head = response(b"", "Content-Type: text/event-stream", "Transfer-Encoding: chunked", framing="none")
    run.wire.receive_bytes(run.connection, head)
    assert run.wire.next_action(now=run.now) is Signal.NEED_DATA
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (first, second, third)]
    run.wire.receive_bytes(Connect(id=0, host="", port=80, tls=False, timeout=1.0), chunks[2])  # an older connection
    for piece in (chunks[0] + chunks[1], chunks[2]):
        run.wire.receive_bytes(run.connection, piece)
    assert [run.wire.next_action(now=run.now) for _ in range(3)] == [TextDelta("0"), TextDelta("1"), TextDelta("2")]


def test_a_connection_held_open_behind_a_whole_reply_is_not_waited_for_long() -> None:
    held = response(REPLY, "Content-Type: text/event-stream", framing="chunked")[: -len(b"0\r\n\r\n")]
    run = Run(lambda request: held if request.method == b"POST" else service(request))
    before = run.now
    run.ask()
    assert run.text == "Sunlight."
    assert run.now == before + run.wire._policy.drain_timeout
    assert run.connection is None


# Cancelling and closing


def test_a_turn_cancelled_at_any_point_leaves_the_conversation_whole_and_the_next_works() -> None:
    point, over = 0, False
    while not over:
        run = Run(chunk=40)
        run.wire.ask("Why?", now=run.now)
        over = any(run.step() is Signal.PAUSED for _ in range(point))
        finished = any(isinstance(event, TurnFinished) for event in run.events)
        history = run.wire.conversation.message_history
        run.wire.cancel()
        run.drive()
        assert isinstance(run.events[-1], TurnFinished if finished else TurnCancelled)
        assert run.wire.conversation.message_history == history
        run.ask()
        assert run.text == "Sunlight."
        point += 1
    assert point > 20


def in_the_middle_of_a_response() -> Run:
    run = Run(chunk=40)
    run.wire.ask("Why?", now=run.now)
    while not run.text:
        run.step()
    return run


def test_after_a_cancel_in_the_middle_of_a_response_the_connection_is_closed() -> None:
    run = in_the_middle_of_a_response()
    run.wire.cancel()
    run.intents.clear()
    run.drive()
    assert run.kinds == ["Close"]
    assert isinstance(run.events[-1], TurnCancelled)
    assert run.events[-1].text == "Sun"


@pytest.mark.parametrize("intent", [Connect, Send])
def test_an_intent_that_was_interrupted_is_closed_and_its_late_report_dropped(
    intent: type[Connect | Send],
) -> None:
    run = Run()
    run.wire.ask("Why?", now=run.now)
    action = run.wire.next_action(now=run.now)
    while not isinstance(action, intent):
        if isinstance(action, Connect):
            run.wire.connected(action)
        action = run.wire.next_action(now=run.now)
    run.wire.cancel()
    assert isinstance(run.wire.next_action(now=run.now), Close)
    if isinstance(action, Connect):
        run.wire.connected(action)
    else:
        run.wire.sent(action)
    assert isinstance(run.wire.next_action(now=run.now), TurnCancelled)
    assert run.wire.next_action(now=run.now) is Signal.PAUSED
    run.ask()
    assert run.text == "Sunlight."


def test_closing_closes_an_idle_connection_once() -> None:
    run = Run()
    run.ask()
    run.intents.clear()
    run.wire.close()
    run.wire.close()
    run.drive()
    run.drive()
    assert run.kinds == ["Close"]
    with pytest.raises(LocalProtocolError):
        run.wire.ask("Why?", now=run.now)


def test_closing_in_the_middle_of_a_response_closes_the_connection_and_asks_nothing_more() -> None:
    run = in_the_middle_of_a_response()
    run.wire.close()
    run.intents.clear()
    run.drive()
    assert run.kinds == ["Close"]


def test_an_error_in_the_middle_of_a_response_gives_up_the_connection() -> None:
    whole = response(
        b'data: {"action":"error","status":429,"type":"ERR_USER_LIMIT"}\n\n' + b": more\n" * 30,
        "Content-Type: text/event-stream",
    )
    run = Run(lambda request: whole if request.method == b"POST" else service(request), chunk=150)
    with pytest.raises(DuckChatError):
        run.ask()
    assert run.kinds[-1] == "Close"


def test_a_rate_limit_is_retried_over_the_same_connection() -> None:
    run = Run(answering(b"/duckchat/v1/chat", response(b"", status=429)))
    run.ask()
    assert run.text == "Sunlight."
    (retry,) = [event for event in run.events if isinstance(event, Retrying)]
    assert isinstance(retry.cause, RateLimitError)
    assert run.kinds.count("Connect") == 1


# What a driver can get wrong


def test_a_report_on_an_intent_that_was_never_given_is_refused() -> None:
    run = Run()
    run.ask()
    never = Connect(id=10_000, host="example.org", port=443, tls=True, timeout=1.0)
    reports: tuple[Callable[[], None], ...] = (
        lambda: run.wire.connected(never),
        lambda: run.wire.sent(Send(id=10_000, data=b"", check_idle=False)),
        lambda: run.wire.closed(Close(id=10_000)),
        lambda: run.wire.receive_bytes(never, b"x"),
        lambda: run.wire.receive_eof(never),
        lambda: run.wire.transport_failed(never, Failure(FailureKind.OTHER, "")),
    )
    for report in reports:
        with pytest.raises(LocalProtocolError, match="never given"):
            report()


def test_no_intent_was_given_before_the_first() -> None:
    with pytest.raises(LocalProtocolError, match="never given"):
        WireSession(Session()).receive_eof(Connect(id=1, host="example.org", port=443, tls=True, timeout=1.0))
    with pytest.raises(LocalProtocolError, match="reports on a Connect, not a NoneType"):
        WireSession(Session()).receive_bytes(None, b"x")  # type: ignore[arg-type]


def test_a_failure_is_one_and_of_something_that_can_fail() -> None:
    run = Run()
    connect = run.until(Connect)
    with pytest.raises(LocalProtocolError, match="reports on a Connect, not a Wait"):
        run.wire.transport_failed(Wait(id=0, until=0.0, reason=""), Failure(FailureKind.CUT, ""))  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="failure must be a Failure"):
        run.wire.transport_failed(connect, "reset")  # type: ignore[arg-type]


def test_a_report_that_comes_twice_counts_once() -> None:
    run = Run()
    connect = run.until(Connect)
    run.wire.connected(connect)
    run.wire.connected(connect)
    send = run.wire.next_action(now=run.now)
    assert isinstance(send, Send)
    run.wire.connected(connect)
    run.wire.sent(send)
    run.wire.sent(send)
    run.wire.connected(connect)
    assert run.wire.next_action(now=run.now) is Signal.NEED_DATA


def test_reports_on_old_intents_are_dropped() -> None:
    run = Run(answering(b"/duckchat/v1/status", response(b"{}", "x-vqd-4: token-1", "Connection: close")))
    run.ask()
    old = run.intents[0]
    assert isinstance(old, Connect)
    run.wire.receive_bytes(old, b"late")
    run.wire.receive_eof(old)
    run.wire.transport_failed(old, Failure(FailureKind.CUT, "late"))
    run.intents.clear()
    run.ask()
    assert run.kinds == ["Send"]


def test_bytes_before_the_connection_is_made_or_after_its_end_are_refused() -> None:
    run = Run()
    run.wire.ask("Why?", now=run.now)
    while not isinstance(action := run.wire.next_action(now=run.now), Connect):
        pass
    with pytest.raises(LocalProtocolError, match="before connected"):
        run.wire.receive_bytes(action, b"x")
    run.wire.connected(action)
    send = run.wire.next_action(now=run.now)
    assert isinstance(send, Send)
    run.wire.sent(send)
    run.wire.receive_eof(action)
    with pytest.raises(LocalProtocolError, match="after receive_eof"):
        run.wire.receive_bytes(action, b"x")


# Sessions that were under way


@pytest.mark.parametrize(
    ("state", "exception", "text"), [(State.REQUESTING, TransportError, ""), (State.STREAMING, IncompleteStream, "Sun")]
)
def test_a_question_under_way_when_its_session_was_stored_has_lost_its_connection(
    state: State, exception: type[DuckChatError], text: str
) -> None:
    run = Run(chunk=20)
    run.wire.ask("Why is the sky blue?", now=run.now)
    while len(run.requests) < 4 or run.wire.state is not state or run.text != text:
        run.step()
    saved = run.wire._session.snapshot(now=run.now)
    again = Run()
    again.wire = WireSession(Session.restore(saved, now=again.now, profile=LOOPBACK))
    with pytest.raises(exception, match="connection") as caught:
        again.drive()
    assert caught.value.text == text
    again.ask()
    assert again.text == "Sunlight."
    assert again.paths[-2:] == ["/duckchat/v1/status", "/duckchat/v1/chat"]


def test_intents_do_not_change() -> None:
    run = Run()
    run.wire.ask("Hi", now=0.0)
    found = [run.wire.next_action(now=0.0) for _ in range(2)]
    connect = next(action for action in found if isinstance(action, Connect))
    for intent in (connect, Send(id=1, data=b"", check_idle=False), Close(id=1)):
        with pytest.raises(AttributeError, match="immutable"):
            intent.id = 2  # type: ignore[misc]
