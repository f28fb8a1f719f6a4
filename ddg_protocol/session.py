"""`Session`: a conversation's turns as states, intents and events. It decides; a driver does.

The whole driver, at this altitude::

    session.ask(text, now=now)
    while (action := session.next_action(now=now)) is not PAUSED:
        SendRequest      open an exchange, session.receive_head(...)
        NEED_DATA        read some of it, session.receive_data(...) or session.receive_eof(...)
        Wait             sleep, session.wait_elapsed(...)
        SolveChallenge   session.challenge_solved(...)
        an event         give it to the caller

A session opens nothing, reads no clock, draws no randomness. Whatever bytes come in, only what `errors` documents
comes out, and the conversation changes by whole turns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NoReturn, Self

import msgspec

from . import chat, handshake
from ._state import AT_REST, TABLE, ExchangeState, State, Trigger
from ._turn import End, Exchange, Failed, Head, Outcome, Turn
from .conversation import Conversation, Message, Tokens, encodable
from .cookies import Cookie, CookieJar
from .errors import (
    ChallengeError,
    ChatTimeoutError,
    ConversationLimitError,
    DuckChatError,
    FrontEndVersionMissing,
    IncompleteStream,
    InputLimitError,
    InvalidToken,
    LocalProtocolError,
    RateLimitError,
    RemoteProtocolError,
    ServiceError,
    StreamTooLarge,
    TokenError,
    TransportError,
    UnsupportedChallenge,
    printable,
    shown,
)
from .events import (
    ChallengeReceived,
    Event,
    FrontEndVersionUnknown,
    LandingPageFailed,
    Retrying,
    TurnCancelled,
    TurnFinished,
    TurnStarted,
)
from .handshake import Step
from .intents import (
    NEED_DATA,
    PAUSED,
    Failure,
    FailureKind,
    Headers,
    Intent,
    SendRequest,
    Signal,
    SolveChallenge,
    Wait,
    field,
)
from .policy import MAX_SECONDS, ClientState, Policy
from .profile import DUCKDUCKGO_2025_04, ServiceProfile
from .redirect import REDIRECTS, redirect_target
from .refusal import retry_after, service_error
from .retry import backoff, is_retried

Action = Intent | Event | Signal
AnswerChallenge = Literal["on_demand", "always", "never"]
Solver = Literal["none", "embedder"]


def no_jitter() -> float:
    """Give the middle of the jitter's range: the core draws no randomness, an embedder passes `random.random`."""
    return 0.5


