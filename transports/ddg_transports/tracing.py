"""Log what happens in the chats of a client: ``Client(on_action=tracing.log)``.

Each record goes to the logger of its topic, below ``ddg_transports``:

* ``ddg_transports.turn``: a turn begins and ends (INFO), is retried, degraded or fails (WARNING), brings text (DEBUG);
* ``ddg_transports.request``: a response's status (INFO), a failure (WARNING), requests and bytes (DEBUG);
* ``ddg_transports.wait``: a backoff, a place in the queue (INFO), the service's pace (DEBUG);
* ``ddg_transports.challenge``: a challenge that has to be answered (INFO), its answer (DEBUG);
* ``ddg_transports.engine``: a shared engine fails (WARNING), an earlier turn that never ended, a reply that it had
  (INFO), each call and result (DEBUG);
* ``ddg_transports.connection``: the client's own connections (DEBUG).

The members of a record are numbers, this library's own words, and addresses with hidden targets. Tokens, cookies,
questions, replies, and whatever else a service says in its own words, are in none; nor are the messages of exceptions,
since the caller gets those.
"""

from __future__ import annotations

import logging
from typing import Any

from ddg_protocol import (
    DuckChatError,
    Event,
    Retrying,
    SendRequest,
    ServiceError,
    Signal,
    SolveChallenge,
    TextDelta,
    TransportError,
    TurnCancelled,
    TurnFinished,
    TurnStarted,
    Wait,
)
from ddg_protocol.events import (
    ChallengeReceived,
    EarlierTurnUnfinished,
    FrontEndVersionUnknown,
    LandingPageFailed,
    MalformedPayload,
    Queued,
    ReplyRecalled,
)
from ddg_protocol.intents import Coordinate
from ddg_protocol.redaction import shown_url
from ddg_protocol.wire import Close, Connect, Send

from ._trace import DriverReport, Trace

__all__ = ["log"]

_TURN, _REQUEST, _WAIT, _CHALLENGE, _ENGINE, _CONNECTION = (
    logging.getLogger(f"ddg_transports.{topic}")
    for topic in ("turn", "request", "wait", "challenge", "engine", "connection")
)

_Record = tuple[logging.Logger, int, str, dict[str, Any]]


def log(trace: Trace) -> None:
    """Log a trace: the ``on_action`` of a client.

    The record has these attributes, for formatters and filters: ``ddg_chat`` and ``ddg_at`` of the trace, ``ddg_what``
    (the class of what happened, or the method of a report), and what its message is made of, such as ``ddg_status``,
    ``ddg_seconds`` or ``ddg_bytes``.

    Args:
        trace: what happened.
    """
    described = _described(trace)
    if described is None:
        return
    logger, level, text, members = described
    if logger.isEnabledFor(level):
        what = trace.what.method if isinstance(trace.what, DriverReport) else type(trace.what).__name__
        members = {"chat": trace.chat, "at": trace.at, "what": what, **members}
        extra = {f"ddg_{name}": value for name, value in members.items()}
        logger.log(level, f"chat %(chat)d: {text}", members, extra=extra)


