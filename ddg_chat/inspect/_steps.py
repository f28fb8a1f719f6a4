"""A transcript as steps that can be compared: turns, rounds with a request each, and what is told of each step.

What differs from run to run by its nature is marked where it is read: see `Fact.nature`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Literal

import msgspec

from ddg_protocol import transcript as recorded
from ddg_protocol.content import ContentDecoder
from ddg_protocol.errors import ContentDecodingError
from ddg_protocol.headers import Headers, field
from ddg_protocol.redaction import SECRET_HEADERS
from ddg_protocol.transcript import Outcome, Transcript

from ._texts import cut
from ._values import (
    as_text,
    counted,
    headers_of,
    kind_of,
    raw_bytes,
    redacted,
    script_of,
    shown_header,
    target_of,
    without_images,
)

BLANKED = "texts that one recording has blanked"
"""The nature of texts, where one of two recordings has none."""

Part = Literal["", "header", "body", "response", "response header", "response body"]

_MOST_MEMBERS = 1_000
"""The most members of a JSON document that are compared one by one; one that has more is compared as a text."""
_DEEPEST = 8
"""The most levels of members; what is below is compared as JSON text."""
_MOST_JSON = 1024 * 1024
"""The most bytes of a document that is taken apart."""
_MOST_DECODED = 1024 * 1024
"""The most bytes of a body that are decompressed."""
_LONGEST_NAME = 200
"""The most characters of a member's name that its path has."""
_LONGEST = 1e9
"""Seconds; the longest wait that is shown, because a damaged transcript can contain any time."""

_STAND_IN = re.compile(r"(?<![A-Za-z0-9])(?:r[1-9][0-9]*x*|xx+)(?![A-Za-z0-9])")
_NUMBERED = re.compile(r"⟨redacted[^⟩]*⟩")
_HIDDEN = "⟨redacted⟩"
_EVENT_STREAM = "text/event-stream"

#: Headers of responses whose values differ from run to run, and what such values are.
_NATURES = {
    **dict.fromkeys(("date", "expires", "last-modified", "age"), "dates"),
    **dict.fromkeys(("content-length", "transfer-encoding", "connection", "keep-alive"), "lengths and framing"),
    **dict.fromkeys(("cf-ray", "etag", "nel", "report-to", "server-timing", "x-request-id"), "ids"),
}
#: Members of JSON that the service makes up anew.
_MADE_UP = frozenset({"id", "created", "call_id"})


class Fact(msgspec.Struct, frozen=True):
    """Something that is told of a step.

    Attributes:
        part: the part of the step.
        name: its name, such as a header's. Several facts of a part may have the same.
        value: its value, as shown: without secrets, and otherwise unescaped.
        same: what equal values have in common; that of secrets says only what they are.
        nature: what its value is, if values differ from run to run and aren't compared; otherwise empty.
        seconds: the value as a duration, which differs only if it is more than twice as long; None if it is none.
    """

    part: Part
    name: str
    value: str
    same: str
    nature: str = ""
    seconds: float | None = None


class Step(msgspec.Struct, frozen=True):
    """Something that happened.

    Attributes:
        kind: its kind.
        title: what it is, which is the same for steps that correspond to each other.
        line: its line number in the transcript.
        at: seconds since the start of the run.
        facts: returns what is told of it.
        nature: what it is, if such steps come and go from run to run; otherwise empty.
    """

    kind: Literal["settings", "call", "request", "wait", "challenge", "event", "end"]
    title: str
    line: int
    at: float
    facts: Callable[[], list[Fact]]
    nature: str = ""


class Round(msgspec.Struct):
    """A request, with the steps from a wait before it on, and those that follow from it.

    Attributes:
        before: the steps before it.
        request: the request with its response; None if the turn ends before one.
        after: the steps after it.
    """

    before: list[Step] = []
    request: Step | None = None
    after: list[Step] = []

    def take(self, step: Step) -> None:
        """Add a step that is no request."""
        (self.before if self.request is None else self.after).append(step)


