"""Who thinks the inputs up: atheris, which watches what they reach, or Hypothesis and plain mutations, anywhere."""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from .target import CORPUS, Target

LONGEST = 4096
"""Bytes in an input as thought up; the judge makes longer ones of them."""

INSTRUMENTED = ["ddg_protocol", "ddg_chat", "html5lib"]
"""The packages in which atheris sees what is reached."""


def has_atheris() -> bool:
    """Tell whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def load(table: str, engine: str) -> tuple[Target, ...]:
    """Import a table of targets, and all that they fuzz with it.

    Args:
        table: the module that has it, as ``TARGETS``.
        engine: ``"atheris"`` sees only what is imported here.
    """
    if engine != "atheris":
        return _table(table)
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=INSTRUMENTED):
        return _table(table)


def _table(table: str) -> tuple[Target, ...]:
    found: tuple[Target, ...] = importlib.import_module(table).TARGETS
    return found


def run_atheris(target: Target, test: Callable[[bytes], None], *, until: float, seed: int, grown: Path) -> None:
    """Give a target what atheris makes of its corpus; never comes back: libFuzzer ends the process.

    Args:
        target: has the corpus and the words.
        test: takes each input.
        until: when to end, by `time.monotonic`.
        seed: of its dice; 0 takes others each time.
        grown: the folder of what earlier runs came to, and where this one adds to it.
    """
    atheris: Any = importlib.import_module("atheris")
    words = tempfile.NamedTemporaryFile("w", suffix=".dict", delete=False)  # noqa: SIM115 - the process ends elsewhere
    with words:
        for word in target.words:
            escaped = "".join(f"\\x{byte:02x}" for byte in word)
            words.write(f'"{escaped}"\n')
    grown.mkdir(parents=True, exist_ok=True)
    seconds = max(1, round(until - time.monotonic()))
    longest = max([LONGEST, *(2 * len(data) for data in target.seeds)])
    # What hangs or takes too much memory is the judge's to find; atheris takes a timeout of 0 for one that is over.
    bounds = ["-timeout=86400", "-rss_limit_mb=0", f"-max_total_time={seconds}", f"-max_len={longest}"]
    bounds.append(f"-artifact_prefix={grown.parent}/")
    corpora = [str(folder) for folder in (grown, CORPUS / target.name) if folder.exists()]
    atheris.Setup(
        ["fuzz", *corpora, *bounds, f"-dict={words.name}", f"-seed={seed}", "-reload=0", "-print_funcs=0"], test
    )
    sys.stdout.flush()
    atheris.Fuzz()


def run_hypothesis(target: Target, test: Callable[[bytes], None], *, until: float, seed: int) -> None:
    """Give a target what Hypothesis draws of its inputs, and mutations of its corpus for as long, by turns.

    Args:
        target: has the inputs, the corpus and the words.
        test: takes each input.
        until: when to end, by `time.monotonic`.
        seed: of the dice; 0 takes others each time.
    """
    dice = random.Random(seed or None)
    fuzz_one_input = drawing(target, test)
    mutations = Mutations(dice, target.seeds, target.words)
    buffers = [b""]
    drawn = mutated_for = 0.0  # seconds
    now = 0.0
    while now < until:  # once at least, however long it took to come here
        before = time.monotonic()
        if drawn <= mutated_for:
            buffer = dice.randbytes(dice.randrange(2000))
            used = fuzz_one_input(buffer if dice.random() < 0.5 else mutated(dice, dice.choice(buffers), ()))
            if used:
                buffers.append(used)
                del buffers[:-200]
            now = time.monotonic()
            drawn += now - before
        else:
            test(mutations.next())
            now = time.monotonic()
            mutated_for += now - before


def drawing(target: Target, test: Callable[[bytes], None]) -> Callable[[bytes], bytes | None]:
    """Make a function that takes Hypothesis's choices as bytes, and gives the test what they choose of the inputs."""

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def drawn(data: bytes) -> None:
        test(data)

    fuzz_one_input: Callable[[bytes], bytes | None] = drawn.hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    return fuzz_one_input


class Mutations:
    """Inputs made of a corpus by chance.

    Args:
        dice: chance; the same gives the same inputs.
        seeds: the corpus.
        words: what may be put in.
    """

    def __init__(self, dice: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
        self._dice = dice
        self._pool = list(seeds) or [b""]
        self._words = words

    def next(self) -> bytes:
        """Give another one."""
        dice, pool = self._dice, self._pool
        data = dice.choice(pool)
        if dice.random() < 0.2:
            other = dice.choice(pool)
            data = data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other) + 1) :]
        data = mutated(dice, data, self._words)
        if dice.random() < 0.1:  # a walk away from the corpus, and not a circle round it
            pool.append(data)
            del pool[1000:1001]
        return data


def mutated(dice: random.Random, data: bytes, words: Sequence[bytes]) -> bytes:
    """Change an input in a few places."""
    for _ in range(1 + dice.randrange(4)):
        at = dice.randrange(len(data) + 1)
        size = 1 + min(dice.randrange(16), dice.randrange(200))
        kind = dice.randrange(6 if words else 5)
        if kind == 0:
            middle = b""
        elif kind == 1:
            middle = dice.randbytes(1)
        elif kind == 2:
            middle = data[at : at + size] * (2 + dice.randrange(3))
        elif kind == 3:
            begin = dice.randrange(len(data) + 1)
            middle, size = data[begin : begin + size], 0
        elif kind == 4:
            middle = bytes([byte ^ (1 << dice.randrange(8)) for byte in data[at : at + 1]])
            size = 1
        else:
            middle, size = dice.choice(words), dice.choice([0, size])
        data = data[:at] + middle + data[at + size :]
    return data[:LONGEST]
