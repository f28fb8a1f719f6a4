"""An engine: what carries out the calls of sessions in many processes. One method is all of it."""

from __future__ import annotations

from typing import Protocol

from .calls import Call, Result


class Engine(Protocol):
    """Carries out calls, in blocking code."""

    def call(self, call: Call, /) -> Result:
        """Carry out a call, as one step.

        Args:
            call: what a session asks. It may have been carried out before, without its result having arrived.

        Returns:
            The result.

        Raises:
            EngineUnavailable: it can't be said whether the call was carried out.
        """


class AsyncEngine(Protocol):
    """An `Engine` on asyncio and trio. Its call may be cancelled, and is then made again, or given up."""

    async def call(self, call: Call, /) -> Result:
        """Carry out a call; see `Engine.call`."""
