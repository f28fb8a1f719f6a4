"""Blank bodies byte for byte, except for the words on a list of harmless ones.

A blanked body has the same length, and a session treats it as it treats the body: it reads the same kinds of payloads,
the same refusal, and a front-end version if there was one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from .._part_forms import type_of
from ..conversation import Message
from ..grammar import MAX_VERSION_CHARS
from ..parts import File, Image, Part, Text
from ..profile import ServiceProfile
from ..redaction import words

_WORD = re.compile(r"\S")
_HELD_VERSION = re.compile(rb"[!-,.-~]")
# No known word ends with an x, so a blanked one never becomes known.
_MEMBERS = words(
    """action cd created error fixedCostWindowUsage id isBlocked message messages model overrideCode parts resetAt role
    source sources status text type windows"""
)
_VALUES = words(
    """assistant developer error source success system text tool user ERR_ACCOUNT_LIMIT ERR_BAD_REQUEST ERR_BN_LIMIT
    ERR_CHALLENGE ERR_CONVERSATION_LIMIT ERR_ENDPOINT_DEPRECATED ERR_EXPIRED_VQD ERR_IMAGE_GENERATION_LIMIT
    ERR_INPUT_LIMIT ERR_INTERNAL ERR_INVALID_CHALLENGE ERR_INVALID_INPUT ERR_INVALID_VQD ERR_METHOD
    ERR_MODEL_RESTRICTED ERR_MODEL_UNAVAILABLE ERR_NETWORK ERR_NOT_FOUND ERR_OUTPUT_LIMIT ERR_RATELIMIT ERR_RATE_LIMIT
    ERR_SERVICE_OFFLINE ERR_SERVICE_UNAVAILABLE ERR_STREAM_NETWORK ERR_UPSTREAM ERR_USER_LIMIT"""
)
#: Those that only a reply has.
_REPLY_MEMBERS = words(
    """b64Image content data detectedBy encryptedText format height name result site state summaryText title
    toolArguments toolCallId toolName url width"""
)
_REPLY_VALUES = words(
    """GenerateImage WebSearch call data generate-image generated-image gif image-partial jpeg jpg partial partial-image
    png reasoning refusal result text-delta tool-invocation ui-component webp"""
)
_BRACKETED = words(
    """ADS CHAT_TITLE DONE FIXED_COST_WINDOW_USAGE LIMIT_ACCOUNT LIMIT_CONVERSATION LIMIT_ENTITY
    LIMIT_IMAGE_GENERATIONS LIMIT_INPUT LIMIT_OUTPUT PING STOP_REASON SUMMARY_INVALID SUMMARY_REFRESH_HINT
    WARN_CONVERSATION_LIMIT"""
)
#: Marks of the CDN's own pages; a session looks for them in a refusal.
_CDN = ("cf-challenge", "cf_chl_", "challenge-platform", "Just a moment...", "Attention Required!")
_NAMED = (b"action", b"format", b"model", b"name", b"role", b"state", b"status", b"toolName", b"type")
"""Members whose text identifies a payload."""
_PARTS = words("generated-image reasoning source text tool-call tool-invocation tool-result")
_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\x0b\x0c"
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_DIGITS = b"0123456789"
_VISIBLE = range(0x21, 0x7F)
_LITERALS = (b"true", b"false", b"null")
_ROLES = words("assistant developer system tool user")


def _beginnings(texts: Iterable[str]) -> frozenset[bytes]:
    return frozenset(text.encode()[: end + 1] for text in texts for end in range(len(text.encode())))


_FIELDS = _beginnings(("data", "event", "id", "retry"))
_FIELDS_AT_START = _beginnings(("\ufeff", "\ufeffdata", "\ufeffevent", "\ufeffid", "\ufeffretry")) | _FIELDS
_BEGUN_MEMBERS = _beginnings(_MEMBERS | _REPLY_MEMBERS)
_BEGUN_BRACKETED = _beginnings(_BRACKETED)


def _blanked(byte: int) -> int:
    return byte if byte <= ord(" ") else ord("x")


def blank(text: str) -> str:
    """Replace every character of a text that isn't white space with an x."""
    return _WORD.sub("x", text)


