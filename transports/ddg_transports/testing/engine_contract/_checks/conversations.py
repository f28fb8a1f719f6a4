"""The checks of a conversation."""

from __future__ import annotations

from ddg_protocol.coordination import Busy, Claimed, Committed, Done, Lost, Mark, Marked, Release, Released

from ...contract._steps import NotKept
from .._bench import Bench
from .._item import item
from .._steps import LEASE, claim, claimed, commit, done, expect, expect_a

_ONE = "two turns would mix up a conversation"
_ONCE = "a turn would be lost or doubled"

KEYS = (
    *(
        "a",
        "A",
        " a",
        "a ",
        "a\n",
        "\u00e4",
        "a\u0308",
        "{a}",
        "{a",
        "a}b{c}",
        "*",
        "a:b",
        "a/b",
        "..",
        "\\",
        "%s",
        "'",
        '"',
    ),
    *("\x00", "a\x00", "a\x00b", "\r\n", "\u2028", "\ufeff", "\uffff", "\U0001f600", "\u0130", "I", "i", "\u0131"),
    *("x" * 512, "x" * 511, "\U0001f600" * 512),
)
"""Keys that a store may take for each other, for a pattern, or for a part of its own language."""


def _mark(has: Claimed) -> Mark:
    return Mark(key="c", fence=has.fence, lease=LEASE)


def _release(has: Claimed, document: bytes | None = None) -> Release:
    return Release(key="c", fence=has.fence, revision=has.revision, document=document)


@item(protects=_ONE)
async def one_holder(bench: Bench) -> None:
    """A conversation has one holder: another claim is told how long the lease holds."""
    before = bench.now()
    has = await claimed(bench)
    expect("a conversation that was never stored", (has.revision, has.document, has.sent), (0, b"", False))
    busy = expect_a(Busy, "a claim of a conversation that has a holder", await bench.call(claim("other")))
    least = LEASE - (bench.now() - before) - bench.late
    if not least <= busy.retry_after <= LEASE + bench.late:
        raise NotKept(f"a lease of {LEASE:g} s ends in {busy.retry_after:g} s")


@item(protects=_ONE)
async def claims_at_once(bench: Bench) -> None:
    """Of many claims at the same time, one gets the conversation."""
    results = await bench.together([claim(bench.nonce()) for _ in range(20)])
    kinds = sorted(type(result).__name__ for result in results)
    expect("the answers to 20 claims at once", kinds, ["Busy"] * 19 + ["Claimed"])


@item()
async def lease_ends(bench: Bench) -> None:
    """When a lease is over, another turn can claim the conversation, with a larger fence."""
    first = await claimed(bench)
    await bench.passes(LEASE)
    second = await claimed(bench)
    expect("whether the fence has grown", second.fence > first.fence, True)


@item(protects=_ONE)
async def stale_holder(bench: Bench) -> None:
    """A turn that has lost the conversation changes nothing any more, whatever it calls."""
    stale = await claimed(bench, holder="stale")
    await bench.passes(LEASE)
    holder = await claimed(bench)
    calls = (
        _mark(stale),
        commit(stale, b"late", turn="t", reply=b"late"),
        _release(stale),
        _release(stale, b"late"),
        claim("stale", fence=stale.fence),
    )
    for call in calls:
        expect(f"a {type(call).__name__} of a turn that has lost the conversation", await bench.call(call), Lost())
    expect("the holder's commit after them", await bench.call(commit(holder, b"one")), Committed(revision=1))
    expect("what is stored", (await claimed(bench)).document, b"one")


@item(protects=_ONE)
async def taken_over(bench: Bench) -> None:
    """A claim that takes over gets a conversation whose lease holds, and the holder has lost it."""
    first = await claimed(bench)
    second = await claimed(bench, take_over=True)
    expect("whether the fence has grown", second.fence > first.fence, True)
    expect("the commit of the turn that had it", await bench.call(commit(first, b"late")), Lost())
    expect("the commit of the turn that has it", await bench.call(commit(second, b"one")), Committed(revision=1))


