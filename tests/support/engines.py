"""Random calls for engines, and the model that they are held against, in a time that the test sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from ddg_protocol.coordination import (
    Call,
    Claim,
    Claimed,
    Commit,
    Hold,
    Mark,
    Release,
    Reserve,
    Result,
    Slot,
    _pace,
    _turns,
)
from ddg_protocol.coordination._pace import PaceState
from ddg_protocol.coordination._scripts import CLOCK
from ddg_protocol.coordination._turns import ConversationState

MICROSECONDS = 1_000_000


class Model:
    """The rules themselves, as an engine that has just begun its life."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._pace = PaceState(epoch="")
        self._conversations: dict[str, ConversationState] = {}

    def new_life(self) -> None:
        """Begin another life, as after a restart that may have lost the newest slots."""
        self._pace = msgspec.structs.replace(self._pace, epoch="")

    def call(self, call: Call) -> Result:
        if isinstance(call, Reserve | Hold):
            if not self._pace.epoch:  # as a server does: two lives have one name if the clock goes back to where it was
                self._pace = _pace.in_epoch(self._pace, f"model-{self._now()}")
            self._pace, result = _pace.decide(self._pace, call, self._now())
            return result
        before = self._conversations.get(call.key, ConversationState())
        self._conversations[call.key], answer = _turns.decide(before, call, self._now())
        return answer


_CLOCK = "local clock = tonumber(ARGV[#ARGV])\n"


class AtTime:
    """A client of Valkey whose scripts read a clock of the test: it is their last argument.

    Args:
        client: the client of a server.
        now: the time, in microseconds.
        mistake: a piece of a script, and what stands there instead.
    """

    def __init__(self, client: Any, now: Callable[[], int], *, mistake: tuple[str, str] = ("", "")) -> None:
        self._client, self._now, self._mistake = client, now, mistake
        self._known: dict[str, str] = {}

    def evalsha(self, sha: str, number: int, /, *arguments: Any) -> Any:
        if sha not in self._known:
            raise NoScriptError
        return self._client.evalsha(self._known[sha], number, *arguments, self._now())

    def eval(self, script: str, number: int, /, *arguments: Any) -> Any:
        assert CLOCK in script
        changed = self._client.script_load(script.replace(CLOCK, _CLOCK).replace(*self._mistake))
        self._known[hashlib.sha1(script.encode()).hexdigest()] = changed
        return self._client.evalsha(changed, number, *arguments, self._now())

    def close(self) -> None:
        self._client.close()


class NoScriptError(Exception):
    """What a client raises for a script that the server doesn't know."""


class Step(NamedTuple):
    """A call of a random history.

    `make` gets what the engine has given last to whoever calls, so that each engine is told its own tickets and fences.
    It returns None where no one calls, and the engine begins another life.
    """

    wait: int  # microseconds behind the call before
    caller: str  # a turn that wants requests, or a conversation
    make: Callable[[list[tuple[Any, Any]]], Call | None]


class Player:
    """Makes the calls of a history on one engine."""

    def __init__(self, engine: Any, new_life: Callable[[], None]) -> None:
        self._engine, self._new_life = engine, new_life
        self._given: dict[str, list[tuple[Any, Any]]] = {}
        self._epochs: list[str] = []

    def play(self, step: Step) -> Result | None:
        """Make a call; give its result with the epoch's number in the place of its name."""
        given = self._given.setdefault(step.caller, [])
        call = step.make(given)
        if call is None:
            return self._new_life()
        result: Result = self._engine.call(call)
        if isinstance(result, Slot | Claimed):
            given.append((call, result))
        if isinstance(result, Slot):
            if result.epoch not in self._epochs:
                self._epochs.append(result.epoch)
            return msgspec.structs.replace(result, epoch=str(self._epochs.index(result.epoch)))
        return result


def _some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


