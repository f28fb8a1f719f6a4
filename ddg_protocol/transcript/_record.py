"""Sessions that record every call, one or several in a transcript."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec.structs import replace

from .._part_forms import on_wire
from .._state import State
from ..chat import Said, read_messages
from ..content import PIECE, ContentDecoder
from ..conversation import Conversation, Messages
from ..errors import ContentDecodingError, ConversationFormatError, DuckChatError, LocalProtocolError
from ..events import TurnFinished
from ..headers import Headers, field
from ..intents import ChallengeAnswer, SendRequest
from ..pace import ClientState, Landing
from ..parts import Text
from ..policy import Policy
from ..profile import ServiceProfile
from ..revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from ..session import Action, Session, no_jitter, no_random_bytes
from ..steps import Step
from ..tap import DrivenSession, TappedSession
from ._bodies import Address, Kept, WrittenBody, literal
from ._lines import (
    Ask,
    AskedMessage,
    Begin,
    Cancel,
    ChallengeFailed,
    ChallengeSolved,
    Close,
    Coordinated,
    CoordinationFailed,
    FetchModels,
    Head,
    Line,
    Lost,
    NewId,
    NextAction,
    ReceiveData,
    ReceiveEof,
    ReceiveHead,
    Shares,
    TransportFailed,
    WaitElapsed,
    Written,
    plain,
    write_line,
)
from ._playing import apply, pulled, restored, shared
from ._redaction import Secrets
from ._texts import BodyTexts, ReplyTexts, blank, blank_part, blank_role, blank_version

if TYPE_CHECKING:
    from ..coordination import Coordination, Result

#: 16 MiB: no session takes more decoded bytes from one chunk.
_MOST_PIECES = 16 * 1024 * 1024 // PIECE
#: Bytes that begin neither a coded body nor a block of one.
_BROKEN = b"\xff" * 4
#: A document that can't be read, for one that can't be read.
_UNREADABLE = b"unreadable"


class RecordedSession(TappedSession):
    """A session that records every call; any driver can drive it in place of the recorded one.

    The transcript is that of a second session, which receives the same calls from the start, but with stand-ins for
    tokens, cookies and challenges: no secret is ever written, and the transcript is consistent. If the two sessions
    diverge, the last line says so (`Lost`), and the run goes on unrecorded.

    Under a `wire.WireSession`, it records the calls of the session: bodies as they came, without the bytes of heads.

    Args:
        session: the session to record, at rest. From now on it must be driven through this object alone.
        write: called with each line, including its line end.
        redact_texts: whether questions and bodies are blanked too: replies, titles, pages, refusals, but not the list
            of models.

    Raises:
        LocalProtocolError: a turn is under way.
    """

    def __init__(self, session: Session, write: Callable[[str], object], *, redact_texts: bool = False) -> None:
        _must_rest(session)
        super().__init__(session, _Recorder(session, _File(session, write, redact_texts=redact_texts)))

    @classmethod
    def restore(
        cls,
        data: object,
        *,
        now: float,
        write: Callable[[str], object],
        redact_texts: bool = False,
        profile: ServiceProfile = DUCKDUCKGO_2025_04,
        policy: Policy | None = None,
        shared: ClientState | None = None,
        jitter: Callable[[], float] = no_jitter,
        random_bytes: Callable[[int], bytes] = no_random_bytes,
        coordination: Coordination | None = None,
    ) -> Self:
        """Restore a session that was stored at rest, and record it from there on.

        Args:
            data: what `Session.snapshot` returned.
            now: the caller's clock, in seconds.
            write: as for a new recording.
            redact_texts: as for a new recording.
            profile: as for `Session.restore`.
            policy: as for `Session.restore`.
            shared: as for `Session.restore`.
            jitter: as for `Session.restore`.
            random_bytes: as for `Session.restore`.
            coordination: as for `Session.restore`.

        Returns:
            A recorded session that does what the stored one would have done.

        Raises:
            ConversationFormatError: the data is no snapshot, or one of another version or profile.
            LocalProtocolError: the session was stored during a turn.
        """
        session = Session.restore(
            data,
            now=now,
            profile=profile,
            policy=policy,
            shared=shared,
            jitter=jitter,
            random_bytes=random_bytes,
            coordination=coordination,
        )
        return cls(session, write, redact_texts=redact_texts)


class Recording:
    """A transcript of several sessions: the chats of one client, one after the other or at the same time.

    Equal secrets have the same stand-in in all of them. A page that several chats fetch is stored once.

    Sessions that are driven from several threads must be driven under one lock, as those of a client are.

    Args:
        write: called with each line, including its line end.
        redact_texts: as for a `RecordedSession`.
    """

    def __init__(self, write: Callable[[str], object], *, redact_texts: bool = False) -> None:
        self._write = write
        self._redact_texts = redact_texts
        self._file: _File | None = None

    def record(self, session: Session) -> DrivenSession:
        """Record one more session: a value for ``wrap`` of a client's ``chat``.

        Args:
            session: the session to record, at rest. From now on it must be driven through the returned one alone.

        Returns:
            A session to drive in its place.

        Raises:
            LocalProtocolError: a turn is under way, or the session has another profile or policy than the first.
        """
        _must_rest(session)
        if self._file is None:
            self._file = _File(session, self._write, redact_texts=self._redact_texts)
        return TappedSession(session, _Recorder(session, self._file))


def _must_rest(session: Session) -> None:
    if session.state is not State.READY:
        raise LocalProtocolError(f"a recording must begin with a session at rest ({session.state.value})")
    if session._machine.owed is not None:
        raise LocalProtocolError("a recording must begin with a session at rest: pull until PAUSED first")


class _File:
    """What the recorders of a transcript share, and where they write."""

    def __init__(self, session: Session, write: Callable[[str], object], *, redact_texts: bool) -> None:
        self.blanks = redact_texts
        self.secrets = Secrets(session.profile)
        self.kept: dict[Address, Kept] = {}
        self._profile, self._policy = session.profile, session.policy
        self._write = write
        self._chats = 0

    def begin(self, session: Session) -> tuple[int, Head]:
        """Write the first line of a chat, and return its number, and what its transcript alone would begin with."""
        if (session.profile, session.policy) != (self._profile, self._policy):
            raise LocalProtocolError("a recording is of one profile and one policy; make another one for this session")
        chat = self._chats + 1
        begin = Begin(
            # At time 0, the snapshot's times stay as they are.
            session=self.secrets.snapshot(session.snapshot(now=0.0), texts=self.blanks),
            coordination=msgspec.UNSET if session.coordination is None else self._shares(session.coordination),
        )
        head = Head(
            texts="blanked" if self.blanks else "kept",
            profile=self._profile,
            policy=self._policy,
            session=begin.session,
            coordination=begin.coordination,
        )
        self.put(chat, head if chat == 1 else begin)
        self._chats = chat
        return chat, head

    def put(self, chat: int, line: Head | Written) -> None:
        """Write a line of a chat. Those of the first one don't say that they are."""
        text = write_line(line).decode()
        self._write((text if chat == 1 else f'{{"chat":{chat},{text[1:]}') + "\n")

    def _shares(self, settings: Coordination) -> Shares:
        key = None if settings.key is None else self.secrets.value(settings.key)
        return Shares(key, settings.lease, settings.window, settings.on_busy, settings.max_wait)


