"""All checks, those of the pace and those of a conversation."""

from __future__ import annotations

from .._item import Check
from . import conversations, pace

CHECKS = {
    found.name: found for family in (pace, conversations) for found in vars(family).values() if isinstance(found, Check)
}
"""All checks by name, in the order in which they run."""
