"""The pace over many processes: each rule of the engine, by calls at given times."""

from __future__ import annotations

from typing import Any

import pytest

from ddg_protocol.coordination import Held, Hold, Refused, Reserve, Slot
from ddg_protocol.coordination._pace import MAX_PLACES, PaceState, decide, in_epoch
from ddg_protocol.coordination.calls import MAX_WINDOW
from ddg_protocol.pace import FETCH_SECONDS, PATIENCE

INTERVAL = 1.5
WINDOW = 0.05
SPACING = INTERVAL + WINDOW
DAY = 86_400.0


class Engine:
    """A pace that is called at times of its own clock."""

    def __init__(self, state: PaceState | None = None) -> None:
        self.state = PaceState(epoch="one", unknown=False) if state is None else state

    def reserve(self, now: float, nonce: str, slot: Slot | None = None, **changes: object) -> Slot | Refused:
        call = Reserve(nonce=nonce, interval=INTERVAL, window=WINDOW, max_wait=600.0)
        if slot is not None:
            changes = {"ticket": slot.ticket, "epoch": slot.epoch, **changes}
        fields = {name: getattr(call, name) for name in call.__struct_fields__}
        self.state, result = decide(self.state, Reserve(**{**fields, **changes}), round(now * 1e6))
        assert not isinstance(result, Held)
        return result

    def slot(self, now: float, nonce: str, slot: Slot | None = None, **changes: object) -> Slot:
        result = self.reserve(now, nonce, slot, **changes)
        assert isinstance(result, Slot)
        return result

    def hold(self, now: float, seconds: float) -> None:
        self.state, result = decide(self.state, Hold(seconds=seconds), round(now * 1e6))
        assert result == Held()


def seen(slot: Slot) -> Any:
    return slot.delay, slot.final


def test_the_first_slot_is_now_and_the_next_an_interval_behind_its_window() -> None:
    engine = Engine()
    assert seen(engine.slot(10.0, "a")) == (0.0, True)
    second = engine.slot(10.0, "b")
    assert seen(second) == (SPACING, False)
    assert seen(engine.slot(10.0 + SPACING, "b", second)) == (0.0, True)
    assert seen(engine.slot(100.0, "c")) == (0.0, True), "after a pause nobody waits"


def test_a_slot_is_final_up_to_half_a_window_before_it_begins() -> None:
    """Then its request begins within one window of the call, and the next slot counts from there."""
    engine = Engine()
    engine.slot(0.0, "a")
    assert seen(engine.slot(SPACING - 0.026, "b")) == (0.026, False)
    assert seen(engine.slot(SPACING - 0.025, "b")) == (0.025, True)
    assert seen(engine.slot(SPACING, "c")) == (pytest.approx(SPACING - 0.025), False)


def test_each_turn_queues_behind_all_requests_of_the_older_ones() -> None:
    engine = Engine()
    engine.slot(0.0, "a", need=2)
    assert seen(engine.slot(0.0, "b", need=3)) == (2 * SPACING, False), "the second request of the first is ahead"
    third = engine.slot(0.0, "c")
    assert third.delay == pytest.approx(5 * SPACING)
    assert third.position == 2


def test_a_turn_is_done_with_its_requests_before_a_younger_one_begins() -> None:
    engine = Engine()
    status = engine.slot(0.0, "a1", need=2)
    other = engine.slot(0.1, "b1", need=2)
    chat = engine.slot(0.3, "a2", status)
    assert seen(chat) == (pytest.approx(SPACING - 0.3), False)
    assert seen(engine.slot(SPACING, "a2", chat)) == (0.0, True)
    assert seen(engine.slot(0.1 + other.delay, "b1", other, need=2)) == (0.0, True)
    assert 0.1 + other.delay == pytest.approx(2 * SPACING)


def test_an_older_turn_that_has_missed_its_slot_comes_before_those_that_queue() -> None:
    engine = Engine()
    status = engine.slot(0.0, "a1", need=2)
    late = 3 * SPACING + 0.1  # its response took its time, so its place has passed
    engine.slot(late - 0.2, "b")
    younger = engine.slot(late - 0.1, "c")
    chat = engine.slot(late, "a2", status)
    assert chat.delay < late - 0.1 + younger.delay - late
    assert engine.slot(late, "c", younger).position == 1


def test_a_place_is_kept_for_a_run_of_slots_and_then_passes() -> None:
    engine = Engine()
    engine.slot(0.0, "a1", need=2)
    assert engine.slot(SPACING + WINDOW, "b").position == 1
    engine = Engine()
    engine.slot(0.0, "a1", need=2)
    assert seen(engine.slot(SPACING + WINDOW + 0.001, "b")) == (0.0, True)


