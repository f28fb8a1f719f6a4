"""The contract of an engine: a good one keeps it, and each way to break it is found by its check."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any

import msgspec
import pytest
from support.processes import Engine

from ddg_protocol.coordination import (
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    Held,
    Hold,
    Lost,
    Mark,
    Marked,
    MemoryEngine,
    Refused,
    Release,
    Released,
    Reserve,
    Result,
    Slot,
)
from ddg_protocol.errors import EngineUnavailable
from ddg_transports.testing.contract._steps import NotKept
from ddg_transports.testing.engine_contract import CHECKS, EngineFactoryError, check
from ddg_transports.testing.engine_contract.__main__ import main
from ddg_transports.testing.engine_contract._bench import Bench
from ddg_transports.testing.engine_contract._runner import Planned
from ddg_transports.testing.engine_contract._steps import Told, expect_delay

replace = msgspec.structs.replace


class Good(Engine):
    """An engine whose clock is set, for threads."""

    def __init__(self) -> None:
        super().__init__(lambda: self.now)
        self.now = 1000.0
        self.lock = threading.Lock()

    def call(self, call: Call) -> Result:
        with self.lock:
            return self.carry_out(call)

    def carry_out(self, call: Call) -> Result:
        return super().call(call)


class New(Good):
    """The same, as one that can't know whether it had an earlier life."""

    def __init__(self) -> None:
        super().__init__()
        self.pace = replace(self.pace, unknown=True)


class OnALoop:
    def __init__(self) -> None:
        self.good = Good()

    async def call(self, call: Call) -> Result:
        return self.good.call(call)


def advance(engine: Any, seconds: float) -> None:
    engine = getattr(engine, "good", engine)
    engine.now += seconds


def making(kind: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: nullcontext(kind())


@asynccontextmanager
async def on_a_loop() -> AsyncIterator[OnALoop]:
    yield OnALoop()


@pytest.mark.parametrize("kind", [Good, New])
def test_a_good_engine_keeps_the_contract(kind: type[Good]) -> None:
    report = check(making(kind), advance=advance)
    assert report.kept, str(report)
    assert len(report.results) == len(CHECKS) > 30


class Remembers(MemoryEngine):
    def __init__(self) -> None:
        super().__init__(lambda: self.now, lock=threading.Lock())
        self.now = 0.0


def test_so_does_the_engine_in_memory() -> None:
    report = check(making(Remembers), advance=advance)
    assert report.kept, str(report)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_so_does_a_good_async_one(backend: str) -> None:
    report = check(on_a_loop, advance=advance, backend=backend)
    assert report.kept, str(report)


def test_time_passes_by_itself_for_a_real_engine() -> None:
    """And no check of this one waits for it."""
    report = check(making(Good), ["claims-at-once", "turn-done"])
    assert report.kept, str(report)


# Ways to break it


class OneWindow(Good):
    def carry_out(self, call: Call) -> Result:
        return super().carry_out(replace(call, window=0.0) if isinstance(call, Reserve) else call)


class AllFinal(Good):
    def carry_out(self, call: Call) -> Result:
        result = super().carry_out(call)
        return replace(result, delay=0.0, final=True) if isinstance(result, Slot) else result


class NoHold(Good):
    def carry_out(self, call: Call) -> Result:
        return Held() if isinstance(call, Hold) else super().carry_out(call)


class NoRun(Good):
    def carry_out(self, call: Call) -> Result:
        return super().carry_out(replace(call, need=1) if isinstance(call, Reserve) else call)


class NoAge(Good):
    def carry_out(self, call: Call) -> Result:
        return super().carry_out(replace(call, ticket="") if isinstance(call, Reserve) else call)


class PlacesStay(Good):
    def carry_out(self, call: Call) -> Result:
        result = super().carry_out(call)
        places = tuple(replace(place, until=2**52) for place in self.pace.places)
        self.pace = replace(self.pace, places=places)
        return result


class NoNonce(Good):
    number = 0

    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Reserve):
            self.number += 1
            call = replace(call, nonce=f"n{self.number}")
        return super().carry_out(call)


