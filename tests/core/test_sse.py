"""The event-stream decoder: what the standard says, any chunking, the bound, and linear time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.tiers import examples

from ddg_protocol.errors import LocalProtocolError, StreamTooLarge
from ddg_protocol.sse import EventStreamDecoder, ServerSentEvent

PIECE = b'data: {"action":"success","message":"caf\xc3\xa9"}\n\n'

#: What streams are made of: mostly what makes a difference, and mostly in the order that means something.
fragments = st.sampled_from(
    [
        PIECE,
        b"data: a\n\n",
        b"data: b\n",
        b"data:c\n\n",
        b"data\n",
        b"data: ",
        b"data",
        b"event: e\n",
        b"event\r",
        b"id: 7\n",
        b"id: \x00\n",
        b"id\r\n",
        b"retry: 12\n",
        b"retry: -1\n",
        b": comment\n",
        b":\n\n",
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"\xef\xbb",
        b"\xe2\x82",
        b"\xff",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
        b" ",
        b":",
        b"x",
    ]
)
streams = st.lists(st.one_of(fragments, st.binary(max_size=6)), max_size=24).map(b"".join)


@st.composite
def chunkings(draw: st.DrawFn) -> list[bytes]:
    stream = draw(streams)
    cuts = draw(st.lists(st.integers(0, len(stream)), max_size=12))
    places = sorted([0, *cuts, len(stream)])
    return [stream[a:b] for a, b in itertools.pairwise(places)]


def by_the_standard(stream: bytes) -> tuple[list[ServerSentEvent], str, int | None]:
    """The standard's own algorithm, character by character, over the complete stream: slow and plain to see."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    events: list[ServerSentEvent] = []
    last_event_id = data = event_type = id_buffer = ""
    time_set: int | None = None
    own_retry: int | None = None
    for line in lines_of(text):
        if line == "":
            last_event_id = id_buffer
            if data:
                events.append(ServerSentEvent(event_type or "message", data[:-1], last_event_id, own_retry))
            data = event_type = ""
            own_retry = None
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                event_type = value
            elif name == "data":
                data += value + "\n"
            elif name == "id" and "\0" not in value:
                id_buffer = value
            elif name == "retry" and value and all(c in "0123456789" for c in value):
                own_retry = time_set = int(value)
    return events, last_event_id, time_set


def lines_of(text: str) -> Iterator[str]:
    line = ""
    previous = ""
    for character in text:
        if character == "\n" and previous == "\r":
            pass
        elif character in "\r\n":
            yield line
            line = ""
        else:
            line += character
        previous = character


def fed(chunks: list[bytes], decoder: EventStreamDecoder | None = None) -> list[ServerSentEvent]:
    decoder = decoder or EventStreamDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def fed_data(chunks: list[bytes], decoder: EventStreamDecoder | None = None) -> list[str]:
    decoder = decoder or EventStreamDecoder()
    return [data.decode("utf-8", "replace") for chunk in chunks for data in decoder.feed_data(chunk)]


@settings(max_examples=examples(1000))
@given(chunkings())
@example([b"\xef\xbb", b"\xbfdata: x\n\n"])
@example([b"data: a\r", b"", b"\ndata: b\r\n\r", b"\n", b"data: c\n\n"])
@example([PIECE * 3, b"data: half", b" and half\n", b"\n", PIECE, b"id: 1\n", PIECE])
@example([PIECE, b"\xef\xbb\xbfdata: x\n\n"])
@example([b"id: \x01\n\n", b"id: \x00\ndata: x\n\n"])
def test_any_chunking_gives_what_the_standard_gives(chunks: list[bytes]) -> None:
    events, last_event_id, reconnection_time = by_the_standard(b"".join(chunks))
    decoder = EventStreamDecoder()
    assert fed(chunks, decoder) == events
    assert decoder.last_event_id == last_event_id
    assert decoder.reconnection_time == reconnection_time
    assert fed_data(chunks) == [event.data for event in events]


@settings(max_examples=examples(500))
@given(chunkings(), st.lists(st.booleans(), min_size=64, max_size=64))
def test_events_and_payloads_can_be_asked_for_in_turns(chunks: list[bytes], turns: list[bool]) -> None:
    decoder = EventStreamDecoder()
    data: list[str] = []
    for chunk, payloads in zip(chunks, turns, strict=False):
        data += fed_data([chunk], decoder) if payloads else [event.data for event in decoder.feed(chunk)]
    assert data == fed_data([b"".join(chunks)])


