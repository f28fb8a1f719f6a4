"""The service on duck.ai as recorded on 2026-10-02 to 2026-10-04."""

from __future__ import annotations

import msgspec

from ..models import Model
from ..policy import MIB
from ._identity import IDENTITY
from .duckduckgo_2025_04 import DUCKDUCKGO_2025_04

_ALL = ("free", "plus", "pro", "internal")
_PAID = _ALL[1:]
_PRO = _ALL[2:]
_DOCUMENTS = ("FindInDocument", "ReadDocumentSelection", "ReadDocument")
_TALK = ("WebSearch", "SportsLookup", "RelatedSearchTerms", "ReplySuggestions", "Greeting", *_DOCUMENTS)
_MORE = ("LocationPrompt", "GenerateImage")
_DRAW = (*_TALK, *_MORE)
_WRITE = (*_TALK, "GenerateImage", "WritingBlocks")
_SEARCH = ("WebSearch", "SearchResults", "RelatedSearchTerms", "ReplySuggestions", *_DOCUMENTS, *_MORE)
_OPEN = ("WebSearch", "SportsLookup", "LocationPrompt", *_DOCUMENTS, "Greeting")


def _model(id: str, name: str, efforts: str, tiers: tuple[str, ...], tools: tuple[str, ...], takes: str) -> Model:
    return Model(
        id,
        name=name,
        efforts=tuple(efforts.split()),
        tools=tools,
        takes_images="images" in takes,
        file_types=("application/pdf",) if "files" in takes else (),
        tiers=tiers,
    )


# [seen] d2a models.json of 2026-10-02, the page's default first ([code] d2a), those that are free before the others.
# Not in that list is gpt-6-luna, the page's default from 2026-10-06: [code] sdk, kthx.
MODELS = (
    _model("gpt-5.6-luna", "GPT-5.6 Luna", "none low", _ALL, _DRAW, "images files"),
    msgspec.structs.replace(
        _model("gpt-5.4-mini", "GPT-5.4 mini", "none low medium", _ALL, _DRAW, "images files"),
        effort_tiers={"none": _ALL, "low": _ALL, "medium": _PRO},
    ),
    _model("claude-haiku-4-5", "Claude Haiku 4.5", "none low", _ALL, _TALK, "images files"),
    _model("mistral-small-2603", "Mistral Small 4", "", _ALL, (), ""),
    _model("tinfoil/gpt-oss-120b", "gpt-oss 120B", "low", _ALL, _OPEN, ""),
    _model("tinfoil/gemma4-31b", "Gemma 4 31B", "none low", _ALL, _OPEN, "images"),
    _model("gpt-6-luna", "GPT-6 Luna", "none low", ("free",), (), "images files"),
    _model("gpt-5.6-terra", "GPT-5.6 Terra", "none low medium", _PAID, _SEARCH, "images files"),
    _model("claude-sonnet-4-6", "Claude Sonnet 4.6", "none low", _PAID, _WRITE, "images files"),
    _model("gpt-5.6-sol", "GPT-5.6 Sol", "none low medium", _PRO, _SEARCH, "images files"),
    _model("claude-opus-4-8", "Claude Opus 4.8", "none low medium", _PRO, ("SearchResults", *_WRITE), "images files"),
)
# [seen] d2a models.json: files a conversation, MiB in all and each, pages each; images a turn and a conversation.
LIMITS = {"free": (3, 5, 15, 3, 5), "plus": (5, 25, 35, 3, 10), "pro": (5, 25, 50, 3, 10)}


def _limits(files: int, mib: int, pages: int, images: int, all_images: int) -> dict[str, int]:
    return {
        "files_per_conversation": files,
        "file_bytes": mib * MIB,
        "total_file_bytes": mib * MIB,
        "pages_per_file": pages,
        "images_per_turn": images,
        "images_per_conversation": all_images,
        "characters_with_attachments": 4500,
    }


DUCK_AI_2026_10 = DUCKDUCKGO_2025_04.updated(
    {
        "label": "Duck.ai (2026-10)",
        # Since 2026-01: [code] sct. origin and referer must agree with the host: [claim] OmniRoute issue 4037.
        "origin": "https://duck.ai",
        "allowed_hosts": ("duck.ai", ".duck.ai"),
        "models_path": "/duckchat/v1/models",  # [seen] d2a models.json
        "front_end_path": "/",  # [seen] d2a home.html
        "version_markers": ('data-version-tag="', 'data-version-sha="'),  # [seen] d2a home.html
        # Cookies: none are needed ([claim] sdk keeps a jar only), though kthx always sends 5, dcm and dcs, and claims
        # a 403 without.
        "landing_path": "",
        "cookies": (),
        "identity": IDENTITY,
        "vqd_4": False,  # since 2025-06-20: [seen] bp, [code] sct
        "challenge_form": "opaque",
        # The smallest set that a client got answers to, [code] sct and sdk, in the order of [code] d2a headers.rs. It
        # isn't known which of them are checked: [claim] kthx says that only user-agent, referer and accept are; [claim]
        # live notes of 2026-08-17 say that a request without x-fe-signals and sec-ch-ua is refused (418).
        "page_headers": (("accept", "text/html"), ("user-agent", "{user_agent}")),
        "status_headers": (
            ("accept", "*/*"),
            ("cache-control", "no-store"),
            ("origin", "{origin}"),
            ("referer", "{referer}"),
            ("user-agent", "{user_agent}"),
            ("x-vqd-accept", "1"),  # without it there is no challenge: [claim] kthx
        ),
        "models_headers": (  # [code] d2a
            ("accept", "application/json"),
            ("referer", "{referer}"),
            ("user-agent", "{user_agent}"),
        ),
        "chat_headers": (
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
            ("x-fe-version", "{fe_version}"),
            ("x-fe-signals", "{solver}"),  # its place, if a solver has one: the telemetry of a page is not made up
            ("x-vqd-hash-1", "{answer}"),
            ("x-ddg-journey-id", "{journey_id}"),
            ("origin", "{origin}"),
            ("referer", "{referer}"),
            ("user-agent", "{user_agent}"),
        ),
        "ids": {
            # One a session: [code] sdk. One a request: [code] d2a, kthx, yan.
            "journey_id": {"form": "hex", "new": "session"},
        },
        # The least set in use: [code] sdk, live on 2026-10-06. durableStream is off: sdk and dany don't send it.
        "extra_body": {
            "model": "{model}",
            "metadata": {"toolChoice": "{tool_choice}"},  # only where a turn asks for tools: [code] misa, bp
            "messages": "{messages}",
            "canUseTools": "{uses_tools}",
            "reasoningEffort": "{effort}",
            "canShowGreeting": False,
        },
        # No challenge for 30 to 60 s after about 5 quick requests: [claim] misa. After a 429, 60 s: [code] fny.
        "throttle_delay": 60.0,
        "repeated_once": ["unauthorized", "no_events"],  # [code] kthx, p2d
        "models": MODELS,
        "attachment_limits": {tier: _limits(*numbers) for tier, numbers in LIMITS.items()},
    }
)
"""The service as it was at the beginning of October 2026."""