class Turn(msgspec.Struct):
    """A turn, from its question to the next.

    Attributes:
        title: such as ``turn 1``.
        question: the call that began it; None for what was before the first.
        opening: the steps before the first request.
        rounds: the requests, and what happened from the first on.
        end: how it ended; None if the recording ends before.
    """

    title: str
    question: Step | None
    opening: list[Step] = []
    rounds: list[Round] = []
    end: Step | None = None

    def take(self, step: Step) -> None:
        """Add a step that is no request."""
        if not self.rounds:
            self.opening.append(step)
            return
        if step.kind == "wait" and self.rounds[-1].request is not None:
            self.rounds.append(Round())
        self.rounds[-1].take(step)

    def send(self, request: Step) -> None:
        """Add a request."""
        if not self.rounds or self.rounds[-1].request is not None:
            self.rounds.append(Round())
        self.rounds[-1].request = request


class Run(msgspec.Struct, frozen=True):
    """A run.

    Attributes:
        settings: the profile, the policy and the conversation that it began with.
        turns: its turns.
        requests: the number of requests.
        blanked: whether questions and replies are left out.
    """

    settings: Step
    turns: tuple[Turn, ...]
    requests: int
    blanked: bool


def read_steps(transcript: Transcript, *, blanked: bool = False) -> Run:
    """Read the steps of a transcript, as they were recorded: nothing is replayed.

    Args:
        transcript: the readable part of the transcript.
        blanked: whether texts are not to be compared, because the other transcript has none.

    Returns:
        The run. What is told of a step is read when it is asked for.
    """
    return _Reader(transcript, blanked).read()


class _Exchange(msgspec.Struct):
    """A request, and what has come of it so far."""

    status: int | None = None
    headers: Headers = ()
    data: list[recorded.ReceiveData] = []
    failure: str = ""


