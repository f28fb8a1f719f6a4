"""Which request a turn needs next, and when it may begin (PROTOCOL.md sections 2, 3 and 7)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec

from ._response import leave_landing_page
from ._setup import Setup
from ._turn import Turn
from .conversation import Conversation, Tokens
from .errors import ChallengeError, ChatTimeoutError, RateLimitError, UnsupportedChallenge
from .events import EarlierTurnUnfinished, Queued
from .pace import Place, Slot
from .policy import MAX_SECONDS
from .steps import Step

if TYPE_CHECKING:
    from .coordination import Call

NO_SOLVER = (
    "the service wants an answer to its challenge, and this package can't give one in this revision; "
    "pass a solver of your own (solver=, or --solver): see docs/revisions.md"
)


class Pause(msgspec.Struct, frozen=True):
    """Time has to pass before the next request.

    Attributes:
        until: when it may begin, on the caller's clock.
        reason: see `Wait.reason`.
    """

    until: float
    reason: Literal["pacing", "backoff", "busy"]


class Challenge(msgspec.Struct, frozen=True):
    """A challenge that the embedder has to answer before the chat request.

    Attributes:
        script: the challenge's JavaScript source; empty where this package doesn't read it.
        tokens: the pair with the challenge.
    """

    script: str
    tokens: Tokens


class Ask(msgspec.Struct, frozen=True):
    """The shared engine has to be asked before the turn goes on.

    Attributes:
        call: what it is asked.
    """

    call: Call


Next = Step | Pause | Queued | EarlierTurnUnfinished | Challenge | Ask
"""What a turn does next."""


def out_of_time(setup: Setup) -> ChatTimeoutError:
    """Return the exception for a turn that takes too long as a whole."""
    return ChatTimeoutError(f"the turn took longer than {setup.policy.turn_timeout:g} s (turn_timeout)")


def next_step(setup: Setup, conversation: Conversation, turn: Turn, now: float) -> Next:
    """Choose what a turn does next. A request that may begin now is registered with the pacer.

    Args:
        setup: the session's.
        conversation: the one that the turn continues.
        turn: gets the answer to its challenge, and the newest `Queued` for the caller.
        now: the caller's clock, in seconds.

    Returns:
        The request to make now, or what has to happen first.

    Raises:
        RateLimitError: the service has asked the client to stay away for longer than the policy allows to wait.
        ChatTimeoutError: the turn can't be done in its time.
        UnsupportedChallenge: the challenge is of a form that this package can't read.
        ChallengeError: the service wants an answer, and there is no solver to give it.
    """
    if turn.elapsed is not None:
        # A wait that the driver reported is over, even if its timer is a little early or a test's clock stands still.
        now = max(now, turn.elapsed)
    if now >= turn.until:
        raise out_of_time(setup)
    pacer = setup.shared.pacer
    check_hold(setup, turn, now)
    earliest = max(turn.backoff_until or -math.inf, pacer.held_until)
    step, pages, requests = requests_due(setup, conversation, turn, now)
    if step is Step.CHAT and earliest <= now and (challenge := find_answer(setup, turn)) is not None:
        return challenge
    slot = _slot(setup, turn, step, pages, now, requests=requests)
    if earliest <= now and slot.least >= turn.until:
        raise ChatTimeoutError(
            f"the next request may begin in {slot.least - now:.0f} s, which is longer than this turn may take "
            "(turn_timeout); ask again then"
        )
    pause = Pause(earliest, "backoff") if earliest > now else Pause(min(slot.until, turn.until), "pacing")
    if pause.until > now:
        # What to request, and whether it may begin, is decided again after the wait.
        return news(setup, turn, slot.position, slot.start) or pause
    pacer.begin(turn.ticket, step, now=now, until=min(now + setup.policy.total_timeout, turn.until))
    turn.begun, turn.elapsed, turn.backoff_until = now, None, None
    return step


def check_hold(setup: Setup, turn: Turn, now: float) -> None:
    """Raise `RateLimitError` if the service holds the client for longer than the turn waits."""
    until = setup.shared.pacer.held_until
    held = until - now
    if held > setup.policy.max_retry_after or (held > 0 and until >= turn.until):
        raise RateLimitError(
            f"the service has asked this client to stay away for now; it says to come back in {held:.0f} s",
            retry_after=held,
        )


def requests_due(
    setup: Setup, conversation: Conversation, turn: Turn, now: float
) -> tuple[Step, tuple[Step, ...], int]:
    """Return the turn's next request, the pages that it still needs, and how many requests follow the pages."""
    pages = _pages_due(setup, conversation, turn, now)
    needs_tokens = turn.goal is Step.CHAT and turn.credentials is None
    step = pages[0] if pages else Step.STATUS if needs_tokens else turn.goal
    return step, pages, 2 if needs_tokens else 1


def _pages_due(setup: Setup, conversation: Conversation, turn: Turn, now: float) -> tuple[Step, ...]:
    """Return the pages that the turn still needs, in order. What another session has got from one is taken over."""
    if turn.goal is Step.MODELS:
        return ()
    if turn.landing_due and setup.shared.land(turn.jar, now=now):
        leave_landing_page(setup, turn)
    due = {
        Step.FRONT_END: turn.front_end_due and not setup.fe_version(conversation),
        Step.LANDING: turn.landing_due,
    }
    return tuple(page for page in due if due[page])


def _slot(setup: Setup, turn: Turn, step: Step, pages: tuple[Step, ...], now: float, *, requests: int) -> Slot:
    """Take the turn's place in the queue, and return when its next request may begin."""
    interval = setup.profile.interval
    gap = min(interval * (1 + 0.5 * turn.retries[step]), MAX_SECONDS)
    place = Place(turn.ticket, turn.backoff_until or now, now, requests, pages)
    return setup.shared.pacer.reserve(place, now=now, interval=interval, gap=gap)


def news(setup: Setup, turn: Turn, position: int, start: float) -> Queued | None:
    """Return the turn's place in the queue if it is news for the caller, and note that it is told."""
    told, late = turn.told, 1 + setup.profile.interval
    if not position or (told is not None and told.position == position and start <= told.until + late):
        return None
    turn.told = Queued(position, start)
    return turn.told


def find_answer(setup: Setup, turn: Turn) -> Challenge | None:
    """Answer the challenge of the turn's tokens if it has to be, or return it for the embedder to answer."""
    credentials = turn.credentials
    if credentials is None or not turn.answering or credentials.answer is not None:
        return None
    challenge = credentials.tokens.vqd_hash_1
    if not challenge:
        credentials.answer = ""  # PROTOCOL.md section 5: an empty challenge gives an empty header
        return None
    if setup.profile.challenge_form == "opaque":
        if setup.solver == "none":
            raise ChallengeError(NO_SOLVER)
        if len(challenge) > setup.policy.max_challenge_bytes:
            raise UnsupportedChallenge(
                f"the challenge is longer than {setup.policy.max_challenge_bytes} bytes", expected="a shorter challenge"
            )
        return Challenge("", credentials.tokens)
    from .challenge import answer_challenge, read_challenge  # which most conversations never need

    script = read_challenge(challenge, max_bytes=setup.policy.max_challenge_bytes)
    if setup.solver == "embedder":
        return Challenge(script, credentials.tokens)
    credentials.answer = answer_challenge(script, setup.profile.identity, style=setup.profile.answer_style)
    return None
