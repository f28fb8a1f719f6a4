"""A session as plain JSON data, at any moment, and the session that is read back from it.

What is stored of a turn is the session's phase, as msgspec writes it. Times are stored as time remaining, so that a
snapshot goes on by another clock. A connection can't be stored: a request of the handshake is asked for again, while
the chat request, which has effects, stays as it is, and whoever continues reports on its response or its failure.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ._exchange import End, Exchange, Failed, Head
from ._phases import (
    Draining,
    Exchanging,
    InTurn,
    Phase,
    Planning,
    Reading,
    Ready,
    Requesting,
    Solved,
    Solving,
    Streaming,
    Waiting,
)
from ._response import Body
from ._setup import AnswerChallenge, Setup, Solver
from ._state import Awaited
from ._turn import Turn
from .chat import ReplyReader
from .conversation import Conversation, Tokens
from .cookies import Cookie, CookieJar
from .errors import ContentDecodingError, ConversationFormatError, InvalidToken
from .headers import Headers
from .intents import SendRequest
from .policy import Policy
from .profile import ServiceProfile
from .steps import Step
from .text import printable, shown

FORMAT_VERSION = 2
"""Version 1 is read, too, where its session was at rest."""

_MANY = 2**31
"""More than any policy's tries, and a number that times can be reckoned with."""
_LONGEST = 1e9
"""Seconds, thirty years: no session waits for longer, and every driver can."""
_FARTHEST = 1e12
"""Seconds between two clocks, or since something was: past the year 9999, which the service's dates end with."""
_LAST_ID = 2**53
"""More ids than a session can use up."""
_UNREADABLE = (ValueError, OverflowError, RecursionError, InvalidToken, ContentDecodingError)


