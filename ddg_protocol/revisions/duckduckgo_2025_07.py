"""The service on duckduckgo.com as recorded on 2025-07-10. Historic: since 2026-01 clients use duck.ai.

What differs from April 2025: there is no ``x-vqd-4`` since 2025-06-20 ([seen] bp, [code] sct), and the challenge is of
a form that isn't read here (v4 since 2025-07-04, [code] sct).
"""

from ._identity import IDENTITY
from .duckduckgo_2025_04 import DUCKDUCKGO_2025_04

DUCKDUCKGO_2025_07 = DUCKDUCKGO_2025_04.updated(
    {
        "label": "DuckDuckGo AI Chat (2025-07)",
        # No cookie was needed: [code] sct sends none. The browser had 5, dcs and dcm: [seen] bp.
        "landing_path": "",
        "cookies": (),
        "identity": IDENTITY,
        "vqd_4": False,
        "challenge_form": "opaque",
        # Version markers and page as in April: [code] ent, yan.
        "page_headers": (("accept", "text/html"), ("user-agent", "{user_agent}")),
        # The smallest set that a client got answers to: [code] sct route.rs of 2025-07-19. The order: [seen] bp.
        "status_headers": (
            ("accept", "*/*"),
            ("cache-control", "no-store"),  # [seen] bp
            ("referer", "{referer}"),
            ("user-agent", "{user_agent}"),
            ("x-vqd-accept", "1"),  # [seen] bp
        ),
        "chat_headers": (
            ("accept", "text/event-stream"),
            ("content-type", "application/json"),
            ("origin", "{origin}"),
            ("referer", "{referer}"),
            ("user-agent", "{user_agent}"),
            ("x-fe-signals", "{solver}"),  # its place, if a solver has one: the telemetry of a page is not made up
            ("x-fe-version", "{fe_version}"),  # [seen] bp; not sent by [code] sct
            ("x-vqd-hash-1", "{answer}"),
        ),
        # No challenge for 30 to 60 s after about 5 quick requests: [claim] misa.
        "throttle_delay": 60.0,
        # model and messages alone were enough: [code] sct.
        "extra_body": {},
        # [code] bp models.go, default first
        "models": [
            {"id": "gpt-4o-mini"},
            {"id": "claude-3-haiku-20240307", "aliases": ["claude-3-haiku"]},
            {"id": "meta-llama/Llama-3.3-70B-Instruct-Turbo", "aliases": ["llama-3.3-70b"]},
            {"id": "mistralai/Mistral-Small-24B-Instruct-2501", "aliases": ["mistral-small-3"]},
            {"id": "o4-mini"},  # o3-mini until 2025-06-20: [code] sct
        ],
    }
)
"""The service as it was in July 2025."""
