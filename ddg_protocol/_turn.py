"""What a turn has gathered so far. It reaches the conversation when the turn is done, and not otherwise."""

from __future__ import annotations

import msgspec

from .conversation import Message, Tokens
from .cookies import CookieJar
from .steps import Step


class Credentials(msgspec.Struct):
    """A pair of tokens, and what became of it.

    Attributes:
        tokens: the pair.
        answer: the answer to its challenge; None until it is found.
        spent: whether it was sent with a question.
    """

    tokens: Tokens
    answer: str | None = None
    spent: bool = False


class Turn(msgspec.Struct, kw_only=True):
    """A turn under way.

    Attributes:
        messages: the history and the new one.
        model: the id of the model that is asked.
        until: when all of it must be over, on the caller's clock.
        jar: the cookies, as they come.
        credentials: the newest; None where they have to be asked for.
        front_end_due: whether the version has to be fetched, unless it is known.
        landing_due: whether the landing page has to be visited.
        answering: whether this turn's questions carry answers.
        asked_to_answer: whether the service asked for one within this turn.
        chat_sent: whether a question went out.
        token_retried: whether a bad token was replaced already.
        retries: how often each kind of request was made again.
        backoff_until: the end of a wait that comes before the next request, on the caller's clock.
        slot: the start that the pacer reserved for the next request, on the caller's clock.
        elapsed: the time that has come by the driver's word since the last request.
    """

    messages: tuple[Message, ...]
    model: str
    until: float
    jar: CookieJar
    credentials: Credentials | None
    landing_due: bool
    answering: bool
    front_end_due: bool = True
    asked_to_answer: bool = False
    chat_sent: bool = False
    token_retried: bool = False
    retries: dict[Step, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Step, 0))
    backoff_until: float | None = None
    slot: float | None = None
    elapsed: float | None = None

    def renew(self, tokens: Tokens | None) -> None:
        """Replace the credentials. None means that they have to be asked for."""
        self.credentials = None if tokens is None else Credentials(tokens)

    def shifted(self, by: float) -> Turn:
        """Return the same turn by a clock that is ahead by so many seconds."""
        backoff_until, slot, elapsed = (
            None if time is None else time + by for time in (self.backoff_until, self.slot, self.elapsed)
        )
        return msgspec.structs.replace(
            self,
            until=self.until + by,
            backoff_until=backoff_until,
            slot=slot,
            elapsed=elapsed,
        )
