"""One request, what the driver has reported of its response and nobody has looked at yet, and the times for both."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from ._state import REPORTS, Awaited, Report
from ._turn import Standing
from .errors import LocalProtocolError
from .headers import Headers
from .intents import Failure, FailureKind, SendRequest
from .policy import Policy
from .steps import Step

if TYPE_CHECKING:
    from .coordination import Result
    from .intents import Coordinate


class Head(msgspec.Struct, frozen=True, tag=True):
    """The head of a response, as reported."""

    status: int
    headers: Headers
    now: float

    @property
    def size(self) -> int:
        """The number of bytes that it takes in HTTP/1.1, without a reason phrase."""
        return _STATUS_LINE + sum(len(name) + len(value) + 4 for name, value in self.headers)


class End(msgspec.Struct, frozen=True, tag=True):
    """The end of a body that is complete by its framing, as reported."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The failure of an exchange, as reported."""

    failure: Failure


#: The size of a status line without a reason, and of the blank line that ends a head.
_STATUS_LINE = len("HTTP/1.1 200 \r\n\r\n")


class Exchange:
    """An exchange under way: a request and its response.

    It judges every time that the session allows for a response. A report carries no time (except that of a head), so
    the read timeout starts again with the first pull after one. This is not a Struct: to set an attribute of one takes
    as long as a call.

    Args:
        request: what was sent.
        step: what it is for.
        redirects: how many redirects led to it.
        policy: the timeouts.
        now: the caller's clock, in seconds.
        turn_until: when the turn must be over, on the caller's clock.
        standing: how the turn stands with the shared engine, if there is one.

    Attributes:
        request: as given.
        step: as given.
        redirects: as given.
        policy: as given.
        turn_until: as given.
        standing: as given; None once there is nothing more to renew.
        awaited: what the driver has still to report.
        head: the head of the response, from its report until it is looked at.
        heads: how many bytes of heads came, those of interim responses included.
        chunks: the chunks of the body, in order, from their reports until they are looked at.
        received: how many bytes of the body came.
        end: how the exchange ended; None while it lasts.
        read_by: when the next bytes must have come, on the caller's clock; never later than `total_by`.
        total_by: when all must have come, on the caller's clock.
        heard: whether anything came since `read_by` was set.
    """

    __slots__ = (
        "awaited",
        "chunks",
        "end",
        "head",
        "heads",
        "heard",
        "policy",
        "read_by",
        "received",
        "redirects",
        "request",
        "standing",
        "step",
        "total_by",
        "turn_until",
    )

    def __init__(
        self,
        request: SendRequest,
        step: Step,
        redirects: int,
        policy: Policy,
        *,
        now: float,
        turn_until: float,
        standing: Standing | None = None,
    ) -> None:
        self.request = request
        self.standing = standing
        self.policy = policy
        self.turn_until = turn_until
        self.step = step
        self.redirects = redirects
        self.awaited = Awaited.HEAD
        self.head: Head | None = None
        self.heads = 0
        self.chunks: deque[bytes] = deque()
        self.received = 0
        self.end: End | Failed | None = None
        self.total_by = min(now + policy.total_timeout, turn_until)
        head_timeout = policy.connect_timeout + policy.write_timeout + policy.read_timeout
        self.read_by = min(now + head_timeout, self.total_by)
        self.heard = False

    def report(self, kind: Report) -> None:
        """Check that a report may come now, and note that it came.

        Args:
            kind: what is reported.

        Raises:
            LocalProtocolError: it is out of order.
        """
        awaited = REPORTS[self.awaited].get(kind)
        if awaited is None:
            raise LocalProtocolError(
                f"{kind.value}() is not legal now: request {self.request.id} awaits {self.awaited.value}"
            )
        self.awaited = awaited
        self.heard = True

    def failure(self, now: float) -> Failure | None:
        """Return the failure that was reported, or a timeout if it is time for one.

        Args:
            now: the caller's clock, in seconds.

        Returns:
            The failure; None while there is time to wait for more.
        """
        if self.heard:
            self.heard = False
            read_by = now + self.policy.read_timeout
            self.read_by = read_by if read_by < self.total_by else self.total_by
        if self.end is None and now < self.read_by:
            return None
        if isinstance(self.end, Failed):
            return self.end.failure
        what, policy = f"the {self.step.value} request", self.policy
        if now >= self.turn_until:
            text = f"the turn took longer than {policy.turn_timeout:g} s (turn_timeout)"
        elif now >= self.total_by:
            text = f"{what} took longer than {policy.total_timeout:g} s (total_timeout)"
        elif self.awaited is Awaited.HEAD:
            text = f"{what} got no response in time (connect, write and read timeouts)"
        else:
            text = f"nothing more came of the response to {what} for {policy.read_timeout:g} s (read_timeout)"
        return Failure(FailureKind.TIMEOUT, text)

    def is_in_order(self, *, head_seen: bool) -> bool:
        """Return whether the reports that are kept could have come in the order of the table.

        Args:
            head_seen: whether the head was looked at.
        """
        begun = head_seen or self.head is not None
        awaited = Awaited.NOTHING if self.end is not None else Awaited.BODY if begun else Awaited.HEAD
        early = not begun and (self.chunks or isinstance(self.end, End))
        return awaited is self.awaited and not (head_seen and self.head) and not early


class Asked:
    """A `Coordinate` that is out, and what the driver has reported of it.

    Args:
        intent: the intent.

    Attributes:
        intent: as given.
        result: the engine's; None until it is reported.
        failure: the driver's report that there is none.
        asked: when the engine was asked, on the caller's clock.
        now: when the result was reported, on the caller's clock.
    """

    __slots__ = ("asked", "failure", "intent", "now", "result")

    def __init__(self, intent: Coordinate) -> None:
        self.intent = intent
        self.result: Result | None = None
        self.failure: Failure | None = None
        self.asked = self.now = 0.0

    @property
    def is_over(self) -> bool:
        """Whether there has been a report."""
        return self.result is not None or self.failure is not None
