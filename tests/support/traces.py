"""An ``on_action`` that keeps what happened, without the chat and the time."""

from __future__ import annotations

from collections.abc import Callable

from ddg_transports.blocking import Trace


def kept(seen: list[object]) -> Callable[[Trace], None]:
    return lambda trace: seen.append(trace.what)
