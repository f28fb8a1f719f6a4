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

This module keeps commands, reports and moves in order, by the tables of `_state`. What they mean is elsewhere: which
request is next in `_plan`, what a response says in `_response` and `chat`, what follows a failure in `_failure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import msgspec

from . import _plan, chat
from ._exchange import End, Exchange, Failed, Head
from ._failure import error_of, go_on
from ._phases import (
    Closed,
    Draining,
    Exchanging,
    InTurn,
    Phase,
    Planning,
    Reading,
    Ready,
    Requesting,
    Solved,
    Solving,
    Starting,
    Streaming,
    Unsolved,
    Waiting,
)
from ._plan import Pause, Riddle
from ._reports import as_bytes, as_fields, check_failure, check_head, check_kind, check_text
from ._response import collect, conclude, is_reply, read_head, redirected_to
from ._setup import AnswerChallenge as AnswerChallenge
from ._setup import Setup
from ._setup import Solver as Solver
from ._state import COMMANDS, MOVES, Awaited, Command, Move, Report, State
from ._turn import Credentials, Turn
from .conversation import Conversation, Message, Tokens
from .cookies import Cookie, CookieJar
from .errors import (
    DuckChatError,
    InvalidToken,
    LocalProtocolError,
    RemoteProtocolError,
    StreamTooLarge,
    UnsupportedChallenge,
)
from .events import Event, TurnCancelled, TurnFinished, TurnStarted
from .intents import (
    NEED_DATA,
    PAUSED,
    Failure,
    FailureKind,
    Intent,
    SendRequest,
    Signal,
    SolveChallenge,
    Wait,
)
from .pace import ClientState
from .policy import Policy
from .profile import DUCKDUCKGO_2025_04, ServiceProfile
from .redirect import REDIRECTS
from .steps import Step
from .text import printable, shown

Action = Intent | Event | Signal
"""Whatever `Session.next_action` returns."""


def no_jitter() -> float:
    """Return the middle of the jitter's range. The core draws no randomness; an embedder passes `random.random`."""
    return 0.5


class Session:
    """A conversation with the service, one turn at a time.

    Args:
        profile: the facts about the service.
        conversation: one to continue; None begins a new one.
        model: the model of the conversation, by id or alias; None keeps the conversation's, or takes the default.
        cookies: the embedder's own jar, as names and values or as `Cookie` values; no landing page is visited then.
        policy: tries, times, bounds, and strictness.
        shared: what the sessions of one client have in common; None makes one for this session alone.
        jitter: returns a number in [0, 1) for each backoff.
        answer_challenge: when challenges are answered: ``"on_demand"``, ``"always"`` or ``"never"`` (PROTOCOL.md
            section 5).
        solver: who answers challenges: ``"none"`` leaves it to this package, which reads the plain form;
            ``"embedder"`` hands every challenge out as a `SolveChallenge`.
        trace: is told each state that the session enters.

    Raises:
        ModelNotSupportedError: the profile has no such model.
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
        trace: Callable[[State], object] | None = None,
    ) -> None:
        self._setup = Setup(
            profile, policy or Policy(), shared or ClientState(), jitter, answer_challenge, solver, cookies
        )
        conversation = conversation or Conversation()
        if model is not None or not conversation.model:
            conversation = msgspec.structs.replace(conversation, model=profile.validate_model(model))
        self._conversation = conversation
        supplied = self._setup.supplied is not None
        self._jar = self._setup.fresh_jar() if supplied else CookieJar(conversation.cookies)
        self._last_id = 0
        self._trace = trace
        self._phase: Phase = Ready()
        self._enter(self._phase)

    # Inspection

    @property
    def profile(self) -> ServiceProfile:
        """The facts about the service, as given."""
        return self._setup.profile

    @property
    def policy(self) -> Policy:
        """Tries, times, bounds, and strictness, as given."""
        return self._setup.policy

    @property
    def shared(self) -> ClientState:
        """What this session has in common with those of the same client."""
        return self._setup.shared

    @property
    def jitter(self) -> Callable[[], float]:
        """What returns a number in [0, 1) for each backoff; it may be replaced."""
        return self._setup.jitter

    @jitter.setter
    def jitter(self, jitter: Callable[[], float]) -> None:
        self._setup.jitter = jitter

    @property
    def state(self) -> State:
        """Where the session is. It changes when an action is pulled or a command is given."""
        return self._phase.state

    @property
    def conversation(self) -> Conversation:
        """The conversation as of the last turn that was done."""
        return self._conversation

    @property
    def request(self) -> SendRequest | None:
        """The request whose response is not complete, if there is one: what reports name after `restore`."""
        exchange = self._exchange
        return None if exchange is None or exchange.end is not None else exchange.request

    @property
    def deadline(self) -> float | None:
        """The latest time at which `next_action` must be called again, on the caller's clock; None for none."""
        if self._exchange is not None:
            return self._exchange.read_by
        return self._phase.turn.until if isinstance(self._phase, InTurn) else None

    def __repr__(self) -> str:
        return f"<Session {self.state.name} at {self.profile.origin}, {self._conversation!r}>"

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
        self._check_command(Command.ASK)
        setup, conversation = self._setup, self._conversation
        model = setup.profile.validate_model(model or conversation.model)
        history = conversation.message_history
        content = chat.read_question(messages, first=not history)
        answering = setup.answer_challenge == "always" or (
            setup.answer_challenge == "on_demand" and conversation.answers_wanted
        )
        self._enter(
            Starting(
                Turn(
                    messages=(*history, Message("user", content)),
                    model=model,
                    until=now + setup.policy.turn_timeout,
                    jar=self._jar.copy() if self._jar.cookies else setup.fresh_jar(),
                    landing_due=setup.supplied is None and not self._jar.cookies,
                    answering=answering,
                    credentials=Credentials(conversation.tokens) if conversation.vqd else None,
                )
            )
        )

    def cancel(self) -> None:
        """Give the turn up; legal everywhere. The conversation is as it was before. Pull until `PAUSED`."""
        self._check_command(Command.CANCEL)
        match self._phase:
            case Ready() | Closed():
                pass
            case Draining():
                self._enter(Ready())
            case phase:
                cancelled = TurnCancelled(_text_of(phase) if isinstance(phase, Streaming) else "")
                self._drop_spent_token(phase)
                self._enter(Ready(cancelled))

    def close(self) -> None:
        """End the session; legal everywhere, any number of times. A turn under way is given up."""
        self._check_command(Command.CLOSE)
        self._drop_spent_token(self._phase)
        self._enter(Closed())

    # Pull

    def next_action(self, *, now: float) -> Action:
        """Return what is next: an intent for the driver, an event for the caller, or a signal.

        Args:
            now: the caller's clock, in seconds; it never goes back.

        Returns:
            The next action.

        Raises:
            DuckChatError: the turn was refused or broke; once, after its last event. The session is then ready for
                the next `ask`, its conversation as it was before.
        """
        try:
            while True:
                step = self._step
                action = step(self, self._phase, now)
                if action is not None:
                    return action
        except DuckChatError as error:
            self._fail(error)
            raise

    # Reports

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
        self._check_given(request, SendRequest)
        check_head(status, now)
        head = Head(status, as_fields(headers), now)
        exchange = self._exchange_of(request)
        if exchange is None:
            return
        if status >= 200:
            exchange.report(Report.HEAD)
            exchange.head = head
        exchange.heads += head.size

    def receive_data(self, request: SendRequest, data: bytes) -> None:
        """Report bytes of the body, not content-decoded, cut anywhere.

        Args:
            request: what they answer.
            data: the bytes; a copy is kept of what can change.

        Raises:
            LocalProtocolError: data is not what is awaited or not bytes, or the request was never given.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        exchange = self._exchange
        # A chunk that is awaited changes nothing in the table: to leave that out is 9 % of an event's instructions.
        if exchange is None or exchange.request is not request or exchange.awaited is not _BODY:
            exchange = self._exchange_of(request)
            if exchange is None:
                return
            exchange.report(Report.DATA)
        exchange.chunks.append(data)
        exchange.received += len(data)
        exchange.heard = True

    def receive_eof(self, request: SendRequest) -> None:
        """Report the end of the body, complete by its framing.

        Args:
            request: what it answers.

        Raises:
            LocalProtocolError: the end is not what is awaited, or the request was never given.
        """
        if (exchange := self._exchange_of(request)) is not None:
            exchange.report(Report.EOF)
            exchange.end = End()

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
            exchange.report(Report.FAILED)
            exchange.end = Failed(failure)

    def wait_elapsed(self, wait: Wait) -> None:
        """Report that the time of a `Wait` has come.

        Args:
            wait: the intent.

        Raises:
            LocalProtocolError: it was never given.
        """
        self._check_given(wait, Wait)
        if isinstance(self._phase, Waiting) and self._phase.wait.id == wait.id:
            self._phase.over = True

    def challenge_solved(self, solve: SolveChallenge, answer: str) -> None:
        """Report the answer to a challenge.

        Args:
            solve: the intent.
            answer: the value of the ``x-vqd-hash-1`` header.

        Raises:
            LocalProtocolError: the intent was never given, or the answer can't be sent in a header.
        """
        phase = self._solving(solve)
        if phase is None:
            return
        try:
            Tokens(check_text("answer", answer))
        except InvalidToken:
            raise LocalProtocolError(
                "the answer must be visible ASCII and at most 64 KiB, to be sent in a header"
            ) from None
        phase.outcome = Solved(answer)

    def challenge_failed(self, solve: SolveChallenge, text: str) -> None:
        """Report that there is no answer to a challenge. The turn ends with `UnsupportedChallenge`.

        Args:
            solve: the intent.
            text: why, for a person.

        Raises:
            LocalProtocolError: the intent was never given, or ``text`` is none.
        """
        phase = self._solving(solve)
        if phase is not None:
            phase.outcome = Unsolved(check_text("text", text))

    def _solving(self, solve: SolveChallenge) -> Solving | None:
        """Return the phase that awaits this answer; None where none does any more."""
        self._check_given(solve, SolveChallenge)
        phase = self._phase
        return phase if isinstance(phase, Solving) and phase.solve.id == solve.id and phase.outcome is None else None

    # Snapshots

    def snapshot(self, *, now: float) -> dict[str, Any]:
        """Return the whole session as plain data, at any moment, mid-stream included. It holds tokens and cookies.

        Args:
            now: the caller's clock, in seconds.

        Returns:
            What `restore` reads; JSON can hold it.
        """
        from ._snapshot import save  # which most conversations never need

        version = _plan.fe_version(self._setup, self._conversation)
        return save(
            self._setup, self._conversation, self._jar, self._phase, fe_version=version, last_id=self._last_id, now=now
        )

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
        trace: Callable[[State], object] | None = None,
    ) -> Self:
        """Continue where another session was, here or in another process.

        A chat exchange continues by its `request`; without its connection, report `transport_failed` for that.

        Args:
            data: what `snapshot` returned.
            now: the caller's clock, in seconds.
            profile: as for the other session.
            policy: as for a new session; its bounds count from here on, whatever those of the other session were.
            shared: as for a new session; it learns the last request's start, how long requests are held, and the
                front-end version.
            jitter: as for a new session.
            trace: as for a new session.

        Returns:
            A session that does what the other one would have done.

        Raises:
            ConversationFormatError: the data is no snapshot, or one of another version or profile.
        """
        from ._snapshot import load

        policy = policy or Policy()
        saved = load(data, profile, policy, now)
        session = cls(
            profile,
            conversation=saved.conversation,
            cookies=saved.supplied,
            policy=policy,
            shared=shared,
            jitter=jitter,
            answer_challenge=saved.answer_challenge,
            solver=saved.solver,
            trace=trace,
        )
        session._last_id = saved.last_id
        session._jar = saved.jar
        session._enter(saved.phase)
        session.shared.learn(
            fe_version=saved.fe_version,
            last_start=saved.last_start,
            held_until=saved.held_until,
        )
        return session

    # What each phase does when the next action is pulled; None where another phase is to go on

    def _rest(self, phase: Ready | Closed, now: float) -> Action:
        cancelled, phase.cancelled = phase.cancelled, None
        return cancelled or PAUSED

    def _start(self, phase: Starting, now: float) -> Action:
        turn = phase.turn
        _plan.check_limits(self._setup, self._conversation, turn.messages[-1].content)
        self._enter(Planning(turn))
        return TurnStarted(turn.model)

    def _choose(self, phase: Planning, now: float) -> Action:
        turn = phase.turn
        match _plan.next_step(self._setup, self._conversation, turn, now):
            case Pause(until, reason):
                wait = Wait(id=self._new_id(), until=until, reason=reason)
                self._move(Move.WAIT, Waiting(turn, wait))
                return wait
            case Riddle(script, tokens):
                solve = SolveChallenge(id=self._new_id(), script=script, identity=self.profile.identity)
                self._move(Move.SOLVE, Solving(turn, solve, tokens))
                return solve
            case step:
                return self._send(turn, step, _plan.url_of(self._setup, step), 0, now)

    def _send(self, turn: Turn, step: Step, url: str, redirects: int, now: float) -> SendRequest:
        request = _plan.write_request(self._setup, self._conversation, turn, step, url, id=self._new_id(), now=now)
        exchange = Exchange(request, step, redirects, self._setup.policy, now=now, turn_until=turn.until)
        self._move(Move.SEND, Requesting(exchange, turn))
        return request

    def _wait(self, phase: Waiting, now: float) -> Action | None:
        if not phase.over:
            return phase.wait  # may simply be asked for again
        phase.turn.elapsed = phase.wait.until
        self._move(Move.NEXT, Planning(phase.turn))
        return None

    def _solve(self, phase: Solving, now: float) -> Action | None:
        turn = phase.turn
        match phase.outcome:
            case None:
                if now >= turn.until:
                    raise _plan.out_of_time(self._setup)
                return phase.solve  # may simply be asked for again
            case Unsolved(text):
                raise UnsupportedChallenge(f"the embedder's solver gave no answer: {printable(text, 300)}")
            case solved:
                turn.credentials = Credentials(phase.tokens, solved.answer)
        self._move(Move.NEXT, Planning(turn))
        return None

    def _read_head(self, phase: Requesting, now: float) -> Action | None:
        exchange, turn, head = phase.exchange, phase.turn, phase.exchange.head
        most = self._setup.policy.max_head_bytes
        if exchange.heads > most:
            text = f"the response's head, with the interim ones before it, is longer than {most} bytes"
            return self._go_on(phase, StreamTooLarge(text, limit=most), now)
        if head is None:
            failure = exchange.failure(now)
            return NEED_DATA if failure is None else self._go_on(phase, self._error_of(phase, failure), now)
        exchange.head = None
        try:
            body = read_head(self._setup, turn, exchange, head)
        except DuckChatError as error:
            return self._go_on(phase, error, now)
        if is_reply(exchange.step, head):
            self._move(Move.REPLY, Streaming(exchange, turn, body, chat.ReplyReader(self._setup.policy)))
        else:
            self._move(Move.BODY, Reading(exchange, turn, body, bytearray()))
        return None

    def _read_body(self, phase: Reading, now: float) -> Action | None:
        exchange, turn, body = phase.exchange, phase.turn, phase.body
        problem: DuckChatError | None = None
        try:
            if not collect(exchange, body, phase.text):
                # The head has said most of it: a refusal is one whether or not its body could be read.
                failure = exchange.failure(now)
                if failure is None:
                    return NEED_DATA
                problem = self._error_of(phase, failure)
        except RemoteProtocolError as error:
            problem = error
        try:
            if body.status in REDIRECTS:
                url = redirected_to(self._setup, exchange, body)
                if now >= turn.until:
                    raise _plan.out_of_time(self._setup)
                return self._send(turn, exchange.step, url, exchange.redirects + 1, now)
            event = conclude(self._setup, turn, exchange.step, body, phase.text, problem, now)
        except DuckChatError as error:
            return self._go_on(phase, error, now)
        self._move(Move.NEXT, Planning(turn))
        return event

    def _stream(self, phase: Streaming, now: float) -> Action | None:
        exchange, reader = phase.exchange, phase.reader
        try:
            if reader.chunks or not reader.idle:
                event = reader.next_event()
                if event is not None:
                    return event
            if phase.body.coded:
                while not reader.done and phase.body.decode(exchange):
                    event = reader.next_event()
                    if event is not None:
                        return event
            if exchange.end is not None and not reader.done and phase.body.end(exchange):
                reader.end()
                event = reader.next_event()
                if event is not None:
                    return event
        except DuckChatError as error:
            return self._give_up(phase, error, now)
        if reader.done:
            return self._commit(phase, now)
        failure = exchange.failure(now)
        return NEED_DATA if failure is None else self._give_up(phase, self._error_of(phase, failure), now)

    def _give_up(self, phase: Streaming, error: DuckChatError, now: float) -> Event:
        """Handle a reply that failed. Once the caller has some of it, nothing is asked again."""
        if phase.reader.has_pieces:
            raise error
        return self._go_on(phase, error, now)

    def _commit(self, phase: Streaming, now: float) -> TurnFinished:
        """Commit the turn: the one place where a conversation changes."""
        turn, reader, before = phase.turn, phase.reader, self._conversation
        text = _text_of(phase)
        # A pair that was sent is spent: where the response brought no newer one, the next turn asks for one.
        unspent = turn.credentials is not None and not turn.credentials.spent
        tokens = turn.credentials.tokens if turn.credentials is not None and unspent else Tokens()
        self._conversation = Conversation(
            model=turn.model,
            vqd=tokens.vqd,
            vqd_hash_1=tokens.vqd_hash_1,
            message_history=(*turn.messages, Message("assistant", text)),
            cookies=turn.jar.cookies,
            fe_version=_plan.fe_version(self._setup, before),
            title=before.title if reader.title is None else reader.title,
            limit_reached=before.limit_reached or reader.limit_reached,
            answers_wanted=before.answers_wanted or turn.asked_to_answer,
        )
        self._jar = turn.jar
        phase.exchange.read_by = phase.exchange.total_by = now + self.policy.drain_timeout
        self._move(Move.DONE, Draining(phase.exchange, self.policy.max_drain_bytes))
        return TurnFinished(text, reader.finish_reason, turn.model, reader.served_model)

    def _drain(self, phase: Draining, now: float) -> Action:
        exchange = phase.exchange
        phase.left -= sum(map(len, exchange.chunks))
        exchange.chunks.clear()
        if exchange.end is None and phase.left >= 0 and now < exchange.total_by:
            return NEED_DATA
        self._move(Move.REST, Ready())
        return PAUSED

    # What phases have in common

    def _error_of(self, phase: Requesting | Reading | Streaming, failure: Failure) -> DuckChatError:
        """Return what a failure means for an exchange, or raise it: an interruption ends the turn in any case."""
        error = error_of(failure, phase.exchange, in_reply=isinstance(phase, Streaming))
        if failure.kind is FailureKind.INTERRUPTED:
            raise error  # whoever interrupts wants no more of the turn, whatever the response was to be
        return error

    def _go_on(self, phase: Requesting | Reading | Streaming, error: DuckChatError, now: float) -> Event:
        """Continue the turn after a failed request, or raise what ends it."""
        event = go_on(self._setup, phase.turn, phase.exchange, error, now)
        self._move(Move.NEXT, Planning(phase.turn))
        return event

    def _fail(self, error: DuckChatError) -> None:
        """End the turn with an error. The conversation keeps all but a token that was spent."""
        phase = self._phase
        if isinstance(phase, Streaming):
            error.text = _text_of(phase)
        self._drop_spent_token(phase)
        self._move(Move.FAIL, Ready())

    def _drop_spent_token(self, phase: Phase) -> None:
        if isinstance(phase, InTurn) and phase.turn.chat_sent:
            self._conversation = msgspec.structs.replace(self._conversation, vqd="", vqd_hash_1="")

    # Legality

    def _check_command(self, command: Command) -> None:
        legal = COMMANDS[self.state]
        if command not in legal:
            names = ", ".join(sorted(other.name.lower() + "()" for other in legal))
            raise LocalProtocolError(
                f"{command.name.lower()}() is not legal now ({self.state.value}); legal are {names} and next_action()"
            )

    def _move(self, move: Move, phase: Phase) -> None:
        state = self._phase.state
        assert MOVES[state].get(move) is phase.state, f"a bug of ddg-protocol: {move.name} from {state.name}"
        self._enter(phase)

    def _enter(self, phase: Phase) -> None:
        if self._trace is not None and phase.state is not self._phase.state:
            self._trace(phase.state)
        self._phase = phase
        # For what runs once a chunk:
        self._step = _STEPS[type(phase)]
        self._exchange = phase.exchange if isinstance(phase, Exchanging) else None

    def _exchange_of(self, request: SendRequest) -> Exchange | None:
        """Return the exchange that a report is about; None for one that is over."""
        self._check_given(request, SendRequest)
        exchange = self._exchange
        return exchange if exchange is not None and exchange.request.id == request.id else None

    def _check_given(self, intent: Intent, kind: type[Intent]) -> None:
        check_kind(intent, kind)
        if intent.id > self._last_id:
            raise LocalProtocolError(
                f"{kind.__name__} {shown(intent.id)} was never given; the last intent was {self._last_id}"
            )

    def _new_id(self) -> int:
        """Take the next intent id. A `wire.WireSession` takes those of its own intents here, too."""
        self._last_id += 1
        return self._last_id


def _text_of(phase: Streaming) -> str:
    """Join what came of a reply, at its end. Its coded form goes first: each may take ``max_reply_bytes``."""
    phase.body.fed.clear()
    return phase.reader.text


_STEPS: dict[type[Phase], Callable[[Session, Any, float], Action | None]] = {
    Ready: Session._rest,
    Closed: Session._rest,
    Starting: Session._start,
    Planning: Session._choose,
    Waiting: Session._wait,
    Solving: Session._solve,
    Requesting: Session._read_head,
    Reading: Session._read_body,
    Streaming: Session._stream,
    Draining: Session._drain,
}
"""What each phase does when an action is pulled."""

_BODY = Awaited.BODY
"""For what runs once a chunk: on Python 3.11, to look up an Enum's member costs as much as a call."""
