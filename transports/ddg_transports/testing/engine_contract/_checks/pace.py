"""The checks of the pace."""

from __future__ import annotations

from ddg_protocol.coordination import Hold, Reserve, Slot

from ...contract._steps import NotKept
from .._bench import Bench
from .._item import item
from .._steps import INTERVAL, SPACING, WINDOW, confirmed, expect, expect_a, expect_delay, first, refused, reserve

_PACE = "it keeps the service's pace"


@item(protects=_PACE)
async def slots_apart(bench: Bench) -> None:
    """A slot begins an interval behind the window of the one before, and is final once it begins soon."""
    one = await first(bench)
    two = await reserve(bench)
    expect("whether a slot that is an interval off is final", two.slot.final, False)
    expect_delay(bench, "the slot after a final one", two, SPACING, since=one)
    two = await confirmed(bench, two)
    expect_delay(bench, "the slot after that", await reserve(bench), SPACING, since=two)


@item(protects=_PACE)
async def slots_at_once(bench: Bench) -> None:
    """Of many turns that ask at the same time, one has a final slot, and the others queue behind it one by one."""
    await confirmed(bench, await first(bench))
    await bench.passes(SPACING)
    calls = [Reserve(nonce=bench.nonce(), interval=INTERVAL, window=WINDOW, max_wait=60.0) for _ in range(20)]
    slots = [expect_a(Slot, "one of 20 requests at once", result) for result in await bench.together(calls)]
    expect("how many of 20 slots that were asked for at once are final", sum(slot.final for slot in slots), 1)
    expect("how many tickets 20 turns have", len({slot.ticket for slot in slots}), 20)
    ahead = sorted(slot.position for slot in slots if not slot.final)
    expect("how many turns are ahead of each that queues", ahead, list(range(19)))


@item(protects=_PACE)
async def hold(bench: Bench) -> None:
    """No slot begins during a hold, those of the turns that queue included, and a shorter hold changes nothing."""
    await first(bench)
    queued = await reserve(bench)
    before = bench.now()
    await bench.call(Hold(seconds=2 * SPACING))
    await bench.call(Hold(seconds=0.01))
    await bench.passes(queued.slot.delay)
    asked = bench.now()
    again = await reserve(bench, queued.nonce, of=queued)
    least = 2 * SPACING - (bench.now() - before) - bench.late
    if again.slot.final or not least <= again.slot.delay <= 2 * SPACING - (asked - before) + SPACING:
        raise NotKept(
            f"a turn that queued asked {again.after - before:.3f} s after a hold of {2 * SPACING:g} s: got {again.slot}"
        )
    await confirmed(bench, again)


@item()
async def run_of_slots(bench: Bench) -> None:
    """The requests of a turn follow one another: a younger turn queues behind all that it has still to make."""
    one = await first(bench, need=2)
    younger = await reserve(bench)
    expect_delay(bench, "the slot of a turn behind one with a request to make", younger, 2 * SPACING, since=one)
    expect("how many turns are ahead", younger.slot.position, 1)
    again = await reserve(bench, of=one)
    expect("whether it is the older turn's next", again.slot.position, 0)
    again = await confirmed(bench, again)
    younger = await confirmed(bench, younger)
    expect_delay(bench, "the slot after those", await reserve(bench), SPACING, since=younger)


@item()
async def older_turn_first(bench: Bench) -> None:
    """A turn that has missed its slot comes before younger ones that queue."""
    one = await first(bench, need=2)
    await bench.passes(SPACING + 2 * WINDOW)
    await confirmed(bench, await reserve(bench))
    queued = await reserve(bench)
    older = await reserve(bench, of=one)
    expect("how many turns are ahead of the oldest", older.slot.position, 0)
    queued = await reserve(bench, queued.nonce, of=queued)
    expect("how many turns are ahead of the one that queued", queued.slot.position, 1)


@item()
async def abandoned_turn(bench: Bench) -> None:
    """A turn that doesn't come back for its slot delays the others for a while, and no longer."""
    await first(bench, need=2)
    await reserve(bench, need=3)
    await reserve(bench, need=3)
    await bench.passes(7 * SPACING)
    again = await reserve(bench)
    expect("whether the slot of a turn is final once those ahead of it have gone", again.slot.final, True)
    expect("how many turns are ahead", again.slot.position, 0)


