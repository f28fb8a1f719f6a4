"""The parts of a question: what they hold, how they are sent, and what a model takes (PROTOCOL.md section 6)."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol import DUCKDUCKGO_2025_04, Conversation, Message, Model, Policy, ServiceProfile, Session, TurnFinished
from ddg_protocol._part_forms import on_wire, read_part
from ddg_protocol._request import chat_body
from ddg_protocol.chat import read_question
from ddg_protocol.errors import InputLimitError, LocalProtocolError
from ddg_protocol.models import AttachmentLimits
from ddg_protocol.parts import MAX_ATTACHMENT_BYTES, File, Image, Part, Text, text_of
from ddg_protocol.revisions import DUCK_AI_2026_10
from ddg_protocol.service import Question, Service
from ddg_protocol.testing import Run, stand_in_answer
from ddg_protocol.testing.strategies import attachments, texts
from ddg_protocol.transcript import RecordedSession, Transcript, first_difference
from ddg_protocol.wire import WireSession

PNG = Image(b"\x89PNG\r\n", "image/png")
PDF = File(b"%PDF-1.7", "application/pdf", "a.pdf")
SEES = Model("sees", takes_images=True, file_types=("application/pdf",))
PROFILE = msgspec.structs.replace(DUCKDUCKGO_2025_04, models=(SEES, Model("reads")), minimum_interval=0.0)


def profile(**changes: Any) -> ServiceProfile:
    return msgspec.structs.replace(PROFILE, **changes)


def limited(**limits: int) -> ServiceProfile:
    return profile(attachment_limits={"free": AttachmentLimits(**limits), "pro": AttachmentLimits()})


def written(*messages: Message, **changes: Any) -> Any:
    """The messages as the service reads them."""
    return json.loads(chat_body(profile(**changes), "sees", messages))["messages"]


# As values


@each_of(
    "make, says",
    [
        (
            lambda: Text(5),  # type: ignore[arg-type]
            "a part's text must be a str, not int",
        ),
        (lambda: Text("\ud83e"), "half of a surrogate pair"),
        (
            lambda: Image("x", "image/png"),  # type: ignore[arg-type]
            "must be bytes, not str",
        ),
        (
            lambda: Image(bytearray(b"x"), "image/png"),  # type: ignore[arg-type]
            "must be bytes, not bytearray",
        ),
        (lambda: Image(b"", "image/png"), "must have 1 to 33554432 bytes, not 0"),
        (lambda: Image(bytes(MAX_ATTACHMENT_BYTES + 1), "image/png"), "must have 1 to 33554432 bytes, not 33554433"),
        (lambda: Image(b"x", "application/pdf"), "'application/pdf' is not the media type of an image"),
        *((lambda kind=kind: Image(b"x", kind), "is not a media type") for kind in (5, "", "image", "image/", "a/b/c")),
        (lambda: Image(b"x", "image/png;base64,AAAA"), "is not a media type"),
        (lambda: Image(b"x", "image/\x1b[2J"), r"'image/\\\\x1b\[2J' is not a media type"),
        (lambda: File(b"", "application/pdf", "a"), "must have 1 to 33554432 bytes, not 0"),
        (lambda: File(b"x", "pdf", "a"), "is not a media type"),
        *((lambda name=name: File(b"x", "a/b", name), "printable") for name in ("", "a\nb", "\ud83e", "x" * 256, None)),
    ],
)
def test_a_part_that_can_not_be_sent_is_not_made(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_part_at_its_bounds_is_made() -> None:
    for kind in ("x-world/x-3dmf", "a/b", "9/9", "A1!#$&^_.+-/" + "x" * 127, "x" * 127 + "/b"):
        for name in ("a", "x" * 255):
            assert File(b"x", kind, name).mime_type == kind
    for kind in ("a/" + "x" * 128, "x" * 128 + "/b", "-a/b", "a/.b", "a/b c", "é/b", "a/é"):
        with pytest.raises(ValueError, match="is not a media type"):
            File(b"x", kind, "a")
    assert len(Image(bytes(MAX_ATTACHMENT_BYTES), "IMAGE/PNG").data) == MAX_ATTACHMENT_BYTES


def test_images_and_files_are_shown_by_kind_and_size_alone() -> None:
    assert repr(PNG) == "<Image image/png, 6 bytes>"
    assert repr(PDF) == "<File application/pdf, 8 bytes>"
    message = Message("user", (Text("Hi"), PNG))
    assert repr(message) == "Message(role='user', content=(Text(text='Hi'), <Image image/png, 6 bytes>))"
    reply = Message("assistant", "Hi", ('{"type":"generated-image","result":"iVBORw0KGgo="}',))
    assert repr(reply) == "Message(role='assistant', content='Hi', parts=<1>)"


@each_of(
    "make",
    [
        lambda: Message("assistant", (Text("Hi"),)),
        lambda: Message("user", ()),
        lambda: Message("user", ("Hi",)),  # type: ignore[arg-type]
        lambda: Message("user", (PNG, Text("Hi"))),
        lambda: Message("user", (Text("a"), Text("b"))),
        lambda: Message("user", "Hi", ('{"type":"x"}',)),
        *(lambda part=part: Message("assistant", "Hi", (part,)) for part in ("", "x", "[]", "{}", '{"type":5}')),
        lambda: Message("assistant", "Hi", ('{"type":"\ud83e"}',)),
        lambda: Message("assistant", "Hi", ('{"type":"x","y":' + "[" * 10**6 + "]" * 10**6 + "}",)),
    ],
)
def test_a_message_that_is_none_is_not_made(make: Any) -> None:
    with pytest.raises(ValueError, match=r"content of a message|text of a message|a reply"):
        make()


def test_the_text_of_a_content_is_that_of_its_parts() -> None:
    assert Message("user", (Text("Hi"), PNG)).text == "Hi"
    assert Message("user", (PNG,)).text == ""
    assert text_of(None) == ""


# From what is asked


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("asked", "content"),
    [
        ([Text("Hi")], "Hi"),
        ([Text("a"), Text("b")], "ab"),
        ([PNG, Text("Hi")], (Text("Hi"), PNG)),
        ((Text("a"), PNG, Text("b"), PDF), (Text("ab"), PNG, PDF)),
        ([PNG], (PNG,)),
        ([Text(" "), PNG], (PNG,)),
        ([Message("user", (Text("Hi"), PNG))], (Text("Hi"), PNG)),
        ([{"role": "user", "content": [Text("Hi"), PNG]}], (Text("Hi"), PNG)),
        (
            [{"role": "user", "content": [{"type": "text", "text": "Hi"}, msgspec.to_builtins(on_wire(PNG))]}],
            (Text("Hi"), PNG),
        ),
    ],
)
def test_a_question_is_its_text_then_its_images_and_files(asked: Any, content: Any, *, first: bool) -> None:
    assert read_question(asked, first=first) == content


def test_several_messages_are_one_text_with_the_images_of_all() -> None:
    messages: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, PNG]},
        {"role": "assistant", "content": "A duck."},
        Message("user", (Text("And this?"), PDF)),
    ]
    prompt = "User: What is this?\nAssistant: A duck.\nUser: And this?\nAssistant:"
    assert read_question(messages, first=True) == (Text(prompt), PNG, PDF)
    assert read_question(messages, first=False) == (Text("And this?"), PDF)


@each_of("asked", [[Text(" ")], [Text("")], [{"role": "user", "content": [Text("\n")]}]])
def test_parts_without_anything_in_them_are_no_question(asked: Any) -> None:
    for first in (True, False):
        with pytest.raises(LocalProtocolError, match="the question is empty"):
            read_question(asked, first=first)


# On the wire


def test_parts_are_sent_in_the_recorded_form() -> None:
    image, pdf = Image(bytes(3), "image/webp"), File(bytes(3), "application/pdf", "a.pdf")
    assert written(Message("user", (Text("What is in these?"), image, pdf))) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is in these?"},
                {"type": "image", "mimeType": "image/webp", "image": "data:image/webp;base64,AAAA"},
                {
                    "type": "file",
                    "content": "AAAA",
                    "encoding": "base64",
                    "mimeType": "application/pdf",
                    "filename": "a.pdf",
                },
            ],
        }
    ]


def test_the_type_of_a_part_comes_first() -> None:
    for part in (Text("a"), PNG, PDF):
        assert msgspec.json.encode(on_wire(part)).startswith(b'{"type":"')


def test_a_text_alone_is_sent_as_the_profile_says() -> None:
    message = Message("user", "Hi")
    assert written(message) == [{"role": "user", "content": "Hi"}]
    assert written(message, bare_text=False) == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    reply = Message("assistant", "OK")
    for changes in ({}, {"bare_text": False}, {"history_parts": "all"}):
        known = profile(**changes)
        # That all are known to be text alone only saves a look at each.
        bodies = [chat_body(known, "sees", [message, reply], text_alone=text_alone) for text_alone in (True, False)]
        assert bodies[0] == bodies[1]


REASONING = '{"type":"reasoning","id":"r1","encryptedText":"opaque"}'
IMAGE = '{"type":"generated-image","result":"AAAA"}'


def test_a_reply_is_sent_back_as_its_text_alone_unless_the_profile_says_otherwise() -> None:
    reply = Message("assistant", "OK", (REASONING, IMAGE, '{"type":"source","source":{"url":"x"}}'))
    assert written(reply) == [{"role": "assistant", "content": "OK"}]
    text = {"type": "text", "text": "OK"}
    assert written(reply, history_parts="all") == [
        {
            "role": "assistant",
            "content": "",
            "parts": [text, json.loads(REASONING), {"type": "source", "source": {"url": "x"}}],
        }
    ]
    assert REASONING.encode() in chat_body(profile(history_parts="all"), "sees", [reply])
    assert written(Message("assistant", "OK"), history_parts="all") == [
        {"role": "assistant", "content": "", "parts": [text]}
    ]


@pytest.mark.parametrize(
    "image", ['{"type": "generated-image", "result": "AAAA"}', '{"result":"AAAA","type":"generated-image"}']
)
def test_an_image_is_not_sent_back_however_it_was_written(image: str) -> None:
    reply = Message("assistant", "OK", (image, REASONING))
    (sent,) = written(reply, history_parts="all")
    assert [part["type"] for part in sent["parts"]] == ["text", "reasoning"]


def test_a_part_that_is_nested_as_deep_as_a_stack_allows_is_sent_from_a_deeper_one() -> None:
    def nested(depth: int) -> Message | None:
        with suppress(ValueError):
            return Message("assistant", "OK", ('{"type":"odd","x":' + "[" * depth + "]" * depth + "}",))
        return None

    least, most = 1, 2
    while nested(most):
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if nested(middle) else (least, middle)
    reply = nested(least)
    assert reply is not None

    def deeper(levels: int, reply: Message) -> bytes:
        return deeper(levels - 1, reply) if levels else chat_body(profile(history_parts="all"), "sees", [reply])

    assert reply.parts[0].encode() in deeper(100, reply)


def test_a_reply_without_text_is_sent_back_as_its_parts() -> None:
    call = '{"type":"tool-call","toolCallId":"call_1","toolName":"f","toolArguments":"{}"}'
    assert written(Message("assistant", "", (call,)), history_parts="all") == [
        {"role": "assistant", "content": "", "parts": [json.loads(call)]}
    ]


@given(st.builds(Text, texts()) | attachments())
def test_any_part_is_read_back_from_the_wire(part: Part) -> None:
    assert read_part(json.loads(msgspec.json.encode(on_wire(part)))) == part


@each_of(
    "image",
    ["", "AAAA", "data:image/png;base64", "data:image/webp;base64,AAAA", "data:image/png,AAAA", "https://duck.ai/a.png"]
    + [f"data:image/png;base64,{data}" for data in ("", "AAA", "A===", "é", "\ud83e", "AA AA")],
)
def test_an_image_that_is_no_data_url_of_its_type_is_refused(image: str) -> None:
    with pytest.raises(ValueError, match="an image"):
        read_part({"type": "image", "mimeType": "image/png", "image": image})


def test_what_a_page_adds_to_a_file_is_read_and_dropped() -> None:
    page = {"url": "https://a.example", "title": "A", "source": "page-context"}
    assert read_part(msgspec.to_builtins(on_wire(PDF)) | page) == PDF


# What a model takes


@each_of(
    "model, part, says",
    [
        ("reads", PNG, "has an image of the type 'image/png', which can't be sent to 'reads': it takes no images"),
        ("reads", PDF, "has a file of the type 'application/pdf', .* it takes no files"),
        ("sees", Image(b"x", "image/gif"), "'image/gif', .*: it takes image/png, image/jpeg, image/webp"),
        ("sees", File(b"x", "text/plain", "a.txt"), "'text/plain', .*: it takes application/pdf"),
    ],
)
def test_what_a_model_does_not_take_is_refused_with_what_it_takes(model: str, part: Part, says: str) -> None:
    session = Session(PROFILE)
    with pytest.raises(LocalProtocolError, match=says):
        session.ask([Text("Hi"), part], model=model, now=0.0)
    assert session.state.name == "READY"


def test_a_model_is_not_asked_about_images_of_the_history_that_it_does_not_take() -> None:
    run = Run(Session(PROFILE), Service(PROFILE, strict=True))
    run.ask([Text("Hi"), PNG])
    with pytest.raises(LocalProtocolError, match="has an image"):
        run.session.ask("And now?", model="reads", now=run.clock.now)
    assert run.ask("And now?") is not None


def test_the_service_of_april_takes_text_alone() -> None:
    with pytest.raises(LocalProtocolError, match="it takes no images"):
        Session().ask([PNG], now=0.0)


@each_of(
    "limit, most, fits, too_much",
    [
        ("images_per_turn", 2, [[PNG] * 2, [PNG] * 2], [[PNG] * 3]),
        ("images_per_conversation", 2, [[PNG, PDF], [PNG]], [[PNG], [PNG] * 2]),
        ("files_per_conversation", 2, [[PDF, PNG], [PDF]], [[PDF], [PDF] * 2]),
        ("file_bytes", 8, [[PDF], [PDF, PNG]], [[File(bytes(9), "application/pdf", "b.pdf")]]),
        ("file_bytes", 0, [[PNG]], [[PDF]]),
        ("total_file_bytes", 20, [[PDF], [PDF]], [[PDF], [PDF] * 2]),
        ("characters_with_attachments", 3, [["abc", PNG]], [["abcd", PNG]]),
    ],
)
def test_more_than_the_service_takes_is_refused_with_the_limit(
    limit: str, most: int, fits: list[list[Any]], too_much: list[list[Any]]
) -> None:
    def ask(questions: list[list[Any]]) -> None:
        for question in questions:
            run.ask([Text(part) if isinstance(part, str) else part for part in question])

    known = limited(**{limit: most})
    service = Service(known, strict=True)
    run = Run(Session(known), service)
    ask(fits)
    run = Run(Session(known), service)
    ask(too_much[:-1])
    before, sent = run.session.conversation, len(service.log)
    with pytest.raises(InputLimitError, match=f"at most {most} ") as refused:
        ask(too_much[-1:])
    assert refused.value.limit == most
    assert (run.session.conversation, len(service.log)) == (before, sent)


def test_another_tier_has_other_limits() -> None:
    known = msgspec.structs.replace(limited(images_per_turn=0), tier="pro")
    assert Run(Session(known), Service(known, strict=True)).ask([PNG]) is not None


def test_a_long_text_is_no_matter_without_images_and_files() -> None:
    known = limited(characters_with_attachments=3)
    assert Run(Session(known), Service(known, strict=True)).ask("abcd") is not None


def test_the_bound_of_the_policy_counts_the_text_alone() -> None:
    run = Run(Session(PROFILE, policy=Policy(max_prompt_chars=3)), Service(PROFILE, strict=True))
    run.ask([Text("abc"), PNG])
    with pytest.raises(InputLimitError, match="at most 3 are sent") as refused:
        run.ask([Text("abcd"), PNG])
    assert refused.value.limit == 3


# Whole turns


def test_a_responder_sees_the_images_and_the_next_turn_sends_them_again() -> None:
    asked: list[Question] = []

    def respond(question: Question) -> str:
        asked.append(question)
        return "A duck."

    run = Run(Session(PROFILE), Service(PROFILE, strict=True, responder=respond))
    run.ask([Text("What is this?"), PNG, PDF])
    finished = run.ask("Are you sure?")
    assert isinstance(finished, TurnFinished)
    assert [question.attachments for question in asked] == [(PNG, PDF), ()]
    assert [message.attachments for message in asked[1].messages] == [(PNG, PDF), (), ()]
    history = run.session.conversation.message_history
    assert history[0] == Message("user", (Text("What is this?"), PNG, PDF))
    assert run.session.conversation.rewound().last_question == (Text("What is this?"), PNG, PDF)
    assert Conversation.from_json(run.session.conversation.to_json()) == run.session.conversation


@each_of("history_parts", ["text", "all"])
def test_what_a_reply_has_besides_its_text_is_kept_in_the_history(history_parts: Any) -> None:
    known = profile(history_parts=history_parts)
    source = b'{"role":"source","source":{"url":"https://a.example","title":"A","site":""}}'
    image = b'{"role":"generated-image","result":"AAAA"}'
    tool = b'{"role":"tool-invocation","state":"call","toolName":"WebSearch"}'
    replies: list[list[Any]] = [["OK", {"parts": [json.loads(REASONING)]}, tool, source, image], ["Sure."]]
    service = Service(known, strict=True, responder=lambda question: replies.pop(0))
    run = Run(Session(known), service)
    run.ask("Hi")
    reply = run.session.conversation.message_history[1]
    assert reply == Message(
        "assistant",
        "OK",
        (
            REASONING,
            '{"type":"source","source":{"url":"https://a.example","title":"A"}}',
            '{"type":"generated-image","result":"AAAA","data":{}}',
        ),
    )
    run.ask("Sure?")
    sent = json.loads(service.log[-1].request.body)["messages"][1]
    if history_parts == "text":
        assert sent == {"role": "assistant", "content": "OK"}
    else:
        assert [part["type"] for part in sent["parts"]] == ["text", "reasoning", "source"]


def test_parts_that_could_not_be_sent_back_are_not_kept() -> None:
    part, half = {"type": "x", "y": 1}, b'{"parts":[{"type":"x","y":"\\ud83e"}]}'
    deep = b'{"parts":[{"type":"x","y":' + b"[" * 600 + b"]" * 600 + b"}]}"
    run = Run(
        Session(PROFILE),
        Service(PROFILE, strict=True, responder=lambda question: ["Hi", deep, {"parts": [part]}, half]),
    )

    def finish(depth: int) -> None:
        if depth:
            finish(depth - 1)
        else:
            while run.next_event() is not None:
                pass

    run.begin("Hi")
    while not any(type(event).__name__ == "PartReceived" for event in run.events):
        event = run.next_event()
        assert event is not None
        run.events.append(event)
    finish(400)
    reply = run.session.conversation.message_history[1]
    assert reply.text == "Hi"
    assert reply.parts[-1:] == ('{"type":"x","y":1}',)
    assert not any("\\ud83e" in part for part in reply.parts)


@each_of("make", [lambda session: session, WireSession])
def test_a_conversation_with_the_revision_of_october_2026(make: Any) -> None:
    known = DUCK_AI_2026_10.updated({"history_parts": "all", "minimum_interval": 0.0})
    lines: list[str] = []
    recorded = RecordedSession(Session(known, solver="embedder"), lines.append, redact_texts=True)
    part = {"parts": [{"type": "reasoning", "encryptedText": "unread"}]}
    service = Service(known, strict=True, responder=lambda question: [f"{len(question.attachments)} attached", part])
    run = Run(make(recorded), service, solver=stand_in_answer)
    asked: list[tuple[Any, dict[str, Any]]] = [
        ("Hi", {}),
        ([Text("What is this?"), PNG, PDF], {"effort": "low"}),
        ("And what is it called?", {"tools": ["WebSearch"]}),
        ([Image(b"RIFF....WEBP", "image/webp")] * 3, {"extra": {"canShowGreeting": True}}),
        ("Sure?", {"model": "claude-haiku-4-5"}),
    ]
    for question, options in asked:
        assert run.ask(question, **options) is not None
    with pytest.raises(InputLimitError, match="at most 5 images in a conversation, and there would be 6") as refused:
        run.ask([PNG, PNG])
    assert refused.value.limit == 5
    with pytest.raises(LocalProtocolError, match="the conversation has an image"):
        run.ask("Hi", model="mistral-small-2603")
    with pytest.raises(LocalProtocolError, match=r"for the tiers pro, internal, and the profile's is 'free'"):
        run.ask("Hi", model="gpt-5.4-mini", effort="medium")
    bodies = [json.loads(each.request.body) for each in service.log if each.endpoint == "chat" and not each.error]
    assert [body["reasoningEffort"] for body in bodies] == ["none", "low", "none", "none", "none"]
    assert [body["canUseTools"] for body in bodies] == [False, False, True, False, False]
    assert [len(message.get("parts", "")) for message in bodies[-1]["messages"]] == [0, 2] * 4 + [0]
    assert [message.text for message in run.session.conversation.message_history[1::2]] == [
        f"{count} attached" for count in (0, 2, 0, 3, 0)
    ]
    transcript = Transcript.read("".join(lines))
    assert first_difference(transcript) is None
    for secret in ("unread", "What is this", "a.pdf", "UklGRi4uLi5XRUJQ"):
        assert secret not in "".join(lines)