class MissedIsGone(Good):
    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Reserve) and self.now * 1e6 > self.pace.given.last:
            self.pace = replace(self.pace, given=replace(self.pace.given, nonce=""))
        return super().carry_out(call)


class NeverRefuses(Good):
    def carry_out(self, call: Call) -> Result:
        return super().carry_out(replace(call, max_wait=1000.0) if isinstance(call, Reserve) else call)


class RefusedHasPlace(Good):
    def carry_out(self, call: Call) -> Result:
        result = super().carry_out(replace(call, max_wait=1000.0) if isinstance(call, Reserve) else call)
        if isinstance(call, Reserve) and isinstance(result, Slot) and result.delay > call.max_wait:
            return Refused(wait=result.delay)
        return result


class AlwaysAnInterval(Good):
    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Reserve):
            call = replace(call, interval=max(0.1, call.interval))
        return super().carry_out(call)


class EachFetches(Good):
    def carry_out(self, call: Call) -> Result:
        return super().carry_out(replace(call, fetches=False) if isinstance(call, Reserve) else call)


class AnyVersion(Good):
    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Reserve) and call.fe_version:
            self.pace = replace(self.pace, version="")
        return super().carry_out(call)


class FetchStays(Good):
    def carry_out(self, call: Call) -> Result:
        fetch = self.pace.fetch
        result = super().carry_out(call)
        self.pace = replace(self.pace, fetch=fetch or self.pace.fetch)
        return result


class AnyEpoch(Good):
    def carry_out(self, call: Call) -> Result:
        return super().carry_out(replace(call, epoch=self.pace.epoch) if isinstance(call, Reserve) else call)


class NeverBegins(Good):
    def __init__(self) -> None:
        super().__init__()
        self.call(Hold(seconds=30.0))


class NoLease(Good):
    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Claim) and not call.fence:
            call = replace(call, take_over=True)
        return super().carry_out(call)


class LeaseStays(Good):
    def carry_out(self, call: Call) -> Result:
        return super().carry_out(replace(call, lease=3600.0) if isinstance(call, Claim) else call)


class NoFence(Good):
    def carry_out(self, call: Call) -> Result:
        state = self.conversations.get(call.key) if isinstance(call, Mark | Commit | Release) else None
        if state is not None and isinstance(call, Mark | Commit | Release) and not state.lease.ended:
            call = replace(call, fence=state.lease.fence)
        return super().carry_out(call)


class NoTakingOver(Good):
    def carry_out(self, call: Call) -> Result:
        return super().carry_out(replace(call, take_over=False) if isinstance(call, Claim) else call)


class NoRenewal(Good):
    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Claim) and call.fence:
            return Claimed(fence=call.fence, revision=self.conversations[call.key].stored.revision, document=b"")
        return super().carry_out(call)


class DocumentWithRenewal(Good):
    def carry_out(self, call: Call) -> Result:
        result = super().carry_out(call)
        if isinstance(call, Claim) and isinstance(result, Claimed):
            return replace(result, document=self.conversations[call.key].stored.document)
        return result


class LateIsLost(Good):
    def carry_out(self, call: Call) -> Result:
        state = self.conversations.get(call.key) if isinstance(call, Mark | Commit) else None
        if state is not None and self.now * 1e6 > state.lease.until:
            return Lost()
        return super().carry_out(call)


class EachClaimIsNew(Good):
    def carry_out(self, call: Call) -> Result:
        state = self.conversations.get(call.key) if isinstance(call, Claim) and not call.fence else None
        if state is not None and isinstance(call, Claim) and state.lease.holder == call.holder:
            self.conversations[call.key] = replace(state, lease=replace(state.lease, holder="", ended=True))
        return super().carry_out(call)


class TextAlone(Good):
    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Commit):
            call = replace(call, document=call.document.decode(errors="ignore").encode())
        return super().carry_out(call)


class ForgetsTurns(Good):
    kept = 0

    def carry_out(self, call: Call) -> Result:
        result = super().carry_out(call)
        if isinstance(call, Commit) and call.key in self.conversations:
            state = self.conversations[call.key]
            turns = state.stored.turns[-self.kept :] if self.kept else ()
            self.conversations[call.key] = replace(state, stored=replace(state.stored, turns=turns))
        return result


