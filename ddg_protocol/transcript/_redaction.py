"""What must not get into a transcript, and what takes its place: of the same length, and the same for the same.

A transcript is made of a session that was told the stand-ins from the beginning, so nothing has to fit by luck: what
that session sends and says follows from them.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from ..intents import SECRET_HEADERS, Headers
from ..profile import ServiceProfile

_VISIBLE = re.compile(r"[!-~]")
_HASH = re.compile(r"[A-Za-z0-9+/=_-]{32,}")
"""What hashes look like in a challenge; a name or a number of the script's own is shorter."""
_WORD = re.compile(r"\S")


def blank(text: str) -> str:
    """Put an x for every character of a text that isn't white space."""
    return _WORD.sub("x", text)


class Secrets:
    """Stand-ins for the tokens, cookies and answers of one transcript.

    Args:
        profile: its own cookies are no secret.
    """

    def __init__(self, profile: ServiceProfile) -> None:
        self._open = {value for _, value in profile.cookies}
        self._known: dict[str, str] = {}

    def value(self, secret: str) -> str:
        """Give what stands in for a secret.

        Args:
            secret: a header's or a cookie's value.

        Returns:
            As many characters: ``r`` and a number, then x's. What can't be sent back still can't.
        """
        if secret not in self._known:
            number = f"r{len(self._known) + 1}"
            blanked = _VISIBLE.sub("x", secret)
            stays = not _VISIBLE.fullmatch(secret[:1]) or "x" * len(number) != blanked[: len(number)]
            self._known[secret] = blanked if stays else number + blanked[len(number) :]
        return self._known[secret]

    def cookie(self, value: str) -> str:
        """Give what stands in for a cookie's value; the profile's own stay as they are."""
        return value if value in self._open else self.value(value)

    def challenge(self, header: str) -> str:
        """Give the same challenge about other hashes.

        Args:
            header: the value of a response's ``x-vqd-hash-1``.

        Returns:
            The same script with stand-ins for its hashes; what is no script is a secret like any other.
        """
        try:
            script = base64.b64decode(header, validate=True).decode()
        except (binascii.Error, ValueError):
            return self.value(header)
        return base64.b64encode(_HASH.sub(lambda found: self.value(found[0]), script).encode()).decode()

    def headers(self, headers: Headers) -> Headers:
        """Give a response's fields with stand-ins for what is secret in them."""
        return tuple((name, self._field(name.lower(), value)) for name, value in headers)

    def _field(self, name: str, value: str) -> str:
        if name == "x-vqd-hash-1":
            return self.challenge(value)
        if name == "set-cookie":
            pair, semicolon, attributes = value.partition(";")
            key, equals, said = pair.partition("=")
            if not equals:
                return self.value(value)
            return f"{key}={self.cookie(said.strip())}{semicolon}{attributes}"
        return self.value(value) if name in SECRET_HEADERS else value

    def snapshot(self, data: dict[str, Any], *, texts: bool) -> dict[str, Any]:
        """Give the snapshot of a session at rest with stand-ins.

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
        return [{**cookie, "value": self.cookie(cookie["value"])} for cookie in cookies]


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
