"""A session as plain JSON data, at any moment, and the session that is read back from it.

What is stored of a turn is the session's phase, as msgspec writes it. Its times are by the caller's clock, which is
stored, too, so that whoever reads the snapshot can move them to another clock. A connection can't be stored: a request
of the handshake is asked for again, while the chat request, which has effects, stays as it is, and whoever continues
reports on its response or its failure.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from ._answer import read_answer
from ._exchange import Asked, End, Exchange, Failed, Head
from ._options import read_options
from ._phases import (
    Committing,
    Coordinating,
    Draining,
    InTurn,
    LeasedStreaming,
    Machine,
    Phase,
    Planning,
    Reading,
    Ready,
    Recalling,
    Requesting,
    Solved,
    Solving,
    Streaming,
    Waiting,
)
from ._response import Body
from ._setup import AnswerChallenge, Solver
from ._state import Awaited
from ._turn import Owed, Standing, Turn
from .conversation import Conversation
from .cookies import Cookie, CookieJar
from .errors import ContentDecodingError, ConversationFormatError, InvalidToken, LocalProtocolError
from .handshake import are_usable
from .headers import Headers
from .intents import ChallengeAnswer, Coordinate, Failure, SendRequest
from .pace import Landing
from .policy import MAX_COUNT, Policy
from .profile import ServiceProfile
from .reply import ReplyReader, SavedReply
from .steps import STEPS_TO, Step
from .text import printable, shown

FORMAT_VERSION = 2
"""Version 1 is read, too, where its session was at rest."""

_MANY = 2**31
"""More than any policy's tries, and few enough to calculate times with."""
_LONGEST = 1e9
"""Seconds, thirty years: no session waits for longer, and every driver can."""
_FARTHEST = 1e12
"""Seconds between two clocks, or since an event: past the year 9999, where the dates of the service end."""
_LAST_ID = 2**53
"""More ids than a session can use up."""
_UNREADABLE = (ValueError, OverflowError, RecursionError, InvalidToken, ContentDecodingError, LocalProtocolError)