def blank_role(role: str) -> str:
    """Return the role of a message, or x's for one that is not known."""
    return role if role in _ROLES else blank(role)


def blank_part(part: Part) -> Part:
    """Return the stand-in for a part of a question: of an image or a file, its type and size stay."""
    if isinstance(part, Text):
        return Text(blank(part.text))
    data = bytes(len(part.data))
    if isinstance(part, Image):
        return Image(data, part.mime_type)
    return File(data, part.mime_type, blank(part.name))


def blank_message(message: Message) -> Message:
    """Return the stand-in for a message of the history. Of a reply's parts, their types stay."""
    content = message.content
    return Message(
        message.role,
        blank(content) if isinstance(content, str) else tuple(map(blank_part, content)),
        tuple(_blank_reply_part(part) for part in message.parts),
    )


def _blank_reply_part(part: str) -> str:
    kind = type_of(part)
    return msgspec.json.encode({"type": kind if kind in _PARTS else blank(kind)}).decode()


def blank_version(version: str) -> str:
    """Return the stand-in for a front-end version, which a blanked page has too."""
    return _HELD_VERSION.sub(b"x", version.encode("latin-1", "replace")).decode("latin-1")


class BodyTexts:
    """Blanks any body but a reply, chunk by chunk: a page, a status, a refusal, or anything else.

    It works by words, not by a grammar, since a session finds an error's JSON among other bytes. Known words and the
    marks of JSON stay; letters become x's, digits ones. If a chunk ends within a possible known word, that much of it
    stays.

    Args:
        profile: the profile, for the markers of the front-end version.
    """

    def __init__(self, profile: ServiceProfile) -> None:
        markers = [marker.encode() for marker in profile.version_markers]
        version = rb"(?P<version>%s)[^\"]{0,%d}" % (_any_of(markers), MAX_VERSION_CHARS)
        known = [word.encode() for word in (*_MEMBERS, *_VALUES, "true", "false", "null", "NaN", "Infinity")]
        marks = [*(mark.encode() for mark in _CDN), *markers]
        self._token = re.compile(
            version
            + rb"|(?P<status>\"status\"[ \t\r\n]{0,9}:[ \t\r\n]{0,9}\"?[0-9]{0,3})"
            + rb"|(?P<known>(?<![A-Za-z0-9_])(?:%s)(?![A-Za-z0-9_])|%s)" % (_any_of(known), _any_of(marks))
            + rb"|(?P<begun>(?:(?<![A-Za-z0-9_])(?:%s)|%s)\Z)" % (_begun(known), _begun([b'"status"', *marks]))
            + rb"|(?P<escape>\\(?:[\"\\/bfnrt]|u[0-9A-Fa-f]{0,4}|\Z))"
            + rb"|(?P<exponent>(?<=[0-9.])[eE](?=[0-9+-]|\Z))|(?P<zero>(?<![0-9A-Za-z.])0)"
            + rb"|(?P<number>[0-9]+)|(?P<mark>[\x00-\x20{}\[\]\",:.+\-\x7f])"
            + rb"|(?P<not_utf8>[\xc0\xc1\xf5-\xff])"
            + rb"|(?P<text>[!-~\x80-\xf4](?:(?!%s|(?:%s)\Z)[A-Za-z_])*)" % (_any_of(marks), _begun(marks))
        )
        self._markers = markers
        self._longest = max(map(len, [*known, *marks, b'"status"' * 5]))
        self._seen = b""

    def feed(self, data: bytes) -> bytes:
        """Return the next bytes, blanked; their length stays."""
        seen, text = self._seen, self._seen + data
        keep = len(text) - self._longest - 1
        for marker in self._markers:
            found = text.rfind(marker, -len(marker) - MAX_VERSION_CHARS)
            if 0 <= found < keep and b'"' not in text[found + len(marker) :]:
                keep = found  # its version may continue
        self._seen = text[max(0, keep) :]
        return self._token.sub(_stand_in, text)[len(seen) :]


