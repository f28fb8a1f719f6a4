"""From characters to tokens: html5lib's tokenizer with what Chrome's does otherwise (HTML standard, 13.2.5).

Each method is a state of the standard's tokenizer; it returns True to go on. Names in camel case are html5lib's.
"""
# ruff: noqa: D102, N802, N803

from __future__ import annotations

import re
from typing import Any, Protocol

from bs4.element import ProcessingInstruction
from html5lib.constants import entities, spaceCharacters

from ._html5lib import Tokenizer
from .doubts import Doubts, refuse
from .rules import Rules
from .tree import HTML, Element

_SPACE = "".join(spaceCharacters)
_PROCESSING_INSTRUCTION = re.compile(rf"\?(?:([A-Za-z_][A-Za-z0-9_-]*+)(?![^{_SPACE}?>])|\Z)([^>]*)(>?)")
_GOES_ON = re.compile("[A-Za-z0-9=]")
_LONGEST_NAME = max(map(len, entities))


class Parser(Protocol):
    """The parser, as far as the tokenizer needs it."""

    rules: Rules
    doubts: Doubts
    tree: Any

    def has_pending_table_text(self) -> bool:
        """Return whether text in a table waits for the token that ends it."""

    def is_integration_point(self, element: Element) -> bool:
        """Return whether an element is a foreign one whose content is read as HTML."""


class ChromeTokenizer(Tokenizer):
    """Cuts a snippet into tokens as Chrome does."""

    parser: Parser

    def __init__(self, html: str, parser: Parser) -> None:
        super().__init__(html, parser=parser)
        self._html = html

    def consumeEntity(self, allowedChar: str | None = None, fromAttribute: bool = False) -> None:
        rest = self.rest()
        if rest[:3].lower() == "#x;":
            self.parser.doubts.parsers_differ_on = "`&#x;`"
        # The fast path takes no reference in a value without quotes. In others it takes `not` for one in `&notit;`, as
        # the standard doesn't.
        name = next((rest[:end] for end in range(_LONGEST_NAME, 1, -1) if rest[:end] in entities), ";")
        if allowedChar in ("'", '"') and name[-1] != ";" and _GOES_ON.match(rest, len(name)):
            self.parser.doubts.parsers_differ_on = "a character reference without `;` in an attribute"
        super().consumeEntity(allowedChar, fromAttribute)

    def tagOpenState(self) -> bool:
        rest = self.rest()
        if rest.startswith("\0"):  # a NUL is ignored in text, but text has not begun yet
            self.read_past(1)
            self.emit("Characters", "<\ufffd")
            return True
        instruction = self.parser.rules.processing_instructions and _PROCESSING_INSTRUCTION.match(rest)
        return (instruction and self._processing_instruction(instruction)) or super().tagOpenState()

    def _processing_instruction(self, found: re.Match[str]) -> bool:
        """Read a processing instruction, unless it is an XML declaration, which is a comment; return whether it was."""
        target, data, end = found.groups()
        if target and target.lower() in ("xml", "xml-stylesheet") and (end or data):
            if not end:
                refuse("an XML declaration without an end", expected="`>`")
            return False
        if end:
            self.read_past(found.end())
            data = data.lstrip(_SPACE).removesuffix("?").replace("\0", "\ufffd")
            self.emit("Comment", ProcessingInstruction(f"{target} {data}?"))
        else:
            self.drop_rest()
        return True

    def commentStartState(self) -> bool:
        self.state = self.commentState  # html5lib stays where it is after a NUL
        return super().commentStartState()

    def commentStartDashState(self) -> bool:
        self.state = self.commentState
        return super().commentStartDashState()

    def markupDeclarationOpenState(self) -> bool:
        rest, node = self.rest(), self.parser.tree.openElements[-1]
        keyword = "doctype" if rest[:1] in ("D", "d") else ""
        if rest.startswith("[") and node.namespace != HTML:
            if self.parser.is_integration_point(node) and not self.parser.rules.cdata_at_integration_points:
                self.state = self.bogusCommentState
                return True
            keyword = "[CDATA["
        return self._drop_if_cut_off(keyword) or super().markupDeclarationOpenState()

    def afterDoctypeNameState(self) -> bool:
        keyword = {"P": "public", "S": "system"}.get(self.rest()[:1].upper(), "")
        return self._drop_if_cut_off(keyword) or super().afterDoctypeNameState()

    def _drop_if_cut_off(self, keyword: str) -> bool:
        """Drop the rest if Chrome waits for a keyword that it has no room for; return whether it did."""
        if keyword not in self.parser.rules.waits_for or self._has_room_for(keyword):
            return False
        if self.parser.has_pending_table_text():  # the text waits as well, and no browser was seen in that case
            refuse("`<!` after text in a table, too near to its end", expected="a whole declaration")
        self.drop_rest()
        return True

    def _has_room_for(self, keyword: str) -> bool:
        """Return whether a keyword fits into the rest, with the end as one more character."""
        rest = re.findall(r"\r\n|.", self._html, re.DOTALL)[-len(self.rest()) :]  # here a CR LF is still two characters
        return len("".join(rest).encode("utf-16-le", "surrogatepass")) // 2 + 1 >= len(keyword)