class _Reader:
    def __init__(self, transcript: Transcript, blanked: bool) -> None:
        self._transcript = transcript
        self._blank = BLANKED if blanked else ""
        self._origin = transcript.head.profile.origin
        self._turns = [Turn("before the first question", None)]
        self._exchanges: dict[int, _Exchange] = {}
        self._newest: dict[str, str] = {}  # by the name of a token or a cookie, its value that came last
        self._came: set[str] = set()
        self._waiting: object = None
        self._asked = self._requests = 0
        self._deltas: list[str] | None = None  # the texts of the step to which the next TextDelta belongs
        self._line, self._now, self._at = 1, 0.0, 0.0

    def read(self) -> Run:
        began: float | None = None
        for (number, line), now in zip(self._transcript.lines, self._transcript.times(), strict=True):
            began = now if began is None else began
            self._line, self._now, self._at = number, now, min(max(self._at, now - began), _LONGEST)
            self._tell(line)
        head = self._transcript.head
        return Run(
            settings=Step("settings", "settings", 1, 0.0, partial(_settings, head)),
            turns=tuple(turn for turn in self._turns if turn != Turn(turn.title, None)),
            requests=self._requests,
            blanked=head.texts == "blanked",
        )

    def _step(
        self, kind: Any, title: str, facts: Callable[[], list[Fact]] = list, nature: str = "", *, text: bool = False
    ) -> Step:
        if text and self._blank:
            facts = partial(_blanked, facts, self._blank)
        return Step(kind, title, self._line, self._at, facts, nature)

    def _add(self, kind: Any, title: str, facts: Callable[[], list[Fact]] = list, nature: str = "") -> None:
        self._deltas = None
        self._turns[-1].take(self._step(kind, title, facts, nature, text=kind == "event"))

    def _begin(self, title: str, question: Step) -> None:
        self._deltas = None
        self._turns.append(Turn(title, question))

    def _tell(self, line: recorded.Line) -> None:
        match line:
            case recorded.Ask():
                self._asked += 1
                question = self._step("call", "ask", partial(_question, line), text=True)
                self._begin(f"turn {self._asked}", question)
            case recorded.FetchModels():
                self._begin("the list of models", self._step("call", "fetch models"))
            case recorded.Cancel() | recorded.Close():
                self._add("call", "cancel" if isinstance(line, recorded.Cancel) else "close")
            case recorded.Shared():
                self._add("call", "another chat of the client", nature="what other chats did")
            case recorded.NextAction(gives=None):
                self._ended(line.raises or {}, raised=True)
            case recorded.NextAction():
                self._gave(line.gives or {})
            case recorded.ReceiveHead():
                self._head(line)
            case recorded.ReceiveData():
                self._exchange(line.id).data.append(line)
            case recorded.TransportFailed():
                self._exchange(line.id).failure = f"{line.text} ({line.kind.value})"
            case recorded.ChallengeSolved():
                names = [name for name, _ in line.headers] + list(line.body)
                self._add("challenge", "answer", partial(_listed, {"brought with it": names}))
            case recorded.ChallengeFailed():
                self._add("challenge", "no answer", partial(_listed, {"why": line.text}))
            case recorded.Coordinated():
                self._add("call", f"the shared engine: {as_text(line.result.get('type'))}")
            case recorded.CoordinationFailed():
                self._add("call", "the shared engine failed", partial(_listed, {"why": line.text}))
            case recorded.Lost():
                self._add("call", "the recording failed here", partial(_listed, {"why": line.why}))
            case recorded.ReceiveEof() | recorded.WaitElapsed() | recorded.NewId():
                pass  # what follows from it is told

    def _exchange(self, id: int) -> _Exchange:
        return self._exchanges.setdefault(id, _Exchange())

    def _head(self, line: recorded.ReceiveHead) -> None:
        exchange = self._exchange(line.id)
        exchange.status, exchange.headers = line.status, line.headers
        for name, value in line.headers:
            name = name.lower()
            if name == "set-cookie":
                crumb, _, value = value.partition(";")[0].partition("=")
                name = f"cookie {crumb}"
            if name in SECRET_HEADERS or name.startswith("cookie "):
                self._newest[name] = value
                self._came.add(value)

    def _gave(self, action: Outcome) -> None:
        match action:
            case {"type": "NEED_DATA" | "PAUSED" | "Heartbeat"}:
                pass  # signals, and what comes more often the longer a reply takes
            case {"type": "SendRequest", "id": int(id), "method": str(method), "url": str(url)}:
                self._send(action, id, method, url)
            case {"type": "Wait", "id": id, "until": int() | float() as until, "reason": str(reason)}:
                self._wait(id, until, reason)
            case {"type": "Coordinate", "call": {"type": str(call)}}:
                self._add("call", f"asks the shared engine: {call}")
            case {"type": "SolveChallenge"}:
                self._add("challenge", "challenge for a solver")
            case {"type": "TextDelta", "text": str(text)}:
                if self._deltas is None:
                    deltas = [text]
                    self._add("event", "TextDelta", partial(_reply, deltas))
                    self._deltas = deltas
                else:
                    self._deltas.append(text)
            case {"type": "TurnFinished" | "TurnCancelled" | "ModelsReceived"}:
                self._ended(action, raised=False)
            case _:
                nature = "times" if kind_of(action) == "Queued" else ""
                self._add("event", kind_of(action), partial(_event, action), nature)

    def _ended(self, outcome: Outcome, *, raised: bool) -> None:
        self._deltas = None
        how = kind_of(outcome) or ("ServiceError" if raised else "")
        end = self._step("end", "how it ended", partial(_end, how, outcome), text=True)
        if self._turns[-1].end is None:
            self._turns[-1].end = end
        else:  # an exception that ends no turn, such as of a damaged transcript
            self._turns[-1].take(end)

    def _wait(self, id: object, until: float, reason: str) -> None:
        if id == self._waiting:  # the driver may pull the same Wait again
            return
        self._waiting = id
        seconds = _bounded(_bounded(until) - _bounded(self._now))
        # What is left of the interval depends on how long the responses took.
        is_rest = reason == "pacing" and seconds <= self._transcript.head.profile.interval
        self._add("wait", f"wait, {reason}", partial(_waited, seconds), "times" if is_rest else "")

    def _send(self, action: Outcome, id: int, method: str, url: str) -> None:
        self._requests += 1
        self._deltas = None
        exchange = self._exchanges[id] = _Exchange()
        target = target_of(url, self._origin)
        path, _, query = target.partition("?")
        origins = tuple(self._origins(action))
        facts = partial(_request, action, exchange, (method, path, query, self._origin), origins, self._blank)
        step = self._step("request", f"{method} {_STAND_IN.sub(_HIDDEN, path)}", facts)
        self._turns[-1].send(step)

    def _origins(self, action: Outcome) -> Iterator[str]:
        """Say of each secret that a request has whether it is the one that came last."""
        for name, value in headers_of(action.get("headers")):
            if name.lower() == "cookie":
                yield from (
                    self._origin_of(f"cookie {crumb.partition('=')[0]}", crumb.partition("=")[2])
                    for crumb in value.split("; ")
                )
            elif name.lower() in SECRET_HEADERS:
                yield self._origin_of(name.lower(), value)

    def _origin_of(self, name: str, value: str) -> str:
        if not _STAND_IN.fullmatch(value) or value.startswith("x"):
            return ""
        if self._newest.get(name) == value:
            return "the one that came last"
        return "one that came before" if value in self._came else "none that came in this run"