def _any_of(texts: Iterable[bytes]) -> bytes:
    return b"|".join(map(re.escape, sorted(texts, key=len, reverse=True)))


def _begun(texts: Iterable[bytes]) -> bytes:
    """Return a pattern of all beginnings of some texts."""
    return _any_of({text[:end] for text in texts for end in range(1, len(text))})


def _stand_in(found: re.Match[bytes]) -> bytes:
    text = found[0]
    match found.lastgroup:
        case "version":
            start = len(found["version"])
            return text[:start] + _HELD_VERSION.sub(b"x", text[start:])
        case "escape" if text[1:2] == b"u":
            return b"\\u" + _escaped(text[2:].lower())
        case "number":
            return b"1" * len(text)
        case "not_utf8":  # stays invalid, which can make a status unreadable
            return b"\xff"
        case "text":
            return b"x" * len(text)
    return text


def _escaped(digits: bytes) -> bytes:
    """Return the same number of digits of another escape. A high or low surrogate stays one."""
    if not digits.startswith(b"d"):
        return b"0078"[: len(digits)]
    kind = digits[1:2]
    return (b"d" + (b"8" if kind in b"89ab" else b"c" if kind in b"cdef" else b"0") + b"00")[: len(digits)]


class ReplyTexts:
    """Blanks a reply's event stream byte for byte, however it is cut into chunks.

    The form stays: that of the stream, of JSON, and of words such as ``[CHAT_TITLE:x]``. Names and values that identify
    a payload stay as far as a known one begins the same; everything else is blanked. A payload keeps its meaning to a
    session: an empty text stays empty, half of a surrogate pair stays one.

    Args:
        models: names of models.
    """

    def __init__(self, models: Iterable[str] = ()) -> None:
        self._values = _beginnings((*_VALUES, *_REPLY_VALUES, *models))
        self._field: bytes | None = b""  # the name of the line's field so far; None once it is not a known one
        self._at_start = True
        self._in_name = True
        self._in_data = False
        self._payload = _Payload(self._values)

    def feed(self, data: bytes) -> bytes:
        """Return the next bytes, blanked; their length stays."""
        return bytes(map(self._byte, data))

    def _byte(self, byte: int) -> int:
        if byte in b"\r\n":
            if self._in_name and self._field == b"":  # an empty line: a new payload. (In a CR LF it is new twice.)
                self._payload = _Payload(self._values)
            self._field, self._at_start = b"", False
            self._in_name, self._in_data = True, False
            return byte
        if not self._in_name:
            return self._payload.byte(byte) if self._in_data else _blanked(byte)
        if byte == ord(":"):
            self._in_name = False
            self._in_data = self._field is not None and self._field.removeprefix(_BOM) == b"data"
            return byte
        known = _FIELDS_AT_START if self._at_start else _FIELDS
        if self._field is not None and self._field + bytes((byte,)) in known:
            self._field += bytes((byte,))
            return byte
        self._field = None
        return _blanked(byte)