def _described(trace: Trace) -> _Record | None:
    """Return the logger, the level, the message and its members; None for what is not worth a record."""
    members: dict[str, Any]
    match what := trace.what:
        case TextDelta():
            return _TURN, logging.DEBUG, "%(characters)d characters", {"characters": len(what.text)}
        case DriverReport():
            return _report(what)
        case Signal():
            return None
        case SendRequest():
            members = {"request": what.id, "method": what.method, "url": shown_url(what.url), "bytes": len(what.body)}
            return _REQUEST, logging.DEBUG, "%(method)s %(url)s with %(bytes)d bytes", members
        case Wait():
            level = logging.INFO if what.reason == "backoff" else logging.DEBUG
            members = {"seconds": max(0.0, what.until - trace.at), "reason": what.reason}
            return _WAIT, level, "wait for %(seconds).1f s (%(reason)s)", members
        case SolveChallenge():
            return _CHALLENGE, logging.DEBUG, "ask the solver for an answer", {}
        case Coordinate():
            return _ENGINE, logging.DEBUG, "ask the shared engine: %(call)s", {"call": type(what.call).__name__}
        case EarlierTurnUnfinished():
            return _ENGINE, logging.INFO, "an earlier turn of the conversation never came to an end", {}
        case ReplyRecalled():
            return _ENGINE, logging.INFO, "the turn was done before: its stored reply follows", {}
        case ChallengeReceived():
            return _CHALLENGE, logging.INFO, "the service wants the answer to its challenge", {}
        case Connect():
            members = {"host": what.host, "port": what.port, "tls": what.tls}
            return _CONNECTION, logging.DEBUG, "connect to %(host)s:%(port)d", members
        case Send():
            return _CONNECTION, logging.DEBUG, "send %(bytes)d bytes", {"bytes": len(what.data)}
        case Close():
            return _CONNECTION, logging.DEBUG, "close", {}
        case DuckChatError():
            return _TURN, logging.WARNING, "the turn failed: %(error)s", _error(what)
    return _event(what, trace.at)


def _event(event: Event, at: float) -> _Record:
    members: dict[str, Any]
    match event:
        case TurnStarted():
            return _TURN, logging.INFO, "the turn begins, with %(model)s", {"model": event.model}
        case TurnFinished():
            members = {"characters": len(event.text), "reason": event.reason, "model": event.model}
            return _TURN, logging.INFO, "the turn is complete: %(characters)d characters (%(reason)s)", members
        case TurnCancelled():
            members = {"characters": len(event.text)}
            return _TURN, logging.INFO, "the turn is cancelled, after %(characters)d characters", members
        case Queued():
            members = {"ahead": event.position, "seconds": max(0.0, event.until - at)}
            return _WAIT, logging.INFO, "%(ahead)d ahead in the queue, for about %(seconds).1f s", members
        case Retrying():
            members = {"attempt": event.attempt, "seconds": event.delay, **_error(event.cause)}
            return _TURN, logging.WARNING, "retry %(attempt)d in %(seconds).1f s: %(error)s", members
        case FrontEndVersionUnknown():
            return _TURN, logging.WARNING, "the front-end version is unknown: %(error)s", _error(event.cause)
        case LandingPageFailed():
            return _TURN, logging.WARNING, "the landing page failed: %(error)s", _error(event.cause)
        case MalformedPayload():
            return _TURN, logging.WARNING, "a payload of %(bytes)d bytes is malformed", {"bytes": len(event.raw)}
    return _TURN, logging.DEBUG, "%(what)s", {}


def _report(report: DriverReport) -> _Record:
    members: dict[str, Any] = {"request": report.intent.id}
    match report.method, report.arguments:
        case "receive_head", (int(status), *_) if isinstance(report.intent, SendRequest):
            members |= {"method": report.intent.method, "url": shown_url(report.intent.url), "status": status}
            return _REQUEST, logging.INFO, "%(method)s %(url)s: %(status)d", members
        case "receive_data", (data,):
            return _REQUEST, logging.DEBUG, "%(bytes)d bytes", {**members, "bytes": len(data)}
        case "transport_failed", (failure,):
            return (
                _REQUEST,
                logging.WARNING,
                "the request failed (%(failure)s)",
                {**members, "failure": failure.kind.value},
            )
        case "coordinated", (result,):
            return _ENGINE, logging.DEBUG, "the shared engine: %(result)s", {"result": type(result).__name__}
        case "coordination_failed", _:
            return _ENGINE, logging.WARNING, "the shared engine failed", {}
        case (("challenge_solved" | "challenge_failed"), _):
            return _CHALLENGE, logging.DEBUG, "%(what)s", {}
        case "wait_elapsed", _:
            return _WAIT, logging.DEBUG, "the wait is over", {}
    return _REQUEST, logging.DEBUG, "%(what)s", members


def _error(error: DuckChatError) -> dict[str, Any]:
    members: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, ServiceError):
        members |= {"status": error.status, "retry_after": error.retry_after}
    elif isinstance(error, TransportError):
        members["failure"] = error.failure.kind.value
    return members
