"""What the service said no with: from a status and a body to the exception (PROTOCOL.md section 7)."""

from __future__ import annotations

import msgspec

from . import errors
from .cookies import parse_date
from .errors import ServiceError, printable
from .intents import Headers, field

#: The table of section 7 for the types that mean the same under any status of their row.
_BY_TYPE: dict[tuple[int, str], tuple[type[ServiceError], str]] = {
    (418, "ERR_CHALLENGE"): (
        errors.ChallengeError,
        "the service asks for the answer to its challenge, or refused the one it got (see answer_challenge)",
    ),
    (418, "ERR_BN_LIMIT"): (errors.BlockedError, "the service blocks this client; only time helps"),
    (429, "ERR_CONVERSATION_LIMIT"): (
        errors.ConversationLimitError,
        "the conversation has reached its limit; begin a new one",
    ),
    (429, "ERR_INPUT_LIMIT"): (errors.InputLimitError, "the question is too long for the service; shorten it"),
    (429, "ERR_USER_LIMIT"): (errors.UserLimitError, "the allowance for this user is used up"),
    (400, "ERR_INVALID_VQD"): (errors.TokenError, "the service does not know the token; ask again with a fresh one"),
    (400, "ERR_EXPIRED_VQD"): (errors.TokenError, "the token has expired; ask again with a fresh one"),
    (404, "ERR_MODEL_UNAVAILABLE"): (
        errors.ModelUnavailableError,
        "the service does not offer this model now; choose another",
    ),
    (404, "ERR_MODEL_RESTRICTED"): (errors.ModelUnavailableError, "this model is restricted; choose another"),
}

_UNAVAILABLE = frozenset({500, 502, 503, 504, *range(520, 527)})

#: What a CDN's challenge page says of itself.
_CDN_MARKS = (b"cf-challenge", b"cf_chl_", b"challenge-platform", b"Just a moment...", b"Attention Required!")


class _Window(msgspec.Struct):
    reset_at: str = msgspec.field(name="resetAt", default="")


class _Usage(msgspec.Struct):
    windows: list[_Window] = []


class _Resets(msgspec.Struct):
    usage: _Usage = msgspec.field(name="fixedCostWindowUsage", default_factory=_Usage)


class _Refusal(msgspec.Struct):
    """The members that count; each may be missing, or be anything."""

    status: object = None
    type: object = None


_read_refusal = msgspec.json.Decoder(_Refusal).decode
_read_resets = msgspec.json.Decoder(_Resets).decode


def service_error(status: int, body: bytes, *, retry_after: float | None = None) -> ServiceError:
    """Find the exception for a refusal, from an error body or from an error payload of the stream.

    Args:
        status: the HTTP status; it counts where the body has none of its own.
        body: the body, decompressed and bounded; JSON, HTML, nothing or anything else.
        retry_after: seconds, where the response said so.

    Returns:
        The exception, to be raised by the caller. It carries the body and a sentence that says what to do.
    """
    said = _read(body)
    if isinstance(said.status, int) and 100 <= said.status <= 999:
        status = said.status
    kind = said.type if isinstance(said.type, str) else None
    found = _BY_TYPE.get((status, kind or ""))
    if found is not None:
        cls, sentence = found
    elif status == 429:
        cls, sentence = errors.RateLimitError, "too many requests for now"
    elif status in (401, 402, 403):
        cls, sentence = errors.AccessDeniedError, "the service denies access"
        if any(mark in body for mark in _CDN_MARKS):
            sentence = "a challenge page of the service's CDN came instead of an answer; only a browser passes it"
    elif status in _UNAVAILABLE:
        cls, sentence = errors.ServiceUnavailableError, "the service is not available now"
    elif status == 200:
        cls, sentence = ServiceError, "the service answered with something that is not a reply"
    else:
        cls, sentence = ServiceError, "the service refused"
    if retry_after is not None:
        sentence += f"; it says to come back in {retry_after:.0f} s"
    elif cls.retryable and cls is not errors.TokenError:
        sentence += "; try again later"
    named = f" {printable(kind, 60)}" if kind else ""
    message = f"{sentence} ({status}{named})"
    if cls is errors.UserLimitError:
        resets = _resets(body)
        if resets:
            message = f"{sentence} until {', '.join(resets)} ({status}{named})"
        return errors.UserLimitError(
            message, status=status, type=kind, retry_after=retry_after, body=body, resets=resets
        )
    return cls(message, status=status, type=kind, retry_after=retry_after, body=body)


def retry_after(headers: Headers) -> float | None:
    """Read the ``retry-after`` header (RFC 9110 section 10.2.3).

    Args:
        headers: the response's fields; a date is judged against the response's own ``date``.

    Returns:
        Seconds, or None where it is missing or can't be understood.
    """
    text = field(headers, "retry-after")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    at, date = parse_date(text), parse_date(field(headers, "date"))
    return None if at is None or date is None else max(0.0, at - date)


def _read(body: bytes) -> _Refusal:
    # A body was once reported with undecoded bytes before its JSON: look from the first brace too.
    for start in dict.fromkeys((0, body.find(b"{"), body.find(b'{"action"'))):
        if start >= 0:
            try:
                return _read_refusal(body[start:])
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
    return _Refusal()


def _resets(body: bytes) -> tuple[str, ...]:
    try:
        windows = _read_resets(body[max(body.find(b"{"), 0) :]).usage.windows
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
    return tuple(printable(window.reset_at, 40) for window in windows[:8] if window.reset_at)
