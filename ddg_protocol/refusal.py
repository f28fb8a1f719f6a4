"""The refusals of the service: which exception a status and a body mean (PROTOCOL.md section 7)."""

from __future__ import annotations

from typing import Any, TypeGuard

from . import errors
from .dates import parse_date, parse_time
from .errors import ServiceError, UsageWindow
from .headers import Headers, field
from .payload import parse_object
from .text import printable

_Row = tuple[type[ServiceError], str]

CONVERSATION_LIMIT = "ERR_CONVERSATION_LIMIT"
INPUT_LIMIT = "ERR_INPUT_LIMIT"
_ACCOUNT_LIMIT = "ERR_ACCOUNT_LIMIT"
_USER_LIMIT = "ERR_USER_LIMIT"
_IMAGE_LIMIT = "ERR_IMAGE_GENERATION_LIMIT"
_OUTPUT_LIMIT = "ERR_OUTPUT_LIMIT"

_CHALLENGE: _Row = (
    errors.ChallengeError,
    "the service asks for the answer to its challenge, or refused the one it got (see answer_challenge)",
)
_PICTURE_CHECK = "the service asks a person to solve a picture check; open its page in a browser"
_RATE_LIMIT: _Row = (errors.RateLimitError, "too many requests for now; try again later")
_UNAVAILABLE: _Row = (errors.ServiceUnavailableError, "the service is not available now; try again later")
_UPSTREAM: _Row = (errors.ServiceUnavailableError, "the service could not reach the model; try again later")
_NOT_TAKEN: _Row = (
    errors.BadRequestError,
    "the service does not accept this request; choose another model, or leave out what this one does not take",
)
_USED_UP: _Row = (errors.UserLimitError, "this user's allowance is used up; wait until it is renewed")

#: The rows of section 7's table that name a type and a status.
_BY_TYPE: dict[tuple[int, str], _Row] = {
    (418, "ERR_CHALLENGE"): _CHALLENGE,
    (418, "ERR_BN_LIMIT"): (errors.BlockedError, "the service blocks this client; only time helps"),
    (429, "ERR_RATE_LIMIT"): _RATE_LIMIT,
    (429, CONVERSATION_LIMIT): (
        errors.ConversationLimitError,
        "the conversation has reached its limit; begin a new one",
    ),
    (429, INPUT_LIMIT): (errors.InputLimitError, "the question is too long for the service; shorten it"),
    (429, _USER_LIMIT): _USED_UP,
    (400, "ERR_INVALID_VQD"): (errors.TokenError, "the service does not know the token; ask again with a fresh one"),
    (400, "ERR_EXPIRED_VQD"): (errors.TokenError, "the token has expired; ask again with a fresh one"),
    (404, "ERR_MODEL_UNAVAILABLE"): (
        errors.ModelUnavailableError,
        "the service does not offer this model now; choose another",
    ),
    (404, "ERR_MODEL_RESTRICTED"): (errors.ModelUnavailableError, "this model is restricted; choose another"),
    (400, "ERR_BAD_REQUEST"): _NOT_TAKEN,
    (400, "ERR_INVALID_INPUT"): _NOT_TAKEN,
    (410, "ERR_ENDPOINT_DEPRECATED"): (
        errors.BadRequestError,
        "the service has given up this address; a profile of a later revision may have another",
    ),
}

#: The rows that a type alone decides, whatever the status.
_OF_ANY_STATUS: dict[str, _Row] = {
    "ERR_INVALID_CHALLENGE": _CHALLENGE,
    _ACCOUNT_LIMIT: (
        errors.UserLimitError,
        "this account's allowance is used up; wait until it is renewed",
    ),
    _IMAGE_LIMIT: (
        errors.UserLimitError,
        "this user's allowance of images is used up; ask for text, or wait until it is renewed",
    ),
    _OUTPUT_LIMIT: (
        errors.OutputLimitError,
        "the reply is longer than the service allows; ask for a shorter one",
    ),
    **dict.fromkeys(("ERR_UPSTREAM", "ERR_SERVICE_OFFLINE", "ERR_NETWORK", "ERR_STREAM_NETWORK"), _UPSTREAM),
}
#: Inside a 200 there is no other status, so the type alone decides every row.
_INSIDE_200 = {
    "ERR_SERVICE_UNAVAILABLE": _UNAVAILABLE,
    **{kind: row for (_, kind), row in _BY_TYPE.items()},
    **_OF_ANY_STATUS,
}

#: The type that each limit stands for: the ``x`` of ``[LIMIT_x]``, in lower case (section 6).
_TYPE_OF_LIMIT = {
    "account": _ACCOUNT_LIMIT,
    "entity": _USER_LIMIT,
    "conversation": CONVERSATION_LIMIT,
    "image_generations": _IMAGE_LIMIT,
    "input": INPUT_LIMIT,
    "output": _OUTPUT_LIMIT,
}

