"""The turns of a shared conversation: each rule of the engine, by calls at given times."""

from __future__ import annotations

from ddg_protocol.coordination import (
    Busy,
    Claim,
    Claimed,
    Commit,
    Committed,
    ConversationCall,
    Done,
    Lost,
    Mark,
    Marked,
    Release,
    Released,
    Result,
)
from ddg_protocol.coordination._turns import MAX_REPLY_BYTES, ConversationState, decide

LEASE = 10.0


class Engine:
    """A conversation that is called at times of its engine's clock."""

    def __init__(self) -> None:
        self.state = ConversationState()

    def call(self, now: float, call: ConversationCall) -> Result:
        self.state, result = decide(self.state, call, round(now * 1e6))
        return result

    def unchanged(self, now: float, call: ConversationCall) -> Result:
        before = self.state
        result = self.call(now, call)
        assert self.state is before
        return result

    def claim(self, now: float, holder: str, *, take_over: bool = False) -> Claimed:
        result = self.call(now, claim(holder, take_over=take_over))
        assert isinstance(result, Claimed)
        return result

    def turn(self, now: float, holder: str, document: bytes, *, turn: str = "", reply: bytes = b"") -> None:
        has = self.claim(now, holder)
        assert isinstance(self.call(now, commit(has, document, turn=turn, reply=reply)), Committed)


def claim(holder: str, *, turn: str = "", fence: int = 0, take_over: bool = False) -> Claim:
    return Claim(key="c", holder=holder, lease=LEASE, turn=turn, fence=fence, take_over=take_over)


def mark(has: Claimed) -> Mark:
    return Mark(key="c", fence=has.fence, lease=LEASE)


def commit(has: Claimed, document: bytes, *, turn: str = "", reply: bytes = b"") -> Commit:
    return Commit(key="c", fence=has.fence, revision=has.revision, document=document, turn=turn, reply=reply)


def release(has: Claimed, document: bytes | None = None) -> Release:
    return Release(key="c", fence=has.fence, revision=has.revision, document=document)


def test_a_turn_claims_marks_and_commits() -> None:
    engine = Engine()
    has = engine.claim(0.0, "a")
    assert (has.revision, has.document, has.sent) == (0, b"", False)
    assert engine.call(1.0, mark(has)) == Marked()
    assert engine.call(2.0, commit(has, b"one")) == Committed(revision=1)
    then = engine.claim(2.0, "b")
    assert (then.revision, then.document, then.sent) == (1, b"one", False)
    assert then.fence > has.fence


def test_a_fence_is_the_time_or_else_one_more_than_the_last() -> None:
    """So all engines give the same ones."""
    engine = Engine()
    assert [engine.claim(0.0, holder, take_over=True).fence for holder in "abc"] == [1, 2, 3]
    assert [engine.claim(5.0, holder, take_over=True).fence for holder in "de"] == [5_000_000, 5_000_001]


# One at a time


def test_another_turn_is_told_how_long_the_lease_holds() -> None:
    engine = Engine()
    engine.claim(0.0, "a")
    assert engine.unchanged(4.0, claim("b")) == Busy(retry_after=6.0)
    assert isinstance(engine.call(10.0, claim("b")), Claimed)


def test_a_lease_is_renewed_by_its_holder() -> None:
    engine = Engine()
    has = engine.claim(0.0, "a")
    renewed = engine.call(6.0, claim("a", fence=has.fence))
    assert renewed == Claimed(fence=has.fence, revision=0, document=b"")
    assert engine.call(10.0, claim("b")) == Busy(retry_after=6.0)


def test_an_earlier_call_that_comes_late_once_more_does_not_make_a_lease_shorter() -> None:
    engine = Engine()
    has = engine.claim(0.0, "a")
    engine.call(1.0, Mark(key="c", fence=has.fence, lease=60.0))
    assert engine.call(2.0, claim("a")) == has
    assert engine.call(2.0, claim("b")) == Busy(retry_after=59.0)
    assert engine.call(3.0, mark(has)) == Marked()
    assert engine.call(3.0, claim("b")) == Busy(retry_after=58.0)


def test_a_renewal_brings_no_document() -> None:
    engine = Engine()
    engine.turn(0.0, "a", b"one")
    has = engine.claim(1.0, "b")
    assert has.document == b"one"
    assert engine.call(2.0, claim("b", fence=has.fence)) == Claimed(fence=has.fence, revision=1, document=b"")


def test_a_lease_that_is_over_is_still_the_holder_s_until_another_one_claims() -> None:
    engine = Engine()
    has = engine.claim(0.0, "a")
    assert engine.call(60.0, mark(has)) == Marked()
    assert engine.call(61.0, claim("b")) == Busy(retry_after=9.0)
    assert engine.call(90.0, commit(has, b"one")) == Committed(revision=1)


