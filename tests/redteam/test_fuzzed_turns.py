"""Turns against a service whose bytes were damaged at random: only documented exceptions, and in little time.

A failure names the seed of its turn. A large piece has `MOST` bytes, and from a few of those a turn is over
within a second of CPU. Time is linear in the bytes: all that the policy lets through (16 MiB of a reply) takes a few
times as long.
"""

from __future__ import annotations

import gzip
import random
import time
from collections.abc import Callable

import pytest
from support.hand import PAGE

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    DuckChatError,
    SendRequest,
    Session,
    SolveChallenge,
    TurnFinished,
    Wait,
    errors,
)
from ddg_protocol.wire import Close, Connect, Send, WireSession

TURNS = 12_000
BATCH = 500
MOST = 4 * 1024 * 1024  # bytes of a large piece; of tiny events, an eighth of it
SECONDS = 1.0
HELLO = b'data: {"role":"assistant","message":"Hello","created":1,"id":"a","action":"success","model":"m"}\n\n'
WORDS = (
    HELLO,
    'data: {"action":"success","message":"\u20ac\U0001f600"}\n\n'.encode(),
    b'data: {"action":"success","message":"\\ud83d"}\n\ndata: {"action":"success","message":"\\ude00"}\n\n',
    b"data: [PING]\n\n",
    b"data: [CHAT_TITLE:a [b] c]\n\n",
    b"data: [LIMIT_CONVERSATION][DONE]\n\n",
    b'data: {"action":"error","status":429,"type":"ERR_RATE_LIMIT"}\n\n',
    b'data: {"action":"success","message":"","parts":[{}]}\n\n',
    b"event: x\r\nid: 7\r\nretry: 10\r\ndata: a\r\ndata: b\r\n\r\n",
    b": comment\n\n",
    b"data: [DONE]\n\n",
)
#: What is put in somewhere: huge numbers, ends of lines, what other grammars have.
PIECES = (
    b"9" * 400,
    b"-1",
    b"1e999999",
    b"99999999999999999999",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"data: ",
    b"data\n\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"content-length: 7\r\n",
    b"transfer-encoding: chunked\r\n",
    b"content-encoding: gzip\r\n",
    b"retry-after: 1e9\r\n",
    b"set-cookie: a=b; domain=.; expires=Wed, 99 Jan 9999 99:99:99 GMT; max-age=" + b"9" * 30 + b"\r\n",
    b"location: http://[::1\r\n",
    b"x-vqd-4: " + b"t" * 70_000 + b"\r\n",
    b"[" * 5_000,
    b'{"a":' * 500,
)
#: What is repeated up to a bound.
FLOODS = (
    b"x",
    b"\n",
    b":\n",
    b"data\n\n",
    b'data:{"message":"ab"}\n\n',
    b"a: b\r\n",
    b"HTTP/1.1 100 C\r\n\r\n",
    b"1\r\nx\r\n",
)

Response = tuple[int, list[tuple[str, str]], bytes]


def good(random_: random.Random, path: str) -> Response:
    """Give what a service may well answer."""
    if random_.random() < 0.08:
        status = random_.choice([302, 307, 400, 403, 418, 429, 500, 503])
        fields = [
            ("location", random_.choice(["/", "/again", "//x/", "?a", "http://127.0.0.1/"])),
            ("retry-after", "1"),
        ]
        return status, fields, b'{"action":"error","type":"ERR_CHALLENGE"}'
    if path.endswith("duckai=1"):
        return 200, [], PAGE
    if path.endswith("/chat"):
        words = random_.choices(WORDS, k=random_.randrange(1, 12))
        return 200, [("content-type", "text/event-stream")], HELLO + b"".join(words) + WORDS[-1]
    if path.endswith("/status"):
        return (
            200,
            [("x-vqd-4", "4-123"), ("x-vqd-hash-1", random_.choice(["", "e30=", "KGZ1bmN0aW9uKCl7fSko"]))],
            b"{}",
        )
    return 200, [("set-cookie", "a=b; path=/")], b""


def damaged(random_: random.Random, data: bytes) -> bytes:
    """Damage bytes somewhere, once to thrice."""
    for _ in range(random_.randrange(1, 4)):
        at = random_.randrange(len(data) + 1)
        end = min(len(data), at + random_.randrange(1, 200))
        match random_.randrange(8):
            case 0:
                flipped = bytearray(data)
                for _ in range(random_.randrange(1, 9)):
                    if flipped:
                        flipped[random_.randrange(len(flipped))] ^= 1 << random_.randrange(8)
                data = bytes(flipped)
            case 1:
                data = data[:at]
            case 2:
                data = data[:at] + data[end:]
            case 3:
                data = data[:end] + data[at:]
            case 4:
                other = random_.choice(WORDS)
                data = data[:at] + other[random_.randrange(len(other)) :] + data[at:]
            case 5 | 6:
                data = data[:at] + random_.choice(PIECES) + data[at:]
            case _:
                if random_.random() < 0.25:  # large inputs take most of the time
                    filler = random_.choice(FLOODS)
                    size = MOST if filler == b"x" else MOST // 8
                    data = data[:at] + filler * (size // len(filler)) + data[at:]
    return data


def cut(random_: random.Random, data: bytes) -> list[bytes]:
    """Cut bytes: not at all, in large pieces, or in tiny ones."""
    if not data or random_.random() < 0.3:
        return [data]
    if len(data) < 5_000 and random_.random() < 0.4:
        size = random_.randrange(1, 8)
    else:
        size = random_.randrange(len(data) // 20 + 1, len(data) + 2)
    return [data[start : start + size] for start in range(0, len(data), size)]


def framed(random_: random.Random, response: Response) -> bytes:
    """Put a response on the wire, in one of the ways there are."""
    status, fields, body = response
    match random_.randrange(4):
        case 0:
            fields = [*fields, ("transfer-encoding", "chunked")]
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in cut(random_, body) if part) + b"0\r\n\r\n"
        case 1:
            body = gzip.compress(body)
            fields = [*fields, ("content-encoding", "gzip"), ("content-length", str(len(body)))]
        case 2:
            fields = [*fields, ("content-length", str(len(body)))]
        case _:
            fields = [*fields, ("connection", "close")]
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields), "\r\n"]
    return "\r\n".join(lines).encode() + body


