"""Checks of what a driver or a caller passes in: whatever it is, only `LocalProtocolError` is raised."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .errors import LocalProtocolError
from .headers import Headers
from .intents import Failure, FailureKind
from .text import shown

_NO_TIME = 1e300
"""Sums with longer times are no longer finite numbers."""


def check_kind(intent: object, kind: type[msgspec.Struct]) -> None:
    """Check that an intent is of a kind.

    Raises:
        LocalProtocolError: it is not; the message says what it is.
    """
    if not isinstance(intent, kind):
        raise LocalProtocolError(f"this reports on a {kind.__name__}, not a {type(intent).__name__}")
    if type(id := getattr(intent, "id", None)) is not int:
        raise LocalProtocolError(f"the id of a {kind.__name__} is a whole number, not {shown(id)}")


def check_head(status: object, now: object) -> None:
    """Check that a status is one of HTTP, and a time a finite number.

    Raises:
        LocalProtocolError: one of them is not.
    """
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 999:
        raise LocalProtocolError(f"status must be a whole number from 100 to 999, not {shown(status)}")
    check_time("now", now)


def check_time(what: str, time: object) -> None:
    """Check that a time is a finite number.

    Raises:
        LocalProtocolError: it is not.
    """
    if not isinstance(time, int | float) or isinstance(time, bool) or not abs(time) < _NO_TIME:
        raise LocalProtocolError(f"{what} must be a finite number of seconds, not {shown(time)}")


def check_failure(failure: object) -> None:
    """Check that a failure is a `Failure`, and its members are of their kinds.

    Raises:
        LocalProtocolError: it is not.
    """
    members: tuple[object, object] = (failure.kind, failure.text) if isinstance(failure, Failure) else (None, None)
    if not (isinstance(members[0], FailureKind) and isinstance(members[1], str)):
        raise LocalProtocolError("failure must be a Failure with a FailureKind and a text")


def check_text(what: str, text: str) -> str:
    """Return a text after checking that it is one.

    Raises:
        LocalProtocolError: it is not.
    """
    if not isinstance(text, str):
        raise LocalProtocolError(f"{what} must be text, not {type(text).__name__}")
    return text


def as_bytes(data: object) -> bytes:
    """Return the bytes of any buffer, as a copy.

    Raises:
        LocalProtocolError: it is not a buffer.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise LocalProtocolError(f"data must be bytes, not {type(data).__name__}")
    return bytes(data)


def as_fields(headers: Iterable[tuple[str, str]], *, most: int) -> Headers:
    """Return the fields of a head, their names in lower case; of a head that is too long, as many as show that.

    Args:
        headers: the fields, as reported.
        most: the bytes that they may take in HTTP/1.1.

    Raises:
        LocalProtocolError: they are not pairs of latin-1 text.
    """
    fields, size = [], 0
    try:
        for name, value in headers:
            size += len((name + value).encode("latin-1")) + 4
            fields.append((name.lower(), value))
            if size > most:
                break
    except (AttributeError, TypeError, ValueError):
        raise LocalProtocolError("headers must be pairs of latin-1 text") from None
    return tuple(fields)
