"""`ServiceProfile`: everything about the service that can change, as data (PROTOCOL.md sections 1 to 3)."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from .errors import ModelNotSupportedError, printable

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff\t]*[\x21-\x7e\x80-\xff])?)?")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which browser the client says it is: sent with every request, and what the challenge answer is about.

    Attributes:
        user_agent: the ``user-agent`` header.
        sec_ch_ua: the ``sec-ch-ua`` header, the brands; empty for a browser that has none, and then not sent.
        accept_language: the ``accept-language`` header.
    """

    user_agent: str = (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36"
    )
    sec_ch_ua: str = '"Chromium";v="133", "Not_A Brand";v="8"'
    accept_language: str = "en-US,en;q=0.9"


class Model(msgspec.Struct, frozen=True):
    """A model of the service.

    Attributes:
        id: its name on the wire.
        aliases: friendlier names for it.
    """

    id: str
    aliases: tuple[str, ...] = ()


class ServiceProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a session has to know of the service. Checked when made: a bad one is a `ValueError` that says why.

    Attributes:
        label: the service's name.
        origin: scheme, host and port, without a slash at the end. Plain http is for loopback addresses only.
        landing_path: the page that is visited for its cookies.
        front_end_path: the page that carries the version markers.
        status_path: hands out the tokens.
        chat_path: takes the questions.
        allowed_hosts: where redirects may lead. A name with a leading dot means its subdomains. Empty: the
            origin's own host.
        identity: the browser identity that is sent.
        cookies: names and values that the client always sets.
        page_headers: header fields that the two pages add to the identity.
        status_headers: header fields that the status request adds, beside ``origin`` and ``referer``.
        chat_headers: header fields that the chat request adds, beside those and what the session computes.
        extra_body: members that the chat request's JSON has beside ``model`` and ``messages``.
        version_markers: what stands before the two halves of the front-end version, each ended by a ``"``.
        front_end_version_required: whether a missing version is an error rather than an event.
        models: the models, default first.
        minimum_interval: seconds between the starts of two requests of one client; None is the service's 1.5,
            and 0 for a loopback origin.
        chat_is_repeatable: whether a chat request whose connection broke before the reply may be made again though
            it may have been processed.
        answer_style: how the challenge answer's JSON is spaced: ``"python"`` (", " and ": ") or ``"compact"``.
    """

    label: str = "DuckDuckGo AI Chat"
    origin: str = "https://duckduckgo.com"
    landing_path: str = "/aichat"
    front_end_path: str = "/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1"
    status_path: str = "/duckchat/v1/status"
    chat_path: str = "/duckchat/v1/chat"
    allowed_hosts: tuple[str, ...] = ()
    identity: Identity = Identity()
    cookies: tuple[tuple[str, str], ...] = (("dcs", "1"), ("dcm", "3"))
    page_headers: tuple[tuple[str, str], ...] = (("accept", "text/html"),)
    status_headers: tuple[tuple[str, str], ...] = (
        ("accept", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
        ("content-type", "application/json"),
        ("x-vqd-accept", "1"),
    )
    chat_headers: tuple[tuple[str, str], ...] = (
        ("accept", "text/event-stream"),
        ("content-type", "application/json"),
    )
    extra_body: dict[str, Any] = {}
    version_markers: tuple[str, str] = ('__DDG_BE_VERSION__="', '__DDG_FE_CHAT_HASH__="')
    front_end_version_required: bool = False
    models: tuple[Model, ...] = (
        Model("gpt-4o-mini", ("gpt-4",)),
        Model("meta-llama/Llama-3.3-70B-Instruct-Turbo", ("llama-3.3-70b",)),
        Model("claude-3-haiku-20240307", ("claude-3-haiku",)),
        Model("o3-mini"),
        Model("mistralai/Mistral-Small-24B-Instruct-2501", ("mixtral-small-24b", "mistral-small-3")),
    )
    minimum_interval: float | None = None
    chat_is_repeatable: bool = False
    answer_style: Literal["python", "compact"] = "python"

    def __post_init__(self) -> None:
        """Check every field that could only fail later, in a place that is harder to understand.

        Raises:
            ValueError: what is wrong with which field.
        """
        _check_origin(self.origin)
        for field in ("landing_path", "front_end_path", "status_path", "chat_path"):
            path = getattr(self, field)
            if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
                raise ValueError(f"{field} must begin with / and be visible ASCII, not {path!r}")
        for field in ("page_headers", "status_headers", "chat_headers"):
            for name, value in getattr(self, field):
                if not _TOKEN.fullmatch(name) or name != name.lower():
                    raise ValueError(f"{field}: {name!r} is not a header name in lower case")
                _check_field_value(f"{field}: {name}", value)
        for field in ("user_agent", "sec_ch_ua", "accept_language"):
            _check_field_value(f"identity.{field}", getattr(self.identity, field))
        for name, value in self.cookies:
            if not _TOKEN.fullmatch(name) or not re.fullmatch(r"[!#-+\--:<-\[\]-~]*", value):
                raise ValueError(f"cookies: {name!r} with {value!r} is not a cookie")
        if not self.models:
            raise ValueError("models must name one model at least; the first is the default")
        names = [name for model in self.models for name in (model.id, *model.aliases)]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled or "" in names:
            raise ValueError(
                f"models: each id and alias must be one name, once; not so: {', '.join(doubled) or 'an empty one'}"
            )
        if not all(self.version_markers):
            raise ValueError("version_markers must not be empty")
        if {"model", "messages"} & self.extra_body.keys():
            raise ValueError("extra_body must not name model or messages")
        if self.minimum_interval is not None and not 0 <= self.minimum_interval < float("inf"):
            raise ValueError(f"minimum_interval must be 0 or more seconds, not {self.minimum_interval!r}")

    @property
    def interval(self) -> float:
        """Seconds between the starts of two requests of one client (PROTOCOL.md sections 1 and 3)."""
        if self.minimum_interval is not None:
            return self.minimum_interval
        return 0.0 if self.origin.startswith("http:") else 1.5

    @property
    def host(self) -> str:
        """The origin's host name, in lower case and without a port."""
        return urlsplit(self.origin).hostname or ""

    def url(self, path: str) -> str:
        """Give the absolute URL of a path of this service."""
        return self.origin + path

    def allows(self, host: str) -> bool:
        """Tell whether tokens and cookies may go to a host (PROTOCOL.md section 3).

        Args:
            host: a host name or address in lower case, without a port.

        Returns:
            Whether it is one of `allowed_hosts`, or the origin's own where none are named.
        """
        return any(
            host.endswith(allowed) if allowed.startswith(".") else host == allowed
            for allowed in self.allowed_hosts or (self.host,)
        )

    def at(self, base_url: str, **changes: Any) -> ServiceProfile:
        """Make the same profile for another address; URLs, ``origin``, ``referer`` and allowed hosts follow from it.

        Args:
            base_url: scheme, host and, where needed, port: ``https://example.org`` or ``http://127.0.0.1:8000``.
                Plain http is for loopback addresses only, and there the minimum interval is 0 unless it is given.
            **changes: other attributes to set.

        Returns:
            The new profile.

        Raises:
            ValueError: the address is not of that form, or a change is not valid.
        """
        return msgspec.structs.replace(self, **{"origin": base_url.rstrip("/"), "allowed_hosts": (), **changes})

    def validate_model(self, name: str | None = None) -> str:
        """Resolve a model's name to its id on the wire (PROTOCOL.md section 1).

        Args:
            name: an id, an alias, or nothing for the default.

        Returns:
            The id.

        Raises:
            ModelNotSupportedError: no model has that name; the text lists those there are.
        """
        if not name:
            return self.models[0].id
        for model in self.models:
            if name == model.id or name in model.aliases:
                return model.id
        known = ", ".join(
            model.id + (f" ({', '.join(model.aliases)})" if model.aliases else "") for model in self.models
        )
        raise ModelNotSupportedError(f"no model is called {printable(name)!r}; there are: {known}")


def _check_origin(origin: str) -> None:
    parts = urlsplit(origin)
    if parts.scheme not in ("https", "http") or not parts.hostname or not origin.isascii():
        raise ValueError(f"the base address must be https://HOST[:PORT], not {printable(origin)!r}")
    parts.port  # noqa: B018 - a ValueError where the port is no number
    if parts.path or parts.query or parts.fragment or parts.username is not None or origin != origin.lower():
        raise ValueError(
            f"the base address must be scheme, host and port alone, in lower case, not {printable(origin)!r}"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"plain http is for loopback addresses only; use https for {printable(parts.hostname)!r}")


def _check_field_value(what: str, value: str) -> None:
    if not _FIELD_VALUE.fullmatch(value):
        raise ValueError(f"{what} is not a header value: {value!r}")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


DUCKDUCKGO_2025_04 = ServiceProfile(allowed_hosts=("duckduckgo.com", ".duckduckgo.com", "duck.ai"))
"""The service as it was in April 2025."""


def validate_model(name: str | None = None, profile: ServiceProfile = DUCKDUCKGO_2025_04) -> str:
    """Resolve a model's name to its id on the wire; see `ServiceProfile.validate_model`."""
    return profile.validate_model(name)
