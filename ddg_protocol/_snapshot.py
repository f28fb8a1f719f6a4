"""A session as plain JSON data, at any moment, and what is read back from it.

Times are stored as time remaining, so that a snapshot goes on by another clock. A connection can't be stored: a
request of the handshake is asked for again, while the chat request, which has effects, stays as it is, and whoever
goes on reports its response or its failure.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal, get_origin
from urllib.parse import urlsplit

import msgspec

from ._state import State
from ._turn import Exchange, Outcome, Turn
from .content import ContentDecoder
from .conversation import Conversation, Tokens
from .cookies import Cookie, CookieJar
from .errors import ContentDecodingError, ConversationFormatError, InvalidToken, printable, shown
from .handshake import Step
from .intents import SolveChallenge, Wait
from .policy import Policy
from .profile import ServiceProfile

FORMAT_VERSION = 1

_MANY = 2**31
"""More than any policy's tries, and a number that times can be reckoned with."""
_LONGEST = 1e9
"""Seconds, thirty years: no session waits for longer, and every driver can."""
_FARTHEST = 1e12
"""Seconds between two clocks, or since something was: past the year 9999, which the service's dates end with."""
_LAST_ID = 2**53
"""More ids than a session can use up."""

IN_A_TURN = frozenset({State.PLANNING, State.WAITING, State.SOLVING, State.REQUESTING, State.READING, State.STREAMING})
IN_AN_EXCHANGE = frozenset({State.REQUESTING, State.READING, State.STREAMING})
INTENTS: dict[State, type[Wait | SolveChallenge]] = {State.WAITING: Wait, State.SOLVING: SolveChallenge}


