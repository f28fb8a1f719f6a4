"""Sessions whose service or whose driver is hostile: floods, secrets that must not be shown, odd arguments."""

from __future__ import annotations

import gzip
import json
import math
import re
import traceback
from collections.abc import Iterator
from typing import Any

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ClientState,
    Conversation,
    Cookie,
    DuckChatError,
    Failure,
    FailureKind,
    LocalProtocolError,
    ModelNotSupportedError,
    Policy,
    SendRequest,
    Session,
    Wait,
)
from ddg_protocol.headers import Headers
from ddg_protocol.redaction import redacted
from ddg_protocol.tap import DrivenSession
from ddg_protocol.transcript import RecordedSession
from ddg_protocol.wire import Close, Connect, Send, WireSession

from .parsers import CUT, fields_of, fits_a_message

_MIB = 1024 * 1024
_PIECES = {ord("0"): 1, ord("1"): 3, ord("2"): 23, ord("3"): 1000, ord("4"): 65_536, ord("5"): 4 * _MIB}
"""Bytes in a piece, by the digit that says so."""
_ENOUGH = 20_000
"""Events after which a caller has seen enough."""
_GOOD = (
    b'__DDG_BE_VERSION__="s_1_ET";__DDG_FE_CHAT_HASH__="0a";',
    b"<html>",
    b'{"status":"0"}',
    b'data: {"action":"success","message":"x"}\n\ndata: [DONE]\n\n',
)


def floods(data: bytes) -> None:
    """Answer a request of a turn with the same bytes again and again, without a gap.

    The first of four parts says by letters which request is flooded (``p`` the page, ``l`` the landing page, ``s`` the
    status, else the question), how (``w`` on the wire, ``g`` compressed, ``t`` with time between the pieces) and in
    which pieces (a digit). Then come what the response begins with, what is repeated, and what it ends with. A flood is
    64 times as long as the input, or as long where its pieces are tiny: so twice the input is twice the flood.
    """
    how, start, unit, end = (*data.split(CUT, 3), b"", b"", b"")[:4]
    place = next((number for number, letter in enumerate(b"pls") if letter in how), 3)
    size = next((_PIECES[letter] for letter in how if letter in _PIECES), 4 * _MIB)
    times = len(data) * (64 if size >= 1000 else 1) // max(1, len(unit))
    flood = start + unit * times + end
    gap = 0.0004 if b"t" in how else 0.0
    if b"w" in how:
        _Flooded(place, flood, size, gap).run()
        return
    head, _, body = flood.partition(b"\n\n")
    if b"g" in how:
        body = gzip.compress(body, compresslevel=1, mtime=0)
        head += b"\ncontent-encoding: gzip"
    _flood_session(place, head, body, size, gap)


def _in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _head(head: bytes) -> tuple[int, Headers]:
    """Read a head: the status of a final response, if three digits say one, and fields."""
    status = int(head[:3]) if re.match(rb"[2-9][0-9]{2}", head) else 200
    return status, fields_of(head[3:].removeprefix(b" "))


def _flood_session(place: int, head: bytes, body: bytes, size: int, gap: float) -> None:
    session, now, number, events = Session(policy=Policy(max_retries=0)), 0.0, -1, 0
    request: SendRequest | None = None
    pieces: Iterator[bytes] = iter(())
    session.ask("?", now=now)
    while True:
        try:
            action = session.next_action(now=now)
        except DuckChatError as error:
            fits_a_message(error)
            continue
        if action is PAUSED:
            return
        if isinstance(action, Wait):
            now = max(now, action.until)
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest):
            request, number = action, number + 1
            if number == place:
                status, fields = _head(head)
                session.receive_head(request, status, fields, now=now)
                pieces = _in_pieces(body, size)
            else:
                fields = (("x-vqd-4", "4-1"), ("content-type", "text/event-stream"))
                session.receive_head(request, 200, fields, now=now)
                pieces = iter(_GOOD[min(number, 3) :][:1])
        elif action is NEED_DATA:
            assert request is not None
            now += gap
            piece = next(pieces, None)
            if piece is None:
                session.receive_eof(request)
            else:
                session.receive_data(request, piece)
        else:
            events += 1
            if events == _ENOUGH:
                session.cancel()
            assert events < 2 * _ENOUGH, "events without end"


