"""The exceptions: one tree, messages fit to be shown, copies that are whole."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddg_protocol import errors
from ddg_protocol.errors import (
    ChatTimeoutError,
    DuckChatError,
    ModelNotSupportedError,
    ServiceError,
    StreamTooLarge,
    TransportError,
    UnsupportedChallenge,
    UserLimitError,
)
from ddg_protocol.intents import Failure, FailureKind
from ddg_protocol.text import printable

#: The tree as DESIGN.md draws it, and PROTOCOL.md section 7's table.
TREE: dict[str, Any] = {
    "DuckChatError": {
        "LocalProtocolError": {"ChatBusy": {}},
        "RemoteProtocolError": {
            "MalformedEvent": {},
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
            "BlockedError": {},
            "ConversationLimitError": {},
            "InputLimitError": {},
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


@pytest.mark.parametrize("cls", CLASSES)
def test_an_exception_says_what_happened_and_begins_without_a_text(cls: type[DuckChatError]) -> None:
    error = made(cls)
    assert str(error) == "what happened; what to do"
    assert error.args == ("what happened; what to do",)
    assert error.text == ""
    assert cls.__name__ in repr(error)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", CLASSES)
def test_an_exception_comes_whole_through_a_pickle(cls: type[DuckChatError], protocol: int) -> None:
    error = made(cls)
    error.text = "half a rep"
    error.add_note("seen on a Tuesday")
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is cls
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("cls", CLASSES)
def test_a_copy_of_an_exception_is_whole(
    cls: type[DuckChatError], again: Callable[[DuckChatError], DuckChatError]
) -> None:
    error = made(cls)
    assert vars(again(error)) == vars(error)
    assert str(again(error)) == str(error)


def test_attributes_are_empty_where_nothing_was_said() -> None:
    refused = ServiceError("no")
    assert (refused.status, refused.type, refused.retry_after, refused.body) == (0, None, None, b"")
    limited = UserLimitError("no")
    assert (limited.status, limited.type, limited.retry_after, limited.body) == (0, None, None, b"")
    assert limited.resets == ()
    assert StreamTooLarge("no").limit == 0
    unread = UnsupportedChallenge("no")
    assert (unread.position, unread.expected, unread.form) == (None, "", "")


def test_a_transport_error_has_the_drivers_own_words() -> None:
    failure = Failure(FailureKind.NOT_SENT, "connection refused")
    assert TransportError(failure.text, failure=failure).failure is failure


# Text from the wire in a message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ERR_CHALLENGE", "ERR_CHALLENGE"),
        ("zwölf Boxkämpfer ☃", "zwölf Boxkämpfer ☃"),
        ("two\r\nlines", r"two\r\nlines"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x00\x7f\x85", r"\x00\x7f\x85"),
        ("exe\u202egpj", r"exe\u202egpj"),
        ("\u2066hidden\u2069", r"\u2066hidden\u2069"),
        ("\ufeff\u200b\u2028", r"\ufeff\u200b\u2028"),
        ("\ud83d half", r"\ud83d half"),
        ("\U000e0041tag", r"\U000e0041tag"),
    ],
)
def test_what_can_not_be_seen_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_too_long_ends_in_an_ellipsis() -> None:
    assert printable("a" * 120) == "a" * 120
    assert printable("a" * 121) == "a" * 119 + "…"
    assert printable("\n" * 10, 10) == r"\n\n\n\n\n"[:9] + "…"


@given(st.text(st.characters(), max_size=300), st.integers(2, 200))
@example("\U000e0001" * 1000, 120)
def test_a_shown_text_is_visible_and_bounded_whatever_came(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    shown.encode()
