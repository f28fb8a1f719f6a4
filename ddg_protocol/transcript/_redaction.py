"""What must not get into a transcript, and what takes its place: of the same length, and the same for the same.

Redaction goes by position: whatever the service said in a head, or in a challenge, is replaced unless it is on a list
of what is harmless (`_harmless`, `_words`). What a session reads of it keeps its meaning.

A transcript is made of a session that was told the stand-ins from the beginning, so nothing has to fit by luck: what
that session sends and says follows from them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from .._harmless import is_harmless, is_known_name
from ..cookies import parse_date
from ..intents import Headers
from ..profile import ServiceProfile, is_loopback
from ..redirect import URL_TEXT
from ._words import same_script

_VISIBLE = re.compile(r"[!-~]")
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WORD = re.compile(r"\S")
_DIGITS = re.compile(r"[0-9]+")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCATION = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:\#(?P<fragment>.*))?",
    re.DOTALL,
)
_AUTHORITY = re.compile(r"(?:(?P<user>.*)@)?(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?", re.DOTALL)
_KNOWN_ATTRIBUTES = {
    "samesite": ("lax", "none", "strict"),
    "priority": ("high", "low", "medium"),
    **dict.fromkeys(("secure", "httponly", "partitioned"), ("",)),
}


def blank(text: str) -> str:
    """Replace every character of a text that isn't white space by an x."""
    return _WORD.sub("x", text)


