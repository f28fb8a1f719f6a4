"""The format: what each line is, and how a transcript is read (docs/transcripts.md)."""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

from .._snapshot import load
from ..content import ContentDecoder
from ..errors import ContentDecodingError, ConversationFormatError, DuckChatError
from ..headers import Headers, field
from ..intents import FailureKind, Signal
from ..policy import MIB, Policy
from ..profile import ServiceProfile
from ..text import printable, shown

FORMAT_VERSION = 1
"""The version of the format that is written, and the only one that is read."""

MAX_TRANSCRIPT_BYTES = 32 * MIB
"""The longest transcript that is read. In memory it is up to thirty times as large, where it is made to be."""
MAX_LINES = 250_000
"""The most lines that are read after the first."""
MAX_DECODED_BYTES = 64 * MIB
"""What all compressed bodies of a transcript decode to, at most."""
MAX_POLICY_BYTES = 16 * MIB
"""The most that each ``max_..._bytes`` of a transcript's policy counts for; it says no more when it was read."""

Outcome = dict[str, Any]
"""An action or an exception as JSON has it: its ``type``, and its attributes."""


class _Line(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Ask(_Line, frozen=True, tag="ask"):
    """`Session.ask`."""

    now: float
    messages: str | tuple[dict[str, str], ...]
    model: str | None = None


class Cancel(_Line, frozen=True, tag="cancel"):
    """`Session.cancel`."""


class Close(_Line, frozen=True, tag="close"):
    """`Session.close`."""


class NewId(_Line, frozen=True, tag="new_id"):
    """A `wire.WireSession` over the session took an id for an intent of its own."""


class Shared(_Line, frozen=True, tag="shared"):
    """What the sessions of the client share was changed by another of them, or before the first pull.

    Attributes:
        fe_version: the front-end version; empty where it isn't known.
        last_start: the last start that was reserved; None before the first.
        last_begin: when a request last began; None before the first.
        held_until: until when every request is held; None where none ever was.
    """

    fe_version: str
    last_start: float | None = None
    last_begin: float | None = None
    held_until: float | None = None


class NextAction(_Line, frozen=True, tag="next_action"):
    """`Session.next_action`, and what came of it.

    Attributes:
        now: the time.
        gives: the action; None where an exception was raised.
        raises: the exception.
        jitter: the numbers that were drawn for backoffs.
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
    """`Session.receive_data`: a chunk as it was read, as text where it is UTF-8 by itself.

    Attributes:
        id: of the request that it answers.
        text: the bytes, where they are UTF-8.
        base64: the bytes, where they are not.
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


class ChallengeFailed(_Line, frozen=True, tag="challenge_failed"):
    """`Session.challenge_failed`."""

    id: int
    text: str


class Lost(_Line, frozen=True, tag="lost"):
    """Nothing more could be written: with stand-ins, the session did not do the same.

    Attributes:
        why: what each of them did.
    """

    why: str


Line = (
    Ask
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
    | Lost
)
"""Any line of a transcript but the first."""


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line.

    Attributes:
        transcript: the version of the format.
        texts: whether questions and replies are blanked.
        profile: what was known of the service.
        policy: what was allowed; in a transcript that was read, sizes up to `MAX_POLICY_BYTES`.
        session: the snapshot that the run began with, by a clock that showed 0.
    """

    transcript: int = FORMAT_VERSION
    texts: Literal["kept", "blanked"]
    profile: ServiceProfile
    policy: Policy
    session: dict[str, Any]


class Version(msgspec.Struct):
    transcript: int


read_line = msgspec.json.Decoder(Line).decode
write_line = msgspec.json.Encoder().encode


class Transcript(msgspec.Struct, frozen=True):
    """A transcript that was read.

    Attributes:
        head: what the run began with: the profile, the policy, and the session's snapshot.
        lines: what happened, each line with its number.
    """

    head: Head
    lines: tuple[tuple[int, Line], ...]

    @classmethod
    def read(cls, data: str | bytes) -> Transcript:
        """Read a transcript.

        Args:
            data: all of it.

        Returns:
            The transcript.

        Raises:
            ConversationFormatError: it is none, is of another version, is damaged, or is past one of the bounds; the
                message has the line.
        """
        transcript, damage = cls.salvage(data)
        if damage is not None:
            raise damage
        return transcript

    @classmethod
    def salvage(cls, data: str | bytes) -> tuple[Transcript, ConversationFormatError | None]:
        """Read a transcript as far as it can be read: one that was cut short has a story to tell too.

        Args:
            data: all of it.

        Returns:
            The transcript up to the first line that can't be read, and what is wrong with that line; None where all
            of it could be read.

        Raises:
            ConversationFormatError: its first line can't be read, or it is longer than `MAX_TRANSCRIPT_BYTES`.
        """
        if len(data) > MAX_TRANSCRIPT_BYTES:
            raise ConversationFormatError(f"a transcript is read up to {MAX_TRANSCRIPT_BYTES} bytes")
        # Half of a surrogate pair is damage to the line that has it.
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
                    raise ValueError(f"a transcript is read up to {MAX_LINES} lines after its first")
                read = _checked(read_line(line))
                bodies.count(read)
                lines.append((number, read))
            except _UNREADABLE as error:
                damage = _damage(number, error)
                damage.__cause__ = error
                return cls(head, tuple(lines)), damage
        return cls(head, tuple(lines)), None

    def times(self) -> list[float]:
        """Tell when each line happened, by the caller's clock.

        Returns:
            For each line its own time. One that has none has that of the next pull, since the session is not told the
            time with each chunk; where none follows, the last time there is.
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
    """Counts what compressed bodies decode to, over a whole transcript. One is under way at a time, as in a session."""

    def __init__(self) -> None:
        self._left = MAX_DECODED_BYTES
        self._id = 0
        self._decoder: ContentDecoder | None = None

    def count(self, line: Line) -> None:
        """Take a line.

        Raises:
            ValueError: it is too much.
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
    head = msgspec.json.decode(line, type=Head)
    sizes = {name: getattr(head.policy, name) for name in Policy.__struct_fields__ if name.endswith("_bytes")}
    sizes = {name: min(size, MAX_POLICY_BYTES) for name, size in sizes.items()}
    head = msgspec.structs.replace(head, policy=msgspec.structs.replace(head.policy, **sizes))
    load(head.session, head.profile, head.policy, 0.0)
    return head


def _checked(line: Line) -> Line:
    """Refuse what was never written."""
    if isinstance(line, NextAction) and (line.gives is None) == (line.raises is None):
        raise ValueError("a pull gives or raises")
    return line


def plain(value: Any) -> Any:
    """Give an action or an exception as JSON has it."""
    match value:
        case enum.Enum():
            return {"type": value.name} if isinstance(value, Signal) else value.value
        case msgspec.Struct():
            members = {name: plain(member) for name, member in msgspec.structs.asdict(value).items()}
            return {"type": type(value).__name__, **members}
        case DuckChatError():
            members = {name: plain(member) for name, member in vars(value).items()}
            return {"type": type(value).__name__, "message": str(value), **members}
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return {"base64": msgspec.to_builtins(value)}
        case tuple() | list():
            return [plain(member) for member in value]
        case _:
            return value
