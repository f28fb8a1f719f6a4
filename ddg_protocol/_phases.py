"""Where a session is, as values: each phase holds what is known there, and says what a pull does there.

No phase has a field that is only sometimes there: a state that can't be can't be written. What lasts from phase to
phase is in the `Machine`. `Session.next_action` calls `pull` of the phase, and again while it returns None: that means
that another phase was entered.

Two phases share the state PLANNING: `Starting` is a turn that the caller has not been told of yet. The phases of
COORDINATING, and `LeasedStreaming`, are those of a coordinated turn. What it asks of the shared engine, and what
follows from the results, is the business of the `Coordinator`, which `_coordinate` has.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from . import _plan, _request
from ._exchange import Asked, Exchange
from ._limits import check_limits
from ._plan import Ask, Challenge, Next, Pause
from ._response import Body, collect, conclude, is_reply, read_head, redirected_to
from ._setup import Setup
from ._state import MOVES, Move, State
from ._turn import Completed, Credentials, Owed, Standing, Turn, TurnOptions
from .conversation import Conversation, Message, Messages, Tokens
from .cookies import CookieJar
from .errors import DuckChatError, RemoteProtocolError, StreamTooLarge, UnsupportedChallenge
from .events import (
    EarlierTurnUnfinished,
    Event,
    ModelsReceived,
    Queued,
    ReplyRecalled,
    TextDelta,
    TurnCancelled,
    TurnFinished,
    TurnStarted,
)
from .handshake import are_usable
from .headers import Headers
from .intents import (
    NEED_DATA,
    PAUSED,
    Coordinate,
    Failure,
    FailureKind,
    Intent,
    SendRequest,
    Signal,
    SolveChallenge,
    Wait,
)
from .redirect import REDIRECTS
from .reply import ReplyReader
from .steps import Step
from .text import printable

if TYPE_CHECKING:
    from typing import Protocol

    from .coordination import Call, Commit

    # For type checkers alone: to make a Protocol costs an import of this package one percent.
    class Coordinator(Protocol):
        """What a coordinated session has besides: the rules by which its turns go by a shared engine."""

        def next_step(self, conversation: Conversation, turn: Turn, standing: Standing, now: float) -> Next:
            """Choose what a turn does next, in place of `_plan.next_step`."""

        def conclude(self, machine: Machine, phase: Coordinating | Committing, now: float) -> Action | None:
            """Go on with a turn that has asked the engine."""

        def commit_call(self, turn: Turn, completed: Completed) -> Commit:
            """Return the call that commits a turn."""

        def renewal(self, machine: Machine, standing: Standing, now: float) -> Action | None:
            """Return what the lease of a turn needs while an exchange is under way."""

        def leave(self, machine: Machine, phase: InTurn, standing: Standing) -> None:
            """Note what the engine has still to be told of a turn that ends."""

        def settle(self, machine: Machine, owed: Owed, now: float) -> Action | None:
            """Return what the engine has still to be told, or the event that follows."""

        def stand(self, messages: Messages, model: str | None, key: str, now: float) -> Standing:
            """Return the standing of a turn that begins."""

        def stand_for_pace(self, now: float) -> Standing:
            """Return the standing of a turn that goes by the engine for its pace alone."""


Action = Intent | Event | Signal
"""Whatever `Session.next_action` returns."""


class Machine:
    """What a session has in every phase, and the phase.

    Args:
        setup: profile, policy, and settings.
        conversation: the one to continue.
        trace: is called with each state that is entered.
        coordinator: has the rules of a coordinated session; None for any other.

    Attributes:
        setup: as given.
        coordinator: as given.
        conversation: as of the last turn that was done.
        jar: the cookies as of then.
        last_id: the newest intent's id.
        phase: where the session is.
        exchange: that of the phase, if it has one.
        text_alone: the newest history that is known to hold nothing but text. Looking at each message again would cost
            6 % of a long conversation's turn.
        aside: a Coordinate that is out, and that no turn waits for: a renewal, or what is owed; None without one.
        owed: what the shared engine has still to be told of a turn that has ended; None if there is nothing.
    """

    def __init__(
        self,
        setup: Setup,
        conversation: Conversation,
        trace: Callable[[State], object] | None,
        coordinator: Coordinator | None = None,
    ) -> None:
        self.setup = setup
        self.coordinator = coordinator
        self.conversation = conversation
        self.jar = CookieJar(conversation.cookies) if setup.supplied is None else setup.fresh_jar()
        self.last_id = 0
        self._trace = trace
        self.phase: Phase = Ready()
        self.exchange: Exchange | None = None
        self.text_alone: tuple[Message, ...] = ()
        self.aside: Asked | None = None
        self.owed: Owed | None = None

    def is_text_alone(self) -> bool:
        """Return whether nothing is in the history but text."""
        history = self.conversation.message_history
        if history is not self.text_alone and all(message.is_text_alone for message in history):
            self.text_alone = history
        return history is self.text_alone

    def is_question_text_alone(self, question: Message, model: str) -> bool:
        """Return whether a question and its history are text alone.

        Raises:
            LocalProtocolError: the model doesn't take the images or files in them.
        """
        if question.is_text_alone and self.is_text_alone():
            return True
        from ._limits import check_kinds  # which most conversations never need

        profile = self.setup.profile
        check_kinds(profile, profile.model(model), (*self.conversation.message_history, question))
        return False

    def new_turn(
        self, question: Message, *, is_text_alone: bool, options: TurnOptions, model: str, until: float
    ) -> Turn:
        """Return a turn that continues the conversation.

        Args:
            question: the new message.
            is_text_alone: whether nothing is in it and the history but text.
            options: what it asks for besides.
            model: the id of the model.
            until: when all of it must be over, on the caller's clock.
        """
        setup, conversation = self.setup, self.conversation
        tokens = conversation.tokens
        return Turn(
            messages=(*conversation.message_history, question),
            is_text_alone=is_text_alone,
            options=options,
            model=model,
            until=until,
            jar=setup.jar_for_turn(self.jar),
            landing_due=setup.lands and not self.jar.cookies,
            answering=setup.answers_at_once(conversation),
            credentials=Credentials(tokens) if are_usable(tokens, setup.profile) else None,
            ids=setup.kept_ids("conversation", dict(conversation.ids)),
        )

    def new_id(self) -> int:
        """Take the next intent id."""
        self.last_id += 1
        return self.last_id

    def move(self, move: Move, phase: Phase) -> None:
        """Enter a phase by a move, which has to be in the table."""
        state = self.phase.state
        assert MOVES[state].get(move) is phase.state, f"a bug of ddg-protocol: {move.name} from {state.name}"
        self.enter(phase)

    def enter(self, phase: Phase) -> None:
        """Enter a phase."""
        if self._trace is not None and phase.state is not self.phase.state:
            self._trace(phase.state)
        self.phase = phase
        self.exchange = phase.exchange if isinstance(phase, Exchanging) else None

    def send(self, turn: Turn, step: Step, url: str, redirects: int, now: float) -> SendRequest:
        """Write a request, and enter the phase that awaits its response."""
        request = _request.write_request(self.setup, self.conversation, turn, step, url, id=self.new_id(), now=now)
        policy, standing = self.setup.policy, turn.standing
        exchange = Exchange(request, step, redirects, policy, now=now, turn_until=turn.until, standing=standing)
        self.move(Move.SEND, Requesting(exchange, turn))
        return request

    def ask_engine(self, call: Call) -> Asked:
        """Return a call for the shared engine with its intent, which is not out yet."""
        return Asked(Coordinate(id=self.new_id(), call=call))

    def need_data(self, turn: Turn, now: float) -> Action:
        """Return NEED_DATA, or what the turn's lease needs first."""
        if self.coordinator is None or turn.standing is None:
            return NEED_DATA
        return self.coordinator.renewal(self, turn.standing, now) or NEED_DATA

    def settle(self, now: float) -> Action | None:
        """Return what the shared engine is still to be told of the last turn; None if there is nothing more."""
        if self.coordinator is None or self.owed is None:
            return None
        return self.coordinator.settle(self, self.owed, now)

    def commit(self, turn: Turn, completed: Completed) -> None:
        """Commit a turn: the one place where a turn changes the conversation."""
        self.conversation = completed.conversation
        if turn.is_text_alone and completed.conversation.message_history[-1].is_text_alone:
            self.text_alone = completed.conversation.message_history
        self.jar = turn.jar

    def fail(self, error: DuckChatError) -> None:
        """End the turn with an error, which gets the text that came. The conversation keeps all but a spent token."""
        phase = self.phase
        if isinstance(phase, Streaming):
            error.text = phase.text
        elif isinstance(phase, InTurn) and phase.turn.completed is not None:
            error.text = phase.turn.completed.finished.text
        self.leave_turn()
        self.move(Move.FAIL, Ready())

    def leave_turn(self) -> None:
        """Free the turn's place in the queue, and drop the conversation's token if the turn has sent it."""
        if isinstance(self.phase, InTurn):
            self.setup.shared.pacer.leave(self.phase.turn.ticket)
            if self.phase.turn.chat_sent:  # a token is valid for one chat request
                self.conversation = msgspec.structs.replace(self.conversation, vqd="", vqd_hash_1="")
            if self.coordinator is not None and self.phase.turn.standing is not None:
                self.coordinator.leave(self, self.phase, self.phase.turn.standing)


