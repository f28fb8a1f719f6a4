"""What is drawn of a transcript is bounded in total, and what is left out is said."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgspec
import pytest
from support.paths import TRANSCRIPTS as FOLDER
from support.peak import peak_of
from support.tiers import thinned

from ddg_chat.inspect import _page, _timeline
from ddg_chat.inspect._page import page
from ddg_chat.inspect._timeline import Timeline, read_timeline
from ddg_protocol.transcript import Transcript

MIB = 1024 * 1024
HEAD = (FOLDER / "two-turns.jsonl").read_text(encoding="utf-8").split("\n")[0]


def transcript_of(*lines: dict[str, Any]) -> Transcript:
    return Transcript.read("\n".join([HEAD, *map(json.dumps, lines)]))


def timeline_of(*lines: dict[str, Any]) -> Timeline:
    return read_timeline(transcript_of(*lines))


def pull(now: float, **gives: Any) -> dict[str, Any]:
    return {"do": "next_action", "now": now, "gives": gives}


def chunks(count: int, data: bytes, kind: str) -> list[dict[str, Any]]:
    """Give responses with a compressed chunk each."""
    coded = msgspec.to_builtins(gzip.compress(data, mtime=0))
    headers = [["content-encoding", "gzip"], ["content-type", kind]]
    found = []
    for number in range(1, count + 1):
        found += [
            {"do": "receive_head", "now": number, "id": number, "status": 200, "headers": headers},
            {"do": "receive_data", "id": number, "base64": coded},
        ]
    return found


def test_compressed_bodies_are_shown_up_to_a_bound_in_total() -> None:
    transcript = transcript_of(*chunks(8, b"\0" * 7 * MIB, "text/html"))
    assert peak_of(lambda: page([read_timeline(transcript)], "x")) < 48 * MIB
    timeline = read_timeline(transcript)
    shown = sum(len(detail.text) for entry in timeline.entries for detail in entry.details)
    assert shown < _timeline._MOST_DECODED + 10_000
    assert "only 4,194,304 bytes of all bodies are decompressed" in page([timeline], "x")


@pytest.mark.parametrize(
    "data",
    thinned([b"data: x\n\n", b"data\n\n", b"\n", b":\n"], one_in=4, reason="a traced byte takes its time"),
)
def test_events_are_shown_up_to_a_bound(data: bytes) -> None:
    transcript = transcript_of(*chunks(1, data * (MIB // len(data)), "text/event-stream"))
    assert peak_of(lambda: page([read_timeline(transcript)], "x")) < 24 * MIB
    entry = read_timeline(transcript).entries[-1]
    fields = [field for detail in entry.details for field in detail.fields]
    assert len(fields) <= _timeline._MOST_EVENTS + 1
    if data.startswith(b"data:"):
        assert fields[-1] == ("…", f"{MIB // len(data) - _timeline._MOST_EVENTS:,} more")


def test_a_body_that_another_has_taken_the_place_of_is_not_decoded_any_more() -> None:
    first, data, second, other = chunks(2, b"text", "text/html")
    timeline = timeline_of(first, second, data, other)
    assert [[detail.label for detail in entry.details] for entry in timeline.entries[-2:]] == [
        ["Not decoded"],
        ["Body, decompressed"],
    ]


def test_json_that_is_nested_deeply_is_not_indented() -> None:
    body = "[" * 900 + "]" * 900
    request = {"type": "SendRequest", "method": "POST", "url": "https://duckduckgo.com/x", "body": body}
    timeline = timeline_of(*(pull(number, id=number, **request) for number in range(1, 60)))
    assert all(len(detail.text) < 2 * len(body) for entry in timeline.entries for detail in entry.details)


def test_entries_are_drawn_up_to_a_bound_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_page, "_MOST_ENTRIES", 20)
    drawn = page([timeline_of(*[{"do": "cancel"}] * 27)], "x")
    assert drawn.count('<li class="entry') == 20
    assert "The last 7 entries are left out: 20 are drawn." in drawn
    assert "entries are left out" not in page([timeline_of(*[{"do": "cancel"}] * 20)], "x")


def test_texts_are_drawn_up_to_a_bound_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_page, "_MOST_TEXT", 5_000)
    questions = [{"do": "ask", "now": number, "messages": str(number) * 2_000} for number in range(1, 6)]
    drawn = page([timeline_of(*questions)], "x", full=True)
    assert "1" * 2_000 in drawn
    assert "2" * 2_000 in drawn
    assert "3" * 2_000 not in drawn
    assert "3 texts of details are left out: 5,000 characters are drawn." in drawn


def test_times_that_hardly_differ_are_drawn() -> None:
    timeline = timeline_of(
        {"do": "ask", "now": 0, "messages": "x"},
        pull(0, type="Wait", id=1, until=5e-324, reason="pacing"),
        {"do": "ask", "now": 5e-324, "messages": "y"},
    )
    assert timeline.seconds == 5e-324
    assert 'class="scaled"' in page([timeline], "x")


def test_the_end_of_each_wait_is_found_by_halving() -> None:
    """Each wait has its own end, behind all that begin: looked for one by one, that is quadratic."""
    looked: list[int] = []

    class Counted(float):
        def __lt__(self, other: object) -> bool:
            looked.append(1)
            return float(self) < float(other)  # type: ignore[arg-type]

        def __ge__(self, other: object) -> bool:
            looked.append(1)
            return float(self) >= float(other)  # type: ignore[arg-type]

    waits = 1_000
    timeline = timeline_of(
        *(pull(number * 1e-6, type="Wait", id=number, until=9.0, reason="pacing") for number in range(1, waits + 1)),
        {"do": "ask", "now": 9, "messages": "x"},
    )
    entries = tuple(
        msgspec.structs.replace(entry, at=Counted(entry.at), until=None if entry.until is None else 9.0)
        for entry in timeline.entries
    )
    chart = _page._Chart(msgspec.structs.replace(timeline, entries=entries), 0)
    chart._places = [0.0] * len(entries)
    looked.clear()
    assert len(list(chart._waits())) == waits
    assert len(looked) < 20 * waits


def test_a_long_text_is_looked_at_no_further_than_it_is_drawn() -> None:
    timeline = timeline_of({"do": "ask", "now": 0, "messages": "\0" * MIB})
    assert peak_of(lambda: page([timeline], "x")) < MIB