class LastTurnAlone(ForgetsTurns):
    kept = 1


class FewTurns(ForgetsTurns):
    kept = 32


class StoresAgain(Good):
    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Commit):
            state = self.conversations[call.key]
            turns = tuple(replace(turn, key="") for turn in state.stored.turns)
            self.conversations[call.key] = replace(state, stored=replace(state.stored, turns=turns))
        return super().carry_out(call)


class NoRevision(Good):
    def carry_out(self, call: Call) -> Result:
        state = self.conversations.get(call.key) if isinstance(call, Commit | Release) else None
        if state is not None and isinstance(call, Commit | Release):
            call = replace(call, revision=state.stored.revision)
        return super().carry_out(call)


class MakesConversations(Good):
    def carry_out(self, call: Call) -> Result:
        result = super().carry_out(call)
        return Marked() if isinstance(call, Mark) and not self.conversations[call.key].lease.fence else result


class ReleaseIsNothing(Good):
    def carry_out(self, call: Call) -> Result:
        return Released() if isinstance(call, Release) else super().carry_out(call)


class NoMark(Good):
    def carry_out(self, call: Call) -> Result:
        return Marked() if isinstance(call, Mark) else super().carry_out(call)


class FoldedKeys(Good):
    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Claim | Commit):
            call = replace(call, key=call.key.lower())
        return super().carry_out(call)


class FoldedTurns(Good):
    def carry_out(self, call: Call) -> Result:
        if isinstance(call, Claim | Commit):
            call = replace(call, turn=call.turn.strip())
        return super().carry_out(call)


BREAK = [
    ("slots-apart", OneWindow, "the slot after a final one: expected a delay of 0.400 s, got 0.300 s"),
    ("slots-apart", AllFinal, "whether a slot that is an interval off is final: expected False, got True"),
    ("slots-apart", NeverBegins, "the first slot of an engine begins in 30 s, with an interval of 0.3 s"),
    ("slots-at-once", AllFinal, "how many of 20 slots that were asked for at once are final: expected 1, got 20"),
    ("hold", NoHold, "a turn that queued asked 0.4"),
    (
        "run-of-slots",
        NoRun,
        "the slot of a turn behind one with a request to make: expected a delay of 0.800 s, got 0.400",
    ),
    ("older-turn-first", NoAge, "how many turns are ahead of the oldest: expected 0, got 1"),
    (
        "abandoned-turn",
        PlacesStay,
        "whether the slot of a turn is final once those ahead of it have gone: expected True",
    ),
    ("repeated-reserve", NoNonce, "the ticket of a final slot that is asked for again: expected '1', got '2'"),
    ("missed-slot", MissedIsGone, "whether it is final: expected True, got False"),
    ("refused-slot", NeverRefuses, "a request of a turn that may wait for 0.01 s: expected Refused, got Slot"),
    ("refused-slot", RefusedHasPlace, "the slot of the next turn: expected a delay of 0.400 s, got 0.800 s"),
    ("no-interval", AlwaysAnInterval, "whether a slot without an interval is final: expected True, got False"),
    ("one-fetch", EachFetches, "whether a turn may fetch while another does: expected False, got True"),
    ("one-fetch", AnyVersion, "the version after another turn knew an older one: expected 'v1', got 'v0'"),
    ("failed-fetch", FetchStays, "whether the next turn may fetch: expected True, got False"),
    ("void-tickets", AnyEpoch, "how many turns are ahead of those with such tickets: expected [1, 2], got [0, 1]"),
    ("one-holder", NoLease, "a claim of a conversation that has a holder: expected Busy, got Claimed"),
    ("claims-at-once", NoLease, "the answers to 20 claims at once: expected"),
    ("lease-ends", LeaseStays, "a claim of a conversation that is free: expected Claimed, got Busy"),
    ("stale-holder", NoFence, "a Mark of a turn that has lost the conversation: expected Lost(), got Marked()"),
    ("taken-over", NoTakingOver, "a claim of a conversation that is free: expected Claimed, got Busy"),
    ("renewal", NoRenewal, "a claim after the time of the first lease: expected Busy, got Claimed"),
    ("renewal", DocumentWithRenewal, "the renewal's document: expected b'', got b'one'"),
    ("late-holder", LateIsLost, "a mark after the lease: expected Marked(), got Lost()"),
    ("repeated-claim", EachClaimIsNew, "the same claim once more: expected Claimed"),
    ("stored-as-given", TextAlone, "the document's length: expected 1048576, got 524288"),
    ("repeated-commit", ForgetsTurns, "the same once more: expected Committed(revision=1), got Lost()"),
    ("commits-at-once", ForgetsTurns, "the answers to 10 equal commits at once: expected"),
    ("turn-done", LastTurnAlone, "a claim for the turn t1: expected Done"),
    ("many-turns", FewTurns, "a claim for turn 0 of 64: expected Done, got Claimed"),
    ("turn-of-another", StoresAgain, "a commit for a turn that was done: expected Lost(), got Committed(revision=2)"),
    ("other-revision", NoRevision, "a commit for another revision: expected Lost(), got Committed(revision=2)"),
    ("unknown-conversation", MakesConversations, "a Mark for a conversation that was never claimed: expected Lost()"),
    ("released", ReleaseIsNothing, "a claim of a conversation that is free: expected Claimed, got Busy"),
    ("sent", NoMark, "the next claim: expected True, got False"),
    ("any-key", FoldedKeys, "the document of the conversation 'a': expected b'a', got b'A'"),
    ("any-key", FoldedTurns, r"its turn '\r\n': expected Done"),
]