class _Phase(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    """What the phases have in common: snapshots tell them apart by their names."""


class _AtRest(_Phase):
    """Nothing is asked of the driver. `cancelled` is an event that the caller has still to get."""

    cancelled: TurnCancelled | None = None

    def pull(self, machine: Machine, now: float) -> Action:
        """Return the event that is left and what the shared engine is still to be told, then PAUSED."""
        cancelled, self.cancelled = self.cancelled, None
        return cancelled or machine.settle(now) or PAUSED


class Ready(_AtRest):
    """At rest."""

    state = State.READY


class Closed(_AtRest):
    """At rest for good."""

    state = State.CLOSED


class Starting(_Phase):
    """A turn was asked for."""

    state = State.PLANNING
    turn: Turn

    def pull(self, machine: Machine, now: float) -> Action | None:
        """Check the question against the limits, if there is one, and begin the turn."""
        turn, asks = self.turn, self.turn.goal is Step.CHAT
        if (action := machine.settle(now)) is not None:
            return action
        turn.ticket = machine.setup.shared.pacer.enter(now)
        if turn.standing is not None and turn.standing.key is not None:
            asks = False  # until it has its conversation
        if asks:
            check_limits(machine.setup, machine.conversation, turn.messages[-1])
        machine.enter(Planning(turn))
        return TurnStarted(turn.model) if asks else None


class Planning(_Phase):
    """The next step of a turn is to be chosen."""

    state = State.PLANNING
    turn: Turn

    def pull(self, machine: Machine, now: float) -> Action:
        """Choose the next step: time, the embedder's answer to a challenge, or a request.

        A turn that queues says so before its wait; it is still PLANNING then.
        """
        turn, coordinator, step = self.turn, machine.coordinator, None
        if coordinator is not None and turn.standing is not None:
            step = coordinator.next_step(machine.conversation, turn, turn.standing, now)
        match step or _plan.next_step(machine.setup, machine.conversation, turn, now):
            case Pause(until, reason):
                wait = Wait(id=machine.new_id(), until=until, reason=reason)
                machine.move(Move.WAIT, Waiting(turn, wait))
                return wait
            case Queued() | EarlierTurnUnfinished() as event:
                return event
            case Ask(call):
                asked = machine.ask_engine(call)
                machine.move(Move.COORDINATE, Coordinating(turn, asked))
                return asked.intent
            case Challenge(script, tokens):
                profile = machine.setup.profile
                solve = SolveChallenge(
                    id=machine.new_id(),
                    script=script,
                    identity=profile.identity,
                    challenge=tokens.vqd_hash_1,
                    origin=profile.origin,
                    fe_version=machine.setup.fe_version(machine.conversation),
                    model=turn.model,
                    attempt=turn.challenged + 1,
                )
                machine.move(Move.SOLVE, Solving(turn, solve, tokens))
                return solve
            case step:
                return machine.send(turn, step, _request.url_of(machine.setup.profile, step), 0, now)


class Waiting(_Phase):
    """Time has to pass. `over` says whether the driver has reported that it has."""

    state = State.WAITING
    turn: Turn
    wait: Wait
    over: bool = False

    def pull(self, machine: Machine, now: float) -> Action | None:
        """Ask for the wait, as often as pulled, until it is over."""
        if not self.over:
            return self.wait
        self.turn.elapsed = self.wait.until
        machine.move(Move.NEXT, Planning(self.turn))
        return None


class Solved(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The answer of the embedder's solver, with the header fields and members of the body that it brings."""

    answer: str
    headers: Headers = ()
    body: dict[str, Any] = {}


class Unsolved(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Why the embedder's solver has no answer."""

    text: str


class Solving(_Phase):
    """The embedder is asked to answer the challenge of `tokens`. `outcome` is the answer, or why there is none."""

    state = State.SOLVING
    turn: Turn
    solve: SolveChallenge
    tokens: Tokens
    outcome: Solved | Unsolved | None = None

    def pull(self, machine: Machine, now: float) -> Action | None:
        """Ask for the answer, as often as pulled, until the embedder reports one."""
        match self.outcome:
            case None:
                if now >= self.turn.until:
                    raise _plan.out_of_time(machine.setup)
                return self.solve
            case Unsolved(text):
                raise UnsupportedChallenge(f"the embedder's solver gave no answer: {printable(text, 300)}")
            case solved:
                found = Credentials(self.tokens, solved.answer, headers=solved.headers, body=solved.body)
                self.turn.credentials = found
        machine.move(Move.NEXT, Planning(self.turn))
        return None


class _Coordinated(_Phase):
    """A phase in which the turn waits for a word of the shared engine."""

    state = State.COORDINATING


class Coordinating(_Coordinated):
    """The shared engine is asked, and no exchange is under way."""

    turn: Turn
    asked: Asked

    def pull(self, machine: Machine, now: float) -> Action | None:
        """Return the intent, as often as pulled, until its result is reported."""
        assert machine.coordinator is not None, "a coordinated turn belongs to a coordinated session"
        return machine.coordinator.conclude(machine, self, now)


class Recalling(_Coordinated):
    """The shared engine had the reply. `told` says how many of its events the caller has got."""

    turn: Turn
    completed: Completed
    told: int = 0

    def pull(self, machine: Machine, now: float) -> Action:
        """Return the events of the reply, one after the other."""
        finished = self.completed.finished
        deltas = (TextDelta(finished.text),) if finished.text else ()
        events: tuple[Event, ...] = (ReplyRecalled(), *deltas, finished)
        event = events[self.told]
        self.told += 1
        if event is finished:
            machine.move(Move.REST, Ready())
        return event


class Exchanging(_Phase):
    """A phase with an exchange, which the driver reports on."""

    exchange: Exchange


class Asking(Exchanging):
    """A phase of an exchange that belongs to a turn."""

    turn: Turn

    def problem(self, failure: Failure) -> DuckChatError:
        """Return the exception for a failure. If it is an interruption, raise it: that ends the turn."""
        from ._failure import error_of  # which most conversations never need

        error = error_of(failure, self.exchange, in_reply=isinstance(self, Streaming))
        if failure.kind is FailureKind.INTERRUPTED:
            raise error
        return error

    def recover(self, machine: Machine, error: DuckChatError, now: float) -> Event:
        """Continue the turn after a failed request, or raise what ends it."""
        from ._failure import go_on  # which most conversations never need

        event = go_on(machine.setup, self.turn, self.exchange, error, now)
        machine.move(Move.NEXT, Planning(self.turn))
        return event

    def drain(self, machine: Machine, now: float) -> None:
        """End the turn, since what it asked for has come, and read what follows."""
        policy = machine.setup.policy
        self.exchange.read_by = self.exchange.total_by = now + policy.drain_timeout
        machine.move(Move.DONE, Draining(self.exchange, policy.max_drain_bytes))

    def _join(self, body: Body) -> None:
        """Let the chunks of a body without a content coding be those of the exchange."""
        if not body.coded:
            body.chunks = self.exchange.chunks


class Requesting(Asking):
    """A request is out, and the head of its response has not been read."""

    state = State.REQUESTING

    def pull(self, machine: Machine, now: float) -> Action | None:
        """Read the head of the response, then its body: as a reply, or as something else."""
        exchange, setup, head = self.exchange, machine.setup, self.exchange.head
        most = setup.policy.max_head_bytes
        if exchange.heads > most:
            text = f"the response's head, with the interim ones before it, is longer than {most} bytes"
            return self.recover(machine, StreamTooLarge(text, limit=most), now)
        if head is None:
            failure = exchange.failure(now)
            if failure is None:
                return machine.need_data(self.turn, now)
            return self.recover(machine, self.problem(failure), now)
        exchange.head = None
        try:
            body = read_head(setup, self.turn, exchange, head)
        except DuckChatError as error:
            return self.recover(machine, error, now)
        if is_reply(exchange.step, head):
            standing = self.turn.standing
            streaming = Streaming if standing is None or standing.key is None else LeasedStreaming
            machine.move(Move.REPLY, streaming(exchange, self.turn, body, ReplyReader(setup.policy)))
        else:
            machine.move(Move.BODY, Reading(exchange, self.turn, body, bytearray()))
        return None


class Reading(Asking):
    """A response that is not a reply is being read. `text` is its body so far."""

    state = State.READING
    body: Body
    text: bytearray

    def __post_init__(self) -> None:
        self._join(self.body)

    def pull(self, machine: Machine, now: float) -> Action | None:
        """Read the body to its end, then follow a redirect, take what the response brings, or handle its refusal."""
        exchange, setup, turn, body = self.exchange, machine.setup, self.turn, self.body
        problem: DuckChatError | None = None
        try:
            if not collect(exchange, body, self.text):
                # The head has said most of it: a refusal is one whether or not its body could be read.
                failure = exchange.failure(now)
                if failure is None:
                    return machine.need_data(turn, now)
                problem = self.problem(failure)
        except RemoteProtocolError as error:
            problem = error
        try:
            if body.status in REDIRECTS:
                url = redirected_to(setup, exchange, body)
                if now >= turn.until:
                    raise _plan.out_of_time(setup)
                return machine.send(turn, exchange.step, url, exchange.redirects + 1, now)
            event = conclude(setup, turn, exchange.step, body, self.text, problem, now)
        except DuckChatError as error:
            return self.recover(machine, error, now)
        if isinstance(event, ModelsReceived):
            self.drain(machine, now)
        else:
            machine.move(Move.NEXT, Planning(turn))
        return event


class Streaming(Asking):
    """The reply is being read."""

    state = State.STREAMING
    body: Body
    reader: ReplyReader

    def __post_init__(self) -> None:
        self._join(self.body)
        self.reader.chunks = self.body.chunks

    @property
    def text(self) -> str:
        """The text so far, as the turn ends. The coded body is freed first: each may take ``max_reply_bytes``."""
        self.body.fed.clear()
        return self.reader.text

    def pull(self, machine: Machine, now: float) -> Action | None:
        """Return the next event of the reply; once it is complete, commit the turn."""
        reader = self.reader
        if reader.chunks or not reader.idle or self.exchange.end is not None or self.body.coded:
            try:
                event = reader.next_event()
                if event is None and not reader.done:
                    event = self._read_on()
            except DuckChatError as error:
                return self.recover(machine, error, now)
            if event is not None:
                return event
            if reader.done:
                return self._commit(machine, now)
        failure = self.exchange.failure(now)
        return NEED_DATA if failure is None else self.recover(machine, self.problem(failure), now)

    def _read_on(self) -> Event | None:
        """Decode more of a coded body, and handle its end."""
        reader = self.reader
        while self.body.decode(self.exchange):
            event = reader.next_event()
            if event is not None or reader.done:
                return event
        if not self.body.end(self.exchange):
            return None
        reader.end()
        return reader.next_event()

    def recover(self, machine: Machine, error: DuckChatError, now: float) -> Event:
        """Continue the turn after a failed request, unless the caller has got some of the reply."""
        if self.reader.has_content:
            raise error
        return super().recover(machine, error, now)

    def _commit(self, machine: Machine, now: float) -> Action:
        """Commit the turn."""
        completed = self._complete(machine)
        machine.commit(self.turn, completed)
        self.drain(machine, now)
        return completed.finished

    def _complete(self, machine: Machine) -> Completed:
        """Return what the turn has come to."""
        turn, reader, before, text = self.turn, self.reader, machine.conversation, self.text
        # A pair that was sent is spent: where the response brought no newer one, the next turn asks for one.
        unspent = turn.credentials is not None and not turn.credentials.spent
        tokens = turn.credentials.tokens if turn.credentials is not None and unspent else Tokens()
        conversation = Conversation(
            model=turn.model,
            vqd=tokens.vqd,
            vqd_hash_1=tokens.vqd_hash_1,
            message_history=(*turn.messages, _reply(text, reader.parts)),
            cookies=turn.jar.cookies,
            fe_version=machine.setup.fe_version(before),
            title=before.title if reader.title is None else reader.title,
            limit_reached=before.limit_reached or reader.limit_reached,
            answers_wanted=before.answers_wanted or turn.challenged > 0,
            ids=tuple(turn.ids.items()),
        )
        finished = TurnFinished(text, reader.finish_reason, turn.model, reader.served_model, **reader.gathered)
        return Completed(conversation, finished)


def _reply(text: str, parts: tuple[str, ...]) -> Message:
    """Return the reply for the history.

    Parts that could not be stored and sent are left out: they are nested too deeply for the stack as it is here, or
    have half of a surrogate pair.
    """
    kept: list[str] = []
    for part in parts:
        with suppress(ValueError):
            kept += Message("assistant", "", (part,)).parts
    return Message("assistant", text, tuple(kept))


class LeasedStreaming(Streaming):
    """The reply to a turn whose conversation is leased is being read. The shared engine commits it."""

    def pull(self, machine: Machine, now: float) -> Action | None:
        """See `Streaming.pull`. The lease is renewed when there is nothing else to do."""
        action = super().pull(machine, now)
        return machine.need_data(self.turn, now) if action is NEED_DATA else action

    def _commit(self, machine: Machine, now: float) -> Action:
        """Ask the engine to commit the turn. What follows the reply is read afterwards."""
        assert machine.coordinator is not None, "a leased conversation belongs to a coordinated session"
        self.turn.completed = self._complete(machine)
        machine.aside = self.exchange.standing = None
        asked = machine.ask_engine(machine.coordinator.commit_call(self.turn, self.turn.completed))
        machine.move(Move.COORDINATE, Committing(self.exchange, self.turn, asked))
        return asked.intent


class Committing(Asking):
    """The reply is complete, and the shared engine is asked to commit the turn. The exchange is under way."""

    state = State.COORDINATING
    asked: Asked

    def pull(self, machine: Machine, now: float) -> Action | None:
        """Return the intent, as often as pulled, until its result is reported."""
        assert machine.coordinator is not None, "a coordinated turn belongs to a coordinated session"
        return machine.coordinator.conclude(machine, self, now)


class Draining(Exchanging):
    """The turn is done. What follows is read and dropped, up to `left` bytes."""

    state = State.DRAINING
    left: int

    def pull(self, machine: Machine, now: float) -> Action:
        """Read what follows the reply, so that the connection can be kept, unless that is too long or too slow."""
        exchange = self.exchange
        self.left -= sum(map(len, exchange.chunks))
        exchange.chunks.clear()
        if exchange.end is None and self.left >= 0 and now < exchange.total_by:
            return NEED_DATA
        machine.move(Move.REST, Ready())
        return PAUSED


InTurn = (
    Starting
    | Planning
    | Waiting
    | Solving
    | Coordinating
    | Recalling
    | Requesting
    | Reading
    | Streaming
    | LeasedStreaming
    | Committing
)
Phase = Ready | Closed | InTurn | Draining
