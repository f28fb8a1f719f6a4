"""Calls as commands for Valkey and Redis, and their replies as results. What the scripts do is in `tests/engines`."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddg_protocol.coordination import (
    Busy,
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    Done,
    Held,
    Hold,
    Lost,
    Mark,
    Marked,
    Refused,
    Release,
    Released,
    Reserve,
    Result,
    Slot,
)
from ddg_protocol.coordination._valkey import decode, encode
from ddg_protocol.errors import EngineUnavailable

RESERVE = Reserve(nonce="n", interval=1.5, window=0.05, max_wait=180.0)
CLAIM = Claim(key="k", holder="h", lease=30.0)
MARK = Mark(key="k", fence=7, lease=30.0)
COMMIT = Commit(key="k", fence=7, revision=2, document=b"secret", turn="t", reply=b"answer")
RELEASE = Release(key="k", fence=7, revision=2)
HOLD = Hold(seconds=60.0)
CALLS: list[Call] = [RESERVE, HOLD, CLAIM, MARK, COMMIT, RELEASE]


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (RESERVE, [b"reserve", b"n", b"1500000", b"50000", b"1", b"", b"", b"180.0", b"0", b""]),
        (
            Reserve(
                nonce="n",
                interval=0.1 + 0.2,
                window=1e-6,
                need=3,
                ticket="4",
                epoch="e:1",
                max_wait=0.1,
                fetches=True,
                fe_version="serp_1",
            ),
            [b"reserve", b"n", b"300000", b"1", b"3", b"4", b"e:1", b"0.1", b"1", b"serp_1"],
        ),
        (HOLD, [b"hold", b"60000000"]),
        (CLAIM, [b"claim", b"", b"h", b"30000000", b"", b"0", b"0"]),
        (
            Claim(key="k", holder="h", lease=0.5, turn="é", fence=1_764_331_122_123_456, take_over=True),
            [b"claim", b"", b"h", b"500000", "é".encode(), b"1764331122123456", b"1"],
        ),
        (MARK, [b"mark", b"", b"7", b"30000000"]),
        (COMMIT, [b"commit", b"", b"7", b"2", b"secret", b"t", b"answer"]),
        (RELEASE, [b"release", b"", b"7", b"2", b"0", b""]),
        (Release(key="k", fence=7, revision=2, document=b""), [b"release", b"", b"7", b"2", b"1", b""]),
    ],
)
def test_a_call_is_a_script_with_exact_numbers(call: Call, arguments: list[bytes]) -> None:
    command = encode(call, scope="s")
    assert list(command.arguments) == arguments
    assert command.script.sha == hashlib.sha1(command.script.text.encode()).hexdigest()
    on_pace = isinstance(call, Reserve | Hold)
    assert command.key == (b"ddg:1:{s}:pace" if on_pace else b"ddg:1:{c:k}")


@pytest.mark.parametrize(("ttl", "milliseconds"), [(None, b""), (86_400.0, b"86400000"), (0.0001, b"1")])
def test_a_conversation_is_kept_for_a_time_or_for_ever(ttl: float | None, milliseconds: bytes) -> None:
    assert encode(CLAIM, scope="s", ttl=ttl).arguments[1] == milliseconds


ANY = st.text(min_size=1) | st.text("{}:pc\0é", min_size=1)


@given(first=ANY, second=ANY)
def test_two_conversations_never_share_a_key_nor_a_conversation_and_a_pace(first: str, second: str) -> None:
    def key_of(name: str) -> bytes:
        return encode(Mark(key=name, fence=1, lease=1.0), scope="s").key

    assert (key_of(first) == key_of(second)) == (first == second)
    assert key_of(first) != encode(HOLD, scope=second).key
    assert key_of(first) != encode(HOLD, scope=f"c:{first}").key


def test_a_command_is_shown_without_what_is_in_it() -> None:
    shown = repr(encode(COMMIT, scope="s"))
    assert shown == "Command(commit, <7 arguments>)"


REPLIES: list[tuple[Call, bytes | list[bytes], Result]] = [
    (
        RESERVE,
        b"slot 1550000 0 12 e:1 3 serp_1",
        Slot(delay=1.55, final=False, ticket="12", epoch="e:1", position=3, fe_version="serp_1"),
    ),
    (RESERVE, b"slot 0 1 12 :1 0 ", Slot(delay=0.0, final=True, ticket="12", epoch=":1")),
    (RESERVE, b"refused 200000000", Refused(wait=200.0)),
    (HOLD, b"held", Held()),
    (
        CLAIM,
        [b"claimed", b"1764331122123456", b"2", b"\xff\0", b"1"],
        Claimed(fence=1_764_331_122_123_456, revision=2, document=b"\xff\0", sent=True),
    ),
    (CLAIM, [b"busy", b"500000"], Busy(retry_after=0.5)),
    (CLAIM, [b"done", b"answer", b"3", b"doc"], Done(reply=b"answer", revision=3, document=b"doc")),
    (CLAIM, [b"lost"], Lost()),
    (MARK, [b"marked"], Marked()),
    (MARK, [b"lost"], Lost()),
    (COMMIT, [b"committed", b"3"], Committed(revision=3)),
    (COMMIT, [b"lost"], Lost()),
    (RELEASE, [b"released"], Released()),
    (RELEASE, [b"lost"], Lost()),
]


@pytest.mark.parametrize(("call", "reply", "result"), REPLIES)
def test_a_reply_is_a_result(call: Call, reply: bytes | list[bytes], result: Result) -> None:
    assert decode(call, reply) == result


@pytest.mark.parametrize("call", CALLS)
def test_a_reply_of_another_form_is_an_error_that_does_not_show_it(call: Call) -> None:
    others: list[Any] = [reply for asked, reply, _ in REPLIES if type(asked) is not type(call) and reply != [b"lost"]]
    own = [reply for asked, reply, _ in REPLIES if type(asked) is type(call)]
    broken = [reply.split(b" ") if isinstance(reply, bytes) else reply for reply in own]
    for reply in [
        *others,
        *(reply[:-1] for reply in broken),
        *([*reply, b""] for reply in broken),
        *([reply[0], *(b"\xffsecret" for _ in reply[1:])] for reply in broken if len(reply) > 1),
        *([reply[0], *(b"-1" for _ in reply[1:])] for reply in broken if len(reply) > 1),
        *([reply[0], *(b"1" * 17 for _ in reply[1:])] for reply in broken if len(reply) > 1),
        [b"claimed", b"7", b"2", b"doc", b"secret"],
        [b"secret"],
        ["held", "secret"],
        [],
        None,
        b"secret",
        1,
    ]:
        with pytest.raises(EngineUnavailable, match=f"the reply to {type(call).__name__} can't be read") as caught:
            decode(call, reply)
        assert "secret" not in str(caught.value)
        assert caught.value.__context__ is None


def test_a_pace_has_no_lost() -> None:
    for call in (RESERVE, HOLD):
        with pytest.raises(EngineUnavailable):
            decode(call, [b"lost"])


def test_a_server_that_may_drop_conversations_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match="maxmemory-policy to noeviction, which is allkeys-lru now"):
        decode(CLAIM, [b"evicts", b"allkeys-lru"])