# What is told


def _blanked(facts: Callable[[], list[Fact]], nature: str) -> list[Fact]:
    return [
        msgspec.structs.replace(fact, nature=fact.nature or nature)
        if fact.value.startswith('"') or fact.name in ("text", "payload")
        else fact
        for fact in facts()
    ]


def _listed(values: Mapping[str, object]) -> list[Fact]:
    """Return members, and those of members, as facts."""
    told = {name: value for name, value in values.items() if value not in (None, "", [])}
    found = _members(told) if told else []
    return [Fact("", name, value, value, _nature_of(name)) for name, value in found]


def _nature_of(name: str) -> str:
    return "ids" if name.rpartition(".")[2] in _MADE_UP else ""


def _question(line: recorded.Ask) -> list[Fact]:
    messages = line.messages if isinstance(line.messages, str) else msgspec.to_builtins(line.messages)
    asked = {"messages": messages, "model": line.model, "effort": line.effort}
    return _listed({**asked, "tools": list(line.tools), **line.extra})


def _reply(deltas: list[str]) -> list[Fact]:
    return _text("", "text", "".join(deltas))


def _text(part: Part, name: str, text: str, nature: str = "") -> list[Fact]:
    return [Fact(part, name, text, text, nature)]


def _waited(seconds: float, name: str = "seconds") -> list[Fact]:
    return [Fact("", name, f"{seconds:.3f}", "", "", seconds)]


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST)


def _event(event: Outcome) -> list[Fact]:
    match event:
        case {"raw": raw}:
            return _document("", "payload", raw_bytes(raw))
        case {"cause": {"message": str(message)} as cause}:
            known = {"message": message, "type": cause.get("type"), "status": cause.get("status")}
            rest = {name: value for name, value in event.items() if name not in ("type", "cause", "delay")}
            delay = event.get("delay")
            facts = _listed({**rest, "cause": known})
            if isinstance(delay, int | float):
                facts += _waited(_bounded(delay), "delay")
            return facts
    return _listed({name: without_images(name, value) for name, value in event.items() if name != "type"})


