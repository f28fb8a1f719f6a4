"""How much memory Python's objects take at most while something runs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable


def peak_of(run: Callable[[], object]) -> int:
    """Run a function, and return the most bytes that were allocated at once meanwhile."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
