"""One HTTP/1.1 connection: it reads what h11 reads of a response, however the bytes come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from urllib.parse import urlsplit

import h11
import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.cases import each_of
from support.tiers import some

from ddg_protocol._http import HttpConnection
from ddg_protocol.intents import SendRequest

BOUND = 100_000  # h11 has one for what is incomplete alone: so long is no head here
REQUEST = SendRequest(id=1, method="GET", url="http://localhost/", headers=(), body=b"", timeout=1.0)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

Seen = list[tuple[str, object]]
"""The kinds of events with what they hold; bytes of the body that follow each other are one entry."""


def written_by_h11(request: SendRequest) -> bytes:
    http, parts = h11.Connection(h11.CLIENT), urlsplit(request.url)
    headers = [("host", parts.netloc), *request.headers]
    if request.method == "POST":
        headers.append(("content-length", str(len(request.body))))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = h11.Request(
        method=request.method,
        target=target,
        headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in headers],
    )
    body = [h11.Data(data=request.body)] if request.body else []
    return b"".join(http.send(event) or b"" for event in (head, *body, h11.EndOfMessage()))


def written(write: Callable[[SendRequest], bytes], request: SendRequest) -> bytes | None:
    """Return what is written; None if it is refused."""
    try:
        return write(request)
    except (h11.LocalProtocolError, ValueError):
        return None


def seen_by_us(chunks: Iterable[bytes], *, whole: bool) -> tuple[Seen, list[int]]:
    """Return what is read, with `whole_chunk` first or without it, and the length of the body after each chunk."""
    http, seen, lengths = HttpConnection(max_head_bytes=BOUND, max_framing_bytes=BOUND), Seen(), []
    http.send(REQUEST)
    for chunk in chunks:
        try:
            if whole and (body := http.whole_chunk(chunk)) is not None:
                note(seen, body)
            else:
                for event in http.read(chunk):
                    note(seen, event)
        except h11.RemoteProtocolError:
            seen.append(("error", None))
        lengths.append(body_length(seen))
        if seen and seen[-1][0] in ("error", "EndOfMessage"):
            break
    if seen and seen[-1][0] == "EndOfMessage":
        seen.append(("goes on", http.next_cycle()))
    return seen, lengths


def seen_by_h11(chunks: Iterable[bytes]) -> tuple[Seen, list[int]]:
    http, seen, lengths = h11.Connection(h11.CLIENT, max_incomplete_event_size=BOUND), Seen(), []
    http.send(h11.Request(method="GET", target="/", headers=[("host", "localhost")]))
    http.send(h11.EndOfMessage())
    for chunk in chunks:
        try:
            http.receive_data(chunk)
            while http.their_state in (h11.SEND_RESPONSE, h11.SEND_BODY):  # bytes behind the response are not looked at
                if isinstance(event := http.next_event(), type):
                    break
                note(seen, bytes(event.data) if isinstance(event, h11.Data) else event)
        except h11.RemoteProtocolError:
            seen.append(("error", None))
        lengths.append(body_length(seen))
        if seen and seen[-1][0] in ("error", "EndOfMessage"):
            break
    if seen and seen[-1][0] == "EndOfMessage":
        try:
            idle = http.next_event() is h11.NEED_DATA
            http.start_next_cycle()
        except h11.ProtocolError:
            idle = False
        seen.append(("goes on", idle))
    return seen, lengths


def note(seen: Seen, event: bytes | h11.Event) -> None:
    if isinstance(event, h11.Response | h11.InformationalResponse):
        seen.append((type(event).__name__, (event.status_code, event.headers.raw_items())))
    elif not isinstance(event, bytes):
        seen.append((type(event).__name__, None))
    elif seen and isinstance(before := seen[-1][1], bytes):
        seen[-1] = ("body", before + event)
    else:
        seen.append(("body", event))


def body_length(seen: Seen) -> int:
    return sum(len(what) for _, what in seen if isinstance(what, bytes))


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} - {0, len(data)})
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True) if start < end]


@st.composite
def chunk(draw: st.DrawFn) -> bytes:
    content = draw(st.binary(min_size=1, max_size=20) | st.sampled_from([b"\r\n\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n"]))
    size = draw(st.sampled_from([b"%x", b"%X", b"0%x", b"%08x", b"%x;extension", b"%x ", b" %x"]))
    return size % len(content) + b"\r\n" + content + draw(st.sampled_from([b"\r\n"] * 9 + [b"\n", b"", b"\rx", b"xx"]))


heads = st.sampled_from(
    [
        CHUNKED,
        CHUNKED,
        CHUNKED,
        b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + CHUNKED,
        b"HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n",
        b"HTTP/1.1 204 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 304 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        *(
            b"HTTP/1.1 200 OK\r\ncontent-length: %b\r\n\r\n" % length
            for length in (b"12", b"30, 30", b"0", b"5, 6", b"007")
        ),
        b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\ncontent-length: 12\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\ncontent-length: 12\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 12\r\n\r\n",
        b"HTTP/1.1 304 OK\r\ncontent-length: 12\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 12\n\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1500 + b"\r\n\r\n",
        b"\r\n",
    ]
)
ends = st.sampled_from(
    [b"0\r\n\r\n"] * 6
    + [b"", b"0;last\r\n\r\n", b"000\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"0\r\n\r\nHTTP/1.1 200 OK", b"0"]
)


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    data = draw(heads) + b"".join(draw(st.lists(chunk(), max_size=6))) + draw(ends)
    if draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(0, len(data) - 1))
        data = data[:place] + draw(st.binary(max_size=2)) + data[place + 1 :]
    return data


# h11 lets most control characters pass in a value; the standard doesn't.
any_text = st.text(
    st.characters(max_codepoint=0x17F, exclude_categories=["Cc"], include_characters="\0\t\r\n"), max_size=6
)
names = st.from_regex(r"[a-z0-9!#-'*+.^_`|~-]{1,8}", fullmatch=True) | any_text
values = st.from_regex(r"[!-~\xa0-\xff]{0,3}([ \t]{0,2}[!-~\xa0-\xff]{1,3}){0,3}", fullmatch=True) | any_text
addresses = st.from_regex(r"https?://[a-z]{1,5}(:80)?(/[!-~]{0,9})?", fullmatch=True) | any_text.map(
    "http://a/".__add__
)


@given(
    st.sampled_from(["GET", "POST", "POST", "get", "G T", ""]),
    addresses,
    st.lists(st.tuples(names, values), max_size=4),
    st.binary(max_size=5),
)
@example("GET", "http://a/", [("a", "b\r\nc: d")], b"")
@example("GET", "http://a/", [("a: b", "c")], b"")
@example("GET", "http://a/ b", [], b"")
@example("GET", "http://a/", [("a", " b")], b"")
def test_a_request_is_written_as_h11_writes_it_or_not_at_all(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    framing = {"host", "content-length", "transfer-encoding", "connection", "expect"}
    assume(not any(name.lower() in framing for name, _ in headers))
    try:
        urlsplit(url)
    except ValueError:
        assume(False)
    request = SendRequest(
        id=1,
        method=method,
        url=url,
        headers=tuple(headers),
        body=body if method == "POST" else b"",
        timeout=1.0,
    )
    http = HttpConnection(max_head_bytes=1000, max_framing_bytes=1000)
    assert written(http.send, request) == written(written_by_h11, request)


@given(responses(), st.lists(st.integers(0, 300), max_size=12), st.booleans())
@example(CHUNKED + b"5\r\nhello\r\n" + b"0\r\n\r\n", [len(CHUNKED) - 1], False)
@example(CHUNKED + b"5\r\nhello\r\n" + b"1\r\n!\r\n" + b"0\r\n\r\n", [len(CHUNKED), len(CHUNKED) + 10], False)
@example(CHUNKED + b"5\r\nhelloHTTP/1.1 200 OK\r\n", [], True)
@example(CHUNKED + b"a\r\nab1\r\nx\r\nyy\r\n" + b"0\r\n\r\n", [*range(len(CHUNKED)), len(CHUNKED) + 5], False)
@example(CHUNKED + b"0\r\nx: y\r\n\r\n", [len(CHUNKED)], False)
def test_it_reads_what_h11_reads_and_as_early(data: bytes, places: list[int], ends_there: bool) -> None:
    chunks = cut(data, places) + [b""] * ends_there
    for whole in (False, True):
        assert seen_by_us(chunks, whole=whole) == seen_by_h11(chunks)


@given(responses())
def test_it_reads_what_h11_reads_byte_by_byte(data: bytes) -> None:
    chunks = [*cut(data, range(len(data))), b""]
    for whole in (False, True):
        assert seen_by_us(chunks, whole=whole) == seen_by_h11(chunks)


@pytest.mark.parametrize("value", ["a\x01b", "a\x7fb", "\x1f"])
def test_no_control_character_is_written(value: str) -> None:
    request = msgspec.structs.replace(REQUEST, headers=(("x", value),))
    with pytest.raises(ValueError, match=r"^the header 'x' is not one that HTTP has$"):
        HttpConnection(max_head_bytes=1000, max_framing_bytes=1000).send(request)


def test_a_request_that_is_refused_is_not_quoted() -> None:
    for change in ({"method": "SEC RET"}, {"url": "http://a/sec ret"}, {"headers": (("sec ret", "x"),)}):
        with pytest.raises(ValueError, match=r"^its method, its address or the name of a header is not one"):
            HttpConnection(max_head_bytes=1000, max_framing_bytes=1000).send(msgspec.structs.replace(REQUEST, **change))


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n" + b"3\r\nabc\r\n" + b"1\r\nd\r\n" + b"0\r\n\r\n",
        b"HTTP/1.1 200 \ntransfer-encoding: chunked\n\n" + b"3\r\nabc\r\n" + b"0\r\n\r\n",
        b"HTTP/1.1 200 \r\ncontent-length: 8\r\n\r\n" + b"\n3\r\nabc\n",
        b"HTTP/1.1 100 \r\n\r\n" + b"HTTP/1.1 200 \r\ncontent-length: 3\r\n\n" + b"abc",
    ],
)
def test_it_reads_what_h11_reads_wherever_it_is_cut_in_three(response: bytes) -> None:
    expected, _ = seen_by_h11([response])
    ways = [*combinations(range(1, len(response)), 2)]
    assert len(ways) > 900
    for places in some(ways, one_in=7):
        for whole in (False, True):
            assert seen_by_us(cut(response, places), whole=whole)[0] == expected


def test_chunks_that_come_together_go_out_as_one() -> None:
    http = HttpConnection(max_head_bytes=1000, max_framing_bytes=1000)
    http.send(REQUEST)
    _, *bodies = http.read(CHUNKED + b"1\r\na\r\n" + b"2\r\nbc\r\n" + b"5\r\nd")
    assert bodies == [b"abcd"]
    assert list(http.read(b"efgh\r\n0\r\n\r\n")) == [b"efgh", h11.EndOfMessage()]
    assert http.next_cycle()


def test_a_body_of_known_length_goes_out_as_it_came_and_a_long_one_in_pieces() -> None:
    for body in (b"ab\n\ncd\r\n\r\nef", bytes(range(250)) * 800):
        http = HttpConnection(max_head_bytes=1000, max_framing_bytes=1000)
        http.send(REQUEST)
        list(http.read(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)))
        *pieces, end = http.read(body)
        assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == body
        assert (len(pieces) == 1) == (len(body) < 1000)
        assert isinstance(end, h11.EndOfMessage)
        assert http.next_cycle()


@each_of(
    "response, said",
    [
        (b"SSH-2.0\r\n\r\n", "a head is malformed or not supported"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2000, "a head is too long"),
        (b"HTTP/1.1 100 \r\n\r\n" * 100, "its heads are longer than 1000 bytes"),
        (CHUNKED + b"x\r\n", "the framing of its body is malformed or not supported"),
        (CHUNKED + b"1;" + b"e" * 2000, "the framing of its body is too long"),
        (CHUNKED + b"1;e\r\nx\r\n" * 200, "what frames its body is longer than 1000 bytes"),
    ],
)
def test_what_is_wrong_with_a_response_is_said_without_a_byte_of_it(response: bytes, said: str) -> None:
    http = HttpConnection(max_head_bytes=1000, max_framing_bytes=1000)
    http.send(REQUEST)
    with pytest.raises(h11.RemoteProtocolError) as caught:
        list(http.read(response))
    assert http.trouble(caught.value) == said


def test_a_whole_chunk_is_read_only_between_two_chunks() -> None:
    http = HttpConnection(max_head_bytes=1000, max_framing_bytes=1000)
    http.send(REQUEST)
    assert http.whole_chunk(b"1\r\na\r\n") is None  # the head is due
    list(http.read(CHUNKED))
    assert http.whole_chunk(b"1\r\na\r\n") == b"a"
    for other in (b"1\r\na\r\n1\r\nb\r\n", b"1\r\na", b"2\r\na\r\n", b"1\r\na\n\n", b"1;x\r\na\r\n", b"0\r\n\r\n", b""):
        assert http.whole_chunk(other) is None
    assert list(http.read(b"9\r\n1\r\n")) == [b"1\r\n"]
    assert http.whole_chunk(b"1\r\na\r\n") is None  # it is the rest of a chunk that was begun
    assert list(http.read(b"1\r\na\r\n\r\n" + b"1")) == [b"1\r\na\r\n"]
    assert http.whole_chunk(b"1\r\na\r\n") is None  # its size has begun


@pytest.mark.parametrize("size", [b"A", b"0a", b"000000A"])
def test_a_size_written_in_another_way_is_left_to_read(size: bytes) -> None:
    http = HttpConnection(max_head_bytes=1000, max_framing_bytes=1000)
    http.send(REQUEST)
    list(http.read(CHUNKED))
    assert http.whole_chunk(b"a\r\n0123456789\r\n") == b"0123456789"
    assert http.whole_chunk(size + b"\r\n0123456789\r\n") is None
    assert list(http.read(size + b"\r\n0123456789\r\n")) == [b"0123456789"]
    assert http.whole_chunk(b"a\r\n0123456789\r\n") == b"0123456789"


def test_data_before_a_broken_chunk_is_returned() -> None:
    http = HttpConnection(max_head_bytes=1000, max_framing_bytes=1000)
    http.send(REQUEST)
    list(http.read(CHUNKED))
    bodies = http.read(b"1\r\na\r\n" + b"2\r\nbcdef")
    assert next(bodies) == b"abc"
    with pytest.raises(h11.RemoteProtocolError, match="longer than its size"):
        next(bodies)


@each_of("end", ["1.1 204 \r\n", "1.1 200 \r\nconnection: close\r\ncontent-length: 0\r\n"])
@each_of("behind", [b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\x00"])
def test_bytes_behind_the_end_of_a_response_only_end_the_connection(end: str, behind: bytes) -> None:
    http = HttpConnection(max_head_bytes=1000, max_framing_bytes=1000)
    http.send(REQUEST)
    response, *rest = http.read(f"HTTP/{end}\r\n".encode() + behind)
    assert isinstance(response, h11.Response)
    assert rest == [h11.EndOfMessage()]
    assert not http.next_cycle()


def test_a_second_response_is_read_as_the_first_was() -> None:
    http = HttpConnection(max_head_bytes=1000, max_framing_bytes=1000)
    for _ in range(2):
        http.send(REQUEST)
        response, *rest = http.read(CHUNKED + b"1\r\na\r\n" + b"0\r\n\r\n")
        assert isinstance(response, h11.Response)
        assert rest == [b"a", h11.EndOfMessage()]
        assert http.next_cycle()
