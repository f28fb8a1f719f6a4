"""Hostile services, as data: what each says on a raw connection, and how a turn against it ends.

To add one, add a row to `SERVICES`: a name, what is said to each request of its step, and how the turn ends. Every
driver then meets it (test_drivers.py); a row that `takes_memory` is also measured (test_memory.py). What is said is an
iterable of bytes, of seconds to pause, and of HANG or RESET at the end; it has no end where the service has none. The
connection is closed after it.
"""

from __future__ import annotations

import base64
import enum
import gzip
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from ddg_protocol import (
    ChatTimeoutError,
    DuckChatError,
    HandshakeError,
    RateLimitError,
    ServiceError,
    TransportError,
    UnsupportedChallenge,
)
from ddg_protocol.errors import (
    ContentDecodingError,
    EmptyResponseError,
    IncompleteStream,
    InvalidToken,
    RedirectRefused,
    ServiceUnavailableError,
    StreamTooLarge,
)

KIB, MIB = 1024, 1024 * 1024
SECRET = "Qz7TopSecretToken"
"""What the service gives out as a token and as a cookie; no exception may show it."""


class Act(enum.Enum):
    """What a service does beside sending bytes and pausing."""

    HANG = "say nothing more until the client closes the connection"
    RESET = "reset the connection"


HANG, RESET = Act
Said = Iterable[bytes | float | Act]
Ends = tuple[type[DuckChatError], ...] | str


@dataclass(frozen=True)
class HostileService:
    """One way to be hostile.

    Attributes:
        name: what it does.
        says: gives what is said to each request of its step.
        ends: how the turn ends: one of these exceptions, or a reply with this text.
        step: which request is answered like this, the others are answered well: ``"connection"`` (before any byte is
            read), ``"page"``, ``"landing"``, ``"status"``, ``"chat"`` or ``"h2"`` (whatever is sent over HTTP/2).
        tls: whether the address is an https one.
        policy: what differs from the policy of the test.
        challenge: whether challenges are to be answered.
        holds: whether the client may send nothing for a while afterwards.
        takes_memory: whether it is one of those whose turns are measured, under the default policy.
    """

    name: str
    says: Callable[[], Said]
    ends: Ends
    step: str = "chat"
    tls: bool = False
    policy: dict[str, Any] = field(default_factory=dict)
    challenge: bool = False
    holds: bool = False
    takes_memory: bool = False

    @property
    def over_h2(self) -> bool:
        """Whether only drivers that speak HTTP/2 can meet it."""
        return self.step == "h2"


# Parts of responses

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = STREAM + b"transfer-encoding: chunked\r\n\r\n"
UNFRAMED = STREAM + b"\r\n"
HELLO = b'data: {"action":"success","message":"Hello"}\n\n'
DONE = b"data: [DONE]\n\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
PLANTED = SECRET.encode()


def head(status: int = 200, *lines: bytes) -> bytes:
    """Give a head whose body is ended by the end of the connection."""
    return b"\r\n".join([b"HTTP/1.1 %d Whatever" % status, *lines, b"", b""])


def chunk(data: bytes) -> bytes:
    """Give a chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def endless(filler: bytes, *, size: int = 64 * KIB) -> Said:
    """Repeat something without an end, many at a time."""
    return repeat(filler * max(1, size // len(filler)))


def stream(filler: bytes, begin: bytes = HELLO) -> Callable[[], Said]:
    """Give a reply without end: it begins well, and goes on with the same thing."""
    piece = filler * max(1, 64 * KIB // len(filler))
    return lambda: chain([CHUNKED, chunk(begin)], repeat(chunk(piece)))


def bomb(filler: bytes) -> Callable[[], Said]:
    """Give 1 GiB of something, compressed to 1 MiB: what is longest of it has no end."""

    def says() -> Said:
        packer = zlib.compressobj(9, wbits=31)
        yield packer.compress(filler)
        while True:
            yield packer.compress(b" " * MIB)
            yield packer.flush(zlib.Z_SYNC_FLUSH)

    return says


def stored(filler: bytes) -> Callable[[], Said]:
    """Give a reply without end in a coding that doesn't compress."""

    def says() -> Said:
        packer = zlib.compressobj(0, wbits=31)
        yield STREAM + b"content-encoding: gzip\r\n\r\n"
        while True:
            yield packer.compress(filler) + packer.flush(zlib.Z_SYNC_FLUSH)

    return says


