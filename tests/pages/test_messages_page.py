"""docs/messages.md has every message that the code raises, and reads as a table."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest
from support.documents import read
from support.paths import ROOT

from ddg_protocol import errors

GENERATOR: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "messages.py"))
Messages = dict[str, dict[str, set[str]]]


@pytest.fixture(scope="module")
def messages() -> Messages:
    found: Messages = GENERATOR["messages"]()
    return found


def test_the_page_has_today_s_messages(messages: Messages) -> None:
    page = read("docs/messages.md")
    assert GENERATOR["written"](page, messages) == page, "run python docs/messages.py"


def test_every_exception_that_is_raised_by_itself_has_a_message(messages: Messages) -> None:
    assert set(errors.__all__) - set(messages) == {"CoordinationError", "DuckChatError", "UsageWindow"}


def test_messages_of_each_form_are_found(messages: Messages) -> None:
    for kind, text in (
        ("ChatBusy", "this chat is still answering; read its reply, close it, or use another chat (wait=True waits)"),
        ("BlockedError", "the service blocks this client; only time helps"),  # from a table
        ("ModelNotSupportedError", "no model is called …; the models are: …"),  # with something filled in
        ("TransportError", "the connection was closed while it was idle"),  # by the name of a variable
        ("InputLimitError", "the service takes at most … …, and there would be …"),  # by a function that makes it
    ):
        assert text in messages[kind], kind


def test_a_message_is_a_clause_for_the_middle_of_a_line(messages: Messages) -> None:
    for kind, texts in messages.items():
        for text in texts:
            assert not text.endswith((".", "!", " ")), f"{kind}: {text}"
            assert not re.match(r"[A-Z][a-z]+ [a-z]", text) or text.startswith("Python "), f"{kind}: {text}"