@st.composite
def _reserves(draw: st.DrawFn) -> Step:
    caller = draw(_some("a", "b", "c", "d"))
    nonce = f"{caller}{draw(_some(0, 0, 0, 1, 2))}"
    interval, window = draw(_some(1.5, 1.5, 1.5, 1.5, 0.15, 0.0)), draw(_some(0.05, 0.05, 0.05, 0.2, 0.0, 0.000_003))
    need, max_wait = draw(_some(1, 2, 3)), draw(_some(180.0, 180.0, 180.0, 3.0, 1.6, 0.0))
    fetches, version = draw(_some(False, True)), draw(_some("", "", "", "", "", "", "", "v1", "v2"))
    known = draw(_some("own", "own", "own", "own", "none", "1", "99", "0x1", "another epoch"))

    def make(given: list[tuple[Reserve, Slot]]) -> Call:
        ticket, epoch = (given[-1][1].ticket, given[-1][1].epoch) if given and known != "none" else ("", "")
        if known.isalnum() and known[0] in "019":
            ticket = known
        return Reserve(
            nonce=nonce, interval=interval, window=window, need=need, max_wait=max_wait, fetches=fetches,
            fe_version=version, ticket=ticket, epoch="another" if known == "another epoch" else epoch,
        )  # fmt: skip

    return Step(draw(_some(0, 0, 1, 20_000, 50_000, 140_000, 1_550_000, 1_500_000, 3_100_000, 5_000_000)), caller, make)


@st.composite
def _holds(draw: st.DrawFn) -> Step:
    seconds = draw(_some(0.0, 0.04, 1.0, 5.0))
    return Step(draw(_some(0, 1_000_000)), "", lambda _: Hold(seconds=seconds))


@st.composite
def _lives(draw: st.DrawFn) -> Step:
    return Step(draw(_some(1, 20_000)), "", lambda _: None)


@st.composite
def _conversation_calls(draw: st.DrawFn) -> Step:
    kind = draw(_some("claim", "claim", "claim", "renew", "mark", "mark", "commit", "commit", "commit", "release"))
    key = draw(_some("k", "k", "k", "k", "{b}\0é"))
    turn, holder = draw(_some("", "", "1", "2", "é 3", "4")), draw(st.text("hxyz", min_size=1, max_size=2))
    lease, takes = draw(_some(10.0, 10.0, 0.5)), draw(_some(False, False, False, True))
    back, off = draw(_some(1, 1, 1, 1, 1, 2)), draw(_some(0, 0, 0, 0, 0, 0, 1))
    document, reply = draw(st.binary(max_size=9)), draw(_some(b"", b"r1", b"r2", bytes(5)))
    stores = draw(st.booleans())

    def make(given: list[tuple[Claim, Claimed]]) -> Call:
        none = Claim(key=key, holder="none", lease=1.0), Claimed(fence=1, revision=0, document=b"")
        claim, last = given[-back] if len(given) >= back else none
        fence, revision = last.fence, last.revision + off
        match kind:
            case "claim":
                return Claim(key=key, holder=holder, lease=lease, turn=turn, take_over=takes)
            case "renew":
                return Claim(key=key, holder=claim.holder, lease=lease, turn=turn, fence=fence + off)
            case "mark":
                return Mark(key=key, fence=fence + off, lease=lease)
            case "commit":
                named = {"turn": turn, "reply": reply} if turn else {}
                return Commit(key=key, fence=fence, revision=revision, document=document, **named)
        return Release(key=key, fence=fence, revision=revision, document=document if stores else None)

    return Step(draw(_some(0, 0, 0, 0, 20_000, 400_000, 500_000, 600_000, 11_000_000)), key, make)


def _moved(step: Step, by: int) -> Step:
    return step._replace(wait=step.wait + by)


def histories(*, goes_back: bool) -> st.SearchStrategy[list[Step]]:
    """Return random histories of the pace, or of conversations.

    Args:
        goes_back: whether the engine's clock is set back now and then.
    """
    jumps = _some(*[0] * 25, 16_000_000, 86_400_000_000, *([-20_000_000, -1] if goes_back else [1]))
    pace = st.builds(
        _moved, _reserves() | _reserves() | _reserves() | _reserves() | _reserves() | _holds() | _lives(), jumps
    )
    turns = st.builds(_moved, _conversation_calls(), jumps)
    return st.lists(pace, min_size=20, max_size=60) | st.lists(turns, min_size=20, max_size=60)