def test_a_turn_that_was_given_up_costs_nothing_once_its_place_has_passed() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    for number in range(5):
        engine.slot(0.0, f"gone{number}", need=2)
    assert seen(engine.slot(60.0, "b")) == (0.0, True)
    assert engine.state.places == ()


def test_a_turn_may_come_back_for_its_slot_an_interval_late() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    engine.slot(0.0, "b")
    assert engine.slot(SPACING + WINDOW + INTERVAL, "c").position == 1
    engine = Engine()
    engine.slot(0.0, "a")
    engine.slot(0.0, "b")
    assert seen(engine.slot(SPACING + WINDOW + INTERVAL + 0.001, "c")) == (0.0, True)


def test_a_call_that_is_repeated_gets_the_same_slot_less_the_time_that_passed() -> None:
    engine = Engine()
    first = engine.slot(0.0, "a")
    assert engine.slot(0.03, "a") == first, "its window begins anew"
    second = engine.slot(0.03, "b")
    assert seen(second) == (SPACING, False)
    again = engine.slot(0.53, "b")
    assert again.delay == pytest.approx(SPACING - 0.5)
    assert again.ticket == second.ticket
    soon = engine.slot(SPACING + 0.01, "b")
    assert seen(soon) == (pytest.approx(0.02), True)
    assert seen(engine.slot(SPACING + 0.02, "b")) == (pytest.approx(0.01), True)


def test_a_repeated_call_keeps_its_slot_even_if_an_older_turn_comes() -> None:
    engine = Engine()
    status = engine.slot(0.0, "a1", need=2)
    engine.slot(60.0, "b")
    engine.slot(60.01, "a2", status)
    assert seen(engine.slot(60.05, "b")) == (0.0, True), "at the very end of its window"
    assert engine.slot(60.100001, "b").position == 1, "after that, the older one is ahead"


def test_a_slot_that_was_missed_is_given_once_more_to_the_same_request() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    assert seen(engine.slot(10.0, "b")) == (0.0, True)
    assert seen(engine.slot(10.2, "b", window=0.2)) == (0.0, True), "it has not begun, and nobody else has either"
    assert seen(engine.slot(10.2, "c")) == (pytest.approx(0.2 + INTERVAL), False)


def test_a_slot_that_was_missed_is_gone_once_another_turn_has_one() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    engine.slot(SPACING, "b")
    assert seen(engine.slot(SPACING + 0.5, "a")) == (pytest.approx(SPACING - 0.5), False)


def test_a_wider_window_keeps_the_next_slot_further_away() -> None:
    engine = Engine()
    engine.slot(0.0, "a", window=0.4)
    assert engine.slot(0.0, "b").delay == pytest.approx(0.4 + INTERVAL)


def test_an_earlier_call_that_comes_late_once_more_does_not_make_a_window_shorter() -> None:
    engine = Engine()
    engine.slot(10.0, "a")
    engine.slot(10.2, "a", window=0.8)  # it was too late for the first
    assert seen(engine.slot(10.3, "a")) == (0.0, True)
    assert engine.slot(10.3, "b").delay == pytest.approx(0.7 + INTERVAL)


def test_a_longer_interval_keeps_further_away_from_the_request_before() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    assert engine.slot(0.0, "b", interval=3.0).delay == pytest.approx(3.0 + WINDOW)


def test_a_slot_that_is_too_far_off_is_refused_and_takes_no_place() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    assert engine.reserve(0.0, "b", max_wait=1.0) == Refused(wait=SPACING)
    assert engine.reserve(0.0, "b", max_wait=SPACING - 0.000001) == Refused(wait=SPACING)
    assert seen(engine.slot(0.0, "last", max_wait=SPACING)) == (SPACING, False)
    engine = Engine()
    engine.slot(0.0, "a")
    assert seen(engine.slot(0.0, "c")) == (SPACING, False)


def test_a_turn_that_gives_up_leaves_its_place() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    second = engine.slot(0.0, "b")
    engine.hold(0.1, 10.0)
    assert isinstance(engine.reserve(0.2, "b", second, max_wait=5.0), Refused)
    assert engine.slot(0.2, "c").position == 0


def test_a_queue_is_bounded() -> None:
    engine = Engine()
    engine.slot(0.0, "first", interval=0.01)
    for number in range(MAX_PLACES):
        engine.slot(0.0, f"n{number}", interval=0.01)
    full = engine.reserve(0.0, "more", interval=0.01)
    assert isinstance(full, Refused)
    assert full.wait == pytest.approx((MAX_PLACES + 1) * 0.06)
    assert len(engine.state.places) == MAX_PLACES
    kept = engine.slot(0.0, "n5", interval=0.01)
    assert kept.position == 5, "a turn in it stays"