def test_a_turn_that_has_lost_the_conversation_changes_nothing() -> None:
    engine = Engine()
    late = engine.claim(0.0, "a")
    engine.claim(10.0, "b")
    for call in (
        mark(late),
        commit(late, b"late"),
        release(late),
        release(late, b"late"),
        claim("a", fence=late.fence),
    ):
        assert engine.unchanged(11.0, call) == Lost()


def test_a_turn_may_take_over() -> None:
    engine = Engine()
    first = engine.claim(0.0, "a")
    second = engine.claim(1.0, "b", take_over=True)
    assert second.fence > first.fence
    assert engine.call(2.0, commit(first, b"late")) == Lost()
    assert engine.call(3.0, commit(second, b"one")) == Committed(revision=1)


def test_a_revision_that_the_store_doesn_t_have_is_lost() -> None:
    """As after a failover to a copy that is behind."""
    engine = Engine()
    has = engine.claim(0.0, "a")
    ahead = Claimed(fence=has.fence, revision=7, document=b"seven")
    assert engine.unchanged(1.0, commit(ahead, b"eight")) == Lost()
    assert engine.unchanged(1.0, release(ahead)) == Lost()


def test_a_conversation_that_the_store_has_lost_is_lost() -> None:
    engine = Engine()
    has = engine.claim(5.0, "a")
    engine.state = ConversationState()
    assert engine.unchanged(6.0, mark(has)) == Lost()
    assert engine.unchanged(6.0, commit(has, b"one")) == Lost()
    assert engine.unchanged(6.0, release(has)) == Lost()
    assert engine.claim(6.0, "b").fence > has.fence, "so that it stays lost"


def test_a_conversation_that_was_never_claimed_is_nobody_s() -> None:
    engine = Engine()
    ghost = Claimed(fence=1, revision=0, document=b"")
    for call in (mark(ghost), commit(ghost, b"one"), release(ghost), release(ghost, b"one"), claim("a", fence=1)):
        assert engine.unchanged(1.0, call) == Lost()


# Each call may be repeated


def test_a_claim_that_is_repeated_is_the_same_one() -> None:
    engine = Engine()
    engine.turn(0.0, "z", b"one")
    first = engine.claim(1.0, "a")
    assert engine.call(5.0, claim("a")) == first
    assert engine.call(11.0, claim("b")) == Busy(retry_after=4.0), "it renews the lease"


def test_a_claim_that_comes_again_after_its_turn_has_ended_takes_nothing() -> None:
    engine = Engine()
    engine.call(1.0, commit(engine.claim(0.0, "a"), b"one"))
    assert engine.unchanged(2.0, claim("a")) == Lost()
    engine.call(4.0, release(engine.claim(3.0, "b")))
    assert engine.unchanged(5.0, claim("b")) == Lost()


def test_a_claim_that_comes_again_after_later_turns_takes_nothing() -> None:
    """As from a connection that was cut off, and given up for another one."""
    engine = Engine()
    engine.turn(0.0, "a", b"one")
    engine.turn(1.0, "b", b"two")
    assert engine.unchanged(2.0, claim("a")) == Lost()
    has = engine.claim(3.0, "c")
    assert engine.unchanged(4.0, claim("a", take_over=True)) == Lost(), "not even from a turn that is under way"
    assert engine.call(5.0, commit(has, b"three")) == Committed(revision=3)


def test_a_holder_is_remembered_until_eight_others_have_followed() -> None:
    """As `Claim.holder` says."""
    engine = Engine()
    for number in range(10):
        engine.turn(0.0, f"h{number}", b"doc")
    assert all(engine.unchanged(0.0, claim(f"h{number}")) == Lost() for number in range(1, 10))
    assert isinstance(engine.call(0.0, claim("h0")), Claimed)


def test_a_commit_that_is_repeated_is_stored_once() -> None:
    engine = Engine()
    has = engine.claim(0.0, "a")
    call = commit(has, b"one", turn="t", reply=b"reply")
    assert engine.call(1.0, call) == Committed(revision=1)
    assert engine.unchanged(2.0, call) == Committed(revision=1)
    engine.turn(3.0, "b", b"two")
    assert engine.unchanged(4.0, call) == Committed(revision=2), "also after the next turn"
    other = commit(has, b"other", turn="u", reply=b"reply")
    assert engine.unchanged(5.0, other) == Lost()


def test_a_commit_without_a_key_can_be_repeated_too() -> None:
    engine = Engine()
    call = commit(engine.claim(0.0, "a"), b"one")
    engine.call(1.0, call)
    engine.turn(2.0, "b", b"two")
    assert engine.unchanged(3.0, call) == Committed(revision=2)


def test_a_mark_and_a_release_can_be_repeated() -> None:
    engine = Engine()
    has = engine.claim(0.0, "a")
    assert [engine.call(1.0, mark(has)) for _ in range(2)] == [Marked(), Marked()]
    assert engine.call(2.0, release(has, b"doc")) == Released()
    assert engine.unchanged(3.0, release(has, b"doc")) == Released()
    assert engine.unchanged(3.0, mark(has)) == Lost(), "a late one marks nothing"
    assert engine.claim(4.0, "b").sent is False


