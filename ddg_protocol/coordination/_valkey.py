"""A call as a command for Valkey or Redis, and their reply as its result.

Of a pace, all is in the hash ``ddg:1:{SCOPE}:pace``; of a conversation, in ``ddg:1:{c:KEY}``. A command is one script
with that key, so it is carried out as one step, on a cluster too.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from ..errors import EngineUnavailable
from ..text import printable
from . import _pace
from ._overview import LeasedConversation, leased
from ._pace import Fetch, Given, PaceState, Place
from ._scripts import CONVERSATION, LOOK, PACE
from ._time import NEVER, Clock, microseconds, seconds
from ._turns import Lease
from .calls import (
    Busy,
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    ConversationCall,
    Done,
    Held,
    Hold,
    Lost,
    Mark,
    Marked,
    PaceCall,
    Refused,
    Release,
    Released,
    Reserve,
    Result,
    Slot,
)

_SIGNED = re.compile(rb"-?[0-9]{1,16}")
_PLACE = re.compile(rb"p([0-9]{1,15})")


class Script(msgspec.Struct, frozen=True):
    """A Lua script.

    Attributes:
        text: the script.
        sha: the name by which a server knows it that has run it once: for EVALSHA.
    """

    text: str
    sha: str


class Command(msgspec.Struct, frozen=True):
    """A script to run: EVALSHA, and EVAL where the server doesn't know it.

    Attributes:
        script: which one.
        key: its only key.
        arguments: what it gets besides.
    """

    script: Script
    key: bytes
    arguments: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Command({self.arguments[0].decode()}, <{len(self.arguments)} arguments>)"


def _script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_PACE, _CONVERSATION, _LOOK = _script(PACE), _script(CONVERSATION), _script(LOOK)
_LEASE = b"time", b"offset", b"fence", b"holder", b"until", b"ended", b"marked"
CONVERSATIONS = b"ddg:1:{c:*}"
"""Matches the keys of all conversations."""


def encode(call: Call, *, scope: str, ttl: float | None = None) -> Command:
    """Return the command that carries out a call.

    Args:
        call: what a session asks.
        scope: names the pace.
        ttl: seconds for which a conversation is kept after the last call that changes it; None for no end.
    """
    if isinstance(call, Reserve | Hold):
        return Command(_PACE, _pace_key(scope), _pace_arguments(call))
    milliseconds = b"" if ttl is None else b"%d" % max(1, round(ttl * 1000))
    verb, *arguments = _conversation_arguments(call)
    return Command(_CONVERSATION, b"ddg:1:{c:" + call.key.encode() + b"}", (verb, milliseconds, *arguments))


def _pace_key(scope: str) -> bytes:
    return b"ddg:1:{" + scope.encode() + b"}:pace"


def _pace_arguments(call: PaceCall) -> tuple[bytes, ...]:
    if isinstance(call, Hold):
        return b"hold", _duration(call.seconds)
    return (
        b"reserve",
        call.nonce.encode(),
        _duration(call.interval),
        _duration(call.window),
        b"%d" % call.need,
        call.ticket.encode(),
        call.epoch.encode(),
        repr(float(call.max_wait)).encode(),
        b"%d" % call.fetches,
        call.fe_version.encode(),
    )


def _conversation_arguments(call: ConversationCall) -> tuple[bytes, ...]:
    match call:
        case Claim():
            claim = b"%d" % call.fence, b"%d" % call.take_over
            return b"claim", call.holder.encode(), _duration(call.lease), call.turn.encode(), *claim
        case Mark():
            return b"mark", b"%d" % call.fence, _duration(call.lease)
        case Commit():
            numbers = b"%d" % call.fence, b"%d" % call.revision
            return b"commit", *numbers, call.document, call.turn.encode(), call.reply
    numbers = b"%d" % call.fence, b"%d" % call.revision
    return b"release", *numbers, b"%d" % (call.document is not None), call.document or b""


def _duration(duration: float) -> bytes:
    return b"%d" % microseconds(duration)


def decode(call: Call, reply: object) -> Result:
    """Return the result that a reply says.

    Args:
        call: what was asked.
        reply: what the server said, as its client gives it: bytes, or a list of them.

    Raises:
        EngineUnavailable: if the reply can't be read, or says that the server may not keep what it is given.
    """
    if isinstance(reply, bytes):
        parts = reply.split(b" ")
    elif isinstance(reply, list) and all(isinstance(part, bytes) for part in reply):
        parts = reply
    else:
        parts = []
    try:
        result = _result(call, parts)
    except ValueError:
        result = None
    if result is not None:
        return result
    raise EngineUnavailable(
        f"the reply to {type(call).__name__} can't be read: it has another form than that of this version's scripts; "
        "is the client one for Valkey or Redis that doesn't decode replies?"
    )


def _result(call: Call, reply: list[bytes]) -> Result | None:
    """Return the result; None if the call has no such result."""
    match call, reply:
        case Reserve(), [b"slot", delay, final, ticket, epoch, position, version]:
            return Slot(
                delay=_seconds(delay),
                final=_bit(final),
                ticket=ticket.decode(),
                epoch=epoch.decode(),
                position=_number(position),
                fe_version=version.decode(),
            )
        case Reserve(), [b"refused", wait]:
            return Refused(wait=_seconds(wait))
        case Hold(), [b"held"]:
            return Held()
        case Claim(), [b"claimed", fence, revision, document, sent]:
            return Claimed(fence=_number(fence), revision=_number(revision), document=document, sent=_bit(sent))
        case Claim(), [b"busy", wait]:
            return Busy(retry_after=_seconds(wait))
        case Claim(), [b"done", reply_of_turn, revision, document]:
            return Done(reply=reply_of_turn, revision=_number(revision), document=document)
        case Claim(), [b"evicts", policy]:
            raise EngineUnavailable(
                f"the server may drop conversations when its memory is full: set maxmemory-policy to noeviction, "
                f"which is {printable(policy.decode())} now"
            )
        case ((Claim() | Mark() | Commit() | Release()), [b"lost"]):
            return Lost()
        case Mark(), [b"marked"]:
            return Marked()
        case Commit(), [b"committed", revision]:
            return Committed(revision=_number(revision))
        case Release(), [b"released"]:
            return Released()
    return None


def _number(value: bytes) -> int:
    if not _is_number(value):
        raise ValueError
    return int(value)


def _is_number(value: bytes) -> bool:
    return value.isdigit() and len(value) <= 16


def _seconds(value: bytes) -> float:
    return seconds(_number(value))


def _bit(value: bytes) -> bool:
    if value not in (b"0", b"1"):
        raise ValueError
    return value == b"1"


# To look


def look_at_pace(scope: str) -> Command:
    """Return the command that reads a pace; `read_pace` reads its reply."""
    return Command(_LOOK, _pace_key(scope), (b"look",))


def look_at_conversation(key: bytes) -> Command:
    """Return the command that reads a conversation, by a key of the server; `read_leased` reads its reply."""
    return Command(_LOOK, key, (b"look", *_LEASE))


def read_pace(reply: object) -> tuple[int, PaceState]:
    """Return the server's time, in microseconds, and the pace in its present life.

    Raises:
        EngineUnavailable: the reply or the pace can't be read.
    """
    now, run, fields = _fields(reply)
    try:
        return now, _pace_of(fields, run)
    except (ValueError, UnicodeError) as error:
        raise EngineUnavailable(f"the stored pace can't be read: {printable(str(error), 100)}") from None


def read_leased(key: bytes, reply: object) -> LeasedConversation | None:
    """Return a conversation if a turn has it.

    Args:
        key: the key of the server.
        reply: that to `look_at_conversation`.

    Raises:
        EngineUnavailable: the reply or the conversation can't be read.
    """
    now, _, fields = _fields(reply)
    try:
        clock = Clock(_whole(fields, b"time", NEVER), _whole(fields, b"offset", 0))
        lease = Lease(
            fence=_whole(fields, b"fence", 0),
            holder=fields.get(b"holder", b"").decode(),
            until=_whole(fields, b"until", NEVER),
            ended=fields.get(b"ended") != b"0",
            marked=fields.get(b"marked") == b"1",
        )
        return leased(key.removeprefix(b"ddg:1:{c:").removesuffix(b"}").decode(), lease, clock, now)
    except (ValueError, UnicodeError) as error:
        raise EngineUnavailable(f"the stored lease can't be read: {printable(str(error), 100)}") from None


def _fields(reply: object) -> tuple[int, bytes, dict[bytes, bytes]]:
    """Return the time, the server's run and the hash that a reply to `LOOK` has."""
    match reply:
        case [bytes() as seconds_, bytes() as more, bytes() as run, list() as flat] if (
            _is_number(seconds_) and _is_number(more) and len(flat) % 2 == 0
        ):
            if all(isinstance(each, bytes) for each in flat):
                return int(seconds_) * 1_000_000 + int(more), run, dict(zip(flat[::2], flat[1::2], strict=True))
    raise EngineUnavailable("the reply to a look can't be read; is the client one that doesn't decode replies?")


