"""The event stream, measured side by side in one run: ``python -m benchmarks.stream [--json]`` from the project's root.

Every reader gets the same chunks and reads each payload as JSON. The readers take turns in rotating order, and what
counts are the medians of the rounds and their ratios to the two floors, measured in the same rounds: the complete body,
split at empty lines, decoded by `json.loads` or by msgspec into the very Struct that a session uses. Times are the
processor's, which other work on the machine disturbs less than the clock's.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any

import msgspec

from benchmarks.peers import Reader, clients_loop, peers
from ddg_protocol import NEED_DATA, PAUSED, Policy, SendRequest, Session, TextDelta, Wait
from ddg_protocol.reply import ReplyReader, decode_text
from ddg_protocol.sse import EventStreamDecoder

MSGSPEC_FLOOR = "floor: split, msgspec"
JSON_FLOOR = "floor: split, json.loads"
PAYLOADS = "payloads, msgspec"
READER = "ReplyReader, to TextDelta"
SESSION = "Session, to TextDelta"
EVENTS = "event objects, json.loads"
CLIENTS = "the clients' loop"

WORDS = ("Hello", ",", " the", " wörld", " is", " 世界", " of", " protocol", "s", " 😀", ".", " naïve", "\n\n")


def payload(index: int) -> bytes:
    """A payload as the service sends it."""
    piece = {
        "role": "assistant",
        "message": WORDS[index % len(WORDS)],
        "created": 1751751911 + index // 50,
        "id": "chatcmpl-Bq4z1hfPDk8OjGhx5Z7GID9YlGq6N",
        "action": "success",
        "model": "gpt-4o-mini-2024-07-18",
    }
    return json.dumps(piece, ensure_ascii=False, separators=(",", ":")).encode()


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


# The readers


def floor(decode: Callable[[bytes], object]) -> Reader:
    def read(chunks: Sequence[bytes]) -> int:
        (body,) = chunks
        count = 0
        for block in body.split(b"\n\n"):
            if block:
                decode(block[6:])
                count += 1
        return count

    return read


def payloads_msgspec(chunks: Sequence[bytes]) -> int:
    """The way of the chat: a chunk that is one event by itself, any other as it comes."""
    decoder = EventStreamDecoder()
    whole_block, feed, count = decoder.whole_block, decoder.feed_data, 0
    for chunk in chunks:
        payload = whole_block(chunk)
        if payload is not None:
            decode_text(payload)
            count += 1
            continue
        for data in feed(chunk):
            decode_text(data)
            count += 1
    return count


def events_json(chunks: Sequence[bytes]) -> int:
    feed, count = EventStreamDecoder().feed, 0
    for chunk in chunks:
        for event in feed(chunk):
            json.loads(event.data)
            count += 1
    return count


def reply_reader(chunks: Sequence[bytes]) -> int:
    reader, count = ReplyReader(Policy()), 0
    for chunk in chunks:
        reader.chunks.append(chunk)
        event = reader.next_event()
        while event is not None:
            count += 1
            event = reader.next_event()
    return count


def session(chunks: Sequence[bytes]) -> int:
    session, request, now = streaming_session()
    count = 0
    for chunk in chunks:
        session.receive_data(request, chunk)
        while (action := session.next_action(now=now)) is not NEED_DATA:
            assert type(action) is TextDelta  # isinstance is slow for the classes of msgspec, and not what is measured
            count += 1
    return count


def streaming_session() -> tuple[Session, SendRequest, float]:
    """A session whose chat request has just been answered."""
    session, now = Session(), 0.0
    session.ask("Hello", now=now)
    while (action := session.next_action(now=now)) is not PAUSED:
        if isinstance(action, Wait):
            now = action.until
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest):
            chat = action.method == "POST"
            headers = [("content-type", "text/event-stream")] if chat else [("x-vqd-4", "4-1")]
            session.receive_head(action, 200, headers, now=now)
            if chat:
                while session.next_action(now=now) is not NEED_DATA:
                    pass
                return session, action, now
            session.receive_eof(action)
    raise AssertionError("the session asked nothing")


# The run


def measure(readers: dict[str, tuple[Reader, list[bytes]]], events: int, rounds: int) -> dict[str, float]:
    """Give nanoseconds an event: the median of the rounds, each of which begins with another reader."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    turns = list(readers.items())
    for turn in range(rounds):
        first = turn % len(turns)
        for name, (read, chunks) in turns[first:] + turns[:first]:
            start = time.process_time()
            count = read(chunks)
            seconds[name].append(time.process_time() - start)
            assert count == events, f"{name} read {count} of {events} events"
    return {name: median(each) / events * 1e9 for name, each in seconds.items()}


def long_line_seconds(length: int) -> float:
    """What a data line of so many bytes takes in chunks of 1 KiB."""
    decoder = EventStreamDecoder(max_event_bytes=2 * length)
    chunks = cut(b"data: " + b"x" * length + b"\n\n", 1024)
    start = time.process_time()
    count = sum(len(decoder.feed_data(chunk)) for chunk in chunks)
    elapsed = time.process_time() - start
    assert count == 1
    return elapsed


