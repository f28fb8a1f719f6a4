"""The turns of a conversation that processes share: one at a time, and each is stored once.

A turn *claims* the conversation. It gets a lease and a fence, a number that grows with each claim, and names the fence
in all that follows. So a turn that has lost the conversation to another one can't change it, however late it comes. A
*mark* notes that the question is about to be sent, for the case that nothing more is heard of the turn. A *commit*
stores the conversation as a whole, with the turn's key and reply: when the same turn is asked again, that is its reply.

Times are by the engine's clock, in microseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import EngineUnavailable
from ._time import NEVER, Clock, Kept, Time, microseconds, seconds
from .calls import (
    Busy,
    Claim,
    Claimed,
    Commit,
    Committed,
    ConversationCall,
    Count,
    Done,
    Lost,
    Mark,
    Marked,
    Release,
    Released,
)

MAX_TURNS = 64
"""How many turns a conversation remembers. A question whose answer was lost is asked again within a few turns."""
MAX_REPLY_BYTES = 4 * 1024 * 1024
"""How long the replies of these turns are in all. Of the oldest, the keys alone are kept; the newest always stays."""

MAX_EARLIER = 8
"""How many holders before the present one are remembered: a claim of theirs that comes late once more takes nothing."""


class Lease(Kept, frozen=True):
    """Who has the conversation.

    Attributes:
        fence: that of the newest claim.
        holder: its nonce.
        until: when the lease ends. Then another turn may claim the conversation; until one does, it is the holder's.
        ended: whether the holder has committed or released.
        marked: whether the holder's question may have been sent.
        sent: whether that of an earlier holder may have been, and what is stored is from before.
        earlier: the nonces of the holders before, the newest last.
    """

    fence: Count = 0
    holder: str = ""
    until: Time = NEVER
    ended: bool = True
    marked: bool = False
    sent: bool = False
    earlier: tuple[str, ...] = ()


class StoredTurn(Kept, frozen=True):
    """A turn that was committed.

    Attributes:
        fence: that of its claim.
        key: the turn's; empty if it has none.
        reply: the turn's; empty if it has no key, or the reply is no longer kept.
    """

    fence: Count
    key: str
    reply: bytes

    def __repr__(self) -> str:
        return f"StoredTurn(fence={self.fence}, key={self.key!r}, reply=<{len(self.reply)} bytes>)"


class Stored(Kept, frozen=True):
    """What the turns have stored.

    Attributes:
        revision: of the document; 0 before the first.
        document: the conversation; empty before the first.
        turns: those that are remembered, the oldest first.
    """

    revision: Count = 0
    document: bytes = b""
    turns: tuple[StoredTurn, ...] = ()

    def __repr__(self) -> str:
        return f"Stored(revision={self.revision}, document=<{len(self.document)} bytes>, turns={self.turns!r})"


class ConversationState(Kept, frozen=True):
    """What an engine keeps of a conversation.

    Attributes:
        lease: who has it.
        stored: what is in it. The same object as before, unless a call stores something.
        clock: what the engine has seen of its clock.
    """

    lease: Lease = Lease()
    stored: Stored = Stored()
    clock: Clock = Clock()


def decide(
    state: ConversationState, call: ConversationCall, now: int
) -> tuple[ConversationState, Claimed | Busy | Done | Lost | Marked | Committed | Released]:
    """Carry out a call.

    Args:
        state: what the engine holds; a new value for a conversation that it doesn't know.
        call: what a session asks.
        now: the engine's clock, in microseconds.

    Returns:
        What the engine holds after it, and the answer. Where nothing has to be written, it is the same object.

    Raises:
        EngineUnavailable: what the engine holds is out of range, so that there is no answer.
    """
    looked = msgspec.structs.replace(state, clock=state.clock.at(now))
    try:
        after, result = _decide(looked, call)
    except ValueError as error:  # of the answer, which checks itself
        raise EngineUnavailable(f"the stored conversation can't be used: {error}") from None
    # The clock that has gone back is remembered, or no lease would end while it catches up.
    unchanged = after is looked and looked.clock.offset == state.clock.offset
    return state if unchanged else after, result


def _decide(
    state: ConversationState, call: ConversationCall
) -> tuple[ConversationState, Claimed | Busy | Done | Lost | Marked | Committed | Released]:
    match call:
        case Claim():
            return _claim(state, call)
        case Commit():
            return _commit(state, call)
        case Release():
            return _release(state, call)
    if not _is_holder(state, call):
        return state, Lost()
    return _with_lease(state, until=_until(state, call), marked=True), Marked()


def _is_holder(state: ConversationState, call: Mark | Commit | Release) -> bool:
    """Return whether the conversation is still the caller's, even if the lease is over."""
    return call.fence == state.lease.fence and not state.lease.ended


