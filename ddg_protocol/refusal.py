"""What the service said no with: from a status and a body to the exception (PROTOCOL.md section 7)."""

from __future__ import annotations

from typing import Any

from . import errors
from .dates import parse_date
from .errors import ServiceError
from .headers import Headers, field
from .text import printable

_Row = tuple[type[ServiceError], str]

#: The rows of section 7's table that name a type.
_BY_TYPE: dict[tuple[int, str], _Row] = {
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
    (429, "ERR_USER_LIMIT"): (
        errors.UserLimitError,
        "the allowance for this user is used up; wait until it is renewed",
    ),
    (400, "ERR_INVALID_VQD"): (errors.TokenError, "the service does not know the token; ask again with a fresh one"),
    (400, "ERR_EXPIRED_VQD"): (errors.TokenError, "the token has expired; ask again with a fresh one"),
    (404, "ERR_MODEL_UNAVAILABLE"): (
        errors.ModelUnavailableError,
        "the service does not offer this model now; choose another",
    ),
    (404, "ERR_MODEL_RESTRICTED"): (errors.ModelUnavailableError, "this model is restricted; choose another"),
}

#: The rows that a status alone decides.
_BY_STATUS: dict[int, _Row] = {
    429: (errors.RateLimitError, "too many requests for now; try again later"),
    **dict.fromkeys((401, 402, 403), (errors.AccessDeniedError, "the service denies access; asking again won't help")),
    **dict.fromkeys(
        (500, 502, 503, 504, *range(520, 527)),
        (errors.ServiceUnavailableError, "the service is not available now; try again later"),
    ),
}

_CDN: _Row = (
    errors.AccessDeniedError,
    "a challenge page of the service's CDN came instead of an answer; only a browser passes it",
)
#: What such a page says of itself.
_CDN_MARKS = (b"cf-challenge", b"cf_chl_", b"challenge-platform", b"Just a moment...", b"Attention Required!")

_OTHER: _Row = (ServiceError, "the service refused in a way that is not known here; it may have changed its protocol")
_NO_REFUSAL: _Row = (ServiceError, "the service answered with something that is not a reply")

_MAX_RESETS = 8
_LONGEST = 1e9  # seconds; a number that any clock can be added to


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
    own = said.get("status")
    if isinstance(own, float) and 400 <= own < 600:
        status = int(own)
    kind = said.get("type")
    kind = printable(kind, 60) if isinstance(kind, str) and kind else None
    cls, sentence = _row(status, kind, body)
    resets = _resets(said) if cls is errors.UserLimitError else ()
    if resets:
        sentence += f" at {', '.join(resets)}"
    if retry_after is not None:
        sentence += f"; it says to come back in {retry_after:.0f} s"
    error = cls(
        f"{sentence} ({status}{f' {kind}' if kind else ''})",
        status=status,
        type=kind,
        retry_after=retry_after,
        body=body,
    )
    if isinstance(error, errors.UserLimitError):
        error.resets = resets
    return error


def _row(status: int, kind: str | None, body: bytes) -> _Row:
    row = _BY_TYPE.get((status, kind or "")) or _BY_STATUS.get(status, _OTHER)
    if row[0] is errors.AccessDeniedError and any(mark in body for mark in _CDN_MARKS):
        return _CDN
    return _NO_REFUSAL if status == 200 and kind is None else row


def retry_after(headers: Headers) -> float | None:
    """Read the ``retry-after`` header (RFC 9110 section 10.2.3).

    Args:
        headers: the response's fields; a date is judged against the response's own ``date``.

    Returns:
        Seconds, or None where it is missing or can't be understood.
    """
    text = field(headers, "retry-after")
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST)
    at, date = parse_date(text), parse_date(field(headers, "date"))
    return None if at is None or date is None else max(0.0, at - date)


def _read(body: bytes) -> dict[str, Any]:
    """Give the members of an error body; none where it is no JSON object."""
    from json import loads  # which most conversations never need

    text = str(body, "utf-8", "replace")
    # A body was once seen with undecoded bytes before its JSON: look from the first brace, and from the likely one.
    for start in sorted({text.find("{"), text.find('{"action"')} - {-1}):
        try:
            # Every number is a float: statuses are small, and `int` refuses what is long.
            said: dict[str, Any] = loads(text[start:], parse_int=float)
        except (ValueError, RecursionError):
            continue
        return said
    return {}


def _resets(said: dict[str, Any]) -> tuple[str, ...]:
    """Find when a user's windows open again, those that are shut."""
    match said:
        case {"fixedCostWindowUsage": {"windows": [*windows]}}:
            shut = (w for w in windows[:_MAX_RESETS] if isinstance(w, dict) and w.get("isBlocked") is not False)
            times = (window.get("resetAt") for window in shut)
            return tuple(printable(time, 40) for time in times if isinstance(time, str) and time)
    return ()