class Session:
    """A conversation with the service, one turn at a time.

    Args:
        profile: what is known of the service.
        conversation: one to go on with; None begins a new one.
        model: the model of the conversation, by id or alias; None keeps the conversation's, or takes the default.
        cookies: the embedder's own jar, as names and values or as `Cookie` values; no landing page then.
        policy: tries, times, bounds, strictness.
        shared: what the sessions of one client have in common; None makes one of its own.
        jitter: gives a number in [0, 1) for each backoff.
        answer_challenge: when challenges are answered: ``"on_demand"``, ``"always"`` or ``"never"`` (PROTOCOL.md
            section 5).
        solver: ``"embedder"`` hands every challenge out as a `SolveChallenge` instead of reading it here.

    Raises:
        ModelNotSupportedError: ``model`` is none of the profile's.
        ValueError: one of ``cookies`` is no cookie, or none that can be sent.
    """

    def __init__(
        self,
        profile: ServiceProfile = DUCKDUCKGO_2025_04,
        *,
        conversation: Conversation | None = None,
        model: str | None = None,
        cookies: Mapping[str, str] | Iterable[Cookie] | None = None,
        policy: Policy | None = None,
        shared: ClientState | None = None,
        jitter: Callable[[], float] = no_jitter,
        answer_challenge: AnswerChallenge = "on_demand",
        solver: Solver = "none",
    ) -> None:
        self.profile = profile
        self.policy = policy or Policy()
        self._shared = shared or ClientState()
        self._jitter = jitter
        self._answer_challenge = answer_challenge
        self._solver = solver
        conversation = conversation or Conversation()
        if model is not None or not conversation.model:
            conversation = msgspec.structs.replace(conversation, model=profile.validate_model(model))
        self._conversation = conversation
        self._supplied = None if cookies is None else tuple(self._cookies(cookies))
        self._jar = self._fresh_jar() if self._supplied is not None else CookieJar(conversation.cookies)
        self._state = State.READY
        self._last_id = 0
        self._turn: Turn | None = None
        self._exchange: Exchange | None = None
        self._reader: chat.ReplyReader | None = None
        self._intent: Wait | SolveChallenge | None = None  # that is out
        self._outcome: Outcome | None = None  # of that intent
        self._cancelled: TurnCancelled | None = None  # that the caller has still to see

    # Inspection

    @property
    def state(self) -> State:
        """Where the session is; moves when an action is pulled or a command is given."""
        return self._state

    @property
    def conversation(self) -> Conversation:
        """The conversation as of the last turn that was done."""
        return self._conversation

    @property
    def request(self) -> SendRequest | None:
        """The request whose response is awaited or being read; None for none. What answers name after `restore`."""
        exchange = self._exchange
        return None if exchange is None or exchange.end is not None else exchange.request

    @property
    def deadline(self) -> float | None:
        """The latest time at which `next_action` must be called again, on the caller's clock; None for none."""
        if self._exchange is not None:
            return self._exchange.read_by
        return None if self._turn is None else self._turn.until

    def __repr__(self) -> str:
        return f"<Session {self._state.name} at {self.profile.origin}, {self._conversation!r}>"

    # Commands

    def ask(
        self, messages: str | Sequence[Message | Mapping[str, Any]], *, model: str | None = None, now: float
    ) -> None:
        """Begin a turn. Pull with `next_action` until `PAUSED`.

        Args:
            messages: the question, or messages with roles and contents (PROTOCOL.md section 6).
            model: by id or alias; None keeps the conversation's. With the turn it becomes the conversation's.
            now: the caller's clock, in seconds.

        Raises:
            LocalProtocolError: a turn is under way, the session is closed, or the messages are not of that form.
            ModelNotSupportedError: the profile has no such model.
        """
        target = self._target(Trigger.ASK)
        model = self.profile.validate_model(model or self._conversation.model)
        if isinstance(messages, str):
            messages = ({"role": "user", "content": messages},)
        history = self._conversation.message_history
        content = chat.last_user_message(messages) if history else chat.format_prompt(messages)
        if not encodable(content):
            raise LocalProtocolError("the question has half of a surrogate pair in it, which can't be sent as UTF-8")
        wanted = self._conversation.answers_wanted
        self._leave_exchange()
        self._cancelled = None
        self._turn = Turn(
            messages=(*history, Message("user", content)),
            model=model,
            until=now + self.policy.turn_timeout,
            jar=self._jar.copy() if self._jar.cookies else self._fresh_jar(),
            landing_due=self._supplied is None and not self._jar.cookies,
            answering=self._answer_challenge == "always" or (self._answer_challenge == "on_demand" and wanted),
            tokens=self._conversation.tokens if self._conversation.vqd else None,
        )
        self._state = target

    def cancel(self) -> None:
        """Give the turn up; legal everywhere. The conversation is as it was before. Pull until `PAUSED`."""
        target = self._target(Trigger.CANCEL)
        if self._state not in AT_REST and self._state is not State.DRAINING:
            self._cancelled = TurnCancelled(self._text_so_far())
            self._spend_token()
        self._leave_turn()
        self._state = target

    def close(self) -> None:
        """End the session; legal everywhere, any number of times. A turn under way is given up."""
        target = self._target(Trigger.CLOSE)
        self._spend_token()
        self._leave_turn()
        self._cancelled = None
        self._state = target

    # Pull

    def next_action(self, *, now: float) -> Action:
        """Give what is next: an intent for the driver, an event for the caller, or a signal.

        Args:
            now: the caller's clock, in seconds; it never goes back.

        Returns:
            The next action.

        Raises:
            DuckChatError: the turn was refused or broke; once, after its last event. The session is then ready for
                the next `ask`, its conversation as it was before.
        """
        if self._state is not _STREAMING:
            return self._advance(now)
        # The hot path stands here itself: that of a chunk with one event, and of the pull that finds no more.
        exchange, reader = self._exchange, self._reader
        assert exchange is not None
        assert reader is not None
        chunks = exchange.chunks
        if chunks or not reader.idle or exchange.end is not None or exchange.pieces is not None:
            try:
                data = None
                if chunks and not exchange.decoder.coded:
                    data = chunks.popleft()
                    exchange.received += len(data)
                event = reader.next_event(data)
                while event is None and not reader.done and (piece := exchange.next_piece()) is not None:
                    if piece:
                        reader.feed(piece)
                    else:
                        reader.end()
                    event = reader.next_event()
            except DuckChatError as error:
                return self._step_failed(exchange, error, now)
            if event is not None:
                return event
            if reader.done:
                return self._finish(exchange, reader, now)
        if exchange.end is None:  # what `_failure` finds nearly always, without the call
            if exchange.timed != exchange.received:
                exchange.timed = exchange.received
                read_by, total_by = now + self.policy.read_timeout, exchange.total_by
                exchange.read_by = read_by if read_by < total_by else total_by  # at a quarter of what `min` takes
            if now < exchange.read_by:
                return NEED_DATA
        failure = self._failure(exchange, now)
        return NEED_DATA if failure is None else self._step_failed(exchange, self._broken(exchange, failure), now)

    def _advance(self, now: float) -> Action:
        """Move through the other states until there is an action."""
        action: Action | None = None
        while action is None:
            match self._state:
                case State.PLANNING:
                    action = self._plan(now)
                case State.REQUESTING:
                    action = self._await_head(now)
                case State.READING:
                    action = self._read(now)
                case State.WAITING | State.SOLVING:
                    action = self._await_answer(now)
                case State.DRAINING:
                    action = self._drain(now)
                case State.STREAMING:
                    action = self.next_action(now=now)
                case _:
                    action, self._cancelled = self._cancelled or PAUSED, None
        return action

    # Answers

    def receive_head(
        self, request: SendRequest, status: int, headers: Iterable[tuple[str, str]], *, now: float
    ) -> None:
        """Report the head of a response. Of interim ones (1xx) nothing counts but their size.

        Args:
            request: what it answers.
            status: the HTTP status.
            headers: the fields in order, latin-1 text; repeated where they repeat.
            now: the caller's clock, in seconds.

        Raises:
            LocalProtocolError: a head is not what is awaited, the request was never given, or one of the others is
                not of its kind.
        """
        exchange = self._exchange_of(request)
        _check_head(status, now)
        fields = as_fields(headers)
        if exchange is not None:
            if status >= 200:
                exchange.report(Head(status, fields, now))
            exchange.head_size += _STATUS_LINE + sum(len(name) + len(value) + 4 for name, value in fields)

    def receive_data(self, request: SendRequest, data: bytes) -> None:
        """Report bytes of the body, not content-decoded, cut anywhere.

        Args:
            request: what they answer.
            data: the bytes; a copy is kept of what can change.

        Raises:
            LocalProtocolError: data is not what is awaited or not bytes, or the request was never given.
        """
        exchange = self._exchange
        if type(data) is not bytes:
            data = as_bytes(data)
        if exchange is not None and exchange.request is request and exchange.phase is _AWAITING_BODY:
            exchange.chunks.append(data)  # as `Exchange.report` does, at a quarter of the time
        elif (exchange := self._exchange_of(request)) is not None:
            exchange.report(data)

    def receive_eof(self, request: SendRequest) -> None:
        """Report the end of the body, complete by its framing.

        Args:
            request: what it answers.

        Raises:
            LocalProtocolError: the end is not what is awaited, or the request was never given.
        """
        if (exchange := self._exchange_of(request)) is not None:
            exchange.report(End())

    def transport_failed(self, intent: SendRequest, failure: Failure) -> None:
        """Report that an exchange broke before its end.

        Args:
            intent: the request.
            failure: what happened.

        Raises:
            LocalProtocolError: the response has ended already, the request was never given, or the failure is none.
        """
        exchange = self._exchange_of(intent)
        check_failure(failure)
        if exchange is not None:
            exchange.report(Failed(failure))

    def wait_elapsed(self, wait: Wait) -> None:
        """Report that the time of a `Wait` has come.

        Args:
            wait: the intent.

        Raises:
            LocalProtocolError: it was never given.
        """
        if self._is_current(wait, Wait):
            self._outcome = Outcome(True)

    def challenge_solved(self, solve: SolveChallenge, answer: str) -> None:
        """Hand in the answer to a challenge.

        Args:
            solve: the intent.
            answer: the value of the ``x-vqd-hash-1`` header.

        Raises:
            LocalProtocolError: the intent was never given, or the answer can't be sent in a header.
        """
        if self._is_current(solve, SolveChallenge):
            try:
                Tokens(check_text("answer", answer))
            except InvalidToken:
                raise LocalProtocolError(
                    "the answer must be visible ASCII and at most 64 KiB, to be sent in a header"
                ) from None
            self._outcome = Outcome(True, answer)

    def challenge_failed(self, solve: SolveChallenge, text: str) -> None:
        """Say that there is no answer to a challenge; the turn ends with `UnsupportedChallenge`.

        Args:
            solve: the intent.
            text: why, for a person.

        Raises:
            LocalProtocolError: the intent was never given, or ``text`` is none.
        """
        if self._is_current(solve, SolveChallenge):
            self._outcome = Outcome(False, check_text("text", text))

    def new_id(self) -> int:
        """Take the next intent id; for what composes a session with intents of its own (`wire`)."""
        self._last_id += 1
        return self._last_id

    # Snapshots

    def snapshot(self, *, now: float) -> dict[str, Any]:
        """Give the whole session as plain data, at any moment, mid-stream included. It holds tokens and cookies.

        Args:
            now: the caller's clock, in seconds.

        Returns:
            What `restore` reads; JSON can hold it.
        """
        from ._snapshot import Snapshot  # which most conversations never need

        state, exchange, intent = self._state, self._exchange, self._intent
        last_start, held_until = self._shared.pacer.last_start, self._shared.pacer.held_until
        if state is State.DRAINING:
            state, exchange = State.READY, None
        elif exchange is not None and exchange.step is not Step.CHAT:
            state, exchange = State.PLANNING, None  # asked for again
        if isinstance(intent, Wait):
            intent = msgspec.structs.replace(intent, until=intent.until - now)
        jar = self._jar.copy()
        jar.offset = None if jar.offset is None else jar.offset + now
        return Snapshot(
            origin=self.profile.origin,
            state=state.name,
            last_id=self._last_id,
            conversation=self._conversation,
            answer_challenge=self._answer_challenge,
            solver=self._solver,
            supplied=self._supplied,
            jar=jar,
            fe_version=self._fe_version(),
            last_start=None if last_start is None else last_start - now,
            held_until=held_until - now if held_until > now else None,
            turn=None if self._turn is None else self._turn.shifted(-now),
            exchange=None if exchange is None else exchange.shifted(-now),
            reader=None if self._reader is None else self._reader.to_data(),
            intent=intent,
            outcome=self._outcome,
            cancelled=None if self._cancelled is None else self._cancelled.text,
        ).to_data()

    @classmethod
    def restore(
        cls,
        data: object,
        *,
        now: float,
        profile: ServiceProfile = DUCKDUCKGO_2025_04,
        policy: Policy | None = None,
        shared: ClientState | None = None,
        jitter: Callable[[], float] = no_jitter,
    ) -> Self:
        """Go on where another session was, here or in another process.

        A chat exchange goes on by its `request`; without its connection, report `transport_failed` for that.

        Args:
            data: what `snapshot` gave.
            now: the caller's clock, in seconds.
            profile: as for the other session.
            policy: as for a new session; its bounds count from here on, whatever those of the other session were.
            shared: as for a new session; it learns the last request's start, how long requests are held, and the
                front-end version.
            jitter: as for a new session.

        Returns:
            A session that does what the other one would have done.

        Raises:
            ConversationFormatError: the data is no snapshot, or one of another version or profile.
        """
        from ._snapshot import Snapshot

        policy = policy or Policy()
        saved = Snapshot.from_data(data, profile, policy)
        session = cls(
            profile,
            conversation=saved.conversation,
            cookies=saved.supplied,
            policy=policy,
            shared=shared,
            jitter=jitter,
            answer_challenge=saved.answer_challenge,
            solver=saved.solver,
        )
        pacer = session._shared.pacer
        if saved.last_start is not None:
            last_start = saved.last_start + now
            pacer.last_start = last_start if pacer.last_start is None else max(pacer.last_start, last_start)
        if saved.held_until is not None:
            pacer.hold(saved.held_until + now)
        session._shared.fe_version = session._shared.fe_version or saved.fe_version
        session._state = State[saved.state]
        session._last_id = saved.last_id
        session._jar = saved.jar
        session._jar.offset = None if saved.jar.offset is None else saved.jar.offset - now
        session._turn = None if saved.turn is None else saved.turn.shifted(now)
        session._outcome = saved.outcome
        session._cancelled = None if saved.cancelled is None else TurnCancelled(saved.cancelled)
        if isinstance(saved.intent, Wait):
            session._intent = msgspec.structs.replace(saved.intent, until=saved.intent.until + now)
        else:
            session._intent = saved.intent
        if saved.exchange is not None:
            session._exchange = exchange = saved.exchange.shifted(now)
            exchange.total_by = min(exchange.total_by, now + policy.total_timeout)
            exchange.read_by = min(exchange.read_by, exchange.total_by)
            exchange.resume_decoder()
        if saved.reader is not None:
            session._reader = session._new_reader(saved.reader)
        return session

    # Legality

    def _target(self, trigger: Trigger) -> State:
        """Look a move up, before anything is changed."""
        moves = TABLE[self._state]
        if trigger not in moves:
            legal = ", ".join(sorted(move.name.lower() + "()" for move in moves if move in _COMMANDS))
            raise LocalProtocolError(
                f"{trigger.name.lower()}() is not legal now ({self._state.value}); legal are {legal} and next_action()"
            )
        return moves[trigger]

    def _move(self, trigger: Trigger) -> None:
        self._state = self._target(trigger)

    def _exchange_of(self, request: SendRequest) -> Exchange | None:
        """Find the exchange that an answer is for; None for one that is over."""
        self._check_given(request, SendRequest)
        exchange = self._exchange
        return exchange if exchange is not None and exchange.request.id == request.id else None

    def _is_current(self, intent: Wait | SolveChallenge, kind: type[Wait | SolveChallenge]) -> bool:
        self._check_given(intent, kind)
        return self._intent is not None and intent.id == self._intent.id and self._outcome is None

    def _check_given(self, intent: Intent, kind: type[Intent]) -> None:
        check_kind(intent, kind)
        if intent.id > self._last_id:
            raise LocalProtocolError(
                f"{kind.__name__} {shown(intent.id)} was never given; the last intent was {self._last_id}"
            )

    # PLANNING: which request is next, and when

    def _plan(self, now: float) -> Action | None:
        turn = self._turn
        assert turn is not None
        if not turn.started:
            self._check_limits(turn)
            turn.started = True
            return TurnStarted(turn.model)
        if turn.elapsed is not None:
            # The driver's word counts: a timer that is a little early, or a test's clock that stands, is not sent back.
            now = max(now, turn.elapsed)
        if now >= turn.until:
            self._fail(self._out_of_time())
        pacer, interval = self._shared.pacer, self.profile.interval
        self._check_hold(pacer.held_until, turn, now)
        if (until := max(turn.backoff_until or -math.inf, pacer.held_until)) > now:
            return self._wait(until, "backoff")
        step = self._next_step(turn)
        if step is Step.CHAT and turn.answering and turn.answer is None:
            return self._find_answer(turn)
        if turn.slot is None:
            gap = min(interval * (1 + 0.5 * turn.retries[step]), MAX_SECONDS)
            turn.slot = pacer.reserve(now, gap, by=turn.until)
        start = max(turn.slot, pacer.earliest(interval))
        if start >= turn.until:
            text = f"the next request may begin in {start - now:.0f} s, which is longer than this turn may take"
            self._fail(ChatTimeoutError(f"{text} (turn_timeout); ask again then"))
        if start > now:
            # What to request, and whether it may begin, is decided anew when the wait is over.
            return self._wait(start, "pacing")
        pacer.begin(now)
        turn.slot = turn.elapsed = turn.backoff_until = None
        return self._send(step, self._url(step), 0, now)

    def _check_limits(self, turn: Turn) -> None:
        if self._conversation.limit_reached:
            self._fail(
                ConversationLimitError(
                    "the conversation has reached its limit; begin a new one", type="ERR_CONVERSATION_LIMIT"
                )
            )
        limit, length = self.policy.max_prompt_chars, len(turn.messages[-1].content)
        if limit is not None and length > limit:
            self._fail(
                InputLimitError(
                    f"the question is {length} characters long, and at most {limit} are sent; "
                    "shorten it, or set Policy.max_prompt_chars",
                    type="ERR_INPUT_LIMIT",
                )
            )

    def _check_hold(self, held_until: float, turn: Turn, now: float) -> None:
        """Give up where the service asked this client, in any of its turns, to stay away for longer than is waited."""
        held = held_until - now
        if held > self.policy.max_retry_after or (held > 0 and held_until >= turn.until):
            self._fail(
                RateLimitError(
                    f"the service has asked this client to stay away for now; it says to come back in {held:.0f} s",
                    retry_after=held,
                )
            )

    def _fe_version(self) -> str:
        return self._shared.fe_version or self._conversation.fe_version

    def _next_step(self, turn: Turn) -> Step:
        if turn.front_end_due and not self._fe_version():
            return Step.FRONT_END
        if turn.landing_due:
            return Step.LANDING
        return Step.STATUS if turn.tokens is None else Step.CHAT

    def _wait(self, until: float, reason: str) -> Wait:
        self._move(Trigger.WAIT)
        self._intent = wait = Wait(id=self.new_id(), until=until, reason=reason)
        return wait

    def _find_answer(self, turn: Turn) -> Action | None:
        assert turn.tokens is not None
        if not turn.tokens.vqd_hash_1:
            turn.answer = ""  # PROTOCOL.md section 5: an empty challenge gives an empty header
            return None
        from .challenge import answer_challenge, read_challenge  # which most conversations never need

        try:
            script = read_challenge(turn.tokens.vqd_hash_1, max_bytes=self.policy.max_challenge_bytes)
            if self._solver == "none":
                turn.answer = answer_challenge(script, self.profile.identity, style=self.profile.answer_style)
                return None
        except UnsupportedChallenge as error:
            self._fail(error)
        self._move(Trigger.SOLVE)
        self._intent = intent = SolveChallenge(id=self.new_id(), script=script, identity=self.profile.identity)
        return intent

    # WAITING, SOLVING

    def _await_answer(self, now: float) -> Action | None:
        outcome, turn = self._outcome, self._turn
        assert turn is not None
        if outcome is None:
            if now >= turn.until and self._state is State.SOLVING:
                self._fail(self._out_of_time())
            return self._intent  # may simply be asked for again
        if self._state is State.SOLVING:
            if not outcome.good:
                self._fail(
                    UnsupportedChallenge(f"the embedder's solver gave no answer: {printable(outcome.text, 300)}")
                )
            turn.answer = outcome.text
        else:
            assert isinstance(self._intent, Wait)
            turn.elapsed = self._intent.until
        self._intent = self._outcome = None
        self._move(Trigger.NEXT)
        return None

    # REQUESTING

    def _url(self, step: Step) -> str:
        profile = self.profile
        paths = {
            Step.FRONT_END: profile.front_end_path,
            Step.LANDING: profile.landing_path,
            Step.STATUS: profile.status_path,
            Step.CHAT: profile.chat_path,
        }
        return profile.url(paths[step])

    def _send(self, step: Step, url: str, redirects: int, now: float) -> SendRequest:
        turn, policy = self._turn, self.policy
        assert turn is not None
        method, body = "GET", b""
        match step:
            case Step.FRONT_END | Step.LANDING:
                headers = handshake.page_headers(self.profile)
            case Step.STATUS:
                headers = handshake.status_headers(self.profile)
            case _:
                assert turn.tokens is not None
                method, body = "POST", chat.chat_body(self.profile, turn.model, turn.messages)
                headers = chat.chat_headers(self.profile, self._fe_version(), turn.tokens.vqd, turn.answer or "")
                turn.chat_sent = turn.spent = True
        cookie = turn.jar.header_for(url, now=now)
        if cookie:
            headers = (*headers, ("cookie", cookie))
        total_by = min(now + policy.total_timeout, turn.until)
        timeout = min(policy.connect_timeout, total_by - now)
        request = SendRequest(id=self.new_id(), method=method, url=url, headers=headers, body=body, timeout=timeout)
        head_timeout = policy.connect_timeout + policy.write_timeout + policy.read_timeout
        self._exchange = Exchange(
            request=request,
            step=step,
            redirects=redirects,
            read_by=min(now + head_timeout, total_by),
            total_by=total_by,
        )
        self._move(Trigger.SEND)
        return request

    def _await_head(self, now: float) -> Action | None:
        exchange = self._exchange
        assert exchange is not None
        head, exchange.head = exchange.head, None
        if exchange.head_size > self.policy.max_head_bytes:
            text = f"the response's head, with the interim ones before it, is longer than {self.policy.max_head_bytes}"
            return self._step_failed(exchange, StreamTooLarge(f"{text} bytes", limit=self.policy.max_head_bytes), now)
        if head is None:
            failure = self._failure(exchange, now)
            return NEED_DATA if failure is None else self._step_failed(exchange, self._broken(exchange, failure), now)
        exchange.timed = -1
        exchange.status, exchange.headers = head.status, head.headers
        try:
            self._take_head(exchange, head.now)
        except DuckChatError as error:
            return self._step_failed(exchange, error, now)
        return None

    def _take_head(self, exchange: Exchange, when: float) -> None:
        turn = self._turn
        assert turn is not None
        status, headers = exchange.status, exchange.headers
        turn.jar.receive(exchange.request.url, headers, now=when)
        # One length that is said several times is one (RFC 9110 section 8.6).
        length, *others = {said.strip(" \t") for said in field(headers, "content-length").split(",")}
        is_number = length.isascii() and length.isdigit() and len(length) < 20
        if is_number and not others and not field(headers, "transfer-encoding"):
            exchange.expected = int(length)
        exchange.decoder = exchange.new_decoder()
        if status in REDIRECTS:
            self._redirect(exchange)  # refused at once, before its body is read
        elif exchange.step is Step.CHAT:
            # Any chat response may bring a new pair (PROTOCOL.md section 3). A redirect is not one: the same request
            # goes on to another place, with the answer that belongs to its token.
            tokens = handshake.read_tokens(headers)
            if tokens is not None:
                turn.renew(tokens)
        if exchange.step is Step.CHAT and status == 200 and _is_event_stream(headers):
            self._reader = self._new_reader()
            exchange.limit = self.policy.max_reply_bytes
            self._move(Trigger.REPLY)
            return
        if exchange.step is Step.FRONT_END and status == 200:
            exchange.limit = self.policy.max_page_bytes
        else:
            exchange.limit = self.policy.max_error_bytes
        self._move(Trigger.BODY)

    def _new_reader(self, saved: dict[str, Any] | None = None) -> chat.ReplyReader:
        make = chat.ReplyReader if saved is None else partial(chat.ReplyReader.from_data, saved)
        return make(
            strict=self.policy.strict,
            max_event_bytes=self.policy.max_event_bytes,
            max_reply_bytes=self.policy.max_reply_bytes,
        )

    # READING: a body that is not a reply

    def _read(self, now: float) -> Action | None:
        exchange = self._exchange
        assert exchange is not None
        try:
            while exchange.collect():
                pass
        except RemoteProtocolError as error:
            return self._body_read(exchange, error, now)
        if exchange.full:
            return self._body_read(exchange, self._over_limit(exchange), now)
        if isinstance(exchange.end, End):
            return self._body_read(exchange, None, now)
        failure = self._failure(exchange, now)
        # The head has said most of it: a refusal is one whether or not its body could be read.
        return NEED_DATA if failure is None else self._body_read(exchange, self._broken(exchange, failure), now)

    def _over_limit(self, exchange: Exchange) -> StreamTooLarge | None:
        if exchange.step is Step.FRONT_END and exchange.status == 200:
            return StreamTooLarge(f"the front-end page is longer than {exchange.limit} bytes", limit=exchange.limit)
        return None  # enough was read of a body of which not all is needed

    def _body_read(self, exchange: Exchange, problem: DuckChatError | None, now: float) -> Action | None:
        """Draw the conclusion from a response that is not a reply, as far as its body could be read."""
        turn, status, body = self._turn, exchange.status, exchange.body
        assert turn is not None
        del body[exchange.limit :]  # what shows that there was more
        event: Event | None = None
        try:
            if status in REDIRECTS:
                location = self._redirect(exchange)
                if now >= turn.until:
                    raise self._out_of_time()
                return self._send(exchange.step, location, exchange.redirects + 1, now)
            if status != 200 or exchange.step is Step.CHAT:
                asked = retry_after(exchange.headers)
                if asked is not None:
                    self._shared.pacer.hold(now + asked)
                raise service_error(status, bytes(body), retry_after=asked)
            match exchange.step:
                case Step.FRONT_END:
                    version = handshake.read_version(body, self.profile)
                    if not version:
                        raise problem or FrontEndVersionMissing("the front-end page has no version markers")
                    self._shared.fe_version = version
                case Step.LANDING:
                    self._landing_over(turn)
                case _:
                    turn.renew(handshake.require_tokens(exchange.headers))
                    event = handshake.read_notice(body)
        except DuckChatError as error:
            return self._step_failed(exchange, error, now)
        self._next()
        return event

    def _redirect(self, exchange: Exchange) -> str:
        location = field(exchange.headers, "location")
        return redirect_target(
            exchange.request, exchange.status, location, exchange.redirects, self.profile, self.policy
        )

    def _landing_over(self, turn: Turn) -> None:
        turn.landing_due = False
        for cookie in self._own_cookies():
            turn.jar.set(cookie)

    # The end of STREAMING, DRAINING

    def _finish(self, exchange: Exchange, reader: chat.ReplyReader, now: float) -> TurnFinished:
        """Commit the turn: the one place where a conversation changes."""
        turn, before = self._turn, self._conversation
        assert turn is not None
        text = self._text_so_far()
        # A pair that was sent is spent: where the response brought no newer one, the next turn asks for one.
        tokens = turn.tokens if turn.tokens is not None and not turn.spent else Tokens()
        self._conversation = Conversation(
            model=turn.model,
            vqd=tokens.vqd,
            vqd_hash_1=tokens.vqd_hash_1,
            message_history=(*turn.messages, Message("assistant", text)),
            cookies=turn.jar.cookies,
            fe_version=self._fe_version(),
            title=before.title if reader.title is None else reader.title,
            limit_reached=before.limit_reached or reader.limit_reached,
            answers_wanted=before.answers_wanted or turn.asked_to_answer,
        )
        self._jar = turn.jar
        self._turn = self._reader = None
        exchange.received = 0
        exchange.read_by = exchange.total_by = now + self.policy.drain_timeout
        self._move(Trigger.DONE)
        return TurnFinished(text, reader.finish_reason, turn.model, reader.served_model)

    def _drain(self, now: float) -> Action | None:
        exchange = self._exchange
        assert exchange is not None
        exchange.received += sum(map(len, exchange.chunks))
        exchange.chunks.clear()
        enough = exchange.end is not None or exchange.received > self.policy.max_drain_bytes
        return self._rest() if enough or now >= exchange.total_by else NEED_DATA

    def _rest(self) -> Signal:
        self._leave_exchange()
        self._move(Trigger.REST)
        return PAUSED

    # Time, failures, retries

    def _failure(self, exchange: Exchange, now: float) -> Failure | None:
        """Give the failure that was reported, or that the clock shows; None while there is time to wait for more."""
        if exchange.end is not None and isinstance(exchange.end, Failed):
            return exchange.end.failure
        if exchange.timed != exchange.received:
            exchange.timed = exchange.received
            exchange.read_by = min(now + self.policy.read_timeout, exchange.total_by)
        if now < exchange.read_by:
            return None
        what = f"the {exchange.step.value} request"
        if self._turn is not None and now >= self._turn.until:
            text = str(self._out_of_time())
        elif now >= exchange.total_by:
            text = f"{what} took longer than {self.policy.total_timeout:g} s (total_timeout)"
        elif self._state is State.REQUESTING:
            text = f"{what} got no response in time (connect, write and read timeouts)"
        else:
            text = f"nothing more came of the answer to {what} for {self.policy.read_timeout:g} s (read_timeout)"
        return Failure(FailureKind.TIMEOUT, text)

    def _out_of_time(self) -> ChatTimeoutError:
        return ChatTimeoutError(f"the turn took longer than {self.policy.turn_timeout:g} s (turn_timeout)")

    def _broken(self, exchange: Exchange, failure: Failure) -> DuckChatError:
        """Convert a transport failure to the exception for this phase."""
        error: DuckChatError
        text = printable(failure.text, 300) or f"the {exchange.step.value} request failed ({failure.kind.value})"
        if failure.kind is FailureKind.TIMEOUT:
            error = ChatTimeoutError(text)
        elif self._state is State.STREAMING and failure.kind is FailureKind.CUT:
            error = IncompleteStream(f"the reply was cut off before it was complete ({text}); ask again")
        else:
            error = TransportError(text, failure=failure)
        if failure.kind is FailureKind.INTERRUPTED:
            self._fail(error)  # who interrupts wants no more of it, whatever the response was to be
        if failure.kind is FailureKind.NOT_SENT and not exchange.redirects and self._turn is not None:
            self._turn.spent = False
        return error

    def _step_failed(self, exchange: Exchange, error: DuckChatError, now: float) -> Event:
        """Go on from a request that gave nothing: without it, with another try, or not at all."""
        turn, step = self._turn, exchange.step
        assert turn is not None
        event: Event
        match step:
            case Step.FRONT_END:
                if self.profile.front_end_version_required:
                    missing = FrontEndVersionMissing(f"the profile requires a front-end version: {error}")
                    missing.__cause__ = error
                    self._fail(missing)
                turn.front_end_due = False
                event = FrontEndVersionUnknown(error)
            case Step.LANDING:
                self._landing_over(turn)
                event = LandingPageFailed(error)
            case _:
                event = self._retry(turn, step, error, now)
        self._next()
        return event

    def _retry(self, turn: Turn, step: Step, error: DuckChatError, now: float) -> Event:
        """Prepare another try, or raise the error (the tables of PROTOCOL.md section 7)."""
        if self._reader is not None and self._reader.has_pieces:
            self._fail(error)
        if step is Step.CHAT and isinstance(error, ChallengeError):
            return self._answer_next(turn, error)
        if step is Step.CHAT and isinstance(error, TokenError):
            if turn.token_retried:
                self._fail(error)
            turn.token_retried = True
            turn.renew(None)
            return Retrying(1, 0.0, error)
        asked = (error.retry_after if isinstance(error, ServiceError) else None) or 0.0
        if (
            not is_retried(step, error, chat_is_repeatable=self.profile.chat_is_repeatable)
            or turn.retries[step] >= self.policy.max_retries
            or asked > self.policy.max_retry_after
        ):
            self._fail(error)
        tries = turn.retries[step] + 1
        delay = max(asked, backoff(step, tries, base=self.policy.base_delay, jitter=self._jitter()))
        if now + delay >= turn.until:
            self._fail(error)
        turn.retries[step] = tries
        turn.backoff_until = now + delay
        if isinstance(error, RateLimitError):
            turn.renew(None)
            turn.jar = self._fresh_jar()
            turn.landing_due = self._supplied is None
        elif turn.spent:
            turn.renew(None)
        return Retrying(turn.retries[step], delay, error)

    def _answer_next(self, turn: Turn, error: ChallengeError) -> Event:
        """Let the same turn go out once more, with the answer to the newest challenge (PROTOCOL.md section 5)."""
        if turn.spent:
            turn.renew(None)  # the refusal brought no pair of its own
        unanswerable = turn.tokens is not None and not turn.tokens.vqd_hash_1
        if self._answer_challenge == "never" or turn.asked_to_answer or unanswerable:
            self._fail(error)
        turn.asked_to_answer = turn.answering = True
        return ChallengeReceived()

    def _next(self) -> None:
        self._leave_exchange()
        self._move(Trigger.NEXT)

    def _fail(self, error: DuckChatError) -> NoReturn:
        """End the turn with an error; the conversation keeps all but a token that was spent."""
        if self._reader is not None:
            error.text = self._text_so_far()
        self._spend_token()
        self._leave_turn()
        self._move(Trigger.FAIL)
        raise error

    def _text_so_far(self) -> str:
        """Join what came of the reply, at its end. Its coded form goes first: each may take max_reply_bytes."""
        if self._reader is None or self._exchange is None:
            return ""
        self._exchange.coded.clear()
        return self._reader.text

    def _spend_token(self) -> None:
        if self._turn is not None and self._turn.chat_sent:
            self._conversation = msgspec.structs.replace(self._conversation, vqd="", vqd_hash_1="")

    def _leave_exchange(self) -> None:
        self._exchange = self._reader = None

    def _leave_turn(self) -> None:
        self._leave_exchange()
        self._turn = self._intent = self._outcome = None

    # Cookies

    def _own_cookies(self) -> Iterator[Cookie]:
        return self._cookies(dict(self.profile.cookies))

    def _fresh_jar(self) -> CookieJar:
        return CookieJar((*self._own_cookies(), *(self._supplied or ())))

    def _cookies(self, cookies: Mapping[str, str] | Iterable[Cookie]) -> Iterator[Cookie]:
        if isinstance(cookies, Mapping):
            cookies = [Cookie(name=name, value=value, domain=self.profile.host) for name, value in cookies.items()]
        for cookie in cookies:
            if not isinstance(cookie, Cookie):
                kind = type(cookie).__name__
                raise ValueError(f"cookies must be a mapping of names to values, or Cookie values, not {kind}")
            yield cookie


