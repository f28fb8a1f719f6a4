"""All scenarios, a module for each family."""

from __future__ import annotations

import msgspec

from .._values import Scenario
from . import challenge, chunking, conversation, ends, handshake, hostile, pace, payloads, plain, refusals, syntax

FAMILIES: dict[str, str] = {
    "plain": "nothing goes wrong",
    "chunking": "how the bytes are cut",
    "syntax": "what event streams allow",
    "payloads": "what comes besides text",
    "ends": "how a reply ends",
    "refusals": "the service says no",
    "handshake": "what comes before the question",
    "challenge": "the service wants an answer",
    "conversation": "several turns",
    "pace": "pauses and retries",
    "hostile": "a service that means harm",
}
"""The families of the scenarios, and what each is about."""

_MODULES = (plain, chunking, syntax, payloads, ends, refusals, handshake, challenge, conversation, pace, hostile)

SCENARIOS: dict[str, Scenario] = {
    f"{family}/{scenario.name}": msgspec.structs.replace(scenario, family=family)
    for family, module in zip(FAMILIES, _MODULES, strict=True)
    for scenario in module.SCENARIOS
}
"""All scenarios by family and name, in order."""
