"""Tools for deterministic tests without network or sleep; docs/testing.md shows them at work.

`Run` connects a session to the service in memory; `Dialogue` and `WireDialogue` script each step of a turn; `Clock`
is the time in both. The Hypothesis strategies are in `ddg_protocol.testing.strategies`, which must be imported by
name, since it needs Hypothesis.
"""

from ._clock import Clock
from ._dialogue import Dialogue, DialogueError, Matcher, WireDialogue, connect, raises, request, send, wait
from ._run import Chunking, Cut, Run, byte_by_byte, every, split_at, whole
from ._stand_in import stand_in_answer

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
    "stand_in_answer",
    "wait",
    "whole",
]
