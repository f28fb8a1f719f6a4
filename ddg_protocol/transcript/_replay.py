"""The same again, with today's core."""

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
    """A pull of the recorded session, and the same pull of today's; or another of its calls.

    Attributes:
        line: its number in the transcript.
        delay: seconds that passed before it, at most 1,000,000.
        expected: what came then; nothing where it isn't a pull.
        got: what comes now.
        states: those that today's session went through since the step before, in order; none where it stayed.
    """

    line: int
    delay: float
    expected: Outcome
    got: Outcome
    states: tuple[State, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the two are the same."""
        return self.expected == self.got


def replay(transcript: Transcript, *, every_call: bool = False) -> Iterator[Step]:
    """Do it all again with today's core.

    Args:
        transcript: what happened.
        every_call: whether the calls between the pulls are steps too.

    Yields:
        Each pull, as it is reached: whoever wants it in real time lets `Step.delay` pass first. The first that is not
        the same is the last; what follows was said to another session.
    """
    drawn: deque[float] = deque()
    # A core that draws another number of times differs by that: it must not fail.
    passed: list[State] = []
    session = restored(transcript.head, lambda: drawn.popleft() if drawn else 0.0, passed.append)
    passed.clear()  # it began with one
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
    """Tell where today's core no longer does what was recorded.

    Args:
        transcript: what to do again.

    Returns:
        The step that differs, or None where it is the same to the end.
    """
    return next((step for step in replay(transcript) if not step.same), None)


def _retold(session: Session, line: Line) -> Outcome:
    """Tell a session what the recorded one was told; it was legal then, and nothing came of it."""
    try:
        apply(session, line)
    except DuckChatError as error:
        refused: Outcome = plain(error)
        return refused
    return {}
