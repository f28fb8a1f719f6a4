"""The DuckDuckGo AI Chat protocol, sans I/O: a state machine that emits requests and consumes response bytes.

`Session` is the client, `service.Service` the other side, `wire.WireSession` the client one layer lower, on bytes. A
`ServiceProfile` holds everything about the service that can change. Nothing here does I/O; the drivers are in
`ddg_transports`.

The names at the top are those that every embedder needs: of the exceptions the root, its branches and
`RateLimitError`, of the events those of each turn. The rest is in `errors`, `events`, `challenge`, `chat` and `sse`.
"""

from ._state import State
from .conversation import Conversation, Message
from .cookies import Cookie
from .errors import (
    ChatTimeoutError,
    ConversationFormatError,
    CoordinationError,
    DuckChatError,
    HandshakeError,
    LocalProtocolError,
    ModelNotSupportedError,
    RateLimitError,
    RemoteProtocolError,
    ServiceError,
    TransportError,
    TurnAborted,
    UnsupportedChallenge,
)
from .events import Event, Retrying, TextDelta, TurnCancelled, TurnFinished, TurnStarted
from .identity import Identity
from .intents import (
    NEED_DATA,
    PAUSED,
    ChallengeAnswer,
    Failure,
    FailureKind,
    Intent,
    SendRequest,
    Signal,
    SolveChallenge,
    Wait,
)
from .models import Model
from .pace import ClientState
from .policy import Policy
from .profile import ServiceProfile
from .revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from .session import Session

__version__ = "0.1.0"
"""The version of the distribution, whose packages all have it. `pyproject.toml` takes it from here."""

__all__ = [
    "DUCKDUCKGO_2025_04",
    "NEED_DATA",
    "PAUSED",
    "ChallengeAnswer",
    "ChatTimeoutError",
    "ClientState",
    "Conversation",
    "ConversationFormatError",
    "Cookie",
    "CoordinationError",
    "DuckChatError",
    "Event",
    "Failure",
    "FailureKind",
    "HandshakeError",
    "Identity",
    "Intent",
    "LocalProtocolError",
    "Message",
    "Model",
    "ModelNotSupportedError",
    "Policy",
    "RateLimitError",
    "RemoteProtocolError",
    "Retrying",
    "SendRequest",
    "ServiceError",
    "ServiceProfile",
    "Session",
    "Signal",
    "SolveChallenge",
    "State",
    "TextDelta",
    "TransportError",
    "TurnAborted",
    "TurnCancelled",
    "TurnFinished",
    "TurnStarted",
    "UnsupportedChallenge",
    "Wait",
]
