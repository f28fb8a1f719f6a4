"""The exceptions: one tree, messages fit to be shown, copies that are whole."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

from support.cases import each_of

from ddg_protocol import Conversation, errors
from ddg_protocol.errors import (
    ChallengeError,
    ChatTimeoutError,
    ConversationBusy,
    DuckChatError,
    EmptyResponseError,
    InputLimitError,
    MalformedEvent,
    ModelNotSupportedError,
    PaceRefused,
    ServiceError,
    StreamTooLarge,
    TransportError,
    TurnNotStored,
    UnsupportedChallenge,
    UserLimitError,
)
from ddg_protocol.intents import Failure, FailureKind

#: The tree as DESIGN.md draws it, and PROTOCOL.md section 7's table.
TREE: dict[str, Any] = {
    "DuckChatError": {
        "LocalProtocolError": {"ChatBusy": {}},
        "RemoteProtocolError": {
            "MalformedEvent": {},
            "MalformedModelList": {},
            "IncompleteStream": {},
            "EmptyResponseError": {},
            "StreamTooLarge": {},
            "InvalidToken": {},
            "RedirectRefused": {},
            "ContentDecodingError": {},
            "FrontEndVersionMissing": {},
        },
        "UnsupportedChallenge": {},
        "ServiceError": {
            "ChallengeError": {},
            "BadRequestError": {},
            "BlockedError": {},
            "ConversationLimitError": {},
            "InputLimitError": {},
            "OutputLimitError": {},
            "UserLimitError": {},
            "RateLimitError": {},
            "TokenError": {},
            "ModelUnavailableError": {},
            "AccessDeniedError": {},
            "ServiceUnavailableError": {},
        },
        "HandshakeError": {},
        "TransportError": {},
        "ChatTimeoutError": {},
        "TurnAborted": {},
        "ModelNotSupportedError": {},
        "ConversationFormatError": {},
        "CoordinationError": {
            "EngineUnavailable": {},
            "ConversationBusy": {},
            "PaceRefused": {},
            "TurnSuperseded": {},
            "TurnNotStored": {},
        },
    }
}
RETRYABLE = {"RateLimitError", "TokenError", "ServiceUnavailableError"}

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, BaseException)]


def tree_below(cls: type[DuckChatError]) -> dict[str, Any]:
    return {cls.__name__: {name: below for sub in cls.__subclasses__() for name, below in tree_below(sub).items()}}


def made(cls: type[DuckChatError]) -> DuckChatError:
    """One of each, with every argument its class has."""
    values: dict[str, Any] = {
        "status": 429,
        "type": "ERR_USER_LIMIT",
        "retry_after": 30.0,
        "body": b"{}",
        "resets": ("2026-09-02T00:00:00.000Z",),
        "raw": b"[PONG]",
        "limit": 1024,
        "position": 12,
        "expected": "a string",
        "form": "an obfuscated script",
        "failure": Failure(FailureKind.CUT, "the connection was reset"),
        "wait": 7.5,
        "conversation": Conversation(model="gpt-4o-mini"),
    }
    named = inspect.getfullargspec(cls.__init__).kwonlyargs if inspect.isfunction(cls.__init__) else []
    return cls("what happened; what to do", **{name: values[name] for name in named})


# The tree


def test_the_tree_is_the_documented_one() -> None:
    assert tree_below(DuckChatError) == TREE


def test_nothing_in_the_module_is_outside_the_tree() -> None:
    assert {cls for cls in CLASSES if not issubclass(cls, DuckChatError)} == set()


def test_a_timeout_and_a_bad_model_are_caught_as_what_the_standard_library_calls_them() -> None:
    assert issubclass(ChatTimeoutError, TimeoutError)
    assert issubclass(ModelNotSupportedError, ValueError)


def test_only_these_can_succeed_when_asked_again_unchanged() -> None:
    assert {cls.__name__ for cls in CLASSES if issubclass(cls, ServiceError) and cls.retryable} == RETRYABLE


# Each of them


@each_of("cls", CLASSES)
def test_an_exception_says_what_happened_and_begins_without_a_text(cls: type[DuckChatError]) -> None:
    error = made(cls)
    assert str(error) == "what happened; what to do"
    assert error.args == ("what happened; what to do",)
    assert error.text == ""
    assert cls.__name__ in repr(error)


@each_of("cls", CLASSES)
def test_an_exception_comes_whole_through_a_pickle_and_a_copy(cls: type[DuckChatError]) -> None:
    error = made(cls)
    error.text = "half a rep"
    error.add_note("seen on a Tuesday")
    pickled = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for again in (*pickled, copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_attributes_are_empty_where_nothing_was_said() -> None:
    refused = ServiceError("no")
    assert (refused.status, refused.type, refused.retry_after, refused.body) == (0, None, None, b"")
    assert (refused.override_code, refused.reason, refused.detail) == ("", "", "")
    assert InputLimitError("no").limit is None
    assert ChallengeError("no").picture_check == ""
    limited = UserLimitError("no")
    assert (limited.status, limited.type, limited.retry_after, limited.body) == (0, None, None, b"")
    assert (limited.windows, limited.resets, limited.reset_at) == ((), (), None)
    assert StreamTooLarge("no").limit == 0
    assert EmptyResponseError("no").had_events
    assert MalformedEvent("no").raw == b""
    assert (ConversationBusy("no").retry_after, PaceRefused("no").wait) == (0.0, 0.0)
    assert TurnNotStored("no").conversation is None
    unread = UnsupportedChallenge("no")
    assert (unread.position, unread.expected, unread.form) == (None, "", "")


def test_a_transport_error_has_the_drivers_own_words() -> None:
    failure = Failure(FailureKind.NOT_SENT, "connection refused")
    assert TransportError(failure.text, failure=failure).failure is failure
