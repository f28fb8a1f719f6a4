"""Transcripts: runs of sessions as JSON lines, recorded, replayed, and served again (docs/transcripts.md).

`RecordedSession` replaces a session and writes down everything that goes in and out of it: chunk by chunk, with the
time, and with stand-ins for tokens and cookies. A `Recording` does so for all chats of a client, in one file. `replay`
repeats the run with the current core, step by step, and `first_difference` finds where the two differ.
`TranscriptTransport`, `AsyncTranscriptTransport` and `TranscriptService` serve a transcript to another client. Its
lines, `Ask`, `NextAction` and so on, are each a call of a session.
"""

from ._lines import (
    FORMAT_VERSION,
    Ask,
    Begin,
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
    TransportFailed,
    WaitElapsed,
)
from ._reading import (
    MAX_CHATS,
    MAX_DECODED_BYTES,
    MAX_LINES,
    MAX_POLICY_BYTES,
    MAX_TRANSCRIPT_BYTES,
    Transcript,
)
from ._record import RecordedSession, Recording
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
    "MAX_CHATS",
    "MAX_DECODED_BYTES",
    "MAX_LINES",
    "MAX_POLICY_BYTES",
    "MAX_TRANSCRIPT_BYTES",
    "Ask",
    "AsyncRecordedExchange",
    "AsyncTranscriptTransport",
    "Begin",
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
    "Recording",
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
