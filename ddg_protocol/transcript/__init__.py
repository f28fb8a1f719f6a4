"""Transcripts: a run of a session as JSON lines, recorded, replayed, and served again (docs/transcripts.md).

`RecordedSession` takes the place of a session and writes down all that goes in and out of it: chunk by chunk, with
the time, and with stand-ins for tokens and cookies. `replay` does it all again with today's core, step by step, and
`first_difference` says where it no longer does the same. `TranscriptTransport`, `AsyncTranscriptTransport` and
`TranscriptService` answer another client from a transcript. Its lines are `Ask`, `NextAction` and so on: each a call
of the session.
"""

from ._lines import (
    FORMAT_VERSION,
    MAX_DECODED_BYTES,
    MAX_LINES,
    MAX_POLICY_BYTES,
    MAX_TRANSCRIPT_BYTES,
    Ask,
    Cancel,
    ChallengeFailed,
    ChallengeSolved,
    Close,
    Head,
    Line,
    Lost,
    NewId,
    NextAction,
    Outcome,
    ReceiveData,
    ReceiveEof,
    ReceiveHead,
    Shared,
    Transcript,
    TransportFailed,
    WaitElapsed,
)
from ._record import RecordedSession
from ._replay import Step, first_difference, replay
from ._serve import (
    AsyncRecordedExchange,
    AsyncTranscriptTransport,
    Recorded,
    RecordedExchange,
    TranscriptService,
    TranscriptTransport,
    exchanges,
)

__all__ = [
    "FORMAT_VERSION",
    "MAX_DECODED_BYTES",
    "MAX_LINES",
    "MAX_POLICY_BYTES",
    "MAX_TRANSCRIPT_BYTES",
    "Ask",
    "AsyncRecordedExchange",
    "AsyncTranscriptTransport",
    "Cancel",
    "ChallengeFailed",
    "ChallengeSolved",
    "Close",
    "Head",
    "Line",
    "Lost",
    "NewId",
    "NextAction",
    "Outcome",
    "ReceiveData",
    "ReceiveEof",
    "ReceiveHead",
    "Recorded",
    "RecordedExchange",
    "RecordedSession",
    "Shared",
    "Step",
    "Transcript",
    "TranscriptService",
    "TranscriptTransport",
    "TransportFailed",
    "WaitElapsed",
    "exchanges",
    "first_difference",
    "replay",
]