class Snapshot(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All that a session holds, by a clock that showed 0 when it was taken.

    Attributes:
        format_version: of this form.
        origin: of the profile.
        last_id: the newest intent's id.
        conversation: as of the last turn that was done.
        answer_challenge: the setting.
        solver: the setting.
        supplied: the embedder's own cookies, or None.
        jar: as of the last turn that was done.
        fe_version: the front-end version, where it is known.
        last_start: when the pacer's last request started.
        held_until: until when the pacer holds every request, where it does.
        phase: where the session is.
    """

    format_version: int = FORMAT_VERSION
    origin: str
    last_id: int
    conversation: Conversation
    answer_challenge: AnswerChallenge
    solver: Solver
    supplied: tuple[Cookie, ...] | None
    jar: CookieJar
    fe_version: str
    last_start: float | None
    held_until: float | None
    phase: Phase


class _Exchange(msgspec.Struct, forbid_unknown_fields=True):
    """An exchange as it is stored: the attributes of `Exchange` that a chat request needs to go on."""

    request: SendRequest
    redirects: int
    read_by: float
    total_by: float
    heads: int
    heard: bool
    awaited: Awaited
    head: Head | None
    chunks: list[bytes]
    received: int
    end: End | Failed | None


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """A body as it is stored: the attributes of `Body` from which another one can go on."""

    status: int
    headers: Headers
    decoded: int
    fed: bytes


class _Jar(msgspec.Struct, forbid_unknown_fields=True):
    cookies: tuple[Cookie, ...]
    offset: float | None


def save(
    setup: Setup, conversation: Conversation, jar: CookieJar, phase: Phase, *, fe_version: str, last_id: int, now: float
) -> dict[str, Any]:
    """Return a session as data that JSON can hold.

    Args:
        setup: the session's.
        conversation: as of the last turn that was done.
        jar: as of then.
        phase: where the session is.
        fe_version: the front-end version, where it is known.
        last_id: the newest intent's id.
        now: the caller's clock, in seconds.
    """
    if isinstance(phase, Draining):
        phase = Ready()
    elif isinstance(phase, Requesting | Reading) and phase.exchange.step is not Step.CHAT:
        phase = Planning(phase.turn)
    pacer = setup.shared.pacer
    snapshot = Snapshot(
        origin=setup.profile.origin,
        last_id=last_id,
        conversation=conversation,
        answer_challenge=setup.answer_challenge,
        solver=setup.solver,
        supplied=setup.supplied,
        jar=jar,
        fe_version=fe_version,
        last_start=None if pacer.last_start is None else pacer.last_start - now,
        held_until=pacer.held_until - now if pacer.held_until > now else None,
        phase=_shifted(phase, -now),
    )
    data: dict[str, Any] = msgspec.to_builtins(snapshot, enc_hook=partial(_encode, now), str_keys=True)
    return data


def load(data: object, profile: ServiceProfile, policy: Policy, now: float) -> Snapshot:
    """Read what `save` returned.

    Args:
        data: anything.
        profile: what the session is to go on with.
        policy: has the bounds and times that count from here on.
        now: the caller's clock, in seconds.

    Returns:
        The snapshot, its times by the caller's clock. Its parts fit together, and nothing in it is unfit to be sent.

    Raises:
        ConversationFormatError: it is not of that form; the message says where.
    """
    version = data.get("format_version") if isinstance(data, dict) else None
    if version == 1:
        data = _from_version_1(data)
    elif version != FORMAT_VERSION:
        raise ConversationFormatError(f"not a snapshot of format version {FORMAT_VERSION}, but of {shown(version, 40)}")
    try:
        snapshot = msgspec.convert(data, Snapshot, dec_hook=partial(_decode, now, policy), str_keys=True)
        _check(snapshot, profile, policy, now)
    except _UNREADABLE as error:
        raise ConversationFormatError(f"the snapshot can't be read: {printable(str(error), 300)}") from error
    snapshot.last_start = None if snapshot.last_start is None else snapshot.last_start + now
    snapshot.held_until = None if snapshot.held_until is None else snapshot.held_until + now
    snapshot.phase = phase = _shifted(snapshot.phase, now)
    if isinstance(phase, Requesting | Reading | Streaming):
        phase.exchange.turn_until = phase.turn.until
    return snapshot


def _shifted(phase: Phase, by: float) -> Phase:
    """Return the phase with its turn, and its wait, by a clock that is ahead by so many seconds."""
    if isinstance(phase, InTurn):
        phase = msgspec.structs.replace(phase, turn=phase.turn.shifted(by))
    if isinstance(phase, Waiting):
        phase.wait = msgspec.structs.replace(phase.wait, until=phase.wait.until + by)
    return phase


def _moved(head: Head | None, by: float) -> Head | None:
    return None if head is None else msgspec.structs.replace(head, now=head.now + by)


def _from_version_1(data: Any) -> dict[str, Any]:
    """Rewrite a snapshot of a session at rest, as transcripts of version 0.1 begin with."""
    phases = {"READY": "Ready", "CLOSED": "Closed"}
    parts = {"turn", "exchange", "reader", "intent", "outcome"}
    if data.get("state") not in phases or any(data.get(part) is not None for part in parts):
        raise ConversationFormatError("a snapshot of format version 1 is read only where its session was at rest")
    kept = {name: value for name, value in data.items() if name not in {*parts, "state", "cancelled"}}
    cancelled = None if data.get("cancelled") is None else {"text": data["cancelled"]}
    phase = {"type": phases[data["state"]], "cancelled": cancelled}
    return {**kept, "format_version": FORMAT_VERSION, "held_until": None, "phase": phase}


def _check(snapshot: Snapshot, profile: ServiceProfile, policy: Policy, now: float) -> None:
    """Refuse what no session can have come to, and what is unfit to be sent.

    Raises:
        ValueError: what.
        OverflowError: a number is too long for JSON.
        RecursionError: something is nested too deeply for JSON.
        InvalidToken: what.
    """
    msgspec.json.encode(snapshot, enc_hook=partial(_encode, now))  # fails for what no file can have held
    if snapshot.origin != profile.origin:
        raise ValueError(f"it is of {snapshot.origin}, and the profile of {profile.origin}")
    msgspec.structs.replace(snapshot.conversation, fe_version=snapshot.fe_version).to_json()
    phase, newest = snapshot.phase, 0
    times: list[float | None] = []
    # No turn waits for these longer than it may take.
    longer, jars = [snapshot.last_start, snapshot.held_until], [snapshot.jar]
    if isinstance(phase, InTurn):
        turn = phase.turn
        _check_turn(turn, snapshot.conversation, profile)
        times += [turn.until, turn.backoff_until, turn.slot, turn.elapsed]
        jars.append(turn.jar)
    match phase:
        case Waiting():
            newest = phase.wait.id
            times.append(phase.wait.until)
        case Solving():
            newest = phase.solve.id
            if isinstance(phase.outcome, Solved):
                Tokens(phase.outcome.answer)
        case Exchanging():
            newest = phase.exchange.request.id
            times += [phase.exchange.read_by - now, phase.exchange.total_by - now]
            times.append(None if phase.exchange.head is None else phase.exchange.head.now - now)
            _check_exchange(phase, policy)
    if not newest <= snapshot.last_id < _LAST_ID or snapshot.last_id < 0:
        raise ValueError("an intent's id is past the last one, or the last id is none that a session comes to")
    if not (
        all(time is None or -_FARTHEST <= time <= _LONGEST for time in times)
        and all(time is None or abs(time) <= _FARTHEST for time in longer)
        and all(jar.offset is None or abs(jar.offset + now) <= _FARTHEST for jar in jars)
    ):
        raise ValueError("a time in it is not finite, or too far away")


def _check_turn(turn: Turn, conversation: Conversation, profile: ServiceProfile) -> None:
    *history, question = turn.messages or (None,)
    if question is None or question.role != "user" or tuple(history) != conversation.message_history:
        raise ValueError("the turn's messages are not the history and a question")
    question.content.encode()
    if set(turn.retries) != set(Step) or not all(0 <= tries < _MANY for tries in turn.retries.values()):
        raise ValueError("the turn's retries are not those of each kind of request")
    if turn.credentials is not None:
        if not turn.credentials.tokens.vqd:
            raise ValueError("the turn's tokens are without an x-vqd-4")
        Tokens(turn.credentials.answer or "")
    profile.validate_model(turn.model)


def _check_exchange(phase: Exchanging, policy: Policy) -> None:
    exchange = phase.exchange
    if min(exchange.redirects, exchange.received, exchange.heads) < 0:
        raise ValueError("the exchange counts below 0")
    if exchange.head is not None and not 100 <= exchange.head.status <= 999:
        raise ValueError("the exchange's status is none")
    urlsplit(exchange.request.url)  # fails for what is no address
    if not exchange.is_in_order(head_seen=not isinstance(phase, Requesting)):
        raise ValueError("the exchange's reports are out of order")
    if isinstance(phase, Reading):
        phase.body.limit = policy.max_error_bytes
    if isinstance(phase, Reading | Streaming):
        body = phase.body
        if body.decoded < 0 or not 100 <= body.status <= 999:
            raise ValueError("the exchange's body counts below 0, or its status is none")
        kept = len(phase.text) - 1 if isinstance(phase, Reading) else 0
        if max(len(body.fed), kept) > body.limit:
            raise ValueError(f"the exchange has more of the body than is kept, {body.limit} bytes")


def _encode(now: float, value: Any) -> Any:
    if isinstance(value, CookieJar):
        return _Jar(value.cookies, None if value.offset is None else value.offset + now)
    if isinstance(value, ReplyReader):
        return value.to_data()
    kind = _Exchange if isinstance(value, Exchange) else _Body
    stored = {name: getattr(value, name) for name in kind.__struct_fields__}
    if kind is _Exchange:
        stored["chunks"] = list(value.chunks)
        stored["read_by"] -= now
        stored["total_by"] -= now
        stored["head"] = _moved(value.head, -now)
    return stored


def _decode(now: float, policy: Policy, kind: Any, data: Any) -> Any:
    if kind is CookieJar:
        jar = msgspec.convert(data, _Jar)
        return CookieJar(jar.cookies, offset=None if jar.offset is None else jar.offset - now)
    if kind is ReplyReader:
        return ReplyReader.from_data(data, policy)
    if kind is Exchange:
        saved = msgspec.convert(data, _Exchange)
        exchange = Exchange(saved.request, Step.CHAT, saved.redirects, policy, now=now, turn_until=math.inf)
        exchange.total_by = min(exchange.total_by, saved.total_by + now)
        exchange.read_by = min(exchange.total_by, saved.read_by + now)
        exchange.awaited, exchange.head, exchange.end = saved.awaited, _moved(saved.head, now), saved.end
        exchange.heads, exchange.received, exchange.heard = saved.heads, saved.received, saved.heard
        exchange.chunks.extend(saved.chunks)
        return exchange
    body = msgspec.convert(data, _Body)
    return Body(Step.CHAT, body.status, body.headers, policy.max_reply_bytes, fed=body.fed, decoded=body.decoded)
