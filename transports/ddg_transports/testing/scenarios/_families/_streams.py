"""Event streams, written by hand so that each byte is known."""

from __future__ import annotations

import msgspec

from ddg_protocol.service import Fault
from ddg_protocol.service.faults import Body, Effect, Insert

DONE = "[DONE]"
CHUNKED = Insert("")
"""Puts nothing in, but makes the length of a body unknown, so that it is sent in chunks."""


def piece(text: str, **more: object) -> str:
    """Return the payload of a piece of the reply."""
    members = {"action": "success", "message": text, "created": 1_743_500_000, "id": "1", "model": "gpt-4o-mini"}
    return msgspec.json.encode({**members, **more}).decode()


def stream(*payloads: str, end: str = "\n", before: str = "") -> str:
    """Return the stream of some payloads, the stop marker and ``[DONE]``.

    Args:
        *payloads: the data of each event.
        end: the line end.
        before: what comes before each line of data.
    """
    return events(*payloads, piece(""), DONE, end=end, before=before)


def events(*payloads: str, end: str = "\n", before: str = "") -> str:
    """Return the stream of some payloads alone."""
    return "".join(f"{before}data: {payload}{end}{end}" for payload in payloads)


def on_chat(*effects: Effect, first: int = 1, times: int | None = None) -> tuple[Fault, ...]:
    """Return the fault of a chat request."""
    return (Fault("chat", effects, first=first, times=times),)


def replied(body: str, *effects: Effect) -> tuple[Fault, ...]:
    """Return the fault that makes the body of a reply, and what else is done to it."""
    return on_chat(Body(body), *effects)


def pieces(*texts: str) -> list[str]:
    """Return the payloads of some pieces of text."""
    return [piece(text) for text in texts]


def refusal(status: int, kind: str, **more: object) -> str:
    """Return the JSON of a refusal."""
    return msgspec.json.encode({"action": "error", "status": status, "type": kind, **more}).decode()
