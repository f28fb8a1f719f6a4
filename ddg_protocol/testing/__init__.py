"""Tools for tests that need no network, no sleep and no luck: docs/testing.md shows them at work.

`Run` puts a session and the service face to face in memory; `Dialogue` and `WireDialogue` say each step of a turn;
`Clock` is the time in both. `ddg_protocol.testing.strategies` has the Hypothesis strategies, and is imported by its
own name, since it needs Hypothesis.
"""

from ._clock import Clock
from ._dialogue import Dialogue, DialogueError, Matcher, WireDialogue, connect, raises, request, send, wait
from ._run import Chunking, Cut, Run, byte_by_byte, every, split_at, whole

__all__ = [
    "Chunking",
    "Clock",
    "Cut",
    "Dialogue",
    "DialogueError",
    "Matcher",
    "Run",
    "WireDialogue",
    "byte_by_byte",
    "connect",
    "every",
    "raises",
    "request",
    "send",
    "split_at",
    "wait",
    "whole",
]
