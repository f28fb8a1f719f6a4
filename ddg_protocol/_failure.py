"""What follows a failed request: the turn goes on without it, the request is retried, or the turn ends.

The rules are those of PROTOCOL.md sections 3, 5 and 7. `retry` says which errors are retried after a backoff; this
module handles the others, and changes the turn to fit before the request goes out again.
"""

from __future__ import annotations

from ._exchange import Exchange
from ._response import leave_landing_page
from ._setup import Setup
from ._turn import Turn
from .errors import (
    AccessDeniedError,
    ChallengeError,
    ChatTimeoutError,
    DuckChatError,
    EmptyResponseError,
    FrontEndVersionMissing,
    HandshakeError,
    IncompleteStream,
    RateLimitError,
    ServiceError,
    TokenError,
    TransportError,
)
from .events import ChallengeReceived, Event, FrontEndVersionUnknown, LandingPageFailed, Retrying
from .intents import Failure, FailureKind
from .profile import ServiceProfile
from .retry import backoff, is_retried
from .steps import Step
from .text import printable


def error_of(failure: Failure, exchange: Exchange, *, in_reply: bool) -> DuckChatError:
    """Convert a transport failure to an exception.

    Args:
        failure: the one that the driver reported, or a timeout.
        exchange: the one that failed.
        in_reply: whether its reply had begun.

    Returns:
        The exception.
    """
    text = printable(failure.text, 300) or f"the {exchange.step.value} request failed ({failure.kind.value})"
    if failure.kind is FailureKind.TIMEOUT:
        return ChatTimeoutError(text)
    if in_reply and failure.kind is FailureKind.CUT:
        return IncompleteStream(f"the reply was cut off before it was complete ({text}); ask again")
    return TransportError(text, failure=failure)


def go_on(setup: Setup, turn: Turn, exchange: Exchange, error: DuckChatError, now: float) -> Event:
    """Handle a failed request: skip it, retry it, or end the turn.

    Args:
        setup: the session's.
        turn: is changed to fit.
        exchange: the one that failed, before any text of a reply.
        error: why.
        now: the caller's clock, in seconds.

    Returns:
        An event for the caller. The turn goes on.

    Raises:
        DuckChatError: the turn ends, with this error or one that explains it.
    """
    not_sent = isinstance(error, TransportError) and error.failure.kind is FailureKind.NOT_SENT
    if not_sent and not exchange.redirects and turn.credentials is not None:
        turn.credentials.spent = False
    match exchange.step:
        case Step.FRONT_END:
            if setup.profile.front_end_version_required:
                raise FrontEndVersionMissing(f"the profile requires a front-end version: {error}") from error
            turn.front_end_due = False
            setup.shared.pacer.fetched(turn.ticket, Step.FRONT_END)
            return FrontEndVersionUnknown(error)
        case Step.LANDING:
            leave_landing_page(setup, turn)
            setup.shared.pacer.fetched(turn.ticket, Step.LANDING)
            return LandingPageFailed(error)
    if exchange.step is Step.CHAT and isinstance(error, ChallengeError):
        return _answer_next(setup, turn, error)
    if exchange.step is Step.CHAT and _is_repeated_once(error, setup.profile):
        name = type(error).__name__
        if name in turn.repeated:
            raise error
        turn.repeated.add(name)
        turn.renew(None)
        return Retrying(1, 0.0, error)
    return _retry(setup, turn, exchange.step, error, now)


def _is_repeated_once(error: DuckChatError, profile: ServiceProfile) -> bool:
    """Return whether the chat request is repeated once after an error, at once and with fresh tokens."""
    match error:
        case TokenError():
            return True
        case AccessDeniedError(status=401):
            return "unauthorized" in profile.repeated_once
        case EmptyResponseError(had_events=False):
            return "no_events" in profile.repeated_once
    return False


def _answer_next(setup: Setup, turn: Turn, error: ChallengeError) -> Event:
    """Repeat the chat request with the answer to the newest challenge (PROTOCOL.md section 5)."""
    if error.picture_check:
        raise error
    credentials = turn.credentials
    if credentials is not None and credentials.spent:
        turn.renew(None)  # the refusal brought no pair of its own
    elif credentials is not None and not credentials.tokens.vqd_hash_1:
        raise error  # it brought one without a challenge
    if setup.answer_challenge == "never" or turn.challenged >= setup.policy.max_challenge_retries:
        raise error
    turn.challenged += 1
    turn.answering = True
    return ChallengeReceived()


def _asked_delay(setup: Setup, error: DuckChatError, now: float) -> float:
    """Return the least time to wait before a retry. A throttled client is held as a whole, as by a ``Retry-After``."""
    if isinstance(error, ServiceError) and error.retry_after is not None:
        return error.retry_after
    # A service without x-vqd-4 gives no challenge, either, to a client that asks too often.
    throttled = isinstance(error, RateLimitError) or (isinstance(error, HandshakeError) and not setup.profile.vqd_4)
    delay = setup.profile.throttle_delay if throttled else 0.0
    if delay:
        setup.shared.pacer.hold(now + delay)
    return delay


def _retry(setup: Setup, turn: Turn, step: Step, error: DuckChatError, now: float) -> Event:
    """Retry a request after a backoff (PROTOCOL.md section 7)."""
    policy, attempt = setup.policy, turn.retries[step] + 1
    if isinstance(error, RateLimitError) and setup.supplied is None:
        setup.shared.drop_landing(begun=turn.begun)
    asked = _asked_delay(setup, error, now)
    most = policy.max_retries
    if policy.max_unanswered_retries is not None and isinstance(error, TransportError | ChatTimeoutError):
        most = policy.max_unanswered_retries
    if (
        not is_retried(step, error, chat_is_repeatable=setup.profile.chat_is_repeatable)
        or attempt > most
        or asked > policy.max_retry_after
    ):
        raise error
    delay = max(asked, backoff(step, attempt, base=policy.base_delay, jitter=setup.jitter()))
    if now + delay >= turn.until:
        raise error
    turn.retries[step] = attempt
    turn.backoff_until = now + delay
    if isinstance(error, RateLimitError):
        turn.renew(None)
        turn.jar = setup.fresh_jar()
        turn.landing_due = setup.lands
    elif turn.credentials is not None and turn.credentials.spent:
        turn.renew(None)
    return Retrying(attempt, delay, error)
