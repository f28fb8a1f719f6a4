"""Transcripts: a run of a session as JSON lines, recorded, replayed, and served again (docs/transcripts.md).

`RecordedSession` replaces a session and writes down everything that goes in and out of it: chunk by chunk, with the
time, and with stand-ins for tokens and cookies. `replay` repeats the run with the current core, step by step, and
`first_difference` finds where the two differ. `TranscriptTransport`, `AsyncTranscriptTransport` and
`TranscriptService` serve a transcript to another client. Its lines, `Ask`, `NextAction` and so on, are each a call of
the session.
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
    Coordinated,
    CoordinationFailed,
    FetchModels,
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
    "Coordinated",
    "CoordinationFailed",
    "FetchModels",
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