# Members of an Enum cost as much as a call on Python 3.11; these are asked for with every chunk.
_STREAMING, _AWAITING_BODY = State.STREAMING, ExchangeState.AWAITING_BODY
#: The size of a status line without a reason, and of the blank line that ends a head.
_STATUS_LINE = len("HTTP/1.1 200 \r\n\r\n")
_NO_TIME = 1e300  # from which on reckoning with it comes to no number
_COMMANDS = frozenset({Trigger.ASK, Trigger.CANCEL, Trigger.CLOSE})


# What a driver or a caller hands in


def check_kind(intent: object, kind: type[msgspec.Struct]) -> None:
    """Refuse what is no intent of a kind.

    Raises:
        LocalProtocolError: what it is instead.
    """
    if not isinstance(intent, kind):
        raise LocalProtocolError(f"this answers a {kind.__name__}, not a {type(intent).__name__}")
    if type(id := getattr(intent, "id", None)) is not int:
        raise LocalProtocolError(f"the id of a {kind.__name__} is a whole number, not {shown(id)}")


def _check_head(status: object, now: object) -> None:
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 999:
        raise LocalProtocolError(f"status must be a whole number from 100 to 999, not {shown(status)}")
    if not isinstance(now, int | float) or isinstance(now, bool) or not abs(now) < _NO_TIME:
        raise LocalProtocolError(f"now must be a finite number of seconds, not {shown(now)}")