@settings(max_examples=examples(500))
@given(chunkings(), st.integers(1, 40))
def test_the_bound_is_the_only_error_and_does_not_depend_on_the_chunking(chunks: list[bytes], bound: int) -> None:
    def run(pieces: list[bytes], data_only: bool) -> tuple[list[str], bool]:
        decoder = EventStreamDecoder(max_event_bytes=bound)
        out: list[str] = []
        try:
            for piece in pieces:
                out += fed_data([piece], decoder) if data_only else [event.data for event in fed([piece], decoder)]
            decoder.close()
        except StreamTooLarge:
            return out, True
        return out, False

    stream = b"".join(chunks)
    results = [run(pieces, data_only) for pieces in (chunks, [stream]) for data_only in (True, False)]
    results.append(run([stream[i : i + 1] for i in range(len(stream))], True))
    assert all(result == results[0] for result in results)


@settings(max_examples=examples(500))
@given(chunkings(), st.integers(0, 12))
@example([b"\xef\xbb\xbfdata: x\n\n"], 0)
@example([b"\n", b"\xef\xbb\xbfdata: x\n\n"], 1)
@example([b"data:  ab\r", b"\ndata: c\n\n"], 1)
def test_another_decoder_goes_on_from_the_remainder(chunks: list[bytes], place: int) -> None:
    decoder = EventStreamDecoder()
    before = fed_data(chunks[:place], decoder)
    resumed = EventStreamDecoder()
    assert resumed.feed_data(decoder.remainder) == []
    assert resumed.remainder == decoder.remainder
    assert before + fed_data(chunks[place:], resumed) == fed_data(chunks)


@settings(max_examples=examples(300))
@given(chunkings())
def test_close_tells_whether_one_more_end_would_have_given_an_event(chunks: list[bytes]) -> None:
    decoder = EventStreamDecoder()
    count = len(fed(chunks, decoder))
    discarded = decoder.close()
    stream = b"".join(chunks)
    ended = len(fed([stream + b"\n\n"]))
    if ended > count:
        assert discarded
    elif discarded:  # the last line was the beginning of a data line
        assert any(len(fed([stream + rest + b"\n\n"])) > count for rest in (b"", b"a", b"ta", b"ata"))


encodable = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
no_line_end = encodable.filter(lambda text: "\n" not in text and "\r" not in text)
events_to_encode = st.builds(
    ServerSentEvent,
    event=no_line_end.filter(bool),
    data=encodable.filter(lambda text: "\r" not in text),
    id=no_line_end.filter(lambda text: "\0" not in text),
    retry=st.none() | st.integers(0, 10**30),
)


def encoded(event: ServerSentEvent, end: str) -> bytes:
    lines = [f"event: {event.event}", f"id: {event.id}"]
    lines += [f"data: {line}" for line in event.data.split("\n")]
    if event.retry is not None:
        lines.append(f"retry: {event.retry}")
    return "".join(line + end for line in (*lines, "")).encode()


@settings(max_examples=examples(300))
@given(st.lists(events_to_encode, max_size=5), st.sampled_from(["\n", "\r", "\r\n"]), st.integers(1, 50))
def test_what_was_encoded_comes_back(events: list[ServerSentEvent], end: str, size: int) -> None:
    stream = b"".join(encoded(event, end) for event in events)
    assert fed([stream[i : i + size] for i in range(0, len(stream), size)]) == events


def test_plain_blocks_are_cut_at_once_and_everything_else_is_read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    original = EventStreamDecoder._read

    def noted(self: EventStreamDecoder, data: bytes) -> object:
        read.append(data)
        return original(self, data)

    monkeypatch.setattr(EventStreamDecoder, "_read", noted)
    for plain in (PIECE, PIECE * 3, PIECE + b"data: half"):
        assert EventStreamDecoder().feed_data(plain) == [PIECE[6:-2]] * plain.count(PIECE)
        assert not read
    for other in (b"data: a\n\n\n", b"data: a\r\n\n", b"data: a\nb\n\n", b"data:a\n\n", b"a\n\n", b"data: a\n", b""):
        EventStreamDecoder().feed_data(other)
        assert read.pop() == other
    for unfinished in (b"id: 7\n", b"x\r", b"x"):
        decoder = EventStreamDecoder()
        decoder.feed(PIECE + unfinished)
        read.clear()
        decoder.feed_data(PIECE)
        assert read == [PIECE]


def test_an_event_before_the_one_that_is_too_large_is_not_lost() -> None:
    decoder = EventStreamDecoder(max_event_bytes=10)
    assert fed_data([b"data: a\n\n", b"data: a\n\n: 0123456789"], decoder) == ["a", "a"]
    assert decoder.too_large
    with pytest.raises(StreamTooLarge, match="longer than 10 bytes"):
        decoder.feed(b"")
    with pytest.raises(StreamTooLarge):
        decoder.feed_data(PIECE)
    with pytest.raises(StreamTooLarge):
        decoder.close()