def _pace_of(fields: dict[bytes, bytes], run: bytes) -> PaceState:
    epoch = fields.get(b"epoch", run + b":").decode()
    state = PaceState(epoch=epoch)
    if b"times" in fields:
        time, offset, held, learned, tickets = map(_signed, _split(fields, b"times", 5))
        version = fields.get(b"version", b"").decode()
        clock = Clock(time, offset)
        state = PaceState(epoch=epoch, clock=clock, held=held, version=version, learned=learned, tickets=tickets)
    if epoch.partition(":")[0] != run.decode():
        return _pace.in_epoch(state, f"{run.decode()}:")
    places = []
    for name in fields:
        if found := _PLACE.fullmatch(name):
            need, fetches, until, nonce = _split(fields, name, 4)
            places.append(Place(int(found[1]), nonce.decode(), _number(need), _bit(fetches), _signed(until)))
    given, fetch = Given(), None
    if b"given" in fields:
        ticket, last, before, nonce = _split(fields, b"given", 4)
        given = Given(_number(ticket), nonce.decode(), _signed(last), _signed(before))
    if b"fetch" in fields:
        ticket, begun, since, nonce = _split(fields, b"fetch", 4)
        fetch = Fetch(_number(ticket), nonce.decode(), _signed(begun), _signed(since))
    places.sort(key=lambda place: place.ticket)
    unknown = b"given" not in fields
    return msgspec.structs.replace(state, unknown=unknown, given=given, places=tuple(places), fetch=fetch)


def _split(fields: dict[bytes, bytes], name: bytes, count: int) -> list[bytes]:
    parts = fields[name].split(b" ", count - 1)
    if len(parts) != count:
        raise ValueError(f"the field {name.decode()} has another form")
    return parts


def _whole(fields: dict[bytes, bytes], name: bytes, default: int) -> int:
    return _signed(fields[name]) if name in fields else default


def _signed(value: bytes) -> int:
    if not _SIGNED.fullmatch(value):
        raise ValueError(f"{value[:20]!r} is not a number")
    return int(value)
