"""The blocking driver over real loopback sockets."""

from __future__ import annotations

import json
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.traces import kept

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ChatTimeoutError,
    Conversation,
    FailureKind,
    LocalProtocolError,
    ModelNotSupportedError,
    Policy,
    Retrying,
    ServiceError,
    ServiceProfile,
    Signal,
    SolveChallenge,
    State,
    TextDelta,
    TransportError,
    TurnAborted,
    TurnFinished,
    TurnStarted,
    UnsupportedChallenge,
    Wait,
)
from ddg_protocol.errors import IncompleteStream
from ddg_protocol.events import ChallengeReceived, FrontEndVersionUnknown, LandingPageFailed
from ddg_protocol.service import Question, Service, ServiceRequest
from ddg_protocol.wire import Close, Connect, Send
from ddg_transports import _sockets
from ddg_transports._lines import WireLine
from ddg_transports.blocking import Client, Trace
from ddg_transports.emulator import Emulator
from ddg_transports.transport import verifying_context

TIMEOUT = 20.0  # for what never comes, on the slowest of machines
NO_RETRIES = Policy(max_retries=0, base_delay=0.0)


def at(url: str, **changes: float) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at(url, **changes)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


class ThreadedService:
    """The service on a loopback port with a thread for each connection, so that a reply may stall and others go on."""

    def __init__(self, service: Service, *, context: ssl.SSLContext | None = None) -> None:
        handler = type("Handler", (_Handler,), {"service": service, "turn": threading.Lock(), "context": context})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ThreadedService:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    service: Service
    turn: threading.Lock
    context: ssl.SSLContext | None
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        if self.context is not None:
            self.request = self.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        with self.turn:
            request = ServiceRequest(self.command, self.path, tuple(self.headers.items()), body)
            response = self.service.handle(request, now=1_745_000_000.0)
        self.send_response_only(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        chunked = "content-length" not in dict(response.headers)
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in response.pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece.data), piece.data) if chunked else piece.data)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    do_POST = do_GET  # noqa: N815 - the base class's name


@contextmanager
def peer(*conversations: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of raw sockets: each connection is handled by the next function, one after the other, then closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)

        def serve() -> None:
            for converse in conversations:
                connection, _ = listener.accept()
                connection.settimeout(TIMEOUT)
                with connection:
                    converse(connection)

        with ThreadPoolExecutor(1) as pool:
            serving = pool.submit(serve)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            serving.result(TIMEOUT)


def consume(texts: Iterable[str], take: Callable[[str], object]) -> None:
    for text in texts:
        take(text)


