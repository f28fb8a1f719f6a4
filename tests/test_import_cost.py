"""What an import costs beside the least it could, and beside aiohttp's: who embeds the core pays little for it."""

from __future__ import annotations

import sys

import pytest

from benchmarks.report import limit_text
from benchmarks.start import LIMITED, imports, limits

pytest.importorskip("aiohttp")


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_the_imports_stay_within_their_limits() -> None:
    # The least of the rounds, for other work on the machine only ever adds to a process's time.
    found = limits(imports(LIMITED, rounds=9, typical=min))
    assert len(found) == 5
    assert [limit_text(limit) for limit in found if not limit.holds] == []
