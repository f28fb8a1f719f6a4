"""What a turn has gathered so far. It reaches the conversation only when the turn is done."""

from __future__ import annotations

from typing import Any

import msgspec

from .conversation import Message, Tokens
from .cookies import CookieJar
from .events import Queued
from .headers import Headers
from .pace import Ticket
from .steps import STEPS_TO, Step


class Credentials(msgspec.Struct):
    """A pair of tokens, its answer, and whether it was used.

    Attributes:
        tokens: the pair.
        answer: to its challenge; None until it is found.
        spent: whether it was sent with a question.
        headers: the header fields that the answer brings.
        body: the members of the body that it brings.
    """

    tokens: Tokens
    answer: str | None = None
    spent: bool = False
    headers: Headers = ()
    body: dict[str, Any] = {}


class TurnOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a turn.

    Attributes:
        effort: how hard the model reasons; None means its own default.
        tools: the service's tools that are asked for.
        extra: further members of the body; they take the place of the profile's.
    """

    effort: str | None = None
    tools: tuple[str, ...] = ()
    extra: dict[str, Any] = {}


NO_OPTIONS = TurnOptions()


class Turn(msgspec.Struct, kw_only=True):
    """A turn under way.

    Attributes:
        messages: the history and the new message; none if the turn asks for the list of models.
        model: the id of the model.
        until: when all of it must be over, on the caller's clock.
        jar: the cookies so far.
        credentials: the newest; None if they have to be requested.
        front_end_due: whether the front-end version has to be fetched, unless it is known.
        landing_due: whether the landing page has to be visited.
        answering: whether this turn's chat requests carry answers.
        challenged: how often the service asked for one in this turn.
        chat_sent: whether a chat request went out.
        repeated: the names of the exceptions after which the chat request was repeated; each allows that once.
        goal: what it ends with: `Step.CHAT` or `Step.MODELS`.
        retries: how often each kind of request was retried.
        backoff_until: the end of a wait that comes before the next request, on the caller's clock.
        elapsed: the end of the last wait that the driver reported as over; None since the last request.
        begun: when the last request began, on the caller's clock; 0 before the first.
        ticket: says how old the turn is among those of the client.
        told: the last `Queued` that the caller got.
        ids: those that stay the same in the conversation.
        is_text_alone: whether it is known that no message has anything but text.
        options: what it asks for besides the question.
    """

    messages: tuple[Message, ...]
    model: str
    until: float
    jar: CookieJar
    credentials: Credentials | None
    landing_due: bool
    answering: bool
    front_end_due: bool = True
    challenged: int = 0
    chat_sent: bool = False
    repeated: set[str] = msgspec.field(default_factory=set)
    goal: Step = Step.CHAT
    retries: dict[Step, int] = msgspec.field(default_factory=lambda: dict.fromkeys(STEPS_TO[Step.CHAT], 0))
    backoff_until: float | None = None
    elapsed: float | None = None
    begun: float = 0.0
    ticket: Ticket = Ticket()
    told: Queued | None = None
    ids: dict[str, str] = msgspec.field(default_factory=dict)
    is_text_alone: bool = False
    options: TurnOptions = NO_OPTIONS

    def renew(self, tokens: Tokens | None) -> None:
        """Replace the credentials. None means that they have to be requested."""
        self.credentials = None if tokens is None else Credentials(tokens)