@pytest.mark.parametrize(("name", "kind", "but"), BREAK, ids=[f"{name}-{kind.__name__}" for name, kind, _ in BREAK])
def test_each_way_to_break_it_is_found(name: str, kind: type[Good], but: str) -> None:
    (result,) = check(making(kind), [name], advance=advance).results
    assert result.problem.startswith(but), result.problem
    assert str(result).startswith(f"BROKEN  {name} ")
    assert f"        owed: {result.owed}\n        but:  {but}" in str(result)


def test_each_check_can_fail_and_says_in_a_sentence_what_is_owed() -> None:
    assert {name for name, _, _ in BREAK} == set(CHECKS)
    for name, each in CHECKS.items():
        assert name == each.name
        assert re.fullmatch(r"[A-Z][^\n]*\.", each.owed), name


class Raises(Good):
    error: Exception = EngineUnavailable("the disk is full")

    def carry_out(self, call: Call) -> Result:
        raise self.error


class RaisesAnother(Raises):
    error = KeyError("c")


class AnswersAnother(Good):
    def carry_out(self, call: Call) -> Result:
        return Committed(revision=1)


class BusyLoop(Good):
    def carry_out(self, call: Call) -> Result:
        result = super().carry_out(call)
        return replace(result, final=False, delay=0.0) if isinstance(result, Slot) else result


class TooSoon(Good):
    def carry_out(self, call: Call) -> Result:
        result = super().carry_out(call)
        return replace(result, final=True, delay=0.06) if isinstance(result, Slot) else result


@pytest.mark.parametrize(
    ("kind", "but"),
    [
        (Raises, "EngineUnavailable was raised though nothing went wrong: the disk is full"),
        (RaisesAnother, "KeyError was raised, which is not an EngineUnavailable: 'c'"),
        (AnswersAnother, "Reserve was answered by Committed, not by Slot or Refused"),
        (BusyLoop, "a slot is not final although it begins at once"),
        (TooSoon, "a final slot begins in 0.06 s, which is more than half of its window of 0.1 s"),
    ],
)
def test_an_engine_that_does_something_else_is_told_what(kind: type[Good], but: str) -> None:
    (result,) = check(making(kind), ["slots-apart"], advance=advance).results
    assert result.problem.startswith(but)


class Hangs(Good):
    end = threading.Event()

    def carry_out(self, call: Call) -> Result:
        assert self.end.wait(60)
        return super().carry_out(call)


