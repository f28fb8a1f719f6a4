"""Whatever is in a file that is read: it is what it should be, or a documented exception says what is wrong with it.

Each file is a good one with any one value of it exchanged for an odd one: nested too deeply, too long a number, no
finite one, half of a surrogate pair. What is read all the same can be gone on with.
"""

from __future__ import annotations

import base64
import copy
import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.hand import DONE, HELLO, STREAM, Hand, move_to
from support.peak import peak_of
from support.tiers import examples

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    Conversation,
    ConversationFormatError,
    Cookie,
    DuckChatError,
    Failure,
    FailureKind,
    LocalProtocolError,
    Message,
    ModelNotSupportedError,
    Policy,
    SendRequest,
    ServiceProfile,
    Session,
    Signal,
    SolveChallenge,
    Wait,
)
from ddg_protocol._state import State
from ddg_protocol.cookies import MAX_COOKIES, MAX_JAR_BYTES, CookieJar
from ddg_protocol.errors import StreamTooLarge
from ddg_protocol.service.script import script_from_toml

DEEP = "deep"
"""Stands for a value that is nested deeply."""
MIB = 1024 * 1024

ODD: list[Any] = [
    *(10**4000, -(10**4000), 10**30, -(10**30), 2**64, 2**63, -(2**63) - 1, 2**31, -1, 0, True, None),
    *(float("nan"), float("inf"), float("-inf"), 1.7e308, -1.7e308, 5e-324, 1e13, 8.9e307),
    *("", "\ud800", "\0", "x ", "x" * 100_000, "\r\nx: y", "4" * 5000, DEEP, [], {}, [[]], {"": None}, ["x"]),
]


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to each value of a document."""
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def nested(levels: int = 100_000) -> Any:
    found: Any = []
    for _ in range(levels):
        found = [found]
    return found


def free(data: Any) -> None:
    """Take a nested value apart: some interpreters run out of stack where it goes at once."""
    todo = [data]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
            value.clear()
        elif isinstance(value, dict):
            todo += value.values()
            value.clear()


def exchanged(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Put a value in the place of another."""
    value = nested() if isinstance(value, str) and value == DEEP else copy.copy(value)
    if not path:
        return value
    data = copy.deepcopy(data)
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


def as_json(data: Any, path: tuple[Any, ...], value: Any) -> str:
    """Give the JSON text of a document with one value exchanged."""
    mark = "this is to be exchanged"
    if isinstance(value, int) and abs(value) > 10**20:
        text = f"{'-' if value < 0 else ''}1{'0' * 5000}"
    elif isinstance(value, str) and value == DEEP:
        text = "[" * 100_000 + "]" * 100_000
    else:
        text = json.dumps(value)
    return json.dumps(exchanged(data, path, mark)).replace(f'"{mark}"', text)


def is_printable(error: Exception) -> None:
    assert str(error).isprintable()
    is_bounded(error)


def is_bounded(error: Exception) -> None:
    assert len(str(error)) < 1000


# Snapshots


def snapshots() -> Iterator[dict[str, Any]]:
    for state in State:
        hand = move_to(state)
        data = hand.session.snapshot(now=hand.now)
        yield json.loads(json.dumps(data))
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, (*STREAM, ("content-encoding", "gzip")), now=hand.now)
    hand.session.receive_data(request, gzip.compress(HELLO, mtime=0))
    hand.pull()
    yield json.loads(json.dumps(hand.session.snapshot(now=hand.now)))


SNAPSHOTS = list(snapshots())


def goes_on(session: Session, now: float) -> None:
    """Drive a session as a driver would, with failures; nothing comes that isn't documented."""
    repr(session)
    for round in range(2):
        for _ in range(40):
            try:
                action = session.next_action(now=now)
            except DuckChatError as error:
                is_printable(error)
                continue
            if action is PAUSED:
                break
            if isinstance(action, Wait):
                assert action.until - now <= 1e9
                now = max(now, action.until)
                session.wait_elapsed(action)
            elif isinstance(action, SolveChallenge):
                session.challenge_failed(action, "")
            elif isinstance(action, SendRequest):
                session.transport_failed(action, Failure(FailureKind.CUT, ""))
            elif action is NEED_DATA:
                assert session.request is not None
                try:
                    session.receive_data(session.request, DONE)
                    session.receive_eof(session.request)
                except LocalProtocolError:  # its head is what is missing
                    session.transport_failed(session.request, Failure(FailureKind.CUT, ""))
        session.cancel()
        assert json.dumps(session.snapshot(now=now))
        Conversation.from_json(session.conversation.to_json())
        if session.state is State.CLOSED:
            return
        if round == 0:
            with suppress(ModelNotSupportedError):  # a model is asked for by name, and files may name any
                session.ask("Why?", now=now)


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_is_in_a_snapshot_it_is_restored_or_refused(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from(SNAPSHOTS))
    path = data.draw(st.sampled_from(list(places(good))))
    bad = exchanged(good, path, ODD[data.draw(st.integers(0, len(ODD) - 1))])
    try:
        session = Session.restore(bad, now=1000.0)
    except ConversationFormatError as error:
        is_printable(error)
    else:
        goes_on(session, 1000.0)
    finally:
        free(bad)


