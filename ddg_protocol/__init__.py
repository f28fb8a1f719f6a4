"""The DuckDuckGo AI Chat protocol, sans IO: a state machine that emits requests and consumes response bytes.

`Session` is the client, `service.Service` the other side, `wire.WireSession` the client one floor down. Everything
about the service that can change is a `ServiceProfile`. Nothing here does I/O; the drivers are in `ddg_transports`.
"""

from typing import TYPE_CHECKING, Any

from ._state import State
from .chat import format_prompt, last_user_message
from .conversation import Conversation, Message
from .cookies import Cookie
from .errors import (
    AccessDeniedError,
    BlockedError,
    ChallengeError,
    ChatBusy,
    ChatTimeoutError,
    ContentDecodingError,
    ConversationFormatError,
    ConversationLimitError,
    DuckChatError,
    EmptyResponseError,
    FrontEndVersionMissing,
    HandshakeError,
    IncompleteStream,
    InputLimitError,
    InvalidToken,
    LocalProtocolError,
    MalformedEvent,
    ModelNotSupportedError,
    ModelUnavailableError,
    RateLimitError,
    RedirectRefused,
    RemoteProtocolError,
    ServiceError,
    ServiceUnavailableError,
    StreamTooLarge,
    TokenError,
    TransportError,
    TurnAborted,
    UnsupportedChallenge,
    UserLimitError,
)
from .events import (
    ChallengeReceived,
    ConversationTitle,
    Event,
    FrontEndVersionUnknown,
    Heartbeat,
    LandingPageFailed,
    LimitReached,
    MalformedPayload,
    Retrying,
    ServiceNotice,
    StopReason,
    TextDelta,
    TurnCancelled,
    TurnFinished,
    TurnStarted,
    UnknownPayload,
)
from .identity import Identity
from .intents import NEED_DATA, PAUSED, Failure, FailureKind, Intent, SendRequest, Signal, SolveChallenge, Wait
from .pace import ClientState
from .policy import Policy
from .profile import DUCKDUCKGO_2025_04, Model, ServiceProfile, validate_model
from .session import Session
from .sse import EventStreamDecoder, ServerSentEvent

if TYPE_CHECKING:
    from .challenge import (
        Challenge,
        build_x_vqd_hash_1,
        decode_string_literal,
        inner_html_length,
        parse_dom_fingerprint,
        parse_server_hashes,
        sha256_base64,
    )

__all__ = [
    "DUCKDUCKGO_2025_04",
    "NEED_DATA",
    "PAUSED",
    "AccessDeniedError",
    "BlockedError",
    "Challenge",
    "ChallengeError",
    "ChallengeReceived",
    "ChatBusy",
    "ChatTimeoutError",
    "ClientState",
    "ContentDecodingError",
    "Conversation",
    "ConversationFormatError",
    "ConversationLimitError",
    "ConversationTitle",
    "Cookie",
    "DuckChatError",
    "EmptyResponseError",
    "Event",
    "EventStreamDecoder",
    "Failure",
    "FailureKind",
    "FrontEndVersionMissing",
    "FrontEndVersionUnknown",
    "HandshakeError",
    "Heartbeat",
    "Identity",
    "IncompleteStream",
    "InputLimitError",
    "Intent",
    "InvalidToken",
    "LandingPageFailed",
    "LimitReached",
    "LocalProtocolError",
    "MalformedEvent",
    "MalformedPayload",
    "Message",
    "Model",
    "ModelNotSupportedError",
    "ModelUnavailableError",
    "Policy",
    "RateLimitError",
    "RedirectRefused",
    "RemoteProtocolError",
    "Retrying",
    "SendRequest",
    "ServerSentEvent",
    "ServiceError",
    "ServiceNotice",
    "ServiceProfile",
    "ServiceUnavailableError",
    "Session",
    "Signal",
    "SolveChallenge",
    "State",
    "StopReason",
    "StreamTooLarge",
    "TextDelta",
    "TokenError",
    "TransportError",
    "TurnAborted",
    "TurnCancelled",
    "TurnFinished",
    "TurnStarted",
    "UnknownPayload",
    "UnsupportedChallenge",
    "UserLimitError",
    "Wait",
    "build_x_vqd_hash_1",
    "decode_string_literal",
    "format_prompt",
    "inner_html_length",
    "last_user_message",
    "parse_dom_fingerprint",
    "parse_server_hashes",
    "sha256_base64",
    "validate_model",
]


def __getattr__(name: str) -> Any:
    # What reads challenges is loaded with the first one: most conversations are never asked (PROTOCOL.md section 5).
    if name in __all__:
        from . import challenge

        globals()[name] = found = getattr(challenge, name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
