"""The profile of the service: everything about it that can change, as data (PROTOCOL.md sections 1 to 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from ._template import IN_BODY, IN_CHAT, IN_EACH, check_json, is_name, name_in_field, placeholders_of
from .conversation import MAX_IDS
from .cookies import MAX_COOKIE_BYTES
from .errors import ModelNotSupportedError
from .grammar import COOKIE_OCTETS, FIELD_VALUE, TOKEN, URL_PATH
from .headers import Headers
from .identity import Identity
from .models import AttachmentLimits, Model, ModelList
from .policy import MAX_SECONDS
from .text import about_keys, printable, shown
from .urls import check_origin, is_host

#: The headers that the driver writes into each request, so that a profile must not.
BY_DRIVER = {"host", "connection", "content-length", "transfer-encoding"}
_LISTS = ("page_headers", "status_headers", "models_headers", "chat_headers")
_PAIRS = {"cookies", *_LISTS}
#: The fields whose texts may be any that UTF-8 can encode.
_TEXTS = ("label", "models", "tier", "attachment_limits", "image_types", "version_markers", "tool_choice")
#: The only placeholders that these may have.
_PLACED = {"user-agent": "user_agent", "cookie": "cookie", "x-vqd-4": "vqd_4", "x-vqd-hash-1": "answer"}


class IdRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an id that the client makes up looks, and how long it stays the same.

    Attributes:
        form: ``"hex"`` for 32 hexadecimal digits, ``"uuid"`` for a random UUID (RFC 9562 section 5.4).
        new: what gets a new one: each ``"request"``, ``"session"`` or ``"conversation"``.
    """

    form: Literal["hex", "uuid"] = "hex"
    new: Literal["request", "session", "conversation"] = "request"


class ServiceProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts about the service that a session needs. It is checked when it is made.

    Attributes:
        label: the service's name.
        origin: scheme, host and port, without a slash at the end. Plain http is for loopback addresses only.
        landing_path: the page that is visited for its cookies; empty if none is.
        front_end_path: the page that has the version markers.
        status_path: the endpoint that gives the tokens.
        chat_path: the endpoint that takes the questions.
        models_path: the endpoint that lists the models; None if the revision has none.
        allowed_hosts: the hosts that redirects may lead to, in addition to the origin's own. A name with a leading dot
            means its subdomains.
        identity: the browser identity that is sent.
        cookies: names and values that the client always sets.
        page_headers: all header fields of the two pages, in order. A value in braces, such as ``{user_agent}``, is
            computed; where there is none, the field is left out, unless it is written ``{user_agent or empty}``. (A
            cookie that isn't placed comes last.) The names in braces are ``user_agent``, which each list must have,
            ``accept_language``, ``sec_ch_ua``, ``accept_encoding``, ``origin``, ``referer``, ``cookie``, and those of
            `ids`.
        status_headers: all header fields of the status request.
        models_headers: those of the request for the list of models; empty means those of status, without
            ``x-vqd-accept``.
        chat_headers: all header fields of the chat request. They may also name ``fe_version``, ``vqd_4``, ``answer``,
            and ``solver``: a field that only a solver's answer brings.
        extra_body: members of the chat request's JSON, in addition to ``model`` and ``messages``, which come first
            unless the members ``"model": "{model}"`` and ``"messages": "{messages}"`` place them. Texts in braces are
            computed, at any depth: the names of `ids`, ``effort``, ``uses_tools`` (whether the turn asks for tools),
            ``tool_choice``, ``null`` (which TOML can't say), and ``solver`` as a member that only a solver's answer
            brings.
        tool_choice: the tools that ``{tool_choice}`` always names, each with its value for a turn that doesn't ask for
            it.
        ids: the ids that the client makes up, at most 32, by the names that placeholders use.
        vqd_4: whether the service gives an ``x-vqd-4`` token, which each question needs.
        challenge_form: ``"script"`` is the plain form of April 2025, which this package can answer; ``"opaque"`` is any
            other, which it hands to the embedder's solver as it came.
        version_markers: the texts before the two halves of the front-end version; each half ends at a ``"``.
        front_end_version_required: whether a missing version is an error rather than an event.
        models: the models, default first.
        tier: the tier that this client belongs to, by which efforts and attachments are judged.
        attachment_limits: how much may be attached to questions, for each tier of which that is known.
        image_types: the media types of images that models take.
        bare_text: whether a question of text alone is sent as that text. If not, it is a list of one part.
        history_parts: how replies are sent back in the history: ``"text"`` sends their text; ``"all"`` sends the text
            and all other parts but images, as parts.
        minimum_interval: seconds between the starts of two requests of one client, at most 1,000,000; None means the
            service's 1.5, and 0 for a plain http origin.
        chat_is_repeatable: whether to repeat a chat request whose connection broke before the reply, though the service
            may have processed it.
        repeated_once: the failures after which a chat request is repeated, once and at once, with fresh tokens:
            ``"unauthorized"`` is a 401, ``"no_events"`` a reply without any event. After an unknown token it always is.
        throttle_delay: seconds that a throttled client waits at least, where the service doesn't say how long; at most
            1,000,000.
        answer_style: how the JSON of a challenge's answer is spaced: ``"python"`` (", " and ": ") or ``"compact"``.

    Raises:
        ValueError: a field is not valid; the message says which, and why.
    """

    label: str = "DuckDuckGo AI Chat"
    origin: str = "https://duckduckgo.com"
    landing_path: str = "/aichat"
    front_end_path: str = "/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1"
    status_path: str = "/duckchat/v1/status"
    chat_path: str = "/duckchat/v1/chat"
    models_path: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    identity: Identity = Identity()
    cookies: tuple[tuple[str, str], ...] = (("dcs", "1"), ("dcm", "3"))
    page_headers: tuple[tuple[str, str], ...] = (
        ("user-agent", "{user_agent}"),
        ("accept-language", "{accept_language}"),
        ("accept", "text/html"),
        ("accept-encoding", "{accept_encoding}"),
    )
    status_headers: tuple[tuple[str, str], ...] = (
        ("user-agent", "{user_agent}"),
        ("accept-language", "{accept_language}"),
        ("accept", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
        ("content-type", "application/json"),
        ("x-vqd-accept", "1"),
        ("origin", "{origin}"),
        ("referer", "{referer}"),
        ("accept-encoding", "{accept_encoding}"),
    )
    models_headers: tuple[tuple[str, str], ...] = ()
    chat_headers: tuple[tuple[str, str], ...] = (
        ("user-agent", "{user_agent}"),
        ("accept-language", "{accept_language}"),
        ("accept", "text/event-stream"),
        ("content-type", "application/json"),
        ("origin", "{origin}"),
        ("referer", "{referer}"),
        ("sec-ch-ua", "{sec_ch_ua}"),
        ("accept-encoding", "{accept_encoding}"),
        ("x-fe-version", "{fe_version or empty}"),
        ("x-vqd-4", "{vqd_4}"),
        ("x-vqd-hash-1", "{answer or empty}"),
    )
    extra_body: dict[str, Any] = {}
    tool_choice: dict[str, bool] = {}
    ids: dict[str, IdRule] = {}
    vqd_4: bool = True
    challenge_form: Literal["script", "opaque"] = "script"
    version_markers: tuple[str, str] = ('__DDG_BE_VERSION__="', '__DDG_FE_CHAT_HASH__="')
    front_end_version_required: bool = False
    models: tuple[Model, ...] = (
        Model("gpt-4o-mini", ("gpt-4",)),
        Model("meta-llama/Llama-3.3-70B-Instruct-Turbo", ("llama-3.3-70b",)),
        Model("claude-3-haiku-20240307", ("claude-3-haiku",)),
        Model("o3-mini"),
        Model("mistralai/Mistral-Small-24B-Instruct-2501", ("mixtral-small-24b", "mistral-small-3")),
    )
    tier: str = "free"
    attachment_limits: dict[str, AttachmentLimits] = {}
    image_types: tuple[str, ...] = ("image/png", "image/jpeg", "image/webp")
    bare_text: bool = True
    history_parts: Literal["text", "all"] = "text"
    minimum_interval: float | None = None
    chat_is_repeatable: bool = False
    repeated_once: tuple[Literal["unauthorized", "no_events"], ...] = ()
    throttle_delay: float = 0.0
    answer_style: Literal["python", "compact"] = "python"

    def __post_init__(self) -> None:
        """Check every field that would otherwise fail later, in a place that is harder to understand."""
        check_origin(self.origin)
        for field in ("landing_path", "front_end_path", "status_path", "chat_path", "models_path"):
            path = getattr(self, field)
            if path is None or (path == "" and field == "landing_path"):
                continue
            if not URL_PATH.fullmatch(path):
                raise ValueError(f"{field} must begin with / and be visible ASCII without # and \\, not {shown(path)}")
        for host in self.allowed_hosts:
            if not is_host(host.removeprefix(".")):
                raise ValueError(
                    f"allowed_hosts: {shown(host)} is not a host name or address in lower case, without a port"
                )
        self._check_ids()
        for field in _LISTS:
            if field != "models_headers" or self.models_headers:
                self._check_headers(field, getattr(self, field))
        for field in self.identity.__struct_fields__:
            _check_field_value(f"identity.{field}", getattr(self.identity, field))
        for name, value in self.cookies:
            if not TOKEN.fullmatch(name) or not COOKIE_OCTETS.fullmatch(value):
                raise ValueError(f"cookies: {shown(name)} with {shown(value)} is not a cookie")
            if len(name) + len(value) > MAX_COOKIE_BYTES:
                raise ValueError(f"cookies: {shown(name)} is longer than {MAX_COOKIE_BYTES} bytes, with its value")
        for field in _TEXTS:
            try:
                msgspec.json.encode(getattr(self, field))
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                raise ValueError(f"{field} can't be written as JSON in UTF-8: {error}") from error
        _check_models(self.models)
        if not all(self.version_markers):
            raise ValueError("version_markers must not be empty")
        self._check_body()
        for field in ("minimum_interval", "throttle_delay"):
            seconds = getattr(self, field)
            if seconds is not None and not 0 <= seconds <= MAX_SECONDS:
                raise ValueError(f"{field} must be 0 or more seconds and at most {MAX_SECONDS}, not {shown(seconds)}")

    def _check_ids(self) -> None:
        if len(self.ids) > MAX_IDS:
            raise ValueError(f"ids: a profile may have {MAX_IDS} ids, not {len(self.ids)}")
        for name in self.ids:
            if not is_name(name) or name in IN_CHAT | IN_BODY:
                raise ValueError(
                    f"ids: {shown(name)} must be lower-case letters, digits and _, and no other placeholder's name"
                )

    def _check_headers(self, field: str, headers: Headers) -> None:
        known = (IN_CHAT if field == "chat_headers" else IN_EACH) | self.ids.keys()
        names: set[str] = set()
        for name, value in headers:
            if not TOKEN.fullmatch(name) or name != name.lower():
                raise ValueError(f"{field}: {shown(name)} is not a header name in lower case")
            _check_field_value(f"{field}: {name}", value)
            if name in BY_DRIVER:
                raise ValueError(f"{field}: {name} is written by the driver")
            if name in names:
                raise ValueError(f"{field}: {name} is there twice")
            names.add(name)
            placed = name_in_field(value)
            if name in _PLACED and placed != _PLACED[name]:
                raise ValueError(f"{field}: {name} must be {{{_PLACED[name]}}}, not {shown(value)}")
            if placed and placed not in known:
                raise ValueError(f"{field}: {name}: nothing is called {value}; there are {', '.join(sorted(known))}")
        if "user-agent" not in names:
            raise ValueError(
                f"{field} must have all header fields, in order: of those that are computed, user-agent with the value "
                "{user_agent}, and each other that the request needs (docs/settings.md, Header lists and bodies)"
            )

    def _check_body(self) -> None:
        check_json("extra_body", self.extra_body)
        for name in ("model", "messages"):
            if self.extra_body.get(name, f"{{{name}}}") != f"{{{name}}}":
                raise ValueError(f"extra_body must not name model or messages, except to place them: {{{name}}}")
        known = IN_BODY | self.ids.keys()
        if unknown := placeholders_of(self.extra_body) - known:
            names = ", ".join(f"{{{name}}}" for name in sorted(unknown))
            raise ValueError(f"extra_body: nothing is called {names}; there are {', '.join(sorted(known))}")

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
        """Return the absolute URL of a path of this service."""
        return self.origin + path

    def allows(self, host: str) -> bool:
        """Return whether tokens and cookies may go to a host (PROTOCOL.md section 3).

        Args:
            host: a host name or address in lower case, without a port.

        Returns:
            Whether it is the origin's own host, or one of `allowed_hosts`.
        """
        return is_host(host) and any(
            host.endswith(allowed) if allowed.startswith(".") else host == allowed
            for allowed in (self.host, *self.allowed_hosts)
        )

    def at(self, base_url: str, **changes: Any) -> ServiceProfile:
        """Return the same profile for another address; URLs, ``origin``, ``referer`` and allowed hosts follow from it.

        Args:
            base_url: scheme, host and, where needed, port: ``https://example.org`` or ``http://127.0.0.1:8000``.
                Plain http is for loopback addresses only, and there the minimum interval is 0 unless it is given.
            **changes: other attributes to set.

        Returns:
            The new profile.

        Raises:
            ValueError: the address has another form, or a change is not valid.
        """
        return msgspec.structs.replace(self, **{"origin": base_url.rstrip("/"), "allowed_hosts": (), **changes})

    def updated(self, data: Mapping[str, object]) -> ServiceProfile:
        """Return the same profile with changes from data, such as TOML or JSON.

        Args:
            data: values by the names of the attributes, of plain types: an identity or a model is a mapping; headers
                and cookies are a mapping, or a list of lists of two. With another ``origin`` and no
                ``allowed_hosts``, the allowed hosts follow from the origin, as with `at`.

        Returns:
            The new profile.

        Raises:
            ValueError: the data has another form; the message names the key.
        """
        changes = {
            name: list(value.items()) if name in _PAIRS and isinstance(value, Mapping) else value
            for name, value in data.items()
        }
        own = msgspec.structs.asdict(self)
        if changes.get("origin", self.origin) != self.origin:
            own["allowed_hosts"] = ()
        try:
            return msgspec.convert({**own, **changes}, ServiceProfile)
        except msgspec.ValidationError as error:
            message = about_keys(str(error).removesuffix(" - at `$`").replace("`$.", "`"))
            raise ValueError(printable(message, 300)) from None

    def with_models(self, listed: ModelList) -> ServiceProfile:
        """Return the same profile with the models and the limits of attachments that the service lists.

        Args:
            listed: what `Session.fetch_models` or a client's ``models`` gave. Models that the profile has keep their
                aliases.

        Returns:
            The new profile. The default is the one of this profile if this client may use it, else the first that this
            client may use.
        """
        aliases = {model.id: model.aliases for model in self.models}
        ids = {model.id for model in listed.models}
        models = [
            msgspec.structs.replace(model, aliases=tuple(name for name in aliases.get(model.id, ()) if name not in ids))
            for model in listed.models
        ]
        models.sort(key=lambda model: (model.available is False, model.id != self.models[0].id))
        return msgspec.structs.replace(self, models=tuple(models), attachment_limits=listed.attachment_limits)

    def model(self, id: str) -> Model:
        """Return a model. One that is not in `models` takes text alone.

        Args:
            id: its id on the wire.
        """
        return next((model for model in self.models if model.id == id), Model(id))

    def validate_model(self, name: str | None = None) -> str:
        """Return the id on the wire of a model (PROTOCOL.md section 1).

        Args:
            name: an id or an alias; None or an empty one means the default.

        Returns:
            The id.

        Raises:
            ModelNotSupportedError: no model has that name; the message lists the models.
        """
        if not name:
            return self.models[0].id
        for model in self.models:
            if name == model.id or name in model.aliases:
                return model.id
        known = ", ".join(
            model.id + (f" ({', '.join(model.aliases)})" if model.aliases else "") for model in self.models
        )
        raise ModelNotSupportedError(f"no model is called {shown(name)}; the models are: {known}")


def _check_models(models: tuple[Model, ...]) -> None:
    if not models:
        raise ValueError("models must name one model at least; the first is the default")
    names = [name for model in models for name in (model.id, *model.aliases)]
    doubled = sorted(name for name, times in Counter(names).items() if times > 1)
    if doubled or "" in names:
        raise ValueError(
            "models: every id and alias must be unique and not empty; these are not: "
            + (", ".join(doubled) or "an empty one")
        )


def _check_field_value(what: str, value: str) -> None:
    if not FIELD_VALUE.fullmatch(value):
        raise ValueError(f"{what} is not a header value: {shown(value)}")
