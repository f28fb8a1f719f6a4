"""The steps that checks are made of: slots and claims, and what is expected of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from ddg_protocol.coordination import Claim, Claimed, Commit, Committed, Refused, Reserve, Slot
from ddg_protocol.coordination.calls import MAX_WINDOW

from ..contract._steps import NotKept
from ._bench import Bench

INTERVAL = 0.3
WINDOW = 0.1
SPACING = INTERVAL + WINDOW
LEASE = 0.6

R = TypeVar("R")


def expect(what: str, got: object, expected: object) -> None:
    """Check a value."""
    if got != expected:
        raise NotKept(f"{what}: expected {_short(expected)}, got {_short(got)}")


def expect_a(kind: type[R], what: str, got: object) -> R:
    """Check the kind of a result, and return it."""
    if not isinstance(got, kind):
        raise NotKept(f"{what}: expected {kind.__name__}, got {_short(got)}")
    return got


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:150]}… ({len(text)} characters)"


# The pace


@dataclass(frozen=True)
class Told:
    """A slot, and when the engine was asked: between two times, in seconds."""

    slot: Slot
    nonce: str
    before: float
    after: float


async def reserve(bench: Bench, nonce: str = "", *, of: Told | None = None, **changes: Any) -> Told:
    """Ask for a slot; `of` is an earlier one of the same turn."""
    before = bench.now()
    call = _reserve(bench, nonce, of, changes)
    slot = expect_a(Slot, "a request of a turn that may wait for a minute", await bench.call(call))
    _check(slot, fetches=call.fetches)
    return Told(slot, call.nonce, before, bench.now())


async def refused(bench: Bench, *, of: Told | None = None, **changes: Any) -> float:
    """Ask for a slot that is refused, and return how far off it is."""
    result = await bench.call(_reserve(bench, "", of, changes))
    return expect_a(Refused, f"a request of a turn that may wait for {changes['max_wait']} s", result).wait


def _reserve(bench: Bench, nonce: str, of: Told | None, changes: dict[str, Any]) -> Reserve:
    settings: dict[str, Any] = {"interval": INTERVAL, "window": WINDOW, "max_wait": 60.0}
    if of is not None:
        settings |= {"ticket": of.slot.ticket, "epoch": of.slot.epoch}
    return Reserve(nonce=nonce or bench.nonce(), **{**settings, **changes})


def _check(slot: Slot, *, fetches: bool) -> None:
    if slot.final and slot.delay > WINDOW / 2 + 1e-6:
        raise NotKept(f"a final slot begins in {slot.delay:g} s, which is more than half of its window of {WINDOW:g} s")
    if not slot.final and not slot.delay:
        raise NotKept("a slot is not final although it begins at once: its turn would ask again and again")


async def confirmed(bench: Bench, told: Told, **changes: Any) -> Told:
    """Ask again for a slot after its delay; it must be final then."""
    if told.slot.final:
        return told
    await bench.passes(told.before + told.slot.delay - bench.now())
    again = await reserve(bench, told.nonce, of=told, **changes)
    if not again.slot.final:
        # The slots before it may have been used up to a window late.
        await bench.passes(again.slot.delay)
        again = await reserve(bench, told.nonce, of=told, **changes)
    expect("whether a slot is final when its turn comes back after its delay", again.slot.final, True)
    return again


async def first(bench: Bench, **changes: Any) -> Told:
    """Get the first slot of an engine. It may wait for those of an earlier life that it doesn't know."""
    told = await reserve(bench, **changes)
    if told.slot.delay > INTERVAL + MAX_WINDOW + 1e-6:
        raise NotKept(
            f"the first slot of an engine begins in {told.slot.delay:g} s, with an interval of {INTERVAL:g} s"
        )
    return await confirmed(bench, told, **changes)


def expect_delay(bench: Bench, what: str, told: Told, seconds: float, *, since: Told) -> None:
    """Check how long after another slot was given a slot begins."""
    delay = told.slot.delay
    least = max(0.0, seconds - (told.after - since.before))
    most = max(0.0, seconds + since.slot.delay - (told.before - since.after))  # on a busy machine, it may be over
    if not least - bench.late <= delay <= most + bench.late:
        expected = f"{least:.3f}" if most - least < bench.late else f"{least:.3f} to {most:.3f}"
        raise NotKept(f"{what}: expected a delay of {expected} s, got {delay:.3f} s")


# A conversation


def claim(holder: str, *, key: str = "c", turn: str = "", fence: int = 0, take_over: bool = False) -> Claim:
    return Claim(key=key, holder=holder, lease=LEASE, turn=turn, fence=fence, take_over=take_over)


async def claimed(
    bench: Bench, *, holder: str = "", key: str = "c", turn: str = "", take_over: bool = False
) -> Claimed:
    """Claim a conversation that is free."""
    result = await bench.call(claim(holder or bench.nonce(), key=key, turn=turn, take_over=take_over))
    return expect_a(Claimed, "a claim of a conversation that is free", result)


def commit(has: Claimed, document: bytes, *, key: str = "c", turn: str = "", reply: bytes = b"") -> Commit:
    return Commit(key=key, fence=has.fence, revision=has.revision, document=document, turn=turn, reply=reply)


async def done(bench: Bench, document: bytes, *, key: str = "c", turn: str = "", reply: bytes = b"") -> Claimed:
    """Do a turn: claim the conversation, and commit."""
    has = await claimed(bench, key=key, turn=turn)
    result = await bench.call(commit(has, document, key=key, turn=turn, reply=reply))
    expect("the commit of the holder", result, Committed(revision=has.revision + 1))
    return has