def streaming(**exchange: Any) -> dict[str, Any]:
    data = copy.deepcopy(SNAPSHOTS[-1])
    phase = data["phase"]
    for name, value in exchange.items():
        phase["body" if name in phase["body"] else "exchange"][name] = value
    return data


def test_a_snapshot_says_no_bound_that_is_too_long_to_be_shown() -> None:
    bad = streaming()
    bad["phase"]["reader"]["too_large"] = 10**4000
    with pytest.raises(ConversationFormatError, match="too_large"):
        Session.restore(bad, now=1000.0)


def bomb(size: int) -> str:
    """Give comments of an event stream, which mean nothing, compressed."""
    return str(msgspec.to_builtins(gzip.compress(b":\n" * (size // 2), 1, mtime=0)))


def drained(session: Session) -> None:
    """Pull until something is asked for, or the turn broke."""
    while True:
        try:
            action = session.next_action(now=0.0)
        except DuckChatError:
            return
        if isinstance(action, Signal | Wait | SendRequest | SolveChallenge):
            return


def test_how_much_of_a_reply_is_read_is_the_policys_to_say_and_not_the_snapshots() -> None:
    data = streaming(fed="", decoded=0, chunks=[bomb(32 * MIB)])
    policy = Policy(max_reply_bytes=MIB // 2)
    assert peak_of(lambda: drained(Session.restore(data, now=0.0, policy=policy))) < 8 * MIB
    session = Session.restore(data, now=0.0, policy=policy)
    with pytest.raises(StreamTooLarge) as caught:
        session.next_action(now=0.0)
    assert caught.value.limit == MIB // 2


def test_how_much_of_a_refusal_is_kept_is_the_policys_to_say_and_not_the_snapshots() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 500, (("content-encoding", "gzip"),), now=hand.now)
    hand.session.receive_data(request, b"")
    assert hand.pull() is NEED_DATA
    data = json.loads(json.dumps(hand.session.snapshot(now=hand.now)))
    data["phase"]["exchange"]["chunks"] = [bomb(32 * MIB)]
    assert peak_of(lambda: drained(Session.restore(data, now=0.0))) < 16 * MIB


def test_what_was_decoded_before_is_not_decoded_beyond_the_policy() -> None:
    data = streaming(decoded=10**12, fed=bomb(32 * MIB))
    assert peak_of(lambda: drained(Session.restore(data, now=0.0, policy=Policy(max_reply_bytes=MIB)))) < 16 * MIB


def test_a_snapshot_that_has_more_than_the_policy_lets_be_kept_is_refused() -> None:
    with pytest.raises(ConversationFormatError, match="more of the body than is kept"):
        Session.restore(streaming(fed=bomb(4 * MIB)), now=0.0, policy=Policy(max_reply_bytes=1024))
    fed = SNAPSHOTS[-1]["phase"]["body"]["fed"]
    size = len(base64.b64decode(fed))
    Session.restore(streaming(fed=fed), now=0.0, policy=Policy(max_reply_bytes=size))
    with pytest.raises(ConversationFormatError, match=f"than is kept, {size - 1} bytes"):
        Session.restore(streaming(fed=fed), now=0.0, policy=Policy(max_reply_bytes=size - 1))


def test_how_long_is_waited_is_the_policys_to_say_and_not_the_snapshots() -> None:
    session = Session.restore(streaming(read_by=9e5, total_by=9e8), now=5.0)
    assert session.deadline is not None
    assert session.deadline <= 5.0 + Policy().total_timeout


@pytest.mark.parametrize("until", [1e10, 1e13, 1.7e308, -1.7e308])
def test_a_wait_that_nobody_could_wait_for_is_refused(until: float) -> None:
    data = next(data for data in SNAPSHOTS if data["phase"]["type"] == "Waiting")
    data = exchanged(data, ("phase", "wait", "until"), until)
    with pytest.raises(ConversationFormatError, match="a time in it"):
        Session.restore(data, now=0.0)


# Conversations

CONVERSATION = json.loads(
    Conversation(
        model="o3-mini",
        vqd="4-1",
        vqd_hash_1="eA==",
        message_history=(Message("user", "a"), Message("assistant", "b")),
        cookies=(Cookie(name="a", value="b", domain="duckduckgo.com", expires=2e9),),
        fe_version="x",
        title="t",
    ).to_json()
)


@settings(deadline=None)
@given(path=st.sampled_from(list(places(CONVERSATION))), odd=st.integers(0, len(ODD) - 1))
@example(path=("format_version",), odd=0)
@example(path=("format_version",), odd=ODD.index(DEEP))
def test_whatever_is_in_a_stored_conversation_it_is_read_or_refused(path: tuple[Any, ...], odd: int) -> None:
    try:
        found = Conversation.from_json(as_json(CONVERSATION, path, ODD[odd]))
    except ConversationFormatError as error:
        is_printable(error)
    else:
        assert Conversation.from_json(found.to_json()) == found
        goes_on(Session(conversation=found), 0.0)


def cookies(count: int, size: int) -> list[dict[str, Any]]:
    return [{"name": f"n{number}", "value": "x" * size, "domain": "duckduckgo.com"} for number in range(count)]


@pytest.mark.parametrize(("count", "size"), [(MAX_COOKIES + 1, 1), (150, 4000), (1, 5000)])
def test_a_stored_conversation_has_no_more_cookies_than_a_jar_keeps(count: int, size: int) -> None:
    text = json.dumps(exchanged(CONVERSATION, ("conversation", "cookies"), cookies(count, size)))
    with pytest.raises(ConversationFormatError, match="cookie"):
        Conversation.from_json(text)


def test_a_stored_conversation_is_small_whatever_cookies_a_turn_brought() -> None:
    jar = CookieJar()
    for number in range(400):
        line = f"n{number}={'x' * 1000}; path=/{'y' * 100_000}"
        jar.receive("https://duckduckgo.com/" + "z/" * 400, (("set-cookie", line),), now=0.0)
    conversation = Conversation(cookies=jar.cookies)
    assert len(conversation.to_json()) < MAX_JAR_BYTES + 200 * MAX_COOKIES
    assert Conversation.from_json(conversation.to_json()) == conversation


# Profiles

PROFILE = json.loads(
    msgspec.json.encode(msgspec.structs.replace(DUCKDUCKGO_2025_04, extra_body={"a": [1]}, minimum_interval=2.0))
)


@settings(deadline=None)
@given(path=st.sampled_from(list(places(PROFILE))[1:]), odd=st.integers(0, len(ODD) - 1))
@example(path=("extra_body", "a"), odd=ODD.index(10**30))
@example(path=("label",), odd=ODD.index("\ud800"))
@example(path=("image_types", 0), odd=ODD.index("\ud800"))
@example(path=("minimum_interval",), odd=ODD.index(1.7e308))
def test_whatever_is_in_a_profile_it_is_read_or_refused(path: tuple[Any, ...], odd: int) -> None:
    changed = exchanged(PROFILE, path, ODD[odd])
    try:
        profile = DUCKDUCKGO_2025_04.updated(changed)
    except ValueError as error:
        is_bounded(error)
        return
    finally:
        free(changed)
    if path[0] != "extra_body":  # any JSON, in which what is no finite number is null
        assert msgspec.json.decode(msgspec.json.encode(profile), type=ServiceProfile) == profile
    goes_on(Session(profile), 0.0)


# Scripts of faults

SCRIPT = '[[fault]]\non = "chat"\ntimes = {}\neffects = [{{ do = "refuse", status = {}, retry-after = {} }}]\n'
VALUES = [
    *("9" * 5000, "-9" + "0" * 50, "nan", "inf", "1e400", "[" * 5000 + "]" * 5000, "{a=" * 5000 + "1" + "}" * 5000),
    *('"\\ud800"', '"' + "x" * 5000 + '"', "0x" + "f" * 5000, "2025-01-01"),
]


@settings(deadline=None)
@given(
    at=st.integers(0, 2),
    value=st.integers(0, len(VALUES) - 1),
)
def test_whatever_is_in_a_script_it_is_read_or_refused(at: int, value: int) -> None:
    values = ["1", "429", "2"]
    values[at] = VALUES[value]
    try:
        script_from_toml(SCRIPT.format(*values))
    except ValueError as error:
        is_printable(error)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "{a = " * 100_000])
def test_a_script_that_is_nested_deeply_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        script_from_toml(text)