@item()
async def renewal(bench: Bench) -> None:
    """The holder's claim with its fence renews the lease; it brings no document, which the holder has."""
    await done(bench, b"one")
    has = await claimed(bench, holder="holder")
    await bench.passes(LEASE / 2)
    renewed = expect_a(Claimed, "the holder's renewal", await bench.call(claim("holder", fence=has.fence)))
    expect("the renewal's fence and revision", (renewed.fence, renewed.revision), (has.fence, has.revision))
    expect("the renewal's document", renewed.document, b"")
    await bench.passes(LEASE * 2 / 3)
    expect_a(Busy, "a claim after the time of the first lease", await bench.call(claim("other")))


@item()
async def late_holder(bench: Bench) -> None:
    """A lease that is over is still the holder's while no other turn has claimed the conversation."""
    has = await claimed(bench)
    await bench.passes(2 * LEASE)
    expect("a mark after the lease", await bench.call(_mark(has)), Marked())
    expect_a(Busy, "a claim after the mark, which begins a new lease", await bench.call(claim("other")))
    await bench.passes(2 * LEASE)
    expect("a commit after the lease", await bench.call(commit(has, b"one")), Committed(revision=1))


@item()
async def repeated_claim(bench: Bench) -> None:
    """A claim with the holder's nonce is the same claim, and one of a turn that has had its lease gets nothing."""
    await done(bench, b"one")
    has = await claimed(bench, holder="holder")
    expect("the same claim once more", await bench.call(claim("holder")), has)
    expect("the holder's release", await bench.call(_release(has)), Released())
    expect("the same claim after the release", await bench.call(claim("holder")), Lost())
    await done(bench, b"two")
    expect("the same claim after the next turn", await bench.call(claim("holder")), Lost())
    last = await claimed(bench)
    expect("the same, to take over from the turn after that", await bench.call(claim("holder", take_over=True)), Lost())
    expect("that turn's commit", await bench.call(commit(last, b"three")), Committed(revision=3))


@item(protects=_ONCE)
async def stored_as_given(bench: Bench) -> None:
    """A document is read as it was stored, whatever bytes it has, and so is a reply."""
    everything = bytes(range(256)) * 4096  # 1 MiB
    await done(bench, everything, turn="t", reply=everything[::-1])
    has = await claimed(bench)
    expect("the document's length", len(has.document), len(everything))
    expect("whether the document is the one that was stored", has.document == everything, True)
    again = expect_a(Done, "the turn that was done", await bench.call(claim("other", turn="t")))
    expect("whether the reply is the one that was stored", again.reply == everything[::-1], True)


@item(protects=_ONCE)
async def repeated_commit(bench: Bench) -> None:
    """A commit that is repeated is stored once, with a turn's key and without, also after the next turn."""
    for number, turn in enumerate(("t", "")):
        has = await claimed(bench, turn=turn)
        call = commit(has, b"one", turn=turn, reply=b"reply")
        expect("a commit", await bench.call(call), Committed(revision=2 * number + 1))
        expect("the same once more", await bench.call(call), Committed(revision=2 * number + 1))
        await done(bench, b"two")
        expect("the same after another turn", await bench.call(call), Committed(revision=2 * number + 2))
        last = await claimed(bench)
        expect("what is stored then", (last.document, last.revision), (b"two", 2 * number + 2))
        await bench.call(_release(last))


@item(protects=_ONCE)
async def commits_at_once(bench: Bench) -> None:
    """A commit that comes several times at once is stored once."""
    has = await claimed(bench)
    results = await bench.together([commit(has, b"one", turn="t", reply=b"reply")] * 10)
    expect("the answers to 10 equal commits at once", set(results), {Committed(revision=1)})
    expect("the revision after them", (await claimed(bench)).revision, 1)


@item(protects=_ONCE)
async def turn_done(bench: Bench) -> None:
    """A turn that was done is answered with its reply and the document, also while another has the conversation."""
    await done(bench, b"one", turn="t1", reply=b"first")
    await done(bench, b"two", turn="t2", reply=b"second")
    await claimed(bench)
    for turn, reply in (("t1", b"first"), ("t2", b"second")):
        result = await bench.call(claim("other", turn=turn))
        expect(f"a claim for the turn {turn}", result, Done(reply=reply, revision=2, document=b"two"))
    expect_a(Busy, "a claim for a turn that was not done", await bench.call(claim("other", turn="t3")))


