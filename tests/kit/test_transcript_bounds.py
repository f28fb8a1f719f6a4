"""Transcripts are bounded by who reads them, in total, whatever they say of bounds."""

from __future__ import annotations

import gzip
import itertools
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.paths import TRANSCRIPTS as FOLDER
from support.peak import peak_of
from support.tiers import examples

from ddg_protocol import ConversationFormatError, Policy
from ddg_protocol.policy import MAX_SECONDS
from ddg_protocol.service import ServiceRequest
from ddg_protocol.transcript import (
    MAX_DECODED_BYTES,
    MAX_LINES,
    MAX_POLICY_BYTES,
    MAX_TRANSCRIPT_BYTES,
    NextAction,
    Transcript,
    TranscriptService,
    _reading,
    exchanges,
    first_difference,
    replay,
)

MIB = 1024 * 1024
LINES = (FOLDER / "two-turns.jsonl").read_text(encoding="utf-8").splitlines()
ODD = [
    *(f"1{'0' * 5000}", f"-1{'0' * 5000}", f"1{'0' * 30}", "18446744073709551616", "-9223372036854775809", "-1", "0"),
    *("NaN", "Infinity", "1e400", "1.7e308", "-1.7e308", "5e-324", "8.9e307", "null", "true", "[]", "{}", '"x "'),
    *('""', r'"\ud800"', r'"\u0000"', "[" * 100_000 + "]" * 100_000, '{"a":' * 3000 + "1" + "}" * 3000),
    *("[8.9e307]", "[" + "0.5," * 1000 + "1e308]", '"' + "x" * 10_000 + '"', "[[1]]", '[["a","b"]]', "1000000000001"),
]


def with_policy(**changes: Any) -> str:
    head = json.loads(LINES[0])
    head["policy"].update(changes)
    return json.dumps(head)


def is_printable(error: Exception) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 1000


def bombs(*sizes: int, head: str = LINES[0]) -> str:
    """Give a run in which pages come that are long, and compressed short."""
    lines = [head]
    for number, size in enumerate(sizes, 1):
        request = {"type": "SendRequest", "id": number, "method": "GET", "url": "https://duckduckgo.com/"}
        data = msgspec.to_builtins(gzip.compress(bytes(size), 1, mtime=0))
        lines += [
            json.dumps({"do": "next_action", "now": number, "gives": request}),
            json.dumps(
                {
                    "do": "receive_head",
                    "now": number,
                    "id": number,
                    "status": 200,
                    "headers": [["content-encoding", "gzip"]],
                }
            ),
            json.dumps({"do": "receive_data", "id": number, "base64": data}),
        ]
    return "\n".join(lines)


def front_end_page(size: int, head: str) -> str:
    """Give a recorded run up to its first page, which is another and compressed, and the pull that looks at it."""
    lines = [head]
    for text in LINES[1:]:
        line = json.loads(text)
        if line["do"] == "receive_head":
            line["headers"] = [["content-encoding", "gzip"]]
        if line["do"] == "receive_data":
            data = msgspec.to_builtins(gzip.compress(bytes(size), 1, mtime=0))
            pull = {"do": "next_action", "now": 9, "gives": {"type": "NEED_DATA"}}
            chunk = {"do": "receive_data", "id": line["id"], "base64": data}
            return "\n".join([*lines, json.dumps(chunk), json.dumps(pull)])
        lines.append(json.dumps(line))
    raise AssertionError


@each_of("name", [name for name in Policy.__struct_fields__ if name.endswith("_bytes")])
def test_what_a_transcript_says_of_sizes_is_believed_no_further_than_the_readers_bound(name: str) -> None:
    transcript = Transcript.read(with_policy(**{name: 10**12}))
    assert getattr(transcript.head.policy, name) == MAX_POLICY_BYTES
    assert getattr(Transcript.read(with_policy(**{name: 77})).head.policy, name) == 77


def test_the_bounds_of_the_default_policy_are_within_those_of_the_reader() -> None:
    assert Transcript.read(LINES[0]).head.policy == Policy()


def test_a_page_that_the_transcript_allows_is_not_held_whole_by_a_replay() -> None:
    text = front_end_page(MAX_DECODED_BYTES - MIB, with_policy(max_page_bytes=10**12))
    assert peak_of(lambda: list(replay(Transcript.read(text)))) < 40 * MIB


