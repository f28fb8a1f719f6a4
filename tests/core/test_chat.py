"""The chat request: its message, body and headers (PROTOCOL.md sections 2 and 6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from support.cases import each_of

from ddg_protocol._request import chat_body, chat_headers
from ddg_protocol.chat import format_prompt, last_user_message
from ddg_protocol.conversation import Message
from ddg_protocol.errors import LocalProtocolError
from ddg_protocol.identity import Identity
from ddg_protocol.parts import Text
from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def test_one_message_is_the_prompt_as_it_is() -> None:
    assert format_prompt([{"role": "system", "content": "  Be brief. \n"}]) == "  Be brief. \n"
    assert format_prompt([Message("user", "")]) == ""


def test_several_messages_are_a_line_each() -> None:
    messages: list[Message | Mapping[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "USER", "content": " Hi "},
        Message("assistant", " \n"),
        {"role": "user", "content": [{"type": "text", "text": "Who "}, {"type": "text", "text": "are\nyou?"}]},
    ]
    assert format_prompt(messages) == "System: Be brief.\nUser:  Hi \nUser: Who are\nyou?\nAssistant:"


def test_a_later_turn_takes_the_trailing_run_of_user_messages() -> None:
    messages: list[Message | Mapping[str, Any]] = [
        {"role": "user", "content": "old"},
        Message("assistant", "reply"),
        Message("user", " one\n"),
        {"role": "user", "content": " "},
        {"role": "user", "content": ({"type": "text", "text": "two"},)},
    ]
    assert last_user_message(messages) == "one\ntwo"
    assert last_user_message([Message("assistant", "Hi"), Message("user", "one")]) == "one"
    assert last_user_message([Message("user", "one"), Message("user", "two")]) == "one\ntwo"


@each_of(
    "messages, says",
    [
        ([], "at least one message"),
        (["hi"], r"messages\[0\] must be a mapping with role and content, not str"),
        ([Message("user", "a"), {"content": "b"}], r"messages\[1\]: role must be text, not NoneType"),
        ([{"role": "user"}], r"messages\[0\]: content must be text or a list of parts, not NoneType"),
        ([{"role": "user", "content": 5}], r"not int"),
        (
            [{"role": "user", "content": ["a"]}],
            r"content\[0\] must be a Text, an Image, a File, or .* not str",
        ),
        (
            [{"role": "user", "content": [{"type": "image", "text": "a"}]}],
            r"\[0\] is not a part .* field `text`",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": 1}]}],
            r"\[0\] is not a part .* got `int`",
        ),
        ([{"role": "user", "content": [{"type": "video"}]}], r"content\[0\] is not a part .* Invalid value 'video'"),
        ([{"role": "user", "content": [{"type": "file", "source": nested(100_000)}]}], r"content\[0\] is not a part"),
        ([Text("a"), "b"], r"messages\[1\] must be a Text"),
    ],
)
def test_messages_of_another_form_are_refused_by_their_place(messages: list[Any], says: str) -> None:
    for function in (format_prompt, last_user_message):
        with pytest.raises(LocalProtocolError, match=says):
            function(messages)


def test_a_later_turn_ends_in_a_user_message() -> None:
    with pytest.raises(LocalProtocolError, match=r"messages\[1\]: .* not one of the role 'assistant'"):
        last_user_message([Message("user", "a"), Message("assistant", "b")])


def test_what_is_said_of_a_role_is_bounded_and_printable() -> None:
    with pytest.raises(LocalProtocolError) as refused:
        last_user_message([Message("user", "a"), {"role": "\x1b[2J" + "x" * 10_000, "content": "b"}])
    assert len(str(refused.value)) < 200
    assert str(refused.value).isprintable()


def test_the_body_is_the_model_the_messages_and_what_the_profile_adds() -> None:
    profile = msgspec.structs.replace(DUCKDUCKGO_2025_04, extra_body={"canUseTools": False})
    body = chat_body(profile, "o3-mini", [Message("user", "Grüße"), Message("assistant", "\U0001f600")])
    assert json.loads(body.decode()) == {
        "model": "o3-mini",
        "messages": [{"role": "user", "content": "Grüße"}, {"role": "assistant", "content": "\U0001f600"}],
        "canUseTools": False,
    }


def test_the_headers_are_those_of_the_protocol() -> None:
    assert dict(chat_headers(DUCKDUCKGO_2025_04, "", "4-123", "answer")) == {
        "user-agent": DUCKDUCKGO_2025_04.identity.user_agent,
        "accept-language": "en-US,en;q=0.9",
        "accept": "text/event-stream",
        "content-type": "application/json",
        "origin": "https://duckduckgo.com",
        "referer": "https://duckduckgo.com/",
        "sec-ch-ua": '"Chromium";v="133", "Not_A Brand";v="8"',
        "accept-encoding": "identity",
        "x-fe-version": "",
        "x-vqd-4": "4-123",
        "x-vqd-hash-1": "answer",
    }
    firefox = msgspec.structs.replace(DUCKDUCKGO_2025_04, identity=Identity(user_agent="F", sec_ch_ua=""))
    assert "sec-ch-ua" not in dict(chat_headers(firefox, "v", "t", ""))
