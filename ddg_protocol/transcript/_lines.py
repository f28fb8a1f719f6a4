"""The format: the lines of a transcript, and its parser (docs/transcripts.md)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import msgspec

from .._snapshot import load
from ..content import ContentDecoder
from ..errors import ContentDecodingError, ConversationFormatError, DuckChatError
from ..headers import Headers, field
from ..intents import FailureKind, Signal, SolveChallenge
from ..pace import Landing, Queue
from ..policy import MIB, Policy
from ..profile import ServiceProfile
from ..text import printable, shown
from ._earlier import complete

if TYPE_CHECKING:
    from ..coordination import Coordination, Result

FORMAT_VERSION = 1
"""The version of the format: the only one that is written or read."""

MAX_TRANSCRIPT_BYTES = 32 * MIB
"""The longest transcript that is read. In memory, a crafted one takes up to thirty times as much."""
MAX_LINES = 250_000
"""The most lines that are read after the first."""
MAX_DECODED_BYTES = 64 * MIB
"""The most bytes to which a transcript's compressed bodies may decode, in all."""
MAX_POLICY_BYTES = 16 * MIB
"""The upper limit of each ``max_..._bytes`` of a transcript's policy; larger ones are lowered to it on reading."""

Outcome = dict[str, Any]
"""An action or an exception as JSON values: its ``type``, and its attributes."""


class _Line(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True, omit_defaults=True):
    pass


class AskedMessage(TypedDict):
    """A message of a question. Its content is a text, or parts in the service's form."""

    role: str
    content: str | list[dict[str, Any]]


class Ask(_Line, frozen=True, tag="ask"):
    """`Session.ask`."""

    now: float
    messages: str | tuple[AskedMessage, ...]
    model: str | None = None
    effort: str | None = None
    tools: tuple[str, ...] = ()
    extra: dict[str, Any] = {}
    turn: str = ""


class FetchModels(_Line, frozen=True, tag="fetch_models"):
    """`Session.fetch_models`."""

    now: float


class Cancel(_Line, frozen=True, tag="cancel"):
    """`Session.cancel`."""


class Close(_Line, frozen=True, tag="close"):
    """`Session.close`."""


class NewId(_Line, frozen=True, tag="new_id"):
    """A `wire.WireSession` over the session took an id for its own intent."""


class Shared(_Line, frozen=True, tag="shared"):
    """A change of the client's shared state, by another of its sessions or before the first pull.

    Attributes:
        fe_version: the front-end version; empty if unknown.
        last_start: when a request last began; None before the first.
        last_begin: the same, in recordings of earlier versions, which reserved starts.
        held_until: the time until which every request is held; None if none ever was.
        landing: what the landing page has brought; None if nothing is known.
        queue: the turns under way.
    """

    fe_version: str
    last_start: float | None = None
    last_begin: float | None = None
    held_until: float | None = None
    landing: Landing | None = None
    queue: Queue = Queue()


class NextAction(_Line, frozen=True, tag="next_action"):
    """`Session.next_action`, and its outcome.

    Attributes:
        now: the time.
        gives: the action; None if an exception was raised.
        raises: the exception; None if there was none.
        jitter: the numbers drawn for backoffs.
    """

    now: float
    gives: Outcome | None = None
    raises: Outcome | None = None
    jitter: tuple[float, ...] = ()


class ReceiveHead(_Line, frozen=True, tag="receive_head"):
    """`Session.receive_head`."""

    now: float
    id: int
    status: int
    headers: Headers


class ReceiveData(_Line, frozen=True, tag="receive_data"):
    """`Session.receive_data`: a chunk as it was read, as text if it is UTF-8 by itself.

    Attributes:
        id: the id of its request.
        text: the bytes, if they are UTF-8.
        base64: the bytes, if they are not.
    """

    id: int
    text: str = ""
    base64: bytes = b""


class ReceiveEof(_Line, frozen=True, tag="receive_eof"):
    """`Session.receive_eof`."""

    id: int


class TransportFailed(_Line, frozen=True, tag="transport_failed"):
    """`Session.transport_failed`."""

    id: int
    kind: FailureKind
    text: str


class WaitElapsed(_Line, frozen=True, tag="wait_elapsed"):
    """`Session.wait_elapsed`."""

    id: int


class ChallengeSolved(_Line, frozen=True, tag="challenge_solved"):
    """`Session.challenge_solved`."""

    id: int
    answer: str
    headers: Headers = ()
    body: dict[str, Any] = {}


class ChallengeFailed(_Line, frozen=True, tag="challenge_failed"):
    """`Session.challenge_failed`."""

    id: int
    text: str


