"""What a turn has gathered so far, and one exchange of it: the two things a session forgets when a turn is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from ._state import EXCHANGE_TABLE, Answer, ExchangeState
from .content import ContentDecoder
from .conversation import Message, Tokens
from .cookies import CookieJar
from .errors import ContentDecodingError, IncompleteStream, LocalProtocolError, StreamTooLarge
from .handshake import Step
from .intents import Failure, Headers, SendRequest, field


class Turn(msgspec.Struct, kw_only=True):
    """It reaches the conversation when the turn is done, and not otherwise.

    Attributes:
        messages: the history and the new one.
        model: the id of the model that is asked.
        until: when all of it must be over.
        jar: the cookies; taken as they come.
        tokens: the newest pair; None where it has to be asked for.
        spent: whether `tokens` have been sent with a question.
        answer: the answer to the challenge in `tokens`; None where it has to be found.
        front_end_due: whether the version has to be fetched, unless it is known.
        landing_due: whether the landing page has to be visited.
        answering: whether this turn's questions carry answers.
        asked_to_answer: whether the service asked for one, within this turn.
        started: whether the caller knows of the turn.
        chat_sent: whether a question went out.
        token_retried: whether a bad token was replaced already.
        retries: how often each kind of request was made again.
        backoff_until: a wait that comes before the next request.
        slot: the start that the pacer reserved for the next request.
        elapsed: the time that has come by the driver's word, since the last request.
    """

    messages: tuple[Message, ...]
    model: str
    until: float
    jar: CookieJar
    landing_due: bool
    answering: bool
    tokens: Tokens | None
    spent: bool = False
    answer: str | None = None
    front_end_due: bool = True
    asked_to_answer: bool = False
    started: bool = False
    chat_sent: bool = False
    token_retried: bool = False
    retries: dict[Step, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Step, 0))
    backoff_until: float | None = None
    slot: float | None = None
    elapsed: float | None = None

    def shifted(self, by: float) -> Turn:
        """Give the same turn by a clock that is ahead by so many seconds."""
        jar = self.jar.copy()
        jar.offset = None if jar.offset is None else jar.offset - by
        return msgspec.structs.replace(
            self,
            until=self.until + by,
            jar=jar,
            backoff_until=_later(self.backoff_until, by),
            slot=_later(self.slot, by),
            elapsed=_later(self.elapsed, by),
        )

    def renew(self, tokens: Tokens | None) -> None:
        """Put another pair, or the want of one, in the place of the one at hand."""
        self.tokens, self.answer, self.spent = tokens, None, False


class Head(msgspec.Struct, frozen=True, tag=True):
    """A response's head, as reported."""

    status: int
    headers: Headers
    now: float


class End(msgspec.Struct, frozen=True, tag=True):
    """The end of a body that is complete by its framing, as reported."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The failure of an exchange, as reported."""

    failure: Failure


Report = bytes | Head | End | Failed
"""What a driver reports of an exchange; bytes are of the body."""

_ANSWERS: dict[type, Answer] = {Head: Answer.HEAD, bytes: Answer.DATA, End: Answer.EOF, Failed: Answer.FAILED}


