"""Which request a turn needs next, when it may begin, and what it says (PROTOCOL.md sections 2, 3 and 7)."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from . import chat, handshake
from ._setup import Setup
from ._turn import Credentials, Turn
from .conversation import Conversation, Tokens
from .errors import ChatTimeoutError, ConversationLimitError, InputLimitError, RateLimitError
from .headers import Headers
from .intents import SendRequest
from .policy import MAX_SECONDS
from .refusal import CONVERSATION_LIMIT, INPUT_LIMIT
from .steps import Step


class Pause(msgspec.Struct, frozen=True):
    """Time has to pass before the next request.

    Attributes:
        until: when it may begin, on the caller's clock.
        reason: see `Wait.reason`.
    """

    until: float
    reason: Literal["pacing", "backoff"]


class Riddle(msgspec.Struct, frozen=True):
    """The embedder has to answer a challenge before the chat request.

    Attributes:
        script: the challenge's JavaScript source.
        tokens: the pair with the challenge.
    """

    script: str
    tokens: Tokens


def check_limits(setup: Setup, conversation: Conversation, question: str) -> None:
    """Check a question against the limits of the service and the policy.

    Args:
        setup: the session's.
        conversation: the one that the question continues.
        question: the text.

    Raises:
        ConversationLimitError: the conversation is full.
        InputLimitError: the question is longer than the policy allows.
    """
    if conversation.limit_reached:
        raise ConversationLimitError("the conversation has reached its limit; begin a new one", type=CONVERSATION_LIMIT)
    limit, length = setup.policy.max_prompt_chars, len(question)
    if limit is not None and length > limit:
        raise InputLimitError(
            f"the question is {length} characters long, and at most {limit} are sent; "
            "shorten it, or set Policy.max_prompt_chars",
            type=INPUT_LIMIT,
        )


def out_of_time(setup: Setup) -> ChatTimeoutError:
    """Return the exception for a turn that takes too long as a whole."""
    return ChatTimeoutError(f"the turn took longer than {setup.policy.turn_timeout:g} s (turn_timeout)")


def fe_version(setup: Setup, conversation: Conversation) -> str:
    """Return the front-end version; empty if it is not known."""
    return setup.shared.fe_version or conversation.fe_version


def next_step(setup: Setup, conversation: Conversation, turn: Turn, now: float) -> Step | Pause | Riddle:
    """Choose what a turn does next. A request that may begin now is registered with the pacer.

    Args:
        setup: the session's.
        conversation: the one that the turn continues.
        turn: what it has gathered; gets the answer to its challenge, and its reserved start.
        now: the caller's clock, in seconds.

    Returns:
        The request to make now, or what has to happen first.

    Raises:
        RateLimitError: the service has asked the client to stay away for longer than the policy allows to wait.
        ChatTimeoutError: the turn can't be done in its time.
        UnsupportedChallenge: the challenge is of a form that this package can't read.
    """
    if turn.elapsed is not None:
        # A wait that the driver reported is over, even if its timer is a little early or a test's clock stands still.
        now = max(now, turn.elapsed)
    if now >= turn.until:
        raise out_of_time(setup)
    pacer, interval = setup.shared.pacer, setup.profile.interval
    held = pacer.held_until - now
    if held > setup.policy.max_retry_after or (held > 0 and pacer.held_until >= turn.until):
        raise RateLimitError(
            f"the service has asked this client to stay away for now; it says to come back in {held:.0f} s",
            retry_after=held,
        )
    earliest = max(turn.backoff_until or -math.inf, pacer.held_until)
    if earliest > now:
        return Pause(earliest, "backoff")
    step = _request_due(setup, conversation, turn)
    if isinstance(step, Credentials):
        riddle = _find_answer(setup, step)
        if riddle is not None:
            return riddle
        step = Step.CHAT
    if turn.slot is None:
        gap = min(interval * (1 + 0.5 * turn.retries[step]), MAX_SECONDS)
        turn.slot = pacer.reserve(now, gap, by=turn.until)
    start = max(turn.slot, pacer.earliest(interval))
    if start >= turn.until:
        raise ChatTimeoutError(
            f"the next request may begin in {start - now:.0f} s, which is longer than this turn may take "
            "(turn_timeout); ask again then"
        )
    if start > now:
        return Pause(start, "pacing")  # what to request, and whether it may begin, is decided again after the wait
    pacer.begin(now)
    turn.slot = turn.elapsed = turn.backoff_until = None
    return step


def _request_due(setup: Setup, conversation: Conversation, turn: Turn) -> Step | Credentials:
    """Choose the next request. Credentials mean the chat request, once they have an answer."""
    if turn.front_end_due and not fe_version(setup, conversation):
        return Step.FRONT_END
    if turn.landing_due:
        return Step.LANDING
    if turn.credentials is None:
        return Step.STATUS
    return turn.credentials if turn.answering and turn.credentials.answer is None else Step.CHAT


def _find_answer(setup: Setup, credentials: Credentials) -> Riddle | None:
    """Answer a challenge, or return it for the embedder to answer."""
    challenge = credentials.tokens.vqd_hash_1
    if not challenge:
        credentials.answer = ""  # PROTOCOL.md section 5: an empty challenge gives an empty header
        return None
    from .challenge import answer_challenge, read_challenge  # which most conversations never need

    script = read_challenge(challenge, max_bytes=setup.policy.max_challenge_bytes)
    if setup.solver == "embedder":
        return Riddle(script, credentials.tokens)
    credentials.answer = answer_challenge(script, setup.profile.identity, style=setup.profile.answer_style)
    return None


def url_of(setup: Setup, step: Step) -> str:
    """Return the address of a request."""
    profile = setup.profile
    paths = {
        Step.FRONT_END: profile.front_end_path,
        Step.LANDING: profile.landing_path,
        Step.STATUS: profile.status_path,
        Step.CHAT: profile.chat_path,
    }
    return profile.url(paths[step])


def write_request(
    setup: Setup, conversation: Conversation, turn: Turn, step: Step, url: str, *, id: int, now: float
) -> SendRequest:
    """Write a request. The chat request spends its token.

    Args:
        setup: the session's.
        conversation: the one that the turn continues.
        turn: has the cookies, the tokens, and the question.
        step: which request.
        url: its address; after a redirect, not that of `url_of`.
        id: of the intent.
        now: the caller's clock, in seconds.

    Returns:
        The intent.
    """
    method, body = "GET", b""
    headers: Headers
    match step:
        case Step.FRONT_END | Step.LANDING:
            headers = handshake.page_headers(setup.profile)
        case Step.STATUS:
            headers = handshake.status_headers(setup.profile)
        case _:
            method, body = "POST", chat.chat_body(setup.profile, turn.model, turn.messages)
            credentials = turn.credentials or Credentials(Tokens())
            version = fe_version(setup, conversation)
            headers = chat.chat_headers(setup.profile, version, credentials.tokens.vqd, credentials.answer or "")
            turn.chat_sent = credentials.spent = True
    if cookie := turn.jar.header_for(url, now=now):
        headers = (*headers, ("cookie", cookie))
    timeout = min(setup.policy.connect_timeout, turn.until - now)
    return SendRequest(id=id, method=method, url=url, headers=headers, body=body, timeout=timeout)