def test_without_an_interval_there_is_no_queue() -> None:
    engine = Engine()
    slots = [engine.slot(5.0, f"n{number}", interval=0.0, need=2) for number in range(3)]
    assert {(slot.delay, slot.final, slot.position) for slot in slots} == {(0.0, True, 0)}
    engine.hold(5.0, 2.0)
    assert seen(engine.slot(5.0, "held", interval=0.0)) == (2.0, False)
    assert engine.state.places == ()
    assert seen(engine.slot(7.0, "a")) == (0.0, True)
    engine.slot(7.0, "b", interval=0.0, window=0.01)
    assert engine.slot(7.0, "c").delay == SPACING, "one with an interval keeps it from the others, too"


# A hold


def test_no_slot_begins_during_a_hold_but_those_that_were_final() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    queued = engine.slot(0.0, "b")
    engine.hold(0.5, 60.0)
    assert seen(engine.slot(SPACING, "b", queued)) == (pytest.approx(60.5 - SPACING), False)
    assert engine.slot(SPACING, "c").delay == pytest.approx(60.5 - SPACING + SPACING), "the queue goes on behind it"
    assert seen(engine.slot(60.5, "b", queued)) == (0.0, True)


def test_a_shorter_hold_changes_nothing() -> None:
    engine = Engine()
    engine.hold(0.0, 60.0)
    engine.hold(10.0, 5.0)
    assert engine.slot(10.0, "a").delay == 50.0


def test_a_final_slot_is_not_given_again_during_a_hold() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    engine.hold(0.01, 5.0)
    assert seen(engine.slot(0.02, "a")) == (pytest.approx(4.99), False)


# The front-end version


def test_one_turn_fetches_the_front_end_version_for_all() -> None:
    engine = Engine()
    fetching = engine.slot(0.0, "a1", fetches=True, need=3)
    assert seen(fetching) == (0.0, True)
    waiting = engine.slot(0.0, "b1", fetches=True, need=3)
    assert not waiting.final
    engine.slot(0.2, "a2", fetching, need=2, fe_version="v1")
    then = engine.slot(waiting.delay, "b1", waiting, fetches=True, need=3)
    assert then.fe_version == "v1"
    assert engine.state.places[-1].need == 1, "the slot is for the status request, and the chat request is left"


def test_a_turn_that_needs_no_fetch_any_more_has_one_request_less_to_make() -> None:
    engine = Engine()
    engine.slot(0.0, "a", fe_version="v1")
    assert seen(engine.slot(60.0, "b", fetches=True, need=2)) == (0.0, True)
    assert engine.state.places == (), "that slot is for its last request"
    assert seen(engine.slot(60.0 + SPACING, "c", fetches=True, need=1)) == (0.0, True), "whatever it takes the page for"
    assert engine.state.places == ()


def test_a_turn_that_waits_for_the_fetch_is_in_nobody_s_way() -> None:
    engine = Engine()
    engine.slot(0.0, "a1", fetches=True)
    waiting = engine.slot(1.0, "b1", fetches=True)
    assert seen(engine.slot(SPACING, "c")) == (0.0, True), "it needs no version"
    assert waiting.position == 1


def test_a_turn_that_needs_no_fetch_keeps_its_place_during_one() -> None:
    engine = Engine()
    engine.slot(0.0, "a", fetches=True)
    status = engine.slot(0.0, "b1", need=2)
    assert engine.slot(SPACING, "b1", status, need=2).final
    assert engine.slot(SPACING + 0.1, "c").position == 1


def test_a_turn_asks_less_often_the_longer_the_fetch_takes_and_at_last_fetches_itself() -> None:
    engine, now, calls = Engine(), 0.0, 0
    engine.slot(0.0, "a1", fetches=True)
    while True:
        slot = engine.slot(now, "b1", fetches=True)
        calls += 1
        if slot.final:
            break
        now += slot.delay
    assert now == FETCH_SECONDS
    assert calls == 5, "after 1.55 s, the slot's own time, then after twice as long each time"


def test_a_turn_that_waits_for_a_fetch_looks_soon_at_first() -> None:
    engine = Engine()
    engine.slot(100.0, "a", fetches=True, interval=0.0)
    assert [
        engine.slot(100.0 + past, "b", fetches=True, interval=0.0).delay for past in (0.0, 0.04, 0.06, 3.0, 8.0)
    ] == [
        *(0.05, 0.05, 0.06, 3.0),
        pytest.approx(FETCH_SECONDS - 8.0),
    ]