class _Flooded:
    """A wire session one of whose responses is a flood."""

    def __init__(self, place: int, flood: bytes, size: int, gap: float) -> None:
        self._session = WireSession(Session(policy=Policy(max_retries=0)))
        self._place, self._flood, self._size, self._gap = place, flood, size, gap
        self._number = -1
        self._pieces: Iterator[bytes] = iter(())
        self._connect: Connect | None = None

    def run(self) -> None:
        session, now, events = self._session, 0.0, 0
        session.ask("?", now=now)
        while True:
            try:
                action = session.next_action(now=now)
            except DuckChatError as error:
                fits_a_message(error)
                continue
            if action is PAUSED:
                return
            match action:
                case Wait():
                    now = max(now, action.until)
                    session.wait_elapsed(action)
                case Connect():
                    self._connect = action
                    session.connected(action)
                case Send():
                    self._number += 1
                    session.sent(action)
                    self._pieces = self._answer()
                case Close():
                    session.closed(action)
                case _ if action is NEED_DATA:
                    assert self._connect is not None
                    now += self._gap
                    piece = next(self._pieces, None)
                    if piece is None:
                        session.receive_eof(self._connect)
                    else:
                        session.receive_bytes(self._connect, piece)
                case _:
                    events += 1
                    if events == _ENOUGH:
                        session.cancel()
                    assert events < 2 * _ENOUGH, "events without end"

    def _answer(self) -> Iterator[bytes]:
        if self._number == self._place:
            return _in_pieces(self._flood, self._size)
        body = _GOOD[min(self._number, 3)]
        fields = b"x-vqd-4: 4-1\r\ncontent-type: text/event-stream\r\n"
        return iter((b"HTTP/1.1 200 \r\n%bcontent-length: %d\r\n\r\n%b" % (fields, len(body), body),))


_SECRET = "Qz7secretSECRET\u00e9"
_BLANK_LINE = re.compile(rb"\n\r?\n")


def secrets(data: bytes) -> None:
    """Answer the status request with a head in which each ``{}`` is a secret; it is shown nowhere.

    What follows the first FF is the head, on the wire if a ``w`` stands before it, else fields as `fields_of` reads
    them, with the status before them.
    """
    how, _, raw = data.partition(CUT)
    blank = _BLANK_LINE.search(raw)
    end = blank.start() if blank else len(raw)
    head, rest = raw[:end].replace(b"{}", _SECRET.encode()), raw[end:]
    lines: list[str] = []
    shared = ClientState()
    shared.fe_version = "known"
    inner = Session(shared=shared, cookies={}, policy=Policy(max_retries=0), answer_challenge="always")
    session = RecordedSession(inner, lines.append, redact_texts=b"r" in how)
    shown = _shown_by_wire(session, head + rest) if b"w" in how else _shown(session, head)
    said = "".join(shown)
    for form in (_SECRET, _SECRET.encode().decode("latin-1"), _SECRET[:15]):
        assert form not in said, f"shown: {said[max(0, said.find(form) - 80) :][:200]}"
        assert form.lower() not in "".join(lines).lower(), "in the transcript"


def _shown(session: DrivenSession, head: bytes) -> list[str]:
    status, fields = _head(head)
    shown, now, request = [repr(redacted(fields))], 0.0, None
    session.ask("?", now=now)
    while True:
        try:
            action = session.next_action(now=now)
        except DuckChatError as error:
            shown += _told(error)
            continue
        shown.append(repr(action))
        if action is PAUSED:
            return [*shown, repr(session)]
        if isinstance(action, Wait):
            now = max(now, action.until)
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest):
            request = action
            session.receive_head(action, status, fields, now=now)
            session.receive_data(action, _GOOD[-1])
            session.receive_eof(action)
        elif action is NEED_DATA:
            assert request is not None
            session.receive_eof(request)
            now += 100.0


def _shown_by_wire(inner: DrivenSession, raw: bytes) -> list[str]:
    session, now, connect, unread = WireSession(inner), 0.0, None, False
    shown: list[str] = []
    session.ask("?", now=now)
    while True:
        try:
            action = session.next_action(now=now)
        except DuckChatError as error:
            shown += _told(error)
            continue
        shown.append(repr(action))
        match action:
            case Wait():
                now = max(now, action.until)
                session.wait_elapsed(action)
            case Connect():
                connect = action
                session.connected(action)
            case Send():
                session.sent(action)
                unread = True
            case Close():
                session.closed(action)
            case _ if action is NEED_DATA:
                assert connect is not None
                if unread:
                    session.receive_bytes(connect, raw)
                else:
                    session.receive_eof(connect)
                unread = False
            case _ if action is PAUSED:
                return [*shown, repr(session)]


