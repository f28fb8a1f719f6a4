"""Stand-ins for what must not get into a transcript: of the same length, and equal for equal secrets.

Redaction goes by position: everything in a head or a challenge from the service is replaced, unless a list says that it
is harmless (`redaction`, `_words`). What a session reads of it keeps its meaning.

A transcript records a session that received the stand-ins from the start, so it is consistent: whatever that session
sends and returns follows from them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ..conversation import Message
from ..cookies import Cookie
from ..dates import parse_date
from ..grammar import URL_TEXT
from ..headers import Headers
from ..pace import Landing
from ..profile import ServiceProfile
from ..redaction import is_harmless, is_known_name
from ..urls import is_loopback
from ._texts import blank, blank_message, blank_version
from ._words import same_script

_VISIBLE = re.compile(r"[!-~]")
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
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


class Secrets:
    """The stand-ins for possible secrets in one transcript.

    Args:
        profile: the profile, whose own cookies, hosts and paths are no secrets.
    """

    def __init__(self, profile: ServiceProfile) -> None:
        targets = [
            urlsplit(target)
            for target in (
                profile.landing_path,
                profile.front_end_path,
                profile.status_path,
                profile.chat_path,
                profile.models_path or "",
            )
        ]
        self._profile = profile
        self._open = {value for _, value in profile.cookies}
        self._open_names = {name for name, _ in profile.cookies}
        self._open_segments = {"", ".", "..", *(part for target in targets for part in target.path.split("/"))}
        self._open_queries = {target.query for target in targets}
        self._known: dict[str, str] = {}

    def value(self, secret: str) -> str:
        """Return the stand-in for a secret.

        Args:
            secret: a header's or a cookie's value, or a part of it.

        Returns:
            ``r`` and a number, then x's, of the same length. What can't be sent back still can't: a character that is
            not ASCII stays one, and so does a control character.
        """
        if secret not in self._known:
            number = f"r{len(self._known) + 1}"
            blanked = _FOREIGN.sub("\xff", _CONTROL.sub("\x01", _VISIBLE.sub("x", secret)))
            stays = not _VISIBLE.fullmatch(secret[:1]) or "x" * len(number) != blanked[: len(number)]
            self._known[secret] = blanked if stays else number + blanked[len(number) :]
        return self._known[secret]

    def cookie(self, value: str) -> str:
        """Return the stand-in for a cookie's value; the profile's own values stay as they are."""
        return value if value in self._open else self.value(value)

    def challenge(self, header: str) -> str:
        """Return a challenge of the same form with other contents.

        Args:
            header: the value of a response's ``x-vqd-hash-1``.

        Returns:
            A script of the same form with stand-ins in it, or a stand-in for a value that is no script.
        """
        if self._profile.challenge_form == "opaque":
            return self.value(header)
        encoded = re.sub(r"[ \t\n\f\r]+", "", header)  # as `challenge.read_challenge` does
        try:
            script = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
        except (binascii.Error, ValueError):
            return self.value(header)
        return base64.b64encode(same_script(script, self.value).encode()).decode()

    def headers(self, headers: Headers) -> Headers:
        """Return a response's headers with stand-ins for possible secrets."""
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
        """Return the same date and nothing else, padded to the same length if it is shorter."""
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
        """Return a stand-in for an address, part by part; a session follows it if it follows the address."""
        if not URL_TEXT.fullmatch(text):
            return self.value(text)[:-1] + "\\"  # still no address
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
        assert found is not None, "every text has these parts"
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
            data: what `Session.snapshot` returned.
            texts: whether the texts are secret too.
        """
        supplied, landing = data["supplied"], data["landing"]
        return {
            **data,
            "fe_version": blank_version(data["fe_version"]) if texts else data["fe_version"],
            "conversation": self.conversation(data["conversation"], texts=texts),
            "ids": {name: self.value(id) for name, id in data["ids"].items()},
            "jar": {**data["jar"], "cookies": self._cookies(data["jar"]["cookies"])},
            "supplied": None if supplied is None else self._cookies(supplied),
            "landing": None if landing is None else {**landing, "cookies": self._cookies(landing["cookies"])},
        }

    def conversation(self, data: dict[str, Any], *, texts: bool) -> dict[str, Any]:
        """Return a conversation with stand-ins.

        Args:
            data: the conversation as JSON values.
            texts: whether the texts are secret too.
        """
        talk = dict(data)
        talk["vqd"] = self.value(talk["vqd"])
        talk["vqd_hash_1"] = self.challenge(talk["vqd_hash_1"])
        talk["cookies"] = self._cookies(talk["cookies"])
        talk["ids"] = [[name, self.value(id)] for name, id in talk["ids"]]
        if texts:
            talk["message_history"] = msgspec.to_builtins(
                [blank_message(msgspec.convert(message, Message)) for message in talk["message_history"]]
            )
            talk["fe_version"] = blank_version(talk["fe_version"])
            talk["title"] = None if talk["title"] is None else blank(talk["title"])
        return talk

    def landing(self, landing: Landing) -> Landing:
        """Return what the landing page has brought, with stand-ins."""
        cookies = self._cookies(msgspec.to_builtins(landing.cookies))
        return msgspec.structs.replace(landing, cookies=msgspec.convert(cookies, tuple[Cookie, ...]))

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
    """Replace a text, but not the blanks around it."""
    said = text.strip(" \t")
    if not said:
        return text
    before, _, after = text.partition(said)
    return before + stand_in(said) + after


def _number(text: str, digits: int) -> str:
    """Return a number as it is, or nines of the same length if it has too many digits to be harmless."""
    sign, number = ("-", text[1:]) if text.startswith("-") else ("", text)
    return text if len(number.lstrip("0")) <= digits else sign + "9" * len(number)