class Secrets:
    """Stand-ins for what could be a secret in one transcript.

    Args:
        profile: its own cookies, hosts and addresses are no secret.
    """

    def __init__(self, profile: ServiceProfile) -> None:
        targets = [
            urlsplit(target)
            for target in (profile.landing_path, profile.front_end_path, profile.status_path, profile.chat_path)
        ]
        self._profile = profile
        self._open = {value for _, value in profile.cookies}
        self._open_names = {name for name, _ in profile.cookies}
        self._open_segments = {"", ".", "..", *(part for target in targets for part in target.path.split("/"))}
        self._open_queries = {target.query for target in targets}
        self._known: dict[str, str] = {}

    def value(self, secret: str) -> str:
        """Return what stands in for a secret.

        Args:
            secret: a header's or a cookie's value, or a part of it.

        Returns:
            As many characters: ``r`` and a number, then x's. What can't be sent back still can't: a character that is
            not ASCII stays one, and so does a control character.
        """
        if secret not in self._known:
            number = f"r{len(self._known) + 1}"
            blanked = _FOREIGN.sub("\xff", _CONTROL.sub("\x01", _VISIBLE.sub("x", secret)))
            stays = not _VISIBLE.fullmatch(secret[:1]) or "x" * len(number) != blanked[: len(number)]
            self._known[secret] = blanked if stays else number + blanked[len(number) :]
        return self._known[secret]

    def cookie(self, value: str) -> str:
        """Return what stands in for a cookie's value; the profile's own stay as they are."""
        return value if value in self._open else self.value(value)

    def challenge(self, header: str) -> str:
        """Return the same challenge about other hashes.

        Args:
            header: the value of a response's ``x-vqd-hash-1``.

        Returns:
            A script of the same form with stand-ins for what is in it; what is no script is a secret like any other.
        """
        encoded = re.sub(r"[ \t\n\f\r]+", "", header)  # as `challenge.read_challenge` has it
        try:
            script = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
        except (binascii.Error, ValueError):
            return self.value(header)
        return base64.b64encode(same_script(script, self.value).encode()).decode()

    def headers(self, headers: Headers) -> Headers:
        """Return a response's fields with stand-ins for what could be secret in them."""
        return tuple(
            (name if is_known_name(name.lower()) else self.value(name.lower()), self._field(name.lower(), value))
            for name, value in headers
        )

    def _field(self, name: str, value: str) -> str:
        if is_harmless(name, value):
            return value
        match name:
            case "x-vqd-hash-1":
                return _within(value, self.challenge)
            case "set-cookie":
                return self._set_cookie(value)
            case "location":
                return _within(value, self._location)
            case "date":
                return self._date(value)
            case "retry-after":
                return _within(value, lambda said: _number(said, 10) if _DIGITS.fullmatch(said) else self._date(said))
            case "content-length":
                return ",".join(_within(part, self._length) for part in value.split(","))
            case "content-type":
                return self._content_type(value)
        return self.value(value)

    def _length(self, said: str) -> str:
        return _number(said, 10) if _DIGITS.fullmatch(said) and len(said) < 20 else self.value(said)

    def _content_type(self, value: str) -> str:
        media, semicolon, parameters = value.partition(";")
        if semicolon and is_harmless("content-type", media):
            return media + semicolon + self.value(parameters)
        return self.value(value)

    def _date(self, text: str) -> str:
        """Return the same date in a form that has nothing else in it; as long, where that form is not longer."""
        seconds = parse_date(text)
        if seconds is None:
            return self.value(text)
        date = _EPOCH + timedelta(seconds=seconds)
        clock = f"{date.hour}:{date.minute}:{date.second}"
        plain = f"{date.day} {_MONTHS[date.month - 1]} {date.year} {clock}"
        return f"{plain} ".ljust(len(text), "x") if len(text) > len(plain) else plain

    def _set_cookie(self, value: str) -> str:
        pair, *attributes = value.split(";")
        name, equals, said = pair.partition("=")
        if not equals:
            return self.value(value)
        shown = [f"{_within(name, self._cookie_name)}={_within(said, self.cookie)}", *map(self._attribute, attributes)]
        return ";".join(shown)

    def _cookie_name(self, name: str) -> str:
        return name if name in self._open_names else self.value(name)

    def _attribute(self, attribute: str) -> str:
        name, equals, said = attribute.partition("=")
        known = name.strip(" \t").lower()
        if known in _KNOWN_ATTRIBUTES:
            is_open = said.strip(" \t").lower() in _KNOWN_ATTRIBUTES[known]
            return name + equals + (said if is_open else self.value(said))
        stand_in: dict[str, Callable[[str], str]] = {
            "domain": self._domain,
            "expires": lambda text: text if is_harmless("date", text) else self._date(text),
            "max-age": lambda text: (
                _number(text, 11) if _DIGITS.fullmatch(text.removeprefix("-")) else self.value(text)
            ),
            "path": self._path,
        }
        if known in stand_in:
            return name + equals + _within(said, stand_in[known])
        return _within(attribute, self.value)

    def _domain(self, text: str) -> str:
        host = text.removeprefix(".").lower()
        allowed = (self._profile.host, *self._profile.allowed_hosts)
        is_open = self._profile.allows(host) or any(f".{each}".endswith(f".{host}") for each in allowed)
        return text if is_open else self.value(text)

    def _path(self, text: str) -> str:
        if not text.startswith("/"):
            return self.value(text)
        return "/".join(part if part in self._open_segments else self.value(part) for part in text.split("/"))

    def _location(self, text: str) -> str:
        """Return an address that is followed where this one is, part by part."""
        if not URL_TEXT.fullmatch(text):
            return self.value(text)[:-1] + "\\"  # is no address either
        found = _LOCATION.fullmatch(text)
        assert found is not None, "every text has these parts"
        scheme, authority, path, query, fragment = found.groups()
        shown = ""
        if scheme is not None:
            shown += scheme if scheme.lower() in ("http:", "https:") else "x" * (len(scheme) - 1) + ":"
        if authority is not None:
            shown += "//" + self._authority(authority)
        shown += "/".join(part if part in self._open_segments else self.value(part) for part in path.split("/"))
        if query is not None:
            shown += "?" + (query if query in self._open_queries else self.value(query))
        if fragment is not None:
            shown += "#" + self.value(fragment)
        return shown

    def _authority(self, text: str) -> str:
        found = _AUTHORITY.fullmatch(text)
        if found is None:
            return self.value(text)
        user, host, port = found.groups()
        name = host.strip("[]").lower()
        shown = "" if user is None else self.value(user) + "@"
        shown += host if not name or self._profile.allows(name) or is_loopback(name) else self.value(host)
        if port is not None:
            is_port = not port or (_DIGITS.fullmatch(port) and len(port) < 6)
            shown += ":" + (port if is_port else self.value(port))
        return shown

    def snapshot(self, data: dict[str, Any], *, texts: bool) -> dict[str, Any]:
        """Return the snapshot of a session at rest with stand-ins.

        Args:
            data: what `Session.snapshot` gave.
            texts: whether the texts are secret too.
        """
        talk = dict(data["conversation"])
        talk["vqd"] = self.value(talk["vqd"])
        talk["vqd_hash_1"] = self.challenge(talk["vqd_hash_1"])
        talk["cookies"] = self._cookies(talk["cookies"])
        if texts:
            history = [{**message, "content": blank(message["content"])} for message in talk["message_history"]]
            talk["message_history"] = history
            talk["title"] = None if talk["title"] is None else blank(talk["title"])
        supplied = data["supplied"]
        return {
            **data,
            "conversation": talk,
            "jar": {**data["jar"], "cookies": self._cookies(data["jar"]["cookies"])},
            "supplied": None if supplied is None else self._cookies(supplied),
        }

    def _cookies(self, cookies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                **cookie,
                "name": self._cookie_name(cookie["name"]),
                "value": self.cookie(cookie["value"]),
                "domain": self._domain(cookie["domain"]),
                "path": self._path(cookie["path"]),
            }
            for cookie in cookies
        ]


def _within(text: str, stand_in: Callable[[str], str]) -> str:
    """Replace a text, but for the blanks around it."""
    said = text.strip(" \t")
    if not said:
        return text
    before, _, after = text.partition(said)
    return before + stand_in(said) + after