def check_failure(failure: object) -> None:
    """Refuse what is no failure.

    Raises:
        LocalProtocolError: it is none, or its members are of other kinds.
    """
    members: tuple[object, object] = (failure.kind, failure.text) if isinstance(failure, Failure) else (None, None)
    if not (isinstance(members[0], FailureKind) and isinstance(members[1], str)):
        raise LocalProtocolError("what failed is told by a Failure with a FailureKind and a text")


def check_text(what: str, text: str) -> str:
    """Give a text back.

    Raises:
        LocalProtocolError: it is none.
    """
    if not isinstance(text, str):
        raise LocalProtocolError(f"{what} must be text, not {type(text).__name__}")
    return text


def as_bytes(data: object) -> bytes:
    """Give the bytes of any buffer, as a copy.

    Raises:
        LocalProtocolError: it is no buffer.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise LocalProtocolError(f"data must be bytes, not {type(data).__name__}")
    return bytes(data)


def as_fields(headers: Iterable[tuple[str, str]]) -> Headers:
    """Give the fields of a head, their names in lower case.

    Raises:
        LocalProtocolError: they are not pairs of latin-1 text.
    """
    try:
        fields = tuple((name.lower(), value) for name, value in headers)
        for name, value in fields:
            (name + value).encode("latin-1")
    except (AttributeError, TypeError, ValueError):
        raise LocalProtocolError("headers must be pairs of latin-1 text") from None
    return fields


def _is_event_stream(headers: Headers) -> bool:
    return field(headers, "content-type").partition(";")[0].strip(" \t").lower() == "text/event-stream"
