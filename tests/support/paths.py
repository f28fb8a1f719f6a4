"""The paths of this repository's files."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
CONVERSATIONS = TESTS / "conversations"
TRANSCRIPTS = TESTS / "transcripts"
