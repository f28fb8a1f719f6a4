"""Text from outside, made fit for messages and checked for JSON."""

from __future__ import annotations

import re

#: What msgspec says of a member that should not be there, or is not, and where. Only an error needs them compiled.
_UNKNOWN = r"Object contains unknown field (`[^`]*`)(?: - at (`[^`]*`))?"
_MISSING = r"Object missing required field (`[^`]*`)(?: - at (`[^`]*`))?"


def printable(text: str, limit: int = 120) -> str:
    """Return text from the wire as one visible, bounded line.

    Args:
        text: anything that the other side sent.
        limit: the most characters that are kept.

    Returns:
        The text with every character that is not printable as its escape, cut at ``limit`` with an ellipsis.
    """
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[: limit + 1])
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def shown(value: object, limit: int = 120) -> str:
    """Return a short text for a value of any kind, which may be nested without end or an endless number.

    Args:
        value: what a caller passed or a file held.
        limit: the most characters that are kept of a text.

    Returns:
        A text in quotes, a number of usual size, or the name of the type of anything else.
    """
    if isinstance(value, str):
        return repr(printable(value, limit))
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**20):
        return repr(value)
    return f"{'a huge ' if isinstance(value, int) else ''}{type(value).__name__}"


def encodable(text: str) -> bool:
    """Return whether UTF-8 can encode a text: it can't if half of a surrogate pair is in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def about_keys(message: str) -> str:
    """Return a message of msgspec in the words of a file: it has keys, not the fields of an object."""
    if unknown := re.fullmatch(_UNKNOWN, message):
        return f"there is no key {unknown[1]}" + (f" in {unknown[2]}" if unknown[2] else "")
    if missing := re.fullmatch(_MISSING, message):
        return f"{missing[1]} is missing" + (f" in {missing[2]}" if missing[2] else "")
    return message
