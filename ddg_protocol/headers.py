"""Header fields, as pairs of text."""

from __future__ import annotations

Headers = tuple[tuple[str, str], ...]
"""Header fields in order, names in lower case, values latin-1; repeated where they repeat."""


def field(headers: Headers, name: str) -> str:
    """Return the value of a header field.

    Args:
        headers: the fields, names in lower case.
        name: the name, in lower case.

    Returns:
        The value; several joined by ``", "`` (RFC 9110 section 5.3); empty where there is none.
    """
    return ", ".join(value.strip(" \t") for key, value in headers if key == name)
