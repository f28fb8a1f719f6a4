"""What a fuzz target is."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType

from hypothesis.strategies import SearchStrategy

CORPUS = Path(__file__).parent / "corpus"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A parser, or more, and what is known of it.

    Attributes:
        name: what it fuzzes.
        run: takes any bytes; raises nothing, unless something is wrong.
        inputs: inputs of the kind that gets far: the seed corpus is drawn from them.
        covers: the modules that it is about.
        seconds: processor time that an input may take, however short.
        seconds_per_byte: and for each byte of it.
        memory: bytes that an input may take at once, however short.
        memory_per_byte: and for each byte of it.
    """

    name: str
    run: Callable[[bytes], None]
    inputs: SearchStrategy[bytes]
    covers: tuple[str, ...]
    seconds: float = 0.25
    seconds_per_byte: float = 100e-6
    memory: int = 8 * 1024 * 1024
    memory_per_byte: int = 256

    @property
    def seeds(self) -> list[bytes]:
        """The inputs of its corpus, in the order of their names."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).glob("*"))]

    @property
    def words(self) -> list[bytes]:
        """What its modules look for in an input, as far as their code has it as texts: a dictionary for mutations."""
        found: set[bytes] = set()
        for name in self.covers:
            module = importlib.import_module(name)
            assert module.__file__ is not None
            found.update(_words(compile(Path(module.__file__).read_bytes(), name, "exec")))
        return sorted(found)


_WORD = re.compile(rb"[!-~][ -~]{0,22}[!-~]")


def _words(code: CodeType) -> Iterator[bytes]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _words(constant)
        for each in constant if isinstance(constant, tuple | frozenset) else (constant,):
            word = each.encode("utf-8", "replace") if isinstance(each, str) else each
            if isinstance(word, bytes) and _WORD.fullmatch(word):
                yield word
