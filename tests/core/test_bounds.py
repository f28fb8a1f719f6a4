"""What bounds a session in bytes and in time, whatever the service sends: on both floors."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from itertools import product, repeat
from typing import Any, cast

import pytest
from support.hand import DONE, HELLO, STREAM, Hand
from support.tiers import thinned

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ChatTimeoutError,
    DuckChatError,
    Policy,
    RateLimitError,
    Retrying,
    SendRequest,
    Session,
    SolveChallenge,
    TransportError,
    TurnFinished,
    Wait,
)
from ddg_protocol.errors import ServiceUnavailableError, StreamTooLarge
from ddg_protocol.events import FrontEndVersionUnknown
from ddg_protocol.pace import ClientState
from ddg_protocol.transcript import RecordedSession
from ddg_protocol.wire import Close, Connect, Send, WireSession

KIB, MIB = 1024, 1024 * 1024
GZIP = ("content-encoding", "gzip")
FILLERS = {
    "comments": b": comment\n",
    "blank lines": b"\n",
    "empty data": b"data:\n\n",
    "unknown fields": b"field: x\n",
    "ids": b"id: 7\n\n",
    "times": b"retry: 10\n",
    "pings": b"data: [PING]\n\n",
    "empty pieces": b'data: {"action":"success","message":""}\n\n',
}


def flooded(hand: Hand, chunks: Iterator[bytes], *, most: int) -> int:
    """Feed a chat's response until the turn is over; how many bytes that took."""
    request, sent = hand.request, 0
    assert request is not None
    while hand.pull() is NEED_DATA:
        hand.events.clear()
        data = next(chunks)
        sent += len(data)
        assert sent <= most, "the turn does not end"
        hand.session.receive_data(request, data)
    raise AssertionError("the turn ended well")


# Bytes


@pytest.mark.parametrize("filler", FILLERS.values(), ids=FILLERS)
@pytest.mark.parametrize("begun", [b"", HELLO], ids=["nothing before", "text before"])
def test_a_reply_without_end_that_means_nothing_ends_at_the_bound_of_a_reply(filler: bytes, begun: bytes) -> None:
    hand = Hand(Session(policy=Policy(max_reply_bytes=64 * KIB)))
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    if begun:
        hand.session.receive_data(request, begun)
    with pytest.raises(StreamTooLarge, match="the reply is longer than 65536 bytes") as caught:
        flooded(hand, repeat(filler * 10), most=66 * KIB)
    assert caught.value.text == ("Hello" if begun else "")
    assert hand.session.conversation.message_history == ()


def test_a_coding_that_says_nothing_for_ever_is_bounded() -> None:
    empty_block = zlib.compressobj(wbits=31)
    flush = zlib.Z_FULL_FLUSH
    head = empty_block.compress(b"") + empty_block.flush(flush)
    for path, status in (("duckai=1", 200), ("/aichat", 200), ("duckai=1", 503)):
        hand = Hand(Session(policy=Policy(max_page_bytes=64 * KIB, max_error_bytes=32 * KIB)))
        hand.session.ask("Hi", now=0)
        request = hand.request_for("duckai=1")
        if path == "/aichat":
            hand.answer()
            request = hand.request_for(path)
        hand.session.receive_head(request, status, [GZIP], now=hand.now)
        hand.session.receive_data(request, head)
        for _ in range(70):
            action = hand.pull()
            if action is not NEED_DATA:
                break
            hand.session.receive_data(request, b"\x00\x00\x00\xff\xff" * 205)  # an empty stored block
        assert action is not NEED_DATA


def test_interim_heads_without_end_are_ended_by_the_bound_of_a_head() -> None:
    hand = Hand()
    hand.session.ask("Hi", now=0)
    request = hand.request_for("duckai=1")
    sent = 0
    while sent < 10_000:
        sent += 1
        hand.session.receive_head(request, 103, [("link", "</style.css>")], now=0)
        action = hand.session.next_action(now=0)
        if action is not NEED_DATA:
            break
    assert isinstance(action, FrontEndVersionUnknown)
    assert isinstance(action.cause, StreamTooLarge)
    assert 128 * KIB // 60 < sent < 128 * KIB // 30