class Snapshot(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All that a session holds.

    Attributes:
        format_version: of this form.
        now: the caller's clock when it was taken; all times are on that clock.
        origin: of the profile.
        last_id: the newest intent's id.
        conversation: as of the last turn that was done.
        answer_challenge: the setting.
        solver: the setting.
        supplied: the embedder's own cookies, or None.
        jar: as of the last turn that was done.
        fe_version: the front-end version; empty if it is not known.
        last_start: when the pacer's last request started.
        held_until: until when the pacer holds every request, if it does.
        landing: what the client has got from the landing page.
        ids: those that stay the same in the session.
        phase: where the session is.
        owed: what a shared engine has still to be told of the turn before.
        aside: a Coordinate that is out, and that no turn waits for.
    """

    format_version: int = FORMAT_VERSION
    now: float
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
    landing: Landing | None
    ids: dict[str, str] = {}
    phase: Phase
    owed: Owed | None = None
    aside: Asked | None = None


_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
_Status = Annotated[int, msgspec.Meta(ge=100, le=999)]


class _Exchange(msgspec.Struct, forbid_unknown_fields=True):
    """The attributes of an `Exchange` that a chat request needs to go on."""

    request: SendRequest
    redirects: _Count
    read_by: float
    total_by: float
    heads: _Count
    heard: bool
    awaited: Awaited
    head: Head | None
    chunks: list[bytes]
    received: _Count
    end: End | Failed | None


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """The attributes of a `Body` from which another one can go on."""

    status: _Status
    headers: Headers
    decoded: _Count
    fed: bytes


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The attributes of an `Asked`. The types of its call and its result are known once there is one."""

    id: _Count
    call: dict[str, Any]
    result: dict[str, Any] | None
    failure: Failure | None
    asked: float
    now: float


class _Jar(msgspec.Struct, forbid_unknown_fields=True):
    """The attributes of a `CookieJar`."""

    cookies: tuple[Cookie, ...]
    offset: float | None


_STORED: dict[type, type[msgspec.Struct]] = {
    CookieJar: _Jar,
    Exchange: _Exchange,
    Body: _Body,
    ReplyReader: SavedReply,
    Asked: _Asked,
}
"""What msgspec writes and reads in place of each class that it doesn't know."""


def save(machine: Machine, now: float) -> dict[str, Any]:
    """Return a session as data that JSON can hold.

    Args:
        machine: the session's.
        now: the caller's clock, in seconds.
    """
    setup, phase = machine.setup, machine.phase
    if isinstance(phase, Draining):
        phase = Ready()
    elif isinstance(phase, Requesting | Reading) and phase.exchange.step is not Step.CHAT:
        phase = Planning(phase.turn)
    pacer = setup.shared.pacer
    snapshot = Snapshot(
        now=now,
        origin=setup.profile.origin,
        last_id=machine.last_id,
        conversation=machine.conversation,
        answer_challenge=setup.answer_challenge,
        solver=setup.solver,
        supplied=setup.supplied,
        jar=machine.jar,
        fe_version=setup.fe_version(machine.conversation),
        last_start=pacer.last_start,
        held_until=pacer.held_until if pacer.held_until > now else None,
        landing=setup.shared.landing,
        ids=setup.ids,
        phase=phase,
        owed=machine.owed,
        aside=machine.aside,
    )
    data: dict[str, Any] = msgspec.to_builtins(snapshot, enc_hook=_encode)
    for name in ("owed", "aside"):
        if data[name] is None:  # as in all snapshots of sessions without a shared engine
            del data[name]
    return data


def resume(machine: Machine, data: object, now: float) -> None:
    """Continue in a new session where the stored one was.

    Args:
        machine: the new session's; its shared state gets what the stored session knew.
        data: anything.
        now: the caller's clock, in seconds.

    Raises:
        ConversationFormatError: see `load`.
    """
    setup = machine.setup
    saved = load(data, setup.profile, setup.policy, now)
    setup.answer_challenge, setup.solver, setup.supplied = saved.answer_challenge, saved.solver, saved.supplied
    setup.ids = setup.kept_ids("session", saved.ids)
    model = saved.conversation.model or machine.conversation.model
    machine.conversation = msgspec.structs.replace(saved.conversation, model=model)
    machine.jar, machine.last_id = saved.jar, saved.last_id
    machine.owed, machine.aside = saved.owed, saved.aside
    _check_coordination(machine, saved)
    machine.enter(saved.phase)
    setup.shared.learn(
        fe_version=saved.fe_version,
        last_start=saved.last_start,
        held_until=saved.held_until,
        landing=saved.landing,
    )
    if isinstance(saved.phase, InTurn):
        turn = saved.phase.turn
        turn.ids = setup.kept_ids("conversation", turn.ids)
        turn.ticket = setup.shared.pacer.enter_again(turn.ticket)


def _check_coordination(machine: Machine, saved: Snapshot) -> None:
    """Check that a stored turn goes on by the same engine.

    Raises:
        ConversationFormatError: it doesn't.
    """
    settings = machine.setup.coordination
    own = None if settings is None else settings.key
    is_of_engine = isinstance(saved.phase, InTurn) and saved.phase.turn.standing is not None
    if (isinstance(saved.phase, InTurn) and is_of_engine is not (settings is not None)) or (
        saved.owed is not None and settings is None
    ):
        given = "needs a shared engine" if settings is None else "goes by no shared engine"
        raise ConversationFormatError(f"the snapshot's turn {given}: pass the same coordination")
    if any(standing.key not in (None, own) for standing in _standings(saved)):
        raise ConversationFormatError("the snapshot's conversation has another key: pass the same coordination")


def load(data: object, profile: ServiceProfile, policy: Policy, now: float) -> Snapshot:
    """Read what `save` returned.

    Args:
        data: anything.
        profile: of the session that goes on.
        policy: of that session; its bounds and timeouts count from here on.
        now: the caller's clock, in seconds.

    Returns:
        The snapshot, its times by the caller's clock. Its parts fit together, and everything in it can be sent.

    Raises:
        ConversationFormatError: the data is not of that form; the message says where.
    """
    version = data.get("format_version") if isinstance(data, dict) else None
    if version == 1:
        data = _from_version_1(data)
    elif version != FORMAT_VERSION:
        raise ConversationFormatError(f"not a snapshot of format version {FORMAT_VERSION}, but of {shown(version, 40)}")
    try:
        snapshot = msgspec.convert(data, Snapshot, dec_hook=partial(_decode, policy), str_keys=True)
        _move_clock(snapshot, policy, now)
        _check(snapshot, profile, policy)
    except _UNREADABLE as error:
        raise ConversationFormatError(f"the snapshot can't be read: {printable(str(error), 300)}") from error
    return snapshot


def _from_version_1(data: Any) -> dict[str, Any]:
    """Rewrite a snapshot of a session at rest, as transcripts of version 0.1 begin with."""
    phases = {"READY": "Ready", "CLOSED": "Closed"}
    parts = {"turn", "exchange", "reader", "intent", "outcome"}
    state = data.get("state")
    if not isinstance(state, str) or state not in phases or any(data.get(part) is not None for part in parts):
        raise ConversationFormatError("a snapshot of format version 1 is read only where its session was at rest")
    kept = {name: value for name, value in data.items() if name not in {*parts, "state", "cancelled"}}
    cancelled = None if data.get("cancelled") is None else {"text": data["cancelled"]}
    phase = {"type": phases[state], "cancelled": cancelled}
    return {**kept, "format_version": FORMAT_VERSION, "now": 0.0, "held_until": None, "landing": None, "phase": phase}


def _encode(value: Any) -> Any:
    if isinstance(value, ReplyReader):
        return value.saved
    if isinstance(value, deque):
        return list(value)
    if isinstance(value, Asked):
        return {
            "id": value.intent.id,
            "call": msgspec.to_builtins(value.intent.call),
            "result": msgspec.to_builtins(value.result),
            "failure": msgspec.to_builtins(value.failure),
            "asked": value.asked,
            "now": value.now,
        }
    return {name: getattr(value, name) for name in _STORED[type(value)].__struct_fields__}


def _decode(policy: Policy, kind: type, data: Any) -> Any:
    try:
        saved: Any = msgspec.convert(data, _STORED[kind])
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None  # so that msgspec says where in the snapshot it is
    match saved:
        case SavedReply():
            return ReplyReader(policy, saved)
        case _Jar():
            return CookieJar(saved.cookies, offset=saved.offset)
        case _Body():
            limit = policy.max_reply_bytes
            return Body(Step.CHAT, saved.status, saved.headers, limit, fed=saved.fed, decoded=saved.decoded)
        case _Asked():
            return _read_asked(saved)
    exchange = Exchange(saved.request, Step.CHAT, saved.redirects, policy, now=0.0, turn_until=math.inf)
    for name in ("read_by", "total_by", "heads", "heard", "awaited", "head", "received", "end"):
        setattr(exchange, name, getattr(saved, name))
    exchange.chunks.extend(saved.chunks)
    return exchange


def _read_asked(saved: _Asked) -> Asked:
    from ._coordinate import check_result  # which most snapshots never need
    from .coordination import Call, Result

    call: Call = msgspec.convert(saved.call, Call)
    asked = Asked(Coordinate(id=saved.id, call=call))
    if saved.result is not None:
        asked.result = msgspec.convert(saved.result, Result)
        check_result(call, asked.result)
    asked.failure, asked.asked, asked.now = saved.failure, saved.asked, saved.now
    return asked


def _move_clock(snapshot: Snapshot, policy: Policy, now: float) -> None:
    """Move all times to the caller's clock. How long an exchange may take is the policy's to say.

    Raises:
        ValueError: a time is not finite, or too far away.
    """
    phase, then = snapshot.phase, snapshot.now

    def moved(time: Any, longest: float = _LONGEST) -> Any:
        return None if time is None else now + _bounded(time - then, longest)

    # No turn waits for these longer than it may take.
    snapshot.last_start = moved(snapshot.last_start, _FARTHEST)
    snapshot.held_until = moved(snapshot.held_until, _FARTHEST)
    jars = [snapshot.jar]
    if isinstance(phase, InTurn):
        turn = phase.turn
        for name in ("until", "backoff_until", "elapsed", "begun"):
            setattr(turn, name, moved(getattr(turn, name)))
        turn.ticket = msgspec.structs.replace(turn.ticket, began=moved(turn.ticket.began))
        if turn.told is not None:
            turn.told = msgspec.structs.replace(turn.told, until=moved(turn.told.until))
        jars.append(turn.jar)
        if turn.standing is not None:
            _move_standing(turn.standing, moved)
    if (owed := snapshot.owed) is not None:
        owed.held_until = moved(owed.held_until, _FARTHEST)
        if owed.standing is not None:
            _move_standing(owed.standing, moved)
    for asked in (snapshot.aside, phase.asked if isinstance(phase, Coordinating | Committing) else None):
        if asked is not None:
            asked.asked, asked.now = moved(asked.asked), moved(asked.now)
    if (landing := snapshot.landing) is not None:
        visited, offset = moved(landing.visited, _FARTHEST), _bounded(then + landing.offset, _FARTHEST) - now
        snapshot.landing = msgspec.structs.replace(landing, visited=visited, offset=offset)
    for jar in jars:
        if jar.offset is not None:  # from the caller's clock to the service's
            jar.offset = _bounded(then + jar.offset, _FARTHEST) - now
    match phase:
        case Waiting():
            phase.wait = msgspec.structs.replace(phase.wait, until=moved(phase.wait.until))
        case Requesting() | Reading() | Streaming() | Committing():
            exchange = phase.exchange
            exchange.standing = None if isinstance(phase, Committing) else phase.turn.standing
            exchange.turn_until = phase.turn.until
            exchange.total_by = min(moved(exchange.total_by), now + policy.total_timeout)
            exchange.read_by = min(moved(exchange.read_by), exchange.total_by)
            if exchange.head is not None:
                exchange.head = msgspec.structs.replace(exchange.head, now=moved(exchange.head.now))


def _move_standing(standing: Standing, moved: Callable[..., Any]) -> None:
    for name in ("begun", "until", "renew_at", "retry_at", "ask_at"):
        setattr(standing, name, moved(getattr(standing, name)))
    standing.held_until = moved(standing.held_until, _FARTHEST)
    if standing.slot is not None:
        begin, end = standing.slot
        standing.slot = moved(begin), moved(end)


def _bounded(seconds: float, longest: float) -> float:
    if not -_FARTHEST <= seconds <= longest:
        raise ValueError("a time in it is not finite, or too far away")
    return seconds


def _check(snapshot: Snapshot, profile: ServiceProfile, policy: Policy) -> None:
    """Check that a session can have got there, and that everything in it can be sent.

    Raises:
        ValueError: what is wrong.
        OverflowError: a number is too long for JSON.
        RecursionError: something is nested too deeply for JSON.
        InvalidToken: a token can't be sent.
    """
    msgspec.json.encode(snapshot, enc_hook=_encode)  # raises for what no JSON file can have held
    if snapshot.origin != profile.origin:
        raise ValueError(
            f"the snapshot is of {snapshot.origin}, and the profile of {profile.origin}; "
            "continue with a profile of the same address"
        )
    msgspec.structs.replace(snapshot.conversation, fe_version=snapshot.fe_version).to_json()
    Conversation(ids=tuple(snapshot.ids.items()))
    phase, newest = snapshot.phase, 0
    if isinstance(phase, InTurn):
        _check_turn(phase.turn, snapshot.conversation, profile)
        _check_completed(phase)
    for standing in _standings(snapshot):
        _check_standing(standing)
    match phase:
        case Waiting():
            newest = phase.wait.id
        case Solving():
            newest = phase.solve.id
            if isinstance(phase.outcome, Solved):
                read_answer(ChallengeAnswer(phase.outcome.answer, phase.outcome.headers, phase.outcome.body), profile)
        case Coordinating():
            newest = phase.asked.intent.id
        case Requesting() | Reading() | Streaming() | Committing():
            newest = phase.exchange.request.id
            _check_exchange(phase, policy)
    if isinstance(phase, Coordinating | Committing | LeasedStreaming):
        _check_asked(phase)
    newest = max(newest, 0 if snapshot.aside is None else snapshot.aside.intent.id)
    if not 0 <= newest <= snapshot.last_id < _LAST_ID:
        raise ValueError("an intent's id is past the last one, or the last id is out of range")


def _check_turn(turn: Turn, conversation: Conversation, profile: ServiceProfile) -> None:
    if turn.goal not in STEPS_TO or (turn.goal is Step.MODELS and profile.models_path is None):
        raise ValueError("the turn's goal is neither a reply nor a list of models that the service has")
    if turn.goal is Step.CHAT:
        *history, question = turn.messages or (None,)
        if question is None or question.role != "user" or tuple(history) != conversation.message_history:
            raise ValueError("the turn's messages are not the history and a question")
    if set(turn.retries) != set(STEPS_TO[turn.goal]) or not all(0 <= tries < _MANY for tries in turn.retries.values()):
        raise ValueError("the turn's retries are not those of each kind of request")
    if turn.credentials is not None:
        if not are_usable(turn.credentials.tokens, profile):
            missing = "an x-vqd-4" if profile.vqd_4 else "a challenge"
            raise ValueError(f"the turn's tokens are without {missing}")
        credentials = turn.credentials
        read_answer(ChallengeAnswer(credentials.answer or "", credentials.headers, credentials.body), profile)
    Conversation(ids=tuple(turn.ids.items()))
    profile.validate_model(turn.model)
    options = turn.options
    read_options(profile, turn.model, options.effort, options.tools, options.extra)
    turn.is_text_alone = all(message.is_text_alone for message in turn.messages)


def _standings(snapshot: Snapshot) -> list[Standing]:
    """Return what a snapshot has of turns that go by a shared engine."""
    found = [snapshot.phase.turn.standing] if isinstance(snapshot.phase, InTurn) else []
    found += [snapshot.owed.standing] if snapshot.owed is not None else []
    return [standing for standing in found if standing is not None]


def _check_standing(standing: Standing) -> None:
    from .coordination.calls import MAX_WINDOW  # which most snapshots never need

    # What a call of the engine can have: see `coordination.calls`.
    if not 0 < standing.window <= MAX_WINDOW or not 0 <= standing.fence <= 2**53 or not 0 <= standing.revision <= 2**53:
        raise ValueError("the turn's window, fence or revision is out of range")
    if (standing.key is None or standing.first is None or standing.later is None) and (
        standing.fence or standing.turn or standing.key is not None
    ):
        raise ValueError("the turn has a conversation at the shared engine, but no key or no question")


def _check_completed(phase: InTurn) -> None:
    """Check that a turn that is complete is one that a shared engine is to store."""
    standing, is_complete = phase.turn.standing, phase.turn.completed is not None
    has_key = standing is not None and standing.key is not None
    if is_complete and not (has_key and isinstance(phase, Planning | Waiting | Coordinating | Committing)):
        raise ValueError("the turn is complete, but nothing is to store it")
    if isinstance(phase, Committing) and not is_complete:
        raise ValueError("the turn is to be stored, but it is not complete")
    if isinstance(phase, Recalling) and not 0 <= phase.told < 2 + (phase.completed.finished.text != ""):
        raise ValueError("the events that the caller has got are more than there are")


def _check_asked(phase: Coordinating | Committing | LeasedStreaming) -> None:
    """Check that what a turn has asked a shared engine is what it can ask there."""
    from .coordination import Claim, Commit, Hold, Reserve

    standing = phase.turn.standing
    if standing is None or (standing.key is None and isinstance(phase, LeasedStreaming)):
        raise ValueError("the turn has asked a shared engine that it doesn't go by")
    if isinstance(phase, LeasedStreaming):
        return
    call, is_complete = phase.asked.intent.call, phase.turn.completed is not None
    if isinstance(call, Commit) is not is_complete:
        raise ValueError("only a turn that is complete is stored")
    if not isinstance(call, Reserve | Hold) and (
        call.key != standing.key or (not standing.fence and type(call) is not Claim)
    ):
        raise ValueError("the turn has asked for a conversation that it doesn't have")


def _check_exchange(phase: Requesting | Reading | Streaming | Committing, policy: Policy) -> None:
    exchange = phase.exchange
    if exchange.head is not None and not 100 <= exchange.head.status <= 999:
        raise ValueError("the exchange's status is not one of HTTP")
    urlsplit(exchange.request.url)  # raises if it is not an address
    if not exchange.is_in_order(head_seen=not isinstance(phase, Requesting)):
        raise ValueError("the exchange's reports are out of order")
    if isinstance(phase, Reading):
        phase.body.limit = policy.max_error_bytes
    if isinstance(phase, Reading | Streaming):
        kept = len(phase.text) - 1 if isinstance(phase, Reading) else 0
        if max(len(phase.body.fed), kept) > phase.body.limit:
            raise ValueError(f"the exchange has more of the body than is kept, {phase.body.limit} bytes")
