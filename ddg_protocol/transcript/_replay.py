"""Replay a transcript with the current core."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from .._state import State
from ..errors import DuckChatError
from ..policy import MAX_SECONDS
from ..session import Session
from ._lines import Line, NextAction, Outcome, Transcript, plain
from ._playing import apply, pulled, restored


class Step(msgspec.Struct, frozen=True):
    """A pull of the recorded session and the same pull of the current one, or another call of both.

    Attributes:
        line: its line number in the transcript.
        delay: seconds since the pull before, at most 1,000,000.
        expected: the recorded outcome; empty if it isn't a pull.
        got: the current outcome.
        states: the states that the current session entered since the step before, in order.
    """

    line: int
    delay: float
    expected: Outcome
    got: Outcome
    states: tuple[State, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the outcomes are the same."""
        return self.expected == self.got


def replay(transcript: Transcript, *, every_call: bool = False) -> Iterator[Step]:
    """Replay a transcript with the current core.

    Args:
        transcript: the transcript to replay.
        every_call: whether the calls between the pulls are steps too.

    Yields:
        Each pull, as it is reached; for real time, the caller sleeps for `Step.delay` first. The first step that
        differs is the last, since the following lines no longer fit the session.
    """
    drawn: deque[float] = deque()
    # A core that draws more often than the recorded one must differ, not fail.
    passed: list[State] = []
    session = restored(transcript.head, lambda: drawn.popleft() if drawn else 0.0, passed.append)
    passed.clear()  # the first state
    before: float | None = None
    states: list[State] = []
    for number, line in transcript.lines:
        delay, expected = 0.0, Outcome()
        if isinstance(line, NextAction):
            drawn.extend(line.jitter)
            got = plain(pulled(session, line.now))
            drawn.clear()
            expected = line.gives or line.raises or {}
            delay = 0.0 if before is None else min(max(-MAX_SECONDS, line.now - before), MAX_SECONDS)
            before = line.now
        else:
            got = _retold(session, line)
        states += passed
        passed.clear()
        if every_call or isinstance(line, NextAction) or got != expected:
            step = Step(number, delay, expected, got, tuple(states))
            states.clear()
            yield step
            if not step.same:
                return


def first_difference(transcript: Transcript) -> Step | None:
    """Return the first step at which the current core differs from the recording.

    Args:
        transcript: the transcript to replay.

    Returns:
        The step that differs, or None if none does.
    """
    return next((step for step in replay(transcript) if not step.same), None)


def _retold(session: Session, line: Line) -> Outcome:
    """Repeat a recorded call other than a pull; it was legal then, and had no outcome."""
    try:
        apply(session, line)
    except DuckChatError as error:
        refused: Outcome = plain(error)
        return refused
    return {}
