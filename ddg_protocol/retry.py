"""Which failed requests are retried, and after how long (PROTOCOL.md sections 3 and 7)."""

from __future__ import annotations

import math

from .errors import (
    ChatTimeoutError,
    DuckChatError,
    HandshakeError,
    IncompleteStream,
    ServiceError,
    TokenError,
    TransportError,
)
from .intents import FailureKind
from .policy import MAX_SECONDS
from .steps import Step

#: A retry doesn't change a certificate, and whoever interrupts a request wants none.
_IS_RETRIED = {FailureKind.NOT_SENT: True, FailureKind.TLS: False, FailureKind.INTERRUPTED: False}


def is_retried(step: Step, error: DuckChatError, *, chat_is_repeatable: bool) -> bool:
    """Return whether a failed request is retried after a backoff, if the policy allows another try.

    It doesn't judge a challenge or a bad token in a chat response: those are followed at once by another request.

    Args:
        step: `Step.STATUS`, `Step.MODELS` or `Step.CHAT`.
        error: the failure, before any text of the reply.
        chat_is_repeatable: whether the profile allows to repeat a chat request that may have been processed.

    Returns:
        Whether it is retried.
    """
    if isinstance(error, ServiceError):
        return error.retryable and not isinstance(error, TokenError)
    if isinstance(error, TransportError) and error.failure.kind in _IS_RETRIED:
        return _IS_RETRIED[error.failure.kind]
    if isinstance(error, TransportError | ChatTimeoutError | IncompleteStream):
        return step is not Step.CHAT or chat_is_repeatable
    return isinstance(error, HandshakeError)


def backoff(step: Step, attempt: int, *, base: float, jitter: float) -> float:
    """Return how many seconds to wait before a retry.

    Args:
        step: `Step.STATUS`, `Step.MODELS` or `Step.CHAT`; the last waits twice as long.
        attempt: 1 for the first retry.
        base: the policy's base delay, in seconds.
        jitter: a number in [0, 1).

    Returns:
        ``base * 2**(attempt - 1) * (1 + jitter)`` for status, ``base * 2**attempt * (1 + jitter)`` for chat; at most
        `policy.MAX_SECONDS`.
    """
    doublings = min(attempt if step is Step.CHAT else attempt - 1, 64)  # `ldexp` overflows far beyond
    return min(math.ldexp(min(base * (1 + jitter), MAX_SECONDS), doublings), MAX_SECONDS)
