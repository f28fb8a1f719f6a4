"""The timeline of a run, entry by entry: read from a transcript, with the states from a replay."""

from __future__ import annotations

import codecs
import http
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from ddg_protocol import ConversationFormatError, Session, State
from ddg_protocol import transcript as recorded
from ddg_protocol.content import ContentDecoder
from ddg_protocol.errors import ContentDecodingError, StreamTooLarge
from ddg_protocol.headers import Headers, field
from ddg_protocol.sse import EventStreamDecoder
from ddg_protocol.transcript import Outcome, Step, Transcript, replay

from ._values import (
    as_text,
    counted,
    headers_of,
    kind_of,
    pretty,
    pretty_body,
    raw_bytes,
    redacted,
    script_of,
    shown_headers,
    target_of,
    without_images,
)

Party = Literal["caller", "session", "service", "solver"]
Kind = Literal["calls", "requests", "chunks", "events", "waits", "challenges", "states", "errors"]

_LONGEST = 1e9
"""Seconds; the longest duration that is shown, because a damaged transcript can contain any time."""
_MOST_DECODED = 4 * 1024 * 1024
"""The most bytes of all bodies that are decompressed."""
_MOST_EVENTS = 1_000
"""The most events of a chunk that are listed."""
_SHORT = 80


class Detail(msgspec.Struct, frozen=True):
    """A detail of an entry: fields, or a text.

    Attributes:
        label: its heading.
        fields: names and values.
        text: a text of any length, unescaped.
    """

    label: str
    fields: tuple[tuple[str, str], ...] = ()
    text: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened.

    Attributes:
        line: its line number in the transcript.
        at: seconds since the start of the run.
        kind: its kind, for filters.
        source: the party that acts.
        target: the party that is acted on; equal to ``source`` if no other party is involved.
        title: a word or two.
        text: a longer text of any length; it may contain anything from the service.
        size: the number of bytes of a chunk.
        until: when it ended; None if it takes no time.
        bad: whether something went wrong, even if the session recovered.
        details: further details.
    """

    line: int
    at: float
    kind: Kind
    source: Party
    target: Party
    title: str
    text: str = ""
    size: int = 0
    until: float | None = None
    bad: bool = False
    details: tuple[Detail, ...] = ()


class Timeline(msgspec.Struct, frozen=True):
    """A run.

    Attributes:
        origin: the service's origin.
        began: its start by the caller's clock, in seconds.
        blanked: whether questions and replies are left out.
        entries: the entries, in order.
        state: the session's last state in the replay; None if the replay didn't reach the end.
        flaws: reasons why the run is incomplete or differs from the current core, a sentence each.
        requests: the number of requests sent.
        received: the number of body bytes, before decoding.
        waited: the seconds that the session waited.
    """

    origin: str
    began: float
    blanked: bool
    entries: tuple[Entry, ...]
    state: State | None
    flaws: tuple[str, ...]
    requests: int
    received: int
    waited: float

    @property
    def seconds(self) -> float:
        """The duration of the run."""
        return max((entry.until or entry.at for entry in self.entries), default=0.0)

    @property
    def turns(self) -> list[tuple[Entry, ...]]:
        """The entries of each turn, from its question to the next. The first turn includes the entries before it."""
        found: list[list[Entry]] = [[]]
        for entry in self.entries:
            if entry.title == "ask" and entry.kind == "calls" and any(each.title == "ask" for each in found[-1]):
                found.append([])
            found[-1].append(entry)
        return [tuple(entries) for entries in found if entries]


def read_timeline(transcript: Transcript, damage: ConversationFormatError | None = None) -> Timeline:
    """Read the timeline of a transcript of one chat.

    Args:
        transcript: the readable part of the transcript.
        damage: why the rest can't be read; None if there is none.

    Returns:
        The run as recorded. It has states as far as the current core does the same.
    """
    return _Reader(transcript, _MOST_DECODED).read(damage)


def read_timelines(transcript: Transcript, damage: ConversationFormatError | None = None) -> list[Timeline]:
    """Read the timeline of each chat of a transcript.

    Args:
        transcript: the readable part of the transcript.
        damage: why the rest can't be read, which ends each chat; None if there is none.
    """
    found, left = [], _MOST_DECODED
    for chat in transcript.chats():
        reader = _Reader(chat, left)
        found.append(reader.read(damage))
        left = reader.left
    return found


def titles(timelines: Sequence[Timeline]) -> list[str]:
    """Return a title for each chat of a transcript. A chat that is alone needs none: its title is empty.

    Args:
        timelines: the chats.
    """
    if len(timelines) == 1:
        return [""]
    first = timelines[0].began
    after = [_bounded(timeline.began - first) for timeline in timelines]
    return [f"Chat {number}" + (f", after {at:.3f} s" if at else "") for number, at in enumerate(after, 1)]


class _Reader:
    def __init__(self, transcript: Transcript, left: int) -> None:
        self._transcript = transcript
        self.left = left  # bytes that may be decompressed
        self._entries: list[Entry] = []
        self._bodies: dict[int, _Body] = {}
        self._decoding: _Body | None = None  # the newest: like a session, it decodes one at a time
        self._waiting: tuple[int, object] | None = None  # the entry of the current wait, and the wait's id
        self._line = 0
        self._now = 0.0  # by the caller's clock
        self._at = 0.0  # since the start of the run
        self._requests = self._received = 0
        self._waited = 0.0

    def read(self, damage: ConversationFormatError | None) -> Timeline:
        transcript = self._transcript
        steps = {step.line: step for step in replay(transcript, every_call=True)}
        head = transcript.head
        session = Session.restore(head.session, now=0.0, profile=head.profile, policy=head.policy)
        state: State | None = session.state
        flaws = []
        began: float | None = None
        for (number, line), now in zip(transcript.lines, transcript.times(), strict=True):
            began = now if began is None else began
            # Time never goes back, and is bounded whatever the transcript says.
            self._line, self._now, self._at = number, now, min(max(self._at, now - began), _LONGEST)
            self._tell(line)
            step = steps.get(number)
            if step is None:
                state = None
            elif not step.same:
                state = None
                flaws.append(self._differs(step))
            elif step.states:
                assert state is not None
                self._moved(state, step.states)
                state = step.states[-1]
        self._wait_ends()
        flaws += self._ending(state, damage)
        return Timeline(
            origin=transcript.head.profile.origin,
            began=began or 0.0,
            blanked=transcript.head.texts == "blanked",
            entries=tuple(self._entries),
            state=state,
            flaws=tuple(flaws),
            requests=self._requests,
            received=self._received,
            waited=self._waited,
        )

    def _add(self, kind: Kind, source: Party, target: Party, title: str, text: str = "", **more: Any) -> None:
        entry = Entry(
            line=self._line, at=self._at, kind=kind, source=source, target=target, title=title, text=text, **more
        )
        self._entries.append(entry)

    # The recording and its replay

    def _moved(self, before: State, states: tuple[State, ...]) -> None:
        path = " → ".join(state.name for state in (before, *states))
        fields = tuple((state.name, state.value) for state in states)
        self._add("states", "session", "session", path, states[-1].value, details=(Detail("States", fields),))

    def _differs(self, step: Step) -> str:
        then, now = kind_of(step.expected) or "nothing", kind_of(step.got) or "nothing"
        details = (Detail("Then", text=pretty(step.expected)), Detail("Now", text=pretty(step.got)))
        text = f"{now} instead of {then}" if then != now else f"a different {now}"
        self._add("errors", "session", "session", "the current core differs", text, bad=True, details=details)
        return f"line {step.line}: the current core no longer does the same; the rest is as recorded, without states"

    def _ending(self, state: State | None, damage: ConversationFormatError | None) -> list[str]:
        lines = self._transcript.lines
        if damage is not None:
            number, _, text = str(damage).partition(": ")
            self._add("errors", "session", "session", "the transcript is damaged", f"{number}: {text}", bad=True)
            return [f"{number} can't be read, and the rest is not shown: {text}"]
        if lines and isinstance(lines[-1][1], recorded.Lost):
            return [f"line {lines[-1][0]}: the recording failed before its run ended"]
        if state is not None and state not in (State.READY, State.DRAINING, State.CLOSED):
            text = f"the session is {state.name}"
            self._add("errors", "session", "session", "the recording ends within a turn", text, bad=True)
            return [f"the transcript ends within a turn: {text} ({state.value})"]
        return []

    # The calls

    def _tell(self, line: recorded.Line) -> None:
        match line:
            case recorded.Ask():
                self._ask(line)
            case recorded.FetchModels():
                self._add("calls", "caller", "session", "fetch models")
            case recorded.Cancel():
                self._wait_ends()
                self._add("calls", "caller", "session", "cancel")
            case recorded.Close():
                self._wait_ends()
                self._add("calls", "caller", "session", "close")
            case recorded.Shared():
                known = line.fe_version or "not known"
                text = f"another session of the client was active; front-end version {known}"
                self._add("calls", "session", "session", "shared", text)
            case recorded.NextAction(gives=None):
                self._raised(line.raises or {})
            case recorded.NextAction():
                self._gave(line.gives or {})
            case recorded.ReceiveHead():
                self._head(line)
            case recorded.ReceiveData():
                self._chunk(line.id, line.base64 or line.text.encode("utf-8", "replace"))
            case recorded.ReceiveEof():
                body = self._bodies.get(line.id) or _Body()
                text = f"{body.chunks:,} {'chunk' if body.chunks == 1 else 'chunks'}, {body.size:,} bytes"
                self._add("chunks", "service", "session", "end", text)
            case recorded.TransportFailed():
                self._add("errors", "service", "session", "failed", f"{line.text} ({line.kind.value})", bad=True)
            case recorded.WaitElapsed():
                self._wait_ends()
            case recorded.ChallengeSolved():
                text = redacted(line.answer)
                if brought := len(line.headers) + len(line.body):
                    text += f", with {brought} more {'field' if brought == 1 else 'fields'}"
                self._add("challenges", "solver", "session", "answer", text)
            case recorded.ChallengeFailed():
                self._add("challenges", "solver", "session", "no answer", line.text, bad=True)
            case recorded.Coordinated():
                self._add("calls", "session", "session", "the shared engine", as_text(line.result.get("type")))
            case recorded.CoordinationFailed():
                self._add("errors", "session", "session", "the shared engine failed", line.text, bad=True)
            case recorded.Lost():
                self._add("errors", "session", "session", "the recording failed here", line.why, bad=True)
            case recorded.NewId() | recorded.Begin():
                pass  # only an id was used; a chat's own transcript has no such line

    def _ask(self, line: recorded.Ask) -> None:
        messages = line.messages
        if isinstance(messages, str):
            messages = ({"role": "user", "content": messages},)
        details = [Detail(message["role"], text=_said(message["content"])) for message in messages]
        if line.model is not None:
            details.append(Detail("Call", (("model", line.model),)))
        text = "\n".join(detail.text for detail in details if detail.text)
        self._add("calls", "caller", "session", "ask", text, details=tuple(details))

    def _gave(self, action: Outcome) -> None:
        match action:
            case {"type": "NEED_DATA" | "PAUSED"}:
                pass  # the next entries show what it waited for, or that it rests
            case {"type": "SendRequest", "id": int(id), "method": str(method), "url": str(url)}:
                self._send(action, id, method, url)
            case {"type": "Wait", "id": id, "until": int() | float() as until, "reason": str(reason)}:
                if self._waiting is None or self._waiting[1] != id:  # the driver may pull the same Wait again
                    self._wait_ends()
                    self._waiting = len(self._entries), id
                    seconds = _bounded(_bounded(until) - _bounded(self._now))
                    self._add("waits", "session", "session", "wait", f"{seconds:.3f} s, {reason}")
            case {"type": "Coordinate", "call": {"type": str(call)}}:
                self._add("calls", "session", "session", "asks the shared engine", call)
            case {"type": "SolveChallenge", "script": str(script)}:
                # A challenge whose script isn't read is there as it came: there is nothing in it to show.
                details = (Detail("Script", text=script),) if script else ()
                count = counted(script or as_text(action.get("challenge")), "character")
                self._add("challenges", "session", "solver", "challenge", count, details=details)
            case _:
                kind = kind_of(action)
                text = _event_text(action)
                self._add("events", "session", "caller", kind, text, bad=kind in _BAD, details=_attributes(action))

    def _raised(self, error: Outcome) -> None:
        self._wait_ends()
        kind = kind_of(error) or "ServiceError"
        text = as_text(error.get("message"))
        self._add("errors", "session", "caller", kind, text, bad=True, details=_attributes(error))

    def _send(self, action: Outcome, id: int, method: str, url: str) -> None:
        self._requests += 1
        self._bodies[id] = _Body()
        body = raw_bytes(action.get("body"))
        headers = headers_of(action.get("headers"))
        details = [
            Detail("Request", (("method", method), ("url", url), ("id", str(id)))),
            Detail("Headers", shown_headers(headers)),
            *_decoded(headers),
        ]
        if body:
            details.append(Detail(f"Body, {len(body):,} bytes", text=pretty_body(body)))
        text = target_of(url, self._transcript.head.profile.origin) + (f", {len(body):,} bytes" if body else "")
        self._add("requests", "session", "service", method, text, details=tuple(details))

    def _head(self, line: recorded.ReceiveHead) -> None:
        body = _Body(line.headers)
        if line.status >= 200:
            if self._decoding is not None:
                self._decoding.give_up("another response has started")
            self._bodies[line.id] = self._decoding = body
        names = tuple((name.lower(), value) for name, value in line.headers)
        phrase = http.HTTPStatus(line.status).phrase if line.status in _STATUSES else ""
        about = (phrase, field(names, "content-type"), field(names, "content-encoding"))
        text = ", ".join(each for each in about if each)
        if 300 <= line.status < 400 and (location := field(names, "location")):
            text += f", to {location}"
        details = (Detail("Headers", shown_headers(line.headers)), *_decoded(line.headers))
        bad = line.status >= 400
        self._add("requests", "service", "session", str(line.status), text, bad=bad, details=details)

    def _chunk(self, id: int, data: bytes) -> None:
        self._received += len(data)
        body = self._bodies.setdefault(id, _Body())
        coded = body.coded
        text, events, trouble = body.take(data, self.left)
        if coded:
            self.left -= len(text)
        details = []
        if events:
            details.append(Detail("Events", tuple(events)))
        if text:
            details.append(Detail("Body, decompressed" if coded else "Body", text=text))
        if trouble:
            details.append(Detail("Not decoded", text=trouble))
        self._add("chunks", "service", "session", "chunk", text, size=len(data), details=tuple(details))

    def _wait_ends(self) -> None:
        if self._waiting is not None:
            index, _ = self._waiting
            entry = self._entries[index]
            self._entries[index] = msgspec.structs.replace(entry, until=self._at)
            self._waited += self._at - entry.at
            self._waiting = None


class _Body:
    """Decodes a body chunk by chunk, for display."""

    def __init__(self, headers: Headers = ()) -> None:
        names = tuple((name.lower(), value) for name, value in headers)
        self.size = 0
        self.chunks = 0
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._stream = None
        if field(names, "content-type").lower().startswith("text/event-stream"):
            self._stream = EventStreamDecoder()
        self._decoder: ContentDecoder | None = None
        self._trouble = ""
        try:
            self._decoder = ContentDecoder(field(names, "content-encoding"))
        except ContentDecodingError as error:
            self._trouble = str(error)

    @property
    def coded(self) -> bool:
        return self._decoder is not None and self._decoder.coded

    def give_up(self, why: str) -> None:
        """Stop decoding, and release the decoder."""
        if self.coded:
            self._decoder, self._trouble = None, why

    def take(self, data: bytes, most: int) -> tuple[str, list[tuple[str, str]], str]:
        """Decode a chunk, and return its text, its events, and why the rest can't be decoded.

        Args:
            data: the chunk.
            most: the maximum number of bytes to decompress.
        """
        self.size += len(data)
        self.chunks += 1
        pieces: list[bytes] = []
        try:
            for piece in self._decoder.decode(data) if self._decoder is not None else ():
                most -= len(piece)
                if self.coded and most < 0:
                    raise ContentDecodingError(f"only {_MOST_DECODED:,} bytes of all bodies are decompressed")
                pieces.append(piece)
        except ContentDecodingError as error:
            self._decoder, self._trouble = None, str(error)
        plain = b"".join(pieces)
        events: list[tuple[str, str]] = []
        more = 0
        try:
            for piece in pieces:
                found = [] if self._stream is None else [(each.event, each.data) for each in self._stream.feed(piece)]
                kept = found[: _MOST_EVENTS - len(events)]
                events += kept
                more += len(found) - len(kept)
        except StreamTooLarge as error:
            self._stream, self._trouble = None, str(error)
        if more:
            events.append(("…", f"{more:,} more"))
        return self._text.decode(plain), events, self._trouble


_STATUSES = frozenset(http.HTTPStatus)
_BAD = frozenset({"Retrying", "FrontEndVersionUnknown", "LandingPageFailed", "MalformedPayload", "TurnCancelled"})


def _said(content: str | list[dict[str, Any]]) -> str:
    """Return the text of a question. Images and files are shown by kind and size alone."""
    if isinstance(content, str):
        return content
    return "\n".join(text for part in content if (text := _said_part(part)))


def _said_part(part: dict[str, Any]) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"image": str(data)} | {"content": str(data)}:
            return f"[{as_text(part.get('mimeType'))}, {len(data)} characters of base64]"
    return ""


def _event_text(event: Outcome) -> str:
    """Return the text of an event's line."""
    match event:
        case {"type": "TurnFinished", "text": str(text), "reason": reason}:
            served = event.get("served_model")
            has = (
                f", {name.replace('_', ' ')}: {len(found)}" for name, found in event.items() if isinstance(found, list)
            )
            by = f", by {as_text(served)}" if served else ""
            return f"{as_text(reason)}, {counted(text, 'character')}{''.join(has)}{by}"
        case {"type": "ImageDraft" | "GeneratedImage", "base64": str(text)}:
            return ", ".join(each for each in (as_text(event.get("format", "")), f"{len(text):,} characters") if each)
        case {"type": "Retrying", "attempt": attempt, "delay": int() | float() as delay, "cause": {"message": why}}:
            return f"attempt {as_text(attempt)}, after {_bounded(delay):.3f} s: {as_text(why)}"
        case {"cause": {"message": why}}:
            return as_text(why)
        case {"raw": raw}:
            return raw_bytes(raw).decode("utf-8", "replace")
        case _:
            told = (value for name, value in event.items() if name != "type" and value not in (None, ""))
            return ", ".join(map(as_text, told))


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST)


def _attributes(outcome: Outcome, *, nested: bool = False) -> tuple[Detail, ...]:
    """Return the attributes of an event or an exception: short ones as fields, long ones as texts."""
    fields: list[tuple[str, str]] = []
    texts: list[Detail] = []
    for name, value in outcome.items():
        if name == "type" or value in (None, "", [], ()):
            continue
        value = without_images(name, value)
        if isinstance(value, dict) and "type" in value and not nested:  # the exception's cause
            texts.extend(Detail(name, each.fields, each.text) for each in _attributes(value, nested=True))
            continue
        is_raw = isinstance(value, dict) and "base64" in value
        text = raw_bytes(value).decode("utf-8", "replace") if is_raw else as_text(value)
        if len(text) > _SHORT or "\n" in text:
            texts.append(Detail(name, text=text))
        else:
            fields.append((name, text))
    return (*((Detail("Attributes", tuple(fields)),) if fields else ()), *texts)


def _decoded(headers: Headers) -> Iterator[Detail]:
    """Yield challenges and answers decoded: their hashes are stand-ins, or hashes of stand-ins."""
    for name, value in headers:
        if name.lower() == "x-vqd-hash-1" and (script := script_of(value)):
            yield Detail("x-vqd-hash-1, decoded", text=script)
