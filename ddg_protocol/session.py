"""`Session`: a conversation's turns as states, intents and events. It decides; a driver does.

The whole driver, at this altitude::

    session.ask(text, now=now)
    while (action := session.next_action(now=now)) is not PAUSED:
        SendRequest      open an exchange, session.receive_head(...)
        NEED_DATA        read some of it, session.receive_data(...) or session.receive_eof(...)
        Wait             sleep, session.wait_elapsed(...)
        SolveChallenge   session.challenge_solved(...)
        Coordinate       session.coordinated(...)
        an event         give it to the caller

A session opens nothing, reads no clock, draws no randomness. Whatever bytes come in, only what `errors` documents
comes out, and the conversation changes by whole turns.

This module takes the caller's commands and the driver's reports, and checks that they are legal now, by the tables of
`_state`. What a pull does is said by the phases, in `_phases`: they ask `_plan` which request is next, `_response` and
`reply` what a response means, and `_failure` what follows when it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from . import chat
from ._exchange import Asked, End, Exchange, Failed, Head
from ._phases import Action as Action
from ._phases import (
    Closed,
    Committing,
    Coordinating,
    Draining,
    InTurn,
    Machine,
    Ready,
    Solved,
    Solving,
    Starting,
    Streaming,
    Unsolved,
    Waiting,
)
from ._reports import as_bytes, as_fields, check_failure, check_head, check_kind, check_text, check_time
from ._setup import NO_KEY, Setup
from ._setup import AnswerChallenge as AnswerChallenge
from ._setup import Solver as Solver
from ._state import COMMANDS, Awaited, Command, Report, State
from ._turn import NO_OPTIONS, Turn
from .conversation import Conversation, Message, Messages
from .cookies import Cookie, named_cookies
from .errors import DuckChatError, LocalProtocolError
from .events import TurnCancelled
from .intents import ChallengeAnswer, Coordinate, Failure, Intent, SendRequest, SolveChallenge, Wait
from .pace import ClientState
from .policy import Policy
from .profile import ServiceProfile
from .revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from .steps import Step
from .text import shown

if TYPE_CHECKING:
    from .coordination import Coordination, Result

_BODY = Awaited.BODY
"""Looking up a member of an Enum costs as much as a call on Python 3.11: too much for what runs once a chunk."""


def no_jitter() -> float:
    """Return the middle of the jitter's range. The core draws no randomness; an embedder passes `random.random`."""
    return 0.5