def long_line_ratio(rounds: int) -> float:
    """How much longer a data line of 8 MiB takes than one of 4 MiB: 2 is linear.

    Each in a new process: what an allocator has kept of one run decides otherwise about the page faults of the next.
    And the shortest of each: what the system takes for its pages is up to half of the time, or very little.
    """
    seconds: dict[int, list[float]] = {4 << 20: [], 8 << 20: []}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as new:
        for _ in range(2 * rounds):
            for length, each in seconds.items():
                each.append(new.submit(long_line_seconds, length).result())
    shorter, longer = map(min, seconds.values())
    return longer / shorter


WAYS = ("16 KiB", "one event", "1 byte")


def chunks_of(way: str, events: int) -> tuple[list[bytes], bytes, int]:
    """The chunks, the complete body, and how many events are in it."""
    count = events // 10 if way == "1 byte" else events
    blocks = [b"data: " + payload(index) + b"\n\n" for index in range(count)]
    body = b"".join(blocks)
    if way == "one event":
        return blocks, body, count
    return cut(body, 1 if way == "1 byte" else 16384), body, count


def measure_way(way: str, events: int, rounds: int) -> dict[str, float]:
    """Measure all readers on one way of cutting the body, in a process of its own as the long lines are."""
    chunks, body, count = chunks_of(way, events)
    floors = {MSGSPEC_FLOOR: floor(decode_text), JSON_FLOOR: floor(json.loads)}
    readers: dict[str, Reader] = {
        PAYLOADS: payloads_msgspec,
        READER: reply_reader,
        SESSION: session,
        EVENTS: events_json,
        CLIENTS: clients_loop,
        **{name: reader for name, reader in peers().items() if reader is not None},
    }
    return measure(
        {
            **{name: (read, [body]) for name, read in floors.items()},
            **{name: (read, chunks) for name, read in readers.items()},
        },
        count,
        rounds,
    )


def run(events: int, rounds: int) -> dict[str, Any]:
    others = peers()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as new:
        times = {way: new.submit(measure_way, way, events, rounds).result() for way in WAYS}
    body = chunks_of("16 KiB", events)[1]
    return {
        "python": platform.python_version(),
        "msgspec": msgspec.__version__,
        "events": events,
        "bytes_per_event": round(len(body) / events, 1),
        "rounds": rounds,
        "not_installed": [name for name, reader in others.items() if reader is None],
        "nanoseconds_per_event": times,
        "budgets": budgets(times, [name for name, reader in others.items() if reader is not None], rounds),
    }


def budgets(times: dict[str, dict[str, float]], others: list[str], rounds: int) -> list[dict[str, Any]]:
    """The ratios that must hold, with what they are."""
    big, one = times["16 KiB"], times["one event"]
    found = [
        ("payloads / msgspec floor, 16 KiB", big[PAYLOADS] / big[MSGSPEC_FLOOR], 1.0),
        ("payloads / msgspec floor, one event", one[PAYLOADS] / one[MSGSPEC_FLOOR], 1.3),
        ("session / msgspec floor, one event", one[SESSION] / one[MSGSPEC_FLOOR], 2.5),
        ("events / json.loads floor, 16 KiB", big[EVENTS] / big[JSON_FLOOR], 0.95),
        ("8 MiB line / 4 MiB line, 1 KiB chunks", long_line_ratio(rounds), 2.3),
    ]
    for way, each in (("16 KiB", big), ("one event", one)):
        found.append((f"payloads / the clients' loop, {way}", each[PAYLOADS] / each[CLIENTS], 1 / 5))
        for name in others:
            if name.startswith("openai"):
                found.append((f"payloads / openai, {way}", each[PAYLOADS] / each[name], 1 / 8))
        if others:
            found.append((f"events / fastest peer, {way}", each[EVENTS] / min(each[name] for name in others), 1.0))
    return [
        {"what": what, "ratio": round(ratio, 3), "at_most": round(limit, 3), "holds": ratio <= limit}
        for what, ratio, limit in found
    ]


def show(result: dict[str, Any]) -> None:
    print(
        f"Python {result['python']}, msgspec {result['msgspec']}; {result['events']} events (in 1-byte chunks a tenth "
        f"of them) of about {result['bytes_per_event']:.0f} bytes; medians of {result['rounds']} rounds"
    )
    for name in result["not_installed"]:
        print(f"not installed, not measured: {name} (the extra bench brings it)")
    for way, times in result["nanoseconds_per_event"].items():
        print(f"\n{f'{way} a chunk':<33}" + f"{'ns/event':>10}{'x msgspec':>11}{'x json':>9}{'x payloads':>12}")
        for name, nanoseconds in times.items():
            ratios = [nanoseconds / times[other] for other in (MSGSPEC_FLOOR, JSON_FLOOR, PAYLOADS)]
            print(f"{name:<33}{nanoseconds:>10.0f}{ratios[0]:>11.2f}{ratios[1]:>9.2f}{ratios[2]:>12.2f}")
    print()
    for budget in result["budgets"]:
        mark = "holds" if budget["holds"] else "FAILS"
        print(f"{mark}  {budget['what']:<44}{budget['ratio']:>7.3f}  at most {budget['at_most']:.3f}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream", description="The event stream, measured.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--events", type=int, default=20_000, metavar="N", help="default: 20000")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="default: 9")
    arguments = parser.parse_args(argv)
    result = run(arguments.events, arguments.rounds)
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)
    return 0 if all(budget["holds"] for budget in result["budgets"]) else 1


if __name__ == "__main__":
    sys.exit(main())
