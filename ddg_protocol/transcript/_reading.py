"""Read a transcript (docs/transcripts.md): whatever is in it, within bounds."""

from __future__ import annotations

import msgspec

from .._snapshot import load
from ..errors import ConversationFormatError
from ..policy import MIB, Policy
from ..text import printable, shown
from ._bodies import ReadBodies
from ._earlier import complete
from ._lines import (
    FORMAT_VERSION,
    Begin,
    Coordinated,
    Head,
    Line,
    NextAction,
    ReceiveData,
    ReceiveHead,
    ReceivePacked,
    ReceiveRepeated,
    begun,
    coordination_of,
    read_line,
    result_of,
)

MAX_TRANSCRIPT_BYTES = 32 * MIB
"""The longest transcript that is read. In memory, a crafted one takes up to thirty times as much."""
MAX_LINES = 250_000
"""The most lines that are read after the first."""
MAX_CHATS = 1_000
"""The most chats that are read."""
MAX_DECODED_BYTES = 64 * MIB
"""The most bytes to which a transcript's compressed and repeated bodies may expand, in all. They are there twice."""
MAX_POLICY_BYTES = 16 * MIB
"""The upper limit of each ``max_..._bytes`` of a transcript's policy; larger ones are lowered to it on reading."""

_UNREADABLE = (msgspec.DecodeError, ValueError, OverflowError, RecursionError, ConversationFormatError)


class _Version(msgspec.Struct):
    transcript: int


class Transcript(msgspec.Struct, frozen=True):
    """A parsed transcript.

    Attributes:
        head: the start of the run: the profile, the policy, and the snapshot of the first chat's session.
        lines: the lines after the first, each with its number. Chunks are as they were read, however they are stored.
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
        lines = _Lines(head)
        for number, line in enumerate(rest, 2):
            try:
                if number > MAX_LINES + 1:
                    raise ValueError(f"the transcript has more than {MAX_LINES} lines after its first")
                lines.add(number, line)
            except _UNREADABLE as error:
                damage = _damage(number, error)
                damage.__cause__ = error
                return cls(head, tuple(lines.read)), damage
        return cls(head, tuple(lines.read)), None

    def chats(self) -> tuple[Transcript, ...]:
        """Return a transcript of each chat, as if it had been recorded by itself. Lines keep their numbers."""
        heads = [self.head]
        lines: list[list[tuple[int, Line]]] = [[]]
        for number, line in self.lines:
            if isinstance(line, Begin):
                heads.append(begun(self.head, line))
                lines.append([])
            else:
                lines[line.chat - 1].append((number, line if line.chat == 1 else msgspec.structs.replace(line, chat=1)))
        return tuple(Transcript(head, tuple(own)) for head, own in zip(heads, lines, strict=True))

    def times(self) -> list[float]:
        """Return the time of each line, on the caller's clock.

        Returns:
            Each line's own time. A line without one, such as a chunk, has the time of the chat's next pull; if none
            follows, the last known time.
        """
        own = [getattr(line, "now", None) for _, line in self.lines]
        last = next((now for now in reversed(own) if now is not None), 0.0)
        upcoming: dict[int, float] = {}
        found = []
        for (_, line), now in zip(reversed(self.lines), reversed(own), strict=True):
            if isinstance(line, NextAction):
                upcoming[line.chat] = line.now
            found.append(upcoming.get(line.chat, last) if now is None else now)
        return found[::-1]


class _Lines:
    """The lines of a transcript as they are read, one after the other."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._chats = 1
        self._bodies = ReadBodies(MAX_DECODED_BYTES)
        self.read: list[tuple[int, Line]] = []

    def add(self, number: int, text: bytes) -> None:
        """Read the next line.

        Raises:
            ValueError: it isn't one that the recorder writes here, or exceeds a bound; so do other exceptions say.
        """
        line = read_line(text)
        match line:
            case Begin():
                self._begin(line)
            case _ if not 0 < line.chat <= self._chats:
                raise ValueError(f"chat {shown(line.chat)} has not begun")
            case NextAction() if (line.gives is None) == (line.raises is None):
                raise ValueError("next_action either gives or raises")
            case Coordinated():
                result_of(line)
            case ReceiveHead() if line.status >= 200:
                self._bodies.begin(line)
            case ReceiveData() | ReceivePacked() | ReceiveRepeated():
                line = self._bodies.data(line)
        self.read.append((number, line))

    def _begin(self, line: Begin) -> None:
        if line.chat != self._chats + 1:
            raise ValueError(f"chat {shown(line.chat)} begins where chat {self._chats + 1} would")
        if line.chat > MAX_CHATS:
            raise ValueError(f"the transcript has more than {MAX_CHATS} chats")
        _check(begun(self._head, line))
        self._chats = line.chat


def _damage(number: int, error: Exception) -> ConversationFormatError:
    return ConversationFormatError(f"line {number}: {printable(str(error), 300)}")


def _read_head(line: bytes) -> Head:
    version = msgspec.json.decode(line, type=_Version).transcript
    if not 1 <= version <= FORMAT_VERSION:
        raise ValueError(
            f"the transcript is of format version {shown(version)}, and this version of ddg-protocol reads 1 to "
            f"{FORMAT_VERSION}" + ("; update ddg-protocol to read it" if version > FORMAT_VERSION else "")
        )
    head = msgspec.convert(complete(msgspec.json.decode(line)), Head)
    sizes = {name: getattr(head.policy, name) for name in Policy.__struct_fields__ if name.endswith("_bytes")}
    sizes = {name: min(size, MAX_POLICY_BYTES) for name, size in sizes.items()}
    head = msgspec.structs.replace(head, policy=msgspec.structs.replace(head.policy, **sizes))
    _check(head)
    return head


def _check(head: Head) -> None:
    """Check that a chat can begin as its first line says."""
    load(head.session, head.profile, head.policy, 0.0)
    coordination_of(head)