def drip(data: bytes, seconds: float) -> Callable[[], Said]:
    """Give the same bytes without an end, one at a time."""
    return lambda: (part for byte in repeat(data) for each in byte for part in (bytes([each]), seconds))


def lots_of_cookies() -> Said:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(1_000_000):
        yield b"set-cookie: name%d=%s\r\n" % (number, PLANTED)
    yield b"content-length: 0\r\n\r\n"


def big_cookies() -> Said:
    line = b"set-cookie: %d=" + b"v" * 4_000 + b"; path=/" + b"p" * 1_000 + b"\r\n"
    yield (
        b"HTTP/1.1 200 OK\r\n"
        + b"".join(line % number for number in range(25))
        + b"connection: close\r\ncontent-length: 0\r\n\r\n"
    )


def status(*lines: bytes, body: bytes = b'{"status":"0"}') -> bytes:
    return b"\r\n".join(
        [b"HTTP/1.1 200 OK", *lines, b"connection: close", b"content-length: %d" % len(body), b"", body]
    )


def two_replies() -> bytes:
    reply = chunk(HELLO + DONE) + b"0\r\n\r\n"
    wrong = chunk(b'data: {"action":"success","message":"of another chat"}\n\n' + DONE) + b"0\r\n\r\n"
    return CHUNKED + reply + CHUNKED + wrong


NESTED = b'{"action":"success","message":"","x":' + b"[" * 400_000 + b"]" * 400_000 + b"}"
OBJECTS = b'data: {"message":"","x":[' + b"{}," * 20_000 + b"{}]}\n\n"
SOURCES = b'data: {"role":"source","sources":[' + b'{"url":"u"},' * 80_000 + b'{"url":"u"}]}\n\n'
IMAGE = b'data: {"role":"%s","result":"%s"}\n\n'
LARGEST = 4 * MIB - 100
CHALLENGE = base64.b64encode(b"(function(){/*" + b"x" * 192 * KIB + b"*/})()")
HTML = base64.b64encode(b'(function () { return { server_hashes: ["' + b'","'.join([b"a" * 40] * 4_000) + b'"] }; })()')
TOO_MUCH = (StreamTooLarge,)
NOT_HTTP = (TransportError,)
#: Small bounds, for what would take long to come to the usual ones.
SMALL: dict[str, Any] = {"max_reply_bytes": 256 * KIB, "max_page_bytes": 256 * KIB, "max_event_bytes": 64 * KIB}
#: Short times, for what ends by them alone.
SHORT: dict[str, Any] = {
    "connect_timeout": 0.5,
    "write_timeout": 0.5,
    "read_timeout": 0.5,
    "total_timeout": 1.0,
    "turn_timeout": 3.0,
}
#: What httpcore reads and shows to nobody is bounded by time alone.
FRAMING = (TransportError, IncompleteStream, ChatTimeoutError)
#: What a page that can't be read costs: the front-end version, and not the turn.
NOTHING = "Well said"