class HangsOnALoop(OnALoop):
    async def call(self, call: Call) -> Result:
        import anyio

        await anyio.sleep_forever()
        raise AssertionError


@asynccontextmanager
async def hangs_on_a_loop() -> AsyncIterator[HangsOnALoop]:
    yield HangsOnALoop()


def test_an_engine_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "patience", 0.05)
    for factory in (making(Hangs), hangs_on_a_loop):
        (result,) = check(factory, ["lease-ends"]).results
        assert result.problem == "it was still waiting after 0.05 s"
    Hangs.end.set()


# Waivers and factories


def test_a_check_is_waived_with_a_reason() -> None:
    report = check(making(NoRun), ["run-of-slots", "lease-ends"], advance=advance, waive={"run-of-slots": "no queue"})
    assert report.kept
    assert [result.name for result in report.waived] == ["run-of-slots"]


@pytest.mark.parametrize(
    ("names", "waive", "message"),
    [
        (["slots"], {}, "there is no check slots"),
        (None, {"slots": "why"}, "there is no check slots"),
        (None, {"run-of-slots": " "}, "the waiver of run-of-slots has no reason"),
        (None, {"turn-done": "why"}, "turn-done can't be waived: a turn would be lost or doubled"),
    ],
)
def test_what_can_t_be_checked_or_waived_is_refused(names: Any, waive: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(making(Good), names, waive=waive)


@contextmanager
def leaves_badly() -> Iterator[Good]:
    yield Good()
    raise OSError("still in use")


def raises() -> Any:
    raise OSError("no such host")


@asynccontextmanager
async def async_around_blocking() -> AsyncIterator[Good]:
    yield Good()


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (raises, "the factory raised OSError (no such host)"),
        (Good, "the factory returned a value of type Good, which is no context manager"),
        (making(object), "the factory made a value of type object, which has no method call()"),
        (leaves_badly, "making an engine and leaving it raised OSError (still in use)"),
        (making(OnALoop), "call() of the engine is async, and its context manager is not"),
        (async_around_blocking, "call() of the engine is not async, and its context manager is"),
    ],
)
def test_a_factory_that_is_none_is_one_sentence(factory: Any, message: str) -> None:
    with pytest.raises(EngineFactoryError, match=re.escape(message)):
        check(factory)


def test_a_check_that_comes_after_its_slot_takes_it_for_due() -> None:
    """As on a machine that is busy for longer than the slot was to wait."""
    slot = Slot(delay=0.0, final=True, ticket="1", epoch="e")
    since, told = Told(slot, "1", before=0.0, after=0.0), Told(slot, "2", before=0.9, after=1.0)
    bench = Bench(Good(), None)
    expect_delay(bench, "a slot", told, 0.4, since=since)
    late = Told(replace(slot, delay=0.4), "2", before=0.9, after=1.0)
    with pytest.raises(NotKept, match=r"a slot: expected a delay of 0\.000 s, got 0\.400 s"):
        expect_delay(bench, "a slot", late, 0.4, since=since)


# The command

good, bad = making(Good), making(NoLease)


def test_the_command_prints_each_result_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{__name__}:good", "turn-done", "released"]) == 0
    assert re.search(r"kept    turn-done .*\nkept    released .*\n2 of 2 kept, in ", capsys.readouterr().out)
    assert main([f"{__name__}:bad", "one-holder"]) == 1
    assert "BROKEN: one-holder" in capsys.readouterr().out
    assert main([f"{__name__}:bad", "turn-done", "--waive", "run-of-slots=it has none"]) == 1


def test_ctrl_c_says_how_many_checks_have_no_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Planned) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Planned, "__call__", interrupt)
    assert main([f"{__name__}:good", "turn-done", "released"]) == 130
    assert capsys.readouterr().out == "interrupted: 2 of 2 checks have no result\n"


def test_the_command_says_what_is_wrong_with_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        ([f"{__name__}:nothing"], "has no nothing"),
        ([f"{__name__}:good", "slots"], "there is no check slots"),
        ([f"{__name__}:Good"], "which is no context manager"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"* {name} " in shown if each.protects else f"  {name} " in shown for name, each in CHECKS.items())