@pytest.mark.parametrize("recorded", [False, True])
def test_fields_without_end_are_taken_up_to_the_bound_of_a_head(recorded: bool) -> None:
    lines: list[str] = []
    session = RecordedSession(Session(), lines.append) if recorded else Session()
    hand = Hand(cast(Session, session))
    session.ask("Hi", now=0)
    request = hand.request_for("duckai=1")
    taken = 0

    def fields() -> Iterator[tuple[str, str]]:
        nonlocal taken
        while taken < 100_000:
            taken += 1
            yield "", ""

    session.receive_head(request, 200, fields(), now=0)
    assert taken == 128 * KIB // 4 + 1
    action = hand.session.next_action(now=0)
    assert isinstance(action, FrontEndVersionUnknown)
    assert isinstance(action.cause, StreamTooLarge)


def test_a_snapshot_carries_how_much_of_a_reply_has_come() -> None:
    policy = Policy(max_reply_bytes=8 * KIB)
    hand = Hand(Session(policy=policy))
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)

    def chunks() -> Iterator[bytes]:
        while True:
            data = json.loads(json.dumps(hand.session.snapshot(now=hand.now)))
            hand.session = Session.restore(data, now=hand.now, policy=policy)
            yield b": comment\n" * 10

    with pytest.raises(StreamTooLarge):
        flooded(hand, chunks(), most=8 * KIB + 100)


def test_a_snapshot_holds_a_chunk_that_was_not_looked_at_as_it_came() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    pings = 6_000
    hand.session.receive_data(request, HELLO + b"data: [PING]\n\n" * pings + DONE)
    for _ in range(2):
        hand.session.next_action(now=hand.now)
    data = json.loads(json.dumps(hand.session.snapshot(now=hand.now)))
    assert len(json.dumps(data)) < 150_000
    for session in (hand.session, Session.restore(data, now=hand.now)):
        hand.session, hand.events = session, []
        assert hand.pull() is NEED_DATA
        assert len(hand.events) == pings + 1
        assert isinstance(hand.events[-1], TurnFinished)


def peak_of(act: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        act()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def payload(message: str) -> bytes:
    return b"data: " + json.dumps({"message": message}, ensure_ascii=False).encode() + b"\n\n"


HOSTILE: dict[str, Callable[[], Iterator[bytes]]] = {
    "tiny pieces": lambda: repeat(b'data:{"message":"ab"}\n\n' * 2_000),
    "tiny events": lambda: repeat(b"data\n\n" * 8_000),
    "tiny lines of one event": lambda: repeat(b"data:ab\n" * 8_000),
    "a line without end": lambda: repeat(b"ab" * 30_000),
    "a wide character in the last piece": lambda: iter([*[payload("x" * 100_000)] * 19, payload("\U0001f600")] * 4),
    "wide characters": lambda: repeat(payload("\U0001f600" * 10_000)),
    "deep objects": lambda: repeat(b'data: {"message":"","x":[' + b"{}," * 30_000 + b"{}]}\n\n"),
    "one chunk of tiny pieces": lambda: iter([b'data:{"message":"ab"}\n\n' * 100_000] * 4),
}


@pytest.mark.parametrize(
    ("service", "bound"),
    thinned(product(HOSTILE.values(), [512 * KIB, 2 * MIB]), one_in=9, reason="a traced byte takes its time"),
    ids=[f"{name}-{bound}" for name in HOSTILE for bound in ("512 KiB", "2 MiB")],
)
def test_a_turn_takes_little_memory_whatever_the_service_sends(
    service: Callable[[], Iterator[bytes]], bound: int
) -> None:
    # At the default of 16 MiB as well.
    hand = Hand(Session(policy=Policy(max_reply_bytes=bound, max_event_bytes=128 * KIB)))
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)

    def turn() -> None:
        request = hand.request
        assert request is not None
        chunks = service()
        try:
            while True:
                action = hand.session.next_action(now=hand.now)
                if action is NEED_DATA:
                    hand.session.receive_data(request, next(chunks))
        except StreamTooLarge:
            pass

    assert peak_of(turn) < 1.5 * bound + 3 * MIB  # the text while it is joined, and what 64 KiB are cut into


