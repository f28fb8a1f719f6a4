"""How a turn goes by an engine that other processes share: what it asks, and what follows from the results.

A turn claims its conversation, which may have changed since. Each of its requests gets a slot from the engine, in place
of one from this process's pacer. Just before the question it sets a mark, and when the reply is complete it commits;
only then the caller is told that the turn is finished. A turn that ends otherwise releases its conversation
(`Coordinator.leave`, `Coordinator.settle`). Meanwhile the lease is renewed (`Coordinator.renewal`).
"""

from __future__ import annotations

import math

import msgspec

from . import chat
from ._exchange import Asked
from ._limits import check_limits
from ._options import read_options
from ._phases import Action, Committing, Coordinating, InTurn, Machine, Planning, Ready, Recalling, Starting
from ._plan import Ask, Next, Pause, check_hold, find_answer, news, out_of_time, requests_due
from ._setup import NO_KEY, Setup
from ._state import Move
from ._turn import NO_OPTIONS, Completed, Owed, Standing, Turn
from .conversation import Conversation, Message, Messages
from .cookies import CookieJar
from .coordination import (
    Busy,
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    Coordination,
    Done,
    Hold,
    Lost,
    Mark,
    Marked,
    Refused,
    Release,
    Reserve,
    Result,
    Slot,
)
from .coordination._documents import read_conversation, read_reply, write_conversation, write_reply
from .coordination.calls import MAX_WINDOW, RESULTS
from .coordination.settings import check_key
from .errors import (
    ConversationBusy,
    EngineUnavailable,
    LocalProtocolError,
    PaceRefused,
    TurnNotStored,
    TurnSuperseded,
)
from .events import EarlierTurnUnfinished, TurnCancelled, TurnStarted
from .intents import Failure, FailureKind
from .policy import MAX_SECONDS
from .steps import Step
from .text import printable

RENEWED_AFTER = 1 / 3
"""The part of a lease after which it is renewed. What is left of it is for reads that can't be interrupted."""
RENEWED_AGAIN = 1 / 10
"""The least part of a lease from the end of one renewal to the next, such as after one that has failed."""
BUSY_SECONDS = 1.0
"""How long a turn waits before it claims a busy conversation again, at most."""
COMMIT_SECONDS = 0.5
"""How long a turn waits before it tries a commit again that has failed."""