def session(random_: random.Random) -> Session:
    answering = random_.choice(["on_demand", "always", "never"])
    return Session(jitter=random_.random, answer_challenge=answering)  # type: ignore[arg-type]


def turn_of_session(random_: random.Random) -> None:
    """Drive a turn of a session; each body is damaged, and heads in their values."""
    driven, now = session(random_), 0.0
    driven.ask("Hi", now=now)
    pieces: list[bytes] = []
    request: SendRequest | None = None
    while (action := driven.next_action(now=now)) is not PAUSED:
        if isinstance(action, SendRequest):
            request = action
            status, fields, body = good(random_, request.url)
            if random_.random() < 0.5:
                body = damaged(random_, gzip.compress(body) if (coded := random_.random() < 0.3) else body)
                fields = [*fields, ("content-encoding", "gzip")] if coded else fields
            if random_.random() < 0.2:
                fields = [
                    (name, damaged(random_, value.encode())[:200_000].decode("latin-1")) for name, value in fields
                ]
            driven.receive_head(request, status, fields, now=now)
            pieces = cut(random_, body)[::-1]
        elif isinstance(action, Wait):
            now = max(now, action.until)
            driven.wait_elapsed(action)
        elif isinstance(action, SolveChallenge):
            driven.challenge_failed(action, "no")
        elif action is NEED_DATA:
            assert request is not None
            now += 0.01
            if driven.request is None:
                now += 100
            elif pieces:
                driven.receive_data(request, pieces.pop())
            else:
                driven.receive_eof(request)
        elif isinstance(action, TurnFinished):
            assert action.text


def turn_of_wire(random_: random.Random) -> None:
    """Drive a turn of a wire session; all the bytes of a response are damaged, and what follows is its end."""
    wire, now = WireSession(session(random_)), 0.0
    wire.ask("Hi", now=now)
    pieces: list[bytes] = []
    connect: Connect | None = None
    while (action := wire.next_action(now=now)) is not PAUSED:
        match action:
            case Connect():
                connect = action
                wire.connected(action)
            case Send():
                response = framed(random_, good(random_, action.data.split()[1].decode()))
                if random_.random() < 0.4:
                    response = damaged(random_, response)
                pieces = cut(random_, response)[::-1]
                wire.sent(action)
            case Close():
                wire.closed(action)
                pieces.clear()
            case Wait():
                now = max(now, action.until)
                wire.wait_elapsed(action)
            case SolveChallenge():
                wire.challenge_failed(action, "no")
            case _ if action is NEED_DATA and connect is not None:
                now += 0.01
                if pieces:
                    wire.receive_bytes(connect, pieces.pop())
                else:
                    wire.receive_eof(connect)


def run(turn: Callable[[random.Random], None], seeds: range) -> dict[str, int]:
    """Run a turn for each seed; give how often it ended how."""
    ends: dict[str, int] = {}
    for seed in seeds:
        began = time.process_time()
        end = "a reply"
        try:
            turn(random.Random(seed))
        except DuckChatError as error:
            end = type(error).__name__
            assert end in errors.__all__, f"seed {seed}: {end} is not documented"
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__} is not documented") from error
        took = time.process_time() - began
        assert took < SECONDS, f"seed {seed}: {took:.2f} s"
        ends[end] = ends.get(end, 0) + 1
    return ends


BATCHES = [range(begin, begin + BATCH) for begin in range(0, TURNS // 2, BATCH)]


@pytest.mark.deep("12,000 turns")
@pytest.mark.parametrize("turn", [turn_of_session, turn_of_wire])
@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"from {seeds.start}")
def test_a_damaged_turn_ends_as_documented_and_soon(seeds: range, turn: Callable[[random.Random], None]) -> None:
    ends = run(turn, seeds)
    assert len(ends) > 5, f"the damage is always the same: {ends}"


@pytest.mark.parametrize("turn", [turn_of_session, turn_of_wire])
def test_some_damaged_turns_end_as_documented(turn: Callable[[random.Random], None]) -> None:
    assert run(turn, range(TURNS, TURNS + 30))
