"""Apply lines to a session, for the recorder and the replay."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import Any

from .._state import State
from ..errors import DuckChatError
from ..intents import ChallengeAnswer, Coordinate, Failure, SendRequest, SolveChallenge, Wait
from ..pace import ClientState
from ..session import Action, Session
from ._lines import (
    Ask,
    Cancel,
    ChallengeFailed,
    ChallengeSolved,
    Close,
    Coordinated,
    CoordinationFailed,
    FetchModels,
    Head,
    Line,
    NewId,
    ReceiveData,
    ReceiveEof,
    ReceiveHead,
    Shared,
    TransportFailed,
    WaitElapsed,
    coordination_of,
    result_of,
)


def stand_in_bytes() -> Callable[[int], bytes]:
    """Return a source of the ids of a recorded session and of its replay: 1, 2, 3 and so on."""
    numbers = count(1)
    return lambda length: next(numbers).to_bytes(length)


def restored(head: Head, jitter: Callable[[], float], trace: Callable[[State], object] | None = None) -> Session:
    return Session.restore(
        head.session,
        now=0.0,
        profile=head.profile,
        policy=head.policy,
        shared=ClientState(),
        jitter=jitter,
        random_bytes=stand_in_bytes(),
        coordination=coordination_of(head),
        trace=trace,
    )


def apply(session: Session, line: Line) -> None:
    match line:
        case Ask():
            options: dict[str, Any] = {
                "effort": line.effort,
                "tools": line.tools,
                "extra": line.extra,
                "turn": line.turn,
            }
            session.ask(line.messages, model=line.model, **options, now=line.now)
        case FetchModels():
            session.fetch_models(now=line.now)
        case Cancel():
            session.cancel()
        case Close():
            session.close()
        case NewId():
            session._new_id()
        case Shared():
            _share(session.shared, line)
        case ReceiveHead():
            session.receive_head(_request(line.id), line.status, line.headers, now=line.now)
        case ReceiveData():
            session.receive_data(_request(line.id), line.data)
        case ReceiveEof():
            session.receive_eof(_request(line.id))
        case TransportFailed():
            session.transport_failed(_request(line.id), Failure(line.kind, line.text))
        case WaitElapsed():
            session.wait_elapsed(Wait(id=line.id, until=0.0, reason=""))
        case ChallengeSolved():
            answer = ChallengeAnswer(line.answer, line.headers, line.body)
            session.challenge_solved(_challenge(session, line.id), answer)
        case ChallengeFailed():
            session.challenge_failed(_challenge(session, line.id), line.text)
        case Coordinated():
            session.coordinated(_coordinate(line.id), result_of(line), asked=line.asked, now=line.now)
        case CoordinationFailed():
            session.coordination_failed(_coordinate(line.id), Failure(line.kind, line.text))


def _request(id: int) -> SendRequest:
    """Return a request with an id, which is all that a report uses."""
    return SendRequest(id=id, method="", url="", headers=(), body=b"", timeout=0.0)


def _coordinate(id: int) -> Coordinate:
    from ..coordination import Hold  # which most transcripts never need

    return Coordinate(id=id, call=Hold(seconds=0.0))  # a report uses only the id


def _challenge(session: Session, id: int) -> SolveChallenge:
    return SolveChallenge(id=id, script="", identity=session.profile.identity)


def pulled(session: Session, now: float) -> Action | DuckChatError:
    try:
        return session.next_action(now=now)
    except DuckChatError as error:
        return error


def shared(session: Session) -> Shared:
    state = session.shared
    pacer = state.pacer
    return Shared(
        state.fe_version,
        last_start=pacer.last_start,
        held_until=pacer.held_until if math.isfinite(pacer.held_until) else None,
        landing=state.landing,
        queue=pacer.queue,
    )


def _share(state: ClientState, line: Shared) -> None:
    state.fe_version, state.landing = line.fe_version, line.landing
    if line.held_until is not None:
        state.pacer.hold(line.held_until)
    state.pacer.last_start, state.pacer.queue = line.last_start, line.queue