SERVICES = (
    # Replies without end that mean nothing
    HostileService("comments without end", stream(b": comment\n"), TOO_MUCH, takes_memory=True),
    HostileService("empty data fields", stream(b"data:\n\n"), TOO_MUCH, policy=SMALL),
    HostileService("unknown fields", stream(b"field: x\n"), TOO_MUCH, policy=SMALL),
    HostileService("blank lines", stream(b"\n"), TOO_MUCH, policy=SMALL),
    HostileService("ids and times", stream(b"id: 7\nretry: 10\n\n"), TOO_MUCH, policy=SMALL),
    HostileService("[PING]s", stream(b"data: [PING]\n\n"), TOO_MUCH, policy=SMALL),
    HostileService("empty pieces", stream(b'data: {"action":"success","message":""}\n\n'), TOO_MUCH, policy=SMALL),
    HostileService("comments before any text", stream(b":\n", begin=b":\n"), TOO_MUCH, policy=SMALL),
    HostileService("empty replies", lambda: [UNFRAMED, DONE], (EmptyResponseError,)),
    # Replies that are too much
    HostileService("tiny pieces", stream(b'data:{"message":"ab"}\n\n'), TOO_MUCH, policy=SMALL, takes_memory=True),
    HostileService("tiny events", stream(b"data\n\n"), TOO_MUCH, policy=SMALL),
    HostileService("tiny lines of one event", stream(b"data:ab\n"), TOO_MUCH, policy=SMALL),
    HostileService("a line without end", stream(b"ab"), TOO_MUCH, policy=SMALL, takes_memory=True),
    HostileService(
        "wide characters",
        stream(b'data: {"message":"%s"}\n\n' % ("\U0001f600" * 10_000).encode()),
        TOO_MUCH,
        policy=SMALL,
        takes_memory=True,
    ),
    HostileService(
        "wide characters in stored gzip",
        stored(b'data: {"message":"%s"}\n\n:%s\n' % (("\U0001f600" * 5_000).encode(), b"c" * 20_000)),
        TOO_MUCH,
        policy=SMALL,
        takes_memory=True,
    ),
    HostileService(
        "a wide character in the last piece",
        lambda: chain(
            [CHUNKED],
            [chunk(b'data: {"message":"%s"}\n\n' % (b"x" * 100_000))] * 38,
            [chunk('data: {"message":"\U0001f600"}\n\n'.encode())],
            repeat(chunk(b'data: {"message":"%s"}\n\n' % (b"x" * 100_000))),
        ),
        TOO_MUCH,
        policy={"max_reply_bytes": 2 * MIB},
        takes_memory=True,
    ),
    HostileService(
        "one line of 1 MiB per event",
        # Made when it is sent, as are the images: every process that collects tests would have them.
        lambda: stream(b'data: {"message":"%s"}\n\n' % (b"m" * (MIB - 40)))(),
        TOO_MUCH,
        takes_memory=True,
    ),
    HostileService("nested JSON", lambda: [UNFRAMED, HELLO, b"data: " + NESTED + b"\n\n", DONE], "Hello"),
    HostileService("objects in JSON", stream(OBJECTS), TOO_MUCH, policy={"max_reply_bytes": MIB}, takes_memory=True),
    HostileService("sources in JSON", stream(SOURCES), TOO_MUCH, policy=SMALL, takes_memory=True),
    HostileService(
        "the largest images",
        lambda: stream(IMAGE % (b"generated-image", b"A" * LARGEST))(),
        TOO_MUCH,
        policy=SMALL,
        takes_memory=True,
    ),
    HostileService(
        "the largest drafts",
        lambda: stream(IMAGE % (b"partial-image", b"A" * LARGEST))(),
        TOO_MUCH,
        policy=SMALL,
        takes_memory=True,
    ),
    HostileService(
        "a wide character in the largest image",
        lambda: stream(IMAGE % (b"generated-image", b"A" * (LARGEST - 20) + "\U0001f600".encode()))(),
        TOO_MUCH,
        policy=SMALL,
        takes_memory=True,
    ),
    HostileService(
        "an image that is none",
        lambda: stream(IMAGE % (b"new", b"A" * LARGEST))(),
        TOO_MUCH,
        policy=SMALL,
        takes_memory=True,
    ),
    HostileService(
        "gzip bomb as a reply",
        lambda: chain([STREAM + b"content-encoding: gzip\r\n\r\n"], bomb(HELLO + b": ")()),
        TOO_MUCH,
        takes_memory=True,
    ),
    HostileService(
        "huge numbers",
        lambda: [
            UNFRAMED,
            b'data: {"message":"Hello","created":1e999999}\n\n',
            b'data: {"message":" you","created":' + b"9" * 60_000 + b"}\n\n",
            DONE,
        ],
        "Hello you",
    ),
    # Framing
    HostileService(
        "chunk extensions",
        lambda: chain([CHUNKED], endless(b"1;" + b"e" * 40 + b"\r\n:\r\n")),
        (*FRAMING, *TOO_MUCH),  # whichever a machine comes to first: the end of the time, or of a line
        policy={**SMALL, **SHORT},
    ),
    HostileService(
        "a chunk's size without end", lambda: chain([CHUNKED], endless(b"0")), FRAMING, policy={**SMALL, **SHORT}
    ),
    HostileService(
        "trailers without end",
        lambda: chain([CHUNKED, chunk(HELLO), b"0\r\n"], endless(b"a: b\r\n")),
        FRAMING,
        policy={**SMALL, **SHORT},
    ),
    HostileService("a reply that ends at once", lambda: [CHUNKED, b"0\r\n\r\n"], (EmptyResponseError,)),
    HostileService("two responses", lambda: [two_replies(), HANG], "Hello"),
    HostileService(
        "a body longer than it says",
        lambda: [STREAM + b"content-length: %d\r\n\r\n" % len(HELLO + DONE), (HELLO + DONE) * 2, HANG],
        "Hello",
    ),
    # Heads
    HostileService("endless 100 Continue", lambda: endless(INTERIM), FRAMING, policy=SHORT),
    HostileService(
        "endless 103 with fields",
        lambda: endless(b"HTTP/1.1 103 Early\r\nlink: " + b"x" * 500 + b"\r\n\r\n"),
        FRAMING,
        policy=SHORT,
    ),
    HostileService("1xx heads, slowly", drip(INTERIM, 0.0004), (ChatTimeoutError,), policy=SHORT),
    HostileService(
        "a byte every 0.4 ms",
        lambda: chain([CHUNKED], drip(chunk(b":\n"), 0.0004)()),
        (ChatTimeoutError,),
        policy=SHORT,
    ),
    HostileService(
        "a head a byte every 0.4 ms", drip(b"HTTP/1.1 200 OK\r\na: b", 0.0004), (ChatTimeoutError,), policy=SHORT
    ),
    HostileService(
        "an endless header line", lambda: chain([b"HTTP/1.1 200 OK\r\na: "], endless(b"x")), NOT_HTTP, takes_memory=True
    ),
    HostileService("an endless status line", lambda: chain([b"HTTP/1.1 200 "], endless(b"x")), NOT_HTTP),
    HostileService("a head of a million cookies", lots_of_cookies, NOT_HTTP, takes_memory=True),
    HostileService("cookies as large as may be", big_cookies, NOTHING, step="landing"),
    HostileService(
        "cookies for others",
        lambda: [status(b"set-cookie: a=%s; domain=example.com" % PLANTED, b"x-vqd-4: t")],
        NOTHING,
        step="status",
    ),
    HostileService("NUL in a token", lambda: [status(b"x-vqd-4: a\0" + PLANTED)], NOT_HTTP, step="status"),
    HostileService(
        "a token that can't be sent", lambda: [status(b"x-vqd-4: a\xff" + PLANTED)], (InvalidToken,), step="status"
    ),
    HostileService(
        "a token of more than 64 KiB",
        lambda: [status(b"x-vqd-4: " + PLANTED * (1 + 64 * KIB // len(PLANTED)))],
        (InvalidToken,),
        step="status",
    ),
    HostileService("no tokens", lambda: [status()], (HandshakeError,), step="status"),
    HostileService("header injection", lambda: [status(b"x-vqd-4: a\rcookie: " + PLANTED)], NOT_HTTP, step="status"),
    HostileService(
        "a line that folds",
        lambda: [status(b"x-vqd-4: a", b" cookie: " + PLANTED)],
        (InvalidToken, TransportError),
        step="status",
    ),
    HostileService(
        "no HTTP", lambda: [b"SSH-2.0-" + PLANTED + b"\r\n", HANG], (TransportError, ChatTimeoutError), policy=SHORT
    ),
    # Challenges
    HostileService(
        "a challenge of 256 KiB",
        lambda: [status(b"x-vqd-4: t", b"x-vqd-hash-1: " + CHALLENGE[: 256 * KIB])],
        (UnsupportedChallenge, TransportError),
        step="status",
        policy={"max_head_bytes": MIB},
        challenge=True,
    ),
    HostileService(
        "a challenge of many hashes",
        lambda: [status(b"x-vqd-4: t", b"x-vqd-hash-1: " + HTML[: 256 * KIB])],
        (UnsupportedChallenge, TransportError),
        step="status",
        policy={"max_head_bytes": MIB},
        challenge=True,
    ),
    # Pages and refusals
    HostileService(
        "an endless front-end page",
        lambda: chain([head()], endless(b"<p>page ")),
        NOTHING,
        step="page",
        policy=SMALL,
        takes_memory=True,
    ),
    HostileService(
        "gzip bomb as a page",
        lambda: chain([head(200, b"content-encoding: gzip")], bomb(b"<p>")()),
        NOTHING,
        step="page",
    ),
    HostileService(
        "gzip bomb as a refusal",
        lambda: chain([head(503, b"content-encoding: gzip")], bomb(b"{")()),
        (ServiceUnavailableError,),
    ),
    HostileService("an endless refusal", lambda: chain([head(418)], endless(b"no ")), (ServiceError,)),
    HostileService("an endless landing page", lambda: chain([head()], endless(b"<p>page ")), NOTHING, step="landing"),
    HostileService(
        "a coding that is none",
        lambda: [STREAM + b"content-encoding: gzip\r\n\r\n", b"no gzip", HELLO],
        (ContentDecodingError,),
    ),
    HostileService(
        "a coding of nothing for ever",
        lambda: chain(
            [STREAM + b"content-encoding: gzip\r\n\r\n", gzip.compress(b"")[:10]], endless(b"\0\0\0\xff\xff")
        ),
        TOO_MUCH,
    ),
    # Redirects and waits
    HostileService(
        "a redirect loop",
        lambda: [
            b"HTTP/1.1 307 Again\r\nlocation: /duckchat/v1/chat\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        ],
        (RedirectRefused,),
    ),
    HostileService(
        "a redirect elsewhere",
        lambda: [
            b"HTTP/1.1 307 Go\r\nlocation: http://example.com/%s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            % PLANTED
        ],
        (RedirectRefused,),
    ),
    HostileService(
        "a redirect to no address",
        lambda: [
            b"HTTP/1.1 307 Go\r\nlocation: http://[%s/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % PLANTED
        ],
        (RedirectRefused,),
    ),
    HostileService(
        "retry-after huge",
        lambda: [
            b"HTTP/1.1 429 Wait\r\nretry-after: " + b"9" * 400 + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        ],
        (RateLimitError,),
        holds=True,
    ),
    HostileService("nothing at all", lambda: [HANG], (ChatTimeoutError,), policy=SHORT),
    HostileService(
        "half a reply and nothing more", lambda: [CHUNKED, chunk(HELLO), HANG], (ChatTimeoutError,), policy=SHORT
    ),
    # Breaks
    HostileService("reset before the head", lambda: [RESET], NOT_HTTP),
    HostileService("reset in the head", lambda: [b"HTTP/1.1 200 OK\r\nx-vqd-4: " + PLANTED, 0.05, RESET], NOT_HTTP),
    HostileService("reset in the body", lambda: [CHUNKED, chunk(HELLO), 0.05, RESET], (IncompleteStream,)),
    HostileService("a reply that is cut off", lambda: [CHUNKED, chunk(HELLO)[:-9]], (IncompleteStream,)),
    HostileService("closed when asked", list, NOT_HTTP),
    HostileService(
        "TLS that stalls", lambda: [HANG], (ChatTimeoutError, TransportError), step="connection", tls=True, policy=SHORT
    ),
    HostileService(
        "TLS that is none",
        lambda: [b"HTTP/1.1 400 Plain\r\n\r\n" + PLANTED, HANG],
        (TransportError,),
        step="connection",
        tls=True,
    ),
    HostileService(
        "TLS that trickles",
        lambda: chain([b"\x16\x03\x03\x40\x00"], drip(b"\0", 0.0004)()),
        (ChatTimeoutError, TransportError),
        step="connection",
        tls=True,
        policy=SHORT,
    ),
    HostileService(
        "a response before the request",
        lambda: [CHUNKED + chunk(HELLO + DONE) + b"0\r\n\r\n", HANG],
        (HandshakeError, TransportError, ChatTimeoutError),
        step="connection",
        policy=SHORT,
    ),
    # HTTP/2
    HostileService(
        "H2 PINGs",
        lambda: chain([b"\0\0\0\4\0\0\0\0\0"], endless(b"\0\0\x08\6\0\0\0\0\0........")),
        (ChatTimeoutError, TransportError),
        step="h2",
        policy=SHORT,
    ),
    HostileService(
        "H2 settings",
        lambda: endless(b"\0\0\0\4\0\0\0\0\0"),
        (ChatTimeoutError, TransportError),
        step="h2",
        policy=SHORT,
    ),
    HostileService(
        "H2 empty data frames",
        lambda: chain([b"\0\0\0\4\0\0\0\0\0\0\0\1\1\4\0\0\0\1\x88"], endless(b"\0\0\0\0\0\0\0\0\1")),
        (ChatTimeoutError, HandshakeError, TransportError),
        step="h2",
        policy=SHORT,
    ),
    HostileService(
        "H2 head without end",
        lambda: chain([b"\0\0\0\4\0\0\0\0\0\0\0\1\1\0\0\0\0\1\x88"], endless(b"\0\0\1\x09\0\0\0\0\1\x88")),
        (ChatTimeoutError, TransportError),
        step="h2",
        policy=SHORT,
    ),
)
"""Every hostile service. Each came of a finding, or of the place next to one."""
