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
from ._scripts import CONVERSATION, PACE
from ._time import microseconds, seconds
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

_NUMBER = re.compile(rb"[0-9]{1,16}")


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


_PACE, _CONVERSATION = _script(PACE), _script(CONVERSATION)


def encode(call: Call, *, scope: str, ttl: float | None = None) -> Command:
    """Return the command that carries out a call.

    Args:
        call: what a session asks.
        scope: names the pace.
        ttl: seconds for which a conversation is kept after the last call that changes it; None for ever.
    """
    if isinstance(call, Reserve | Hold):
        return Command(_PACE, b"ddg:1:{" + scope.encode() + b"}:pace", _pace_arguments(call))
    milliseconds = b"" if ttl is None else b"%d" % max(1, round(ttl * 1000))
    verb, *arguments = _conversation_arguments(call)
    return Command(_CONVERSATION, b"ddg:1:{c:" + call.key.encode() + b"}", (verb, milliseconds, *arguments))


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
    parts = reply.split(b" ") if isinstance(reply, bytes) else reply
    if isinstance(parts, list) and all(isinstance(part, bytes) for part in parts):
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
    if not _NUMBER.fullmatch(value):
        raise ValueError
    return int(value)


def _seconds(value: bytes) -> float:
    return seconds(_number(value))


def _bit(value: bytes) -> bool:
    if value not in (b"0", b"1"):
        raise ValueError
    return value == b"1"
