"""How long an engine keeps a conversation that nobody uses."""

from __future__ import annotations


def check_ttl(ttl: float | None) -> None:
    """Check a time to live, in seconds; None is no end.

    Raises:
        ValueError: it is no time, so that conversations would vanish while they go on.
    """
    if ttl is not None and not ttl > 0:
        raise ValueError(f"ttl must be more than 0 s, or None, not {ttl}")
