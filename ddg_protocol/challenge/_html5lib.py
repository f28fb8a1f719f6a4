"""The private parts of html5lib that this package builds on, as html5lib 1.1 has them.

html5lib has no public way to change how it parses. 1.1, of 2020, is its last release. This module imports two things
that html5lib doesn't document, its tokenizer and its phases. `tokenizer`, `modes`, `html` and `tree` override methods
of these, of its parser and of its tree builder, as they are in the source of 1.1. Names in camel case are html5lib's.
"""
# ruff: noqa: N802, N815

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar, TypeAlias

from html5lib._tokenizer import HTMLTokenizer
from html5lib.constants import EOF, tokenTypes
from html5lib.html5parser import getPhases

Token: TypeAlias = dict[str, Any]
"""A token as html5lib makes it: ``type`` and ``data``, of a tag ``name`` too."""

Again: TypeAlias = Any
"""A token that is to be processed again, or None."""

TEXT = frozenset((tokenTypes["Characters"], tokenTypes["SpaceCharacters"]))
"""The types of tokens that are text."""

PHASES: Any = SimpleNamespace(**getPhases(False))
"""The classes of html5lib's phases, which the standard calls insertion modes."""


class Tokenizer(HTMLTokenizer):
    """html5lib's tokenizer, with what its states need to look ahead."""

    stream: Any
    tokenQueue: Any
    currentToken: Any

    def rest(self) -> str:
        """Return what is not read yet. The stream holds back a last CR or surrogate."""
        rest: str = self.stream.chunk[self.stream.chunkOffset :]
        return rest + (self.stream._bufferedCharacter or "").replace("\r", "\n")

    def read_past(self, count: int) -> None:
        """Skip characters of `rest`, without one that the stream holds back."""
        self.stream.chunkOffset += count

    def drop_rest(self) -> None:
        """Read to the end and forget it."""
        while self.stream.char() is not EOF:
            pass
        self.state = self.dataState

    def emit(self, kind: str, data: str) -> None:
        """Queue a token, and go on with text."""
        self.tokenQueue.append({"type": tokenTypes[kind], "data": data})
        self.state = self.dataState


class CorrectedPhase:
    """A phase whose handlers are found by name, so that a subclass can override them.

    html5lib's tables hold the functions themselves.

    Attributes:
        start: the handlers of start tags, where they are not html5lib's, by the tag's name.
        end: the same for end tags.
    """

    start: ClassVar[dict[str, str]] = {}
    end: ClassVar[dict[str, str]] = {}
    startTagHandler: Any
    endTagHandler: Any

    def processStartTag(self, token: Token) -> Again:
        return self._process(token, self.start, self.startTagHandler)

    def processEndTag(self, token: Token) -> Again:
        return self._process(token, self.end, self.endTagHandler)

    def _process(self, token: Token, corrected: dict[str, str], inherited: Any) -> Again:
        name = token["name"]
        return getattr(self, corrected.get(name) or inherited[name].__name__)(token)
