"""Transcripts: a run of a session as JSON lines, recorded, replayed, and served again (docs/transcripts.md).

`RecordedSession` takes the place of a session and writes down all that goes in and out of it: chunk by chunk, with
the time, and with stand-ins for tokens and cookies. `replay` does it all again with today's core, step by step, and
`first_difference` says where it no longer does the same. `TranscriptTransport`, `AsyncTranscriptTransport` and
`TranscriptService` answer another client from a transcript.
"""

from ._lines import FORMAT_VERSION, Lost, Outcome, Transcript
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
    "AsyncRecordedExchange",
    "AsyncTranscriptTransport",
    "Lost",
    "Outcome",
    "Recorded",
    "RecordedExchange",
    "RecordedSession",
    "Step",
    "Transcript",
    "TranscriptService",
    "TranscriptTransport",
    "exchanges",
    "first_difference",
    "replay",
]
