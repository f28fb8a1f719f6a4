"""What a conversation is, to and from JSON: whole, or a clear error (PROTOCOL.md section 10)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.paths import CONVERSATIONS as STORED

from ddg_protocol.conversation import MAX_TOKEN_BYTES, Conversation, Message, Tokens
from ddg_protocol.cookies import MAX_COOKIES, MAX_JAR_BYTES, Cookie
from ddg_protocol.errors import ConversationFormatError, InvalidToken
from ddg_protocol.grammar import MAX_VERSION_CHARS
from ddg_protocol.parts import File, Image, Text
from ddg_protocol.testing.strategies import contents, reply_parts

WHOLE = Conversation(
    model="gpt-4o-mini",
    vqd="4-130280660404199472987102188598514176547",
    vqd_hash_1="KGZ1bmN0aW9uKCk=",
    message_history=(Message("user", "Why is the sky blue? ☃\n"), Message("assistant", "It scatters.\x00")),
    cookies=(
        Cookie(name="dcm", value="3", domain="duckduckgo.com"),
        Cookie(
            name="ay",
            value="b c",
            domain="duckduckgo.com",
            path="/aichat",
            host_only=False,
            secure=True,
            http_only=True,
            expires=1.75e9,
        ),
    ),
    fe_version="serp_20250401_100419_ET-19d438eb199b2bf7c300",
    title="The sky",
    limit_reached=True,
    answers_wanted=True,
)


def stored(**changes: Any) -> dict[str, Any]:
    """What `to_json` writes, with changes to the conversation in it."""
    data: dict[str, Any] = json.loads(WHOLE.to_json())
    data["conversation"] |= changes
    return data


def refused(data: Any) -> str:
    """The message of the error that the data is refused with."""
    with pytest.raises(ConversationFormatError) as caught:
        Conversation.from_json(data if isinstance(data, str | bytes) else json.dumps(data))
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    return message


# There and back


def test_a_conversation_is_stored_and_read_back_whole() -> None:
    text = WHOLE.to_json()
    assert Conversation.from_json(text) == WHOLE
    assert Conversation.from_json(text.encode()) == WHOLE
    assert Conversation.from_json(text).to_json() == text


def test_a_new_conversation_too() -> None:
    assert Conversation.from_json(Conversation().to_json()) == Conversation()


def test_what_is_stored_is_named_as_in_the_protocol() -> None:
    data = stored()
    assert set(data) == {"format_version", "conversation"}
    assert data["format_version"] == 2
    assert set(data["conversation"]) == {
        *("model", "vqd", "vqd_hash_1", "message_history", "cookies", "fe_version"),
        *("title", "limit_reached", "answers_wanted", "ids"),
    }


def test_a_new_conversation_holds_nothing() -> None:
    new = Conversation()
    assert (new.model, new.vqd, new.vqd_hash_1, new.fe_version, new.title) == ("", "", "", "", None)
    assert (new.message_history, new.cookies, new.limit_reached, new.answers_wanted) == ((), (), False, False)


def test_members_that_are_missing_are_those_of_a_new_conversation() -> None:
    assert Conversation.from_json('{"format_version":1,"conversation":{}}') == Conversation()


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E))
COOKIES = st.builds(
    Cookie,
    name=st.from_regex(r"[a-z$_]+", fullmatch=True),
    value=st.from_regex(r"[ -:<-~]*", fullmatch=True).map(str.strip),
    domain=st.from_regex(r"[a-z]+(\.[a-z]+)?", fullmatch=True),
    path=st.from_regex(r"/[ -~]*", fullmatch=True),
    host_only=st.booleans(),
    secure=st.booleans(),
    http_only=st.booleans(),
    expires=st.none() | st.floats(0, 1e12),
)
MESSAGES = st.builds(Message, st.just("user"), TEXT | contents()) | st.builds(
    Message, st.just("assistant"), TEXT, reply_parts()
)
CONVERSATIONS = st.builds(
    Conversation,
    model=TEXT,
    vqd=VISIBLE,
    vqd_hash_1=VISIBLE,
    message_history=st.lists(MESSAGES, max_size=3).map(tuple),
    cookies=st.lists(COOKIES, max_size=3).map(tuple),
    fe_version=VISIBLE,
    title=st.none() | TEXT,
    limit_reached=st.booleans(),
    answers_wanted=st.booleans(),
)


@settings(deadline=None)
@given(CONVERSATIONS)
def test_any_conversation_is_stored_and_read_back_whole(conversation: Conversation) -> None:
    assert Conversation.from_json(conversation.to_json()) == conversation


@pytest.mark.parametrize("path", sorted(STORED.glob("*.json")), ids=lambda path: path.stem)
def test_what_earlier_versions_stored_is_read_and_stored_anew(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert json.loads(text)["format_version"] == 1
    conversation = Conversation.from_json(text)
    assert all(isinstance(message.content, str) and not message.parts for message in conversation.message_history)
    expected = {**json.loads(text), "format_version": 2}
    expected["conversation"]["ids"] = []
    assert json.loads(conversation.to_json()) == expected
    assert Conversation.from_json(conversation.to_json()) == conversation


def test_the_stored_conversations_are_those_that_the_old_code_wrote() -> None:
    assert Conversation.from_json((STORED / "format-1-whole.json").read_text(encoding="utf-8")) == WHOLE
    assert Conversation.from_json((STORED / "format-1-new.json").read_text(encoding="utf-8")) == Conversation()


def test_images_files_and_parts_are_stored_with_the_text() -> None:
    question = Message("user", (Text("Hi"), Image(b"abc", "image/png"), File(b"x", "application/pdf", "a.pdf")))
    reply = Message("assistant", "Hello", ('{"type":"source"}',))
    conversation = Conversation(message_history=(question, reply))
    assert json.loads(conversation.to_json())["conversation"]["message_history"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image", "data": "YWJj", "mime_type": "image/png"},
                {"type": "file", "data": "eA==", "mime_type": "application/pdf", "name": "a.pdf"},
            ],
        },
        {"role": "assistant", "content": "Hello", "parts": ['{"type":"source"}']},
    ]
    assert Conversation.from_json(conversation.to_json()) == conversation


# What can't be read


def test_a_file_cut_anywhere_is_a_clear_error() -> None:
    raw = WHOLE.to_json().encode()
    for length in range(len(raw)):
        assert refused(raw[:length]).startswith("not a stored conversation: ")


@each_of(
    "text",
    [
        *(
            "",
            " ",
            "null",
            "[]",
            "5",
            '"x"',
            "{}",
            "not JSON",
            "\x00",
            "\ufeff" + WHOLE.to_json(),
            WHOLE.to_json() + "x",
        ),
        *(b"\xff\xfe", b'{"format_version":1,"conversation":{"model":"\xff"}}'),
        *("\ud800", '{"format_version":1,"conversation":{"model":"\\ud800"}}'),
        *("[" * 100_000, '{"a":' * 100_000, '{"format_version":' + "[" * 100_000),
        *('{"format_version":1,"conversation":{"title":' + "[" * 100_000, '{"format_version":' + "9" * 10_000 + "}"),
        '{"format_version":1}',
        '{"conversation":{}}',
    ],
)
def test_what_is_no_stored_conversation_is_a_clear_error(text: str | bytes) -> None:
    assert refused(text).startswith("not a stored conversation: ")


def test_a_later_version_is_named_and_asks_for_an_update() -> None:
    later = {"format_version": 3, "conversation": {"model": ["of another kind"]}, "more": 1}
    assert refused(later) == (
        "the conversation is of format version 3, and this version of ddg-protocol reads 1 and 2; "
        "update ddg-protocol to read it"
    )


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_that_never_was_asks_for_no_update(version: int) -> None:
    assert refused({"format_version": version}) == (
        f"the conversation is of format version {version}, and this version of ddg-protocol reads 1 and 2"
    )


@pytest.mark.parametrize("version", ["1", 1.5, True, None, [1]])
def test_a_version_of_another_kind_is_an_error(version: Any) -> None:
    assert "$.format_version" in refused({"format_version": version, "conversation": {}})


@each_of(
    "changes, where",
    [
        *(({name: 5}, f"$.conversation.{name}") for name in ("model", "vqd", "vqd_hash_1", "fe_version", "title")),
        *(({name: "yes"}, f"$.conversation.{name}") for name in ("limit_reached", "answers_wanted", "cookies")),
        *(({name: None}, f"$.conversation.{name}") for name in ("model", "vqd", "message_history", "limit_reached")),
        ({"message_history": [{"role": "system", "content": "x"}]}, "$.conversation.message_history[0].role"),
        ({"message_history": [{"role": "user"}]}, "`content` - at `$.conversation.message_history[0]`"),
        ({"message_history": [{"role": "user", "content": ["x"]}]}, "$.conversation.message_history[0].content"),
        *(
            ({"message_history": [{"role": "user", "content": [part]}]}, "$.conversation.message_history[0].content[0]")
            for part in (
                {"type": "video"},
                {"type": "image", "data": "?", "mime_type": "image/png"},
                {"type": "image", "data": "", "mime_type": "image/png"},
                {"type": "image", "data": "AAAA", "mime_type": "text/plain"},
                {"type": "image", "data": "AAAA", "mime_type": "image/png", "more": 1},
                {"type": "file", "data": "AAAA", "mime_type": "application/pdf", "name": "\n"},
                {"type": "file", "data": "AAAA", "mime_type": "application/pdf"},
            )
        ),
        ({"message_history": [{"role": "user", "content": []}]}, "$.conversation.message_history[0]"),
        ({"message_history": [{"role": "user", "content": "", "parts": ["{}"]}]}, "message_history[0]"),
        ({"message_history": [{"role": "assistant", "content": "", "parts": ["{}"]}]}, "message_history[0]"),
        ({"message_history": [{"role": "assistant", "content": "", "parts": [{}]}]}, "message_history[0].parts[0]"),
        ({"cookies": [{"name": "a", "value": "b"}]}, "`domain` - at `$.conversation.cookies[0]`"),
        ({"cookies": [{"name": "a", "value": "b", "domain": "c", "expires": "soon"}]}, "cookies[0].expires"),
        ({"cookies": [{"name": "a", "value": "b", "domain": "c", "secure": 1}]}, "cookies[0].secure"),
    ],
)
def test_a_member_of_another_kind_is_an_error_that_says_where(changes: dict[str, Any], where: str) -> None:
    assert where in refused(stored(**changes))


@pytest.mark.parametrize(
    "data",
    [
        {**stored(), "more": 1},
        stored(more=1),
        stored(message_history=[{"role": "user", "content": "x", "more": 1}]),
        stored(message_history=[{"role": "user", "content": [{"type": "text", "text": "x", "more": 1}]}]),
        stored(cookies=[{"name": "a", "value": "b", "domain": "c", "more": 1}]),
    ],
)
def test_a_member_that_is_not_known_is_an_error_rather_than_lost(data: dict[str, Any]) -> None:
    assert "unknown field `more`" in refused(data)


def test_a_hostile_file_is_shown_short_and_printable() -> None:
    refused({"format_version": 1, "\x1b[31m\u202e" * 1000: 1, "conversation": {}})
    refused(stored(**{"\x1b[31m\u202e" * 1000: 1}))


@settings(deadline=None)
@given(st.binary() | st.text(st.characters()), st.integers(0, 2000), st.integers(0, 20))
def test_whatever_is_in_a_file_it_is_a_conversation_or_that_error(noise: bytes | str, at: int, cut: int) -> None:
    text: bytes | str = WHOLE.to_json().encode() if isinstance(noise, bytes) else WHOLE.to_json()
    text = text[:at] + noise + text[at + cut :]  # type: ignore[operator]
    for data in (noise, text):
        try:
            conversation = Conversation.from_json(data)
        except ConversationFormatError:
            continue
        assert Conversation.from_json(conversation.to_json()) == conversation


# What must not reach a header

UNSAFE = ["a b", "a\tb", "a\r\nx-evil: 1", "a\x00", "\x7f", "é", "☃"]


@each_of("value", UNSAFE)
@each_of("name", ["vqd", "vqd_hash_1", "fe_version"])
def test_what_can_not_be_sent_is_refused_in_a_file_and_in_a_program(name: str, value: str) -> None:
    message = refused(stored(**{name: value}))
    assert "visible ASCII" in message
    assert "$.conversation" in message
    unsafe: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match="visible ASCII"):
        Conversation(**unsafe)
    with pytest.raises(ValueError, match="visible ASCII"):
        msgspec.structs.replace(WHOLE, **unsafe)


@each_of(
    "change",
    [
        *({"value": value} for value in ("a;b", "a\r\nx-evil: 1", "\x00", "é")),
        *({"name": name} for name in ("", "a=", "a b", "a\r\n")),
        *({"domain": "Duck.ai"}, {"domain": ""}, {"path": ""}, {"path": "/\n"}),
    ],
)
def test_a_cookie_that_can_not_be_sent_is_refused(change: dict[str, str]) -> None:
    cookie = {"name": "a", "value": "b", "domain": "duck.ai", **change}
    assert "$.conversation.cookies[0]" in refused(stored(cookies=[cookie]))


def test_half_a_character_is_refused_before_it_could_not_be_stored_or_sent() -> None:
    with pytest.raises(ValueError, match=r"model or title .* surrogate"):
        Conversation(model="\ud800")
    with pytest.raises(ValueError, match=r"model or title .* surrogate"):
        Conversation(title="The sky \ude00")
    with pytest.raises(ValueError, match=r"message .* surrogate"):
        Message("user", "\ud83d")


def test_tokens_and_versions_are_bounded() -> None:
    longest = "1" * MAX_TOKEN_BYTES
    assert Conversation(vqd=longest, vqd_hash_1=longest * 2).tokens == Tokens(longest, longest * 2)
    assert "65537 characters long" in refused(stored(vqd=longest + "1"))
    Conversation(fe_version="1" * MAX_VERSION_CHARS)
    assert "at most 512 characters" in refused(stored(fe_version="1" * (MAX_VERSION_CHARS + 1)))


def test_ids_and_cookies_are_bounded() -> None:
    ids = tuple((str(number), "x" * 128) for number in range(32))
    assert Conversation(ids=ids).ids == ids
    for wrong in ((*ids, ("y", "x")), (("a", "x" * 129),), (("a", "x y"),)):
        assert "at most 32, of 128 characters" in refused(stored(ids=wrong))
    with pytest.raises(ValueError, match="name of an id"):
        Conversation(ids=(("\ud83d", "x"),))
    names = [f"c{number:04}" for number in range(MAX_COOKIES)]
    many = tuple(Cookie(name=name, value="", domain="a") for name in names)
    assert Conversation(cookies=many).cookies == many
    whole, rest = divmod(MAX_JAR_BYTES, 4096)
    full = [Cookie(name=name, value="", domain="a") for name in names[: whole + 1]]
    full = [msgspec.structs.replace(each, value="x" * (4096 - each.size)) for each in full[:whole]]
    assert not rest
    assert Conversation(cookies=tuple(full)).cookies == tuple(full)
    for cookies in ((*many, Cookie(name="b", value="", domain="a")), (*full, many[-1])):
        with pytest.raises(ValueError, match="a conversation may have"):
            Conversation(cookies=cookies)


@each_of("value", UNSAFE)
def test_a_token_that_can_not_be_sent_back_is_not_made(value: str) -> None:
    with pytest.raises(InvalidToken, match="x-vqd-4 is not visible ASCII"):
        Tokens(value)
    with pytest.raises(InvalidToken, match="x-vqd-hash-1 is not visible ASCII"):
        Tokens("4-1", value)


# What is shown


def test_tokens_cookies_and_texts_are_not_shown() -> None:
    assert repr(WHOLE) == (
        "<Conversation model='gpt-4o-mini', 2 messages, 2 cookies, title='The sky', limit_reached=True>"
    )
    assert repr(Conversation()) == "<Conversation model='', 0 messages, 0 cookies, title=None, limit_reached=False>"
    assert repr(WHOLE.tokens) == "Tokens(vqd=<41 characters>, vqd_hash_1=<16 characters>)"


def test_a_hostile_title_is_shown_short_and_printable() -> None:
    shown = repr(Conversation(title="\x1b[31m\u202e\n" * 1000))
    assert shown.isprintable()
    assert len(shown) < 300


def test_a_conversation_is_a_value_that_does_not_change() -> None:
    assert msgspec.structs.replace(WHOLE) == WHOLE
    assert hash(WHOLE) == hash(msgspec.structs.replace(WHOLE))
    with pytest.raises(AttributeError):
        WHOLE.title = "Another"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        WHOLE.message_history[0].content = "Another"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        WHOLE.tokens.vqd = "4-1"  # type: ignore[misc]


# The last turn, once more


def test_a_conversation_without_its_last_turn_is_not_full_and_keeps_the_rest() -> None:
    rewound = WHOLE.rewound()
    assert WHOLE.last_question == "Why is the sky blue? ☃\n"
    assert rewound == msgspec.structs.replace(WHOLE, message_history=(), limit_reached=False)
    assert rewound.last_question is None
    assert rewound.rewound() == rewound


def test_only_the_last_turn_is_taken_back() -> None:
    history = tuple(Message("user" if number % 2 == 0 else "assistant", str(number)) for number in range(4))
    conversation = Conversation(message_history=history)
    assert conversation.last_question == "2"
    assert conversation.rewound().message_history == history[:2]
