"""`Service`: what it requires of each request, and how it responds."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial

import msgspec
from msgspec.structs import replace

from .._limits import types_taken
from .._part_forms import WirePart, from_wire
from .._template import OR_EMPTY, name_in_field
from ..headers import Headers
from ..model_list import write_models
from ..models import Model, ModelList
from ..parts import Text, attachments, text_of
from ..profile import ServiceProfile
from ..revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from ._answer import Answer
from ._checks import Checks, Objections, bad
from ._draw import draw
from ._exchange import Exchange, Refusal, ServiceRequest, ServiceResponse
from ._log import Log
from ._pages import front_end_page, http_date, landing_cookies, landing_page
from ._pieces import Endpoint, Piece
from ._reply import (
    DONE,
    Message,
    Question,
    Responder,
    Role,
    Said,
    default_responder,
    event,
    payload_of,
    pieces_of,
    text_event,
)
from ._tokens import Pair, Tokens
from .faults import Fault, Redirect, Refuse

UNSPENT_TOKENS = 20_000
"""How many tokens are valid at a time: one each for ten thousand conversations at once, and as many spare ones."""
KNOWN_HISTORIES = 50_000
"""How many conversations can be continued; each turn of a conversation counts as one, and takes 100 bytes."""


class _ReplyPart(msgspec.Struct):
    """A part of a reply in the history. Only that of its text is read."""

    type: str
    text: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[WirePart]
    parts: list[_ReplyPart] = []


class _Planned(msgspec.Struct):
    """A fault of the script, how many requests its endpoint had before it, and whether it applied to one since."""

    fault: Fault
    since: int
    met: bool = False


class _ChatBody(msgspec.Struct):
    """The members that are read; a profile's ``extra_body`` may add others."""

    model: str
    messages: list[_Message]


_IDS = {
    "hex": re.compile("[0-9a-f]{32}"),
    "uuid": re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
}
_FORMS = {"hex": "32 hexadecimal digits", "uuid": "a random UUID"}
_HTML = ("content-type", "text/html; charset=UTF-8")
_read_chat_body = msgspec.json.Decoder(_ChatBody).decode

_NOTHING = Answer.of(200, (), b"")
#: What a browser needs to let a page send any field, and read any (WHATWG Fetch, section 3.3).
_PREFLIGHT = (("access-control-allow-methods", "GET, POST"), ("access-control-allow-headers", "*"))
_EXPOSED = (("access-control-expose-headers", "*"),)


