"""The refusals of the service: which exception a status and a body mean (PROTOCOL.md section 7)."""

from __future__ import annotations

from typing import Any

from . import errors
from .dates import parse_date
from .errors import ServiceError
from .headers import Headers, field
from .text import printable

_Row = tuple[type[ServiceError], str]

CONVERSATION_LIMIT = "ERR_CONVERSATION_LIMIT"
INPUT_LIMIT = "ERR_INPUT_LIMIT"

#: The rows of section 7's table that name a type.
_BY_TYPE: dict[tuple[int, str], _Row] = {
    (418, "ERR_CHALLENGE"): (
        errors.ChallengeError,
        "the service asks for the answer to its challenge, or refused the one it got (see answer_challenge)",
    ),
    (418, "ERR_BN_LIMIT"): (errors.BlockedError, "the service blocks this client; only time helps"),
    (429, CONVERSATION_LIMIT): (
        errors.ConversationLimitError,
        "the conversation has reached its limit; begin a new one",
    ),
    (429, INPUT_LIMIT): (errors.InputLimitError, "the question is too long for the service; shorten it"),
    (429, "ERR_USER_LIMIT"): (errors.UserLimitError, "this user's allowance is used up; wait until it is renewed"),
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
    "a challenge page of the service's CDN came instead of a response; only a browser passes it",
)
_OTHER: _Row = (ServiceError, "the service refused in a way that is not known here; it may have changed its protocol")
_NO_REFUSAL: _Row = (ServiceError, "the service sent something that is not a reply")

#: Words that only a challenge page of the CDN has.
_CDN_MARKS = (b"cf-challenge", b"cf_chl_", b"challenge-platform", b"Just a moment...", b"Attention Required!")
_MAX_RESETS = 8
_LONGEST = 1e9  # seconds; any clock can be added to it


def service_error(status: int, body: bytes, *, retry_after: float | None = None) -> ServiceError:
    """Return the exception for an error body, or for an error payload of the stream.

    Args:
        status: the HTTP status; it counts where the body has none of its own.
        body: the body, decompressed and bounded; JSON, HTML, nothing or anything else.
        retry_after: how many seconds the response asks to wait, where it does.

    Returns:
        The exception, for the caller to raise. Its message says what to do.
    """
    members = _members(body)
    own = members.get("status")
    if isinstance(own, float) and 400 <= own < 600:
        status = int(own)
    kind = members.get("type")
    kind = printable(kind, 60) if isinstance(kind, str) and kind else None
    cls, message = _row(status, kind, body)
    resets = _resets(members) if cls is errors.UserLimitError else ()
    if resets:
        message += f" at {', '.join(resets)}"
    if retry_after is not None:
        message += f"; it says to come back in {retry_after:.0f} s"
    message += f" ({status} {kind})" if kind else f" ({status})"
    error = cls(message, status=status, type=kind, retry_after=retry_after, body=body)
    if isinstance(error, errors.UserLimitError):
        error.resets = resets
    return error


def retry_after(headers: Headers) -> float | None:
    """Parse the ``retry-after`` header (RFC 9110 section 10.2.3).

    Args:
        headers: the response's fields; a date is judged by the response's own ``date``.

    Returns:
        Seconds, or None where the header is missing or has another form.
    """
    text = field(headers, "retry-after")
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST)
    at, date = parse_date(text), parse_date(field(headers, "date"))
    return None if at is None or date is None else max(0.0, at - date)


def _row(status: int, kind: str | None, body: bytes) -> _Row:
    """Return the row of section 7's table for a refusal."""
    if status == 200 and kind is None:
        return _NO_REFUSAL
    row = _BY_TYPE.get((status, kind or "")) or _BY_STATUS.get(status, _OTHER)
    is_page = row[0] is errors.AccessDeniedError and any(mark in body for mark in _CDN_MARKS)
    return _CDN if is_page else row


def _members(body: bytes) -> dict[str, Any]:
    """Return the members of an error body; none where it is no JSON object."""
    from json import loads  # which most conversations never need

    text = str(body, "utf-8", "replace")
    # A body was once seen with undecoded bytes before its JSON: look from the first brace, and from the likely one.
    for start in sorted({text.find("{"), text.find('{"action"')} - {-1}):
        try:
            # Every number is a float: statuses are small, and `int` refuses long numbers.
            members: dict[str, Any] = loads(text[start:], parse_int=float)
        except (ValueError, RecursionError):
            continue
        return members
    return {}


def _resets(members: dict[str, Any]) -> tuple[str, ...]:
    """Return when each closed window of a user opens again."""
    match members:
        case {"fixedCostWindowUsage": {"windows": [*windows]}}:
            closed = (w for w in windows[:_MAX_RESETS] if isinstance(w, dict) and w.get("isBlocked") is not False)
            times = (window.get("resetAt") for window in closed)
            return tuple(printable(time, 40) for time in times if isinstance(time, str) and time)
    return ()