def test_nothing_is_read_behind_a_line_that_is_too_large() -> None:
    decoder = EventStreamDecoder(max_event_bytes=10)
    assert decoder.feed_data(b"data: a\n\ndata: 0123456789\ndata: b\n\n") == [b"a"]
    with pytest.raises(StreamTooLarge):
        decoder.feed_data(b": c\ndata: d\n\n")


def test_the_bound_counts_the_data_of_all_lines_of_an_event() -> None:
    assert fed([b"data: 01234\ndata: 567\n\n"], EventStreamDecoder(max_event_bytes=11))[0].data == "01234\n567"
    with pytest.raises(StreamTooLarge):
        fed([b"data: 01234\ndata: 5678\n\n"], EventStreamDecoder(max_event_bytes=10))


def test_comments_without_end_are_no_event() -> None:
    decoder = EventStreamDecoder(max_event_bytes=20)
    assert fed([b": still here\n"] * 10_000, decoder) == []
    assert fed([b"\ndata: x\n\n"], decoder) == [ServerSentEvent("message", "x")]


@pytest.mark.parametrize(("chunk", "bound"), [(1024, 1 << 20), (1, 4096), (16384, 1000)])
def test_no_more_is_read_than_the_bound_and_a_chunk(chunk: int, bound: int) -> None:
    decoder = EventStreamDecoder(max_event_bytes=bound)
    chunks = itertools.chain([b"data: "], itertools.repeat(b"x" * chunk))
    read = 0

    def read_on() -> None:
        nonlocal read
        for piece in chunks:
            read += len(piece)
            decoder.feed_data(piece)

    with pytest.raises(StreamTooLarge) as raised:
        read_on()
    assert read <= bound + chunk
    assert raised.value.limit == bound


def test_a_time_of_too_many_digits_is_no_time() -> None:
    decoder = EventStreamDecoder()
    decoder.feed(b"retry: 5\nretry: x\nretry:\nretry: " + b"9" * 5000 + b"\nretry: " + b"0" * 5000 + b"7\n\n")
    assert decoder.reconnection_time == 7
    for digits in (5000, 601):
        decoder.feed(b"retry: " + b"9" * digits + b"\n")
        assert decoder.reconnection_time == 7
    decoder.feed(b"retry: " + b"9" * 600 + b"\n")
    assert decoder.reconnection_time == 10**600 - 1


def test_a_decoder_has_a_bound() -> None:
    for bound in 0, -1:
        with pytest.raises(ValueError, match=f"at least 1, not {bound}"):
            EventStreamDecoder(max_event_bytes=bound)


def test_a_closed_decoder_takes_nothing_more() -> None:
    decoder = EventStreamDecoder()
    decoder.feed(b"id: 4\nretry: 9\ndata: x\n\n")
    assert not decoder.close()
    for feed in (decoder.feed, decoder.feed_data):
        with pytest.raises(LocalProtocolError, match="new decoder"):
            feed(PIECE)
    assert (decoder.last_event_id, decoder.reconnection_time) == ("4", 9)
    assert decoder.whole_block(PIECE) is None
    assert not decoder.close()


@each_of("stream", [b"data: a\n", b"data: a\ndata: b", b"data"])
def test_what_is_unfinished_is_discarded_once(stream: bytes) -> None:
    decoder = EventStreamDecoder()
    decoder.feed(stream)
    assert decoder.waiting == len(stream.removeprefix(b"data: "))
    assert decoder.close()
    assert (decoder.waiting, decoder.unfinished) == (0, None)
    assert not decoder.close()


@each_of(
    "stream, unfinished",
    [
        (b"", None),
        (PIECE, None),
        (b": comment", None),
        (b"event: e\nid: 5\n", None),
        (b"d", b""),
        (b"\xef\xbb\xbfdat", b""),
        (b"data", b""),
        (b"database", None),
        (b"data:", b""),
        (b"data: [DO", b"[DO"),
        (b"data: a\ndata: b\n", b"a\nb"),
        (b"data: a\r\ndata: b", b"a\nb"),
        (b"data: a\n: comment", b"a"),
        (b"\n\xef\xbb\xbfdata: x", None),
    ],
)
def test_what_is_unfinished_at_the_end_can_be_seen(stream: bytes, unfinished: bytes | None) -> None:
    decoder = EventStreamDecoder()
    decoder.feed(stream)
    assert decoder.unfinished == unfinished
    assert decoder.close() is (unfinished is not None)


