"""Makes the seed corpora: ``python -m fuzz.seeds`` draws them from `inputs`, the same each time.

What was found (``found-...``) stays: see README.md beside this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from hypothesis import HealthCheck, Phase, given, settings

from .target import CORPUS, Target

EXAMPLES = 60
"""How many are drawn for a target."""
KEPT = 20
"""How many of them are kept, from short to long."""
LONGEST = 20_000
"""Bytes in the longest, and in all that are kept."""


def drawn(target: Target) -> list[bytes]:
    """Draw a target's seeds.

    Args:
        target: has the inputs.

    Returns:
        Different ones, from short to long.
    """
    found: dict[bytes, None] = {}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def note(data: bytes) -> None:
        if len(data) <= LONGEST:
            found[data] = None

    note()
    by_length = sorted(found, key=lambda data: (len(data), data))
    kept = by_length[:: max(1, len(by_length) // KEPT)][:KEPT]
    while sum(map(len, kept)) > LONGEST:
        kept.pop()
    return kept


def write(targets: Iterable[Target]) -> None:
    """Write the corpora anew, in place of those there are."""
    for target in targets:
        folder = CORPUS / target.name
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if not path.name.startswith("found-"):
                path.unlink()
        for data in drawn(target):
            (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


if __name__ == "__main__":
    from .targets import TARGETS

    write(TARGETS)