def test_the_coded_form_of_a_reply_is_let_go_before_its_text_is_joined() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, [*STREAM, GZIP], now=hand.now)
    packer = zlib.compressobj(0, wbits=31)
    blocks = [packer.compress(payload("x" * 500_000)) + packer.flush(zlib.Z_SYNC_FLUSH) for _ in range(8)]

    def turn() -> None:
        for block in blocks:
            hand.session.receive_data(request, block)
            hand.pull()
            hand.events.clear()
        hand.session.cancel()

    assert peak_of(turn) < 2.6 * 8 * 500_000


# Bytes on the wire


def on_the_wire(policy: Policy | None = None) -> tuple[WireSession, Connect]:
    """A wire session that waits for its first response."""
    wire = WireSession(Session(policy=policy))
    wire.ask("Hi", now=0)
    wire.next_action(now=0)
    connect = wire.next_action(now=0)
    assert isinstance(connect, Connect)
    wire.connected(connect)
    send = wire.next_action(now=0)
    assert isinstance(send, Send)
    wire.sent(send)
    assert wire.next_action(now=0) is NEED_DATA
    return wire, connect


def flooded_wire(begin: bytes, filler: bytes, *, most: int, policy: Policy | None = None) -> tuple[int, DuckChatError]:
    wire, connect = on_the_wire(policy)
    wire.receive_bytes(connect, begin)
    sent = len(begin)
    while (action := wire.next_action(now=0)) is NEED_DATA:
        assert sent <= most, "the exchange does not end"
        wire.receive_bytes(connect, filler)
        sent += len(filler)
    assert isinstance(action, Close)
    event = wire.next_action(now=0)
    assert isinstance(event, FrontEndVersionUnknown)
    return sent, event.cause


@pytest.mark.parametrize("times", [1, 40, 10_000])
def test_interim_responses_without_end_are_ended_by_the_bound_of_a_head(times: int) -> None:
    filler = b"HTTP/1.1 100 Continue\r\n\r\n" * times
    sent, cause = flooded_wire(b"", filler, most=128 * KIB + len(filler))
    assert sent <= 128 * KIB + len(filler)
    assert isinstance(cause, TransportError)
    assert "its heads are longer than 131072 bytes" in str(cause)


def test_interim_heads_and_the_last_one_count_together() -> None:
    interim = b"HTTP/1.1 103 Early\r\nlink: " + b"x" * 1000 + b"\r\n\r\n"
    last = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"
    bound = 2 * len(interim) + len(last)
    for over in (0, 1):
        wire, connect = on_the_wire(Policy(max_head_bytes=bound - over))
        wire.receive_bytes(connect, 2 * interim + last)
        actions = [wire.next_action(now=0), wire.next_action(now=0)]
        (event,) = (action for action in actions if isinstance(action, FrontEndVersionUnknown))
        assert isinstance(event.cause, TransportError if over else ServiceUnavailableError)


@pytest.mark.parametrize("times", [1, 2_000])
def test_chunk_extensions_without_end_are_ended_by_the_bound_of_a_reply(times: int) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    filler = b"1;" + b"e" * 40 + b"\r\nx\r\n"
    policy = Policy(max_reply_bytes=64 * KIB)
    sent, cause = flooded_wire(head, filler * times, most=66 * KIB + len(filler) * times, policy=policy)
    assert sent > 64 * KIB
    assert "what frames its body is longer than 65536 bytes" in str(cause)