def check_result(call: Call, result: Result) -> None:
    """Check that a result is one of a call. Its members were checked when it was made.

    Raises:
        LocalProtocolError: it is not; the message says what was expected.
    """
    kinds = RESULTS[type(call)]
    if not isinstance(result, kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise LocalProtocolError(f"a {type(call).__name__} is answered by {expected}, not {type(result).__name__}")


class Coordinator:
    """What the coordinated turns of a session ask of the engine, and what follows.

    Args:
        setup: the session's.
        settings: how it goes by the engine.
    """

    def __init__(self, setup: Setup, settings: Coordination) -> None:
        self._setup = setup
        self._settings = settings

    # The beginning

    def stand(self, messages: Messages, model: str | None, key: str, now: float) -> Standing:
        """Return the standing of a turn that begins.

        Args:
            messages: what the caller asks.
            model: the model that the caller asks for; None keeps the conversation's.
            key: the turn's; may be empty.
            now: the caller's clock, in seconds.

        Raises:
            LocalProtocolError: the conversation has no key and the turn has one, or that can't be one; or the messages
                can't be asked later in a conversation.
        """
        settings = self._settings
        if settings.key is None:
            if key:
                raise LocalProtocolError(NO_KEY)
            return self.stand_for_pace(now)
        try:
            if key:
                check_key("the turn's key", key)
        except ValueError as error:
            raise LocalProtocolError(str(error)) from None
        # Which of the two it is, the stored conversation says.
        first, later = (Message("user", chat.read_question(messages, first=is_first)) for is_first in (True, False))
        standing = self.stand_for_pace(now)
        standing.key, standing.turn, standing.model = settings.key, key, model
        standing.first, standing.later = first, later
        return standing

    def stand_for_pace(self, now: float) -> Standing:
        """Return the standing of a turn that goes by the engine for its pace alone."""
        return Standing(key=None, holder=self._setup.random_bytes(16).hex(), begun=now, window=self._settings.window)

    # What a turn asks next

    def next_step(self, conversation: Conversation, turn: Turn, standing: Standing, now: float) -> Next:
        """Choose what a coordinated turn does next; see `_plan.next_step`.

        Args:
            conversation: the one that the turn continues.
            turn: see `_plan.next_step`.
            standing: the turn's.
            now: the caller's clock, in seconds.

        Returns:
            The request to make now, or what has to happen first.

        Raises:
            ChatTimeoutError: the turn can't be done in its time.
            DuckChatError: see `_plan.next_step`.
        """
        # A slot counts by the clock alone; for any other wait, the driver's word is enough.
        later = now if turn.elapsed is None else max(now, turn.elapsed)
        if turn.completed is None and later >= turn.until:
            raise out_of_time(self._setup)
        if standing.retry_at is not None and later < standing.retry_at:
            return Pause(standing.retry_at, "busy")
        if turn.completed is not None:
            return Ask(self.commit_call(turn, turn.completed))
        if standing.key is not None and not standing.fence:
            return Ask(self._claim(standing))
        if standing.unfinished:
            standing.unfinished = False
            return EarlierTurnUnfinished()
        held_until = self._setup.shared.pacer.held_until
        if held_until > later and held_until > _told_hold(standing):
            return Ask(_hold(held_until, later))
        if standing.renew_at is not None and later >= standing.renew_at:
            return Ask(self._claim(standing))
        check_hold(self._setup, turn, later)
        earliest = max(turn.backoff_until or -math.inf, held_until)
        if earliest > later:
            return Pause(standing.bounded(min(earliest, turn.until)), "backoff")
        step, pages, requests = requests_due(self._setup, conversation, turn, later)
        if step is Step.CHAT and (challenge := find_answer(self._setup, turn)) is not None:
            return challenge
        return self._in_slot(turn, standing, step, len(pages) + requests, now)

    def _in_slot(self, turn: Turn, standing: Standing, step: Step, need: int, now: float) -> Next:
        """Return a request once its slot has come; before, what has to happen."""
        if standing.slot is not None and now > standing.slot[1]:
            standing.slot = None
            standing.window = min(2 * standing.window, MAX_WINDOW)
        if standing.slot is None:
            if standing.ask_at is not None and now < standing.ask_at:
                return Pause(standing.bounded(min(standing.ask_at, turn.until)), "pacing")
            return Ask(self._reserve(turn, standing, step, need, now))
        if step is Step.CHAT and standing.key is not None and not standing.marked:
            return Ask(Mark(key=standing.key, fence=standing.fence, lease=self._settings.lease))
        if now < standing.slot[0]:
            return Pause(standing.slot[0], "pacing")
        standing.slot, standing.ask_at, standing.nonce = None, None, ""
        standing.fetching = standing.fetching or step is Step.FRONT_END
        turn.begun, turn.elapsed, turn.backoff_until = now, None, None
        return step

    def _claim(self, standing: Standing) -> Claim:
        settings = self._settings
        assert standing.key is not None, "only a turn with a key claims"
        renews = standing.fence > 0
        return Claim(
            key=standing.key,
            holder=standing.holder,
            lease=settings.lease,
            turn="" if renews else standing.turn,
            fence=standing.fence,
            take_over=not renews and settings.on_busy == "take_over",
        )

    def _reserve(self, turn: Turn, standing: Standing, step: Step, need: int, now: float) -> Reserve:
        settings = self._settings
        left = min(turn.until - now, MAX_SECONDS)
        standing.nonce = standing.nonce or self._setup.random_bytes(16).hex()
        return Reserve(
            nonce=standing.nonce,
            interval=min(self._setup.profile.interval, MAX_SECONDS),
            window=standing.window,
            need=need,
            ticket=standing.ticket,
            epoch=standing.epoch,
            max_wait=left if settings.max_wait is None else min(settings.max_wait, left),
            fetches=step is Step.FRONT_END,
            fe_version=self._setup.shared.fe_version if standing.fetching else "",
        )

    def commit_call(self, turn: Turn, completed: Completed) -> Commit:
        """Return the call that commits a turn.

        Args:
            turn: the turn.
            completed: what it has come to.
        """
        standing = turn.standing
        assert standing is not None, "only a coordinated turn is committed by the engine"
        return self._commit(standing, completed)

    def _commit(self, standing: Standing, completed: Completed) -> Commit:
        seal = self._settings.seal
        assert standing.key is not None, "only a turn with a key is committed"
        return Commit(
            key=standing.key,
            fence=standing.fence,
            revision=standing.revision,
            document=write_conversation(completed.conversation, seal=seal),
            turn=standing.turn,
            reply=write_reply(completed.finished, seal=seal) if standing.turn else b"",
        )

    # The results

    def conclude(self, machine: Machine, phase: Coordinating | Committing, now: float) -> Action | None:
        """Go on with a turn that has asked the engine.

        Args:
            machine: the session's.
            phase: the phase that it is in.
            now: the caller's clock, in seconds.

        Returns:
            The intent again while there is no result; then an event, or None where another phase is entered.

        Raises:
            ChatTimeoutError: there is no result, and the turn's time is over.
            EngineUnavailable: the engine has not answered, and nothing has been sent.
            ConversationBusy: another turn has the conversation.
            PaceRefused: the slot is further off than the turn can wait.
            TurnSuperseded: another turn has taken the conversation over.
            TurnNotStored: the turn could not be committed before its lease has ended.
            DuckChatError: what is stored can't be read, or the question can't be asked there.
        """
        turn, asked = phase.turn, phase.asked
        standing = turn.standing
        assert standing is not None, "only a coordinated turn asks the engine"
        if not asked.is_over:
            if turn.completed is not None and now >= standing.until:
                raise _not_stored(turn, turn.completed, "the engine has not answered")
            if turn.completed is None and now >= turn.until:
                raise out_of_time(self._setup)
            return asked.intent
        if asked.failure is not None:
            self._go_on_without(machine, phase, turn, standing, asked.failure, now)
            return None
        call = asked.intent.call
        match asked.result:
            case Claimed() as claimed if standing.fence == 0:
                return self._begin(machine, turn, standing, claimed, asked)
            case Claimed() | Marked():
                standing.marked = standing.marked or isinstance(asked.result, Marked)
                self._has_lease(standing, asked)
            case Busy(retry_after=retry_after):
                self._wait_for_conversation(turn, standing, retry_after, now)
            case Done() as done:
                return self._recall(machine, turn, done)
            case Lost():
                standing.fence = 0
                raise TurnSuperseded("another turn has taken this conversation over; ask again to continue it")
            case Slot() as slot:
                event = self._take_slot(turn, standing, slot, asked)
                machine.move(Move.NEXT, Planning(turn))
                return event
            case Refused(wait=wait):
                raise PaceRefused(
                    f"the next request may begin in {wait:.0f} s, which is longer than this turn waits; ask again then",
                    wait=wait,
                )
            case Committed():
                assert turn.completed is not None, "a turn is committed when it is complete"
                return _finish(machine, phase, turn, turn.completed, now)
        if isinstance(call, Hold):
            standing.held_until = self._setup.shared.pacer.held_until
        machine.move(Move.NEXT, Planning(turn))
        return None

    def _has_lease(self, standing: Standing, asked: Asked) -> None:
        """Note that the conversation is the turn's from when the engine was asked on."""
        lease = self._settings.lease
        standing.until = asked.asked + lease
        # Where the engine takes long to answer, the turn goes on between two renewals all the same.
        standing.renew_at = max(asked.asked + lease * RENEWED_AFTER, asked.now + lease * RENEWED_AGAIN)
        standing.retry_at = None

    def _begin(self, machine: Machine, turn: Turn, standing: Standing, claimed: Claimed, asked: Asked) -> TurnStarted:
        """Begin the turn in the conversation as it is stored; in the session's own if nothing is."""
        standing.fence, standing.revision = claimed.fence, claimed.revision
        self._has_lease(standing, asked)
        self._take_over(machine, claimed.document)
        if claimed.sent:
            standing.stale = standing.unfinished = True
            machine.conversation = msgspec.structs.replace(machine.conversation, vqd="", vqd_hash_1="")
        question = standing.later if machine.conversation.message_history else standing.first
        assert question is not None, "a turn with a key has a question"
        model = self._setup.profile.validate_model(standing.model or machine.conversation.model)
        is_text_alone = machine.is_question_text_alone(question, model)
        options = turn.options
        if options != NO_OPTIONS:
            try:
                options = read_options(self._setup.profile, model, options.effort, options.tools, options.extra)
            except ValueError as error:
                raise LocalProtocolError(str(error)) from None
        begun = machine.new_turn(question, is_text_alone=is_text_alone, options=options, model=model, until=turn.until)
        begun.ticket, begun.standing = turn.ticket, standing
        check_limits(self._setup, machine.conversation, question)
        machine.move(Move.NEXT, Planning(begun))
        return TurnStarted(model)

    def _take_over(self, machine: Machine, document: bytes) -> None:
        """Let the stored conversation be the session's, if there is one.

        Raises:
            ConversationFormatError: it can't be read. Nothing was changed.
        """
        if not document:
            return
        conversation = read_conversation(document, unseal=self._settings.unseal)
        if conversation != machine.conversation:
            machine.conversation = conversation
            machine.jar = CookieJar(conversation.cookies) if self._setup.supplied is None else self._setup.fresh_jar()

    def _wait_for_conversation(self, turn: Turn, standing: Standing, retry_after: float, now: float) -> None:
        """Let the turn claim its conversation again later.

        Raises:
            ConversationBusy: it doesn't wait, or not as long.
        """
        settings = self._settings
        until = turn.until if settings.max_wait is None else min(turn.until, standing.begun + settings.max_wait)
        standing.retry_at = now + min(max(retry_after, 0.001), BUSY_SECONDS)
        if settings.on_busy != "wait" or standing.retry_at >= until:
            raise ConversationBusy(
                "another turn of this conversation is under way, here or in another process; "
                f"ask again in {retry_after:.0f} s, or earlier",
                retry_after=retry_after,
            )

    def _recall(self, machine: Machine, turn: Turn, done: Done) -> TurnStarted:
        """Return the events of a turn that was done already."""
        self._take_over(machine, done.document)
        turn.messages = (*machine.conversation.message_history, turn.messages[-1])
        finished = read_reply(done.reply, unseal=self._settings.unseal)
        machine.enter(Recalling(turn, Completed(machine.conversation, finished)))
        return TurnStarted(finished.model)

    def _take_slot(self, turn: Turn, standing: Standing, slot: Slot, asked: Asked) -> Action | None:
        """Note when the next request may begin. Return an event if that is news for the caller."""
        standing.ticket, standing.epoch = slot.ticket, slot.epoch
        start = asked.now + slot.delay
        if slot.fe_version:
            self._setup.shared.fe_version = slot.fe_version
        standing.fetching = False
        if slot.final:
            standing.slot, standing.ask_at = (start, asked.asked + standing.window), None
            return None
        standing.slot, standing.ask_at = None, start
        return news(self._setup, turn, slot.position, start)

    def _go_on_without(
        self,
        machine: Machine,
        phase: Coordinating | Committing,
        turn: Turn,
        standing: Standing,
        failure: Failure,
        now: float,
    ) -> None:
        """Handle that the engine has not answered: a commit and a renewal are tried again, all else ends the turn."""
        text = printable(failure.text, 300) or "it has not answered"
        if turn.completed is not None:
            standing.retry_at = now + COMMIT_SECONDS
            if standing.retry_at >= standing.until:
                raise _not_stored(turn, turn.completed, text)
        elif isinstance(phase.asked.intent.call, Claim) and standing.fence:
            self._renew_later(standing, now)
        else:
            if failure.kind is FailureKind.NOT_SENT and not standing.fence:
                standing.holder = ""  # there is no claim that could hold
            raise EngineUnavailable(f"the shared engine is not available ({text}); nothing was asked")
        machine.move(Move.NEXT, Planning(turn))

    def _renew_later(self, standing: Standing, now: float) -> None:
        standing.renew_at = now + self._settings.lease * RENEWED_AGAIN

    # What no turn waits for

    def renewal(self, machine: Machine, standing: Standing, now: float) -> Action | None:
        """Return what the lease of a turn needs while an exchange is under way; None if that is nothing.

        Args:
            machine: the session's.
            standing: the turn's.
            now: the caller's clock, in seconds.

        Raises:
            TurnSuperseded: another turn has taken the conversation over.
        """
        asked = machine.aside
        if asked is not None:
            if not asked.is_over:
                return asked.intent
            machine.aside = None
            if asked.failure is not None:
                self._renew_later(standing, now)
            elif isinstance(asked.result, Claimed):
                self._has_lease(standing, asked)
            else:
                standing.fence = 0
                raise TurnSuperseded("another turn has taken this conversation over; ask again to continue it")
        if standing.renew_at is None or now < standing.renew_at:
            return None
        machine.aside = machine.ask_engine(self._claim(standing))
        return machine.aside.intent

    def leave(self, machine: Machine, phase: InTurn, standing: Standing) -> None:
        """Note what the engine has still to be told of a turn that ends.

        Args:
            machine: the session's; its conversation is without a token that is spent.
            phase: the phase that the turn ends in.
            standing: the turn's.
        """
        if isinstance(phase, Starting):
            return  # it has asked nothing yet, and the turn before it may still be owed
        machine.aside = None
        held_until = self._setup.shared.pacer.held_until
        owed = Owed(held_until=held_until if held_until > _told_hold(standing) else None)
        turn = phase.turn
        if isinstance(phase, Coordinating) and isinstance(claimed := phase.asked.result, Claimed):
            standing.fence, standing.revision = claimed.fence, claimed.revision  # the turn has not looked at it yet
        if standing.fence:
            owed.standing, owed.completed = standing, turn.completed
            if turn.chat_sent or standing.stale:
                owed.document = write_conversation(machine.conversation, seal=self._settings.seal)
        elif isinstance(phase, Coordinating) and _may_hold(phase.asked) and standing.holder:
            owed.standing = standing
        if owed.held_until is not None or owed.standing is not None:
            machine.owed = owed

    def settle(self, machine: Machine, owed: Owed, now: float) -> Action | None:
        """Return what the engine has still to be told, or the event that follows; None once it knows all.

        Where the engine doesn't answer, it is not asked again: a lease ends by itself.

        Args:
            machine: the session's, between turns.
            owed: what it has to be told.
            now: the caller's clock, in seconds.
        """
        asked = machine.aside
        if asked is not None:
            if not asked.is_over:
                return asked.intent
            machine.aside = None
            event = _settled(machine, owed, asked)
            if event is not None and isinstance(machine.phase, Ready):
                return event
        call = self._next_owed(owed, now)
        if call is None:
            machine.owed = None
            return None
        machine.aside = machine.ask_engine(call)
        return machine.aside.intent

    def _next_owed(self, owed: Owed, now: float) -> Call | None:
        if owed.held_until is not None and owed.held_until > now:
            return _hold(owed.held_until, now)
        standing = owed.standing
        if standing is None or standing.key is None:
            return None
        if not standing.fence:
            # If it has not been carried out, the conversation is not to be taken from another turn.
            return msgspec.structs.replace(self._claim(standing), take_over=False)
        if owed.completed is not None:
            return self._commit(standing, owed.completed)
        return Release(key=standing.key, fence=standing.fence, revision=standing.revision, document=owed.document)


def _hold(until: float, now: float) -> Hold:
    return Hold(seconds=min(until - now, MAX_SECONDS))


def _told_hold(standing: Standing) -> float:
    return -math.inf if standing.held_until is None else standing.held_until


def _finish(machine: Machine, phase: Coordinating | Committing, turn: Turn, completed: Completed, now: float) -> Action:
    """End a turn that is stored."""
    machine.commit(turn, completed)
    if isinstance(phase, Committing):
        phase.drain(machine, now)
    else:
        machine.move(Move.REST, Ready())
    return completed.finished


def _not_stored(turn: Turn, completed: Completed, why: str) -> TurnNotStored:
    """Abandon a turn that could not be stored, and return the exception. Its conversation is released."""
    turn.completed = None
    error = TurnNotStored(
        f"the reply is complete, but it could not be stored in its conversation ({why}); the error has both",
        conversation=completed.conversation,
    )
    error.text = completed.finished.text
    return error


def _may_hold(asked: Asked) -> bool:
    """Return whether a claim may have been carried out whose result hasn't arrived."""
    return isinstance(asked.intent.call, Claim) and asked.result is None


def _settled(machine: Machine, owed: Owed, asked: Asked) -> Action | None:
    """Note that something was told, and return the event that follows from it."""
    match asked.intent.call, asked.result:
        case Hold(), _:
            owed.held_until = None
        case Claim(), Claimed(fence=fence, revision=revision) if owed.standing is not None:
            owed.standing.fence, owed.standing.revision = fence, revision
        case Commit(), result if owed.completed is not None:
            completed, owed.standing = owed.completed, None
            if isinstance(result, Committed):
                machine.conversation = completed.conversation
                machine.jar = CookieJar(completed.conversation.cookies)
                return completed.finished
            return TurnCancelled(completed.finished.text)
        case _:
            owed.standing = None
    return None