#: The rows that a status alone decides.
_BY_STATUS: dict[int, _Row] = {
    429: _RATE_LIMIT,
    **dict.fromkeys((401, 402, 403), (errors.AccessDeniedError, "the service denies access; asking again won't help")),
    **dict.fromkeys((500, 502, 503, 504, *range(520, 527)), _UNAVAILABLE),
}
_CDN: _Row = (
    errors.AccessDeniedError,
    "a challenge page of the service's CDN came instead of a response; only a browser passes it",
)
_OTHER: _Row = (ServiceError, "the service refused in a way that is not known here; it may have changed its protocol")
_NO_REFUSAL: _Row = (ServiceError, "the service sent something that is not a reply")

#: Words that only a challenge page of the CDN has.
_CDN_MARKS = (b"cf-challenge", b"cf_chl_", b"challenge-platform", b"Just a moment...", b"Attention Required!")
#: More is taken for infinity, which JSON has no word for. To compare is safe for an integer that no float can hold.
_HUGE = 1e300
_MAX_WINDOWS = 8
_MAX_DETAIL = 1000  # the emulator lists everything that is wrong
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
    if _is_number(own) and 400 <= own < 600:
        status = int(own)
    kind = members.get("type")
    kind = printable(kind, 60) if isinstance(kind, str) and kind else None
    cls, message = row = _row(status, kind, body)
    details: dict[str, Any] = {"override_code": _short(members.get("overrideCode")), "reason": _short(members.get("r"))}
    details["detail"] = _short(members.get("reason"), _MAX_DETAIL)
    if row is _CHALLENGE and (check := _picture_check(members)):
        message, details["picture_check"] = _PICTURE_CHECK, check
    elif cls is errors.UserLimitError:
        details |= _allowance(members)
        if details["resets"]:
            message += f" at {', '.join(details['resets'])}"
    if retry_after is not None:
        message += f"; it says to come back in {retry_after:.0f} s"
    message += f" ({status} {kind})" if kind else f" ({status})"
    error = cls(message, status=status, type=kind, retry_after=retry_after, body=body)
    # What the body lacks stays an attribute of the class: transcripts of earlier versions have none of these.
    vars(error).update((name, value) for name, value in details.items() if value or name == "resets")
    return error


def limit_error(limit: str) -> ServiceError | None:
    """Return the exception for a limit that a reply names, if the reply has nothing else.

    Args:
        limit: as in `LimitReached`.

    Returns:
        The exception, or None for a limit that is not known.
    """
    kind = _TYPE_OF_LIMIT.get(limit)
    if kind is None:
        return None
    cls, message = _INSIDE_200[kind]
    return cls(f"{message} ({kind})", status=200, type=kind)


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
    named = _INSIDE_200 if status == 200 else _OF_ANY_STATUS
    row = _BY_TYPE.get((status, kind or "")) or named.get(kind or "") or _BY_STATUS.get(status, _OTHER)
    is_page = row[0] is errors.AccessDeniedError and any(mark in body for mark in _CDN_MARKS)
    return _CDN if is_page else row


def _members(body: bytes) -> dict[str, Any]:
    """Return the members of an error body; none where it is no JSON object."""
    text = str(body, "utf-8", "replace")
    # A body was once seen with undecoded bytes before its JSON: look from the first brace, and from the likely one.
    for start in sorted({text.find("{"), text.find('{"action"')} - {-1}):
        members = parse_object(text[start:])
        if members is not None:
            return members
    return {}


def _short(value: Any, limit: int = 60) -> str:
    """Return a text of an error body as one visible, bounded line; empty if it is no text."""
    return printable(value, limit) if isinstance(value, str) else ""


def _picture_check(members: dict[str, Any]) -> str:
    """Return what a person has to solve, as JSON; empty if there is nothing."""
    from json import dumps  # which most conversations never need

    check = members.get("cd")
    if not check:
        return ""
    try:
        return dumps(check)
    except (ValueError, RecursionError):
        return "{}"  # nested too deeply to be one; the error's body has it


def _allowance(members: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that `UserLimitError` has of its own. A window is closed unless it says otherwise."""
    windows: tuple[UsageWindow, ...] = ()
    match members:
        case {"fixedCostWindowUsage": {"windows": [*found]}}:
            windows = tuple(
                UsageWindow(
                    _short(window.get("id")),
                    _finite(window.get("percentUsed")),
                    _short(window.get("resetAt"), 40),
                    window.get("isBlocked") is not False,
                )
                for window in found[:_MAX_WINDOWS]
                if isinstance(window, dict)
            )
    resets = tuple(window.reset_at for window in windows if window.is_blocked and window.reset_at)
    times = [at for time in resets if (at := parse_time(time)) is not None]
    return {"windows": windows, "resets": resets, "reset_at": max(times, default=None)}


def _finite(value: Any) -> float | None:
    """Return a number that JSON can write again; None for anything else."""
    return float(value) if _is_number(value) and abs(value) < _HUGE else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