def test_chunk_extensions_within_the_bound_change_nothing() -> None:
    wire, connect = on_the_wire()
    body = b"".join(b"1;%s\r\n%c\r\n" % (b"e" * 40, each) for each in b"<html>" * 1000)
    wire.receive_bytes(connect, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n")
    event = wire.next_action(now=0)
    assert isinstance(event, FrontEndVersionUnknown)
    assert "no version markers" in str(event.cause)
    assert isinstance(wire.next_action(now=0), Wait)


def test_a_large_piece_is_read_in_linear_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from ddg_protocol._http import HttpConnection

    looked_at: list[int] = []
    split_head = HttpConnection._split_head

    def watched(self: HttpConnection, data: bytes) -> tuple[bytes, bytes]:
        looked_at.append(len(data))  # what it copies
        return split_head(self, data)

    monkeypatch.setattr(HttpConnection, "_split_head", watched)
    work = []
    for times in (5_000, 10_000):
        looked_at.clear()
        wire, connect = on_the_wire(Policy(max_head_bytes=MIB))
        wire.receive_bytes(connect, b"HTTP/1.1 100 Continue\r\n\r\n" * times)
        assert wire.next_action(now=0) is NEED_DATA
        work.append(sum(looked_at))
    assert work[1] < 2.2 * work[0]


@pytest.mark.parametrize(
    "chunk",
    thinned([b"2;e\r\nab\r\n", b"2\r\nab\r\n"], one_in=2, reason="a traced byte takes its time"),
    ids=["with extensions", "plain"],
)
def test_a_large_piece_of_tiny_chunks_takes_little_memory_beside_its_own(chunk: bytes) -> None:
    wire, connect = on_the_wire()
    wire.receive_bytes(connect, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    assert wire.next_action(now=0) is NEED_DATA
    data = chunk * 20_000

    def read() -> None:
        wire.receive_bytes(connect, data)
        assert wire.next_action(now=0) is NEED_DATA

    assert peak_of(read) < 1.5 * MIB


# Time


def turn_for(seconds: float, **policy: Any) -> Hand:
    return Hand(Session(policy=Policy(turn_timeout=seconds, **policy), jitter=lambda: 0.0))


def test_a_turn_ends_in_time_whatever_redirects_and_retries_the_service_has() -> None:
    hand = Hand(Session(jitter=lambda: 0.5))
    hand.session.ask("Hi", now=0)
    requests = 0

    def drive() -> None:
        nonlocal requests
        while True:
            assert isinstance(hand.pull(), SendRequest)
            request, requests = hand.request, requests + 1
            assert request is not None
            deadline = hand.session.deadline
            assert deadline is not None
            hand.now = deadline - 25  # as slowly as it may
            if requests % 10:
                hand.answer(307, [("location", "/again")])
            else:
                hand.answer(503)

    with pytest.raises(DuckChatError):
        drive()
    assert hand.now <= 180
    assert hand.pull() is PAUSED


def test_a_reply_that_comes_slowly_is_ended_by_the_turn_timeout_with_its_text() -> None:
    hand = turn_for(40)
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    hand.session.receive_data(request, HELLO)
    while hand.now < 38:
        assert hand.pull() is NEED_DATA
        hand.now += 1
        hand.session.receive_data(request, b": comment\n\n")
    assert hand.pull() is NEED_DATA
    assert hand.session.deadline == 40
    hand.now = 40
    with pytest.raises(ChatTimeoutError, match=r"the turn took longer than 40 s \(turn_timeout\)") as caught:
        hand.pull()
    assert caught.value.text == "Hello"
    assert hand.session.deadline is None
    hand.session.ask("Hi", now=hand.now)  # the next turn has its own time
    hand.pull()
    assert hand.session.deadline == 40 + 40


def test_no_wait_is_begun_that_ends_after_the_turn() -> None:
    hand = turn_for(40)
    hand.to_chat()
    hand.now = 20
    hand.answer(429, [("retry-after", "20")])
    with pytest.raises(RateLimitError, match="come back in 20 s") as caught:
        hand.pull()
    assert caught.value.retry_after == 20
    assert Retrying not in map(type, hand.events)
    assert hand.now == 20

    hand = turn_for(40)
    hand.to_chat()
    hand.now = 20
    hand.answer(429, [("retry-after", "19")])
    hand.request_for("/aichat")
    assert hand.now == 39


def test_a_turn_that_would_wait_too_long_for_others_ends_at_once_and_costs_them_nothing() -> None:
    shared = ClientState()
    for last_start, start in ((100.0, 102), (58.5, 60)):
        shared.pacer.last_start = last_start
        shared.pacer.hold(0.0)  # which is over
        session = Session(policy=Policy(turn_timeout=60), shared=shared)
        session.ask("Hi", now=0)
        session.next_action(now=0)
        with pytest.raises(ChatTimeoutError, match=rf"may begin in {start} s, .*turn_timeout"):
            session.next_action(now=0)
        assert shared.pacer.last_start == last_start
        assert session.next_action(now=0) is PAUSED


def test_a_request_has_no_more_time_than_its_turn() -> None:
    hand = turn_for(12)
    hand.session.ask("Hi", now=0)
    hand.now = 5
    request = hand.request_for("duckai=1")
    assert (request.timeout, hand.session.deadline) == (7, 12)
    hand.now = 12
    with pytest.raises(ChatTimeoutError, match="turn_timeout"):
        hand.pull()
    assert [type(event) for event in hand.events][-1] is FrontEndVersionUnknown


def test_a_redirect_is_not_followed_when_the_time_is_over() -> None:
    hand = turn_for(12)
    request = hand.to_chat()
    hand.session.receive_head(request, 307, [("location", "/again")], now=hand.now)
    assert hand.pull() is NEED_DATA
    hand.session.receive_eof(request)
    hand.now = 12
    with pytest.raises(ChatTimeoutError, match="turn_timeout"):
        hand.pull()


def test_a_solver_has_no_more_time_than_its_turn() -> None:
    for late in (False, True):
        hand = Hand(Session(policy=Policy(turn_timeout=12), answer_challenge="always", solver="embedder"))
        hand.session.ask("Hi", now=0)
        hand.request_for("duckai=1")
        hand.answer()
        hand.request_for("/aichat")
        hand.answer()
        hand.request_for("/status")
        hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", "e30=")])
        solve = hand.pull()
        assert isinstance(solve, SolveChallenge)
        assert hand.session.deadline == 12
        assert hand.pull() == solve
        hand.now = 12
        if late:
            hand.session.challenge_solved(solve, "answer")
        with pytest.raises(ChatTimeoutError, match="the turn took longer than 12 s"):
            hand.pull()


def test_a_snapshot_carries_the_time_that_is_left_of_the_turn() -> None:
    hand = turn_for(100, total_timeout=100)
    hand.to_chat()
    hand.now = 60
    data = json.loads(json.dumps(hand.session.snapshot(now=hand.now)))
    restored = Session.restore(data, now=1000, policy=Policy(turn_timeout=7, total_timeout=100, read_timeout=100))
    request = restored.request
    assert request is not None
    restored.receive_head(request, 200, [*STREAM, GZIP], now=1000)
    restored.receive_data(request, gzip.compress(HELLO))
    for at in (1000.0, 1025.0, 1039.0):
        while restored.next_action(now=at) is not NEED_DATA:
            pass
        restored.receive_data(request, b"")
    with pytest.raises(ChatTimeoutError, match="turn_timeout"):
        restored.next_action(now=1040)
