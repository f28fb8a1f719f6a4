"""Whether calls of a conversation that overlapped in time could have been carried out one after the other.

The rules are written down once more here, as a person would say them, so that a mistake in those of the engines is not
made twice. Leases don't end in these histories: only whoever takes the conversation over gets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ddg_protocol.coordination import (
    Busy,
    Claim,
    Claimed,
    Commit,
    Committed,
    ConversationCall,
    Done,
    Lost,
    Mark,
    Marked,
    Release,
    Released,
    Result,
)


class Operation(NamedTuple):
    """A call, and when it was made and answered."""

    begun: float
    ended: float
    call: ConversationCall
    result: Result


class _State(NamedTuple):
    fence: int = 0
    holder: str | None = None  # None where the turn has ended
    marked: bool = False
    sent: bool = False
    revision: int = 0
    document: bytes = b""
    done: tuple[tuple[int, str, bytes], ...] = ()  # fence, key and reply of each turn
    holders: tuple[str, ...] = ()  # the newest


def _after(state: _State, call: ConversationCall, result: Result) -> _State | None:
    """Return the state after a call that is answered so; None if it can't be."""
    holds = state.holder is not None and not isinstance(call, Claim) and call.fence == state.fence
    match call:
        case Claim():
            for _, key, reply in state.done:
                if call.turn and key == call.turn:
                    done = Done(reply=reply, revision=state.revision, document=state.document)
                    return state if result == done else None
            if call.holder == state.holder and call.fence in (0, state.fence):
                document = b"" if call.fence else state.document
                same = Claimed(fence=state.fence, revision=state.revision, document=document, sent=state.sent)
                return state if result == same else None
            if call.fence or call.holder in state.holders:
                return state if result == Lost() else None
            if state.holder is not None and not call.take_over:
                return state if isinstance(result, Busy) else None
            sent = state.sent or state.marked
            if not isinstance(result, Claimed) or result.fence <= state.fence:
                return None
            fence = result.fence
            new = Claimed(fence=fence, revision=state.revision, document=state.document, sent=sent)
            holders = (*state.holders, call.holder)[-9:]
            taken = state._replace(fence=fence, holder=call.holder, holders=holders, marked=False, sent=sent)
            return taken if result == new else None
        case Mark():
            if holds:
                return state._replace(marked=True) if result == Marked() else None
        case Commit():
            if any(fence == call.fence and key == call.turn for fence, key, _ in state.done):
                return state if result == Committed(revision=state.revision) else None
            is_done = call.turn and any(key == call.turn for _, key, _ in state.done)
            if holds and not is_done and call.revision == state.revision:
                stored = state._replace(
                    holder=None, marked=False, sent=False, revision=state.revision + 1, document=call.document,
                    done=(*state.done, (call.fence, call.turn, call.reply)),
                )  # fmt: skip
                return stored if result == Committed(revision=stored.revision) else None
        case Release():
            if call.fence == state.fence and state.holder is None:
                return state if result == Released() else None
            if holds and call.revision == state.revision:
                freed = state._replace(holder=None, marked=False)
                if call.document is not None:
                    freed = freed._replace(sent=False, revision=state.revision + 1, document=call.document)
                return freed if result == Released() else None
    return state if result == Lost() else None


def is_linearizable(history: Sequence[Operation]) -> bool:
    """Return whether there is an order in which each call finds what the calls before it have left.

    The search is that of Wing and Gong: a call may come next if no other one had ended before it began. States that
    were tried with the same calls left over are not tried again (Lowe).
    """
    operations = sorted(history, key=lambda operation: operation.begun)
    every = (1 << len(operations)) - 1
    tried: set[tuple[int, _State]] = set()
    stack = [(0, _State())]
    while stack:
        made, state = stack.pop()
        if made == every:
            return True
        left = [(number, each) for number, each in enumerate(operations) if not made >> number & 1]
        first_end = min(operation.ended for _, operation in left)
        for number, operation in left:
            after = _after(state, operation.call, operation.result) if operation.begun <= first_end else None
            if after is not None and (made | 1 << number, after) not in tried:
                tried.add((made | 1 << number, after))
                stack.append((made | 1 << number, after))
    return False
