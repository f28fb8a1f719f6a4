"""What is tried again, and after how long (PROTOCOL.md sections 3 and 7)."""

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

_NEVER = frozenset({FailureKind.TLS, FailureKind.INTERRUPTED})
"""Trying again changes nothing about a certificate, and is not what the one who interrupted wants."""


def is_retried(step: Step, error: DuckChatError, *, chat_is_repeatable: bool) -> bool:
    """Tell whether a status or chat request that ended in an error is made again after a backoff.

    The special cases, a challenge and a bad token, are not among them: their retry is another request.

    Args:
        step: `Step.STATUS` or `Step.CHAT`.
        error: what ended it, before any piece of the reply.
        chat_is_repeatable: the profile's word for a chat request that may have been processed.

    Returns:
        Whether it is, tries permitting.
    """
    match error:
        case TokenError():
            return False
        case ServiceError():
            return error.retryable
        case TransportError() if error.failure.kind in _NEVER:
            return False
        case TransportError() if error.failure.kind is FailureKind.NOT_SENT:
            return True
        case TransportError() | ChatTimeoutError() | IncompleteStream():
            return step is Step.STATUS or chat_is_repeatable
        case HandshakeError():
            return True
        case _:
            return False


def backoff(step: Step, attempt: int, *, base: float, jitter: float) -> float:
    """Give the seconds to wait before a retry.

    Args:
        step: `Step.STATUS` or `Step.CHAT`; the latter waits twice as long.
        attempt: 1 for the first retry.
        base: the policy's base delay, in seconds.
        jitter: a number in [0, 1).

    Returns:
        ``base * 2**(attempt - 1) * (1 + jitter)`` for status, ``base * 2**attempt * (1 + jitter)`` for chat; at most
        `policy.MAX_SECONDS`.
    """
    doublings = min(attempt if step is Step.CHAT else attempt - 1, 64)  # what `ldexp` has no number for is too long
    return min(math.ldexp(min(base * (1 + jitter), MAX_SECONDS), doublings), MAX_SECONDS)