@item()
async def repeated_reserve(bench: Bench) -> None:
    """A call with the same nonce gets the same slot, be it final or not, also when its turn has no ticket yet."""
    one = await first(bench)
    again = await reserve(bench, one.nonce)
    expect("the ticket of a final slot that is asked for again", again.slot.ticket, one.slot.ticket)
    expect("whether it is final", again.slot.final, True)
    two = await reserve(bench)
    same = await reserve(bench, two.nonce)
    expect("the ticket of a slot that is asked for again", same.slot.ticket, two.slot.ticket)
    expect_delay(bench, "that slot", same, SPACING, since=again)
    expect("how many turns are ahead of the next", (await reserve(bench)).slot.position, 1)


@item()
async def missed_slot(bench: Bench) -> None:
    """A slot that its request has missed is given once more to the same nonce, if no other turn has got one."""
    await first(bench)
    await bench.passes(SPACING)
    missed = await confirmed(bench, await reserve(bench))
    await bench.passes(1.5 * WINDOW)
    again = await reserve(bench, missed.nonce, of=missed)
    expect("whether it is final", again.slot.final, True)
    expect_delay(bench, "the slot after it", await reserve(bench), SPACING, since=again)


@item()
async def refused_slot(bench: Bench) -> None:
    """A slot further off than a turn can wait is refused, with the time, and takes no place in the queue."""
    one = await first(bench)
    wait = await refused(bench, max_wait=0.01)
    if not 0.01 < wait <= SPACING + bench.late:
        raise NotKept(f"the slot is {SPACING:g} s off at most, and was refused as {wait:g} s off")
    two = await reserve(bench)
    expect_delay(bench, "the slot of the next turn", two, SPACING, since=one)
    await refused(bench, of=two, max_wait=0.01)
    expect("how many turns are ahead after one that had a place was refused", (await reserve(bench)).slot.position, 0)


@item()
async def no_interval(bench: Bench) -> None:
    """Without an interval there is no queue, and a hold is kept."""
    await first(bench)
    for _ in range(3):
        expect("whether a slot without an interval is final", (await reserve(bench, interval=0.0)).slot.final, True)
    await bench.call(Hold(seconds=SPACING))
    expect("whether it is during a hold", (await reserve(bench, interval=0.0)).slot.final, False)


@item(protects=_PACE)
async def one_fetch(bench: Bench) -> None:
    """One turn fetches the front-end version, and the others wait for it and are told."""
    fetching = await first(bench, fetches=True)
    await bench.passes(SPACING)
    waiting = await reserve(bench, fetches=True, need=2)
    expect("whether a turn may fetch while another does", waiting.slot.final, False)
    other = await reserve(bench)
    expect("how many turns are ahead of one that needs no version", other.slot.position, 0)
    expect("what it is told of the version", other.slot.fe_version, "")
    await reserve(bench, of=fetching, fe_version="v1")
    told = await reserve(bench, waiting.nonce, of=waiting, fetches=True, need=2)
    expect("the version that a turn is told that waited for it", told.slot.fe_version, "v1")
    later = await reserve(bench, fe_version="v0")
    expect("the version after another turn knew an older one", later.slot.fe_version, "v1")


@item()
async def failed_fetch(bench: Bench) -> None:
    """A fetch that has brought nothing is made by the next turn."""
    fetching = await first(bench, fetches=True, need=2)
    waiting = await reserve(bench, fetches=True)
    await confirmed(bench, await reserve(bench, of=fetching))
    await bench.passes(SPACING)
    again = await reserve(bench, waiting.nonce, of=waiting, fetches=True)
    expect("whether the next turn may fetch", again.slot.final, True)


@item()
async def void_tickets(bench: Bench) -> None:
    """A ticket of another epoch, or one that the engine has not given, makes its turn the youngest."""
    await first(bench)
    queued = await reserve(bench)
    strangers = [
        await reserve(bench, ticket=queued.slot.ticket, epoch="another"),
        await reserve(bench, ticket="not-a-ticket", epoch=queued.slot.epoch),
    ]
    expect("how many turns are ahead of those with such tickets", [told.slot.position for told in strangers], [1, 2])
    expect(
        "whether they have the ticket of another", queued.slot.ticket in {told.slot.ticket for told in strangers}, False
    )
