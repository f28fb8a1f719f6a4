"""What a transcript holds, as text fit to be shown: bytes, JSON, and headers without their secrets."""

from __future__ import annotations

import base64
import binascii
import json
import re

from ddg_protocol.headers import Headers
from ddg_protocol.redaction import SECRET_HEADERS
from ddg_protocol.transcript import Outcome

_MOST_INDENTED = 64 * 1024
"""The most characters of JSON that is indented: deep nesting makes most of them blanks."""
_STAND_IN = re.compile(r"(r[1-9][0-9]*)?x*")


def kind_of(outcome: Outcome) -> str:
    """Return the type of an action or an exception; empty if it has none."""
    kind = outcome.get("type")
    return kind if isinstance(kind, str) else ""


def raw_bytes(value: object) -> bytes:
    """Return bytes that a transcript stores as text, or as ``{"base64": ...}``."""
    match value:
        case str():
            return value.encode("utf-8", "replace")
        case {"base64": str(text)}:
            try:
                return base64.b64decode(text)
            except ValueError:
                return text.encode("utf-8", "replace")
    return b""


def as_text(value: object) -> str:
    """Return a text as it is, and another value as JSON."""
    return value if isinstance(value, str) else pretty(value)


def pretty(value: object) -> str:
    """Return a value as JSON, indented unless it is long."""
    try:
        parts, length = [], 0
        for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
            parts.append(part)
            length += len(part)
            if length > _MOST_INDENTED:
                return json.dumps(value, ensure_ascii=False)
        return "".join(parts)
    except RecursionError:
        return "(nested too deeply to be shown)"


def pretty_body(body: bytes) -> str:
    """Return a body as indented JSON, or as text if it is no JSON."""
    try:
        return pretty(json.loads(body))
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def without_images(name: str, value: object) -> object:
    """Return a value of an event with the size of each image in its place."""
    if name == "base64" and isinstance(value, str):
        return f"{len(value):,} characters"
    if name == "images" and isinstance(value, list):
        each = (image for image in value if isinstance(image, dict))
        return [{name: without_images(name, value) for name, value in image.items()} for image in each]
    return value


def counted(text: str, unit: str) -> str:
    """Return how long a text is, such as ``2 characters``."""
    return f"{len(text):,} {unit}{'' if len(text) == 1 else 's'}"


def target_of(url: str, origin: str) -> str:
    """Return a URL of the service without its origin, and any other URL unchanged."""
    return url.removeprefix(origin) if url.startswith(origin + "/") else url


# Secrets


def headers_of(value: object) -> Headers:
    """Return the headers of a request in a transcript; what isn't a pair is left out."""
    if not isinstance(value, list):
        return ()
    return tuple((as_text(pair[0]), as_text(pair[1])) for pair in value if isinstance(pair, list) and len(pair) == 2)


def shown_headers(headers: Headers) -> Headers:
    """Return headers without their secrets."""
    return tuple((name, shown_header(name.lower(), value)) for name, value in headers)


def shown_header(name: str, value: str) -> str:
    """Return the value of a header without secrets. The name is in lower case."""
    if name not in SECRET_HEADERS:
        return value
    if not value:
        return "(empty)"
    if name == "cookie":
        return "; ".join(map(_shown_cookie, value.split("; ")))
    if name == "set-cookie":
        pair, semicolon, rest = value.partition(";")
        return _shown_cookie(pair) + semicolon + rest
    return f"{counted(value, 'character')}, decoded below" if script_of(value) else redacted(value)


def _shown_cookie(pair: str) -> str:
    name, equals, value = pair.partition("=")
    is_short = len(value) == 1 and value != "x"  # the profile's own cookies, which are no secret
    return name + equals + (value if is_short or not value else redacted(value))


def redacted(value: str) -> str:
    """Return a stand-in's name and length; any other value isn't shown either."""
    stand_in = _STAND_IN.fullmatch(value)
    name = stand_in[1] if stand_in else None
    return f"⟨redacted{' ' + name if name else ''}, {counted(value, 'character')}⟩"


def script_of(value: str) -> str:
    """Return a challenge or its answer, decoded; empty if the value is neither."""
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return text if text.isprintable() or "\n" in text else ""