# A turn that is asked again


def test_a_turn_that_was_done_is_answered_with_its_reply() -> None:
    engine = Engine()
    engine.turn(0.0, "a", b"one", turn="t1", reply=b"first")
    engine.turn(1.0, "b", b"two", turn="t2", reply=b"second")
    has = engine.claim(2.0, "c")
    assert engine.unchanged(3.0, claim("d", turn="t1")) == Done(reply=b"first", revision=2, document=b"two")
    assert engine.unchanged(3.0, claim("c", turn="t2", fence=has.fence)) == Done(
        reply=b"second", revision=2, document=b"two"
    )
    assert engine.call(3.0, claim("d", turn="t3")) == Busy(retry_after=9.0)


def test_turns_without_a_key_are_not_taken_for_each_other() -> None:
    engine = Engine()
    engine.turn(0.0, "a", b"one", reply=b"reply")
    engine.turn(1.0, "b", b"two", reply=b"reply")
    assert engine.state.stored.revision == 2
    assert [turn.reply for turn in engine.state.stored.turns] == [b"", b""], "nobody can ask for them"


def test_a_turn_that_another_claim_has_done_is_not_stored_again() -> None:
    engine = Engine()
    engine.turn(0.0, "a", b"one", turn="t")
    has = engine.claim(1.0, "b")
    assert engine.unchanged(2.0, commit(has, b"two", turn="t")) == Lost()


def test_the_last_64_turns_are_remembered() -> None:
    """As docs/more-than-one-process.md says."""
    engine = Engine()
    for number in range(65):
        engine.turn(0.0, f"h{number}", b"doc", turn=f"t{number}", reply=b"reply")
    assert len(engine.state.stored.turns) == 64
    assert isinstance(engine.unchanged(0.0, claim("x", turn="t1")), Done)
    assert isinstance(engine.call(0.0, claim("y", turn="t0")), Claimed)


def test_of_long_replies_the_older_ones_are_dropped_and_their_turns_stay_done() -> None:
    engine = Engine()
    half = bytes(MAX_REPLY_BYTES // 2)
    for number in range(3):
        engine.turn(0.0, f"h{number}", b"doc", turn=f"t{number}", reply=half)
    assert [len(turn.reply) for turn in engine.state.stored.turns] == [0, len(half), len(half)]
    assert engine.call(0.0, claim("x", turn="t0")) == Done(reply=b"", revision=3, document=b"doc")
    engine.turn(0.0, "big", b"doc", turn="big", reply=half * 3)
    assert [len(turn.reply) for turn in engine.state.stored.turns] == [0, 0, 0, 3 * len(half)], "the newest stays"


# A turn that ends without a word


def test_the_next_claim_is_told_that_a_question_may_have_been_sent_until_something_is_stored() -> None:
    engine = Engine()
    engine.call(0.0, mark(engine.claim(0.0, "a")))
    second = engine.claim(20.0, "b")
    assert second.sent
    assert engine.call(21.0, claim("b")) == second
    third = engine.claim(40.0, "c")
    assert third.sent, "the second has stored nothing"
    engine.call(41.0, release(third))
    fourth = engine.claim(42.0, "d")
    assert fourth.sent, "nor has the third"
    engine.call(43.0, release(fourth, b"without the token"))
    fifth = engine.claim(44.0, "e")
    assert (fifth.sent, fifth.document, fifth.revision) == (False, b"without the token", 1)


def test_a_release_takes_back_the_turn_s_own_mark() -> None:
    engine = Engine()
    has = engine.claim(0.0, "a")
    engine.call(0.0, mark(has))
    assert engine.call(1.0, release(has)) == Released()
    assert engine.claim(2.0, "b").sent is False


def test_a_commit_ends_the_doubt() -> None:
    engine = Engine()
    engine.call(0.0, mark(engine.claim(0.0, "a")))
    engine.turn(20.0, "b", b"one")
    assert engine.claim(21.0, "c").sent is False


def test_a_turn_that_was_taken_over_after_its_mark_leaves_the_doubt() -> None:
    engine = Engine()
    engine.call(0.0, mark(engine.claim(0.0, "a")))
    assert engine.claim(1.0, "b", take_over=True).sent


# The engine's clock


def test_a_lease_ends_in_time_although_the_clock_goes_back() -> None:
    engine = Engine()
    engine.claim(1000.0, "a")
    assert engine.call(980.0, claim("b")) == Busy(retry_after=10.0)
    assert engine.call(985.0, claim("b")) == Busy(retry_after=5.0)
    assert isinstance(engine.call(990.0, claim("b")), Claimed)


def test_nothing_that_is_stored_shows() -> None:
    engine = Engine()
    engine.turn(0.0, "a", b"secret", turn="t", reply=b"secret")
    assert "secret" not in repr(engine.state)