def _until(state: ConversationState, call: Claim | Mark) -> int:
    """Return when the lease of the holder ends. A call that is late doesn't make it shorter."""
    return max(state.lease.until, state.clock.time + microseconds(call.lease))


def _with_lease(state: ConversationState, **changes: Any) -> ConversationState:
    return msgspec.structs.replace(state, lease=msgspec.structs.replace(state.lease, **changes))


def _claim(state: ConversationState, call: Claim) -> tuple[ConversationState, Claimed | Busy | Done | Lost]:
    lease, stored, now = state.lease, state.stored, state.clock.time
    for turn in stored.turns:
        if call.turn and turn.key == call.turn:
            return state, Done(reply=turn.reply, revision=stored.revision, document=stored.document)
    if call.holder == lease.holder and not lease.ended and call.fence in (0, lease.fence):
        document = b"" if call.fence else stored.document
        result = Claimed(fence=lease.fence, revision=stored.revision, document=document, sent=lease.sent)
        return _with_lease(state, until=_until(state, call)), result
    if call.fence or call.holder in (lease.holder, *lease.earlier):  # another turn has it, or this one has had it
        return state, Lost()
    if now < lease.until and not lease.ended and not call.take_over:
        return state, Busy(retry_after=seconds(lease.until - now))
    # As a time, it is larger than what was given before the engine lost its data.
    fence = max(lease.fence + 1, now)
    until, sent = now + microseconds(call.lease), lease.sent or lease.marked
    result = Claimed(fence=fence, revision=stored.revision, document=stored.document, sent=sent)
    earlier = (*lease.earlier, lease.holder)[-MAX_EARLIER:] if lease.fence else ()
    new = Lease(fence, call.holder, until, ended=False, sent=sent, earlier=earlier)
    return msgspec.structs.replace(state, lease=new), result


def _commit(state: ConversationState, call: Commit) -> tuple[ConversationState, Committed | Lost]:
    stored = state.stored
    if any(turn.fence == call.fence and turn.key == call.turn for turn in stored.turns):
        return state, Committed(revision=stored.revision)
    is_done = call.turn and any(turn.key == call.turn for turn in stored.turns)
    if is_done or call.revision != stored.revision or not _is_holder(state, call):
        return state, Lost()
    turn = StoredTurn(call.fence, call.turn, call.reply if call.turn else b"")
    stored = Stored(stored.revision + 1, call.document, _kept((*stored.turns, turn)))
    state = _with_lease(state, ended=True, marked=False, sent=False)
    return msgspec.structs.replace(state, stored=stored), Committed(revision=stored.revision)


def _kept(turns: tuple[StoredTurn, ...]) -> tuple[StoredTurn, ...]:
    """Return the turns that are remembered, with those of their replies that are kept."""
    kept: list[StoredTurn] = []
    size = 0
    for turn in reversed(turns[-MAX_TURNS:]):
        size += len(turn.reply)
        is_short_of_room = kept and size > MAX_REPLY_BYTES
        kept.append(msgspec.structs.replace(turn, reply=b"") if is_short_of_room else turn)
    return tuple(reversed(kept))


def _release(state: ConversationState, call: Release) -> tuple[ConversationState, Released | Lost]:
    stored = state.stored
    if call.fence == state.lease.fence and state.lease.ended:
        return state, Released()
    if call.revision != stored.revision or not _is_holder(state, call):
        return state, Lost()
    if call.document is None:
        return _with_lease(state, ended=True, marked=False), Released()
    state = _with_lease(state, ended=True, marked=False, sent=False)
    stored = Stored(stored.revision + 1, call.document, stored.turns)
    return msgspec.structs.replace(state, stored=stored), Released()