def no_random_bytes(count: int) -> bytes:
    """Return zeros. The core draws no randomness; an embedder passes `os.urandom`."""
    return bytes(count)


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
            ``"embedder"`` hands every challenge out as a `SolveChallenge`. A profile whose ``challenge_form`` is
            ``"opaque"`` needs an embedder's.
        random_bytes: returns as many random bytes as it is asked for, for the ids of the profile, and the nonces of a
            coordinated session.
        coordination: makes the session go by an engine that other processes share, with a `Coordinate` for each call;
            None leaves pace and conversation to this process.
        trace: is called with each state that the session enters.

    Raises:
        ModelNotSupportedError: the profile has no such model.
        ValueError: one of ``cookies`` is not a cookie, or can't be sent; or ``coordination`` comes without
            ``random_bytes``.
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
        random_bytes: Callable[[int], bytes] = no_random_bytes,
        coordination: Coordination | None = None,
        trace: Callable[[State], object] | None = None,
    ) -> None:
        if coordination is not None and random_bytes is no_random_bytes:
            raise ValueError("a coordinated session needs random_bytes, such as os.urandom: its nonces must be unique")
        supplied = None if cookies is None else named_cookies(cookies, domain=profile.host)
        policy, shared = policy or Policy(), shared or ClientState()
        setup = Setup(profile, policy, shared, jitter, answer_challenge, solver, supplied, random_bytes)
        coordinator = None
        if coordination is not None:
            from ._coordinate import Coordinator  # which most sessions never need

            setup.coordination, coordinator = coordination, Coordinator(setup, coordination)
        conversation = conversation or Conversation()
        if model is not None or not conversation.model:
            conversation = msgspec.structs.replace(conversation, model=profile.validate_model(model))
        self._machine = Machine(setup, conversation, trace, coordinator)

    # Inspection

    @property
    def profile(self) -> ServiceProfile:
        """The facts about the service, as given."""
        return self._machine.setup.profile

    @property
    def policy(self) -> Policy:
        """Tries, times, bounds, and strictness, as given."""
        return self._machine.setup.policy

    @property
    def shared(self) -> ClientState:
        """What this session has in common with those of the same client."""
        return self._machine.setup.shared

    @property
    def coordination(self) -> Coordination | None:
        """How the session goes by an engine that other processes share, as given; None if there is none."""
        return self._machine.setup.coordination

    @property
    def jitter(self) -> Callable[[], float]:
        """What returns a number in [0, 1) for each backoff; it may be replaced."""
        return self._machine.setup.jitter

    @jitter.setter
    def jitter(self, jitter: Callable[[], float]) -> None:
        self._machine.setup.jitter = jitter

    @property
    def state(self) -> State:
        """Where the session is. It changes when an action is pulled or a command is given."""
        return self._machine.phase.state

    @property
    def conversation(self) -> Conversation:
        """The conversation as of the last turn that was done."""
        return self._machine.conversation

    @property
    def request(self) -> SendRequest | None:
        """The request whose response is not complete, if there is one: what reports name after `restore`."""
        exchange = self._machine.exchange
        return None if exchange is None or exchange.end is not None else exchange.request

    @property
    def deadline(self) -> float | None:
        """The latest time at which `next_action` must be called again, on the caller's clock; None if there is none."""
        phase, exchange = self._machine.phase, self._machine.exchange
        if exchange is not None:
            standing = exchange.standing
            return exchange.read_by if standing is None else standing.bounded(exchange.read_by)
        if not isinstance(phase, InTurn):
            return None
        turn = phase.turn
        # A turn that is complete has as long as its lease to be stored.
        return turn.until if turn.completed is None or turn.standing is None else turn.standing.until

    @property
    def read_by(self) -> float | None:
        """When more of the exchange under way must have come, on the caller's clock; None if there is none.

        It differs from `deadline` only in a coordinated turn, whose lease may have to be renewed before. A driver that
        can't go on with a read once its time is over bounds it by this; then the lease is renewed a little later.
        """
        exchange = self._machine.exchange
        return None if exchange is None else exchange.read_by

    def __repr__(self) -> str:
        return f"<Session {self.state.name} at {self.profile.origin}, {self.conversation!r}>"

    # Commands

    def ask(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        effort: str | None = None,
        tools: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
        turn: str = "",
        now: float,
    ) -> None:
        """Begin a turn. Pull with `next_action` until `PAUSED`.

        Args:
            messages: the question; its parts, such as ``[Text("What is this?"), Image(data, "image/png")]``; or
                messages with roles and contents (PROTOCOL.md section 6).
            model: by id or alias; None keeps the conversation's. With the turn it becomes the conversation's.
            effort: how hard the model reasons in this turn, such as ``"low"``: one of its `Model.efforts`. None means
                its `Model.default_effort`.
            tools: the service's own tools that this turn asks for, such as ``["WebSearch"]``: of the model's
                `Model.tools` and the profile's `tool_choice`.
            extra: members of the body of this one turn's chat request. They take the place of the profile's.
            turn: the turn's key, in a coordinated session whose conversation has one. A turn of the conversation that
                was done with this key is not done again: its stored reply is returned.
            now: the caller's clock, in seconds.

        Raises:
            LocalProtocolError: a turn is under way, the session is closed, the messages are blank or not of that form,
                or the model or the revision doesn't have the effort or the tools, or doesn't take the images or files
                of the conversation; the message says what it has. Or ``turn`` can't be a key here.
            ModelNotSupportedError: the profile has no such model.
        """
        self._check_command(Command.ASK)
        machine = self._machine
        setup, conversation, given = machine.setup, machine.conversation, model
        model = setup.profile.validate_model(model or conversation.model)
        messages = chat.rereadable(messages)
        question = Message("user", chat.read_question(messages, first=not conversation.message_history))
        is_text_alone = machine.is_question_text_alone(question, model)
        options, standing = NO_OPTIONS, None
        if effort is not None or tools != () or extra is not None:
            from ._options import read_options  # which most turns never need

            try:
                options = read_options(setup.profile, model, effort, tools, extra)
            except ValueError as error:
                raise LocalProtocolError(str(error)) from None
        if machine.coordinator is not None:
            standing = machine.coordinator.stand(messages, given, turn, now)
        elif turn:
            raise LocalProtocolError(NO_KEY)
        until = now + setup.policy.turn_timeout
        begun = machine.new_turn(question, is_text_alone=is_text_alone, options=options, model=model, until=until)
        begun.standing = standing
        machine.enter(Starting(begun))

    def fetch_models(self, *, now: float) -> None:
        """Ask for the list of models. Pull with `next_action` until `PAUSED`; the list comes as `ModelsReceived`.

        The conversation, with its cookies and tokens, is the same afterwards.

        Args:
            now: the caller's clock, in seconds. The list has to be there within the policy's ``turn_timeout``.

        Raises:
            LocalProtocolError: a turn is under way, the session is closed, or the profile has no ``models_path``.
        """
        self._check_command(Command.FETCH_MODELS)
        machine = self._machine
        setup = machine.setup
        if setup.profile.models_path is None:
            raise LocalProtocolError(
                "this revision of the service has no list of models to ask for (models_path of the profile)"
            )
        turn = Turn(
            messages=(),
            model=machine.conversation.model,
            until=now + setup.policy.turn_timeout,
            jar=setup.jar_for_turn(machine.jar),
            landing_due=False,
            answering=False,
            credentials=None,
            goal=Step.MODELS,
            retries={Step.MODELS: 0},
            is_text_alone=True,
        )
        if machine.coordinator is not None:
            turn.standing = machine.coordinator.stand_for_pace(now)
        machine.enter(Starting(turn))

    def cancel(self) -> None:
        """Abandon the turn; always legal. The conversation is as it was before. Pull until `PAUSED`.

        A coordinated turn whose reply is complete is past that: the engine may have stored it. If it has,
        `TurnFinished` comes, otherwise `TurnCancelled`.
        """
        self._check_command(Command.CANCEL)
        machine = self._machine
        match machine.phase:
            case Ready() | Closed():
                pass
            case Draining():
                machine.enter(Ready())
            case phase:
                cancelled = TurnCancelled(phase.text if isinstance(phase, Streaming) else "")
                completed = phase.turn.completed
                machine.leave_turn()
                machine.enter(Ready(cancelled if completed is None else None))

    def close(self) -> None:
        """End the session; always legal. A turn under way is abandoned.

        A coordinated session has a conversation to release then: pull until `PAUSED`.
        """
        self._check_command(Command.CLOSE)
        self._machine.leave_turn()
        self._machine.enter(Closed())

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
        machine = self._machine
        try:
            while True:
                action = machine.phase.pull(machine, now)
                if action is not None:
                    return action
        except DuckChatError as error:
            machine.fail(error)
            raise

    # Reports

    def receive_head(
        self, request: SendRequest, status: int, headers: Iterable[tuple[str, str]], *, now: float
    ) -> None:
        """Report the head of a response. Only the size of interim ones (1xx) counts.

        Args:
            request: whose response it is.
            status: the HTTP status.
            headers: the fields in order, latin-1 text; repeated where they repeat.
            now: the caller's clock, in seconds.

        Raises:
            LocalProtocolError: a head is not awaited, the request was never given, or an argument is of the wrong
                kind.
        """
        self._check_given(request, SendRequest)
        check_head(status, now)
        head = Head(status, as_fields(headers, most=self.policy.max_head_bytes), now)
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
            request: whose response they belong to.
            data: the bytes; they are copied if they can change.

        Raises:
            LocalProtocolError: data is not awaited or not bytes, or the request was never given.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        exchange = self._machine.exchange
        # An awaited chunk changes nothing in the table of reports. Skipping it saves 9 % of an event's instructions.
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
            request: whose response it is.

        Raises:
            LocalProtocolError: the end is not awaited, or the request was never given.
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
            LocalProtocolError: the response has ended already, the request was never given, or ``failure`` is not a
                `Failure`.
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
        phase = self._machine.phase
        if isinstance(phase, Waiting) and phase.wait.id == wait.id:
            phase.over = True

    def challenge_solved(self, solve: SolveChallenge, answer: str | ChallengeAnswer) -> None:
        """Report the answer to a challenge.

        Args:
            solve: the intent.
            answer: the value of the ``x-vqd-hash-1`` header, or an answer that brings more than that.

        Raises:
            LocalProtocolError: the intent was never given, or the answer can't be sent; the message says why.
        """
        phase = self._solving(solve)
        if phase is None:
            return
        from ._answer import read_answer  # which most conversations never need

        try:
            found = read_answer(answer, self.profile)
        except ValueError as error:
            raise LocalProtocolError(str(error)) from None
        phase.outcome = Solved(found.value, found.headers, found.body)

    def challenge_failed(self, solve: SolveChallenge, text: str) -> None:
        """Report that there is no answer to a challenge. The turn ends with `UnsupportedChallenge`.

        Args:
            solve: the intent.
            text: why, for a person.

        Raises:
            LocalProtocolError: the intent was never given, or ``text`` is not a `str`.
        """
        phase = self._solving(solve)
        if phase is not None:
            phase.outcome = Unsolved(check_text("text", text))

    def coordinated(self, intent: Coordinate, result: Result, *, asked: float, now: float) -> None:
        """Report what the shared engine has answered.

        Args:
            intent: the intent.
            result: the engine's result of its call.
            asked: the caller's clock before the engine was asked, in seconds.
            now: the caller's clock, in seconds.

        Raises:
            LocalProtocolError: the intent was never given; or the result is not one of its call, or a member of it is
                out of its range; the message says what was expected.
        """
        self._check_given(intent, Coordinate)
        check_time("asked", asked)
        check_time("now", now)
        waiting = self._asked(intent)
        if waiting is None:
            return
        from ._coordinate import check_result

        check_result(waiting.intent.call, result)
        waiting.result, waiting.asked, waiting.now = result, asked, now

    def coordination_failed(self, intent: Coordinate, failure: Failure) -> None:
        """Report that the shared engine has not answered. If nothing but a renewal depends on it, the turn goes on.

        Args:
            intent: the intent.
            failure: what happened; of the kind NOT_SENT where the engine can't have carried the call out.

        Raises:
            LocalProtocolError: the intent was never given, or ``failure`` is not a `Failure`.
        """
        self._check_given(intent, Coordinate)
        check_failure(failure)
        waiting = self._asked(intent)
        if waiting is not None:
            waiting.failure = failure

    # Snapshots

    def snapshot(self, *, now: float) -> dict[str, Any]:
        """Return the whole session as plain data, at any moment, mid-stream included. It holds tokens and cookies.

        Args:
            now: the caller's clock, in seconds.

        Returns:
            What `restore` reads; JSON can hold it.
        """
        from ._snapshot import save  # which most conversations never need

        return save(self._machine, now)

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
        random_bytes: Callable[[int], bytes] = no_random_bytes,
        coordination: Coordination | None = None,
        trace: Callable[[State], object] | None = None,
    ) -> Self:
        """Continue where another session was, here or in another process.

        A chat exchange goes on under its `request`; if its connection is gone, report `transport_failed` for that.

        Args:
            data: what `snapshot` returned.
            now: the caller's clock, in seconds.
            profile: as for the other session.
            policy: as for a new session; its bounds count from here on, whatever those of the other session were.
            shared: as for a new session; it learns the last request's start, how long requests are held, the
                front-end version, and the landing page's cookies.
            jitter: as for a new session.
            random_bytes: as for a new session.
            coordination: as for a new session; during a turn it must be that of the other session.
            trace: as for a new session.

        Returns:
            A session that does what the other one would have done.

        Raises:
            ConversationFormatError: the data is no snapshot, or one of another version or profile.
        """
        from ._snapshot import resume

        session = cls(
            profile,
            policy=policy,
            shared=shared,
            jitter=jitter,
            random_bytes=random_bytes,
            coordination=coordination,
            trace=trace,
        )
        resume(session._machine, data, now)
        return session

    # Legality

    def _check_command(self, command: Command) -> None:
        legal = COMMANDS[self.state]
        if command not in legal:
            names = ", ".join(sorted(other.name.lower() + "()" for other in legal))
            raise LocalProtocolError(
                f"{command.name.lower()}() is not legal now ({self.state.value}); legal are {names} and next_action()"
            )

    def _exchange_of(self, request: SendRequest) -> Exchange | None:
        """Return the exchange that a report is about; None if it is over."""
        self._check_given(request, SendRequest)
        exchange = self._machine.exchange
        return exchange if exchange is not None and exchange.request.id == request.id else None

    def _solving(self, solve: SolveChallenge) -> Solving | None:
        """Return the phase that awaits this answer; None if it is over."""
        self._check_given(solve, SolveChallenge)
        phase = self._machine.phase
        return phase if isinstance(phase, Solving) and phase.solve.id == solve.id and phase.outcome is None else None

    def _asked(self, intent: Coordinate) -> Asked | None:
        """Return the Coordinate that is out and that a report is about; None if it is over."""
        machine = self._machine
        out = machine.phase.asked if isinstance(machine.phase, Coordinating | Committing) else machine.aside
        return out if out is not None and out.intent.id == intent.id and not out.is_over else None

    def _check_given(self, intent: Intent, kind: type[Intent]) -> None:
        check_kind(intent, kind)
        last_id = self._machine.last_id
        if intent.id > last_id:
            raise LocalProtocolError(
                f"{kind.__name__} {shown(intent.id)} was never given; the last intent was {last_id}"
            )

    def _new_id(self) -> int:
        """Take the next intent id. A `wire.WireSession` takes those of its own intents here, too."""
        return self._machine.new_id()
