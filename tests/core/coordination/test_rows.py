"""The states of an engine as bytes: written and read as they are, and nothing else is read."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddg_protocol.coordination import Busy, Claim, Claimed, Held, Hold, Lost, Mark, Reserve, Slot, carry_out
from ddg_protocol.coordination._pace import Fetch, Given, PaceState, Place
from ddg_protocol.coordination._rows import read_conversation, read_pace, write_lease, write_pace, write_stored
from ddg_protocol.coordination._time import Clock
from ddg_protocol.coordination._turns import ConversationState, Lease, Stored, StoredTurn
from ddg_protocol.errors import EngineUnavailable

PACE = PaceState(
    epoch="one",
    unknown=False,
    given=Given(3, "nonce", 1_500_000, -7),
    clock=Clock(1_764_331_122_123_456, 20_000_000),
    tickets=4,
    held=2**53,
    places=(Place(1, "a", 2, False, 5), Place(4, "b", 1, True, 6)),
    fetch=Fetch(1, "a", 5, 4),
    version="v1",
    learned=9,
)
CONVERSATION = ConversationState(
    Lease(7, "holder", 10, ended=False, marked=True, sent=True),
    Stored(2, b"\x00\xff", (StoredTurn(3, "Schl\u00fcssel", b"reply"), StoredTurn(7, "", b""))),
    Clock(12, 1),
)


def test_a_row_is_read_as_it_was_written() -> None:
    for pace in (PACE, PaceState(epoch="new")):
        assert read_pace(write_pace(pace)) == pace
    for state in (CONVERSATION, ConversationState()):
        assert read_conversation(write_lease(state), write_stored(state)) == state


def test_states_can_not_be_changed() -> None:
    """So what was decided from one is decided again from the same, and an engine sees by `is` whether to write."""
    assert PACE.fetch is not None
    parts = (PACE, PACE.clock, PACE.given, PACE.fetch, PACE.places[0])
    for part in (*parts, CONVERSATION, CONVERSATION.lease, CONVERSATION.stored, CONVERSATION.stored.turns[0]):
        for name in part.__struct_fields__:
            with pytest.raises(AttributeError, match="immutable"):
                setattr(part, name, getattr(part, name))


def test_every_row_that_is_cut_short_or_has_more_is_refused() -> None:
    pace, lease, stored = write_pace(PACE), write_lease(CONVERSATION), write_stored(CONVERSATION)
    for cut in range(len(pace)):
        with pytest.raises(EngineUnavailable, match="the stored pace"):
            read_pace(pace[:cut])
    for cut in range(len(lease)):
        with pytest.raises(EngineUnavailable, match="the stored lease"):
            read_conversation(lease[:cut], stored)
    for cut in range(len(stored)):
        with pytest.raises(EngineUnavailable, match="the stored conversation"):
            read_conversation(lease, stored[:cut])
    with pytest.raises(EngineUnavailable, match="trailing"):
        read_pace(pace + b"\x00")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"", "the stored pace is empty; this version of ddg-protocol reads version 1"),
        (b"\x02\x90", "the stored pace is of version 2; this version"),
        (b"\x01\x80", "Expected `array`, got `object`"),
        (b"\x01\x91\xa1\xff", "can't be read"),
        (write_pace(PACE).replace(b"\xa3one", b"\xc4\x03one"), "Expected `str`, got `bytes`"),
        (write_lease(CONVERSATION), "can't be read"),
        (b"\x01" + msgspec.msgpack.encode([*msgspec.to_builtins(PACE), 1]), "at most length 10, got 11"),
    ],
)
def test_a_row_of_another_form_is_refused(row: bytes, message: str) -> None:
    with pytest.raises(EngineUnavailable, match=message):
        read_pace(row)


def test_numbers_out_of_bounds_are_refused() -> None:
    for held, says in ((2**53 + 1, "<= 9007199254740992"), (-(2**53) - 1, ">= -9007199254740992")):
        with pytest.raises(EngineUnavailable, match=rf"{says} - at `\$\[5\]`"):
            read_pace(write_pace(PaceState(epoch="one", held=held)))


@given(st.binary(max_size=40), st.integers(0, 200))
def test_whatever_is_stored_is_read_or_refused(data: bytes, at: int) -> None:
    whole = write_pace(PACE)
    for row in (data, b"\x01" + data, whole[:at] + data + whole[at + len(data) :]):
        with contextlib.suppress(EngineUnavailable):
            assert isinstance(read_pace(row), PaceState)


def test_a_call_is_carried_out_on_a_row() -> None:
    reserve = Reserve(nonce="n", interval=1.5, window=0.05, max_wait=60.0)
    row, slot = carry_out(None, reserve, now=100.0, epoch="one")
    assert slot == Slot(delay=2.5, final=False, ticket="1", epoch="one"), "there may have been a life before"
    row, held = carry_out(row, Hold(seconds=5.0), now=100.0, epoch="one")
    assert held == Held()
    row, slot = carry_out(row, reserve, now=102.5, epoch="one")
    assert slot == Slot(delay=2.5, final=False, ticket="1", epoch="one")
    row, slot = carry_out(row, reserve, now=104.0, epoch="two")
    assert slot == Slot(delay=2.5, final=False, ticket="1", epoch="two")


def test_a_row_that_has_not_changed_need_not_be_written() -> None:
    row, has = carry_out(None, Claim(key="c", holder="a", lease=10.0), now=1.0, epoch="")
    assert row is not None
    assert isinstance(has, Claimed)
    same, busy = carry_out(row, Claim(key="c", holder="b", lease=10.0), now=1.5, epoch="")
    assert same is row
    assert busy == Busy(retry_after=9.5)
    none, lost = carry_out(None, Mark(key="c", fence=1, lease=10.0), now=1.0, epoch="")
    assert (none, lost) == (None, Lost())


def test_a_row_that_can_t_be_read_is_not_written_over() -> None:
    for call in (Hold(seconds=1.0), Claim(key="c", holder="a", lease=10.0)):
        with pytest.raises(EngineUnavailable, match="can't be read"):
            carry_out(b"\x01rubbish", call, now=1.0, epoch="one")


def test_a_row_with_which_a_call_has_no_answer_is_refused() -> None:
    claim = Claim(key="k", holder="h", lease=1.0)
    row = bytes([1]) + msgspec.msgpack.encode(ConversationState(Lease(fence=2**53)))
    with pytest.raises(EngineUnavailable, match=r"the stored conversation can't be used: Claimed: .*fence"):
        carry_out(row, claim, now=5.0, epoch="one")
    reserve = Reserve(nonce="n", interval=1.5, window=0.05, max_wait=9.0)
    row = write_pace(PaceState(epoch="one", version="not a version", learned=0))
    with pytest.raises(EngineUnavailable, match=r"the stored pace can't be used: Slot: .*fe_version"):
        carry_out(row, reserve, now=5.0, epoch="one")
