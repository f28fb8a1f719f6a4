"""The same again, with today's core."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from ..errors import DuckChatError
from ..session import Session
from ._lines import Line, NextAction, Outcome, Transcript, plain
from ._playing import apply, pulled, restored


class Step(msgspec.Struct, frozen=True):
    """A pull of the recorded session, and the same pull of today's.

    Attributes:
        line: its number in the transcript.
        delay: seconds that passed before it.
        expected: what came then.
        got: what comes now.
    """

    line: int
    delay: float
    expected: Outcome
    got: Outcome

    @property
    def same(self) -> bool:
        """Whether the two are the same."""
        return self.expected == self.got


def replay(transcript: Transcript) -> Iterator[Step]:
    """Do it all again with today's core.

    Args:
        transcript: what happened.

    Yields:
        Each pull, as it is reached: whoever wants it in real time lets `Step.delay` pass first. The first that is not
        the same is the last; what follows was said to another session.
    """
    drawn: deque[float] = deque()
    # A core that draws another number of times differs by that: it must not fail.
    session = restored(transcript.head, lambda: drawn.popleft() if drawn else 0.0)
    before: float | None = None
    for number, line in transcript.lines:
        if isinstance(line, NextAction):
            drawn.extend(line.jitter)
            got = plain(pulled(session, line.now))
            drawn.clear()
            delay = 0.0 if before is None else line.now - before
            before = line.now
            step = Step(number, delay, line.gives or line.raises or {}, got)
        else:
            step = _retold(session, number, line)
        if isinstance(line, NextAction) or not step.same:
            yield step
            if not step.same:
                return


def first_difference(transcript: Transcript) -> Step | None:
    """Tell where today's core no longer does what was recorded; None where it does the same to the end."""
    return next((step for step in replay(transcript) if not step.same), None)


def _retold(session: Session, number: int, line: Line) -> Step:
    """Tell a session what the recorded one was told; it was legal then."""
    refused: Outcome = {}
    try:
        apply(session, line)
    except DuckChatError as error:
        refused = plain(error)
    return Step(number, 0.0, {}, refused)