@item(protects=_ONCE)
async def many_turns(bench: Bench) -> None:
    """A conversation remembers its newest 64 turns."""
    for number in range(64):
        await done(bench, b"doc", turn=f"t{number}", reply=b"%d" % number)
    for number in (0, 31, 63):
        result = expect_a(Done, f"a claim for turn {number} of 64", await bench.call(claim("other", turn=f"t{number}")))
        expect("its reply", result.reply, b"%d" % number)


@item(protects=_ONCE)
async def turn_of_another(bench: Bench) -> None:
    """A turn that another claim has done is not stored once more."""
    await done(bench, b"one", turn="t")
    has = await claimed(bench)
    expect("a commit for a turn that was done", await bench.call(commit(has, b"two", turn="t")), Lost())


@item(protects=_ONE)
async def other_revision(bench: Bench) -> None:
    """A commit or release for another revision than the stored one is lost."""
    await done(bench, b"one")
    has = await claimed(bench)
    for revision in (has.revision - 1, has.revision + 1):
        other = Claimed(fence=has.fence, revision=revision, document=b"")
        expect("a commit for another revision", await bench.call(commit(other, b"two")), Lost())
        expect("a release for another revision", await bench.call(_release(other, b"two")), Lost())
    expect("the commit for the stored one", await bench.call(commit(has, b"two")), Committed(revision=2))


@item(protects=_ONE)
async def unknown_conversation(bench: Bench) -> None:
    """Whatever is called for a conversation that was never claimed is lost, and leaves it as it is."""
    ghost = Claimed(fence=1, revision=0, document=b"")
    for call in (_mark(ghost), commit(ghost, b"one"), _release(ghost), claim("ghost", fence=1)):
        expect(f"a {type(call).__name__} for a conversation that was never claimed", await bench.call(call), Lost())
    expect("its revision", (await claimed(bench)).revision, 0)


@item()
async def released(bench: Bench) -> None:
    """A release leaves what is stored or stores a document, frees the conversation, and may be repeated."""
    await done(bench, b"one")
    has = await claimed(bench)
    for _ in range(2):
        expect("a release", await bench.call(_release(has)), Released())
    has = await claimed(bench)
    expect("what is stored after it", (has.document, has.revision), (b"one", 1))
    for _ in range(2):
        expect("a release with a document", await bench.call(_release(has, b"without the token")), Released())
    has = await claimed(bench)
    expect("what is stored after that", (has.document, has.revision), (b"without the token", 2))


@item(protects="a token that the service has seen would be sent again")
async def sent(bench: Bench) -> None:
    """After a mark without commit or release, claims say that a question may have been sent, until one stores."""
    expect("the mark of the holder", await bench.call(_mark(await claimed(bench))), Marked())
    await bench.passes(LEASE)
    for release in ("the next claim", "the claim after a release that has stored nothing"):
        has = await claimed(bench)
        expect(release, has.sent, True)
        await bench.call(_release(has))
    await bench.call(_release(await claimed(bench), b"without the token"))
    has = await claimed(bench)
    expect("the claim after one that has stored the conversation", has.sent, False)
    await bench.call(_mark(has))
    await bench.call(_release(has))
    has = await claimed(bench)
    expect("the claim after a release that took its own mark back", has.sent, False)
    await bench.call(_mark(has))
    expect("a claim that takes over after a mark", (await claimed(bench, take_over=True)).sent, True)


@item(protects=_ONE)
async def any_key(bench: Bench) -> None:
    """Keys of conversations and of turns are told apart, whatever characters they have."""
    for key in KEYS:
        await done(bench, key.encode(), key=key, turn=key, reply=b"reply to " + key.encode())
    for key in KEYS:
        has = await claimed(bench, key=key)
        expect(f"the document of the conversation {key[:20]!r}", has.document, key.encode())
        result = await bench.call(claim("other", key=key, turn=key))
        reply = b"reply to " + key.encode()
        expect(f"its turn {key[:20]!r}", result, Done(reply=reply, revision=1, document=key.encode()))
    for turn in KEYS:
        await done(bench, b"doc", key="of all", turn=turn, reply=turn.encode())
    for turn in KEYS:
        result = expect_a(Done, f"the turn {turn[:20]!r}", await bench.call(claim("other", key="of all", turn=turn)))
        expect(f"the reply of the turn {turn[:20]!r}", result.reply, turn.encode())
