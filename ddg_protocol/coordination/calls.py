"""What sessions ask of an engine, and what it answers: frozen values, with times as durations.

An engine keeps two kinds of things. The *pace* of one client is a queue of turns: `Reserve` and `Hold`. Each
*conversation* is a document with a revision, a lease and a fence: `Claim`, `Mark`, `Commit` and `Release`. One call
touches one of them, so that a store can carry it out as one step. Every call may be repeated after its answer was lost:
nonces, fences, revisions and turn keys tell that it is the same one.

Each value is checked when it is made: a `ValueError` says what is wrong with it.
"""

from __future__ import annotations

import functools
import typing
from typing import Annotated

import msgspec
from msgspec import Meta

from ..grammar import MAX_VERSION_CHARS
from ..policy import MAX_SECONDS

MAX_KEY_CHARS = 512
MAX_NEED = 16
MAX_WINDOW = 1.0
"""A session that needs more than a second to begin a request after it asked may not begin it."""
Count = Annotated[int, Meta(ge=0, le=2**53)]
"""Every kind of number that a store may have holds it exactly."""
_Seconds = Annotated[float, Meta(ge=0, le=MAX_SECONDS)]
_Window = Annotated[float, Meta(ge=0, le=MAX_WINDOW)]
_Delay = Annotated[float, Meta(ge=0, le=1.7976931348623157e308)]  # not infinite
_Word = Annotated[str, Meta(pattern=r"\A[!-~]{0,64}\Z")]
_Nonce = Annotated[str, Meta(pattern=r"\A[!-~]{1,64}\Z")]
_Version = Annotated[str, Meta(pattern=rf"\A[!-~]{{0,{MAX_VERSION_CHARS}}}\Z")]
_Key = Annotated[str, Meta(pattern=rf"\A[^\ud800-\udfff]{{1,{MAX_KEY_CHARS}}}\Z")]
_TurnKey = Annotated[str, Meta(pattern=rf"\A[^\ud800-\udfff]{{0,{MAX_KEY_CHARS}}}\Z")]
_Need = Annotated[int, Meta(ge=1, le=MAX_NEED)]
_Fence = Annotated[int, Meta(ge=1, le=2**53)]


@functools.cache
def _form(cls: type) -> type[msgspec.Struct]:
    """Return a struct with the attributes of a class, and without its check."""
    return msgspec.defstruct(cls.__name__, typing.get_type_hints(cls, include_extras=True).items())