def _told(error: DuckChatError) -> list[str]:
    fits_a_message(error)
    return [repr(error), *traceback.format_exception(error)]


_ODD: dict[str, Any] = {
    "nan": math.nan,
    "inf": math.inf,
    "huge": 10**5000,
    "long": 10**400,
    "half": "\ud800",
    "bytes": b"x",
    "object": object(),
    "type": Session,
    "tuple": (1, 2),
    "fields": [("a", "b")],
    "euro": [("a", "\u20ac")],
    "failure": Failure(FailureKind.CUT, "x"),
    "wait": Wait(id=1, until=0.0, reason=""),
    "head": SendRequest(id=99, method="", url="", headers=(), body=b"", timeout=0.0),
}
"""What JSON has no values for: ``{"": NAME}`` stands for it."""
CALLS = frozenset(
    """ask cancel close receive_head receive_data receive_eof transport_failed wait_elapsed challenge_solved
    challenge_failed connected sent closed receive_bytes""".split()  # noqa: SIM905
)
_MADE = {"Policy": Policy, "Cookie": Cookie, "Conversation": Conversation}
_MADE_OF_SESSIONS = ("model", "cookies", "answer_challenge", "solver")


def arguments(data: bytes) -> None:
    """Call a session, or make values, with whatever JSON says: a list of lists, each a name and its arguments.

    The last argument may be an object of those that have names. With a ``w`` before them it is a wire session.
    """
    try:
        calls = json.loads(data.removeprefix(b"w"), object_hook=_odd)
    except (ValueError, RecursionError):
        return
    made = Session()
    session: Any = WireSession(made) if data.startswith(b"w") else made
    now = 0.0
    out: Any = None
    for call in calls if isinstance(calls, list) else ():
        if not (isinstance(call, list) and call and isinstance(call[0], str)):
            continue
        name, *given = call
        given = [out if each == "$" else each for each in given]
        named = given.pop() if given and isinstance(given[-1], dict) else {}
        # As a caller writes them: Python's own TypeError says a name whole, whatever it is.
        named = {key: value for key, value in named.items() if key.isidentifier() and len(key) < 100}
        _try(session, name, given, named)
        out, now = _pulled(session, out, now)
    try:
        session.cancel()
    except LocalProtocolError as error:
        fits_a_message(error)
    _pulled(session, out, now)


def _odd(said: dict[str, Any]) -> Any:
    name = said.get("")
    return _ODD.get(name, said) if isinstance(name, str) else said


def _try(session: Any, name: str, given: list[Any], named: dict[str, Any]) -> None:
    if name in _MADE:
        if name == "Conversation":  # whose types nobody checks
            given, named = [], {key: value for key, value in named.items() if isinstance(value, str)}
        try:
            _MADE[name](*given, **named)
        except (ValueError, TypeError) as error:
            fits_a_message(error)
    elif name == "Session":
        wanted = {key: value for key, value in named.items() if key in _MADE_OF_SESSIONS}
        try:
            Session(**wanted)
        except (LocalProtocolError, ModelNotSupportedError, ValueError, TypeError) as error:
            fits_a_message(error)
    elif name in CALLS and hasattr(session, name):
        if name in ("ask", "receive_head"):
            named = {"now": 0.0, **named}
        try:
            getattr(session, name)(*given, **named)
        except (LocalProtocolError, ModelNotSupportedError) as error:
            fits_a_message(error)
        except TypeError as error:
            assert "argument" in str(error), error  # another number of them, or others' names: Python's own


def _pulled(session: Any, out: Any, now: float) -> tuple[Any, float]:
    """Pull until something is to be done; waits pass at once. Gives what is out, and the time."""
    while True:
        try:
            action = session.next_action(now=now)
        except DuckChatError as error:
            fits_a_message(error)
            continue
        if action is PAUSED or action is NEED_DATA:
            return out, now
        if isinstance(action, Wait):
            now = max(now, action.until)
            session.wait_elapsed(action)
        elif isinstance(action, SendRequest | Connect | Send | Close):
            out = action
            if isinstance(action, Close):
                session.closed(action)
            elif isinstance(action, Connect | Send):
                (session.connected if isinstance(action, Connect) else session.sent)(action)
            else:
                return out, now
