"""What the payloads of a reply may be besides plain text."""

from __future__ import annotations

from .._values import Scenario, Turn
from ._streams import events, piece, pieces, replied, stream

_TEXTS = ("One, ", "two, ", "three.")
_TURNS = (Turn(pieces=_TEXTS),)
_ONE, _TWO, _THREE = pieces(*_TEXTS)


def _scenario(
    name: str, does: str, *payloads: str, owes: str = "The client prints the text alone.", if_failed: str = ""
) -> Scenario:
    return Scenario(name, does, owes, 6, _TURNS, replied(stream(*payloads)), if_failed=if_failed)


SCENARIOS = (
    _scenario(
        "empty-pieces",
        "There are empty pieces at the beginning, in the middle, and several as the stop marker.",
        *(piece(""), _ONE, piece(""), piece(""), _TWO, _THREE, piece(""), piece("")),
        owes="The client goes on to `[DONE]`, and prints the whole reply.",
    ),
    Scenario(
        "split-surrogates",
        "The two halves of an emoji come as JSON escapes in two pieces.",
        "The client joins them, and prints the emoji.",
        6,
        (Turn(pieces=("Blue 😀 sky.",)),),
        replied(
            stream(r'{"action":"success","message":"Blue \ud83d"}', r'{"action":"success","message":"\ude00 sky."}')
        ),
    ),
    _scenario(
        "unknown-members",
        "The pieces have members that nobody knows.",
        *(piece("One, ", usage={"tokens": [1, 2]}), piece("two, ", message_id=7, note=None), piece("three.", x="y")),
    ),
    _scenario(
        "few-members",
        "The pieces have nothing but an action and a message, and one has no message at all.",
        *('{"action":"success","message":"One, "}', '{"action":"success"}', '{"action":"success","message":"two, "}'),
        '{"message":"three.","action":"success"}',
    ),
    _scenario(
        "null-message",
        "A message is null.",
        *(_ONE, '{"action":"success","message":null}', _TWO, _THREE),
    ),
    _scenario(
        "other-roles",
        "Some payloads are of other roles: the model's reasoning, a tool's call, a source.",
        '{"role":"reasoning","state":"text-delta","text":"Let me think."}',
        _ONE,
        '{"role":"tool-invocation","state":"call","toolCallId":"c1","toolName":"T","toolArguments":{}}',
        _TWO,
        '{"role":"source","source":{"url":"https://example.com/","title":"t"}}',
        _THREE,
        owes="The client prints the assistant's text, and not the others' as if it were that.",
    ),
    _scenario("ping", "The service sends `[PING]` between two pieces.", _ONE, "[PING]", _TWO, "[PING]", _THREE),
    _scenario(
        "title", "The service gives the conversation a title.", "[CHAT_TITLE:The sky [a view]]", _ONE, _TWO, _THREE
    ),
    _scenario(
        "unknown-words",
        "There are words in brackets that nobody knows.",
        *(_ONE, "[SUMMARY_INVALID]", _TWO, '[ADS:{"url":"https://example.com/"}]', _THREE),
    ),
    _scenario(
        "unknown-action",
        "There are payloads of an unknown action.",
        *(_ONE, '{"action":"keepalive"}', _TWO, '{"action":"progress","percent":50}', _THREE),
    ),
    _scenario(
        "not-JSON",
        "An event is neither JSON nor a word in brackets.",
        *(_ONE, "%", _TWO, '{"action":', _THREE),
        owes="The client prints the text around it, or says that it can't read the reply.",
        if_failed="it gives the reply up over an event that can't be read, and says so",
    ),
    Scenario(
        "limit-with-the-reply",
        "The reply ends with `[DONE][LIMIT_CONVERSATION]` in place of `[DONE]`.",
        "The client prints the reply, which is whole.",
        6,
        _TURNS,
        replied(events(_ONE, _TWO, _THREE, piece(""), "[DONE][LIMIT_CONVERSATION]")),
        if_failed="it says that the conversation is full, though this reply is whole",
    ),
    Scenario(
        "text-after-the-end",
        "More pieces follow `[DONE]`.",
        "The client ends at `[DONE]`, and prints no more.",
        6,
        _TURNS,
        replied(events(_ONE, _TWO, _THREE, piece(""), "[DONE]", piece("Four."))),
    ),
)