@each_of("end", [b"\n", b"\r\n"])
@each_of("data", [[b"a"] * 10, [b"", b"four", b""] * 2, [b"0123456789"]])
@each_of("resumed", [False, True])
@each_of("field", [b"data: ", b"data:"])
def test_the_bound_is_the_most_that_a_line_and_the_data_of_an_event_may_have(
    field: bytes, data: list[bytes], end: bytes, resumed: bool
) -> None:
    lines = [field + each for each in data]
    stream = b"".join(line + end for line in [*lines, b""])
    most = max(sum(len(each) + 1 for each in data), *map(len, lines))

    def read(pieces: list[bytes], bound: int) -> list[str]:
        decoder, found = EventStreamDecoder(max_event_bytes=bound), []
        for piece in [*pieces, b""]:
            if resumed:
                remainder, decoder = decoder.remainder, EventStreamDecoder(max_event_bytes=bound)
                decoder.feed_data(remainder)
            found += fed_data([piece], decoder)
        return found

    for pieces in [
        [stream[i : i + 1] for i in range(len(stream))],
        *([stream[:i], stream[i:]] for i in range(len(stream))),
    ]:
        assert read(pieces, most) == [b"\n".join(data).decode()]
        with pytest.raises(StreamTooLarge):
            read(pieces, most - 1)


@each_of("field", [b"data: ", b"data:"])
@each_of("bound", [1, 3, 20])
@each_of("size", [1, 1000])
def test_an_event_of_one_line_that_begins_like_an_object_may_be_longer_than_others(
    field: bytes, bound: int, size: int
) -> None:
    def read(stream: bytes, most: int) -> list[str]:
        decoder = EventStreamDecoder(max_event_bytes=bound, max_object_bytes=most)
        return fed_data([*(stream[i : i + size] for i in range(0, len(stream), size)), b""], decoder)

    payload = b"{" + b"x" * 40
    line = field + payload
    assert read(line + b"\n\n", len(line)) == [payload.decode()]
    for stream, most, limit in [
        (line + b"\n\n", len(line) - 1, len(line) - 1),
        (field + b"x" * 18 + b"\n\n", 100, bound),
        ((field + b"{x\n") * 10 + b"\n", 100, bound),
        (b"\n" + b"x" * 21, 100, bound),
    ]:
        with pytest.raises(StreamTooLarge) as raised:
            read(stream, most)
        assert raised.value.limit == limit


def test_a_line_may_have_one_mib_unless_another_bound_is_given() -> None:
    assert fed_data([b"data: " + b"x" * (2**20 - 6), b"\n\n"])[0] == "x" * (2**20 - 6)
    with pytest.raises(StreamTooLarge):
        fed_data([b"data: " + b"x" * (2**20 - 5), b"\n\n"])


@each_of(
    "before, data, whole",
    [
        (b"", PIECE, None),  # a byte order mark may come
        (b"\n", PIECE, PIECE[6:-2]),
        (PIECE, b"data: " + b"x" * 92 + b"\n\n", b"x" * 92),
        (PIECE, b"data: " + b"x" * 93 + b"\n\n", None),
        (PIECE, b"data: \n\n", b""),
        *((PIECE, b"data: a" + byte + b"b\n\n", b"a" + byte + b"b") for byte in (b"\x0b", b"\x0c", b"\x0e")),
        *((PIECE, b"data: a" + end + b"b\n\n", None) for end in (b"\r", b"\n")),
        *((PIECE, data, None) for data in (b"", b"data: a\n", b"data:a\n\n", b"id: 7\n\n", PIECE * 2)),
        *((PIECE + begun, PIECE, None) for begun in (b"d", b"id: 7\n", b"data: a\n", b"\r")),
    ],
)
def test_a_chunk_that_is_one_block_is_read_at_once_where_nothing_is_unfinished(
    before: bytes, data: bytes, whole: bytes | None
) -> None:
    decoder = EventStreamDecoder(max_event_bytes=100)
    decoder.feed(before)
    assert decoder.whole_block(data) == whole
    assert fed_data([data], decoder) == fed_data([before + data])[before.count(PIECE) :]


def test_the_time_for_one_long_line_is_not_quadratic() -> None:
    length = 32 * 1024 * 1024

    def decode() -> None:
        decoder = EventStreamDecoder(max_event_bytes=2 * length)
        chunk = b"x" * 1024
        decoder.feed_data(b"data: ")
        for _ in range(length // 1024):
            decoder.feed_data(chunk)
        assert len(decoder.feed_data(b"\n\n")[0]) == length

    def seconds(act: Callable[[], object]) -> float:
        start = time.process_time()
        act()
        return time.process_time() - start

    # It takes a few times as long as one copy. To copy what came before with each chunk takes 16,000 times as long.
    copy = min(seconds(lambda: bytes(bytearray(length))) for _ in range(3))
    assert seconds(decode) < 200 * copy