class Coordinated(_Line, frozen=True, tag="coordinated"):
    """`Session.coordinated`.

    Attributes:
        now: the time of the report.
        asked: the time before the engine was asked.
        id: the id of the `Coordinate`.
        result: one of `ddg_protocol.coordination`, with its ``type``. Documents are readable, and have stand-ins.
    """

    now: float
    asked: float
    id: int
    result: dict[str, Any]


class CoordinationFailed(_Line, frozen=True, tag="coordination_failed"):
    """`Session.coordination_failed`."""

    id: int
    kind: FailureKind
    text: str


class Lost(_Line, frozen=True, tag="lost"):
    """The end of the recording: with stand-ins, the session acted differently.

    Attributes:
        why: what the two sessions did.
    """

    why: str


Line = (
    Ask
    | FetchModels
    | Cancel
    | Close
    | NewId
    | Shared
    | NextAction
    | ReceiveHead
    | ReceiveData
    | ReceiveEof
    | TransportFailed
    | WaitElapsed
    | ChallengeSolved
    | ChallengeFailed
    | Coordinated
    | CoordinationFailed
    | Lost
)
"""Any line of a transcript but the first."""


class Shares(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The attributes of a `coordination.Coordination`; the key is a stand-in."""

    key: str | None
    lease: float
    window: float
    on_busy: str
    max_wait: float | None


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line.

    Attributes:
        transcript: the version of the format.
        texts: whether questions and replies are blanked.
        profile: the facts about the service.
        policy: the session's policy; on reading, its sizes are lowered to `MAX_POLICY_BYTES`.
        session: the snapshot at the start of the run, taken at time 0.
        coordination: how the session goes by a shared engine; absent if there is none.
    """

    transcript: int = FORMAT_VERSION
    texts: Literal["kept", "blanked"]
    profile: ServiceProfile
    policy: Policy
    session: dict[str, Any]
    coordination: Shares | msgspec.UnsetType = msgspec.UNSET


class Version(msgspec.Struct):
    transcript: int


read_line = msgspec.json.Decoder(Line).decode
write_line = msgspec.json.Encoder().encode


class Transcript(msgspec.Struct, frozen=True):
    """A parsed transcript.

    Attributes:
        head: the start of the run: the profile, the policy, and the session's snapshot.
        lines: the lines after the first, each with its number.
    """

    head: Head
    lines: tuple[tuple[int, Line], ...]

    @classmethod
    def read(cls, data: str | bytes) -> Transcript:
        """Parse a transcript.

        Args:
            data: the whole transcript.

        Returns:
            The transcript.

        Raises:
            ConversationFormatError: the data is no transcript, has another version, is damaged, or exceeds a bound; the
                message names the line.
        """
        transcript, damage = cls.salvage(data)
        if damage is not None:
            raise damage
        return transcript

    @classmethod
    def salvage(cls, data: str | bytes) -> tuple[Transcript, ConversationFormatError | None]:
        """Parse a transcript as far as possible, for one that is damaged or cut short.

        Args:
            data: the whole transcript.

        Returns:
            The transcript up to the first line that can't be read, and the error of that line; None if there is none.

        Raises:
            ConversationFormatError: the first line can't be read, or the data is longer than `MAX_TRANSCRIPT_BYTES`.
        """
        if len(data) > MAX_TRANSCRIPT_BYTES:
            raise ConversationFormatError(f"the transcript is longer than {MAX_TRANSCRIPT_BYTES} bytes")
        # Half of a surrogate pair damages only its own line.
        data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        first, *rest = data.removesuffix(b"\n").split(b"\n", MAX_LINES + 1)
        try:
            head = _read_head(first)
        except _UNREADABLE as error:
            raise _damage(1, error) from error
        lines: list[tuple[int, Line]] = []
        bodies = _Bodies()
        for number, line in enumerate(rest, 2):
            try:
                if number > MAX_LINES + 1:
                    raise ValueError(f"the transcript has more than {MAX_LINES} lines after its first")
                read = _checked(read_line(line))
                bodies.count(read)
                lines.append((number, read))
            except _UNREADABLE as error:
                damage = _damage(number, error)
                damage.__cause__ = error
                return cls(head, tuple(lines)), damage
        return cls(head, tuple(lines)), None

    def times(self) -> list[float]:
        """Return the time of each line, on the caller's clock.

        Returns:
            Each line's own time. A line without one, such as a chunk, has the time of the next pull; if none follows,
            the last known time.
        """
        own = [getattr(line, "now", None) for _, line in self.lines]
        upcoming = next((now for now in reversed(own) if now is not None), 0.0)
        found = []
        for (_, line), now in zip(reversed(self.lines), reversed(own), strict=True):
            if isinstance(line, NextAction):
                upcoming = line.now
            found.append(upcoming if now is None else now)
        return found[::-1]


class _Bodies:
    """Counts the decoded bytes of a transcript's compressed bodies. One is under way at a time, as in a session."""

    def __init__(self) -> None:
        self._left = MAX_DECODED_BYTES
        self._id = 0
        self._decoder: ContentDecoder | None = None

    def count(self, line: Line) -> None:
        """Count the decoded bytes of a line.

        Raises:
            ValueError: the bodies decode to more than `MAX_DECODED_BYTES`.
        """
        try:
            match line:
                case ReceiveHead() if line.status >= 200:
                    self._id, self._decoder = line.id, None
                    names = tuple((name.lower(), value) for name, value in line.headers)
                    self._decoder = ContentDecoder(field(names, "content-encoding"))
                case ReceiveData() if self._decoder is not None and self._decoder.coded and line.id == self._id:
                    for piece in self._decoder.decode(line.base64 or line.text.encode()):
                        self._left -= len(piece)
                        if self._left < 0:
                            raise ValueError(f"the bodies are more than {MAX_DECODED_BYTES} bytes, decompressed")
        except ContentDecodingError:
            self._decoder = None


_UNREADABLE = (msgspec.DecodeError, ValueError, OverflowError, RecursionError, ConversationFormatError)


def _damage(number: int, error: Exception) -> ConversationFormatError:
    return ConversationFormatError(f"line {number}: {printable(str(error), 300)}")


def _read_head(line: bytes) -> Head:
    version = msgspec.json.decode(line, type=Version).transcript
    if version != FORMAT_VERSION:
        raise ValueError(
            f"the transcript is of format version {shown(version)}, and this version of ddg-protocol reads "
            f"{FORMAT_VERSION}" + ("; update ddg-protocol to read it" if version > FORMAT_VERSION else "")
        )
    head = msgspec.convert(complete(msgspec.json.decode(line)), Head)
    sizes = {name: getattr(head.policy, name) for name in Policy.__struct_fields__ if name.endswith("_bytes")}
    sizes = {name: min(size, MAX_POLICY_BYTES) for name, size in sizes.items()}
    head = msgspec.structs.replace(head, policy=msgspec.structs.replace(head.policy, **sizes))
    load(head.session, head.profile, head.policy, 0.0)
    coordination_of(head)
    return head


def _checked(line: Line) -> Line:
    """Check that a line is one that the recorder writes."""
    if isinstance(line, NextAction) and (line.gives is None) == (line.raises is None):
        raise ValueError("next_action either gives or raises")
    if isinstance(line, Coordinated):
        result_of(line)
    return line


def result_of(line: Coordinated) -> Result:
    """Return the result that a line has.

    Raises:
        msgspec.ValidationError: it has none.
    """
    from ..coordination import Result  # which most transcripts never need

    return msgspec.convert(line.result, Result)  # type: ignore[no-any-return]


def coordination_of(head: Head) -> Coordination | None:
    """Return how the session goes by a shared engine.

    Raises:
        ValueError: the head has settings that can't be.
    """
    if head.coordination is msgspec.UNSET:
        return None
    from ..coordination import Coordination  # which most transcripts never need

    return Coordination(**msgspec.structs.asdict(head.coordination))


def plain(value: Any) -> Any:
    """Return an action or an exception as JSON values."""
    match value:
        case enum.Enum():
            return {"type": value.name} if isinstance(value, Signal) else value.value
        case SolveChallenge() if value.script:
            # The rest follows from script and profile. Without it, transcripts of earlier versions stay the same.
            identity = plain(value.identity)
            return {"type": "SolveChallenge", "id": value.id, "script": value.script, "identity": identity}
        case msgspec.Struct():
            # An empty tuple is left out: it is what a turn has none of, such as images.
            members = {name: plain(each) for name, each in msgspec.structs.asdict(value).items() if each != ()}
            return {"type": type(value).__name__, **members}
        case DuckChatError():
            # What a service's error shows and has in addition follows from its body.
            members = {name: plain(member) for name, member in vars(value).items() if name != "detail"}
            return {"type": type(value).__name__, "message": Exception.__str__(value), **members}
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return {"base64": msgspec.to_builtins(value)}
        case tuple() | list():
            return [plain(member) for member in value]
        case dict():
            return {name: plain(member) for name, member in value.items()}
        case _:
            return value
