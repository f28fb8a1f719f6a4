"""The revisions of the service, each as data in a module of its own, with the source of each uncertain statement.

A mark says where the statement was found: [seen] in a recording, [code] in a client's code, [claim] in prose. A tag
names the client: ``bp`` is benoitpetit/duckduckgo-chat-cli, ``sct`` scturtle/duckai, ``d2a`` duckai2api, ``sdk``
duckai_sdk, ``dany`` DanyAPI, ``kthx`` AgentKthx, ``misa`` and ``yan`` two forks of Duck2api, ``ent`` duck-ai-api,
``fny`` fnyexx/duckai, ``p2d`` pooraddyy/duck-ai-client.

To make a revision of your own, change one of these: `ServiceProfile.updated` takes the changes from TOML or JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..profile import IdRule, ServiceProfile
from .duckduckgo_2025_04 import DUCKDUCKGO_2025_04

if TYPE_CHECKING:
    from .duck_ai_2026_10 import DUCK_AI_2026_10
    from .duckduckgo_2025_07 import DUCKDUCKGO_2025_07

    REVISIONS: dict[str, ServiceProfile]
    """The revisions by the month that each was recorded in, oldest first."""

__all__ = ["DUCKDUCKGO_2025_04", "DUCKDUCKGO_2025_07", "DUCK_AI_2026_10", "REVISIONS", "IdRule"]


def __getattr__(name: str) -> object:
    """Make the later revisions when one is first asked for: every session imports this package for April 2025."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .duck_ai_2026_10 import DUCK_AI_2026_10
    from .duckduckgo_2025_07 import DUCKDUCKGO_2025_07

    revisions = {"2025-04": DUCKDUCKGO_2025_04, "2025-07": DUCKDUCKGO_2025_07, "2026-10": DUCK_AI_2026_10}
    later = {"DUCK_AI_2026_10": DUCK_AI_2026_10, "DUCKDUCKGO_2025_07": DUCKDUCKGO_2025_07, "REVISIONS": revisions}
    globals().update(later)
    return later[name]
