"""What a turn has gathered so far, and one exchange of it: the two things a session forgets when a turn is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from ._state import EXCHANGE_TABLE, Answer, ExchangeState
from .content import ContentDecoder
from .conversation import Message, Tokens
from .cookies import CookieJar
from .errors import IncompleteStream, LocalProtocolError
from .handshake import Step
from .intents import Headers, SendRequest


class Turn:
    """What a turn has gathered; it reaches the conversation when the turn is done, and not otherwise."""

    __slots__ = (
        "answer",
        "answering",
        "asked_to_answer",
        "backoff_until",
        "chat_sent",
        "front_end_due",
        "jar",
        "landing_due",
        "messages",
        "model",
        "retries",
        "slot",
        "spent",
        "started",
        "token_retried",
        "tokens",
    )

    def __init__(
        self, *, messages: tuple[Message, ...], model: str, jar: CookieJar, landing_due: bool, tokens: Tokens | None
    ) -> None:
        self.messages = messages  # the history and the new one
        self.model = model
        self.jar = jar
        self.tokens = tokens  # None: to be asked for
        self.front_end_due = True  # unless the version is known
        self.landing_due = landing_due
        self.answering = False  # whether this turn's requests carry answers
        self.asked_to_answer = False  # whether the service asked, within this turn
        self.answer: str | None = None  # the answer to the challenge in `tokens`; None: to be found
        self.started = False
        self.chat_sent = False  # at least once
        self.spent = False  # `tokens` have been sent
        self.token_retried = False
        self.retries = dict.fromkeys(Step, 0)
        self.backoff_until: float | None = None  # a wait that comes before the next request
        self.slot: float | None = None  # the start that the pacer reserved for the next request


class Exchange:
    """One request and what has come of its response."""

    __slots__ = (
        "body",
        "decoder",
        "expected",
        "headers",
        "inbox",
        "limit",
        "phase",
        "pieces",
        "progress",
        "read_by",
        "received",
        "redirects",
        "request",
        "status",
        "step",
        "total_by",
    )

    def __init__(self, request: SendRequest, step: Step, redirects: int, *, read_by: float, total_by: float) -> None:
        self.request = request
        self.step = step
        self.redirects = redirects  # that led here
        self.phase = ExchangeState.AWAITING_HEAD
        self.inbox: deque[tuple[Answer, Any]] = deque()  # reported, and not looked at
        self.read_by = read_by
        self.total_by = total_by
        self.progress = False  # something came since `read_by` was set
        self.status = 0
        self.headers: Headers = ()
        self.expected: int | None = None  # the content-length
        self.received = 0
        self.decoder: ContentDecoder | None = None  # None: the body is kept as it came
        self.pieces: Iterator[bytes] | None = None  # decoded from the chunk at hand, and not looked at
        self.body = bytearray()
        self.limit = 0  # of `body`

    def report(self, answer: Answer, payload: Any) -> None:
        """Put what the driver reports in its place in the order.

        Raises:
            LocalProtocolError: it is out of order.
        """
        moves = EXCHANGE_TABLE[self.phase]
        if answer not in moves:
            raise LocalProtocolError(
                f"{answer.value}() is not legal now: request {self.request.id} awaits {self.phase.value}"
            )
        self.phase = moves[answer]
        self.inbox.append((answer, payload))

    @property
    def full(self) -> bool:
        """Whether more of the body came than is kept."""
        return len(self.body) > self.limit

    def check_length(self) -> None:
        """Hold the body against its content-length (PROTOCOL.md section 6: the core checks it itself).

        Raises:
            IncompleteStream: less came.
        """
        if self.expected is not None and self.received < self.expected:
            raise IncompleteStream(f"the body ended after {self.received} of {self.expected} bytes; ask again")
