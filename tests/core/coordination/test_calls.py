"""The values that sessions and engines exchange: what they may hold, and what they show."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec
import pytest

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

VALUES: list[msgspec.Struct] = [
    Reserve(nonce="n", interval=1.5, window=0.05, max_wait=60),
    Hold(seconds=0),
    Claim(key="\u00dc\n\U0001f600", holder="h", lease=10.0),
    Mark(key="c", fence=1, lease=10.0),
    Commit(key="c", fence=2**53, revision=0, document=b"secret", reply=b"secret"),
    Release(key="c", fence=1, revision=1, document=b"secret"),
    Slot(delay=0.0, final=True, ticket="1", epoch="one"),
    Refused(wait=1e9),
    Held(),
    Claimed(fence=1, revision=0, document=b"secret"),
    Busy(retry_after=1.0),
    Done(reply=b"secret", revision=1, document=b"secret"),
    Lost(),
    Marked(),
    Committed(revision=1),
    Released(),
]
WRONG: dict[str, tuple[Any, ...]] = {
    "nonce": ("", "a b", "a\n", "\u00fc", "x" * 65, None),
    "holder": ("", "x" * 65),
    "ticket": ("a b", "x" * 65, 1),
    "epoch": ("\n", "x" * 65),
    "interval": (-1.0, math.nan, math.inf, 1_000_001, "1", True),
    "window": (-0.1, 1.1, math.nan),
    "max_wait": (-1.0, math.inf),
    "lease": (-1.0, math.nan, math.inf),
    "seconds": (-1.0, math.nan, math.inf),
    "delay": (-0.1, math.nan, math.inf),
    "wait": (-0.1, math.nan, math.inf),
    "retry_after": (-0.1, math.nan),
    "need": (0, 17, 1.0, True),
    "fe_version": ("a b", "x" * 513),
    "fetches": (1, None),
    "final": (0, None),
    "take_over": (1,),
    "sent": (1,),
    "position": (-1, 2**53 + 1),
    "key": ("", "\ud800", "x" * 513, b"c"),
    "turn": ("\udfff", "x" * 513, None),
    "fence": (-1, 2**53 + 1, 1.0, True),
    "revision": (-1, 2**53 + 1, True),
    "document": ("c2VjcmV0", [115]),
    "reply": ("c2VjcmV0", None),
}


def test_there_is_a_value_of_each_kind() -> None:
    assert {type(value) for value in VALUES} == {*get_args(Call), *get_args(Result)}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_has_no_attribute_that_an_engine_could_not_hold(value: msgspec.Struct) -> None:
    for name in value.__struct_fields__:
        for wrong in WRONG[name]:
            with pytest.raises(ValueError, match=rf"^{type(value).__name__}: .* - at `\$\.{name}`$") as caught:
                msgspec.structs.replace(value, **{name: wrong})
            assert "c2VjcmV0" not in str(caught.value)


def test_a_value_is_made_with_the_names_of_its_attributes() -> None:
    for value in VALUES:
        given = [getattr(value, name) for name in value.__struct_fields__]
        if given:
            with pytest.raises(TypeError, match="Extra positional arguments"):
                type(value)(*given)


@pytest.mark.parametrize("kind", [Mark, Commit, Release])
def test_only_a_claim_has_no_fence_yet(kind: Any) -> None:
    (value,) = [value for value in VALUES if isinstance(value, kind)]
    with pytest.raises(ValueError, match="fence"):
        msgspec.structs.replace(value, fence=0)


def test_what_is_stored_does_not_show() -> None:
    assert "secret" not in repr(VALUES)
    assert repr(Claimed(fence=1, revision=2, document=b"secret")) == (
        "Claimed(fence=1, revision=2, document=<6 bytes>, sent=False)"
    )
    assert repr(Slot(delay=0.0, final=True, ticket="1", epoch="one")) == (
        "Slot(delay=0.0, final=True, ticket='1', epoch='one', position=0, fe_version='')"
    )
    shown = "Release(key=<1 characters>, fence=1, revision=0, document=None)"
    assert repr(Release(key="c", fence=1, revision=0)) == shown
