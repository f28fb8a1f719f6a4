"""Part 6: long histories: what a turn costs that has so many before it, and what it takes to put a session away.

Each request holds the whole history (PROTOCOL.md section 6), so what must grow are the bytes; the floor makes the same
bytes and sends them. The turns are real ones, over a socket; processor time.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from urllib.parse import urlsplit

import msgspec

from benchmarks import server
from benchmarks.clients import BLOCKING
from benchmarks.report import Limit, Part, Scale, Table, over
from ddg_protocol import DUCKDUCKGO_2025_04, Conversation, Message, Policy, Session
from ddg_transports.blocking import Client

QUESTION = "What was said before is what a question like this one is about, and it is of an ordinary length. "
ANSWER = "An answer is longer than its question, and tells at some length what nobody had asked in so many words. " * 8


def history(turns: int) -> tuple[Message, ...]:
    messages = []
    for number in range(turns):
        messages += [Message("user", f"{number}: {QUESTION}"), Message("assistant", f"{number}: {ANSWER}")]
    return tuple(messages)


def run(scale: Scale) -> Part:
    rounds = 16 * scale.rounds  # a turn takes a millisecond, and what is compared are small differences
    histories = {turns: history(turns) for turns in scale.turns}
    with server.running() as url:
        taken = measured(url, histories, rounds)
    cost: dict[str, list[float | None]] = {}
    saved: dict[str, list[float | None]] = {}
    for turns, messages in histories.items():
        size, ours, floor = taken[turns]
        plain = seconds(partial(json_dumps, messages), rounds)
        cost[f"{turns} turns"] = [size / 1024, ours * 1e6, floor * 1e6, plain * 1e6]
        saved[f"{turns} turns"] = put_away(messages, rounds)
    sizes, mine, floors = zip(*taken.values(), strict=True)
    few, some, most = scale.turns[0], scale.turns[-2], scale.turns[-1]
    grown, before = mine[-1] - mine[0], mine[-2] - mine[0]
    per_byte = over(over(grown, sizes[-1] - sizes[0]), over(before, sizes[-2] - sizes[0]))
    limits = [
        Limit(what, ratio, at_most)
        for what, ratio, at_most in (
            (f"CPU of a turn per byte of history, {few} to {most} turns / to {some}", per_byte, 1.25),
            (
                f"growth of a turn's CPU, {few} to {most} turns: {BLOCKING} / floor",
                over(grown, floors[-1] - floors[0]),
                2.0,
            ),
        )
        if ratio is not None
    ]
    tables = [
        Table(
            "CPU of one more turn with a reply of 5 events, by the turns before it",
            ["history, KiB", "blocking, us", "floor: encode, send, read, us", "json.dumps alone, us"],
            cost,
        ),
        Table(
            "Putting a session away and taking it up again, between two turns",
            ["conversation, KiB", "to_json, us", "from_json, us", "snapshot, KiB", "snapshot, us", "restore, us"],
            saved,
        ),
    ]
    return Part("histories", "Long histories", tables, limits)


def json_dumps(messages: tuple[Message, ...]) -> str:
    return json.dumps([{"role": message.role, "content": message.content} for message in messages])


def measured(url: str, histories: dict[int, tuple[Message, ...]], rounds: int) -> dict[int, tuple[float, float, float]]:
    """Bytes of each history, seconds of a turn that goes on with it, and of the floor.

    Each length has its turn in each round. What the rounds add to the histories, a few KiB, is the same for all.
    """
    asked = server.question(5)
    place = urlsplit(url)
    taken: dict[int, list[tuple[float, float, float]]] = {turns: [] for turns in histories}
    with contextlib.ExitStack() as held:
        client = held.enter_context(Client(DUCKDUCKGO_2025_04.at(url), policy=Policy(max_prompt_chars=None)))
        bare = held.enter_context(socket.create_connection((place.hostname or "", place.port or 80)))
        chats = {}
        for turns, messages in histories.items():
            before = Conversation(model="gpt-4o-mini", vqd="4-1", message_history=messages, fe_version="a-b")
            chats[turns] = held.enter_context(client.chat(conversation=before, cookies={"dcm": "3"}))
            chats[turns].ask(asked)  # connects
        for round_ in range(rounds):
            for turns in random.Random(round_).sample(list(chats), len(chats)):
                messages = chats[turns].conversation.message_history
                floor = least(bare, messages, asked)
                began = time.process_time()
                chats[turns].ask(asked)
                ours = time.process_time() - began
                taken[turns].append((len(msgspec.json.encode(messages)), ours, floor))
    return {turns: tuple(map(median, zip(*rows, strict=True))) for turns, rows in taken.items()}


def least(bare: socket.socket, messages: tuple[Message, ...], asked: str) -> float:
    """Seconds to encode a question with its history, to send it, and to read what is answered."""
    began = time.process_time()
    body = msgspec.json.encode({"model": "gpt-4o-mini", "messages": (*messages, Message("user", asked))})
    bare.sendall(b"POST /duckchat/v1/chat HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    while not bare.recv(65536).endswith(b"\r\n0\r\n\r\n"):
        pass
    return time.process_time() - began


def put_away(messages: tuple[Message, ...], rounds: int) -> list[float | None]:
    conversation = Conversation(model="gpt-4o-mini", vqd="4-1", message_history=messages)
    session = Session(conversation=conversation)
    text = conversation.to_json()
    snapshot = msgspec.json.encode(session.snapshot(now=0.0))
    return [
        len(text.encode()) / 1024,
        seconds(conversation.to_json, rounds) * 1e6,
        seconds(lambda: Conversation.from_json(text), rounds) * 1e6,
        len(snapshot) / 1024,
        seconds(lambda: msgspec.json.encode(session.snapshot(now=0.0)), rounds) * 1e6,
        seconds(lambda: Session.restore(msgspec.json.decode(snapshot), now=0.0), rounds) * 1e6,
    ]


def seconds(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return median(times)
