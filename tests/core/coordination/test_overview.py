"""Who holds what of an engine: computed from what it keeps, and read from a server's replies."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ddg_protocol.coordination import Hold, LeasedConversation, Overview, Reserve, Slot, WaitingTurn, _pace
from ddg_protocol.coordination._overview import leased, overview
from ddg_protocol.coordination._pace import PaceState
from ddg_protocol.coordination._rows import LeaseRow, read_lease
from ddg_protocol.coordination._time import Clock
from ddg_protocol.coordination._turns import Lease
from ddg_protocol.coordination._valkey import (
    look_at_conversation,
    look_at_pace,
    read_leased,
    read_pace,
)
from ddg_protocol.errors import EngineUnavailable

SECOND = 1_000_000
INTERVAL, WINDOW = 1.5, 0.05


def look(state: PaceState, now: int) -> Overview:
    return overview(state, [], now=now, interval=INTERVAL, window=WINDOW)


def reserve(nonce: str, **changes: Any) -> Reserve:
    return Reserve(nonce=nonce, interval=INTERVAL, window=WINDOW, max_wait=100.0, **changes)


def test_an_engine_that_nobody_has_used_is_free() -> None:
    seen = look(PaceState(epoch="one", unknown=False), 0)
    assert seen == Overview(next_slot=0.0, held=0.0, queue=(), fetching=None, fe_version="", conversations=())


def test_the_first_slot_of_a_new_life_comes_when_those_before_are_over() -> None:
    assert look(PaceState(epoch="one"), 0).next_slot == 1.0 + INTERVAL


def test_the_next_slot_is_the_one_that_the_next_turn_gets() -> None:
    state = PaceState(epoch="one", unknown=False)
    begun = 100 * SECOND
    state, _ = _pace.decide(state, reserve("a", need=3, fetches=True), begun)
    state, _ = _pace.decide(state, reserve("b", need=2), begun + SECOND // 10)
    seen = look(state, begun + SECOND // 5)
    _, slot = _pace.decide(state, reserve("c"), begun + SECOND // 5)
    assert isinstance(slot, Slot)
    assert seen.next_slot == slot.delay
    assert slot.position == len(seen.queue) == 2
    assert [(turn.ticket, turn.requests) for turn in seen.queue] == [(1, 2), (2, 2)]
    assert seen.queue[0] == WaitingTurn(1, 2, passes=1.4)
    assert seen.fetching == 0.2
    assert look(state, begun + 60 * SECOND).queue == (), "those that don't come back have lost their places"
    assert look(state, begun + 10 * SECOND).fetching is None, "others don't wait for it any more"


def test_a_hold_lasts_as_long_as_it_says() -> None:
    state, _ = _pace.decide(PaceState(epoch="one", unknown=False), Hold(seconds=30.0), 0)
    seen = look(state, 10 * SECOND)
    assert (seen.held, seen.next_slot) == (20.0, 20.0)
    assert look(state, 40 * SECOND).held == 0.0


def test_a_queue_that_is_full_says_how_long_it_is() -> None:
    state = PaceState(epoch="one", unknown=False)
    places = tuple(_pace.Place(number, f"n{number}", 1, False, SECOND) for number in range(1, _pace.MAX_PLACES + 1))
    seen = look(msgspec.structs.replace(state, tickets=_pace.MAX_PLACES, places=places), 0)
    assert len(seen.queue) == _pace.MAX_PLACES
    assert seen.next_slot == _pace.MAX_PLACES * (INTERVAL + WINDOW)


def test_a_conversation_is_leased_until_its_lease_ends() -> None:
    lease, clock = Lease(fence=1, holder="h", until=90 * SECOND, ended=False, marked=True), Clock(0, 0)
    assert leased("sky", lease, clock, 30 * SECOND) == LeasedConversation("sky", "h", 60.0, marked=True)
    assert leased("sky", lease, clock, 89 * SECOND) == LeasedConversation("sky", "h", 1.0, marked=True)
    assert leased("sky", lease, clock, 90 * SECOND) is None
    assert leased("sky", Lease(until=90 * SECOND), clock, 0) is None, "it was given back"
    assert read_lease(b"\x01" + b"\x92\x96\x01\xa1h\x05\xc2\xc3\xc2\x92\x00\x00") == LeaseRow(
        Lease(1, "h", 5, ended=False, marked=True), clock
    )


# What a server says

RUN = b"0a1b"
TIME = [b"5", b"250000", RUN]
PACE = {
    b"epoch": b"0a1b:77",
    b"times": b"5000000 0 9000000 4000000 12",
    b"version": b"serp_1",
    b"given": b"11 5050000 3500000 n11",
    b"fetch": b"11 5000000 5000000 n11",
    b"p12": b"2 0 8000000 n12",
    b"p7": b"1 1 8000000 n 7",
}


def said(fields: dict[bytes, bytes], time: list[bytes] = TIME) -> list[object]:
    return [*time, [part for pair in fields.items() for part in pair]]


def test_a_pace_is_read_from_its_hash() -> None:
    now, state = read_pace(said(PACE))
    assert now == 5_250_000
    assert state == PaceState(
        epoch="0a1b:77",
        unknown=False,
        given=_pace.Given(11, "n11", 5_050_000, 3_500_000),
        clock=Clock(5_000_000, 0),
        tickets=12,
        held=9_000_000,
        places=(_pace.Place(7, "n 7", 1, True, 8_000_000), _pace.Place(12, "n12", 2, False, 8_000_000)),
        fetch=_pace.Fetch(11, "n11", 5_000_000, 5_000_000),
        version="serp_1",
        learned=4_000_000,
    )


def test_of_an_earlier_life_a_hold_and_the_version_remain() -> None:
    _, state = read_pace(said(PACE, [b"5", b"0", b"ffff"]))
    assert (state.unknown, state.places, state.held, state.version) == (True, (), 9_000_000, "serp_1")


def test_a_pace_that_nobody_has_used_is_read_too() -> None:
    assert read_pace(said({})) == (5_250_000, PaceState(epoch="0a1b:"))


@pytest.mark.parametrize(
    "fields",
    [
        {b"times": b"5000000 0 9000000"},
        {b"times": b"5000000 0 x 4000000 12"},
        {b"epoch": b"\xff"},
        {b"given": b"11"},
        {b"fetch": b"11 x 5000000 n"},
        {b"p12": b"2 2 8000000 n12"},
    ],
)
def test_a_pace_of_another_form_is_said_to_be(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(EngineUnavailable, match="the stored pace can't be read: "):
        read_pace(said({**PACE, **fields}))


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"5",
        [],
        [b"5", b"0", b""],
        [b"x", b"0", b"", []],
        [b"5", b"0", b"", [b"a"]],
        [b"5", b"0", b"", ["a", "b"]],
    ],
)
def test_a_reply_of_another_form_is_said_to_be(reply: object) -> None:
    for read in (read_pace, lambda reply: read_leased(b"", reply)):
        with pytest.raises(EngineUnavailable, match="the reply to a look can't be read"):
            read(reply)


LEASE = {b"time": b"5000000", b"offset": b"0", b"fence": b"3", b"holder": b"h", b"until": b"65250000", b"ended": b"0"}
KEY = "ddg:1:{c:größe}".encode()


def test_a_lease_is_read_from_its_hash() -> None:
    assert read_leased(KEY, said({**LEASE, b"marked": b"1"})) == LeasedConversation("größe", "h", 60.0, marked=True)
    assert read_leased(KEY, said({**LEASE, b"ended": b"1"})) is None
    unset = {name: value for name, value in LEASE.items() if name != b"offset"}
    assert read_leased(KEY, said(unset)) == LeasedConversation("größe", "h", 60.0, marked=False)
    assert read_leased(KEY, said({})) is None, "it was deleted meanwhile"


@pytest.mark.parametrize("fields", [{b"until": b"soon"}, {b"holder": b"\xff"}])
def test_a_lease_of_another_form_is_said_to_be(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(EngineUnavailable, match="the stored lease can't be read"):
        read_leased(KEY, said({**LEASE, **fields}))


def test_a_look_reads_no_document() -> None:
    assert b"document" not in look_at_conversation(KEY).arguments
    assert look_at_conversation(KEY).key == KEY
    assert repr(look_at_pace("default")) == "Command(look, <1 arguments>)"