def _end(how: str, outcome: Outcome) -> list[Fact]:
    """Return how a turn ended. What came of it before is told already: texts, and the bodies of refusals."""
    told = {"why": outcome.get("message") or outcome.get("reason")}
    told |= {name: outcome.get(name) or None for name in ("status", "retry_after", "served_model", "models")}
    return [*_text("", "how", how), *_listed(told)]


def _settings(head: recorded.Head) -> list[Fact]:
    conversation = head.session.get("conversation")
    talk = dict(conversation) if isinstance(conversation, dict) else {}
    for name in ("vqd", "vqd_hash_1"):
        talk[name] = redacted(value) if isinstance(value := talk.get(name), str) and value else ""
    talk["cookies"] = _length(talk.get("cookies"))
    talk["ids"] = _length(talk.get("ids"))
    talk["message_history"] = _length(talk.get("message_history"))
    told = {
        "profile": msgspec.to_builtins(head.profile),
        "policy": msgspec.to_builtins(head.policy),
        "conversation": talk,
        "session": {name: head.session.get(name) for name in ("answer_challenge", "solver", "fe_version")},
    }
    if head.coordination is not msgspec.UNSET:
        told["coordination"] = {**msgspec.to_builtins(head.coordination), "key": head.coordination.key is not None}
    return [
        Fact("", name, value, _STAND_IN.sub(_HIDDEN, _NUMBERED.sub(_HIDDEN, value))) for name, value in _members(told)
    ]


def _length(value: object) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _request(
    action: Outcome, exchange: _Exchange, where: tuple[str, str, str, str], origins: tuple[str, ...], blank: str
) -> list[Fact]:
    method, path, query, service = where
    facts = [
        Fact("", "method", method, method),
        Fact("", "path", path, _STAND_IN.sub(_HIDDEN, path)),
    ]
    if query:
        facts.append(Fact("", "query", query, _STAND_IN.sub(_HIDDEN, query)))
    facts += _sent(headers_of(action.get("headers")), service, iter(origins), blank)
    if body := raw_bytes(action.get("body")):
        facts += _document("body", "text", body, blank)
    return [*facts, *_response(exchange, blank)]


def _sent(headers: Headers, service: str, origins: Iterator[str], blank: str) -> Iterator[Fact]:
    for name, value in headers:
        known = name.lower()
        if known == "cookie":
            for crumb in value.split("; "):
                yield _crumb(crumb, next(origins, ""))
        elif known in SECRET_HEADERS:
            yield _secret(name, value, next(origins, ""))
        else:
            same = value.replace(service, "⟨origin⟩")  # it is told with the settings
            yield Fact("header", name, value, same, blank if known == "x-fe-version" else "")


def _crumb(crumb: str, origin: str) -> Fact:
    name, equals, value = crumb.partition("=")
    if not equals:
        return Fact("header", "cookie", _HIDDEN, _HIDDEN)
    shown = shown_header("cookie", crumb).partition("=")[2]
    same = _HIDDEN if shown != value else value
    return Fact("header", f"cookie {_STAND_IN.sub(_HIDDEN, name)}", _with(shown, origin), same + origin)


def _secret(name: str, value: str, origin: str) -> Fact:
    """Return the fact of a token, or of an answer to a challenge: of that, which members it has."""
    if not value:
        return Fact("header", name, "(empty)", "")
    answer = script_of(value)
    if not answer:
        return Fact("header", name, _with(redacted(value), origin), _HIDDEN + origin)
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    names = [name for name, _ in _members(found)] if isinstance(found, dict) else []
    shown = f"⟨an answer, {counted(value, 'character')}⟩" + (f" with {', '.join(names)}" if names else "")
    return Fact("header", name, shown, f"an answer with {names}")


def _with(shown: str, origin: str) -> str:
    return f"{shown}, {origin}" if origin else shown