class _Value(msgspec.Struct, frozen=True):
    """A value whose attributes are as their types say.

    Neither what is stored shows in its repr, which has tokens in it, nor keys, which say who talks.
    """

    def __post_init__(self) -> None:
        try:
            # Without `builtin_types` a text would be taken for bytes in base64.
            msgspec.convert(self, _form(type(self)), from_attributes=True, builtin_types=(bytes,))
        except msgspec.ValidationError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None

    def __repr__(self) -> str:
        shown = (f"{name}={_shown(name, getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(shown)})"


def _shown(name: str, value: object) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return f"<{len(value)} characters>" if name in ("key", "turn") and isinstance(value, str) else repr(value)


# The pace


class Reserve(_Value, frozen=True, kw_only=True, tag=True):
    """Ask when a turn's next request may begin. Answered by `Slot` or `Refused`.

    The turn keeps its place in the queue, the oldest first, until it has made `need` requests. A slot that is not final
    is asked for once more when its delay is over.

    Attributes:
        nonce: unique for each request that is to begin; the same when the call is repeated, the slot confirmed, or
            another one asked for because the request could not begin in time.
        interval: seconds from the start of one request to the next one's.
        window: seconds for which a slot may be used, at most 1. The engine leaves ``interval + window``
            between slots.
        need: how many paced requests the turn has still to make, this one included.
        ticket: of an earlier `Slot` of the same turn; empty for its first.
        epoch: of that slot; a ticket of another epoch is void, and the turn is the youngest.
        max_wait: the longest delay, in seconds, that is of use. A longer one is refused, and takes no place.
        fetches: whether the request is for the front-end version. It waits while another turn's is under way.
        fe_version: the front-end version that the session knows. The engine keeps one for a day; that of a turn whose
            last request was for it replaces the one before.
    """

    nonce: _Nonce
    interval: _Seconds
    window: _Window
    need: _Need = 1
    ticket: _Word = ""
    epoch: _Word = ""
    max_wait: _Seconds
    fetches: bool = False
    fe_version: _Version = ""


class Slot(_Value, frozen=True, kw_only=True, tag=True):
    """When a request may begin.

    Attributes:
        delay: seconds after which the slot begins, counted from when the answer has come. From when the call was made
            it would be too early, by as long as the call took to reach the engine.
        final: whether it is the turn's. Then the request begins after the delay and within the window, which is counted
            from when the call was made, or never: if it is too late for that, the turn calls again with the same nonce.
            The delay is at most half the window. A slot that is not final is asked for again after the delay.
        ticket: says how old the turn is; opaque.
        epoch: of the engine's life; opaque.
        position: how many turns are ahead.
        fe_version: the front-end version that any client of the engine has fetched; empty if none has.
    """

    delay: _Delay
    final: bool
    ticket: _Nonce
    epoch: _Nonce
    position: Count = 0
    fe_version: _Version = ""


class Refused(_Value, frozen=True, kw_only=True, tag=True):
    """The slot would be further off than the turn can wait, or the queue is full.

    Attributes:
        wait: seconds until the slot would begin.
    """

    wait: _Delay


class Hold(_Value, frozen=True, kw_only=True, tag=True):
    """Let no request begin for a while, as a ``Retry-After`` asks. Answered by `Held`.

    Attributes:
        seconds: for how long.
    """

    seconds: _Seconds


class Held(msgspec.Struct, frozen=True, tag=True):
    """Slots that were not final begin after the hold."""


# A conversation


class Claim(_Value, frozen=True, kw_only=True, tag=True):
    """Take, or keep, the lease of a conversation. Answered by `Claimed`, `Busy`, `Done` or `Lost`.

    Attributes:
        key: the conversation's.
        holder: a nonce of the turn that claims, at most once: a claim by the holder of the lease renews it. One that
            has had the lease, and was followed by eight others at most, gets `Lost`.
        lease: seconds for which the lease holds.
        turn: the turn's key; one that the conversation has already done is answered by `Done`. Empty if it has none.
        fence: 0 to claim; to renew, that of `Claimed`: if the lease has passed to another, the answer is `Lost`.
        take_over: whether to take it from a holder whose lease has not ended.
    """

    key: _Key
    holder: _Nonce
    lease: _Seconds
    turn: _TurnKey = ""
    fence: Count = 0
    take_over: bool = False


class Claimed(_Value, frozen=True, kw_only=True, tag=True):
    """The conversation is the turn's.

    Attributes:
        fence: larger than that of every claim before; the later calls name it.
        revision: of the document; 0 before the first.
        document: what was stored last; empty before the first, and in the answer to a renewal.
        sent: whether an earlier holder has marked a turn and neither committed nor released it: its token may be spent.
            So it stays until a document is stored.
    """

    fence: _Fence
    revision: Count
    document: bytes
    sent: bool = False


class Busy(_Value, frozen=True, kw_only=True, tag=True):
    """Another turn has the lease.

    Attributes:
        retry_after: seconds until it ends, unless it is renewed.
    """

    retry_after: _Delay


class Done(_Value, frozen=True, kw_only=True, tag=True):
    """The turn was done already.

    Attributes:
        reply: what `Commit` stored with it; empty if it is no longer kept.
        revision: of the document now.
        document: the document now.
    """

    reply: bytes
    revision: Count
    document: bytes


class Lost(msgspec.Struct, frozen=True, tag=True):
    """The lease has passed to another turn. Nothing was changed."""


class Mark(_Value, frozen=True, kw_only=True, tag=True):
    """Note that the question is about to be sent. Answered by `Marked` or `Lost`.

    Attributes:
        key: the conversation's.
        fence: of the claim.
        lease: seconds for which the lease holds from now on.
    """

    key: _Key
    fence: _Fence
    lease: _Seconds


class Marked(msgspec.Struct, frozen=True, tag=True):
    """The next claim says that a question may have been sent."""


class Commit(_Value, frozen=True, kw_only=True, tag=True):
    """Store the conversation after its turn, and end the lease. Answered by `Committed` or `Lost`.

    Attributes:
        key: the conversation's.
        fence: of the claim.
        revision: that of the claim; the new one is larger by one.
        document: the conversation, as it is stored.
        turn: the turn's key; empty if it has none.
        reply: the reply, as it is stored for that key.
    """

    key: _Key
    fence: _Fence
    revision: Count
    document: bytes
    turn: _TurnKey = ""
    reply: bytes = b""


class Committed(_Value, frozen=True, kw_only=True, tag=True):
    """It is stored, now or by the same call before.

    Attributes:
        revision: of the document now.
    """

    revision: Count


class Release(_Value, frozen=True, kw_only=True, tag=True):
    """End the lease of a turn that was not done. Answered by `Released` or `Lost`.

    The turn's mark is taken back: if its question may have been sent, the document is without its token.

    Attributes:
        key: the conversation's.
        fence: of the claim.
        revision: that of the claim.
        document: the conversation without its spent token, which is a new revision; None leaves what is stored.
    """

    key: _Key
    fence: _Fence
    revision: Count
    document: bytes | None = None


class Released(msgspec.Struct, frozen=True, tag=True):
    """The conversation is free, its history as it was."""


PaceCall = Reserve | Hold
ConversationCall = Claim | Mark | Commit | Release
Call = PaceCall | ConversationCall
Result = Slot | Refused | Held | Claimed | Busy | Done | Lost | Marked | Committed | Released
RESULTS: dict[type[Call], tuple[type[Result], ...]] = {
    Reserve: (Slot, Refused),
    Hold: (Held,),
    Claim: (Claimed, Busy, Done, Lost),
    Mark: (Marked, Lost),
    Commit: (Committed, Lost),
    Release: (Released, Lost),
}
"""What each call may be answered by."""