class Exchange(msgspec.Struct, kw_only=True):
    """One request and what has come of its response.

    Attributes:
        request: what was sent.
        step: what for.
        redirects: how many led here.
        read_by: when the next bytes must have come; never later than `total_by`.
        total_by: when all must have come.
        phase: how much was reported.
        head_size: how many bytes of heads came, those of interim responses included.
        head: the response's head, where it was reported and not looked at.
        chunks: of the body, where they were reported and not looked at.
        end: how it ended, where it did.
        status: of the response.
        headers: of the response.
        expected: its content-length, if it has one.
        received: how many bytes of its body were looked at, as they came.
        timed: what `received` was when `read_by` was set; -1 where that was before the head.
        decoder: undoes its content coding.
        pieces: decoded from the bytes at hand, and not looked at.
        coded: all that the decoder of a chat response was fed; a snapshot has no other way to its state.
        decoded: how many bytes of what it gave were looked at.
        body: what is kept of a body that is not a reply.
        limit: how much is kept of it; as much may come of a body that is coded, before it is decoded.
    """

    request: SendRequest
    step: Step
    redirects: int
    read_by: float
    total_by: float
    phase: ExchangeState = ExchangeState.AWAITING_HEAD
    head_size: int = 0
    head: Head | None = None
    chunks: deque[bytes] = msgspec.field(default_factory=deque)
    end: End | Failed | None = None
    status: int = 0
    headers: Headers = ()
    expected: int | None = None
    received: int = 0
    timed: int = 0
    decoder: ContentDecoder = msgspec.field(default_factory=ContentDecoder)
    pieces: Iterator[bytes] | None = None
    coded: bytearray = msgspec.field(default_factory=bytearray)
    decoded: int = 0
    body: bytearray = msgspec.field(default_factory=bytearray)
    limit: int = 0

    def shifted(self, by: float) -> Exchange:
        """Give the same exchange by a clock that is ahead by so many seconds; its decoder has to be made again."""
        return msgspec.structs.replace(
            self,
            read_by=self.read_by + by,
            total_by=self.total_by + by,
            head=None if self.head is None else msgspec.structs.replace(self.head, now=self.head.now + by),
            chunks=self.chunks.copy(),
            decoder=ContentDecoder(),
            pieces=None,
        )

    def check_order(self, *, head_seen: bool) -> None:
        """Hold what was reported against the table.

        Args:
            head_seen: whether the head was looked at.

        Raises:
            ValueError: it could not have been reported in that order, or there is more to it.
        """
        begun = head_seen or self.head is not None
        phase = ExchangeState.AWAITING_BODY if begun else ExchangeState.AWAITING_HEAD
        if self.end is not None:
            phase = ExchangeState.ENDED
        if (head_seen and self.head) or (not begun and (self.chunks or isinstance(self.end, End))):
            raise ValueError("the exchange's reports are out of order")
        if phase is not self.phase:
            raise ValueError(f"the exchange awaits {phase.value}, not {self.phase.value}")

    def new_decoder(self) -> ContentDecoder:
        """Give what undoes the response's content coding.

        Raises:
            ContentDecodingError: the coding is none that is read, and nothing is understood without the body.
        """
        try:
            return ContentDecoder(field(self.headers, "content-encoding"))
        except ContentDecodingError:
            if self.status == 200 and self.step in (Step.FRONT_END, Step.CHAT):
                raise
            return ContentDecoder()  # its body is kept as it came

    def resume_decoder(self) -> None:
        """Bring the decoder to where it was when the exchange was saved, by what it was fed.

        Raises:
            ContentDecodingError: as `new_decoder` has it.
        """
        self.decoder = self.new_decoder()
        if self.decoder.coded:
            self.pieces = _from(self.decoded, self.decoder.decode(bytes(self.coded)))

    def report(self, report: Report) -> None:
        """Put what the driver reports in its place in the order.

        Raises:
            LocalProtocolError: it is out of order.
        """
        answer, moves = _ANSWERS[type(report)], EXCHANGE_TABLE[self.phase]
        if answer not in moves:
            raise LocalProtocolError(
                f"{answer.value}() is not legal now: request {self.request.id} awaits {self.phase.value}"
            )
        self.phase = moves[answer]
        if isinstance(report, bytes):
            self.chunks.append(report)
        elif isinstance(report, Head):
            self.head = report
        else:
            self.end = report

    @property
    def full(self) -> bool:
        """Whether more of the body came than is kept."""
        return len(self.body) > self.limit

    def collect(self) -> bool:
        """Keep the next of what came of a body; False where that is nothing, or the end of the exchange.

        Raises:
            IncompleteStream: the body is shorter than its content-length.
            ContentDecodingError: it is not of its content coding.
            StreamTooLarge: its compressed form is longer than its bound.
        """
        piece = self.next_piece()
        if piece:
            self.body += piece[: self.limit - len(self.body) + 1]
        return bool(piece) and not self.full

    def next_piece(self) -> bytes | None:
        """Give the next decoded bytes; empty at the body's end, None where there is nothing, or a failure.

        Raises:
            IncompleteStream: the body is shorter than its content-length.
            ContentDecodingError: it is not of its content coding.
            StreamTooLarge: its compressed form is longer than its bound.
        """
        while True:
            if self.pieces is not None:
                piece = next(self.pieces, None)
                if piece is not None:
                    self.decoded += len(piece)
                    return piece
                self.pieces = None
            if not self.chunks:
                break
            data = self.chunks.popleft()
            self.received += len(data)
            if self.decoder.coded:
                if self.received > self.limit:  # a coding can say nothing for ever
                    raise StreamTooLarge(f"the compressed body is longer than {self.limit} bytes", limit=self.limit)
                if self.step is Step.CHAT:
                    self.coded += data
                self.pieces = self.decoder.decode(data)
            elif data:
                return data
        if not isinstance(self.end, End):
            return None
        self._check_length()
        self.decoder.end()
        return b""

    def _check_length(self) -> None:
        """Hold the body against its content-length (PROTOCOL.md section 6: the core checks it itself)."""
        if self.expected is not None and self.received < self.expected:
            raise IncompleteStream(f"the body ended after {self.received} of {self.expected} bytes; ask again")


def _from(position: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Give the pieces without so many bytes at their beginning."""
    for piece in pieces:
        if position < len(piece):
            yield piece[position:]
        position = max(0, position - len(piece))


class Outcome(msgspec.Struct, frozen=True):
    """What came of a Wait or a SolveChallenge: the answer, or why there is none."""

    good: bool
    text: str = ""


def _later(time: float | None, by: float) -> float | None:
    return None if time is None else time + by