def _response(exchange: _Exchange, blank: str) -> Iterator[Fact]:
    if exchange.status is None:
        yield Fact("response", "status", "no response", "")
    else:
        yield Fact("response", "status", str(exchange.status), str(exchange.status))
    if exchange.failure:
        yield Fact("response", "failure", exchange.failure, exchange.failure)
    for name, value in exchange.headers:
        yield _received(name.lower(), value)
    names = tuple((name.lower(), value) for name, value in exchange.headers)
    kind = field(names, "content-type").lower()
    if not exchange.data or kind.startswith(_EVENT_STREAM):
        return  # its events are told as such
    body = b"".join(_decoded(exchange.data, field(names, "content-encoding")))
    if kind.startswith("text/html"):
        yield from _text("response body", "page", f"{len(body):,} bytes", "pages")
    else:
        yield from _document("response body", "text", body, blank)


def _decoded(data: list[recorded.ReceiveData], coding: str) -> Iterator[bytes]:
    """Yield a body decompressed, up to a bound, or as far as it can be."""
    left = _MOST_DECODED
    try:
        decoder = ContentDecoder(coding)
        for line in data:
            for piece in decoder.decode(line.base64 or line.text.encode("utf-8", "replace")):
                yield piece[:left] if decoder.coded else piece
                left -= len(piece)
                if decoder.coded and left < 0:
                    return
    except ContentDecodingError as error:
        yield f" (the rest can't be decompressed: {error})".encode()


def _received(name: str, value: str) -> Fact:
    known = _STAND_IN.sub(_HIDDEN, name)
    if nature := _NATURES.get(name, ""):
        return Fact("response header", name, value, value, nature)
    if name == "set-cookie":
        pair, *attributes = shown_header(name, value).split(";")
        crumb, equals, shown = pair.partition("=")
        if not equals:
            return Fact("response header", name, _HIDDEN, _HIDDEN)
        kept = [each for each in attributes if each.strip().partition("=")[0].lower() not in ("expires", "max-age")]
        same = _NUMBERED.sub(_HIDDEN, ";".join([shown, *kept]))
        crumb = _STAND_IN.sub(_HIDDEN, crumb)
        return Fact(
            "response header", f"set-cookie {crumb}", ";".join([shown, *attributes]), _STAND_IN.sub(_HIDDEN, same)
        )
    if name in SECRET_HEADERS:
        kind = "a challenge" if script_of(value) else _HIDDEN if value else ""
        shown = f"⟨a challenge, {counted(value, 'character')}⟩" if script_of(value) else shown_header(name, value)
        return Fact("response header", name, shown, kind)
    nature = "dates" if name == "retry-after" and not value.strip().isdigit() else ""
    return Fact("response header", known, value, _STAND_IN.sub(_HIDDEN, value), nature)


def _document(part: Part, name: str, data: bytes, nature: str = "") -> list[Fact]:
    """Return the facts of a document: its members if it is JSON, otherwise its text."""
    if len(data) <= _MOST_JSON:
        try:
            found = _members(json.loads(data))
        except (ValueError, RecursionError):
            found = []
        if found and found[0][0]:
            return [Fact(part, member, value, value, nature or _nature_of(member)) for member, value in found]
    return _text(part, name, data.decode("utf-8", "replace"), nature)


def _members(value: object) -> list[tuple[str, str]]:
    """Return the paths and values of the members of JSON values; if there are too many, the whole without a path."""
    found = list(islice(_each_member(value, "", 0), _MOST_MEMBERS + 1))
    return found if len(found) <= _MOST_MEMBERS else [("", _json(value))]


def _each_member(value: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if value and depth < _DEEPEST and isinstance(value, dict):
        for name, each in value.items():
            name = cut(str(name), _LONGEST_NAME)
            yield from _each_member(each, f"{path}.{name}" if path else name, depth + 1)
    elif value and depth < _DEEPEST and isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _each_member(each, f"{path}[{index}]", depth + 1)
    else:
        yield path, f'"{value}"' if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "(nested too deeply to be shown)"
