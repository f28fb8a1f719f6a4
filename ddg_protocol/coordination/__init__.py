"""One pace and conversations over many processes: what sessions ask of an engine (COORDINATION.md)."""

from ..intents import Coordinate
from ._memory import MemoryEngine
from ._overview import LeasedConversation, Overview, WaitingTurn
from ._rows import carry_out
from .calls import (
    Busy,
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    ConversationCall,
    Done,
    Held,
    Hold,
    Lost,
    Mark,
    Marked,
    PaceCall,
    Refused,
    Release,
    Released,
    Reserve,
    Result,
    Slot,
)
from .engine import AsyncEngine, Engine
from .settings import Coordination, OnBusy

__all__ = [
    "AsyncEngine",
    "Busy",
    "Call",
    "Claim",
    "Claimed",
    "Commit",
    "Committed",
    "ConversationCall",
    "Coordinate",
    "Coordination",
    "Done",
    "Engine",
    "Held",
    "Hold",
    "LeasedConversation",
    "Lost",
    "Mark",
    "Marked",
    "MemoryEngine",
    "OnBusy",
    "Overview",
    "PaceCall",
    "Refused",
    "Release",
    "Released",
    "Reserve",
    "Result",
    "Slot",
    "WaitingTurn",
    "carry_out",
]
