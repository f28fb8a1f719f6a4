"""What a turn has gathered so far. It reaches the conversation only when the turn is done."""

from __future__ import annotations

from typing import Any

import msgspec

from .conversation import Conversation, Message, Tokens
from .cookies import CookieJar
from .events import Queued, TurnFinished
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


class Completed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a turn has come to.

    Attributes:
        conversation: the conversation with it.
        finished: its last event.
    """

    conversation: Conversation
    finished: TurnFinished


class Standing(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How a coordinated turn stands with the shared engine. All times are on the caller's clock.

    Attributes:
        key: the conversation's; None if the turn goes by the engine for its pace alone.
        holder: tells its claim from those of other turns.
        turn: the turn's key; empty if it has none.
        model: the one that the caller has asked for; None keeps the conversation's.
        first: the question, if it is the first of its conversation.
        later: the question, if it is not.
        begun: when the turn began.
        fence: of the claim; 0 while the turn doesn't have its conversation.
        revision: of the stored conversation.
        until: when the lease ends.
        renew_at: when it is to be renewed; None where there is none to renew.
        retry_at: when an engine is asked again that could not do it now; None where it can be asked at once.
        stale: whether the stored conversation has a token that may be spent.
        unfinished: whether the caller is still to be told of an earlier turn.
        marked: whether the engine knows that the question goes out.
        window: how long the next slot may be used, in seconds.
        nonce: of the next request; empty where it is still to be drawn.
        ticket: says how old the turn is among those of the engine.
        epoch: of the engine's life.
        slot: when the next request may begin, from and until; None without a final slot.
        ask_at: when to ask for the slot again; None where it is time.
        fetching: whether the front-end version that this turn fetched is still to be told.
        held_until: the end of the hold that the engine knows of.
    """

    key: str | None
    holder: str
    turn: str = ""
    model: str | None = None
    first: Message | None = None
    later: Message | None = None
    begun: float
    fence: int = 0
    revision: int = 0
    until: float = 0.0
    renew_at: float | None = None
    retry_at: float | None = None
    stale: bool = False
    unfinished: bool = False
    marked: bool = False
    window: float
    nonce: str = ""
    ticket: str = ""
    epoch: str = ""
    slot: tuple[float, float] | None = None
    ask_at: float | None = None
    fetching: bool = False
    held_until: float | None = None

    def bounded(self, time: float) -> float:
        """Return the earlier of a time and that of the next renewal."""
        return time if self.renew_at is None else min(time, self.renew_at)


class Owed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the shared engine has still to be told of a turn that has ended.

    Attributes:
        held_until: the end of a hold; None if there is none to tell.
        standing: the turn's, if its conversation is to be released; None otherwise.
        document: the conversation without its spent token, as it is stored; None leaves what is stored.
        completed: what the turn came to, if it was cancelled while the engine was storing it.
    """

    held_until: float | None = None
    standing: Standing | None = None
    document: bytes | None = None
    completed: Completed | None = None


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
        standing: how it stands with the shared engine; None if there is none.
        completed: what it has come to, if the engine has still to store it.
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
    standing: Standing | None = None
    completed: Completed | None = None

    def renew(self, tokens: Tokens | None) -> None:
        """Replace the credentials. None means that they have to be requested."""
        self.credentials = None if tokens is None else Credentials(tokens)
