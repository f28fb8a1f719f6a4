"""What is tried again, and after how long: PROTOCOL.md section 7, row by row."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol import Session
from ddg_protocol.errors import (
    AccessDeniedError,
    BlockedError,
    ChallengeError,
    ChatTimeoutError,
    ContentDecodingError,
    ConversationLimitError,
    DuckChatError,
    EmptyResponseError,
    HandshakeError,
    IncompleteStream,
    InputLimitError,
    InvalidToken,
    MalformedEvent,
    ModelUnavailableError,
    RateLimitError,
    RedirectRefused,
    ServiceError,
    ServiceUnavailableError,
    StreamTooLarge,
    TokenError,
    TransportError,
    UnsupportedChallenge,
    UserLimitError,
)
from ddg_protocol.intents import Failure, FailureKind
from ddg_protocol.policy import MAX_SECONDS
from ddg_protocol.retry import backoff, is_retried
from ddg_protocol.steps import Step


def broken(kind: FailureKind) -> TransportError:
    return TransportError("it broke", failure=Failure(kind, "it broke"))


def retried(error: DuckChatError) -> tuple[bool, bool, bool]:
    """Whether a status request is, a chat request, and one of a profile that allows it to be repeated."""
    return (
        is_retried(Step.STATUS, error, chat_is_repeatable=False),
        is_retried(Step.CHAT, error, chat_is_repeatable=False),
        is_retried(Step.CHAT, error, chat_is_repeatable=True),
    )


@pytest.mark.parametrize("error", [RateLimitError(""), ServiceUnavailableError(""), broken(FailureKind.NOT_SENT)])
def test_what_was_not_processed_is_tried_again(error: DuckChatError) -> None:
    assert retried(error) == (True, True, True)


def test_a_handshake_without_tokens_is_tried_again() -> None:
    assert is_retried(Step.STATUS, HandshakeError(""), chat_is_repeatable=False)


@pytest.mark.parametrize(
    "error", [broken(FailureKind.CUT), broken(FailureKind.OTHER), ChatTimeoutError(""), IncompleteStream("")]
)
def test_what_may_have_been_processed_is_tried_again_only_where_that_does_no_harm(error: DuckChatError) -> None:
    assert retried(error) == (True, False, True)


@each_of(
    "error",
    [
        broken(FailureKind.TLS),
        broken(FailureKind.INTERRUPTED),
        TokenError(""),  # once, with fresh tokens: another request, and not a backoff
        ChallengeError(""),  # once, with an answer
        BlockedError(""),
        ConversationLimitError(""),
        InputLimitError(""),
        UserLimitError(""),
        ModelUnavailableError(""),
        AccessDeniedError(""),
        ServiceError(""),
        UnsupportedChallenge(""),
        InvalidToken(""),
        RedirectRefused(""),
        StreamTooLarge(""),
        ContentDecodingError(""),
        EmptyResponseError(""),
        MalformedEvent(""),
    ],
)
def test_what_would_end_the_same_is_not_tried_again(error: DuckChatError) -> None:
    assert retried(error) == (False, False, False)


def test_a_timeout_that_the_driver_reports_is_treated_as_the_sessions_own() -> None:
    assert retried(broken(FailureKind.TIMEOUT)) == retried(ChatTimeoutError(""))


@pytest.mark.parametrize(("attempt", "status", "chat"), [(1, 2.0, 4.0), (2, 4.0, 8.0), (3, 8.0, 16.0)])
def test_the_backoff_doubles_and_is_twice_as_long_for_chat(attempt: int, status: float, chat: float) -> None:
    assert backoff(Step.STATUS, attempt, base=2.0, jitter=0.0) == status
    assert backoff(Step.CHAT, attempt, base=2.0, jitter=0.0) == chat


def test_a_session_that_gets_no_jitter_waits_in_the_middle() -> None:
    assert backoff(Step.STATUS, 1, base=2.0, jitter=Session().jitter()) == 3.0


def test_jitter_stretches_the_backoff() -> None:
    assert backoff(Step.STATUS, 1, base=2.0, jitter=0.5) == 3.0


@given(st.integers(1, 3), st.floats(0, 1, exclude_max=True))
def test_with_any_jitter_a_backoff_is_at_least_its_base_and_less_than_the_next(attempt: int, jitter: float) -> None:
    delay = backoff(Step.STATUS, attempt, base=2.0, jitter=jitter)
    assert 2.0**attempt <= delay <= 2.0 ** (attempt + 1)


def test_no_backoff_stays_none_for_any_number_of_tries() -> None:
    assert backoff(Step.CHAT, 5000, base=0.0, jitter=0.5) == 0.0


@each_of("step", [Step.STATUS, Step.CHAT])
@each_of("attempt", [1, 3, 5000, 2**31])
@each_of("jitter", [0.5, 8.9e307, math.inf])
def test_a_backoff_is_never_longer_than_what_can_be_waited_for(step: Step, attempt: int, jitter: float) -> None:
    assert 0 < backoff(step, attempt, base=2.0, jitter=jitter) <= MAX_SECONDS
