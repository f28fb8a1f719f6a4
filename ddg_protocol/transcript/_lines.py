"""The format: the lines of a transcript (docs/transcripts.md)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec

from ..errors import DuckChatError
from ..headers import Headers
from ..intents import FailureKind, Signal, SolveChallenge
from ..pace import Landing, Queue
from ..policy import Policy
from ..profile import ServiceProfile

if TYPE_CHECKING:
    from ..coordination import Coordination, Result

FORMAT_VERSION = 2
"""The version of the format that is written. It is read, and so are the versions before it."""

Outcome = dict[str, Any]
"""An action or an exception as JSON values: its ``type``, and its attributes."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True, omit_defaults=True):
    """A line after the first.

    Attributes:
        chat: the number of its chat.
    """

    chat: int = 1


class Shares(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The attributes of a `coordination.Coordination`; the key is a stand-in."""

    key: str | None
    lease: float
    window: float
    on_busy: str
    max_wait: float | None


class Begin(_Line, frozen=True, tag="begin"):
    """Another chat of the same client begins; the first line has the first one.

    Attributes:
        session: as in the first line.
        coordination: as in the first line.
    """

    session: dict[str, Any]
    coordination: Shares | msgspec.UnsetType = msgspec.UNSET


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
    """`Session.receive_data`: a chunk as it was read.

    Attributes:
        id: the id of its request.
        text: the bytes, if they stand in the transcript as text, which must be UTF-8 by itself.
        base64: the bytes otherwise.
    """

    id: int
    text: str = ""
    base64: bytes = b""

    @property
    def data(self) -> bytes:
        """The bytes."""
        return self.base64 or self.text.encode()


class ReceivePacked(_Line, frozen=True, tag="receive_packed"):
    """A `ReceiveData` in a file, compressed.

    Attributes:
        id: the id of its request.
        zlib: the bytes in the zlib format.
    """

    id: int
    zlib: bytes


class ReceiveRepeated(_Line, frozen=True, tag="receive_repeated"):
    """A `ReceiveData` in a file whose bytes another body has at the same place.

    Attributes:
        id: the id of its request.
        like: the chat and the request of the other body.
        size: the number of bytes.
    """

    id: int
    like: tuple[int, int]
    size: Annotated[int, msgspec.Meta(ge=0)]


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
    | Begin
)
"""Any line of a transcript but the first."""


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line: what holds for all chats, and the first of these.

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


Written = Line | ReceivePacked | ReceiveRepeated
"""Any line of a file but the first."""

read_line = msgspec.json.Decoder(Written).decode
write_line = msgspec.json.Encoder().encode


def begun(head: Head, begin: Begin) -> Head:
    """Return the first line of a chat's own transcript."""
    return msgspec.structs.replace(head, session=begin.session, coordination=begin.coordination)


def result_of(line: Coordinated) -> Result:
    """Return the result that a line has.

    Raises:
        msgspec.ValidationError: it has none.
    """
    from ..coordination import Result  # which most transcripts never need

    return msgspec.convert(line.result, Result)  # type: ignore[no-any-return]


def coordination_of(head: Head | Begin) -> Coordination | None:
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