def test_what_bodies_decode_to_is_bounded_over_the_whole_transcript(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_DECODED_BYTES == 64 * MIB
    monkeypatch.setattr(_reading, "MAX_DECODED_BYTES", 16 * MIB)
    half = 8 * MIB
    Transcript.read(bombs(half, half))
    text = bombs(half, half, 1)
    with pytest.raises(ConversationFormatError, match=r"line 10: .* more than 16777216 bytes, expanded"):
        Transcript.read(text)
    transcript, damage = Transcript.salvage(text)
    assert damage is not None
    assert len(transcript.lines) == 8
    text = bombs(*[4 * MIB] * 8)
    assert peak_of(lambda: Transcript.salvage(text)) < 2 * MIB


def test_only_the_newest_body_is_undone_and_the_decoders_of_others_are_given_up() -> None:
    text = bombs(*[100] * 2000)
    assert peak_of(lambda: Transcript.read(text)) < 16 * MIB


def test_a_body_that_is_no_gzip_is_read_as_it_is() -> None:
    head = json.dumps(
        {"do": "receive_head", "now": 1, "id": 1, "status": 200, "headers": [["Content-Encoding", "gzip"]]}
    )
    odd = json.dumps({"do": "receive_head", "now": 1, "id": 2, "status": 200, "headers": [["content-encoding", "br"]]})
    data = json.dumps({"do": "receive_data", "id": 1, "text": "no gzip"})
    transcript = Transcript.read("\n".join([LINES[0], head, data, data, odd, data.replace("1", "2")]))
    assert len(transcript.lines) == 5


def test_the_number_of_lines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_LINES < 1_000_000
    monkeypatch.setattr(_reading, "MAX_LINES", 1000)
    line = '{"do":"cancel"}\n'
    assert len(Transcript.read(LINES[0] + "\n" + line * 1000).lines) == 1000
    transcript, damage = Transcript.salvage(LINES[0] + "\n" + line * 1005)
    assert len(transcript.lines) == 1000
    assert str(damage) == "line 1002: the transcript has more than 1000 lines after its first"


@pytest.mark.parametrize("character", ["\n", "x"])
def test_the_size_is_bounded(character: str) -> None:
    data = character * (MAX_TRANSCRIPT_BYTES + 1)
    with pytest.raises(ConversationFormatError, match=f"the transcript is longer than {MAX_TRANSCRIPT_BYTES} bytes"):
        Transcript.read(data)


def test_half_of_a_surrogate_pair_is_damage() -> None:
    with pytest.raises(ConversationFormatError, match="line 2"):
        Transcript.read(LINES[0] + '\n{"do":"ask","now":0,"messages":"\ud800"}')


def test_a_time_that_passed_is_one_that_can_be_waited_for() -> None:
    lines = [
        f'{{"do":"next_action","now":{now},"gives":{{"type":"SendRequest","id":1,"method":"GET","url":"https://a.b/"}}}}'
        for now in ("-1.7e308", "1.7e308")
    ]
    lines.append('{"do":"receive_head","now":-1.7e308,"id":1,"status":200,"headers":[]}')
    lines.append('{"do":"receive_data","id":1,"text":"x"}')
    lines.append('{"do":"next_action","now":1.7e308,"gives":{"type":"PAUSED"}}')
    transcript = Transcript.read("\n".join([LINES[0], *lines]))
    for step in replay(transcript):
        assert abs(step.delay) <= MAX_SECONDS
    for exchange in exchanges(transcript):
        assert 0 <= exchange.head_after <= MAX_SECONDS
        assert all(0 <= waited <= MAX_SECONDS for waited, _ in exchange.chunks)


def test_jitter_of_any_size_is_no_overflow() -> None:
    lines = (FOLDER / "troubles.jsonl").read_text(encoding="utf-8").splitlines()
    changed = [text.replace('"jitter":[', '"jitter":[8.9e307,') for text in lines]
    assert changed != lines
    step = first_difference(Transcript.read("\n".join(changed)))
    assert step is not None


def marked() -> list[tuple[int, str]]:
    """Return the number of each recorded line, and the line with a mark in the place of each value, one at a time."""
    found: list[tuple[int, str]] = []
    for number, text in enumerate(LINES[:60]):
        line = json.loads(text)

        def exchange(place: Any, line: Any = line, number: int = number) -> None:
            for key, value in list(place.items() if isinstance(place, dict) else enumerate(place)):
                place[key] = "MARK"
                found.append((number, json.dumps(line)))
                place[key] = value
                if isinstance(value, dict | list):
                    exchange(value)

        exchange(line)
    return found


MARKED = marked()


@settings(max_examples=examples(400), suppress_health_check=[HealthCheck.too_slow])
@given(at=st.integers(0, len(MARKED) - 1), odd=st.integers(0, len(ODD) - 1))
@example(at=0, odd=0)
def test_whatever_is_in_a_transcript_it_is_played_or_refused(at: int, odd: int) -> None:
    number, line = MARKED[at]
    try:
        transcript = Transcript.read(
            "\n".join([*LINES[:number], line.replace('"MARK"', ODD[odd]), *LINES[number + 1 :]])
        )
        first_difference(transcript)
        service = TranscriptService(transcript, real_time=True)
    except ConversationFormatError as error:
        is_printable(error)
        return
    assert all(not isinstance(line, NextAction) or math.isfinite(line.now) for _, line in transcript.lines)
    for method, target in [("GET", "/aichat"), ("POST", "/duckchat/v1/chat")]:
        response = service.handle(ServiceRequest(method, target, ()), now=0.0)
        assert all(0 <= piece.delay <= MAX_SECONDS * 2 for piece in itertools.islice(response.pieces, 100))
