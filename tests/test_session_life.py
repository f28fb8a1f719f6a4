"""A session over time: determinism, many sessions at once, slow and hostile peers, what it costs."""

from __future__ import annotations

from test_session import DONE, HELLO, STREAM, Hand

from ddg_protocol import NEED_DATA, PAUSED, TextDelta, TurnFinished
from ddg_protocol._state import State


def test_the_deadline_of_what_follows_a_reply_is_the_drains_own() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    assert hand.pull() is NEED_DATA
    hand.now += 29.5  # half a second before the read timeout
    hand.session.receive_data(request, HELLO + DONE)
    assert hand.pull() is NEED_DATA
    assert hand.session.state is State.DRAINING
    assert hand.session.deadline == hand.now + 1.0
    hand.now += 1.0
    assert hand.pull() is PAUSED
    assert hand.events[-3:] == [TextDelta("Hel"), TextDelta("lo"), TurnFinished("Hello", "stop", "gpt-4o-mini", None)]
