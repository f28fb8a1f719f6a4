"""Random calls for engines, and the model that they are held against, in a time that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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
        self._pace = PaceState(epoch="model")
        self._conversations: dict[str, ConversationState] = {}

    def call(self, call: Call) -> Result:
        if isinstance(call, Reserve | Hold):
            self._pace, result = _pace.decide(self._pace, call, self._now())
            return result
        before = self._conversations.get(call.key, ConversationState())
        self._conversations[call.key], answer = _turns.decide(before, call, self._now())
        return answer


class AtTime:
    """A client of Valkey whose scripts read a clock of the test."""

    def __init__(self, client: Any, now: Callable[[], int]) -> None:
        self._client, self._now = client, now

    def evalsha(self, _sha: str, _number: int, /, *_arguments: Any) -> Any:
        raise NoScriptError

    def eval(self, script: str, number: int, /, *arguments: Any) -> Any:
        assert CLOCK in script
        return self._client.eval(script.replace(CLOCK, f"local clock = {self._now()}\n"), number, *arguments)

    def close(self) -> None:
        self._client.close()


class NoScriptError(Exception):
    """What a client raises for a script that the server doesn't know."""


class Step(NamedTuple):
    """A call of a random history, by one of several callers; ``wait`` microseconds behind the one before.

    `make` gets what the caller was given last by this engine, so that each engine is told its own tickets.
    """

    wait: int
    caller: int
    make: Callable[[dict[str, Any]], Call]


class Player:
    """Makes the calls of a history on one engine."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._given: dict[int, dict[str, Any]] = {}
        self._epochs: list[str] = []

    def play(self, step: Step) -> Result:
        """Make a call; give its result with the epoch's number in the place of its name."""
        given = self._given.setdefault(step.caller, {})
        result: Result = self._engine.call(step.make(given))
        match result:
            case Slot(ticket=ticket, epoch=epoch):
                given |= {"ticket": ticket, "epoch": epoch}
                if epoch not in self._epochs:
                    self._epochs.append(epoch)
                return Slot(
                    delay=result.delay,
                    final=result.final,
                    ticket=ticket,
                    epoch=str(self._epochs.index(epoch)),
                    position=result.position,
                    fe_version=result.fe_version,
                )
            case Claimed(fence=fence, revision=revision):
                given |= {"fence": fence, "revision": revision}
        return result


def _some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


@st.composite
def _reserves(draw: st.DrawFn, callers: int) -> Callable[[dict[str, Any]], Call]:
    fields = {
        "nonce": f"{draw(st.integers(0, callers))}-{draw(st.integers(0, 2))}",
        "interval": draw(_some(1.5, 1.5, 1.5, 0.15, 0.0)),
        "window": draw(_some(0.05, 0.05, 0.2, 0.0, 0.000_003)),
        "need": draw(_some(1, 2, 3)),
        "max_wait": draw(_some(180.0, 180.0, 3.0, 1.6, 0.0, 86_400.0)),
        "fetches": draw(st.booleans()),
        "fe_version": draw(_some("", "", "", "v1", "v2")),
    }
    own = draw(_some(True, True, True, False))
    strange = draw(_some({}, {"ticket": "1"}, {"ticket": "99"}, {"ticket": "0x1"}, {"epoch": "another"}))

    def make(given: dict[str, Any]) -> Call:
        known = {name: given[name] for name in ("ticket", "epoch") if own and name in given}
        return Reserve(**{**fields, **known, **strange})

    return make


@st.composite
def _conversation_calls(draw: st.DrawFn, callers: int) -> Callable[[dict[str, Any]], Call]:
    kind = draw(_some("claim", "claim", "mark", "commit", "commit", "release"))
    key = draw(_some("a", "a", "a", "{b}\0é"))
    turn = draw(_some("", "1", "2", "é 3", "4"))
    holder = f"{draw(st.integers(0, callers))}-{draw(st.integers(0, 3))}"
    lease = draw(_some(10.0, 10.0, 0.5))
    renews, takes, other = draw(st.booleans()), draw(_some(False, False, True)), draw(_some(0, 0, 0, 1))
    document, reply = draw(st.binary(max_size=9)), draw(_some(b"", b"r1", b"r2", bytes(5), bytes(3)))
    stores = draw(st.booleans())

    def make(given: dict[str, Any]) -> Call:
        fence, revision = given.get("fence", 1) + other, given.get("revision", 0) + other
        match kind:
            case "claim":
                claimed = fence if renews else 0
                return Claim(key=key, holder=holder, lease=lease, turn=turn, fence=claimed, take_over=takes)
            case "mark":
                return Mark(key=key, fence=fence, lease=lease)
            case "commit":
                named = {"turn": turn, "reply": reply} if turn else {}
                return Commit(key=key, fence=fence, revision=revision, document=document, **named)
        return Release(key=key, fence=fence, revision=revision, document=document if stores else None)

    return make


def histories(*, goes_back: bool) -> st.SearchStrategy[list[Step]]:
    """Return random histories of a few callers.

    Args:
        goes_back: whether the engine's clock is set back now and then.
    """
    waits = [0, 0, 1, 20_000, 50_000, 140_000, 1_000_000, 1_550_000, 1_500_000, 3_100_000, 11_000_000, 86_400_000_000]
    back = [-20_000_000, -1] if goes_back else []
    calls = _reserves(3) | _reserves(3) | _conversation_calls(3) | _conversation_calls(3)
    holds = st.floats(0, 10).map(lambda seconds: lambda _: Hold(seconds=seconds))
    step = st.builds(Step, st.sampled_from(waits + back), st.integers(0, 3), calls | calls | calls | holds)
    return st.lists(step, max_size=60)
