"""The decoder against the conformance cases: whole, byte by byte, at every two-way split, and how early.

A line of 70,000 bytes is split where something begins or ends, and in every hundredth place between.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cases import each_of

from ddg_protocol.sse import EventStreamDecoder, ServerSentEvent

Case = dict[str, Any]

#: Two cases hold one line of 70,000 bytes, which is too much to look at again after each of them.
LONG = 10_000


def cases(path: Path) -> list[Case]:
    found: list[Case] = json.loads(path.read_text())["cases"]
    return found


OWN = cases(Path(__file__).parent / "sse.json")


@pytest.fixture(scope="session")
def public(vectors: Path) -> list[Case]:
    return cases(vectors / "sse" / "public.json")


def whole(body: bytes) -> list[bytes]:
    return [body]


def byte_by_byte(body: bytes) -> list[bytes]:
    return [body[i : i + 1] for i in range(len(body))]


def with_empty_chunks_between(body: bytes) -> list[bytes]:
    return [chunk for byte in byte_by_byte(body) for chunk in (byte, b"")]


def two_way_splits(body: bytes) -> Iterator[list[bytes]]:
    for place in range(len(body) + 1):
        if len(body) <= LONG or place % 100 == 0 or set(body[max(place - 2, 0) : place + 2]) & set(b"\r\n: "):
            yield [body[:place], body[place:]]


def as_given(case: Case) -> list[bytes]:
    body = base64.b64decode(case["input_b64"])
    ends = list(itertools.accumulate(case["chunk_lens"]))
    assert ends[-1] == len(body)
    return [body[start:end] for start, end in itertools.pairwise([0, *ends])]


def check(case: Case, chunks: list[bytes]) -> None:
    expected = case["expected"]
    decoder = EventStreamDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    assert events == [ServerSentEvent(**event) for event in expected["events"]]
    assert decoder.last_event_id == expected["last_event_id"]
    if expected["reconnection_time"] != "unchecked":
        assert decoder.reconnection_time == expected["reconnection_time"]

    decoder = EventStreamDecoder()
    payloads = [payload for chunk in chunks for payload in decoder.feed_data(chunk)]
    assert [payload.decode("utf-8", "replace") for payload in payloads] == [event.data for event in events]


def check_in_every_way(case: Case) -> None:
    body = base64.b64decode(case["input_b64"])
    ways = (whole(body), byte_by_byte(body), with_empty_chunks_between(body))
    for chunks in itertools.chain(ways, two_way_splits(body)):
        check(case, chunks)
    if "chunk_lens" in case:
        check(case, as_given(case))


def check_how_early(case: Case) -> None:
    chunks = as_given(case)
    for feed in (EventStreamDecoder().feed, EventStreamDecoder().feed_data):
        assert list(itertools.accumulate(len(feed(chunk)) for chunk in chunks)) == case["emitted_after_chunk"]


def check_never_later_than_needed(case: Case) -> None:
    """Byte by byte, an event is out with the last byte without which it can't be known."""
    body = base64.b64decode(case["input_b64"])
    if len(body) > LONG:
        return
    decoder = EventStreamDecoder()
    counts = list(itertools.accumulate(len(decoder.feed(byte)) for byte in byte_by_byte(body)))
    for place, count in enumerate(counts, 1):
        # An empty line that ends in a CR is one already, whatever comes.
        assert count == len(EventStreamDecoder().feed(body[:place]))


@each_of("case", OWN)
def test_own_case(case: Case) -> None:
    check_in_every_way(case)
    check_never_later_than_needed(case)


@pytest.mark.parametrize("case", [c for c in OWN if "emitted_after_chunk" in c], ids=lambda case: case["id"])
def test_own_case_how_early(case: Case) -> None:
    check_how_early(case)


def test_public_cases(public: list[Case]) -> None:
    assert len(public) == 152
    for case in public:
        check_in_every_way(case)


def test_public_cases_how_early(public: list[Case]) -> None:
    timed = [case for case in public if "emitted_after_chunk" in case]
    assert len(timed) == 21
    for case in timed:
        check_how_early(case)
