"""What the core's values have in common: which of them can change, and which are made by keyword alone."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from enum import Enum

import msgspec

import ddg_protocol
from ddg_protocol import _phases

BESIDE = ("service", "testing", "transcript")
# What a session goes on with, and what is read from bytes and thrown away.
CHANGE = {
    *("Setup", "Turn", "Credentials", "Standing", "Owed", "SavedReply", "Snapshot", "Said", "TextPayload"),
    *(
        "_Asked",
        "_Body",
        "_Exchange",
        "_Jar",
        "_Status",
        "_Stored",
        "_Version",
        "_WireFile",
        "_WireImage",
        "_WireMessage",
    ),
    *("_Access", "_Files", "_Images", "_Limits", "_List", "_Listed", "_Typed"),
}
BY_KEYWORD = {
    *("AttachmentLimits", "Conversation", "Cookie", "IdRule", "Identity", "Policy", "ServiceProfile", "Coordination"),
    *("SendRequest", "Wait", "SolveChallenge", "Coordinate", "Connect", "Send", "Close"),
    *(
        "Reserve",
        "Slot",
        "Refused",
        "Hold",
        "Claim",
        "Claimed",
        "Busy",
        "Done",
        "Mark",
        "Commit",
        "Committed",
        "Release",
    ),
    *("Overview", "PaceState", "Turn", "Standing", "Owed", "Snapshot", "TextPayload"),
}


def classes() -> Iterator[type]:
    for found in pkgutil.walk_packages(ddg_protocol.__path__, "ddg_protocol."):
        if found.name.split(".")[1] not in BESIDE:
            module = importlib.import_module(found.name)
            named = [each for each in vars(module).values() if isinstance(each, type)]
            yield from (each for each in named if each.__module__ == found.name)


STRUCTS = {each for each in classes() if issubclass(each, msgspec.Struct)}


def test_values_can_not_be_changed() -> None:
    assert len(STRUCTS) > 100
    changing = {each for each in STRUCTS if not each.__struct_config__.frozen}
    assert {each.__name__ for each in changing if not issubclass(each, _phases._Phase)} == CHANGE


def test_values_of_many_members_are_made_by_keyword() -> None:
    # A member that may be given by its position is one that a pattern may match by it.
    by_keyword = {each for each in STRUCTS if len(each.__match_args__) < len(each.__struct_fields__)}
    assert {each.__name__ for each in by_keyword} == BY_KEYWORD
    assert not any(each.__match_args__ for each in by_keyword)


def test_states_moves_and_steps_have_texts_of_their_own() -> None:
    enums = [each for each in classes() if issubclass(each, Enum)]
    assert len(enums) >= 8
    for each in enums:
        assert all(isinstance(member.value, str) and member.value for member in each), each
        assert len(set(each)) == len(each.__members__), f"{each} has two names for one member"
