"""Each fault of the script over real sockets: what the blocking and the async driver make of it.

A turn that a fault breaks ends in the documented exception, with the conversation as it was; and the plain question,
asked again, is answered. Each case is written as ``ddg-chat emulate --fault`` takes it. What any client owes is in the
scenarios (`tests/drivers/test_scenarios.py`), and the faults of docs/faults.md in `tests/pages/test_faults_page.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, get_args

import anyio
import msgspec
import pytest

from ddg_protocol import DUCKDUCKGO_2025_04, Conversation, Event, Policy, Retrying, TurnFinished, errors
from ddg_protocol.events import (
    ChallengeReceived,
    ConversationTitle,
    FrontEndVersionUnknown,
    LandingPageFailed,
    LimitReached,
    MalformedPayload,
    StopReason,
    UnknownPayload,
)
from ddg_protocol.service import Service, faults
from ddg_protocol.service._reply import text_event
from ddg_protocol.service.script import fault_from_text
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator

KIB = 1024
REPLY = "one two three"
QUICK = 0.25  # seconds, where it is a silence that is shown
#: Every turn is tried once unless a case says otherwise, and nothing waits longer than it has to.
POLICY = Policy(max_retries=0, base_delay=0.0, max_event_bytes=64 * KIB, max_reply_bytes=64 * KIB)


class Played(msgspec.Struct):
    """What became of a question that met a fault, and of the same one asked again.

    Attributes:
        before: the conversation before it.
        after: the conversation after it.
        events: of the first.
        error: what the first ended with, if it did.
        again: the reply when it was asked once more; None where there was no error, or where it was refused again.
    """

    before: Conversation
    after: Conversation
    events: list[Event] = []
    error: errors.DuckChatError | None = None
    again: TurnFinished | None = None


class Case(msgspec.Struct):
    """A fault and what a client is to make of it.

    Attributes:
        fault: as the command line has it.
        error: the exception that the turn ends with, if it does.
        says: what the error says, or part of it.
        events: events that are seen, in this order, among others; a type stands for any of it.
        text: what came of the reply.
        reason: why the turn finished, where it did.
        ended: how the service saw the last exchange with the fault in it end.
        policy: what differs from `POLICY`.
        held: whether the client keeps away afterwards, for longer than it waits.
    """

    fault: str
    error: type[errors.DuckChatError] | None = None
    says: str = ""
    events: tuple[Any, ...] = ()
    text: str = REPLY
    reason: str = "stop"
    ended: str = "complete"
    policy: dict[str, Any] = {}
    held: bool = False


def broken(fault: str, error: type[errors.DuckChatError], says: str = "", **more: Any) -> Case:
    return Case(fault, error, says, **{"text": "", **more})


#: How many bytes of a reply's stream go before its first word, and before its second.
OPENING = len(text_event("", created=1_700_000_000, id="chatcmpl-" + "0" * 29, model="gpt-4o-mini"))
ONE = OPENING + OPENING + len("one ")
ONCE = "first=2,times=1"  # the second question's, that is
RATE = '{"action":"error"%2C"status":429%2C"type":"ERR_RATE_LIMIT"}'
TEXT = 'data: {"action":"success"%2C"message":"x"}%0A%0A'

CASES = [
    # The front-end page: whatever goes wrong, the handshake goes on
    Case("front_end:cut=1000", events=(FrontEndVersionUnknown,), ended="broken"),
    Case("front_end:cut=1000,then=end", events=(FrontEndVersionUnknown,)),
    Case("front_end:cut,then=reset,of=wire", events=(FrontEndVersionUnknown,), ended="broken"),
    Case("front_end:redirect=https://example.org/", events=(FrontEndVersionUnknown,)),
    Case("front_end:redirect", events=(FrontEndVersionUnknown,)),
    Case("front_end:header=content-encoding,value=br", events=(FrontEndVersionUnknown,), ended="any"),
    Case("front_end:redirect,times=2"),
    Case("front_end:coding=deflate,split=1"),
    Case("front_end:split=1+5000,of=wire"),
    # The landing page: likewise
    Case("landing:cut,of=wire", events=(LandingPageFailed,), ended="broken"),
    Case("landing:redirect=http://duckduckgo.com/", events=(LandingPageFailed,)),
    Case("landing:redirect,status=301,times=1"),
    Case("landing:coding=gzip,header=content-encoding,value=br"),
    Case("landing:endless", ended="left"),
    # Status: no token, no question
    broken("status:header=x-vqd-4,value=4 5,times=1", errors.InvalidToken),
    broken("status:header=x-vqd-4,value=4%ff,times=1", errors.InvalidToken),
    broken("status:header=x-vqd-4,value=4%0D5,times=1", errors.TransportError, "not HTTP"),
    broken("status:header=x-vqd-4,value=4%005,times=1", errors.TransportError, "not HTTP"),
    broken("status:500,times=1", errors.ServiceUnavailableError),
    broken("status:429,type=ERR_USER_LIMIT,times=1", errors.UserLimitError),
    broken("status:403,body=<title>Just a moment...</title>,times=1", errors.AccessDeniedError, "CDN"),
    broken("status:cut,of=wire,times=1", errors.TransportError, ended="broken"),
    broken("status:cut=50,then=reset,of=wire,times=1", errors.TransportError, ended="broken"),
    broken(
        "status:cut=50,then=hang,of=wire,times=1",
        errors.ChatTimeoutError,
        "read_timeout",
        ended="left",
        policy={"read_timeout": QUICK},
    ),
    broken("status:redirect=//example.org/,times=1", errors.RedirectRefused, "is not followed"),
    broken("status:redirect,times=11", errors.RedirectRefused, "redirected more than 10 times"),
    Case("status:redirect,times=10"),
    Case("status:429,retry-after=0,times=1", events=(Retrying,), policy={"max_retries": 1}),
    Case("status:coding=gzip,split=1"),
    # An unknown token is handed out, with a cookie behind it that nobody set: it is replaced once
    Case("status:header=x-vqd-4,value=4-1%0D%0Aset-cookie: injected=1,times=1", events=(Retrying,)),
    Case("status:header=x-vqd-4,value=4-1%0Ax: y,times=1", events=(Retrying,)),
    # A refused question
    broken(f"chat:429,{ONCE}", errors.RateLimitError),
    broken(
        f"chat:429,retry-after=99,type=ERR_RATE_LIMIT,{ONCE}", errors.RateLimitError, "come back in 99 s", held=True
    ),
    broken(f"chat:429,retry-after=Thu%2C 01 Jan 2099 00:00:00 GMT,{ONCE}", errors.RateLimitError, "in 2", held=True),
    broken(f"chat:429,body=<html></html>,header=content-type,value=text/html,{ONCE}", errors.RateLimitError),
    broken(f"chat:429,body=,{ONCE}", errors.RateLimitError),
    broken(f"chat:429,type=ERR_INPUT_LIMIT,insert=garbage%ff,{ONCE}", errors.InputLimitError),
    broken(f"chat:429,type=ERR_USER_LIMIT,coding=deflate,{ONCE}", errors.UserLimitError),
    broken(f"chat:522,body=<html>,cut=3,{ONCE}", errors.ServiceUnavailableError, ended="broken"),
    broken(f"chat:451,{ONCE}", errors.ServiceError, "451"),
    broken(f"chat:204,{ONCE}", errors.ServiceError, "204"),
    broken("chat:400,type=ERR_INVALID_VQD,first=2,times=2", errors.TokenError),
    broken("chat:418,type=ERR_CHALLENGE,tokens,first=2,times=2", errors.ChallengeError),
    Case(f"chat:400,type=ERR_EXPIRED_VQD,{ONCE}", events=(Retrying,)),
    Case(f"chat:418,type=ERR_CHALLENGE,tokens,{ONCE}", events=(ChallengeReceived,)),
    Case(f"chat:418,type=ERR_CHALLENGE,{ONCE}", events=(ChallengeReceived,)),
    # A redirected question
    broken(f"chat:redirect,status=303,{ONCE}", errors.RedirectRefused, "would drop it"),
    broken(f"chat:redirect=https://example.org/chat,status=308,{ONCE}", errors.RedirectRefused, "does not allow"),
    broken("chat:redirect,first=2,times=11", errors.RedirectRefused, "more than 10"),
    Case("chat:redirect,first=2,times=3"),
    # A reply that isn't one
    broken(f"chat:header=content-type,{ONCE}", errors.ServiceError, "not a reply"),
    broken(f"chat:header=x,value={'x' * 140 * KIB},{ONCE}", errors.DuckChatError, ended="any"),
    broken(f"chat:header=x-vqd-4,value=a%ffb,{ONCE}", errors.InvalidToken, ended="any"),
    broken(f"chat:insert=HTTP/1.1 ,of=wire,{ONCE}", errors.TransportError, "not HTTP", ended="any"),
    broken(f"chat:coding=gzip,insert=x,{ONCE}", errors.ContentDecodingError, ended="any"),
    Case(f"chat:coding=deflate,split=1,{ONCE}"),
    Case(f"chat:insert=garbage%0A%0A,{ONCE}"),
    # A head that ends too early: the fields behind it, and the framing, are in the body, and a reply is still read
    Case(f"chat:header=x,value=a%0D%0A%0D%0Ab,{ONCE}", policy={"drain_timeout": 0.05}, ended="any"),
    # What comes in the stream
    broken(f"chat:event={RATE},{ONCE}", errors.RateLimitError, ended="any"),
    broken(f"chat:event={RATE},after=3,{ONCE}", errors.RateLimitError, text="one two ", ended="any"),
    broken(f"chat:event=x,{ONCE}", errors.MalformedEvent, policy={"strict": True}, ended="any"),
    Case(f"chat:event=x,{ONCE}", events=(MalformedPayload(b"x"),)),
    Case(f"chat:event=[CHAT_TITLE:A title],{ONCE}", events=(ConversationTitle("A title"),)),
    Case(f'chat:event={{"role":"tool"}},{ONCE}', events=(UnknownPayload,)),
    Case(f"chat:done=[DONE][LIMIT_ENTITY],{ONCE}", events=(LimitReached("entity"),)),
    Case(f"chat:done=[DONE][LIMIT_OUTPUT],{ONCE}", events=(LimitReached("output"),), reason="length"),
    Case(f"chat:done=[DONE][STOP_REASON:x],{ONCE}", events=(StopReason("x"),)),
    # The way of the bytes
    Case(f"chat:split=3+1+40,of=wire,drip=0.001,{ONCE}"),
    Case(f"chat:drip=0.001,of=wire,{ONCE}"),
    Case(f"chat:cut={ONE},then=end,{ONCE}", text="one ", reason="length", ended="any"),
    broken(f"chat:cut={OPENING},then=end,{ONCE}", errors.EmptyResponseError, ended="any"),
    broken(f"chat:cut={ONE + 9},then=end,{ONCE}", errors.IncompleteStream, text="one ", ended="any"),
    broken(f"chat:cut={ONE + 9},{ONCE}", errors.IncompleteStream, text="one ", ended="broken"),
    broken(f"chat:cut={ONE + 9},then=reset,{ONCE}", errors.IncompleteStream, ended="broken", text="any"),
    broken(f"chat:cut=0,{ONCE}", errors.IncompleteStream, ended="broken"),
    broken(f"chat:cut,then=reset,of=wire,{ONCE}", errors.TransportError, ended="broken"),
    broken(f"chat:cut=9,of=wire,{ONCE}", errors.TransportError, ended="broken"),
    *(
        broken(f"chat:{hang},{ONCE}", errors.ChatTimeoutError, ended="left", policy={"read_timeout": QUICK}, text=text)
        for hang, text in (
            ("cut,then=hang,of=wire", ""),
            (f"cut={ONE},then=hang", "one "),
            ("drip=3600,of=wire", ""),
        )
    ),
    broken(
        f"chat:split=1,drip=0.02,{ONCE}",
        errors.ChatTimeoutError,
        "total_timeout",
        policy={"total_timeout": QUICK},
        ended="left",
    ),
    broken(f"chat:body=,endless={TEXT},{ONCE}", errors.StreamTooLarge, "the reply", ended="left", text="any"),
    broken(f"chat:body=,endless,coding=gzip,{ONCE}", errors.StreamTooLarge, ended="left"),
    Case(f"chat:endless=x,{ONCE}", ended="left"),
]


def play_blocking(url: str, policy: Policy, warm: bool) -> Played:
    with Client(DUCKDUCKGO_2025_04.at(url), policy=policy) as client:
        chat = client.chat()
        if warm:
            chat.ask("first")
        played = Played(before=chat.conversation, after=chat.conversation)
        try:
            with chat.stream("second") as reply:
                for event in reply.events():
                    played.events.append(event)
        except errors.DuckChatError as error:
            played.error = error
        played.after = chat.conversation
        if played.error is not None:
            with suppress(errors.RateLimitError):
                played.again = chat.ask("second")
        return played


async def play_async(url: str, policy: Policy, warm: bool) -> Played:
    async with AsyncClient(DUCKDUCKGO_2025_04.at(url), policy=policy) as client:
        chat = client.chat()
        if warm:
            await chat.ask("first")
        played = Played(before=chat.conversation, after=chat.conversation)
        try:
            async with chat.stream("second") as reply:
                async for event in reply.events():
                    played.events.append(event)
        except errors.DuckChatError as error:
            played.error = error
        played.after = chat.conversation
        if played.error is not None:
            with suppress(errors.RateLimitError):
                played.again = await chat.ask("second")
        return played


def play_on(backend: str, url: str, policy: Policy, warm: bool) -> Played:
    return anyio.run(play_async, url, policy, warm, backend=backend)


Play = Callable[[str, Policy, bool], Played]
DRIVERS: dict[str, Play] = {
    "blocking": play_blocking,
    "asyncio": partial(play_on, "asyncio"),
    "trio": partial(play_on, "trio"),
}


DEEP = [pytest.mark.deep("each fault on every driver; by default on one of them")]


def seen_in_order(wanted: tuple[Any, ...], events: list[Event]) -> bool:
    rest = iter(events)
    return all(
        any(isinstance(event, want) if isinstance(want, type) else event == want for event in rest) for want in wanted
    )


def test_each_kind_of_fault_and_each_way_to_end_has_a_case() -> None:
    effects = [effect for case in CASES for effect in fault_from_text(case.fault).effects]
    assert {type(effect) for effect in effects} == set(get_args(faults.Effect))
    cuts = [effect for effect in effects if isinstance(effect, faults.Cut)]
    assert {cut.then for cut in cuts} == {"close", "reset", "hang", "end"}
    assert {cut.of for cut in cuts} == {"body", "wire"}
    assert {fault_from_text(case.fault).on for case in CASES} == {"front_end", "landing", "status", "chat"}


EACH_ON_ONE_OF_THEM = [
    pytest.param(case, driver, id=f"{case.fault[:70]}-{name}", marks=[] if (n + m) % 3 == 0 else DEEP)
    for n, case in enumerate(CASES)
    for m, (name, driver) in enumerate(DRIVERS.items())
]


@pytest.mark.parametrize(("case", "play"), EACH_ON_ONE_OF_THEM)
def test_a_client_makes_of_each_fault_what_is_documented(case: Case, play: Play) -> None:
    fault = fault_from_text(case.fault)
    service = Service(script=[fault], responder=lambda question: REPLY)
    with Emulator(service) as emulator:
        played = play(emulator.url, msgspec.structs.replace(POLICY, **case.policy), fault.first > 1)
    hit = [exchange for exchange in service.log if exchange.faults]
    assert hit, "the fault was met"
    assert hit[-1].ended == case.ended or case.ended == "any"
    assert seen_in_order(case.events, played.events), played.events
    if case.error is None:
        assert played.error is None
        finished = played.events[-1]
        assert isinstance(finished, TurnFinished)
        assert (finished.text, finished.reason) == (case.text, case.reason)
        assert len(played.after.message_history) == len(played.before.message_history) + 2
        return
    assert isinstance(played.error, case.error), played.error
    assert case.says in str(played.error)
    assert case.text in (played.error.text, "any")
    assert played.after.message_history == played.before.message_history
    assert (played.after.title, played.after.limit_reached) == (played.before.title, played.before.limit_reached)
    assert (played.again and played.again.text) == (None if case.held else REPLY)