class Snapshot(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All that a session holds, by a clock that showed 0 when it was taken.

    Attributes:
        format_version: of this form.
        origin: of the profile.
        state: the name of the session's state.
        last_id: the newest intent's id.
        conversation: as of the last turn that was done.
        answer_challenge: the setting.
        solver: the setting.
        supplied: the embedder's own cookies, or None.
        jar: as of the last turn that was done.
        fe_version: the front-end version, where it is known.
        last_start: when the pacer's last request started.
        held_until: until when the pacer holds every request, where it does.
        turn: the one under way.
        exchange: the chat exchange under way.
        reader: the reply under way, as `chat.ReplyReader.to_data` has it.
        intent: the Wait or SolveChallenge that is out.
        outcome: what was reported of it.
        cancelled: the text of a cancelled reply that the caller has still to see.
    """

    format_version: int = FORMAT_VERSION
    origin: str
    state: str
    last_id: int
    conversation: Conversation
    answer_challenge: Literal["on_demand", "always", "never"]
    solver: Literal["none", "embedder"]
    supplied: tuple[Cookie, ...] | None
    jar: CookieJar
    fe_version: str
    last_start: float | None
    turn: Turn | None
    exchange: Exchange | None
    reader: dict[str, Any] | None
    intent: Wait | SolveChallenge | None
    outcome: Outcome | None
    cancelled: str | None
    held_until: float | None = None

    def to_data(self) -> dict[str, Any]:
        """Give it as data that JSON can hold."""
        data: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_encode, str_keys=True)
        if self.held_until is None:
            del data["held_until"]  # which earlier versions don't read
        return data

    @classmethod
    def from_data(cls, data: object, profile: ServiceProfile, policy: Policy) -> Snapshot:
        """Read what `to_data` gave.

        Args:
            data: anything.
            profile: what the session is to go on with.
            policy: likewise; its bounds count, whatever the data says of bounds.

        Returns:
            The snapshot; its parts fit together, and nothing in it is unfit to be sent.

        Raises:
            ConversationFormatError: it is not of that form; the message says where.
        """
        version = data.get("format_version") if isinstance(data, dict) else None
        if version != FORMAT_VERSION:
            raise ConversationFormatError(
                f"not a snapshot of format version {FORMAT_VERSION}, but of {shown(version, 40)}"
            )
        try:
            snapshot = msgspec.convert(data, cls, dec_hook=_decode, str_keys=True)
            snapshot._check(profile, policy)
        except _UNREADABLE as error:
            raise ConversationFormatError(f"the snapshot can't be read: {printable(str(error), 300)}") from error
        return snapshot

    def _check(self, profile: ServiceProfile, policy: Policy) -> None:
        """Refuse what no session can have come to, and what is unfit to be sent.

        Raises:
            ValueError: what.
            OverflowError: a number is too long for JSON.
            RecursionError: something is nested too deeply for JSON.
            InvalidToken: what.
            ContentDecodingError: what.
        """
        msgspec.json.encode(self, enc_hook=_encode)  # fails for what no file can have held, halves of characters too
        if self.origin != profile.origin:
            raise ValueError(f"it is of {self.origin}, and the profile of {profile.origin}")
        try:
            state = State[self.state]
        except KeyError:
            raise ValueError(f"no state is called {self.state!r}") from None
        self._check_parts(state)
        msgspec.structs.replace(self.conversation, fe_version=self.fe_version).to_json()
        if self.turn is not None:
            self._check_turn(self.turn, profile)
        if self.exchange is not None:
            self._check_exchange(self.exchange, state, policy)
        times = [self.intent.until if isinstance(self.intent, Wait) else None]
        # No turn waits for these longer than it may take.
        offsets = [self.jar.offset, self.last_start, self.held_until]
        if self.turn is not None:
            turn = self.turn
            times += [turn.until, turn.backoff_until, turn.slot, turn.elapsed]
            offsets.append(turn.jar.offset)
        if self.exchange is not None:
            times += [self.exchange.read_by, self.exchange.total_by]
            times.append(None if self.exchange.head is None else self.exchange.head.now)
        if not (
            all(time is None or -_FARTHEST <= time <= _LONGEST for time in times)
            and all(offset is None or abs(offset) <= _FARTHEST for offset in offsets)
        ):
            raise ValueError("a time in it is not finite, or too far away")

    def _check_parts(self, state: State) -> None:
        parts = {
            "turn": (self.turn is not None, state in IN_A_TURN),
            "exchange": (self.exchange is not None, state in IN_AN_EXCHANGE),
            "reader": (self.reader is not None, state is State.STREAMING),
            "intent": (self.intent is not None, state in INTENTS),
        }
        for name, (there, wanted) in parts.items():
            if there != wanted:
                raise ValueError(f"state {self.state} is {'without' if wanted else 'with'} {name}")
        if self.intent is not None and not isinstance(self.intent, INTENTS[state]):
            raise ValueError(f"state {self.state} is with a {type(self.intent).__name__}")
        if self.outcome is not None:
            if self.intent is None or not (self.outcome.good or state is State.SOLVING):
                raise ValueError(f"state {self.state} is with an outcome that it can't have")
            if self.outcome.good:
                Tokens(self.outcome.text)
        newest = self.intent or (None if self.exchange is None else self.exchange.request)
        if newest is not None and self.last_id < newest.id:
            raise ValueError("an intent's id is past the last one")
        if not 0 <= self.last_id < _LAST_ID:
            raise ValueError("the last id is none that a session comes to")

    def _check_turn(self, turn: Turn, profile: ServiceProfile) -> None:
        *history, question = turn.messages or (None,)
        if question is None or question.role != "user" or tuple(history) != self.conversation.message_history:
            raise ValueError("the turn's messages are not the history and a question")
        question.content.encode()
        if set(turn.retries) != set(Step) or not all(0 <= tries < _MANY for tries in turn.retries.values()):
            raise ValueError("the turn's retries are not those of each kind of request")
        if turn.tokens is not None and not turn.tokens.vqd:
            raise ValueError("the turn's tokens are without an x-vqd-4")
        Tokens(turn.answer or "")
        profile.validate_model(turn.model)

    def _check_exchange(self, exchange: Exchange, state: State, policy: Policy) -> None:
        if exchange.step is not Step.CHAT:
            raise ValueError("only a chat exchange can be gone on with")
        if min(exchange.redirects, exchange.received, exchange.decoded) < 0:
            raise ValueError("the exchange counts below 0")
        for status in (exchange.status, exchange.head.status if exchange.head is not None else 0):
            if not (status == 0 or 100 <= status <= 999):
                raise ValueError("the exchange's status is none")
        urlsplit(exchange.request.url)  # fails for what is no address
        exchange.limit = policy.max_reply_bytes if state is State.STREAMING else policy.max_error_bytes
        if max(len(exchange.coded), len(exchange.body) - 1) > exchange.limit:
            raise ValueError(f"the exchange has more of the body than is kept, {exchange.limit} bytes")
        if exchange.read_by > exchange.total_by:
            raise ValueError("the exchange waits for bytes longer than for its end")
        exchange.check_order(head_seen=state is not State.REQUESTING)
        exchange.resume_decoder()


_UNREADABLE = (ValueError, OverflowError, RecursionError, InvalidToken, ContentDecodingError)


def _encode(value: Any) -> Any:
    if isinstance(value, CookieJar):
        return {"cookies": value.cookies, "offset": value.offset}
    if isinstance(value, deque):
        return list(value)
    return None  # a decoder, which is made again


class _Jar(msgspec.Struct, forbid_unknown_fields=True):
    cookies: tuple[Cookie, ...]
    offset: float | None


def _decode(kind: Any, data: Any) -> Any:
    if kind is CookieJar:
        saved = msgspec.convert(data, _Jar)
        jar = CookieJar(saved.cookies)
        jar.offset = saved.offset
        return jar
    if get_origin(kind) is deque:
        return deque(msgspec.convert(data, list[bytes]))
    if kind is ContentDecoder and data is None:
        return ContentDecoder()
    raise ValueError(f"{kind} is made again, and not read from a snapshot")