def test_the_next_turn_fetches_when_the_fetch_has_brought_nothing() -> None:
    engine = Engine()
    fetching = engine.slot(0.0, "a1", fetches=True, need=2)
    engine.slot(2.0, "b1", fetches=True)
    assert seen(engine.slot(2.0, "a2", fetching)) == (0.0, True)
    assert seen(engine.slot(2.0 + SPACING, "b1", fetches=True)) == (0.0, True)


def test_where_no_fetch_ends_each_turn_fetches_for_itself_after_a_while() -> None:
    engine = Engine()
    engine.slot(0.0, "a", fetches=True)
    assert engine.slot(FETCH_SECONDS, "b", fetches=True).final
    assert not engine.slot(PATIENCE - 0.1, "c", fetches=True).final
    assert engine.slot(PATIENCE, "c", fetches=True).final
    assert engine.slot(2 * PATIENCE - 0.1, "d", fetches=True).final
    assert engine.slot(3 * PATIENCE, "e", fetches=True).final
    assert not engine.slot(3 * PATIENCE + SPACING, "f", fetches=True).final, "the time begins anew"
    engine = Engine()
    engine.slot(0.0, "a", fetches=True)
    assert engine.slot(PATIENCE, "b", fetches=True).final
    assert not engine.slot(PATIENCE + SPACING, "c", fetches=True).final, "also with the first that nobody waits for"


def test_the_version_is_kept_for_a_day_and_a_fetched_one_replaces_it() -> None:
    engine = Engine()
    engine.slot(0.0, "a", fe_version="v1")
    assert engine.slot(100.0, "b", fe_version="v0").fe_version == "v1", "of an old conversation"
    assert engine.slot(DAY - 0.001, "c", fetches=True).fe_version == "v1"
    fetching = engine.slot(DAY, "d1", fetches=True, need=2)
    assert fetching.fe_version == ""
    assert engine.slot(DAY + 12.0, "d2", fetching, fe_version="v2").fe_version == "v2"


def test_what_a_turn_fetches_is_newer_than_what_another_one_knows() -> None:
    engine = Engine()
    fetching = engine.slot(0.0, "a1", fetches=True, need=2)
    assert engine.slot(1.0, "b", fe_version="v1").fe_version == ""
    assert engine.slot(2.0, "a2", fetching, fe_version="v2").fe_version == "v2"
    assert engine.slot(3.0, "c", fe_version="v1").fe_version == "v2"


def test_what_a_turn_knows_is_taken_once_nobody_is_waited_for() -> None:
    engine = Engine()
    engine.slot(0.0, "a", fetches=True)
    assert engine.slot(FETCH_SECONDS - 0.1, "b", fe_version="v1").fe_version == ""
    assert engine.slot(FETCH_SECONDS, "c", fe_version="v1").fe_version == "v1"
    assert engine.slot(60.0, "d", fetches=True).fe_version == "v1"


# The engine's life and clock


def test_a_new_life_waits_for_the_slots_of_the_one_before() -> None:
    engine = Engine(PaceState(epoch="two"))
    first = engine.slot(50.0, "a")
    assert seen(first) == (pytest.approx(INTERVAL + MAX_WINDOW), False)
    assert seen(engine.slot(50.0 + first.delay, "a", first)) == (0.0, True)


def test_a_ticket_of_another_life_or_form_is_void() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    old = engine.slot(0.0, "b")
    for ticket, epoch in ((old.ticket, "zero"), ("7", "one"), ("0", "one"), ("-1", "one"), ("x", "one"), ("", "one")):
        new = engine.slot(0.0, f"c{ticket}{epoch}", ticket=ticket, epoch=epoch)
        assert int(new.ticket) == engine.state.tickets > int(old.ticket)


def test_the_newest_ticket_is_as_good_as_the_others() -> None:
    engine = Engine()
    engine.slot(0.0, "a")
    newest = engine.slot(0.0, "b1")
    assert engine.slot(0.0, "b2", newest).ticket == newest.ticket


def test_what_does_not_hang_on_a_life_is_kept_in_the_next() -> None:
    engine = Engine()
    slot = engine.slot(0.0, "a", fe_version="v1")
    engine.hold(0.0, 30.0)
    assert in_epoch(engine.state, "one") is engine.state
    engine = Engine(in_epoch(engine.state, "two"))
    new = engine.slot(1.0, "b", slot)
    assert (new.delay, new.epoch, new.fe_version, new.ticket) == (29.0, "two", "v1", "1")


def test_a_clock_that_goes_back_stands_still_for_one_call() -> None:
    engine = Engine()
    engine.slot(1000.0, "a")
    second = engine.slot(1000.5, "b")
    assert engine.slot(980.0, "b", second).delay == second.delay
    assert seen(engine.slot(980.0 + second.delay, "b", second)) == (0.0, True)