class _Payload:
    """One payload: JSON, a word in brackets, or anything else."""

    def __init__(self, values: frozenset[bytes]) -> None:
        self._values = values
        self._open: list[int] = []  # the open brackets and braces
        self._begun = False
        self._is_key = False
        self._key: bytes | None = None
        self._in_string = False
        self._said: bytes | None = None  # the string or the word so far; None once it is not a known one
        self._escape = b""
        self._number = b""  # the number so far, without zeros and exponents
        self._literal = b""
        self._is_empty = True
        self._is_first = False  # whether nothing came before the literal
        self._word = ""  # where in a word: "", "name", "value" or "after"

    def byte(self, byte: int) -> int:
        if self._word:
            return self._in_word(byte)
        if self._in_string:
            return self._string(byte)
        if byte in _SPACE:
            self._literal = self._number = b""
            return byte
        self._is_first = self._is_empty or (self._is_first and self._literal != b"")
        self._is_empty = False
        if self._open == [ord("[")] and not self._begun and byte in _CAPITALS:
            self._word, self._said = "name", b""
            return self._in_word(byte)
        self._begun = bool(self._open)
        if self._number or (byte in b"0123456789" and not self._literal):
            return self._in_number(byte)
        if byte in b"{[":
            self._open.append(byte)
            self._begun = len(self._open) > 1
            self._is_key = byte == ord("{")
            self._key = None
        elif byte in b"}]":
            del self._open[-1:]
            self._key = None
        elif byte == ord('"'):
            self._in_string, self._said = True, b""
        elif byte == ord(","):
            self._is_key = self._open[-1:] == [ord("{")]
        elif byte == ord(":"):
            self._is_key = False
        elif byte != ord("-"):
            return self._in_literal(byte)
        self._literal = b""
        return byte

    def _in_number(self, byte: int) -> int:
        if byte not in b"0123456789.eE+-":
            self._number = b""
            return self.byte(byte)
        digits, self._number = self._number, self._number + bytes((byte,))
        if byte not in b"123456789":
            # Only a zero that begins a number has to stay a zero.
            return byte if byte != ord("0") or not digits or self._key == b"status" else ord("1")
        return byte if self._key == b"status" and len(digits) < 3 else ord("1")

    def _in_literal(self, byte: int) -> int:
        self._literal += bytes((byte,))
        if (self._open or self._is_first) and any(literal.startswith(self._literal) for literal in _LITERALS):
            return byte
        self._literal = b"?"  # no literal begins with it
        return ord("x")

    def _string(self, byte: int) -> int:
        if self._escape:
            return self._in_escape(byte)
        if byte == ord("\\"):
            self._escape = b"\\"
            return byte
        if byte == ord('"'):
            if self._is_key:
                self._key = self._said
            self._in_string = False
            return byte
        return byte if self._goes_on(byte) else _blanked(byte)

    def _goes_on(self, byte: int) -> bool:
        """Add the next character of a string, and return whether it may stay."""
        said = None if self._said is None else self._said + bytes((byte,))
        self._said = said if said in self._known() else None
        return self._said is not None

    def _known(self) -> frozenset[bytes]:
        """Return the beginnings of the known strings here."""
        return _BEGUN_MEMBERS if self._is_key else self._values if self._key in _NAMED else frozenset()

    def _in_escape(self, byte: int) -> int:
        escape = self._escape + bytes((byte,)).lower()
        self._escape = escape if escape[1:2] == b"u" and len(escape) < 6 else b""
        if len(escape) == 2:
            if byte != ord("u"):
                self._said = None
            return byte if byte in b'"\\/bfnrtu' else ord("x")
        if byte not in b"0123456789abcdefABCDEF":
            self._said, self._escape = None, b""
            return ord("x")
        return self._hex_digit(byte, escape[2:])

    def _hex_digit(self, byte: int, digits: bytes) -> int:
        """Return the next digit of an escape; it stays if its character may stay."""
        said, known = self._said, self._known()
        next_ones = () if said is None or not known else (c for c in _VISIBLE if said + bytes((c,)) in known)
        escapes = {b"%04x" % c: c for c in next_ones}
        if any(escape.startswith(digits) for escape in escapes):
            if said is not None and digits in escapes:
                self._said = said + bytes((escapes[digits],))
            return byte
        self._said = None
        if len(digits) < 4 or not escapes or not any(escape.startswith(digits[:3]) for escape in escapes):
            return _escaped(digits)[-1]
        return next(digit for digit in b"80c" if digits[:3] + bytes((digit,)) not in escapes)

    def _in_word(self, byte: int) -> int:
        if self._word == "name" and (byte in _CAPITALS or (byte in _DIGITS and self._said != b"")):
            said = None if self._said is None else self._said + bytes((byte,))
            self._said = said if said in _BEGUN_BRACKETED else None
            return byte if self._said else ord("X")
        if self._word == "name" and byte == ord(":"):
            self._word = "value"
        elif byte == ord("]"):
            self._word = "after"
        elif self._word == "after" and byte == ord("["):
            self._word, self._said = "name", b""
        elif self._word != "after" or byte not in _SPACE:
            self._word = "value"
            return _blanked(byte)
        return byte
