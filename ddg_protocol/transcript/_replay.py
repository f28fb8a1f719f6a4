"""Replay a transcript with the current core."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from .._state import State
from ..errors import DuckChatError
from ..policy import MAX_SECONDS
from ._lines import Begin, Head, Line, NextAction, Outcome, begun, plain
from ._playing import apply, pulled, restored
from ._reading import Transcript


class Step(msgspec.Struct, frozen=True):
    """A pull of the recorded session and the same pull of the current one, or another call of both.

    Attributes:
        line: its line number in the transcript.
        delay: seconds since the pull before, of whichever chat, at most 1,000,000.
        expected: the recorded outcome; empty if it isn't a pull.
        got: the current outcome.
        states: the states that the chat's current session entered since its step before, in order.
        chat: the number of its chat.
    """

    line: int
    delay: float
    expected: Outcome
    got: Outcome
    states: tuple[State, ...] = ()
    chat: int = 1

    @property
    def same(self) -> bool:
        """Whether the outcomes are the same."""
        return self.expected == self.got


def replay(transcript: Transcript, *, every_call: bool = False) -> Iterator[Step]:
    """Replay a transcript with the current core, each chat in a session of its own.

    Args:
        transcript: the transcript to replay.
        every_call: whether the calls between the pulls are steps too.

    Yields:
        Each pull, as it is reached; for real time, the caller sleeps for `Step.delay` first. The first step that
        differs is the last, since the following lines no longer fit the session.
    """
    before: float | None = None
    chats = {1: _Chat(transcript.head)}
    for number, line in transcript.lines:
        if isinstance(line, Begin):
            chats[line.chat] = _Chat(begun(transcript.head, line))
            continue
        chat = chats[line.chat]
        delay, expected = 0.0, Outcome()
        if isinstance(line, NextAction):
            got = chat.pull(line)
            expected = line.gives or line.raises or {}
            delay = 0.0 if before is None else min(max(-MAX_SECONDS, line.now - before), MAX_SECONDS)
            before = line.now
        else:
            got = chat.retell(line)
        if every_call or isinstance(line, NextAction) or got != expected:
            step = Step(number, delay, expected, got, tuple(chat.states), line.chat)
            chat.states.clear()
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


class _Chat:
    """A chat that is replayed, with the states that its session has entered since the last step."""

    def __init__(self, head: Head) -> None:
        self.states: list[State] = []
        self._drawn: deque[float] = deque()
        # A core that draws more often than the recorded one must differ, not fail.
        self._session = restored(head, lambda: self._drawn.popleft() if self._drawn else 0.0, self.states.append)
        self.states.clear()  # the first state

    def pull(self, line: NextAction) -> Outcome:
        self._drawn.extend(line.jitter)
        got: Outcome = plain(pulled(self._session, line.now))
        self._drawn.clear()
        return got

    def retell(self, line: Line) -> Outcome:
        """Repeat a recorded call other than a pull; it was legal then, and had no outcome."""
        try:
            apply(self._session, line)
        except DuckChatError as error:
            refused: Outcome = plain(error)
            return refused
        return {}