def _number(text: str, digits: int) -> str:
    """Return a number as it is, or one as long where it has more digits than a harmless one."""
    sign, number = ("-", text[1:]) if text.startswith("-") else ("", text)
    return text if len(number.lstrip("0")) <= digits else sign + "9" * len(number)


_KEPT = frozenset({b"action", b"role", b"status", b"type", b"model", b"created"})
"""Members of a payload whose text says what it is, not what was said."""
_LITERALS = (b"true", b"false", b"null")


class ReplyTexts:
    """Blanks the texts of a reply's event stream, byte for byte, however it is cut into chunks.

    Every string of a payload but the few that say what it is (`_KEPT`), the x of a word such as ``[CHAT_TITLE:x]``,
    and whatever is neither. What the payload means to a session stays: an empty text is empty, half of a surrogate
    pair is one.
    """

    def __init__(self) -> None:
        self._field = bytearray()  # the name of the line's field so far
        self._in_data = False
        self._in_name = True
        self._payload = _Payload()

    def feed(self, data: bytes) -> bytes:
        """Give the next bytes with their texts blanked; as many."""
        return bytes(map(self._byte, data))

    def _byte(self, byte: int) -> int:
        if byte in b"\r\n":
            if self._in_name and not self._field:  # an empty line: a new payload. (In a CR LF it is new twice.)
                self._payload = _Payload()
            self._field.clear()
            self._in_name, self._in_data = True, False
            return byte
        if self._in_name:
            if byte == ord(":"):
                self._in_name = False
                self._in_data = self._field.removeprefix(b"\xef\xbb\xbf") == b"data"
            else:
                self._field = (self._field + bytes((byte,)))[:16]
            return byte
        return self._payload.byte(byte) if self._in_data else byte


class _Payload:
    """One payload: JSON, a word in brackets, or anything else."""

    def __init__(self) -> None:
        self._open: list[int] = []  # the brackets and braces that are open
        self._is_key = False
        self._string: bytearray | None = None  # the string so far, while in one
        self._key = b""
        self._escape = b""
        self._literal = b""
        self._word = ""  # where in a word: "", "name", "value" or "after"
        self._begun = False

    def byte(self, byte: int) -> int:
        if self._word:
            return self._in_word(byte)
        if self._string is not None:
            return self._in_string(byte)
        if byte in b" \t":
            self._literal = b""
            return byte
        if self._open == [ord("[")] and not self._begun and (65 <= byte <= 90 or byte == 95):
            self._word = "name"
            return byte
        self._begun = bool(self._open)
        if byte in b"{[":
            self._open.append(byte)
            self._begun = len(self._open) > 1
            self._is_key = byte == ord("{")
        elif byte in b"}]":
            del self._open[-1:]
        elif byte == ord('"'):
            self._string = bytearray()
            return byte
        elif byte == ord(","):
            self._is_key = self._open[-1:] == [ord("{")]
        elif byte == ord(":"):
            self._is_key = False
        elif byte not in b"0123456789+-.":
            return self._in_literal(byte)
        self._literal = b""
        return byte

    def _in_literal(self, byte: int) -> int:
        self._literal += bytes((byte,))
        if self._open and any(literal.startswith(self._literal) for literal in _LITERALS):
            return byte
        self._literal = b"?"  # and nothing begins with it
        return ord("x")

    def _in_string(self, byte: int) -> int:
        assert self._string is not None
        kept = self._is_key or self._key in _KEPT
        if self._escape:
            return self._in_escape(byte, kept)
        if byte == ord("\\"):
            self._escape = b"\\"
            return byte
        if byte == ord('"'):
            if self._is_key:
                self._key = bytes(self._string)
            self._string = None
            return byte
        if len(self._string) < 16:
            self._string.append(byte)
        return byte if kept or byte <= ord(" ") else ord("x")  # a control character makes it no JSON, and must go on to

    def _in_escape(self, byte: int, kept: bool) -> int:
        escape = self._escape + bytes((byte,)).lower()
        self._escape = escape if escape[1:2] == b"u" and len(escape) < 6 else b""
        if kept or len(escape) == 2:
            return byte
        # Half of a surrogate pair stays one, and of its kind; anything else becomes an x, or a letter as good.
        if escape[2:3] != b"d":
            return b"0078"[len(escape) - 3]
        match len(escape):
            case 3:
                return byte
            case 4:
                return ord("8") if byte in b"89abAB" else ord("c") if byte in b"cdefCDEF" else ord("0")
            case _:
                return ord("0")

    def _in_word(self, byte: int) -> int:
        if self._word == "name":
            if byte == ord(":"):
                self._word = "value"
            elif byte == ord("]"):
                self._word = "after"
            elif not (65 <= byte <= 90 or byte == 95):
                self._word = "value"
                return ord("x")
            return byte
        if byte == ord("]"):
            self._word = "after"
            return byte
        if self._word == "after" and byte == ord("["):
            self._word = "name"
            return byte
        self._word = "value"
        return byte if byte == ord(" ") else ord("x")
