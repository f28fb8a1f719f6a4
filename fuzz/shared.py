"""What an engine that processes share holds and says: documents, replies, rows, a server's replies, and results.

An input says itself where it is cut: at each byte FF.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import msgspec

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    Conversation,
    DuckChatError,
    Failure,
    FailureKind,
    LocalProtocolError,
    Policy,
    SendRequest,
    Session,
    TurnFinished,
    Wait,
)
from ddg_protocol.coordination import (
    Busy,
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    Coordinate,
    Coordination,
    Done,
    Held,
    Hold,
    Lost,
    Mark,
    Marked,
    MemoryEngine,
    Refused,
    Release,
    Released,
    Reserve,
    Result,
    Slot,
)
from ddg_protocol.coordination._documents import read_conversation, read_reply, write_conversation, write_reply
from ddg_protocol.coordination._rows import carry_out
from ddg_protocol.coordination._valkey import decode, encode
from ddg_protocol.errors import ConversationFormatError, EngineUnavailable

from .parsers import CUT, fits_a_message

CALLS: dict[bytes, Call] = {
    b"R": Reserve(nonce="n", interval=1.5, window=0.05, max_wait=9.0),
    b"H": Hold(seconds=1.0),
    b"C": Claim(key="c", holder="h", lease=9.0),
    b"M": Mark(key="c", fence=1, lease=9.0),
    b"S": Commit(key="c", fence=1, revision=0, document=b"{}"),
    b"F": Release(key="c", fence=1, revision=0),
}
"""By the letter that an input has for it."""
_ENOUGH = 300


def stored(data: bytes) -> None:
    """Read what an engine has stored: as a document, as a reply, and as a row on which a call is carried out."""
    try:
        conversation = read_conversation(data)
    except ConversationFormatError as error:
        fits_a_message(error)
    else:
        assert read_conversation(write_conversation(conversation)) == conversation
    try:
        reply = read_reply(data)
    except ConversationFormatError as error:
        fits_a_message(error)
    else:
        assert read_reply(write_reply(reply)) == reply
    for call in CALLS.values():
        try:
            row, _ = carry_out(data, call, now=1e6, epoch="e")
            carry_out(row, call, now=2e6, epoch="e")
        except EngineUnavailable as error:
            fits_a_message(error)


def server_replies(data: bytes) -> None:
    """Read what a server has replied: a letter for the call, then one string, or the strings of a list."""
    call = CALLS.get(data[:1], CALLS[b"C"])
    encode(call, scope="s")
    parts = data[1:].split(CUT)
    for reply in (parts, parts[0]):
        try:
            result = decode(call, reply)
        except EngineUnavailable as error:
            fits_a_message(error)
        else:
            assert isinstance(result, msgspec.Struct)


def results(data: bytes) -> None:
    """Drive a session whose engine answers as the input says: JSON of results, one a line; F for no answer.

    A line begins with the time that passes, as a digit. Where the session doesn't take a result, a good engine answers.
    """
    now, numbers, lines = 0.0, count(1), iter(data.split(b"\n")[:_ENOUGH])
    engine = MemoryEngine(lambda: now)
    session = Session(
        coordination=Coordination(key="c", on_busy="wait"),
        policy=Policy(max_retries=0),
        random_bytes=lambda length: next(numbers).to_bytes(length),
    )
    for turn in ("1", "1", "2"):
        session.ask("?", turn=turn, now=now)
        for _ in range(_ENOUGH):
            try:
                action = session.next_action(now=now)
            except DuckChatError as error:
                fits_a_message(error)
                continue
            if action is PAUSED:
                break
            if isinstance(action, Wait):
                now = max(now, action.until)
                session.wait_elapsed(action)
            elif isinstance(action, SendRequest):
                _respond(session, action, now)
            elif isinstance(action, Coordinate):
                now = _answer(session, action, engine, next(lines, b""), now)
            elif action is NEED_DATA:
                assert session.request is not None
                session.transport_failed(session.request, Failure(FailureKind.CUT, "enough"))
        else:
            session.cancel()
        assert isinstance(session.conversation, Conversation)


def _respond(session: Session, request: SendRequest, now: float) -> None:
    body = b'data: {"action":"success","message":"x"}\n\ndata: [DONE]\n\n' if request.method == "POST" else b""
    kind = [("content-type", "text/event-stream")] if body else []
    session.receive_head(request, 200, [*kind, ("x-vqd-4", "4-1")], now=now)
    session.receive_data(request, body)
    session.receive_eof(request)


def _answer(session: Session, intent: Coordinate, engine: MemoryEngine, line: bytes, now: float) -> float:
    asked, now = now, now + (line[0] - 48 if line[:1].isdigit() else 0) * 7.0
    if line[1:2] == b"F":
        session.coordination_failed(intent, Failure(FailureKind.OTHER, line.decode("utf-8", "replace")))
        return now
    try:
        result: Any = msgspec.convert(json.loads(line[1:]), Result)
        session.coordinated(intent, result, asked=asked, now=now)
    except (ValueError, RecursionError):
        pass
    except LocalProtocolError as error:
        fits_a_message(error)
    else:
        return now
    session.coordinated(intent, engine.call(intent.call), asked=asked, now=now)
    return now


def good_results() -> list[bytes]:
    """Return lines with results of every kind."""
    document = write_conversation(Conversation(model="o3-mini", vqd="4-9", fe_version="v"))
    reply = write_reply(TurnFinished("Since.", "stop", "o3-mini"))
    found: list[Result] = [
        Claimed(fence=1, revision=0, document=b""),
        Claimed(fence=7, revision=3, document=document, sent=True),
        Busy(retry_after=9.0),
        Done(reply=reply, revision=3, document=document),
        Done(reply=b"", revision=3, document=document),
        Lost(),
        Slot(delay=0.0, final=True, ticket="1", epoch="e"),
        Slot(delay=3.0, final=False, ticket="1", epoch="e", position=2, fe_version="v"),
        Refused(wait=99.0),
        Held(),
        Marked(),
        Committed(revision=1),
        Released(),
    ]
    return [msgspec.json.encode(result) for result in found]