class _Recorder:
    """The tap of a recorded session: repeats its calls with stand-ins to a second session, and writes those."""

    def __init__(self, session: Session, file: _File) -> None:
        self._session = session
        self._file = file
        self._texts = file.blanks
        self._secrets = file.secrets
        self._drawn: deque[float] = deque()
        self._body: _Body | None = None
        self._written: WrittenBody | None = None
        self._newest = 0  # the id of the newest response's request
        self._lost = False
        self._landing: tuple[Landing | None, Landing | None] = (None, None)  # as it is, and with stand-ins
        self._chat, head = file.begin(session)
        self._draw, session.jitter = session.jitter, self._drawing
        # A session that has diverged may draw more often: that must not fail.
        self._double = restored(head, lambda: self._drawn.popleft() if self._drawn else 0.0)

    def pulling(self) -> None:
        before, had = shared(self._session), shared(self._double)
        if self._texts:
            before = replace(before, fe_version=blank_version(before.fe_version))
        if before.landing is not None:
            if before.landing is not self._landing[0]:
                self._landing = before.landing, self._secrets.landing(before.landing)
            before = replace(before, landing=self._landing[1])
        if before != had:
            self._tell(before)
        self._drawn.clear()

    def pulled(self, action: Action | DuckChatError, now: float) -> None:
        if self._lost:
            return
        jitter = tuple(self._drawn)
        double = pulled(self._double, now)
        if type(double) is not type(action):
            why = f"the outcome was {type(action).__name__}, but with stand-ins {type(double).__name__}"
            self._file.put(self._chat, Lost(why))
            self._lost = True
            return
        if isinstance(action, SendRequest):
            self._body = None
        gives, raises = (None, plain(double)) if isinstance(double, DuckChatError) else (plain(double), None)
        self._file.put(self._chat, NextAction(now, gives, raises, jitter))

    def called(self, method: str, *arguments: Any) -> None:
        match method, *arguments:
            case "ask", messages, model, effort, tools, extra, turn, now:
                asked = _question(messages, blanked=self._texts)
                turn = self._secrets.value(turn) if turn else ""
                self._tell(Ask(now, asked, model, effort, tuple(tools), self._members(extra or {}), turn))
            case "fetch_models", now:
                self._tell(FetchModels(now))
            case "cancel", *_:
                self._tell(Cancel())
            case "close", *_:
                self._tell(Close())
            case "_new_id", *_:
                self._tell(NewId())
            case "receive_head", request, status, headers, now:
                if self._texts and status >= 200 and not self._is_list(request, status):
                    self._body = _Body(request.method, status, headers, self._session.profile)
                    headers = self._body.headers
                if status >= 200 and request.id > self._newest:  # no late one
                    self._newest = request.id
                    address = request.method, request.url, status
                    is_reply = _is_stream(headers)
                    self._written = None if is_reply else WrittenBody(self._file.kept, address, self._chat, request.id)
                self._tell(ReceiveHead(now, request.id, status, self._secrets.headers(headers)))
            case "receive_data", request, data:
                self._data(request, data if self._body is None else self._body.blanked(data))
            case "receive_eof", request:
                self._tell(ReceiveEof(request.id))
            case "transport_failed", intent, failure:
                self._tell(TransportFailed(intent.id, failure.kind, _encodable(failure.text)))
            case "wait_elapsed", wait:
                self._tell(WaitElapsed(wait.id))
            case "challenge_solved", solve, answer:
                self._tell(self._solved(solve.id, answer))
            case "coordinated", intent, result, asked_at, now:
                shown = msgspec.to_builtins(self._result(result))
                self._tell(Coordinated(now, asked_at, intent.id, shown))
            case "coordination_failed", intent, failure:
                self._tell(CoordinationFailed(intent.id, failure.kind, _encodable(failure.text)))
            case _:  # challenge_failed
                solve, text = arguments
                self._tell(ChallengeFailed(solve.id, _encodable(text)))

    def _solved(self, id: int, answer: str | ChallengeAnswer) -> ChallengeSolved:
        stand_in = self._secrets.value
        if isinstance(answer, str):
            return ChallengeSolved(id, stand_in(answer))
        headers = tuple((name, stand_in(value)) for name, value in answer.headers)
        return ChallengeSolved(id, stand_in(answer.value), headers, self._members(answer.body))

    def _result(self, result: Result) -> Result:
        """Return a result of a shared engine whose documents are not sealed, and have stand-ins."""
        from ..coordination import Claimed, Done, Slot  # which most transcripts never need

        match result:
            case Claimed(document=document):
                return replace(result, document=self._document(document))
            case Done(document=document, reply=reply):
                return replace(result, document=self._document(document), reply=self._reply(reply))
            case Slot(fe_version=version) if self._texts:
                return replace(result, fe_version=blank_version(version))
        return result

    def _document(self, document: bytes) -> bytes:
        from ..coordination._documents import read_conversation, write_conversation

        settings = self._session.coordination
        assert settings is not None, "only a coordinated session gets documents"
        if not document:
            return document
        try:
            conversation = read_conversation(document, unseal=settings.unseal)
        except ConversationFormatError:
            return _UNREADABLE
        shown = self._secrets.conversation(msgspec.to_builtins(conversation), texts=self._texts)
        return write_conversation(msgspec.convert(shown, Conversation))

    def _reply(self, reply: bytes) -> bytes:
        from ..coordination._documents import read_reply, write_reply

        settings = self._session.coordination
        assert settings is not None, "only a coordinated session gets replies"
        if not reply:
            return reply
        try:
            finished = read_reply(reply, unseal=settings.unseal)
        except ConversationFormatError:
            return _UNREADABLE
        if self._texts:
            finished = TurnFinished(blank(finished.text), finished.reason, finished.model)
        return write_reply(finished)

    def _members(self, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return members of a body with stand-ins for their values, any of which may be a secret."""
        encoded = {name: msgspec.json.encode(value).decode() for name, value in members.items()}
        # With its quotes, a stand-in is as long as the value, so that an answer stays within its bounds.
        return {name: self._secrets.value(value)[2:] if len(value) > 1 else 0 for name, value in encoded.items()}

    def _is_list(self, request: SendRequest, status: int) -> bool:
        """Return whether a response is the list of models, which is public and stays as it is."""
        exchange = self._session._machine.exchange
        return (
            status == 200 and exchange is not None and (exchange.request.id, exchange.step) == (request.id, Step.MODELS)
        )

    def _data(self, request: SendRequest, data: bytes) -> None:
        if self._lost:
            return
        apply(self._double, ReceiveData(request.id, base64=data))
        if self._written is not None and self._written.id == request.id:
            self._file.put(self._chat, self._written.line(data))
        else:
            self._file.put(self._chat, literal(request.id, data))

    def _drawing(self) -> float:
        self._drawn.append(self._draw())
        return self._drawn[-1]

    def _tell(self, line: Line) -> None:
        if not self._lost:
            apply(self._double, line)
            self._file.put(self._chat, line)


class _Body:
    """A response's body, blanked within its coding, so that a session meets the same errors."""

    def __init__(self, method: str, status: int, headers: Headers, profile: ServiceProfile) -> None:
        fields = tuple((name.lower(), value) for name, value in headers)
        is_reply = method == "POST" and status == 200 and _is_stream(headers)
        models = [name for model in profile.models for name in (model.id, *model.aliases)]
        self._texts = ReplyTexts(models) if is_reply else BodyTexts(profile)
        self._decoder = ContentDecoder()
        self._encoder: zlib._Compress | None = None
        self._wbits = 0
        self.headers = headers
        try:
            self._decoder = ContentDecoder(field(fields, "content-encoding"))
        except ContentDecodingError:
            return  # the session can't decode such a body
        if self._decoder.coded:
            self._wbits = 15 if "deflate" in field(fields, "content-encoding").lower() else 31
            self.headers = tuple((name, value) for name, value in headers if name.lower() != "content-length")

    def blanked(self, data: bytes) -> bytes:
        if not self._decoder.coded:
            return self._texts.feed(data)
        if not data:
            return data
        encoder = self._encoder = self._encoder or zlib.compressobj(wbits=self._wbits)
        coded = b""
        try:
            for piece in islice(self._decoder.decode(data), _MOST_PIECES):
                coded += encoder.compress(self._texts.feed(piece))
        except ContentDecodingError:
            return coded + encoder.flush(zlib.Z_SYNC_FLUSH) + _BROKEN
        coded += encoder.flush(zlib.Z_SYNC_FLUSH)
        try:
            self._decoder.end()
        except ContentDecodingError:
            return coded  # there is more to come
        self._encoder = None
        return coded + encoder.flush()


def _is_stream(headers: Headers) -> bool:
    fields = tuple((name.lower(), value) for name, value in headers)
    return field(fields, "content-type").lower().startswith("text/event-stream")


def _question(messages: Messages, *, blanked: bool) -> str | tuple[AskedMessage, ...]:
    """Return an accepted question as JSON values."""
    if isinstance(messages, str):
        return blank(messages) if blanked else messages
    return tuple(_message(said, blanked=blanked) for said in read_messages(messages))


def _message(said: Said, *, blanked: bool) -> AskedMessage:
    role, text = (blank_role(said.role), blank(said.text)) if blanked else (said.role, said.text)
    role, text = _encodable(role), _encodable(text)  # a session takes any, in a message that it doesn't send
    if not said.attached:
        return {"role": role, "content": text}
    parts = (Text(text), *(blank_part(part) if blanked else part for part in said.attached))
    return {"role": role, "content": msgspec.to_builtins([on_wire(part) for part in parts])}


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
