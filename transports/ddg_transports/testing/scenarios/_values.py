"""What a scenario is, what was seen of a client in it, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from ddg_protocol.headers import Headers
from ddg_protocol.service import Endpoint, Fault

Kind = Literal["right", "tolerable", "wrong", "not asked"]
"""What a verdict may be. ``"not asked"``: the client never got into the situation, so nothing can be said."""

Mistake = Literal[
    "text lost",
    "text doubled",
    "text changed",
    "cut reply passed off as whole",
    "false alarm",
    "secret to a stranger",
    "foreign value sent",
    "question doubled",
    "wrong history",
    "limit ignored",
    "no bound",
    "request refused",
    "hang",
    "crash without a word",
]
"""What a client can get wrong."""

Owed = Literal["whole", "failure", "either"]
"""What is owed of a turn: the whole reply, a failure that the client notices, or one of the two."""


class Verdict(msgspec.Struct, frozen=True):
    """What a client made of a scenario.

    Attributes:
        kind: right, tolerable, wrong, or not asked.
        why: the reason, in a sentence without its full stop; empty if it is right.
        mistake: what is wrong; None if nothing is.
    """

    kind: Kind
    why: str = ""
    mistake: Mistake | None = None

    def __str__(self) -> str:
        """Format the verdict as one line."""
        return ": ".join(part for part in (self.kind, self.mistake, self.why) if part)


class Request(msgspec.Struct, frozen=True):
    """A request of the client's, as the service saw it.

    Attributes:
        at: when it came, in seconds since the scenario began.
        method: its method.
        target: its path with its query.
        headers: its fields, in order.
        body: its body.
        endpoint: the endpoint; None for an unknown target.
        status: the status of the response.
        error: the ``ERR_...`` word of a refusal.
        reason: what the service found wrong with the request.
        spoiled: whether a fault of the scenario changed the response.
        taken: how many bytes of the response's body were taken.
        ended: how it ended; see `ddg_protocol.service.Exchange`.
    """

    at: float
    method: str
    target: str
    headers: Headers
    body: bytes = b""
    endpoint: Endpoint | None = None
    status: int = 200
    error: str = ""
    reason: str = ""
    spoiled: bool = False
    taken: int = 0
    ended: str = ""

    def header(self, name: str) -> str | None:
        """Return the value of the first field of that name (in lower case), or None."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """The messages of a question as role and text; empty for any other request."""
        try:
            said = msgspec.json.decode(self.body, type=_Body).messages
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ()
        return tuple((message.role, message.text) for message in said)

    @property
    def question(self) -> str:
        """The text of the last message; empty if the request is no question."""
        return self.messages[-1][1] if self.messages else ""


class _Part(msgspec.Struct):
    text: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] = ""

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class _Body(msgspec.Struct):
    messages: list[_Message]


class Observation(msgspec.Struct, frozen=True):
    """What was seen of a client in a scenario.

    Attributes:
        printed: what it printed on standard output: the replies.
        said: what it printed on standard error.
        code: its exit code; negative for the signal that ended it. None: it was still running when time was up.
        seconds: how long it took.
        requests: what the service saw, in order.
        strange: what another host saw, to which the scenario tried to lead it.
        unmet: whether none of the scenario's faults happened, because the client never made the requests that they are
            about.
    """

    printed: str = ""
    said: str = ""
    code: int | None = 0
    seconds: float = 0.0
    requests: tuple[Request, ...] = ()
    strange: tuple[Request, ...] = ()
    unmet: bool = False

    @property
    def questions(self) -> tuple[Request, ...]:
        """The requests that ask a question."""
        return tuple(request for request in self.requests if request.endpoint == "chat" and request.method == "POST")


Check = Callable[[Observation], Verdict | None]
"""One more thing that is owed: returns a verdict that isn't right, or None."""


class Turn(msgspec.Struct, frozen=True):
    """A question, and what its reply is.

    Attributes:
        question: what the client is to ask.
        pieces: what the service says, each as an event of its own.
        reply: the text that the client has to print; None means all of it. Of a turn that fails it is as
            much as can arrive, of which the client may print any beginning.
        owed: what is owed.
    """

    question: str = "Why is the sky blue?"
    pieces: tuple[str, ...] = ("Because ", "of ", "scattering.")
    reply: str | None = None
    owed: Owed = "whole"

    @property
    def text(self) -> str:
        """The text that the client has to print."""
        return "".join(self.pieces) if self.reply is None else self.reply


class Scenario(msgspec.Struct, frozen=True):
    """A way in which a conversation can go, and what is owed in it.

    Attributes:
        name: a few words with hyphens.
        does: what is done, a sentence.
        owes: what is owed, a sentence.
        section: the section of PROTOCOL.md.
        turns: the questions and their replies.
        faults: what goes wrong; see `ddg_protocol.service.faults`. A redirect to `STRANGER` leads to another host.
        challenge: whether the service wants the answer to its challenge.
        checks: what else is owed.
        if_failed: why a failure is tolerable where the whole reply is owed; empty if it isn't.
        if_whole: why a success is tolerable where a failure is owed; empty if it isn't.
        family: the family that it is of.
    """

    name: str
    does: str
    owes: str
    section: int
    turns: tuple[Turn, ...] = (Turn(),)
    faults: tuple[Fault, ...] = ()
    challenge: bool = False
    checks: tuple[Check, ...] = ()
    if_failed: str = ""
    if_whole: str = ""
    family: str = ""

    @property
    def questions(self) -> tuple[str, ...]:
        """What the client is to ask, one after the other."""
        return tuple(turn.question for turn in self.turns)

    def judge(self, seen: Observation) -> Verdict:
        """Return the verdict.

        Args:
            seen: what was seen of the client. Nothing else counts: the same observation gives the same verdict.
        """
        from ._judging import judged

        return judged(self, seen)


STRANGER = "http://stranger.invalid"
"""Stands, in a scenario's redirects, for the address of a host that the client must not trust."""
