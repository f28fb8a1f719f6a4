"""The service on duckduckgo.com as it was in April 2025, to which PROTOCOL.md holds. `ServiceProfile` has its values.

They are the defaults there, so that a profile names only what it has otherwise.
"""

from ..profile import ServiceProfile

DUCKDUCKGO_2025_04 = ServiceProfile(allowed_hosts=("duckduckgo.com", ".duckduckgo.com", "duck.ai"))
"""The service as it was in April 2025."""
