"""What one turn asks for besides its question: an effort, tools, members of the body (PROTOCOL.md section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._template import placeholders_of, read_members
from ._turn import TurnOptions
from .models import Model
from .profile import ServiceProfile
from .text import shown


def read_options(
    profile: ServiceProfile, model: str, effort: str | None, tools: Sequence[str], extra: Mapping[str, Any] | None
) -> TurnOptions:
    """Check the options of a turn.

    Args:
        profile: says which options the revision has.
        model: the id of the model to ask, which has efforts and tools of its own.
        effort: as in `TurnOptions`.
        tools: as in `TurnOptions`.
        extra: as in `TurnOptions`, or None.

    Returns:
        The options.

    Raises:
        ValueError: the model or the revision doesn't have one of them; the message says which, and what it has.
    """
    known, places = profile.model(model), placeholders_of(profile.extra_body)
    if effort is not None:
        _check_effort(profile, known, effort, sent="effort" in places)
    if extra is not None and not isinstance(extra, Mapping):
        raise ValueError(f"extra must be a mapping of members, not {type(extra).__name__}")
    named = _read_tools(profile, known, tools, sent="tool_choice" in places)
    return TurnOptions(effort, named, read_members("extra", dict(extra or {})))


def _check_effort(profile: ServiceProfile, model: Model, effort: str, *, sent: bool) -> None:
    if not sent:
        raise ValueError(f"{shown(profile.label)} has no reasoning effort, so none can be asked for")
    # A model without efforts is sent "none".
    efforts = model.efforts or (model.default_effort,)
    if effort not in efforts:
        raise ValueError(f"{shown(model.id)} has no effort {shown(effort)}; it has {', '.join(efforts)}")
    tiers = model.effort_tiers.get(effort, (profile.tier,))
    if profile.tier not in tiers:
        raise ValueError(
            f"the effort {shown(effort)} of {shown(model.id)} is for the tiers {', '.join(tiers)}, "
            f"and the profile's is {shown(profile.tier)}"
        )


def _read_tools(profile: ServiceProfile, model: Model, tools: Sequence[str], *, sent: bool) -> tuple[str, ...]:
    if isinstance(tools, str) or not isinstance(tools, Sequence):
        raise ValueError(f"tools must be a list of names, not {type(tools).__name__}")
    if tools and not sent:
        raise ValueError(f"{shown(profile.label)} has no choice of tools, so none can be asked for")
    known = tuple(dict.fromkeys((*model.tools, *profile.tool_choice)))
    for tool in tools:
        if tool not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ValueError(f"{shown(model.id)} has no tool {shown(tool)}; {has}")
    return tuple(tools)
