"""Instructions instead of seconds: ``python -m benchmarks.instructions`` from the project's root, with valgrind.

A clock on a busy machine tells little about a change of a few percent. Here each measurement is a process of its own
under cachegrind, run twice with different counts; the difference, divided by the difference of the counts, is what one
event or one turn costs, start-up and imports excluded. The same code on the same interpreter gives the same figures
within about 0.2 %, whatever else the machine does.

The layers: ``session`` (a chunk with one event in, a `TextDelta` out), ``wire`` (the same as an HTTP chunk), and
``blocking`` (the blocking client on a socket, one event a read; a server process sends each event once the one before
was seen). ``turn`` counts one more turn of a conversation that has 100 or 1,000 turns, for each byte of its history.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ddg_protocol import DUCKDUCKGO_2025_04, NEED_DATA, PAUSED, Conversation, Message, Session, TextDelta, Wait
from ddg_protocol.intents import SendRequest

ROOT = Path(__file__).parent.parent
PAGE = b'__DDG_BE_VERSION__="serp_20250401_100419_ET" __DDG_FE_CHAT_HASH__="19d438eb199b2bf7c300"'
DONE = b"data: [DONE]\n\n"
STREAM = (("content-type", "text/event-stream"),)
VARIETY = 97
"""How many different events are sent; the same again and again, so that making them doesn't count."""
QUESTION, ANSWER = "Why is the sky blue? " * 4, "Because of Rayleigh scattering. " * 12


def event(index: int) -> bytes:
    piece = {
        "role": "assistant",
        "message": f" word{index}",
        "created": 1751751911,
        "id": "chatcmpl-Bq4z1hfPDk8OjGhx5Z7GID9YlGq6N",
        "action": "success",
        "model": "gpt-4o-mini-2024-07-18",
    }
    return b"data: " + json.dumps(piece, separators=(",", ":")).encode() + b"\n\n"


def handshake(session: Session) -> SendRequest:
    """Answer what comes before the question; return the request that asks it."""
    while True:
        action = session.next_action(now=0.0)
        if isinstance(action, Wait):
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest):
            if action.method == "POST":
                return action
            session.receive_head(action, 200, (("x-vqd-4", "4-1"),), now=0.0)
            session.receive_data(action, PAGE)
            session.receive_eof(action)


def run_session(count: int) -> None:
    chunks = [event(index) for index in range(VARIETY)]
    session = Session(DUCKDUCKGO_2025_04.at("http://127.0.0.1:1"))
    session.ask("Hi", now=0.0)
    request = handshake(session)
    session.receive_head(request, 200, STREAM, now=0.0)
    seen = 0
    for index in range(count):
        session.receive_data(request, chunks[index % VARIETY])
        while (action := session.next_action(now=0.0)) is not NEED_DATA:
            seen += type(action) is TextDelta
    assert seen == count


def run_wire(count: int) -> None:
    from ddg_protocol.wire import Close, Connect, Send, WireSession

    def chunk(data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data)

    chunks = [chunk(event(index)) for index in range(VARIETY)]
    session = WireSession(Session(DUCKDUCKGO_2025_04.at("http://127.0.0.1:1")))
    session.ask("Hi", now=0.0)
    connect: Connect | None = None
    while True:
        action = session.next_action(now=0.0)
        if isinstance(action, Connect):
            connect = action
            session.connected(action)
        elif isinstance(action, Close):
            session.closed(action)
        elif isinstance(action, Wait):
            session.wait_elapsed(action)
        elif isinstance(action, Send):
            session.sent(action)
            assert connect is not None
            if action.data.startswith(b"POST"):
                break
            head = b"HTTP/1.1 200 OK\r\nx-vqd-4: 4-1\r\ncontent-length: %d\r\n\r\n" % len(PAGE)
            session.receive_bytes(connect, head + PAGE)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    session.receive_bytes(connect, head)
    seen = 0
    for index in range(count):
        session.receive_bytes(connect, chunks[index % VARIETY])
        while (given := session.next_action(now=0.0)) is not NEED_DATA:
            seen += type(given) is TextDelta
    assert seen == count


