"""The revisions of the service, each as data in a module of its own, with the sources of what is not certain.

The marks there: [seen] is in a recording, [code] in a client's code, [claim] in prose. A tag names the client:
``bp`` is benoitpetit/duckduckgo-chat-cli, ``sct`` scturtle/duckai, ``d2a`` duckai2api, ``sdk`` duckai_sdk,
``dany`` DanyAPI, ``kthx`` AgentKthx, ``misa`` and ``yan`` two forks of Duck2api, ``ent`` duck-ai-api.

To make a revision of your own, change one of these: `ServiceProfile.updated` takes the changes from TOML or JSON.
"""

from ..profile import DUCKDUCKGO_2025_04, IdRule, ServiceProfile
from .duck_ai_2026_10 import DUCK_AI_2026_10
from .duckduckgo_2025_07 import DUCKDUCKGO_2025_07

__all__ = ["DUCKDUCKGO_2025_04", "DUCKDUCKGO_2025_07", "DUCK_AI_2026_10", "REVISIONS", "IdRule"]

REVISIONS: dict[str, ServiceProfile] = {
    "2025-04": DUCKDUCKGO_2025_04,
    "2025-07": DUCKDUCKGO_2025_07,
    "2026-10": DUCK_AI_2026_10,
}
"""The revisions by the month that each was recorded in, oldest first."""
