"""The service on duckduckgo.com as it was in April 2025, which sections 1 to 10 of PROTOCOL.md describe.

Its values are the defaults of `ServiceProfile`, so that another profile names only what differs.
"""

from ..profile import ServiceProfile

DUCKDUCKGO_2025_04 = ServiceProfile(allowed_hosts=("duckduckgo.com", ".duckduckgo.com", "duck.ai"))
"""The service as it was in April 2025."""