class Service:
    """The service of PROTOCOL.md, as a function of the requests so far.

    It keeps what the real one keeps, within bounds: its valid tokens, and, if its history is asked for, the
    conversations with its replies. It refuses requests with the error of section 7 if there is one, otherwise with one
    of its own (400 ``ERR_BAD_REQUEST``, 404 ``ERR_NOT_FOUND``, 405 ``ERR_METHOD``); the error body's ``reason`` and the
    log say everything that was wrong.

    Args:
        profile: the revision that it speaks: paths, headers, markers, models.
        responder: returns the replies.
        challenge: whether a question without the answer to the challenge is refused with 418. If not,
            ``x-vqd-hash-1`` may be empty; a wrong answer is still refused. A revision whose challenges are opaque wants
            an answer always: they are stand-ins that say so, and `ddg_protocol.testing.stand_in_answer` answers them.
        strict: whether to ask all of PROTOCOL.md. If not, it asks what the real service is known to ask.
        checks: what to ask, check by check, instead of ``strict``.
        latency: seconds before the first piece of a reply that isn't empty.
        delay: seconds between two pieces of a reply.
        script: what goes wrong when. If several faults apply to a request, so do their effects, one after the other.
        cors: the origin of the pages that may use the service from a browser, such as ``"http://localhost:3000"``, or
            ``"*"`` for all; if it is empty, no page may. Preflights (WHATWG Fetch) don't count for faults.
        seed: the source of tokens, challenges and ids; the same seed and requests give the same responses.

    Attributes:
        profile: as given.
        checks: what is asked of requests.
        responder: as given; it may be replaced, from the next question on.
        challenge: as given; it may be changed, from the next question on.
    """

    def __init__(
        self,
        profile: ServiceProfile = DUCKDUCKGO_2025_04,
        *,
        responder: Responder = default_responder,
        challenge: bool = False,
        strict: bool = False,
        checks: Checks | None = None,
        latency: float = 0.0,
        delay: float = 0.0,
        script: Iterable[Fault] = (),
        cors: str = "",
        seed: str = "",
    ) -> None:
        self.profile = profile
        self.challenge = challenge
        self.responder = responder
        self.checks = checks or (Checks.strict() if strict else Checks())
        self._latency = latency
        self._delay = delay
        self._cors = cors
        self._script = [_Planned(fault, 0) for fault in script]
        self._counts: Counter[Endpoint | None] = Counter()
        self._seed = seed
        opaque = profile.challenge_form == "opaque"
        self._version = ("serp_20250401_100419_ET", draw(seed, "front end").hex()[: 40 if opaque else 20])
        self._tokens = Tokens(
            seed, limit=UNSPENT_TOKENS, form=profile.challenge_form, single_use=self.checks.fresh_tokens
        )
        self._histories: dict[bytes, None] = {}  # oldest first
        self._replies = 0
        self._log = Log()
        self._routes: dict[str, tuple[Endpoint, str, Callable[[ServiceRequest, float], Answer]]] = {
            profile.landing_path: ("landing", "GET", self._landing),
            profile.front_end_path: ("front_end", "GET", self._front_end),
            profile.status_path: ("status", "GET", self._status),
            profile.chat_path: ("chat", "POST", self._chat),
        }
        self._routes.pop("", None)  # a landing page that the revision doesn't have
        if profile.models_path is not None:
            self._routes[profile.models_path] = ("models", "GET", self._models)

    @property
    def front_end_version(self) -> str:
        """The version that a client reads from the front-end page's markers."""
        return "-".join(self._version)

    @property
    def log(self) -> Sequence[Exchange]:
        """The exchanges with clients, oldest first: the last 1000, of at most 16 MiB."""
        return self._log.exchanges()

    @property
    def unmet_faults(self) -> Sequence[Fault]:
        """The faults that have applied to no request so far."""
        return tuple(planned.fault for planned in self._script if not planned.met)

    def add_fault(self, fault: Fault) -> None:
        """Add a fault to the script.

        Args:
            fault: applies after the existing ones; its requests are counted from the next one.
        """
        self._script.append(_Planned(fault, self._counts[fault.on]))

    def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
        """Return the response to a request.

        Args:
            request: a client's whole request.
            now: seconds since the epoch, for the response's ``date``.

        Returns:
            The response. The pieces of its body are made on demand.
        """
        endpoint, method, answer = self._routes.get(request.target, (None, "", self._nowhere))
        is_preflight = bool(self._cors) and endpoint is not None and request.method == "OPTIONS"
        self._counts[endpoint] += not is_preflight
        faults = () if is_preflight else self._faults(endpoint)
        exchange = Exchange(request, endpoint, 200, faults=faults)
        effects = [effect for fault in faults for effect in fault.effects]
        try:
            if is_preflight or any(isinstance(effect, Redirect) for effect in effects):
                answered = _NOTHING
            elif endpoint is not None and request.method != method:
                raise _another_method(method, request.method)
            else:
                answered = answer(request, now)
        except Refusal as refusal:
            exchange.error, exchange.reason = refusal.error, refusal.reason
            answered = Answer.refused(refusal.status, refusal.error, refusal.reason, refusal.headers)
        for effect in effects:
            answered = answered.after(effect, target=request.target, tokens=self._new_tokens)
            exchange.error = effect.type if isinstance(effect, Refuse) else exchange.error
        if self._cors:  # on refusals too, so that a page can read them
            fields = (("access-control-allow-origin", self._cors), *(_PREFLIGHT if is_preflight else _EXPOSED))
            answered = replace(answered, headers=(*answered.headers, *fields))
        exchange.status = answered.status
        self._log.add(exchange)
        return answered.response(exchange, http_date(now))

    def _faults(self, endpoint: Endpoint | None) -> tuple[Fault, ...]:
        """Return the faults that apply to the newest request to an endpoint."""
        number = self._counts[endpoint]
        met = [planned for planned in self._script if planned.fault.applies(endpoint, number - planned.since)]
        for planned in met:
            planned.met = True
        return tuple(planned.fault for planned in met)

    # The endpoints

    def _front_end(self, request: ServiceRequest, now: float) -> Answer:
        self._check(request, self.profile.page_headers)
        return Answer.of(
            200, (("content-type", "text/html; charset=UTF-8"),), front_end_page(self.profile, self._version)
        )

    def _landing(self, request: ServiceRequest, now: float) -> Answer:
        self._check(request, self.profile.page_headers)
        return Answer.of(200, (_HTML, *landing_cookies(now)), landing_page())

    def _status(self, request: ServiceRequest, now: float) -> Answer:
        self._check(request, self.profile.status_headers, from_page=True)
        return Answer.of(200, (("content-type", "application/json"), *self._new_tokens()), b'{"status":"0"}')

    def _chat(self, request: ServiceRequest, now: float) -> Answer:
        wrong = Objections()
        # A chat request spends its token, whatever else is wrong with it (section 3).
        pair = self._spend(request, wrong) if self.profile.vqd_4 else None
        self._check_headers(request, self.profile.chat_headers, wrong)
        self._check_origin(request, self.profile.chat_headers, wrong)
        self._check_version(request, wrong)
        question = self._question(request.body, wrong)
        if pair is not None or not self.profile.vqd_4:
            self._check_answer(request, pair, wrong)
        if question is None or wrong:
            refusal = wrong.refusal()
            if refusal.error == "ERR_CHALLENGE":
                refusal.headers = self._new_tokens()
            raise refusal
        self._replies += 1
        headers = (("content-type", "text/event-stream"), ("cache-control", "no-cache"), *self._new_tokens())
        return Answer(
            200,
            headers,
            partial(self._reply, question, int(now), number=self._replies, spoiled=bool(self._faults("chat"))),
        )

    def _models(self, request: ServiceRequest, now: float) -> Answer:
        profile = self.profile
        self._check(request, profile.models_headers)
        models = tuple(_judged(model, profile.tier) for model in profile.models)
        listed = ModelList(models, profile.attachment_limits)
        return Answer.of(200, (("content-type", "application/json"),), write_models(listed))

    def _nowhere(self, request: ServiceRequest, now: float) -> Answer:
        there_are = ", ".join(f"{method} {target}" for target, (_, method, _) in self._routes.items())
        raise Refusal(404, "ERR_NOT_FOUND", f"no such endpoint; there are {there_are}")

    # The checks of a request

    def _check(self, request: ServiceRequest, contract: Headers, *, from_page: bool = False) -> None:
        """Raise everything that is wrong with a request without a body.

        Args:
            request: the request.
            contract: its fields, as the profile has them.
            from_page: whether a page of the service sends it, so that it has an origin.
        """
        wrong = Objections()
        self._check_headers(request, contract, wrong)
        if from_page:
            self._check_origin(request, contract, wrong)
        if wrong:
            raise wrong.refusal()

    def _check_headers(self, request: ServiceRequest, contract: Headers, wrong: Objections) -> None:
        checks = self.checks
        if checks.fields and not request.header("user-agent"):
            wrong.bad("user-agent is missing")
        for name, value in contract:
            if not (checks.fields or (checks.accept_tokens and name == "x-vqd-accept")):
                continue
            if placed := name_in_field(value):
                rule = self.profile.ids.get(placed)
                if rule is not None and not _IDS[rule.form].fullmatch(request.header(name) or ""):
                    wrong.bad(f"{name} must be {_FORMS[rule.form]}")
                elif OR_EMPTY in value and request.header(name) is None:
                    wrong.bad(f"{name} is missing; send it empty if there is nothing to send")
                continue
            said = _elements(request.header(name) or "")
            if value.lower() not in said and not (name == "accept" and "*/*" in said):
                wrong.bad(f"{name} must be {value}")

    def _check_origin(self, request: ServiceRequest, contract: Headers, wrong: Objections) -> None:
        if not (self.checks.origin or self.checks.own_origin) or self._cors == "*":
            return
        host, origin, referer = (request.header(name) for name in ("host", "origin", "referer"))
        origins = [self.profile.origin] if host is None else [f"https://{host}", f"http://{host}"]
        if not self.checks.own_origin:
            origins += [self.profile.origin, f"{self.profile.origin}:443"]  # the last: [code] fny
        if self._cors:
            origins.append(self._cors)
        if self.checks.own_origin:
            wanted = dict(contract)
            if "origin" in wanted and origin not in origins:
                wrong.bad("origin must be the address that the request is sent to")
            if "referer" in wanted and referer not in [f"{each}/" for each in origins]:
                wrong.bad("referer must be the origin and a slash")
            return
        allowed = f"{self.profile.origin} or the address that the request is sent to"
        if origin is not None and origin not in origins:
            wrong.bad(f"origin must be {allowed}, if it is sent")
        if referer is not None and not f"{referer}/".startswith(tuple(f"{each}/" for each in origins)):
            wrong.bad(f"referer must be a page of {allowed}, if it is sent")

    def _check_version(self, request: ServiceRequest, wrong: Objections) -> None:
        if self.checks.front_end_version and request.header("x-fe-version") not in (None, "", self.front_end_version):
            wrong.bad("x-fe-version must be empty or the version of the front-end page")

    def _spend(self, request: ServiceRequest, wrong: Objections) -> Pair | None:
        try:
            return self._tokens.spend(request.header("x-vqd-4") or "")
        except Refusal as refusal:
            wrong.add(refusal)
            return None

    def _question(self, body: bytes, wrong: Objections) -> Question | None:
        """Return the question; None if it can't be read, and then there is an objection."""
        try:
            asked = _read_chat_body(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            wrong.bad(
                'the body must be JSON: {"model": ID, "messages": [{"role": ..., "content": TEXT or PARTS}, ...]}'
            )
            return None
        messages = self._messages(asked.messages, wrong)
        if not asked.messages or asked.messages[-1].role != "user":
            wrong.bad("the last message must have the role user")
        if asked.model not in (model.id for model in self.profile.models):
            wrong.add(Refusal(404, "ERR_MODEL_UNAVAILABLE", "there is no model with that id"))
        else:
            model = self.profile.model(asked.model)
            for part in (part for message in messages for part in message.attachments):
                if part.mime_type.lower() not in types_taken(self.profile, model, part):
                    wrong.bad("the model takes no images or files of that type")
        if not messages:
            return None
        *history, last = messages
        if history and self.checks.history and not self._is_known(history):
            wrong.bad("this service did not answer the history")
        return Question(last.content, asked.model, tuple(messages), last.attachments)

    def _messages(self, asked: Sequence[_Message], wrong: Objections) -> list[Message]:
        """Return the messages that can be read."""
        messages = []
        for index, message in enumerate(asked):
            role: Role = "assistant" if message.role == "assistant" else "user"
            if message.role == "system":
                wrong.bad("the role system is not supported")
            elif message.role != role:
                wrong.bad("a message must have the role user or assistant")
            if self.checks.turns and message.role != ("assistant" if index % 2 else "user"):
                wrong.bad("the messages must alternate between user and assistant, beginning with user")
            try:
                messages.append(_read(role, message))
            except Refusal as refusal:
                wrong.add(refusal)
        return messages

    def _check_answer(self, request: ServiceRequest, pair: Pair | None, wrong: Objections) -> None:
        answer = request.header("x-vqd-hash-1")
        user_agent, brands = request.header("user-agent") or "", request.header("sec-ch-ua") or ""
        if not answer:
            if self._wants_answers:
                wrong.add(Refusal(418, "ERR_CHALLENGE", "x-vqd-hash-1 is empty"))
        elif pair is None:
            if not self._tokens.spend_answered(answer, user_agent=user_agent, brands=brands):
                reason = "x-vqd-hash-1 is not the answer to a challenge that is open"
                wrong.add(Refusal(418, "ERR_CHALLENGE", reason))
        elif not pair.challenge.is_answered(answer, user_agent=user_agent, brands=brands):
            reason = "x-vqd-hash-1 is not the answer to the challenge that came with x-vqd-4"
            wrong.add(Refusal(418, "ERR_CHALLENGE", reason))

    @property
    def _wants_answers(self) -> bool:
        return self.challenge or self.profile.challenge_form == "opaque"

    # The reply

    def _reply(self, question: Question, created: int, *, number: int, spoiled: bool) -> Iterator[Piece]:
        """Start a reply; the responder's exceptions propagate.

        Args:
            question: the question to reply to.
            created: seconds since the epoch.
            number: which reply of this service it is.
            spoiled: whether a fault changes the reply on its way. Then any reply is accepted in the next history.
        """
        answer = self.responder(question)
        if spoiled:
            self._remember(question.messages)
        return self._events(question, answer, created, "chatcmpl-" + draw(self._seed, "reply", number).hex()[:29])

    def _events(
        self, question: Question, answer: str | Iterable[Said], created: int, id: str
    ) -> Generator[Piece, None, None]:
        def piece(text: str, delay: float) -> Piece:
            return Piece(text_event(text, created=created, id=id, model=question.model), delay)

        yield piece("", 0.0)
        texts = []
        latency = self._latency
        for said in pieces_of(answer):
            if isinstance(said, str):
                texts.append(said)
                yield piece(said, latency + self._delay)
            else:
                payload, text = payload_of(said)
                texts.append(text)
                yield Piece(event(payload), latency + self._delay)
            latency = 0.0
        yield piece("", latency + self._delay)
        # Before the client can know that the reply is complete: its next question may come at once.
        self._remember((*question.messages, Message("assistant", "".join(texts))))
        yield Piece(DONE, self._delay)

    def _remember(self, messages: Sequence[Message]) -> None:
        if not self.checks.history:
            return
        self._histories[_fingerprint(messages)] = None
        if len(self._histories) > KNOWN_HISTORIES:
            del self._histories[next(iter(self._histories))]

    def _is_known(self, history: Sequence[Message]) -> bool:
        # A known history that ends with the question is that of a spoiled reply.
        return _fingerprint(history) in self._histories or _fingerprint(history[:-1]) in self._histories

    def _new_tokens(self) -> Headers:
        pair = self._tokens.issue()
        token = (("x-vqd-4", pair.token),) if self.profile.vqd_4 else ()
        return (*token, ("x-vqd-hash-1", pair.challenge.encoded))


def _judged(model: Model, tier: str) -> Model:
    """Return a model that says whether clients of a tier may use it."""
    if model.available is not None:
        return model
    return replace(model, available=not model.tiers or tier in model.tiers)


def _another_method(method: str, got: str) -> Refusal:
    hint = "; a preflight of a browser is answered if cors names the page's origin" if got == "OPTIONS" else ""
    return Refusal(405, "ERR_METHOD", f"the method must be {method}{hint}", (("allow", method),))


def _read(role: Role, message: _Message) -> Message:
    """Read a message: a text, the parts of a question, or an empty text and the parts of a reply."""
    content = message.content
    if role == "assistant":
        if not isinstance(content, str):
            raise bad("the content of a reply must be a text; its parts have a member of their own")
        return Message(role, content or "".join(part.text for part in message.parts if part.type == "text"))
    if message.parts:
        raise bad("only a reply has a member parts; a question has its parts as its content")
    if isinstance(content, str):
        return Message(role, content)
    try:
        parts = tuple(from_wire(part) for part in content)
    except ValueError:
        raise bad("an image must be a data URL of its type, and a file must have its data, type and name") from None
    if not parts or any(isinstance(part, Text) for part in parts[1:]):
        raise bad("the parts of a question must be one or more, of which the first alone may be its text")
    return Message(role, text_of(parts), attachments(parts))


def _elements(value: str) -> list[str]:
    """Return the elements of a field's list, in lower case and without their parameters."""
    return [element.partition(";")[0].strip().lower() for element in value.split(",")]


def _fingerprint(messages: Sequence[Message]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(messages)).digest()