def until_closed(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def read_request(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)


# Turns


def test_a_question_is_answered_over_one_connection_handshake_and_all(emulator: Emulator) -> None:
    seen: list[object] = []
    with Client(at(emulator.url), on_action=kept(seen)) as client, client.chat() as chat:
        reply = chat.ask("Why is the sky blue?")
    assert "Why is the sky blue?" in reply.text
    assert (reply.reason, reply.model) == ("stop", "gpt-4o-mini")
    assert [exchange.endpoint for exchange in emulator.service.log] == ["front_end", "landing", "status", "chat"]
    assert [type(action) for action in seen if isinstance(action, Connect | Close)] == [Connect, Close]


def test_the_second_turn_carries_the_history_and_the_newest_token(emulator: Emulator) -> None:
    with Client(at(emulator.url)) as client:
        chat = client.chat(model="o3-mini")
        first = chat.ask("Why is the sky blue?")
        token = chat.conversation.vqd
        second = chat.ask("And at dusk?")
    *_, exchange = emulator.service.log
    body = json.loads(exchange.request.body)
    assert [(message["role"], message["content"]) for message in body["messages"]] == [
        ("user", "Why is the sky blue?"),
        ("assistant", first.text),
        ("user", "And at dusk?"),
    ]
    assert body["model"] == second.model == "o3-mini"
    assert exchange.request.header("x-vqd-4") == token
    assert len(emulator.service.log) == 5, "no second handshake"


def test_a_conversation_stored_by_one_process_is_continued_by_another(emulator: Emulator) -> None:
    program = f"""
from ddg_protocol import DUCKDUCKGO_2025_04
from ddg_transports._lines import WireLine
from ddg_transports.blocking import Client
with Client(DUCKDUCKGO_2025_04.at({emulator.url!r})) as client:
    chat = client.chat()
    chat.ask("Why is the sky blue?")
    print(chat.conversation.to_json())
"""
    stored = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    with Client(at(emulator.url)) as client:
        chat = client.chat(conversation=Conversation.from_json(stored))
        assert "Turn 2" in chat.ask("And at dusk?").text
    assert [exchange.endpoint for exchange in emulator.service.log].count("status") == 1
    assert len(chat.conversation.message_history) == 4


def test_a_challenge_is_answered_when_the_service_asks() -> None:
    with Emulator(Service(strict=True, challenge=True)) as emulator, Client(at(emulator.url)) as client:
        chat = client.chat()
        with chat.stream("Why is the sky blue?") as reply:
            events = list(reply.events())
        assert ChallengeReceived() in events
        chat.ask("And at dusk?")
        statuses = [exchange.status for exchange in emulator.service.log if exchange.endpoint == "chat"]
    assert statuses == [418, 200, 200], "later turns carry the answer at once"


def test_a_solver_of_one_s_own_is_handed_the_challenge() -> None:
    seen: list[SolveChallenge] = []

    def solve(challenge: SolveChallenge) -> str:
        seen.append(challenge)
        raise UnsupportedChallenge("not today")

    with Emulator(Service(strict=True, challenge=True)) as emulator, Client(at(emulator.url), solver=solve) as client:
        with pytest.raises(UnsupportedChallenge, match="not today"):
            client.chat().ask("Why is the sky blue?")
        assert seen[0].identity == client.profile.identity


def test_a_piece_of_text_is_given_before_any_more_bytes_exist() -> None:
    more = threading.Event()

    def respond(question: Question) -> Iterator[str]:
        yield "first"
        assert more.wait(TIMEOUT), "the first piece was kept back until the second"
        yield " second"

    with (
        Emulator(Service(strict=True, responder=respond)) as emulator,
        Client(at(emulator.url)) as client,
        client.chat().stream("Why?") as reply,
    ):
        pieces = iter(reply)
        assert next(pieces) == "first"
        assert reply.text == "first"
        more.set()
        assert list(pieces) == [" second"]
    assert reply.finished is not None
    assert reply.text == reply.finished.text == "first second"


def test_events_are_all_that_happens_in_order(emulator: Emulator) -> None:
    with Client(at(emulator.url)) as client, client.chat().stream("Why?") as reply:
        first, *pieces, last = reply.events()
    assert first == TurnStarted("gpt-4o-mini")
    assert last == reply.finished
    assert isinstance(last, TurnFinished)
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == last.text


def test_the_model_may_change_from_turn_to_turn(emulator: Emulator) -> None:
    with Client(at(emulator.url)) as client:
        chat = client.chat()
        with pytest.raises(ModelNotSupportedError, match="the models are"):
            chat.ask("Why?", model="gpt-17")
        assert chat.ask("Why?", model="claude-3-haiku").model == "claude-3-haiku-20240307"
        assert chat.ask("And?").model == "claude-3-haiku-20240307"


# Leaving, interrupting, closing


def test_leaving_a_reply_early_cancels_the_turn_and_the_next_one_works() -> None:
    def respond(question: Question) -> Iterator[str]:
        yield "first"
        yield from (["."] * 100_000 if question.text == "long" else [" last"])

    with Emulator(Service(strict=True, responder=respond)) as emulator, Client(at(emulator.url)) as client:
        chat = client.chat()
        with chat.stream("long") as reply:
            for _ in reply:
                break
        assert reply.finished is None
        assert reply.text == "first"
        for pieces in (reply.events(), iter(reply)):
            with pytest.raises(TurnAborted) as caught:  # and not the end, as if it were complete
                next(pieces)
            assert caught.value.text == "first"
        assert not chat.conversation.message_history
        assert chat.ask("short").text == "first last"


def test_a_consumer_that_raises_leaves_the_chat_usable(emulator: Emulator) -> None:
    with Client(at(emulator.url)) as client:
        chat = client.chat()
        with pytest.raises(ZeroDivisionError), chat.stream("Why?") as reply:
            consume(reply, lambda _: 1 / 0)
        assert chat.ask("Why?").text


def test_control_c_while_reading_leaves_the_chat_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    # A signal that comes just before a read begins is heard when the read looks up.
    monkeypatch.setattr(_sockets, "SLICE", 0.2)
    reading, release = threading.Event(), threading.Event()

    def respond(question: Question) -> Iterator[str]:
        yield "first"
        if question.text == "stall":
            assert reading.wait(TIMEOUT)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            assert release.wait(TIMEOUT)

    def on_action(trace: Trace) -> None:
        if trace.what is Signal.NEED_DATA and "first" in seen:
            reading.set()

    seen: list[str] = []
    with (
        Emulator(Service(strict=True, responder=respond)) as emulator,
        Client(at(emulator.url), on_action=on_action) as client,
    ):
        chat = client.chat()
        with pytest.raises(KeyboardInterrupt), chat.stream("stall") as reply:
            consume(reply, seen.append)
        release.set()
        assert seen == ["first"]
        assert chat.ask("Why?").text == "first"


@pytest.mark.parametrize("waits_for", ["a handshake of TLS", "room to send", "a head", "its turn"])
def test_control_c_while_it_waits_for_anything_leaves_no_connection_and_the_chat_at_rest(waits_for: str) -> None:
    def interrupt(connection: socket.socket) -> None:
        connection.recv(100)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert released.wait(TIMEOUT)

    def on_action(trace: Trace) -> None:
        if isinstance(trace.what, Wait):
            threading.Timer(0.0, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()

    released = threading.Event()
    interval = 30.0 if waits_for == "its turn" else 0.0
    text = "long " * (4_000_000 if waits_for == "room to send" else 1)
    with peer(*[interrupt][: waits_for != "its turn"]) as url:
        if waits_for == "a handshake of TLS":
            url = url.replace("http:", "https:")
        profile = at(url, minimum_interval=interval)
        with Client(profile, policy=Policy(max_retries=0, max_prompt_chars=None), on_action=on_action) as client:
            client._shared.pacer.last_start = time.monotonic()
            chat = client.chat(conversation=Conversation(vqd="token", fe_version="x-y"), cookies={})
            with pytest.raises(KeyboardInterrupt):
                chat.ask(text)
            assert isinstance(chat._line, WireLine)
            assert chat._line._connection is None
            assert chat._line.session.state is State.READY
            released.set()


def test_a_closed_chat_answers_no_more_and_closing_again_does_nothing(emulator: Emulator) -> None:
    seen: list[object] = []
    client = Client(at(emulator.url), on_action=kept(seen))
    with client.chat() as chat:
        chat.ask("Why?")
    chat.close()
    client.close()
    client.close()
    assert len([action for action in seen if isinstance(action, Close)]) == 1
    with pytest.raises(LocalProtocolError, match="this client is closed; make a new one"):
        chat.ask("And?")


def test_a_reply_is_read_where_it_is_entered_and_entered_once(emulator: Emulator) -> None:
    with Client(at(emulator.url)) as client:
        reply = client.chat().stream("Why?")
        reply.close()
        with pytest.raises(LocalProtocolError, match=r"with chat\.stream"):
            list(reply)
        with reply:
            assert "".join(reply) == reply.text
            reply.close()
            reply.close()
        with pytest.raises(LocalProtocolError, match="entered only once"), reply:
            pass


# Several at once


def test_chats_in_several_threads_each_get_their_own_reply(emulator: Emulator) -> None:
    def converse(client: Client, number: int) -> list[str]:
        with client.chat() as chat:
            return [chat.ask(f"question {number}.{turn}").text for turn in range(3)]

    with Client(at(emulator.url)) as client, ThreadPoolExecutor(8) as pool:
        for number, replies in enumerate(pool.map(partial(converse, client), range(16))):
            assert [f"question {number}.{turn}" in reply for turn, reply in enumerate(replies)] == [True] * 3


def test_one_chat_that_waits_holds_up_no_other() -> None:
    release = threading.Event()

    def respond(question: Question) -> Iterator[str]:
        yield "first"
        if question.text == "stall":
            assert release.wait(TIMEOUT)
        yield " last"

    with (
        ThreadedService(Service(strict=True, responder=respond)) as server,
        Client(at(server.url)) as client,
        ThreadPoolExecutor(1) as pool,
        client.chat().stream("stall") as stalled,
    ):
        pieces = iter(stalled)
        assert next(pieces) == "first"
        waiting = pool.submit(next, pieces)
        assert client.chat().ask("go on").text == "first last"
        assert not waiting.done()
        release.set()
        assert waiting.result(TIMEOUT) == " last"


# Connections


def one_request(service: Service) -> Callable[[socket.socket], None]:
    """A peer that answers once and closes without having said that it would."""

    def converse(connection: socket.socket) -> None:
        head, _, body = b"", b"", b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        head, _, body = head.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = tuple((name.lower(), value.strip(" ")) for name, _, value in (line.partition(":") for line in lines))
        while len(body) < int(dict(headers).get("content-length", "0")):
            body += connection.recv(65536)
        method, target, _ = line.split(" ")
        response = service.handle(ServiceRequest(method, target, headers, body), now=1_745_000_000.0)
        said = b"".join(piece.data for piece in response.pieces)
        fields = [f"{name}: {value}" for name, value in response.headers if name != "content-length"]
        answer = "\r\n".join([f"HTTP/1.1 {response.status} OK", *fields, f"content-length: {len(said)}", "", ""])
        connection.sendall(answer.encode("latin-1") + said)

    return converse


def test_a_kept_connection_that_the_peer_closed_is_made_anew_without_a_word() -> None:
    seen: list[object] = []
    service = Service(strict=True)

    def wait_for_the_close(trace: Trace) -> None:
        # The end of the connection must have arrived, or this would be another test.
        if isinstance(trace.what, Send) and trace.what.check_idle:
            for chat in client._chats:
                assert isinstance(chat._line, WireLine)
                assert chat._line._connection is not None
                assert select.select([chat._line._connection._socket], [], [], TIMEOUT)[0]
        seen.append(trace.what)

    with (
        peer(*[one_request(service)] * 5) as url,
        Client(at(url), policy=NO_RETRIES, on_action=wait_for_the_close) as client,
    ):
        chat = client.chat()
        chat.ask("Why?")
        chat.ask("And?")
    assert [exchange.status for exchange in service.log] == [200] * 5
    assert len([action for action in seen if isinstance(action, Connect)]) == 5
    assert not [action for action in seen if isinstance(action, Retrying | FrontEndVersionUnknown | LandingPageFailed)]


def test_a_refused_connection_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sentence = f"connecting to 127.0.0.1:{port}: Connection refused"
    client = Client(at(f"http://127.0.0.1:{port}"), policy=NO_RETRIES)
    with client, pytest.raises(TransportError, match=re.escape(sentence)) as caught:
        client.chat().ask("Why?")
    assert caught.value.failure.kind is FailureKind.NOT_SENT


def test_a_name_that_does_not_exist_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    sentence = "connecting to duckduckgo.com:443: Name or service not known"
    with (
        Client(at("https://duckduckgo.com", minimum_interval=0.0), policy=NO_RETRIES) as client,
        pytest.raises(TransportError, match=re.escape(sentence)),
    ):
        client.chat(cookies={}).ask("Why?")


def test_a_name_that_nobody_resolves_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    release, left = threading.Event(), threading.Event()
    no_address = socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def resolve(*_: object, flags: int = 0, **__: object) -> None:
        if flags & socket.AI_NUMERICHOST:
            raise no_address
        assert release.wait(TIMEOUT)
        left.set()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    client = Client(
        at("https://name.invalid", minimum_interval=0.0), policy=Policy(max_retries=0, connect_timeout=0.05)
    )
    with client, pytest.raises(ChatTimeoutError, match="the name was not resolved"):
        client.chat(cookies={}).ask("Why?")
    release.set()
    assert left.wait(TIMEOUT), "who asked for it is left behind, and ends when the system answers"


def test_an_address_takes_no_thread(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(at(emulator.url)) as client:
        monkeypatch.setattr(threading, "Thread", None)
        assert client.chat().ask("Why?").text


def test_every_address_of_a_name_is_tried(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(emulator.url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = free.getsockname()[1]
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", number)) for number in (dead, port)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    with Client(at(emulator.url)) as client:
        assert client.chat().ask("Why?").text


HALF_A_REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\ndata: {"


@pytest.mark.parametrize("said", [b"", HALF_A_REPLY[:20], HALF_A_REPLY])
def test_a_peer_that_stops_talking_is_given_up_in_time(said: bytes) -> None:
    def stall(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(said)
        until_closed(connection)

    policy = Policy(max_retries=0, read_timeout=0.05)
    with peer(stall) as url, Client(at(url), policy=policy) as client:
        chat = client.chat(conversation=Conversation(vqd="token", fe_version="x-y"), cookies={})
        with pytest.raises(ChatTimeoutError, match="read_timeout"):
            chat.ask("Why?")


def test_a_long_wait_is_made_of_short_ones_that_nobody_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sockets, "SLICE", 0.001)
    looks = 0

    def late(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HALF_A_REPLY)
        assert waited.wait(TIMEOUT)
        connection.sendall(b'"action":"success","message":"late"}\n\n')

    def look(trace: Trace) -> None:
        nonlocal looks
        looks += trace.what is Signal.NEED_DATA
        if looks == 9:
            waited.set()

    waited = threading.Event()
    conversation = Conversation(vqd="token", fe_version="x-y")
    with peer(late) as url, Client(at(url), on_action=look) as client:
        chat = client.chat(conversation=conversation, cookies={})
        with chat.stream("Why?") as reply:
            assert next(iter(reply)) == "late"


def test_a_peer_that_takes_nothing_is_given_up_in_time() -> None:
    release = threading.Event()

    def deaf(connection: socket.socket) -> None:
        assert release.wait(TIMEOUT)

    policy = Policy(max_retries=0, write_timeout=0.05, read_timeout=5.0, max_prompt_chars=None)
    service = Service(strict=True)
    conversation = Conversation(vqd="token", fe_version="x-y")
    with peer(deaf) as url, Client(at(url), policy=policy) as client:
        with pytest.raises(ChatTimeoutError, match="write_timeout"):
            client.chat(conversation=conversation, cookies={}).ask("long " * 1_600_000)
        release.set()
    assert not service.log


def test_an_answer_that_comes_before_the_question_was_read_is_understood() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")  # and closes

    policy = Policy(max_retries=0, max_prompt_chars=None)
    with peer(refuse) as url, Client(at(url), policy=policy) as client:
        chat = client.chat(conversation=Conversation(vqd="token", fe_version="x-y"), cookies={})
        with pytest.raises(ServiceError) as caught:
            chat.ask("long " * 1_600_000)
        assert caught.value.status == 413
        assert isinstance(chat._line, WireLine)
        assert chat._line._connection is None, "a connection with half a request on it is not kept"


def test_a_reply_that_is_cut_is_told_with_what_came_of_it() -> None:
    def cut(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n"
            b'data: {"action":"success","message":"first"}\n\n'
        )

    conversation = Conversation(vqd="token", fe_version="x-y")
    with peer(cut) as url, Client(at(url)) as client:
        chat = client.chat(conversation=conversation, cookies={})
        with pytest.raises(IncompleteStream) as caught:
            chat.ask("Why?")
        assert isinstance(chat._line, WireLine)
        assert chat._line._connection is None, "what can't be kept is closed with the turn"
    assert caught.value.text == "first"


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, signed by itself, with its key in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:TRUE"]
    made = subprocess.run(
        [openssl, *request.split(), *extensions, "-keyout", "-", "-out", "-"], capture_output=True, check=True
    )
    pem.write_bytes(made.stdout)
    return pem


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_https_with_a_certificate_that_the_caller_trusts(certificate: Path) -> None:
    seen: list[object] = []
    trusting = ssl.create_default_context(cafile=str(certificate))
    with (
        ThreadedService(Service(strict=True), context=server_context(certificate)) as server,
        Client(at(server.url, minimum_interval=0.0), ssl_context=trusting, on_action=kept(seen)) as client,
    ):
        chat = client.chat()
        assert chat.ask("Why?").text
        assert "Turn 2" in chat.ask("And?").text
    assert [action.tls for action in seen if isinstance(action, Connect)] == [True], "kept, session tickets or not"


def test_a_certificate_that_nobody_trusts_is_refused(certificate: Path) -> None:
    def refused(connection: socket.socket) -> None:
        with pytest.raises(ssl.SSLError):
            server_context(certificate).wrap_socket(connection, server_side=True)

    with peer(refused, refused) as url:
        profile = at(url.replace("http:", "https:"), minimum_interval=0.0)
        with Client(profile, policy=NO_RETRIES) as client, pytest.raises(TransportError, match="self-signed") as caught:
            client.chat(cookies={}).ask("Why?")
    assert caught.value.failure.kind is FailureKind.TLS


def test_a_tls_handshake_that_never_ends_is_given_up_in_time() -> None:
    policy = Policy(max_retries=0, connect_timeout=0.05)
    with peer(until_closed, until_closed) as url:
        profile = at(url.replace("http:", "https:"), minimum_interval=0.0)
        with Client(profile, policy=policy) as client, pytest.raises(ChatTimeoutError, match="connecting to"):
            client.chat(cookies={}).ask("Why?")


def test_a_tls_connection_cut_without_goodbye_is_no_end_of_a_reply(certificate: Path) -> None:
    def cut(connection: socket.socket) -> None:
        with server_context(certificate).wrap_socket(connection, server_side=True) as secure:
            read_request(secure)
            secure.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
                b'data: {"action":"success","message":"first"}\n\n'
            )

    conversation = Conversation(vqd="token", fe_version="x-y")
    trusting = verifying_context()
    trusting.load_verify_locations(certificate)
    with peer(cut) as url:
        client = Client(at(url.replace("http:", "https:"), minimum_interval=0.0), ssl_context=trusting)
        with client, pytest.raises(IncompleteStream) as caught:
            client.chat(conversation=conversation, cookies={}).ask("Why?")
    assert caught.value.text == "first"