def run_blocking(count: int) -> None:
    from ddg_transports.blocking import Client

    read_end, write_end = os.pipe()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    serve = [sys.executable, "-m", "benchmarks.instructions", "--serve", str(count)]
    fds = (listener.fileno(), read_end)
    server = subprocess.Popen([*serve, *map(str, fds)], pass_fds=fds, cwd=ROOT)
    seen = 0
    with Client(DUCKDUCKGO_2025_04.at(f"http://127.0.0.1:{port}")) as client, client.chat().stream("Hi") as reply:
        for _ in reply:
            seen += 1
            os.write(write_end, b".")
    assert seen == count
    assert server.wait() == 0


def serve(count: int, listener_fd: int, seen_fd: int) -> None:
    """Answer one handshake, then send each event once the one before was seen."""
    connection, _ = socket.socket(fileno=listener_fd).accept()
    data = b""
    while b"POST" not in data:
        data += connection.recv(65536)
        while b"\r\n\r\n" in data and not data.startswith(b"POST"):
            data = data.partition(b"\r\n\r\n")[2]
            connection.sendall(b"HTTP/1.1 200 OK\r\nx-vqd-4: 4-1\r\ncontent-length: %d\r\n\r\n%b" % (len(PAGE), PAGE))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for index in range(count):
        block = event(index)
        connection.sendall(b"%x\r\n%b\r\n" % (len(block), block))
        os.read(seen_fd, 1)
    connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(DONE), DONE))


def run_turns(turns: int, count: int) -> None:
    history = [Message("user", QUESTION), Message("assistant", ANSWER)] * turns
    conversation = Conversation(model="gpt-4o-mini", vqd="4-1", message_history=tuple(history), fe_version="a-b")
    session = Session(DUCKDUCKGO_2025_04.at("http://127.0.0.1:1"), conversation=conversation)
    for _ in range(count):
        session.ask(QUESTION, now=0.0)
        request = handshake(session)
        session.receive_head(request, 200, (*STREAM, ("x-vqd-4", "4-2")), now=0.0)
        session.receive_data(request, event(1) + DONE)
        session.receive_eof(request)
        while session.next_action(now=0.0) is not PAUSED:
            pass


LAYERS: dict[str, tuple[Callable[[int], None], int, int]] = {
    "session": (run_session, 500, 2500),
    "wire": (run_wire, 500, 2500),
    "blocking": (run_blocking, 200, 1200),
    "turn-100": (lambda count: run_turns(100, count), 5, 25),
    "turn-1000": (lambda count: run_turns(1000, count), 5, 25),
}


def counted(layer: str, count: int, seed: int) -> int:
    """Run a layer in a process of its own under cachegrind; return its instructions."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder}/out"]
        run = [sys.executable, "-m", "benchmarks.instructions", "--run", layer, str(count)]
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        done = subprocess.run([*command, *run], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"{layer} with {count} failed:\n{done.stderr[-2000:]}")
    return int(found[1].replace(",", ""))


def measured(layer: str, seed: int) -> float:
    """Return the instructions of one event or turn."""
    _, few, many = LAYERS[layer]
    return (counted(layer, many, seed) - counted(layer, few, seed)) / (many - few)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("layers", nargs="*", metavar="LAYER", help=", ".join(LAYERS) + "; all if none is named")
    parser.add_argument("--seeds", type=int, default=2, help="hash seeds to average over (default: %(default)s)")
    parser.add_argument("--run", nargs=2, metavar=("LAYER", "COUNT"), help=argparse.SUPPRESS)
    parser.add_argument("--serve", nargs=3, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(*arguments.serve)
        return 0
    if arguments.run:
        LAYERS[arguments.run[0]][0](int(arguments.run[1]))
        return 0
    if not shutil.which("valgrind"):
        parser.error("valgrind is not on the path")
    found = {}
    for layer in arguments.layers or LAYERS:
        each = [measured(layer, seed) for seed in range(1, arguments.seeds + 1)]
        found[layer] = sum(each) / len(each)
        print(f"{layer:10} {found[layer]:12,.0f} instructions", flush=True)
    if {"turn-100", "turn-1000"} <= found.keys():
        print(
            f"one more turn, per byte of history, 1,000 turns / 100: {found['turn-1000'] / found['turn-100'] / 10:.3f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
